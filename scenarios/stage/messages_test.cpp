// What devices and phones say of messages, and how it is awaited.

#include <gmock/gmock.h>

#include "scenarios/stage/scripted_world.hpp"

namespace wa::stage {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kPeer = "15550100002@s.whatsapp.net";

class MessageTest : public testing::Test {
 protected:
  MessageTest() { shop.start(); }

  void says(std::string kind, json::object data) {
    shop.push({world.now().mono, std::move(kind), std::move(data), {}});
  }
  void gets(const std::string& id, const std::string& text, const std::string& from = kPeer) {
    says("message", {{"id", id}, {"chat", from}, {"from", from}, {"kind", "text"}, {"text", text}});
  }
  /// The id of the next message that nobody has awaited; empty: there is none.
  std::string next(Wanted wanted = {}) {
    Wait wait = Wait::for_message(world, shop, "message", std::move(wanted), 1s);
    if (await(world, wait)) return {};
    return std::string(wait.entry()->data.at("id").get_string());
  }

  ScriptedWorld world;
  ScriptedDevice& shop = world.add_device("shop-1");
};

// ---- sending ----

TEST_F(MessageTest, ASendIsAskedThenAcceptedThenSent) {
  const Ref ref = shop.send({{"to", kPeer}, {"text", "hi"}});
  const Sending& sending = shop.sends().back();
  EXPECT_EQ(shop.sending(ref), &sending);
  EXPECT_EQ(sending.state, Sending::State::asked);
  EXPECT_EQ(sending.to, kPeer);
  EXPECT_EQ(shop.asked_to_send.size(), 1u);
  says("done", {{"ref", ref}, {"id", "A1"}});
  EXPECT_EQ(sending.state, Sending::State::accepted);
  EXPECT_EQ(sending.id, "A1");
  says("sent", {{"id", "B2"}});  // of another message
  EXPECT_EQ(sending.state, Sending::State::accepted);
  says("sent", {{"id", "A1"}});
  EXPECT_EQ(sending.state, Sending::State::sent);
}

TEST_F(MessageTest, ARefusalHasItsReasonAndCodeAndIsTheEnd) {
  const Ref ref = shop.send({{"to", kPeer}, {"text", "hi"}});
  says("done", {{"ref", ref}, {"id", "A1"}});
  says("send_failed", {{"id", "A1"}, {"reason", "refused"}, {"code", 463}});
  says("sent", {{"id", "A1"}});
  const Sending& sending = *shop.sending(ref);
  EXPECT_EQ(sending.state, Sending::State::failed);
  EXPECT_EQ(sending.reason, "refused");
  EXPECT_EQ(sending.code, 463);
}

TEST_F(MessageTest, AClientThatDoesNotTakeItHasFailedAtOnce) {
  const Ref ref = shop.send({{"to", kPeer}, {"text", "hi"}});
  says("error", {{"ref", ref}, {"code", "not_connected"}, {"text", "no connection"}});
  EXPECT_EQ(shop.sending(ref)->state, Sending::State::failed);
  EXPECT_EQ(shop.sending(ref)->reason, "not_connected");
  EXPECT_EQ(shop.sending(ref)->code, std::nullopt);
}

TEST_F(MessageTest, AnAckThatIsFasterThanTheAnswerCounts) {
  const Ref ref = shop.send({{"to", kPeer}, {"text", "hi"}});
  says("sent", {{"id", "A1"}});
  EXPECT_EQ(shop.sending(ref)->state, Sending::State::asked);
  says("done", {{"ref", ref}, {"id", "A1"}});
  EXPECT_EQ(shop.sending(ref)->state, Sending::State::sent);
}

TEST_F(MessageTest, AWaitForAMessageOnItsWayEndsWhenItIsSentOrHasFailed) {
  const Ref ref = shop.send({{"to", kPeer}, {"text", "hi"}});
  world.at(10ms, [&] { says("done", {{"ref", ref}, {"id", "A1"}}); });
  world.at(20ms, [&] { says("send_failed", {{"id", "A1"}, {"reason", "timed_out"}}); });
  Wait wait = Wait::for_sending(world, shop, ref, 1s);
  EXPECT_EQ(await(world, wait), std::nullopt);
  EXPECT_EQ(world.now().mono, Instant(20ms));
}

TEST(CheckMessageTest, NamesWhatIsWrong) {
  EXPECT_TRUE(check_message({{"to", kPeer}, {"text", "hi"}}));
  EXPECT_TRUE(check_message({{"to", kPeer}, {"text", "hi"}, {"reply_to", "A1"}, {"id", "B2"}}));
  EXPECT_TRUE(check_message({{"to", kPeer}, {"reaction", {{"id", "A1"}, {"emoji", ""}}}}));
  const auto refusal = [](const json::object& message) {
    const auto checked = check_message(message);
    return checked ? std::string() : checked.error().detail;
  };
  EXPECT_THAT(refusal({{"text", "hi"}}), HasSubstr("\"to\""));
  EXPECT_THAT(refusal({{"to", kPeer}}), HasSubstr("one of"));
  EXPECT_THAT(refusal({{"to", kPeer}, {"text", "hi"}, {"revoke", "A1"}}), HasSubstr("not both"));
  EXPECT_THAT(refusal({{"to", kPeer}, {"raw", "0a00"}}), HasSubstr("raw"));
  EXPECT_THAT(refusal({{"to", kPeer}, {"txet", "hi"}}), HasSubstr("did you mean \"text\"?"));
}

// ---- what comes ----

TEST_F(MessageTest, MessagesAreAwaitedOneByOneInWhateverOrderTheyCame) {
  gets("A1", "one");
  gets("B1", "two", "15550100003@s.whatsapp.net");
  says("state", {{"state", "connected"}});
  gets("A2", "three");
  shop.move_cursor(shop.history().size());  // what else is awaited does not matter
  EXPECT_EQ(next({.from = "15550100003"}), "B1");
  EXPECT_EQ(next(), "A1");
  EXPECT_EQ(next({.text = "three"}), "A2");
  EXPECT_EQ(next(), "");
  EXPECT_EQ(shop.inbox().size(), 3u);
}

TEST_F(MessageTest, AMessageThatIsNotTheOneIsNear) {
  gets("A1", "one");
  Wait wait = Wait::for_message(world, shop, "message", {.from = "15550100003", .text = "two"}, 1s);
  const auto failure = await(world, wait);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("a message \"two\" from 15550100003 did not come"));
  EXPECT_THAT(failure->message,
              HasSubstr("Nearest: message text \"one\" from 15550100002@s.whatsapp.net (A1)."));
}

TEST_F(MessageTest, EveryMemberThatIsWantedMustBeThere) {
  says("message", {{"id", "A1"},
                   {"chat", kPeer},
                   {"from", kPeer},
                   {"kind", "reaction"},
                   {"text", "+"},
                   {"about", "Z9"},
                   {"from_me", false},
                   {"offline", true}});
  const json::object& message = shop.inbox().front()->data;
  const auto fits = [&](const Wanted& wanted) { return wanted.matches(message, world.server()); };
  EXPECT_TRUE(fits({}));
  EXPECT_TRUE(fits({.chat = kPeer, .kind = "reaction", .about = "Z9", .offline = true}));
  EXPECT_FALSE(fits({.kind = "text"}));
  EXPECT_FALSE(fits({.id = "A2"}));
  EXPECT_FALSE(fits({.about = "A1"}));
  EXPECT_FALSE(fits({.from_me = true}));
  EXPECT_FALSE(fits({.offline = false}));
  EXPECT_FALSE(fits({.chat = "15550100003"}));
}

TEST_F(MessageTest, ARepeatedEventIsHeardOnceAndAnotherOfTheSameIdTwice) {
  const json::object message{{"id", "A1"}, {"chat", kPeer}, {"from", kPeer}, {"kind", "text"}};
  for (const std::int64_t seq : {7, 7, 8}) {
    json::object again = message;
    again["seq"] = seq;
    says("message", again);
  }
  says("message", message);
  says("message", message);
  EXPECT_EQ(shop.inbox().size(), 4u);
  EXPECT_EQ(shop.history()[1].kind, "repeated");
}

// ---- who is who ----

TEST(WhoTest, AnAccountIsItsNumberAndItsLidOnEachOfItsDevices) {
  ScriptedWorld world;
  Server& server = world.server();
  Phone& phone = **server.phone("15550100001");
  const std::string lid = world.tenant().phone(phone.id())->lid;
  const std::string companion = lid.substr(0, lid.find('@')) + ":3@lid";
  EXPECT_TRUE(server.is("15550100001@s.whatsapp.net", "15550100001"));
  EXPECT_TRUE(server.is("15550100001:3@s.whatsapp.net", "15550100001"));
  EXPECT_TRUE(server.is(lid, "15550100001"));
  EXPECT_TRUE(server.is(companion, "15550100001"));
  EXPECT_TRUE(server.is(companion, "15550100001:3@s.whatsapp.net"));
  EXPECT_TRUE(server.is("15550100001:3@s.whatsapp.net", companion));
  EXPECT_FALSE(server.is(companion, "15550100001:4@s.whatsapp.net"));
  EXPECT_FALSE(server.is(lid, "15550100001:3@s.whatsapp.net"));
  EXPECT_FALSE(server.is(lid, "15550100002"));
  EXPECT_FALSE(server.is("nonsense", "15550100001"));
  EXPECT_FALSE(server.is(lid, "shop-1"));  // not linked
}

TEST(WhoTest, AnAddressIsAJid) {
  ScriptedWorld world;
  EXPECT_EQ(world.server().address("15550100009").value(), "15550100009@s.whatsapp.net");
  EXPECT_EQ(world.server().address("120363@g.us").value(), "120363@g.us");
  EXPECT_EQ(world.server().address("shop-1").error().code, Errc::not_found);
}

// ---- phones ----

TEST(PhoneMessageTest, PhonesWriteToEachOtherAndAreAwaited) {
  ScriptedWorld world;
  Phone& ann = **world.server().phone("15550100001");
  Phone& bob = **world.server().phone("15550100002");
  const auto sent = ann.send({{"to", "15550100002"}, {"text", "hi"}, {"id", "A1"}});
  ASSERT_TRUE(sent);
  ASSERT_TRUE((*sent)->value());
  EXPECT_EQ((*sent)->value()->value, "A1");
  Wait wait = Wait::for_message(world, bob, "message", {.from = "15550100001", .text = "hi"}, 1s);
  EXPECT_EQ(await(world, wait), std::nullopt);
  Wait again = Wait::for_message(world, bob, "message", {.from = "15550100001"}, 1s);
  EXPECT_NE(await(world, again), std::nullopt);
  Wait delivered = Wait::for_message(world, ann, "receipt", {.kind = "delivered", .id = "A1"}, 1s);
  EXPECT_EQ(await(world, delivered), std::nullopt);
  EXPECT_NE(bob.read({"A1"})->value(), nullptr);
  Wait read = Wait::for_message(world, ann, "receipt", {.kind = "read", .id = "A1"}, 1s);
  EXPECT_EQ(await(world, read), std::nullopt);
  EXPECT_EQ(ann.messages().size(), 1u);
  EXPECT_EQ(ann.send({{"to", "15550100002"}}).error().code, Errc::usage);
}

}  // namespace
}  // namespace wa::stage

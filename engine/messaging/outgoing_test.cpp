#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/messaging/test_world.hpp"
#include "engine/protocol/signal/phash.hpp"

namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::children;
using test::kPeerJid;
using test::kPeerLid;
using test::PeerDevice;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

class OutgoingTest : public testing::Test {
 protected:
  OutgoingTest() { world.online(); }

  PeerDevice& add_companion(std::uint16_t device) {
    return world.add({kPeerJid, kPeerLid, device, 50U + device});
  }
  std::vector<NodeBuilder> copies(std::size_t message = 0) {
    return children(*child(world.sent_with("message").at(message), "participants"));
  }
  std::string text_for(PeerDevice& device) {
    const auto copy = world.copy_for(device);
    return copy ? device.text_in(*copy) : "no copy";
  }
  std::size_t asked(std::string_view xmlns) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world.queries, [&](const NodeBuilder& iq) { return attr(iq, "xmlns") == xmlns; }));
  }

  World world;
};

TEST_F(OutgoingTest, ATextReachesEveryDeviceOfTheRecipientAndOurOwnOthers) {
  auto& companion = add_companion(4);
  auto& phone = world.phone();
  const std::string id = world.send(kPeerJid, "hello");
  EXPECT_EQ(id.size(), 22U);
  EXPECT_EQ(id.substr(0, 4), "3EB0");

  const auto messages = world.sent_with("message");
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(attr(messages[0], "id"), id);
  EXPECT_EQ(attr(messages[0], "to"), kPeerJid.to_string());
  EXPECT_EQ(attr(messages[0], "type"), "text");
  ASSERT_THAT(copies(), SizeIs(3));
  EXPECT_EQ(text_for(world.peer()), "hello");
  EXPECT_EQ(text_for(companion), "hello");
  EXPECT_EQ(text_for(phone), "hello");
  EXPECT_NE(child(messages[0], "device-identity"), nullptr);
}

TEST_F(OutgoingTest, OwnDevicesGetTheChatWithTheText) {
  auto& phone = world.phone();
  world.send(kPeerJid, "hello");
  const auto envelope = phone.read(*world.copy_for(phone));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->sent_to, kPeerJid.to_string());
  EXPECT_EQ(std::get<message::Text>(envelope->content).text, "hello");
}

TEST_F(OutgoingTest, NothingLeavesBeforeItsRatchetIsDurable) {
  world.feed(SendRequested{1, kPeerJid, message::Text{.text = "hello"}, {}});
  std::size_t stanzas = 0;
  while (world.perform_one()) {
    if (world.sent.size() == stanzas) continue;
    stanzas = world.sent.size();
    EXPECT_TRUE(world.store.contains({std::string(kSessionKind), kPeerLid.user + "_1.0"}));
    EXPECT_TRUE(world.store.contains({std::string(kOutboxKind), attr(world.sent.back(), "id")}));
  }
  EXPECT_EQ(stanzas, 1U);
}

TEST_F(OutgoingTest, DevicesAndBundlesAreAskedForOnceAndThenKnown) {
  for (int i = 0; i < 10; ++i) world.send(kPeerJid, "text " + std::to_string(i));
  EXPECT_EQ(asked("usync"), 1U);
  EXPECT_EQ(asked("encrypt"), 1U);
  EXPECT_THAT(world.sent_with("message"), SizeIs(10));
  // An hour later the list is asked for again.
  world.pass(std::chrono::minutes(61));
  world.send(kPeerJid, "later");
  EXPECT_EQ(asked("usync"), 2U);
}

TEST_F(OutgoingTest, MessagesThatWaitForTheSameKeysAskOnceAndLeaveInOrder) {
  world.answer_queries = false;
  for (int i = 0; i < 10; ++i) {
    // Both names of the chat, while nobody knows that they are one.
    world.send(kPeerJid, "text " + std::to_string(i));
  }
  EXPECT_THAT(world.queries, SizeIs(1));
  world.answer_queries = true;
  world.settle();
  EXPECT_THAT(world.queries, SizeIs(2));
  const auto messages = world.sent_with("message");
  ASSERT_THAT(messages, SizeIs(10));
  for (std::size_t i = 0; i < 10; ++i) {
    const auto enc = children(children(*child(messages[i], "participants")).front()).front();
    EXPECT_EQ(world.peer().text_in(enc), "text " + std::to_string(i));
  }
}

TEST_F(OutgoingTest, AMessageIsSentWhenTheServerSaysSo) {
  const std::string id = world.send(kPeerJid, "hello");
  EXPECT_THAT(world.events_of<MessageSent>(), IsEmpty());
  world.ack(id);
  const auto sent = world.events_of<MessageSent>();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].id, id);
  EXPECT_EQ(sent[0].at.value, 1'767'225'601'000);
  EXPECT_EQ(world.messenger->residency().outbox, 0U);
  EXPECT_FALSE(world.store.contains({std::string(kOutboxKind), id}));
  world.ack(id);
  EXPECT_THAT(world.events_of<MessageSent>(), SizeIs(1));
}

TEST_F(OutgoingTest, ARefusalIsAFailureWithItsCodeAndIsNotRepeated) {
  const std::string id = world.send(kPeerJid, "hello");
  world.ack(id, 463);
  const auto failed = world.events_of<SendFailed>();
  ASSERT_THAT(failed, SizeIs(1));
  EXPECT_EQ(failed[0].reason, "refused");
  EXPECT_EQ(failed[0].code, 463);
  world.offline();
  world.online();
  EXPECT_THAT(world.sent_with("message"), SizeIs(1));
}

TEST_F(OutgoingTest, WithoutAnAckItFailsAfterAMinute) {
  world.send(kPeerJid, "hello");
  world.pass(std::chrono::seconds(59));
  EXPECT_THAT(world.events_of<SendFailed>(), IsEmpty());
  world.pass(std::chrono::seconds(2));
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].reason, "timed_out");
}

TEST_F(OutgoingTest, AfterAReconnectItIsSentUnderTheSameId) {
  const std::string id = world.send(kPeerJid, "hello");
  world.offline();
  world.online();
  const auto messages = world.sent_with("message");
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_EQ(attr(messages[1], "id"), id);
  // With another key: both can be read.
  for (const auto& message : messages) {
    EXPECT_EQ(world.peer().text_in(children(children(*child(message, "participants"))[0])[0]),
              "hello");
  }
}

TEST_F(OutgoingTest, AfterARestartTooAndTheMinuteGoesOn) {
  const std::string id = world.send(kPeerJid, "hello");
  world.pass(std::chrono::seconds(40));
  world.kill();
  world.online();
  EXPECT_THAT(world.sent_with("message"), SizeIs(2));
  world.pass(std::chrono::seconds(21));
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].id, id);
}

TEST_F(OutgoingTest, WhatIsAcceptedOfflineGoesOutInOrderOnceThereIsAStream) {
  world.offline();
  for (int i = 0; i < 5; ++i) world.send(kPeerJid, "text " + std::to_string(i));
  EXPECT_THAT(world.events_of<SendAccepted>(), SizeIs(5));
  EXPECT_THAT(world.sent, IsEmpty());
  world.kill();
  world.online();
  const auto messages = world.sent_with("message");
  ASSERT_THAT(messages, SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(world.peer().text_in(children(copies(i)[0])[0]), "text " + std::to_string(i));
  }
}

TEST_F(OutgoingTest, TheSameIdIsOneMessageHoweverOftenItIsWanted) {
  world.send(kPeerJid, "hello", "ORDER-1");
  world.send(kPeerJid, "hello", "ORDER-1");
  world.ack("ORDER-1");
  world.send(kPeerJid, "hello", "ORDER-1");
  world.pass(std::chrono::seconds(2));  // what the application has taken is not told again
  world.kill();
  world.online();
  world.send(kPeerJid, "hello", "ORDER-1");
  EXPECT_THAT(world.sent_with("message"), SizeIs(1));
  EXPECT_THAT(world.events_of<SendAccepted>(), SizeIs(4));
  // One stored event; whoever asks again gets the answer again.
  std::size_t stored = 0;
  for (const AppEvent& event : world.events) {
    if (std::holds_alternative<MessageSent>(event.what) && event.seq != 0) ++stored;
  }
  EXPECT_EQ(stored, 1U);
  EXPECT_THAT(world.events_of<MessageSent>(), SizeIs(3));
}

TEST_F(OutgoingTest, ADeviceWithBadKeysIsLeftOutAndCounted) {
  add_companion(4);
  world.spoil_bundle = [](signal::PreKeyBundle& bundle, const Jid& of) {
    if (of.device == 4) bundle.signed_pre_key_signature[5] ^= std::byte{1};
  };
  const std::string id = world.send(kPeerJid, "hello");
  EXPECT_THAT(copies(), SizeIs(2));
  EXPECT_EQ(text_for(world.peer()), "hello");
  world.ack(id);
  EXPECT_EQ(world.events_of<MessageSent>().at(0).skipped_devices, 1U);
  EXPECT_THAT(world.reports, SizeIs(1));
}

TEST_F(OutgoingTest, WithoutKeysOfAnyDeviceItFails) {
  world.has_bundle = [](const Jid&) { return false; };
  world.send(kPeerJid, "hello");
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].reason, "no_sessions");
  EXPECT_THAT(world.sent, IsEmpty());
}

TEST_F(OutgoingTest, SomebodyWhomTheServerDoesNotKnowHasNoDevices) {
  world.send(Jid("15550109999", "s.whatsapp.net"), "hello");
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].reason, "no_devices");
  world.send(Jid("120363000000000000", "newsletter"), "hello");
  EXPECT_EQ(world.events_of<SendFailed>().at(1).reason, "unsupported");
}

TEST_F(OutgoingTest, AListWithoutAnyDeviceIsThePhoneAndIsNotBelieved) {
  world.answer_queries = false;
  const auto answer_with = [&](std::uint32_t query) {
    const auto answer = test::frame_of(
        NodeBuilder("iq")
            .attr("type", std::string("result"))
            .child(NodeBuilder("usync").child(NodeBuilder("list").child(
                NodeBuilder("user").attr("jid", kPeerJid).child(NodeBuilder("devices"))))));
    world.step(Answered{query, &answer.root()});
  };
  world.send(kPeerJid, "hello");
  answer_with(1);
  ASSERT_THAT(world.queries, SizeIs(2));
  EXPECT_EQ(attr(children(*child(world.queries[1], "key")).front(), "jid"), kPeerJid.to_string());
  EXPECT_THAT(world.events_of<SendFailed>(), IsEmpty());

  world.queries.clear();
  world.answer_queries = true;
  world.kill();
  world.online();
  EXPECT_EQ(attr(*child(world.queries.front(), "usync"), "mode"), "query") << "asked for again";
  EXPECT_THAT(world.sent_with("message"), SizeIs(1));
}

TEST_F(OutgoingTest, APeerHasOneSessionUnderBothNames) {
  world.send(kPeerJid, "one");
  world.send(kPeerLid, "two");
  EXPECT_EQ(asked("encrypt"), 1U);
  EXPECT_EQ(attr(world.sent_with("message")[1], "to"), kPeerLid.to_string());
  EXPECT_EQ(attr(copies(1)[0], "jid"), kPeerLid.to_string());
}

TEST_F(OutgoingTest, WhatAnAckSaysOfUnknownDevicesReachesThem) {
  const std::string id = world.send(kPeerJid, "hello");
  auto& companion = add_companion(4);
  const std::array devices{kPeerJid, companion.number(), world.phone().number(), test::kOwnJid};
  world.ack(id, {}, signal::participant_hash(devices));
  EXPECT_EQ(asked("usync"), 2U);
  const auto messages = world.sent_with("message");
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_EQ(attr(messages[1], "id"), id);
  ASSERT_THAT(copies(1), SizeIs(1));
  EXPECT_EQ(text_for(companion), "hello");
}

TEST_F(OutgoingTest, AnAckWithTheHashOfOurDevicesChangesNothing) {
  const std::string id = world.send(kPeerJid, "hello");
  world.ack(id, {},
            signal::participant_hash(std::array{kPeerJid, world.phone().number(), test::kOwnJid}));
  EXPECT_EQ(asked("usync"), 1U);
  EXPECT_THAT(world.sent_with("message"), SizeIs(1));
}

TEST_F(OutgoingTest, ADeviceNotificationMakesTheListUnbelievable) {
  world.send(kPeerJid, "one");
  auto& companion = add_companion(4);
  world.receive(NodeBuilder("notification")
                    .attr("id", std::string("N1"))
                    .attr("from", kPeerLid)
                    .attr("type", std::string("devices"))
                    .child(NodeBuilder("add")));
  ASSERT_THAT(world.sent_with("ack"), SizeIs(1));
  EXPECT_EQ(attr(world.sent_with("ack")[0], "class"), "notification");
  world.send(kPeerJid, "two");
  EXPECT_EQ(text_for(companion), "two");
}

TEST_F(OutgoingTest, AfterAnIdentityNotificationNewSessionsAreBuilt) {
  world.send(kPeerJid, "one");
  world.peer().set_up_anew();
  world.receive(NodeBuilder("notification")
                    .attr("id", std::string("N1"))
                    .attr("from", kPeerJid)
                    .attr("type", std::string("encrypt"))
                    .child(NodeBuilder("identity")));
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));
  world.send(kPeerJid, "two");
  EXPECT_EQ(text_for(world.peer()), "two");
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));
}

TEST_F(OutgoingTest, AnIdentityThatTheServerToldOfIsNoNewsInAMessage) {
  world.send(kPeerJid, "one");
  world.peer().set_up_anew();
  world.receive(NodeBuilder("notification")
                    .attr("id", std::string("N1"))
                    .attr("from", kPeerJid)
                    .attr("type", std::string("encrypt"))
                    .child(NodeBuilder("identity")));
  world.peer().begin(world.own_bundle());
  world.receive(world.peer().message("A1", "with new keys"));
  EXPECT_THAT(world.texts(), testing::ElementsAre("with new keys"));
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));
}

TEST_F(OutgoingTest, TenThousandDevicesInAnAnswerAreNotBelieved) {
  world.answer_queries = false;
  world.send(kPeerJid, "hello");
  NodeBuilder list("device-list");
  for (int i = 0; i < 10'000; ++i) {
    list.child(NodeBuilder("device").attr("id", i).attr("key-index", 1));
  }
  const auto answer =
      test::frame_of(NodeBuilder("iq")
                         .attr("type", std::string("result"))
                         .child(NodeBuilder("usync").child(NodeBuilder("list").child(
                             NodeBuilder("user")
                                 .attr("jid", kPeerJid)
                                 .child(NodeBuilder("devices").child(std::move(list)))))));
  world.step(Answered{1, &answer.root()});
  ASSERT_THAT(world.queries, SizeIs(2));
  EXPECT_THAT(children(*child(world.queries[1], "key")),
              SizeIs(testing::Le(limits::kMaxDevicesPerAccount + 1)));
}

TEST_F(OutgoingTest, OfManyDevicesThePhoneIsOneWhereverItStands) {
  world.answer_instead = [this](const NodeBuilder& iq) {
    if (!child(iq, "usync")) return world.answer(iq);
    NodeBuilder list("device-list");
    for (int i = 1; i <= 200; ++i) {
      list.child(NodeBuilder("device").attr("id", i).attr("key-index", 1));
    }
    list.child(NodeBuilder("device").attr("id", 0));
    return NodeBuilder("iq")
        .attr("type", std::string("result"))
        .child(NodeBuilder("usync").child(
            NodeBuilder("list").child(NodeBuilder("user")
                                          .attr("jid", kPeerJid)
                                          .child(NodeBuilder("devices").child(std::move(list))))));
  };
  world.send(kPeerJid, "hello");
  ASSERT_TRUE(world.copy_for(world.peer()));
  EXPECT_EQ(world.peer().text_in(*world.copy_for(world.peer())), "hello");
}

TEST_F(OutgoingTest, AnAnswerOfTheWrongShapeIsNoAnswer) {
  world.answer_queries = false;
  world.send(kPeerJid, "hello");
  const auto answer = test::frame_of(NodeBuilder("iq")
                                         .attr("type", std::string("result"))
                                         .child(NodeBuilder("usync").bytes(Bytes(100))));
  world.step(Answered{1, &answer.root()});
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].reason, "no_devices");
}

// ---- receipts -------------------------------------------------------------------------------

TEST_F(OutgoingTest, ReceiptsForOurMessagesAreToldAndAcked) {
  const std::string id = world.send(kPeerJid, "hello");
  world.ack(id);
  world.receive(
      NodeBuilder("receipt").attr("id", id).attr("from", kPeerLid).attr("t", 1'767'225'700));
  world.receive(
      NodeBuilder("receipt")
          .attr("id", id)
          .attr("from", kPeerLid)
          .attr("type", std::string("read"))
          .child(NodeBuilder("list").child(NodeBuilder("item").attr("id", std::string("B2")))));
  const auto receipts = world.events_of<ReceiptReceived>();
  ASSERT_THAT(receipts, SizeIs(2));
  EXPECT_EQ(receipts[0].kind, ReceiptKind::delivered);
  EXPECT_EQ(receipts[0].at.value, 1'767'225'700'000);
  EXPECT_EQ(receipts[1].kind, ReceiptKind::read);
  EXPECT_THAT(receipts[1].ids, ElementsAre(id, "B2"));
  const auto acks = world.sent_with("ack");
  ASSERT_THAT(acks, SizeIs(2));
  EXPECT_EQ(attr(acks[1], "class"), "receipt");
  EXPECT_EQ(attr(acks[1], "type"), "read");
}

TEST_F(OutgoingTest, WhatIsDeliveredHasBeenSentEvenIfItsAckWasLost) {
  const std::string id = world.send(kPeerJid, "hello");
  world.receive(NodeBuilder("receipt").attr("id", id).attr("from", kPeerLid));
  EXPECT_THAT(world.events_of<MessageSent>(), SizeIs(1));
  world.pass(std::chrono::minutes(2));
  EXPECT_THAT(world.events_of<SendFailed>(), IsEmpty());
}

TEST_F(OutgoingTest, FiveThousandReadMessagesAreTwentyReceipts) {
  ReadRequested request{kPeerLid, {}, {}};
  for (int i = 0; i < 5000; ++i) request.ids.push_back("A" + std::to_string(i));
  world.step(request);
  const auto receipts = world.sent_with("receipt", "read");
  ASSERT_THAT(receipts, SizeIs(20));
  EXPECT_EQ(attr(receipts[1], "id"), "A256");
  EXPECT_THAT(children(*child(receipts[0], "list")), SizeIs(255));
  world.step(ReadRequested{Jid("120363000000000000", "newsletter"), {}, {"A"}});
  EXPECT_THAT(world.sent_with("receipt", "read"), SizeIs(20));
}

TEST_F(OutgoingTest, ASingleReadMessageHasNoListAndWaitsForAStream) {
  world.offline();
  world.step(ReadRequested{kPeerLid, {}, {"A1"}});
  EXPECT_THAT(world.sent, IsEmpty());
  world.online();
  const auto receipts = world.sent_with("receipt", "read");
  ASSERT_THAT(receipts, SizeIs(1));
  EXPECT_EQ(child(receipts[0], "list"), nullptr);
}

}  // namespace
}  // namespace wa::messaging

// What scenario files say of messages.

#include <gmock/gmock.h>

#include "scenarios/lua/script.hpp"
#include "scenarios/stage/scripted_world.hpp"

namespace wa::lua {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Phones `ann` and `bob`, and a device whose client does what the test says.
class LuaMessageTest : public testing::Test {
 protected:
  LuaMessageTest() {
    shop.answers = true;
    shop.on_send = [this](stage::Ref ref, const json::object&) {
      const std::string id = "S" + std::to_string(++sent);
      world.at(world.now().mono - Instant{} + 10ms, [this, ref, id] {
        shop.push({world.now().mono, "done", {{"ref", ref}, {"id", id}}, {}});
      });
      if (!acked) return;
      world.at(world.now().mono - Instant{} + 20ms, [this, id] {
        json::object data{{"id", id}};
        if (*acked != 0) {
          data["reason"] = "refused";
          data["code"] = *acked;
        }
        shop.push({world.now().mono, *acked == 0 ? "sent" : "send_failed", data, {}});
      });
    };
  }

  void gets(Duration when, std::string id, std::string from, std::string text) {
    world.at(when, [this, id, from, text] {
      shop.push({world.now().mono,
                 "message",
                 {{"id", id}, {"chat", from}, {"from", from}, {"kind", "text"}, {"text", text}},
                 {}});
    });
  }

  std::vector<std::string> failures(const std::string& text) {
    Script script("test.lua",
                  "scenario { name = 'test' } local ann = server:phone { number = '15550100001' } "
                  "local bob = server:phone { number = '15550100002' } "
                  "local device = engine:device 'shop-1' device:start() " +
                      text,
                  1);
    EXPECT_TRUE(script.declare());
    std::vector<std::string> out;
    for (const stage::Failure& failure : script.play(world).failures) {
      out.push_back(to_string(failure));
    }
    return out;
  }

  stage::ScriptedWorld world;
  stage::ScriptedDevice& shop = world.add_device("shop-1");
  std::optional<int> acked = 0;  ///< the error in the server's ack; empty: there is none
  int sent = 0;
};

TEST_F(LuaMessageTest, ASendReturnsWhatBecomesOfIt) {
  EXPECT_THAT(failures("local sent = device:send(bob, 'hi') "
                       "expect(sent.id):equals('S1') expect(sent.state):equals('accepted') "
                       "expect(sent.to):equals('15550100002@s.whatsapp.net') "
                       "expect(device:await_sent(sent).state):equals('sent') "
                       "expect(sent.state):equals('sent') expect(sent.code):is_nil() "
                       "expect(#device.sends):equals(1) "
                       "expect(device.sends[1].state):equals('sent')"),
              IsEmpty());
  ASSERT_EQ(shop.asked_to_send.size(), 1u);
  EXPECT_EQ(shop.asked_to_send[0],
            (json::object{{"text", "hi"}, {"to", "15550100002@s.whatsapp.net"}}));
}

TEST_F(LuaMessageTest, ARefusedMessageRaisesWithTheReasonAndKeepsTheCode) {
  acked = 463;
  EXPECT_THAT(failures("local sent = device:send(bob, 'hi') "
                       "expect.error(function() device:await_sent(sent) end):code('refused') "
                       "expect(sent.state):equals('failed') expect(sent.code):equals(463)"),
              IsEmpty());
}

TEST_F(LuaMessageTest, AMessageThatNobodyAcknowledgesTimesOut) {
  acked.reset();
  EXPECT_THAT(failures("local sent = device:send(bob, 'hi') "
                       "expect.error(function() device:await_sent(sent, { within = '1s' }) end)"
                       ":code('timed_out') expect(sent.state):equals('accepted')"),
              IsEmpty());
}

TEST_F(LuaMessageTest, EveryFormOfASendArrivesAsItIsMeant) {
  EXPECT_THAT(failures("local sent = device:send { to = bob, text = 'hi', id = 'X1' } "
                       "device:send(bob, { text = 'yes', reply_to = sent }) "
                       "device:send('15550100009', { reaction = { id = 'A1', emoji = '+' } }) "
                       "device:send('1203@g.us', { revoke = 'A1' })"),
              IsEmpty());
  ASSERT_EQ(shop.asked_to_send.size(), 4u);
  EXPECT_EQ(shop.asked_to_send[0].at("id"), "X1");
  EXPECT_EQ(shop.asked_to_send[1].at("reply_to"), "S1");
  EXPECT_EQ(shop.asked_to_send[2].at("to"), "15550100009@s.whatsapp.net");
  EXPECT_EQ(shop.asked_to_send[3].at("to"), "1203@g.us");
}

TEST_F(LuaMessageTest, WhatIsWrongIsNamed) {
  const auto wrong = [&](const std::string& call) {
    const auto found = failures(call);
    return found.empty() ? std::string() : found.front();
  };
  EXPECT_THAT(wrong("device:send(bob)"), HasSubstr("device:send takes whom and what"));
  EXPECT_THAT(wrong("device:send { text = 'hi' }"), HasSubstr("whom and what"));
  EXPECT_THAT(wrong("device:send { to = bob, txet = 'hi' }"), HasSubstr("did you mean \"text\"?"));
  EXPECT_THAT(wrong("device:send { to = 'nobody', text = 'hi' }"), HasSubstr("not linked"));
  EXPECT_THAT(wrong("device:send { to = bob, raw = '0a00' }"), HasSubstr("raw"));
  EXPECT_THAT(wrong("device:await_message { form = bob }"), HasSubstr("did you mean \"from\"?"));
  EXPECT_THAT(wrong("device:await_message { from = 'nobody' }"), HasSubstr("not linked"));
  EXPECT_THAT(wrong("device:await_message { offline = 'yes' }"), HasSubstr("true or false"));
  EXPECT_THAT(wrong("device:await_sent('S1')"), HasSubstr("what device:send has returned"));
  EXPECT_THAT(wrong("device:read('A1')"), HasSubstr("the chat, too"));
  EXPECT_TRUE(shop.asked_to_send.empty());
}

TEST_F(LuaMessageTest, MessagesAreAwaitedAndListedAndRead) {
  gets(10ms, "A1", "15550100001@s.whatsapp.net", "one");
  gets(20ms, "B1", "15550100002@s.whatsapp.net", "two");
  EXPECT_THAT(failures("local two = device:await_message { from = bob } "
                       "expect(two.id):equals('B1') expect(two.text):equals('two') "
                       "expect(two.about):is_nil() expect(two.at):equals(0.02) "
                       "local one = device:await_message { chat = ann, kind = 'text' } "
                       "expect(one.id):equals('A1') expect(#device.inbox):equals(2) "
                       "expect(device.inbox[1].text):equals('one') device:read(one) "
                       "device:read { chat = bob, ids = { 'B1' } } "
                       "expect.error(function() device:await_message { within = '1s' } end)"
                       ":code('timed_out')"),
              IsEmpty());
  using Asked = std::pair<std::string, std::vector<std::string>>;
  EXPECT_THAT(shop.asked_to_read, ElementsAre(Asked{"15550100001@s.whatsapp.net", {"A1"}},
                                              Asked{"15550100002@s.whatsapp.net", {"B1"}}));
}

TEST_F(LuaMessageTest, ReceiptsAndWhatCannotBeReadAreAwaited) {
  world.at(10ms, [this] {
    shop.push({world.now().mono,
               "receipt",
               {{"id", "S1"}, {"kind", "delivered"}, {"from", "15550100002@s.whatsapp.net"}},
               {}});
    shop.push({world.now().mono,
               "undecryptable",
               {{"id", "B9"}, {"from", "15550100002:1@s.whatsapp.net"}, {"text", "no_session"}},
               {}});
  });
  EXPECT_THAT(
      failures("local receipt = device:await_receipt { id = 'S1', from = bob } "
               "expect(receipt.kind):equals('delivered') "
               "expect(device:await_undecryptable { from = bob }.text):equals('no_session') "
               "expect(#device.receipts):equals(1) expect(#device.undecryptable):equals(1)"),
      IsEmpty());
}

TEST_F(LuaMessageTest, PhonesTalk) {
  EXPECT_THAT(failures("local id = ann:send(bob, 'hi') local hi = bob:await_message { from = ann } "
                       "expect(hi.id):equals(id) expect(hi.text):equals('hi') bob:read(hi) "
                       "ann:await_receipt { id = id, kind = 'read', from = bob } "
                       "bob:send { to = ann, reaction = { id = id, emoji = '+' } } "
                       "expect(ann:await_message { kind = 'reaction' }.about):equals(id) "
                       "expect(#bob.inbox):equals(1) expect(#bob.messages):equals(2) "
                       "expect(ann.messages[1].from_me):is_true()"),
              IsEmpty());
  EXPECT_THAT(failures("ann:send('15550100009', 'hi')"),
              ElementsAre(HasSubstr("nobody is called 15550100009")));
}

// ---- groups, presence -------------------------------------------------------------------------

TEST_F(LuaMessageTest, AGroupTakesMembersAndStandsForAChat) {
  EXPECT_THAT(failures("local tea = server:group { subject = 'Tea', participants = { ann, bob }, "
                       "addressing = 'pn' } "
                       "expect(#tea.members):equals(2) expect(tea.jid):contains('@g.us') "
                       "local cleo = server:phone { number = '15550100003' } "
                       "tea:add(cleo) expect(#tea.members):equals(3) "
                       "tea:remove(bob, { cleo }) expect(tea.members):equals { '15550100001' } "
                       "expect.error(function() tea:remove(bob) end):code('refused') "
                       "device:send(tea, 'hi') "
                       "expect(device.sends[1].to):equals(tea.jid)"),
              IsEmpty());
}

TEST_F(LuaMessageTest, AGroupWithoutMembersOrWithStrangersIsRefused) {
  EXPECT_THAT(failures("server:group { subject = 'Tea' }"),
              ElementsAre(HasSubstr("server:group needs participants")));
  EXPECT_THAT(failures("server:group { participants = { ann, '15550100099' } }"),
              ElementsAre(HasSubstr("nobody is called 15550100099")));
  EXPECT_THAT(failures("server:group { participants = { ann }, addressing = 'both' }"),
              ElementsAre(HasSubstr("\"addressing\" is \"pn\" or \"lid\", not \"both\"")));
  EXPECT_THAT(failures("local tea = server:group { participants = { ann } } tea:add()"),
              ElementsAre(HasSubstr("group:add takes whom")));
}

TEST_F(LuaMessageTest, ADeviceChangesGroups) {
  shop.wish_answer = {{"jid", "1203@g.us"}};
  EXPECT_THAT(failures("local tea = device:group_create { subject = 'Tea', members = { bob } } "
                       "expect(tea.jid):equals('1203@g.us') "
                       "device:group_add(tea, ann, bob) device:group_remove('1203@g.us', bob)"),
              IsEmpty());
  const json::array bob{"15550100002@s.whatsapp.net"};
  ASSERT_EQ(shop.wishes.size(), 3u);
  EXPECT_EQ(shop.wishes[0].first, "group_create");
  EXPECT_EQ(shop.wishes[0].second, (json::object{{"subject", "Tea"}, {"members", bob}}));
  EXPECT_EQ(shop.wishes[1].first, "group_add");
  EXPECT_EQ(shop.wishes[1].second.at("members").as_array().size(), 2u);
  EXPECT_EQ(shop.wishes[2].second, (json::object{{"group", "1203@g.us"}, {"members", bob}}));
}

TEST_F(LuaMessageTest, WhatAClientRefusesRaises) {
  shop.wish_answer = {{"code", "refused"}, {"text", "the server answers 403"}};
  EXPECT_THAT(failures("expect.error(function() device:group_create { members = { bob } } end)"
                       ":code('refused')"),
              IsEmpty());
}

TEST_F(LuaMessageTest, ADeviceShowsPresenceAndSeesIt) {
  world.at(1s, [this] {
    shop.push({world.now().mono,
               "presence",
               {{"from", "15550100002@s.whatsapp.net"}, {"kind", "available"}},
               {}});
    shop.push({world.now().mono,
               "typing",
               {{"from", "15550100002@s.whatsapp.net"},
                {"chat", "15550100002@s.whatsapp.net"},
                {"kind", "composing"}},
               {}});
  });
  EXPECT_THAT(failures("device:presence('available') device:follow(bob) "
                       "device:typing(bob, 'recording') "
                       "expect(device:await_presence { from = bob, kind = 'available' }.last_seen)"
                       ":is_nil() "
                       "device:await_typing { from = bob, chat = bob, kind = 'composing' } "
                       "bob:presence('available') bob:typing(ann, 'paused')"),
              IsEmpty());
  ASSERT_EQ(shop.wishes.size(), 3u);
  EXPECT_EQ(shop.wishes[0].second, (json::object{{"available", true}}));
  EXPECT_EQ(shop.wishes[1].second, (json::object{{"subscribe", "15550100002@s.whatsapp.net"}}));
  EXPECT_EQ(shop.wishes[2].second,
            (json::object{{"chat", "15550100002@s.whatsapp.net"}, {"state", "recording"}}));
  EXPECT_THAT(failures("device:presence('maybe')"),
              ElementsAre(HasSubstr("takes \"available\" or \"unavailable\", not \"maybe\"")));
  EXPECT_THAT(failures("device:typing(bob, 'dancing')"), ElementsAre(HasSubstr("not \"dancing\"")));
}

}  // namespace
}  // namespace wa::lua

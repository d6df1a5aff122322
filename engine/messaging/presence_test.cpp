#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/limits.hpp"
#include "engine/messaging/test_world.hpp"

namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::children;
using test::kPeerJid;
using test::kPeerLid;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

const Jid kGroup("120363000000000001", "g.us");

NodeBuilder presence(const Jid& from, const std::string& type = {}) {
  NodeBuilder stanza("presence");
  stanza.attr("from", from);
  if (!type.empty()) stanza.attr("type", type);
  return stanza;
}
NodeBuilder chatstate(const Jid& from, NodeBuilder state) {
  return NodeBuilder("chatstate").attr("from", from).child(std::move(state));
}

class PresenceTest : public testing::Test {
 protected:
  std::vector<std::string> said(const std::string& tag = "presence") const {
    std::vector<std::string> all;
    for (const NodeBuilder& stanza : world.sent_with(tag)) all.push_back(attr(stanza, "type"));
    return all;
  }
  World world;
};

TEST_F(PresenceTest, NobodyIsThereUnlessTheUserSaysSo) {
  world.online();
  EXPECT_THAT(world.sent, IsEmpty());
}

TEST_F(PresenceTest, ThatTheUserIsThereIsSaidOnEveryStream) {
  world.step(AvailabilityChanged{true});
  EXPECT_THAT(world.sent, IsEmpty()) << "there is no stream";
  world.online();
  EXPECT_THAT(said(), ElementsAre("available"));
  EXPECT_EQ(attr(world.sent[0], "name"), "Shop");
  world.offline();
  world.online();
  world.step(AvailabilityChanged{false});
  EXPECT_THAT(said(), ElementsAre("available", "available", "unavailable"));
  world.offline();
  world.online();
  EXPECT_THAT(said(), SizeIs(3));
}

TEST_F(PresenceTest, ANameThatIsNotKnownIsLeftOut) {
  world.keys.name.clear();
  world.online();
  world.step(AvailabilityChanged{true});
  EXPECT_EQ(attr(world.sent.at(0), "name"), "");
}

TEST_F(PresenceTest, ReceiptsSayWhetherTheUserIsThere) {
  world.online();
  world.peer().begin(world.own_bundle());
  world.receive(world.peer().message("A1", "one"));
  world.step(AvailabilityChanged{true});
  world.receive(world.peer().message("A2", "two"));
  EXPECT_THAT(said("receipt"), ElementsAre("inactive", ""));
}

TEST_F(PresenceTest, WhomTheUserFollowsIsAskedForOnEveryStreamAndOnce) {
  world.step(PresenceWanted{kPeerJid});
  world.step(PresenceWanted{kPeerJid});
  world.online();
  EXPECT_THAT(said(), ElementsAre("subscribe"));
  EXPECT_EQ(attr(world.sent[0], "to"), kPeerJid.to_string());
  world.offline();
  world.online();
  EXPECT_THAT(said(), SizeIs(2));
  world.step(PresenceWanted{kGroup});
  EXPECT_THAT(said(), SizeIs(2)) << "a group does not come and go";
}

TEST_F(PresenceTest, FollowedAccountsAreBounded) {
  for (std::size_t i = 0; i <= limits::kMaxPresenceSubscriptions; ++i) {
    world.step(PresenceWanted{Jid(std::to_string(15550100000 + i), "s.whatsapp.net")});
  }
  world.online();
  EXPECT_THAT(said(), SizeIs(limits::kMaxPresenceSubscriptions));
  EXPECT_THAT(world.reports, SizeIs(1));
}

TEST_F(PresenceTest, WhatAnAccountShowsIsTold) {
  world.online();
  world.receive(presence(kPeerLid));
  NodeBuilder gone = presence(kPeerLid, "unavailable");
  gone.attr("last", 1'767'225'600);
  world.receive(gone);
  NodeBuilder secret = presence(kPeerLid, "unavailable");
  secret.attr("last", "deny");
  world.receive(secret);
  EXPECT_THAT(world.events_of<PresenceSeen>(),
              ElementsAre(PresenceSeen{kPeerLid, true, {}},
                          PresenceSeen{kPeerLid, false, UnixMillis{1'767'225'600'000}},
                          PresenceSeen{kPeerLid, false, {}}));
  for (const AppEvent& event : world.events) EXPECT_EQ(event.seq, 0U) << "nothing of it is stored";
  EXPECT_EQ(world.commits, 0U);
  EXPECT_THAT(world.sent, IsEmpty()) << "nor acknowledged";
}

TEST_F(PresenceTest, WhoWritesIsTold) {
  world.online();
  world.receive(chatstate(kPeerLid, NodeBuilder("composing")));
  world.receive(chatstate(kPeerLid, NodeBuilder("composing").attr("media", "audio")));
  NodeBuilder in_group = chatstate(kGroup, NodeBuilder("paused"));
  in_group.attr("participant", kPeerLid);
  world.receive(in_group);
  EXPECT_THAT(world.events_of<TypingSeen>(),
              ElementsAre(TypingSeen{kPeerLid, kPeerLid, Typing::composing},
                          TypingSeen{kPeerLid, kPeerLid, Typing::recording},
                          TypingSeen{kGroup, kPeerLid, Typing::paused}));
}

TEST_F(PresenceTest, WhatMakesNoSenseIsNotTold) {
  world.online();
  world.receive(NodeBuilder("presence"));
  world.receive(presence(kGroup));
  world.receive(NodeBuilder("chatstate").attr("from", kPeerLid));
  world.receive(chatstate(kPeerLid, NodeBuilder("dancing")));
  world.receive(chatstate(kGroup, NodeBuilder("composing")));
  world.receive(chatstate(test::kOwnLid, NodeBuilder("composing")));
  EXPECT_THAT(world.events, IsEmpty());
}

TEST_F(PresenceTest, WhatTheUserWritesIsShownNowOrNever) {
  world.step(TypingShown{kPeerJid, Typing::composing});
  world.online();
  EXPECT_THAT(world.sent, IsEmpty());
  world.step(TypingShown{kPeerJid, Typing::recording});
  world.step(TypingShown{kGroup, Typing::paused});
  const auto shown = world.sent_with("chatstate");
  ASSERT_THAT(shown, SizeIs(2));
  EXPECT_EQ(attr(shown[0], "to"), kPeerJid.to_string());
  EXPECT_EQ(attr(*child(shown[0], "composing"), "media"), "audio");
  EXPECT_NE(child(shown[1], "paused"), nullptr);
}

}  // namespace
}  // namespace wa::messaging

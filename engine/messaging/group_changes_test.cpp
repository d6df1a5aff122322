#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using What = GroupRequested::What;

const Jid kGroup("120363000000000001", "g.us");

NodeBuilder result(NodeBuilder inside) {
  return NodeBuilder("iq").attr("type", "result").child(std::move(inside));
}
NodeBuilder participant(const Jid& jid) {
  return NodeBuilder("participant").attr("jid", jid);
}
NodeBuilder failure(int code) {
  return NodeBuilder("iq").attr("type", "error").child(NodeBuilder("error").attr("code", code));
}

class GroupChangesTest : public testing::Test {
 protected:
  GroupChangesTest() { world.online(); }
  void ask(What what, std::vector<Jid> members, const Jid& group = {}) {
    world.step(GroupRequested{
        .ref = 9, .what = what, .group = group, .subject = "Tea", .members = std::move(members)});
  }
  const NodeBuilder& asked() const { return world.queries.back(); }
  GroupChanged changed() const { return world.events_of<GroupChanged>().at(0); }
  GroupFailed failed() const { return world.events_of<GroupFailed>().at(0); }

  World world;
};

TEST_F(GroupChangesTest, ANewGroupIsKnownAtOnce) {
  world.group_verdict = result(NodeBuilder("group")
                                   .attr("id", kGroup.user)
                                   .attr("addressing_mode", "lid")
                                   .child(participant(test::kOwnLid.without_device()))
                                   .child(participant(kPeerLid)));
  ask(What::create, {kPeerJid});
  EXPECT_EQ(attr(asked(), "to"), "@g.us");
  EXPECT_EQ(attr(asked(), "type"), "set");
  EXPECT_EQ(attr(*child(asked(), "create"), "subject"), "Tea");
  EXPECT_EQ(attr(children(*child(asked(), "create")).at(0), "jid"), kPeerJid.to_string());
  EXPECT_EQ(changed(), (GroupChanged{kGroup, {}}));
  EXPECT_EQ(world.events.back().ref, 9U);
  EXPECT_EQ(world.events.back().seq, 0U) << "it is an answer";
  world.queries.clear();
  world.send(kGroup, "hello");
  for (const NodeBuilder& query : world.queries) EXPECT_NE(attr(query, "xmlns"), "w:g2");
  EXPECT_EQ(world.peer().read_group(world.sent_with("message").at(0)), "hello");
}

TEST_F(GroupChangesTest, WhomTheServerRefusesIsNamed) {
  world.group_verdict = result(NodeBuilder("add")
                                   .child(participant(kPeerJid).attr("error", 403))
                                   .child(participant(Jid("15550100003", "s.whatsapp.net"))));
  ask(What::add, {kPeerJid, Jid("15550100003", "s.whatsapp.net")}, kGroup);
  EXPECT_EQ(attr(asked(), "to"), kGroup.to_string());
  EXPECT_EQ(changed(), (GroupChanged{kGroup, {{kPeerJid, 403}}}));
}

TEST_F(GroupChangesTest, WhoIsRemovedCannotReadTheNextMessageWhateverTheServerSaysMeanwhile) {
  auto& third =
      world.add({Jid("15550100003", "s.whatsapp.net"), Jid("100000000000003", "lid"), 0, 33});
  world.groups[kGroup] = {test::kOwnLid.without_device(), kPeerLid, third.lid()};
  world.ack(world.send(kGroup, "one"));
  EXPECT_EQ(third.read_group(world.sent_with("message").at(0)), "one");
  world.groups[kGroup].pop_back();
  world.group_verdict = result(NodeBuilder("remove").child(participant(third.lid())));
  ask(What::remove, {third.lid()}, kGroup);
  EXPECT_THAT(changed().refused, IsEmpty());
  world.send(kGroup, "two");
  EXPECT_EQ(third.read_group(world.sent_with("message").at(1)), "no_sender_key");
  EXPECT_EQ(world.peer().read_group(world.sent_with("message").at(0)), "one");
  EXPECT_EQ(world.peer().read_group(world.sent_with("message").at(1)), "two");
}

TEST_F(GroupChangesTest, ARefusalHasTheServersCode) {
  world.group_verdict = failure(403);
  ask(What::remove, {kPeerJid}, kGroup);
  EXPECT_EQ(failed(), (GroupFailed{kGroup, "refused", 403}));
  world.group_verdict = result(NodeBuilder("nonsense"));
  ask(What::create, {kPeerJid});
  EXPECT_EQ(world.events_of<GroupFailed>().at(1).reason, "refused");
}

TEST_F(GroupChangesTest, WhatCannotBeIsNotAsked) {
  ask(What::create, {Jid("status", "broadcast")});
  ask(What::add, {kPeerJid}, kPeerJid);
  ask(What::add, {}, kGroup);
  EXPECT_THAT(world.queries, IsEmpty());
  EXPECT_THAT(world.events_of<GroupFailed>(), SizeIs(3));
  EXPECT_EQ(failed().reason, "unsupported");
}

TEST_F(GroupChangesTest, WithoutAStreamItFailsAndNothingIsKept) {
  world.answer_queries = false;
  ask(What::add, {kPeerJid}, kGroup);
  EXPECT_THAT(world.events_of<GroupFailed>(), IsEmpty());
  world.offline();
  EXPECT_EQ(failed().reason, "connection_lost");
  ask(What::add, {kPeerJid}, kGroup);
  EXPECT_EQ(world.events_of<GroupFailed>().at(1).reason, "not_connected");
  world.queries.clear();
  world.online();
  EXPECT_THAT(world.queries, IsEmpty());
}

TEST_F(GroupChangesTest, AnAnswerThatNeverComesIsAFailure) {
  world.answer_queries = false;
  ask(What::add, {kPeerJid}, kGroup);
  world.step(Answered{1, nullptr});
  EXPECT_EQ(failed().reason, "timed_out");
  world.step(Answered{1, nullptr});
  EXPECT_THAT(world.events_of<GroupFailed>(), SizeIs(1));
}

}  // namespace
}  // namespace wa::messaging

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

/// New keys of an account under a strict policy.
namespace wa::messaging {
namespace {

using test::kGroup;
using test::kPeerJid;
using test::kPeerLid;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

class StrictIdentityTest : public testing::Test {
 protected:
  StrictIdentityTest() {
    world.policy.strict_identity = true;
    world.kill();
    world.online();
    world.ack(world.send(kPeerJid, "hello"));
    EXPECT_EQ(world.peer().text_in(*world.copy_for(world.peer())), "hello");
    world.peer().set_up_anew();
    world.sent.clear();
  }
  void write(const std::string& id) {
    if (!world.peer().has_session()) world.peer().begin(world.own_bundle());
    world.receive(world.peer().message(id, id));
  }
  void notify() {
    world.receive(NodeBuilder("notification")
                      .attr("id", std::string("N1"))
                      .attr("from", kPeerJid)
                      .attr("type", std::string("encrypt"))
                      .child(NodeBuilder("identity")));
  }
  std::vector<std::string> failures() const {
    std::vector<std::string> reasons;
    for (const auto& failed : world.events_of<SendFailed>()) reasons.push_back(failed.reason);
    return reasons;
  }

  World world;
};

TEST_F(StrictIdentityTest, WhatComesWithNewKeysIsNotReadAndTheChangeIsToldOnce) {
  write("A1");
  write("A2");
  EXPECT_THAT(world.texts(), IsEmpty());
  const auto unreadable = world.events_of<MessageUnreadable>();
  ASSERT_THAT(unreadable, SizeIs(2));
  EXPECT_EQ(unreadable[0].reason, "untrusted_identity");
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));
  EXPECT_THAT(world.sent_with("receipt"), IsEmpty()) << "neither delivered nor asked for again";
  EXPECT_THAT(world.sent_with("ack"), SizeIs(2));
}

TEST_F(StrictIdentityTest, NothingIsSentToThemEither) {
  notify();
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));
  world.send(kPeerJid, "secret");
  world.send(kPeerLid, "secret");
  EXPECT_THAT(failures(), ElementsAre("untrusted_identity", "untrusted_identity"));
  EXPECT_THAT(world.sent_with("message"), IsEmpty());
}

TEST_F(StrictIdentityTest, ABundleWithNewKeysIsRefusedThoughNobodyToldOfThem) {
  world.receive(world.peer().retry("3EB0NONE", 1, false));
  world.store.erase({std::string(kDevicesKind), "100000000000002_1"});
  auto& session = world.store.at({std::string(kSessionKind), "100000000000002_1.0"});
  auto decoded = signal::Session::decode(session).value();
  decoded.archive_current();
  session = decoded.encode();
  world.kill();
  world.online();
  world.send(kPeerJid, "secret");
  EXPECT_THAT(failures(), ElementsAre("no_sessions"));
}

TEST_F(StrictIdentityTest, WhoIsTrustedIsReadAndWrittenToWithItsNewKeys) {
  write("A1");
  world.pass(std::chrono::seconds(2));  // what was told is taken for good
  world.kill();
  world.online();
  world.send(kPeerJid, "secret");
  EXPECT_THAT(failures(), ElementsAre("untrusted_identity")) << "a restart accepts nothing";
  world.step(TrustRequested{kPeerJid});
  write("A2");
  EXPECT_THAT(world.texts(), ElementsAre("A2"));
  world.ack(world.send(kPeerJid, "hello again"));
  EXPECT_EQ(world.peer().text_in(*world.copy_for(world.peer())), "hello again");
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(1));

  world.peer().set_up_anew();
  write("A3");
  EXPECT_THAT(world.events_of<IdentityChanged>(), SizeIs(2)) << "the next change is one again";
}

TEST_F(StrictIdentityTest, TrustThatNobodyAskedForChangesNothing) {
  world.step(TrustRequested{kPeerJid});
  write("A1");
  EXPECT_THAT(world.texts(), IsEmpty());
}

TEST_F(StrictIdentityTest, AGroupIsWrittenToWithoutThem) {
  world.groups[kGroup] = {kPeerJid};
  notify();
  world.send(kGroup, "not for everybody");
  ASSERT_THAT(world.sent_with("message"), SizeIs(1));
  EXPECT_EQ(world.copy_for(world.peer()), std::nullopt);
}

}  // namespace
}  // namespace wa::messaging

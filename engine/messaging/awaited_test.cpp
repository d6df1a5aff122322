#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

namespace wa::messaging {
namespace {

using namespace std::chrono_literals;
using test::PeerDevice;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

const Jid kGroup("120363000000000001", "g.us");

class AwaitedTest : public testing::Test {
 protected:
  AwaitedTest() {
    world.online();
    peer.begin(world.own_bundle());
  }
  /// A message whose code is wrong, and the same as it was sent.
  NodeBuilder spoilt(const std::string& id) {
    NodeBuilder enc = peer.enc("text " + id);
    std::get<Bytes>(enc.content()).back() ^= std::byte{1};
    return peer.message(id, std::move(enc));
  }
  std::vector<std::string> unreadable() const {
    std::vector<std::string> ids;
    for (const auto& one : world.events_of<MessageUnreadable>()) ids.push_back(one.origin.id);
    return ids;
  }
  /// To the group, without the key; and once more, pairwise and with it.
  NodeBuilder in_group(const std::string& id) {
    return peer.group_message(id, kGroup, {peer.group_enc(id)});
  }
  NodeBuilder resent(const std::string& id) {
    return peer.group_message(
        id, kGroup, {peer.key_enc(kGroup), peer.enc({.content = message::Text{.text = id}})});
  }

  World world;
  PeerDevice& peer = world.peer();
};

TEST_F(AwaitedTest, WhatIsNeverSentAgainIsReportedInTheEnd) {
  world.receive(spoilt("A1"));
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
  world.pass(44s);
  EXPECT_THAT(unreadable(), IsEmpty());
  EXPECT_EQ(world.messenger->residency().awaited, 1U);
  world.pass(2s);
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
  EXPECT_EQ(world.messenger->residency().awaited, 0U);
  EXPECT_EQ(world.messenger->next_deadline(), std::nullopt);
}

TEST_F(AwaitedTest, WhatComesIsNotReported) {
  world.receive(spoilt("A1"));
  world.receive(peer.message("A1", "hello"));
  world.pass(2min);
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
  EXPECT_THAT(unreadable(), IsEmpty());
}

TEST_F(AwaitedTest, WhatComesLateIsTold) {
  world.receive(spoilt("A1"));
  world.pass(1min);
  world.receive(peer.message("A1", "hello"));
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
}

TEST_F(AwaitedTest, ItIsReportedOnceHoweverOftenItFails) {
  for (int i = 0; i < 8; ++i) {
    world.receive(spoilt("A1"));
    world.pass(1min);
  }
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(5));
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
}

TEST_F(AwaitedTest, OnlyTimeWithAStreamCounts) {
  world.receive(spoilt("A1"));
  world.offline();
  world.pass(24h);
  EXPECT_THAT(unreadable(), IsEmpty());
  world.online();
  world.pass(44s);
  EXPECT_THAT(unreadable(), IsEmpty());
  world.pass(2s);
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
}

TEST_F(AwaitedTest, ItIsReportedByTheNextProcessToo) {
  world.receive(spoilt("A1"));
  world.kill();
  world.online();
  world.pass(1min);
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
  world.kill();
  world.online();
  world.pass(1min);
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
}

TEST_F(AwaitedTest, OfTooManyTheOldestAreReportedAtOnce) {
  for (int i = 0; i < 1010; ++i) world.receive(spoilt("A" + std::to_string(i)));
  EXPECT_THAT(unreadable(), SizeIs(10));
  EXPECT_EQ(unreadable().front(), "A0");
  world.pass(1min);
  EXPECT_THAT(unreadable(), SizeIs(1010));
}

// ---- order ----------------------------------------------------------------------------------

TEST_F(AwaitedTest, WhatWasWrittenBehindOneThatLacksItsKeyIsToldBehindIt) {
  for (const char* id : {"A1", "A2"}) world.receive(in_group(id));
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(2));
  world.receive(resent("A1"));
  world.receive(in_group("A3"));
  world.receive(in_group("A4"));
  EXPECT_THAT(world.texts(), ElementsAre("A1"));
  EXPECT_THAT(world.sent_with("receipt", "inactive"), SizeIs(3)) << "they are here";
  world.receive(resent("A2"));
  EXPECT_THAT(world.texts(), ElementsAre("A1", "A2", "A3", "A4"));
  EXPECT_EQ(world.messenger->residency().awaited, 0U);
  world.receive(in_group("A5"));
  EXPECT_THAT(world.texts(), SizeIs(5));
}

TEST_F(AwaitedTest, ResendsInTheWrongOrderAreToldInTheRightOne) {
  for (const char* id : {"A1", "A2", "A3"}) world.receive(in_group(id));
  for (const char* id : {"A3", "A2", "A1"}) world.receive(resent(id));
  EXPECT_THAT(world.texts(), ElementsAre("A1", "A2", "A3"));
}

TEST_F(AwaitedTest, ItDoesNotWaitForEver) {
  for (const char* id : {"A1", "A2"}) world.receive(in_group(id));
  world.receive(resent("A2"));
  world.receive(in_group("A3"));
  EXPECT_THAT(world.texts(), IsEmpty());
  world.pass(11s);
  EXPECT_THAT(world.texts(), ElementsAre("A2", "A3"));
  world.pass(1min);
  EXPECT_THAT(unreadable(), ElementsAre("A1"));
}

TEST_F(AwaitedTest, WhatWaitsSurvivesARestart) {
  for (const char* id : {"A1", "A2"}) world.receive(in_group(id));
  world.receive(resent("A2"));
  world.kill();
  world.online();
  EXPECT_THAT(world.texts(), IsEmpty());
  world.receive(resent("A1"));
  EXPECT_THAT(world.texts(), ElementsAre("A1", "A2"));
  world.receive(resent("A2"));
  EXPECT_THAT(world.texts(), SizeIs(2)) << "it was read before";
}

TEST_F(AwaitedTest, OthersDoNotWait) {
  auto& third =
      world.add({Jid("15550100003", "s.whatsapp.net"), Jid("100000000000003", "lid"), 0, 33});
  third.begin(world.own_bundle());
  const Jid other("120363000000000002", "g.us");
  world.receive(in_group("A1"));
  world.receive(third.group_message("B1", kGroup, {third.key_enc(kGroup), third.group_enc("B1")}));
  world.receive(peer.group_message("A2", other, {peer.key_enc(other), peer.group_enc("A2")}));
  world.receive(peer.message("A3", "A3"));
  EXPECT_THAT(world.texts(), ElementsAre("B1", "A2", "A3"));
}

TEST_F(AwaitedTest, NothingOfItStaysStored) {
  for (const char* id : {"A1", "A2"}) world.receive(in_group(id));
  world.receive(resent("A2"));
  world.receive(resent("A1"));
  for (const auto& [key, bytes] : world.store) EXPECT_NE(key.kind, kAwaitedKind);
}

}  // namespace
}  // namespace wa::messaging

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

/// What is stored turns out to be an older copy of itself.
namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::kGroup;
using test::kPeerJid;
using test::kPeerLid;
using test::World;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

/// Both have written before the copy was made, and we after it.
class RollbackTest : public testing::Test {
 protected:
  RollbackTest() {
    world.groups[kGroup] = {kPeerJid};
    world.online();
    world.peer().begin(world.own_bundle());
    world.receive(world.peer().message("P1", "hello"));
    EXPECT_EQ(say("before"), "before");
    EXPECT_EQ(say_to_group("before"), "before");
    world.receive(world.peer().message("P2", "and on"));
    world.pass(std::chrono::seconds(2));  // what was told is taken for good
    in_flight = world.peer().message("P3", "on");
    copy = world.store;
    EXPECT_EQ(say("after"), "after");
    later = world.sent_with("message").back();
    EXPECT_EQ(say_to_group("after"), "after");
  }
  void restore() {
    world.store = copy;
    world.kill();
    world.sent.clear();
    world.events.clear();
  }
  /// The text as the peer reads it.
  std::string say(const std::string& text) {
    world.ack(world.send(kPeerJid, text));
    const auto enc = world.copy_for(world.peer());
    return enc ? world.peer().text_in(*enc) : "nothing";
  }
  std::string say_to_group(const std::string& text) {
    world.ack(world.send(kGroup, text));
    return world.peer().read_group(world.sent_with("message").back());
  }
  NodeBuilder receipt_for(const NodeBuilder& message) const {
    return NodeBuilder("receipt")
        .attr("id", attr(message, "id"))
        .attr("from", kPeerLid)
        .attr("type", "read")
        .attr("t", 1);
  }
  std::vector<std::string> suspicions() const {
    std::vector<std::string> found;
    for (const auto& one : world.events_of<RollbackSuspected>()) found.push_back(one.evidence);
    return found;
  }

  World world;
  test::Store copy;
  NodeBuilder in_flight{"message"};  ///< of the peer, on a chain that the copy knows
  NodeBuilder later{"message"};      ///< of ours, which the copy does not know
};

TEST_F(RollbackTest, WithoutANoticeKeysWouldBeUsedASecondTime) {
  restore();
  world.online();
  EXPECT_EQ(say("again"), "duplicate") << "or the other tests show nothing";
}

TEST_F(RollbackTest, AnOldStoreBeginsNewSessionsAndReadsOnWithTheOldOnes) {
  restore();
  world.step(StoreIsOld{"pre_keys"});
  EXPECT_EQ(suspicions(), std::vector<std::string>{"pre_keys"});
  EXPECT_EQ(world.renewals, 0u) << "the session knows by itself";
  world.online();
  EXPECT_EQ(say("anew"), "anew");
  EXPECT_EQ(attr(*world.copy_for(world.peer()), "type"), "pkmsg");
  world.receive(in_flight);
  EXPECT_EQ(world.texts(), std::vector<std::string>{"on"});
  EXPECT_EQ(say("and again"), "and again");
}

TEST_F(RollbackTest, ReadingOnAnOldChainMakesItNoneToWriteWith) {
  restore();
  world.step(StoreIsOld{"pre_keys"});
  world.online();
  world.receive(in_flight);
  EXPECT_EQ(world.texts(), std::vector<std::string>{"on"});
  EXPECT_EQ(say("anew"), "anew");
  EXPECT_EQ(attr(*world.copy_for(world.peer()), "type"), "pkmsg");
}

TEST_F(RollbackTest, AnOldStoreBeginsNewGroupKeys) {
  restore();
  world.step(StoreIsOld{"pre_keys"});
  world.online();
  EXPECT_EQ(say_to_group("anew"), "anew");
}

TEST_F(RollbackTest, ANewEraOutlivesTheProcess) {
  restore();
  world.step(StoreIsOld{"pre_keys"});
  world.kill();
  world.online();
  EXPECT_EQ(say("anew"), "anew");
  world.kill();
  world.online();
  world.queries.clear();
  EXPECT_EQ(say("and again"), "and again");
  EXPECT_THAT(world.queries, IsEmpty()) << "a session of this era is as good as any";
  EXPECT_EQ(suspicions(), std::vector<std::string>{"pre_keys"});
}

TEST_F(RollbackTest, AReceiptForAMessageThatWasNeverSentHereIsProof) {
  restore();
  world.online();
  world.receive(receipt_for(later));
  EXPECT_EQ(suspicions(), std::vector<std::string>{"message_ids"});
  EXPECT_EQ(world.renewals, 1u);
  EXPECT_EQ(say("anew"), "anew");
  world.receive(receipt_for(later));
  EXPECT_THAT(suspicions(), SizeIs(1)) << "once is enough";
  EXPECT_EQ(world.renewals, 1u);
}

TEST_F(RollbackTest, SoIsARetryForOne) {
  restore();
  world.online();
  world.receive(world.peer().retry(attr(later, "id"), 1, false));
  EXPECT_EQ(suspicions(), std::vector<std::string>{"message_ids"});
  EXPECT_THAT(world.sent_with("message"), IsEmpty());
}

TEST_F(RollbackTest, ReceiptsForWhatWasSentOrForWhatOthersSaidAreNone) {
  world.receive(receipt_for(later));
  world.receive(receipt_for(NodeBuilder("message").attr("id", "3EB0123456789ABCDEF012")));
  world.receive(world.peer().retry("3EB0NEVERSENT", 1, false));
  world.kill();
  world.online();
  world.receive(receipt_for(later));
  EXPECT_THAT(suspicions(), IsEmpty());
}

TEST_F(RollbackTest, EventsGetNumbersThatTheLostTimeHasNotUsed) {
  std::uint64_t last = 0;
  for (const AppEvent& event : world.events) last = std::max(last, event.seq);
  restore();
  world.step(StoreIsOld{"pre_keys"});
  ASSERT_THAT(world.events, SizeIs(1));
  EXPECT_GT(world.events[0].seq, last);
}

}  // namespace
}  // namespace wa::messaging

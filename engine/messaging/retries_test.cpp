#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::kPeerJid;
using test::kPeerLid;
using test::World;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

/// A message was sent and taken; the peer could not read it.
class RetriesTest : public testing::Test {
 protected:
  RetriesTest() {
    world.online();
    id = world.send(kPeerJid, "hello");
    world.ack(id);
    world.sent.clear();
    world.queries.clear();
  }
  std::vector<NodeBuilder> resends() const { return world.sent_with("message"); }
  std::string text_of_resend(std::size_t i) {
    return world.peer().text_in(*child(resends().at(i), "enc"));
  }

  World world;
  std::string id;
};

TEST_F(RetriesTest, AResendIsForOneDeviceWithTheCountAndTheSameId) {
  world.receive(world.peer().retry(id, 1, false));
  ASSERT_THAT(resends(), SizeIs(1));
  const NodeBuilder resend = resends()[0];
  EXPECT_EQ(attr(resend, "id"), id);
  EXPECT_EQ(attr(resend, "to"), kPeerLid.to_string());
  EXPECT_EQ(attr(resend, "device_fanout"), "false");
  EXPECT_EQ(child(resend, "participants"), nullptr);
  EXPECT_EQ(attr(*child(resend, "enc"), "count"), "1");
  EXPECT_EQ(text_of_resend(0), "hello");
  const auto acks = world.sent_with("ack");
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_EQ(attr(acks[0], "class"), "receipt");
  EXPECT_EQ(attr(acks[0], "type"), "retry");
}

TEST_F(RetriesTest, AfterARestartItIsStillKept) {
  world.kill();
  world.online();
  world.receive(world.peer().retry(id, 1, false));
  ASSERT_THAT(resends(), SizeIs(1));
  EXPECT_EQ(text_of_resend(0), "hello");
}

TEST_F(RetriesTest, AWeekLaterTooAndThenNot) {
  world.pass(std::chrono::hours(24 * 6));
  world.receive(world.peer().retry(id, 1, false));
  EXPECT_THAT(resends(), SizeIs(1));
  world.pass(std::chrono::hours(24 * 3));
  world.receive(world.peer().message("A1", [this] {
    world.peer().begin(world.own_bundle());
    return world.peer().enc("a new day");
  }()));
  world.receive(world.peer().retry(id, 2, false));
  EXPECT_THAT(resends(), SizeIs(1));
  EXPECT_EQ(world.messenger->counters().retry_misses, 1U);
  for (const auto& [key, bytes] : world.store) {
    EXPECT_NE(key.kind, "sent.20260101") << "old days are erased";
  }
}

TEST_F(RetriesTest, TheKeysOfAReceiptMakeANewSession) {
  world.peer().session() = {};
  world.receive(world.peer().retry(id, 2, true));
  ASSERT_THAT(resends(), SizeIs(1));
  EXPECT_EQ(attr(*child(resends()[0], "enc"), "type"), "pkmsg");
  EXPECT_NE(child(resends()[0], "device-identity"), nullptr);
  EXPECT_EQ(text_of_resend(0), "hello");
  EXPECT_THAT(world.queries, IsEmpty());
}

TEST_F(RetriesTest, ADeviceThatWasSetUpAnewGetsASessionFromABundle) {
  world.peer().set_up_anew();  // with another registration id
  world.receive(world.peer().retry(id, 1, false));
  EXPECT_THAT(world.queries, SizeIs(1));
  ASSERT_THAT(resends(), SizeIs(1));
  EXPECT_EQ(text_of_resend(0), "hello");
}

TEST_F(RetriesTest, ASessionThatFailedBeforeIsReplaced) {
  world.receive(world.peer().retry(id, 1, false));
  EXPECT_THAT(world.queries, IsEmpty());
  world.receive(world.peer().retry(id, 2, false));
  EXPECT_THAT(world.queries, SizeIs(1));
  EXPECT_EQ(text_of_resend(1), "hello");
}

TEST_F(RetriesTest, BothNamesOfThePeerFindTheMessage) {
  auto by_number = world.peer().retry(id, 1, false);
  by_number.set_attr("from", kPeerJid);
  world.receive(by_number);
  world.receive(world.peer().retry(id, 2, false));
  EXPECT_THAT(resends(), SizeIs(2));
}

TEST_F(RetriesTest, AMissSendsNothing) {
  world.receive(world.peer().retry("UNKNOWN", 1, false));
  EXPECT_THAT(resends(), IsEmpty());
  EXPECT_THAT(world.sent_with("ack"), SizeIs(1));
  EXPECT_EQ(world.messenger->counters().retry_misses, 1U);
}

TEST_F(RetriesTest, SomebodyWhomItWasNotForGetsNothing) {
  auto& stranger =
      world.add({Jid("15550100003", "s.whatsapp.net"), Jid("100000000000003", "lid"), 0, 77});
  world.receive(stranger.retry(id, 1, true));
  EXPECT_THAT(resends(), IsEmpty());
  EXPECT_EQ(world.messenger->counters().retries_refused, 1U);
}

TEST_F(RetriesTest, AThousandReceiptsForOneMessageAreFiveResends) {
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    world.receive(world.peer().retry(id, i, false));
    if (i == 3) {
      world.kill();
      world.online();
    }
    world.pass(std::chrono::seconds(1));
  }
  EXPECT_THAT(resends(), SizeIs(5));
  EXPECT_THAT(world.sent_with("ack"), SizeIs(1000));
}

TEST_F(RetriesTest, ManyResendsAreSpreadAndNewMessagesDoNotWait) {
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    ids.push_back(world.send(kPeerJid, "text"));
    world.ack(ids.back());
  }
  world.sent.clear();
  for (const std::string& one : ids) world.receive(world.peer().retry(one, 1, false));
  const std::size_t at_once = resends().size();
  EXPECT_LE(at_once, 60U);
  world.send(kPeerJid, "new");
  EXPECT_THAT(resends(), SizeIs(at_once + 1));
  world.pass(std::chrono::seconds(50));
  EXPECT_GE(resends().size(), 101U);
}

TEST_F(RetriesTest, AMessageThatIsNotAckedYetIsResentToo) {
  const std::string other = world.send(kPeerJid, "not acked");
  world.sent.clear();
  world.receive(world.peer().retry(other, 1, false));
  ASSERT_THAT(resends(), SizeIs(1));
  EXPECT_EQ(text_of_resend(0), "not acked");
}

}  // namespace
}  // namespace wa::messaging

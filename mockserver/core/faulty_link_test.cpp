#include "mockserver/core/faulty_link.hpp"

#include <gtest/gtest.h>

#include "tests/support/test_support.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::bytes;
using Parcel = LinkLane::Parcel;
using Parcels = std::vector<LinkLane::Parcel>;

constexpr Instant kStart{1h};

LinkShape delayed(Duration delay) {
  LinkShape shape;
  shape.delay = delay;
  return shape;
}
LinkShape throttled(std::uint64_t bytes_per_second) {
  LinkShape shape;
  shape.bytes_per_second = bytes_per_second;
  return shape;
}
LinkShape split(std::size_t size) {
  LinkShape shape;
  shape.split_bytes = size;
  return shape;
}
/// All that has arrived by then.
Parcels take(LinkLane& lane, Instant now) {
  Parcels parcels;
  while (auto parcel = lane.take(now)) parcels.push_back(std::move(*parcel));
  return parcels;
}
Parcel message(std::initializer_list<int> values) {
  return {bytes(values), {}};
}
Parcel end(LinkEnd::How how, std::string detail = {}) {
  return {{}, LinkEnd{how, std::move(detail)}};
}

TEST(LinkLaneTest, WithoutAShapeAMessageArrivesAtOnceAndUnchanged) {
  LinkLane lane;
  lane.put(bytes({1, 2, 3}), {}, kStart);
  EXPECT_EQ(lane.next_deadline(), kStart);
  EXPECT_EQ(take(lane, kStart), Parcels{message({1, 2, 3})});
  EXPECT_TRUE(lane.idle());
  EXPECT_EQ(lane.next_deadline(), std::nullopt);
}

TEST(LinkLaneTest, AMessageArrivesWhenItsDelayIsOverAndNotBefore) {
  LinkLane lane;
  lane.put(bytes({1}), delayed(30ms), kStart);
  EXPECT_EQ(lane.next_deadline(), kStart + 30ms);
  EXPECT_EQ(take(lane, kStart + 30ms - 1ns), Parcels{});
  EXPECT_EQ(take(lane, kStart + 30ms), Parcels{message({1})});
}

TEST(LinkLaneTest, AShorterDelayNeverOvertakes) {
  LinkLane lane;
  lane.put(bytes({1}), delayed(50ms), kStart);
  lane.put(bytes({2}), delayed(0ms), kStart + 1ms);
  lane.put(bytes({3}), {}, kStart + 2ms);
  EXPECT_EQ(take(lane, kStart + 49ms), Parcels{});
  EXPECT_EQ(take(lane, kStart + 50ms), (Parcels{message({1}), message({2}), message({3})}));
}

TEST(LinkLaneTest, AThrottledLineSendsOneMessageAfterTheOther) {
  LinkLane lane;
  lane.put(Bytes(50), throttled(100), kStart);
  lane.put(Bytes(25), throttled(100), kStart);
  EXPECT_EQ(lane.next_deadline(), kStart + 500ms);
  EXPECT_EQ(take(lane, kStart + 500ms).size(), 1u);
  EXPECT_EQ(lane.next_deadline(), kStart + 750ms);
  EXPECT_EQ(take(lane, kStart + 750ms).size(), 1u);
  // An idle line does not save up.
  lane.put(Bytes(10), throttled(100), kStart + 10s);
  EXPECT_EQ(lane.next_deadline(), kStart + 10s + 100ms);
}

TEST(LinkLaneTest, DelayComesOnTopOfTheSendingTime) {
  LinkLane lane;
  LinkShape shape = throttled(1000);
  shape.delay = 7ms;
  lane.put(Bytes(3), shape, kStart);
  EXPECT_EQ(lane.next_deadline(), kStart + 10ms);
}

TEST(LinkLaneTest, ExtremeSpeedsNeitherOverflowNorDivideByZero) {
  LinkLane fast;
  fast.put(Bytes(1 << 20), throttled(1'000'000'000'000), kStart);
  EXPECT_EQ(fast.next_deadline(), kStart + 1048ns);
  LinkLane slow;
  slow.put(Bytes(1 << 20), throttled(1), kStart);
  EXPECT_EQ(slow.next_deadline(), kStart + std::chrono::seconds(1 << 20));
}

TEST(LinkLaneTest, AMessageIsSplitIntoPiecesOfAtMostTheSize) {
  for (std::size_t size = 1; size <= 9; ++size) {
    SCOPED_TRACE(size);
    LinkLane lane;
    const Bytes whole = bytes({0, 0, 5, 10, 11, 12, 13, 14});
    lane.put(whole, split(size), kStart);
    Bytes joined;
    std::vector<std::size_t> sizes;
    for (const Parcel& parcel : take(lane, kStart)) {
      sizes.push_back(parcel.bytes.size());
      append(joined, parcel.bytes);
    }
    EXPECT_EQ(joined, whole);
    EXPECT_EQ(sizes.size(), (whole.size() + size - 1) / size);
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) EXPECT_EQ(sizes[i], size);
  }
}

TEST(LinkLaneTest, PiecesOfAThrottledLineTrickle) {
  LinkLane lane;
  LinkShape shape = throttled(10);
  shape.split_bytes = 2;
  lane.put(bytes({1, 2, 3}), shape, kStart);
  EXPECT_EQ(take(lane, kStart + 200ms), Parcels{message({1, 2})});
  EXPECT_EQ(take(lane, kStart + 300ms), Parcels{message({3})});
}

TEST(LinkLaneTest, AnEmptyMessageStaysAMessage) {
  LinkLane lane;
  lane.put({}, split(3), kStart);
  EXPECT_EQ(take(lane, kStart), Parcels{message({})});
}

TEST(LinkLaneTest, AFinComesAfterWhatWasSentBeforeIt) {
  for (const auto how : {LinkEnd::How::fin, LinkEnd::How::normal}) {
    LinkLane lane;
    lane.put(bytes({1}), delayed(40ms), kStart);
    lane.put_end({how, "bye"}, {}, kStart + 1ms);
    EXPECT_TRUE(lane.ended());
    lane.put(bytes({2}), {}, kStart + 2ms);  // nothing after the end
    EXPECT_EQ(take(lane, kStart + 39ms), Parcels{});
    EXPECT_EQ(take(lane, kStart + 40ms), (Parcels{message({1}), end(how, "bye")}));
    EXPECT_TRUE(lane.idle());
  }
}

TEST(LinkLaneTest, AFinWaitsForTheThrottledLine) {
  LinkLane lane;
  lane.put(Bytes(10), throttled(10), kStart);
  lane.put_end({}, delayed(5ms), kStart);
  EXPECT_EQ(take(lane, kStart + 1s).size(), 1u);
  EXPECT_EQ(lane.next_deadline(), kStart + 1s + 5ms);
}

TEST(LinkLaneTest, ARstOvertakesAndLosesWhatWasUnderWay) {
  LinkLane lane;
  lane.put(bytes({1}), delayed(40ms), kStart);
  lane.put_end({}, delayed(50ms), kStart);
  lane.put_end({LinkEnd::How::rst, "reset"}, delayed(1h), kStart + 1ms);
  EXPECT_EQ(take(lane, kStart + 1ms), Parcels{end(LinkEnd::How::rst, "reset")});
  EXPECT_TRUE(lane.idle());
}

TEST(LinkLaneTest, AHeldLaneLetsThroughInOrderOnceReleased) {
  LinkLane lane;
  lane.put(bytes({1}), delayed(10ms), kStart);
  lane.hold();
  lane.put(bytes({2}), {}, kStart);
  lane.put_end({}, {}, kStart);
  EXPECT_FALSE(lane.idle());
  EXPECT_EQ(lane.next_deadline(), std::nullopt);
  EXPECT_EQ(take(lane, kStart + 1h), Parcels{});
  lane.release();
  EXPECT_EQ(take(lane, kStart + 1h), (Parcels{message({1}), message({2}), end(LinkEnd::How::fin)}));
  EXPECT_TRUE(lane.idle());
}

TEST(LinkLaneTest, AHeldLaneWithNothingInItIsNotIdle) {
  LinkLane lane;
  lane.hold();
  EXPECT_FALSE(lane.idle());
  lane.release();
  EXPECT_TRUE(lane.idle());
}

TEST(LinkLaneTest, ALaneThatHeldTooMuchIsResetWhenReleased) {
  LinkLane lane;
  lane.hold();
  lane.put(Bytes(LinkLane::kMaxHeldBytes - 1), {}, kStart);
  lane.put(bytes({1}), {}, kStart);
  EXPECT_FALSE(lane.ended());  // exactly full
  lane.put(bytes({2}), {}, kStart);
  lane.put(bytes({3}), {}, kStart);
  EXPECT_TRUE(lane.ended());
  EXPECT_EQ(take(lane, kStart), Parcels{});
  lane.release();
  const Parcels arrived = take(lane, kStart + 1s);
  ASSERT_EQ(arrived.size(), 1u);
  ASSERT_TRUE(arrived[0].end);
  EXPECT_EQ(arrived[0].end->how, LinkEnd::How::rst);
}

TEST(LinkLaneTest, AReleasedLaneHasRoomAgain) {
  LinkLane lane;
  for (int round = 0; round < 3; ++round) {
    lane.hold();
    lane.put(Bytes(LinkLane::kMaxHeldBytes), {}, kStart);
    lane.release();
    ASSERT_EQ(take(lane, kStart).size(), 1u);
  }
  EXPECT_FALSE(lane.ended());
}

TEST(FaultyLinkTest, TheNextDeadlineIsThatOfTheFirstDirection) {
  FaultyLink link;
  EXPECT_TRUE(link.idle());
  EXPECT_EQ(link.next_deadline(), std::nullopt);
  link.to_client.put(bytes({1}), delayed(20ms), kStart);
  EXPECT_EQ(link.next_deadline(), kStart + 20ms);
  link.to_server.put(bytes({2}), delayed(10ms), kStart);
  EXPECT_EQ(link.next_deadline(), kStart + 10ms);
  link.to_server.hold();
  EXPECT_EQ(link.next_deadline(), kStart + 20ms);
  EXPECT_FALSE(link.idle());
}

}  // namespace
}  // namespace wa::mock

#include "scenarios/sim/event_queue.hpp"

#include <gtest/gtest.h>

#include "engine/base/random.hpp"

namespace wa::sim {
namespace {

using namespace std::chrono_literals;

Happening numbered(std::uint32_t number) {
  Happening happening;
  happening.kind = Happening::Kind::computed;
  happening.number = number;
  return happening;
}

std::vector<std::uint32_t> drain(EventQueue& queue) {
  std::vector<std::uint32_t> out;
  while (queue.next_at()) {
    const Happening happening = queue.pop();
    out.push_back(happening.kind == Happening::Kind::alarm ? 1000 + happening.target
                                                           : happening.number);
  }
  return out;
}
using Order = std::vector<std::uint32_t>;

TEST(EventQueueTest, OrdersByTimeThenByArrival) {
  EventQueue queue;
  queue.push(Instant(2ms), numbered(1));
  queue.push(Instant(1ms), numbered(2));
  queue.push(Instant(1ms), numbered(3));
  queue.push(Instant(2ms), numbered(4));
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(drain(queue), (Order{2, 3, 1, 4}));
  EXPECT_EQ(queue.size(), 0u);
}

TEST(EventQueueTest, KeepsTheBytesOfReusedSlots) {
  EventQueue queue;
  for (int round = 0; round < 3; ++round) {
    Happening happening = numbered(1);
    happening.bytes = Bytes(3, std::byte{9});
    queue.push(Instant(1ms), std::move(happening));
    EXPECT_EQ(queue.pop().bytes, Bytes(3, std::byte{9}));
  }
}

TEST(EventQueueTest, AnAlarmIsReplacedNotAdded) {
  EventQueue queue;
  const auto alarm = queue.make_alarm();
  for (int ms = 1; ms <= 100; ++ms) queue.set_alarm(alarm, Instant(ms * 1ms));
  queue.push(Instant(50ms), numbered(1));
  EXPECT_EQ(queue.alarms_set(), 1u);
  EXPECT_EQ(drain(queue), (Order{1, 1000}));
  EXPECT_EQ(queue.alarms_set(), 0u);
}

TEST(EventQueueTest, AnAlarmMayMoveEarlierAndLaterAndAway) {
  EventQueue queue;
  const auto alarm = queue.make_alarm();
  queue.set_alarm(alarm, Instant(10ms));
  queue.set_alarm(alarm, Instant(5ms));
  EXPECT_EQ(queue.next_at(), Instant(5ms));
  queue.set_alarm(alarm, Instant(20ms));
  EXPECT_EQ(queue.next_at(), Instant(20ms));
  queue.set_alarm(alarm, {});
  EXPECT_EQ(queue.next_at(), std::nullopt);
  queue.set_alarm(alarm, Instant(7ms));
  EXPECT_EQ(queue.next_at(), Instant(7ms));
  EXPECT_EQ(drain(queue), Order{1000});
}

TEST(EventQueueTest, AgreesWithASortedListOnRandomUse) {
  SeededRandom random(3);
  EventQueue queue;
  std::vector<EventQueue::Alarm> alarms{queue.make_alarm(), queue.make_alarm(), queue.make_alarm()};
  std::vector<std::optional<Instant>> expected(alarms.size());
  Instant now{};
  for (int round = 0; round < 5000; ++round) {
    const auto which = static_cast<std::size_t>(random.below(alarms.size()));
    switch (random.below(4)) {
      case 0:
        expected[which] = now + Duration(static_cast<std::int64_t>(random.below(1000)));
        queue.set_alarm(alarms[which], expected[which]);
        break;
      case 1:
        expected[which].reset();
        queue.set_alarm(alarms[which], {});
        break;
      default: {
        std::optional<Instant> first;
        for (const auto& at : expected) {
          if (at && (!first || *at < *first)) first = at;
        }
        ASSERT_EQ(queue.next_at(), first) << round;
        if (!first) break;
        now = *first;
        const Happening happening = queue.pop();
        ASSERT_EQ(expected[happening.target], first) << round;
        expected[happening.target].reset();
      }
    }
  }
}

}  // namespace
}  // namespace wa::sim

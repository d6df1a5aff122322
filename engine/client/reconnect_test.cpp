#include "engine/client/reconnect.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wa::client {
namespace {

using namespace std::chrono_literals;

constexpr Reconnect::Config kConfig{.first = 1s, .max = 60s, .slow = 60s, .stable = 60s};

class ReconnectTest : public ::testing::Test {
 protected:
  Duration delay(Retry retry) { return reconnect.next_delay(retry, now, random); }

  SeededRandom random{7};
  Reconnect reconnect{kConfig};
  Instant now{1h};
};

TEST_F(ReconnectTest, ExpDoublesToAMinuteWithHalfOfEachDelayRandom) {
  Duration full = 1s;
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(i);
    const Duration actual = delay(Retry::exp);
    EXPECT_GE(actual, full / 2);
    EXPECT_LT(actual, full);
    EXPECT_EQ(reconnect.attempts(), static_cast<std::uint32_t>(i + 1));
    full = std::min<Duration>(2 * full, 60s);
  }
}

TEST_F(ReconnectTest, SessionsThatFellTogetherDoNotReturnTogether) {
  std::vector<Duration> delays;
  for (int i = 0; i < 100; ++i)
    delays.push_back(Reconnect(kConfig).next_delay(Retry::exp, now, random));
  std::sort(delays.begin(), delays.end());
  EXPECT_EQ(std::unique(delays.begin(), delays.end()), delays.end());
  EXPECT_LT(delays.front(), 550ms);
  EXPECT_GT(delays.back(), 950ms);
}

TEST_F(ReconnectTest, NowIsImmediateAndUncounted) {
  EXPECT_EQ(delay(Retry::now), 0s);
  EXPECT_EQ(delay(Retry::now), 0s);
  EXPECT_EQ(reconnect.attempts(), 0u);
}

TEST_F(ReconnectTest, ADeadSocketIsRetriedAtOnceOnceAndThenBacksOff) {
  EXPECT_EQ(delay(Retry::now_once), 0s);
  EXPECT_EQ(reconnect.attempts(), 1u);
  EXPECT_GE(delay(Retry::now_once), 500ms);
  EXPECT_EQ(reconnect.attempts(), 2u);
}

TEST_F(ReconnectTest, RestartsAreImmediateAndUncountedUntilTheFourthWithinAMinute) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(delay(Retry::restart), 0s);
    now += 10s;
  }
  EXPECT_EQ(reconnect.attempts(), 0u);
  EXPECT_GT(delay(Retry::restart), 0s);
  EXPECT_EQ(reconnect.attempts(), 1u);
  now += 2min;
  EXPECT_EQ(delay(Retry::restart), 0s);
}

TEST_F(ReconnectTest, SlowStartsAtAMinuteAndGrowsEightfold) {
  for (const Duration full : {60s, 120s, 240s, 480s, 480s, 480s}) {
    const Duration actual = delay(Retry::slow);
    EXPECT_GE(actual, full);
    EXPECT_LT(actual, full + full / 2);
  }
  EXPECT_EQ(reconnect.attempts(), 6u);
}

TEST_F(ReconnectTest, AShortConnectionDoesNotResetTheCounter) {
  delay(Retry::exp);
  delay(Retry::exp);
  reconnect.opened(now);
  now += 59s;
  reconnect.deadline_reached(now);
  reconnect.closed(now);
  EXPECT_EQ(reconnect.attempts(), 2u);
  EXPECT_GE(delay(Retry::exp), 2s);
}

TEST_F(ReconnectTest, AMinuteOfConnectionResetsTheCounterWithOrWithoutTheDeadlinesCall) {
  for (const bool woken : {true, false}) {
    SCOPED_TRACE(woken);
    delay(Retry::exp);
    delay(Retry::now_once);
    reconnect.opened(now);
    EXPECT_EQ(reconnect.next_deadline(), now + 60s);
    now += 60s;
    if (woken) reconnect.deadline_reached(now);
    reconnect.closed(now);
    EXPECT_EQ(reconnect.attempts(), 0u);
    EXPECT_EQ(reconnect.next_deadline(), std::nullopt);
    EXPECT_EQ(delay(Retry::now_once), 0s);
    reconnect.reset();
  }
}

TEST_F(ReconnectTest, AStableConnectionNeedsNoWakeUp) {
  reconnect.opened(now);
  EXPECT_EQ(reconnect.next_deadline(), std::nullopt);
}

TEST_F(ReconnectTest, RecyclingIsUncountedAfterFortyFiveMinutesOfConnection) {
  reconnect.opened(now);
  now += 44min;
  reconnect.closed(now);
  delay(Retry::recycle);
  EXPECT_EQ(reconnect.attempts(), 1u);

  reconnect.reset();
  reconnect.opened(now);
  now += 45min;
  reconnect.closed(now);
  const Duration actual = delay(Retry::recycle);
  EXPECT_GE(actual, 500ms);
  EXPECT_LT(actual, 1s);
  EXPECT_EQ(reconnect.attempts(), 0u);
}

}  // namespace
}  // namespace wa::client

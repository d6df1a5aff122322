#include "engine/client/keepalive.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wa::client {
namespace {

using namespace std::chrono_literals;

constexpr Keepalive::Config kConfig{
    .ping_min = 15s, .ping_max = 30s, .ping_answer = 10s, .dead = 20s, .silence = 45s};

class KeepaliveTest : public ::testing::Test {
 protected:
  std::vector<Keepalive::Action> step(const Keepalive::Event& event) {
    return keepalive.step(event, now, random);
  }
  /// Sleeps to the next deadline.
  std::vector<Keepalive::Action> wake() {
    now = *keepalive.next_deadline();
    return step(Keepalive::DeadlineReached{});
  }
  static bool is_ping(const std::vector<Keepalive::Action>& actions) {
    return actions == std::vector<Keepalive::Action>{Keepalive::SendPing{}};
  }
  static bool is_dead(const std::vector<Keepalive::Action>& actions) {
    return actions == std::vector<Keepalive::Action>{Keepalive::ReportDead{}};
  }

  SeededRandom random{3};
  Keepalive keepalive{kConfig};
  Instant now{1h};
};

TEST_F(KeepaliveTest, SleepsWhileThereIsNoSocket) {
  EXPECT_EQ(keepalive.next_deadline(), std::nullopt);
  EXPECT_TRUE(step(Keepalive::DeadlineReached{}).empty());
  EXPECT_TRUE(step(Keepalive::BytesSent{}).empty());
  EXPECT_EQ(keepalive.next_deadline(), std::nullopt);
}

TEST_F(KeepaliveTest, PingsEveryFifteenToThirtySecondsAndNeverAtAFixedPace) {
  step(Keepalive::Opened{});
  Duration shortest = 1h;
  Duration longest = 0s;
  Instant last = now;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(is_ping(wake()));
    shortest = std::min(shortest, now - last);
    longest = std::max(longest, now - last);
    last = now;
    step(Keepalive::BytesSent{});
    now += 50ms;
    step(Keepalive::BytesReceived{});
  }
  EXPECT_GE(shortest, 15s);
  EXPECT_LT(shortest, 16s);
  EXPECT_LE(longest, 30s);
  EXPECT_GT(longest, 29s);
}

TEST_F(KeepaliveTest, APingWithoutAnyByteBehindItIsADeadSocketAfterTenSeconds) {
  step(Keepalive::Opened{});
  ASSERT_TRUE(is_ping(wake()));
  const Instant pinged = now;
  step(Keepalive::BytesSent{});
  ASSERT_TRUE(is_dead(wake()));
  EXPECT_EQ(now - pinged, 10s);
  EXPECT_EQ(keepalive.next_deadline(), std::nullopt);
}

TEST_F(KeepaliveTest, AnyByteClearsTheDeadlineAndThePingNeedsNoAnswerOfItsOwn) {
  step(Keepalive::Opened{});
  ASSERT_TRUE(is_ping(wake()));
  step(Keepalive::BytesSent{});
  now += 9s;
  step(Keepalive::BytesReceived{});
  EXPECT_TRUE(is_ping(wake()));
}

TEST_F(KeepaliveTest, LaterSendsDoNotMoveTheDeadlineOfTheFirst) {
  step(Keepalive::Opened{});
  const Instant first = now;
  step(Keepalive::BytesSent{});
  bool dead = false;
  for (int i = 1; i < 12 && !dead; ++i) {
    const Instant next_send = first + i * 2s;
    while (*keepalive.next_deadline() <= next_send && !dead) {
      const auto actions = wake();
      if (is_ping(actions)) step(Keepalive::BytesSent{});
      dead = is_dead(actions);
    }
    if (dead) break;
    now = next_send;
    step(Keepalive::BytesSent{});
  }
  EXPECT_TRUE(dead);
  EXPECT_EQ(now - first, 20s);
}

TEST_F(KeepaliveTest, AServerThatIsSilentToWhatWantsNoAnswerIsPingedBeforeItIsCalledDead) {
  for (int i = 0; i < 50; ++i) {
    step(Keepalive::Opened{});
    const Instant sent = now;
    step(Keepalive::BytesSent{});
    ASSERT_TRUE(is_ping(wake()));
    EXPECT_LE(now - sent, 10s);
    step(Keepalive::BytesSent{});
    step(Keepalive::BytesReceived{});
    EXPECT_TRUE(is_ping(wake()));
    step(Keepalive::SocketGone{});
  }
}

TEST_F(KeepaliveTest, AnIdleBlackHoleIsFoundWithinFortyFiveSeconds) {
  for (int i = 0; i < 50; ++i) {
    step(Keepalive::Opened{});
    step(Keepalive::BytesReceived{});
    const Instant last_heard = now;
    while (!is_dead(wake())) step(Keepalive::BytesSent{});
    EXPECT_LE(now - last_heard, 45s);
    EXPECT_GE(now - last_heard, 25s);
  }
}

TEST_F(KeepaliveTest, WokenEarlyItDoesNothing) {
  step(Keepalive::Opened{});
  const auto deadline = keepalive.next_deadline();
  now += 1s;
  EXPECT_TRUE(step(Keepalive::DeadlineReached{}).empty());
  EXPECT_EQ(keepalive.next_deadline(), deadline);
}

TEST_F(KeepaliveTest, StopsWithTheSocket) {
  step(Keepalive::Opened{});
  step(Keepalive::BytesSent{});
  step(Keepalive::SocketGone{});
  EXPECT_EQ(keepalive.next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace wa::client

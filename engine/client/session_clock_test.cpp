#include <gtest/gtest.h>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::failure;
using test::NodeBuilder;
using test::World;

constexpr std::chrono::milliseconds kOffset = 5min;

/// Pongs and success with a time of the server that is ahead of ours.
void answer_with_time(World& world, std::chrono::milliseconds ahead) {
  world.on_stanza = [&world, ahead](const NodeBuilder& stanza) {
    if (test::attr(stanza, "xmlns") != "w:p") return false;
    const std::int64_t server = world.now.wall.value + ahead.count();
    world.send(test::server_iq("result", test::attr(stanza, "id")).attr("t", server / 1000));
    return true;
  };
}

TEST(SessionClockTest, TheOffsetIsLearntFromSuccessAndFromPongs) {
  World world;
  EXPECT_EQ(world.status().clock_offset, std::nullopt);
  world.pair();
  EXPECT_LE(std::chrono::abs(*world.status().clock_offset), 1s);
  answer_with_time(world, kOffset);
  world.advance(31s);
  EXPECT_LE(std::chrono::abs(*world.status().clock_offset - kOffset), 2s);
  world.advance(1h);
  world.close_from_server();
  EXPECT_TRUE(world.status().clock_offset);
}

TEST(SessionClockTest, AWrongClockIsReportedOnceAndIsNoNewsAfterwards) {
  World world;
  world.pair();
  answer_with_time(world, kOffset);
  world.forget();
  world.advance(6h);
  std::size_t warnings = 0;
  for (const Action& action : world.actions) {
    const auto* report = std::get_if<Report>(&action);
    warnings += report && report->level == Report::Level::warning ? 1 : 0;
  }
  EXPECT_EQ(warnings, 1u);
  EXPECT_EQ(world.statuses.size(), 1u);
}

TEST(SessionClockTest, TheEndOfABanIsInTheServersTime) {
  World world;
  world.pair();
  answer_with_time(world, kOffset);
  world.advance(31s);
  auto ban = failure(402);
  ban.attr("expire", 3600);
  world.send_and_close(ban);
  const std::int64_t here = world.status().until->value - world.now.wall.value;
  EXPECT_NEAR(static_cast<double>(here), 3'600'000.0 + 300'000.0, 2000.0);
  EXPECT_EQ(*world.status().next_attempt_at - world.now.mono, 1h);
}

// The wall clock may say anything: no deadline looks at it.
TEST(SessionClockTest, JumpsOfTheWallClockMoveNoTimer) {
  const auto run = [](std::vector<std::chrono::milliseconds> jumps) {
    auto config = World::default_config();
    config.timings.signed_pre_key = 24h * 365 * 10;  // its age is a matter of dates
    World world(config);
    std::vector<Duration> times;
    const Instant begin = world.now.mono;
    const auto live = [&](Duration duration) {
      const Instant end = world.now.mono + duration;
      while (world.now.mono < end) {
        const auto next = world.session.next_deadline();
        const Instant at = next ? std::min(std::max(*next, world.now.mono), end) : end;
        world.now.wall.value +=
            std::chrono::duration_cast<std::chrono::milliseconds>(at - world.now.mono).count();
        world.now.mono = at;
        if (next && *next <= at) world.step(DeadlineReached{});
      }
    };
    std::size_t jump = 0;
    const auto jumped = [&] {
      if (!jumps.empty()) world.now.wall.value += jumps[jump++ % jumps.size()].count();
    };
    world.start();
    jumped();
    live(70s);
    world.scan();
    jumped();
    live(10min);
    EXPECT_EQ(world.status().state, State::connected);
    world.behaviour.answer_pings = false;
    jumped();
    live(10min);
    for (const Instant at : world.dial_times) times.push_back(at - begin);
    return times;
  };
  const auto steady = run({});
  EXPECT_GE(steady.size(), 4u);
  EXPECT_EQ(run({1h}), steady);
  EXPECT_EQ(run({-1h}), steady);
  EXPECT_EQ(run({1h, -2h, 24h * 365}), steady);
}

}  // namespace
}  // namespace wa::client

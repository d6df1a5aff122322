#include <gtest/gtest.h>
#include <malloc.h>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::World;

TEST(SessionIdleTest, ADayOfIdlingIsAFewThousandPingsAndNothingElse) {
  World world;
  world.pair();
  world.advance(2min);
  world.forget();
  world.keep_actions = false;
  const auto steps_before = world.steps;
  world.advance(24h);
  const auto pings = world.session.counters().pings_sent;
  EXPECT_GE(pings, 24u * 3600 / 30);
  EXPECT_LE(pings, 24u * 3600 / 10);
  // A wake-up and an answer each.
  EXPECT_LE(world.steps - steps_before, 2 * pings + 10);
  EXPECT_TRUE(world.statuses.empty());
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionIdleTest, AnIdleSessionKeepsLittleMemoryAndNoMoreWithTime) {
  World world;
  world.pair();
  world.keep_actions = false;
  world.advance(1h);
  world.forget();
  world.stanzas.shrink_to_fit();
  malloc_trim(0);
  const auto before = mallinfo2().uordblks;
  world.on_stanza = [&](const auto&) {
    world.stanzas.clear();
    return false;
  };
  world.advance(6h);
  const auto after = mallinfo2().uordblks;
  EXPECT_LT(static_cast<double>(after), static_cast<double>(before) + 16'384);
}

}  // namespace
}  // namespace wa::client

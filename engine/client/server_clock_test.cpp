#include "engine/client/server_clock.hpp"

#include <gtest/gtest.h>

namespace wa::client {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kWall = 1'767'225'600'000;

TEST(ServerClockTest, KnowsNothingAtFirst) {
  const ServerClock clock;
  EXPECT_EQ(clock.offset(), std::nullopt);
  EXPECT_EQ(clock.corrected({kWall}), UnixMillis{kWall});
}

TEST(ServerClockTest, IsRightToASecondWhateverTheTimeOfTheSecondAndTheRoundTrip) {
  for (const std::int64_t offset : {-3'600'000, -1, 0, 300'000, 86'400'000}) {
    for (std::int64_t phase = 0; phase < 1000; phase += 37) {
      for (const std::int64_t round_trip : {0, 80, 900}) {
        ServerClock clock;
        const std::int64_t asked = kWall + phase;
        const std::int64_t server = asked + round_trip / 2 + offset;
        ASSERT_TRUE(clock.heard(static_cast<std::uint64_t>(server / 1000),
                                std::chrono::milliseconds(round_trip), {asked + round_trip}));
        const std::int64_t shown = std::chrono::milliseconds(*clock.offset()).count();
        EXPECT_NEAR(static_cast<double>(shown), static_cast<double>(offset), 1001.0);
      }
    }
  }
}

TEST(ServerClockTest, NoiseOfTheSecondsIsNoNews) {
  ServerClock clock;
  ASSERT_TRUE(clock.heard(kWall / 1000, 0ms, {kWall}));
  for (std::int64_t later = 0; later < 60'000; later += 370) {
    EXPECT_FALSE(
        clock.heard(static_cast<std::uint64_t>((kWall + later) / 1000), 50ms, {kWall + later}));
  }
}

TEST(ServerClockTest, AJumpOfOurClockIsNews) {
  ServerClock clock;
  clock.heard(kWall / 1000, 0ms, {kWall});
  EXPECT_TRUE(clock.heard(kWall / 1000, 0ms, {kWall + 3'600'000}));
  EXPECT_LE(std::chrono::abs(*clock.offset() + 1h), 1s);
  EXPECT_EQ(clock.corrected({kWall + 3'600'000}).value, kWall + 500);
}

TEST(ServerClockTest, NonsenseIsIgnored) {
  ServerClock clock;
  EXPECT_FALSE(clock.heard(0, 0ms, {kWall}));
  EXPECT_FALSE(clock.heard(~std::uint64_t{0}, 0ms, {kWall}));
  EXPECT_EQ(clock.offset(), std::nullopt);
}

}  // namespace
}  // namespace wa::client

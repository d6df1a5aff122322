#include "engine/client/server_clock.hpp"

#include <cstdlib>

namespace wa::client {
namespace {

constexpr std::int64_t kNoiseMs = 1000;
constexpr std::uint64_t kLatest = std::uint64_t{1} << 35;  // a thousand years; more is nonsense

}  // namespace

bool ServerClock::heard(std::uint64_t seconds, Duration round_trip, UnixMillis wall) {
  if (seconds == 0 || seconds > kLatest) return false;
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const auto there = static_cast<std::int64_t>(seconds) * 1000 + 500;  // somewhere in that second
  const auto here = wall.value - duration_cast<milliseconds>(round_trip / 2).count();
  const std::int64_t offset = there - here;
  if (offset_ms_ && std::abs(offset - *offset_ms_) <= kNoiseMs) return false;
  offset_ms_ = offset;
  return true;
}

std::optional<std::chrono::seconds> ServerClock::offset() const {
  if (!offset_ms_) return std::nullopt;
  return std::chrono::round<std::chrono::seconds>(std::chrono::milliseconds(*offset_ms_));
}

}  // namespace wa::client

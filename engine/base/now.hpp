#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace wa {

using Duration = std::chrono::nanoseconds;

/// The monotonic clock that shells and the simulator provide. It has no now(): pure code that tries
/// to read a clock does not compile.
struct Monotonic {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};

/// A point on the monotonic clock. Deadlines are Instants.
using Instant = Monotonic::time_point;

/// Milliseconds since 1970-01-01T00:00:00Z. Goes into certificates, ids and `t=`; never compared
/// with a deadline.
struct UnixMillis {
  std::int64_t value = 0;
  std::int64_t seconds() const { return value / 1000; }
  auto operator<=>(const UnixMillis&) const = default;
};

/// What time it is, both ways. Every step of a machine is told.
struct Now {
  Instant mono;
  UnixMillis wall;
  bool operator==(const Now&) const = default;
};

}  // namespace wa

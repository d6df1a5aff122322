#pragma once

#include <string>

#include "engine/base/now.hpp"

namespace wa::stage {

/// What a duration is for decides its floor when loopback plays faster.
enum class DurationKind {
  delay,     ///< periods and delays: not below 20 ms
  deadline,  ///< declares something dead or failed: not below 250 ms
  within,    ///< how long a script is willing to wait: not below shortest_within
};

/// Multiplies durations in loopback; the simulator has factor 1 and no floors.
struct TimeScale {
  double factor = 1;
  bool floors = false;
  /// Half a second suffices for our engine; a client that takes seconds to start needs more.
  Duration shortest_within = std::chrono::milliseconds(500);

  static TimeScale sim() { return {}; }
  static TimeScale loopback(double factor) { return {.factor = factor, .floors = true}; }
  /// Zero stays zero.
  Duration apply(Duration duration, DurationKind kind) const;
};

/// "1.25s", "40ms", "24h": what people read in messages.
std::string to_text(Duration duration);

}  // namespace wa::stage

#pragma once

#include "engine/base/now.hpp"

namespace wa::runtime {

/// The clocks of this process: CLOCK_MONOTONIC and the system clock.
Now read_clocks();

/// Where a session's wall clock can be another one. The monotonic clock is always the process's.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Now now() const = 0;
};

}  // namespace wa::runtime

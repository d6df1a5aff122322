#pragma once

#include "engine/base/now.hpp"

namespace wa::runtime {

/// The clocks of this process: CLOCK_MONOTONIC and the system clock.
Now read_clocks();

}  // namespace wa::runtime

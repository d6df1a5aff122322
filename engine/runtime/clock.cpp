#include "engine/runtime/clock.hpp"

namespace wa::runtime {

Now read_clocks() {
  using namespace std::chrono;
  const auto mono = steady_clock::now().time_since_epoch();
  const auto wall = system_clock::now().time_since_epoch();
  return {Instant(duration_cast<Duration>(mono)),
          UnixMillis{duration_cast<milliseconds>(wall).count()}};
}

}  // namespace wa::runtime

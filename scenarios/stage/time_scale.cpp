#include "scenarios/stage/time_scale.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace wa::stage {

using namespace std::chrono_literals;

Duration TimeScale::apply(Duration duration, DurationKind kind) const {
  if (duration <= Duration::zero()) return duration;
  const Duration scaled(
      static_cast<Duration::rep>(std::llround(static_cast<double>(duration.count()) * factor)));
  if (!floors) return scaled;
  switch (kind) {
    case DurationKind::delay: return std::max<Duration>(scaled, 20ms);
    case DurationKind::deadline: return std::max<Duration>(scaled, 250ms);
    case DurationKind::within: return std::max<Duration>(scaled, shortest_within);
  }
  return scaled;
}

std::string to_text(Duration duration) {
  struct Unit {
    const char* name;
    double nanoseconds;
  };
  static constexpr std::array units{Unit{"h", 3600e9}, Unit{"m", 60e9}, Unit{"s", 1e9},
                                    Unit{"ms", 1e6}, Unit{"us", 1e3}};
  const auto count = static_cast<double>(duration.count());
  if (count == 0) return "0s";
  for (const Unit& unit : units) {
    // Hours and minutes only when they are whole: "90s" reads better than "1.5m".
    const double value = count / unit.nanoseconds;
    if (std::abs(value) < 1) continue;
    if (unit.nanoseconds > 1e9 && value != std::floor(value)) continue;
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.6g%s", value, unit.name);
    return text.data();
  }
  return std::to_string(duration.count()) + "ns";
}

}  // namespace wa::stage

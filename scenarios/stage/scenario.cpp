#include "scenarios/stage/scenario.hpp"

#include <algorithm>

namespace wa::stage {

std::string_view to_string(Mode mode) {
  return mode == Mode::sim ? "sim" : "loopback";
}

bool Scenario::has_mode(Mode mode) const {
  return std::ranges::find(modes, mode) != modes.end();
}

std::string to_string(const Failure& failure) {
  std::string text;
  if (!failure.where.empty()) text = failure.where + ": ";
  text += failure.message;
  if (failure.expected.empty() && failure.found.empty()) return text;
  text += " (expected " + failure.expected;
  if (!failure.found.empty()) text += ", found " + failure.found;
  return text + ")";
}

}  // namespace wa::stage

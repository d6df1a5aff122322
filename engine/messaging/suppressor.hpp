#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/base/now.hpp"

namespace wa::messaging {

/// Says the same thing once a minute, with how often it was not said. Holds a bounded number of
/// things; when there are more, those are counted together.
class Suppressor {
 public:
  static constexpr std::size_t kMostThings = 64;
  static constexpr Duration kSilence = std::chrono::minutes(1);

  /// The text to log, or nothing.
  std::optional<std::string> say(const std::string& thing, Instant now);
  std::size_t size() const { return things_.size(); }

 private:
  struct Thing {
    Instant said{};
    std::uint64_t unsaid = 0;
  };
  std::map<std::string, Thing> things_;
};

}  // namespace wa::messaging

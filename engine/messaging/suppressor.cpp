#include "engine/messaging/suppressor.hpp"

namespace wa::messaging {

std::optional<std::string> Suppressor::say(const std::string& thing, Instant now) {
  if (things_.size() >= kMostThings && !things_.contains(thing)) {
    std::erase_if(things_, [now](const auto& one) { return now - one.second.said >= kSilence; });
  }
  const bool full = things_.size() >= kMostThings && !things_.contains(thing);
  const std::string name = full ? std::string("others") : thing;
  const auto [found, is_new] = things_.try_emplace(name, Thing{now, 0});
  Thing& known = found->second;
  if (!is_new && now - known.said < kSilence) {
    ++known.unsaid;
    return std::nullopt;
  }
  std::string text = name;
  if (known.unsaid != 0) text += " (and " + std::to_string(known.unsaid) + " times before)";
  known = {now, 0};
  return text;
}

}  // namespace wa::messaging

#include "mockserver/core/phone_log.hpp"

#include <algorithm>
#include <optional>

namespace wa::mock {

PhoneMessage& PhoneLog::add(PhoneMessage message) {
  if (messages_.size() == most_) {
    const auto [begin, end] = places_.equal_range(messages_.front().id);
    for (auto place = begin; place != end; ++place) {
      if (place->second != first_) continue;
      places_.erase(place);
      break;
    }
    messages_.pop_front();
    ++first_;
  }
  places_.emplace(message.id, first_ + messages_.size());
  messages_.push_back(std::move(message));
  return messages_.back();
}

PhoneMessage* PhoneLog::find(const std::string& id, const std::string& from) {
  const auto [begin, end] = places_.equal_range(id);
  std::optional<std::uint64_t> found;
  for (auto place = begin; place != end; ++place) {
    if (!from.empty() && messages_[place->second - first_].from != from) continue;
    found = std::min(place->second, found.value_or(place->second));
  }
  return found ? &messages_[*found - first_] : nullptr;
}

}  // namespace wa::mock

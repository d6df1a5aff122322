#include "mockserver/core/phone_log.hpp"

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
  for (auto place = begin; place != end; ++place) {
    PhoneMessage& message = messages_[place->second - first_];
    if (from.empty() || message.from == from) return &message;
  }
  return nullptr;
}

}  // namespace wa::mock

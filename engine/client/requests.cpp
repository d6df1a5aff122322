#include "engine/client/requests.hpp"

#include <algorithm>
#include <charconv>

namespace wa::client {

Requests::Requests(Random& random) {
  const auto first = random.below(65'536);
  const auto second = random.below(65'536);
  prefix_ = std::to_string(first) + "." + std::to_string(second) + "-";
}

std::string Requests::open(Request request, Instant deadline) {
  const std::uint64_t number = next_number_++;
  waiting_.push_back({number, request, deadline});
  return prefix_ + std::to_string(number);
}

std::optional<Requests::Request> Requests::take(std::string_view id) {
  if (!id.starts_with(prefix_)) return std::nullopt;
  id.remove_prefix(prefix_.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) return std::nullopt;
  const auto found = std::ranges::find(waiting_, number, &Waiting::number);
  return found == waiting_.end() ? std::nullopt : std::optional(remove(found));
}

std::optional<Requests::Request> Requests::take_expired(Instant now) {
  const auto found =
      std::ranges::find_if(waiting_, [&](const Waiting& one) { return one.deadline <= now; });
  return found == waiting_.end() ? std::nullopt : std::optional(remove(found));
}

Requests::Request Requests::remove(std::vector<Waiting>::iterator place) {
  const Request request = place->request;
  waiting_.erase(place);
  if (waiting_.empty()) waiting_ = std::vector<Waiting>();  // an idle stream keeps no memory for it
  return request;
}

std::optional<Instant> Requests::next_deadline() const {
  if (waiting_.empty()) return std::nullopt;
  return std::ranges::min_element(waiting_, {}, &Waiting::deadline)->deadline;
}

}  // namespace wa::client

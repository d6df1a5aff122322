#include "mockserver/core/owed_acks.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

constexpr std::size_t kMostReceipted = 256;

}  // namespace

void OwedAcks::add(OwedAck owed) {
  const Place place = entries_.insert(entries_.end(), std::move(owed));
  places_[place->id].push_back(place);
  if (entries_.size() > limits::kMaxMailboxStanzas) erase(entries_.begin());
}

void OwedAcks::erase(Place place) {
  const auto found = places_.find(place->id);
  std::erase(found->second, place);
  if (found->second.empty()) places_.erase(found);
  if (place->receipted) --receipted_;
  entries_.erase(place);
}

std::optional<OwedAck> OwedAcks::take(std::string_view ack_class, const std::string& id,
                                      std::string_view participant, std::string_view type) {
  const auto found = places_.find(id);
  if (found == places_.end()) return std::nullopt;
  std::optional<Place> best;
  for (const Place place : found->second) {
    if (place->ack_class != ack_class) continue;
    // Several receipts may be about one message.
    const bool whole = place->participant == participant && place->has_type(type);
    if (whole || !best) best = place;
    if (whole) break;
  }
  if (!best) return std::nullopt;
  OwedAck taken = **best;
  erase(*best);
  return taken;
}

void OwedAcks::receipted(const std::string& id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  for (const Place place : found->second) {
    if (place->ack_class != "message") continue;
    place->due.reset();
    place->stanza.reset();
    if (!std::exchange(place->receipted, true)) ++receipted_;
  }
  if (receipted_ > kMostReceipted) erase(std::ranges::find_if(entries_, &OwedAck::receipted));
}

}  // namespace wa::mock

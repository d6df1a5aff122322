#include "scenarios/sim/event_queue.hpp"

#include <algorithm>

#include "engine/base/result.hpp"

namespace wa::sim {

namespace {

// std::push_heap keeps the largest in front, so "less" is "later".
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
};

}  // namespace

void EventQueue::push(Instant at, Happening happening) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(std::move(happening));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = std::move(happening);
  }
  ++live_;
  put({at, next_sequence_++, slot, false});
}

EventQueue::Alarm EventQueue::make_alarm() {
  alarms_.emplace_back();
  return static_cast<Alarm>(alarms_.size() - 1);
}

void EventQueue::set_alarm(Alarm alarm, std::optional<Instant> at) {
  AlarmState& state = alarms_[alarm];
  state.at = at;
  if (at && (state.sequence == 0 || *at < state.place_at)) place_alarm(alarm, *at);
}

std::size_t EventQueue::alarms_set() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(alarms_, [](const AlarmState& state) { return state.at.has_value(); }));
}

std::optional<Instant> EventQueue::next_at() {
  drop_stale();
  if (heap_.empty()) return {};
  return heap_.front().at;
}

Happening EventQueue::pop() {
  drop_stale();
  WA_ASSERT(!heap_.empty());
  const Place place = heap_.front();
  remove_first();
  if (place.is_alarm) {
    alarms_[place.slot] = {};
    Happening happening;
    happening.target = place.slot;
    return happening;
  }
  free_slots_.push_back(place.slot);
  --live_;
  return std::move(slots_[place.slot]);
}

void EventQueue::put(Place place) {
  heap_.push_back(place);
  std::ranges::push_heap(heap_, kLater);
}

void EventQueue::remove_first() {
  std::ranges::pop_heap(heap_, kLater);
  heap_.pop_back();
}

void EventQueue::place_alarm(Alarm alarm, Instant at) {
  AlarmState& state = alarms_[alarm];
  state.sequence = next_sequence_++;
  state.place_at = at;
  put({at, state.sequence, alarm, true});
}

void EventQueue::drop_stale() {
  while (!heap_.empty() && heap_.front().is_alarm) {
    const Place place = heap_.front();
    AlarmState& state = alarms_[place.slot];
    if (place.sequence == state.sequence && state.at == place.at) return;
    remove_first();
    if (place.sequence != state.sequence) continue;  // an earlier place has replaced it
    state.sequence = 0;
    if (state.at) place_alarm(place.slot, *state.at);
  }
}

}  // namespace wa::sim

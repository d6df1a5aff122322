#include "engine/messaging/records.hpp"

#include <algorithm>

namespace wa::messaging {

void Records::begin(Pins& pins) {
  pins_ = &pins;
  changes_.clear();
  erased_kinds_.clear();
}

void Records::pin(const RecordKey& key) {
  if (pins_->insert(key).second) ++slots_[key].pins;
}

Attempt<const Bytes*> Records::read(const RecordKey& key) {
  if (const auto change = changes_.find(key); change != changes_.end()) {
    return change->second ? &*change->second : nullptr;
  }
  pin(key);
  const Slot& slot = slots_.at(key);
  if (!slot.value) return Blocked{.records = {key}};
  return *slot.value ? &**slot.value : nullptr;
}

Attempt<void> Records::need(std::span<const RecordKey> keys) {
  Blocked blocked;
  for (const RecordKey& key : keys) {
    if (!read(key)) blocked.records.push_back(key);
  }
  if (!blocked.records.empty()) return blocked;
  return {};
}

void Records::put(RecordKey key, Bytes bytes) {
  changes_[std::move(key)] = std::move(bytes);
}

void Records::erase(RecordKey key) {
  changes_[std::move(key)] = std::nullopt;
}

void Records::erase_kind(std::string kind) {
  erased_kinds_.insert(std::move(kind));
}

std::vector<Change> Records::finish() {
  std::vector<Change> changes;
  changes.reserve(erased_kinds_.size() + changes_.size());
  for (const std::string& kind : erased_kinds_) changes.emplace_back(Erase{kind, {}});
  for (auto& [key, bytes] : changes_) {
    const auto slot = slots_.find(key);
    if (slot != slots_.end()) slot->second.value = bytes;
    if (bytes) {
      changes.emplace_back(Put{key.kind, key.key, std::move(*bytes)});
    } else {
      changes.emplace_back(Erase{key.kind, key.key});
    }
  }
  abandon();
  return changes;
}

void Records::abandon() {
  changes_.clear();
  erased_kinds_.clear();
}

std::vector<RecordKey> Records::wait(const std::string& lane, std::span<const RecordKey> keys,
                                     std::uint32_t load_id) {
  std::vector<RecordKey> to_load;
  for (const RecordKey& key : keys) {
    Slot& slot = slots_[key];
    slot.waiters.push_back(lane);
    if (std::exchange(slot.loading, true)) continue;
    to_load.push_back(key);
  }
  if (!to_load.empty()) loads_.emplace(load_id, to_load);
  return to_load;
}

std::vector<std::string> Records::loaded(std::uint32_t load_id,
                                         std::vector<std::optional<Bytes>> values) {
  const auto load = loads_.extract(load_id);
  if (load.empty()) return {};
  const std::vector<RecordKey>& keys = load.mapped();
  values.resize(keys.size());
  std::vector<std::string> lanes;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto slot = slots_.find(keys[i]);
    if (slot == slots_.end()) continue;
    slot->second.loading = false;
    // Somebody may have written it meanwhile, without having read it.
    if (!slot->second.value) slot->second.value = std::move(values[i]);
    lanes.insert(lanes.end(), slot->second.waiters.begin(), slot->second.waiters.end());
    slot->second.waiters.clear();
    drop_if_unused(slot);
  }
  std::sort(lanes.begin(), lanes.end());
  lanes.erase(std::unique(lanes.begin(), lanes.end()), lanes.end());
  return lanes;
}

void Records::release(Pins& pins) {
  for (const RecordKey& key : pins) {
    const auto slot = slots_.find(key);
    --slot->second.pins;
    drop_if_unused(slot);
  }
  pins.clear();
}

void Records::drop_if_unused(std::map<RecordKey, Slot>::iterator slot) {
  if (slot->second.pins == 0 && !slot->second.loading) slots_.erase(slot);
}

}  // namespace wa::messaging

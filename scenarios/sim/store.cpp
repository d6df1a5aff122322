#include "scenarios/sim/store.hpp"

#include "engine/base/overloaded.hpp"

namespace wa::sim {

bool Store::acquire(std::string_view owner, Instant now) {
  const bool free = owner_.empty() || owner_ == owner || (lease_ends_ && *lease_ends_ <= now);
  if (!free) return false;
  if (last_owner_ != owner) ++epoch_;
  owner_ = owner;
  last_owner_ = owner;
  lease_ends_.reset();
  return true;
}

void Store::release(std::string_view owner) {
  if (owner_ == owner) owner_.clear();
}

void Store::abandon(std::string_view owner, Instant now) {
  if (owner_ == owner) lease_ends_ = now + kLease;
}

void Store::apply(const std::vector<client::Change>& changes) {
  const auto rows = Overloaded{
      [&](const client::Put& put) { kinds_[put.kind][put.key] = put.bytes; },
      [&](const client::Erase& erase) {
        const auto kind = kinds_.find(erase.kind);
        if (kind == kinds_.end()) return;
        if (erase.key.empty()) {
          kind->second.clear();
        } else {
          kind->second.erase(erase.key);
        }
        if (kind->second.empty()) kinds_.erase(kind);
      },
  };
  for (const client::Change& change : changes) std::visit(rows, change);
}

const Bytes* Store::find(std::string_view kind, std::string_view key) const {
  const auto found_kind = kinds_.find(kind);
  if (found_kind == kinds_.end()) return nullptr;
  const auto found = found_kind->second.find(key);
  return found == found_kind->second.end() ? nullptr : &found->second;
}

}  // namespace wa::sim

#include "scenarios/sim/store.hpp"

#include "engine/base/overloaded.hpp"

namespace wa::sim {

using stage::DiskFault;

void Disk::set(DiskFault fault, bool on, Duration by) {
  const unsigned bit = 1u << static_cast<unsigned>(fault);
  on_ = on ? on_ | bit : on_ & ~bit;
  if (fault == DiskFault::slow) slow_by_ = by;
  if (fault == DiskFault::busy) busy_for_ = by;
}

std::optional<std::string> Disk::failure(Duration waited) const {
  if (is_on(DiskFault::enospc) || is_on(DiskFault::short_write)) return "the disk is full";
  if (is_on(DiskFault::eio) || is_on(DiskFault::torn)) return "the disk failed";
  if (is_on(DiskFault::readonly)) return "the store cannot be written";
  if (busy(waited)) return "the store is locked by another program";
  return {};
}

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

void Store::apply(std::vector<client::Change> changes) {
  const auto rows = Overloaded{
      [&](client::Put& put) { kinds_[put.kind][put.key] = std::move(put.bytes); },
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
  for (client::Change& change : changes) std::visit(rows, change);
  ++generation_;
}

void Store::erase() {
  kinds_.clear();
  intact_ = true;
  ++generation_;
}

void Store::copy_records(const Store& from) {
  kinds_ = from.kinds_;
  intact_ = from.intact_;
  ++generation_;
}

void Store::restore(const Copy& copy) {
  kinds_ = copy.kinds;
  intact_ = copy.intact;
  generation_ = copy.generation;
}

void Store::damage(stage::DamagedRecord left) {
  intact_ = false;
  auto& of_kind = kinds_[left.kind];
  if (left.bytes) {
    of_kind[left.key] = std::move(*left.bytes);
  } else {
    of_kind.erase(left.key);
  }
  if (of_kind.empty()) kinds_.erase(left.kind);
}

const Bytes* Store::find(std::string_view kind, std::string_view key) const {
  const auto found_kind = kinds_.find(kind);
  if (found_kind == kinds_.end()) return nullptr;
  const auto found = found_kind->second.find(key);
  return found == found_kind->second.end() ? nullptr : &found->second;
}

}  // namespace wa::sim

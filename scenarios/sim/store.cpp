#include "scenarios/sim/store.hpp"

#include "engine/base/overloaded.hpp"

namespace wa::sim {

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

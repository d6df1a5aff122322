#include "engine/store/store.hpp"

#include "engine/base/overloaded.hpp"

namespace wa::store {

void apply(std::vector<Change> changes, Records& records) {
  const auto rows = Overloaded{
      [&](Put& put) {
        records[std::move(put.kind)].insert_or_assign(std::move(put.key), std::move(put.bytes));
      },
      [&](const Erase& erase) {
        const auto kind = records.find(erase.kind);
        if (kind == records.end()) return;
        if (!erase.key.empty()) kind->second.erase(erase.key);
        if (erase.key.empty() || kind->second.empty()) records.erase(kind);
      },
  };
  for (Change& change : changes) std::visit(rows, change);
}

const Bytes* find(const Records& records, std::string_view kind, std::string_view key) {
  const auto of_kind = records.find(kind);
  if (of_kind == records.end()) return nullptr;
  const auto record = of_kind->second.find(key);
  return record == of_kind->second.end() ? nullptr : &record->second;
}

}  // namespace wa::store

#include "scenarios/loopback/stored_records.hpp"

#include "engine/store/sqlite_database.hpp"

namespace wa::loopback {
namespace {

using store::Database;

Result<std::unique_ptr<Database>> open(const StoredDevice& device) {
  return Database::open(device.directory + "/" + std::string(kDatabase), {},
                        std::chrono::seconds(5));
}

Result<stage::StoredRecords> read(Database& database, const std::string& device) {
  stage::StoredRecords records;
  WA_TRY(store::Query query, database.query("SELECT kind, key, bytes FROM record WHERE device = ?",
                                            std::string_view(device)));
  while (true) {
    WA_TRY(const bool found, query.step());
    if (!found) return records;
    records[query.text(0)].insert_or_assign(query.text(1), query.blob(2));
  }
}

}  // namespace

Result<stage::StoredRecords> read_records(const StoredDevice& device) {
  WA_TRY(const auto database, open(device));
  return read(*database, device.name);
}

Result<stage::DamagedRecord> damage_record(const StoredDevice& device,
                                           const stage::Damage& damage) {
  WA_TRY(const auto database, open(device));
  WA_TRY(const stage::StoredRecords records, read(*database, device.name));
  WA_TRY(stage::DamagedRecord left, stage::damaged(records, damage));
  if (left.bytes) {
    WA_TRY_VOID(
        database->execute("UPDATE record SET bytes = ? WHERE device = ? AND kind = ? AND key = ?",
                          ByteSpan(*left.bytes), std::string_view(device.name),
                          std::string_view(left.kind), std::string_view(left.key)));
  } else {
    WA_TRY_VOID(database->execute("DELETE FROM record WHERE device = ? AND kind = ? AND key = ?",
                                  std::string_view(device.name), std::string_view(left.kind),
                                  std::string_view(left.key)));
  }
  return left;
}

}  // namespace wa::loopback

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

Result<StoredCopy> copy_records(const StoredDevice& device) {
  WA_TRY(const auto database, open(device));
  WA_TRY_VOID(database->run("BEGIN"));  // both are of one moment
  StoredCopy copy;
  {
    WA_TRY(store::Query rows,
           database->query("SELECT kind, key, bytes, checksum FROM record WHERE device = ?",
                           std::string_view(device.name)));
    while (true) {
      WA_TRY(const bool found, rows.step());
      if (!found) break;
      copy.records.push_back({rows.text(0), rows.text(1), rows.blob(2), rows.blob(3)});
    }
  }
  {
    WA_TRY(store::Query row,
           database->query("SELECT generation, records, digest, seal FROM device WHERE name = ?",
                           std::string_view(device.name)));
    WA_TRY(const bool found, row.step());
    if (!found) return Error{Errc::not_found, "nothing is stored"};
    copy.generation = row.integer(0);
    copy.count = row.integer(1);
    copy.digest = row.blob(2);
    copy.seal = row.blob(3);
  }
  WA_TRY_VOID(database->run("COMMIT"));
  return copy;
}

Result<void> restore_records(const StoredDevice& device, const StoredCopy& copy) {
  WA_TRY(const auto database, open(device));
  const std::string_view name = device.name;
  WA_TRY_VOID(database->run("BEGIN IMMEDIATE"));
  WA_TRY_VOID(database->execute("DELETE FROM record WHERE device = ?", name));
  for (const StoredCopy::Record& record : copy.records) {
    WA_TRY_VOID(database->execute(
        "INSERT INTO record(device, kind, key, bytes, checksum) VALUES(?, ?, ?, ?, ?)", name,
        std::string_view(record.kind), std::string_view(record.key), ByteSpan(record.bytes),
        ByteSpan(record.checksum)));
  }
  WA_TRY_VOID(database->execute(
      "UPDATE device SET generation = ?, records = ?, digest = ?, seal = ? WHERE name = ?",
      copy.generation, copy.count, ByteSpan(copy.digest), ByteSpan(copy.seal), name));
  return database->run("COMMIT");
}

}  // namespace wa::loopback

#include "engine/store/sqlite_tables.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/crypto/hash.hpp"

namespace wa::store {
namespace {

using Digest = ByteArray<32>;

void append_counted(Bytes& out, ByteSpan part) {
  append(out, big_endian<8>(part.size()));
  append(out, part);
}

Digest checksum_of(std::string_view device, std::string_view kind, std::string_view key,
                   ByteSpan bytes) {
  Bytes names;
  names.reserve(24 + device.size() + kind.size() + key.size());
  for (const std::string_view name : {device, kind, key}) append_counted(names, as_bytes(name));
  return crypto::sha256(names, bytes);
}

/// Adds a record's checksum to a digest, or takes it out again.
void toggle(Digest& digest, ByteSpan checksum) {
  for (std::size_t i = 0; i < digest.size() && i < checksum.size(); ++i) digest[i] ^= checksum[i];
}

std::string name_of(const std::string& device) {
  return device.empty() ? "the device" : "device \"" + device + "\"";
}

Error taken_over(const std::string& device) {
  return {Errc::fenced, name_of(device) + " has been taken over by another process"};
}

std::string seconds(Duration duration) {
  const auto tenths = duration / std::chrono::milliseconds(100);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace

Error Tables::damaged(const std::string& device, const std::string& what) const {
  return Error{Errc::malformed,
               "what " + database_.path() + " keeps of " + name_of(device) + " is damaged: " +
                   what + ". It is left as it is: restore a backup, or delete the device"};
}

// ---- the row of a device ------------------------------------------------------------------------

namespace {

Digest seal_of(std::string_view device, std::int64_t generation, std::int64_t records,
               const Digest& digest) {
  Bytes sealed;
  append_counted(sealed, as_bytes(device));
  append(sealed, big_endian<8>(static_cast<std::uint64_t>(generation)));
  append(sealed, big_endian<8>(static_cast<std::uint64_t>(records)));
  return crypto::sha256(sealed, digest);
}

}  // namespace

Result<std::optional<Tables::Row>> Tables::row_of(const std::string& device) {
  WA_TRY(Query query,
         database_.query("SELECT id, generation, records, digest, seal, owner, token FROM device "
                         "WHERE name = ?",
                         std::string_view(device)));
  WA_TRY(const bool found, query.step());
  if (!found) return std::optional<Row>{};
  Row row;
  row.id = query.integer(0);
  row.generation = query.integer(1);
  row.records = query.integer(2);
  row.owner = query.integer(5);
  row.token = query.integer(6);
  const auto digest = fixed<32>(query.blob(3), "digest");
  if (digest) row.digest = *digest;
  row.intact =
      digest && equal(query.blob(4), seal_of(device, row.generation, row.records, row.digest));
  return std::optional(row);
}

Result<void> Tables::write_row(const std::string& device, const Row& row) {
  const Digest seal = seal_of(device, row.generation, row.records, row.digest);
  if (row.id == 0) {
    return database_.execute(
        "INSERT INTO device(name, generation, records, digest, seal, owner, token) "
        "VALUES(?, ?, ?, ?, ?, ?, ?)",
        std::string_view(device), row.generation, row.records, ByteSpan(row.digest), ByteSpan(seal),
        row.owner, row.token);
  }
  return database_.execute(
      "UPDATE device SET generation = ?, records = ?, digest = ?, seal = ?, owner = ?, token = ? "
      "WHERE id = ?",
      row.generation, row.records, ByteSpan(row.digest), ByteSpan(seal), row.owner, row.token,
      row.id);
}

Result<Tables::Row> Tables::sum_up(const std::string& device, std::set<std::string>* kinds) {
  Row row;
  WA_TRY(Query query, database_.query("SELECT checksum, kind FROM record WHERE device = ?",
                                      std::string_view(device)));
  while (true) {
    WA_TRY(const bool found, query.step());
    if (!found) return row;
    ++row.records;
    toggle(row.digest, query.blob(0));
    if (kinds) kinds->insert(query.text(1));
  }
}

Result<void> Tables::collect(const std::string& device, Query query, Stored& stored) {
  while (true) {
    WA_TRY(const bool found, query.step());
    if (!found) return {};
    std::string kind = query.text(0);
    std::string key = query.text(1);
    Bytes bytes = query.blob(2);
    if (!equal(query.blob(3), checksum_of(device, kind, key, bytes))) {
      return damaged(device, "the checksum of " + kind + "/" + key + " does not match");
    }
    stored.records[std::move(kind)].insert_or_assign(std::move(key), std::move(bytes));
  }
}

// ---- records ------------------------------------------------------------------------------------

Result<Stored> Tables::read(const std::string& device, const Kinds* given) {
  WA_TRY(const std::optional<Row> row, row_of(device));
  std::set<std::string> kinds;
  WA_TRY(const Row sum, sum_up(device, &kinds));
  Stored stored;
  for (const std::string& kind : kinds) {
    stored.records[kind];
    if (given && !given->contains(kind)) continue;
    WA_TRY(Query query, database_.query("SELECT kind, key, bytes, checksum FROM record WHERE "
                                        "device = ? AND kind = ?",
                                        std::string_view(device), std::string_view(kind)));
    WA_TRY_VOID(collect(device, std::move(query), stored));
  }
  if (!row) {
    if (sum.records > 0) return damaged(device, "its own row is missing");
    return stored;
  }
  if (!row->intact) return damaged(device, "the seal of its row does not match");
  if (row->records != sum.records) {
    return damaged(device, "it has " + std::to_string(sum.records) + " records instead of " +
                               std::to_string(row->records));
  }
  if (row->digest != sum.digest) return damaged(device, "records of another time are among it");
  stored.generation = static_cast<std::uint64_t>(row->generation);
  return stored;
}

Result<Loaded> Tables::load(const std::string& device, std::int64_t token,
                            const std::vector<RecordKey>& keys) {
  WA_TRY(const std::optional<Row> row, row_of(device));
  if (!row) return damaged(device, "its own row is missing");
  if (row->token != token) return taken_over(device);
  Loaded loaded;
  for (const RecordKey& key : keys) {
    WA_TRY(Query query, database_.query("SELECT kind, key, bytes, checksum FROM record WHERE "
                                        "device = ? AND kind = ? AND key = ?",
                                        std::string_view(device), std::string_view(key.kind),
                                        std::string_view(key.key)));
    Stored stored;
    WA_TRY_VOID(collect(device, std::move(query), stored));
    const Bytes* found = find(stored.records, key.kind, key.key);
    loaded.push_back(found ? std::optional(*found) : std::nullopt);
  }
  return loaded;
}

Result<void> Tables::commit(const std::string& device, std::int64_t token,
                            const std::vector<Change>& changes) {
  WA_TRY(std::optional<Row> row, row_of(device));
  if (!row) return damaged(device, "its own row is missing");
  if (!row->intact) return damaged(device, "the seal of its row does not match");
  if (row->token != token) return taken_over(device);
  const auto rows = Overloaded{
      [&](const Put& change) { return put(device, change, *row); },
      [&](const Erase& change) { return erase(device, change, *row); },
  };
  for (const Change& change : changes) WA_TRY_VOID(std::visit(rows, change));
  ++row->generation;
  return write_row(device, *row);
}

Result<void> Tables::put(const std::string& device, const Put& put, Row& row) {
  const Digest checksum = checksum_of(device, put.kind, put.key, put.bytes);
  std::int64_t id = 0;
  {
    WA_TRY(Query query, database_.query("SELECT id, checksum FROM record WHERE device = ? AND "
                                        "kind = ? AND key = ?",
                                        std::string_view(device), std::string_view(put.kind),
                                        std::string_view(put.key)));
    WA_TRY(const bool found, query.step());
    if (found) {
      id = query.integer(0);
      toggle(row.digest, query.blob(1));
    }
  }
  toggle(row.digest, checksum);
  if (id != 0) {
    return database_.execute("UPDATE record SET bytes = ?, checksum = ? WHERE id = ?",
                             ByteSpan(put.bytes), ByteSpan(checksum), id);
  }
  ++row.records;
  return database_.execute(
      "INSERT INTO record(device, kind, key, bytes, checksum) VALUES(?, ?, ?, ?, ?)",
      std::string_view(device), std::string_view(put.kind), std::string_view(put.key),
      ByteSpan(put.bytes), ByteSpan(checksum));
}

Result<void> Tables::erase(const std::string& device, const Erase& erase, Row& row) {
  WA_TRY(Query query, database_.query("DELETE FROM record WHERE device = ?1 AND kind = ?2 AND "
                                      "(?3 = '' OR key = ?3) RETURNING checksum",
                                      std::string_view(device), std::string_view(erase.kind),
                                      std::string_view(erase.key)));
  while (true) {
    WA_TRY(const bool found, query.step());
    if (!found) return {};
    toggle(row.digest, query.blob(0));
    --row.records;
  }
}

Result<void> Tables::erase(const std::string& device, const Owner& me, Instant now) {
  WA_TRY(std::optional<Row> row, row_of(device));
  if (row) WA_TRY_VOID(check_free(device, *row, me, now));
  WA_TRY_VOID(database_.execute("DELETE FROM record WHERE device = ?", std::string_view(device)));
  if (!row) return {};
  Row empty;
  empty.id = row->id;
  empty.generation = row->generation + 1;
  empty.token = row->token + 1;
  return write_row(device, empty);
}

Result<void> Tables::adopt(const std::string& device) {
  WA_TRY(Row row, sum_up(device));
  row.generation = 1;
  return write_row(device, row);
}

// ---- owners -------------------------------------------------------------------------------------

Result<void> Tables::check_free(const std::string& device, const Row& row, const Owner& me,
                                Instant now) {
  if (row.owner == 0 || row.owner == me.id) return {};
  WA_TRY(Query query,
         database_.query("SELECT name, pid, boot, until FROM owner WHERE id = ?", row.owner));
  WA_TRY(const bool found, query.step());
  if (!found) return {};
  const Instant until{Duration(query.integer(3))};
  if (query.text(2) != me.boot || until <= now || query.text(0) == me.name) return {};
  return Error{Errc::fenced, name_of(device) + " is run by " + query.text(0) + " (process " +
                                 std::to_string(query.integer(1)) + "), whose lease ends in " +
                                 seconds(until - now) +
                                 " unless it is renewed: end that process, or wait"};
}

Result<Tables::Taken> Tables::take(const std::string& device, const Owner& me, Instant now,
                                   const Kinds* given) {
  WA_TRY(std::optional<Row> row, row_of(device));
  if (row) WA_TRY_VOID(check_free(device, *row, me, now));
  Taken taken;
  WA_TRY(taken.stored, read(device, given));
  if (!row) row = Row{};
  row->owner = me.id;
  taken.token = ++row->token;
  WA_TRY_VOID(write_row(device, *row));
  return taken;
}

Result<void> Tables::release(const std::string& device, std::int64_t token) {
  return database_.execute("UPDATE device SET owner = 0 WHERE name = ? AND token = ?",
                           std::string_view(device), token);
}

Result<void> Tables::renew(const Owner& owner, Instant now, Instant until) {
  WA_TRY_VOID(database_.execute("DELETE FROM owner WHERE id != ? AND (boot != ? OR until <= ?)",
                                owner.id, std::string_view(owner.boot),
                                std::int64_t{now.time_since_epoch().count()}));
  // Its own row may be gone, too: somebody renewed while this process slept past its lease.
  return database_.execute(
      "INSERT INTO owner(id, name, pid, boot, until) VALUES(?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT(id) DO UPDATE SET until = ?5",
      owner.id, std::string_view(owner.name), owner.pid, std::string_view(owner.boot),
      std::int64_t{until.time_since_epoch().count()});
}

Result<std::map<std::string, std::int64_t>> Tables::owned_by(std::int64_t owner) {
  std::map<std::string, std::int64_t> owned;
  WA_TRY(Query query, database_.query("SELECT name, token FROM device WHERE owner = ?", owner));
  while (true) {
    WA_TRY(const bool found, query.step());
    if (!found) return owned;
    owned.emplace(query.text(0), query.integer(1));
  }
}

Result<void> Tables::leave(std::int64_t owner) {
  WA_TRY_VOID(database_.execute("UPDATE device SET owner = 0 WHERE owner = ?", owner));
  return database_.execute("DELETE FROM owner WHERE id = ?", owner);
}

}  // namespace wa::store

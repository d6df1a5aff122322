#include "engine/store/sqlite_schema.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/store/sqlite_tables.hpp"

namespace wa::store {
namespace {

struct Table {
  int since;  ///< version
  const char* name;
  const char* sql;
};
/// The text is what SQLite keeps of it: a file whose text differs is not ours, or is damaged.
constexpr Table kTables[] = {
    {1, "record",
     "CREATE TABLE record(id INTEGER PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, "
     "key TEXT NOT NULL, bytes BLOB NOT NULL, checksum BLOB NOT NULL, "
     "UNIQUE(device, kind, key)) STRICT"},
    {2, "device",
     "CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
     "generation INTEGER NOT NULL, records INTEGER NOT NULL, digest BLOB NOT NULL, "
     "seal BLOB NOT NULL, owner INTEGER NOT NULL, token INTEGER NOT NULL) STRICT"},
    {2, "owner",
     "CREATE TABLE owner(id INTEGER PRIMARY KEY, name TEXT NOT NULL, "
     "pid INTEGER NOT NULL, boot TEXT NOT NULL, until INTEGER NOT NULL) STRICT"},
};

/// "tstl": what a file of ours says it is.
constexpr const char* kSetApplication = "PRAGMA application_id = 1953723500";
constexpr std::int64_t kApplication = 1953723500;

Error not_ours(const Database& database, const std::string& why) {
  return Error{Errc::malformed, database.path() + " is no store of Testline, or is damaged (" +
                                    why +
                                    "). It is left as it is: move it away, or name another one"};
}

Result<std::int64_t> pragma(Database& database, const char* sql) {
  WA_TRY(Query query, database.query(sql));
  WA_TRY(const bool row, query.step());
  return row ? query.integer(0) : 0;
}

Result<void> check_tables(Database& database, int version) {
  int expected = 0;
  for (const Table& table : kTables) {
    if (table.since > version) continue;
    ++expected;
    WA_TRY(Query query, database.query("SELECT sql FROM sqlite_schema WHERE type = 'table' AND "
                                       "name = ?1 AND tbl_name = ?1",
                                       std::string_view(table.name)));
    WA_TRY(const bool found, query.step());
    if (!found) return not_ours(database, std::string("no table ") + table.name);
    if (query.text(0) != table.sql)
      return not_ours(database, std::string("another table ") + table.name);
  }
  WA_TRY(const std::int64_t tables,
         pragma(database,
                "SELECT count(*) FROM sqlite_schema WHERE type != 'index' AND name NOT "
                "LIKE 'sqlite\\_%' ESCAPE '\\'"));
  if (tables != expected) return not_ours(database, "tables of somebody else");
  return {};
}

Result<void> set_version(Database& database, int version) {
  return database.run(("PRAGMA user_version = " + std::to_string(version)).c_str());
}

Result<void> create_tables(Database& database, int since) {
  for (const Table& table : kTables) {
    if (table.since == since) WA_TRY_VOID(database.run(table.sql));
  }
  return {};
}

/// Every device that has records gets its row. The records are taken at their word: their own
/// checksums are judged when they are read.
Result<void> to_version_2(Database& database) {
  WA_TRY_VOID(create_tables(database, 2));
  std::vector<std::string> names;
  {
    WA_TRY(Query query, database.query("SELECT DISTINCT device FROM record ORDER BY device"));
    while (true) {
      WA_TRY(const bool row, query.step());
      if (!row) break;
      names.push_back(query.text(0));
    }
  }
  Tables tables(database);
  for (const std::string& name : names) WA_TRY_VOID(tables.adopt(name));
  return set_version(database, 2);
}

/// Ends the transaction as it is told.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  ~Transaction() {
    if (database_.in_transaction()) (void)database_.run("ROLLBACK");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

 private:
  Database& database_;
};

Error failed(const std::string& what, const std::string& path) {
  return Error{Errc::environment, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

Result<void> fill(const std::string& path, const std::string& vfs) {
  WA_TRY(const auto database, Database::open(path, vfs, std::chrono::seconds(1)));
  WA_TRY_VOID(database->run("PRAGMA synchronous = FULL"));
  WA_TRY_VOID(database->run(kSetApplication));
  const Transaction transaction(*database);
  WA_TRY_VOID(database->run("BEGIN"));
  for (int version = 1; version <= kSchemaVersion; ++version) {
    WA_TRY_VOID(create_tables(*database, version));
  }
  WA_TRY_VOID(set_version(*database, kSchemaVersion));
  return database->run("COMMIT");
}

}  // namespace

Result<void> create_database(const std::string& path, const std::string& vfs) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  if (errno != ENOENT) return failed("open", path);
  // An empty file is what a disk leaves that lost one: it must never stand for "nothing stored".
  // So the file is made complete beside its place, then linked into it.
  const std::string beside = path + ".new-" + std::to_string(::getpid());
  const auto discard = [&] {
    for (const char* suffix : {"", "-journal"}) ::unlink((beside + suffix).c_str());
  };
  discard();
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed("make", path);
  ::close(file);
  auto filled = fill(beside, vfs);
  if (filled && ::link(beside.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    filled = failed("make", path);
  }
  discard();
  if (!filled) return filled;
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const int opened =
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return failed("open", directory);
  const bool synced = ::fsync(opened) == 0;
  ::close(opened);
  if (!synced) return failed("write", directory);
  return {};
}

Result<void> migrate(Database& database) {
  std::error_code failure;
  if (std::filesystem::file_size(database.path(), failure) == 0 && !failure)
    return not_ours(database, "the file is empty");
  const Transaction transaction(database);
  WA_TRY_VOID(database.run("BEGIN"));
  WA_TRY(const std::int64_t application, pragma(database, "PRAGMA application_id"));
  WA_TRY(std::int64_t version, pragma(database, "PRAGMA user_version"));
  if (application != kApplication) return not_ours(database, "another program's file");
  if (version > kSchemaVersion) {
    return Error{Errc::environment,
                 database.path() + " was written by a newer version of this program (format " +
                     std::to_string(version) + ", this one knows up to " +
                     std::to_string(kSchemaVersion) +
                     "). It is left as it is: use the newer program, or another file"};
  }
  if (version < 1) return not_ours(database, "format " + std::to_string(version));
  WA_TRY_VOID(check_tables(database, static_cast<int>(version)));
  if (version == kSchemaVersion) return {};

  // Another process may have been quicker: what is true is read again under the lock.
  WA_TRY_VOID(database.run("ROLLBACK"));
  WA_TRY_VOID(database.run("BEGIN IMMEDIATE"));
  WA_TRY(version, pragma(database, "PRAGMA user_version"));
  if (version == 1) WA_TRY_VOID(to_version_2(database));
  return database.run("COMMIT");
}

}  // namespace wa::store

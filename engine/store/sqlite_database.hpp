#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"

struct sqlite3;
struct sqlite3_stmt;

/// SQLite as Results. Internal to engine/store, but for scenarios/loopback, which damages files.
namespace wa::store {

class Database;

/// One run of a prepared statement. Columns are numbered from 0 and are valid until the next step.
class Query {
 public:
  ~Query();
  Query(Query&& other) noexcept;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  /// True: there is a row. Errors: as of Database.
  Result<bool> step();
  /// To the end, whatever the rows are.
  Result<void> finish();

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;

 private:
  friend class Database;
  Query(Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view value);
  void bind(int index, ByteSpan value);

  Database& database_;
  sqlite3_stmt* statement_;  ///< null: moved from
};

/// A connection to one file. Used by one thread at a time.
///
/// Errors: `malformed` (the file, or a page of it, is damaged), `environment` (the disk is full,
/// read-only or broken, another program holds the file); the message names the path and says what
/// to do.
class Database {
 public:
  /// Opens a file that is there. `vfs`: a SQLite VFS by name; empty: the default one.
  static Result<std::unique_ptr<Database>> open(const std::string& path, const std::string& vfs,
                                                Duration busy_timeout);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// One or more statements without parameters.
  Result<void> run(const char* sql);
  /// A statement with its parameters, in order; prepared once. `sql` is a literal. One Query per
  /// literal at a time.
  template <class... Values>
  Result<Query> query(const char* sql, const Values&... values) {
    WA_TRY(Query query, prepare(sql));
    int index = 0;
    (query.bind(++index, values), ...);
    return query;
  }
  /// query() to its end.
  template <class... Values>
  Result<void> execute(const char* sql, const Values&... values) {
    WA_TRY(Query query, prepare(sql));
    int index = 0;
    (query.bind(++index, values), ...);
    return query.finish();
  }
  /// Rows changed by the last statement.
  std::int64_t changes() const;
  bool in_transaction() const;
  /// The file was moved or deleted since it was opened: what is written now is lost.
  Result<void> check_in_place();
  /// Whether closing may bring the write-ahead log home; off at first.
  void checkpoint_on_close(bool on);

  const std::string& path() const { return path_; }
  /// What a SQLite result code means. `system_error`: errno, or 0.
  static Error error_of(int code, int system_error, const std::string& message,
                        const std::string& path);

 private:
  friend class Query;
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  Result<Query> prepare(const char* sql);
  Error error(int code) const;

  sqlite3* handle_;
  const std::string path_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace wa::store

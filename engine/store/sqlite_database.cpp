#include "engine/store/sqlite_database.hpp"

#include <sqlite3.h>

#include <cstring>

namespace wa::store {
namespace {

constexpr int kPrimaryCode = 0xff;

}  // namespace

// ---- a statement --------------------------------------------------------------------------------

Query::~Query() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query::Query(Query&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

void Query::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
}
// What is bound lives until the Query has ended: callers pass what outlives it.
void Query::bind(int index, std::string_view value) {
  sqlite3_bind_text64(statement_, index, value.data() ? value.data() : "", value.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
}
void Query::bind(int index, ByteSpan value) {
  // A null pointer would be NULL and not an empty blob.
  const void* data = value.empty() ? static_cast<const void*>("") : value.data();
  sqlite3_bind_blob64(statement_, index, data, value.size(), SQLITE_STATIC);
}

Result<bool> Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_.error(code);
}

Result<void> Query::finish() {
  while (true) {
    WA_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
std::string Query::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return text ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}
Bytes Query::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return data ? Bytes(data, data + size) : Bytes();
}

// ---- a connection -------------------------------------------------------------------------------

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const std::string& vfs,
                                                 Duration busy_timeout) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      vfs.empty() ? nullptr : vfs.c_str());
  if (!handle) return Error{Errc::environment, "cannot open " + path + ": out of memory"};
  std::unique_ptr<Database> database(new Database(handle, path));
  if (code != SQLITE_OK) {
    const Error error = database->error(code);
    // Nothing was read yet: it cannot be damage.
    return Error{Errc::environment, code == SQLITE_ERROR
                                        ? "cannot open " + path + ": " + sqlite3_errmsg(handle)
                                        : error.detail};
  }
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(busy_timeout);
  sqlite3_busy_timeout(handle, static_cast<int>(patience.count()));
  database->checkpoint_on_close(false);
  // Nothing in the file may make SQLite do more than read and write rows.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

void Database::checkpoint_on_close(bool on) {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

Result<void> Database::run(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<Query> Database::prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (!statement) {
    const int code =
        sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return error(code);
  }
  return Query(*this, statement);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}
bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

Result<void> Database::check_in_place() {
  int moved = 0;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved == 0) return {};
  return Error{Errc::environment, path_ +
                                      " was moved or deleted while it was in use: put it back, or "
                                      "end this program first"};
}

Error Database::error(int code) const {
  return error_of(code, sqlite3_system_errno(handle_), sqlite3_errmsg(handle_), path_);
}

Error Database::error_of(int code, int system_error, const std::string& message,
                         const std::string& path) {
  const std::string why = system_error != 0 ? std::strerror(system_error) : message;
  switch (code & kPrimaryCode) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // a table or column that is not there
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_FORMAT:
      return Error{Errc::malformed,
                   path + " is damaged (" + message +
                       "). It is left as it is: restore a backup, or move it away"};
    case SQLITE_FULL:
      return Error{Errc::environment,
                   path + " cannot be written: the disk is full. Free some space"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Error{Errc::environment, path + " cannot be written (" + message +
                                          "): let this user write the file and its directory"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return Error{Errc::environment,
                   path + " is locked by another program (" + message + "): end what holds it"};
    case SQLITE_CANTOPEN: return Error{Errc::environment, "cannot open " + path + ": " + why};
    case SQLITE_IOERR:
      return Error{Errc::environment, path + ": the disk failed (" + message +
                                          (system_error != 0 ? ", " + why : std::string()) +
                                          "): check the disk"};
    default: return Error{Errc::environment, path + ": " + message};
  }
}

}  // namespace wa::store

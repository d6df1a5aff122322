#pragma once

#include "engine/store/sqlite_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "engine/base/random.hpp"
#include "engine/store/store_test_support.hpp"

namespace wa::store {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::bytes;
using test::TemporaryDirectory;
using testing::HasSubstr;

/// What somebody else does to the file.
class Outsider {
 public:
  explicit Outsider(const std::string& path) {
    WA_ASSERT(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK);
  }
  ~Outsider() { sqlite3_close(handle_); }
  Outsider(const Outsider&) = delete;
  Outsider& operator=(const Outsider&) = delete;

  void run(const std::string& sql) {
    char* message = nullptr;
    const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, &message);
    EXPECT_EQ(code, SQLITE_OK) << sql << ": " << message;
  }
  std::int64_t integer(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const std::int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
  }

 private:
  sqlite3* handle_ = nullptr;
};

class SqliteStoreTest : public testing::Test {
 protected:
  std::string path() const { return directory_ / "testline.db"; }

  SqliteStore::Options options(std::string owner = {}) {
    SqliteStore::Options made;
    made.path = path();
    made.owner = std::move(owner);
    made.clock = [this] { return Instant(Duration(time_.load())); };
    return made;
  }
  std::unique_ptr<SqliteStore> make(std::string owner = {}) { return make(options(owner)); }
  std::unique_ptr<SqliteStore> make(SqliteStore::Options given) {
    auto made = SqliteStore::at(caller_.io, std::move(given));
    EXPECT_TRUE(made) << made.error();
    return made ? std::move(*made) : nullptr;
  }
  /// Of a process that does not come to renewing before its lease has lapsed.
  SqliteStore::Options sleepy(std::string owner) {
    auto made = options(std::move(owner));
    made.renew = 40s;
    return made;
  }
  SqliteStore::Options impatient() {
    auto made = options();
    made.busy_timeout = 20ms;
    return made;
  }
  Error refused() {
    const auto made = SqliteStore::at(caller_.io, options());
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }
  void pass(Duration duration) { time_ += duration.count(); }

  void store_some(const std::string& device) {
    const auto store = make();
    auto opened = caller_.open(*store, device);
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  }

  TemporaryDirectory directory_;
  std::atomic<Duration::rep> time_ = Duration(1h).count();
  Caller caller_;
};

}  // namespace wa::store

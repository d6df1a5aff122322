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
namespace {

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

// ---- the file -----------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, AnotherStoreOnTheSameFileFindsTheRecords) {
  store_some("shop-1");
  store_some("");
  const auto store = make();
  EXPECT_EQ(caller_.open(*store, "shop-1")->stored.records, some_records());
  EXPECT_EQ(caller_.open(*store, "")->stored.records, some_records()) << "that without a name, too";
}

TEST_F(SqliteStoreTest, MakesItsDirectoryAndKeepsItsFilesToTheirOwner) {
  auto given = options();
  given.path = directory_ / "one/two/testline.db";
  const auto store = SqliteStore::at(caller_.io, given);
  ASSERT_TRUE(store) << store.error();
  ASSERT_TRUE(caller_.open(**store, "a"));
  std::size_t files = 0;
  for (const auto& file : fs::directory_iterator(directory_ / "one/two")) {
    ++files;
    EXPECT_EQ(file.status().permissions() & fs::perms::all,
              fs::perms::owner_read | fs::perms::owner_write)
        << file.path();
  }
  EXPECT_EQ(files, 3u) << "with the write-ahead log and its index";
  EXPECT_EQ(fs::status(directory_ / "one/two").permissions() & fs::perms::all,
            fs::perms::owner_all);
}

TEST_F(SqliteStoreTest, ADirectoryThatCannotBeMadeIsAnError) {
  overwrite(directory_ / "occupied", as_bytes("a file"));
  auto given = options();
  given.path = directory_ / "occupied/below/testline.db";
  const auto made = SqliteStore::at(caller_.io, given);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail, HasSubstr("occupied"));
}

TEST_F(SqliteStoreTest, AVfsThatDoesNotExistIsAnError) {
  store_some("a");
  auto given = options();
  given.vfs = "nobody's";
  EXPECT_EQ(SqliteStore::at(caller_.io, given).error().code, Errc::environment);
}

TEST_F(SqliteStoreTest, AFileThatVanishedIsAnErrorAndNotAnEmptyStore) {
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  fs::remove(path());
  const auto committed = caller_.commit(*opened->device, {Put{"more", "1", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
  EXPECT_THAT(committed.error().detail, HasSubstr("testline.db was moved or deleted"));
  EXPECT_EQ(caller_.read(*store, "a").error().code, Errc::environment);
}

TEST_F(SqliteStoreTest, WhatIsLeftOfAStoreThatIsGoneIsAnsweredWithAnError) {
  auto store = make();
  auto opened = caller_.open(*store, "a");
  store.reset();
  const auto committed = caller_.commit(*opened->device, some_changes());
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
}

// ---- versions -----------------------------------------------------------------------------------

/// A file as version 1 left it: records only.
void make_version_1(const std::string& path) {
  Outsider outsider(path);
  outsider.run(
      "PRAGMA application_id = 1953723500; PRAGMA user_version = 1;"
      "CREATE TABLE record(id INTEGER PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, "
      "key TEXT NOT NULL, bytes BLOB NOT NULL, checksum BLOB NOT NULL, "
      "UNIQUE(device, kind, key)) STRICT;"
      "INSERT INTO record VALUES"
      "(1, 'a', 'credentials', 'self', x'010203',"
      " x'ebf7842c8b3cb866960d46cfd35624b77d9b386e0732a9cf909134ec1437638b'),"
      "(2, 'b', 'credentials', 'self', x'09', x'00')");
}

TEST_F(SqliteStoreTest, AFileOfVersion1IsBroughtUpToDate) {
  make_version_1(path());
  const auto store = make();
  ASSERT_TRUE(store);
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->stored.records, (Records{{"credentials", {{"self", bytes({1, 2, 3})}}}}));
  EXPECT_EQ(opened->stored.generation, 1u);
  ASSERT_TRUE(caller_.commit(*opened->device, {Put{"more", "1", {}}}));
  EXPECT_EQ(caller_.read(*store, "a")->generation, 2u);

  EXPECT_EQ(caller_.read(*store, "b").error().code, Errc::malformed)
      << "what was damaged before still is";
}

TEST_F(SqliteStoreTest, ADamagedFileOfVersion1IsNotTouched) {
  make_version_1(path());
  Outsider(path()).run("ALTER TABLE record DROP COLUMN checksum");
  const Bytes before = contents_of(path());
  EXPECT_EQ(refused().code, Errc::malformed);
  EXPECT_EQ(contents_of(path()), before);
}

TEST_F(SqliteStoreTest, AFileOfANewerVersionIsRefusedAndLeftAsItIs) {
  store_some("a");
  Outsider(path()).run("PRAGMA user_version = 3; CREATE TABLE more(x)");
  const Bytes before = contents_of(path());
  const Error error = refused();
  EXPECT_EQ(error.code, Errc::environment);
  EXPECT_THAT(error.detail, testing::AllOf(HasSubstr("testline.db"), HasSubstr("newer version"),
                                           HasSubstr("format 3"), HasSubstr("up to 2")));
  EXPECT_EQ(contents_of(path()), before);
}

TEST_F(SqliteStoreTest, AnotherProgramsFileIsRefusedAndLeftAsItIs) {
  Outsider(path()).run("CREATE TABLE notes(text); INSERT INTO notes VALUES('buy milk')");
  const Bytes before = contents_of(path());
  EXPECT_EQ(refused().code, Errc::malformed);
  EXPECT_EQ(contents_of(path()), before);
}

// ---- owners -------------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, TwoStoresOnOneFileHaveTheirOwnDevices) {
  const auto one = make("one");
  const auto two = make("two");
  auto a = caller_.open(*one, "a");
  auto b = caller_.open(*two, "b");
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(caller_.commit(*a->device, {Put{"counter", "now", bytes({i})}}));
    ASSERT_TRUE(caller_.commit(*b->device, {Put{"counter", "now", bytes({100 + i})}}));
  }
  EXPECT_EQ(*find(caller_.read(*two, "a")->records, "counter", "now"), bytes({19}));
  EXPECT_EQ(*find(caller_.read(*one, "b")->records, "counter", "now"), bytes({119}));
}

TEST_F(SqliteStoreTest, ADeviceOfALivingOwnerIsRefusedAndSaysWhoAndUntilWhen) {
  const auto one = make("one");
  auto mine = caller_.open(*one, "a");
  ASSERT_TRUE(mine);
  pass(2s);
  const auto two = make("two");
  const auto theirs = caller_.open(*two, "a");
  ASSERT_FALSE(theirs);
  EXPECT_EQ(theirs.error().code, Errc::fenced);
  EXPECT_THAT(theirs.error().detail,
              testing::AllOf(HasSubstr("\"a\" is run by one"), HasSubstr("ends in 28.0 s"),
                             HasSubstr("process " + std::to_string(::getpid()))));
  EXPECT_EQ(caller_.erase(*two, "a").error().code, Errc::fenced);

  mine->device.reset();
  EXPECT_TRUE(caller_.read(*one, "a"));  // by then it is given back
  const auto free = caller_.open(*two, "a");
  EXPECT_TRUE(free) << free.error();
}

TEST_F(SqliteStoreTest, AStoreThatIsClosedGivesItsDevicesBack) {
  auto one = make("one");
  auto mine = caller_.open(*one, "a");
  one.reset();
  EXPECT_TRUE(caller_.open(*make("two"), "a"));
}

TEST_F(SqliteStoreTest, ALapsedLeaseFreesTheDeviceAndFencesItsOldOwner) {
  const auto one = make(sleepy("one"));
  auto mine = caller_.open(*one, "a");
  ASSERT_TRUE(caller_.commit(*mine->device, some_changes()));
  const auto two = make("two");
  pass(30s - 1ns);
  ASSERT_FALSE(caller_.open(*two, "a"));
  pass(1ns);
  auto theirs = caller_.open(*two, "a");
  ASSERT_TRUE(theirs) << theirs.error();
  EXPECT_EQ(theirs->stored.records, some_records());

  const auto committed = caller_.commit(*mine->device, {Erase{"credentials", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::fenced);
  mine->device.reset();
  EXPECT_EQ(caller_.read(*one, "a")->records, some_records());
  EXPECT_TRUE(caller_.commit(*theirs->device, {Put{"more", "1", {}}})) << "it is still theirs";
}

TEST_F(SqliteStoreTest, AnOwnerWhoseDeviceWasTakenIsToldOnce) {
  const auto one = make(sleepy("one"));
  std::vector<std::string> lost;
  std::optional<Store::Opened> mine;
  one->open(
      "a", [&](Result<Store::Opened> opened) { mine = std::move(*opened); },
      [&](const std::string& why) { lost.push_back(why); });
  caller_.io.run();
  auto other = caller_.open(*one, "b");
  ASSERT_TRUE(mine);
  pass(31s);
  const auto two = make("two");
  auto theirs = caller_.open(*two, "a");
  ASSERT_TRUE(theirs);

  for (int i = 0; i < 3; ++i) {
    pass(11s);
    EXPECT_TRUE(caller_.read(*one, "a"));
  }
  caller_.io.restart();
  caller_.io.run();
  EXPECT_THAT(lost, testing::ElementsAre(HasSubstr("taken it over")));
  EXPECT_TRUE(caller_.commit(*other->device, some_changes())) << "nobody took the other one";
}

TEST_F(SqliteStoreTest, ALivingOwnerRenewsItsLease) {
  const auto one = make("one");
  auto mine = caller_.open(*one, "a");
  const auto two = make("two");
  for (int i = 0; i < 10; ++i) {
    pass(11s);
    EXPECT_TRUE(caller_.read(*one, "nobody"));  // its thread looks at the clock
    EXPECT_TRUE(caller_.read(*one, "nobody"));  // and is done with that
    EXPECT_FALSE(caller_.open(*two, "a"));
  }
  EXPECT_TRUE(caller_.commit(*mine->device, some_changes()));
}

TEST_F(SqliteStoreTest, RenewsWithoutBeingAsked) {
  auto given = options("one");
  given.renew = 1ms;  // so often its thread looks at the clock
  const auto one = make(given);
  auto mine = caller_.open(*one, "a");
  Outsider outsider(path());
  const auto ends = [&] { return outsider.integer("SELECT until FROM owner"); };
  const std::int64_t before = ends();
  pass(20s);
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (ends() == before && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(ends(), before + Duration(20s).count());
}

TEST_F(SqliteStoreTest, ALeaseThatCannotBeRenewedIsLostWhenItEnds) {
  const auto one = make(impatient());
  std::vector<std::string> lost;
  std::optional<Store::Opened> mine;
  one->open(
      "a", [&](Result<Store::Opened> opened) { mine = std::move(*opened); },
      [&](const std::string& why) { lost.push_back(why); });
  caller_.io.run();
  const auto look = [&] {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(caller_.read(*one, "a"));
  };
  {
    Outsider outsider(path());
    outsider.run("BEGIN IMMEDIATE");
    pass(29s);
    look();
    EXPECT_THAT(lost, testing::IsEmpty());
    pass(2s);
    look();
    EXPECT_THAT(lost, testing::ElementsAre(HasSubstr("could not be renewed")));
  }
  EXPECT_EQ(caller_.commit(*mine->device, some_changes()).error().code, Errc::fenced);
  mine->device.reset();
  const auto again = caller_.open(*one, "a");
  EXPECT_TRUE(again) << "and may have it again: " << again.error();
}

TEST_F(SqliteStoreTest, AProcessThatComesBackUnderItsNameHasItsDevicesAtOnce) {
  const auto one = make("engine");
  auto mine = caller_.open(*one, "a");
  const auto again = make("engine");
  auto taken = caller_.open(*again, "a");
  ASSERT_TRUE(taken) << taken.error();
  EXPECT_EQ(caller_.commit(*mine->device, some_changes()).error().code, Errc::fenced);
  EXPECT_TRUE(caller_.commit(*taken->device, some_changes()));
}

TEST_F(SqliteStoreTest, AStoreWithoutANameIsItself) {
  const auto one = make();
  auto mine = caller_.open(*one, "a");
  EXPECT_EQ(caller_.open(*make(), "a").error().code, Errc::fenced);
}

TEST_F(SqliteStoreTest, ALeaseOfAnotherBootHasLapsed) {
  auto one = make("one");
  auto mine = caller_.open(*one, "a");
  Outsider(path()).run("UPDATE owner SET boot = 'before'");
  EXPECT_TRUE(caller_.open(*make("two"), "a"));
}

// ---- commits ------------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, ALockedFileFailsTheCommitAndNothingElse) {
  const auto store = make(impatient());
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  {
    Outsider outsider(path());
    outsider.run("BEGIN IMMEDIATE");
    const auto committed = caller_.commit(*opened->device, {Erase{"credentials", {}}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Errc::environment);
    EXPECT_THAT(committed.error().detail,
                testing::AllOf(HasSubstr("testline.db is locked"), HasSubstr("end what holds it")));
    EXPECT_EQ(caller_.read(*store, "a")->records, some_records());
  }
  ASSERT_TRUE(caller_.commit(*opened->device, {Erase{"credentials", {}}}));
}

TEST_F(SqliteStoreTest, ADamagedDeviceDoesNotDisturbTheOthersOfItsTransaction) {
  const auto store = make();
  auto a = caller_.open(*store, "a");
  auto b = caller_.open(*store, "b");
  ASSERT_TRUE(caller_.commit(*a->device, some_changes()));
  Outsider(path()).run("UPDATE device SET generation = 9 WHERE name = 'a'");
  std::vector<Result<void>> results;
  const auto keep = [&](Result<void> result) { results.push_back(result); };
  b->device->commit("", {Put{"k", "1", {}}}, keep);
  a->device->commit("", {Put{"k", "1", {}}}, keep);
  b->device->commit("", {Put{"k", "2", {}}}, keep);
  caller_.io.restart();
  caller_.io.run();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[0]);
  EXPECT_EQ(results[1].error().code, Errc::malformed);
  EXPECT_TRUE(results[2]);
  EXPECT_EQ(caller_.read(*store, "b")->records.at("k").size(), 2u);
  EXPECT_FALSE(caller_.read(*store, "a"));
  a->device.reset();
  EXPECT_EQ(caller_.open(*store, "a").error().code, Errc::malformed);
  ASSERT_TRUE(caller_.erase(*store, "a")) << "who says so gets rid of it";
  EXPECT_EQ(caller_.open(*store, "a")->stored.records, Records{});
}

TEST_F(SqliteStoreTest, ManyDevicesAndCommitsAtOnce) {
  const auto store = make();
  constexpr int kDevices = 50;
  constexpr int kCommits = 40;
  std::vector<std::shared_ptr<DeviceStore>> devices;
  for (int i = 0; i < kDevices; ++i) {
    devices.push_back(caller_.open(*store, "d" + std::to_string(i))->device);
  }
  int done = 0;
  for (int n = 0; n < kCommits; ++n) {
    for (const auto& device : devices) {
      device->commit("", {Put{"n", "now", bytes({n})}, Put{"n", std::to_string(n), {}}},
                     [&](Result<void> result) { done += result ? 1 : 0; });
    }
  }
  caller_.io.restart();
  caller_.io.run();
  EXPECT_EQ(done, kDevices * kCommits);
  for (int i = 0; i < kDevices; ++i) {
    const auto stored = caller_.read(*store, "d" + std::to_string(i));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->generation, static_cast<std::uint64_t>(kCommits));
    EXPECT_EQ(stored->records.at("n").size(), kCommits + 1u);
  }
}

// ---- records that are loaded when they are needed -----------------------------------------------

TEST_F(SqliteStoreTest, OpenGivesTheResidentKindsAndNamesTheOthers) {
  auto given = options();
  given.resident = {"credentials"};
  const auto store = SqliteStore::at(caller_.io, given).value();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  opened->device.reset();

  opened = caller_.open(*store, "a");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->stored.records,
            (Records{{"credentials", {{"self", bytes({1, 2, 3})}}}, {"pre_key", {}}}));
  EXPECT_EQ(*caller_.load(*opened->device, {{"pre_key", "2"}}), Loaded{bytes({255, 0})});
  EXPECT_EQ(caller_.read(*store, "a")->records, some_records()) << "who looks sees everything";
}

TEST_F(SqliteStoreTest, ADamagedRecordIsAnErrorOfItsLoad) {
  auto given = options();
  given.resident = {"credentials"};
  const auto store = SqliteStore::at(caller_.io, given).value();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  Outsider(given.path).run("UPDATE record SET bytes = x'07' WHERE key = '2'");

  const auto loaded = caller_.load(*opened->device, {{"credentials", "self"}, {"pre_key", "2"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::malformed);
  EXPECT_THAT(loaded.error().detail, HasSubstr("pre_key/2"));
  EXPECT_TRUE(caller_.load(*opened->device, {{"pre_key", "1"}}));
}

// ---- damage -------------------------------------------------------------------------------------

/// Every change of the rows by somebody who does not know the checksums.
TEST_F(SqliteStoreTest, RowsThatSomebodyElseChangedAreDamage) {
  for (const char* sql :
       {"UPDATE record SET bytes = x'00' WHERE kind = 'credentials'",
        "UPDATE record SET key = 'other' WHERE kind = 'credentials'",
        "UPDATE record SET kind = 'other' WHERE kind = 'credentials'",
        "UPDATE record SET device = 'a', key = 'x' WHERE device = 'b' AND key = '1'",
        "UPDATE record SET device = 'z' WHERE device = 'a' AND key = '2'",
        "DELETE FROM record WHERE device = 'a' AND key = '2'", "DELETE FROM record",
        "INSERT INTO record SELECT id + 100, device, kind, key || 'x', bytes, checksum FROM record",
        "UPDATE record SET checksum = x''", "DELETE FROM device WHERE name = 'a'",
        "UPDATE device SET generation = 0", "UPDATE device SET records = 1",
        "UPDATE device SET digest = x'00'", "UPDATE device SET seal = digest",
        // A whole record of an earlier time, with its right checksum.
        "DELETE FROM record; INSERT INTO record SELECT * FROM earlier"}) {
    SCOPED_TRACE(sql);
    TemporaryDirectory directory;
    auto given = options();
    given.path = directory / "testline.db";
    {
      const auto store = SqliteStore::at(caller_.io, given).value();
      for (const char* name : {"a", "b"}) {
        auto opened = caller_.open(*store, name);
        ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
      }
    }
    {
      Outsider outsider(given.path);
      outsider.run("CREATE TEMP TABLE earlier AS SELECT * FROM record");
      if (std::string_view(sql).find("earlier") != std::string_view::npos) {
        const auto store = SqliteStore::at(caller_.io, given).value();
        auto opened = caller_.open(*store, "a");
        ASSERT_TRUE(caller_.commit(*opened->device, {Put{"credentials", "self", bytes({9})}}));
      }
      outsider.run(sql);
    }
    const auto store = SqliteStore::at(caller_.io, given).value();
    const auto opened = caller_.open(*store, "a");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::malformed);
    EXPECT_THAT(opened.error().detail,
                testing::AllOf(HasSubstr("testline.db"), HasSubstr("device \"a\" is damaged"),
                               HasSubstr("left as it is")));
    EXPECT_FALSE(caller_.read(*store, "a"));
  }
}

/// A file with several pages of every table, and what is in it.
class DamageTest : public SqliteStoreTest {
 protected:
  static constexpr int kDevices = 30;

  void SetUp() override {
    SeededRandom random(1);
    const auto store = make();
    for (int i = 0; i < kDevices; ++i) {
      std::vector<Change> changes;
      for (int n = 0; n < 8; ++n) {
        Bytes bytes(n == 0 ? 900 : 64);
        random.fill(bytes);
        changes.push_back(Put{n == 0 ? "credentials" : "pre_key", std::to_string(n), bytes});
      }
      auto opened = caller_.open(*store, name(i));
      ASSERT_TRUE(opened);
      ASSERT_TRUE(caller_.commit(*opened->device, changes));
      right_[name(i)] = caller_.read(*store, name(i))->records;
    }
  }

  static std::string name(int i) { return "device-" + std::to_string(i); }

  enum class Outcome { right, refused, wrong };
  /// Reads one device of the file at `path`, and now and then opens it, which writes.
  Outcome outcome(const std::string& at, const std::string& device) {
    auto given = options();
    given.path = at;
    const auto store = SqliteStore::at(caller_.io, given);
    if (!store) return typed(store.error());
    const auto stored = caller_.read(**store, device);
    if (!stored) return typed(stored.error());
    if (stored->records != right_[device]) return Outcome::wrong;
    if (++reads_ % 8 != 0) return Outcome::right;
    auto opened = caller_.open(**store, device);
    if (!opened) return typed(opened.error());
    return opened->stored.records == right_[device] ? Outcome::right : Outcome::wrong;
  }
  static Outcome typed(const Error& error) {
    const bool right = error.code == Errc::malformed || error.code == Errc::environment;
    return right ? Outcome::refused : Outcome::wrong;
  }

  std::map<std::string, Records> right_;
  int reads_ = 0;
};

TEST_F(DamageTest, AByteThatChangedInAnyPageIsAnErrorOrDoesNotMatter) {
  constexpr std::size_t kPage = 4096;
  const Bytes whole = contents_of(path());
  ASSERT_GE(whole.size(), 15 * kPage);
  TemporaryDirectory other;
  const std::string at = other / "testline.db";
  int refusals = 0;
  int cases = 0;
  for (std::size_t page = 0; page < whole.size(); page += kPage) {
    std::vector<std::size_t> offsets;
    const std::size_t header = page == 0 ? 112 : 24;
    for (std::size_t i = 0; i < header; i += page == 0 ? 1 : 3) offsets.push_back(i);
    for (std::size_t i = header; i < kPage; i += 311) offsets.push_back(i + page / kPage % 300);
    for (const std::size_t offset : offsets) {
      if (offset >= kPage) continue;
      for (const int flip : {0x01, 0xff}) {
        const std::string device = name(++cases % kDevices);
        SCOPED_TRACE("page " + std::to_string(page / kPage) + " byte " + std::to_string(offset) +
                     " flip " + std::to_string(flip) + " " + device);
        Bytes damaged = whole;
        damaged[page + offset] ^= static_cast<std::byte>(flip);
        overwrite(at, damaged);
        const Outcome found = outcome(at, device);
        ASSERT_NE(found, Outcome::wrong);
        if (found == Outcome::refused) {
          ++refusals;
          ASSERT_EQ(contents_of(at), damaged) << "it stays as it is";
        }
        for (const char* suffix : {"-wal", "-shm"}) fs::remove(at + suffix);
      }
    }
  }
  EXPECT_GT(refusals, cases / 20) << "of " << cases;
}

TEST_F(DamageTest, AFileThatIsCutAnywhereIsAnError) {
  const Bytes whole = contents_of(path());
  TemporaryDirectory other;
  const std::string at = other / "testline.db";
  int refused = 0;
  for (std::size_t size = 0; size < whole.size(); size += 1024) {
    SCOPED_TRACE(size);
    overwrite(at, ByteSpan(whole).first(size));
    for (const int device : {0, kDevices / 2, kDevices - 1}) {
      const Outcome found = outcome(at, name(device));
      ASSERT_NE(found, Outcome::wrong);
      refused += found == Outcome::refused ? 1 : 0;
    }
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(at + suffix);
  }
  EXPECT_GT(refused, 10);
}

TEST_F(DamageTest, AFileOfZerosAndAnEmptyOneAreErrors) {
  const std::size_t size = contents_of(path()).size();
  for (const std::size_t zeros : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, size}) {
    SCOPED_TRACE(zeros);
    overwrite(path(), Bytes(zeros));
    EXPECT_EQ(refused().code, Errc::malformed);
    EXPECT_EQ(contents_of(path()), Bytes(zeros));
  }
}

/// What was not brought home when the process was killed, damaged anywhere, is one of the states
/// that were durable once, never another one.
TEST_F(DamageTest, ADamagedWriteAheadLogLeavesAStateThatWasDurable) {
  std::vector<Records> states{right_[name(0)]};
  const auto store = make();
  auto opened = caller_.open(*store, name(0));
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(caller_.commit(*opened->device, {Put{"credentials", "0", Bytes(700, std::byte(i))},
                                                 Erase{"pre_key", std::to_string(i + 1)}}));
    states.push_back(caller_.read(*store, name(0))->records);
  }
  const Bytes file = contents_of(path());
  const Bytes log = contents_of(path() + "-wal");
  ASSERT_GT(log.size(), 8 * 4096u);

  TemporaryDirectory other;
  auto given = options();
  given.path = other / "testline.db";
  std::set<std::size_t> seen;
  for (std::size_t at = 0; at < log.size(); at += 977) {
    SCOPED_TRACE(at);
    Bytes damaged = log;
    damaged[at] ^= std::byte{0x10};
    overwrite(given.path, file);
    overwrite(given.path + "-wal", damaged);
    fs::remove(given.path + "-shm");
    const auto again = SqliteStore::at(caller_.io, given);
    if (!again) {
      ASSERT_EQ(typed(again.error()), Outcome::refused);
      continue;
    }
    const auto stored = caller_.read(**again, name(0));
    ASSERT_TRUE(stored) << stored.error();
    const auto found = std::find(states.begin(), states.end(), stored->records);
    ASSERT_NE(found, states.end());
    seen.insert(static_cast<std::size_t>(found - states.begin()));
  }
  EXPECT_GT(seen.size(), 3u) << "the test damages what matters";
}

// ---- who may not write --------------------------------------------------------------------------

TEST_F(SqliteStoreTest, AReadOnlyDirectoryIsAnErrorThatSaysSo) {
  store_some("a");
  const Bytes before = contents_of(path());
  const auto check = [&] {
    const auto made = SqliteStore::at(caller_.io, options());
    if (!made) {
      EXPECT_EQ(made.error().code, Errc::environment);
      EXPECT_THAT(made.error().detail, HasSubstr("testline.db"));
      return;
    }
    const auto opened = caller_.open(**made, "a");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::environment) << opened.error();
    EXPECT_THAT(opened.error().detail, HasSubstr("testline.db"));
  };
  constexpr uid_t kNobody = 65534;
  // Nothing is read-only for root: it looks through another user's eyes, in a process of its own.
  const auto as_somebody = [&] {
    if (::geteuid() == 0) {
      for (const std::string& file : {directory_.path(), path()}) {
        if (::chown(file.c_str(), kNobody, kNobody) != 0) std::_Exit(2);
      }
      if (::setuid(kNobody) != 0) std::_Exit(3);
    }
    check();
    if (testing::Test::HasFailure()) std::_Exit(1);
    std::_Exit(0);
  };
  fs::permissions(directory_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EXIT(as_somebody(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(contents_of(path()), before);
  fs::permissions(path(), fs::perms::owner_read);
  EXPECT_EXIT(as_somebody(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(contents_of(path()), before);
}

}  // namespace
}  // namespace wa::store

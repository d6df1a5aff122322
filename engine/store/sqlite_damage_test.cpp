#include "engine/store/sqlite_store_test_support.hpp"

namespace wa::store {
namespace {

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

}  // namespace
}  // namespace wa::store

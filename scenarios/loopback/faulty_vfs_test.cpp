#include "scenarios/loopback/faulty_vfs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <thread>

#include "engine/store/sqlite_store.hpp"
#include "tests/support/test_support.hpp"

namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using stage::DiskFault;
using store::Put;
using store::SqliteStore;
using store::Store;
using test::bytes;

struct Case {
  const char* word;
  DiskFault fault;
  const char* says;  ///< of a commit
};
void PrintTo(const Case& fault, std::ostream* out) {
  *out << fault.word;
}

class FaultyVfsTest : public testing::Test {
 protected:
  void SetUp() override {
    SqliteStore::Options options;
    options.path = directory_ / "testline.db";
    options.vfs = "faulty";
    options.busy_timeout = 50ms;
    auto made = SqliteStore::at(io_, options);
    ASSERT_TRUE(made) << made.error();
    store_ = std::move(*made);
    store_->open("a", [&](Result<Store::Opened> opened) { a_ = std::move(opened->device); });
    run();
    ASSERT_TRUE(a_);
  }
  void run() {
    io_.restart();
    io_.run();
  }
  Result<void> commit(int value) {
    Result<void> committed;
    a_->commit("", {Put{"k", "1", bytes({value})}, Put{"k", "2", Bytes(9000, std::byte(value))}},
               [&](Result<void> result) { committed = result; });
    run();
    return committed;
  }
  /// What is stored, which is what one commit wrote; -1: nothing.
  Result<int> value() { return value_in(*store_); }
  Result<int> value_in(Store& store) {
    Result<store::Stored> stored = store::Stored{};
    store.read("a", [&](Result<store::Stored> read) { stored = std::move(read); });
    run();
    if (!stored) return stored.error();
    if (stored->records.empty()) return -1;
    const int value = std::to_integer<int>(stored->records.at("k").at("1").at(0));
    EXPECT_EQ(stored->records.at("k").at("2"), Bytes(9000, std::byte(value)));
    return value;
  }

  FaultyVfs vfs_{"faulty"};
  test::TemporaryDirectory directory_;
  boost::asio::io_context io_;
  std::unique_ptr<Store> store_;
  std::shared_ptr<store::DeviceStore> a_;
};

class FailingDiskTest : public FaultyVfsTest, public testing::WithParamInterface<Case> {};

TEST_P(FailingDiskTest, ACommitFailsAsAWholeAndTheNextOneSucceedsWhenTheFaultEnds) {
  const DiskFault fault = GetParam().fault;
  ASSERT_TRUE(commit(1));
  for (int round = 2; round < 6; ++round) {
    SCOPED_TRACE(round);
    vfs_.set(fault, true);
    const auto before = vfs_.acts();
    const auto committed = commit(100 + round);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Errc::environment);
    EXPECT_THAT(committed.error().detail, testing::AllOf(testing::HasSubstr("testline.db"),
                                                         testing::HasSubstr(GetParam().says)));
    EXPECT_GT(vfs_.acts(), before);
    vfs_.set(fault, false);
    EXPECT_EQ(value().value(), round - 1);
    const auto again = commit(round);
    ASSERT_TRUE(again) << again.error();
    EXPECT_EQ(value().value(), round);
  }
  // And what another process finds is the same.
  a_.reset();
  store_.reset();
  SetUp();
  EXPECT_EQ(value().value(), 5);
}

TEST_P(FailingDiskTest, AStoreThatIsKilledMeanwhileKeepsWhatWasDurable) {
  ASSERT_TRUE(commit(1));
  vfs_.set(GetParam().fault, true);
  ASSERT_FALSE(commit(2));
  // The process is gone, and nothing of it is brought home: another one on a copy of its files.
  test::TemporaryDirectory other;
  for (const char* name : {"testline.db", "testline.db-wal"}) {
    std::filesystem::copy(directory_ / name, other / name);
  }
  SqliteStore::Options options;
  options.path = other / "testline.db";
  auto again = SqliteStore::at(io_, options);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(value_in(**again).value(), 1);
  vfs_.set(GetParam().fault, false);
}

INSTANTIATE_TEST_SUITE_P(Faults, FailingDiskTest,
                         testing::Values(Case{"enospc", DiskFault::enospc, "full"},
                                         Case{"eio", DiskFault::eio, "disk failed"},
                                         Case{"short", DiskFault::short_write, "full"},
                                         Case{"busy", DiskFault::busy, "locked"},
                                         Case{"readonly", DiskFault::readonly, "cannot be written"},
                                         Case{"torn", DiskFault::torn, "disk failed"}),
                         [](const auto& fault) { return std::string(fault.param.word); });

TEST_F(FaultyVfsTest, ASlowDiskTakesItsTime) {
  vfs_.set(DiskFault::slow, true, 60ms);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(commit(1));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 60ms);
  vfs_.set(DiskFault::slow, false);
  EXPECT_EQ(value().value(), 1);
}

TEST_F(FaultyVfsTest, AFileThatIsBusyForAWhileIsWaitedFor) {
  vfs_.set(DiskFault::busy, true, 5ms);  // less than the store's patience
  EXPECT_TRUE(commit(1));
  vfs_.set(DiskFault::busy, true, 1h);
  EXPECT_FALSE(commit(2));
  vfs_.set(DiskFault::busy, false);
  EXPECT_TRUE(commit(3));
}

TEST_F(FaultyVfsTest, ABusyFileThatBecomesFreeInTimeIsNoError) {
  a_.reset();
  store_.reset();
  SqliteStore::Options options;
  options.path = directory_ / "testline.db";
  options.vfs = "faulty";
  options.busy_timeout = 60s;
  store_ = SqliteStore::at(io_, options).value();
  store_->open("a", [&](Result<Store::Opened> opened) { a_ = std::move(opened->device); });
  run();
  vfs_.set(DiskFault::busy, true);
  std::thread other([&] {
    while (vfs_.acts() < 3) std::this_thread::yield();
    vfs_.set(DiskFault::busy, false);
  });
  EXPECT_TRUE(commit(1));
  other.join();
}

}  // namespace
}  // namespace wa::loopback

#include "scenarios/loopback/stored_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>

#include "engine/store/sqlite_store.hpp"
#include "tests/support/test_support.hpp"

namespace wa::loopback {
namespace {

using stage::Damage;
using test::bytes;

class StoredRecordsTest : public testing::Test {
 protected:
  std::string path() const { return directory_ / std::string(kDatabase); }
  StoredDevice place(std::string device) const { return {directory_ / "", std::move(device)}; }
  std::unique_ptr<store::SqliteStore> store() {
    store::SqliteStore::Options options;
    options.path = path();
    options.owner = "the engine";
    auto made = store::SqliteStore::at(io_, std::move(options));
    EXPECT_TRUE(made) << made.error();
    return made ? std::move(*made) : nullptr;
  }
  /// What a process makes of a device that it starts.
  Result<store::Store::Opened> open(store::Store& store, const std::string& device) {
    Result<store::Store::Opened> answer = Error{Errc::timed_out, "no answer"};
    store.open(device, [&](Result<store::Store::Opened> opened) { answer = std::move(opened); });
    run();
    return answer;
  }
  Result<void> erase(store::Store& store, const std::string& device) {
    Result<void> answer = Error{Errc::timed_out, "no answer"};
    store.erase(device, [&](Result<void> erased) { answer = std::move(erased); });
    run();
    return answer;
  }
  void store_some(const std::string& device) {
    const auto made = store();
    auto opened = open(*made, device);
    ASSERT_TRUE(opened) << opened.error();
    Result<void> answer = Error{Errc::timed_out, "no answer"};
    opened->device->commit(
        "",
        {store::Put{"credentials", "self", bytes({1, 2, 3})}, store::Put{"pre_key", "1", {}},
         store::Put{"pre_key", "2", bytes({255, 0})}},
        [&](Result<void> committed) { answer = std::move(committed); });
    run();
    ASSERT_TRUE(answer) << answer.error();
  }
  void run() {
    io_.restart();
    io_.run();
  }
  std::string digest(const std::string& device) {
    const auto records = read_records(place(device));
    EXPECT_TRUE(records) << records.error();
    return records ? stage::digest_of(*records) : std::string();
  }
  Result<stage::DamagedRecord> damage(const std::string& device, Damage::How how,
                                      const std::string& kind, const std::string& key = {}) {
    return damage_record(place(device), {how, kind, key});
  }

  test::TemporaryDirectory directory_;
  boost::asio::io_context io_;
};

TEST_F(StoredRecordsTest, EveryDamageIsFoundByTheStoreAndStaysUntilTheDeviceIsDeleted) {
  for (const Damage::How how : {Damage::How::flip, Damage::How::truncate, Damage::How::missing}) {
    SCOPED_TRACE(to_string(how));
    store_some("shop-1");
    store_some("shop-2");
    const std::string whole = digest("shop-1");
    const auto left = damage("shop-1", how, "pre_key", "2");
    ASSERT_TRUE(left) << left.error();
    const std::string spoilt = digest("shop-1");
    EXPECT_NE(spoilt, whole);
    EXPECT_EQ(digest("shop-2"), whole);

    const auto made = store();
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto opened = open(*made, "shop-1");
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, Errc::malformed);
      EXPECT_EQ(digest("shop-1"), spoilt);
    }
    EXPECT_TRUE(open(*made, "shop-2"));
    ASSERT_TRUE(erase(*made, "shop-1"));
    EXPECT_EQ(digest("shop-1"), "");
    EXPECT_TRUE(open(*made, "shop-1"));
  }
}

TEST_F(StoredRecordsTest, ADeviceWithoutANameIsOneToo) {
  store_some("");
  store_some("shop-1");
  ASSERT_TRUE(damage("", Damage::How::flip, "credentials"));
  const auto made = store();
  EXPECT_FALSE(open(*made, ""));
  EXPECT_TRUE(open(*made, "shop-1"));
}

TEST_F(StoredRecordsTest, WhatIsNotThereCannotBeDamaged) {
  EXPECT_EQ(damage("shop-1", Damage::How::flip, "credentials").error().code, Errc::environment);
  EXPECT_EQ(read_records(place("shop-1")).error().code, Errc::environment);
  store_some("shop-1");
  const std::string whole = digest("shop-1");
  EXPECT_EQ(damage("shop-2", Damage::How::flip, "credentials").error().detail, "nothing is stored");
  EXPECT_EQ(damage("shop-1", Damage::How::flip, "session").error().code, Errc::not_found);
  EXPECT_EQ(damage("shop-1", Damage::How::flip, "pre_key", "1").error().code, Errc::not_found)
      << "it has no bytes";
  EXPECT_EQ(digest("shop-1"), whole);
}

TEST_F(StoredRecordsTest, ACopyThatIsRestoredIsAsGoodAsWhatItWasMadeOf) {
  store_some("shop-1");
  store_some("shop-2");
  const std::string then = digest("shop-1");
  const auto copy = copy_records(place("shop-1"));
  ASSERT_TRUE(copy) << copy.error();
  std::uint64_t generation = 0;
  {
    const auto made = store();
    auto opened = open(*made, "shop-1");
    ASSERT_TRUE(opened) << opened.error();
    generation = opened->stored.generation;
    opened->device->commit("",
                           {store::Put{"session", "1", bytes({9})}, store::Erase{"pre_key", {}}},
                           [](Result<void> committed) { EXPECT_TRUE(committed); });
    run();
  }
  EXPECT_NE(digest("shop-1"), then);
  ASSERT_TRUE(restore_records(place("shop-1"), *copy));
  EXPECT_EQ(digest("shop-1"), then);
  EXPECT_EQ(digest("shop-2"), then) << "the other one has the same records, and still has";
  const auto made = store();
  const auto opened = open(*made, "shop-1");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->stored.generation, generation) << "as it was then";
  EXPECT_EQ(copy_records(place("shop-3")).error().code, Errc::not_found);
}

TEST_F(StoredRecordsTest, AFileThatIsNoDatabaseIsMalformed) {
  std::ofstream(path(), std::ios::binary) << std::string(4096, 'x');
  EXPECT_EQ(read_records(place("shop-1")).error().code, Errc::malformed);
  EXPECT_EQ(damage("shop-1", Damage::How::flip, "credentials").error().code, Errc::malformed);
}

}  // namespace
}  // namespace wa::loopback

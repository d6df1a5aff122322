#include "scenarios/loopback/stored_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/store/sqlite_store.hpp"
#include "engine/store/store_test_support.hpp"

namespace wa::loopback {
namespace {

using stage::Damage;
using testing::HasSubstr;

class StoredRecordsTest : public testing::Test {
 protected:
  std::string path() const { return directory_ / std::string(kDatabase); }
  StoredDevice place(std::string device) const { return {directory_ / "", std::move(device)}; }
  std::unique_ptr<store::SqliteStore> store() {
    store::SqliteStore::Options options;
    options.path = path();
    options.owner = "the engine";
    auto made = store::SqliteStore::at(caller_.io, std::move(options));
    EXPECT_TRUE(made) << made.error();
    return made ? std::move(*made) : nullptr;
  }
  void store_some(const std::string& device) {
    const auto made = store();
    auto opened = caller_.open(*made, device);
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_TRUE(caller_.commit(*opened->device, store::some_changes()));
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
  store::Caller caller_;
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
      const auto opened = caller_.open(*made, "shop-1");
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, Errc::malformed);
      EXPECT_EQ(digest("shop-1"), spoilt);
    }
    EXPECT_TRUE(caller_.open(*made, "shop-2"));
    ASSERT_TRUE(caller_.erase(*made, "shop-1"));
    EXPECT_EQ(digest("shop-1"), "");
    EXPECT_TRUE(caller_.open(*made, "shop-1"));
  }
}

TEST_F(StoredRecordsTest, ADeviceWithoutANameIsOneToo) {
  store_some("");
  store_some("shop-1");
  ASSERT_TRUE(damage("", Damage::How::flip, "credentials"));
  const auto made = store();
  EXPECT_FALSE(caller_.open(*made, ""));
  EXPECT_TRUE(caller_.open(*made, "shop-1"));
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

TEST_F(StoredRecordsTest, AFileThatIsNoDatabaseIsMalformed) {
  store::overwrite(path(), Bytes(4096, std::byte{7}));
  EXPECT_EQ(read_records(place("shop-1")).error().code, Errc::malformed);
  EXPECT_EQ(damage("shop-1", Damage::How::flip, "credentials").error().code, Errc::malformed);
}

}  // namespace
}  // namespace wa::loopback

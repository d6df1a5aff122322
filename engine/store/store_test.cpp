#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/store/memory_store.hpp"
#include "engine/store/sqlite_store.hpp"
#include "engine/store/store_test_support.hpp"

namespace wa::store {
namespace {

using test::bytes;
using test::TemporaryDirectory;

// ---- changes ------------------------------------------------------------------------------------

TEST(ChangesTest, PutReplacesAndEraseRemovesAKeyOrAKind) {
  Records records = some_records();
  apply({Put{"pre_key", "2", bytes({7})}, Erase{"pre_key", "1"}, Erase{"credentials", {}},
         Erase{"nothing", {}}, Erase{"pre_key", "none"}},
        records);
  EXPECT_EQ(records, (Records{{"pre_key", {{"2", bytes({7})}}}}));

  apply({Erase{"pre_key", "2"}}, records);
  EXPECT_EQ(records, Records{}) << "a kind without records is not there";
}

TEST(ChangesTest, FindsARecordOrNothing) {
  const Records records = some_records();
  ASSERT_NE(find(records, "pre_key", "2"), nullptr);
  EXPECT_EQ(*find(records, "pre_key", "2"), bytes({255, 0}));
  EXPECT_EQ(find(records, "pre_key", "3"), nullptr);
  EXPECT_EQ(find(records, "other", "2"), nullptr);
}

// ---- every store --------------------------------------------------------------------------------

class EveryStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      store_ = std::make_unique<MemoryStore>(caller_.io);
      return;
    }
    SqliteStore::Options options;
    options.path = directory_ / "testline.db";
    auto made = SqliteStore::at(caller_.io, std::move(options));
    ASSERT_TRUE(made) << made.error();
    store_ = std::move(*made);
  }

  TemporaryDirectory directory_;
  Caller caller_;
  std::unique_ptr<Store> store_;
};

TEST_P(EveryStoreTest, ADeviceThatWasNeverStoredHasNoRecords) {
  const auto opened = caller_.open(*store_, "new");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(opened->stored.records.empty());
  EXPECT_EQ(caller_.read(*store_, "other")->records, Records{});
}

TEST_P(EveryStoreTest, WhatWasCommittedIsThereWhenOpenedAgain) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  ASSERT_TRUE(caller_.commit(*opened->device, {Erase{"pre_key", "1"}}));
  opened->device.reset();

  Records expected = some_records();
  expected["pre_key"].erase("1");
  EXPECT_EQ(caller_.open(*store_, "a").value().stored.records, expected);
  EXPECT_EQ(caller_.read(*store_, "a")->records, expected);
  EXPECT_EQ(caller_.read(*store_, "b")->records, Records{}) << "devices do not see each other";
}

TEST_P(EveryStoreTest, CommitsBecomeDurableInTheirOrder) {
  auto opened = caller_.open(*store_, "a");
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) {
    opened->device->commit("", {Put{"counter", "now", bytes({i})}}, [&order, i](Result<void> done) {
      EXPECT_TRUE(done);
      order.push_back(i);
    });
  }
  opened->device.reset();  // what is under way is finished
  caller_.io.restart();
  caller_.io.run();

  EXPECT_EQ(order.size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(*find(caller_.read(*store_, "a")->records, "counter", "now"), bytes({19}));
}

TEST_P(EveryStoreTest, ALoadGivesWhatWasCommittedBeforeIt) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  opened->device->commit("", some_changes(), [](Result<void>) {});
  std::optional<Loaded> loaded;
  opened->device->load({{"pre_key", "2"}, {"pre_key", "9"}, {"credentials", "self"}},
                       [&](Result<Loaded> result) { loaded = std::move(*result); });
  opened->device->commit("", {Erase{"pre_key", "2"}}, [](Result<void>) {});
  caller_.io.restart();
  caller_.io.run();
  EXPECT_EQ(loaded, (Loaded{bytes({255, 0}), std::nullopt, bytes({1, 2, 3})}));
  EXPECT_EQ(*caller_.load(*opened->device, {{"pre_key", "2"}}), Loaded{std::nullopt});
  EXPECT_EQ(*caller_.load(*opened->device, {}), Loaded{});
}

TEST_P(EveryStoreTest, EraseRemovesEverythingOfOneDevice) {
  for (const char* name : {"a", "b"}) {
    auto opened = caller_.open(*store_, name);
    ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  }
  ASSERT_TRUE(caller_.erase(*store_, "a"));
  ASSERT_TRUE(caller_.erase(*store_, "never"));

  EXPECT_EQ(caller_.read(*store_, "a")->records, Records{});
  EXPECT_EQ(caller_.read(*store_, "b")->records, some_records());
}

TEST_P(EveryStoreTest, TheGenerationGrowsWithEveryCommitAndNeverFalls) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  std::uint64_t last = opened->stored.generation;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
    const std::uint64_t now = caller_.read(*store_, "a")->generation;
    EXPECT_GT(now, last);
    last = now;
  }
  opened->device.reset();
  ASSERT_TRUE(caller_.erase(*store_, "a"));
  EXPECT_GT(caller_.read(*store_, "a")->generation, last);
  opened = caller_.open(*store_, "a");
  EXPECT_GT(opened->stored.generation, last) << "also of a device that begins anew";
}

TEST_P(EveryStoreTest, ADeviceHasOneOwnerAtATime) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  const auto second = caller_.open(*store_, "a");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::fenced);
  EXPECT_THAT(second.error().detail, testing::HasSubstr("\"a\" is open already"));
  EXPECT_EQ(caller_.erase(*store_, "a").error().code, Errc::fenced);
  EXPECT_TRUE(caller_.open(*store_, "b")) << "another device is another matter";
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes())) << "the owner is as it was";

  opened->device.reset();
  EXPECT_TRUE(caller_.open(*store_, "a"));
}

TEST_P(EveryStoreTest, AReadSeesTheCommitsBeforeIt) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  opened->device->commit("", some_changes(), [](Result<void>) {});
  std::optional<Stored> stored;
  store_->read("a", [&](Result<Stored> read) { stored = std::move(*read); });
  opened->device->commit("", {Erase{"pre_key", {}}}, [](Result<void>) {});
  caller_.io.restart();
  caller_.io.run();
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->records, some_records());
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryStoreTest, testing::Values("memory", "sqlite"),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace wa::store

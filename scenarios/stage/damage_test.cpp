#include "scenarios/stage/damage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/stage/scripted_world.hpp"
#include "tests/support/test_support.hpp"

namespace wa::stage {
namespace {

using namespace std::chrono_literals;
using test::bytes;
using testing::HasSubstr;

StoredRecords records() {
  return {{"credentials", {{"self", bytes({1, 2, 3, 4})}}},
          {"empty", {{"self", {}}}},
          {"pre_key", {{"1", bytes({5})}, {"2", bytes({6})}}}};
}

Damage damage(std::string_view record, std::string_view how) {
  return *parse_damage(record, how);
}

TEST(DamageTest, IsReadFromARecordAndAWord) {
  EXPECT_EQ(damage("pre_key/7", "truncate").kind, "pre_key");
  EXPECT_EQ(damage("pre_key/7", "truncate").key, "7");
  EXPECT_EQ(damage("pre_key/a/b", "missing").key, "a/b");
  EXPECT_EQ(damage("credentials", "flip").key, "");
  for (const char* record : {"", "/", "/self", "credentials/"})
    EXPECT_EQ(parse_damage(record, "flip").error().code, Errc::usage) << record;
  EXPECT_THAT(parse_damage("credentials", "flipp").error().detail,
              HasSubstr("did you mean \"flip\"?"));
}

TEST(DamageTest, ChangesWhatItsWordSays) {
  const auto flipped = damaged(records(), damage("credentials", "flip"));
  ASSERT_TRUE(flipped) << flipped.error();
  EXPECT_EQ(flipped->key, "self");
  EXPECT_EQ(flipped->bytes, bytes({1, 2, 2, 4}));
  EXPECT_EQ(damaged(records(), damage("credentials", "truncate"))->bytes, bytes({1, 2}));
  EXPECT_EQ(damaged(records(), damage("pre_key/2", "truncate"))->bytes, Bytes{});
  const auto gone = damaged(records(), damage("pre_key", "missing"));
  ASSERT_TRUE(gone) << gone.error();
  EXPECT_EQ(gone->key, "1") << "the first of its kind";
  EXPECT_FALSE(gone->bytes);
  EXPECT_TRUE(damaged(records(), damage("empty", "missing")));
}

TEST(DamageTest, OfWhatIsNotThereSaysWhatThereIs) {
  for (const char* record : {"session", "pre_key/3"}) {
    const auto refused = damaged(records(), damage(record, "missing"));
    ASSERT_FALSE(refused) << record;
    EXPECT_EQ(refused.error().code, Errc::not_found);
    EXPECT_THAT(refused.error().detail, HasSubstr("credentials (1), empty (1), pre_key (2)"));
  }
  EXPECT_EQ(damaged(records(), damage("empty", "flip")).error().code, Errc::not_found);
  EXPECT_EQ(damaged({}, damage("credentials", "flip")).error().detail, "nothing is stored");
}

TEST(DamageTest, EveryDamageHasAnotherDigest) {
  EXPECT_EQ(digest_of({}), "");
  const std::string whole = digest_of(records());
  EXPECT_EQ(whole.size(), 64u);
  EXPECT_EQ(whole, digest_of(records()));
  for (const char* how : {"flip", "truncate", "missing"}) {
    StoredRecords other = records();
    const auto left = damaged(other, damage("pre_key/2", how));
    if (left->bytes) other[left->kind][left->key] = *left->bytes;
    if (!left->bytes) other[left->kind].erase(left->key);
    EXPECT_NE(digest_of(other), whole) << how;
  }
  // What moves from a key into the bytes is another record.
  EXPECT_NE(digest_of({{"k", {{"ab", bytes({'c'})}}}}),
            digest_of({{"k", {{"a", bytes({'b', 'c'})}}}}));
}

class DamagedDeviceTest : public testing::Test {
 protected:
  Result<void> damage_it() {
    return device_.damage_stored(damage("credentials", "flip"), world_.devices());
  }
  ScriptedWorld world_;
  ScriptedDevice& device_ = world_.add_device("shop-1");
};

TEST_F(DamagedDeviceTest, IsRefusedWhileAProcessRunsTheDevice) {
  device_.records = records();
  device_.start();
  EXPECT_EQ(damage_it().error().code, Errc::conflict);
  device_.push({Instant(1ms), "state", {{"state", "connected"}}, {}});
  device_.stop();
  EXPECT_THAT(damage_it().error().detail, HasSubstr("device:kill()"));
  device_.push({Instant(2ms), "killed", {}, {}});
  EXPECT_TRUE(damage_it());
  EXPECT_EQ(device_.records["credentials"]["self"], bytes({1, 2, 2, 4}));
  const Entry& last = device_.history().back();
  EXPECT_EQ(describe(last), R"(damaged {"record":"credentials/self","how":"flip"})");

  device_.start();
  EXPECT_EQ(damage_it().error().code, Errc::conflict) << "before it has said anything";
}

TEST_F(DamagedDeviceTest, ACopyIsMadeAtAnyTimeAndRestoredOnceNobodyRunsIt) {
  device_.records = records();
  device_.start();
  EXPECT_EQ(*device_.copy_stored(), 1u);
  device_.records["credentials"]["self"] = bytes({9});
  EXPECT_EQ(*device_.copy_stored(), 2u);
  EXPECT_EQ(device_.restore_stored(1, world_.devices()).error().code, Errc::conflict);
  device_.push({Instant(2ms), "killed", {}, {}});
  ASSERT_TRUE(device_.restore_stored(1, world_.devices()));
  EXPECT_EQ(device_.records, records());
  EXPECT_EQ(describe(device_.history().back()), R"(restored {"copy":1})");
  EXPECT_THAT(device_.restore_stored(3, world_.devices()).error().detail,
              HasSubstr("there is no copy 3"));
  ASSERT_TRUE(device_.restore_stored(2, world_.devices()));
  EXPECT_EQ(device_.records["credentials"]["self"], bytes({9}));
}

TEST_F(DamagedDeviceTest, IsRefusedWhileAnotherProcessRunsIt) {
  device_.records = records();
  ScriptedDevice& second = world_.add_device("shop-1", "second");
  ScriptedDevice& other = world_.add_device("shop-2", "second");
  other.start();
  EXPECT_TRUE(damage_it());
  second.start();
  EXPECT_THAT(damage_it().error().detail, HasSubstr("second"));
}

TEST_F(DamagedDeviceTest, WithoutRecordsIsAnErrorAndNoEntry) {
  const auto refused = damage_it();
  EXPECT_EQ(refused.error(), (Error{Errc::not_found, "device shop-1: nothing is stored"}));
  EXPECT_TRUE(device_.history().empty());
}

}  // namespace
}  // namespace wa::stage

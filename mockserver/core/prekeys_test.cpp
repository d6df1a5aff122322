#include "mockserver/core/prekeys.hpp"

#include <gtest/gtest.h>

#include <set>

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

using Upload = PreKeyStock::Upload;

crypto::PublicKey key(std::uint32_t number) {
  crypto::PublicKey key;
  key.bytes[0] = static_cast<std::byte>(number);
  key.bytes[1] = static_cast<std::byte>(number >> 8);
  key.bytes[2] = static_cast<std::byte>(number >> 16);
  return key;
}

TEST(PreKeyStockTest, HandsOutEveryKeyOnce) {
  PreKeyStock stock;
  for (std::uint32_t id = 1; id <= 3; ++id) EXPECT_EQ(stock.add(id, key(id)), Upload::added);
  std::set<std::uint32_t> taken;
  while (const auto one = stock.take()) {
    EXPECT_EQ(one->key, key(one->id));
    EXPECT_TRUE(taken.insert(one->id).second);
  }
  EXPECT_EQ(taken, (std::set<std::uint32_t>{1, 2, 3}));
  EXPECT_FALSE(stock.take());
}

TEST(PreKeyStockTest, AKeyThatSomebodyHasIsNotOfferedAgain) {
  PreKeyStock stock;
  (void)stock.add(1, key(1));
  (void)stock.take();
  EXPECT_EQ(stock.add(1, key(1)), Upload::handed_out);
  EXPECT_TRUE(stock.empty());
}

TEST(PreKeyStockTest, TheSameUploadTwiceIsNoConflict) {
  PreKeyStock stock;
  (void)stock.add(1, key(1));
  EXPECT_EQ(stock.add(1, key(1)), Upload::known);
  EXPECT_EQ(stock.size(), 1u);
}

TEST(PreKeyStockTest, AnotherKeyUnderAnOldIdReplacesItAndIsAConflict) {
  PreKeyStock stock;
  (void)stock.add(1, key(1));
  EXPECT_EQ(stock.add(1, key(7)), Upload::conflicting);
  EXPECT_EQ(stock.take()->key, key(7));
  EXPECT_EQ(stock.add(1, key(8)), Upload::conflicting) << "somebody has id 1";
  EXPECT_EQ(stock.take()->key, key(8));
}

TEST(PreKeyStockTest, RemembersABoundedNumberOfThem) {
  PreKeyStock stock;
  const auto most = static_cast<std::uint32_t>(limits::kMaxHandedOutKeys);
  for (std::uint32_t id = 1; id <= most + 5; ++id) {
    (void)stock.add(id, key(id));
    (void)stock.take();
  }
  EXPECT_EQ(stock.handed_out().size(), most);
  EXPECT_EQ(stock.add(most + 5, key(most + 5)), Upload::handed_out);
}

TEST(PhoneKeysTest, TheSignedKeyIsSignedByTheIdentity) {
  SeededRandom random(1);
  const crypto::KeyPair identity = crypto::generate_key_pair(random);
  const PhoneKeys keys = PhoneKeys::make(identity, random);
  EXPECT_GT(keys.registration_id, 0u);
  EXPECT_LT(keys.registration_id, 0x4000u);
  const Bytes message = concat(Bytes{std::byte{5}}, keys.signed_pre_key.key.public_key);
  EXPECT_TRUE(crypto::verify(identity.public_key, message, keys.signed_pre_key.signature, ""));
}

TEST(PhoneKeysTest, EveryBundleHasAKeyOfItsOwnWhosePrivateHalfIsKept) {
  SeededRandom random(1);
  const crypto::KeyPair identity = crypto::generate_key_pair(random);
  PhoneKeys keys = PhoneKeys::make(identity, random);
  const DeviceBundle first = keys.bundle(identity.public_key, random);
  const DeviceBundle second = keys.bundle(identity.public_key, random);
  ASSERT_TRUE(first.one_time);
  EXPECT_NE(first.one_time->id, second.one_time->id);
  EXPECT_EQ(keys.one_time.at(first.one_time->id).public_key, first.one_time->key);
}

TEST(PhoneKeysTest, IdsBeginAnewBeforeTheyOutgrowTheirThreeBytes) {
  SeededRandom random(1);
  PhoneKeys keys;
  keys.next_one_time_id = kMaxPreKeyId;
  EXPECT_EQ(keys.hand_out(random).id, kMaxPreKeyId);
  EXPECT_EQ(keys.hand_out(random).id, 1u);
}

}  // namespace
}  // namespace wa::mock

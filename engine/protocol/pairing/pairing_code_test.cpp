#include "engine/protocol/pairing/pairing_code.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/support/test_support.hpp"

namespace wa::pairing {
namespace {

using test::hex_at;
using test::text_at;

/// Gives what it is told to, in order.
class Scripted final : public Random {
 public:
  explicit Scripted(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) byte = bytes_.at(used_++);
  }

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

crypto::KeyPair key_pair(const boost::json::value& json) {
  crypto::KeyPair pair;
  pair.private_key = *crypto::PrivateKey::from(hex_at(json, "private"), "private");
  pair.public_key = *crypto::PublicKey::from(hex_at(json, "public"), "public");
  return pair;
}

/// The vectors, which were computed with another client's functions.
struct Vectors {
  boost::json::value json = test::vectors("pairing-code.json");
  std::string code = text_at(json, "code");
  crypto::KeyPair companion_ephemeral = key_pair(json.at("companion_ephemeral"));
  crypto::KeyPair primary_ephemeral = key_pair(json.at("primary_ephemeral"));
  crypto::KeyPair companion_identity = key_pair(json.at("companion_identity"));
  crypto::KeyPair primary_identity = key_pair(json.at("primary_identity"));
  Bytes bundle = hex_at(json.at("companion_finish"), "wrapped_key_bundle_156");
};

const Vectors& vectors() {
  static const Vectors all;
  return all;
}

Result<AdvSecret> accept(ByteSpan bundle) {
  const Vectors& v = vectors();
  return accept_link(v.primary_ephemeral, v.primary_identity, v.companion_ephemeral.public_key,
                     v.companion_identity.public_key, bundle);
}

/// Keys with which every agreement is all zero: the order of the point is 1, 2, 4 or 8.
std::vector<crypto::PublicKey> small_order_keys() {
  std::vector<crypto::PublicKey> keys;
  for (const std::string_view hex :
       {"0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    keys.push_back(*crypto::PublicKey::from(test::hex(hex), "small order"));
  }
  return keys;
}

// ---- the code -----------------------------------------------------------------------------------

TEST(PairingCodeTest, FiveBytesBecomeEightCharacters) {
  const auto& cases = vectors().json.at("crockford").as_array();
  ASSERT_FALSE(cases.empty());
  for (const auto& one : cases) {
    const auto raw = *fixed<5>(hex_at(one, "bytes"), "bytes");
    EXPECT_EQ(pairing_code(raw), text_at(one, "code"));
  }
  EXPECT_EQ(print_pairing_code("VTPVXVWS"), "VTPV-XVWS");
}

TEST(PairingCodeTest, PeopleMayTypeItInEitherCaseWithDashesAndSpaces) {
  for (const char* typed : {"ABCD1234", "ABCD-1234", "abcd-1234", " aBcD 12-34 ", "A-B-C-D1234"}) {
    const auto code = parse_pairing_code(typed);
    ASSERT_TRUE(code) << typed;
    EXPECT_EQ(*code, "ABCD1234");
  }
}

TEST(PairingCodeTest, WhatIsNoCodeIsRefusedAndNotRepeated) {
  for (const std::string typed :
       {"", "-", "ABCD123", "ABCD12345", "ABCD-123O", "ABCD-1230", "ABCD-123I", "ABCD-123U",
        "ABCD_1234", "ÄBCD1234", "ABCD1234\n"}) {
    const auto code = parse_pairing_code(typed);
    ASSERT_FALSE(code) << typed;
    EXPECT_EQ(code.error().code, Errc::usage);
    if (typed.size() > 1) {
      EXPECT_EQ(code.error().detail.find(typed), std::string::npos);
    }
  }
  EXPECT_FALSE(parse_pairing_code(std::string(1'000'000, 'A')));
}

TEST(PairingCodeTest, NumbersAreReadHoweverPeopleWriteThem) {
  for (const char* written : {"15550100001", "+15550100001", "+1 555 010 0001", "1-555-010-0001",
                              "+1 (555) 010.0001", " 1/555/010-0001 "}) {
    const auto number = parse_phone_number(written);
    ASSERT_TRUE(number) << written;
    EXPECT_EQ(*number, "15550100001");
  }
  for (const std::string written :
       {"", "+", "1234", "0155501000", "00 1 555 0100001", "1234567890123456", "1555010000x",
        "15550100001@s.whatsapp.net", "1+5550100001", "++15550100001", "١٢٣٤٥٦"}) {
    const auto number = parse_phone_number(written);
    ASSERT_FALSE(number) << written;
    EXPECT_EQ(number.error().code, Errc::usage);
  }
  EXPECT_LT(parse_phone_number(std::string(100'000, '7')).error().detail.size(), 300u);
}

TEST(PairingCodeTest, OnlyUsualNamesLeaveTheClient) {
  EXPECT_EQ(companion_display("Ubuntu"), "Chrome (Ubuntu)");
  EXPECT_EQ(companion_display("Windows"), "Chrome (Windows)");
  EXPECT_EQ(companion_display("Mac OS"), "Chrome (Mac OS)");
  for (const char* other : {"", "ubuntu", "MyBot", "Testline 1.0", "TempleOS"}) {
    EXPECT_EQ(companion_display(other), "Chrome (Linux)");
  }
}

// ---- the vectors --------------------------------------------------------------------------------

TEST(PairingCodeTest, BothHellosMatchTheVectors) {
  const Vectors& v = vectors();
  struct Hello {
    const char* name;
    const crypto::KeyPair& ephemeral;
  };
  for (const auto& [name, ephemeral] : {Hello{"companion_hello", v.companion_ephemeral},
                                        Hello{"primary_hello", v.primary_ephemeral}}) {
    SCOPED_TRACE(name);
    const auto& hello = v.json.at(name);
    const auto salt = *fixed<32>(hex_at(hello, "salt"), "salt");
    const LinkKey key = derive_link_key(v.code, salt);
    EXPECT_EQ(to_hex(key), text_at(hello, "key"));

    Scripted iv(hex_at(hello, "iv"));
    const auto wrapped = wrap_ephemeral(ephemeral.public_key, key, salt, iv);
    EXPECT_EQ(to_hex(wrapped.encode()), text_at(hello, "wrapped_80"));

    const auto parsed = WrappedEphemeral::parse(hex_at(hello, "wrapped_80"));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, wrapped);
    EXPECT_EQ(unwrap_ephemeral(*parsed, key), ephemeral.public_key);
  }
}

TEST(PairingCodeTest, TheBundleAndTheAdvSecretMatchTheVectors) {
  const Vectors& v = vectors();
  const auto& finish = v.json.at("companion_finish");
  Scripted random(
      concat(hex_at(finish, "bundle_salt"), hex_at(finish, "bundle_iv"), hex_at(finish, "random")));
  const auto link =
      finish_link(v.companion_ephemeral, v.companion_identity, v.primary_ephemeral.public_key,
                  v.primary_identity.public_key, random);
  ASSERT_TRUE(link);
  EXPECT_EQ(to_hex(link->wrapped_bundle), text_at(finish, "wrapped_key_bundle_156"));
  EXPECT_EQ(to_hex(link->adv_secret), text_at(v.json.at("adv"), "adv_secret"));

  const auto secret = accept(v.bundle);
  ASSERT_TRUE(secret);
  EXPECT_EQ(*secret, link->adv_secret);
}

// ---- what does not fit --------------------------------------------------------------------------

TEST(PairingCodeTest, AWrongCodeShowsOnlyAtTheBundle) {
  const Vectors& v = vectors();
  const auto wrapped = *WrappedEphemeral::parse(hex_at(v.json.at("companion_hello"), "wrapped_80"));
  const auto other = unwrap_ephemeral(wrapped, derive_link_key("ABCD1235", wrapped.salt));
  EXPECT_NE(other, v.companion_ephemeral.public_key);

  const auto refused = accept_link(v.primary_ephemeral, v.primary_identity, other,
                                   v.companion_identity.public_key, v.bundle);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::auth_failed);
}

TEST(PairingCodeTest, EveryChangedBitOfTheBundleIsNoticed) {
  Bytes bundle = vectors().bundle;
  for (std::size_t i = 0; i < bundle.size(); ++i) {
    bundle[i] ^= std::byte{0x10};
    const auto refused = accept(bundle);
    ASSERT_FALSE(refused) << i;
    EXPECT_EQ(refused.error().code, Errc::auth_failed);
    bundle[i] ^= std::byte{0x10};
  }
  EXPECT_TRUE(accept(bundle));
}

TEST(PairingCodeTest, OtherSizesAreMalformed) {
  const Vectors& v = vectors();
  for (std::size_t size = 0; size < v.bundle.size(); ++size) {
    EXPECT_EQ(accept(ByteSpan(v.bundle).first(size)).error().code, Errc::malformed);
  }
  Bytes longer = v.bundle;
  longer.push_back(std::byte{0});
  EXPECT_EQ(accept(longer).error().code, Errc::malformed);

  Bytes wrapped(WrappedEphemeral::kBytes + 1);
  for (std::size_t size = 0; size <= wrapped.size(); ++size) {
    EXPECT_EQ(WrappedEphemeral::parse(ByteSpan(wrapped).first(size)).has_value(),
              size == WrappedEphemeral::kBytes);
  }
}

TEST(PairingCodeTest, ABundleOfOtherIdentitiesIsRefused) {
  const Vectors& v = vectors();
  SeededRandom random(1);
  const auto stranger = crypto::generate_key_pair(random);
  const auto of_stranger =
      finish_link(v.companion_ephemeral, stranger, v.primary_ephemeral.public_key,
                  v.primary_identity.public_key, random);
  EXPECT_EQ(accept(of_stranger->wrapped_bundle).error().code, Errc::auth_failed);
  const auto for_stranger =
      finish_link(v.companion_ephemeral, v.companion_identity, v.primary_ephemeral.public_key,
                  stranger.public_key, random);
  EXPECT_EQ(accept(for_stranger->wrapped_bundle).error().code, Errc::auth_failed);
}

TEST(PairingCodeTest, KeysOfSmallOrderAreRefusedByBothSides) {
  const Vectors& v = vectors();
  SeededRandom random(1);
  for (const auto& key : small_order_keys()) {
    SCOPED_TRACE(to_hex(key.bytes));
    EXPECT_EQ(finish_link(v.companion_ephemeral, v.companion_identity, key,
                          v.primary_identity.public_key, random)
                  .error()
                  .code,
              Errc::auth_failed);
    EXPECT_EQ(finish_link(v.companion_ephemeral, v.companion_identity,
                          v.primary_ephemeral.public_key, key, random)
                  .error()
                  .code,
              Errc::auth_failed);
    EXPECT_EQ(accept_link(v.primary_ephemeral, v.primary_identity, key,
                          v.companion_identity.public_key, v.bundle)
                  .error()
                  .code,
              Errc::auth_failed);
    EXPECT_EQ(accept_link(v.primary_ephemeral, v.primary_identity, v.companion_ephemeral.public_key,
                          key, v.bundle)
                  .error()
                  .code,
              Errc::auth_failed);
  }
}

}  // namespace
}  // namespace wa::pairing

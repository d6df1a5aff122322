#include "engine/protocol/crypto/keys.hpp"

#include <gtest/gtest.h>
#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD is the only way to catch a draw of OpenSSL's
#include <openssl/rand.h>
#include <sodium.h>

#include <new>
#include <set>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "tests/support/test_support.hpp"

namespace wa::crypto {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

PrivateKey private_at(const boost::json::value& object, std::string_view key) {
  return *PrivateKey::from(hex_at(object, key), key);
}
PublicKey public_at(const boost::json::value& object, std::string_view key) {
  return *PublicKey::from(hex_at(object, key), key);
}

/// Gives out the bytes it was made of, and nothing more.
class ReplayRandom final : public Random {
 public:
  explicit ReplayRandom(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(std::span<std::byte> out) override {
    WA_ASSERT(out.size() <= bytes_.size() - used_);
    std::memcpy(out.data(), bytes_.data() + used_, out.size());
    used_ += out.size();
  }
  std::size_t left() const { return bytes_.size() - used_; }

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

ByteArray<32> sodium_base(const ByteArray<32>& scalar) {
  ByteArray<32> point;
  crypto_scalarmult_curve25519_base(reinterpret_cast<unsigned char*>(point.data()),
                                    reinterpret_cast<const unsigned char*>(scalar.data()));
  return point;
}

/// Points of order 1, 2, 4 and 8, with their non-canonical and top-bit forms (little-endian u).
std::vector<PublicKey> small_order_keys() {
  std::vector<PublicKey> keys;
  for (const char* const u : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    auto key = *PublicKey::from(hex(u), "u");
    keys.push_back(key);
    key.bytes[31] |= std::byte{0x80};
    keys.push_back(key);
  }
  return keys;
}

TEST(KeysTest, KeysAreExactly32Bytes) {
  for (const std::size_t size : {0u, 31u, 33u, 64u}) {
    const auto key = PublicKey::from(Bytes(size), "ephemeral");
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::malformed);
    EXPECT_NE(key.error().detail.find("ephemeral"), std::string::npos);
    EXPECT_FALSE(PrivateKey::from(Bytes(size), "x"));
  }
  EXPECT_TRUE(PublicKey::from(Bytes(32), "x"));
}

TEST(KeysTest, ADeadPrivateKeyLeavesNoBytes) {
  alignas(PrivateKey) std::byte memory[sizeof(PrivateKey)];
  auto* const key = new (memory) PrivateKey();
  key->bytes.fill(std::byte{0x5a});
  key->~PrivateKey();
  // Read through a volatile pointer: the object is gone, its storage is not.
  const volatile std::byte* const left = memory;
  for (std::size_t i = 0; i < sizeof memory; ++i) EXPECT_TRUE(left[i] == std::byte{0});
}

TEST(KeysTest, PublicKeysMatchTheHandshakeVectors) {
  const auto file = test::vectors("noise-handshake.json");
  for (const auto& vector : file.at("vectors").as_array()) {
    for (const auto& [name, pair] : vector.at("keys").as_object()) {
      SCOPED_TRACE(std::string_view(name));
      EXPECT_EQ(public_key_of(private_at(pair, "private")), public_at(pair, "public"));
    }
  }
}

// RFC 7748 §6.1.
TEST(KeysTest, AgreesLikeRfc7748) {
  const auto alice = *PrivateKey::from(
      hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"), "alice");
  const auto bob = *PrivateKey::from(
      hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), "bob");
  EXPECT_EQ(to_hex(public_key_of(alice)),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(public_key_of(bob)),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const auto shared = agree(alice, public_key_of(bob));
  ASSERT_TRUE(shared) << shared.error();
  EXPECT_EQ(to_hex(*shared), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(*agree(bob, public_key_of(alice)), *shared);
}

TEST(KeysTest, AgreementIgnoresTheTopBitAsRfc7748Says) {
  SeededRandom random(5);
  const auto mine = generate_key_pair(random);
  auto theirs = generate_key_pair(random).public_key;
  const auto shared = *agree(mine.private_key, theirs);
  theirs.bytes[31] |= std::byte{0x80};
  EXPECT_EQ(*agree(mine.private_key, theirs), shared);
}

TEST(KeysTest, AgreementRefusesKeysOfSmallOrder) {
  SeededRandom random(6);
  const auto mine = generate_key_pair(random);
  for (const auto& theirs : small_order_keys()) {
    SCOPED_TRACE(to_hex(theirs));
    const auto shared = agree(mine.private_key, theirs);
    ASSERT_FALSE(shared);
    EXPECT_EQ(shared.error().code, Errc::auth_failed);
  }
}

TEST(KeysTest, AGeneratedKeyIsTheClampedDraw) {
  ReplayRandom random(Bytes(32, std::byte{0xff}));
  const auto pair = generate_key_pair(random);
  EXPECT_EQ(random.left(), 0u);
  Bytes clamped(32, std::byte{0xff});
  clamped[0] = std::byte{0xf8};
  clamped[31] = std::byte{0x7f};
  EXPECT_EQ(to_bytes(pair.private_key.bytes), clamped);
  EXPECT_EQ(pair.public_key.bytes, sodium_base(pair.private_key.bytes));

  ReplayRandom zeros(Bytes(32));
  const auto lowest = generate_key_pair(zeros);
  EXPECT_EQ(lowest.private_key.bytes[31], std::byte{0x40});
  EXPECT_EQ(lowest.public_key.bytes, sodium_base(lowest.private_key.bytes));
}

TEST(KeysTest, ManyKeysAreThoseOfManyCalls) {
  for (const std::size_t count : {0u, 1u, 2u, 31u, 2000u}) {
    SCOPED_TRACE(count);
    SeededRandom together(7);
    SeededRandom apart(7);
    const auto pairs = generate_key_pairs(count, together);
    ASSERT_EQ(pairs.size(), count);
    std::set<Bytes> distinct;
    for (const auto& pair : pairs) {
      ASSERT_EQ(pair, generate_key_pair(apart));
      // libsodium's ladder is the independent answer.
      ASSERT_EQ(pair.public_key.bytes, sodium_base(pair.private_key.bytes));
      distinct.insert(to_bytes(pair.public_key.bytes));
    }
    EXPECT_EQ(distinct.size(), count);
    EXPECT_EQ(together.next_u64(), apart.next_u64()) << "both have drawn equally much";
  }
}

TEST(SignatureTest, VerdictsMatchTheVectors) {
  // Every case's verdict is that of curve25519-js and of libsignal. Where ours were deliberately
  // stricter (S not reduced, small-order keys), the file has no case; the tests below have them.
  const auto file = test::vectors("xeddsa-verify.json");
  ASSERT_EQ(file.at("cases").as_array().size(), 49u);
  for (const auto& c : file.at("cases").as_array()) {
    SCOPED_TRACE(text_at(c, "name"));
    const auto typed_key = hex_at(c, "publicKey");
    ASSERT_EQ(typed_key.size(), 33u);
    const auto key = *PublicKey::from(ByteSpan(typed_key).subspan(1), "publicKey");
    const auto verdict = verify(key, hex_at(c, "message"), hex_at(c, "signature"), "case");
    EXPECT_EQ(verdict.has_value(), c.at("valid").as_bool());
    if (!verdict) {
      EXPECT_EQ(verdict.error().code, Errc::auth_failed);
    }
  }
}

TEST(SignatureTest, VerdictsMatchTheAdvVectorsWithBothSignBits) {
  const auto file = test::vectors("adv-pairing.json");
  std::set<bool> signs;
  for (const auto& c : file.at("xeddsa").as_array()) {
    const auto signature = hex_at(c, "signature");
    const auto verdict =
        verify(public_at(c, "public_montgomery"), hex_at(c, "message"), signature, "case");
    EXPECT_EQ(verdict.has_value(), c.at("verify").as_bool());
    const bool sign = (signature[63] & std::byte{0x80}) != std::byte{};
    EXPECT_EQ(sign, c.at("sign_bit_in_sig63").to_number<int>() == 1);
    signs.insert(sign);
  }
  EXPECT_EQ(signs.size(), 2u);
}

// "randomised" cases were signed with a known 64-byte suffix, so our bytes must be the same.
TEST(SignatureTest, SignsTheSameBytesFromTheSameDraw) {
  const auto file = test::vectors("xeddsa-verify.json");
  int checked = 0;
  for (const auto& c : file.at("cases").as_array()) {
    if (!c.as_object().contains("random64")) continue;
    SCOPED_TRACE(text_at(c, "name"));
    KeyPair key;
    key.private_key = private_at(c, "privateKey");
    key.public_key = public_key_of(key.private_key);
    ReplayRandom random(hex_at(c, "random64"));
    EXPECT_EQ(to_hex(sign(key, hex_at(c, "message"), random)), text_at(c, "signature"));
    EXPECT_EQ(random.left(), 0u);
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

TEST(SignatureTest, VerifiesWhatItSigned) {
  SeededRandom random(8);
  std::set<bool> signs;
  for (std::size_t i = 0; i < 300; ++i) {
    const auto key = generate_key_pair(random);
    Bytes message(i);
    random.fill(message);
    const auto signature = sign(key, message, random);
    const auto verdict = verify(key.public_key, message, signature, "ours");
    ASSERT_TRUE(verdict) << verdict.error();
    signs.insert((signature[63] & std::byte{0x80}) != std::byte{});
  }
  EXPECT_EQ(signs.size(), 2u);
}

TEST(SignatureTest, RefusesEveryFlippedBit) {
  SeededRandom random(9);
  const auto key = generate_key_pair(random);
  const auto message = hex("010203");
  const auto signature = sign(key, message, random);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    auto spoilt = signature;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(verify(key.public_key, message, spoilt, "spoilt")) << bit;
  }
  for (std::size_t bit = 0; bit < 24; ++bit) {
    auto spoilt = message;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(verify(key.public_key, spoilt, signature, "spoilt")) << bit;
  }
}

TEST(SignatureTest, RefusesOtherLengthsAndNamesTheSignature) {
  SeededRandom random(10);
  const auto key = generate_key_pair(random);
  const auto signature = to_bytes(ByteSpan(sign(key, {}, random)));
  for (std::size_t size = 0; size <= 66; ++size) {
    auto resized = signature;
    resized.resize(size);
    const auto verdict = verify(key.public_key, {}, resized, "leaf certificate");
    EXPECT_EQ(verdict.has_value(), size == 64);
    if (!verdict) {
      EXPECT_EQ(verdict.error().code, Errc::auth_failed);
      EXPECT_NE(verdict.error().detail.find("leaf certificate"), std::string::npos);
    }
  }
}

// Deliberately stricter than libsignal, which accepts S + L: such a signature can be made from a
// valid one by anybody, and no honest signer makes it.
TEST(SignatureTest, RefusesAnUnreducedResponse) {
  const auto order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  SeededRandom random(11);
  const auto key = generate_key_pair(random);
  auto signature = sign(key, {}, random);
  const auto sign_bit = signature[63] & std::byte{0x80};
  signature[63] &= std::byte{0x7f};
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += std::to_integer<unsigned>(signature[32 + i]) + std::to_integer<unsigned>(order[i]);
    signature[32 + i] = static_cast<std::byte>(carry);
    carry >>= 8;
  }
  signature[63] |= sign_bit;
  EXPECT_FALSE(verify(key.public_key, {}, signature, "unreduced"));
}

// Under a key of small order a signature could hold for every message. u = -1 has no Edwards form.
TEST(SignatureTest, RefusesKeysAndNoncesOfSmallOrder) {
  // R is the neutral element, S = 0: valid for every message if A were of order 1.
  Signature trivial{};
  trivial[0] = std::byte{1};
  for (auto key : small_order_keys()) {
    SCOPED_TRACE(to_hex(key));
    EXPECT_FALSE(verify(key, {}, trivial, "trivial"));
    trivial[63] ^= std::byte{0x80};
    EXPECT_FALSE(verify(key, {}, trivial, "trivial"));
  }
  SeededRandom random(12);
  const auto key = generate_key_pair(random);
  EXPECT_FALSE(verify(key.public_key, {}, trivial, "trivial"));
  EXPECT_FALSE(verify(key.public_key, {}, Signature{}, "zeros"));
}

TEST(SystemRandomTest, FillsWithDifferentBytes) {
  SystemRandom random;
  const auto first = random.array<32>();
  const auto second = random.array<32>();
  EXPECT_NE(first, second);
  random.fill({});
}

// A simulation arms exactly these two tripwires.
TEST(SimulationTest, TheLibrariesNeverDrawByThemselves) {
  static randombytes_implementation sodium_trap = {
      .implementation_name = [] { return "trap"; },
      .random = []() -> std::uint32_t { std::abort(); },
      .stir = nullptr,
      .uniform = nullptr,
      .buf = [](void*, std::size_t) { std::abort(); },
      .close = nullptr,
  };
  static const RAND_METHOD openssl_trap = {
      nullptr, [](unsigned char*, int) -> int { std::abort(); }, nullptr,
      nullptr, [](unsigned char*, int) -> int { std::abort(); }, nullptr};
  randombytes_set_implementation(&sodium_trap);
  const RAND_METHOD* const usual = RAND_get_rand_method();
  ASSERT_EQ(RAND_set_rand_method(&openssl_trap), 1);

  SeededRandom random(13);
  const auto key = generate_key_pair(random);
  const auto pairs = generate_key_pairs(3, random);
  EXPECT_TRUE(agree(key.private_key, pairs[0].public_key));
  const auto signature = sign(key, {}, random);
  EXPECT_TRUE(verify(key.public_key, {}, signature, "ours"));
  AesGcm cipher(key.private_key.bytes);
  Bytes sealed;
  cipher.seal({}, {}, hex("01"), sealed);
  EXPECT_EQ(aes_cbc_encrypt({}, {}, sealed).size(), 32u);
  EXPECT_EQ(aes_ctr({}, {}, sealed).size(), 17u);
  EXPECT_NE(pbkdf2_sha256({}, {}, 2), sha256(ByteSpan{}));

  RAND_set_rand_method(usual);
  randombytes_set_implementation(&randombytes_sysrandom_implementation);
}

}  // namespace
}  // namespace wa::crypto

#include "engine/protocol/crypto/aes.hpp"

#include <gtest/gtest.h>

#include "tests/support/test_support.hpp"

namespace wa::crypto {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

template <std::size_t N>
ByteArray<N> array_at(const boost::json::value& object, std::string_view key) {
  return *fixed<N>(hex_at(object, key), key);
}

Bytes seal(AesGcm& cipher, const AesGcm::Nonce& nonce, ByteSpan ad, ByteSpan plaintext) {
  Bytes out;
  cipher.seal(nonce, ad, plaintext, out);
  return out;
}

Result<Bytes> open(AesGcm& cipher, const AesGcm::Nonce& nonce, ByteSpan ad, ByteSpan sealed) {
  Bytes out;
  WA_TRY_VOID(cipher.open(nonce, ad, sealed, out));
  return out;
}

constexpr AesGcm::Key kKey{std::byte{1}, std::byte{2}};
constexpr AesGcm::Key kOtherKey{std::byte{2}, std::byte{1}};
constexpr AesGcm::Nonce kNonce{std::byte{9}};

TEST(AesGcmTest, MatchesTheFrameVectors) {
  const auto file = test::vectors("frames.json");
  AesGcm cipher(array_at<32>(file, "key"));
  for (const auto& frame : file.at("frames").as_array()) {
    SCOPED_TRACE(text_at(frame, "name"));
    const auto nonce = array_at<12>(frame, "nonce");
    const auto sealed = Bytes(to_bytes(ByteSpan(hex_at(frame, "wire")).subspan(3)));
    EXPECT_EQ(seal(cipher, nonce, {}, hex_at(frame, "plaintext")), sealed);
    EXPECT_EQ(*open(cipher, nonce, {}, sealed), hex_at(frame, "plaintext"));
  }
  for (const auto& edge : file.at("counter_edges").as_array()) {
    EXPECT_EQ(seal(cipher, array_at<12>(edge, "nonce"), {}, hex_at(edge, "plaintext")),
              hex_at(edge, "ciphertext_and_tag"));
  }
}

TEST(AesGcmTest, MatchesThePairingCodeVectors) {
  const auto file = test::vectors("pairing-code.json");
  const auto& v = file.at("companion_finish");
  AesGcm cipher(array_at<32>(v, "bundle_key"));
  const auto nonce = array_at<12>(v, "bundle_iv");
  EXPECT_EQ(seal(cipher, nonce, {}, hex_at(v, "bundle_plain_96")),
            hex_at(v, "bundle_cipher_and_tag_112"));
}

// Every step of the handshake that encrypts has the hash so far as its associated data.
TEST(AesGcmTest, MatchesTheHandshakeVectorsWithAssociatedData) {
  int checked = 0;
  const auto file = test::vectors("noise-handshake.json");
  AesGcm cipher(kOtherKey);
  for (const auto& vector : file.at("vectors").as_array()) {
    for (const auto& step : vector.at("steps").as_array()) {
      if (step.at("op").as_string() != "encryptAndHash") continue;
      SCOPED_TRACE(text_at(step, "what"));
      cipher.rekey(array_at<32>(step, "k"));
      const auto nonce = array_at<12>(step, "nonce");
      const auto sealed = hex_at(step, "ciphertext_and_tag");
      EXPECT_EQ(seal(cipher, nonce, hex_at(step, "aad"), hex_at(step, "plaintext")), sealed);
      EXPECT_EQ(*open(cipher, nonce, hex_at(step, "aad"), sealed), hex_at(step, "plaintext"));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 12);
}

TEST(AesGcmTest, OpensWhatItSealedAtEveryLength) {
  AesGcm cipher(kKey);
  Bytes plaintext;
  for (std::size_t size = 0; size <= 300; ++size) {
    const auto sealed = seal(cipher, kNonce, plaintext, plaintext);
    ASSERT_EQ(sealed.size(), size + AesGcm::kTagBytes);
    const auto opened = open(cipher, kNonce, plaintext, sealed);
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_EQ(*opened, plaintext);
    plaintext.push_back(static_cast<std::byte>(size));
  }
}

TEST(AesGcmTest, RefusesEveryFlippedBit) {
  AesGcm cipher(kKey);
  const auto ad = hex("0a0b");
  const auto sealed = seal(cipher, kNonce, ad, hex("00112233445566"));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto spoilt = sealed;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto opened = open(cipher, kNonce, ad, spoilt);
    ASSERT_FALSE(opened);
    ASSERT_EQ(opened.error().code, Errc::auth_failed);
  }
  EXPECT_FALSE(open(cipher, kNonce, hex("0a0c"), sealed));
  EXPECT_FALSE(open(cipher, kNonce, {}, sealed));
  EXPECT_FALSE(open(cipher, AesGcm::Nonce{}, ad, sealed));
  AesGcm other(kOtherKey);
  EXPECT_FALSE(open(other, kNonce, ad, sealed));
  EXPECT_TRUE(open(cipher, kNonce, ad, sealed)) << "errors must leave the cipher usable";
}

TEST(AesGcmTest, RefusesEveryTruncation) {
  AesGcm cipher(kKey);
  const auto sealed = seal(cipher, kNonce, {}, hex("00112233445566"));
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    SCOPED_TRACE(size);
    const auto opened = open(cipher, kNonce, {}, ByteSpan(sealed).first(size));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, size < 16 ? Errc::truncated : Errc::auth_failed);
  }
}

TEST(AesGcmTest, AppendsAndLeavesTheOutputAloneOnAnError) {
  AesGcm cipher(kKey);
  Bytes out = hex("ffee");
  cipher.seal(kNonce, {}, hex("0102"), out);
  ASSERT_EQ(out.size(), 2 + 2 + AesGcm::kTagBytes);
  EXPECT_EQ(out[0], std::byte{0xff});
  Bytes sealed = to_bytes(ByteSpan(out).subspan(2));

  Bytes opened = hex("aa");
  ASSERT_TRUE(cipher.open(kNonce, {}, sealed, opened));
  EXPECT_EQ(opened, hex("aa0102"));
  sealed[0] ^= std::byte{1};
  EXPECT_FALSE(cipher.open(kNonce, {}, sealed, opened));
  EXPECT_EQ(opened, hex("aa0102"));
  EXPECT_FALSE(cipher.open(kNonce, {}, hex("00"), opened));
  EXPECT_EQ(opened, hex("aa0102"));
}

TEST(AesGcmTest, ANewKeyReplacesTheOldOneInBothDirections) {
  AesGcm fresh(kOtherKey);
  AesGcm rekeyed(kKey);
  const auto old = seal(rekeyed, kNonce, {}, hex("01"));
  rekeyed.rekey(kOtherKey);
  const auto sealed = seal(fresh, kNonce, {}, hex("01"));
  EXPECT_EQ(seal(rekeyed, kNonce, {}, hex("01")), sealed);
  EXPECT_TRUE(open(rekeyed, kNonce, {}, sealed));
  EXPECT_FALSE(open(rekeyed, kNonce, {}, old));
}

TEST(AesGcmTest, CanBeMoved) {
  AesGcm first(kKey);
  const auto sealed = seal(first, kNonce, {}, hex("0102"));
  AesGcm second(std::move(first));
  EXPECT_EQ(seal(second, kNonce, {}, hex("0102")), sealed);
  AesGcm third(kOtherKey);
  third = std::move(second);
  EXPECT_EQ(seal(third, kNonce, {}, hex("0102")), sealed);
}

TEST(AesCbcTest, MatchesTheMediaVectors) {
  int checked = 0;
  const auto file = test::vectors("media.json");
  for (const auto& v : file.at("vectors").as_array()) {
    if (!v.as_object().contains("plaintext") || !v.as_object().contains("encrypted")) continue;
    if (!v.as_object().contains("cipherKey")) continue;
    SCOPED_TRACE(text_at(v, "type"));
    const auto key = array_at<32>(v, "cipherKey");
    const auto iv = array_at<16>(v, "iv");
    auto encrypted = hex_at(v, "encrypted");
    encrypted.resize(encrypted.size() - 10);  // the MAC
    EXPECT_EQ(aes_cbc_encrypt(key, iv, hex_at(v, "plaintext")), encrypted);
    EXPECT_EQ(*aes_cbc_decrypt(key, iv, encrypted), hex_at(v, "plaintext"));
    ++checked;
  }
  EXPECT_GT(checked, 3);
}

TEST(AesCbcTest, DecryptsWhatItEncryptedAtEveryLength) {
  Bytes plaintext;
  for (std::size_t size = 0; size <= 100; ++size) {
    const auto sealed = aes_cbc_encrypt(kKey, {}, plaintext);
    ASSERT_EQ(sealed.size(), (size / 16 + 1) * 16);
    ASSERT_EQ(*aes_cbc_decrypt(kKey, {}, sealed), plaintext);
    plaintext.push_back(static_cast<std::byte>(size));
  }
}

TEST(AesCbcTest, RefusesPartialBlocksAndWrongPadding) {
  const auto sealed = aes_cbc_encrypt(kKey, {}, Bytes(20));
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    const auto opened = aes_cbc_decrypt(kKey, {}, ByteSpan(sealed).first(size));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, size == 16 ? Errc::auth_failed : Errc::malformed);
  }
  // A 16-byte plaintext that ends in 0 is encrypted as a first block without padding.
  const auto whole = aes_cbc_encrypt(kKey, {}, Bytes(16));
  const auto opened = aes_cbc_decrypt(kKey, {}, ByteSpan(whole).first(16));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::auth_failed);
  EXPECT_TRUE(aes_cbc_decrypt(kKey, {}, whole)) << "errors must leave the cipher usable";
}

TEST(AesCtrTest, MatchesThePairingCodeVectors) {
  const auto file = test::vectors("pairing-code.json");
  for (const auto& [hello, ephemeral] : {std::pair{"companion_hello", "companion_ephemeral"},
                                         std::pair{"primary_hello", "primary_ephemeral"}}) {
    SCOPED_TRACE(hello);
    const auto& v = file.at(hello);
    const auto wrapped = hex_at(v, "wrapped_80");
    const auto sealed = to_bytes(ByteSpan(wrapped).subspan(48));
    const auto plain = hex_at(file.at(ephemeral), "public");
    const auto key = array_at<32>(v, "key");
    const auto iv = array_at<16>(v, "iv");
    EXPECT_EQ(aes_ctr(key, iv, plain), sealed);
    EXPECT_EQ(aes_ctr(key, iv, sealed), plain);
  }
}

TEST(AesCtrTest, CarriesTheCounterThroughTheWholeBlock) {
  ByteArray<16> ones;
  ones.fill(std::byte{0xff});
  const auto stream = aes_ctr(kKey, ones, Bytes(32));
  const auto wrapped = aes_ctr(kKey, {}, Bytes(16));
  EXPECT_TRUE(equal(ByteSpan(stream).subspan(16), wrapped));
  EXPECT_TRUE(aes_ctr(kKey, {}, {}).empty());
}

}  // namespace
}  // namespace wa::crypto

#include "engine/protocol/crypto/hash.hpp"

#include <gtest/gtest.h>

#include "tests/support/test_support.hpp"

namespace wa::crypto {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

// FIPS 180-4 and RFC 1321 examples.
TEST(HashTest, MatchesThePublishedExamples) {
  EXPECT_EQ(to_hex(sha256(ByteSpan{})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(md5(as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(md5(ByteSpan{})), "d41d8cd98f00b204e9800998ecf8427e");
}

TEST(HashTest, BuildHashIsTheMd5OfTheVersion) {
  const auto file = test::vectors("client-payload.json");
  ASSERT_FALSE(file.at("build_hashes").as_array().empty());
  for (const auto& hash : file.at("build_hashes").as_array()) {
    EXPECT_EQ(to_hex(md5(as_bytes(text_at(hash, "version")))), text_at(hash, "md5"));
  }
}

TEST(HashTest, TwoPartsHashLikeTheirJoin) {
  Bytes whole(200, std::byte{7});
  for (std::size_t cut = 0; cut <= whole.size(); cut += 20) {
    const ByteSpan first = ByteSpan(whole).first(cut);
    const ByteSpan second = ByteSpan(whole).subspan(cut);
    EXPECT_EQ(sha256(first, second), sha256(whole));
    EXPECT_EQ(hmac_sha256(hex("0102"), first, second), hmac_sha256(hex("0102"), whole));
  }
}

// RFC 4231 §4: keys shorter than, equal to and longer than the digest and the block.
TEST(HashTest, HmacMatchesRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, std::byte{0x0b}), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, std::byte{0xaa}),
                               as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HashTest, HmacMatchesTheAdvVectors) {
  int checked = 0;
  const auto file = test::vectors("adv-pairing.json");
  for (const auto& c : file.at("cases").as_array()) {
    if (!c.as_object().contains("hmac_input")) continue;
    SCOPED_TRACE(text_at(c, "name"));
    const auto hmac = to_bytes(hmac_sha256(hex_at(c, "adv_secret"), hex_at(c, "hmac_input")));
    // One case carries a spoilt HMAC on purpose.
    EXPECT_EQ(hmac == hex_at(c, "hmac"), text_at(c, "name") != "bad HMAC");
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

TEST(HashTest, HkdfMatchesTheVectors) {
  const auto file = test::vectors("hkdf.json");
  ASSERT_FALSE(file.at("vectors").as_array().empty());
  for (const auto& v : file.at("vectors").as_array()) {
    SCOPED_TRACE(text_at(v, "name"));
    Bytes okm(v.at("length").to_number<std::size_t>());
    hkdf_sha256(hex_at(v, "ikm"), hex_at(v, "salt"), as_bytes(text_at(v, "info")), okm);
    EXPECT_EQ(okm, hex_at(v, "okm"));
  }
}

TEST(HashTest, HkdfFillsUpTo255BlocksAndNoMore) {
  Bytes longest(255 * 32);
  hkdf_sha256(hex("01"), {}, {}, longest);
  Bytes shorter(1000);
  hkdf_sha256(hex("01"), {}, {}, shorter);
  EXPECT_TRUE(equal(ByteSpan(longest).first(1000), shorter));
  Bytes too_long(255 * 32 + 1);
  EXPECT_DEATH(hkdf_sha256(hex("01"), {}, {}, too_long), "okm");
}

// RFC 7914 §11 has PBKDF2-HMAC-SHA256 of 64 bytes; its first block is ours.
TEST(HashTest, Pbkdf2MatchesRfc7914) {
  EXPECT_EQ(to_hex(pbkdf2_sha256(as_bytes("passwd"), as_bytes("salt"), 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  EXPECT_EQ(to_hex(pbkdf2_sha256(as_bytes("Password"), as_bytes("NaCl"), 80'000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

TEST(HashTest, Pbkdf2MatchesThePairingCodeVectors) {
  const auto file = test::vectors("pairing-code.json");
  const auto code = text_at(file, "code");
  for (const char* const hello : {"companion_hello", "primary_hello"}) {
    SCOPED_TRACE(hello);
    const auto& v = file.at(hello);
    EXPECT_EQ(to_bytes(pbkdf2_sha256(as_bytes(code), hex_at(v, "salt"), 131'072)),
              hex_at(v, "key"));
  }
}

TEST(HashTest, ComparesWholeStrings) {
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_TRUE(equal_constant_time(hex("0102"), hex("0102")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("0103")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("8102")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("010200")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), {}));
}

}  // namespace
}  // namespace wa::crypto

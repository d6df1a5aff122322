#include "engine/protocol/crypto/field25519.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/base/random.hpp"
#include "tests/support/test_support.hpp"

namespace wa::crypto {
namespace {

ByteArray<32> little_endian(std::string_view big_endian_hex) {
  auto bytes = test::hex(big_endian_hex);
  std::reverse(bytes.begin(), bytes.end());
  return *fixed<32>(bytes, "number");
}

ByteArray<32> small(int number) {
  ByteArray<32> bytes{};
  bytes[0] = static_cast<std::byte>(number);
  return bytes;
}

Field25519 random_element(Random& random) {
  return Field25519::from_bytes(random.array<32>());
}

constexpr std::string_view kP = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed";

TEST(Field25519Test, ReducesToTheCanonicalBytes) {
  struct Case {
    std::string_view in;
    std::string_view out;
  };
  const Case cases[] = {
      {"0000000000000000000000000000000000000000000000000000000000000000",
       "0000000000000000000000000000000000000000000000000000000000000000"},
      {"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
       "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"},
      {kP, "0000000000000000000000000000000000000000000000000000000000000000"},
      {"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee",
       "0000000000000000000000000000000000000000000000000000000000000001"},
      {"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       "0000000000000000000000000000000000000000000000000000000000000012"},
      // The top bit is ignored.
      {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       "0000000000000000000000000000000000000000000000000000000000000012"},
      {"8000000000000000000000000000000000000000000000000000000000000005",
       "0000000000000000000000000000000000000000000000000000000000000005"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.in);
    EXPECT_EQ(Field25519::from_bytes(little_endian(c.in)).to_bytes(), little_endian(c.out));
  }
}

TEST(Field25519Test, KeepsEveryCanonicalNumber) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    auto bytes = random.array<32>();
    bytes[31] &= std::byte{0x3f};
    EXPECT_EQ(Field25519::from_bytes(bytes).to_bytes(), bytes);
  }
}

TEST(Field25519Test, AddsSubtractsAndMultipliesModuloP) {
  const auto minus_one = subtract(Field25519{}, Field25519::one());
  EXPECT_EQ(minus_one.to_bytes(), little_endian("7fffffffffffffffffffffffffffffff"
                                                "ffffffffffffffffffffffffffffffec"));
  EXPECT_EQ(add(minus_one, Field25519::one()).to_bytes(), small(0));
  EXPECT_EQ(multiply(minus_one, minus_one).to_bytes(), small(1));
  // 2^254 · 4 = 2^256 = 38 (mod p).
  ByteArray<32> high{};
  high[31] = std::byte{0x40};
  EXPECT_EQ(multiply(Field25519::from_bytes(high), Field25519::from_bytes(small(4))).to_bytes(),
            small(38));
}

TEST(Field25519Test, FollowsTheLawsOfAField) {
  SeededRandom random(2);
  for (int i = 0; i < 300; ++i) {
    const auto a = random_element(random);
    const auto b = random_element(random);
    const auto c = random_element(random);
    EXPECT_EQ(multiply(a, b).to_bytes(), multiply(b, a).to_bytes());
    EXPECT_EQ(multiply(multiply(a, b), c).to_bytes(), multiply(a, multiply(b, c)).to_bytes());
    EXPECT_EQ(multiply(add(a, b), subtract(a, c)).to_bytes(),
              subtract(multiply(add(a, b), a), multiply(add(a, b), c)).to_bytes());
  }
}

TEST(Field25519Test, AnInverseTimesItsNumberIsOne) {
  SeededRandom random(3);
  for (int i = 0; i < 300; ++i) {
    const auto a = random_element(random);
    EXPECT_EQ(multiply(a, invert(a)).to_bytes(), small(1));
  }
  EXPECT_EQ(invert(Field25519{}).to_bytes(), small(0));
}

TEST(Field25519Test, InvertsManyLikeOne) {
  SeededRandom random(4);
  for (const std::size_t count : {0u, 1u, 2u, 100u}) {
    std::vector<Field25519> elements;
    for (std::size_t i = 0; i < count; ++i) elements.push_back(random_element(random));
    auto inverses = elements;
    std::vector<Field25519> scratch(count);
    invert_all(inverses, scratch);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(inverses[i].to_bytes(), invert(elements[i]).to_bytes());
    }
  }
}

}  // namespace
}  // namespace wa::crypto

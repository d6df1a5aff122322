#include <gtest/gtest.h>

#include "engine/base/bytes.hpp"
#include "engine/base/random.hpp"

namespace wa {
namespace {

TEST(HexTest, RoundTripsAndRejectsOddAndForeignCharacters) {
  EXPECT_EQ(to_hex(*from_hex("00ffA0")), "00ffa0");
  EXPECT_EQ(from_hex("abc").error().code, Errc::malformed);
  EXPECT_EQ(from_hex("zz").error().code, Errc::malformed);
}

TEST(Base64Test, MatchesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : rows) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(as_text(*from_base64(encoded)), plain);
  }
}

TEST(Base64Test, RejectsWhatIsNotCanonical) {
  for (const char* text : {"Zg=", "Zg", "Zh==", "Zm9=", "Zm 9", "====", "Z===", "=Zg="}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

TEST(SeededRandomTest, SubStreamsDependOnNamesAndNotOnOrder) {
  SeededRandom a(7, "link", "1");
  SeededRandom b(7, "link", "2");
  SeededRandom again(7, "link", "1");
  const std::uint64_t first = a.next_u64();
  EXPECT_NE(first, b.next_u64());
  EXPECT_EQ(first, again.next_u64());
}

TEST(SeededRandomTest, BelowStaysInsideItsBound) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(7), 7u);
}

TEST(BigEndianTest, RoundTrips) {
  EXPECT_EQ(to_hex(big_endian<3>(0x010203)), "010203");
  EXPECT_EQ(read_big_endian(big_endian<8>(0xfffefdfcfbfaf9f8)), 0xfffefdfcfbfaf9f8);
}

}  // namespace
}  // namespace wa

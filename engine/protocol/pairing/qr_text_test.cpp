#include "engine/protocol/pairing/qr_text.hpp"

#include <gtest/gtest.h>

#include "tests/support/test_support.hpp"

namespace wa::pairing {
namespace {

QrPayload sample() {
  QrPayload payload;
  payload.ref = "2@abc/def+ghi==";
  payload.noise_key.bytes.fill(std::byte{1});
  payload.identity_key.bytes.fill(std::byte{2});
  payload.adv_secret.fill(std::byte{0xff});
  payload.client_type = "1";
  return payload;
}

constexpr std::string_view kSampleFields =
    "2@abc/def+ghi==,AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,"
    "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,//////////////////////////////////////////8=";

TEST(QrTextTest, IsTheLinkAndFiveFields) {
  EXPECT_EQ(format_qr_text(sample()),
            "https://wa.me/settings/linked_devices#" + std::string(kSampleFields) + ",1");
}

TEST(QrTextTest, ReadsWhatItWrites) {
  const auto read = parse_qr_text(format_qr_text(sample()));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(*read, sample());
}

TEST(QrTextTest, ReadsFourFieldsWithoutALinkAndIgnoresFieldsAfterTheFifth) {
  auto expected = sample();
  expected.client_type.clear();
  const auto four = parse_qr_text(kSampleFields);
  ASSERT_TRUE(four) << four.error();
  EXPECT_EQ(*four, expected);

  expected.client_type = "7";
  const auto many = parse_qr_text(std::string(kSampleFields) + ",7,more,,fields");
  ASSERT_TRUE(many) << many.error();
  EXPECT_EQ(*many, expected);
}

TEST(QrTextTest, NamesTheFieldThatIsWrong) {
  const std::string key = to_base64(ByteArray<32>{});
  const std::string short_key = to_base64(ByteArray<31>{});
  struct Case {
    std::string text;
    std::string names;
  };
  for (const auto& [text, names] : {
           Case{"", "found 1"},
           Case{"https://example.org/", "found 1"},
           Case{"ref," + key + "," + key, "found 3"},
           Case{"," + key + "," + key + "," + key, "ref"},
           Case{"ref," + short_key + "," + key + "," + key, "noise key"},
           Case{"ref," + key + ",!" + key + "," + key, "identity key"},
           Case{"ref," + key + "," + key + ",", "ADV secret"},
       }) {
    SCOPED_TRACE(text);
    const auto read = parse_qr_text(text);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::malformed);
    EXPECT_NE(read.error().detail.find(names), std::string::npos) << read.error();
  }
}

TEST(QrTextTest, EveryTruncationIsAnErrorUntilTheFourthFieldIsWhole) {
  const std::string text = format_qr_text(sample());
  for (std::size_t length = 0; length < text.size() - 2; ++length) {
    SCOPED_TRACE(length);
    EXPECT_FALSE(parse_qr_text(std::string_view(text).substr(0, length)));
  }
}

}  // namespace
}  // namespace wa::pairing

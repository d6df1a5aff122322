#include "engine/protocol/signal/padding.hpp"

#include <gtest/gtest.h>

#include <set>

#include "engine/protocol/signal/phash.hpp"
#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

TEST(PaddingTest, PadsAsRecorded) {
  const auto file = test::vectors("padding.json");
  ASSERT_FALSE(file.at("pad").as_array().empty());
  for (const auto& v : file.at("pad").as_array()) {
    SCOPED_TRACE(text_at(v, "padded"));
    test::ScriptedRandom random;
    random.add(test::bytes({v.at("padLength").to_number<int>() - 1}));
    EXPECT_EQ(to_hex(pad(hex_at(v, "message"), random)), text_at(v, "padded"));
    EXPECT_EQ(random.left(), 0U);
  }
}

TEST(PaddingTest, UnpadsAsTheStrictestClientDoes) {
  const auto file = test::vectors("padding.json");
  ASSERT_FALSE(file.at("unpad").as_array().empty());
  for (const auto& v : file.at("unpad").as_array()) {
    const auto name = text_at(v, "name");
    SCOPED_TRACE(name);
    const Bytes input = hex_at(v, "input");
    const auto unpadded = unpad(input);
    if (text_at(v, "strictClients") == "same as Baileys") {
      ASSERT_TRUE(unpadded) << unpadded.error();
      EXPECT_EQ(to_hex(*unpadded), text_at(v.at("expectBaileys"), "message"));
    } else {
      ASSERT_FALSE(unpadded);
      EXPECT_EQ(unpadded.error().why, Failure::bad_padding);
    }
  }
}

// A length of 0 in one of sixteen messages is a bug that shipped elsewhere.
TEST(PaddingTest, PaddingHas1To16BytesAndComesOffAgain) {
  SeededRandom random(3);
  std::set<std::size_t> counts;
  for (int i = 0; i < 10'000; ++i) {
    Bytes message(random.below(40));
    random.fill(message);
    const Bytes padded = pad(message, random);
    counts.insert(padded.size() - message.size());
    const auto unpadded = unpad(padded);
    ASSERT_TRUE(unpadded) << unpadded.error();
    ASSERT_EQ(to_bytes(*unpadded), message);
  }
  EXPECT_EQ(counts.size(), 16U);
  EXPECT_EQ(*counts.begin(), 1U);
  EXPECT_EQ(*counts.rbegin(), 16U);
}

TEST(ParticipantHashTest, MatchesTheVectorsInAnyOrder) {
  const auto file = test::vectors("phash.json");
  ASSERT_FALSE(file.at("vectors").as_array().empty());
  for (const auto& v : file.at("vectors").as_array()) {
    SCOPED_TRACE(text_at(v, "name"));
    std::vector<wire::Jid> devices;
    for (const auto& jid : v.at("devices").as_array()) {
      devices.push_back(wire::Jid::parse(std::string_view(jid.as_string())).value());
    }
    EXPECT_EQ(participant_hash(devices), text_at(v, "phashV2"));
    std::reverse(devices.begin(), devices.end());
    EXPECT_EQ(participant_hash(devices), text_at(v, "phashV2"));
  }
}

}  // namespace
}  // namespace wa::signal

#include "engine/messaging/message_ids.hpp"

#include <gtest/gtest.h>

#include <set>

namespace wa::messaging {
namespace {

class MessageIdsTest : public ::testing::Test {
 protected:
  SeededRandom random{1};
  MessageIds ids{crypto::generate_key_pair(random)};
};

TEST_F(MessageIdsTest, LookLikeThoseOfWebClientsAndAreNeverTheSame) {
  std::set<std::string> made;
  for (int i = 0; i < 100; ++i) made.insert(ids.make(7, random));
  EXPECT_EQ(made.size(), 100u);
  for (const std::string& id : made) {
    EXPECT_EQ(id.size(), 22u);
    EXPECT_EQ(id.substr(0, 4), "3EB0");
    EXPECT_EQ(id.find_first_not_of("0123456789ABCDEF"), std::string::npos) << id;
  }
}

TEST_F(MessageIdsTest, AreKnownToBeLaterOrNot) {
  for (const std::uint64_t last : {0ull, 41ull, 0xfffffeull, 0xffffffffull}) {
    SCOPED_TRACE(last);
    EXPECT_FALSE(ids.is_later(ids.make(last, random), last));
    EXPECT_TRUE(ids.is_later(ids.make(last + 1, random), last));
    EXPECT_TRUE(ids.is_later(ids.make(last + 100'000, random), last));
    EXPECT_FALSE(ids.is_later(ids.make(last + 0x1000000 - 1, random), last)) << "the one before";
  }
}

TEST_F(MessageIdsTest, OfOthersAreNeverOurs) {
  const MessageIds other(crypto::generate_key_pair(random));
  std::string id = ids.make(9, random);
  EXPECT_TRUE(ids.is_later(id, 1));
  EXPECT_FALSE(other.is_later(id, 1));
  for (std::size_t i = 4; i < id.size(); ++i) {
    std::string changed = id;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_FALSE(ids.is_later(changed, 1)) << i;
  }
  EXPECT_FALSE(ids.is_later(id + "00", 1));
  EXPECT_FALSE(ids.is_later(id.substr(0, 20), 1));
  EXPECT_FALSE(ids.is_later("3EB0ZZZZZZZZZZZZZZZZZZ", 1));
  EXPECT_FALSE(ids.is_later("", 1));
}

}  // namespace
}  // namespace wa::messaging

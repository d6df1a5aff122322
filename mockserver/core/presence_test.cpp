#include "mockserver/core/presence.hpp"

#include <gtest/gtest.h>

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

const DeviceKey kAnna{"p1", 1};
const DeviceKey kBert{"p2", 1};
const DeviceKey kOldBert{"p2", 2};
const wire::Jid kAnnasName("15550100002", wire::kServerPn);

TEST(PresenceBoardTest, AnAccountIsThereWhileAnyOfItsDevicesIs) {
  PresenceBoard board;
  ASSERT_TRUE(board.follow(kAnna, "p2", kAnnasName));
  EXPECT_FALSE(board.available("p2"));
  EXPECT_EQ(board.set(kBert, true, UnixMillis{1000}).size(), 1u);
  EXPECT_EQ(board.set(kBert, true, UnixMillis{2000}).size(), 0u) << "nothing new";
  EXPECT_EQ(board.set(kOldBert, true, UnixMillis{2000}).size(), 0u);
  EXPECT_EQ(board.set(kBert, false, UnixMillis{3000}).size(), 0u);
  EXPECT_FALSE(board.last_seen("p2"));
  const auto told = board.set(kOldBert, false, UnixMillis{4000});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].asked_for, kAnnasName);
  EXPECT_EQ(board.last_seen("p2"), UnixMillis{4000});
}

TEST(PresenceBoardTest, WhoUnfollowsOrIsGoneIsNotTold) {
  PresenceBoard board;
  ASSERT_TRUE(board.follow(kAnna, "p2", kAnnasName));
  board.unfollow(kAnna, "p2");
  board.unfollow(kAnna, "p3");
  EXPECT_EQ(board.set(kBert, true, UnixMillis{1000}).size(), 0u);
  ASSERT_TRUE(board.follow(kAnna, "p2", kAnnasName));
  board.forget(kAnna);
  EXPECT_EQ(board.set(kBert, false, UnixMillis{2000}).size(), 0u);
}

TEST(PresenceBoardTest, ADeviceFollowsABoundedNumber) {
  PresenceBoard board;
  for (std::size_t i = 0; i < limits::kMaxPresenceSubscriptions; ++i) {
    ASSERT_TRUE(board.follow(kAnna, "p" + std::to_string(i), kAnnasName));
  }
  EXPECT_FALSE(board.follow(kAnna, "another", kAnnasName));
  EXPECT_TRUE(board.follow(kAnna, "p7", kAnnasName)) << "again is not more";
  EXPECT_TRUE(board.follow(kBert, "another", kAnnasName));
}

}  // namespace
}  // namespace wa::mock

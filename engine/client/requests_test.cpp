#include "engine/client/requests.hpp"

#include <gtest/gtest.h>

namespace wa::client {
namespace {

using namespace std::chrono_literals;

class RequestsTest : public ::testing::Test {
 protected:
  SeededRandom random{5};
  Requests requests{random};
  Instant now{1h};
};

TEST_F(RequestsTest, AnAnswerIsMatchedOnce) {
  const auto count = requests.open(Purpose::pre_key_count, now + 60s);
  const auto upload = requests.open(Purpose::pre_key_upload, now + 60s);
  EXPECT_NE(count, upload);
  EXPECT_EQ(requests.take(upload), Purpose::pre_key_upload);
  EXPECT_EQ(requests.take(upload), std::nullopt);
  EXPECT_EQ(requests.take(count), Purpose::pre_key_count);
}

TEST_F(RequestsTest, IdsOfAnotherStreamAndNonsenseMatchNothing) {
  const auto id = requests.open(Purpose::ping, now + 60s);
  Requests other(random);
  const auto foreign = other.open(Purpose::ping, now + 60s);
  ASSERT_NE(id, foreign);
  for (const std::string& nonsense :
       {foreign, std::string(), id + "0", id + "x", id.substr(0, id.size() - 1), std::string("1"),
        id.substr(0, id.size() - 1) + "99999999999999999999999"}) {
    EXPECT_EQ(requests.take(nonsense), std::nullopt) << nonsense;
  }
  EXPECT_EQ(requests.take(id), Purpose::ping);
}

TEST_F(RequestsTest, WhatWaitsTooLongIsTakenOutOneByOne) {
  EXPECT_EQ(requests.next_deadline(), std::nullopt);
  const auto late = requests.open(Purpose::ping, now + 60s);
  requests.open(Purpose::pre_key_count, now + 10s);
  requests.open(Purpose::passive_active, now + 10s);
  EXPECT_EQ(requests.next_deadline(), now + 10s);
  EXPECT_EQ(requests.take_expired(now + 9s), std::nullopt);
  EXPECT_EQ(requests.take_expired(now + 10s), Purpose::pre_key_count);
  EXPECT_EQ(requests.take_expired(now + 10s), Purpose::passive_active);
  EXPECT_EQ(requests.take_expired(now + 10s), std::nullopt);
  EXPECT_EQ(requests.next_deadline(), now + 60s);
  EXPECT_EQ(requests.take(late), Purpose::ping);
}

}  // namespace
}  // namespace wa::client

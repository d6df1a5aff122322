#include "mockserver/core/owed_acks.hpp"

#include <gtest/gtest.h>

namespace wa::mock {
namespace {

OwedAck message(std::string id, std::string participant = {}) {
  return {.ack_class = "message",
          .id = std::move(id),
          .participant = std::move(participant),
          .type = "text"};
}

TEST(OwedAcksTest, AnAckTakesWhatItFitsWholeBeforeWhatIsOlder) {
  OwedAcks owed;
  owed.add(message("A", "ann"));
  owed.add(message("A", "ben"));
  EXPECT_EQ(owed.take("message", "A", "ben", "text")->participant, "ben");
  EXPECT_EQ(owed.take("message", "A", "ben", "text")->participant, "ann") << "of class and id";
  EXPECT_FALSE(owed.take("message", "A", "ann", "text"));
}

TEST(OwedAcksTest, AnotherClassOwesNothing) {
  OwedAcks owed;
  owed.add(message("A"));
  EXPECT_FALSE(owed.take("receipt", "A", "", "text"));
  EXPECT_TRUE(owed.take("message", "A", "", "")) << "a message's type may be left out";
}

TEST(OwedAcksTest, WhatWasReceiptedMayBeAckedStillButIsNotKeptForEver) {
  OwedAcks owed;
  for (int i = 0; i < 300; ++i) {
    owed.add(message(std::to_string(i)));
    owed.receipted(std::to_string(i));
    owed.receipted(std::to_string(i));
  }
  EXPECT_FALSE(owed.take("message", "0", "", "text"));
  EXPECT_TRUE(owed.take("message", "299", "", "text"));
  EXPECT_EQ(std::distance(owed.begin(), owed.end()), 255);
}

}  // namespace
}  // namespace wa::mock

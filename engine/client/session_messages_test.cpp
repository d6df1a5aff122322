#include <gtest/gtest.h>

#include "engine/client/records.hpp"
#include "engine/client/test_server.hpp"

/// A session and its messenger: what goes in and out of both.
namespace wa::client::test {
namespace {

const wire::Jid kFriend("15550009999", wire::kServerPn);

SendRequested say(std::string text) {
  return {.ref = 7, .to = kFriend, .content = message::Text{std::move(text)}, .id = "3EB0AA"};
}

template <class What>
const What* last_event(const World& world) {
  if (world.app_events.empty()) return nullptr;
  return std::get_if<What>(&world.app_events.back().what);
}

TEST(SessionMessagesTest, ADeviceWithoutAnAccountFailsWhatItIsToSend) {
  World world;
  world.step(say("hi"));
  const auto* failed = last_event<messaging::SendFailed>(world);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->reason, "not_paired");
  EXPECT_EQ(failed->id, "3EB0AA");
  EXPECT_EQ(world.app_events.back().ref, 7u);
  EXPECT_TRUE(world.store.empty()) << "nothing is kept for it";
}

TEST(SessionMessagesTest, AMessageIsDurableBeforeItIsAccepted) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;  // it goes no further than that
  world.step(say("hi"));
  ASSERT_NE(last_event<messaging::SendAccepted>(world), nullptr);
  EXPECT_EQ(world.store.at(std::string(messaging::kOutboxKind)).count("3EB0AA"), 1u);
  EXPECT_EQ(world.stored().messages.outbox.size(), 1u) << "it is there after a restart";
}

TEST(SessionMessagesTest, WhatIsWaitingIsGoneWithTheAccount) {
  World world;
  world.pair();
  world.step(say("hi"));
  world.step(DeleteRequested{});
  EXPECT_FALSE(world.store.contains(std::string(messaging::kOutboxKind)));
  EXPECT_FALSE(world.store.contains(std::string(messaging::kMessengerKind)));
  world.step(say("anybody?"));
  ASSERT_NE(last_event<messaging::SendFailed>(world), nullptr);
}

}  // namespace
}  // namespace wa::client::test

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

/// The server says that the device was removed.
void unlink(World& world) {
  world.send_and_close(stream_error(401, conflict("device_removed")));
  ASSERT_EQ(world.status().state, State::logged_out);
}

TEST(SessionMessagesTest, WhatNobodyHasTakenOutlivesTheAccount) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(say("hi"));
  unlink(world);
  // What was accepted is reported, at last: the account it was for is gone.
  const auto* failed = last_event<messaging::SendFailed>(world);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->reason, "logged_out");
  const std::uint64_t seq = world.app_events.back().seq;
  EXPECT_NE(seq, 0u);
  EXPECT_FALSE(world.store.contains(std::string(messaging::kOutboxKind)));
  EXPECT_EQ(world.store.at(std::string(messaging::kEventKind)).size(), 1u);

  // It is said again at every start until it is taken, without any account.
  World later(World::default_config(), world.stored());
  later.store = world.store;
  later.step(StartRequested{});
  ASSERT_EQ(later.app_events.size(), 1u);
  EXPECT_EQ(later.app_events[0].seq, seq);
  later.step(EventTaken{seq});
  EXPECT_FALSE(later.store.contains(std::string(messaging::kEventKind)));
  later.step(EventTaken{seq});
  EXPECT_TRUE(later.stored().messages.events.empty());
}

TEST(SessionMessagesTest, TheNextAccountGoesOnWithTheNumbersOfEvents) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(say("hi"));
  unlink(world);
  const std::uint64_t seq = world.app_events.back().seq;
  world.behaviour.answer_iqs = true;
  world.app_events.clear();
  world.pair();
  ASSERT_EQ(world.app_events.size(), 1u) << "not taken yet";
  EXPECT_EQ(world.app_events[0].seq, seq);
  world.behaviour.answer_iqs = false;
  world.step(say("hi again"));
  unlink(world);
  EXPECT_GT(world.app_events.back().seq, seq);
}

TEST(SessionMessagesTest, WhatIsTakenBeforeTheEndIsNotSaidAgain) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(say("hi"));
  world.advance(61s);  // it fails
  const std::uint64_t seq = world.app_events.back().seq;
  ASSERT_NE(seq, 0u);
  world.step(EventTaken{seq});
  unlink(world);
  EXPECT_FALSE(world.store.contains(std::string(messaging::kEventKind)));
}

TEST(SessionMessagesTest, ADeleteTakesEventsAlong) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(say("hi"));
  unlink(world);
  world.step(DeleteRequested{});
  EXPECT_FALSE(world.store.contains(std::string(messaging::kEventKind)));
  EXPECT_FALSE(world.store.contains(std::string(messaging::kMessengerKind)));
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

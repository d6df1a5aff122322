#include "scenarios/stage/waits.hpp"

#include <gmock/gmock.h>

#include "scenarios/stage/scripted_world.hpp"

namespace wa::stage {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

mock::TenantEvent event(mock::EventKind kind, mock::ConnectionId connection, std::string device) {
  return {kind, connection, std::move(device), {}};
}

class WaitTest : public testing::Test {
 protected:
  WaitTest() { shop.start(); }
  ScriptedWorld world;
  ScriptedDevice& shop = world.add_device("shop-1");
};

TEST_F(WaitTest, FindsWhatComesLater) {
  world.says(100ms, shop, "connecting");
  world.says(300ms, shop, "connected");
  Wait wait = Wait::for_state(world, shop, "connected", {}, 1s);
  EXPECT_EQ(await(world, wait), std::nullopt);
  EXPECT_EQ(world.now().mono, Instant(300ms));
  EXPECT_EQ(wait.entry()->at, Instant(300ms));
}

TEST_F(WaitTest, FindsWhatCameBeforeTheWaitButAfterTheCursor) {
  world.says(100ms, shop, "connecting");
  world.says(200ms, shop, "connected");
  world.says(300ms, shop, "connecting");
  world.advance(Instant(1s));
  world.advance(Instant(1s));
  world.advance(Instant(1s));
  Wait wait = Wait::for_state(world, shop, "connected", {}, 1s);
  EXPECT_EQ(wait.poll(), Wait::Progress::matched);
  EXPECT_EQ(shop.cursor(), 2u);
}

TEST_F(WaitTest, CountsNothingTwice) {
  world.says(100ms, shop, "connected");
  world.says(200ms, shop, "connecting");
  world.says(300ms, shop, "connected");
  for (const Duration expected : {Duration(100ms), Duration(300ms)}) {
    Wait wait = Wait::for_state(world, shop, "connected", {}, 1s);
    ASSERT_EQ(await(world, wait), std::nullopt);
    EXPECT_EQ(wait.entry()->at, Instant(expected));
  }
  Wait third = Wait::for_state(world, shop, "connected", {}, 1s);
  EXPECT_NE(await(world, third), std::nullopt);
}

TEST_F(WaitTest, AStateThatIsOnlySaidAgainIsNoNewState) {
  world.says(100ms, shop, "connected");
  world.says(200ms, shop, "connected");
  Wait first = Wait::for_state(world, shop, "connected", {}, 1s);
  ASSERT_EQ(await(world, first), std::nullopt);
  Wait second = Wait::for_state(world, shop, "connected", {}, 1s);
  EXPECT_NE(await(world, second), std::nullopt);
  EXPECT_EQ(shop.states(), std::vector<std::string>{"connected"});
}

TEST_F(WaitTest, StartPlacesTheCursorBehindWhatWas) {
  world.says(100ms, shop, "connected");
  world.advance(Instant(1s));
  shop.start();
  Wait wait = Wait::for_state(world, shop, "connected", {}, 1s);
  EXPECT_NE(await(world, wait), std::nullopt);
}

TEST_F(WaitTest, TimesOutAtItsDeadlineAndSaysWhatCame) {
  world.says(100ms, shop, "connecting", "finishing");
  world.shows(200ms, shop, 1);
  Wait wait = Wait::for_state(world, shop, "connected", {}, 2s);
  const auto failure = await(world, wait);
  ASSERT_TRUE(failure);
  EXPECT_EQ(world.now().mono, Instant(2s));
  EXPECT_EQ(failure->kind, "wait");
  EXPECT_EQ(failure->message,
            "device shop-1: state connected did not come within 2s. Arrived: state connecting "
            "(finishing) at 100ms, qr 1 at 200ms. The state is connecting (finishing).");
}

TEST_F(WaitTest, ATimeoutSaysWhatCameNearest) {
  world.says(100ms, shop, "disconnected", "restart_limit");
  Wait wait = Wait::for_state(world, shop, "disconnected", "gave_up", 1s);
  const auto failure = await(world, wait);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("Nearest: state disconnected (restart_limit)."));
}

TEST_F(WaitTest, ATimeoutSaysThatItHeldAlready) {
  world.says(100ms, shop, "connected");
  Wait first = Wait::for_state(world, shop, "connected", {}, 1s);
  ASSERT_EQ(await(world, first), std::nullopt);
  Wait second = Wait::for_state(world, shop, "connected", {}, 1s);
  const auto failure = await(world, second);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("Nothing arrived."));
  EXPECT_THAT(failure->message,
              HasSubstr("It had come before this wait: state connected at 100ms; the state is now "
                        "connected."));
}

TEST_F(WaitTest, AQrThatIsStaleIsOnlyNear) {
  world.shows(100ms, shop, 1, true);
  Wait wait = Wait::for_qr(world, shop, 150ms);
  const auto failure = await(world, wait);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("Nearest: qr 1 (stale)."));
  world.shows(200ms, shop, 2);
  Wait next = Wait::for_qr(world, shop, 1s);
  EXPECT_EQ(await(world, next), std::nullopt);
}

TEST_F(WaitTest, AQrEntryKeepsItsPictureWhenTheNextIsOnShow) {
  world.shows(100ms, shop, 1);
  world.shows(200ms, shop, 2);
  world.advance(Instant(1s));
  world.advance(Instant(1s));
  Wait wait = Wait::for_qr(world, shop, 1s);
  ASSERT_EQ(wait.poll(), Wait::Progress::matched);
  EXPECT_EQ(*wait.entry()->qr.png(), *QrPicture::from_text("code 1").png());
  EXPECT_EQ(*shop.qr().png(), *QrPicture::from_text("code 2").png());
}

TEST_F(WaitTest, SeveralWaitsEndEachAtItsOwnTime) {
  ScriptedDevice& other = world.add_device("shop-2");
  other.start();
  world.says(200ms, shop, "connected");
  world.says(100ms, other, "connected");
  Wait first = Wait::for_state(world, shop, "connected", {}, 1s);
  Wait second = Wait::for_state(world, other, "connected", {}, 1s);
  std::array both{&first, &second};
  await_any(world, both);
  EXPECT_EQ(first.progress(), Wait::Progress::pending);
  EXPECT_EQ(second.progress(), Wait::Progress::matched);
  std::array rest{&first};
  await_any(world, rest);
  EXPECT_EQ(first.progress(), Wait::Progress::matched);
}

TEST_F(WaitTest, TwoWaitsOnOneDeviceDoNotShareAMatch) {
  world.shows(100ms, shop, 1);
  world.shows(200ms, shop, 2);
  Wait first = Wait::for_qr(world, shop, 1s);
  Wait second = Wait::for_qr(world, shop, 1s);
  ASSERT_EQ(await(world, first), std::nullopt);
  ASSERT_EQ(await(world, second), std::nullopt);
  EXPECT_NE(first.index(), second.index());
}

TEST_F(WaitTest, AnAnswerIsFoundByItsNumberAndMovesNothing) {
  world.at(50ms, [&] { shop.push({world.now().mono, "done", {{"ref", 8}}, {}}); });
  world.at(60ms, [&] { shop.push({world.now().mono, "error", {{"ref", 9}, {"code", "x"}}, {}}); });
  Wait wait = Wait::for_answer(world, shop, 9, "inspect", 1s);
  ASSERT_EQ(await(world, wait), std::nullopt);
  EXPECT_EQ(wait.entry()->kind, "error");
  EXPECT_EQ(shop.cursor(), 0u);
}

TEST_F(WaitTest, EveryDeviceHasItsOwnCursorInTheServersEvents) {
  using mock::EventKind;
  world.notices(10ms, event(EventKind::connected, 1, "shop-1"));
  world.notices(20ms, event(EventKind::connected, 2, "shop-2"));
  world.notices(30ms, event(EventKind::login, 2, "15550100002:1@s.whatsapp.net"));
  world.notices(40ms, event(EventKind::login, 1, "shop-1"));
  Wait late = Wait::for_event(world, EventKind::login, "shop-1", {}, 1s);
  ASSERT_EQ(await(world, late), std::nullopt);
  EXPECT_EQ(late.event()->at, Instant(40ms));
  // Known by its connection, whatever the event calls it.
  Wait early = Wait::for_event(world, EventKind::login, "shop-2", {}, 1s);
  ASSERT_EQ(early.poll(), Wait::Progress::matched);
  EXPECT_EQ(early.event()->at, Instant(30ms));
  EXPECT_EQ(world.server().connects("shop-1"), 1u);
}

TEST_F(WaitTest, AnEventThatNeverCameListsTheEventsOfThatDeviceOnly) {
  using mock::EventKind;
  world.notices(10ms, event(EventKind::connected, 1, "shop-1"));
  world.notices(20ms, event(EventKind::connected, 2, "shop-2"));
  world.notices(30ms, event(EventKind::handshake, 1, "shop-1"));
  Wait wait = Wait::for_event(world, EventKind::login, "shop-1", {}, 1s);
  const auto failure = await(world, wait);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->message,
            "server: event login of shop-1 did not come within 1s. Arrived: connected at 10ms, "
            "handshake at 30ms.");
}

TEST_F(WaitTest, ConditionsAreAskedAfterWhateverHappens) {
  int happened = 0;
  for (int i = 1; i <= 3; ++i) world.at(i * 10ms, [&] { ++happened; });
  Wait wait = Wait::until(
      world, "two things", [&] { return happened == 2; }, 1s);
  ASSERT_EQ(await(world, wait), std::nullopt);
  EXPECT_EQ(world.now().mono, Instant(20ms));
}

TEST_F(WaitTest, APauseLetsExactlyThatMuchTimePass) {
  world.says(100ms, shop, "connected");
  Wait wait = Wait::pause(world, 24h);
  ASSERT_EQ(await(world, wait), std::nullopt);
  EXPECT_EQ(world.now().mono, Instant(24h));
  EXPECT_EQ(shop.state(), "connected");
}

TEST_F(WaitTest, WaitsAreScaledWithTheirFloor) {
  world.scale = TimeScale::loopback(0.02);
  Wait floored = Wait::for_qr(world, shop, 2s);
  EXPECT_EQ(floored.deadline(), Instant(500ms));
  Wait scaled = Wait::for_qr(world, shop, 60s);
  EXPECT_EQ(scaled.deadline(), Instant(1200ms));
}

TEST_F(WaitTest, WhatTheScriptWasToldIsInTheHash) {
  const auto run = [](std::string state) {
    ScriptedWorld other;
    ScriptedDevice& device = other.add_device("shop-1");
    device.start();
    other.says(100ms, device, "connected");
    Wait wait = Wait::for_state(other, device, std::move(state), {}, 1s);
    (void)await(other, wait);
    return other.trace().hash();
  };
  EXPECT_EQ(run("connected"), run("connected"));
  EXPECT_NE(run("connected"), run("banned"));
}

}  // namespace
}  // namespace wa::stage

// Bugs that users of other clients have met, each as the behaviour that rules it out.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::conflict;
using test::failure;
using test::NodeBuilder;
using test::stream_error;
using test::World;

// FB-005
TEST(SessionFieldTest, TheKeysOfAnAttemptNeverChangeUntilItHasEnded) {
  World world;
  world.start();
  const Credentials scanned = *world.session.credentials();
  world.send_and_close(stream_error(503));
  world.advance(2s);
  world.close_from_server();
  world.advance(4s);
  ASSERT_EQ(world.status().state, State::waiting_for_scan);
  world.scan();
  world.advance(1s);
  ASSERT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.session.credentials()->attempt_id, scanned.attempt_id);
  EXPECT_EQ(world.session.credentials()->noise, scanned.noise);
  EXPECT_EQ(world.session.credentials()->identity, scanned.identity);
  EXPECT_EQ(world.session.credentials()->adv_secret, scanned.adv_secret);
  EXPECT_EQ(world.server->client_static, scanned.noise.public_key);
}

// FB-007
TEST(SessionFieldTest, AnUnknownChildAfterTheScanIsRetriedThriceAndKeepsTheCredentials) {
  World world;
  world.behaviour.restart_after_sign = false;
  world.behaviour.send_success = false;
  world.start();
  world.scan();
  const auto fingerprint = world.session.credentials()->fingerprint();
  const Instant begin = world.now.mono;
  while (world.now.mono - begin < 60s) {
    if (world.open_socket) world.send_and_close(stream_error({}, NodeBuilder("ping")));
    world.advance(100ms);
  }
  EXPECT_LE(world.dial_times.size(), 4u);
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_EQ(world.status().reason, "unknown_stream_error");
  EXPECT_EQ(world.session.credentials()->fingerprint(), fingerprint);
}

// FB-008
TEST(SessionFieldTest, UsedUpWindowsAreNoLoopAndAreRenewedAtMostSixtyTimesAnHour) {
  auto config = World::default_config();
  config.auto_renew_qr = 1000;
  config.timings.qr_first = 6s;
  config.timings.qr_rest = 2s;
  World world(config);
  world.start();
  world.advance(20min);
  EXPECT_EQ(world.status().attempts, 0u);
  EXPECT_EQ(world.session.counters().loop_alerts, 0u);
  EXPECT_EQ(world.status().state, State::qr_expired);
  EXPECT_EQ(world.dial_times.size(), 61u);
  for (const Status& status : world.statuses) EXPECT_EQ(status.attempts, 0u);
}

// FB-009
TEST(SessionFieldTest, DropsWithACodeOnShowAreBoundedRaiseAnAlertAndKeepTheCode) {
  World world;
  world.start();
  world.forget();
  const Instant begin = world.now.mono;
  while (world.now.mono - begin < 5min) {
    if (world.open_socket) world.send_and_close(stream_error(503));
    EXPECT_TRUE(world.status().qr);
    EXPECT_EQ(world.status().state, State::waiting_for_scan);
    world.advance(100ms);
  }
  EXPECT_LE(world.dial_times.size(), 15u);
  EXPECT_EQ(world.session.counters().loop_alerts, 1u);
  for (const Status& status : world.statuses) EXPECT_TRUE(status.qr);
}

// FB-015
TEST(SessionFieldTest, EveryStartAfterAnEndBuildsAFreshAttempt) {
  World world;
  std::uint32_t last_attempt = 0;
  for (int i = 0; i < 10; ++i) {
    world.pair();
    EXPECT_GT(world.session.credentials()->attempt_id, last_attempt);
    last_attempt = world.session.credentials()->attempt_id;
    world.send_and_close(i % 2 == 0 ? failure(401) : stream_error(401, conflict("device_removed")));
    EXPECT_EQ(world.status().state, State::logged_out);
    world.start();
    EXPECT_EQ(world.status().state, State::waiting_for_scan);
    world.step(StopRequested{});
    EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  }
}

// FB-016
TEST(SessionFieldTest, ALogoutOnTheFirstConnectDoesNotMakeADeviceUnpairable) {
  World before;
  before.behaviour.refs.reset();
  before.start();
  before.send_and_close(failure(401));
  EXPECT_EQ(before.status().state, State::logged_out);

  World after(World::default_config(), before.stored(), 2);
  EXPECT_EQ(after.status().state, State::logged_out);
  after.start();
  EXPECT_EQ(after.status().state, State::waiting_for_scan);
  EXPECT_EQ(after.session.credentials()->attempt_id, 2u);
}

// FB-012, fresh-qr: the code is withdrawn at once, and not only when the reason is durable.
TEST(SessionFieldTest, AFinalEndWithdrawsTheCodeBeforeItsCommit) {
  World world;
  world.start();
  world.forget();
  world.send_and_close(failure(401));
  std::size_t publish = 0;
  std::size_t commit = 0;
  for (std::size_t i = 0; i < world.actions.size(); ++i) {
    if (const auto* shown = std::get_if<PublishStatus>(&world.actions[i])) {
      publish = i;
      EXPECT_FALSE(shown->status.qr);
    }
    if (std::holds_alternative<Commit>(world.actions[i])) commit = i;
  }
  EXPECT_LT(publish, commit);
  EXPECT_EQ(world.statuses.size(), 1u);
}

// FB-028
TEST(SessionFieldTest, TheCodeIsGoneWithPairSuccessAndALoginThatNeverComesHasADeadline) {
  World world;
  world.behaviour.send_success = false;
  world.start();
  world.scan();
  EXPECT_FALSE(world.status().qr);
  EXPECT_EQ(world.status().state, State::connecting);
  world.advance(5min);
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_TRUE(world.session.credentials()->account);
}

// FB-029, FB-030
TEST(SessionFieldTest, AStormOfDoubledClosesIsOneReconnectEach) {
  World world;
  world.pair();
  world.forget();
  const Instant begin = world.now.mono;
  std::size_t closes = 0;
  while (world.now.mono - begin < 10min) {
    if (world.open_socket) {
      const Generation generation = *world.open_socket;
      world.advance(200ms);
      world.send(stream_error(503));
      world.close_from_server();
      world.step(SocketClosed{generation, "again"});
      world.step(SocketClosed{generation, "and again"});
      ++closes;
    }
    world.advance(50ms);
  }
  EXPECT_LE(world.dial_times.size(), 25u);
  EXPECT_GE(world.dial_times.size() + 1, closes);
  EXPECT_LE(world.dial_times.size(), closes);
}

// FB-032
TEST(SessionFieldTest, AFailureInAnyPhaseIsRetriedByTheSameScheduler) {
  for (const DialPhase phase : {DialPhase::resolve, DialPhase::connect, DialPhase::proxy,
                                DialPhase::tls, DialPhase::upgrade}) {
    World world;
    world.pair();
    world.behaviour.on_dial = World::OnDial::hold;
    world.close_from_server();
    world.advance(2s);
    world.step(DialFailed{*world.open_socket, phase, {}, "no"});
    world.open_socket.reset();
    EXPECT_EQ(world.status().state,
              phase == DialPhase::proxy ? State::proxy_error : State::connecting);
    EXPECT_TRUE(world.status().next_attempt_at);
    EXPECT_TRUE(world.session.credentials()->account);
    world.behaviour.on_dial = World::OnDial::accept;
    world.advance(5s);
    EXPECT_EQ(world.status().state, State::connected);
  }
}

// FB-043
TEST(SessionFieldTest, AnOutdatedClientWaitsForAnotherVersionAndThenConnectsAtOnce) {
  World world;
  world.pair();
  world.send_and_close(failure(405));
  world.forget();
  world.advance(24h);
  EXPECT_EQ(world.status().state, State::client_outdated);
  EXPECT_TRUE(world.dial_times.empty());
  world.step(VersionChanged{World::default_config().version});  // the same one
  EXPECT_TRUE(world.dial_times.empty());
  world.step(VersionChanged{{2, 3000, 2'000'000'000}});
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.dial_times.size(), 1u);
}

// FB-043
TEST(SessionFieldTest, AVersionThatChangesMeanwhileIsUsedFromTheNextConnectOn) {
  World world;
  world.pair();
  world.forget();
  world.step(VersionChanged{{2, 3000, 2'000'000'000}});
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_EQ(world.status().state, State::connected);
}

// FB-045
TEST(SessionFieldTest, RareCodesNeverWipe) {
  for (const int code : {411, 413, 414, 415, 418, 400, 409, 499, 501}) {
    World world;
    world.pair();
    const auto fingerprint = world.session.credentials()->fingerprint();
    world.send_and_close(failure(code));
    world.advance(1h);
    EXPECT_EQ(world.session.credentials()->fingerprint(), fingerprint) << code;
    EXPECT_TRUE(world.store.contains("credentials"));
  }
}

// FB-046
TEST(SessionFieldTest, StreamsThatEndOverAnAckAreCounted) {
  World world;
  world.pair();
  world.send_and_close(stream_error({}, NodeBuilder("ack")));
  world.advance(2s);
  EXPECT_EQ(world.session.counters().owed_acks, 1u);
  EXPECT_EQ(world.status().last_close->code, std::nullopt);
}

// FB-067
TEST(SessionFieldTest, AThousandFailuresOfEveryKindLeaveTheCredentialsAlone) {
  World world;
  world.keep_actions = false;
  world.pair();
  const auto fingerprint = world.session.credentials()->fingerprint();
  SeededRandom draw(5);
  for (int i = 0; i < 1000; ++i) {
    world.behaviour.send_success = draw.below(3) != 0;
    world.behaviour.answer_hello = draw.below(5) != 0;
    world.behaviour.valid_chain = draw.below(5) != 0;
    world.behaviour.on_dial = draw.below(3) == 0 ? World::OnDial::fail : World::OnDial::accept;
    world.behaviour.http_status =
        draw.below(2) == 0 ? std::nullopt : std::optional(400 + static_cast<int>(draw.below(200)));
    if (world.open_socket && world.server->established()) {
      constexpr int kCodes[] = {409, 411, 413, 414, 415, 418, 429, 500, 503, 515, 777};
      const int code = kCodes[draw.below(std::size(kCodes))];
      world.send(draw.below(2) == 0 ? stream_error(code) : failure(code));
    }
    world.close_from_server();
    if (draw.below(4) == 0) world.start();
    world.advance(std::chrono::milliseconds(draw.below(100'000)));
    ASSERT_TRUE(world.session.credentials());
    ASSERT_EQ(world.session.credentials()->fingerprint(), fingerprint);
    ASSERT_EQ(world.stored().credentials->fingerprint(), fingerprint);
  }
}

}  // namespace
}  // namespace wa::client

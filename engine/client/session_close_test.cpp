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

// ---- the policy, through a real stream ------------------------------------------------------

struct Row {
  const char* name;
  NodeBuilder stanza;
  State state;
  const char* reason;
  std::optional<int> code;
  bool erased;
  enum class Next { immediate, exp, slow, never } next;
};

std::vector<Row> rows() {
  using Next = Row::Next;
  const auto error = [](std::optional<int> code, std::optional<NodeBuilder> child = {}) {
    return stream_error(code, std::move(child));
  };
  return {
      {"515", error(515), State::connecting, "restart_required", 515, false, Next::immediate},
      {"removed", error(401, conflict("device_removed")), State::logged_out, "pairing_rejected",
       401, true, Next::never},
      {"removed without code",
       error({}, conflict("device_removed")),
       State::logged_out,
       "pairing_rejected",
       {},
       true,
       Next::never},
      {"401", error(401), State::needs_relink, "not_authorized", 401, false, Next::never},
      {"516", error(516), State::logged_out, "pairing_rejected", 516, true, Next::never},
      {"replaced",
       error({}, conflict("replaced")),
       State::replaced,
       "replaced",
       {},
       false,
       Next::never},
      {"409", error(409), State::replaced, "replaced", 409, false, Next::never},
      {"429", error(429), State::throttled, "rate_limited", 429, false, Next::slow},
      {"503", error(503), State::connecting, "service_unavailable", 503, false, Next::exp},
      {"ack",
       error({}, NodeBuilder("ack").attr("class", "message").attr("id", "x")),
       State::connecting,
       "owed_ack",
       {},
       false,
       Next::exp},
      {"not well formed",
       error({}, NodeBuilder("xml-not-well-formed")),
       State::connecting,
       "xml_not_well_formed",
       {},
       false,
       Next::exp},
      {"empty", error({}), State::connecting, "server_error", {}, false, Next::exp},
      {"ping child",
       error({}, NodeBuilder("ping")),
       State::connecting,
       "unknown_stream_error",
       {},
       false,
       Next::exp},
      {"777", error(777), State::connecting, "unknown_stream_error", 777, false, Next::exp},
      {"code is text",
       NodeBuilder("stream:error").attr("code", "five"),
       State::connecting,
       "server_error",
       {},
       false,
       Next::exp},
      {"stream end",
       NodeBuilder("xmlstreamend"),
       State::connecting,
       "stream_end",
       {},
       false,
       Next::exp},
      {"downgrade",
       NodeBuilder("ib").child(NodeBuilder("downgrade_webclient")),
       State::needs_relink,
       "multidevice_mismatch",
       {},
       false,
       Next::never},
      {"failure 400", failure(400), State::connecting, "unknown_failure", 400, false, Next::slow},
      {"failure 401", failure(401), State::logged_out, "logged_out", 401, true, Next::never},
      {"failure 402", failure(402), State::temporarily_banned, "temporarily_banned", 402, false,
       Next::never},
      {"failure 403", failure(403), State::account_locked, "account_locked", 403, true,
       Next::never},
      {"failure 405", failure(405), State::client_outdated, "client_outdated", 405, false,
       Next::never},
      {"failure 406", failure(406), State::banned, "banned", 406, true, Next::never},
      {"failure 409", failure(409), State::config_error, "bad_user_agent", 409, false, Next::never},
      {"failure 411", failure(411), State::needs_relink, "multidevice_mismatch", 411, false,
       Next::never},
      {"failure 413", failure(413), State::config_error, "token_expired", 413, false, Next::slow},
      {"failure 414", failure(414), State::config_error, "token_invalid", 414, false, Next::slow},
      {"failure 415", failure(415), State::config_error, "not_found", 415, false, Next::slow},
      {"failure 418", failure(418), State::config_error, "client_unknown", 418, false, Next::slow},
      {"failure 500", failure(500), State::connecting, "server_error", 500, false, Next::exp},
      {"failure 501", failure(501), State::connecting, "unknown_failure", 501, false, Next::slow},
      {"failure 503", failure(503), State::connecting, "service_unavailable", 503, false,
       Next::exp},
      {"failure without reason",
       NodeBuilder("failure"),
       State::connecting,
       "unknown_failure",
       {},
       false,
       Next::slow},
  };
}

TEST(SessionCloseTest, EveryRowOfThePolicyHoldsOnARealStream) {
  for (const Row& row : rows()) {
    for (const bool server_closes : {true, false}) {
      SCOPED_TRACE(std::string(row.name) + (server_closes ? ", closed" : ", left open"));
      World world;
      world.pair();
      world.forget();
      const Instant at = world.now.mono;
      world.send(row.stanza);
      if (server_closes) world.close_from_server();

      const Status& status = world.status();
      EXPECT_EQ(to_string(status.state), to_string(row.state));
      EXPECT_EQ(status.reason, row.reason);
      ASSERT_TRUE(status.last_close);
      EXPECT_EQ(status.last_close->code, row.code);
      EXPECT_EQ(status.last_close->at, world.now.wall);
      EXPECT_TRUE(status.last_close->cause.starts_with("<" + row.stanza.tag()));
      EXPECT_FALSE(world.was_ever(State::connected));

      EXPECT_EQ(world.session.credentials().has_value(), !row.erased);
      EXPECT_EQ(world.forgot_account(), row.erased);
      EXPECT_EQ(status.jid.empty(), row.erased);

      world.advance(30min);
      if (row.next == Row::Next::never) {
        EXPECT_TRUE(world.dial_times.empty());
        EXPECT_FALSE(world.open_socket);
        EXPECT_EQ(world.session.next_deadline(), std::nullopt);
        EXPECT_EQ(to_string(world.status().state), to_string(row.state));
        continue;
      }
      ASSERT_FALSE(world.dial_times.empty());
      const Duration gap = world.dial_times[0] - at;
      const Duration waits_for_close = server_closes ? 0s : 1s;
      if (row.next == Row::Next::immediate) {
        EXPECT_EQ(gap, waits_for_close);
      }
      if (row.next == Row::Next::exp) {
        EXPECT_GE(gap, 500ms);
        EXPECT_LE(gap, std::max<Duration>(1s, waits_for_close));
      }
      if (row.next == Row::Next::slow) {
        EXPECT_GE(gap, 60s);
        EXPECT_LE(gap, 90s);
      }
      EXPECT_EQ(world.dial_times.size(), 1u);
      EXPECT_EQ(world.status().state, State::connected);
    }
  }
}

TEST(SessionCloseTest, ARemovalLongAfterPairingIsNoRejection) {
  World world;
  world.pair();
  world.advance(10min);
  world.send_and_close(stream_error(401, conflict("device_removed")));
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.status().reason, "device_removed");
}

TEST(SessionCloseTest, TheFirstReasonOfASocketWins) {
  World world;
  world.pair();
  world.forget();
  const Generation generation = *world.open_socket;
  world.send(stream_error(401, conflict("device_removed")));
  world.step(BytesReceived{generation, to_bytes("late")});
  world.step(SocketClosed{generation, "late"});
  world.step(DialFailed{generation, DialPhase::connect, {}, "later still"});
  world.advance(10min);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.status().last_close->code, 401);
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_EQ(std::ranges::count(world.statuses, State::logged_out, &Status::state), 1);
  EXPECT_EQ(world.session.counters().stale_events, 3u);
}

TEST(SessionCloseTest, WhatFollowsAStreamErrorOnTheSameSocketIsIgnored) {
  World world;
  world.pair();
  world.forget();
  world.send(stream_error(503));
  world.send(stream_error(401, conflict("device_removed")));
  world.send(NodeBuilder("message").attr("id", "1"));
  world.close_from_server();
  EXPECT_EQ(world.status().last_close->code, 503);
  EXPECT_TRUE(world.session.credentials());
  EXPECT_TRUE(world.stanzas.empty());
  world.advance(2s);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, WhatFollowsAStreamErrorInTheSameMessageIsIgnored) {
  World world;
  world.pair();
  Bytes bytes = world.server->seal(stream_error(503));
  append(bytes, world.server->seal(stream_error(401, conflict("device_removed"))));
  world.send_bytes(std::move(bytes));
  EXPECT_EQ(world.status().last_close->code, 503);
  EXPECT_TRUE(world.session.credentials());
}

TEST(SessionCloseTest, AfterTheEndOfAnAccountStartPairsAfresh) {
  for (const auto& stanza : {failure(401), failure(403), failure(406), stream_error(516)}) {
    World world;
    world.pair();
    world.send_and_close(stanza);
    EXPECT_TRUE(world.forgot_account());
    world.start();
    EXPECT_EQ(world.status().state, State::waiting_for_scan);
    EXPECT_EQ(world.session.credentials()->attempt_id, 2u);
    world.scan({.jid = "15550100001:8@s.whatsapp.net"});
    world.advance(1s);
    EXPECT_EQ(world.status().state, State::connected);
  }
}

TEST(SessionCloseTest, AnUnpairedDeviceThatIsRefusedStopsAndRegistersAnew) {
  World world;
  world.behaviour.refs.reset();
  world.start();
  world.send_and_close(failure(401));
  EXPECT_EQ(world.status().state, State::logged_out);
  world.advance(10min);
  EXPECT_EQ(world.dial_times.size(), 1u);
  world.behaviour.refs = 6;
  world.start();
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
}

TEST(SessionCloseTest, AHugeStanzaIsNamedAndNotQuoted) {
  World world;
  world.pair();
  auto error = stream_error(503);
  for (int i = 0; i < 50'000; ++i) error.child(NodeBuilder("text").attr("value", "0123456789"));
  world.send_and_close(error);
  EXPECT_EQ(world.status().last_close->code, 503);
  EXPECT_LT(world.status().last_close->cause.size(), 100u);
  EXPECT_TRUE(world.status().last_close->cause.starts_with("<stream:error"));
}

// ---- how soon, how often --------------------------------------------------------------------

TEST(SessionCloseTest, ATemporaryBanIsWaitedForAndThenTriedOnce) {
  World world;
  world.pair();
  world.forget();
  auto ban = failure(402);
  ban.attr("code", 101).attr("expire", 3600);
  world.send_and_close(ban);
  EXPECT_EQ(world.status().state, State::temporarily_banned);
  ASSERT_TRUE(world.status().until);
  // In the server's time, which it says in whole seconds.
  EXPECT_NEAR(static_cast<double>(world.status().until->value),
              static_cast<double>(world.now.wall.value + 3'600'000), 1000.0);
  world.start();
  world.advance(3599s);
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_EQ(world.status().state, State::temporarily_banned);
  world.advance(2s);
  EXPECT_EQ(world.dial_times.size(), 1u);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.status().until, std::nullopt);
}

TEST(SessionCloseTest, FrequentRestartsBackOff) {
  World world;
  world.pair();
  world.forget();
  for (int i = 0; i < 3; ++i) {
    world.send_and_close(stream_error(515));
    world.advance(1ms);
    EXPECT_EQ(world.status().state, State::connected);
    EXPECT_EQ(world.status().attempts, 0u);
  }
  world.send_and_close(stream_error(515));
  world.advance(1ms);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().attempts, 1u);
  world.advance(1s);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, ReplacedStopsUntilTheUserSaysOtherwise) {
  World world;
  world.pair();
  world.forget();
  world.send_and_close(stream_error({}, conflict("replaced")));
  world.advance(24h);
  EXPECT_EQ(world.status().state, State::replaced);
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_TRUE(world.session.credentials()->account);
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, TakeoverReturnsAfterItsDelayButNotMoreThanOnceAMinute) {
  auto config = World::default_config();
  config.takeover_after = 30s;
  World world(config);
  world.pair();
  world.forget();
  const Instant at = world.now.mono;
  for (int i = 0; i < 10; ++i) {
    world.send_and_close(stream_error({}, conflict("replaced")));
    EXPECT_EQ(world.status().state, State::replaced);
    while (!world.open_socket) world.advance(1s);
  }
  EXPECT_EQ(world.dial_times[0] - at, 30s);
  for (const Duration gap : world.dial_gaps()) EXPECT_GE(gap, 59s);
}

TEST(SessionCloseTest, StartTakesOverAtOnce) {
  auto config = World::default_config();
  config.takeover_after = 30min;
  World world(config);
  world.pair();
  world.send_and_close(stream_error({}, conflict("replaced")));
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, AServerThatAcceptsAndDropsIsMetWithEverLongerDelays) {
  World world;
  world.pair();
  world.forget();
  const Instant begin = world.now.mono;
  while (world.now.mono - begin < 10min) {
    world.advance(200ms);
    if (world.open_socket) world.close_from_server();
  }
  EXPECT_LE(world.dial_times.size(), 25u);
  EXPECT_GE(world.dial_times.size(), 12u);
  EXPECT_TRUE(world.session.credentials()->account);
}

TEST(SessionCloseTest, APairedDeviceNeverGivesUpOnTheNetworkAndIsBackWithinTheLongestDelay) {
  World world;
  world.pair();
  world.lose_server();
  world.forget();
  world.advance(24h);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "dial_failed");
  EXPECT_TRUE(world.status().next_attempt_at);
  EXPECT_LT(world.dial_times.size(), 24u * 60 * 2 + 10);
  for (const Duration gap : world.dial_gaps()) EXPECT_LE(gap, 60s);
  world.behaviour.on_dial = World::OnDial::accept;
  world.advance(61s);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, AnHttpStatusOnTheUpgradeIsNeverALogout) {
  for (const int status : {200, 401, 403, 404, 429, 500, 503}) {
    SCOPED_TRACE(status);
    World world;
    world.pair();
    world.behaviour.on_dial = World::OnDial::fail;
    world.behaviour.http_status = status;
    world.close_from_server();
    world.advance(2s);
    EXPECT_EQ(world.status().state, State::connecting);
    EXPECT_EQ(world.status().reason, "http_status");
    EXPECT_EQ(world.status().last_close->code, status);
    EXPECT_TRUE(world.status().next_attempt_at);
    EXPECT_TRUE(world.session.credentials()->account);
  }
}

TEST(SessionCloseTest, ADialThatNobodyAnswersEndsByItself) {
  World world;
  world.pair();
  world.behaviour.on_dial = World::OnDial::hold;
  world.close_from_server();
  world.advance(26s);
  EXPECT_EQ(world.status().reason, "dial_failed");
  world.behaviour.on_dial = World::OnDial::accept;
  world.advance(30s);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCloseTest, ASilentHandshakeEndsByItself) {
  World world;
  world.pair();
  world.behaviour.answer_hello = false;
  world.close_from_server();
  world.advance(22s);
  EXPECT_EQ(world.status().reason, "handshake_timeout");
  world.behaviour.answer_hello = true;
  world.advance(5s);
  EXPECT_EQ(world.status().state, State::connected);
}

// ---- liveness -------------------------------------------------------------------------------

TEST(SessionCloseTest, ABlackHoleIsLeftWithinFortyFiveSecondsAndRetriedAtOnceOnce) {
  World world;
  world.pair();
  world.forget();
  world.behaviour.answer_pings = false;
  const Instant last_heard = world.now.mono;
  while (world.dial_times.empty()) world.advance(1ms);
  EXPECT_LE(world.now.mono - last_heard, 45s);
  EXPECT_EQ(world.status().last_close->cause, "dead_socket");
  EXPECT_EQ(world.status().last_close->at, world.now.wall);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.status().attempts, 1u);

  while (world.status().state == State::connected) world.advance(1ms);
  EXPECT_EQ(world.status().attempts, 2u);
  EXPECT_GE(*world.status().next_attempt_at - world.now.mono, 500ms);
  world.advance(10min);
  EXPECT_GT(world.dial_times.size(), 5u);
  for (const Duration gap : world.dial_gaps()) EXPECT_GE(gap, 20s);
}

TEST(SessionCloseTest, ConnectedIsNeverShownBehindTheEndOfAStream) {
  World world;
  world.pair();
  world.behaviour.on_dial = World::OnDial::hold;
  world.forget();
  world.close_from_server();
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_TRUE(world.status().next_attempt_at);
  world.advance(5min);
  EXPECT_FALSE(world.was_ever(State::connected));
}

TEST(SessionCloseTest, SixHoursOfPongsWithoutMessagesAreOneConnection) {
  World world;
  world.pair();
  world.forget();
  world.advance(6h);
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_TRUE(world.statuses.empty());
}

TEST(SessionCloseTest, LongUptimeMakesARecycledSocketUncounted) {
  World world;
  world.pair();
  world.advance(50min);
  world.send_and_close(stream_error({}, NodeBuilder("ack")));
  EXPECT_EQ(world.status().attempts, 0u);
  EXPECT_EQ(world.status().reason, "owed_ack");
  world.advance(2s);
  EXPECT_EQ(world.status().state, State::connected);
  world.send_and_close(stream_error({}, NodeBuilder("ack")));
  EXPECT_EQ(world.status().attempts, 1u);
}

TEST(SessionCloseTest, LateEventsOfOldSocketsAreDroppedAndCounted) {
  World world;
  world.pair();
  const Generation old = *world.open_socket;
  world.close_from_server();
  world.advance(5s);
  ASSERT_EQ(world.status().state, State::connected);
  world.forget();
  const auto before = world.session.counters().stale_events;
  world.step(SocketClosed{old, "again"});
  world.step(BytesReceived{old, Bytes(100)});
  world.step(Dialed{old});
  world.step(Dialed{*world.open_socket});
  world.step(DialFailed{*world.open_socket, DialPhase::tls, {}, ""});
  world.step(SocketClosed{old + 50, "of the future"});
  EXPECT_EQ(world.session.counters().stale_events, before + 6);
  EXPECT_TRUE(world.actions.empty());
  EXPECT_EQ(world.status().state, State::connected);
}

}  // namespace
}  // namespace wa::client

#include <gtest/gtest.h>

#include "engine/client/records.hpp"
#include "engine/client/test_server.hpp"
#include "engine/protocol/pairing/qr_text.hpp"

namespace wa::client {
namespace {

using test::NodeBuilder;
using test::stored_credentials;
using test::World;

// ---- from pair-success to connected ---------------------------------------------------------

TEST(SessionFinishingTest, WhateverEndsTheSocketBehindPairSuccessTheNextOneIsALogin) {
  enum class End { restart, restart_without_close, close, unknown_error, silence };
  for (const End end :
       {End::restart, End::restart_without_close, End::close, End::unknown_error, End::silence}) {
    SCOPED_TRACE(static_cast<int>(end));
    World world;
    world.behaviour.restart_after_sign = false;
    world.start();
    const auto keys = world.session.credentials()->noise;
    world.scan();
    if (end == End::restart) world.send_and_close(test::stream_error(515));
    if (end == End::restart_without_close) world.send(test::stream_error(515));
    if (end == End::close) world.close_from_server();
    if (end == End::unknown_error) {
      world.send_and_close(test::stream_error({}, NodeBuilder("ping")));
    }
    EXPECT_EQ(world.status().state, State::connecting);
    EXPECT_EQ(world.status().reason, "finishing");
    world.advance(end == End::silence ? 21s : 2s);
    EXPECT_EQ(world.status().state, State::connected);
    EXPECT_EQ(world.dial_times.size(), 2u);
    EXPECT_EQ(world.server->client_static, keys.public_key);
  }
}

TEST(SessionFinishingTest, EveryCommitSaysWhatMadeIt) {
  World world;
  world.behaviour.pre_key_count = 0;
  world.pair();
  world.send(NodeBuilder("ib").child(
      NodeBuilder("edge_routing").child(NodeBuilder("routing_info").bytes(Bytes(8)))));
  world.step(LogoutRequested{});
  std::vector<std::string_view> points;
  for (const Action& action : world.actions) {
    if (const auto* commit = std::get_if<Commit>(&action)) points.push_back(commit->point);
  }
  EXPECT_EQ(points,
            (std::vector<std::string_view>{kPointKeys, kPointPaired, kPointLogin, kPointPreKeys,
                                           kPointUploaded, kPointRouting, kPointErased}));
}

TEST(SessionFinishingTest, AFirstLoginThatTheLastProcessDidNotLiveToSeeIsStillAFirstLogin) {
  World before;
  before.start();
  before.behaviour.send_success = false;
  before.scan();
  ASSERT_FALSE(before.session.credentials()->account->logged_in);

  World after(World::default_config(), before.stored(), 2);
  after.behaviour.on_dial = World::OnDial::hold;
  after.start();
  EXPECT_EQ(after.status().reason, "finishing");
}

TEST(SessionFinishingTest, TwentyPairingsWithRandomDelaysAllConnectWithTheKeysThatWereScanned) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    World world(World::default_config(), {}, seed);
    world.behaviour.restart_after_sign = false;
    world.start();
    const auto scanned = pairing::parse_qr_text(world.status().qr->text).value();
    world.scan();
    world.advance(std::chrono::milliseconds(world.random.below(3000)));
    world.send_and_close(test::stream_error(515));
    world.advance(1s);
    ASSERT_EQ(world.status().state, State::connected) << seed;
    EXPECT_EQ(world.server->client_static, scanned.noise_key);
    EXPECT_EQ(world.dial_times.size(), 2u);
  }
}

TEST(SessionFinishingTest, AStalledFirstLoginIsTriedAgainWithoutAnyCall) {
  World world;
  world.start();
  world.behaviour.send_success = false;
  world.scan();
  world.advance(15s);
  EXPECT_EQ(world.status().reason, "finishing");
  world.behaviour.send_success = true;
  world.advance(10s);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.dial_times.size(), 3u);
}

TEST(SessionFinishingTest, APairingThatNeverGetsALoginHasFailedAndKeepsItsCredentials) {
  World world;
  world.start();
  world.behaviour.send_success = false;
  world.scan();
  world.advance(5min);
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_EQ(world.status().reason, "finish_timeout");
  EXPECT_EQ(world.dial_times.size(), 4u);
  EXPECT_TRUE(world.session.credentials()->account);
  EXPECT_EQ(stored_credentials(world), *world.session.credentials());
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);

  world.behaviour.send_success = true;
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionFinishingTest, ANetworkThatIsDownAfterPairingIsWaitedForForMinutes) {
  World world;
  world.start();
  world.behaviour.on_dial = World::OnDial::fail;
  world.scan();
  world.advance(2min);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "finishing");
  world.behaviour.on_dial = World::OnDial::accept;
  world.advance(1min);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionFinishingTest, ARestartLoopBehindPairSuccessIsBounded) {
  World world;
  world.start();
  world.behaviour.send_success = false;
  world.scan();
  for (int i = 0; i < 50; ++i) {
    world.advance(100ms);
    if (world.open_socket && world.server->established()) {
      world.send_and_close(test::stream_error(515));
    }
  }
  world.advance(10min);
  EXPECT_LE(world.dial_times.size(), 4u);
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_TRUE(world.session.credentials()->account);
}

TEST(SessionFinishingTest, ADeviceRemovedRightAfterTheScanIsLoggedOutWithoutALoop) {
  World world;
  world.behaviour.restart_after_sign = false;
  world.start();
  world.scan();
  world.send_and_close(test::stream_error(516));
  world.advance(10min);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.dial_times.size(), 1u);
  EXPECT_TRUE(world.forgot_account());
}

// ---- what a phone may ask for in between ----------------------------------------------------

TEST(SessionFinishingTest, AWithdrawnSecretIsReplacedAndTheCodeDrawnAgain) {
  for (const char* form : {"companion_reg_refresh", "pair-device-rotate-qr"}) {
    SCOPED_TRACE(form);
    World world;
    world.start();
    const auto old_code = pairing::parse_qr_text(world.status().qr->text).value();
    world.advance(5s);
    world.forget();
    world.send(NodeBuilder("notification")
                   .attr("from", wire::Jid::server_itself())
                   .attr("type", "companion_reg_refresh")
                   .attr("id", "N1")
                   .child(NodeBuilder(form)));
    ASSERT_EQ(world.sent("ack").size(), 1u);
    const auto new_code = pairing::parse_qr_text(world.status().qr->text).value();
    EXPECT_EQ(new_code.ref, old_code.ref);
    EXPECT_NE(new_code.adv_secret, old_code.adv_secret);
    EXPECT_EQ(world.status().qr->sequence, 2u);
    EXPECT_EQ(stored_credentials(world).adv_secret, new_code.adv_secret);
    world.scan();
    world.advance(1s);
    EXPECT_EQ(world.status().state, State::connected);
  }
}

TEST(SessionFinishingTest, APasskeyRequestSuspendsTheWindowAndEndsInPairingOrATimeout) {
  for (const bool answered : {true, false}) {
    World world;
    world.start();
    const auto scan = world.pair_success({});
    world.send(NodeBuilder("notification")
                   .attr("from", wire::Jid::server_itself())
                   .attr("type", "passkey_prologue_request")
                   .attr("id", "N1"));
    EXPECT_EQ(world.status().state, State::passkey_required);
    world.advance(4min);
    EXPECT_EQ(world.status().state, State::passkey_required);
    EXPECT_EQ(world.dial_times.size(), 1u);
    if (answered) world.send(scan);
    world.advance(2min);
    EXPECT_EQ(world.status().state, answered ? State::connected : State::pairing_failed);
    EXPECT_EQ(world.status().reason, answered ? "" : "passkey_timeout");
  }
}

TEST(SessionFinishingTest, PingsAlsoWhileACodeIsOnShow) {
  World world;
  world.start();
  world.advance(2min);
  EXPECT_GE(world.session.counters().pings_sent, 4u);
  EXPECT_EQ(world.dial_times.size(), 1u);
}

}  // namespace
}  // namespace wa::client

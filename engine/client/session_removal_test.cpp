#include <gtest/gtest.h>

#include <algorithm>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::conflict;
using test::failure;
using test::stream_error;
using test::World;

Quarantined quarantined(const World& world, const std::string& key) {
  return Quarantined::decode(world.store.at("quarantine").at(key)).value();
}

// ---- final ends -----------------------------------------------------------------------------

TEST(SessionRemovalTest, AFinalEndPutsTheRecordIntoQuarantineInTheCommitThatErasesIt) {
  World world;
  world.pair();
  world.advance(1h);
  const Bytes live = world.store.at("credentials").at("self");
  world.forget();
  world.send_and_close(stream_error(401, conflict("device_removed")));

  std::size_t commits = 0;
  for (const Action& action : world.actions) {
    commits += std::holds_alternative<Commit>(action) ? 1 : 0;
  }
  EXPECT_EQ(commits, 1u);
  EXPECT_TRUE(world.forgot_account());
  const Quarantined evidence = quarantined(world, "1");
  EXPECT_EQ(evidence.credentials, live);
  EXPECT_EQ(evidence.close.state, State::logged_out);
  EXPECT_EQ(evidence.close.reason, "device_removed");
  EXPECT_EQ(evidence.close.close.code, 401);
  EXPECT_EQ(evidence.close.close.at, world.now.wall);
  EXPECT_EQ(evidence.close.close.cause,
            R"(<stream:error code="401"><conflict type="device_removed"/></stream:error>)");
  EXPECT_EQ(world.stored().last_close, evidence.close);
}

TEST(SessionRemovalTest, QuarantineIsNeverLoadedAsLiveAndShowsWhyTheDeviceIsUnpaired) {
  for (const auto& [stanza, state] :
       {std::pair(failure(401), State::logged_out), std::pair(failure(403), State::account_locked),
        std::pair(failure(406), State::banned), std::pair(stream_error(516), State::logged_out)}) {
    World before;
    before.pair();
    before.advance(1h);
    before.send_and_close(stanza);

    World after(World::default_config(), before.stored(), 2);
    after.store = before.store;
    EXPECT_EQ(after.status().state, state);
    EXPECT_EQ(after.status().last_close, before.status().last_close);
    EXPECT_EQ(after.session.next_deadline(), std::nullopt);
    after.start();
    EXPECT_EQ(after.status().state, State::waiting_for_scan);
    EXPECT_EQ(after.session.credentials()->attempt_id, 2u);
    EXPECT_TRUE(after.store.contains("quarantine"));
  }
}

TEST(SessionRemovalTest, QuarantineIsPurgedAtTheFirstStartAfterADay) {
  World world;
  world.pair();
  world.advance(1h);
  world.send_and_close(failure(401));
  world.start();
  world.advance(23h);
  world.step(StopRequested{});
  world.start();
  EXPECT_TRUE(world.store.contains("quarantine"));
  world.step(StopRequested{});
  world.advance(1h);
  EXPECT_TRUE(world.store.contains("quarantine"));
  world.start();
  EXPECT_FALSE(world.store.contains("quarantine"));

  World fresh(World::default_config(), world.stored(), 2);
  fresh.store = world.store;
  fresh.forget();
  fresh.start();
  for (const Action& action : fresh.actions) {
    const auto* commit = std::get_if<Commit>(&action);
    EXPECT_TRUE(!commit || commit->point != "purged");
  }
}

TEST(SessionRemovalTest, ThreeUnlinksAreThreeLogoutsAndThreePiecesOfEvidenceAndNoCodeUnasked) {
  World world;
  for (std::size_t i = 1; i <= 3; ++i) {
    world.pair();
    world.advance(1h);
    world.forget();
    world.send_and_close(stream_error(401, conflict("device_removed")));
    EXPECT_EQ(std::ranges::count(world.statuses, State::logged_out, &Status::state), 1);
    world.advance(10min);
    EXPECT_EQ(world.status().state, State::logged_out);
    EXPECT_FALSE(world.status().qr);
    EXPECT_TRUE(world.dial_times.empty());
    EXPECT_EQ(world.store.at("quarantine").size(), i);
  }
}

TEST(SessionRemovalTest, AnAccountBesideTheRecordOfItsEndIsDead) {
  World world;
  world.pair();
  Stored stored = world.stored();
  stored.last_close =
      FinalClose{1, State::logged_out, "logged_out", {401, "<failure/>", world.now.wall}};

  World after(World::default_config(), stored, 2);
  EXPECT_FALSE(after.session.credentials());
  EXPECT_EQ(after.status().state, State::logged_out);
  EXPECT_EQ(after.status().jid, "");
  after.start();
  EXPECT_EQ(after.status().state, State::waiting_for_scan);
  EXPECT_EQ(quarantined(after, "1").close, *stored.last_close);
  EXPECT_EQ(quarantined(after, "1").credentials, world.store.at("credentials").at("self"));

  stored.last_close->attempt_id = 0;  // of an account before this one
  World other(World::default_config(), stored, 2);
  other.start();
  EXPECT_EQ(other.status().state, State::connected);
}

TEST(SessionRemovalTest, ANewPairingForgetsTheEndOfTheOldOne) {
  World world;
  world.pair();
  world.send_and_close(failure(401));
  EXPECT_TRUE(world.store.contains("last_close"));
  world.pair();
  EXPECT_FALSE(world.store.contains("last_close"));
}

// ---- delete ---------------------------------------------------------------------------------

TEST(SessionRemovalTest, DeleteWaitsFiveSecondsForTheServerAndThenOwesIt) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.behaviour.on_dial = World::OnDial::fail;
  world.step(DeleteRequested{});
  world.advance(4999ms);
  EXPECT_EQ(world.status().reason, "deleting");
  EXPECT_TRUE(world.store.contains("credentials"));
  world.advance(1ms);
  EXPECT_EQ(world.status().reason, "deleted");
  EXPECT_TRUE(world.status().removal_pending);
  EXPECT_TRUE(world.forgot_account());
  EXPECT_EQ(world.store.size(), 1u);
  EXPECT_TRUE(world.store.contains("tombstone"));
}

TEST(SessionRemovalTest, AStartInTheMiddleOfADeleteOrALogoutBeginsAnewBehindIt) {
  for (const Event& farewell : {Event(DeleteRequested{}), Event(LogoutRequested{})}) {
    World world;
    world.pair();
    world.on_stanza = [](const wire::NodeBuilder& stanza) {
      return child(stanza, "remove-companion-device") != nullptr;  // no answer
    };
    world.step(farewell);
    world.step(StartRequested{});
    EXPECT_TRUE(world.status().state == State::connected) << "the server has not answered yet";
    world.on_stanza = {};
    world.advance(15s);
    EXPECT_EQ(world.status().state, State::waiting_for_scan);
    EXPECT_TRUE(world.status().jid.empty());
  }
}

TEST(SessionRemovalTest, AStopBehindThatStartIsTheLastWord) {
  World world;
  world.pair();
  world.on_stanza = [](const wire::NodeBuilder& stanza) {
    return child(stanza, "remove-companion-device") != nullptr;
  };
  world.step(DeleteRequested{});
  world.step(StartRequested{});
  world.step(StopRequested{});
  world.advance(1min);
  EXPECT_EQ(world.status().state, State::disconnected);
}

TEST(SessionRemovalTest, ADeleteWithoutAStreamIsSaidInTheBackground) {
  World world;
  world.pair();
  const auto noise = world.session.credentials()->noise.public_key;
  world.step(StopRequested{});
  world.forget();
  world.step(DeleteRequested{});
  EXPECT_EQ(world.status().reason, "deleted");
  EXPECT_TRUE(world.forgot_account());
  EXPECT_TRUE(world.store.contains("tombstone"));
  world.advance(1s);
  EXPECT_EQ(world.server->client_static, noise);
  const auto removals = world.sent_iqs("remove-companion-device");
  ASSERT_EQ(removals.size(), 1u);
  EXPECT_EQ(attr(*child(removals[0], "remove-companion-device"), "jid"),
            "15550100001:7@s.whatsapp.net");
  EXPECT_TRUE(world.store.empty());
  EXPECT_FALSE(world.status().removal_pending);
  EXPECT_FALSE(world.open_socket);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  for (const Status& status : world.statuses) EXPECT_EQ(status.reason, "deleted");
  EXPECT_TRUE(world.sent_iqs("count").empty());
}

TEST(SessionRemovalTest, AnErrandIsTriedSlowlyUntilTheServerHasHeard) {
  World world;
  world.pair();
  world.lose_server();
  world.step(DeleteRequested{});
  world.forget();
  world.advance(2h);
  EXPECT_GE(world.dial_times.size(), 10u);
  for (const Duration gap : world.dial_gaps()) {
    EXPECT_GE(gap, 60s);
    EXPECT_LE(gap, 12min);
  }
  EXPECT_EQ(world.status().reason, "deleted");
  world.behaviour.on_dial = World::OnDial::accept;
  world.advance(12min);
  EXPECT_TRUE(world.store.empty());
}

TEST(SessionRemovalTest, AnErrandSurvivesTheProcess) {
  World before;
  before.pair();
  before.lose_server();
  before.step(DeleteRequested{});
  before.advance(1s);

  World after(World::default_config(), before.stored(), 2);
  after.store = before.store;
  EXPECT_TRUE(after.status().removal_pending);
  after.advance(0s);
  EXPECT_EQ(after.sent_iqs("remove-companion-device").size(), 1u);
  EXPECT_TRUE(after.store.empty());
}

TEST(SessionRemovalTest, ACompanionThatTheServerDoesNotKnowAnyMoreIsRemoved) {
  for (const auto& stanza : {failure(401), stream_error(401, conflict("device_removed"))}) {
    World world;
    world.pair();
    world.step(StopRequested{});
    world.behaviour.send_success = false;
    world.step(DeleteRequested{});
    world.advance(1s);
    world.send_and_close(stanza);
    EXPECT_TRUE(world.store.empty());
    EXPECT_FALSE(world.status().removal_pending);
    EXPECT_EQ(world.status().state, State::disconnected);
    EXPECT_FALSE(world.status().last_close);
    world.forget();
    world.advance(24h);
    EXPECT_TRUE(world.dial_times.empty());
  }
}

TEST(SessionRemovalTest, AnErrandThatIsRefusedForGoodRestsUntilTheNextStart) {
  World world;
  world.pair();
  world.step(StopRequested{});
  world.behaviour.send_success = false;
  world.step(DeleteRequested{});
  world.advance(1s);
  world.send_and_close(failure(405));
  world.forget();
  world.advance(24h);
  EXPECT_TRUE(world.dial_times.empty());
  EXPECT_TRUE(world.status().removal_pending);
  world.behaviour.send_success = true;
  world.start();
  EXPECT_FALSE(world.store.contains("tombstone"));
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
}

TEST(SessionRemovalTest, ANewPairingBeginsBehindAnErrandAndWithOtherKeysEvenIfThatHangs) {
  World world;
  world.pair();
  const auto old = world.session.credentials()->noise;
  world.step(StopRequested{});
  world.behaviour.send_success = false;
  world.step(DeleteRequested{});
  world.advance(1s);
  world.start();
  EXPECT_EQ(world.status().state, State::connecting);
  world.advance(3s);
  ASSERT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_EQ(world.session.credentials()->attempt_id, 2u);
  EXPECT_NE(world.session.credentials()->noise, old);
  world.behaviour.send_success = true;
  world.scan({.jid = "15550100001:8@s.whatsapp.net"});
  world.advance(1h);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_TRUE(world.status().removal_pending);

  world.step(LogoutRequested{});
  world.advance(20min);  // the socket is free: the old companion's turn
  EXPECT_FALSE(world.status().removal_pending);
  EXPECT_EQ(world.sent_iqs("remove-companion-device").size(), 2u);
  EXPECT_EQ(world.status().state, State::logged_out);
}

TEST(SessionRemovalTest, StopEndsAnErrandToo) {
  World world;
  world.pair();
  world.step(StopRequested{});
  world.behaviour.on_dial = World::OnDial::hold;
  world.step(DeleteRequested{});
  world.advance(1s);
  world.step(StopRequested{});
  EXPECT_FALSE(world.open_socket);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  EXPECT_TRUE(world.store.contains("tombstone"));
}

TEST(SessionRemovalTest, StopInTheMiddleOfADeleteDoesNotForgetIt) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(DeleteRequested{});
  world.step(StopRequested{});
  EXPECT_TRUE(world.forgot_account());
  EXPECT_TRUE(world.store.contains("tombstone"));
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
}

TEST(SessionRemovalTest, DeletingTwiceIsDeletingOnce) {
  World world;
  world.pair();
  world.lose_server();
  world.step(DeleteRequested{});
  const auto tombstones = world.store.at("tombstone");
  for (int i = 0; i < 3; ++i) {
    world.step(DeleteRequested{});
    world.advance(10s);
    EXPECT_EQ(world.store.at("tombstone"), tombstones);
    EXPECT_EQ(world.status().reason, "deleted");
  }
}

TEST(SessionRemovalTest, DeleteForgetsTheEvidenceToo) {
  World world;
  world.pair();
  world.send_and_close(failure(401));
  ASSERT_TRUE(world.store.contains("quarantine"));
  world.step(DeleteRequested{});
  EXPECT_TRUE(world.store.empty());
}

TEST(SessionRemovalTest, ALogoutThatWasNotHeardIsSaidLater) {
  World world;
  world.pair();
  world.lose_server();
  world.step(LogoutRequested{});
  world.advance(11s);
  ASSERT_EQ(world.status().state, State::logged_out);
  world.behaviour.on_dial = World::OnDial::accept;
  world.forget();
  world.advance(2min);
  EXPECT_EQ(world.sent_iqs("remove-companion-device").size(), 1u);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.status().reason, "user_initiated");
  EXPECT_FALSE(world.store.contains("tombstone"));
}

}  // namespace
}  // namespace wa::client

// Whole scenarios in virtual time: a real Session, a real Tenant, pixels in between.

#include "scenarios/sim/world.hpp"

#include <gmock/gmock.h>

#include "scenarios/sim/test_stage.hpp"

namespace wa::sim {
namespace {

using stage::await;
using test::Device;
using test::Expectations;
using test::Stage;
using test::texts;
using test::Wait;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- pairing ----

TEST(SimWorldTest, PairsFromThePictureAndTheRestartIsALogin) {
  Stage stage;
  stage.expect.never(stage.device, "disconnected", "");
  ASSERT_TRUE(stage.pairs());
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  EXPECT_EQ(stage.world.server().streams("shop-1"), 1u);
  ASSERT_TRUE(stage.device.last_close());
  EXPECT_EQ(stage.device.last_close()->at("code"), 515);
  EXPECT_EQ(stage.world.server().last_close("shop-1")->code, 515);
  EXPECT_EQ(stage.outcome->value()->value, stage.world.server().jid("shop-1"));
  EXPECT_TRUE(stage.server_sees(mock::EventKind::login, 0s));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, InspectAnswersFromWhatIsDurable) {
  Stage stage;
  EXPECT_EQ(stage.inspect().at("credentials"), nullptr);
  ASSERT_TRUE(stage.pairs());
  const auto first = stage.inspect();
  ASSERT_TRUE(first.at("credentials").is_string());
  EXPECT_EQ(first.at("credentials").as_string().size(), 64u);
  EXPECT_EQ(first.at("stored").as_object().at("credentials"), 1);
  ASSERT_TRUE(stage.passes(1h));
  EXPECT_EQ(stage.inspect().at("credentials"), first.at("credentials"));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, AConnectedDeviceIdlesForADay) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  ASSERT_TRUE(stage.passes(24h));
  EXPECT_EQ(stage.device.state(), "connected");
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, ANewCodeIsShownForEveryRef) {
  Options options;
  options.settings.refs_count = 3;
  Stage stage(options);
  stage.device.start();
  Bytes last;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stage.shows_qr(61s)) << i;
    EXPECT_NE(stage.picture, last);
    last = stage.picture;
  }
  ASSERT_TRUE(stage.scans());
  EXPECT_TRUE(stage.outcome->value());
  ASSERT_TRUE(stage.reaches("connected", 10s));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, ACodeThatIsGoneIsAStaleRef) {
  Stage stage;
  stage.device.start();
  ASSERT_TRUE(stage.shows_qr(2s));
  ASSERT_TRUE(stage.passes(66s));  // its 60 s and the 5 s of grace
  ASSERT_TRUE(stage.scans());
  ASSERT_TRUE(stage.outcome->problem());
  EXPECT_EQ(stage.outcome->problem()->code, "stale_ref");
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

// ---- the way streams end ----

TEST(SimWorldTest, AnUnlinkedDeviceIsLoggedOut) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage.phone.unlink(stage.world.server().jid("shop-1"));
  ASSERT_TRUE(stage.reaches("logged_out", 5s));
  ASSERT_TRUE(stage.passes(1s));  // the state is shown at once, what it led to is durable later
  EXPECT_EQ(stage.inspect().at("credentials"), nullptr);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, ADeviceThatIsDeletedWhileStoppedIsRemovedAtTheServerInTheBackground) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  ASSERT_TRUE(stage.passes(1s));
  stage.device.stop();
  ASSERT_TRUE(stage.reaches("disconnected", 1s));
  ASSERT_EQ(stage.phone.companions().size(), 1u);
  stage.device.remove();
  ASSERT_TRUE(stage.passes(2s));
  EXPECT_TRUE(stage.phone.companions().empty());
  EXPECT_EQ(stage.device.reason(), "deleted");
  EXPECT_TRUE(stage.inspect().at("stored").as_object().empty());
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, AnUnlinkedDeviceLeavesEvidenceAndIsUnpairedToTheNextProcess) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  ASSERT_TRUE(stage.passes(1h));
  stage.phone.unlink(stage.world.server().jid("shop-1"));
  ASSERT_TRUE(stage.reaches("logged_out", 5s));
  ASSERT_TRUE(stage.passes(1s));
  const auto stored = stage.inspect().at("stored").as_object();
  EXPECT_EQ(stored.at("quarantine"), 1);
  EXPECT_EQ(stored.at("last_close"), 1);
  EXPECT_FALSE(stored.contains("credentials"));
  EXPECT_FALSE(stored.contains("pre_key"));
  stage.device.kill();
  stage.device.start();
  EXPECT_TRUE(stage.shows_qr(2s));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, AResetStreamIsReplacedByANewLogin) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  const auto id = stage.world.server().fault(
      {{"id", "f1"}, {"fault", "close"}, {"args", {{"how", "rst"}}}, {"when", {{"manual", true}}}});
  ASSERT_TRUE(id) << id.error();
  EXPECT_TRUE(stage.world.server().fire_fault("f1")->value());
  ASSERT_TRUE(stage.reaches("connecting", 1s));
  ASSERT_TRUE(stage.reaches("connected", 10s));
  EXPECT_EQ(stage.world.server().connects("shop-1"), 3u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, AStreamThatGoesDarkIsNoticedAndReplaced) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  const auto connection = stage.world.server().connections().at(0).id;
  stage.world.server().command(mock::CloseConnection{connection, "blackhole"}, "blackhole");
  ASSERT_TRUE(stage.reaches("connecting", 45s));
  ASSERT_TRUE(stage.reaches("connected", 30s));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, ATimeoutNamesTheFaultsThatFiredMeanwhile) {
  Stage stage;
  const auto id = stage.world.server().fault(
      {{"id", "f1"}, {"fault", "withhold"}, {"args", {{"stanza", "pair-device"}}}});
  ASSERT_TRUE(id) << id.error();
  stage.device.start();
  Wait wait = Wait::for_qr(stage.world, stage.device, 2s);
  const auto failure = await(stage.world, wait);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, HasSubstr("Faults that fired meanwhile: f1 (withhold) x1."));
}

// ---- processes ----

TEST(SimWorldTest, AKilledDeviceComesBackWithWhatWasDurable) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  const auto before = stage.inspect().at("credentials");
  stage.device.kill();
  EXPECT_EQ(stage.device.state(), "");
  ASSERT_TRUE(stage.passes(1s));
  EXPECT_EQ(stage.world.server().streams("shop-1"), 0u);
  stage.device.start();
  ASSERT_TRUE(stage.reaches("connected", 10s));
  EXPECT_EQ(stage.inspect().at("credentials"), before);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, AKillAtAnyMomentOfPairingLeavesADeviceThatWorks) {
  // Every step of a pairing, one kill each: whatever was durable then must do.
  int connected = 0;
  for (std::uint64_t steps = 1; steps < 60; ++steps) {
    SCOPED_TRACE(steps);
    Stage stage;
    stage.device.start();
    bool scanned = false;
    for (std::uint64_t i = 0; i < steps; ++i) {
      stage.world.advance(stage.world.now().mono + 1s);
      if (!stage.device.qr().empty() && !scanned) {
        scanned = true;
        (void)stage.phone.scan(*stage.device.qr().png());
      }
    }
    stage.device.kill();
    const bool linked = !stage.world.server().jid("shop-1").empty();
    const bool believes = stage.inspect().at("credentials").is_string();
    EXPECT_TRUE(believes || !linked) << "the server was told before it was durable";
    stage.device.start();
    if (linked) {
      ASSERT_TRUE(stage.reaches("connected", 30s));
    } else {
      // Its answer to pair-success was lost: the server does not know it, and it finds out.
      if (believes) {
        ASSERT_TRUE(stage.reaches("logged_out", 30s));
        stage.device.start();
      }
      ASSERT_TRUE(stage.shows_qr(30s));
    }
    connected += linked;
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
  EXPECT_GT(connected, 10);
  EXPECT_LT(connected, 55);
}

TEST(SimWorldTest, TwoOwnersOfTheSameKeysAreSeenByTheServer) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage::DeviceOptions options;
  options.clone_of = "shop-1";
  Device& rogue = **stage.world.device("rogue", "copy", options);
  rogue.start();
  Wait wait = Wait::for_state(stage.world, rogue, "connected", {}, 10s);
  ASSERT_TRUE(stage.holds(await(stage.world, wait)));
  ASSERT_TRUE(stage.reaches("replaced", 5s));
  ASSERT_TRUE(stage.passes(1h));
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, StoppingLeavesNothingBehind) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage.device.stop();
  ASSERT_TRUE(stage.reaches("disconnected", 5s));
  ASSERT_TRUE(stage.passes(1s));
  EXPECT_EQ(stage.world.open_links(), 0u);
  EXPECT_EQ(stage.world.server().connections().size(), 0u);
  stage.device.start();
  ASSERT_TRUE(stage.reaches("connected", 10s));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, ASecondOwnerDoesNotRunUntilTheFirstHasStopped) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  Device& second = **stage.world.device("other", "shop-1", {});
  second.start();
  Wait refused = Wait::for_state(stage.world, second, "disconnected", "owned_elsewhere", 1s);
  ASSERT_TRUE(stage.holds(await(stage.world, refused)));
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);

  ASSERT_TRUE(stage.passes(1s));  // what the login wrote is durable: the store can be given back
  stage.device.stop();
  ASSERT_TRUE(stage.reaches("disconnected", 1s));
  second.start();
  Wait taken = Wait::for_state(stage.world, second, "connected", {}, 10s);
  ASSERT_TRUE(stage.holds(await(stage.world, taken)));
  stage.device.start();
  ASSERT_TRUE(stage.reaches("disconnected", 1s, "owned_elsewhere"));
  EXPECT_EQ(stage.world.server().connects("shop-1"), 3u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, TheLeaseOfAKilledOwnerEnds) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage.device.kill();
  Device& second = **stage.world.device("other", "shop-1", {});
  second.start();
  EXPECT_EQ(second.reason(), "owned_elsewhere");
  ASSERT_TRUE(stage.passes(29s));
  EXPECT_EQ(second.reason(), "owned_elsewhere");
  Wait taken = Wait::for_state(stage.world, second, "connected", {}, 10s);
  ASSERT_TRUE(stage.holds(await(stage.world, taken)));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SimWorldTest, WhateverHappensToAPairedDeviceItComesBack) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Options options;
    options.seed = seed;
    Stage stage(options);
    ASSERT_TRUE(stage.pairs());
    const auto credentials = stage.inspect().at("credentials");
    SeededRandom random(seed, "what happens");
    for (int round = 0; round < 20; ++round) {
      SCOPED_TRACE(round);
      const auto connections = stage.world.server().connections();
      switch (random.below(6)) {
        case 0: stage.device.kill(); break;
        case 1: stage.device.stop(); break;
        case 2:
        case 3:
        case 4:
          if (!connections.empty()) {
            static constexpr std::array kHow{"fin", "rst", "blackhole"};
            const auto how = static_cast<std::size_t>(random.below(kHow.size()));
            stage.world.server().command(mock::CloseConnection{connections.front().id, kHow[how]},
                                         "close");
          }
          break;
        default: break;
      }
      const auto pause = static_cast<std::int64_t>(random.below(90'000));
      ASSERT_TRUE(
          stage.passes(std::chrono::milliseconds(random.below(2) == 0 ? pause : pause / 1000)));
      // Started again only if nobody would do it for us.
      if (stage.device.state().empty() || stage.device.state() == "disconnected")
        stage.device.start();
    }
    Wait back = Wait::until(
        stage.world, "shop-1 is connected again",
        [&] { return stage.device.state() == "connected"; }, 5min);
    ASSERT_TRUE(stage.holds(await(stage.world, back)));
    EXPECT_EQ(stage.inspect().at("credentials"), credentials);
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
}

// ---- invariants ----

TEST(SimWorldTest, ACodeThatTheServerNoLongerAcceptsBreaksFreshQr) {
  const auto play = [](stage::Allow allow) {
    World world(Options{});
    stage::DeviceOptions options;
    options.qr_first = 10min;  // another schedule than the server's
    Device& device = **world.device("engine", "shop-1", options);
    device.start();
    Wait pause = Wait::pause(world, 2min);
    (void)await(world, pause);
    stage::Scenario scenario;
    scenario.allow = std::move(allow);
    Expectations expect;
    return texts(stage::conclude(world, scenario, expect));
  };
  EXPECT_THAT(play({}), testing::ElementsAre(HasSubstr("fresh-qr: device shop-1")));
  EXPECT_THAT(play({.violations = {}, .invariants = {"fresh-qr"}}), IsEmpty());
}

TEST(SimWorldTest, TheWholePairingWindowKeepsItsCodesFresh) {
  Stage stage;
  stage.device.start();
  ASSERT_TRUE(stage.reaches("qr_expired", 1h));  // the first window and its renewals
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

// ---- the same again ----

struct Played {
  std::string hash;
  std::uint64_t steps = 0;
  std::vector<std::string> lines;
};

Played play(std::uint64_t seed, std::uint64_t flip = 0, bool record = false) {
  Options options;
  options.seed = seed;
  options.record = record;
  Stage stage(options);
  if (flip > 0) stage.world.flip_byte(flip);
  stage.device.start();
  // Without expectations: what a flipped byte leads to is not the point.
  Wait qr = Wait::for_qr(stage.world, stage.device, 2s);
  if (!await(stage.world, qr)) (void)stage.phone.scan(*qr.entry()->qr.png());
  Wait pause = Wait::pause(stage.world, 5min);
  (void)await(stage.world, pause);
  return {stage.world.trace().hash(), stage.world.steps(), stage.world.trace().lines()};
}

TEST(SimDeterminismTest, TheSameSeedGivesTheSameHash) {
  const Played first = play(1);
  const Played second = play(1);
  EXPECT_EQ(first.hash, second.hash);
  EXPECT_EQ(first.steps, second.steps);
  RecordProperty("hash", first.hash);  // compared between builds: --gtest_output=json
}

TEST(SimDeterminismTest, RecordingChangesNothing) {
  const Played recorded = play(1, 0, true);
  EXPECT_EQ(recorded.hash, play(1).hash);
  EXPECT_EQ(recorded.lines, play(1, 0, true).lines);
  EXPECT_GT(recorded.lines.size(), 50u);
}

TEST(SimDeterminismTest, AKeyLogChangesNothingAndShowsNowhere) {
  std::vector<mock::LogKeys> logged;
  Options options;
  options.record = true;
  const auto pair = [](Options made) {
    Stage stage(std::move(made));
    EXPECT_TRUE(stage.pairs());
    return Played{stage.world.trace().hash(), stage.world.steps(), stage.world.trace().lines()};
  };
  const Played without = pair(options);
  options.on_keys = [&](const mock::LogKeys& keys) { logged.push_back(keys); };
  const Played with = pair(options);
  EXPECT_EQ(logged.size(), 2u) << "the registration and the login";
  EXPECT_EQ(with.hash, without.hash);
  EXPECT_EQ(with.lines, without.lines);
}

TEST(SimDeterminismTest, AnotherSeedGivesAnotherHash) {
  EXPECT_NE(play(1).hash, play(2).hash);
}

TEST(SimDeterminismTest, OneChangedByteInAnyFrameChangesTheHash) {
  const std::string hash = play(1).hash;
  for (std::uint64_t message = 1; message <= 30; ++message) {
    EXPECT_NE(play(1, message).hash, hash) << "message " << message;
  }
}

TEST(SimDeterminismTest, MoreDevicesDoNotChangeTheKeysOfTheFirst) {
  const auto picture = [](bool crowded) {
    World world(Options{});
    if (crowded) (void)world.device("engine", "another", {});
    Device& device = **world.device("engine", "shop-1", {});
    device.start();
    Wait wait = Wait::for_qr(world, device, 2s);
    return await(world, wait) ? Bytes{} : *wait.entry()->qr.png();
  };
  ASSERT_FALSE(picture(false).empty());
  EXPECT_EQ(picture(false), picture(true));
}

// ---- usage ----

TEST(SimWorldTest, NamesAndOptionsOfDevicesAreChecked) {
  World world(Options{});
  EXPECT_EQ(world.device("engine", "a b", {}).error().code, Errc::usage);
  EXPECT_EQ(world.device("engine", "", {}).error().code, Errc::usage);
  stage::DeviceOptions options;
  options.version = "2.3000";
  EXPECT_EQ(world.device("engine", "a", options).error().code, Errc::usage);
  options.version = "2.3000.1";
  ASSERT_TRUE(world.device("engine", "a", options));
  EXPECT_EQ(*world.device("engine", "a", {}), *world.device("engine", "a", options));
  options.version = "2.3000.2";
  EXPECT_EQ(world.device("engine", "a", options).error().code, Errc::conflict);
  options = {};
  options.clone_of = "nobody";
  EXPECT_EQ(world.device("engine", "b", options).error().code, Errc::usage);
}

}  // namespace
}  // namespace wa::sim

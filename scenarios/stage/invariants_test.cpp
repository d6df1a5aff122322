// Invariants on histories that are made up, with the bounds of loopback.

#include "scenarios/stage/invariants.hpp"

#include <gmock/gmock.h>

#include "scenarios/stage/scripted_world.hpp"

namespace wa::stage {
namespace {

using mock::EventKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class InvariantsTest : public testing::Test {
 protected:
  InvariantsTest() { bounds_.early = bounds_.late = 1s; }

  using Data = std::vector<std::pair<std::string_view, std::string>>;
  void event(Duration at, EventKind kind, mock::ConnectionId connection, Data data = {}) {
    world_.server().record(Instant(at), {kind, connection, "shop-1", std::move(data)});
  }
  void connected(Duration at, mock::ConnectionId id) { event(at, EventKind::connected, id); }
  void login(Duration at, mock::ConnectionId id) {
    connected(at, id);
    event(at, EventKind::login, id);
    event(at, EventKind::success, id, {{"jid", "1.2:3@s.whatsapp.net"}});
  }
  void codes(Duration at, mock::ConnectionId id) {
    connected(at, id);
    event(at, EventKind::registration, id);
    event(at, EventKind::pair_device, id,
          {{"refs", "2"}, {"first_ms", "60000"}, {"rest_ms", "20000"}});
  }
  void closed(Duration at, mock::ConnectionId id, std::string detail, std::string by = "server") {
    event(at, EventKind::closed, id, {{"by", std::move(by)}, {"detail", std::move(detail)}});
  }
  void shows(Duration at, const std::string& state) { shows(shop_, at, state); }
  static void shows(ScriptedDevice& device, Duration at, const std::string& state) {
    device.push({Instant(at), "state", {{"state", state}, {"reason", ""}}, {}});
  }
  void code(Duration at, int sequence, bool stale = false, int expires_ms = 60'000) {
    shop_.push({Instant(at),
                "qr",
                {{"sequence", sequence}, {"stale", stale}, {"expires_ms", expires_ms}},
                QrPicture::from_text("code")});
  }
  void inspected(Duration at, const boost::json::value& credentials) {
    shop_.push({Instant(at), "done", {{"ref", 1}, {"credentials", credentials}}, {}});
  }
  void asks(Duration at, void (*what)(Device&)) {
    world_.at(at, [this, what] { what(shop_); });
    while (world_.advance(Instant(at))) {
    }
  }

  std::vector<std::string> rules(Duration end = 1h) {
    std::vector<std::string> found;
    messages_.clear();
    for (const Failure& failure :
         judge_histories(world_.server(), world_.devices(), bounds_, Instant(end))) {
      EXPECT_EQ(failure.kind, "invariant");
      found.push_back(failure.rule);
      messages_ += failure.message + "\n";
    }
    return found;
  }

  ScriptedWorld world_;
  ScriptedDevice& shop_ = world_.add_device("shop-1");
  Invariants::Bounds bounds_;
  std::string messages_;
};

// ---- truthful-status ----

TEST_F(InvariantsTest, ConnectedNeedsALoggedInStream) {
  shows(1s, "connected");
  EXPECT_THAT(rules(), ElementsAre("truthful-status"));
  EXPECT_THAT(messages_, HasSubstr("device shop-1 shows connected"));
}

TEST_F(InvariantsTest, TheServersWordMayComeALittleLater) {
  shows(1s, "connected");
  login(1900ms, 1);
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, NewsOfAnEndMayTravelAndNoLonger) {
  login(1s, 1);
  shows(1s, "connected");
  closed(10s, 1, "end");
  shows(11s, "connecting");
  EXPECT_THAT(rules(), IsEmpty());
  login(20s, 2);
  shows(20s, "connected");
  closed(30s, 2, "end");
  shows(31001ms, "connecting");
  EXPECT_THAT(rules(), ElementsAre("truthful-status"));
}

TEST_F(InvariantsTest, WhatIsOnItsWayAtTheEndIsNoFailure) {
  login(1s, 1);
  shows(1s, "connected");
  closed(10s, 1, "end");
  EXPECT_THAT(rules(10500ms), IsEmpty());
  EXPECT_THAT(rules(12s), ElementsAre("truthful-status"));
}

TEST_F(InvariantsTest, NewsTakeLongerWhereAFaultHoldsThemUp) {
  ASSERT_TRUE(world_.server().fault(
      {{"id", "f"}, {"fault", "withhold"}, {"args", {{"stanza", "offline"}}}}));
  login(1s, 1);
  shows(1s, "connected");
  closed(10s, 1, "end");
  shows(40s, "connecting");
  EXPECT_THAT(rules(), ElementsAre("truthful-status")) << "this one holds nothing up";
}

TEST_F(InvariantsTest, AKilledProcessShowsNothing) {
  login(1s, 1);
  shows(1s, "connected");
  shop_.push({Instant(5s), "killed", {}, {}});
  closed(5s, 1, "connection reset", "client");
  EXPECT_THAT(rules(), IsEmpty());
}

// ---- fresh-qr ----

TEST_F(InvariantsTest, ACodeNeedsTheStreamThatOfferedIt) {
  codes(1s, 1);
  shows(1s, "waiting_for_scan");
  code(1s, 1);
  closed(5s, 1, "end");
  code(5500ms, 1, true);
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, ACodeOfADeadStreamIsMarked) {
  codes(1s, 1);
  shows(1s, "waiting_for_scan");
  code(1s, 1);
  closed(5s, 1, "end");
  code(7s, 1, true);
  EXPECT_THAT(rules(), ElementsAre("fresh-qr"));
  EXPECT_THAT(messages_, HasSubstr("whose stream is down"));
}

TEST_F(InvariantsTest, ACodeIsShownNoLongerThanTheServerTakesIt) {
  bounds_.refs_grace = 5s;
  codes(1s, 1);
  shows(1s, "waiting_for_scan");
  code(1s, 1, false, 600'000);
  code(66s, 2, false, 600'000);
  EXPECT_THAT(rules(80s), IsEmpty());
  EXPECT_THAT(rules(88s), ElementsAre("fresh-qr"));
  EXPECT_THAT(messages_, HasSubstr("that the server no longer accepts"));
}

TEST_F(InvariantsTest, ACodeIsCountedFromItsOfferInWhicheverOrderTheyAreTold) {
  shows(990ms, "waiting_for_scan");
  code(990ms, 1);
  codes(1s, 1);
  code(61s, 2, false, 20'000);
  EXPECT_THAT(rules(81s), IsEmpty());
  EXPECT_THAT(rules(83s), ElementsAre("fresh-qr"));
}

TEST_F(InvariantsTest, TheFirstCodeOfTheNextProcessIsNotTheFirstCodeOfTheLast) {
  codes(1s, 1);
  code(1s, 1);
  shop_.push({Instant(2s), "killed", {}, {}});
  codes(1h, 2);
  code(1h, 1);
  EXPECT_THAT(rules(1h + 1s), IsEmpty());
}

TEST_F(InvariantsTest, ACodeIsShownNoLongerThanItSays) {
  codes(1s, 1);
  shows(1s, "waiting_for_scan");
  code(1s, 1, false, 10'000);
  EXPECT_THAT(rules(13s), ElementsAre("fresh-qr"));
  EXPECT_THAT(messages_, HasSubstr("that expired"));
}

// ---- credentials-survive ----

TEST_F(InvariantsTest, ADeviceWithAnAccountDoesNotRegister) {
  login(1s, 1);
  closed(2s, 1, "stream:error code=\"515\"");
  codes(3s, 2);
  EXPECT_THAT(rules(), ElementsAre("credentials-survive"));
}

TEST_F(InvariantsTest, AnAccountIsForgottenForAReason) {
  for (const char* close :
       {"failure reason=\"401\"", "failure reason=\"403\"", "failure reason=\"406\"",
        "stream:error code=\"516\"", "stream:error conflict=\"device_removed\""}) {
    const mock::ConnectionId id = world_.server().history().size() + 1;
    login(1s, id);
    inspected(1s, "ab");
    closed(2s, id, close);
    inspected(3s, nullptr);
    codes(4s, id + 1);
    closed(5s, id + 1, "end");
  }
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, AnUnlinkIsAReasonAlsoWhileTheDeviceIsAway) {
  login(1s, 1);
  closed(2s, 1, "end", "client");
  world_.server().record(Instant(3s), {EventKind::unlink,
                                       0,
                                       "1.2:3@s.whatsapp.net",
                                       {{"jid", "1.2:3@s.whatsapp.net"}, {"by", "phone"}}});
  codes(4s, 2);
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, AUsersWishIsAReason) {
  login(1s, 1);
  inspected(1s, "ab");
  asks(2s, [](Device& device) { device.remove(); });
  inspected(3s, nullptr);
  codes(4s, 2);
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, WhatInspectSaysOfCredentialsStays) {
  login(1s, 1);
  inspected(1s, "ab");
  inspected(2s, "ab");
  EXPECT_THAT(rules(), IsEmpty());
  inspected(3s, "cd");
  EXPECT_THAT(rules(), ElementsAre("credentials-survive"));
}

TEST_F(InvariantsTest, ANewPairingBringsNewCredentials) {
  login(1s, 1);
  inspected(1s, "ab");
  closed(2s, 1, "failure reason=\"401\"");
  codes(3s, 2);
  event(4s, EventKind::pair_sign, 2, {{"jid", "1.2:4@s.whatsapp.net"}});
  inspected(5s, "cd");
  inspected(6s, "cd");
  EXPECT_THAT(rules(), IsEmpty());
}

// ---- bounded-reconnect ----

TEST_F(InvariantsTest, ThePolicysOwnScheduleIsItsBound) {
  // The smallest delays that its jitter allows, for an hour.
  Duration at = 1s;
  Duration delay = 500ms;
  for (mock::ConnectionId id = 1; at < 1h; ++id) {
    login(at, id);
    closed(at, id, "stream:error code=\"503\"");
    at += delay;
    delay = std::min<Duration>(delay * 2, 30s);
  }
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, OneConnectMoreIsTooMany) {
  for (mock::ConnectionId id = 1; id <= Invariants::kMostConnects; ++id) {
    login(id * 20s, id);
    closed(id * 20s, id, "end");
  }
  EXPECT_THAT(rules(), IsEmpty());
  login(10min, 100);
  EXPECT_THAT(rules(), ElementsAre("bounded-reconnect"));
}

TEST_F(InvariantsTest, TheBoundIsScaled) {
  bounds_.scale = 0.02;
  for (mock::ConnectionId id = 1; id <= 30; ++id) {
    login(id * 300ms, id);
    closed(id * 300ms, id, "end");
  }
  EXPECT_THAT(rules(), ElementsAre("bounded-reconnect")) << "30 in 9 s, where 12 s are the window";
}

TEST_F(InvariantsTest, AUserMayStartAsOftenAsHeLikes) {
  for (mock::ConnectionId id = 1; id <= 50; ++id) {
    asks(id * 1s, [](Device& device) { device.start(); });
    login(id * 1s, id);
    closed(id * 1s, id, "end", "client");
  }
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, ConnectionsThatLastedAreNoLoop) {
  for (mock::ConnectionId id = 1; id <= 50; ++id) {
    login(id * 61s, id);
    closed(id * 61s + 60s, id, "end");
  }
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, AFewRestartsInAMinuteAreFree) {
  mock::ConnectionId id = 0;
  for (int minute = 0; minute < 20; ++minute) {
    for (std::size_t i = 0; i < Invariants::kFreeRestarts; ++i) {
      login(minute * 62s + i * 1s, ++id);
      closed(minute * 62s + i * 1s, id, "stream:error code=\"515\"");
    }
  }
  EXPECT_THAT(rules(), IsEmpty());
  for (int i = 0; i < 40; ++i) {
    login(30min + i * 1s, ++id);
    closed(30min + i * 1s, id, "stream:error code=\"515\"");
  }
  EXPECT_THAT(rules(), ElementsAre("bounded-reconnect"));
}

TEST_F(InvariantsTest, AWindowThatRanOutIsRenewedAtOnce) {
  for (mock::ConnectionId id = 1; id <= 50; ++id) {
    codes(id * 81s, id);
    closed(id * 81s + 80s, id, "end", "client");
  }
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(InvariantsTest, AnUnpairedDeviceGivesUp) {
  for (mock::ConnectionId id = 1; id <= 3; ++id) {
    connected(id * 100s, id);
    closed(id * 100s, id, "end");
  }
  EXPECT_THAT(rules(), IsEmpty());
  connected(400s, 4);
  EXPECT_THAT(rules(), ElementsAre("bounded-reconnect"));
}

TEST_F(InvariantsTest, AnUnpairedDeviceGivesUpWhereItsOptionsSay) {
  ScriptedWorld world;
  DeviceOptions options;
  options.unpaired_limit = 5;
  world.add_device("shop-1", "engine", options);
  for (mock::ConnectionId id = 1; id <= 6; ++id) {
    EXPECT_THAT(judge_histories(world.server(), world.devices(), bounds_, Instant(1h)), IsEmpty());
    world.server().record(Instant(id * 100s), {EventKind::connected, id, "shop-1", {}});
  }
  EXPECT_EQ(judge_histories(world.server(), world.devices(), bounds_, Instant(1h)).size(), 1u);
}

// ---- single-owner ----

TEST_F(InvariantsTest, AnAccountHasOneLiveStream) {
  login(1s, 1);
  closed(2s, 1, "stream:error conflict=\"replaced\"");
  login(2s, 2);
  EXPECT_THAT(rules(), IsEmpty());
  login(3s, 3);
  EXPECT_THAT(rules(), ElementsAre("single-owner"));
}

TEST_F(InvariantsTest, ADeviceRunsInOneProcess) {
  ScriptedDevice& second = world_.add_device("shop-1", "other");
  shows(1s, "connecting");
  shows(second, 2s, "disconnected");
  shows(3s, "disconnected");
  shows(second, 3s, "connecting");
  EXPECT_THAT(rules(), IsEmpty());
  shows(4s, "connecting");
  EXPECT_THAT(rules(), ElementsAre("single-owner"));
  EXPECT_THAT(messages_, HasSubstr("is run by engine while other runs it"));
}

// ---- no-key-reuse ----

TEST_F(InvariantsTest, AFrameThatDoesNotAuthenticateIsAKeyUsedTwice) {
  login(1s, 1);
  event(2s, EventKind::violation, 1, {{"rule", "decrypt"}, {"detail", "repeats counter 3"}});
  EXPECT_THAT(rules(), ElementsAre("no-key-reuse"));
  EXPECT_THAT(messages_, HasSubstr("repeats counter 3"));
}

TEST_F(InvariantsTest, OtherViolationsAreNoKeys) {
  login(1s, 1);
  event(2s, EventKind::violation, 1, {{"rule", "node"}, {"detail", "…"}});
  EXPECT_THAT(rules(), IsEmpty());
  event(3s, EventKind::violation, 1, {{"rule", "key-reused"}, {"detail", "…"}});
  EXPECT_THAT(rules(), ElementsAre("no-key-reuse"));
}

TEST_F(InvariantsTest, EachIsToldOnceAndFromTheBeginning) {
  world_.server().begin(Instant(100s));
  shows(101s, "connected");
  shows(105s, "connecting");
  shows(106s, "connected");
  EXPECT_THAT(rules(), ElementsAre("truthful-status"));
  EXPECT_THAT(messages_, HasSubstr("at 5s"));
}

}  // namespace
}  // namespace wa::stage

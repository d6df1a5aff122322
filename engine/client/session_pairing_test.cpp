#include <gtest/gtest.h>

#include <algorithm>

#include "engine/client/test_server.hpp"
#include "engine/protocol/pairing/qr_text.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::NodeBuilder;
using test::stored_credentials;
using test::World;

std::string ref_on_show(const World& world) {
  return pairing::parse_qr_text(world.status().qr->text).value().ref;
}

template <class T>
std::size_t index_of_first(const std::vector<Action>& actions) {
  const auto found = std::find_if(actions.begin(), actions.end(),
                                  [](const Action& one) { return std::holds_alternative<T>(one); });
  return static_cast<std::size_t>(found - actions.begin());
}

// ---- refs and codes -------------------------------------------------------------------------

TEST(SessionPairingTest, PairsRestartsAsALoginAndIsConnected) {
  World world;
  world.start();
  ASSERT_EQ(world.status().state, State::waiting_for_scan);
  const auto scanned = pairing::parse_qr_text(world.status().qr->text).value();
  const auto keys_scanned = *world.session.credentials();

  world.scan();
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "finishing");
  EXPECT_FALSE(world.status().qr);
  EXPECT_EQ(world.status().last_close->code, 515);
  EXPECT_EQ(world.status().next_attempt_at, world.now.mono);

  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.status().reason, "");
  EXPECT_EQ(world.status().jid, "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(world.status().attempts, 0u);
  EXPECT_EQ(world.session.counters().dials, 2u);
  EXPECT_EQ(world.server->client_static, scanned.noise_key);
  EXPECT_EQ(world.session.credentials()->identity, keys_scanned.identity);
  EXPECT_EQ(world.session.credentials()->attempt_id, 1u);
  EXPECT_FALSE(world.was_ever(State::disconnected));
}

TEST(SessionPairingTest, AnswersPairDeviceBeforeTheCodeIsPublished) {
  World world;
  world.start();
  const auto results = world.sent("iq");
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(attr(results[0], "type"), "result");
  EXPECT_EQ(attr(results[0], "id"), "I1");
  EXPECT_EQ(attr(results[0], "to"), "@s.whatsapp.net");
  ASSERT_TRUE(std::holds_alternative<PublishStatus>(world.actions.back()));
  EXPECT_TRUE(std::get<PublishStatus>(world.actions.back()).status.qr);
  EXPECT_TRUE(std::holds_alternative<SendBytes>(world.actions[world.actions.size() - 2]));
}

TEST(SessionPairingTest, TheCodeCarriesOurKeysAndEachRefInTurnWithItsTrueValidity) {
  World world;
  world.start();
  const Instant begin = world.now.mono;
  const auto code = pairing::parse_qr_text(world.status().qr->text).value();
  EXPECT_EQ(code.noise_key, world.session.credentials()->noise.public_key);
  EXPECT_EQ(code.identity_key, world.session.credentials()->identity.public_key);
  EXPECT_EQ(code.adv_secret, world.session.credentials()->adv_secret);
  EXPECT_EQ(code.client_type, "1");

  Duration shown_from = 0s;
  for (std::uint32_t k = 1; k <= 6; ++k) {
    SCOPED_TRACE(k);
    const Duration expires = 60s + (k - 1) * 20s;
    for (const Duration at : {shown_from, expires - 1ms}) {
      world.advance(begin + at - world.now.mono);
      ASSERT_TRUE(world.status().qr);
      EXPECT_EQ(world.status().state, State::waiting_for_scan);
      EXPECT_EQ(ref_on_show(world), "2@ref-1-" + std::to_string(k - 1));
      EXPECT_EQ(world.status().qr->sequence, k);
      EXPECT_EQ(world.status().qr->expires_at, begin + expires);
      EXPECT_EQ(world.status().qr->window_expires_at, begin + 160s);
      EXPECT_FALSE(world.status().qr->stale);
    }
    shown_from = expires;
  }
}

TEST(SessionPairingTest, AUsedUpWindowIsRenewedUncountedAndThenTheQrHasExpired) {
  World world;
  world.start();
  world.advance(160s);
  EXPECT_EQ(world.dial_times.size(), 2u);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_EQ(world.status().attempts, 0u);
  EXPECT_EQ(world.status().last_close->code, 408);
  EXPECT_EQ(world.status().last_close->cause, "QR refs attempts ended");
  EXPECT_EQ(world.session.credentials()->attempt_id, 1u);
  EXPECT_FALSE(world.status().qr->stale);

  world.advance(3 * 160s);
  EXPECT_EQ(world.status().state, State::qr_expired);
  EXPECT_FALSE(world.status().qr);
  EXPECT_EQ(world.status().next_attempt_at, std::nullopt);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  EXPECT_EQ(world.dial_times.size(), 4u);
  EXPECT_FALSE(world.open_socket);

  world.start();
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_EQ(world.session.credentials()->attempt_id, 2u);
}

TEST(SessionPairingTest, BetweenTwoWindowsTheOldCodeStaysOnShowMarkedStale) {
  World world;
  world.start();
  world.forget();
  world.behaviour.on_dial = World::OnDial::hold;
  world.advance(160s);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  ASSERT_TRUE(world.status().qr);
  EXPECT_TRUE(world.status().qr->stale);
  EXPECT_EQ(world.status().qr->sequence, 6u);
}

TEST(SessionPairingTest, ASecondPairDeviceOnTheSameSocketReplacesTheList) {
  World world;
  world.start();
  world.advance(5s);
  world.send(
      test::server_iq("set", "again", "md")
          .child(NodeBuilder("pair-device").child(NodeBuilder("ref").bytes(as_bytes("2@second")))));
  EXPECT_EQ(ref_on_show(world), "2@second");
  EXPECT_EQ(world.status().qr->sequence, 2u);
  EXPECT_EQ(world.status().qr->expires_at, world.now.mono + 60s);
  world.advance(59s);
  EXPECT_EQ(ref_on_show(world), "2@second");
}

// ---- limits of an unpaired device -----------------------------------------------------------

TEST(SessionPairingTest, WithoutAnyRefItGivesUpAfterThreeAttempts) {
  World world;
  world.behaviour.refs.reset();
  world.start();
  world.advance(10min);
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "closed_before_first_ref");
  EXPECT_EQ(world.status().last_close->cause, "first_ref_timeout");
  EXPECT_EQ(world.status().last_close->code, std::nullopt);
  for (const Duration gap : world.dial_gaps()) EXPECT_GE(gap, 20s);
}

TEST(SessionPairingTest, ClosesBeforeTheFirstRefAreLimited) {
  World world;
  world.behaviour.refs.reset();
  world.start();
  for (int i = 0; i < 20; ++i) {
    world.close_from_server();
    world.advance(2min);
  }
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "closed_before_first_ref");
  EXPECT_TRUE(world.status().last_close);
}

TEST(SessionPairingTest, AWindowWithoutRefsEndsAtOnceButNeverLoopsHot) {
  World world;
  world.behaviour.refs = 0;
  world.start();
  EXPECT_EQ(world.status().last_close->code, 408);
  world.advance(10min);
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "closed_before_first_ref");
  for (const Duration gap : world.dial_gaps()) EXPECT_GE(gap, 500ms);
}

TEST(SessionPairingTest, FailedDialsOfAnUnpairedDeviceAreLimited) {
  World world;
  world.behaviour.on_dial = World::OnDial::fail;
  world.start();
  world.advance(10min);
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::disconnected);
}

TEST(SessionPairingTest, ARestartWithoutPairSuccessRenewsTheKeysAndKeepsAStaleCodeOnShow) {
  World world;
  world.start();
  const auto first_keys = *world.session.credentials();
  const auto first_code = *world.status().qr;
  world.send_and_close(test::stream_error(515));
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_EQ(world.status().qr->text, first_code.text);
  EXPECT_TRUE(world.status().qr->stale);
  EXPECT_EQ(world.status().attempts, 1u);

  world.advance(3s);
  EXPECT_EQ(world.dial_times.size(), 2u);
  EXPECT_GE(world.dial_gaps()[0], 500ms);
  EXPECT_EQ(world.session.credentials()->attempt_id, 2u);
  EXPECT_NE(world.session.credentials()->noise, first_keys.noise);
  EXPECT_NE(world.session.credentials()->adv_secret, first_keys.adv_secret);
  EXPECT_EQ(stored_credentials(world), *world.session.credentials());
  EXPECT_FALSE(world.status().qr->stale);
  EXPECT_EQ(world.status().qr->sequence, 2u);
  EXPECT_FALSE(world.session.credentials()->account);
}

TEST(SessionPairingTest, RestartsWithoutAnyNewCodeAreLimited) {
  World world;
  world.start();
  world.behaviour.refs.reset();
  for (int i = 0; i < 20 && world.open_socket; ++i) {
    world.send_and_close(test::stream_error(515));
    world.advance(5s);
  }
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "restart_limit");
  EXPECT_EQ(world.status().last_close->code, 515);
  EXPECT_FALSE(world.status().qr);
}

TEST(SessionPairingTest, RestartsWithANewCodeEachGoOnButBackOff) {
  World world;
  world.start();
  const Instant begin = world.now.mono;
  while (world.now.mono - begin < 5min) {
    if (world.open_socket) world.send_and_close(test::stream_error(515));
    world.advance(100ms);
  }
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_LE(world.dial_times.size(), 15u);
  EXPECT_GE(world.dial_times.size(), 8u);
}

TEST(SessionPairingTest, AnyOtherCloseWithACodeOnShowCountsAndBacksOff) {
  World world;
  world.start();
  const Instant begin = world.now.mono;
  std::uint32_t closes = 0;
  while (world.now.mono - begin < 5min) {
    if (world.open_socket) {
      world.send_and_close(test::stream_error(503));
      ++closes;
      ASSERT_EQ(world.status().state, State::waiting_for_scan);
      ASSERT_TRUE(world.status().qr && world.status().qr->stale);
      ASSERT_EQ(world.status().attempts, closes);
    }
    world.advance(100ms);
  }
  EXPECT_LE(world.dial_times.size(), 15u);
  EXPECT_GE(world.dial_times.size(), 8u);
}

TEST(SessionPairingTest, AStreamThatBroughtACodeIsNoneOfTheFruitlessOnes) {
  World world;
  world.start();
  world.behaviour.refs.reset();
  world.send_and_close(test::stream_error(503));
  world.advance(10min);
  EXPECT_EQ(world.dial_times.size(), 4u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "closed_before_first_ref");
}

// ---- pair-success ---------------------------------------------------------------------------

TEST(SessionPairingTest, TheAccountIsDurableBeforeTheServerLearnsThatWeHaveIt) {
  World world;
  world.behaviour.restart_after_sign = false;
  world.start();
  world.forget();
  world.scan();
  const std::size_t commit = index_of_first<Commit>(world.actions);
  const std::size_t send = index_of_first<SendBytes>(world.actions);
  ASSERT_LT(commit, send);
  ASSERT_LT(send, world.actions.size());
  const auto& put = std::get<Put>(std::get<Commit>(world.actions[commit]).changes.at(0));
  EXPECT_TRUE(Credentials::decode(put.bytes).value().account);

  const auto answer = world.sent_iqs("pair-device-sign");
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_EQ(attr(answer[0], "type"), "result");
  const auto* identity = child(*child(answer[0], "pair-device-sign"), "device-identity");
  EXPECT_EQ(attr(*identity, "key-index"), "3");
  EXPECT_EQ(world.session.credentials()->account->lid.to_string(), "987650001234567:7@lid");
  EXPECT_EQ(world.session.credentials()->account->platform, "android");
  EXPECT_EQ(world.status().jid, "15550100001:7@s.whatsapp.net");
}

TEST(SessionPairingTest, AScanThatDoesNotAuthenticateIsRefusedAndEndsTheAttempt) {
  struct Case {
    World::Scan scan;
    const char* text;
    const char* reason;
  };
  for (const auto& [scan, text, reason] :
       {Case{{.spoil_hmac = true}, "hmac-mismatch", "hmac_mismatch"},
        Case{{.spoil_signature = true}, "signature-mismatch", "signature_mismatch"}}) {
    SCOPED_TRACE(text);
    World world;
    world.start();
    world.forget();
    world.scan(scan);
    const auto answers = world.sent("iq");
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(attr(answers[0], "type"), "error");
    EXPECT_EQ(attr(*child(answers[0], "error"), "code"), "401");
    EXPECT_EQ(attr(*child(answers[0], "error"), "text"), text);
    EXPECT_EQ(world.status().state, State::pairing_failed);
    EXPECT_EQ(world.status().reason, reason);
    EXPECT_FALSE(world.status().qr);
    EXPECT_FALSE(world.session.credentials()->account);
    EXPECT_FALSE(world.open_socket);
    EXPECT_EQ(world.session.next_deadline(), std::nullopt);

    world.start();
    EXPECT_EQ(world.status().state, State::waiting_for_scan);
    EXPECT_EQ(world.session.credentials()->attempt_id, 2u);
  }
}

TEST(SessionPairingTest, APairSuccessWithMissingPartsIsRefused) {
  for (const std::string missing : {"device", "device-identity", "everything", "content", "jid"}) {
    SCOPED_TRACE(missing);
    World world;
    world.start();
    world.forget();
    auto iq = world.pair_success({});
    auto& list = std::get<std::vector<NodeBuilder>>(iq.content()).front();
    auto& parts = std::get<std::vector<NodeBuilder>>(list.content());
    if (missing == "everything") parts.clear();
    std::erase_if(parts, [&](const NodeBuilder& part) { return part.tag() == missing; });
    for (NodeBuilder& part : parts) {
      if (missing == "content" && part.tag() == "device-identity")
        part.content() = std::monostate();
      if (missing == "jid") part.set_attr("jid", std::nullopt);
    }
    world.send(iq);
    const auto answers = world.sent("iq");
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(attr(*child(answers[0], "error"), "code"), "500");
    EXPECT_EQ(world.status().state, State::pairing_failed);
    EXPECT_EQ(world.status().reason, "malformed_pair_success");
    EXPECT_FALSE(world.session.credentials()->account);
  }
  World world;
  world.start();
  world.scan({.jid = "somebody:7@s.whatsapp.net"});
  EXPECT_EQ(world.status().state, State::pairing_failed);
}

TEST(SessionPairingTest, ANumberThatIsNotTheExpectedOneIsRefused) {
  auto config = World::default_config();
  config.expected_number = "15550100002";
  World world(config);
  world.start();
  world.scan();
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_EQ(world.status().reason, "wrong_number");
  EXPECT_FALSE(world.session.credentials()->account);
  EXPECT_TRUE(world.sent_iqs("pair-device-sign").empty());
  EXPECT_TRUE(world.status().removal_pending);

  world.advance(1s);
  const auto removals = world.sent_iqs("remove-companion-device");
  ASSERT_EQ(removals.size(), 1u);
  EXPECT_EQ(attr(*child(removals[0], "remove-companion-device"), "jid"),
            "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(world.status().state, State::pairing_failed);
  EXPECT_EQ(world.status().reason, "wrong_number");
  EXPECT_FALSE(world.status().removal_pending);

  world.start();
  world.scan({.jid = "15550100002:1@s.whatsapp.net"});
  world.advance(1s);
  EXPECT_EQ(world.status().state, State::connected);
}

}  // namespace
}  // namespace wa::client

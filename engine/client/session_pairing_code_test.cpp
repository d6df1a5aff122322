#include <gtest/gtest.h>

#include <algorithm>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::NodeBuilder;
using test::World;

constexpr char kRegistration[] = "link_code_companion_reg";
constexpr char kNumber[] = "15550100001";

Bytes bytes_at(const NodeBuilder& parent, std::string_view tag) {
  const NodeBuilder* found = child(parent, tag);
  return found ? std::get<Bytes>(found->content()) : Bytes{};
}

/// The server and a phone on which somebody types a code, around a World.
class Phone {
  World& world_;
  SeededRandom random_{7};

 public:
  explicit Phone(World& world) : world_(world) {
    world.on_stanza = [this](const NodeBuilder& stanza) { return on_stanza(stanza); };
  }

  /// Types the code into the phone: primary_hello goes to the companion.
  void type(std::string_view code) { send_hello(hello(code)); }

  struct Hello {
    Bytes wrapped;
    Bytes identity;
    Bytes ref;
  };
  Hello hello(std::string_view code) {
    const auto& companion = companion_hellos.back();
    const auto wrapped = *pairing::WrappedEphemeral::parse(
        bytes_at(companion, "link_code_pairing_wrapped_companion_ephemeral_pub"));
    companion_ephemeral_ =
        pairing::unwrap_ephemeral(wrapped, pairing::derive_link_key(code, wrapped.salt));
    const auto salt = random_.array<32>();
    const auto own = pairing::wrap_ephemeral(ephemeral_.public_key,
                                             pairing::derive_link_key(code, salt), salt, random_);
    return {own.encode(), to_bytes(identity.public_key.bytes), ref};
  }
  void send_hello(const Hello& hello) {
    NodeBuilder content(kRegistration);
    content.attr("stage", "primary_hello");
    const auto add = [&](const char* tag, const Bytes& bytes) {
      if (!bytes.empty()) content.child(NodeBuilder(tag).bytes(bytes));
    };
    add("link_code_pairing_wrapped_primary_ephemeral_pub", hello.wrapped);
    add("primary_identity_pub", hello.identity);
    add("link_code_pairing_ref", hello.ref);
    world_.send(notification().child(content));
  }
  NodeBuilder notification() {
    return NodeBuilder("notification")
        .attr("from", wire::Jid::server_itself())
        .attr("type", kRegistration)
        .attr("id", "N" + std::to_string(next_id_++))
        .attr("t", 1'767'225'600);
  }

  /// What the last companion_finish agreed on; an error when its code was another one.
  Result<pairing::AdvSecret> accept() const {
    const auto& finish = companion_finishes.back();
    const auto companion =
        *crypto::PublicKey::from(bytes_at(finish, "companion_identity_public"), "identity");
    return pairing::accept_link(ephemeral_, identity, companion_ephemeral_, companion,
                                bytes_at(finish, "link_code_pairing_wrapped_key_bundle"));
  }
  /// pair-success under the secret that was agreed on.
  void pair() { world_.send(world_.pair_success({.adv_secret = *accept()})); }

  Bytes ref = to_bytes("ref-of-the-code");
  crypto::KeyPair identity = crypto::generate_key_pair(random_);
  bool answer_hello = true;
  std::optional<NodeBuilder> refusal;  ///< the `<error>` that answers companion_hello
  std::vector<NodeBuilder> companion_hellos;
  std::vector<NodeBuilder> companion_finishes;

 private:
  bool on_stanza(const NodeBuilder& stanza) {
    const NodeBuilder* content = child(stanza, kRegistration);
    if (!content) return false;
    const std::string id = attr(stanza, "id");
    if (attr(*content, "stage") == "companion_finish") {
      companion_finishes.push_back(*content);
      world_.send(test::server_iq("result", id));
      return true;
    }
    companion_hellos.push_back(*content);
    if (!answer_hello) return true;
    if (refusal) {
      world_.send(test::server_iq("error", id).child(*refusal));
      return true;
    }
    world_.send(
        test::server_iq("result", id)
            .child(
                NodeBuilder(kRegistration).child(NodeBuilder("link_code_pairing_ref").bytes(ref))));
    return true;
  }

  crypto::KeyPair ephemeral_ = crypto::generate_key_pair(random_);
  crypto::PublicKey companion_ephemeral_;
  int next_id_ = 1;
};

void ask(World& world, std::string number = kNumber) {
  world.step(PairingCodeRequested{std::move(number)});
}

std::string shown_code(const World& world) {
  return world.status().pairing_code ? world.status().pairing_code->code : std::string();
}

/// A person types the code on show, and that links.
void expect_linked(World& world, Phone& phone) {
  phone.type(shown_code(world));
  phone.pair();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
}

// ---- the way to a device ------------------------------------------------------------------------

TEST(SessionPairingCodeTest, ARequestStartsTheDeviceAndShowsACodeBesideTheQr) {
  World world;
  Phone phone(world);
  ask(world);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  ASSERT_TRUE(world.status().qr);
  ASSERT_TRUE(world.status().pairing_code);
  EXPECT_EQ(world.status().pairing_code->code.size(), 8u);
  EXPECT_EQ(world.status().pairing_code->sequence, 1u);
  EXPECT_EQ(world.status().pairing_code->expires_at, world.now.mono + 180s);
  EXPECT_TRUE(pairing::parse_pairing_code(shown_code(world)));

  ASSERT_EQ(phone.companion_hellos.size(), 1u);
  const auto& hello = phone.companion_hellos[0];
  EXPECT_EQ(attr(hello, "jid"), "15550100001@s.whatsapp.net");
  EXPECT_EQ(attr(hello, "stage"), "companion_hello");
  EXPECT_EQ(attr(hello, "should_show_push_notification"), "true");
  EXPECT_EQ(as_text(bytes_at(hello, "companion_platform_id")), "1");
  EXPECT_EQ(as_text(bytes_at(hello, "companion_platform_display")), "Chrome (Ubuntu)");
  EXPECT_EQ(bytes_at(hello, "link_code_pairing_nonce"), Bytes{std::byte{0}});
  EXPECT_EQ(bytes_at(hello, "companion_server_auth_key_pub"),
            to_bytes(world.session.credentials()->noise.public_key.bytes));
  EXPECT_EQ(bytes_at(hello, "link_code_pairing_wrapped_companion_ephemeral_pub").size(), 80u);
}

TEST(SessionPairingCodeTest, ThePhoneThatKnowsTheCodePairsAndTheDeviceLogsIn) {
  World world;
  Phone phone(world);
  ask(world);
  world.forget();
  phone.type(shown_code(world));
  ASSERT_EQ(phone.companion_finishes.size(), 1u);
  EXPECT_EQ(bytes_at(phone.companion_finishes[0], "link_code_pairing_ref"), phone.ref);
  const auto acks = world.sent("ack");
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(attr(acks[0], "class"), "notification");
  EXPECT_EQ(attr(acks[0], "type"), kRegistration);

  const auto secret = phone.accept();
  ASSERT_TRUE(secret);
  phone.pair();
  EXPECT_EQ(world.session.credentials()->adv_secret, *secret);
  EXPECT_FALSE(world.status().pairing_code);
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.dial_times.size(), 1u);  // since forget: the login
  const auto& stored = world.store.at("credentials").at("self");
  EXPECT_EQ(Credentials::decode(stored)->adv_secret, *secret);
}

TEST(SessionPairingCodeTest, TheQrBesideTheCodeCanBeScannedAllTheSame) {
  World world;
  Phone phone(world);
  ask(world);
  world.scan();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_FALSE(world.status().pairing_code);
}

TEST(SessionPairingCodeTest, AWrongCodeLeavesBothWaysOpen) {
  {
    World world;
    Phone phone(world);
    ask(world);
    const std::string code = shown_code(world);
    phone.type(code == "ABCD1234" ? "ABCD1235" : "ABCD1234");
    ASSERT_EQ(phone.companion_finishes.size(), 1u);
    EXPECT_FALSE(phone.accept());
    EXPECT_EQ(shown_code(world), code);
    phone.type(code);
    phone.pair();
    world.advance(10ms);
    EXPECT_EQ(world.status().state, State::connected);
  }
  World world;
  Phone phone(world);
  ask(world);
  phone.type("ABCD1234");
  world.scan();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionPairingCodeTest, OfOneCodeThreeHellosAreHeardAndAllAreAcked) {
  World world;
  Phone phone(world);
  ask(world);
  world.forget();
  for (int i = 0; i < 5; ++i) phone.type("ABCD1234");
  EXPECT_EQ(phone.companion_finishes.size(), 3u);
  EXPECT_EQ(world.sent("ack").size(), 5u);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
}

// ---- when
// -----------------------------------------------------------------------------------------

TEST(SessionPairingCodeTest, ARequestWaitsForPairDevice) {
  World world;
  Phone phone(world);
  world.behaviour.on_dial = World::OnDial::hold;
  ask(world);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_FALSE(world.status().pairing_code);
  world.advance(3s);
  world.step(Dialed{*world.open_socket});
  EXPECT_TRUE(world.status().pairing_code);
  EXPECT_EQ(phone.companion_hellos.size(), 1u);
}

TEST(SessionPairingCodeTest, ARequestThatNothingComesOfIsGivenUp) {
  World world;
  Phone phone(world);
  world.behaviour.on_dial = World::OnDial::hold;
  ask(world);
  world.advance(19'900ms);
  EXPECT_NE(world.status().reason, "pairing_code_timeout");
  world.advance(200ms);
  EXPECT_EQ(world.status().reason, "pairing_code_timeout");
  EXPECT_EQ(world.status().state, State::connecting);
  world.step(Dialed{*world.open_socket});
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_TRUE(phone.companion_hellos.empty());
  EXPECT_EQ(world.status().reason, "pairing_code_timeout");
}

TEST(SessionPairingCodeTest, ALateAlarmDoesNotHideThatTheRequestWasGivenUp) {
  World world;
  world.behaviour.refs = std::nullopt;
  ask(world);
  world.advance(1s);
  world.now.mono += 1min;  // both are due: the request, and the wait for the first ref
  world.step(DeadlineReached{});
  world.advance(0s);
  const auto gave_up = [](const Status& status) { return status.reason == "pairing_code_timeout"; };
  EXPECT_TRUE(std::ranges::any_of(world.statuses, gave_up));
  ASSERT_TRUE(world.status().last_close);
  EXPECT_EQ(world.status().last_close->cause, "first_ref_timeout");
}

TEST(SessionPairingCodeTest, ARequestWithAQrOnShowIsServedAtOnceAndAnotherOneMakesAnotherCode) {
  World world;
  Phone phone(world);
  world.start();
  EXPECT_TRUE(phone.companion_hellos.empty());
  ask(world, "+1 (555) 010-0001");
  const std::string first = shown_code(world);
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(attr(phone.companion_hellos[0], "jid"), "15550100001@s.whatsapp.net");
  ask(world);
  EXPECT_NE(shown_code(world), first);
  EXPECT_EQ(world.status().pairing_code->sequence, 2u);
  EXPECT_EQ(world.dial_times.size(), 1u);

  phone.type(first);  // of the void code
  EXPECT_FALSE(phone.accept());
}

TEST(SessionPairingCodeTest, WhatIsNoNumberIsNotSentAnywhere) {
  World world;
  Phone phone(world);
  world.start();
  world.forget();
  for (const char* number : {"", "12", "0155501", "me@home", "15550100001:7@s.whatsapp.net"}) {
    ask(world, number);
  }
  EXPECT_TRUE(world.stanzas.empty());
  EXPECT_FALSE(world.status().pairing_code);
}

TEST(SessionPairingCodeTest, APairedDeviceLogsInAndWantsNoCode) {
  World world;
  Phone phone(world);
  world.pair();
  world.step(StopRequested{});
  world.advance(1s);
  world.forget();
  ask(world);
  EXPECT_EQ(world.status().state, State::connected);
  ask(world);
  EXPECT_TRUE(phone.companion_hellos.empty());
  EXPECT_FALSE(world.status().pairing_code);
}

// ---- what comes in between --------------------------------------------------------------------

TEST(SessionPairingCodeTest, AReconnectMakesANewCodeAndTheOldOneIsVoid) {
  World world;
  Phone phone(world);
  ask(world);
  world.advance(5s);
  const std::string first = shown_code(world);
  world.close_from_server();
  EXPECT_FALSE(world.status().pairing_code);
  world.advance(5s);
  ASSERT_TRUE(world.status().pairing_code);
  EXPECT_NE(shown_code(world), first);
  EXPECT_EQ(world.status().pairing_code->sequence, 2u);
  EXPECT_EQ(world.status().pairing_code->expires_at, world.status().qr->expires_at + 120s);
  EXPECT_EQ(phone.companion_hellos.size(), 2u);
  expect_linked(world, phone);
}

TEST(SessionPairingCodeTest, RefsThatRunOutDoNotEndTheStreamWhileACodeIsPending) {
  World world;
  Phone phone(world);
  world.behaviour.refs = 1;
  ask(world);
  world.advance(170s);  // the only ref died at 60 s
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_FALSE(world.status().qr);
  ASSERT_TRUE(world.status().pairing_code);
  EXPECT_EQ(world.dial_times.size(), 1u);
  expect_linked(world, phone);
  EXPECT_EQ(world.dial_times.size(), 2u);
}

TEST(SessionPairingCodeTest, ACodeHasAnEndOfItsOwn) {
  World world;
  Phone phone(world);
  world.behaviour.refs = 10;  // 240 s
  ask(world);
  world.advance(179s);
  EXPECT_TRUE(world.status().pairing_code);
  world.advance(2s);
  EXPECT_FALSE(world.status().pairing_code);
  EXPECT_EQ(world.status().reason, "pairing_code_expired");
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_TRUE(world.status().qr);
  world.advance(30s);  // the next QR does not hide it
  EXPECT_EQ(world.status().reason, "pairing_code_expired");
  EXPECT_EQ(world.dial_times.size(), 1u);

  world.send(phone.notification().child(NodeBuilder(kRegistration).attr("stage", "primary_hello")));
  EXPECT_TRUE(phone.companion_finishes.empty());
  ask(world);
  EXPECT_TRUE(world.status().pairing_code);
  EXPECT_EQ(world.status().reason, "");
}

TEST(SessionPairingCodeTest, AfterAnExpiredCodeTheWindowEndsAsUsualAndNoOtherCodeIsMade) {
  World world;
  Phone phone(world);
  world.behaviour.refs = 1;
  ask(world);
  world.advance(200s);
  EXPECT_EQ(phone.companion_hellos.size(), 1u);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);  // a renewed window
  EXPECT_EQ(world.dial_times.size(), 2u);
  EXPECT_EQ(world.status().last_close->code, 408);
}

TEST(SessionPairingCodeTest, APhoneThatHasAnsweredGetsTimeToFinish) {
  World world;
  Phone phone(world);
  world.behaviour.refs = 1;
  ask(world);
  world.advance(175s);
  phone.type(shown_code(world));
  world.advance(50s);
  phone.pair();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionPairingCodeTest, ARefusalIsShownWithTheServersWordsAndNotRepeated) {
  World world;
  Phone phone(world);
  phone.refusal = NodeBuilder("error").attr("code", 400).attr("text", "bad-request");
  ask(world);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  EXPECT_EQ(world.status().reason, "pairing_code_rejected");
  EXPECT_EQ(world.status().pairing_error, "400 bad-request");
  EXPECT_FALSE(world.status().pairing_code);
  world.close_from_server();
  world.advance(150s);
  EXPECT_EQ(phone.companion_hellos.size(), 1u);
  for (const Status& status : world.statuses) EXPECT_FALSE(status.pairing_code);

  phone.refusal.reset();
  ask(world);
  EXPECT_TRUE(world.status().pairing_code);
  EXPECT_EQ(world.status().pairing_error, "");
}

TEST(SessionPairingCodeTest, AnAnswerThatNeverComesOrHasNoRefIsNoCode) {
  {
    World world;
    Phone phone(world);
    phone.answer_hello = false;
    ask(world);
    EXPECT_FALSE(world.status().pairing_code);
    world.advance(61s);
    EXPECT_EQ(world.status().reason, "pairing_code_timeout");
  }
  World world;
  Phone phone(world);
  phone.ref.clear();
  ask(world);
  EXPECT_EQ(world.status().reason, "pairing_code_rejected");
  EXPECT_FALSE(world.status().pairing_code);
}

TEST(SessionPairingCodeTest, HellosWithMissingOrWrongPartsAreAckedAndIgnored) {
  World world;
  Phone phone(world);
  ask(world);
  world.forget();
  const auto good = phone.hello(shown_code(world));
  std::size_t sent = 0;
  const auto spoilt = [&](auto spoil) {
    auto hello = good;
    spoil(hello);
    phone.send_hello(hello);
    ++sent;
  };
  spoilt([](auto& hello) { hello.wrapped.clear(); });
  spoilt([](auto& hello) { hello.identity.clear(); });
  spoilt([](auto& hello) { hello.ref.clear(); });
  spoilt([](auto& hello) { hello.wrapped.pop_back(); });
  spoilt([](auto& hello) { hello.wrapped.push_back(std::byte{0}); });
  spoilt([](auto& hello) { hello.identity.pop_back(); });
  spoilt([](auto& hello) { hello.ref = to_bytes("another"); });
  spoilt([](auto& hello) { hello.wrapped.resize(60'000); });
  for (const char* stage : {"", "companion_hello", "primary"}) {
    world.send(phone.notification().child(NodeBuilder(kRegistration).attr("stage", stage)));
    ++sent;
  }
  world.send(phone.notification());
  world.send(phone.notification().child(NodeBuilder("other")));
  sent += 2;
  EXPECT_TRUE(phone.companion_finishes.empty());
  EXPECT_EQ(world.sent("ack").size(), sent);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);

  phone.send_hello(good);
  ASSERT_EQ(phone.companion_finishes.size(), 1u);
  phone.pair();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionPairingCodeTest, AKeyOfSmallOrderIsNotAgreedWith) {
  World world;
  Phone phone(world);
  ask(world);
  auto hello = phone.hello(shown_code(world));
  hello.identity = Bytes(32);
  phone.send_hello(hello);
  EXPECT_TRUE(phone.companion_finishes.empty());
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
  phone.type(shown_code(world));
  EXPECT_EQ(phone.companion_finishes.size(), 1u);
}

TEST(SessionPairingCodeTest, ARefreshDoesNotTouchTheSecretThatThePhoneAgreedOn) {
  const auto refresh = [](World& world, Phone& phone) {
    auto notification = phone.notification();
    notification.set_attr("type", std::string("companion_reg_refresh"));
    world.send(notification.child(NodeBuilder("companion_reg_refresh")));
  };
  World world;
  Phone phone(world);
  ask(world);
  const auto before = world.session.credentials()->adv_secret;
  refresh(world, phone);
  const auto renewed = world.session.credentials()->adv_secret;
  EXPECT_NE(renewed, before);  // nothing was agreed on yet

  phone.type(shown_code(world));
  refresh(world, phone);
  EXPECT_EQ(world.session.credentials()->adv_secret, renewed);
  phone.pair();
  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionPairingCodeTest, ARefreshAfterTheLastRefDiedIsHarmless) {
  World world;
  Phone phone(world);
  world.behaviour.refs = 1;
  ask(world);
  world.advance(70s);
  auto notification = phone.notification();
  notification.set_attr("type", std::string("companion_reg_refresh"));
  world.send(notification.child(NodeBuilder("companion_reg_refresh")));
  EXPECT_FALSE(world.status().qr);
  EXPECT_TRUE(world.status().pairing_code);
}

TEST(SessionPairingCodeTest, StoppingEndsTheCode) {
  World world;
  Phone phone(world);
  ask(world);
  world.step(StopRequested{});
  EXPECT_FALSE(world.status().pairing_code);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  world.start();
  EXPECT_EQ(phone.companion_hellos.size(), 1u);
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
}

// ---- secrets
// --------------------------------------------------------------------------------------

TEST(SessionPairingCodeTest, NoReportContainsACode) {
  World world;
  Phone phone(world);
  std::vector<std::string> codes;
  std::vector<std::string> texts;
  const auto note = [&] {
    if (world.status().pairing_code) codes.push_back(shown_code(world));
  };
  ask(world);
  note();
  phone.type("ABCD1234");
  world.send(phone.notification());
  world.close_from_server();
  world.advance(5s);
  note();
  phone.type(shown_code(world));
  phone.pair();
  world.advance(10ms);
  for (const Action& action : world.actions) {
    if (const auto* report = std::get_if<Report>(&action)) texts.push_back(report->text);
  }
  ASSERT_EQ(codes.size(), 2u);
  ASSERT_FALSE(texts.empty());
  for (const std::string& code : codes) {
    const std::string printed = pairing::print_pairing_code(code);
    for (const std::string& text : texts) {
      EXPECT_EQ(text.find(code), std::string::npos);
      EXPECT_EQ(text.find(printed), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace wa::client

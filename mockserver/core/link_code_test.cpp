#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::Bench;
using test::DeviceKeys;
using test::problem_code;
using test::TestClient;
using wire::Jid;
using wire::NodeBuilder;

constexpr char kNumber[] = "15550100001";
constexpr char kRegistration[] = "link_code_companion_reg";

/// What a client may write differently in companion_hello.
struct HelloStyle {
  std::string display = "Chrome (Ubuntu)";
  std::string platform = "1";
  Bytes nonce{std::byte{0}};
  std::string number = kNumber;
};

/// A registered client that shows a code.
class LinkingCompanion {
 public:
  explicit LinkingCompanion(Bench& bench, std::string label = "shop-1",
                            std::string shown = "ABCD1234")
      : keys(bench.random()), client(bench, keys, std::move(label)), code(std::move(shown)) {
    bench_ = &bench;
    client.register_device();
    client.answer_pair_device();
  }

  NodeBuilder hello(const HelloStyle& style = {}) {
    ephemeral = crypto::generate_key_pair(bench_->random());
    const auto salt = bench_->random().array<32>();
    const auto wrapped = pairing::wrap_ephemeral(
        ephemeral.public_key, pairing::derive_link_key(code, salt), salt, bench_->random());
    NodeBuilder content(kRegistration);
    content.attr("jid", Jid(style.number, wire::kServerPn)).attr("stage", "companion_hello");
    const auto add = [&](const char* tag, ByteSpan bytes) {
      content.child(NodeBuilder(tag).bytes(bytes));
    };
    add("link_code_pairing_wrapped_companion_ephemeral_pub", wrapped.encode());
    add("companion_server_auth_key_pub", keys.noise.public_key);
    content.child(NodeBuilder("companion_platform_id").text(style.platform));
    content.child(NodeBuilder("companion_platform_display").text(style.display));
    add("link_code_pairing_nonce", style.nonce);
    return content;
  }

  /// Sends one of the two requests; the answer's type and, for an error, its code.
  std::string ask(const NodeBuilder& content) {
    client.send(NodeBuilder("iq")
                    .attr("to", Jid::server_itself())
                    .attr("type", "set")
                    .attr("id", "q" + std::to_string(next_id_++))
                    .attr("xmlns", "md")
                    .child(content));
    const wire::Frame answer = client.receive();
    if (answer.root().attr("type") == "error") {
      return "error " + answer.root().child("error")->printed("code");
    }
    if (const auto* registration = answer.root().child(kRegistration)) {
      ref = to_bytes(registration->child("link_code_pairing_ref")->bytes());
    }
    return std::string(answer.root().attr("type"));
  }
  void show(const HelloStyle& style = {}) { EXPECT_EQ(ask(hello(style)), "result"); }

  /// Reads primary_hello and acks it; the answer to it.
  NodeBuilder read_primary_hello() {
    const wire::Frame frame = client.receive();
    const wire::Node& notification = frame.root();
    const wire::Node* primary = notification.child(kRegistration);
    EXPECT_NE(primary, nullptr) << wire::to_xml(notification);
    EXPECT_EQ(notification.attr("type"), kRegistration);
    EXPECT_EQ(primary->attr("stage"), "primary_hello");
    EXPECT_EQ(to_bytes(primary->child("link_code_pairing_ref")->bytes()), ref);
    const auto wrapped = *pairing::WrappedEphemeral::parse(
        primary->child("link_code_pairing_wrapped_primary_ephemeral_pub")->bytes());
    const auto identity =
        *crypto::PublicKey::from(primary->child("primary_identity_pub")->bytes(), "identity");
    const auto other =
        pairing::unwrap_ephemeral(wrapped, pairing::derive_link_key(code, wrapped.salt));
    const auto link =
        pairing::finish_link(ephemeral, keys.identity, other, identity, bench_->random());
    client.send(NodeBuilder("ack")
                    .attr("to", Jid::server_itself())
                    .attr("id", std::string(notification.attr("id")))
                    .attr("class", "notification")
                    .attr("type", kRegistration));
    keys.adv_secret = link->adv_secret;
    return finish(link->wrapped_bundle);
  }
  NodeBuilder finish(ByteSpan bundle) {
    return NodeBuilder(kRegistration)
        .attr("jid", Jid(kNumber, wire::kServerPn))
        .attr("stage", "companion_finish")
        .child(NodeBuilder("link_code_pairing_wrapped_key_bundle").bytes(bundle))
        .child(NodeBuilder("companion_identity_public").bytes(keys.identity.public_key))
        .child(NodeBuilder("link_code_pairing_ref").bytes(ref));
  }
  void answer_primary_hello() { EXPECT_EQ(ask(read_primary_hello()), "result"); }

  DeviceKeys keys;
  TestClient client;
  std::string code;
  crypto::KeyPair ephemeral;
  Bytes ref;

 private:
  Bench* bench_ = nullptr;
  int next_id_ = 1;
};

/// A bench with a phone.
struct WithPhone : Bench {
  explicit WithPhone(Settings settings = {}) : Bench(std::move(settings)) {
    (void)command(AddPhone{kNumber, "Ann"});
  }
  /// The request under which a code is being entered.
  RequestId enter(std::string code) {
    last = command(EnterPairingCode{kNumber, std::move(code)});
    return next_request - 1;
  }
  std::string outcome(RequestId request) const {
    const auto found = answers.find(request);
    return found == answers.end() ? "pending" : problem_code(found->second);
  }
  /// After the time for which a code waits for its companion.
  std::string outcome_soon(RequestId request) {
    EXPECT_EQ(outcome(request), "pending");
    advance(500ms);
    return outcome(request);
  }
  std::optional<std::variant<CommandResult, Problem>> last;
};

TEST(LinkCodeTest, TheCodeOnThePhoneLinksTheCompanion) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show();
  const RequestId entered = bench.enter("abcd-1234");
  EXPECT_EQ(bench.outcome(entered), "pending");
  companion.answer_primary_hello();
  EXPECT_EQ(bench.outcome(entered), "pending");
  companion.client.answer_pair_success();
  ASSERT_EQ(bench.outcome(entered), "ok");
  EXPECT_EQ(std::get<CommandResult>(bench.answers.at(entered)).value,
            "15550100001:1@s.whatsapp.net");

  bench.advance(100ms);
  const wire::Frame restart = companion.client.receive();
  EXPECT_EQ(restart.root().printed("code"), "515");
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  EXPECT_EQ(bench.count(EventKind::scan), 0u);
  EXPECT_EQ(bench.count(EventKind::pair_sign), 1u);
  std::vector<std::string> stages;
  for (const TenantEvent& event : bench.events) {
    if (event.kind == EventKind::link_code) stages.push_back(event.data.at(0).second);
  }
  EXPECT_EQ(stages, (std::vector<std::string>{"companion_hello", "typed", "primary_hello",
                                              "companion_finish"}));
}

TEST(LinkCodeTest, AWrongCodeIsSaidAndTheAttemptStaysOpen) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show();
  for (int i = 0; i < 3; ++i) {
    const RequestId wrong = bench.enter("ABCD1235");
    companion.answer_primary_hello();
    EXPECT_EQ(bench.outcome(wrong), "wrong_code");
    EXPECT_FALSE(companion.client.has_message());
  }
  const RequestId right = bench.enter("ABCD1234");
  companion.answer_primary_hello();
  companion.client.answer_pair_success();
  EXPECT_EQ(bench.outcome(right), "ok");
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  EXPECT_EQ(std::get<Problem>(bench.answers.at(right - 1)).status, 422);
}

TEST(LinkCodeTest, WhatCannotBeEnteredIsRefusedAtOnce) {
  WithPhone bench;
  EXPECT_EQ(problem_code(bench.command(EnterPairingCode{"1999", "ABCD1234"})), "unknown_phone");
  EXPECT_EQ(bench.outcome_soon(bench.enter("ABCD1234")), "no_pairing_code");
  EXPECT_EQ(bench.outcome(bench.enter("ABCD123")), "bad_code");
  LinkingCompanion companion(bench);
  EXPECT_EQ(bench.outcome_soon(bench.enter("ABCD1234")), "no_pairing_code");
  companion.show({.number = "15550100002"});
  EXPECT_EQ(bench.outcome_soon(bench.enter("ABCD1234")), "no_pairing_code");
  companion.show();
  const RequestId first = bench.enter("ABCD1234");
  EXPECT_EQ(bench.outcome(bench.enter("ABCD1234")), "busy");
  EXPECT_EQ(bench.outcome(first), "pending");
}

TEST(LinkCodeTest, ACodeThatIsTypedTooEarlyWaitsAMoment) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  const RequestId other = bench.next_request;
  (void)bench.command(AddPhone{"15550100002", "Bea"});
  (void)bench.command(EnterPairingCode{"15550100002", "ABCD1234"});
  const RequestId early = bench.enter("ABCD1234");
  bench.advance(400ms);
  companion.show();
  companion.answer_primary_hello();
  companion.client.answer_pair_success();
  EXPECT_EQ(bench.outcome(early), "ok");
  bench.advance(100ms);
  EXPECT_EQ(bench.outcome(other + 1), "no_pairing_code");

  const RequestId reset = bench.enter("ABCD1234");
  EXPECT_EQ(bench.outcome(reset), "pending");
  (void)bench.command(Reset{});
  EXPECT_EQ(bench.outcome(reset), "no_pairing_code");
}

TEST(LinkCodeTest, OfSeveralCompanionsTheNewestCodeCounts) {
  WithPhone bench;
  LinkingCompanion older(bench, "shop-1", "AAAA1111");
  older.show();
  LinkingCompanion newer(bench, "shop-2", "BBBB2222");
  newer.show();
  const RequestId old_code = bench.enter("AAAA1111");
  newer.answer_primary_hello();
  EXPECT_EQ(bench.outcome(old_code), "wrong_code");
  EXPECT_FALSE(older.client.has_message());

  older.code = "CCCC3333";
  older.show();  // now the newest
  const RequestId again = bench.enter("CCCC3333");
  older.answer_primary_hello();
  older.client.answer_pair_success();
  EXPECT_EQ(bench.outcome(again), "ok");
}

TEST(LinkCodeTest, CodesExpire) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show();
  bench.advance(179s);
  const RequestId early = bench.enter("ABCD1235");
  companion.answer_primary_hello();
  EXPECT_EQ(bench.outcome(early), "wrong_code");
  bench.advance(1s);
  EXPECT_EQ(bench.outcome(bench.enter("ABCD1234")), "code_expired");
  companion.show();
  EXPECT_EQ(bench.outcome(bench.enter("ABCD1234")), "pending");

  Settings settings;
  ASSERT_TRUE(settings.set("pairing_code.life", "5s"));
  WithPhone hasty(settings);
  LinkingCompanion other(hasty);
  other.show();
  hasty.advance(5s);
  EXPECT_EQ(hasty.outcome(hasty.enter("ABCD1234")), "code_expired");
}

TEST(LinkCodeTest, TheSocketStaysOpenWhileACodeMayBeTyped) {
  Settings settings;
  settings.refs_count = 1;
  WithPhone bench(settings);
  LinkingCompanion companion(bench);
  bench.advance(60s);
  companion.show();  // until 240 s
  bench.advance(150s);
  EXPECT_FALSE(companion.client.closed());
  const RequestId late = bench.enter("ABCD1235");
  companion.answer_primary_hello();
  EXPECT_EQ(bench.outcome(late), "wrong_code");
  bench.advance(35s);
  EXPECT_FALSE(companion.client.closed());
  bench.advance(10s);
  EXPECT_TRUE(companion.client.closed());
}

TEST(LinkCodeTest, QuirksOfOtherClientsAreAccepted) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show({.platform = "49", .nonce = to_bytes("0")});
  companion.show({.display = "Safari (Mac OS)"});
  companion.client.send(NodeBuilder("presence"));  // before login, without attributes
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});

  // A client that was interrupted believes that it is known: a login without a device.
  companion.client.disconnect();
  const DeviceKeys keys(bench.random());
  TestClient again(bench, keys);
  again.log_in(*bench.tenant.phone(kNumber), 0);
  const wire::Frame failure = again.receive();
  EXPECT_EQ(failure.root().tag, "failure");
  EXPECT_EQ(failure.root().printed("reason"), "401");
  EXPECT_TRUE(again.closed());
}

TEST(LinkCodeTest, NamesThatAreNotInTheTableAreABadRequest) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  for (const char* display :
       {"Chrome", "Chrome ()", "Chrome (Ubuntu", "(Ubuntu)", "chrome (ubuntu)", "MyBot (Ubuntu)",
        "Chrome (TempleOS)", "Ubuntu (Chrome)", "Chrome  (Ubuntu)"}) {
    EXPECT_EQ(companion.ask(companion.hello({.display = display})), "error 400") << display;
  }
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  EXPECT_EQ(bench.outcome_soon(bench.enter("ABCD1234")), "no_pairing_code");
  for (const char* display : {"Chrome (Ubuntu)", "Edge (Windows)", "Safari (Mac OS)"}) {
    companion.show({.display = display});
  }
}

TEST(LinkCodeTest, AHelloThatLacksSomethingIsAViolationAndABadRequest) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  const NodeBuilder good = companion.hello();
  const auto& fields = std::get<std::vector<NodeBuilder>>(good.content());
  std::size_t violations = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    NodeBuilder without = good;
    auto& rest = std::get<std::vector<NodeBuilder>>(without.content());
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(companion.ask(without), "error 400") << fields[i].tag();
    EXPECT_EQ(bench.rules().size(), ++violations);
  }
  NodeBuilder short_key = good;
  auto& key = std::get<Bytes>(std::get<std::vector<NodeBuilder>>(short_key.content())[0].content());
  key.pop_back();
  EXPECT_EQ(companion.ask(short_key), "error 400");
  NodeBuilder other_noise = good;
  std::get<Bytes>(std::get<std::vector<NodeBuilder>>(other_noise.content())[1].content())[0] ^=
      std::byte{1};
  EXPECT_EQ(companion.ask(other_noise), "error 400");
  for (const char* jid :
       {"", "me@s.whatsapp.net", "15550100001:3@s.whatsapp.net", "1555010@g.us"}) {
    NodeBuilder other = good;
    other.set_attr("jid", std::string(jid));
    EXPECT_EQ(companion.ask(other), "error 400") << jid;
  }
  NodeBuilder stage = good;
  stage.set_attr("stage", std::string("companion_goodbye"));
  EXPECT_EQ(companion.ask(stage), "error 400");
  EXPECT_EQ(bench.rules(), std::vector<std::string>(violations + 7, "link-code"));
}

TEST(LinkCodeTest, AFinishThatDoesNotFitIsRefused) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  EXPECT_EQ(companion.ask(companion.finish(Bytes(156))), "error 400");  // before any hello
  companion.show();
  const RequestId entered = bench.enter("ABCD1234");
  NodeBuilder finish = companion.read_primary_hello();
  const Bytes ref = std::exchange(companion.ref, to_bytes("other"));
  EXPECT_EQ(companion.ask(companion.finish(Bytes(156))), "error 400");
  companion.ref = ref;
  NodeBuilder stranger = finish;
  std::get<Bytes>(std::get<std::vector<NodeBuilder>>(stranger.content())[1].content())[0] ^=
      std::byte{1};
  EXPECT_EQ(companion.ask(stranger), "error 400");
  EXPECT_EQ(bench.outcome(entered), "pending");
  EXPECT_EQ(companion.ask(companion.finish(Bytes(155))), "result");  // no bundle that opens
  EXPECT_EQ(bench.outcome(entered), "wrong_code");
  EXPECT_EQ(companion.ask(finish), "result");  // nobody waits any more
}

TEST(LinkCodeTest, CompanionsThatFallSilentOrGoAreReported) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show();
  const RequestId silent = bench.enter("ABCD1234");
  bench.advance(10s);
  EXPECT_EQ(bench.outcome(silent), "no_companion_finish");

  const RequestId gone = bench.enter("ABCD1234");
  companion.client.disconnect();
  EXPECT_EQ(bench.outcome(gone), "connection_lost");
  EXPECT_EQ(bench.outcome_soon(bench.enter("ABCD1234")), "no_pairing_code");
}

TEST(LinkCodeTest, KeysThatComeTooLateAreDropped) {
  WithPhone bench;
  bench.hold_jobs = true;
  {
    LinkingCompanion companion(bench);
    companion.show();
    const RequestId entered = bench.enter("ABCD1234");
    companion.client.disconnect();
    EXPECT_EQ(bench.outcome(entered), "connection_lost");
    bench.finish_jobs();
  }
  LinkingCompanion companion(bench, "shop-2");
  companion.show();
  const RequestId replaced = bench.enter("ABCD1234");
  companion.code = "BBBB2222";
  companion.show();
  EXPECT_EQ(bench.outcome(replaced), "code_replaced");
  bench.finish_jobs();
  EXPECT_FALSE(companion.client.has_message());
  const RequestId newest = bench.enter("BBBB2222");
  bench.finish_jobs();
  companion.answer_primary_hello();
  companion.client.answer_pair_success();
  EXPECT_EQ(bench.outcome(newest), "ok");
  const RequestId reset = bench.enter("BBBB2222");
  EXPECT_EQ(bench.outcome_soon(reset), "no_pairing_code");
}

TEST(LinkCodeTest, NothingThatIsRecordedContainsTheCode) {
  WithPhone bench;
  LinkingCompanion companion(bench);
  companion.show();
  (void)bench.enter("ABCD1235");
  companion.answer_primary_hello();
  const RequestId entered = bench.enter("ABCD-1234");
  companion.answer_primary_hello();
  companion.client.answer_pair_success();
  ASSERT_EQ(bench.outcome(entered), "ok");
  for (const TenantEvent& event : bench.events) {
    for (const auto& [key, value] : event.data) {
      EXPECT_EQ(value.find("1234"), std::string::npos) << key;
      EXPECT_EQ(value.find("1235"), std::string::npos) << key;
    }
  }
}

}  // namespace
}  // namespace wa::mock

// What a client sees of the stanza and session faults, and what the server does.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "mockserver/core/tenant.hpp"
#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::add_fault;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::ping;
using test::TestClient;
using wire::Jid;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

/// A linked device, not yet connected.
class StanzaFaultTest : public testing::Test {
 protected:
  StanzaFaultTest()
      : keys_(bench_.random()), linked_(link_device(bench_, keys_)), client_(bench_, keys_) {}

  void fault(std::string_view text) { add_fault(bench_, text); }
  void log_in() {
    client_.log_in(linked_.phone, linked_.device);
    client_.drop_messages();
  }
  /// Ids, or tags where there is none, of what has come.
  Words received(TestClient& client) {
    Words words;
    while (client.has_message()) {
      const wire::Frame frame = client.receive();
      const std::string id = frame.root().printed("id");
      words.push_back(id.empty() ? std::string(frame.root().tag) : id);
    }
    return words;
  }
  Words received() { return received(client_); }
  Words pings(std::initializer_list<const char*> ids) {
    for (const char* id : ids) client_.send(ping(id));
    return received();
  }
  std::uint64_t fired(std::string_view id = "f1") { return bench_.tenant.faults().find(id)->fired; }
  std::size_t noted() const { return bench_.count(EventKind::fault); }

  Bench bench_;
  DeviceKeys keys_;
  Linked linked_;
  TestClient client_;
};

// ---- on the way --------------------------------------------------------------------------------

TEST_F(StanzaFaultTest, AnAnswerIsLostOrDoubled) {
  log_in();
  fault(R"({"fault":"drop","where":{"direction":"to_client","stanza":{"id":"2"}}})");
  fault(R"({"fault":"dup","where":{"direction":"to_client","stanza":{"id":"3"}}})");
  EXPECT_EQ(pings({"1", "2", "3", "4"}), (Words{"1", "3", "3", "4"}));
  EXPECT_EQ(noted(), 2u);
}

TEST_F(StanzaFaultTest, AQueryIsLostBeforeTheServerSeesItOrSeenTwice) {
  log_in();
  fault(R"({"fault":"drop","where":{"direction":"to_server","stanza":{"id":"2"}}})");
  fault(R"({"fault":"dup","where":{"direction":"to_server","stanza":{"id":"3"}}})");
  const std::size_t before = bench_.count(EventKind::stanza_in);
  EXPECT_EQ(pings({"1", "2", "3", "4"}), (Words{"1", "3", "3", "4"}));
  EXPECT_EQ(bench_.count(EventKind::stanza_in) - before, 4u);
}

TEST_F(StanzaFaultTest, ADelayHoldsWhatFollowsAndOtherDirectionsFlow) {
  log_in();
  fault(
      R"({"fault":"delay","args":{"by":"5s"},"where":{"direction":"to_client","stanza":{"id":"2"}}})");
  EXPECT_EQ(pings({"1", "2", "3"}), Words{"1"});
  bench_.advance(4999ms);
  EXPECT_EQ(received(), Words{});
  bench_.advance(1ms);
  EXPECT_EQ(received(), (Words{"2", "3"}));
  EXPECT_EQ(pings({"4"}), Words{"4"});
}

TEST_F(StanzaFaultTest, QueriesAreLateInTheirOrder) {
  log_in();
  fault(R"({"fault":"delay","args":{"by":"2s"},"where":{"direction":"to_server"},"budget":2})");
  EXPECT_EQ(pings({"1"}), Words{});
  bench_.advance(1s);
  EXPECT_EQ(pings({"2", "3"}), Words{});
  bench_.advance(1s);
  EXPECT_EQ(received(), Words{"1"});
  bench_.advance(1s);
  EXPECT_EQ(received(), (Words{"2", "3"}));
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(StanzaFaultTest, LaterStanzasOvertake) {
  log_in();
  fault(
      R"({"fault":"reorder","args":{"by":2},"where":{"direction":"to_client","stanza":{"id":"1"}}})");
  fault(R"({"fault":"reorder","where":{"direction":"to_server","stanza":{"id":"5"}}})");
  EXPECT_EQ(pings({"1", "2", "3", "4"}), (Words{"2", "3", "1", "4"}));
  EXPECT_EQ(pings({"5", "6"}), (Words{"6", "5"}));
}

TEST_F(StanzaFaultTest, AConnectionThatEndsTakesWhatIsLateWithIt) {
  log_in();
  fault(R"({"fault":"delay","args":{"by":"5s"},"where":{"direction":"to_client"}})");
  EXPECT_EQ(pings({"1"}), Words{});
  client_.disconnect();
  bench_.advance(10s);
  EXPECT_FALSE(bench_.tenant.next_deadline());
}

TEST_F(StanzaFaultTest, AttributesAndElementsAreChangedOrLeftOut) {
  log_in();
  fault(
      R"({"fault":"mutate","args":{"attr":"type","value":"error"},"where":{"stanza":{"id":"1","tag":"iq"},"direction":"to_client"}})");
  client_.send(ping("1"));
  EXPECT_EQ(client_.receive().root().attr("type"), "error");
  fault(
      R"({"fault":"mutate","args":{"attr":"id","drop":true},"where":{"stanza":{"id":"2"},"direction":"to_client"}})");
  client_.send(ping("2"));
  EXPECT_FALSE(client_.receive().root().has_attr("id"));
  // An iq without an id is a violation of the client's, if it says so.
  fault(
      R"({"fault":"mutate","args":{"attr":"id","drop":true},"where":{"stanza":{"id":"3"},"direction":"to_server"}})");
  client_.send(ping("3"));
  EXPECT_EQ(bench_.rules(), Words{"iq-without-id"});
}

TEST(StanzaFaultPairingTest, AnElementInsideIsChangedByItsPathAndAMissingOneIsNoChance) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  for (
      const char* text :
      {R"({"fault":"mutate","args":{"child":"pair-device/ref","value":"2@bad"}})",
       R"({"fault":"mutate","args":{"child":"pair-device/nothing","drop":true},"optional":true})"}) {
    (void)bench.command(AddFault{*FaultRecord::parse(boost::json::parse(text))});
  }
  TestClient client(bench, keys);
  client.register_device();
  const wire::Frame frame = client.receive();
  const auto refs = frame.root().child("pair-device")->children();
  EXPECT_EQ(as_text(refs[0].bytes()), "2@bad");
  EXPECT_NE(as_text(refs[1].bytes()), "2@bad");
  EXPECT_EQ(bench.tenant.faults().find("f1")->fired, 1u);
  EXPECT_EQ(bench.tenant.faults().find("f2")->matches, 0u);
}

// ---- answers -----------------------------------------------------------------------------------

TEST_F(StanzaFaultTest, AQueryIsAnsweredWithAnError) {
  log_in();
  fault(
      R"({"fault":"iq_error","args":{"code":429},"where":{"stanza":{"xmlns":"w:p"}},"budget":1})");
  client_.send(ping("1"));
  const wire::Frame error = client_.receive();
  EXPECT_EQ(error.root().attr("type"), "error");
  EXPECT_EQ(error.root().child("error")->attr("code"), "429");
  EXPECT_EQ(error.root().child("error")->attr("text"), "rate-overlimit");
  EXPECT_EQ(pings({"2"}), Words{"2"});
  EXPECT_EQ(fired(), 1u);
}

TEST_F(StanzaFaultTest, AReceiptIsAcknowledgedWithAnError) {
  log_in();
  fault(R"({"fault":"ack_error","args":{"code":479}})");
  client_.send(
      NodeBuilder("receipt").attr("id", "r").attr("to", Jid("15550100002", "s.whatsapp.net")));
  EXPECT_EQ(client_.receive().root().attr("error"), "479");
}

constexpr const char* kNotification =
    R"({"fault":"inject","when":{"manual":true},"args":{"node":{"tag":"notification",
        "attrs":{"from":"s.whatsapp.net","type":"devices","id":"n1"}}}})";

TEST_F(StanzaFaultTest, AStanzaThatStaysUnacknowledgedEndsTheStreamAndComesAgain) {
  log_in();
  fault(kNotification);
  fault(R"({"fault":"owe_ack","args":{"after":"20s"}})");
  (void)bench_.command(FireFault{"f1"});
  EXPECT_EQ(received(), Words{"n1"});
  bench_.advance(19s);
  EXPECT_FALSE(client_.closed());
  bench_.advance(1s);
  const wire::Frame error = client_.receive();
  EXPECT_EQ(error.root().tag, "stream:error");
  EXPECT_EQ(error.root().child("ack")->attr("class"), "notification");
  EXPECT_EQ(error.root().child("ack")->attr("id"), "n1");
  EXPECT_TRUE(client_.closed());
  TestClient again(bench_, keys_);
  again.log_in(linked_.phone, linked_.device, false);
  Words words = received(again);
  EXPECT_EQ(std::count(words.begin(), words.end(), "n1"), 1);
}

TEST_F(StanzaFaultTest, WhatIsAcknowledgedInTimeEndsNothingAndHasNotFired) {
  log_in();
  fault(kNotification);
  fault(R"({"fault":"owe_ack","args":{"after":"20s"}})");
  (void)bench_.command(FireFault{"f1"});
  client_.send(NodeBuilder("ack")
                   .attr("class", "notification")
                   .attr("id", "n1")
                   .attr("type", "devices")
                   .attr("to", Jid::server_itself()));
  bench_.advance(60s);
  EXPECT_FALSE(client_.closed());
  EXPECT_EQ(fired("f2"), 0u);
  EXPECT_EQ(bench_.rules(), Words{});
}

// ---- stanzas that only faults send -------------------------------------------------------------

TEST_F(StanzaFaultTest, DeepStanzasAreAsDeepAsAsked) {
  log_in();
  for (const int levels : {1, 2, 100}) {
    fault(R"({"fault":"deep","when":{"manual":true},"args":{"levels":)" + std::to_string(levels) +
          R"(},"id":"d)" + std::to_string(levels) + "\"}");
    (void)bench_.command(FireFault{"d" + std::to_string(levels)});
    const wire::Frame frame = client_.receive();
    int depth = 1;
    for (const wire::Node* node = &frame.root(); node->first_child() != nullptr; ++depth) {
      node = node->first_child();
    }
    EXPECT_EQ(depth, levels);
  }
  fault(R"({"fault":"deep","when":{"manual":true},"args":{"levels":100000},"id":"all"})");
  const auto answer = bench_.command(FireFault{"all"});
  EXPECT_TRUE(std::holds_alternative<CommandResult>(*answer));
  EXPECT_TRUE(client_.has_message());
}

TEST_F(StanzaFaultTest, BeforeTheHandshakeNothingIsInjected) {
  fault(R"({"fault":"inject","args":{"node":{"tag":"ib"}},"when":{"on_event":"connected"}})");
  log_in();
  EXPECT_FALSE(client_.closed());
}

// ---- sessions ----------------------------------------------------------------------------------

TEST_F(StanzaFaultTest, FailureStandsInForSuccessWithItsReasonCodeAndExpiry) {
  fault(R"({"fault":"failure","args":{"reason":402,"code":101,"expire":"90s"},"budget":1})");
  client_.log_in(linked_.phone, linked_.device);
  const wire::Frame failure = client_.receive();
  EXPECT_EQ(failure.root().tag, "failure");
  EXPECT_EQ(failure.root().attr("reason"), "402");
  EXPECT_EQ(failure.root().attr("code"), "101");
  EXPECT_EQ(failure.root().attr("expire"), "90");
  EXPECT_TRUE(client_.closed());
  TestClient again(bench_, keys_);
  again.log_in(linked_.phone, linked_.device);
  EXPECT_EQ(again.receive().root().tag, "success");
}

TEST_F(StanzaFaultTest, FailureWithATriggerAfterLoginIsSentAtThatMoment) {
  fault(R"({"fault":"failure","args":{"reason":503},"when":{"on_event":"success","after":"3s"}})");
  log_in();
  bench_.advance(2s);
  EXPECT_FALSE(client_.closed());
  bench_.advance(1s);
  EXPECT_EQ(client_.receive().root().attr("reason"), "503");
  EXPECT_TRUE(client_.closed());
  EXPECT_EQ(fired(), 1u);
}

TEST_F(StanzaFaultTest, AFailureThatIsAddedAfterTheLoginIsSentWhenItIsFired) {
  log_in();
  fault(R"({"fault":"failure","args":{"reason":402},"when":{"manual":true}})");
  EXPECT_FALSE(client_.closed());
  (void)bench_.command(FireFault{"f1"});
  EXPECT_EQ(client_.receive().root().attr("reason"), "402");
  EXPECT_TRUE(client_.closed());
  EXPECT_EQ(fired(), 1u);
}

TEST_F(StanzaFaultTest, TheServersClockIsOffUntilItHeals) {
  log_in();
  fault(R"({"fault":"server_time","args":{"offset":"-2h"}})");
  client_.send(ping("1"));
  const std::int64_t now = bench_.now().wall.seconds();
  EXPECT_EQ(client_.receive().root().attr("t"), std::to_string(now - 7200));
  (void)bench_.command(HealFault{"f1"});
  client_.send(ping("2"));
  EXPECT_EQ(client_.receive().root().attr("t"), std::to_string(now));
  EXPECT_EQ(bench_.count(EventKind::healed), 1u);
}

class PairingFaultTest : public testing::Test {
 protected:
  PairingFaultTest() : keys_(bench_.random()), client_(bench_, keys_) {
    (void)bench_.command(AddPhone{"15550100001", ""});
  }
  void begin(std::string_view text) {
    (void)bench_.command(AddFault{*FaultRecord::parse(boost::json::parse(text))});
    client_.register_device();
    client_.answer_pair_device();
    scan_ = bench_.next_request;
    (void)bench_.command(Scan{"15550100001", client_.qr_text()});
  }
  std::string problem() const {
    const auto found = bench_.answers.find(scan_);
    if (found == bench_.answers.end()) return "pending";
    const auto* problem = std::get_if<Problem>(&found->second);
    return problem ? problem->code : "ok";
  }
  Bench bench_;
  DeviceKeys keys_;
  TestClient client_;
  RequestId scan_ = 0;
};

TEST_F(PairingFaultTest, ARefreshVoidsTheScanUnderWayAndTheNextOneLinks) {
  begin(R"({"fault":"companion_refresh","when":{"on_event":"scan"}})");
  const wire::Frame refresh = client_.receive();
  EXPECT_EQ(refresh.root().attr("type"), "companion_reg_refresh");
  EXPECT_NE(refresh.root().child("companion_reg_refresh"), nullptr);
  EXPECT_FALSE(client_.has_message());
  EXPECT_EQ(problem(), "companion_refreshed");
  client_.send(NodeBuilder("ack")
                   .attr("class", "notification")
                   .attr("id", refresh.root().printed("id"))
                   .attr("type", "companion_reg_refresh")
                   .attr("to", Jid::server_itself()));
  EXPECT_EQ(bench_.rules(), Words{});
  scan_ = bench_.next_request;
  (void)bench_.command(Scan{"15550100001", client_.qr_text()});
  client_.answer_pair_success();
  EXPECT_EQ(problem(), "ok");
}

TEST_F(PairingFaultTest, APasskeyIsAskedForAndTheScanWaits) {
  begin(R"({"fault":"passkey_request","when":{"on_event":"scan"}})");
  EXPECT_EQ(client_.receive().root().attr("type"), "passkey_prologue_request");
  EXPECT_FALSE(client_.has_message());
  EXPECT_EQ(problem(), "pending");
  bench_.advance(10s);
  EXPECT_EQ(problem(), "no_pair_device_sign");
}

// ---- host faults -------------------------------------------------------------------------------

TEST(HostFaultTest, WhereNobodyCanPerformThemTheyAreRefused) {
  Bench bench;
  for (const FaultDescription& row : fault_table()) {
    const auto answer =
        bench.command(AddFault{*FaultRecord::parse(boost::json::parse(row.example))});
    const auto* problem = std::get_if<Problem>(&*answer);
    EXPECT_EQ(problem != nullptr, row.layer == FaultLayer::host) << row.name;
    if (problem == nullptr) continue;
    EXPECT_EQ(problem->status, 422);
    EXPECT_EQ(problem->code, "needs_engine");
    EXPECT_FALSE(problem->hint.empty());
  }
}

TEST(HostFaultTest, TheShellIsToldWhenTheyBeginAndEnd) {
  SeededRandom random(1);
  const ServerKeys keys = ServerKeys::generate(random);
  Tenant tenant({}, keys, 1, random, {"", true});
  Now now{Instant(1h), UnixMillis{1'767'225'600'000}};
  std::vector<std::string> told;
  const auto take = [&](const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      if (const auto* switched = std::get_if<HostFaultSwitched>(&action.what)) {
        told.push_back(switched->record.id + " " + switched->device +
                       (switched->on ? " on" : " off"));
      }
    }
  };
  const auto command = [&](const Command& what) { take(tenant.command(1, what, now)); };
  const auto add = [&](const char* text) {
    command(AddFault{*FaultRecord::parse(boost::json::parse(text))});
  };
  add(R"({"id":"dns","fault":"dns","args":{"kind":"fail"},"where":{"device":"a"},"heal":{"after":"5s"}})");
  add(R"({"id":"disk","fault":"disk","args":{"kind":"eio"},"when":{"on_event":"connected"}})");
  add(R"({"id":"kill","fault":"kill","args":{"point":"x"},"when":{"manual":true}})");
  EXPECT_EQ(told, Words{"dns a on"});
  take(tenant.step(1, UpgradeRequested{"/ws/chat?device=b", "x"}, now));
  EXPECT_EQ(told.back(), "disk b on");
  command(FireFault{"kill"});
  EXPECT_EQ(told.back(), "kill  on");
  now.mono += 5s;
  take(tenant.deadline_reached(now));
  EXPECT_EQ(told.back(), "dns a off");
  command(RemoveFault{"disk"});
  EXPECT_EQ(told.back(), "disk b off");
  EXPECT_EQ(told.size(), 5u);
}

}  // namespace
}  // namespace wa::mock

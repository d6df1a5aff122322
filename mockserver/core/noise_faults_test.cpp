// Faults of attempts, handshakes and transport frames, as clients of a tenant see them.

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>

#include "engine/protocol/noise/certificate.hpp"
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::NodeBuilder;

// ---- attempts to connect ------------------------------------------------------------------------

TEST(UpgradeFaultTest, RefusesWithTheStatusAndKeepsNothing) {
  Bench bench;
  add_fault(bench, R"({"fault":"upgrade","args":{"status":403},"budget":1})");
  bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", "127.0.0.1:1"});
  EXPECT_EQ(bench.refused.at(1), 403);
  EXPECT_EQ(bench.count(EventKind::fault), 1u);
  EXPECT_EQ(bench.count(EventKind::connected), 0u);
  EXPECT_EQ(bench.count(EventKind::closed), 0u);
  EXPECT_THAT(bench.tenant.connections(), IsEmpty());
  bench.step(1, Disconnected{"refused"});
  bench.step(2, UpgradeRequested{"/ws/chat?device=shop-1", "127.0.0.1:1"});
  EXPECT_EQ(bench.count(EventKind::connected), 1u);
}

TEST(UpgradeFaultTest, CountsTheAttemptsOfItsDevice) {
  Bench bench;
  add_fault(bench,
            R"({"fault":"upgrade","args":{"status":503},"where":{"device":"a"},"when":{"nth":2}})");
  bench.step(1, UpgradeRequested{"/ws/chat?device=b", ""});
  bench.step(2, UpgradeRequested{"/ws/chat?device=a", ""});
  bench.step(3, UpgradeRequested{"/ws/chat?device=a", ""});
  bench.step(4, UpgradeRequested{"/ws/chat?device=a", ""});
  EXPECT_THAT(bench.refused, ElementsAre(std::pair(3u, 503)));
}

TEST(UpgradeFaultTest, AHangingUpgradeIsAnsweredByNothingAndGivenUpLater) {
  Bench bench;
  add_fault(bench, R"({"fault":"upgrade","args":{"hang":true}})");
  bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", ""});
  bench.advance(30s);
  EXPECT_FALSE(bench.messages.contains(1));
  EXPECT_FALSE(bench.refused.contains(1));
  EXPECT_FALSE(bench.closed.contains(1));
  ASSERT_EQ(bench.tenant.connections().size(), 1u);
  EXPECT_TRUE(bench.tenant.connections()[0].client_gone);
  bench.advance(30s);
  EXPECT_EQ(bench.closed.at(1), CloseHow::fin);
  EXPECT_THAT(bench.tenant.connections(), IsEmpty());
}

TEST(UpgradeFaultTest, AClientMayGiveUpAHangingUpgrade) {
  Bench bench;
  add_fault(bench, R"({"fault":"upgrade","args":{"hang":true}})");
  bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", ""});
  bench.step(1, Disconnected{"timed out"});
  EXPECT_THAT(bench.tenant.connections(), IsEmpty());
  EXPECT_EQ(bench.tenant.next_deadline(), std::nullopt);
}

TEST(UpgradeFaultTest, AHangingUpgradeMayBeCutByAFault) {
  for (const auto& [how, expected] :
       {std::pair("fin", CloseHow::fin), std::pair("rst", CloseHow::rst)}) {
    Bench bench;
    add_fault(bench, R"({"fault":"upgrade","args":{"hang":true}})");
    add_fault(bench, R"({"fault":"close","args":{"how":")" + std::string(how) +
                         R"("},"when":{"after":"5s"}})");
    bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", ""});
    bench.advance(5s);
    EXPECT_EQ(bench.closed.at(1), expected);
  }
}

TEST(TlsFaultTest, DecidesForTheNextHandshakeAndSaysSo) {
  Bench bench;
  EXPECT_EQ(bench.tenant.tls_decision(bench.now()).fault, std::nullopt);
  add_fault(bench, R"({"id":"t","fault":"tls","args":{"kind":"wrong_name"},"when":{"nth":2}})");
  EXPECT_THAT(bench.tenant.tls_decision(bench.now()).actions, IsEmpty());
  const Tenant::TlsDecision decision = bench.tenant.tls_decision(bench.now());
  EXPECT_EQ(decision.fault, TlsFault::Kind::wrong_name);
  ASSERT_EQ(decision.actions.size(), 1u);
  EXPECT_EQ(std::get<Record>(decision.actions[0].what).event.kind, EventKind::fault);
  EXPECT_EQ(bench.tenant.tls_decision(bench.now()).fault, std::nullopt);
  EXPECT_EQ(bench.tenant.faults().find("t")->fired, 1u);
}

// ---- handshakes ---------------------------------------------------------------------------------

/// A handshake by hand, to be stopped anywhere.
struct Handshake {
  explicit Handshake(Bench& on)
      : bench(on), keys(on.random()), initiator(noise::prologue(3), keys.noise, on.random()) {
    bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", ""});
  }
  void hello() {
    const Bytes message = initiator.client_hello();
    Bytes bytes = to_bytes(noise::prologue(3));
    wire::append_frame_header(message.size(), bytes);
    append(bytes, message);
    bench.step(1, BytesReceived{std::move(bytes)});
  }
  bool answered() { return !bench.messages[1].empty(); }
  auto answer() {
    return initiator.on_server_hello(ByteSpan(bench.messages[1].front()).subspan(3));
  }

  Bench& bench;
  DeviceKeys keys;
  noise::Initiator initiator;
};

TEST(StallFaultTest, StopsBeforeTheServerHello) {
  for (const std::string stage : {"header", "hello"}) {
    SCOPED_TRACE(stage);
    Bench bench;
    add_fault(bench, R"({"fault":"stall","args":{"stage":")" + stage + R"("}})");
    Handshake handshake(bench);
    handshake.hello();
    bench.advance(10min);
    EXPECT_FALSE(handshake.answered());
    EXPECT_FALSE(bench.closed.contains(1)) << "the client is to give up, not the server";
    EXPECT_EQ(bench.tenant.connections().at(0).frames_in, stage == "header" ? 0u : 1u);
    EXPECT_EQ(bench.count(EventKind::fault), 1u);
    bench.step(1, Disconnected{"gave up"});
    EXPECT_THAT(bench.tenant.connections(), IsEmpty());
  }
}

TEST(StallFaultTest, StopsAfterTheClientFinish) {
  Bench bench;
  add_fault(bench, R"({"fault":"stall","args":{"stage":"finish"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  bench.advance(10min);
  EXPECT_FALSE(client.has_message());
  EXPECT_EQ(bench.count(EventKind::handshake), 0u);
  EXPECT_FALSE(client.closed());
}

TEST(StallFaultTest, IsChosenOncePerConnection) {
  Bench bench;
  add_fault(bench, R"({"id":"s","fault":"stall","args":{"stage":"header"},"budget":1})");
  const DeviceKeys keys(bench.random());
  bench.step(1, UpgradeRequested{"/ws/chat?device=shop-1", ""});
  for (int i = 0; i < 5; ++i) bench.step(1, BytesReceived{Bytes(3)});
  EXPECT_EQ(bench.tenant.faults().find("s")->fired, 1u);
  EXPECT_THAT(bench.rules(), IsEmpty());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_TRUE(client.has_message());
}

TEST(CertificateFaultTest, TheChainIsSpoiltAndTheHandshakeIsGood) {
  Bench bench;
  add_fault(bench,
            R"({"fault":"certificate","args":{"of":"leaf","field":"not_after"},"budget":1})");
  Handshake handshake(bench);
  handshake.hello();
  ASSERT_TRUE(handshake.answered());
  const auto answer = handshake.answer();
  ASSERT_TRUE(answer) << answer.error();
  const auto verified = noise::verify_chain(answer->certificate_chain, bench.keys.root.public_key,
                                            bench.keys.noise_static.public_key, bench.now().wall);
  ASSERT_FALSE(verified);
  EXPECT_THAT(verified.error().detail, HasSubstr("leaf certificate: notAfter"));
}

// ---- frames -------------------------------------------------------------------------------------

/// A client that is logged in and has read all.
class FrameFaultsTest : public testing::Test {
 protected:
  FrameFaultsTest()
      : keys_(bench_.random()), linked_(link_device(bench_, keys_)), client_(bench_, keys_) {
    client_.log_in(linked_.phone, linked_.device);
    client_.drop_messages();
  }
  void add(std::string_view text) { mock::add_fault(bench_, text); }
  std::deque<Bytes>& messages() { return bench_.messages[client_.id]; }
  /// What a server that is not at fault would have sent for pings 1 to `count`.
  std::vector<Bytes> unspoilt(int count) {
    Bench bench;
    const DeviceKeys keys(bench.random());
    const Linked linked = link_device(bench, keys);
    TestClient client(bench, keys);
    client.log_in(linked.phone, linked.device);
    client.drop_messages();
    for (int i = 1; i <= count; ++i) client.send(ping(std::to_string(i)));
    const auto& sent = bench.messages[client.id];
    return {sent.begin(), sent.end()};
  }
  void send_pings(int count) {
    for (int i = 1; i <= count; ++i) client_.send(ping(std::to_string(i)));
  }
  std::vector<Bytes> sent() { return {messages().begin(), messages().end()}; }

  Bench bench_;
  DeviceKeys keys_;
  Linked linked_;
  TestClient client_;
};

TEST_F(FrameFaultsTest, CorruptFlipsOneBitOfTheByteThatIsMeant) {
  const std::vector<std::int64_t> positions = {0, 1, -1, -2, 100'000, -100'000};
  const std::vector<Bytes> good = unspoilt(static_cast<int>(positions.size()));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    SCOPED_TRACE(positions[i]);
    add(R"({"id":"c","fault":"corrupt","where":{"direction":"to_client"},"args":{"flip_byte":)" +
        std::to_string(positions[i]) + "}}");
    client_.send(ping(std::to_string(i + 1)));
    (void)bench_.command(RemoveFault{"c"});
    Bytes expected = good[i];
    const std::size_t last = expected.size() - 1;
    const std::size_t at[] = {3, 4, last, last - 1, last, 3};
    expected[at[i]] ^= std::byte{1};
    EXPECT_EQ(messages().back(), expected);
  }
}

TEST_F(FrameFaultsTest, RepeatFrameSendsTheSameSealedFrameTwice) {
  const std::vector<Bytes> good = unspoilt(3);
  add(R"({"fault":"repeat_frame","where":{"direction":"to_client"},"when":{"nth":2}})");
  send_pings(3);
  EXPECT_EQ(sent(), (std::vector{good[0], good[1], good[1], good[2]}));
}

TEST_F(FrameFaultsTest, SwapFramesExchangesTwoNeighbours) {
  const std::vector<Bytes> good = unspoilt(4);
  add(R"({"fault":"swap_frames","where":{"direction":"to_client"},"when":{"nth":2}})");
  send_pings(2);
  EXPECT_THAT(sent(), ElementsAre(good[0]));
  client_.send(ping("3"));
  client_.send(ping("4"));
  EXPECT_EQ(sent(), (std::vector{good[0], good[2], good[1], good[3]}));
}

TEST_F(FrameFaultsTest, AFrameThatWaitsForItsNeighbourGoesBeforeTheEnd) {
  const std::vector<Bytes> good = unspoilt(1);
  add(R"({"fault":"swap_frames","where":{"direction":"to_client"}})");
  client_.send(ping("1"));
  EXPECT_THAT(sent(), IsEmpty());
  (void)bench_.command(CloseConnection{client_.id, "fin"});
  EXPECT_EQ(sent(), good);
  EXPECT_EQ(client_.closed(), CloseHow::fin);
}

TEST_F(FrameFaultsTest, AnOversizeFrameAnnouncesAllThatCanBeAndNothingFollows) {
  std::vector<Bytes> good = unspoilt(2);
  add(R"({"fault":"oversize","where":{"direction":"to_client"},"when":{"nth":2}})");
  send_pings(5);
  std::fill_n(good[1].begin(), 3, std::byte{0xff});
  EXPECT_EQ(sent(), good);
  EXPECT_FALSE(client_.closed());
  client_.disconnect();
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(FrameFaultsTest, WhatAFaultDoesToAClientsFrameIsNotTheClientsViolation) {
  for (const char* text :
       {R"({"fault":"corrupt","args":{"flip_byte":0},"where":{"direction":"to_server"}})",
        R"({"fault":"repeat_frame","where":{"direction":"to_server"}})",
        R"({"fault":"swap_frames","where":{"direction":"to_server"}})"}) {
    SCOPED_TRACE(text);
    Bench bench;
    const DeviceKeys keys(bench.random());
    const Linked linked = link_device(bench, keys);
    TestClient client(bench, keys);
    client.log_in(linked.phone, linked.device);
    mock::add_fault(bench, text);
    client.send(ping("1"));
    client.send(ping("2"));
    EXPECT_EQ(client.closed(), CloseHow::fin);
    EXPECT_THAT(bench.rules(), IsEmpty());
    EXPECT_EQ(bench.count(EventKind::fault), 1u);
  }
}

// ---- nonces -------------------------------------------------------------------------------------

TEST_F(FrameFaultsTest, AClientThatRepeatsANonceBreaksTheRuleDecrypt) {
  const Bytes frame = client_.seal(ping("1"));
  client_.send_raw(frame);
  EXPECT_THAT(bench_.rules(), IsEmpty());
  client_.send_raw(frame);
  EXPECT_THAT(bench_.rules(), ElementsAre("decrypt"));
  EXPECT_EQ(client_.closed(), CloseHow::fin);
}

TEST_F(FrameFaultsTest, AClientThatSkipsANonceBreaksTheRuleDecrypt) {
  const Bytes first = client_.seal(ping("1"));
  client_.send_raw(client_.seal(ping("2")));
  EXPECT_THAT(bench_.rules(), ElementsAre("decrypt"));
  client_.send_raw(first);
  EXPECT_THAT(bench_.rules(), ElementsAre("decrypt"));  // nothing is read after the end
}

TEST_F(FrameFaultsTest, NoTwoFramesOfTheServerAreTheSame) {
  send_pings(200);
  std::set<Bytes> frames;
  for (const Bytes& frame : messages()) frames.insert(frame);
  EXPECT_EQ(frames.size(), 200u);
}

}  // namespace
}  // namespace wa::mock

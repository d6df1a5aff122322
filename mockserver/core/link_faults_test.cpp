// Link faults of a whole tenant: what clients are sent, and when.

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>

#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::TestClient;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::NodeBuilder;

/// A client that is logged in and has read all. Faults are added afterwards.
class LinkFaultsTest : public testing::Test {
 protected:
  LinkFaultsTest()
      : keys_(bench_.random()), linked_(link_device(bench_, keys_)), client_(bench_, keys_) {
    client_.log_in(linked_.phone, linked_.device);
    client_.drop_messages();
  }
  void add(std::string_view text) {
    auto record = FaultRecord::parse(boost::json::parse(text));
    ASSERT_TRUE(record) << record.error();
    ASSERT_TRUE(ok(bench_.command(AddFault{std::move(*record)})));
  }
  static bool ok(const std::optional<std::variant<CommandResult, Problem>>& answer) {
    return answer && std::holds_alternative<CommandResult>(*answer);
  }
  void ping(std::string id) {
    client_.send(NodeBuilder("iq")
                     .attr("to", wire::Jid::server_itself())
                     .attr("xmlns", "w:p")
                     .attr("type", "get")
                     .attr("id", std::move(id)));
  }
  std::vector<std::string> answered() {
    std::vector<std::string> ids;
    while (client_.has_message()) ids.emplace_back(client_.receive().root().attr("id"));
    return ids;
  }
  std::deque<Bytes>& messages() { return bench_.messages[client_.id]; }

  Bench bench_;
  DeviceKeys keys_;
  Linked linked_;
  TestClient client_;
};

// ---- latency, throttle, split -------------------------------------------------------------------

TEST_F(LinkFaultsTest, LatencyDelaysBothDirections) {
  add(R"({"fault":"latency","args":{"min":"100ms","max":"100ms"}})");
  ping("1");
  bench_.advance(199ms);
  EXPECT_THAT(answered(), IsEmpty());
  bench_.advance(1ms);
  EXPECT_THAT(answered(), ElementsAre("1"));
}

TEST_F(LinkFaultsTest, LatencyOfOneDirectionLeavesTheOtherAlone) {
  add(R"({"fault":"latency","args":{"min":"100ms","max":"100ms"},"where":{"direction":"to_client"}})");
  ping("1");
  EXPECT_EQ(bench_.tenant.connections().at(0).frames_in, 3u);  // hello, finish, ping
  bench_.advance(100ms);
  EXPECT_THAT(answered(), ElementsAre("1"));
}

TEST_F(LinkFaultsTest, RandomLatencyIsWithinItsBoundsAndKeepsOrder) {
  add(R"({"id":"slow","fault":"latency","args":{"min":"0ms","max":"50ms"},"where":{"direction":"to_server"}})");
  std::vector<std::string> sent;
  std::set<Duration> gaps;
  for (int i = 0; i < 40; ++i) {
    sent.push_back(std::to_string(i));
    ping(sent.back());
    const auto next = bench_.tenant.next_deadline();
    if (next && *next > bench_.now().mono) gaps.insert(*next - bench_.now().mono);
    bench_.advance(1ms);
  }
  bench_.advance(50ms);
  EXPECT_EQ(answered(), sent);
  EXPECT_GT(gaps.size(), 5u);
  EXPECT_LE(*gaps.rbegin(), 50ms);
}

TEST_F(LinkFaultsTest, AThrottledClientWaitsForEveryByte) {
  add(R"({"fault":"throttle","args":{"bytes_per_second":100},"where":{"direction":"to_client"}})");
  ping("1");
  ping("2");
  bench_.advance(10s);
  ASSERT_EQ(messages().size(), 2u);
  const std::size_t bytes = messages()[0].size() + messages()[1].size();
  EXPECT_THAT(answered(), ElementsAre("1", "2"));

  ping("3");
  const Duration third = *bench_.tenant.next_deadline() - bench_.now().mono;
  EXPECT_EQ(third, std::chrono::milliseconds(bytes / 2 * 10));
}

TEST_F(LinkFaultsTest, SplitCutsEveryFrameIntoSmallMessages) {
  for (const int size : {1, 2, 3, 7}) {
    SCOPED_TRACE(size);
    add(R"({"id":"cut","fault":"split","where":{"direction":"to_client"},"args":{"size":)" +
        std::to_string(size) + "}}");
    ping("1");
    const std::size_t count = messages().size();
    Bytes frame;
    for (Bytes& piece : messages()) {
      EXPECT_LE(piece.size(), static_cast<std::size_t>(size));
      append(frame, piece);
    }
    EXPECT_EQ(count,
              (frame.size() + static_cast<std::size_t>(size) - 1) / static_cast<std::size_t>(size));
    messages().assign({frame});
    EXPECT_THAT(answered(), ElementsAre("1"));
    ASSERT_TRUE(ok(bench_.command(RemoveFault{"cut"})));
  }
}

TEST_F(LinkFaultsTest, RemovingTheRecordRestoresWithoutOvertaking) {
  add(R"({"id":"slow","fault":"latency","args":{"min":"1s","max":"1s"},"where":{"direction":"to_client"}})");
  ping("1");
  ASSERT_TRUE(ok(bench_.command(RemoveFault{"slow"})));
  ping("2");
  EXPECT_THAT(answered(), IsEmpty());
  bench_.advance(1s);
  EXPECT_THAT(answered(), ElementsAre("1", "2"));
  ping("3");
  EXPECT_THAT(answered(), ElementsAre("3"));
}

TEST_F(LinkFaultsTest, OnlyTheDeviceThatIsMeantIsSlow) {
  add(R"({"fault":"latency","args":{"min":"1s","max":"1s"},"where":{"device":"shop-2"}})");
  ping("1");
  EXPECT_THAT(answered(), ElementsAre("1"));
}

// ---- how a slow connection ends -----------------------------------------------------------------

TEST_F(LinkFaultsTest, AFinComesBehindWhatWasSent) {
  add(R"({"fault":"latency","args":{"min":"200ms","max":"200ms"},"where":{"direction":"to_client"}})");
  ping("1");
  (void)bench_.command(CloseConnection{client_.id, "fin"});
  ASSERT_EQ(bench_.tenant.connections().size(), 1u);
  EXPECT_EQ(bench_.tenant.connections()[0].phase, "closing");
  EXPECT_EQ(client_.closed(), std::nullopt);
  bench_.advance(200ms);
  EXPECT_THAT(answered(), ElementsAre("1"));
  EXPECT_EQ(client_.closed(), CloseHow::fin);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
  EXPECT_EQ(bench_.count(EventKind::closed), 2u);  // of the pairing, and this one
}

TEST_F(LinkFaultsTest, AnRstOvertakesWhatWasSent) {
  add(R"({"fault":"latency","args":{"min":"200ms","max":"200ms"},"where":{"direction":"to_client"}})");
  ping("1");
  (void)bench_.command(CloseConnection{client_.id, "rst"});
  EXPECT_EQ(client_.closed(), CloseHow::rst);
  bench_.advance(1s);
  EXPECT_THAT(answered(), IsEmpty());
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(LinkFaultsTest, TheClientsEndComesBehindWhatItSent) {
  add(R"({"fault":"latency","args":{"min":"200ms","max":"200ms"},"where":{"direction":"to_server"}})");
  client_.send(NodeBuilder("presence").attr("type", "available"));
  const std::size_t before = bench_.count(EventKind::stanza_in);
  client_.disconnect();
  EXPECT_EQ(bench_.count(EventKind::stanza_in), before);
  EXPECT_TRUE(bench_.tenant.connections().at(0).client_gone);
  bench_.advance(200ms);
  EXPECT_EQ(bench_.count(EventKind::stanza_in), before + 1);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(LinkFaultsTest, AClientThatGoesDuringASlowEndIsForgottenOnce) {
  add(R"({"fault":"latency","args":{"min":"1h","max":"1h"},"where":{"direction":"to_client"}})");
  (void)bench_.command(CloseConnection{client_.id, "fin"});
  client_.disconnect();
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
  EXPECT_EQ(bench_.tenant.next_deadline(), std::nullopt);
}

TEST_F(LinkFaultsTest, AResetCutsWhatIsStillOnItsWay) {
  add(R"({"fault":"latency","args":{"min":"1h","max":"1h"}})");
  ping("1");
  (void)bench_.command(Reset{});
  EXPECT_EQ(client_.closed(), CloseHow::fin);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
  EXPECT_EQ(bench_.tenant.next_deadline(), std::nullopt);
}

// ---- mute, blackhole ----------------------------------------------------------------------------

TEST_F(LinkFaultsTest, AMuteServerIsHeardAgainInOrderAfterAHeal) {
  add(R"({"id":"m","fault":"mute","args":{"direction":"to_client"}})");
  ping("1");
  ping("2");
  bench_.advance(1h);
  EXPECT_THAT(answered(), IsEmpty());
  EXPECT_EQ(bench_.count(EventKind::fault), 1u);
  ASSERT_TRUE(ok(bench_.command(HealFault{"m"})));
  bench_.advance(0s);
  EXPECT_THAT(answered(), ElementsAre("1", "2"));
  ping("3");
  EXPECT_THAT(answered(), ElementsAre("3"));
}

TEST_F(LinkFaultsTest, AMuteClientIsHeardAgainInOrderAfterItsRecordIsRemoved) {
  add(R"({"id":"m","fault":"mute","args":{"direction":"to_server"}})");
  ping("1");
  ping("2");
  EXPECT_EQ(bench_.tenant.connections().at(0).frames_in, 2u);
  ASSERT_TRUE(ok(bench_.command(RemoveFault{"m"})));
  bench_.advance(0s);
  EXPECT_THAT(answered(), ElementsAre("1", "2"));
}

TEST_F(LinkFaultsTest, AMuteFromTheThirdMessageOfItsDirectionOn) {
  add(R"({"id":"m","fault":"mute","args":{"direction":"to_client"},"when":{"nth":3}})");
  for (const char* id : {"1", "2", "3", "4"}) ping(id);
  EXPECT_THAT(answered(), ElementsAre("1", "2"));
  ASSERT_TRUE(ok(bench_.command(HealFault{"m"})));
  bench_.advance(0s);
  EXPECT_THAT(answered(), ElementsAre("3", "4"));
}

TEST_F(LinkFaultsTest, ABlackholeHealsByTime) {
  add(R"({"fault":"blackhole","when":{"after":"0s"},"heal":{"after":"20s"}})");
  bench_.advance(0s);
  ping("1");
  bench_.advance(19s);
  EXPECT_THAT(answered(), IsEmpty());
  bench_.advance(2s);
  EXPECT_THAT(answered(), ElementsAre("1"));
  EXPECT_THAT(bench_.rules(), IsEmpty());
}

TEST_F(LinkFaultsTest, TheServerDoesNotHearThatAClientBehindABlackholeIsGone) {
  add(R"({"id":"b","fault":"blackhole"})");
  client_.disconnect();
  bench_.advance(1h);
  ASSERT_EQ(bench_.tenant.connections().size(), 1u);
  EXPECT_EQ(bench_.tenant.connections()[0].phase, "open");
  EXPECT_TRUE(bench_.tenant.connections()[0].client_gone);
  ASSERT_TRUE(ok(bench_.command(HealFault{"b"})));
  bench_.advance(0s);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(LinkFaultsTest, AClosedConnectionBehindABlackholeEndsWhenItHeals) {
  add(R"({"id":"b","fault":"blackhole"})");
  ping("lost");
  (void)bench_.command(CloseConnection{client_.id, "fin"});
  bench_.advance(1h);
  EXPECT_EQ(client_.closed(), std::nullopt);
  ASSERT_TRUE(ok(bench_.command(HealFault{"b"})));
  bench_.advance(0s);
  EXPECT_EQ(client_.closed(), CloseHow::fin);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(LinkFaultsTest, ADeviceThatIsReplacedBehindABlackholeAndLongGoneIsForgotten) {
  add(R"({"fault":"blackhole","where":{"connection":"2"}})");
  client_.disconnect();
  TestClient again(bench_, keys_, "again");
  again.log_in(linked_.phone, linked_.device);
  EXPECT_EQ(again.receive().root().tag, "success");
  const auto connections = bench_.tenant.connections();
  ASSERT_EQ(connections.size(), 1u);
  EXPECT_EQ(connections[0].id, again.id);
}

TEST_F(LinkFaultsTest, TwoRecordsHoldUntilBothAreHealed) {
  add(R"({"id":"a","fault":"mute","args":{"direction":"to_client"}})");
  add(R"({"id":"b","fault":"blackhole","where":{"direction":"to_client"}})");
  ping("1");
  ASSERT_TRUE(ok(bench_.command(HealFault{"a"})));
  bench_.advance(1s);
  EXPECT_THAT(answered(), IsEmpty());
  ASSERT_TRUE(ok(bench_.command(HealFault{"b"})));
  bench_.advance(0s);
  EXPECT_THAT(answered(), ElementsAre("1"));
}

TEST_F(LinkFaultsTest, MoreThanAMebibyteBehindABlackholeIsAResetAfterTheHeal) {
  add(R"({"id":"m","fault":"mute","args":{"direction":"to_server"}})");
  for (int i = 0; i < 3; ++i) client_.send_raw(Bytes(512 * 1024));
  ASSERT_TRUE(ok(bench_.command(HealFault{"m"})));
  bench_.advance(0s);
  EXPECT_EQ(client_.closed(), CloseHow::rst);
  EXPECT_THAT(bench_.rules(), IsEmpty());  // what was lost is not the client's fault
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

TEST_F(LinkFaultsTest, AMutedServerOverflowsWithoutEndingWhatUsesTheConnection) {
  add(R"({"id":"m","fault":"mute","args":{"direction":"to_client"}})");
  for (int i = 0; i < 30'000; ++i) ping(std::to_string(i));
  ASSERT_TRUE(ok(bench_.command(HealFault{"m"})));
  bench_.advance(0s);
  EXPECT_EQ(client_.closed(), CloseHow::rst);
  EXPECT_THAT(bench_.tenant.connections(), IsEmpty());
}

// ---- without an act -----------------------------------------------------------------------------

TEST(LinkFaultsAbsenceTest, ARecordThatNeverActsChangesNoByteAndNoDeadline) {
  const auto play = [](bool with_records) {
    Bench bench;
    for (const char* text :
         {R"({"id":"l","fault":"latency","args":{"min":"1s","max":"2s"},"when":{"probability":0}})",
          R"({"id":"s","fault":"split","args":{"size":1},"when":{"probability":0}})",
          R"({"id":"t","fault":"throttle","args":{"bytes_per_second":1},"when":{"probability":0}})",
          R"({"id":"m","fault":"mute","args":{"direction":"to_client"},"when":{"probability":0}})",
          R"({"id":"b","fault":"blackhole","when":{"probability":0}})",
          R"({"id":"c","fault":"corrupt","args":{"flip_byte":0},"when":{"probability":0}})",
          R"({"id":"r","fault":"repeat_frame","when":{"probability":0}})",
          R"({"id":"w","fault":"swap_frames","when":{"probability":0}})",
          R"({"id":"o","fault":"oversize","when":{"probability":0}})",
          R"({"id":"u","fault":"upgrade","args":{"status":503},"when":{"probability":0}})",
          R"({"id":"h","fault":"stall","args":{"stage":"hello"},"when":{"probability":0}})"}) {
      if (!with_records) break;
      auto record = FaultRecord::parse(boost::json::parse(text));
      EXPECT_TRUE(record) << record.error();
      (void)bench.command(AddFault{std::move(*record)});
    }
    const DeviceKeys keys(bench.random());
    const Linked linked = link_device(bench, keys);
    TestClient client(bench, keys);
    client.log_in(linked.phone, linked.device);
    Bytes all;
    for (const auto& [id, messages] : bench.messages) {
      for (const Bytes& message : messages) append(all, message);
    }
    return std::pair(all, bench.tenant.next_deadline());
  };
  EXPECT_EQ(play(true), play(false));
}

}  // namespace
}  // namespace wa::mock

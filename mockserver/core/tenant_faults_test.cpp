#include "mockserver/core/tenant.hpp"

#include <gmock/gmock.h>
#include <boost/json/parse.hpp>

#include "engine/protocol/pairing/device_identity.hpp"
#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::add_fault;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::problem_code;
using test::TestClient;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using wire::Jid;
using wire::NodeBuilder;

TEST(TenantFaultTest, AStreamErrorOnAnEventActsOnceAndCloses) {
  Bench bench;
  add_fault(bench, R"({"fault":"stream_error","args":{"code":515},"where":{"device":"shop-1"},
                       "when":{"on_event":"pair_device"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_NE(client.receive().root().child("pair-device"), nullptr);
  EXPECT_EQ(client.receive().root().attr("code"), "515");
  EXPECT_TRUE(client.closed());
  TestClient second(bench, keys);
  second.register_device();
  EXPECT_FALSE(second.closed());
  EXPECT_EQ(bench.tenant.faults().records().front().fired, 1u);
}

TEST(TenantFaultTest, WhereLimitsAFaultToItsDevice) {
  Bench bench;
  add_fault(bench, R"({"fault":"close","args":{"how":"rst"},"where":{"device":"other"},
                       "when":{"on_event":"handshake"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_FALSE(client.closed());
  EXPECT_EQ(bench.tenant.faults().records().front().fired, 0u);
}

TEST(TenantFaultTest, RefsCanBeZeroShortOrFew) {
  Bench bench;
  add_fault(bench, R"({"fault":"refs","args":{"count":2,"first":"3s","rest":"1s"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  EXPECT_EQ(client.refs.size(), 2u);
  bench.advance(14s);  // 3 + 1 + 10 linger
  EXPECT_TRUE(client.closed());
}

TEST(TenantFaultTest, SuccessIsWithheldTheNthTimeOnly) {
  Bench bench;
  add_fault(bench, R"({"fault":"withhold","args":{"stanza":"success"},"when":{"nth":1}})");
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient first(bench, keys);
  first.log_in(linked.phone, linked.device);
  EXPECT_FALSE(first.has_message());
  TestClient second(bench, keys);
  second.log_in(linked.phone, linked.device);
  EXPECT_EQ(second.receive().root().tag, "success");
}

TEST(TenantFaultTest, ATimedFaultRunsFromTheFirstConnectionOfTheDevice) {
  Bench bench;
  add_fault(bench, R"({"fault":"stream_error","args":{"conflict":"replaced"},
                       "where":{"device":"shop-1"},"when":{"after":"5s"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  bench.advance(4s);
  EXPECT_FALSE(client.closed());
  bench.advance(1s);
  EXPECT_TRUE(client.closed());
}

TEST(TenantFaultTest, ATimedFaultAddedLateCountsFromTheFirstConnectionAndMatchesByJidToo) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);  // takes a second
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  add_fault(bench, R"({"fault":"close","where":{"device":"15550100001:1@s.whatsapp.net"},
                       "when":{"after":"3s"}})");
  bench.advance(1500ms);
  EXPECT_FALSE(client.closed());
  bench.advance(600ms);
  EXPECT_TRUE(client.closed());
}

TEST(TenantFaultTest, ATimedFaultThatFindsItsDeviceOfflineHasNotFired) {
  Bench bench;
  add_fault(bench, R"({"fault":"close","where":{"device":"shop-1"},"when":{"after":"5s"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  client.disconnect();
  bench.advance(10s);
  EXPECT_EQ(bench.tenant.faults().records().front().fired, 0u);
}

TEST(TenantFaultTest, AnErrorOnEveryStanzaOutDoesNotSetOffItself) {
  Bench bench;
  add_fault(bench, R"({"fault":"stream_error","args":{"code":503},"when":{"on_event":"stanza_out"},
                       "budget":1000000})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(bench.tenant.faults().records().front().fired, 1u);
}

TEST(TenantFaultTest, AnUnlinkSetsOffItsFaults) {
  Bench bench;
  add_fault(bench, R"({"fault":"close","args":{"how":"rst"},"when":{"on_event":"unlink"}})");
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  client.drop_messages();
  (void)bench.command(Unlink{"15550100001", linked.phone.devices.at(0).device_jid});
  EXPECT_EQ(client.closed(), CloseHow::rst);
  EXPECT_FALSE(client.has_message());
}

TEST(TenantFaultTest, ResetForgetsTimersToo) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  add_fault(bench, R"({"id":"t","fault":"close","when":{"after":"50s"}})");
  (void)bench.command(Reset{});
  EXPECT_FALSE(bench.tenant.next_deadline());
}

TEST(TenantFaultTest, AManualFaultNeedsALiveConnectionAndABudget) {
  Bench bench;
  add_fault(bench,
            R"({"id":"m","fault":"stream_error","args":{"code":515},"when":{"manual":true}})");
  EXPECT_EQ(problem_code(bench.command(FireFault{"m"})), "no_match");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_EQ(problem_code(bench.command(FireFault{"m"})), "ok");
  EXPECT_TRUE(client.closed());
  TestClient second(bench, keys);
  second.register_device();
  EXPECT_EQ(problem_code(bench.command(FireFault{"m"})), "budget_used");
  EXPECT_EQ(problem_code(bench.command(FireFault{"never"})), "unknown_fault");
}

TEST(TenantFaultTest, ProbabilityZeroNeverActs) {
  Bench bench;
  add_fault(bench,
            R"({"fault":"withhold","args":{"stanza":"pair_device"},"when":{"probability":0}})");
  const DeviceKeys keys(bench.random());
  for (int i = 0; i < 20; ++i) {
    TestClient client(bench, keys);
    client.register_device();
    client.answer_pair_device();
  }
}

TEST(FaultRecordTest, BadRecordsAreRefusedWithWhatIsWrong) {
  const std::pair<const char*, const char*> rows[] = {
      {R"([])", "a fault is an object"},
      {R"({})", "\"fault\" is missing"},
      {R"({"fault":"stream_eror"})", "did you mean \"stream_error\""},
      {R"({"fault":"close"})", "needs a moment"},
      {R"({"fault":"close","args":{"how":"slam"},"when":{"manual":true}})", "fin, rst"},
      {R"({"fault":"close","wehn":{}})", "did you mean \"when\""},
      {R"({"fault":"refs","args":{"count":-1}})", "whole number"},
      {R"({"fault":"refs","args":{"first":"5"}})", "no unit"},
      {R"({"fault":"refs","args":{"first":5}})", "takes a duration"},
      {R"({"fault":"refs","args":{}})", "at least one of"},
      {R"({"fault":"withhold","args":{"stanza":"all"}})", "pair-device"},
      {R"({"fault":"close","when":{"on_event":"scann"}})", "takes one of"},
      {R"({"fault":"close","when":{"probability":2,"manual":true}})", "from 0 to 1"},
      {R"({"fault":"close","when":{"manual":"yes"}})", "true or false"},
      {R"({"fault":"close","when":{"on_event":"closed"}})", "nothing to act on"},
      {R"({"fault":"close","when":[1]})", "takes an object"},
      {R"({"fault":"close","when":{"manual":true},"budget":0})", "whole number from 1"},
  };
  for (const auto& [text, part] : rows) {
    const auto record = FaultRecord::parse(boost::json::parse(text));
    ASSERT_FALSE(record) << text;
    EXPECT_NE(record.error().detail.find(part), std::string::npos)
        << text << "\n  said: " << record.error().detail;
  }
}

}  // namespace
}  // namespace wa::mock

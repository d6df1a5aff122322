// What a tenant tells of the keys of its connections.

#include <gtest/gtest.h>

#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using noise::Pattern;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::TestClient;

/// Whether the last line is about the last handshake of this client.
void expect_logged(const Bench& bench, const TestClient& client, const DeviceKeys& keys) {
  ASSERT_FALSE(bench.logged_keys.empty());
  const LogKeys& logged = bench.logged_keys.back();
  EXPECT_EQ(logged.client_static, keys.noise.public_key);
  EXPECT_EQ(logged.client_to_server, client.transport_keys.client_to_server);
  EXPECT_EQ(logged.server_to_client, client.transport_keys.server_to_client);
}

TEST(TenantKeyLogTest, EveryHandshakeHandsOutItsKeysOnce) {
  Bench bench({}, 1, {.key_log = true});
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  EXPECT_EQ(bench.logged_keys.size(), 1u);

  TestClient full(bench, keys);
  full.log_in(linked.phone, linked.device);
  EXPECT_EQ(full.pattern, Pattern::xx);
  EXPECT_EQ(bench.logged_keys.size(), 2u);
  expect_logged(bench, full, keys);

  TestClient resumed(bench, keys);
  resumed.resume_with = bench.keys.noise_static.public_key;
  resumed.log_in(linked.phone, linked.device);
  EXPECT_EQ(resumed.pattern, Pattern::ik);
  EXPECT_EQ(bench.logged_keys.size(), 3u);
  expect_logged(bench, resumed, keys);

  TestClient fallback(bench, keys);
  fallback.resume_with = crypto::generate_key_pair(bench.random()).public_key;
  fallback.log_in(linked.phone, linked.device);
  EXPECT_EQ(fallback.pattern, Pattern::xx_fallback);
  EXPECT_EQ(bench.logged_keys.size(), 4u);
  expect_logged(bench, fallback, keys);
}

TEST(TenantKeyLogTest, AHandshakeThatEndsInARefusalHasKeysToo) {
  Bench bench({}, 1, {.key_log = true});
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.connect(Bytes(5, std::byte{0xff}));
  EXPECT_EQ(client.receive().root().tag, "failure");
  expect_logged(bench, client, keys);
}

TEST(TenantKeyLogTest, AStallBehindTheHandshakeDoesNotHideThem) {
  Bench bench({}, 1, {.key_log = true});
  boost::json::object record{{"fault", "stall"}, {"args", {{"stage", "finish"}}}};
  ASSERT_TRUE(bench.command(AddFault{*FaultRecord::parse(record)}));
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_FALSE(client.has_message());
  expect_logged(bench, client, keys);
}

TEST(TenantKeyLogTest, AHandshakeThatFailsHasNone) {
  Bench bench({}, 1, {.key_log = true});
  bench.step(1, UpgradeRequested{"/ws/chat", "x"});
  bench.step(1, BytesReceived{*from_hex("5741060300000411223344")});
  EXPECT_TRUE(bench.closed.contains(1));
  EXPECT_TRUE(bench.logged_keys.empty());
}

TEST(TenantKeyLogTest, WhoDoesNotAskGetsNoKeys) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)link_device(bench, keys);
  EXPECT_TRUE(bench.logged_keys.empty());
}

TEST(TenantKeyLogTest, KeysAreInNoEventAndNoHash) {
  Bench bench({}, 1, {.key_log = true});
  const DeviceKeys keys(bench.random());
  (void)link_device(bench, keys);
  ASSERT_FALSE(bench.logged_keys.empty());
  const LogKeys& logged = bench.logged_keys.front();
  for (const TenantEvent& event : bench.events) {
    for (const auto& [name, value] : event.data) {
      EXPECT_EQ(value.find(to_hex(logged.client_to_server)), std::string::npos) << name;
      EXPECT_EQ(value.find(to_hex(logged.server_to_client)), std::string::npos) << name;
    }
  }
  Bytes canonical;
  append_canonical(Action{1, logged}, canonical);
  EXPECT_TRUE(canonical.empty());
}

}  // namespace
}  // namespace wa::mock

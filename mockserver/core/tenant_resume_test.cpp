// Devices that come back with Noise IK, as the tenant serves them.

#include <gtest/gtest.h>

#include "mockserver/core/test_client.hpp"
#include "tests/support/test_support.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using noise::Pattern;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::TestClient;
using wire::Jid;
using wire::NodeBuilder;

Settings with_ik(std::string_view word) {
  Settings settings;
  EXPECT_TRUE(settings.set("noise.ik", word));
  return settings;
}

/// A linked device, and its second login by IK.
struct Resumed {
  explicit Resumed(Settings settings = {}) : bench(settings) { client.resume_with = server(); }
  crypto::PublicKey server() const { return bench.keys.noise_static.public_key; }
  std::string handshake_pattern() const {
    for (auto event = bench.events.rbegin(); event != bench.events.rend(); ++event) {
      if (event->kind != EventKind::handshake) continue;
      for (const auto& [name, value] : event->data) {
        if (name == "pattern") return value;
      }
    }
    return "none";
  }

  Bench bench;
  DeviceKeys keys{bench.random()};
  Linked linked = link_device(bench, keys);
  TestClient client{bench, keys};
};

// TestClient::connect checks that the hello is alone in its message; the success has its own.
TEST(TenantResumeTest, AHelloOfIkIsALoginAfterOneRound) {
  Resumed resumed;
  resumed.client.log_in(resumed.linked.phone, resumed.linked.device);
  EXPECT_EQ(resumed.client.pattern, Pattern::ik);
  EXPECT_EQ(resumed.handshake_pattern(), "IK");
  EXPECT_EQ(resumed.client.receive().root().tag, "success");
  resumed.client.drop_messages();
  resumed.client.send(NodeBuilder("iq")
                          .attr("to", Jid::server_itself())
                          .attr("xmlns", "w:p")
                          .attr("type", "get")
                          .attr("id", "1"));
  EXPECT_EQ(resumed.client.receive().root().attr("id"), "1");
  EXPECT_EQ(resumed.bench.rules(), std::vector<std::string>{});
}

TEST(TenantResumeTest, AnOlderServerKeyEndsInFallbackAndALogin) {
  Resumed resumed;
  resumed.client.resume_with = crypto::generate_key_pair(resumed.bench.random()).public_key;
  resumed.client.log_in(resumed.linked.phone, resumed.linked.device);
  EXPECT_EQ(resumed.client.pattern, Pattern::xx_fallback);
  EXPECT_EQ(resumed.handshake_pattern(), "XXfallback");
  EXPECT_EQ(resumed.client.receive().root().tag, "success");
  EXPECT_EQ(resumed.bench.rules(), std::vector<std::string>{});
}

TEST(TenantResumeTest, TheSettingMakesItFallBackOrRefuses) {
  Resumed fallback(with_ik("fallback"));
  fallback.client.log_in(fallback.linked.phone, fallback.linked.device);
  EXPECT_EQ(fallback.client.pattern, Pattern::xx_fallback);
  EXPECT_EQ(fallback.client.receive().root().tag, "success");

  Resumed refused(with_ik("refuse"));
  refused.client.log_in(refused.linked.phone, refused.linked.device);
  EXPECT_EQ(refused.client.pattern, std::nullopt);
  EXPECT_FALSE(refused.client.has_message());
  EXPECT_EQ(refused.client.closed(), CloseHow::fin);
  EXPECT_EQ(refused.bench.rules(), std::vector<std::string>{}) << "nothing the client did wrong";

  Settings settings;
  EXPECT_FALSE(settings.set("noise.ik", "sometimes"));
}

TEST(TenantResumeTest, AnUnknownDeviceFinishesTheHandshakeAndIsRefusedWith401) {
  Resumed resumed;
  resumed.client.log_in(resumed.linked.phone, 77);
  EXPECT_EQ(resumed.client.pattern, Pattern::ik);
  EXPECT_EQ(resumed.client.receive().root().attr("reason"), "401");
  EXPECT_TRUE(resumed.client.closed());

  const DeviceKeys others(resumed.bench.random());
  TestClient thief(resumed.bench, others, "thief");
  thief.resume_with = resumed.server();
  thief.log_in(resumed.linked.phone, resumed.linked.device);
  EXPECT_EQ(thief.pattern, Pattern::ik);
  EXPECT_EQ(thief.receive().root().attr("reason"), "401");
}

TEST(TenantResumeTest, ARegistrationMayComeByIkToo) {
  Resumed resumed;
  const DeviceKeys fresh(resumed.bench.random());
  TestClient client(resumed.bench, fresh, "fresh");
  client.resume_with = resumed.server();
  client.register_device();
  EXPECT_EQ(client.pattern, Pattern::ik);
  client.answer_pair_device();
  EXPECT_EQ(client.refs.size(), 6u);
}

// The server cannot know a replay from the first time, and its answer is for the client's keys
// only.
TEST(TenantResumeTest, AReplayedHelloGetsAnAnswerThatOnlyTheClientCouldRead) {
  Resumed resumed;
  resumed.client.log_in(resumed.linked.phone, resumed.linked.device);
  resumed.client.drop_messages();
  TestClient replayer(resumed.bench, resumed.keys, "replayer");
  resumed.bench.step(replayer.id, UpgradeRequested{"/ws/chat", "127.0.0.1:2"});
  replayer.send_raw(resumed.client.first_bytes);
  ASSERT_TRUE(replayer.has_message());
  // What the replayer can do is repeat more of what it recorded: no frame of it authenticates.
  replayer.send_raw(Bytes(3 + 16, std::byte{0}));
  Bytes frame;
  wire::append_frame_header(32, frame);
  append(frame, Bytes(32, std::byte{7}));
  replayer.send_raw(frame);
  EXPECT_TRUE(replayer.closed());
}

TEST(TenantResumeTest, AHelloThatEndsAnywhereIsNeverAnswered) {
  Resumed whole;
  whole.client.log_in(whole.linked.phone, whole.linked.device);
  const Bytes good = whole.client.first_bytes;
  for (std::size_t size = 0; size < good.size(); ++size) {
    Bench bench;
    bench.step(1, UpgradeRequested{"/ws/chat", "x"});
    bench.step(1, BytesReceived{to_bytes(ByteSpan(good).first(size))});
    ASSERT_TRUE(bench.messages[1].empty()) << size;
    ASSERT_FALSE(bench.closed.contains(1)) << size;
    if (size % 50 != 0) continue;
    bench.advance(20s);  // handshake_timeout
    ASSERT_TRUE(bench.closed.contains(1)) << size;
  }
}

TEST(TenantResumeTest, WhatTheVectorsSayIsRefusedIsClosedWithoutAnAnswer) {
  const auto file = wa::test::vectors("noise-ik.json");
  int refused = 0;
  for (const auto& reject : file.at("rejects").as_array()) {
    if (wa::test::text_at(reject, "to") != "responder") continue;
    SCOPED_TRACE(wa::test::text_at(reject, "name"));
    Bench bench;
    bench.step(1, UpgradeRequested{"/ws/chat", "x"});
    const Bytes hello = wa::test::hex_at(reject, "client_hello_proto");
    Bytes stream = *from_hex("57410603");
    wire::append_frame_header(hello.size(), stream);
    append(stream, hello);
    bench.step(1, BytesReceived{stream});
    EXPECT_TRUE(bench.messages[1].empty());
    EXPECT_TRUE(bench.closed.contains(1));
    EXPECT_EQ(bench.rules(), std::vector<std::string>{"handshake"});
    ++refused;
  }
  EXPECT_EQ(refused, 6);
}

TEST(TenantResumeTest, AServerThatWasStartedAgainWithItsKeysAcceptsIk) {
  Resumed before;
  Bench after({}, 2);
  const auto keys = ServerKeys::load(before.bench.keys.save());
  ASSERT_TRUE(keys);
  after.keys = *keys;
  ASSERT_TRUE(after.tenant.load(before.bench.tenant.save()));
  TestClient client(after, before.keys);
  client.resume_with = before.server();
  client.log_in(before.linked.phone, before.linked.device);
  EXPECT_EQ(client.pattern, Pattern::ik);
  EXPECT_EQ(client.receive().root().tag, "success");
}

}  // namespace
}  // namespace wa::mock

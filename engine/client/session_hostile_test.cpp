#include <gtest/gtest.h>

#include "engine/base/limits.hpp"
#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::NodeBuilder;
using test::World;

/// A paired session whose socket has just been opened again, with a silent server.
void redial(World& world) {
  world.pair();
  world.close_from_server();
  world.behaviour.answer_hello = false;
  world.advance(2s);
  ASSERT_TRUE(world.open_socket);
  world.forget();
}

TEST(SessionHostileTest, GarbageInsteadOfAHandshakeIsMetWithEverLongerDelays) {
  World world;
  redial(world);
  const Instant begin = world.now.mono;
  while (world.now.mono - begin < 10min) {
    if (world.open_socket) {
      Bytes garbage(world.random.below(200) + 1);
      world.random.fill(garbage);
      world.send_bytes(std::move(garbage));
    }
    world.advance(100ms);
  }
  // Garbage whose first bytes announce a long frame is only waited for.
  EXPECT_LE(world.dial_times.size(), 25u);
  EXPECT_GE(world.dial_times.size(), 8u);
  EXPECT_TRUE(world.session.credentials()->account);
  EXPECT_FALSE(world.was_ever(State::connected));
}

TEST(SessionHostileTest, AHandshakeThatFailsSaysSo) {
  World world;
  redial(world);
  world.send_bytes(to_bytes(std::string_view("\0\0\4abcd", 7)));
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "handshake_failed");
  EXPECT_FALSE(world.open_socket);
}

TEST(SessionHostileTest, AFrameThatIsTooLargeForTheTimeBeforeLoginIsRefusedWhenItIsAnnounced) {
  World world;
  redial(world);
  world.send_bytes(Bytes(3, std::byte{0xff}));
  EXPECT_EQ(world.status().reason, "handshake_failed");
}

TEST(SessionHostileTest, ACertificateOfAnotherRootIsAConfigurationErrorTriedSlowly) {
  World world;
  world.pair();
  world.close_from_server();
  world.behaviour.valid_chain = false;
  world.advance(2s);
  EXPECT_EQ(world.status().state, State::config_error);
  EXPECT_EQ(world.status().reason, "bad_certificate");
  world.forget();
  world.advance(1h);
  EXPECT_GE(world.dial_times.size(), 5u);
  EXPECT_LE(world.dial_times.size(), 12u);
  for (const Duration gap : world.dial_gaps()) EXPECT_GE(gap, 60s);
  EXPECT_TRUE(world.session.credentials()->account);
  world.behaviour.valid_chain = true;
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionHostileTest, AnUnpairedDeviceGivesUpOnABadCertificateAndSaysWhy) {
  World world;
  world.behaviour.valid_chain = false;
  world.start();
  world.advance(1h);
  EXPECT_EQ(world.dial_times.size(), 3u);
  EXPECT_EQ(world.status().state, State::config_error);
  EXPECT_EQ(world.status().reason, "bad_certificate");
}

TEST(SessionHostileTest, AnUndecryptableFrameEndsThisSocketOnly) {
  World world;
  world.pair();
  world.forget();
  Bytes sealed = world.server->seal(NodeBuilder("message").attr("id", "1"));
  sealed.back() ^= std::byte{1};
  world.send_bytes(std::move(sealed));
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "stream_broken");
  EXPECT_TRUE(world.stanzas.empty());
  EXPECT_FALSE(world.open_socket);
  world.advance(2s);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionHostileTest, AuthenticNonsenseEndsTheSocket) {
  Bytes deep{std::byte{0}};
  for (int i = 0; i < 10'000; ++i) {
    for (const int byte : {0xf8, 0x02, 0x19, 0xf8, 0x01}) deep.push_back(std::byte(byte));
  }
  for (const Bytes& plaintext :
       {Bytes(), Bytes{std::byte{0}}, Bytes{std::byte{0}, std::byte{0xf8}, std::byte{1}},
        Bytes{std::byte{2}, std::byte{0x78}, std::byte{0x9c}}, deep,
        Bytes(3000, std::byte{0xf8})}) {
    World world;
    world.pair();
    world.send_bytes(world.server->seal_plaintext(plaintext));
    EXPECT_EQ(world.status().reason, "stream_broken");
    world.advance(2s);
    EXPECT_EQ(world.status().state, State::connected);
  }
}

TEST(SessionHostileTest, AnyCutOfTheStreamIsTheSameStream) {
  World whole;
  whole.pair();
  World cut;
  cut.behaviour.answer_hello = true;
  cut.pair();
  const auto feed = [](World& world, bool in_bytes) {
    world.forget();
    Bytes all;
    for (int i = 0; i < 5; ++i) {
      append(all, world.server->seal(NodeBuilder("message").attr("id", i)));
    }
    if (!in_bytes) return world.send_bytes(std::move(all));
    for (const std::byte byte : all) world.send_bytes({byte});
  };
  feed(whole, false);
  feed(cut, true);
  EXPECT_EQ(whole.sent("ack").size(), 5u);
  EXPECT_EQ(whole.sent("ack"), cut.sent("ack"));
}

/// Random stanzas from the words of the protocol.
NodeBuilder random_stanza(Random& random, int depth = 0) {
  static constexpr const char* kWords[] = {"iq",
                                           "ib",
                                           "success",
                                           "failure",
                                           "stream:error",
                                           "xmlstreamend",
                                           "message",
                                           "receipt",
                                           "notification",
                                           "call",
                                           "ack",
                                           "presence",
                                           "pair-device",
                                           "pair-success",
                                           "ref",
                                           "device",
                                           "device-identity",
                                           "conflict",
                                           "replaced",
                                           "device_removed",
                                           "edge_routing",
                                           "routing_info",
                                           "offline_preview",
                                           "dirty",
                                           "count",
                                           "ping",
                                           "error",
                                           "set",
                                           "get",
                                           "result",
                                           "md",
                                           "encrypt",
                                           "urn:xmpp:ping",
                                           "companion_reg_refresh",
                                           "passkey_prologue_request",
                                           "515",
                                           "401",
                                           "0",
                                           ""};
  static constexpr const char* kKeys[] = {"id",  "type", "xmlns", "from",   "code",       "reason",
                                          "jid", "lid",  "value", "expire", "participant"};
  const auto word = [&] { return std::string(kWords[random.below(std::size(kWords))]); };
  NodeBuilder node(depth == 0 ? kWords[random.below(13)] : word());
  const auto attributes = random.below(5);
  for (std::uint64_t i = 0; i < attributes; ++i) {
    const std::string key = kKeys[random.below(std::size(kKeys))];
    if (random.below(4) == 0) {
      node.attr(key, wire::Jid("15550100001", wire::kServerPn, 7));
    } else {
      node.attr(key, word());
    }
  }
  const auto kind = random.below(4);
  if (kind == 0) {
    Bytes content(random.below(80));
    random.fill(content);
    node.bytes(content);
  } else if (kind < 3 && depth < 3) {
    const auto count = random.below(4);
    for (std::uint64_t i = 0; i < count; ++i) node.child(random_stanza(random, depth + 1));
  }
  return node;
}

TEST(SessionHostileTest, NoStanzaInAnyStageCrashesItLoopsHotOrOpensASecondSocket) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    World world(World::default_config(), {}, seed);
    world.keep_actions = false;
    SeededRandom fuzz(seed, "fuzz");
    world.behaviour.restart_after_sign = seed % 3 == 0;
    world.behaviour.refs = seed % 4 == 0 ? std::nullopt : std::optional<std::size_t>(3);
    world.start();
    const Instant begin = world.now.mono;
    for (int i = 0; i < 400; ++i) {
      if (world.open_socket && world.server->established()) {
        world.send(random_stanza(fuzz));
      }
      if (fuzz.below(40) == 0 && world.status().qr && !world.status().qr->stale) world.scan();
      if (fuzz.below(60) == 0) world.close_from_server();
      if (fuzz.below(50) == 0) world.start();
      if (fuzz.below(10) == 0) world.advance(std::chrono::milliseconds(fuzz.below(20'000)));
    }
    const auto minutes =
        std::chrono::duration_cast<std::chrono::minutes>(world.now.mono - begin).count() + 1;
    // Every start may dial once; the rest must keep to the back-off.
    EXPECT_LE(world.dial_times.size(), static_cast<std::size_t>(30 + 8 * minutes));
    world.step(DeleteRequested{});
    world.behaviour = {};
    world.pair();
    EXPECT_EQ(world.status().state, State::connected);
  }
}

TEST(SessionHostileTest, RandomBytesAtAnyTimeNeverCrashIt) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    World world(World::default_config(), {}, seed);
    SeededRandom fuzz(seed, "bytes");
    world.start();
    if (seed % 2 == 0) world.scan();
    if (seed % 2 == 0) world.advance(10ms);
    Bytes bytes(fuzz.below(300) + 4);
    fuzz.fill(bytes);
    bytes[0] = std::byte{0};
    bytes[1] = std::byte{0};
    ASSERT_TRUE(world.open_socket);
    world.send_bytes(std::move(bytes));
    world.advance(50s);
    EXPECT_NE(world.status().state, State::crashed);
  }
}

TEST(SessionHostileTest, EverythingIsDeterministic) {
  const auto trace = [] {
    World world(World::default_config(), {}, 42);
    world.behaviour.pre_key_count = 0;
    world.pair();
    world.advance(10min);
    world.close_from_server();
    world.advance(10min);
    Bytes out;
    for (const Action& action : world.actions) append_canonical(action, out);
    return out;
  };
  EXPECT_EQ(trace(), trace());
}

}  // namespace
}  // namespace wa::client

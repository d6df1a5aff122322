#include "engine/protocol/noise/handshake.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/noise/handshake_test_support.hpp"

namespace wa::noise {
namespace {

using namespace test;

// --------------------------------------------------------------------------- hostile messages

/// The three messages of a handshake that goes well.
struct Messages {
  Bytes client_hello;
  Bytes server_hello;
  Bytes client_finish;
};

Messages good_messages() {
  Pair pair;
  Messages messages;
  messages.client_hello = pair.initiator.client_hello();
  messages.server_hello =
      pair.responder.on_client_hello(messages.client_hello, some_chain())->server_hello;
  EXPECT_TRUE(pair.initiator.on_server_hello(messages.server_hello));
  messages.client_finish = *pair.initiator.client_finish(some_payload());
  EXPECT_TRUE(pair.responder.on_client_finish(messages.client_finish));
  return messages;
}

/// An Initiator's verdict on a ServerHello.
Result<Initiator::ServerAnswer> judge_server_hello(ByteSpan message) {
  Pair pair;
  pair.initiator.client_hello();
  return pair.initiator.on_server_hello(message);
}

/// A Responder's verdict on a ClientFinish.
Result<Responder::ClientAnswer> judge_client_finish(ByteSpan message) {
  Pair pair;
  const auto hello = pair.initiator.client_hello();
  WA_ASSERT(pair.responder.on_client_hello(hello, some_chain()));
  return pair.responder.on_client_finish(message);
}

TEST(HandshakeTest, EndsWithTheSameKeysOnBothSides) {
  Pair pair;
  const auto hello = pair.initiator.client_hello();
  const auto server_hello = pair.responder.on_client_hello(hello, some_chain());
  ASSERT_TRUE(server_hello) << server_hello.error();
  const auto server = pair.initiator.on_server_hello(server_hello->server_hello);
  ASSERT_TRUE(server) << server.error();
  EXPECT_EQ(server->server_static, pair.server_static.public_key);
  EXPECT_EQ(server->certificate_chain, some_chain());
  const auto finish = pair.initiator.client_finish(some_payload());
  ASSERT_TRUE(finish) << finish.error();
  const auto client = pair.responder.on_client_finish(*finish);
  ASSERT_TRUE(client) << client.error();
  EXPECT_EQ(client->client_static, pair.client_static.public_key);
  EXPECT_EQ(client->payload, some_payload());
  EXPECT_EQ(pair.initiator.split().client_to_server, pair.responder.split().client_to_server);
  EXPECT_EQ(pair.initiator.split().server_to_client, pair.responder.split().server_to_client);
  EXPECT_NE(pair.initiator.split().client_to_server, pair.initiator.split().server_to_client);
}

TEST(HandshakeTest, CarriesEmptyAndLargePayloads) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{60'000}}) {
    SCOPED_TRACE(size);
    const Bytes content(size, std::byte{5});
    Pair pair;
    const auto hello = pair.initiator.client_hello();
    const auto server_hello = pair.responder.on_client_hello(hello, content);
    ASSERT_TRUE(server_hello);
    const auto server = pair.initiator.on_server_hello(server_hello->server_hello);
    ASSERT_TRUE(server) << server.error();
    EXPECT_EQ(server->certificate_chain, content);
    const auto client = pair.responder.on_client_finish(*pair.initiator.client_finish(content));
    ASSERT_TRUE(client) << client.error();
    EXPECT_EQ(client->payload, content);
  }
}

TEST(HandshakeTest, RefusesEveryTruncation) {
  const auto good = good_messages();
  for (std::size_t size = 0; size < good.client_hello.size(); ++size) {
    Pair pair;
    const auto verdict =
        pair.responder.on_client_hello(ByteSpan(good.client_hello).first(size), some_chain());
    ASSERT_FALSE(verdict) << size;
    ASSERT_EQ(verdict.error().code, Errc::malformed) << size;
  }
  for (std::size_t size = 0; size < good.server_hello.size(); ++size) {
    const auto verdict = judge_server_hello(ByteSpan(good.server_hello).first(size));
    ASSERT_FALSE(verdict) << size;
    ASSERT_EQ(verdict.error().code, Errc::malformed) << size;
  }
  for (std::size_t size = 0; size < good.client_finish.size(); ++size) {
    const auto verdict = judge_client_finish(ByteSpan(good.client_finish).first(size));
    ASSERT_FALSE(verdict) << size;
    ASSERT_EQ(verdict.error().code, Errc::malformed) << size;
  }
}

// A spoilt client ephemeral is still a key: the server answers, and the client then finds out.
TEST(HandshakeTest, RefusesEveryFlippedBitOfTheClientHello) {
  const auto good = good_messages();
  std::size_t found_late = 0;
  for (std::size_t bit = 0; bit < good.client_hello.size() * 8; ++bit) {
    Pair pair;
    const auto hello = pair.initiator.client_hello();
    ASSERT_EQ(hello, good.client_hello);
    const auto answer = pair.responder.on_client_hello(flipped(hello, bit), some_chain());
    if (!answer) continue;
    ++found_late;
    const auto verdict = pair.initiator.on_server_hello(answer->server_hello);
    ASSERT_FALSE(verdict) << bit;
    ASSERT_EQ(verdict.error().code, Errc::auth_failed) << bit;
    ASSERT_FALSE(pair.responder.on_client_finish(good.client_finish)) << bit;
  }
  EXPECT_EQ(found_late, 256u);
}

TEST(HandshakeTest, RefusesEveryFlippedBitOfTheServerHello) {
  const auto good = good_messages();
  for (std::size_t bit = 0; bit < good.server_hello.size() * 8; ++bit) {
    ASSERT_FALSE(judge_server_hello(flipped(good.server_hello, bit))) << bit;
  }
}

TEST(HandshakeTest, RefusesEveryFlippedBitOfTheClientFinish) {
  const auto good = good_messages();
  for (std::size_t bit = 0; bit < good.client_finish.size() * 8; ++bit) {
    ASSERT_FALSE(judge_client_finish(flipped(good.client_finish, bit))) << bit;
  }
}

TEST(HandshakeTest, RefusesMissingFieldsAndWrongLengths) {
  const auto good = good_messages();
  const auto spoil = [](const Bytes& message, auto change) {
    auto changed = parsed(message);
    change(changed);
    return serialized(changed);
  };
  using Message = schema::HandshakeMessage;

  const Bytes hellos[] = {
      spoil(good.client_hello, [](Message& m) { m.clear_client_hello(); }),
      spoil(good.client_hello, [](Message& m) { m.mutable_client_hello()->clear_ephemeral(); }),
      spoil(good.client_hello,
            [](Message& m) { m.mutable_client_hello()->mutable_ephemeral()->pop_back(); }),
      spoil(good.client_hello,
            [](Message& m) { m.mutable_client_hello()->mutable_ephemeral()->insert(0, "\x05"); }),
  };
  for (const auto& message : hellos) {
    Pair pair;
    const auto verdict = pair.responder.on_client_hello(message, some_chain());
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::malformed) << verdict.error();
  }

  const Bytes answers[] = {
      spoil(good.server_hello, [](Message& m) { m.clear_server_hello(); }),
      spoil(good.server_hello, [](Message& m) { m.mutable_server_hello()->clear_ephemeral(); }),
      spoil(good.server_hello, [](Message& m) { m.mutable_server_hello()->clear_static_(); }),
      spoil(good.server_hello, [](Message& m) { m.mutable_server_hello()->clear_payload(); }),
      spoil(good.server_hello,
            [](Message& m) { m.mutable_server_hello()->mutable_ephemeral()->push_back('x'); }),
      spoil(good.server_hello,
            [](Message& m) { m.mutable_server_hello()->set_payload(std::string(15, 'p')); }),
  };
  for (const auto& message : answers) {
    const auto verdict = judge_server_hello(message);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::malformed) << verdict.error();
  }
  for (const std::size_t size : {47u, 49u}) {
    const auto verdict = judge_server_hello(spoil(good.server_hello, [&](Message& m) {
      m.mutable_server_hello()->mutable_static_()->resize(size);
    }));
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::auth_failed);
  }

  const Bytes finishes[] = {
      spoil(good.client_finish, [](Message& m) { m.clear_client_finish(); }),
      spoil(good.client_finish, [](Message& m) { m.mutable_client_finish()->clear_static_(); }),
      spoil(good.client_finish, [](Message& m) { m.mutable_client_finish()->clear_payload(); }),
  };
  for (const auto& message : finishes) {
    const auto verdict = judge_client_finish(message);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::malformed) << verdict.error();
  }
}

TEST(HandshakeTest, SkipsUnknownFields) {
  const auto good = good_messages();
  Pair pair;
  // Inside ClientHello: field 4 (useExtended) and field 9; behind it: field 15 of HandshakeMessage.
  auto hello = good.client_hello;
  append(hello, hex("20014801"));
  hello[1] = static_cast<std::byte>(std::to_integer<int>(hello[1]) + 4);
  append(hello, hex("7a020102"));
  EXPECT_TRUE(pair.responder.on_client_hello(hello, some_chain()));
  auto server_hello = good.server_hello;
  append(server_hello, hex("7a020102"));
  EXPECT_TRUE(judge_server_hello(server_hello));
}

TEST(HandshakeTest, RefusesMessagesOfAnotherStep) {
  const auto good = good_messages();
  for (const auto& message :
       {good.server_hello, good.client_finish, Bytes{}, hex("ff"), Bytes(100, std::byte{0xff})}) {
    Pair pair;
    EXPECT_FALSE(pair.responder.on_client_hello(message, some_chain()));
  }
  EXPECT_FALSE(judge_server_hello(good.client_hello));  // reflected
  EXPECT_FALSE(judge_server_hello(good.client_finish));
  EXPECT_FALSE(judge_client_finish(good.client_hello));  // sent twice
  EXPECT_FALSE(judge_client_finish(good.server_hello));  // reflected
}

TEST(HandshakeTest, RefusesMessagesOfAnotherHandshake) {
  const auto good = good_messages();
  SeededRandom random(43);
  Pair keys;
  Initiator initiator(prologue(3), keys.client_static, random);
  const auto hello = initiator.client_hello();
  EXPECT_FALSE(initiator.on_server_hello(good.server_hello));
  Responder responder(prologue(3), keys.server_static, random);
  ASSERT_TRUE(responder.on_client_hello(hello, some_chain()));
  EXPECT_FALSE(responder.on_client_finish(good.client_finish));
}

TEST(HandshakeTest, RefusesAnotherPrologue) {
  Pair pair;
  Responder responder(prologue(2), pair.server_static, pair.random);
  const auto answer = responder.on_client_hello(pair.initiator.client_hello(), some_chain());
  ASSERT_TRUE(answer);
  EXPECT_FALSE(pair.initiator.on_server_hello(answer->server_hello));
}

TEST(HandshakeTest, RefusesDegenerateEphemeralKeys) {
  for (const auto& key : degenerate_keys()) {
    SCOPED_TRACE(to_hex(key));
    schema::HandshakeMessage hello;
    hello.mutable_client_hello()->set_ephemeral(std::string(as_text(key)));
    Pair pair;
    const auto verdict = pair.responder.on_client_hello(serialized(hello), some_chain());
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::auth_failed);

    auto answer = parsed(good_messages().server_hello);
    answer.mutable_server_hello()->set_ephemeral(std::string(as_text(key)));
    const auto client_verdict = judge_server_hello(serialized(answer));
    ASSERT_FALSE(client_verdict);
    EXPECT_EQ(client_verdict.error().code, Errc::auth_failed);
  }
}

// A peer that follows the pattern but puts something else where its static key belongs.
TEST(HandshakeTest, RefusesDegenerateAndWrongSizedStaticKeys) {
  std::vector<std::pair<Bytes, Errc>> statics;
  for (const auto& key : degenerate_keys()) {
    statics.emplace_back(to_bytes(ByteSpan(key)), Errc::auth_failed);
  }
  for (const std::size_t size : {0u, 31u, 33u}) {
    statics.emplace_back(Bytes(size, std::byte{9}), Errc::malformed);
  }
  for (const auto& [static_bytes, code] : statics) {
    SCOPED_TRACE(to_hex(static_bytes));
    const auto hostile_hello = [&](Pair& pair) {
      const auto hello = parsed(pair.initiator.client_hello());
      const auto theirs =
          *crypto::PublicKey::from(as_bytes(hello.client_hello().ephemeral()), "ephemeral");
      const auto ephemeral = crypto::generate_key_pair(pair.random);
      SymmetricState state("Noise_XX_25519_AESGCM_SHA256");
      state.mix_hash(prologue(3));
      state.mix_hash(theirs);
      state.mix_hash(ephemeral.public_key);
      state.mix_key(*crypto::agree(ephemeral.private_key, theirs));
      schema::HandshakeMessage message;
      auto& fields = *message.mutable_server_hello();
      fields.set_ephemeral(std::string(as_text(ephemeral.public_key)));
      fields.set_static_(std::string(as_text(state.encrypt_and_hash(static_bytes))));
      fields.set_payload(std::string(16, 'p'));
      return serialized(message);
    };
    Pair client_side;
    const auto message = hostile_hello(client_side);
    const auto verdict = client_side.initiator.on_server_hello(message);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, code) << verdict.error();

    Pair server_side;
    const auto ephemeral = crypto::generate_key_pair(server_side.random);
    SymmetricState state("Noise_XX_25519_AESGCM_SHA256");
    state.mix_hash(prologue(3));
    state.mix_hash(ephemeral.public_key);
    schema::HandshakeMessage hello;
    hello.mutable_client_hello()->set_ephemeral(std::string(as_text(ephemeral.public_key)));
    const auto answer_bytes =
        server_side.responder.on_client_hello(serialized(hello), some_chain());
    ASSERT_TRUE(answer_bytes);
    const auto answer = parsed(answer_bytes->server_hello).server_hello();
    const auto server_ephemeral =
        *crypto::PublicKey::from(as_bytes(answer.ephemeral()), "ephemeral");
    state.mix_hash(server_ephemeral);
    state.mix_key(*crypto::agree(ephemeral.private_key, server_ephemeral));
    ASSERT_TRUE(state.decrypt_and_hash(as_bytes(answer.static_()), "static"));
    state.mix_key(*crypto::agree(ephemeral.private_key, server_side.server_static.public_key));
    ASSERT_TRUE(state.decrypt_and_hash(as_bytes(answer.payload()), "payload"));
    schema::HandshakeMessage finish;
    finish.mutable_client_finish()->set_static_(
        std::string(as_text(state.encrypt_and_hash(static_bytes))));
    finish.mutable_client_finish()->set_payload(std::string(16, 'p'));
    const auto server_verdict = server_side.responder.on_client_finish(serialized(finish));
    ASSERT_FALSE(server_verdict);
    EXPECT_EQ(server_verdict.error().code, code) << server_verdict.error();
  }
}

TEST(HandshakeDeathTest, CallsOutOfOrderAreOurBug) {
  EXPECT_DEATH(
      {
        Pair pair;
        pair.initiator.client_hello();
        pair.initiator.client_hello();
      },
      "step_");
  EXPECT_DEATH(
      {
        Pair pair;
        (void)pair.initiator.client_finish(some_payload());
      },
      "step_");
  EXPECT_DEATH(
      {
        Pair pair;
        pair.responder.split();
      },
      "step_");
  EXPECT_DEATH(
      {
        Pair pair;
        (void)pair.responder.on_client_finish({});
      },
      "step_");
  // After an error the handshake is over.
  EXPECT_DEATH(
      {
        Pair pair;
        (void)pair.responder.on_client_hello({}, some_chain());
        (void)pair.responder.on_client_hello(good_messages().client_hello, some_chain());
      },
      "step_");
}

// ------------------------------------------------------------------------------------ transport

TEST(TransportCipherTest, MatchesTheFrameVectors) {
  const auto file = test::vectors("frames.json");
  const auto key = array_at<32>(file, "key");
  TransportCipher seals(key);
  TransportCipher opens(key);
  Bytes joined;
  for (const auto& frame : file.at("frames").as_array()) {
    SCOPED_TRACE(text_at(frame, "name"));
    EXPECT_EQ(seals.counter(), frame.at("counter").to_number<std::uint64_t>());
    const std::size_t start = joined.size();
    ASSERT_TRUE(seals.seal_frame(hex_at(frame, "plaintext"), joined));
    const auto wire = to_bytes(ByteSpan(joined).subspan(start));
    EXPECT_EQ(wire, hex_at(frame, "wire"));
    const auto opened = opens.open(payload_of(wire));
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_EQ(*opened, hex_at(frame, "plaintext"));
  }
  EXPECT_EQ(joined, hex_at(file.at("concatenated"), "wire"));
  EXPECT_EQ(opens.counter(), 5u);
}

TEST(TransportCipherTest, MatchesTheCounterEdges) {
  const auto file = test::vectors("frames.json");
  const auto key = array_at<32>(file, "key");
  for (const auto& edge : file.at("counter_edges").as_array()) {
    const auto counter = edge.at("counter").to_number<std::uint64_t>();
    SCOPED_TRACE(counter);
    TransportCipher seals(key, counter);
    Bytes wire;
    ASSERT_TRUE(seals.seal_frame(hex_at(edge, "plaintext"), wire));
    EXPECT_EQ(payload_of(wire), hex_at(edge, "ciphertext_and_tag"));
    TransportCipher opens(key, counter);
    EXPECT_EQ(*opens.open(hex_at(edge, "ciphertext_and_tag")), hex_at(edge, "plaintext"));
    EXPECT_EQ(opens.counter(), counter + 1);
  }
  const auto& long_frame = file.at("long_frame");
  TransportCipher seals(key, long_frame.at("counter").to_number<std::uint64_t>());
  Bytes wire;
  ASSERT_TRUE(seals.seal_frame(Bytes(70'000, std::byte{7}), wire));
  EXPECT_EQ(wire.size(), long_frame.at("wire_length").to_number<std::size_t>());
  EXPECT_EQ(to_hex(ByteSpan(wire).first(3)), text_at(long_frame, "length_prefix"));
  EXPECT_EQ(to_hex(crypto::sha256(wire)), text_at(long_frame, "wire_sha256"));
}

TEST(TransportCipherTest, CountsAcrossByteBorders) {
  TransportCipher seals({});
  TransportCipher opens({});
  for (int i = 0; i < 66'000; ++i) {
    Bytes wire;
    ASSERT_TRUE(seals.seal_frame({}, wire));
    ASSERT_TRUE(opens.open(ByteSpan(wire).subspan(3))) << i;
  }
}

TEST(TransportCipherTest, StopsWhenTheCounterIsUsedUp) {
  TransportCipher seals({}, 0xffff'ffff);
  TransportCipher opens({}, 0xffff'ffff);
  Bytes wire;
  ASSERT_TRUE(seals.seal_frame({}, wire));
  ASSERT_TRUE(opens.open(ByteSpan(wire).subspan(3)));
  const auto before = wire;
  const auto sealed = seals.seal_frame({}, wire);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Errc::too_large);
  EXPECT_EQ(wire, before);
  const auto opened = opens.open(ByteSpan(wire).subspan(3));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::too_large);
}

TEST(TransportCipherTest, SealsFramesUpToTheLengthFieldAndNoMore) {
  TransportCipher seals({});
  Bytes wire;
  const Bytes largest(limits::kMaxFrameBytes - 16);
  ASSERT_TRUE(seals.seal_frame(largest, wire));
  EXPECT_EQ(to_hex(ByteSpan(wire).first(3)), "ffffff");
  TransportCipher opens({});
  EXPECT_EQ(opens.open(ByteSpan(wire).subspan(3))->size(), largest.size());

  wire.clear();
  const auto refused = seals.seal_frame(Bytes(largest.size() + 1), wire);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_TRUE(wire.empty());
  EXPECT_EQ(seals.counter(), 1u);
}

TEST(TransportCipherTest, RefusesSpoiltRepeatedAndReorderedFrames) {
  TransportCipher seals({});
  std::vector<Bytes> frames;
  for (int i = 0; i < 3; ++i) {
    Bytes wire;
    ASSERT_TRUE(seals.seal_frame(hex("00f80102"), wire));
    frames.push_back(payload_of(wire));
  }
  TransportCipher opens({});
  for (std::size_t bit = 0; bit < frames[0].size() * 8; ++bit) {
    const auto opened = opens.open(flipped(frames[0], bit));
    ASSERT_FALSE(opened);
    ASSERT_EQ(opened.error().code, Errc::auth_failed);
  }
  for (std::size_t size = 0; size < frames[0].size(); ++size) {
    const auto opened = opens.open(ByteSpan(frames[0]).first(size));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, size < 16 ? Errc::truncated : Errc::auth_failed);
  }
  EXPECT_EQ(opens.counter(), 0u);
  EXPECT_FALSE(opens.open(frames[1])) << "one was left out";
  EXPECT_TRUE(opens.open(frames[0]));
  EXPECT_FALSE(opens.open(frames[0])) << "sent again";
  EXPECT_TRUE(opens.open(frames[1]));
  EXPECT_FALSE(opens.open(frames[0]));
}

}  // namespace
}  // namespace wa::noise

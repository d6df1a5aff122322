// Every vector and recording of the handshakes, byte for byte, from both sides.

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "engine/protocol/noise/handshake_test_support.hpp"

namespace wa::noise {
namespace {

using namespace test;

// ---------------------------------------------------------------- every step of every vector

/// Runs one side through recorded steps. `mirrored`: as the peer, which encrypts what this side
/// decrypts and the other way round.
void replay_steps(SymmetricState& state, const boost::json::value& recorded, bool mirrored) {
  for (const auto& step : recorded.as_array()) {
    const auto op = text_at(step, "op");
    SCOPED_TRACE(op + (step.as_object().contains("what") ? " " + text_at(step, "what") : ""));
    if (op == "mixHash") {
      state.mix_hash(hex_at(step, "data"));
    } else if (op == "mixKey") {
      state.mix_key(hex_at(step, "dh"));
    } else if (step.as_object().contains("result")) {
      const auto opened = state.decrypt_and_hash(hex_at(step, "ciphertext_and_tag"), "step");
      EXPECT_EQ(text_at(step, "result"), "tag mismatch");
      EXPECT_FALSE(opened);
    } else if (op != "init") {
      ASSERT_TRUE(op == "encryptAndHash" || op == "decryptAndHash");
      EXPECT_EQ(to_bytes(state.hash()), hex_at(step, "aad"));
      if ((op == "encryptAndHash") != mirrored) {
        EXPECT_EQ(state.encrypt_and_hash(hex_at(step, "plaintext")),
                  hex_at(step, "ciphertext_and_tag"));
      } else {
        const auto opened = state.decrypt_and_hash(hex_at(step, "ciphertext_and_tag"), "step");
        ASSERT_TRUE(opened) << opened.error();
        EXPECT_EQ(*opened, hex_at(step, "plaintext"));
      }
    }
    EXPECT_EQ(to_bytes(state.hash()), hex_at(step, "h"));
    EXPECT_EQ(to_bytes(state.chaining_key()), hex_at(step, "ck"));
    EXPECT_EQ(to_bytes(state.key()), hex_at(step, "k"));
    EXPECT_EQ(state.counter(), step.at("n").to_number<std::uint32_t>());
  }
}

SymmetricState state_for(const boost::json::value& recorded) {
  const auto& init = recorded.as_array().at(0).as_object();
  return SymmetricState(init.contains("name") ? std::string(init.at("name").as_string())
                                              : std::string("Noise_XX_25519_AESGCM_SHA256"));
}

TEST(SymmetricStateTest, MatchesEveryRecordedStep) {
  int handshakes = 0;
  int attempts = 0;
  for (const auto& [file_name, list] :
       {std::pair{"noise-handshake.json", "vectors"}, std::pair{"noise-ik.json", "vectors"},
        std::pair{"noise-xxfallback.json", "vectors"},
        std::pair{"noise-transcripts.json", "transcripts"}}) {
    const auto file = vectors(file_name);
    for (const auto& vector : file.at(list).as_array()) {
      SCOPED_TRACE(std::string(file_name) + ": " + text_at(vector, "name"));
      const auto& members = vector.as_object();
      if (members.contains("ik_attempt")) {  // IK as far as the server went with it
        for (const auto& [side, steps] : members.at("ik_attempt").as_object()) {
          if (!steps.is_array()) continue;
          SCOPED_TRACE(side);
          SymmetricState state = state_for(steps);
          replay_steps(state, steps, false);
          ++attempts;
        }
      }
      if (!members.contains("steps")) continue;  // a server's mistake: it ends there
      for (const bool mirrored : {false, true}) {
        SymmetricState state = state_for(vector.at("steps"));
        replay_steps(state, vector.at("steps"), mirrored);
        const auto keys = state.split();
        EXPECT_EQ(to_bytes(keys.client_to_server), hex_at(vector.at("split"), "client_to_server"));
        EXPECT_EQ(to_bytes(keys.server_to_client), hex_at(vector.at("split"), "server_to_client"));
      }
      ++handshakes;
    }
  }
  EXPECT_EQ(handshakes, 3 + 5 + 6 + 11);
  EXPECT_EQ(attempts, 2 * 6 + 4);
}

TEST(SymmetricStateTest, AnErrorLeavesTheStateAsItWas) {
  SymmetricState sender("name");
  SymmetricState receiver("name");
  const auto sealed = sender.encrypt_and_hash(hex("0102"));
  auto spoilt = sealed;
  spoilt[0] ^= std::byte{1};
  const auto refused = receiver.decrypt_and_hash(spoilt, "field");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::auth_failed);
  EXPECT_NE(refused.error().detail.find("field"), std::string::npos);
  for (std::size_t size = 0; size < 16; ++size) {
    const auto cut = receiver.decrypt_and_hash(ByteSpan(sealed).first(size), "field");
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().code, Errc::malformed);
  }
  EXPECT_TRUE(receiver.decrypt_and_hash(sealed, "field"));
  EXPECT_EQ(receiver.hash(), sender.hash());
}

// ------------------------------------------------------------------- both roles, byte for byte

bool is(const boost::json::value& vector, std::string_view key, std::string_view text) {
  const auto* member = vector.as_object().if_contains(key);
  return member != nullptr && member->is_string() && member->get_string() == text;
}

Pattern pattern_of(const boost::json::value& vector) {
  if (is(vector, "outcome", "IK")) return Pattern::ik;
  return is(vector, "outcome", "XXfallback") ? Pattern::xx_fallback : Pattern::xx;
}

/// The static key that the client took for the server's when it began.
crypto::PublicKey cached_static(const boost::json::value& keys) {
  const auto* cached = keys.as_object().if_contains("server_static_cached_by_client");
  return cached == nullptr ? pair_at(keys, "server_static").public_key
                           : *crypto::PublicKey::from(hex_at(*cached, "public"), "cached");
}

/// True when the hello of the vector was spoilt on its way.
bool hello_is_spoilt(const boost::json::value& vector) {
  return text_at(vector, "name").find("spoilt") != std::string::npos;
}

void replay_client(const boost::json::value& vector, Pattern pattern, const Bytes& chain) {
  const auto& keys = vector.at("keys");
  const auto& messages = vector.at("messages");
  const auto client_payload = hex_at(vector, "client_payload_plain");
  ReplayRandom random(pair_at(keys, "client_ephemeral").private_key.bytes);
  Initiator initiator(array_at<4>(vector, "prologue"), pair_at(keys, "client_static"), random);
  const auto hello = pattern == Pattern::xx
                         ? Result<Bytes>(initiator.client_hello())
                         : initiator.resume_hello(cached_static(keys), client_payload);
  ASSERT_TRUE(hello) << hello.error();
  EXPECT_EQ(*hello == hex_at(messages, "client_hello_proto"), !hello_is_spoilt(vector));
  const auto server = initiator.on_server_hello(hex_at(messages, "server_hello_proto"));
  ASSERT_TRUE(server) << server.error();
  EXPECT_EQ(server->pattern, pattern);
  EXPECT_EQ(server->server_static, pair_at(keys, "server_static").public_key);
  EXPECT_EQ(server->certificate_chain, chain);
  if (pattern != Pattern::ik) {
    const auto finish = initiator.client_finish(client_payload);
    ASSERT_TRUE(finish) << finish.error();
    EXPECT_EQ(*finish, hex_at(messages, "client_finish_proto"));
  }
  const auto split = initiator.split();
  EXPECT_EQ(to_bytes(split.client_to_server), hex_at(vector.at("split"), "client_to_server"));
  EXPECT_EQ(to_bytes(split.server_to_client), hex_at(vector.at("split"), "server_to_client"));
}

void replay_server(const boost::json::value& vector, Pattern pattern, const Bytes& chain) {
  const auto& keys = vector.at("keys");
  const auto& messages = vector.at("messages");
  IkPolicy ik = IkPolicy::accept;
  if (pattern == Pattern::xx_fallback) {
    const bool readable = text_at(vector.at("ik_attempt"), "result").starts_with("decrypts");
    if (readable) ik = IkPolicy::fallback;
  }
  ReplayRandom random(pair_at(keys, "server_ephemeral").private_key.bytes);
  Responder responder(array_at<4>(vector, "prologue"), pair_at(keys, "server_static"), random, ik);
  auto answer = responder.on_client_hello(hex_at(messages, "client_hello_proto"), chain);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->pattern, pattern);
  EXPECT_EQ(answer->server_hello, hex_at(messages, "server_hello_proto"));
  EXPECT_EQ(answer->client.has_value(), pattern == Pattern::ik);
  if (pattern != Pattern::ik) {
    auto client = responder.on_client_finish(hex_at(messages, "client_finish_proto"));
    ASSERT_TRUE(client) << client.error();
    answer->client = std::move(*client);
  }
  EXPECT_EQ(answer->client->client_static, pair_at(keys, "client_static").public_key);
  EXPECT_EQ(answer->client->payload, hex_at(vector, "client_payload_plain"));
  const auto split = responder.split();
  EXPECT_EQ(to_bytes(split.client_to_server), hex_at(vector.at("split"), "client_to_server"));
  EXPECT_EQ(to_bytes(split.server_to_client), hex_at(vector.at("split"), "server_to_client"));
}

void replay_frames(const boost::json::value& vector) {
  const auto client_to_server = array_at<32>(vector.at("split"), "client_to_server");
  const auto server_to_client = array_at<32>(vector.at("split"), "server_to_client");
  TransportCipher client_seals(client_to_server);
  TransportCipher server_opens(client_to_server);
  TransportCipher server_seals(server_to_client);
  TransportCipher client_opens(server_to_client);
  ASSERT_EQ(vector.at("transport").as_array().size(), 6u);
  for (const auto& frame : vector.at("transport").as_array()) {
    const bool upwards = text_at(frame, "dir") == "client->server";
    auto& seals = upwards ? client_seals : server_seals;
    auto& opens = upwards ? server_opens : client_opens;
    SCOPED_TRACE(text_at(frame, "dir"));
    EXPECT_EQ(seals.counter(), frame.at("counter").to_number<std::uint64_t>());
    Bytes sealed;
    ASSERT_TRUE(seals.seal_frame(hex_at(frame, "plaintext"), sealed));
    EXPECT_EQ(sealed, hex_at(frame, "wire"));
    const auto opened = opens.open(payload_of(hex_at(frame, "wire")));
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_EQ(*opened, hex_at(frame, "plaintext"));
  }
}

void replay(const boost::json::value& vector, const Bytes& chain) {
  const auto start = array_at<4>(vector, "prologue");
  EXPECT_EQ(start, prologue(std::to_integer<std::uint8_t>(start[3])));
  const auto& messages = vector.at("messages");
  const auto& wire = vector.at("wire");
  const auto client_hello = hex_at(messages, "client_hello_proto");
  const auto first = hex_at(wire, "client_1");
  EXPECT_EQ(payload_of(first, first.size() - client_hello.size() - 3), client_hello);
  EXPECT_EQ(payload_of(hex_at(wire, "server_1")), hex_at(messages, "server_hello_proto"));
  const Pattern pattern = pattern_of(vector);
  if (pattern != Pattern::ik) {
    EXPECT_EQ(payload_of(hex_at(wire, "client_2")), hex_at(messages, "client_finish_proto"));
  }
  replay_client(vector, pattern, chain);
  replay_server(vector, pattern, chain);
  replay_frames(vector);
}

TEST(HandshakeVectorsTest, BothRolesMatchTheVectors) {
  std::map<Pattern, int> replayed;
  for (const char* name : {"noise-handshake.json", "noise-ik.json", "noise-xxfallback.json"}) {
    const auto file = vectors(name);
    for (const auto& vector : file.at("vectors").as_array()) {
      SCOPED_TRACE(std::string(name) + ": " + text_at(vector, "name"));
      const auto* plain = vector.as_object().if_contains("server_payload_plain");
      replay(vector, plain == nullptr ? hex_at(vector.at("cert"), "chain")
                                      : hex_at(vector, "server_payload_plain"));
      ++replayed[pattern_of(vector)];
    }
  }
  EXPECT_EQ(replayed, (std::map<Pattern, int>{
                          {Pattern::xx, 3}, {Pattern::ik, 5}, {Pattern::xx_fallback, 6}}));
}

TEST(HandshakeVectorsTest, BothRolesMatchTheRecordingsOfRealClients) {
  const auto file = vectors("noise-transcripts.json");
  std::map<Pattern, int> replayed;
  for (const auto& transcript : file.at("transcripts").as_array()) {
    if (!transcript.as_object().contains("steps")) continue;  // the next test's
    SCOPED_TRACE(text_at(transcript, "client") + ": " + text_at(transcript, "name"));
    replay(transcript, hex_at(transcript, "server_payload_plain"));
    ++replayed[pattern_of(transcript)];
  }
  EXPECT_EQ(replayed, (std::map<Pattern, int>{
                          {Pattern::xx, 4}, {Pattern::ik, 4}, {Pattern::xx_fallback, 3}}));
}

// A server whose static key changed answered in IK form. Ours cannot: it falls back.
TEST(HandshakeVectorsTest, AHelloThatCannotBeReadIsNeverAnsweredInTheFormOfIk) {
  const auto file = vectors("noise-transcripts.json");
  int seen = 0;
  for (const auto& transcript : file.at("transcripts").as_array()) {
    if (transcript.as_object().contains("steps")) continue;
    ++seen;
    const auto& keys = transcript.at("keys");
    const auto hello = hex_at(transcript.at("messages"), "client_hello_proto");
    ReplayRandom random(pair_at(keys, "server_ephemeral").private_key.bytes);
    Responder responder(array_at<4>(transcript, "prologue"), pair_at(keys, "server_static"),
                        random);
    const auto answer = responder.on_client_hello(hello, some_chain());
    ASSERT_TRUE(answer) << answer.error();
    EXPECT_EQ(answer->pattern, Pattern::xx_fallback);
    EXPECT_TRUE(parsed(answer->server_hello).server_hello().has_static_());
    EXPECT_FALSE(answer->client);
  }
  EXPECT_EQ(seen, 1);
}

TEST(HandshakeVectorsTest, WhatTheVectorsSayIsRefusedIsRefused) {
  const auto file = vectors("noise-ik.json");
  const auto& good = file.at("vectors").as_array().at(0);
  const auto& keys = good.at("keys");
  int hellos = 0;
  int answers = 0;
  for (const auto& reject : file.at("rejects").as_array()) {
    SCOPED_TRACE(text_at(reject, "name"));
    if (text_at(reject, "to") == "responder") {
      ReplayRandom random(pair_at(keys, "server_ephemeral").private_key.bytes);
      Responder responder(prologue(3), pair_at(keys, "server_static"), random);
      const auto answer = responder.on_client_hello(hex_at(reject, "client_hello_proto"), {});
      ASSERT_FALSE(answer);
      EXPECT_NE(answer.error().code, Errc::unexpected_message);
      ++hellos;
    } else {
      ReplayRandom random(pair_at(keys, "client_ephemeral").private_key.bytes);
      Initiator initiator(prologue(3), pair_at(keys, "client_static"), random);
      ASSERT_TRUE(initiator.resume_hello(pair_at(keys, "server_static").public_key,
                                         hex_at(good, "client_payload_plain")));
      EXPECT_FALSE(initiator.on_server_hello(hex_at(reject, "server_hello_proto")));
      ++answers;
    }
  }
  EXPECT_EQ(hellos, 6);
  EXPECT_EQ(answers, 3);
}

}  // namespace
}  // namespace wa::noise

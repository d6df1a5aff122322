// IK and XXfallback with hostile peers. The vectors are in handshake_vectors_test.cpp.

#include <gtest/gtest.h>

#include <optional>

#include "engine/protocol/noise/handshake_test_support.hpp"

namespace wa::noise {
namespace {

using namespace test;
using Message = schema::HandshakeMessage;

Bytes resume_hello(Pair& pair) {
  return *pair.initiator.resume_hello(pair.server_static.public_key, some_payload());
}

/// The hello of the pair's fixed keys, changed.
template <class Change>
Bytes changed_hello(Change change) {
  Pair pair;
  Message message = parsed(resume_hello(pair));
  change(*message.mutable_client_hello());
  return serialized(message);
}

Result<Responder::HelloAnswer> judge_hello(ByteSpan message, IkPolicy ik = IkPolicy::accept) {
  Pair pair(ik);
  return pair.responder.on_client_hello(message, some_chain());
}

/// An Initiator's verdict on the answer to its resume hello.
Result<Initiator::ServerAnswer> judge_answer(ByteSpan message) {
  Pair pair;
  (void)resume_hello(pair);
  return pair.initiator.on_server_hello(message);
}

Bytes good_answer(IkPolicy ik = IkPolicy::accept) {
  Pair pair(ik);
  return pair.responder.on_client_hello(resume_hello(pair), some_chain())->server_hello;
}

TEST(ResumeTest, IkIsOverAfterOneRound) {
  Pair pair;
  const auto answer = pair.responder.on_client_hello(resume_hello(pair), some_chain());
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->pattern, Pattern::ik);
  ASSERT_TRUE(answer->client);
  EXPECT_EQ(answer->client->client_static, pair.client_static.public_key);
  EXPECT_EQ(answer->client->payload, some_payload());
  const auto server = pair.initiator.on_server_hello(answer->server_hello);
  ASSERT_TRUE(server) << server.error();
  EXPECT_EQ(server->pattern, Pattern::ik);
  EXPECT_EQ(server->server_static, pair.server_static.public_key);
  EXPECT_EQ(server->certificate_chain, some_chain());
  EXPECT_EQ(pair.initiator.split().client_to_server, pair.responder.split().client_to_server);
  EXPECT_EQ(pair.initiator.split().server_to_client, pair.responder.split().server_to_client);
}

// An empty one would be a fallback to the client, and lock a known client out for good.
TEST(ResumeTest, TheAnswerOfIkHasNoStaticField) {
  const auto hello = parsed(good_answer()).server_hello();
  EXPECT_TRUE(hello.has_ephemeral());
  EXPECT_FALSE(hello.has_static_());
  EXPECT_TRUE(hello.has_payload());
  EXPECT_TRUE(parsed(good_answer(IkPolicy::fallback)).server_hello().has_static_());
}

TEST(ResumeTest, FallbackEndsWithTheSameKeysWhateverItsReason) {
  for (const bool by_choice : {true, false}) {
    SCOPED_TRACE(by_choice);
    Pair pair(by_choice ? IkPolicy::fallback : IkPolicy::accept);
    const auto believed = by_choice ? pair.server_static.public_key
                                    : crypto::generate_key_pair(pair.random).public_key;
    const auto hello = pair.initiator.resume_hello(believed, some_payload());
    ASSERT_TRUE(hello);
    const auto answer = pair.responder.on_client_hello(*hello, some_chain());
    ASSERT_TRUE(answer) << answer.error();
    EXPECT_EQ(answer->pattern, Pattern::xx_fallback);
    EXPECT_FALSE(answer->client);
    const auto server = pair.initiator.on_server_hello(answer->server_hello);
    ASSERT_TRUE(server) << server.error();
    EXPECT_EQ(server->pattern, Pattern::xx_fallback);
    EXPECT_EQ(server->server_static, pair.server_static.public_key);
    EXPECT_EQ(server->certificate_chain, some_chain());
    const auto client =
        pair.responder.on_client_finish(*pair.initiator.client_finish(some_payload()));
    ASSERT_TRUE(client) << client.error();
    EXPECT_EQ(client->client_static, pair.client_static.public_key);
    EXPECT_EQ(client->payload, some_payload());
    EXPECT_EQ(pair.initiator.split().client_to_server, pair.responder.split().client_to_server);
    EXPECT_EQ(pair.initiator.split().server_to_client, pair.responder.split().server_to_client);
  }
}

TEST(ResumeTest, RefusalIsNoAnswerAndTouchesNoXx) {
  Pair pair(IkPolicy::refuse);
  const auto refused = pair.responder.on_client_hello(resume_hello(pair), some_chain());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unexpected_message);
  Pair plain(IkPolicy::refuse);
  EXPECT_TRUE(plain.responder.on_client_hello(plain.initiator.client_hello(), some_chain()));
}

TEST(ResumeTest, CarriesEmptyAndLargePayloads) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{60'000}}) {
    SCOPED_TRACE(size);
    const Bytes content(size, std::byte{5});
    Pair pair;
    const auto hello = pair.initiator.resume_hello(pair.server_static.public_key, content);
    ASSERT_TRUE(hello);
    const auto answer = pair.responder.on_client_hello(*hello, content);
    ASSERT_TRUE(answer && answer->client);
    EXPECT_EQ(answer->client->payload, content);
    EXPECT_EQ(pair.initiator.on_server_hello(answer->server_hello)->certificate_chain, content);
  }
}

// Every length that protobuf reads at all is one of the cases below; none is an IK answer.
TEST(ResumeTest, RefusesEveryTruncation) {
  Pair pair;
  const Bytes hello = resume_hello(pair);
  for (std::size_t size = 0; size < hello.size(); ++size) {
    const auto verdict = judge_hello(ByteSpan(hello).first(size));
    ASSERT_FALSE(verdict) << size;
    ASSERT_EQ(verdict.error().code, Errc::malformed) << size;
  }
  for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback}) {
    const Bytes answer = good_answer(ik);
    for (std::size_t size = 0; size < answer.size(); ++size) {
      const auto verdict = judge_answer(ByteSpan(answer).first(size));
      ASSERT_FALSE(verdict) << size;
      ASSERT_EQ(verdict.error().code, Errc::malformed) << size;
    }
  }
}

// A spoilt static or payload costs the client a round and nothing else. A spoilt ephemeral is still
// a key: then the client finds out.
TEST(ResumeTest, EveryFlippedBitOfTheHelloEndsInFallbackOrARefusal) {
  Pair keys;
  const Bytes hello = resume_hello(keys);
  std::size_t fallbacks = 0;
  std::size_t found_late = 0;
  for (std::size_t bit = 0; bit < hello.size() * 8; ++bit) {
    Pair pair;
    ASSERT_EQ(resume_hello(pair), hello);
    const auto answer = pair.responder.on_client_hello(flipped(hello, bit), some_chain());
    if (!answer) continue;
    const auto ephemeral = parsed(flipped(hello, bit)).client_hello().ephemeral();
    // A tag whose field number changed can make it an XX hello, which the client cannot read.
    ASSERT_NE(answer->pattern, Pattern::ik) << bit;
    const auto server = pair.initiator.on_server_hello(answer->server_hello);
    const bool same_ephemeral = ephemeral == parsed(hello).client_hello().ephemeral();
    if (answer->pattern == Pattern::xx_fallback && same_ephemeral) {
      ASSERT_TRUE(server) << bit;
      ASSERT_TRUE(pair.responder.on_client_finish(*pair.initiator.client_finish(some_payload())));
      ++fallbacks;
    } else {
      ASSERT_FALSE(server) << bit;
      ++found_late;
    }
  }
  EXPECT_EQ(fallbacks, 8 * (48 + some_payload().size() + 16));
  EXPECT_EQ(found_late, 256u);
}

TEST(ResumeTest, RefusesEveryFlippedBitOfTheAnswer) {
  for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback}) {
    const Bytes answer = good_answer(ik);
    for (std::size_t bit = 0; bit < answer.size() * 8; ++bit) {
      ASSERT_FALSE(judge_answer(flipped(answer, bit))) << bit;
    }
  }
}

TEST(ResumeTest, RefusesFieldsInPartAndWrongLengths) {
  using Hello = Message::ClientHello;
  const Bytes hellos[] = {
      changed_hello([](Hello& h) { h.clear_ephemeral(); }),
      changed_hello([](Hello& h) { h.mutable_ephemeral()->pop_back(); }),
      changed_hello([](Hello& h) { h.mutable_ephemeral()->push_back('x'); }),
      changed_hello([](Hello& h) { h.clear_payload(); }),
      changed_hello([](Hello& h) { h.clear_static_(); }),
      changed_hello([](Hello& h) { h.set_static_(""); }),
      changed_hello([](Hello& h) { h.set_payload(""); }),
      changed_hello([](Hello& h) { h.set_payload(std::string(15, 'p')); }),
      changed_hello([](Hello& h) { h.mutable_static_()->pop_back(); }),
      changed_hello([](Hello& h) { h.mutable_static_()->push_back('x'); }),
      changed_hello([](Hello& h) {
        h.set_static_("");
        h.set_payload("");
      }),
  };
  for (const auto& message : hellos) {
    for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback, IkPolicy::refuse}) {
      const auto verdict = judge_hello(message, ik);
      ASSERT_FALSE(verdict);
      EXPECT_EQ(verdict.error().code, Errc::malformed) << verdict.error();
    }
  }
}

TEST(ResumeTest, RefusesDegenerateKeysOnBothSides) {
  for (const auto& key : degenerate_keys()) {
    SCOPED_TRACE(to_hex(key));
    const auto verdict = judge_hello(changed_hello(
        [&](Message::ClientHello& h) { h.set_ephemeral(std::string(as_text(key))); }));
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::auth_failed);

    for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback}) {
      auto answer = parsed(good_answer(ik));
      answer.mutable_server_hello()->set_ephemeral(std::string(as_text(key)));
      const auto client_verdict = judge_answer(serialized(answer));
      ASSERT_FALSE(client_verdict);
      EXPECT_EQ(client_verdict.error().code, Errc::auth_failed);
    }

    Pair pair;
    EXPECT_FALSE(pair.initiator.resume_hello(key, some_payload()));
  }
}

// The hello authenticates, but what it holds is no key to agree with: not a reason to fall back.
TEST(ResumeTest, RefusesADegenerateStaticKeyInsideAGoodHello) {
  for (const auto& key : degenerate_keys()) {
    SCOPED_TRACE(to_hex(key));
    Pair pair;
    const auto ephemeral = crypto::generate_key_pair(pair.random);
    SymmetricState state("Noise_IK_25519_AESGCM_SHA256");
    state.mix_hash(prologue(3));
    state.mix_hash(pair.server_static.public_key);
    state.mix_hash(ephemeral.public_key);
    state.mix_key(*crypto::agree(ephemeral.private_key, pair.server_static.public_key));
    Message message;
    auto& hello = *message.mutable_client_hello();
    hello.set_ephemeral(std::string(as_text(ephemeral.public_key)));
    hello.set_static_(std::string(as_text(state.encrypt_and_hash(key))));
    state.mix_key(ByteArray<32>{});
    hello.set_payload(std::string(as_text(state.encrypt_and_hash(some_payload()))));
    const auto verdict = pair.responder.on_client_hello(serialized(message), some_chain());
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::auth_failed);
  }
}

// Whoever recorded a hello can send it again: it is accepted, but the answer's keys are new, and
// the replayer, who has no private key of the client, has none of them.
TEST(ResumeTest, AReplayedHelloYieldsOtherKeys) {
  Pair first;
  const Bytes hello = resume_hello(first);
  const auto answer = first.responder.on_client_hello(hello, some_chain());
  SeededRandom random(43);
  Responder second(prologue(3), first.server_static, random);
  const auto replayed = second.on_client_hello(hello, some_chain());
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed->client->payload, some_payload());
  EXPECT_NE(replayed->server_hello, answer->server_hello);
  EXPECT_NE(second.split().client_to_server, first.responder.split().client_to_server);
  EXPECT_NE(second.split().server_to_client, first.responder.split().server_to_client);
  // The recorded traffic of the first connection is no use on the second.
  TransportCipher recorded(first.responder.split().client_to_server);
  Bytes frame;
  ASSERT_TRUE(recorded.seal_frame(hex("00f80102"), frame));
  TransportCipher opens(second.split().client_to_server);
  EXPECT_FALSE(opens.open(payload_of(frame)));
}

TEST(ResumeTest, AnAnswerToAnotherHelloIsRefused) {
  SeededRandom random(44);
  Pair keys;
  for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback}) {
    Initiator other(prologue(3), keys.client_static, random);
    ASSERT_TRUE(other.resume_hello(keys.server_static.public_key, some_payload()));
    EXPECT_FALSE(other.on_server_hello(good_answer(ik)));
  }
  // An XX client takes neither: IK's has no static, XXfallback's is under another name.
  for (const IkPolicy ik : {IkPolicy::accept, IkPolicy::fallback}) {
    Pair plain;
    plain.initiator.client_hello();
    EXPECT_FALSE(plain.initiator.on_server_hello(good_answer(ik)));
  }
}

TEST(ResumeTest, AnotherPrologueIsAFallbackThatFails) {
  Pair pair;
  Responder responder(prologue(2), pair.server_static, pair.random);
  const auto answer = responder.on_client_hello(resume_hello(pair), some_chain());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->pattern, Pattern::xx_fallback);
  EXPECT_FALSE(pair.initiator.on_server_hello(answer->server_hello));
}

TEST(ResumeDeathTest, CallsOutOfOrderAreOurBug) {
  EXPECT_DEATH(
      {
        Pair pair;
        pair.initiator.client_hello();
        (void)resume_hello(pair);
      },
      "step_");
  EXPECT_DEATH(
      {
        Pair pair;
        const auto answer = pair.responder.on_client_hello(resume_hello(pair), some_chain());
        WA_ASSERT(pair.initiator.on_server_hello(answer->server_hello));
        (void)pair.initiator.client_finish(some_payload());  // IK has none
      },
      "step_");
  EXPECT_DEATH(
      {
        Pair pair;
        (void)pair.responder.on_client_hello(resume_hello(pair), some_chain());
        (void)pair.responder.on_client_finish({});  // IK has none
      },
      "step_");
}

}  // namespace
}  // namespace wa::noise

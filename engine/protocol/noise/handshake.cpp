#include "engine/protocol/noise/handshake.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::noise {
namespace {

constexpr std::string_view kXx = "Noise_XX_25519_AESGCM_SHA256";
constexpr std::string_view kIk = "Noise_IK_25519_AESGCM_SHA256";
constexpr std::string_view kXxFallback = "Noise_XXfallback_25519_AESGCM_SHA256";

/// ClientHello.static in IK: a public key and its tag.
constexpr std::size_t kSealedKeyBytes = 32 + crypto::AesGcm::kTagBytes;

/// 8 zero bytes, then the counter.
crypto::AesGcm::Nonce nonce_of(std::uint32_t counter) {
  crypto::AesGcm::Nonce nonce{};
  const auto number = big_endian<4>(counter);
  std::copy(number.begin(), number.end(), nonce.end() - 4);
  return nonce;
}

ByteArray<32> initial_hash(std::string_view protocol_name) {
  if (protocol_name.size() > 32) return crypto::sha256(as_bytes(protocol_name));
  ByteArray<32> padded{};
  std::memcpy(padded.data(), protocol_name.data(), protocol_name.size());
  return padded;
}

/// 64 bytes from the chaining key: the two keys that mix_key and split make of them.
struct KeyHalves {
  ByteArray<32> first;
  ByteArray<32> second;
};

KeyHalves derive(ByteSpan ikm, ByteSpan chaining_key) {
  const auto okm = crypto::hkdf_sha256<64>(ikm, chaining_key, {});
  KeyHalves halves;
  std::copy_n(okm.begin(), 32, halves.first.begin());
  std::copy_n(okm.begin() + 32, 32, halves.second.begin());
  return halves;
}

Error malformed(std::string_view message, std::string_view why) {
  return Error{Errc::malformed, std::string(message) + ": " + std::string(why)};
}

Result<schema::HandshakeMessage> parse(ByteSpan message, std::string_view what) {
  schema::HandshakeMessage parsed;
  if (message.size() > limits::kMaxFrameBytes ||
      !parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return malformed(what, "not a HandshakeMessage");
  }
  return parsed;
}

void set(std::string& field, ByteSpan bytes) {
  field.assign(as_text(bytes));
}

/// A ClientHello or ServerHello. An empty `sealed_static` stays absent.
template <class Hello>
void fill(Hello& hello, const crypto::PublicKey& ephemeral, ByteSpan sealed_static,
          ByteSpan sealed_payload) {
  set(*hello.mutable_ephemeral(), ephemeral);
  if (!sealed_static.empty()) set(*hello.mutable_static_(), sealed_static);
  set(*hello.mutable_payload(), sealed_payload);
}

Bytes serialize(const schema::HandshakeMessage& message) {
  Bytes out(message.ByteSizeLong());
  WA_ASSERT(message.SerializeToArray(out.data(), static_cast<int>(out.size())));
  return out;
}

}  // namespace

Prologue prologue(std::uint8_t dictionary) {
  return {std::byte{'W'}, std::byte{'A'}, std::byte{6}, std::byte{dictionary}};
}

std::string_view to_string(Pattern pattern) {
  switch (pattern) {
    case Pattern::xx: return "XX";
    case Pattern::ik: return "IK";
    case Pattern::xx_fallback: return "XXfallback";
  }
  return "unknown";
}

SymmetricState::SymmetricState(std::string_view protocol_name)
    : hash_(initial_hash(protocol_name)), chaining_key_(hash_), key_(hash_), cipher_(key_) {}

void SymmetricState::mix_hash(ByteSpan data) {
  hash_ = crypto::sha256(hash_, data);
}

void SymmetricState::mix_key(ByteSpan dh_output) {
  const auto halves = derive(dh_output, chaining_key_);
  chaining_key_ = halves.first;
  key_ = halves.second;
  cipher_.rekey(key_);
  counter_ = 0;
}

Bytes SymmetricState::encrypt_and_hash(ByteSpan plaintext) {
  Bytes sealed;
  sealed.reserve(plaintext.size() + crypto::AesGcm::kTagBytes);
  cipher_.seal(nonce_of(counter_), hash_, plaintext, sealed);
  ++counter_;
  mix_hash(sealed);
  return sealed;
}

Result<Bytes> SymmetricState::decrypt_and_hash(ByteSpan sealed, std::string_view what) {
  if (sealed.size() < crypto::AesGcm::kTagBytes) {
    return malformed(what, std::to_string(sealed.size()) + " bytes are shorter than the tag");
  }
  Bytes plaintext;
  if (!cipher_.open(nonce_of(counter_), hash_, sealed, plaintext)) {
    return Error{Errc::auth_failed, std::string(what) + ": the tag does not match"};
  }
  ++counter_;
  mix_hash(sealed);
  return plaintext;
}

SymmetricState::Keys SymmetricState::split() const {
  const auto halves = derive({}, chaining_key_);
  return {halves.first, halves.second};
}

Result<void> TransportCipher::seal_frame(ByteSpan plaintext, Bytes& out) {
  if (counter_ > 0xffff'ffff) {
    return Error{Errc::too_large, "transport: the counter of 2^32 frames is used up"};
  }
  if (plaintext.size() > limits::kMaxFrameBytes - crypto::AesGcm::kTagBytes) {
    return Error{Errc::too_large, "transport: " + std::to_string(plaintext.size()) +
                                      " bytes do not fit into a frame"};
  }
  append(out, big_endian<3>(plaintext.size() + crypto::AesGcm::kTagBytes));
  cipher_.seal(nonce_of(static_cast<std::uint32_t>(counter_)), {}, plaintext, out);
  ++counter_;
  return {};
}

Result<Bytes> TransportCipher::open(ByteSpan payload) {
  if (counter_ > 0xffff'ffff) {
    return Error{Errc::too_large, "transport: the counter of 2^32 frames is used up"};
  }
  Bytes plaintext;
  WA_TRY_VOID(cipher_.open(nonce_of(static_cast<std::uint32_t>(counter_)), {}, payload, plaintext));
  ++counter_;
  return plaintext;
}

Initiator::Initiator(const Prologue& prologue, const crypto::KeyPair& static_key, Random& random)
    : prologue_(prologue),
      symmetric_(kXx),
      static_key_(static_key),
      ephemeral_(crypto::generate_key_pair(random)) {}

Bytes Initiator::client_hello() {
  WA_ASSERT(step_ == Step::start);
  step_ = Step::hello_sent;
  symmetric_.mix_hash(prologue_);
  symmetric_.mix_hash(ephemeral_.public_key);
  schema::HandshakeMessage message;
  set(*message.mutable_client_hello()->mutable_ephemeral(), ephemeral_.public_key);
  return serialize(message);
}

Result<Bytes> Initiator::resume_hello(const crypto::PublicKey& server_static, ByteSpan payload) {
  WA_ASSERT(step_ == Step::start);
  step_ = Step::failed;

  server_static_ = server_static;
  symmetric_ = SymmetricState(kIk);
  symmetric_.mix_hash(prologue_);
  symmetric_.mix_hash(server_static);
  symmetric_.mix_hash(ephemeral_.public_key);
  WA_TRY(const auto es, crypto::agree(ephemeral_.private_key, server_static));
  symmetric_.mix_key(es);
  const auto sealed_static = symmetric_.encrypt_and_hash(static_key_.public_key);
  WA_TRY(const auto ss, crypto::agree(static_key_.private_key, server_static));
  symmetric_.mix_key(ss);
  const auto sealed_payload = symmetric_.encrypt_and_hash(payload);

  schema::HandshakeMessage message;
  fill(*message.mutable_client_hello(), ephemeral_.public_key, sealed_static, sealed_payload);
  step_ = Step::resume_sent;
  return serialize(message);
}

Result<Initiator::ServerAnswer> Initiator::on_server_hello(ByteSpan message) {
  WA_ASSERT(step_ == Step::hello_sent || step_ == Step::resume_sent);
  const bool resuming = step_ == Step::resume_sent;
  step_ = Step::failed;  // until all of it is well

  WA_TRY(const auto parsed, parse(message, "ServerHello"));
  if (!parsed.has_server_hello()) return malformed("ServerHello", "missing");
  const auto& hello = parsed.server_hello();
  WA_TRY(server_ephemeral_,
         crypto::PublicKey::from(as_bytes(hello.ephemeral()), "ServerHello.ephemeral"));

  ServerAnswer answer;
  const bool resumed = resuming && !hello.has_static_();
  if (resuming && !resumed) {  // what IK mixed is thrown away; the ephemeral key stays
    answer.pattern = Pattern::xx_fallback;
    symmetric_ = SymmetricState(kXxFallback);
    symmetric_.mix_hash(prologue_);
    symmetric_.mix_hash(ephemeral_.public_key);
  }
  symmetric_.mix_hash(server_ephemeral_);
  WA_TRY(const auto ee, crypto::agree(ephemeral_.private_key, server_ephemeral_));
  symmetric_.mix_key(ee);
  if (resumed) {
    answer.pattern = Pattern::ik;
    answer.server_static = server_static_;
    WA_TRY(const auto se, crypto::agree(static_key_.private_key, server_ephemeral_));
    symmetric_.mix_key(se);
    WA_TRY(answer.certificate_chain,
           symmetric_.decrypt_and_hash(as_bytes(hello.payload()), "ServerHello.payload"));
    step_ = Step::finished;
    return answer;
  }
  WA_TRY(const auto static_bytes,
         symmetric_.decrypt_and_hash(as_bytes(hello.static_()), "ServerHello.static"));
  WA_TRY(answer.server_static, crypto::PublicKey::from(static_bytes, "ServerHello.static"));
  WA_TRY(const auto es, crypto::agree(ephemeral_.private_key, answer.server_static));
  symmetric_.mix_key(es);
  WA_TRY(answer.certificate_chain,
         symmetric_.decrypt_and_hash(as_bytes(hello.payload()), "ServerHello.payload"));

  step_ = Step::answered;
  return answer;
}

Result<Bytes> Initiator::client_finish(ByteSpan payload) {
  WA_ASSERT(step_ == Step::answered);
  step_ = Step::failed;

  const auto sealed_static = symmetric_.encrypt_and_hash(static_key_.public_key);
  WA_TRY(const auto se, crypto::agree(static_key_.private_key, server_ephemeral_));
  symmetric_.mix_key(se);
  const auto sealed_payload = symmetric_.encrypt_and_hash(payload);

  schema::HandshakeMessage message;
  set(*message.mutable_client_finish()->mutable_static_(), sealed_static);
  set(*message.mutable_client_finish()->mutable_payload(), sealed_payload);
  step_ = Step::finished;
  return serialize(message);
}

SymmetricState::Keys Initiator::split() const {
  WA_ASSERT(step_ == Step::finished);
  return symmetric_.split();
}

Responder::Responder(const Prologue& prologue, const crypto::KeyPair& static_key, Random& random,
                     IkPolicy ik)
    : ik_(ik),
      prologue_(prologue),
      symmetric_(kXx),
      static_key_(static_key),
      ephemeral_(crypto::generate_key_pair(random)) {}

Result<Responder::HelloAnswer> Responder::on_client_hello(ByteSpan message,
                                                          ByteSpan certificate_chain) {
  WA_ASSERT(step_ == Step::start);
  step_ = Step::failed;  // until all of it is well

  WA_TRY(const auto parsed, parse(message, "ClientHello"));
  if (!parsed.has_client_hello()) return malformed("ClientHello", "missing");
  const auto& hello = parsed.client_hello();
  WA_TRY(const auto client_ephemeral,
         crypto::PublicKey::from(as_bytes(hello.ephemeral()), "ClientHello.ephemeral"));

  HelloAnswer answer;
  if (!hello.has_static_() && !hello.has_payload()) {
    WA_TRY(answer.server_hello, answer_in_full(kXx, client_ephemeral, certificate_chain));
    step_ = Step::hello_answered;
    return answer;
  }

  if (!hello.has_static_()) return malformed("ClientHello", "a payload without a static key");
  if (!hello.has_payload()) return malformed("ClientHello", "a static key without a payload");
  if (hello.static_().size() != kSealedKeyBytes) {
    return malformed("ClientHello.static", std::to_string(hello.static_().size()) +
                                               " bytes, expected " +
                                               std::to_string(kSealedKeyBytes));
  }
  if (hello.payload().size() < crypto::AesGcm::kTagBytes) {
    return malformed("ClientHello.payload",
                     std::to_string(hello.payload().size()) + " bytes are shorter than the tag");
  }
  if (ik_ == IkPolicy::refuse) {
    return Error{Errc::unexpected_message, "ClientHello: of IK, which is refused here"};
  }
  WA_TRY(answer.client,
         read_resume(client_ephemeral, as_bytes(hello.static_()), as_bytes(hello.payload())));
  if (answer.client && ik_ == IkPolicy::accept) {
    answer.pattern = Pattern::ik;
    WA_TRY(answer.server_hello,
           answer_resume(client_ephemeral, answer.client->client_static, certificate_chain));
    step_ = Step::finished;
    return answer;
  }
  // Static key and payload are taken from the ClientFinish alone.
  answer.client.reset();
  answer.pattern = Pattern::xx_fallback;
  WA_TRY(answer.server_hello, answer_in_full(kXxFallback, client_ephemeral, certificate_chain));
  step_ = Step::hello_answered;
  return answer;
}

Result<std::optional<Responder::ClientAnswer>> Responder::read_resume(
    const crypto::PublicKey& client_ephemeral, ByteSpan sealed_static, ByteSpan sealed_payload) {
  symmetric_ = SymmetricState(kIk);
  symmetric_.mix_hash(prologue_);
  symmetric_.mix_hash(static_key_.public_key);
  symmetric_.mix_hash(client_ephemeral);
  WA_TRY(const auto es, crypto::agree(static_key_.private_key, client_ephemeral));
  symmetric_.mix_key(es);
  const auto static_bytes = symmetric_.decrypt_and_hash(sealed_static, "ClientHello.static");
  if (!static_bytes) return std::optional<ClientAnswer>();
  ClientAnswer client;
  WA_TRY(client.client_static, crypto::PublicKey::from(*static_bytes, "ClientHello.static"));
  WA_TRY(const auto ss, crypto::agree(static_key_.private_key, client.client_static));
  symmetric_.mix_key(ss);
  auto payload = symmetric_.decrypt_and_hash(sealed_payload, "ClientHello.payload");
  if (!payload) return std::optional<ClientAnswer>();
  client.payload = std::move(*payload);
  return std::optional<ClientAnswer>(std::move(client));
}

Result<Bytes> Responder::answer_resume(const crypto::PublicKey& client_ephemeral,
                                       const crypto::PublicKey& client_static,
                                       ByteSpan certificate_chain) {
  symmetric_.mix_hash(ephemeral_.public_key);
  WA_TRY(const auto ee, crypto::agree(ephemeral_.private_key, client_ephemeral));
  symmetric_.mix_key(ee);
  WA_TRY(const auto se, crypto::agree(ephemeral_.private_key, client_static));
  symmetric_.mix_key(se);
  const auto sealed_chain = symmetric_.encrypt_and_hash(certificate_chain);

  // The static field stays absent: an empty one would tell the client that this is XXfallback.
  schema::HandshakeMessage answer;
  fill(*answer.mutable_server_hello(), ephemeral_.public_key, {}, sealed_chain);
  return serialize(answer);
}

Result<Bytes> Responder::answer_in_full(std::string_view protocol_name,
                                        const crypto::PublicKey& client_ephemeral,
                                        ByteSpan certificate_chain) {
  symmetric_ = SymmetricState(protocol_name);
  symmetric_.mix_hash(prologue_);
  symmetric_.mix_hash(client_ephemeral);
  symmetric_.mix_hash(ephemeral_.public_key);
  WA_TRY(const auto ee, crypto::agree(ephemeral_.private_key, client_ephemeral));
  symmetric_.mix_key(ee);
  const auto sealed_static = symmetric_.encrypt_and_hash(static_key_.public_key);
  WA_TRY(const auto es, crypto::agree(static_key_.private_key, client_ephemeral));
  symmetric_.mix_key(es);
  const auto sealed_chain = symmetric_.encrypt_and_hash(certificate_chain);

  schema::HandshakeMessage answer;
  fill(*answer.mutable_server_hello(), ephemeral_.public_key, sealed_static, sealed_chain);
  return serialize(answer);
}

Result<Responder::ClientAnswer> Responder::on_client_finish(ByteSpan message) {
  WA_ASSERT(step_ == Step::hello_answered);
  step_ = Step::failed;

  WA_TRY(const auto parsed, parse(message, "ClientFinish"));
  if (!parsed.has_client_finish()) return malformed("ClientFinish", "missing");
  const auto& finish = parsed.client_finish();
  WA_TRY(const auto static_bytes,
         symmetric_.decrypt_and_hash(as_bytes(finish.static_()), "ClientFinish.static"));
  ClientAnswer answer;
  WA_TRY(answer.client_static, crypto::PublicKey::from(static_bytes, "ClientFinish.static"));
  WA_TRY(const auto se, crypto::agree(ephemeral_.private_key, answer.client_static));
  symmetric_.mix_key(se);
  WA_TRY(answer.payload,
         symmetric_.decrypt_and_hash(as_bytes(finish.payload()), "ClientFinish.payload"));

  step_ = Step::finished;
  return answer;
}

SymmetricState::Keys Responder::split() const {
  WA_ASSERT(step_ == Step::finished);
  return symmetric_.split();
}

}  // namespace wa::noise

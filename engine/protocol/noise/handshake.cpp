#include "engine/protocol/noise/handshake.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::noise {
namespace {

constexpr std::string_view kPattern = "Noise_XX_25519_AESGCM_SHA256";

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

Bytes serialize(const schema::HandshakeMessage& message) {
  Bytes out(message.ByteSizeLong());
  WA_ASSERT(message.SerializeToArray(out.data(), static_cast<int>(out.size())));
  return out;
}

}  // namespace

Prologue prologue(std::uint8_t dictionary) {
  return {std::byte{'W'}, std::byte{'A'}, std::byte{6}, std::byte{dictionary}};
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
    : symmetric_(kPattern), static_key_(static_key), ephemeral_(crypto::generate_key_pair(random)) {
  symmetric_.mix_hash(prologue);
}

Bytes Initiator::client_hello() {
  WA_ASSERT(step_ == Step::start);
  step_ = Step::hello_sent;
  symmetric_.mix_hash(ephemeral_.public_key);
  schema::HandshakeMessage message;
  set(*message.mutable_client_hello()->mutable_ephemeral(), ephemeral_.public_key);
  return serialize(message);
}

Result<Initiator::ServerAnswer> Initiator::on_server_hello(ByteSpan message) {
  WA_ASSERT(step_ == Step::hello_sent);
  step_ = Step::failed;  // until all of it is well

  WA_TRY(const auto parsed, parse(message, "ServerHello"));
  if (!parsed.has_server_hello()) return malformed("ServerHello", "missing");
  const auto& hello = parsed.server_hello();
  WA_TRY(server_ephemeral_,
         crypto::PublicKey::from(as_bytes(hello.ephemeral()), "ServerHello.ephemeral"));

  symmetric_.mix_hash(server_ephemeral_);
  WA_TRY(const auto ee, crypto::agree(ephemeral_.private_key, server_ephemeral_));
  symmetric_.mix_key(ee);
  WA_TRY(const auto static_bytes,
         symmetric_.decrypt_and_hash(as_bytes(hello.static_()), "ServerHello.static"));
  ServerAnswer answer;
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

Responder::Responder(const Prologue& prologue, const crypto::KeyPair& static_key, Random& random)
    : symmetric_(kPattern), static_key_(static_key), ephemeral_(crypto::generate_key_pair(random)) {
  symmetric_.mix_hash(prologue);
}

Result<Bytes> Responder::on_client_hello(ByteSpan message, ByteSpan certificate_chain) {
  WA_ASSERT(step_ == Step::start);
  step_ = Step::failed;  // until all of it is well

  WA_TRY(const auto parsed, parse(message, "ClientHello"));
  if (!parsed.has_client_hello()) return malformed("ClientHello", "missing");
  const auto& hello = parsed.client_hello();
  // With these it is an IK hello. An XX answer could not be read by the client that sent it.
  if (hello.has_static_() || hello.has_payload()) {
    return malformed("ClientHello", "static key or payload present, which XX does not have");
  }
  WA_TRY(const auto client_ephemeral,
         crypto::PublicKey::from(as_bytes(hello.ephemeral()), "ClientHello.ephemeral"));

  symmetric_.mix_hash(client_ephemeral);
  symmetric_.mix_hash(ephemeral_.public_key);
  WA_TRY(const auto ee, crypto::agree(ephemeral_.private_key, client_ephemeral));
  symmetric_.mix_key(ee);
  const auto sealed_static = symmetric_.encrypt_and_hash(static_key_.public_key);
  WA_TRY(const auto es, crypto::agree(static_key_.private_key, client_ephemeral));
  symmetric_.mix_key(es);
  const auto sealed_chain = symmetric_.encrypt_and_hash(certificate_chain);

  schema::HandshakeMessage answer;
  auto& server_hello = *answer.mutable_server_hello();
  set(*server_hello.mutable_ephemeral(), ephemeral_.public_key);
  set(*server_hello.mutable_static_(), sealed_static);
  set(*server_hello.mutable_payload(), sealed_chain);
  step_ = Step::hello_answered;
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

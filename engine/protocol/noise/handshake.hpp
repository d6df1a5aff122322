#pragma once

#include <optional>
#include <string_view>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/keys.hpp"

/// The Noise handshakes of WhatsApp's transport, both roles: XX, and the resumption IK with its
/// way out, XXfallback. All are 25519, AESGCM, SHA256.
///
///     initiator                       responder
///     client_hello()      ────────▶   on_client_hello() → ServerHello                          XX
///     on_server_hello()   ◀────────
///     client_finish()     ────────▶   on_client_finish() → client static key, payload
///     split()                         split()
///
///     resume_hello()      ────────▶   on_client_hello() → client static key, payload,          IK
///     on_server_hello()   ◀────────                       ServerHello
///     split()                         split()
///
///     resume_hello()      ────────▶   on_client_hello() → ServerHello with a static    XXfallback
///     on_server_hello()   ◀────────
///     client_finish()     ────────▶   on_client_finish() → client static key, payload
///     split()                         split()
///
/// The responder tells XX from IK, the initiator IK from XXfallback, by which fields are present.
/// Messages here are serialized HandshakeMessage protobufs, without the 3-byte length. A call out
/// of order is a bug of ours (asserts); whatever the peer sends is a Result.
///
/// Source: docs/protocol/transport.md, "Noise XX" and "Noise IK and XXfallback" (vectors:
/// tests/vectors/noise-{handshake,ik,xxfallback,transcripts}.json).
namespace wa::noise {

/// What the client sends before its first frame: 'W' 'A' 6 dictionary. Hashed as the prologue.
using Prologue = ByteArray<4>;
Prologue prologue(std::uint8_t dictionary);

/// CipherState, HashState and chaining key of the handshake. Public so that vectors can check each
/// step; use the roles below.
class SymmetricState {
 public:
  /// A name of at most 32 bytes is padded with zeros, a longer one is hashed.
  explicit SymmetricState(std::string_view protocol_name);

  void mix_hash(ByteSpan data);
  void mix_key(ByteSpan dh_output);
  Bytes encrypt_and_hash(ByteSpan plaintext);
  /// Errors: `malformed` (shorter than a tag), `auth_failed`; `what` names the field. The state is
  /// then as before.
  Result<Bytes> decrypt_and_hash(ByteSpan sealed, std::string_view what);

  /// Transport keys.
  struct Keys {
    ByteArray<32> client_to_server;
    ByteArray<32> server_to_client;
  };
  Keys split() const;

  const ByteArray<32>& hash() const { return hash_; }
  const ByteArray<32>& chaining_key() const { return chaining_key_; }
  const ByteArray<32>& key() const { return key_; }
  /// Messages encrypted or decrypted under the present key.
  std::uint32_t counter() const { return counter_; }

 private:
  ByteArray<32> hash_;
  ByteArray<32> chaining_key_;
  ByteArray<32> key_;
  crypto::AesGcm cipher_;
  std::uint32_t counter_ = 0;
};

/// One direction of the transport after the handshake: AES-256-GCM, empty associated data, nonce =
/// 8 zero bytes and a 32-bit big-endian counter that grows by one per frame.
class TransportCipher {
 public:
  /// `first_counter` is 0 on every connection; other values are for test vectors.
  explicit TransportCipher(const ByteArray<32>& key, std::uint64_t first_counter = 0)
      : cipher_(key), counter_(first_counter) {}

  /// The frame with its 3-byte length, appended to `out`. The counter has room for 2^32 frames;
  /// errors: `too_large` when it is used up or the frame would exceed 2^24 - 1 bytes.
  Result<void> seal_frame(ByteSpan plaintext, Bytes& out);

  /// The plaintext of a frame's payload. Errors: `truncated`, `auth_failed`, `too_large` when the
  /// counter is used up. It advances only on success, but an error is final: drop the connection.
  Result<Bytes> open(ByteSpan payload);

  /// Frames sealed or opened so far: the counter of the next one.
  std::uint64_t counter() const { return counter_; }

 private:
  crypto::AesGcm cipher_;
  std::uint64_t counter_;
};

/// Which handshake both sides ended up in.
enum class Pattern { xx, ik, xx_fallback };
std::string_view to_string(Pattern pattern);  ///< XX, IK, XXfallback

class Initiator {
 public:
  Initiator(const Prologue& prologue, const crypto::KeyPair& static_key, Random& random);

  /// Begins XX.
  Bytes client_hello();
  /// Begins IK with a server whose static key is known: the hello carries the payload, which
  /// anybody who records it can send again (but never read the answer).
  /// Errors: `auth_failed` (degenerate server key).
  Result<Bytes> resume_hello(const crypto::PublicKey& server_static, ByteSpan payload);

  struct ServerAnswer {
    Pattern pattern = Pattern::xx;  ///< with ik the handshake is over: no client_finish()
    crypto::PublicKey server_static;
    Bytes certificate_chain;  ///< serialized CertChain, not yet verified; after ik maybe empty
  };
  /// Errors: `malformed`, `auth_failed`. After an error the handshake is over.
  Result<ServerAnswer> on_server_hello(ByteSpan message);

  /// ClientFinish around the client payload: of XX, and of XXfallback, where it is that of
  /// resume_hello(). Errors: `auth_failed` (degenerate server key).
  Result<Bytes> client_finish(ByteSpan payload);

  /// The transport keys, after client_finish() or an answer in IK.
  SymmetricState::Keys split() const;

 private:
  enum class Step { start, hello_sent, resume_sent, answered, finished, failed };

  Step step_ = Step::start;
  Prologue prologue_;
  SymmetricState symmetric_;
  crypto::KeyPair static_key_;
  crypto::KeyPair ephemeral_;
  crypto::PublicKey server_static_;  ///< of resume_hello()
  crypto::PublicKey server_ephemeral_;
};

/// What a responder does with an IK hello that it can read. One that does not authenticate is
/// always answered with XXfallback, unless refused.
enum class IkPolicy { accept, fallback, refuse };

class Responder {
 public:
  Responder(const Prologue& prologue, const crypto::KeyPair& static_key, Random& random,
            IkPolicy ik = IkPolicy::accept);

  struct ClientAnswer {
    crypto::PublicKey client_static;
    Bytes payload;  ///< serialized ClientPayload
  };
  struct HelloAnswer {
    Pattern pattern = Pattern::xx;
    /// ServerHello with the certificate chain. In IK it must be alone in its WebSocket message: a
    /// known client drops what follows it there.
    Bytes server_hello;
    std::optional<ClientAnswer> client;  ///< after ik: the handshake is over
  };
  /// Errors: `malformed` (the fields are those of neither XX nor IK, or have wrong lengths),
  /// `auth_failed` (all-zero agreement), `unexpected_message` (an IK hello that is refused).
  Result<HelloAnswer> on_client_hello(ByteSpan message, ByteSpan certificate_chain);

  /// Errors: `malformed`, `auth_failed`.
  Result<ClientAnswer> on_client_finish(ByteSpan message);

  /// The transport keys, after on_client_finish() or an answer in IK.
  SymmetricState::Keys split() const;

 private:
  enum class Step { start, hello_answered, finished, failed };

  /// The IK hello's contents, or an empty optional when it does not authenticate.
  Result<std::optional<ClientAnswer>> read_resume(const crypto::PublicKey& client_ephemeral,
                                                  ByteSpan sealed_static, ByteSpan sealed_payload);
  Result<Bytes> answer_resume(const crypto::PublicKey& client_ephemeral,
                              const crypto::PublicKey& client_static, ByteSpan certificate_chain);
  /// The answer of XX and, under another name, of XXfallback.
  Result<Bytes> answer_in_full(std::string_view protocol_name,
                               const crypto::PublicKey& client_ephemeral,
                               ByteSpan certificate_chain);

  Step step_ = Step::start;
  IkPolicy ik_;
  Prologue prologue_;
  SymmetricState symmetric_;
  crypto::KeyPair static_key_;
  crypto::KeyPair ephemeral_;
};

}  // namespace wa::noise

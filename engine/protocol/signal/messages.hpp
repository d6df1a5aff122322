#pragma once

#include <optional>

#include "engine/base/bytes.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/crypto/secret.hpp"
#include "engine/protocol/signal/failure.hpp"

/// The four things that travel inside `<enc>`: parsed from bytes, and written to bytes.
///
/// A parsed message views the bytes that it was parsed from, which must outlive it. What a code or
/// a signature covers is kept as the slice that arrived, never encoded anew. Unknown fields are
/// skipped, of a repeated field the last one counts, an absent number is 0.
///
/// Source: docs/protocol/signal.md, "Messages".
namespace wa::signal {

/// A public key as Signal's protobufs carry it: the type byte 05, then the 32 bytes.
ByteArray<33> typed(const crypto::PublicKey& key);

/// 33 bytes that begin with 05, or 32 without; the top bit is clear. Errors: `invalid_key`; `what`
/// names the field.
Outcome<crypto::PublicKey> read_key(ByteSpan bytes, std::string_view what);

/// What `<enc type="msg">` carries: 33 | protobuf | 8 bytes of HMAC.
struct SignalMessage {
  static constexpr std::size_t kMacBytes = 8;

  crypto::PublicKey ratchet_key;
  std::uint32_t counter = 0;           ///< of the message in its chain, below 2^32 - 1
  std::uint32_t previous_counter = 0;  ///< of the last message in the sender's chain before
  ByteSpan ciphertext;                 ///< not empty
  ByteSpan covered;                    ///< what the MAC covers: version byte and protobuf
  ByteSpan mac;                        ///< 8 bytes

  /// Errors: `bad_version`, `malformed`, `invalid_key`.
  static Outcome<SignalMessage> parse(ByteSpan bytes);

  /// Version byte and protobuf, without the MAC.
  static Bytes serialize_covered(const crypto::PublicKey& ratchet_key, std::uint32_t counter,
                                 std::uint32_t previous_counter, ByteSpan ciphertext);
};

/// What `<enc type="pkmsg">` carries: 33 | protobuf, in which a whole SignalMessage lies.
struct PreKeySignalMessage {
  std::uint32_t registration_id = 0;
  std::optional<std::uint32_t> pre_key_id;
  std::uint32_t signed_pre_key_id = 0;
  crypto::PublicKey base_key;
  crypto::PublicKey identity_key;
  ByteSpan message_bytes;  ///< the inner message as it arrived
  SignalMessage message;   ///< the same, parsed

  /// Errors: `bad_version` (of either message), `malformed`, `invalid_key`.
  static Outcome<PreKeySignalMessage> parse(ByteSpan bytes);

  /// From all fields but `message`.
  Bytes serialize() const;
};

/// What `<enc type="skmsg">` carries: 33 | protobuf | 64 bytes of signature.
struct SenderKeyMessage {
  std::uint32_t id = 0;         ///< of the sender key
  std::uint32_t iteration = 0;  ///< below 2^32 - 1
  ByteSpan ciphertext;          ///< not empty
  ByteSpan covered;             ///< what the signature covers
  ByteSpan signature;           ///< 64 bytes

  /// Errors: `bad_version`, `malformed`.
  static Outcome<SenderKeyMessage> parse(ByteSpan bytes);

  /// Version byte and protobuf, without the signature.
  static Bytes serialize_covered(std::uint32_t id, std::uint32_t iteration, ByteSpan ciphertext);
};

/// How a member of a group learns another's sender key: 33 | protobuf, inside a pairwise message.
struct SenderKeyDistribution {
  std::uint32_t id = 0;
  std::uint32_t iteration = 0;  ///< of the first message that the chain key reads, below 2^32 - 1
  crypto::Secret<32> chain_key;
  crypto::PublicKey signing_key;

  /// Errors: `bad_version`, `malformed`, `invalid_key`.
  static Outcome<SenderKeyDistribution> parse(ByteSpan bytes);

  Bytes serialize() const;
};

}  // namespace wa::signal

#pragma once

#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/random.hpp"

/// X25519 keys and agreement, and the signatures made with them.
namespace wa::crypto {

/// A Curve25519 public key: 32 bytes, the little-endian u coordinate, without Signal's type byte.
struct PublicKey {
  ByteArray<32> bytes{};
  bool operator==(const PublicKey&) const = default;
  operator ByteSpan() const { return bytes; }
  /// From exactly 32 bytes. Errors: `malformed`; `what` names the field.
  static Result<PublicKey> from(ByteSpan bytes, std::string_view what);
};

/// A clamped Curve25519 scalar, 32 bytes. Wiped when it dies.
struct PrivateKey {
  ByteArray<32> bytes{};
  PrivateKey() = default;
  explicit PrivateKey(const ByteArray<32>& raw) : bytes(raw) {}
  PrivateKey(const PrivateKey&) = default;
  PrivateKey& operator=(const PrivateKey&) = default;
  ~PrivateKey();
  bool operator==(const PrivateKey&) const = default;
  static Result<PrivateKey> from(ByteSpan bytes, std::string_view what);
};

struct KeyPair {
  PrivateKey private_key;
  PublicKey public_key;
  bool operator==(const KeyPair&) const = default;
};

using SharedSecret = ByteArray<32>;
using Signature = ByteArray<64>;

/// The public key of a scalar (which is clamped first).
PublicKey public_key_of(const PrivateKey& private_key);

KeyPair generate_key_pair(Random& random);
/// The private half of what generate_key_pair gives: the same draws, and the public key can wait.
PrivateKey generate_private_key(Random& random);

/// `count` key pairs for little more than `count` fixed-base multiplications: Edwards points with
/// one batched inversion for all. The keys are those that `count` calls of generate_key_pair give.
std::vector<KeyPair> generate_key_pairs(std::size_t count, Random& random);

/// X25519. Errors: `auth_failed` when the result is all zero (a public key of small order).
Result<SharedSecret> agree(const PrivateKey& mine, const PublicKey& theirs);

/// XEdDSA as libsignal computes it: the sign bit of the Edwards key travels in the top bit of the
/// last byte. Draws 64 random bytes. Source: docs/protocol/transport.md, "XEdDSA".
Signature sign(const KeyPair& key, ByteSpan message, Random& random);

/// Errors: `auth_failed`. `what` names the signature for the message, e.g. "leaf certificate".
Result<void> verify(const PublicKey& key, ByteSpan message, ByteSpan signature,
                    std::string_view what);

}  // namespace wa::crypto

#pragma once

#include <string>
#include <string_view>

#include "engine/base/random.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/pairing/device_identity.hpp"

/// Linking with a phone number: companion and phone agree on keys by way of eight characters that a
/// person types. The code protects one X25519 key in each direction; what they agree on carries the
/// identity keys and yields the ADV secret, as if the phone had read it from a QR.
///
///     companion                                    phone
///     code ── shown, typed ──────────────────────▶ code
///     wrap_ephemeral ── companion_hello ─────────▶ unwrap_ephemeral
///     unwrap_ephemeral ◀── primary_hello ───────── wrap_ephemeral
///     finish_link ── companion_finish ───────────▶ accept_link
///       → ADV secret                                 → the same ADV secret
///
/// Nobody learns from an unwrapped key that the code was wrong: accept_link does.
///
/// Source: docs/protocol/pairing.md, "Pairing code" (vectors: tests/vectors/pairing-code.json).
namespace wa::pairing {

inline constexpr std::size_t kPairingCodeChars = 8;

/// Eight characters of 123456789ABCDEFGHJKLMNPQRSTVWXYZ for 5 bytes, 5 bits each, high bits first.
std::string pairing_code(const ByteArray<5>& raw);
/// "ABCD-1234", as it is shown to people. The dash is no part of the secret.
std::string print_pairing_code(std::string_view code);
/// What a person typed: in either case, with dashes and spaces. Errors: `usage`.
Result<std::string> parse_pairing_code(std::string_view typed);

/// The digits of a phone number with its country code, however people write it: "+1 (555) 010-0001"
/// → "15550100001". Errors: `usage` unless 5 to 15 digits remain, the first not 0.
Result<std::string> parse_phone_number(std::string_view written);

using CodeSalt = ByteArray<32>;
/// What the code and a salt become.
using LinkKey = ByteArray<32>;
/// PBKDF2 with 131,072 rounds: tens of milliseconds, hence never inside a step.
LinkKey derive_link_key(std::string_view code, const CodeSalt& salt);

/// An ephemeral public key under a link key: 80 bytes, salt ‖ IV ‖ AES-256-CTR of the key.
struct WrappedEphemeral {
  static constexpr std::size_t kBytes = 80;
  CodeSalt salt{};  ///< of the link key
  ByteArray<16> iv{};
  ByteArray<32> sealed{};
  bool operator==(const WrappedEphemeral&) const = default;

  Bytes encode() const;
  /// Errors: `malformed` unless there are exactly 80 bytes.
  static Result<WrappedEphemeral> parse(ByteSpan bytes);
};

/// `link_key` is derived from `salt`. Draws the IV.
WrappedEphemeral wrap_ephemeral(const crypto::PublicKey& ephemeral, const LinkKey& link_key,
                                const CodeSalt& salt, Random& random);
/// With the wrong link key: some other key.
crypto::PublicKey unwrap_ephemeral(const WrappedEphemeral& wrapped, const LinkKey& link_key);

/// What the companion makes of the phone's hello.
struct FinishedLink {
  /// 156 bytes: salt (32) ‖ IV (12) ‖ AES-256-GCM of both identity keys and 32 random bytes.
  Bytes wrapped_bundle;
  AdvSecret adv_secret{};  ///< pair-success is bound to it
};
/// Errors: `auth_failed` for a key of small order, with which everybody agrees on the same secret.
Result<FinishedLink> finish_link(const crypto::KeyPair& companion_ephemeral,
                                 const crypto::KeyPair& companion_identity,
                                 const crypto::PublicKey& primary_ephemeral,
                                 const crypto::PublicKey& primary_identity, Random& random);

/// The phone's side: opens the bundle and checks the identities in it.
/// Errors: `malformed` (size); `auth_failed`: another code, other identities, a key of small order.
Result<AdvSecret> accept_link(const crypto::KeyPair& primary_ephemeral,
                              const crypto::KeyPair& primary_identity,
                              const crypto::PublicKey& companion_ephemeral,
                              const crypto::PublicKey& companion_identity, ByteSpan wrapped_bundle);

/// The name that a companion gives itself, "Chrome (Ubuntu)". Servers refuse what they do not know,
/// so an operating system that is none of the usual ones is called Linux.
std::string companion_display(std::string_view os);

}  // namespace wa::pairing

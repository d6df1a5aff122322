#pragma once

#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/crypto/keys.hpp"

/// ADV device identities: how a phone vouches for a companion and the companion countersigns.
/// Source: docs/protocol/pairing.md, "Device identity" (vectors: tests/vectors/adv-pairing.json).
namespace wa::pairing {

using AdvSecret = ByteArray<32>;

/// What the phone decides about a new companion.
struct DeviceIdentitySpec {
  std::uint32_t raw_id = 0;     ///< of the account
  std::uint64_t timestamp = 0;  ///< unix seconds
  std::uint32_t key_index = 0;  ///< at least 1, grows with each companion of the account
};

/// The phone's side: the serialized ADVSignedDeviceIdentityHMAC of `pair-success`.
Bytes issue_device_identity(const DeviceIdentitySpec& spec, const crypto::KeyPair& account,
                            const crypto::PublicKey& companion_identity,
                            const AdvSecret& adv_secret, Random& random);

/// Which companions of an account are valid, as others are told with its device list.
struct KeyIndexListSpec {
  std::uint32_t raw_id = 0;     ///< of the account
  std::uint64_t timestamp = 0;  ///< unix seconds
  /// Key indexes of the companions that are linked, and the largest that was ever given out.
  std::vector<std::uint32_t> valid_indexes;
  std::uint32_t current_index = 0;
};

/// The phone's side: the serialized ADVSignedKeyIndexList. The phone itself, index 0, is valid too.
Bytes issue_key_index_list(const KeyIndexListSpec& spec, const crypto::KeyPair& account,
                           Random& random);

/// Another client's side. Errors: `malformed`, `auth_failed`.
Result<KeyIndexListSpec> read_key_index_list(ByteSpan list, const crypto::PublicKey& account);

/// What the companion learns from `pair-success`, and its answer.
struct AcceptedIdentity {
  std::uint32_t key_index = 0;
  crypto::PublicKey account_key;
  ByteArray<64> account_signature{};
  Bytes signed_identity;  ///< complete ADVSignedDeviceIdentity, to be stored
  Bytes reply;            ///< the same without the account key, for pair-device-sign
};

/// The companion's side: checks HMAC and account signature, and signs.
/// Errors: `malformed`; `auth_failed` with detail "hmac…" or "account signature…".
Result<AcceptedIdentity> accept_device_identity(ByteSpan container,
                                                const crypto::KeyPair& companion_identity,
                                                const AdvSecret& adv_secret, Random& random);

/// The phone checks the reply against the container it issued. Errors: `malformed`, `auth_failed`.
Result<void> verify_device_signature(ByteSpan reply, ByteSpan issued_container,
                                     const crypto::PublicKey& companion_identity);

}  // namespace wa::pairing

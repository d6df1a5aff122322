#pragma once

#include <optional>

#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/signal/failure.hpp"

namespace wa::signal {

/// What the server hands out so that a session with a device can begin. Keys have 32 bytes here, as
/// in stanzas.
struct PreKeyBundle {
  struct OneTime {
    std::uint32_t id = 0;
    crypto::PublicKey key;
    bool operator==(const OneTime&) const = default;
  };
  std::uint32_t registration_id = 0;
  crypto::PublicKey identity;
  std::uint32_t signed_pre_key_id = 0;
  crypto::PublicKey signed_pre_key;
  crypto::Signature signed_pre_key_signature{};
  std::optional<OneTime> one_time;  ///< absent when the server has none left
  bool operator==(const PreKeyBundle&) const = default;
};

/// Checks that the identity signed the signed pre-key (05 and its 32 bytes). Errors:
/// `bad_signature`.
Outcome<void> verify(const PreKeyBundle& bundle);

/// The signature that `verify` wants.
crypto::Signature sign_pre_key(const crypto::KeyPair& identity,
                               const crypto::PublicKey& signed_pre_key, Random& random);

}  // namespace wa::signal

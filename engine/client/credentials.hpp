#pragma once

#include <optional>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/jid.hpp"

namespace wa::client {

/// The largest pre-key id that fits into its 3 bytes.
inline constexpr std::uint32_t kLargestPreKeyId = 0xffffff;

/// The user part of a JID as the number that a login payload wants. Errors: `malformed`.
Result<std::uint64_t> login_username(const wire::Jid& jid);

/// What pairing earned.
struct Account {
  wire::Jid jid;  ///< with the device number
  wire::Jid lid;
  crypto::PublicKey account_key;
  ByteArray<64> account_signature{};
  Bytes signed_identity;  ///< ADVSignedDeviceIdentity
  std::string platform;   ///< of the phone
  std::string push_name;
  bool logged_in = false;  ///< a login with it has succeeded
  bool operator==(const Account&) const = default;
};

/// A signed pre-key that another one has replaced. Peers may still use it.
struct RetiredPreKey {
  pairing::SignedPreKey key;
  UnixMillis at;
  bool operator==(const RetiredPreKey&) const = default;
};

pairing::SignedPreKey make_signed_pre_key(const crypto::KeyPair& identity, std::uint32_t id,
                                          Random& random);

/// The long-lived record of a session. The keys of one pairing attempt never change, but for the
/// signed pre-key; a new attempt has new keys and a higher `attempt_id`.
struct Credentials {
  std::uint32_t attempt_id = 0;
  crypto::KeyPair noise;
  crypto::KeyPair identity;
  pairing::SignedPreKey signed_pre_key;
  std::uint32_t registration_id = 0;
  ByteArray<32> adv_secret{};
  std::uint32_t next_pre_key_id = 1;      ///< of the next key to be made
  std::uint32_t uploaded_pre_key_id = 0;  ///< the last id the server has acknowledged
  /// First and last id of an upload that the server has not acknowledged; it is offered again
  /// before anything new. 0: there is none.
  std::uint32_t offered_from = 0;
  std::uint32_t offered_to = 0;
  bool pre_keys_owed = false;  ///< the server has said that it has few
  /// When the signed pre-key came into use; empty until the first login.
  std::optional<UnixMillis> signed_pre_key_at;
  /// Its successor, as long as the server has not confirmed that it has it.
  std::optional<pairing::SignedPreKey> next_signed_pre_key;
  std::vector<RetiredPreKey> retired_signed_pre_keys;  ///< oldest first
  Bytes routing_info;              ///< edge routing of the last login; may be empty
  std::optional<Account> account;  ///< empty until pair-success
  bool operator==(const Credentials&) const = default;

  static Credentials generate(std::uint32_t attempt_id, Random& random);

  /// The first of so many consecutive ids that no key has now. Behind the largest it begins anew:
  /// who had the first ones has long used them.
  std::uint32_t take_pre_key_ids(std::uint32_t count);

  /// The stored record (kind "credentials", key "self"). Errors of decode: `malformed`.
  Bytes encode() const;
  static Result<Credentials> decode(ByteSpan record);

  /// Hex SHA-256 over noise public ‖ identity public ‖ registration id (4 bytes) ‖ ADV secret ‖
  /// device JID ‖ LID ‖ account signature; empty while unpaired.
  std::string fingerprint() const;
};

}  // namespace wa::client

#pragma once

#include <cstdint>
#include <span>

#include "engine/client/actions.hpp"
#include "engine/protocol/crypto/keys.hpp"

/// Names and contents of what a session stores. Stores know kinds, keys and bytes only.
namespace wa::client {

inline constexpr std::string_view kCredentialsKind = "credentials";
inline constexpr std::string_view kCredentialsKey = "self";
/// One record per one-time pre-key; the key is its id in decimal.
inline constexpr std::string_view kPreKeyKind = "pre_key";

/// What made a commit (Commit::point), in the order of a device's life. Tests hold and kill
/// processes at these words, so they are stable.
inline constexpr std::string_view kPointKeys = "keys";          ///< a pairing attempt has begun
inline constexpr std::string_view kPointSecret = "secret";      ///< its ADV secret was renewed
inline constexpr std::string_view kPointPaired = "paired";      ///< before the phone is told
inline constexpr std::string_view kPointLogin = "login";        ///< the first login succeeded
inline constexpr std::string_view kPointRouting = "routing";    ///< the server's routing info
inline constexpr std::string_view kPointPreKeys = "pre_keys";   ///< made, before their upload
inline constexpr std::string_view kPointUploaded = "uploaded";  ///< the server has them
inline constexpr std::string_view kPointErased = "erased";      ///< the account is gone

/// The private halves of consecutive one-time pre-keys, one Put each, appended to `changes`.
void put_pre_keys(std::uint32_t first_id, std::span<const crypto::KeyPair> keys,
                  std::vector<Change>& changes);

/// Everything that belongs to an account, gone.
std::vector<Change> erase_account();

}  // namespace wa::client

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

/// The private halves of consecutive one-time pre-keys, one Put each, appended to `changes`.
void put_pre_keys(std::uint32_t first_id, std::span<const crypto::KeyPair> keys,
                  std::vector<Change>& changes);

/// Everything that belongs to an account, gone.
std::vector<Change> erase_account();

}  // namespace wa::client

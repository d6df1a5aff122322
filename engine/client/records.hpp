#pragma once

#include <cstdint>
#include <span>

#include "engine/base/limits.hpp"
#include "engine/client/actions.hpp"
#include "engine/messaging/kinds.hpp"
#include "engine/protocol/crypto/keys.hpp"

/// Names and contents of what a session stores. Stores know kinds, keys and bytes only.
namespace wa::client {

inline constexpr std::string_view kCredentialsKind = "credentials";
inline constexpr std::string_view kCredentialsKey = "self";
/// One record per one-time pre-key; the key is its id in decimal.
using messaging::kPreKeyKind;

/// The end of the last account, when it was final; key "self".
inline constexpr std::string_view kLastCloseKind = "last_close";
/// Credentials that a server has declared dead, kept as evidence; the key is the attempt's id.
inline constexpr std::string_view kQuarantineKind = "quarantine";
/// Companions that the server still has to be told to remove; the key is the attempt's id.
inline constexpr std::string_view kTombstoneKind = "tombstone";

/// What made a commit (Commit::point), in the order of a device's life. Tests hold and kill
/// processes at these words, so they are stable.
inline constexpr std::string_view kPointKeys = "keys";          ///< a pairing attempt has begun
inline constexpr std::string_view kPointSecret = "secret";      ///< its ADV secret was renewed
inline constexpr std::string_view kPointPaired = "paired";      ///< before the phone is told
inline constexpr std::string_view kPointLogin = "login";        ///< the first login succeeded
inline constexpr std::string_view kPointRouting = "routing";    ///< the server's routing info
inline constexpr std::string_view kPointPreKeys = "pre_keys";   ///< made, before their upload
inline constexpr std::string_view kPointUploaded = "uploaded";  ///< the server has them
inline constexpr std::string_view kPointKeysLow = "keys_low";   ///< the server has few of them
inline constexpr std::string_view kPointRotating =
    "rotating";  ///< a new signed key, before it is sent
inline constexpr std::string_view kPointRotated = "rotated";  ///< the server has it
inline constexpr std::string_view kPointErased = "erased";    ///< the account is gone
inline constexpr std::string_view kPointRefused = "refused";  ///< a scan by an unexpected number
inline constexpr std::string_view kPointRemoved =
    "removed";                                              ///< the server has removed a companion
inline constexpr std::string_view kPointPurged = "purged";  ///< old evidence is gone

/// So many of the latest one-time pre-keys are kept; each new one ends the oldest.
inline constexpr auto kMostPreKeys = static_cast<std::uint32_t>(limits::kMaxStoredPreKeys);
/// Erases those that are too old once so many were made from `first_id` on.
void end_old_pre_keys(std::uint32_t first_id, std::uint32_t count, std::vector<Change>& changes);

/// The private halves of consecutive one-time pre-keys, one Put each, appended to `changes`.
void put_pre_keys(std::uint32_t first_id, std::span<const crypto::KeyPair> keys,
                  std::vector<Change>& changes);

/// Everything that a login needs, gone. The only function that deletes credentials; who calls it
/// is listed in records_test.cpp.
std::vector<Change> erase_account();

/// A record with its digest behind it, so that one that was cut or spoilt is never taken for
/// another one.
Bytes seal_record(Bytes record);
/// The record without its digest. Errors: `malformed`; `what` names it.
Result<ByteSpan> open_record(ByteSpan sealed, std::string_view what);

}  // namespace wa::client

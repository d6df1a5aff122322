#pragma once

#include <string_view>

/// What a messenger stores, by kind, and what makes its commits.
namespace wa::messaging {

// Records that are read when they are needed.
inline constexpr std::string_view kSessionKind =
    "session";                                         ///< key: device, canonical when it came
inline constexpr std::string_view kSeenKind = "seen";  ///< key: device, canonical then
inline constexpr std::string_view kDevicesKind = "devices";     ///< key: canonical account
inline constexpr std::string_view kLidOfKind = "lid_of";        ///< key: phone number
inline constexpr std::string_view kNumberOfKind = "number_of";  ///< key: LID user
/// Accounts with new keys that nobody has accepted; key: canonical account.
inline constexpr std::string_view kDistrustedKind = "distrusted";
inline constexpr std::string_view kGroupKind = "group";             ///< key: group
inline constexpr std::string_view kGroupKeyKind = "group_key";      ///< our own; key: group
inline constexpr std::string_view kSenderKeysKind = "sender_keys";  ///< key: group, device
/// The one-time pre-keys that somebody may still use; key: id in decimal.
inline constexpr std::string_view kPreKeyKind = "pre_key";

// Records of one day each: `sent.20261231`. Kinds that are too old are erased as a whole.
inline constexpr std::string_view kSentKind = "sent";                ///< key: message id
inline constexpr std::string_view kUsedPreKeyKind = "used_pre_key";  ///< key: id in decimal
inline constexpr std::string_view kRetriesInKind = "retries_in";     ///< key: device, message id
inline constexpr std::string_view kRetriesOutKind = "retries_out";   ///< key: device, message id

// Records that are in memory from the start.
inline constexpr std::string_view kOutboxKind = "outbox";        ///< key: message id
inline constexpr std::string_view kEventKind = "event";          ///< key: seq in decimal
inline constexpr std::string_view kAwaitedKind = "awaited";      ///< key: order in decimal
inline constexpr std::string_view kMessengerKind = "messenger";  ///< key: "self"

/// What made a commit (as client::Commit::point); stable words.
inline constexpr std::string_view kPointReceived = "received";    ///< a stanza of somebody else
inline constexpr std::string_view kPointAccepted = "accepted";    ///< a message of ours, to be sent
inline constexpr std::string_view kPointEncrypted = "encrypted";  ///< before it leaves
inline constexpr std::string_view kPointSent = "sent";            ///< or refused, or too late
inline constexpr std::string_view kPointLearned = "learned";      ///< devices, bundles
inline constexpr std::string_view kPointRolledBack = "rolled_back";  ///< an old copy is in use
inline constexpr std::string_view kPointTaken = "taken";             ///< events

/// Whether a commit of this name is a messenger's.
inline constexpr bool is_point(std::string_view word) {
  return word == kPointReceived || word == kPointAccepted || word == kPointEncrypted ||
         word == kPointSent || word == kPointLearned || word == kPointRolledBack ||
         word == kPointTaken;
}

}  // namespace wa::messaging

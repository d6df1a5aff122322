#pragma once

#include <cstddef>

/// Every bound that protects us from a peer, in one place.
namespace wa::limits {

/// Largest Noise frame, in bytes: what the 3-byte length can express.
inline constexpr std::size_t kMaxFrameBytes = (std::size_t{1} << 24) - 1;
/// Largest frame before login, in bytes.
inline constexpr std::size_t kMaxFrameBytesBeforeLogin = 64 * 1024;
/// Deepest nesting of a binary node.
inline constexpr std::size_t kMaxNodeDepth = 128;
/// Most children of one node.
inline constexpr std::size_t kMaxNodeChildren = 65'535;
/// Largest inflated frame, in bytes.
inline constexpr std::size_t kMaxInflatedBytes = 16 * 1024 * 1024;
/// Longest id of a message, in characters; real ones have 22 or 32.
inline constexpr std::size_t kMaxMessageIdChars = 128;
/// Most `<enc>` of one stanza that are looked at; real ones have two at most.
inline constexpr std::size_t kMaxEncPerMessage = 8;
/// Most devices that an account is believed to have; real ones have five.
inline constexpr std::size_t kMaxDevicesPerAccount = 64;
/// Most members of a group, in the engine and in the mock: the announcement group of a community.
inline constexpr std::size_t kMaxGroupMembers = 5000;
/// Most messages that one receipt speaks of, ours and theirs.
inline constexpr std::size_t kMaxIdsPerReceipt = 256;
/// Most one-time pre-keys of a device that are kept for those who were given them: twice what it
/// uploads in the beginning.
inline constexpr std::size_t kMaxStoredPreKeys = 2 * 812;
/// Largest body of a control or gateway HTTP request, in bytes.
inline constexpr std::size_t kMaxHttpBodyBytes = 16 * 1024 * 1024;
/// Largest JSON body of an HTTP request, in bytes.
inline constexpr std::size_t kMaxJsonBodyBytes = 1024 * 1024;
/// Most connections of one HTTP server.
inline constexpr std::size_t kMaxHttpConnections = 1000;
/// Most bytes that an HTTP server keeps for all its clients: bodies under way, answers not read.
inline constexpr std::size_t kMaxHttpHeldBytes = 256 * 1024 * 1024;
/// Most readers of events of a control API at a time.
inline constexpr std::size_t kMaxEventFeeds = 100;
/// Most tenants of a mock server; phones and faults, of all tenants together.
inline constexpr std::size_t kMaxTenants = 1000;
inline constexpr std::size_t kMaxPhones = 10'000;
inline constexpr std::size_t kMaxFaults = 10'000;
/// Largest fault record of an HTTP request, in bytes, and longest name of a phone.
inline constexpr std::size_t kMaxFaultBodyBytes = 64 * 1024;
inline constexpr std::size_t kMaxPhoneNameBytes = 256;
/// Most events that the logs of all tenants keep together.
inline constexpr std::size_t kMaxLoggedEvents = 200'000;
/// Largest picture that the camera looks at, in pixels.
inline constexpr std::size_t kMaxPicturePixels = 64 * 1024 * 1024;
/// Most bytes that may wait to be written to one peer before its connection is dropped.
inline constexpr std::size_t kMaxSendQueueBytes = 64 * 1024 * 1024;
/// Most stanzas, and bytes, that the mock keeps for one device until it acknowledges them.
inline constexpr std::size_t kMaxMailboxStanzas = 10'000;
inline constexpr std::size_t kMaxMailboxBytes = 16 * 1024 * 1024;
/// Largest stanza that the mock hands on to one device, roughly; and what one group message may
/// come to for all its readers.
inline constexpr std::size_t kMaxPassedOnBytes = 1024 * 1024;
inline constexpr std::size_t kMaxFanOutBytes = 256 * 1024 * 1024;
/// Most children of a message that the mock hands on unread.
inline constexpr std::size_t kMaxPassedOnChildren = 64;
/// Most names in one query, and in one change of a group: those of a large group, and some.
inline constexpr std::size_t kMaxAskedNames = 10'000;
/// Most groups of a tenant.
inline constexpr std::size_t kMaxGroups = 10'000;
/// Most one-time pre-keys that the mock holds of one device.
inline constexpr std::size_t kMaxOfferedKeys = 10'000;
/// Most kinds of stanzas that the mock counts apart.
inline constexpr std::size_t kMaxCoverageRows = 2000;
/// Most one-time pre-keys that the mock remembers to have handed out, per device.
inline constexpr std::size_t kMaxHandedOutKeys = 4096;
/// Most messages whose senders the mock remembers, for receipts that do not say.
inline constexpr std::size_t kMaxRememberedMessages = 65'536;
/// Most accounts whose presence one device follows.
inline constexpr std::size_t kMaxPresenceSubscriptions = 4096;
/// Most messages that the log of a phone of the mock holds, and that it can send again.
inline constexpr std::size_t kMaxPhoneMessages = 10'000;
inline constexpr std::size_t kMaxPhoneSent = 1000;

}  // namespace wa::limits

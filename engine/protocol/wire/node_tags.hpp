#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/limits.hpp"

/// The numbers of the binary node format that the decoder and the encoder share.
///
/// Source: docs/protocol/nodes.md, "Tags" and "JIDs".
namespace wa::wire {

/// The bytes that introduce a value.
enum Tag : std::uint8_t {
  kListEmpty = 0,
  kDictionary0 = 236,
  kDictionary3 = 239,
  kInteropJid = 245,
  kFbJid = 246,
  kAdJid = 247,
  kList8 = 248,
  kList16 = 249,
  kJidPair = 250,
  kHex8 = 251,
  kBinary8 = 252,
  kBinary20 = 253,
  kBinary32 = 254,
  kNibble8 = 255,
};

/// The domain byte of an AD_JID.
enum Domain : std::uint8_t {
  kDomainPn = 0,
  kDomainLid = 1,
  kDomainHosted = 128,
  kDomainHostedLid = 129
};

// A list cannot announce more items than its 16 bits hold, so that is the check of the limit.
inline constexpr std::size_t kMaxListSize = 0xffff;
static_assert(limits::kMaxNodeChildren == kMaxListSize);

// Servers whose JIDs have a form of their own, besides those of jid.hpp.
inline constexpr std::string_view kServerHosted = "hosted";
inline constexpr std::string_view kServerHostedLid = "hosted.lid";
inline constexpr std::string_view kServerMessenger = "msgr";
inline constexpr std::string_view kServerInterop = "interop";

}  // namespace wa::wire

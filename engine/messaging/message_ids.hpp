#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/random.hpp"
#include "engine/protocol/crypto/keys.hpp"

namespace wa::messaging {

/// Ids of our messages: `3EB0` and 18 hexadecimal digits, as web clients draw them. Nobody else can
/// tell them from random ones, but the device that made one recognises it, and how many it had sent
/// by then, without having kept anything: of 9 bytes 3 are drawn, 3 are the number under a mask
/// that they give, and 3 a code over both. Who has to believe an id that it never made has lost
/// what it stored.
class MessageIds {
 public:
  /// `identity` is this device's, and is copied.
  explicit MessageIds(const crypto::KeyPair& identity);

  /// The id of the message with this number; different each time.
  std::string make(std::uint64_t order, Random& random) const;

  /// Whether this is the id of a message of ours that came after the one with the number `last`.
  bool is_later(std::string_view id, std::uint64_t last) const;

 private:
  static constexpr std::uint32_t kNumbers = 1u << 24;
  std::optional<std::uint32_t> number_of(std::string_view id) const;

  ByteArray<32> key_;
};

}  // namespace wa::messaging

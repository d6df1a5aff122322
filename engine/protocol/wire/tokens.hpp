#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "engine/protocol/wire/node_codec.hpp"

namespace wa::wire {

/// The two token tables: text for a number and back. A token's number is its byte for the single
/// tokens (1 to 235), and 236 + 256 d + i for index i of dictionary d.
///
/// Source: docs/protocol/nodes.md, "Tags" (tests/vectors/tokens-v2.json, tokens-v3.json).
inline constexpr std::size_t kSingleTokens = 236;
inline constexpr std::size_t kTokensPerDictionary = 256;
inline constexpr std::size_t kTokens = kSingleTokens + 4 * kTokensPerDictionary;

using TokenTexts = std::array<std::string_view, kTokens>;

const TokenTexts& token_texts(Dictionary dictionary);

/// Finds the token of a text. Open addressing over a hash of the text's length, first and last
/// eight bytes; built at compile time.
class TokenIndex {
 public:
  explicit constexpr TokenIndex(const TokenTexts& texts);

  /// The token's number; 0 when the text is no token.
  std::uint32_t find(std::string_view text) const;

 private:
  static constexpr std::size_t kSlots = 4096;  // a third full: most misses end at the first slot
  struct Slot {
    std::uint16_t token = 0;
    std::uint16_t fingerprint = 0;
  };

  const TokenTexts* texts_;
  std::size_t longest_ = 0;
  std::array<Slot, kSlots> slots_{};
};

const TokenIndex& token_index(Dictionary dictionary);

}  // namespace wa::wire

#include "engine/protocol/wire/tokens.hpp"

#include <bit>
#include <type_traits>

#include "engine/protocol/wire/generated/token_tables.hpp"

namespace wa::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "load() reads numbers as they lie");

template <class Number>
constexpr std::uint64_t load(const char* from) {
  if (std::is_constant_evaluated()) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
      number |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
    }
    return number;
  }
  Number number;
  std::memcpy(&number, from, sizeof(number));
  return number;
}

/// The ends of a text as two numbers. Together with the length they hold every byte of a text of at
/// most 16 bytes.
struct Ends {
  std::uint64_t first;
  std::uint64_t last;
  bool operator==(const Ends&) const = default;
};

constexpr Ends ends_of(std::string_view text) {
  const char* begin = text.data();
  const std::size_t size = text.size();
  if (size >= 8) return {load<std::uint64_t>(begin), load<std::uint64_t>(begin + size - 8)};
  if (size >= 4) return {load<std::uint32_t>(begin), load<std::uint32_t>(begin + size - 4)};
  if (size == 0) return {0, 0};
  return {load<std::uint8_t>(begin) | load<std::uint8_t>(begin + size / 2) << 8,
          load<std::uint8_t>(begin + size - 1)};
}

constexpr std::uint64_t hash_of(Ends ends, std::size_t size) {
  const std::uint64_t mixed =
      (ends.first + size) * 0x9e3779b97f4a7c15 ^ std::rotl(ends.last * 0xc2b2ae3d27d4eb4f, 29);
  return (mixed ^ mixed >> 32) * 0xff51afd7ed558ccd;
}

}  // namespace

constexpr TokenIndex::TokenIndex(const TokenTexts& texts) : texts_(&texts) {
  for (std::size_t token = 1; token < kTokens; ++token) {
    const std::string_view text = texts[token];
    const std::uint64_t hash = hash_of(ends_of(text), text.size());
    std::size_t at = hash >> 52;
    while (slots_[at].token != 0) at = (at + 1) % kSlots;
    slots_[at] = {static_cast<std::uint16_t>(token), static_cast<std::uint16_t>(hash >> 32)};
    if (text.size() > longest_) longest_ = text.size();
  }
}

std::uint32_t TokenIndex::find(std::string_view text) const {
  if (text.size() > longest_) return 0;
  const Ends ends = ends_of(text);
  const std::uint64_t hash = hash_of(ends, text.size());
  const auto fingerprint = static_cast<std::uint16_t>(hash >> 32);
  static_assert(kSlots == std::size_t{1} << (64 - 52));
  for (std::size_t at = hash >> 52; slots_[at].token != 0; at = (at + 1) % kSlots) {
    if (slots_[at].fingerprint != fingerprint) continue;
    const std::string_view candidate = (*texts_)[slots_[at].token];
    if (candidate.size() != text.size() || ends_of(candidate) != ends) continue;
    if (text.size() <= 16 || candidate == text) return slots_[at].token;
  }
  return 0;
}

namespace {

constinit const TokenIndex kIndexV2(generated::kTokensV2);
constinit const TokenIndex kIndexV3(generated::kTokensV3);

}  // namespace

const TokenTexts& token_texts(Dictionary dictionary) {
  return dictionary == Dictionary::v2 ? generated::kTokensV2 : generated::kTokensV3;
}

const TokenIndex& token_index(Dictionary dictionary) {
  return dictionary == Dictionary::v2 ? kIndexV2 : kIndexV3;
}

}  // namespace wa::wire

#include "mockserver/core/legible.hpp"

#include <algorithm>
#include <cstdint>

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

/// How many bytes the character has with which the text begins; 0: it is none.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(text[i]) & 0xff; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || size > text.size()) return 0;
  std::uint32_t value = first & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  return value < kLeast[size] || value > 0x10ffff || surrogate ? 0 : size;
}

}  // namespace

std::string legible(std::string_view text, std::size_t most_bytes) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  out.reserve(std::min(text.size(), most_bytes));
  while (!text.empty()) {
    const std::size_t size = character(text);
    const std::string_view one = size == 0 ? kReplacement : text.substr(0, size);
    if (out.size() + one.size() > most_bytes) break;
    out += one;
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

bool is_legible(std::string_view text, std::size_t most_bytes) {
  if (text.size() > most_bytes) return false;
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

bool is_word(std::string_view text) {
  return is_legible(text, limits::kMaxMessageIdChars);
}

}  // namespace wa::mock

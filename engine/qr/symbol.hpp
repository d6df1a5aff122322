#pragma once

#include <cstdint>

#include "engine/base/bytes.hpp"

namespace wa::qr {

/// The modules of a QR code, without its quiet zone.
struct Symbol {
  int size = 0;                       ///< modules per side, 21 to 177
  std::vector<std::uint8_t> modules;  ///< size · size, row by row; 1 is dark

  /// Modules outside the symbol are light: its quiet zone.
  bool dark(int x, int y) const {
    return x >= 0 && y >= 0 && x < size && y < size &&
           modules[static_cast<std::size_t>(y) * static_cast<std::size_t>(size) +
                   static_cast<std::size_t>(x)] != 0;
  }
};

/// Most bytes that a QR code holds in 8-bit mode: version 40, error correction level L.
inline constexpr std::size_t kMaxTextBytes = 2953;

/// The smallest symbol for the text, level L, 8-bit mode whatever the characters.
/// Errors: `too_large`, `malformed` (empty text).
Result<Symbol> encode(std::string_view text);

}  // namespace wa::qr

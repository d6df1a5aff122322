#pragma once

#include "engine/base/bytes.hpp"

/// QR text as pictures. Error correction level L, 8-bit mode: what WhatsApp Web shows.
namespace wa::qr {

struct PngOptions {
  int pixels_per_module = 4;  ///< 1 to 64
  int quiet_modules = 4;      ///< white border, in modules; 0 to 64
};

/// A 1-bit greyscale PNG. Errors: `too_large` (above 2,953 bytes of text), `malformed` (empty
/// text), `usage` (options out of range).
Result<Bytes> to_png(std::string_view text, const PngOptions& options = {});

/// An SVG document of one path.
Result<std::string> to_svg(std::string_view text);

/// Half-block characters for a terminal, two modules a row, dark on light, with a quiet zone of 2.
Result<std::string> to_terminal(std::string_view text);

}  // namespace wa::qr

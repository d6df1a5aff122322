#pragma once

#include "engine/base/bytes.hpp"

/// The virtual phone's camera: pixels in, QR text out. It knows no protocol.
namespace wa::mock::camera {

/// 8-bit grey pixels, row by row, without padding.
struct GrayImage {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  ///< width · height
};

/// PNG or JPEG, told by the first bytes; transparency is laid on white.
/// Errors: `malformed` (neither, truncated or damaged), `too_large` (limits::kMaxPicturePixels,
/// checked before pixels are allocated).
Result<GrayImage> decode_picture(ByteSpan picture);

/// True when the bytes begin as a PNG or JPEG.
bool looks_like_picture(ByteSpan bytes);

/// The text of the one QR code in the picture, however it is turned, tilted, scaled, inverted,
/// noisy or faint. Never a guess: a code whose error correction fails is no code. Errors:
/// `not_found` (no QR; the detail says what was tried and what may help), `conflict` (several
/// different codes; says how many).
Result<std::string> read_qr(const GrayImage& image);

/// decode_picture, then read_qr.
Result<std::string> read_picture(ByteSpan picture);

}  // namespace wa::mock::camera

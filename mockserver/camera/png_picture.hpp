#pragma once

#include "mockserver/camera/camera.hpp"

namespace wa::mock::camera {

inline constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

/// Any PNG as grey pixels. Every chunk must be whole and its checksum right.
/// Errors: `malformed`, `too_large`.
Result<GrayImage> decode_png(ByteSpan picture);

/// `too_large` above limits::kMaxPicturePixels, `malformed` when a side is zero.
Result<void> check_size(std::uint64_t width, std::uint64_t height);

}  // namespace wa::mock::camera

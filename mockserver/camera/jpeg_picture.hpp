#pragma once

#include "mockserver/camera/camera.hpp"

namespace wa::mock::camera {

inline constexpr std::string_view kJpegBegin = "\xff\xd8\xff";

/// Any 8-bit JPEG that libjpeg-turbo knows (baseline, progressive, grey, YCbCr, RGB, CMYK) as grey
/// pixels. What libjpeg calls a warning (data missing or corrupt) is an error here.
/// Errors: `malformed`, `too_large`.
Result<GrayImage> decode_jpeg(ByteSpan picture);

}  // namespace wa::mock::camera

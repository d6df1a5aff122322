#pragma once

#include "engine/base/bytes.hpp"

namespace wa::qr {

/// A 1-bit greyscale PNG by libpng: filter none, fastest compression, no optional chunks.
///
/// `packed_pixels` holds `height` rows of (width + 7) / 8 bytes each, leftmost pixel in the highest
/// bit; a set bit is white. Sizes in pixels, at least 1.
Bytes encode_png(int width, int height, ByteSpan packed_pixels);

}  // namespace wa::qr

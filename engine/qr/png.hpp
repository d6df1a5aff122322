#pragma once

#include <memory>

#include "engine/base/bytes.hpp"

namespace wa::qr {

/// Writes a 1-bit greyscale PNG, row by row: filter none, fastest compression, no optional chunks.
///
/// Ours, and not libpng's, because five calls of zlib do it: no longjmp, half the time.
class PngWriter {
 public:
  /// Sizes in pixels, at least 1.
  PngWriter(int width, int height);
  ~PngWriter();
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  /// The next row: (width + 7) / 8 bytes, leftmost pixel in the highest bit, a set bit is white.
  void add_row(ByteSpan packed_pixels);

  /// The file. Call once, after `height` rows.
  Bytes finish();

 private:
  struct Deflater;
  void compress(ByteSpan bytes, bool last);

  std::size_t row_bytes_;
  int rows_missing_;
  std::unique_ptr<Deflater> deflater_;
  Bytes file_;
};

}  // namespace wa::qr

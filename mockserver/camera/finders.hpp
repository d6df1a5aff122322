#pragma once

#include <array>
#include <span>

#include "mockserver/camera/camera.hpp"

/// Is there another QR code beside those already read? ZXing mixes up the finder patterns of
/// neighbouring codes and then reports one of nine; a second look with the first code covered finds
/// the next.
namespace wa::mock::camera {

/// The corners of a code in a picture, in pixels, in their order around it.
struct Quad {
  struct Corner {
    int x = 0;
    int y = 0;
  };
  std::array<Corner, 4> corners;

  /// Grown by a twentieth about its centre: corners are rounded and estimated.
  Quad grown() const;
  bool contains(int x, int y) const;
};

/// The picture with white in place of the codes.
GrayImage cover(const GrayImage& image, std::span<const Quad> codes);

/// A place that looks like a finder pattern: dark, light, 3 dark, light, dark, in a row and in a
/// column.
struct Finder {
  int x = 0;  ///< its centre, in pixels
  int y = 0;
  int width = 0;  ///< pixels; 7 modules
};

/// The finder patterns outside `except`, at most `most`. Pixels below the threshold are dark.
/// Misses some: only every fourth row is looked at. About 1 ms on 1920 x 1080, a tenth of ZXing's
/// search.
std::vector<Finder> find_finders(const GrayImage& image, int threshold,
                                 std::span<const Quad> except, std::size_t most);

/// True when there are enough finder patterns for another code outside these, which are at least
/// one; dark and light are told apart by its mean.
bool more_codes_likely(const GrayImage& image, std::span<const Quad> codes);

}  // namespace wa::mock::camera

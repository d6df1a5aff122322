#pragma once

#include "mockserver/camera/camera.hpp"

/// Darkroom work on grey pictures: each function returns a new picture. Beyond an edge, pixels are
/// as at the edge.
namespace wa::mock::camera {

/// Where the picture's darkest and lightest thousandth end.
struct Tones {
  int dark = 0;
  int light = 0;
};
Tones tones(const GrayImage& image);

/// The tones spread over 0 to 255; what lies outside is clipped.
GrayImage stretched(const GrayImage& image, Tones tones);

GrayImage inverted(const GrayImage& image);

/// Each pixel becomes the median of its 3x3 neighbourhood: removes lone specks.
GrayImage median3(const GrayImage& image);

/// Gaussian; sigma in pixels, 0.3 to 8.
GrayImage blurred(const GrayImage& image, double sigma);

/// The difference from the blurred picture, `strength` times over: restores edges that a blur of
/// about `sigma` pixels has softened.
GrayImage sharpened(const GrayImage& image, double sigma, int strength);

/// Each 2x2 block becomes its mean. Both sides must be at least 2.
GrayImage halved(const GrayImage& image);

/// Wider and higher by `factor`, 1 to 4, interpolated by cubics.
GrayImage enlarged(const GrayImage& image, double factor);

/// Perspective taken back: the side that lies in that direction (degrees, 0 is right, 90 is down)
/// is enlarged against the opposite one. `strength` 0.1 to 0.3: how much the scale changes from the
/// centre to the edge.
GrayImage untilted(const GrayImage& image, double direction, double strength);

/// Black and white (0 and 255), split where the two groups of greys differ most (Otsu's threshold).
GrayImage split(const GrayImage& image);

/// Black and white: black where a pixel is darker than the mean of the square around it, which
/// reaches `radius` pixels to each side. Follows uneven light.
GrayImage split_locally(const GrayImage& image, int radius);

/// How sudden the sharpest edges are: the change from one pixel to the next (99.9th percentile), as
/// a share of the tones' range, 0 to 1. A crisp QR code is near 1.
double sharpness(const GrayImage& image, Tones tones);

}  // namespace wa::mock::camera

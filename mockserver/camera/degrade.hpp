#pragma once

#include "engine/base/random.hpp"
#include "mockserver/camera/camera.hpp"

/// For tests and benchmarks only: what happens to a QR code between the screen and the camera.
/// Uncovered ground is white.
namespace wa::mock::camera::degrade {

/// Turned about its centre on ground that is large enough.
GrayImage rotate(const GrayImage& image, double degrees);
/// Seen from below: the upper edge is shorter by `share` of the width, in true perspective.
GrayImage keystone(const GrayImage& image, double share);
/// Scaled by `factor`, each new pixel the mean of what it covers.
GrayImage resize(const GrayImage& image, double factor);
/// Gaussian, sigma in grey levels.
GrayImage noise(const GrayImage& image, double sigma, Random& random);
/// That share of the pixels becomes black or white.
GrayImage salt_pepper(const GrayImage& image, double share, Random& random);
/// 0 to 255 becomes `range` levels around the middle grey.
GrayImage contrast(const GrayImage& image, int range);
/// Light that falls off from the left edge (all of it) to the right edge (that share).
GrayImage shade(const GrayImage& image, double share);
GrayImage invert(const GrayImage& image);
/// Gaussian, sigma in pixels.
GrayImage blur(const GrayImage& image, double sigma);

/// A white page with a dark bar and lines of make-believe text, as a browser shows it.
GrayImage screenshot(int width, int height, Random& random);
/// `image` laid on `ground` at that corner; it must fit.
GrayImage paste(const GrayImage& image, GrayImage ground, int left, int top);

/// A greyscale PNG and JPEG of the picture; quality 0 to 100.
Bytes png(const GrayImage& image);
Bytes jpeg(const GrayImage& image, int quality);

}  // namespace wa::mock::camera::degrade

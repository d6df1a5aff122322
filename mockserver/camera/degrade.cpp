#include "mockserver/camera/degrade.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>  // before jpeglib.h, which needs size_t and FILE
#include <cstdlib>
#include <numbers>

#include <jpeglib.h>
#include <png.h>

namespace wa::mock::camera::degrade {
namespace {

GrayImage blank(int width, int height, std::uint8_t grey = 255) {
  GrayImage image;
  image.width = width;
  image.height = height;
  image.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), grey);
  return image;
}

std::uint8_t& at(GrayImage& image, int x, int y) {
  return image.pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
                      static_cast<std::size_t>(x)];
}

double value(const GrayImage& image, int x, int y) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return 255;
  return image.pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
                      static_cast<std::size_t>(x)];
}

/// Between pixel centres, which lie at halves.
double interpolated(const GrayImage& image, double x, double y) {
  const double left = std::floor(x - 0.5);
  const double top = std::floor(y - 0.5);
  const double right_share = x - 0.5 - left;
  const double lower_share = y - 0.5 - top;
  const int column = static_cast<int>(left);
  const int row = static_cast<int>(top);
  const double upper =
      value(image, column, row) * (1 - right_share) + value(image, column + 1, row) * right_share;
  const double lower = value(image, column, row + 1) * (1 - right_share) +
                       value(image, column + 1, row + 1) * right_share;
  return upper * (1 - lower_share) + lower * lower_share;
}

std::uint8_t level(double grey) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(grey, 0.0, 255.0)));
}

/// Uniform in (0, 1].
double fraction(Random& random) {
  return (static_cast<double>(random.next_u64() >> 11) + 1) / 9007199254740992.0;
}

int below(Random& random, int bound) {
  return static_cast<int>(random.below(static_cast<std::uint64_t>(bound)));
}

void fill(GrayImage& image, int left, int top, int width, int height, std::uint8_t grey) {
  for (int y = std::max(top, 0); y < std::min(top + height, image.height); ++y) {
    for (int x = std::max(left, 0); x < std::min(left + width, image.width); ++x) {
      at(image, x, y) = grey;
    }
  }
}

}  // namespace

GrayImage rotate(const GrayImage& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double width = image.width * std::abs(cosine) + image.height * std::abs(sine);
  const double height = image.width * std::abs(sine) + image.height * std::abs(cosine);
  GrayImage out =
      blank(static_cast<int>(std::lround(width)), static_cast<int>(std::lround(height)));
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const double dx = x + 0.5 - out.width / 2.0;
      const double dy = y + 0.5 - out.height / 2.0;
      at(out, x, y) = level(interpolated(image, image.width / 2.0 + dx * cosine + dy * sine,
                                         image.height / 2.0 - dx * sine + dy * cosine));
    }
  }
  return out;
}

GrayImage keystone(const GrayImage& image, double share) {
  // A row at depth t (0 below, 1 above) appears 1/(1 + k·t) as wide; k makes the upper edge
  // 1 - share. Perspective shortens the height in the same measure: y = t / (1 + k·t), scaled.
  const double k = 1 / (1 - share) - 1;
  GrayImage out = blank(image.width, static_cast<int>(image.height * (1 - share / 2)));
  for (int y = 0; y < out.height; ++y) {
    const double risen = (out.height - y - 0.5) / out.height / (1 + k);  // of t / (1 + k·t)
    const double t = risen / (1 - k * risen);
    const double scale = 1 + k * t;
    for (int x = 0; x < out.width; ++x) {
      const double dx = x + 0.5 - out.width / 2.0;
      at(out, x, y) =
          level(interpolated(image, image.width / 2.0 + dx * scale, image.height * (1 - t)));
    }
  }
  return out;
}

GrayImage resize(const GrayImage& image, double factor) {
  GrayImage out = blank(std::max(1, static_cast<int>(std::lround(image.width * factor))),
                        std::max(1, static_cast<int>(std::lround(image.height * factor))));
  constexpr int kSamples = 6;  // per side of a new pixel
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      double sum = 0;
      for (int i = 0; i < kSamples * kSamples; ++i) {
        const double sample_x = (x + (i % kSamples + 0.5) / kSamples) / factor;
        const double sample_y = (y + (i / kSamples + 0.5) / kSamples) / factor;
        sum += value(image, static_cast<int>(sample_x), static_cast<int>(sample_y));
      }
      at(out, x, y) = level(sum / (kSamples * kSamples));
    }
  }
  return out;
}

GrayImage noise(const GrayImage& image, double sigma, Random& random) {
  GrayImage out = image;
  for (auto& pixel : out.pixels) {
    const double radius = std::sqrt(-2 * std::log(fraction(random)));
    const double angle = 2 * std::numbers::pi * fraction(random);
    pixel = level(pixel + sigma * radius * std::cos(angle));
  }
  return out;
}

GrayImage salt_pepper(const GrayImage& image, double share, Random& random) {
  GrayImage out = image;
  for (auto& pixel : out.pixels) {
    if (fraction(random) > share) continue;
    pixel = random.below(2) == 0 ? 0 : 255;
  }
  return out;
}

GrayImage contrast(const GrayImage& image, int range) {
  GrayImage out = image;
  for (auto& pixel : out.pixels) pixel = level(128 - range / 2.0 + pixel * range / 255.0);
  return out;
}

GrayImage shade(const GrayImage& image, double share) {
  GrayImage out = image;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      at(out, x, y) = level(at(out, x, y) * (1 - (1 - share) * x / out.width));
    }
  }
  return out;
}

GrayImage invert(const GrayImage& image) {
  GrayImage out = image;
  for (auto& pixel : out.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  return out;
}

GrayImage blur(const GrayImage& image, double sigma) {
  const int radius = static_cast<int>(std::ceil(3 * sigma));
  std::vector<double> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    weights.push_back(std::exp(-i * i / (2 * sigma * sigma)));
    sum += weights.back();
  }
  std::vector<double> between(image.pixels.size());
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      double total = 0;
      for (int i = -radius; i <= radius; ++i) {
        total += weights[static_cast<std::size_t>(i + radius)] * value(image, x + i, y);
      }
      between[static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
              static_cast<std::size_t>(x)] = total / sum;
    }
  }
  GrayImage out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      double total = 0;
      for (int i = -radius; i <= radius; ++i) {
        const bool inside = y + i >= 0 && y + i < image.height;
        const std::size_t index =
            inside ? static_cast<std::size_t>(y + i) * static_cast<std::size_t>(image.width) +
                         static_cast<std::size_t>(x)
                   : 0;
        total += weights[static_cast<std::size_t>(i + radius)] * (inside ? between[index] : 255);
      }
      at(out, x, y) = level(total / sum);
    }
  }
  return out;
}

GrayImage screenshot(int width, int height, Random& random) {
  GrayImage page = blank(width, height, 250);
  fill(page, 0, 0, width, 64, 32);
  fill(page, 0, 64, width / 6, height, 225);
  for (int line = 90; line + 20 < height; line += 26) {
    // Words of letters; a letter is two or three strokes, some with a bar.
    int x = width / 6 + 24;
    const int words = 6 + below(random, 14);
    for (int word = 0; word < words; ++word) {
      const int letters = 2 + below(random, 9);
      for (int letter = 0; letter < letters && x + 12 < width; ++letter, x += 10) {
        const int shape = below(random, 8);
        fill(page, x, line, 2, 14, 40);
        if ((shape & 1) != 0) fill(page, x + 6, line, 2, 14, 40);
        if ((shape & 2) != 0) fill(page, x, line, 8, 2, 40);
        if ((shape & 4) != 0) fill(page, x, line + 6, 8, 2, 40);
      }
      x += 8;
    }
  }
  return page;
}

GrayImage paste(const GrayImage& image, GrayImage ground, int left, int top) {
  WA_ASSERT(left >= 0 && top >= 0 && left + image.width <= ground.width &&
            top + image.height <= ground.height);
  for (int y = 0; y < image.height; ++y) {
    const auto from = image.pixels.begin() + static_cast<std::ptrdiff_t>(y) * image.width;
    std::copy_n(from, image.width,
                ground.pixels.begin() + static_cast<std::ptrdiff_t>(top + y) * ground.width + left);
  }
  return ground;
}

Bytes png(const GrayImage& image) {
  png_image file{};
  file.version = PNG_IMAGE_VERSION;
  file.width = static_cast<png_uint_32>(image.width);
  file.height = static_cast<png_uint_32>(image.height);
  file.format = PNG_FORMAT_GRAY;
  file.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(file);
  Bytes out(size);
  const int written =
      png_image_write_to_memory(&file, out.data(), &size, 0, image.pixels.data(), 0, nullptr);
  WA_ASSERT(written != 0);
  out.resize(size);
  return out;
}

Bytes jpeg(const GrayImage& image, int quality) {
  jpeg_compress_struct file{};
  jpeg_error_mgr
      errors{};  // libjpeg's own, which ends the program: only our bug can bring it there
  file.err = jpeg_std_error(&errors);
  jpeg_create_compress(&file);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&file, &buffer, &size);
  file.image_width = static_cast<JDIMENSION>(image.width);
  file.image_height = static_cast<JDIMENSION>(image.height);
  file.input_components = 1;
  file.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&file);
  jpeg_set_quality(&file, quality, TRUE);
  jpeg_start_compress(&file, TRUE);
  while (file.next_scanline < file.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data()) +
                   std::size_t{file.next_scanline} * file.image_width;
    jpeg_write_scanlines(&file, &row, 1);
  }
  jpeg_finish_compress(&file);
  jpeg_destroy_compress(&file);
  const auto* bytes = reinterpret_cast<const std::byte*>(buffer);
  Bytes out(bytes, bytes + size);
  std::free(buffer);
  return out;
}

}  // namespace wa::mock::camera::degrade

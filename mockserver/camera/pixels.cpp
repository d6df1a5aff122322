#include "mockserver/camera/pixels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace wa::mock::camera {
namespace {

using Histogram = std::array<std::size_t, 256>;

GrayImage blank(int width, int height) {
  GrayImage image;
  image.width = width;
  image.height = height;
  image.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  return image;
}

const std::uint8_t* row_of(const GrayImage& image, int y) {
  const int inside = std::clamp(y, 0, image.height - 1);
  return image.pixels.data() + static_cast<std::ptrdiff_t>(inside) * image.width;
}

std::uint8_t* row_of(GrayImage& image, int y) {
  return image.pixels.data() + static_cast<std::ptrdiff_t>(y) * image.width;
}

/// The smallest value that more than `count` entries do not exceed; 255 when there are too few.
int value_at(const Histogram& histogram, std::size_t count) {
  std::size_t seen = 0;
  for (int value = 0; value < 256; ++value) {
    seen += histogram[static_cast<std::size_t>(value)];
    if (seen > count) return value;
  }
  return 255;
}

GrayImage mapped(const GrayImage& image, const std::array<std::uint8_t, 256>& table) {
  GrayImage out = blank(image.width, image.height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) out.pixels[i] = table[image.pixels[i]];
  return out;
}

}  // namespace

Tones tones(const GrayImage& image) {
  Histogram histogram{};
  for (const std::uint8_t pixel : image.pixels) ++histogram[pixel];
  const std::size_t beyond = image.pixels.size() / 1000;
  return {value_at(histogram, beyond), value_at(histogram, image.pixels.size() - 1 - beyond)};
}

GrayImage stretched(const GrayImage& image, Tones tones) {
  std::array<std::uint8_t, 256> table;
  const int range = std::max(tones.light - tones.dark, 1);
  for (int value = 0; value < 256; ++value) {
    table[static_cast<std::size_t>(value)] =
        static_cast<std::uint8_t>(std::clamp((value - tones.dark) * 255 / range, 0, 255));
  }
  return mapped(image, table);
}

GrayImage inverted(const GrayImage& image) {
  GrayImage out = image;
  for (auto& pixel : out.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  return out;
}

GrayImage median3(const GrayImage& image) {
  GrayImage out = blank(image.width, image.height);
  const auto order = [](std::uint8_t& a, std::uint8_t& b) {
    const std::uint8_t low = std::min(a, b);
    b = std::max(a, b);
    a = low;
  };
  // Sorted columns of three; then the median of nine is the median of: the largest of the lows,
  // the median of the middles, the smallest of the highs.
  struct Column {
    std::uint8_t low, middle, high;
  };
  std::vector<Column> columns(static_cast<std::size_t>(image.width) + 2);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* above = row_of(image, y - 1);
    const std::uint8_t* here = row_of(image, y);
    const std::uint8_t* below = row_of(image, y + 1);
    for (int x = 0; x < image.width; ++x) {
      std::uint8_t a = above[x];
      std::uint8_t b = here[x];
      std::uint8_t c = below[x];
      order(a, b);
      order(b, c);
      order(a, b);
      columns[static_cast<std::size_t>(x) + 1] = {a, b, c};
    }
    columns.front() = columns[1];
    columns.back() = columns[columns.size() - 2];
    std::uint8_t* to = row_of(out, y);
    for (int x = 0; x < image.width; ++x) {
      const Column* column = &columns[static_cast<std::size_t>(x)];
      std::uint8_t low = std::max({column[0].low, column[1].low, column[2].low});
      std::uint8_t high = std::min({column[0].high, column[1].high, column[2].high});
      std::uint8_t a = column[0].middle;
      std::uint8_t b = column[1].middle;
      std::uint8_t c = column[2].middle;
      order(a, b);
      order(b, c);
      order(a, b);
      order(low, b);
      order(b, high);
      order(low, b);
      to[x] = b;
    }
  }
  return out;
}

GrayImage blurred(const GrayImage& image, double sigma) {
  constexpr int kUnit = 1 << 12;
  const int radius = static_cast<int>(std::ceil(2.5 * sigma));
  std::vector<int> weights(static_cast<std::size_t>(2 * radius + 1));
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) sum += std::exp(-i * i / (2 * sigma * sigma));
  int missing = kUnit;
  for (int i = -radius; i <= radius; ++i) {
    const double share = std::exp(-i * i / (2 * sigma * sigma)) / sum;
    weights[static_cast<std::size_t>(i + radius)] = static_cast<int>(std::lround(share * kUnit));
    missing -= weights[static_cast<std::size_t>(i + radius)];
  }
  weights[static_cast<std::size_t>(radius)] += missing;

  const auto width = static_cast<std::size_t>(image.width);
  GrayImage out = blank(image.width, image.height);
  std::vector<int> column_sums(width + 2 * static_cast<std::size_t>(radius));
  for (int y = 0; y < image.height; ++y) {
    std::fill(column_sums.begin(), column_sums.end(), 0);
    int* inner = column_sums.data() + radius;
    for (int i = -radius; i <= radius; ++i) {
      const std::uint8_t* from = row_of(image, y + i);
      const int weight = weights[static_cast<std::size_t>(i + radius)];
      for (std::size_t x = 0; x < width; ++x) inner[x] += weight * from[x];
    }
    std::fill_n(column_sums.begin(), radius, inner[0]);
    std::fill_n(column_sums.end() - radius, radius, inner[width - 1]);
    std::uint8_t* to = row_of(out, y);
    for (std::size_t x = 0; x < width; ++x) {
      std::int64_t total = std::int64_t{kUnit} * kUnit / 2;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        total += std::int64_t{weights[i]} * column_sums[x + i];
      }
      to[x] = static_cast<std::uint8_t>(total / (std::int64_t{kUnit} * kUnit));
    }
  }
  return out;
}

GrayImage sharpened(const GrayImage& image, double sigma, int strength) {
  GrayImage out = blurred(image, sigma);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const int pixel = image.pixels[i];
    out.pixels[i] =
        static_cast<std::uint8_t>(std::clamp(pixel + strength * (pixel - out.pixels[i]), 0, 255));
  }
  return out;
}

GrayImage halved(const GrayImage& image) {
  GrayImage out = blank(image.width / 2, image.height / 2);
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* upper = row_of(image, 2 * y);
    const std::uint8_t* lower = row_of(image, 2 * y + 1);
    std::uint8_t* to = row_of(out, y);
    for (int x = 0; x < out.width; ++x) {
      to[x] = static_cast<std::uint8_t>(
          (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1] + 2) / 4);
    }
  }
  return out;
}

GrayImage enlarged(const GrayImage& image, double factor) {
  constexpr int kUnit = 1 << 8;
  /// Four neighbours and their weights (Catmull and Rom), which sum to kUnit.
  struct Mix {
    std::array<int, 4> from, weight;
  };
  const auto mixes = [&](int old_size, int new_size) {
    std::vector<Mix> all;
    for (int i = 0; i < new_size; ++i) {
      const double at = (i + 0.5) / factor - 0.5;
      const double t = at - std::floor(at);
      const std::array<double, 4> cubic = {((-0.5 * t + 1) * t - 0.5) * t,
                                           (1.5 * t - 2.5) * t * t + 1,
                                           ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t};
      Mix mix;
      int rest = kUnit;
      for (int k = 3; k >= 0; --k) {
        const auto n = static_cast<std::size_t>(k);
        mix.from[n] = std::clamp(static_cast<int>(std::floor(at)) - 1 + k, 0, old_size - 1);
        mix.weight[n] = k == 0 ? rest : static_cast<int>(std::lround(cubic[n] * kUnit));
        rest -= mix.weight[n];
      }
      all.push_back(mix);
    }
    return all;
  };

  GrayImage out =
      blank(static_cast<int>(image.width * factor), static_cast<int>(image.height * factor));
  const auto columns = mixes(image.width, out.width);
  const auto rows = mixes(image.height, out.height);
  std::vector<int> mixed(static_cast<std::size_t>(image.width));
  for (int y = 0; y < out.height; ++y) {
    const Mix& row = rows[static_cast<std::size_t>(y)];
    std::fill(mixed.begin(), mixed.end(), 0);
    for (std::size_t k = 0; k < 4; ++k) {
      const std::uint8_t* from = row_of(image, row.from[k]);
      for (std::size_t x = 0; x < mixed.size(); ++x) mixed[x] += row.weight[k] * from[x];
    }
    std::uint8_t* to = row_of(out, y);
    for (const Mix& column : columns) {
      int total = kUnit * kUnit / 2;
      for (std::size_t k = 0; k < 4; ++k) {
        total += column.weight[k] * mixed[static_cast<std::size_t>(column.from[k])];
      }
      *to++ = static_cast<std::uint8_t>(std::clamp(total / (kUnit * kUnit), 0, 255));
    }
  }
  return out;
}

GrayImage untilted(const GrayImage& image, double direction, double strength) {
  const double grow = 1 + strength;  // what is enlarged must stay inside
  GrayImage out =
      blank(static_cast<int>(image.width * grow), static_cast<int>(image.height * grow));
  const double radians = direction * std::numbers::pi / 180;
  const double reach = std::hypot(out.width, out.height) / 2;
  const double along_x = strength * std::cos(radians) / reach;
  const double along_y = strength * std::sin(radians) / reach;
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = row_of(out, y);
    const double dy = y + 0.5 - out.height / 2.0;
    for (int x = 0; x < out.width; ++x) {
      const double dx = x + 0.5 - out.width / 2.0;
      const double scale = 1 + along_x * dx + along_y * dy;
      // Bilinear, in 256ths of a pixel.
      const int from_x = static_cast<int>((image.width / 2.0 + dx / scale - 0.5) * 256);
      const int from_y = static_cast<int>((image.height / 2.0 + dy / scale - 0.5) * 256);
      const int left = std::clamp(from_x >> 8, 0, image.width - 1);
      const int right = std::min(left + 1, image.width - 1);
      const std::uint8_t* upper = row_of(image, from_y >> 8);
      const std::uint8_t* lower = row_of(image, (from_y >> 8) + 1);
      const int share_x = from_x & 255;
      const int share_y = from_y & 255;
      const int above = upper[left] * (256 - share_x) + upper[right] * share_x;
      const int below = lower[left] * (256 - share_x) + lower[right] * share_x;
      to[x] = static_cast<std::uint8_t>((above * (256 - share_y) + below * share_y) >> 16);
    }
  }
  return out;
}

GrayImage split(const GrayImage& image) {
  Histogram histogram{};
  for (const std::uint8_t pixel : image.pixels) ++histogram[pixel];
  double sum = 0;
  for (std::size_t value = 0; value < 256; ++value) {
    sum += static_cast<double>(value * histogram[value]);
  }
  const auto count = static_cast<double>(image.pixels.size());
  double dark_count = 0;
  double dark_sum = 0;
  double best = -1;
  std::size_t threshold = 0;
  for (std::size_t value = 0; value < 255; ++value) {
    dark_count += static_cast<double>(histogram[value]);
    dark_sum += static_cast<double>(value * histogram[value]);
    if (dark_count == 0 || dark_count == count) continue;
    const double apart = dark_sum / dark_count - (sum - dark_sum) / (count - dark_count);
    const double variance = dark_count * (count - dark_count) * apart * apart;
    if (variance > best) {
      best = variance;
      threshold = value;
    }
  }
  std::array<std::uint8_t, 256> table{};
  std::fill(table.begin() + static_cast<std::ptrdiff_t>(threshold) + 1, table.end(),
            std::uint8_t{255});
  return mapped(image, table);
}

GrayImage split_locally(const GrayImage& image, int radius) {
  const auto width = static_cast<std::size_t>(image.width);
  GrayImage out = blank(image.width, image.height);
  std::vector<int> column_sums(width);  // of the rows top to bottom - 1
  int top = 0;
  int bottom = 0;
  for (int y = 0; y < image.height; ++y) {
    for (; bottom < std::min(y + radius + 1, image.height); ++bottom) {
      const std::uint8_t* row = row_of(image, bottom);
      for (std::size_t x = 0; x < width; ++x) column_sums[x] += row[x];
    }
    for (; top < y - radius; ++top) {
      const std::uint8_t* row = row_of(image, top);
      for (std::size_t x = 0; x < width; ++x) column_sums[x] -= row[x];
    }
    const std::uint8_t* from = row_of(image, y);
    std::uint8_t* to = row_of(out, y);
    int left = 0;
    int right = 0;
    int sum = 0;
    for (int x = 0; x < image.width; ++x) {
      while (right < std::min(x + radius + 1, image.width)) {
        sum += column_sums[static_cast<std::size_t>(right++)];
      }
      while (left < x - radius) sum -= column_sums[static_cast<std::size_t>(left++)];
      const int covered = (right - left) * (bottom - top);
      // A little below the mean, so that plain ground does not become speckled.
      to[x] = std::int64_t{from[x]} * covered * 16 < std::int64_t{sum} * 15 ? 0 : 255;
    }
  }
  return out;
}

double sharpness(const GrayImage& image, Tones tones) {
  Histogram steps{};
  std::size_t count = 0;
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = row_of(image, y);
    for (int x = 1; x < image.width; ++x) {
      ++steps[static_cast<std::size_t>(std::abs(row[x] - row[x - 1]))];
      ++count;
    }
  }
  const int range = std::max(tones.light - tones.dark, 1);
  return std::min(1.0, static_cast<double>(value_at(steps, count - count / 1000)) / range);
}

}  // namespace wa::mock::camera

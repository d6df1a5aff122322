#include "mockserver/camera/finders.hpp"

#include <algorithm>
#include <cstdlib>

namespace wa::mock::camera {
namespace {

constexpr int kRowStep = 4;  // the 3 middle modules are 6 pixels high at 2 pixels per module
constexpr std::size_t kFindersOfACode = 3;

struct Box {
  int left, top, right, bottom;  ///< right and bottom are outside
};

Box box_of(const Quad& quad, const GrayImage& image) {
  Box box{image.width, image.height, 0, 0};
  for (const auto& corner : quad.corners) {
    box.left = std::clamp(corner.x, 0, box.left);
    box.top = std::clamp(corner.y, 0, box.top);
    box.right = std::clamp(corner.x + 1, box.right, image.width);
    box.bottom = std::clamp(corner.y + 1, box.bottom, image.height);
  }
  return box;
}

std::size_t index_of(const GrayImage& image, int x, int y) {
  return static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
         static_cast<std::size_t>(x);
}

/// The mean of the code: between its dark and its light.
int threshold_of(const GrayImage& image, const Quad& code) {
  const Box box = box_of(code, image);
  std::int64_t sum = 0;
  std::int64_t count = 0;
  for (int y = box.top; y < box.bottom; y += 3) {
    for (int x = box.left; x < box.right; x += 3) {
      if (!code.contains(x, y)) continue;
      sum += image.pixels[index_of(image, x, y)];
      ++count;
    }
  }
  return count == 0 ? 128 : static_cast<int>(sum / count);
}

/// Whether five runs are as 1:1:3:1:1, each within half a module and a pixel.
bool like_a_finder(const std::array<int, 5>& runs) {
  const int total = runs[0] + runs[1] + runs[2] + runs[3] + runs[4];
  if (total < 7) return false;
  const auto near = [&](int run, int modules) {
    return std::abs(14 * run - 2 * modules * total) <=
           total * modules + 14;  // ± modules / 2, + 1 px
  };
  return near(runs[0], 1) && near(runs[1], 1) && near(runs[2], 3) && near(runs[3], 1) &&
         near(runs[4], 1);
}

/// The runs through a dark pixel in its column: out of the middle up and down.
bool finder_in_column(const GrayImage& image, int x, int y, int threshold, int expected) {
  const auto dark = [&](int row) { return image.pixels[index_of(image, x, row)] < threshold; };
  if (!dark(y)) return false;
  std::array<int, 5> runs{};
  const auto walk = [&](int step) {
    int row = y;
    for (int part = 0; part < 3; ++part) {
      auto& run = runs[static_cast<std::size_t>(2 + step * part)];
      for (; row >= 0 && row < image.height && dark(row) == (part != 1) && run <= expected;
           row += step)
        ++run;
    }
  };
  walk(-1);
  walk(1);
  --runs[2];  // the pixel itself was counted twice
  const int total = runs[0] + runs[1] + runs[2] + runs[3] + runs[4];
  return like_a_finder(runs) && 2 * total > expected && total < 2 * expected;
}

}  // namespace

Quad Quad::grown() const {
  int x = 0;
  int y = 0;
  for (const auto& corner : corners) {
    x += corner.x;
    y += corner.y;
  }
  Quad larger = *this;
  for (auto& corner : larger.corners) {
    corner.x += (corner.x - x / 4) / 10;
    corner.y += (corner.y - y / 4) / 10;
  }
  return larger;
}

bool Quad::contains(int x, int y) const {
  bool left = false;
  bool right = false;
  for (std::size_t i = 0; i < 4; ++i) {
    const Corner& from = corners[i];
    const Corner& to = corners[(i + 1) % 4];
    const std::int64_t side =
        std::int64_t{to.x - from.x} * (y - from.y) - std::int64_t{to.y - from.y} * (x - from.x);
    left |= side < 0;
    right |= side > 0;
  }
  return !(left && right);
}

GrayImage cover(const GrayImage& image, std::span<const Quad> codes) {
  GrayImage out = image;
  for (const Quad& code : codes) {
    const Quad area = code.grown();
    const Box box = box_of(area, image);
    for (int y = box.top; y < box.bottom; ++y) {
      for (int x = box.left; x < box.right; ++x) {
        if (area.contains(x, y)) out.pixels[index_of(out, x, y)] = 255;
      }
    }
  }
  return out;
}

std::vector<Finder> find_finders(const GrayImage& image, int threshold,
                                 std::span<const Quad> except, std::size_t most) {
  std::vector<Quad> areas;
  for (const Quad& code : except) areas.push_back(code.grown());

  std::vector<Finder> found;
  const auto consider = [&](const std::array<int, 5>& runs, int end, int y) {
    if (!like_a_finder(runs)) return;
    const int width = runs[0] + runs[1] + runs[2] + runs[3] + runs[4];
    const int x = end - runs[4] - runs[3] - runs[2] / 2 - 1;
    const auto inside = [&](const Quad& area) { return area.contains(x, y); };
    if (std::any_of(areas.begin(), areas.end(), inside)) return;
    const auto same = [&](const Finder& other) {
      return std::abs(other.x - x) < width && std::abs(other.y - y) < width;
    };
    if (std::any_of(found.begin(), found.end(), same)) return;
    if (finder_in_column(image, x, y, threshold, width)) found.push_back({x, y, width});
  };
  for (int y = kRowStep / 2; y < image.height && found.size() < most; y += kRowStep) {
    const std::uint8_t* row = image.pixels.data() + index_of(image, 0, y);
    std::array<int, 5> runs{};  // the last five; the newest, which is growing, at the end
    bool dark = false;
    for (int x = 0; x <= image.width; ++x) {
      const bool dark_here = x < image.width && row[x] < threshold;
      if (dark_here != dark || x == image.width) {
        if (dark) consider(runs, x, y);
        std::shift_left(runs.begin(), runs.end(), 1);
        runs[4] = 0;
        dark = dark_here;
      }
      ++runs[4];
    }
  }
  return found;
}

bool more_codes_likely(const GrayImage& image, std::span<const Quad> codes) {
  const int threshold = threshold_of(image, codes.front());
  return find_finders(image, threshold, codes, kFindersOfACode).size() >= kFindersOfACode;
}

}  // namespace wa::mock::camera

/// QR codes: what drawing and reading cost, and which damage the camera survives. Prints tables;
/// exits non-zero when a text was read wrongly or a row that we promise falls short of 20 of 20.
///
/// Usage: qr_bench [--seed N] [--robustness]      --robustness: without the timings

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/qr/qr.hpp"
#include "mockserver/camera/camera.hpp"
#include "mockserver/camera/degrade.hpp"

namespace {

using namespace wa;
using mock::camera::GrayImage;
namespace camera = mock::camera;
namespace degrade = mock::camera::degrade;

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// As long as what a linked device shows: 237 characters.
std::string payload(Random& random) {
  constexpr std::string_view kBase64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "https://wa.me/settings/linked_devices#2@";
  while (text.size() < 235) {
    text += text.size() == 100 || text.size() == 145 || text.size() == 190
                ? ','
                : kBase64[static_cast<std::size_t>(random.below(64))];
  }
  return text + ",1";
}

GrayImage drawn(const std::string& text, int pixels_per_module = 4) {
  return camera::decode_picture(qr::to_png(text, {pixels_per_module, 4}).value()).value();
}

template <class Work>
void time_row(const char* name, double goal_ms, int rounds, Work work) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = Clock::now();
    work();
    times.push_back(ms_since(begin));
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-52s %9.3f %9.3f", name, at(0.5), at(0.95));
  if (goal_ms > 0) std::printf(" %9.1f %s", goal_ms, at(0.5) <= goal_ms ? "" : "MISSED");
  std::printf("\n");
}

void print_times(Random& random) {
  std::printf("%-52s %9s %9s %9s\n", "ms", "median", "95 %", "goal");
  const std::string text = payload(random);
  const Bytes png = qr::to_png(text).value();
  time_row("text of 237 characters to PNG, 4 pixels per module", 0.6, 500,
           [&] { (void)qr::to_png(text); });
  time_row("text to PNG, 8 pixels per module", 0, 300, [&] { (void)qr::to_png(text, {8, 4}); });
  time_row("text to SVG", 0, 300, [&] { (void)qr::to_svg(text); });
  time_row("text to terminal", 0, 300, [&] { (void)qr::to_terminal(text); });
  time_row("PNG to pixels", 0, 500, [&] { (void)camera::decode_picture(png); });
  time_row("PNG to text", 0.8, 500, [&] { (void)camera::read_picture(png); });

  const auto page = degrade::screenshot(1920, 1080, random);
  const auto shown = degrade::paste(drawn(text), page, 1400, 500);
  const Bytes shown_png = degrade::png(shown);
  time_row("screenshot of 1920 x 1080, pixels to text", 10, 50,
           [&] { (void)camera::read_qr(shown); });
  time_row("the same from PNG", 0, 30, [&] { (void)camera::read_picture(shown_png); });
  time_row(
      "the same, code of 8 pixels per module", 10, 50,
      [&, big = degrade::paste(drawn(text, 8), page, 1000, 300)] { (void)camera::read_qr(big); });
  time_row("the same, no code in it", 0, 5, [&] { (void)camera::read_qr(page); });
  time_row("noise of sigma 60", 0, 30,
           [&, noisy = degrade::noise(drawn(text), 60, random)] { (void)camera::read_qr(noisy); });
  time_row(
      "nothing but noise, 1000 x 1000", 0, 3,
      [&, noisy = degrade::noise(degrade::contrast(degrade::screenshot(1000, 1000, random), 10), 60,
                                 random)] { (void)camera::read_qr(noisy); });
  std::printf("\n");
}

class Table {
 public:
  explicit Table(Random& random) : random_(random) {
    std::printf("%-52s %9s %9s\n", "4 pixels per module unless said otherwise", "read", "ms, mean");
  }

  /// A row that we promise.
  template <class Damage>
  void must(const char* name, Damage damage) {
    if (row(name, damage) != kPayloads) {
      std::printf("  ^ falls short\n");
      ok_ = false;
    }
  }

  /// A row beyond what we promise, to show where the limits are.
  template <class Damage>
  void may(const char* name, Damage damage) {
    row(name, damage);
  }

  bool ok() const { return ok_; }

 private:
  static constexpr int kPayloads = 20;

  template <class Damage>
  int row(const char* name, Damage damage) {
    int read = 0;
    double spent_ms = 0;
    for (int i = 0; i < kPayloads; ++i) {
      const std::string text = payload(random_);
      const GrayImage image = damage(drawn(text));
      const auto begin = Clock::now();
      const auto found = camera::read_qr(image);
      spent_ms += ms_since(begin);
      if (found && *found != text) {
        std::printf("WRONG TEXT for %s\n  %s\n", text.c_str(), found->c_str());
        ok_ = false;
      }
      if (found && *found == text) ++read;
    }
    std::printf("%-52s %3d of %2d %9.2f\n", name, read, kPayloads, spent_ms / kPayloads);
    return read;
  }

  Random& random_;
  bool ok_ = true;
};

bool print_robustness(Random& random) {
  using namespace degrade;
  Table table(random);
  table.must("clean", [](const GrayImage& image) { return image; });
  table.must("turned by a random angle", [&](const GrayImage& image) {
    return rotate(image, static_cast<double>(random.below(3600)) / 10);
  });
  table.must("keystone 30 %", [](const GrayImage& image) { return keystone(image, 0.3); });
  table.must("keystone 30 %, turned by a random angle", [&](const GrayImage& image) {
    return rotate(keystone(image, 0.3), static_cast<double>(random.below(3600)) / 10);
  });
  table.must("keystone 40 %", [](const GrayImage& image) { return keystone(image, 0.4); });
  table.must("1.8 pixels per module", [](const GrayImage& image) { return resize(image, 0.45); });
  table.may("1.8 pixels per module, turned by a random angle", [&](const GrayImage& image) {
    return resize(rotate(image, static_cast<double>(random.below(3600)) / 10), 0.45);
  });
  table.may("1.6 pixels per module", [](const GrayImage& image) { return resize(image, 0.40); });
  table.may("1.4 pixels per module", [](const GrayImage& image) { return resize(image, 0.35); });
  table.must("Gaussian noise, sigma 60",
             [&](const GrayImage& image) { return noise(image, 60, random); });
  table.may("Gaussian noise, sigma 100",
            [&](const GrayImage& image) { return noise(image, 100, random); });
  table.must("salt and pepper, 10 %",
             [&](const GrayImage& image) { return salt_pepper(image, 0.1, random); });
  table.may("salt and pepper, 20 %",
            [&](const GrayImage& image) { return salt_pepper(image, 0.2, random); });
  table.must("contrast of 16 levels", [](const GrayImage& image) { return contrast(image, 16); });
  table.may("contrast of 4 levels", [](const GrayImage& image) { return contrast(image, 4); });
  table.must("light falls off to a fifth",
             [](const GrayImage& image) { return shade(image, 0.2); });
  table.may("light falls off to a fifth, noise of sigma 40",
            [&](const GrayImage& image) { return noise(shade(image, 0.2), 40, random); });
  table.must("inverted", [](const GrayImage& image) { return invert(image); });
  table.must("inverted, turned, contrast of 16 levels", [&](const GrayImage& image) {
    return contrast(invert(rotate(image, static_cast<double>(random.below(3600)) / 10)), 16);
  });
  table.must("JPEG of quality 10", [](const GrayImage& image) {
    return camera::decode_picture(jpeg(image, 10)).value();
  });
  table.may("JPEG of quality 2",
            [](const GrayImage& image) { return camera::decode_picture(jpeg(image, 2)).value(); });
  table.must("blur, sigma 1.5 pixels", [](const GrayImage& image) { return blur(image, 1.5); });
  table.must("blur, sigma 2 pixels", [](const GrayImage& image) { return blur(image, 2); });
  table.may("blur, sigma 2.5 pixels", [](const GrayImage& image) { return blur(image, 2.5); });
  table.may("blur, sigma 3 pixels", [](const GrayImage& image) { return blur(image, 3); });
  table.must("on a screenshot of 1280 x 720", [&](const GrayImage& image) {
    const int left = static_cast<int>(random.below(1280 - 260));
    const int top = static_cast<int>(random.below(720 - 260));
    return paste(image, screenshot(1280, 720, random), left, top);
  });
  table.may("the same, inverted (a dark page)", [&](const GrayImage& image) {
    return invert(paste(image, screenshot(1280, 720, random), 700, 300));
  });
  table.may("the same, noise of sigma 60", [&](const GrayImage& image) {
    return noise(paste(image, screenshot(1280, 720, random), 700, 300), 60, random);
  });
  table.may("the same, photographed: all at once, milder", [&](const GrayImage& image) {
    const auto page = paste(image, screenshot(800, 600, random), 400, 250);
    const auto seen = keystone(rotate(resize(page, 1.5), 12), 0.15);
    return camera::decode_picture(jpeg(noise(contrast(blur(seen, 1), 120), 8, random), 60)).value();
  });
  table.may("keystone 30 %, noise of sigma 60",
            [&](const GrayImage& image) { return noise(keystone(image, 0.3), 60, random); });
  table.may("2 pixels per module, salt and pepper 5 %",
            [&](const GrayImage& image) { return salt_pepper(resize(image, 0.5), 0.05, random); });
  table.may("12 pixels per module, noise of sigma 80",
            [&](const GrayImage& image) { return noise(resize(image, 3), 80, random); });
  return table.ok();
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  bool timings = true;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--robustness") == 0) {
      timings = false;
    } else if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: qr_bench [--seed N] [--robustness]\n");
      return 2;
    }
  }
  SeededRandom random(seed);
  if (timings) print_times(random);
  return print_robustness(random) ? 0 : 1;
}

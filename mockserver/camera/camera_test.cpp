#include "mockserver/camera/camera.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "engine/base/random.hpp"
#include "engine/qr/qr.hpp"
#include "mockserver/camera/degrade.hpp"

namespace wa::mock::camera {
namespace {

using namespace degrade;

/// As long as what a linked device shows.
std::string payload(Random& random) {
  constexpr std::string_view kBase64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "https://wa.me/settings/linked_devices#2@";
  while (text.size() < 237) text += kBase64[static_cast<std::size_t>(random.below(64))];
  return text;
}

GrayImage drawn(std::string_view text, qr::PngOptions options = {}) {
  return decode_picture(qr::to_png(text, options).value()).value();
}

GrayImage white(int width, int height) {
  GrayImage image;
  image.width = width;
  image.height = height;
  image.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), 255);
  return image;
}

/// Like EXPECT_EQ(read_qr(image).value(), text), without an exception.
void expect_reads(const GrayImage& image, const std::string& text) {
  const auto result = read_qr(image);
  if (!result) {
    ADD_FAILURE() << result.error();
  } else {
    EXPECT_EQ(*result, text);
  }
}

struct Damage {
  const char* name;
  GrayImage (*apply)(const GrayImage& image, Random& random);
};

std::ostream& operator<<(std::ostream& out, const Damage& damage) {
  return out << damage.name;
}

class DamageTest : public testing::TestWithParam<Damage> {};

// A few payloads each; qr_bench reads twenty.
TEST_P(DamageTest, IsOvercome) {
  SeededRandom random(11, GetParam().name);
  for (int i = 0; i < 4; ++i) {
    const std::string text = payload(random);
    expect_reads(GetParam().apply(drawn(text), random), text);
  }
}

double any_angle(Random& random) {
  return static_cast<double>(random.below(3600)) / 10;
}

INSTANTIATE_TEST_SUITE_P(
    CameraTest, DamageTest,
    testing::Values(
        Damage{"none", [](const GrayImage& image, Random&) { return image; }},
        Damage{"turned", [](const GrayImage& image,
                            Random& random) { return rotate(image, any_angle(random)); }},
        Damage{"keystone", [](const GrayImage& image, Random&) { return keystone(image, 0.3); }},
        Damage{"keystone_turned",
               [](const GrayImage& image, Random& random) {
                 return rotate(keystone(image, 0.3), any_angle(random));
               }},
        Damage{"mirrored",
               [](const GrayImage& image, Random&) {
                 GrayImage out = image;
                 for (auto row = out.pixels.begin(); row != out.pixels.end(); row += out.width) {
                   std::reverse(row, row + out.width);
                 }
                 return out;
               }},
        Damage{"small", [](const GrayImage& image, Random&) { return resize(image, 0.45); }},
        Damage{"noise",
               [](const GrayImage& image, Random& random) { return noise(image, 60, random); }},
        Damage{"noise_turned",
               [](const GrayImage& image, Random& random) {
                 return noise(rotate(image, any_angle(random)), 60, random);
               }},
        Damage{"salt_pepper", [](const GrayImage& image,
                                 Random& random) { return salt_pepper(image, 0.1, random); }},
        Damage{"contrast", [](const GrayImage& image, Random&) { return contrast(image, 16); }},
        Damage{"inverted", [](const GrayImage& image, Random&) { return invert(image); }},
        Damage{"inverted_noise", [](const GrayImage& image,
                                    Random& random) { return noise(invert(image), 60, random); }},
        Damage{"jpeg", [](const GrayImage& image,
                          Random&) { return decode_picture(jpeg(image, 10)).value(); }},
        Damage{"blur_1", [](const GrayImage& image, Random&) { return blur(image, 1.5); }},
        Damage{"blur_2", [](const GrayImage& image, Random&) { return blur(image, 2); }},
        Damage{"no_quiet_zone",
               [](const GrayImage& image, Random&) {
                 GrayImage out = white(image.width - 32, image.height - 32);
                 for (int y = 0; y < out.height; ++y) {
                   std::copy_n(image.pixels.begin() + (y + 16) * image.width + 16, out.width,
                               out.pixels.begin() + y * out.width);
                 }
                 return out;
               }},
        Damage{"screenshot",
               [](const GrayImage& image, Random& random) {
                 const int left = static_cast<int>(random.below(800 - 260));
                 const int top = static_cast<int>(random.below(600 - 260));
                 return paste(image, screenshot(800, 600, random), left, top);
               }},
        Damage{"photographed_screen",
               [](const GrayImage& image, Random& random) {
                 const auto page =
                     resize(paste(image, screenshot(500, 400, random), 200, 100), 1.5);
                 const auto seen = contrast(blur(keystone(rotate(page, 12), 0.15), 1), 120);
                 return decode_picture(jpeg(noise(seen, 8, random), 60)).value();
               }}),
    [](const auto& each) { return each.param.name; });

TEST(CameraTest, ReadsTextsOfEveryLength) {
  SeededRandom random(12);
  for (const std::size_t size : {1U, 2U, 17U, 18U, 50U, 100U, 500U, 1000U, 2000U, 2953U}) {
    std::string text(size, ' ');
    for (auto& letter : text) letter = static_cast<char>('!' + random.below(94));
    expect_reads(drawn(text, {2, 4}), text);
  }
}

TEST(CameraTest, ReadsUtf8AndKeepsIt) {
  for (const std::string text : {"Grüße aus Köln", "日本語のテキスト", "naïve 👍"}) {
    expect_reads(drawn(text), text);
  }
}

TEST(CameraTest, ReadsWhatTheTerminalShows) {
  const std::string text = "https://wa.me/settings/linked_devices#2@terminal";
  const auto blocks = qr::to_terminal(text).value();
  // A module becomes 4 x 4 pixels; colour sequences are skipped, dark is what has ink.
  std::vector<std::vector<bool>> rows;
  for (std::size_t at = 0; at < blocks.size();) {
    if (at == 0 || blocks[at - 1] == '\n') rows.insert(rows.end(), 2, {});
    const auto rest = std::string_view(blocks).substr(at);
    const auto add = [&](bool upper, bool lower, std::size_t bytes) {
      rows[rows.size() - 2].push_back(upper);
      rows[rows.size() - 1].push_back(lower);
      at += bytes;
    };
    if (rest[0] == '\x1b') {
      at += rest.find('m') + 1;
    } else if (rest[0] == '\n') {
      ++at;
    } else if (rest[0] == ' ') {
      add(false, false, 1);
    } else {
      const auto glyph = rest.substr(0, 3);
      add(glyph != "▄", glyph != "▀", 3);
    }
  }
  GrayImage image = white(static_cast<int>(rows[0].size()) * 4, static_cast<int>(rows.size()) * 4);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (rows[static_cast<std::size_t>(y / 4)][static_cast<std::size_t>(x / 4)]) {
        image.pixels[static_cast<std::size_t>(y * image.width + x)] = 0;
      }
    }
  }
  expect_reads(image, text);
}

TEST(CameraTest, ReadsTheCodeFromAPngOrJpegFile) {
  SeededRandom random(13);
  const std::string text = payload(random);
  const auto page = paste(drawn(text), screenshot(640, 480, random), 300, 150);
  EXPECT_EQ(read_picture(qr::to_png(text).value()), Result<std::string>(text));
  EXPECT_EQ(read_picture(png(page)), Result<std::string>(text));
  EXPECT_EQ(read_picture(jpeg(page, 40)), Result<std::string>(text));
  EXPECT_EQ(read_picture(as_bytes(text)).error().code, Errc::malformed);
}

/// That many codes, each different, in a grid.
GrayImage grid(int count) {
  GrayImage image = white(900, 900);
  for (int i = 0; i < count; ++i) {
    const auto code = drawn(std::string(150, 'g') + std::to_string(i));
    image = paste(code, image, 10 + i % 3 * 300, 10 + i / 3 * 300);
  }
  return image;
}

TEST(CameraTest, SeveralDifferentCodesAreAConflictThatCountsThem) {
  SeededRandom random(14);
  for (const int count : {2, 3, 4, 9}) {
    for (const auto& image : {grid(count), rotate(grid(count), 31)}) {
      const auto result = read_qr(image);
      ASSERT_FALSE(result) << count << *result;
      EXPECT_EQ(result.error().code, Errc::conflict);
      EXPECT_TRUE(result.error().detail.starts_with(std::to_string(count) + " different"))
          << result.error();
    }
  }
  for (const auto& image : {invert(grid(2)), contrast(grid(2), 16), noise(grid(2), 60, random)}) {
    const auto result = read_qr(image);
    ASSERT_FALSE(result) << *result;
    EXPECT_EQ(result.error().code, Errc::conflict) << result.error();
  }
}

TEST(CameraTest, TheSameCodeTwiceIsOneCode) {
  const auto code = drawn("shown twice");
  expect_reads(paste(code, paste(resize(code, 1.5), white(600, 400), 0, 0), 350, 200),
               "shown twice");
}

TEST(CameraTest, AConflictOfSmallAndLargeIsSeen) {
  const auto image = paste(drawn("small one", {2, 4}),
                           paste(drawn("a large one", {10, 4}), white(700, 400), 0, 0), 500, 100);
  EXPECT_EQ(read_qr(image).error().code, Errc::conflict);
}

TEST(CameraTest, PagesAndNoiseWithoutACodeHoldNone) {
  SeededRandom random(15);
  std::vector<GrayImage> images = {screenshot(640, 480, random),
                                   invert(screenshot(640, 480, random)), white(300, 300),
                                   contrast(screenshot(300, 300, random), 6)};
  for (const double sigma : {20.0, 80.0, 400.0}) {
    images.push_back(noise(contrast(white(250, 200), 0), sigma, random));
  }
  for (const auto& image : images) {
    const auto result = read_qr(image);
    ASSERT_FALSE(result) << *result;
    EXPECT_EQ(result.error().code, Errc::not_found);
  }
}

std::string why_not(const GrayImage& image) {
  const auto result = read_qr(image);
  if (result) return "read " + *result;
  EXPECT_EQ(result.error().code, Errc::not_found);
  return result.error().detail;
}

bool says(const std::string& detail, std::string_view words) {
  return detail.find(words) != std::string::npos;
}

TEST(CameraTest, NotFoundSaysWhatWasTriedAndWhatMayHelp) {
  SeededRandom random(16);
  const auto code = drawn(payload(random));

  const std::string page = why_not(screenshot(300, 200, random));
  EXPECT_TRUE(says(page, "300 x 200 pixels: none was found")) << page;
  EXPECT_TRUE(says(page, "3x3 median")) << page;
  EXPECT_TRUE(says(page, "2 or more pixels per module")) << page;
  EXPECT_FALSE(says(page, "blurred")) << page;

  EXPECT_TRUE(says(why_not(white(100, 100)), "one colour"));
  EXPECT_TRUE(says(why_not(blur(code, 4)), "this one is blurred")) << why_not(blur(code, 4));
  EXPECT_TRUE(says(why_not(contrast(blur(code, 4), 20)), "more contrast"));

  GrayImage torn = code;
  for (int y = 80; y < 220; ++y)
    std::fill_n(torn.pixels.begin() + y * torn.width + 60, 140, std::uint8_t{0});
  EXPECT_TRUE(says(why_not(torn), "corner marks of one were seen, about 4 pixels per module"))
      << why_not(torn);
  EXPECT_TRUE(says(why_not(invert(torn)), "corner marks of one were seen"))
      << why_not(invert(torn));
}

TEST(CameraTest, CodesTornTooFarAreNotGuessed) {
  SeededRandom random(17);
  int refused = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string text = payload(random);
    GrayImage image = drawn(text);
    // 9 x 9 modules out of the middle, then more: level L repairs about 7 %.
    const int side = (9 + 2 * i) * 4;
    const int begin = (image.width - side) / 2;
    for (int y = begin; y < begin + side; ++y) {
      for (int x = begin; x < begin + side; ++x) {
        image.pixels[static_cast<std::size_t>(y * image.width + x)] =
            random.below(2) == 0 ? 0 : 255;
      }
    }
    const auto result = read_qr(image);
    if (result) {
      EXPECT_EQ(*result, text);
    } else {
      ++refused;
    }
  }
  EXPECT_GE(refused, 6);
}

TEST(CameraTest, PicturesTooSmallOrTooLongForACodeAreNotSearched) {
  for (const auto& image :
       {GrayImage{}, white(20, 500), white(500, 20), white(1, 1), white(65'536, 30)}) {
    EXPECT_TRUE(says(why_not(image), "no QR code fits into"));
  }
  EXPECT_TRUE(says(why_not(white(65'535, 21)), "one colour"));
}

}  // namespace
}  // namespace wa::mock::camera

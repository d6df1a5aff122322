#include "engine/qr/qr.hpp"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "engine/qr/symbol.hpp"
#include "tests/support/test_support.hpp"

namespace wa::qr {
namespace {

/// Modules as text, '#' dark and '.' light, so that a difference can be seen.
using Picture = std::vector<std::string>;

const std::string kLink = "https://wa.me/settings/linked_devices#2@" + std::string(197, 'q');

Picture drawn(const Symbol& symbol, int quiet) {
  Picture rows;
  for (int y = -quiet; y < symbol.size + quiet; ++y) {
    std::string row;
    for (int x = -quiet; x < symbol.size + quiet; ++x) row += symbol.dark(x, y) ? '#' : '.';
    rows.push_back(row);
  }
  return rows;
}

/// The pixels of a PNG as libpng sees them.
Picture drawn_by_libpng(ByteSpan png) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, png.data(), png.size())) << image.message;
  image.format = PNG_FORMAT_GRAY;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) << image.message;
  Picture rows;
  for (std::size_t y = 0; y < image.height; ++y) {
    std::string row;
    for (std::size_t x = 0; x < image.width; ++x) {
      row += pixels[y * image.width + x] == 0 ? '#' : '.';
    }
    rows.push_back(row);
  }
  return rows;
}

Picture enlarged(const Picture& picture, std::size_t factor) {
  Picture rows;
  for (const auto& row : picture) {
    std::string wide;
    for (const char module : row) wide.append(factor, module);
    rows.insert(rows.end(), factor, wide);
  }
  return rows;
}

TEST(QrTest, PngShowsEveryModuleAtEveryScaleAndQuietZone) {
  const auto symbol = encode(kLink).value();
  for (const PngOptions options : {PngOptions{}, PngOptions{1, 0}, PngOptions{3, 1},
                                   PngOptions{5, 7}, PngOptions{8, 4}, PngOptions{13, 2}}) {
    SCOPED_TRACE(options.pixels_per_module);
    const auto png = to_png(kLink, options).value();
    EXPECT_EQ(drawn_by_libpng(png), enlarged(drawn(symbol, options.quiet_modules),
                                             static_cast<std::size_t>(options.pixels_per_module)));
  }
}

TEST(QrTest, PngIsOneBitGreyAndSmall) {
  const auto png = to_png(kLink).value();
  ASSERT_GT(png.size(), 33U);
  EXPECT_EQ(to_hex(ByteSpan(png).first(16)), "89504e470d0a1a0a0000000d49484452");
  // 57 modules and 2 · 4 quiet ones, 4 pixels each: 260; depth 1, colour type 0.
  EXPECT_EQ(to_hex(ByteSpan(png).subspan(16, 13)), "00000104000001040100000000");
  EXPECT_LT(png.size(), 2000U);
}

TEST(QrTest, LinkOfAPairingCodeIsVersionTenWithLevelL) {
  ASSERT_EQ(kLink.size(), 237U);
  const auto symbol = encode(kLink).value();
  EXPECT_EQ(symbol.size, 57);
  // The level is the first two bits of the format word beside the upper left finder pattern,
  // row 8, masked with 10101…: L (01) is stored as 11.
  EXPECT_TRUE(symbol.dark(0, 8));
  EXPECT_TRUE(symbol.dark(1, 8));
}

TEST(QrTest, DigitsAreStillEncodedAsBytes) {
  // 41 digits fit version 1 in numeric mode; as bytes they need version 3.
  EXPECT_EQ(encode(std::string(41, '7')).value().size, 29);
}

TEST(QrTest, TextMayHoldAnyByte) {
  const std::string_view text("a\0b\xff", 4);
  EXPECT_TRUE(to_png(text));
  EXPECT_NE(encode(text).value().modules, encode("a").value().modules);
}

TEST(QrTest, LargestTextFitsAndOneByteMoreDoesNot) {
  const std::string largest(kMaxTextBytes, 'x');
  EXPECT_EQ(encode(largest).value().size, 177);
  EXPECT_TRUE(to_png(largest));
  EXPECT_TRUE(to_svg(largest));
  EXPECT_TRUE(to_terminal(largest));
  for (const std::size_t size : {kMaxTextBytes + 1, std::size_t{1} << 20}) {
    const std::string text(size, 'x');
    EXPECT_EQ(to_png(text).error().code, Errc::too_large);
    EXPECT_EQ(to_svg(text).error().code, Errc::too_large);
    EXPECT_EQ(to_terminal(text).error().code, Errc::too_large);
  }
}

TEST(QrTest, LargestPictureOfTheOptionsIsWritten) {
  const auto png = to_png(std::string(kMaxTextBytes, 'x'), {64, 64}).value();
  EXPECT_EQ(to_hex(ByteSpan(png).subspan(16, 8)), "00004c4000004c40");  // (177 + 2 · 64) · 64
}

TEST(QrTest, EmptyTextIsMalformed) {
  EXPECT_EQ(to_png("").error().code, Errc::malformed);
  EXPECT_EQ(to_svg("").error().code, Errc::malformed);
  EXPECT_EQ(to_terminal("").error().code, Errc::malformed);
}

TEST(QrTest, OptionsOutOfRangeAreUsageErrors) {
  for (const PngOptions options : {PngOptions{0, 4}, PngOptions{-1, 4}, PngOptions{65, 4},
                                   PngOptions{4, -1}, PngOptions{4, 65}}) {
    const auto result = to_png("x", options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::usage);
  }
  EXPECT_TRUE(to_png("x", {64, 64}));
}

TEST(QrTest, SvgPathCoversExactlyTheDarkModules) {
  const auto symbol = encode(kLink).value();
  const auto svg = to_svg(kLink).value();
  EXPECT_NE(svg.find("viewBox=\"0 0 65 65\""), std::string::npos);
  EXPECT_EQ(svg.find("<path"), svg.rfind("<path"));

  Picture picture(65, std::string(65, '.'));
  const char* at = svg.c_str() + svg.find(" d=\"") + 4;
  while (*at == 'M') {
    char* end = nullptr;
    const long x = std::strtol(at + 1, &end, 10);
    const long y = std::strtol(end + 1, &end, 10);
    ASSERT_EQ(*end, 'h');
    const long run = std::strtol(end + 1, &end, 10);
    const std::string rest = "v1h-" + std::to_string(run) + "z";
    ASSERT_EQ(std::string_view(end).substr(0, rest.size()), rest);
    at = end + rest.size();
    for (long i = 0; i < run; ++i) {
      picture.at(static_cast<std::size_t>(y)).at(static_cast<std::size_t>(x + i)) = '#';
    }
  }
  EXPECT_EQ(std::string_view(at), "\"/></svg>\n");
  EXPECT_EQ(picture, drawn(symbol, 4));
}

TEST(QrTest, TerminalShowsTwoModulesARowBlackOnWhite) {
  const auto symbol = encode("testline").value();
  const auto text = to_terminal("testline").value();
  Picture picture;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    const std::string_view begin = "\x1b[38;5;16;48;5;231m";
    const std::string_view end = "\x1b[0m";
    ASSERT_TRUE(line.starts_with(begin));
    ASSERT_TRUE(line.ends_with(end));
    line = line.substr(begin.size(), line.size() - begin.size() - end.size());
    std::string upper;
    std::string lower;
    while (!line.empty()) {
      const auto glyph = line.substr(0, line[0] == ' ' ? 1 : 3);
      line.remove_prefix(glyph.size());
      upper += glyph == "▀" || glyph == "█" ? '#' : '.';
      lower += glyph == "▄" || glyph == "█" ? '#' : '.';
      ASSERT_TRUE(glyph == " " || glyph == "▀" || glyph == "▄" || glyph == "█") << glyph;
    }
    picture.push_back(upper);
    picture.push_back(lower);
  }
  auto expected = drawn(symbol, 2);
  expected.push_back(std::string(expected[0].size(), '.'));  // an odd number of rows, filled up
  EXPECT_EQ(picture, expected);
}

}  // namespace
}  // namespace wa::qr

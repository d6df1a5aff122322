#include "engine/qr/qr.hpp"

#include <algorithm>

#include "engine/qr/png.hpp"
#include "engine/qr/symbol.hpp"

namespace wa::qr {
namespace {

constexpr int kTextQuietModules = 2;  // what a terminal can spare; readers manage without any
constexpr int kSvgQuietModules = 4;   // what the QR standard asks for

Result<Symbol> checked(std::string_view text, const PngOptions& options) {
  if (options.pixels_per_module < 1 || options.pixels_per_module > 64) {
    return Error{Errc::usage, "pixels per module: expected 1 to 64, found " +
                                  std::to_string(options.pixels_per_module)};
  }
  if (options.quiet_modules < 0 || options.quiet_modules > 64) {
    return Error{Errc::usage,
                 "quiet modules: expected 0 to 64, found " + std::to_string(options.quiet_modules)};
  }
  return encode(text);
}

/// One row of modules as packed pixels: a set bit is white.
void draw_row(const Symbol& symbol, int module_y, const PngOptions& options, Bytes& row) {
  std::fill(row.begin(), row.end(), std::byte{0xff});
  const auto per_module = static_cast<std::size_t>(options.pixels_per_module);
  for (int x = 0; x < symbol.size; ++x) {
    if (!symbol.dark(x, module_y)) continue;
    const std::size_t first = static_cast<std::size_t>(x + options.quiet_modules) * per_module;
    for (std::size_t pixel = first; pixel < first + per_module; ++pixel) {
      row[pixel / 8] &= ~(std::byte{0x80} >> (pixel % 8));
    }
  }
}

}  // namespace

Result<Bytes> to_png(std::string_view text, const PngOptions& options) {
  WA_TRY(const auto symbol, checked(text, options));
  const int side_modules = symbol.size + 2 * options.quiet_modules;
  const int side = side_modules * options.pixels_per_module;
  Bytes row(static_cast<std::size_t>(side + 7) / 8);
  Bytes pixels;
  pixels.reserve(row.size() * static_cast<std::size_t>(side));
  for (int y = 0; y < side_modules; ++y) {
    draw_row(symbol, y - options.quiet_modules, options, row);
    for (int repeat = 0; repeat < options.pixels_per_module; ++repeat) append(pixels, row);
  }
  return encode_png(side, side, pixels);
}

Result<std::string> to_svg(std::string_view text) {
  WA_TRY(const auto symbol, encode(text));
  const std::string side = std::to_string(symbol.size + 2 * kSvgQuietModules);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + side + " " + side +
                    "\" shape-rendering=\"crispEdges\"><rect width=\"" + side + "\" height=\"" +
                    side + "\" fill=\"#fff\"/><path fill=\"#000\" d=\"";
  for (int y = 0; y < symbol.size; ++y) {
    for (int x = 0; x < symbol.size; ++x) {
      if (!symbol.dark(x, y)) continue;
      int run = 1;
      while (symbol.dark(x + run, y)) ++run;
      const std::string length = std::to_string(run);
      svg += "M" + std::to_string(x + kSvgQuietModules) + " " +
             std::to_string(y + kSvgQuietModules) + "h" + length + "v1h-" + length + "z";
      x += run;
    }
  }
  svg += "\"/></svg>\n";
  return svg;
}

Result<std::string> to_terminal(std::string_view text) {
  WA_TRY(const auto symbol, encode(text));
  // Colours are named, because a terminal may be light or dark: black on white, of the fixed part
  // of the 256-colour palette, which themes leave alone.
  constexpr std::string_view kBlackOnWhite = "\x1b[38;5;16;48;5;231m";
  constexpr std::string_view kPlain = "\x1b[0m";
  constexpr std::string_view kGlyphs[] = {" ", "\u2584", "\u2580",
                                          "\u2588"};  // upper, lower: dark?

  std::string out;
  for (int y = -kTextQuietModules; y < symbol.size + kTextQuietModules; y += 2) {
    out += kBlackOnWhite;
    for (int x = -kTextQuietModules; x < symbol.size + kTextQuietModules; ++x) {
      out += kGlyphs[(symbol.dark(x, y) ? 2 : 0) + (symbol.dark(x, y + 1) ? 1 : 0)];
    }
    out += kPlain;
    out += '\n';
  }
  return out;
}

}  // namespace wa::qr

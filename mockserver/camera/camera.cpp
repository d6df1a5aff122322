#include "mockserver/camera/camera.hpp"

#include <ZXing/ReadBarcode.h>

#include <algorithm>
#include <array>
#include <optional>

#include "mockserver/camera/finders.hpp"
#include "mockserver/camera/jpeg_picture.hpp"
#include "mockserver/camera/pixels.hpp"
#include "mockserver/camera/png_picture.hpp"

namespace wa::mock::camera {
namespace {

constexpr int kSmallestSide = 21;     // modules of the smallest QR code, at one pixel each
constexpr int kLargestSide = 65'535;  // ZXing's coordinates are 16 bits wide
// The picture is looked at as it is, however large; what is tried after that works on at most this
// many pixels, so that a picture without a QR code costs seconds at most.
constexpr std::size_t kWorkPixels = 4'000'000;

/// What the codes in a picture say, all different.
using Texts = std::vector<std::string>;

struct Part {
  int left, top, width, height;
};

/// ZXing guesses the character set of 8-bit data; we know ours. Declared sets and kanji are
/// converted by it.
std::string text_of(const ZXing::Result& code) {
  const auto& content = code.bytes();
  const bool plain = !code.hasECI() && std::all_of(content.begin(), content.end(),
                                                   [](auto byte) { return byte < 0x80; });
  if (plain) return {content.begin(), content.end()};
  return code.text();
}

/// Adds what ZXing finds in one go in a part of the picture; returns where the codes are that it
/// could decode.
std::vector<Quad> look_once(const GrayImage& image, Part part, ZXing::Binarizer binarizer,
                            Texts& texts) {
  ZXing::DecodeHints hints;
  hints.setFormats(ZXing::BarcodeFormat::QRCode).setBinarizer(binarizer);
  const auto view =
      ZXing::ImageView(image.pixels.data(), image.width, image.height, ZXing::ImageFormat::Lum)
          .cropped(part.left, part.top, part.width, part.height);
  std::vector<Quad> decoded;
  for (const auto& code : ZXing::ReadBarcodes(view, hints)) {
    Quad place;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto& corner = code.position()[i];
      place.corners[i] = {corner.x + part.left, corner.y + part.top};
    }
    auto text = text_of(code);
    if (text.empty()) continue;
    decoded.push_back(place);
    if (std::count(texts.begin(), texts.end(), text) == 0) texts.push_back(std::move(text));
  }
  return decoded;
}

/// Four corners of the picture, each of 3/5 of its width and height: fewer finder patterns to mix
/// up.
std::vector<Quad> look_at_parts(const GrayImage& image, ZXing::Binarizer binarizer, Texts& texts) {
  const int width = image.width * 3 / 5;
  const int height = image.height * 3 / 5;
  std::vector<Quad> codes;
  for (const int left : {0, image.width - width}) {
    for (const int top : {0, image.height - height}) {
      const auto more = look_once(image, {left, top, width, height}, binarizer, texts);
      codes.insert(codes.end(), more.begin(), more.end());
    }
  }
  return codes;
}

/// Adds the texts of all codes in the picture.
void look(const GrayImage& image, ZXing::Binarizer binarizer, Texts& texts) {
  constexpr int kMostLooks = 32;
  const Part whole{0, 0, image.width, image.height};
  auto codes = look_once(image, whole, binarizer, texts);
  for (int looks = 1; looks < kMostLooks && !codes.empty() && more_codes_likely(image, codes);
       ++looks) {
    const GrayImage rest = cover(image, codes);
    auto more = look_once(rest, whole, binarizer, texts);
    if (more.empty()) more = look_at_parts(rest, binarizer, texts);
    if (more.empty()) return;
    codes.insert(codes.end(), more.begin(), more.end());
  }
}

/// A way to prepare a picture of stretched tones: black and white comes out. Some have variants,
/// counted from 0.
struct Attempt {
  const char* name;
  GrayImage (*prepare)(const GrayImage&, int variant);
  int variants = 1;
};

// Chosen with qr_bench: without blur, half size, size times 2.2, sharpening or tilting back, a row
// of its table falls; median and local threshold read much of the same, at another noise or light.
constexpr std::array kAttempts = {
    Attempt{"3x3 median", [](const GrayImage& image, int) { return split(median3(image)); }},
    Attempt{"blur of 1 pixel",
            [](const GrayImage& image, int) { return split(blurred(image, 1)); }},
    Attempt{"local threshold",
            [](const GrayImage& image, int) { return split_locally(blurred(image, 1), 10); }},
    Attempt{"half size",
            [](const GrayImage& image, int) { return split_locally(halved(image), 10); }},
    Attempt{"size times 2.2",
            [](const GrayImage& image, int) { return split(enlarged(image, 2.2)); }},
    Attempt{"double size, sharpened",
            [](const GrayImage& image, int) { return split(sharpened(enlarged(image, 2), 5, 6)); }},
    Attempt{"tilted back in 8 directions",
            [](const GrayImage& image, int variant) {
              return split(untilted(image, 45 * variant, 0.25));
            },
            8},
};

/// The texts of the first attempt that reads any.
Texts look_in_every_way(const GrayImage& image) {
  using ZXing::Binarizer;
  Texts texts;
  const auto done = [&] { return !texts.empty(); };
  if (look(image, Binarizer::LocalAverage, texts); done()) return texts;
  if (look(image, Binarizer::GlobalHistogram, texts); done()) return texts;

  GrayImage work = stretched(image, tones(image));
  while (work.pixels.size() > kWorkPixels &&
         std::min(work.width, work.height) >= 2 * kSmallestSide) {
    work = halved(work);
  }
  if (look(work, Binarizer::LocalAverage, texts); done()) return texts;
  if (look_at_parts(work, Binarizer::LocalAverage, texts); done()) return texts;
  const GrayImage negative = inverted(work);
  if (look(negative, Binarizer::LocalAverage, texts); done()) return texts;
  if (look(negative, Binarizer::GlobalHistogram, texts); done()) return texts;
  for (const auto& attempt : kAttempts) {
    for (int variant = 0; variant < attempt.variants; ++variant) {
      const GrayImage prepared = attempt.prepare(work, variant);
      if (look(prepared, Binarizer::FixedThreshold, texts); done()) return texts;
      if (look(inverted(prepared), Binarizer::FixedThreshold, texts); done()) return texts;
    }
  }
  return texts;
}

/// The width, in pixels, of three or more finder patterns of about one size; 0 when there are none.
/// The median filter keeps noise from looking like small ones.
int width_of_finders(const GrayImage& image, int threshold) {
  constexpr std::size_t kMostFinders = 50;
  auto finders = find_finders(median3(image), threshold, {}, kMostFinders);
  std::sort(finders.begin(), finders.end(),
            [](const auto& a, const auto& b) { return a.width > b.width; });
  for (std::size_t i = 2; i < finders.size(); ++i) {
    if (finders[i - 2].width * 3 <= finders[i].width * 4) return finders[i - 1].width;
  }
  return 0;
}

Error nothing_read(const GrayImage& image) {
  const Tones found = tones(image);
  const int range = found.light - found.dark;
  const int threshold = (found.light + found.dark + 1) / 2;
  int finder_width = width_of_finders(image, threshold);
  if (finder_width == 0) finder_width = width_of_finders(inverted(image), 255 - threshold);

  std::string detail = "no QR code can be read in " + std::to_string(image.width) + " x " +
                       std::to_string(image.height) + " pixels: ";
  if (range == 0) {
    detail += "almost all of it has one colour. ";
  } else if (finder_width > 0) {
    detail += "the corner marks of one were seen, about " + std::to_string((finder_width + 3) / 7) +
              " pixels per module, but what lies between them is damaged or cut off. ";
  } else {
    detail += "none was found. ";
  }
  detail += "Tried as it is, stretched contrast, its parts, inverted";
  for (const auto& attempt : kAttempts) detail += std::string(", ") + attempt.name;
  detail +=
      ". What may help: the whole code with its white border in the picture; 2 or more pixels per "
      "module";
  if (range > 0 && sharpness(image, found) < 0.25)
    detail += "; a sharper picture (this one is blurred)";
  if (range > 0 && range < 32)
    detail += "; more contrast (this one spans " + std::to_string(range) + " of 255)";
  return {Errc::not_found, detail};
}

}  // namespace

bool looks_like_picture(ByteSpan bytes) {
  return as_text(bytes).starts_with(kPngSignature) || as_text(bytes).starts_with(kJpegBegin);
}

Result<GrayImage> decode_picture(ByteSpan picture) {
  if (as_text(picture).starts_with(kPngSignature)) return decode_png(picture);
  if (as_text(picture).starts_with(kJpegBegin)) return decode_jpeg(picture);
  const auto begin = picture.first(std::min(picture.size(), std::size_t{8}));
  return Error{Errc::malformed, "neither PNG nor JPEG: " + std::to_string(picture.size()) +
                                    " bytes, the first are " + to_hex(begin)};
}

Result<std::string> read_qr(const GrayImage& image) {
  WA_ASSERT(image.width >= 0 && image.height >= 0 &&
            image.pixels.size() ==
                static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height));
  const auto [shorter, longer] = std::minmax(image.width, image.height);
  if (shorter < kSmallestSide || longer > kLargestSide) {
    return Error{Errc::not_found, "no QR code fits into " + std::to_string(image.width) + " x " +
                                      std::to_string(image.height) + " pixels: a side is below " +
                                      std::to_string(kSmallestSide) + " or above " +
                                      std::to_string(kLargestSide)};
  }
  auto texts = look_in_every_way(image);
  if (texts.empty()) return nothing_read(image);
  if (texts.size() > 1) {
    return Error{Errc::conflict,
                 std::to_string(texts.size()) +
                     " different QR codes in one picture; crop it to the one to scan"};
  }
  return std::move(texts.front());
}

Result<std::string> read_picture(ByteSpan picture) {
  WA_TRY(const auto image, decode_picture(picture));
  return read_qr(image);
}

}  // namespace wa::mock::camera

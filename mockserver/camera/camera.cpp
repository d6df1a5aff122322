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

/// What one picture has shown so far.
struct Seen {
  std::vector<std::string> texts;  ///< all different
  int unreadable_side = 0;         ///< pixels; of the largest code found but not decoded; 0: none
};

struct Part {
  int left, top, width, height;
};

/// ZXing guesses the character set of 8-bit data; we know ours. Declared sets and kanji are
/// converted by it.
std::string text_of(const ZXing::Result& code) {
  const auto& content = code.bytes();
  const bool plain = !code.hasECI() && std::all_of(content.begin(), content.end(), [](auto byte) {
    return byte < 0x80;
  });
  if (plain) return {content.begin(), content.end()};
  return code.text();
}

/// Adds what ZXing finds in one go in a part of the picture; returns where the codes are that it
/// could decode.
std::vector<Quad> look_once(const GrayImage& image, Part part, ZXing::Binarizer binarizer,
                            int shrunk_by, Seen& seen) {
  ZXing::DecodeHints hints;
  hints.setFormats(ZXing::BarcodeFormat::QRCode).setBinarizer(binarizer).setReturnErrors(true);
  const auto view = ZXing::ImageView(image.pixels.data(), image.width, image.height, ZXing::ImageFormat::Lum)
                        .cropped(part.left, part.top, part.width, part.height);
  std::vector<Quad> decoded;
  for (const auto& code : ZXing::ReadBarcodes(view, hints)) {
    Quad place;
    for (int i = 0; i < 4; ++i) {
      const auto& corner = code.position()[i];
      place.corners[static_cast<std::size_t>(i)] = {corner.x + part.left, corner.y + part.top};
    }
    auto text = code.isValid() ? text_of(code) : std::string();
    if (text.empty()) {
      const auto& [a, b, c, d] = place.corners;
      const auto [left, right] = std::minmax({a.x, b.x, c.x, d.x});
      seen.unreadable_side = std::max(seen.unreadable_side, (right - left) * shrunk_by);
      continue;
    }
    decoded.push_back(place);
    if (std::count(seen.texts.begin(), seen.texts.end(), text) == 0) seen.texts.push_back(std::move(text));
  }
  return decoded;
}

/// Four corners of the picture, each of 3/5 of its width and height: fewer finder patterns to mix up.
std::vector<Quad> look_at_parts(const GrayImage& image, ZXing::Binarizer binarizer, int shrunk_by,
                                Seen& seen) {
  const int width = image.width * 3 / 5;
  const int height = image.height * 3 / 5;
  std::vector<Quad> codes;
  for (const int left : {0, image.width - width}) {
    for (const int top : {0, image.height - height}) {
      const auto more = look_once(image, {left, top, width, height}, binarizer, shrunk_by, seen);
      codes.insert(codes.end(), more.begin(), more.end());
    }
  }
  return codes;
}

/// Adds the texts of all codes in the picture.
void look(const GrayImage& image, ZXing::Binarizer binarizer, int shrunk_by, Seen& seen) {
  constexpr int kMostLooks = 32;
  const Part whole{0, 0, image.width, image.height};
  auto codes = look_once(image, whole, binarizer, shrunk_by, seen);
  for (int looks = 1; looks < kMostLooks && !codes.empty() && more_codes_likely(image, codes); ++looks) {
    const GrayImage rest = cover(image, codes);
    auto more = look_once(rest, whole, binarizer, shrunk_by, seen);
    if (more.empty()) more = look_at_parts(rest, binarizer, shrunk_by, seen);
    if (more.empty()) return;
    codes.insert(codes.end(), more.begin(), more.end());
  }
}

/// A way to prepare a picture of stretched tones: black and white comes out.
struct Attempt {
  const char* name;
  GrayImage (*prepare)(const GrayImage&);
};

// In the order in which they help most often. Each is here because a kind of damage in qr_bench's table is read
// by it alone.
constexpr std::array kAttempts = {
    Attempt{"one threshold", [](const GrayImage& image) { return split(image); }},
    Attempt{"3x3 median", [](const GrayImage& image) { return split(median3(image)); }},
    Attempt{"blur of 1 pixel", [](const GrayImage& image) { return split(blurred(image, 1)); }},
    Attempt{"local threshold", [](const GrayImage& image) { return split_locally(blurred(image, 1), 10); }},
    Attempt{"half size", [](const GrayImage& image) { return split_locally(halved(image), 10); }},
    Attempt{"size times 2.2", [](const GrayImage& image) { return split(enlarged(image, 2.2)); }},
    Attempt{"sharpening", [](const GrayImage& image) { return split(sharpened(image, 2, 4)); }},
    Attempt{"double size, slight sharpening",
            [](const GrayImage& image) { return split(sharpened(enlarged(image, 2), 2, 2)); }},
    Attempt{"double size, strong sharpening",
            [](const GrayImage& image) { return split(sharpened(enlarged(image, 2), 5, 6)); }},
    Attempt{"blur of 2 pixels", [](const GrayImage& image) { return split(blurred(image, 2)); }},
};

/// Fills `seen` until something was read.
void look_in_every_way(const GrayImage& image, Seen& seen) {
  using ZXing::Binarizer;
  const auto done = [&] { return !seen.texts.empty(); };
  if (look(image, Binarizer::LocalAverage, 1, seen); done()) return;
  if (look(image, Binarizer::GlobalHistogram, 1, seen); done()) return;

  GrayImage work = stretched(image, tones(image));
  int shrunk_by = 1;
  for (; work.pixels.size() > kWorkPixels && std::min(work.width, work.height) > 1; shrunk_by *= 2) {
    work = halved(work);
  }
  if (look(work, Binarizer::LocalAverage, shrunk_by, seen); done()) return;
  if (look_at_parts(work, Binarizer::LocalAverage, shrunk_by, seen); done()) return;
  const GrayImage negative = inverted(work);
  if (look(negative, Binarizer::LocalAverage, shrunk_by, seen); done()) return;
  if (look(negative, Binarizer::GlobalHistogram, shrunk_by, seen); done()) return;
  for (const auto& attempt : kAttempts) {
    const GrayImage prepared = attempt.prepare(work);
    if (look(prepared, Binarizer::FixedThreshold, shrunk_by, seen); done()) return;
    if (look(inverted(prepared), Binarizer::FixedThreshold, shrunk_by, seen); done()) return;
  }
}

Error nothing_read(const GrayImage& image, const Seen& seen) {
  std::string detail = "no QR code can be read in " + std::to_string(image.width) + " x " +
                       std::to_string(image.height) + " pixels: ";
  const Tones found_tones = tones(image);
  const int range = found_tones.light - found_tones.dark;
  const double edges = sharpness(image, found_tones);
  if (range == 0) {
    detail += "almost all of it has one colour. ";
  } else if (seen.unreadable_side > 0) {
    detail += "one was found, about " + std::to_string(seen.unreadable_side) +
              " pixels wide, but it is too damaged to decode. ";
  } else {
    detail += "none was found. ";
  }
  detail += "Tried as it is, stretched contrast, its parts, inverted";
  for (const auto& attempt : kAttempts) detail += std::string(", ") + attempt.name;
  detail += ". What may help: the whole code with its white border in the picture; 2 or more pixels per module";
  if (range > 0 && edges < 0.25) detail += "; a sharper picture (this one is blurred)";
  if (range > 0 && range < 32) detail += "; more contrast (this one spans " + std::to_string(range) + " of 255)";
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
  Seen seen;
  look_in_every_way(image, seen);
  if (seen.texts.empty()) return nothing_read(image, seen);
  if (seen.texts.size() > 1) {
    return Error{Errc::conflict, std::to_string(seen.texts.size()) +
                                     " different QR codes in one picture; crop it to the one to scan"};
  }
  return std::move(seen.texts.front());
}

Result<std::string> read_picture(ByteSpan picture) {
  WA_TRY(const auto image, decode_picture(picture));
  return read_qr(image);
}

}  // namespace wa::mock::camera

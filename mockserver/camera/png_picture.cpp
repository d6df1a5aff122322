#include "mockserver/camera/png_picture.hpp"

#include <png.h>
#include <zlib.h>

#include "engine/base/limits.hpp"

namespace wa::mock::camera {
namespace {

Error malformed(const std::string& detail) {
  return Error{Errc::malformed, "PNG: " + detail};
}

struct Size {
  std::uint64_t width = 0;
  std::uint64_t height = 0;
};

/// Walks all chunks before libpng sees them: it forgives some damage (a missing end, checksums of
/// optional chunks), and it would say less well what is wrong.
Result<Size> check_chunks(ByteSpan picture) {
  constexpr std::size_t kAroundData = 12;  // length, type, checksum
  Size size;
  std::size_t at = kPngSignature.size();
  for (;;) {
    if (picture.size() - at < kAroundData) {
      return malformed("ends at byte " + std::to_string(picture.size()) +
                       ", before its IEND chunk");
    }
    const std::uint64_t data_bytes = read_big_endian(picture.subspan(at, 4));
    const auto type = as_text(picture.subspan(at + 4, 4));
    const bool first = at == kPngSignature.size();
    if (first != (type == "IHDR") || (first && data_bytes != 13)) {
      return malformed("byte " + std::to_string(at) +
                       ": expected one IHDR chunk, the first, of 13 bytes");
    }
    if (picture.size() - at - kAroundData < data_bytes) {
      return malformed("ends at byte " + std::to_string(picture.size()) + ", inside a chunk of " +
                       std::to_string(data_bytes) + " bytes that begins at byte " +
                       std::to_string(at));
    }
    const auto checked = picture.subspan(at + 4, 4 + data_bytes);
    const auto found = crc32_z(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size());
    if (found != read_big_endian(picture.subspan(at + 8 + data_bytes, 4))) {
      return malformed("wrong checksum in the chunk at byte " + std::to_string(at));
    }
    if (first) {
      size.width = read_big_endian(checked.subspan(4, 4));
      size.height = read_big_endian(checked.subspan(8, 4));
    }
    if (type == "IEND") return size;
    at += kAroundData + data_bytes;
  }
}

}  // namespace

Result<void> check_size(std::uint64_t width, std::uint64_t height) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (width == 0 || height == 0) return Error{Errc::malformed, "picture of " + size};
  if (width > limits::kMaxPicturePixels || height > limits::kMaxPicturePixels / width) {
    return Error{Errc::too_large, "picture of " + size + "; at most " +
                                      std::to_string(limits::kMaxPicturePixels) + " in all"};
  }
  return {};
}

Result<GrayImage> decode_png(ByteSpan picture) {
  WA_TRY(const auto size, check_chunks(picture));
  WA_TRY_VOID(check_size(size.width, size.height));

  // libpng's simplified interface keeps its longjmp to itself.
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&png, picture.data(), picture.size())) {
    return malformed(png.message);
  }
  WA_ASSERT(png.width == size.width && png.height == size.height);
  png.format = PNG_FORMAT_GRAY;
  GrayImage image;
  image.width = static_cast<int>(png.width);
  image.height = static_cast<int>(png.height);
  image.pixels.resize(std::size_t{png.width} * png.height);
  constexpr png_color kWhite{255, 255, 255};
  if (!png_image_finish_read(&png, &kWhite, image.pixels.data(), 0, nullptr)) {
    return malformed(png.message);
  }
  return image;
}

}  // namespace wa::mock::camera

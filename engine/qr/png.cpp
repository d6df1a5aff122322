#include "engine/qr/png.hpp"

#include <png.h>

#include <new>

namespace wa::qr {
namespace {

void append_to_file(png_structp png, png_bytep data, png_size_t size) {
  auto& file = *static_cast<Bytes*>(png_get_io_ptr(png));
  append(file, as_bytes({reinterpret_cast<const char*>(data), size}));
}

void nothing_to_flush(png_structp) {}

/// False when libpng gave up, which is for want of memory only. No objects with destructors here:
/// libpng leaves by longjmp.
bool write_rows(png_structp png, png_infop info, int width, int height, const png_byte* pixels) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 1,
               PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_compression_level(png, 1);
  png_write_info(png, info);
  const std::size_t row_bytes = static_cast<std::size_t>(width + 7) / 8;
  for (int y = 0; y < height; ++y) {
    png_write_row(png, pixels + static_cast<std::size_t>(y) * row_bytes);
  }
  png_write_end(png, info);
  return true;
}

}  // namespace

Bytes encode_png(int width, int height, ByteSpan packed_pixels) {
  const std::size_t row_bytes = static_cast<std::size_t>(width + 7) / 8;
  WA_ASSERT(width > 0 && height > 0);
  WA_ASSERT(packed_pixels.size() == row_bytes * static_cast<std::size_t>(height));
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  if (png == nullptr) throw std::bad_alloc();
  png_infop info = png_create_info_struct(png);
  Bytes file;
  png_set_write_fn(png, &file, append_to_file, nothing_to_flush);
  const auto* pixels = reinterpret_cast<const png_byte*>(packed_pixels.data());
  const bool written = info != nullptr && write_rows(png, info, width, height, pixels);
  png_destroy_write_struct(&png, &info);
  if (!written) throw std::bad_alloc();
  return file;
}

}  // namespace wa::qr

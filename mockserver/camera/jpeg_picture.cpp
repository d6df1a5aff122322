#include "mockserver/camera/jpeg_picture.hpp"

#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which needs size_t and FILE

#include <jerror.h>
#include <jpeglib.h>

#include "mockserver/camera/png_picture.hpp"

namespace wa::mock::camera {
namespace {

// Each scan of a progressive file is a pass over the whole picture: a small file of thousands of
// scans would keep us busy for minutes. Encoders write about ten.
constexpr int kMaxScans = 100;
// Progressive files are held as coefficients, 2 bytes each.
constexpr long kMaxMemoryBytes = 512L * 1024 * 1024;

/// libjpeg leaves by longjmp. Hence the shape of this file: only open(), read_rows() and what
/// libjpeg calls are jumped over or jumped into, and they hold nothing that has a destructor.
struct Reader {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  (*jpeg->err->format_message)(jpeg, reader->message);
  std::longjmp(reader->escape, 1);
}

void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;  // traces
  switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR: return;  // oddities of encoders that leave the pixels intact
    default: give_up(jpeg);
  }
}

void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  std::snprintf(reader->message, sizeof reader->message, "more than %d scans", kMaxScans);
  std::longjmp(reader->escape, 1);
}

bool open(Reader& reader, const unsigned char* data, unsigned long size) {
  auto& jpeg = reader.jpeg;
  if (setjmp(reader.escape) != 0) return false;
  jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = give_up;
  reader.errors.emit_message = on_message;
  jpeg.client_data = &reader;
  jpeg_create_decompress(&jpeg);
  jpeg.mem->max_memory_to_use = kMaxMemoryBytes;
  jpeg.progress = &reader.progress;
  reader.progress.progress_monitor = on_progress;
  jpeg_mem_src(&jpeg, data, size);
  jpeg_read_header(&jpeg, TRUE);
  const bool inks = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = inks ? JCS_CMYK : JCS_GRAYSCALE;
  return true;
}

/// Cyan, magenta, yellow and black of one row as grey.
void mix_inks(const unsigned char* inks, unsigned width, bool adobe, std::uint8_t* grey) {
  for (unsigned x = 0; x < width; ++x, inks += 4) {
    unsigned light[4];
    // Adobe's files, and all that follow them, store paper minus ink.
    for (int i = 0; i < 4; ++i) light[i] = adobe ? inks[i] : 255U - inks[i];
    const unsigned coloured = 299 * light[0] + 587 * light[1] + 114 * light[2];
    grey[x] = static_cast<std::uint8_t>(coloured * light[3] / 255'000);
  }
}

bool read_rows(Reader& reader, std::uint8_t* pixels, std::uint8_t* ink_row) {
  auto& jpeg = reader.jpeg;
  if (setjmp(reader.escape) != 0) return false;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    std::uint8_t* grey = pixels + std::size_t{jpeg.output_scanline} * jpeg.output_width;
    JSAMPROW row = ink_row != nullptr ? ink_row : grey;
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (ink_row != nullptr) mix_inks(ink_row, jpeg.output_width, jpeg.saw_Adobe_marker, grey);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

Result<GrayImage> decode_jpeg(ByteSpan picture) {
  Reader reader{};
  struct Closer {
    Reader& reader;
    ~Closer() { jpeg_destroy_decompress(&reader.jpeg); }
  } const closer{reader};
  const auto malformed = [&] {
    return Error{Errc::malformed, std::string("JPEG: ") + reader.message};
  };

  if (!open(reader, reinterpret_cast<const unsigned char*>(picture.data()), picture.size())) {
    return malformed();
  }
  WA_TRY_VOID(check_size(reader.jpeg.image_width, reader.jpeg.image_height));
  GrayImage image;
  image.width = static_cast<int>(reader.jpeg.image_width);
  image.height = static_cast<int>(reader.jpeg.image_height);
  image.pixels.resize(std::size_t{reader.jpeg.image_width} * reader.jpeg.image_height);
  std::vector<std::uint8_t> ink_row;
  if (reader.jpeg.out_color_space == JCS_CMYK)
    ink_row.resize(std::size_t{reader.jpeg.image_width} * 4);
  if (!read_rows(reader, image.pixels.data(), ink_row.empty() ? nullptr : ink_row.data())) {
    return malformed();
  }
  return image;
}

}  // namespace wa::mock::camera

#include "engine/qr/png.hpp"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace wa::qr {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kLengthAndType = 8;

/// A chunk's length, type and a place for its data; close_chunk() fills in length and checksum.
std::size_t open_chunk(Bytes& file, std::string_view type) {
  const std::size_t begin = file.size();
  append(file, big_endian<4>(0));
  append(file, as_bytes(type));
  return begin;
}

void close_chunk(Bytes& file, std::size_t begin) {
  const auto length = big_endian<4>(file.size() - begin - kLengthAndType);
  std::copy(length.begin(), length.end(), file.begin() + static_cast<std::ptrdiff_t>(begin));
  const uLong checksum =
      crc32_z(0, reinterpret_cast<const Bytef*>(file.data() + begin + 4), file.size() - begin - 4);
  append(file, big_endian<4>(checksum));
}

}  // namespace

struct PngWriter::Deflater {
  z_stream stream{};
  std::size_t chunk = 0;  ///< where IDAT begins in the file

  Deflater() {
    if (deflateInit(&stream, 1) != Z_OK) throw std::bad_alloc();
  }
  ~Deflater() { deflateEnd(&stream); }
};

PngWriter::PngWriter(int width, int height)
    : row_bytes_(static_cast<std::size_t>(width + 7) / 8),
      rows_missing_(height),
      deflater_(std::make_unique<Deflater>()) {
  WA_ASSERT(width > 0 && height > 0);
  append(file_, as_bytes(kSignature));
  const std::size_t header = open_chunk(file_, "IHDR");
  append(file_, big_endian<4>(static_cast<std::uint64_t>(width)));
  append(file_, big_endian<4>(static_cast<std::uint64_t>(height)));
  // Bit depth 1, greyscale, deflate, the standard filters, not interlaced.
  for (const int field : {1, 0, 0, 0, 0}) file_.push_back(static_cast<std::byte>(field));
  close_chunk(file_, header);
  deflater_->chunk = open_chunk(file_, "IDAT");
}

PngWriter::~PngWriter() = default;

void PngWriter::compress(ByteSpan bytes, bool last) {
  z_stream& stream = deflater_->stream;
  // zlib reads through a pointer that is not const for historical reasons only.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  do {
    ByteArray<4096> piece;
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    const int status = deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    WA_ASSERT(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
    append(file_, ByteSpan(piece).first(piece.size() - stream.avail_out));
  } while (stream.avail_out == 0);
}

void PngWriter::add_row(ByteSpan packed_pixels) {
  WA_ASSERT(packed_pixels.size() == row_bytes_ && rows_missing_ > 0);
  --rows_missing_;
  constexpr ByteArray<1> kFilterNone{};
  compress(kFilterNone, false);
  compress(packed_pixels, false);
}

Bytes PngWriter::finish() {
  WA_ASSERT(rows_missing_ == 0);
  compress({}, true);
  close_chunk(file_, deflater_->chunk);
  close_chunk(file_, open_chunk(file_, "IEND"));
  return std::move(file_);
}

}  // namespace wa::qr

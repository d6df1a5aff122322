#include "engine/protocol/wire/frame_splitter.hpp"

namespace wa::wire {
namespace {

constexpr std::size_t kHeaderBytes = 3;

}  // namespace

void FrameSplitter::feed(ByteSpan bytes) {
  // Dropping what was handed out only here, and only once it is half of the buffer, moves every
  // byte at most once or twice however small the pieces are.
  if (consumed_ > buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  append(buffer_, bytes);
}

Result<std::optional<Bytes>> FrameSplitter::next() {
  const ByteSpan waiting = ByteSpan(buffer_).subspan(consumed_);
  if (waiting.size() < kHeaderBytes) return std::optional<Bytes>();
  const auto payload_bytes = static_cast<std::size_t>(read_big_endian(waiting.first(kHeaderBytes)));
  if (payload_bytes == 0) return Error{Errc::malformed, "a frame of length zero"};
  if (payload_bytes > max_frame_bytes_) {
    return Error{Errc::too_large, "a frame of " + std::to_string(payload_bytes) +
                                      " bytes, above the limit of " +
                                      std::to_string(max_frame_bytes_)};
  }
  if (waiting.size() - kHeaderBytes < payload_bytes) return std::optional<Bytes>();
  Bytes payload = to_bytes(waiting.subspan(kHeaderBytes, payload_bytes));
  consumed_ += kHeaderBytes + payload_bytes;
  if (consumed_ == buffer_.size()) {
    buffer_ = Bytes();  // a stream that falls silent keeps no memory for what it had to say
    consumed_ = 0;
  }
  return std::optional<Bytes>(std::move(payload));
}

void append_frame_header(std::size_t payload_bytes, Bytes& out) {
  WA_ASSERT(payload_bytes <= limits::kMaxFrameBytes);
  append(out, big_endian<kHeaderBytes>(payload_bytes));
}

}  // namespace wa::wire

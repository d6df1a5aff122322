#pragma once

#include <optional>

#include "engine/base/bytes.hpp"
#include "engine/base/limits.hpp"

namespace wa::wire {

/// Cuts a byte stream into frames: a 3-byte big-endian length, then that many payload bytes.
///
/// Feed whatever arrived, then call `next()` until it yields an empty optional. Knows nothing of
/// sockets or encryption.
///
/// Source: docs/protocol/transport.md, "Frames" (vectors: tests/vectors/frames.json).
class FrameSplitter {
 public:
  /// Frames above the limit are an error. Memory is taken as bytes arrive, never as announced.
  explicit FrameSplitter(std::size_t max_frame_bytes = limits::kMaxFrameBytes)
      : max_frame_bytes_(max_frame_bytes) {}

  void set_max_frame_bytes(std::size_t bytes) { max_frame_bytes_ = bytes; }
  void feed(ByteSpan bytes);

  /// The next whole payload, or an empty optional when more bytes are needed.
  /// Errors: `too_large`, `malformed` for a length of zero. Both are fatal: drop the connection.
  Result<std::optional<Bytes>> next();

 private:
  std::size_t max_frame_bytes_;
  Bytes buffer_;
  std::size_t consumed_ = 0;
};

/// Appends the 3-byte length of a payload. The payload is shorter than 2^24 bytes.
void append_frame_header(std::size_t payload_bytes, Bytes& out);

}  // namespace wa::wire

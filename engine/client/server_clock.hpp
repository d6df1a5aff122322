#pragma once

#include <optional>

#include "engine/base/now.hpp"

namespace wa::client {

/// The server's clock as seen from here: learnt from what it says, used for what is shown and
/// written, never for deadlines.
///
/// The server says whole seconds, so a sample is right to half a second plus the difference of both
/// ways; a new one counts only when it differs by more than that.
///
/// Source: docs/protocol/connection.md, "Clock".
class ServerClock {
 public:
  /// The server has said its time (Unix seconds) in an answer that took `round_trip`. True: the
  /// offset has changed.
  bool heard(std::uint64_t seconds, Duration round_trip, UnixMillis wall);

  /// Ours less wrong.
  UnixMillis corrected(UnixMillis wall) const { return {wall.value + offset_ms_.value_or(0)}; }
  /// Rounded; empty before anything was heard.
  std::optional<std::chrono::seconds> offset() const;

 private:
  std::optional<std::int64_t> offset_ms_;
};

}  // namespace wa::client

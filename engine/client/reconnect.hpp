#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/now.hpp"
#include "engine/base/random.hpp"

namespace wa::client {

/// How soon to try again after a stream has ended.
enum class Retry {
  now,       ///< at once, uncounted
  now_once,  ///< at once the first time, then as exp; counted
  restart,   ///< at once and uncounted, as exp above three within a minute
  recycle,   ///< as exp, but uncounted when the connection was up for 45 minutes
  exp,       ///< 1 s doubling to 60 s, equal jitter; counted
  slow,      ///< 60 s doubling to 480 s and up to half as much again; counted
  stop,      ///< not by itself
};
std::string_view to_string(Retry retry);

/// When to dial again: the only scheduler of a session. All counters return to zero after a
/// connection that was stable for a while, never by a short one.
///
///            opened()              60 s later                 closed()
///   quiet ─────────────▶ settling ────────────▶ stable ─────────────────▶ quiet
///     ▲                     │ closed(): counters stay
///     └─────────────────────┘
///
/// Source: docs/protocol/connection.md, "Back-off".
class Reconnect {
 public:
  struct Config {
    Duration first{};   ///< of exp
    Duration max{};     ///< of exp
    Duration slow{};    ///< first of slow; also the minute in which restarts are counted
    Duration stable{};  ///< of connection, until the counters return to zero
  };
  explicit Reconnect(const Config& config) : config_(config) {}

  /// A connection is up (login succeeded, or a QR can be scanned).
  void opened(Instant now);
  /// It is down. To be called before `next_delay`.
  void closed(Instant now);
  /// When the counters will return to zero; empty when nothing is up or they are zero already.
  std::optional<Instant> next_deadline() const;
  /// Returns the counters to zero if the connection has been stable until now.
  void deadline_reached(Instant now);
  /// The user starts afresh.
  void reset();

  /// How long to wait before the next dial, counted. Not for `stop`.
  Duration next_delay(Retry retry, Instant now, Random& random);

  /// Counted reconnects since the last stable connection.
  std::uint32_t attempts() const { return attempts_; }

 private:
  static constexpr std::size_t kRestartsPerMinute = 3;
  static constexpr int kLongLived = 45;  ///< times `stable`

  bool is_zero() const { return attempts_ == 0 && !now_used_; }
  bool restarts_too_often(Instant now);
  Duration exponential(std::uint32_t exponent, Random& random) const;
  Duration counted_exponential(Random& random) { return exponential(attempts_++, random); }
  Duration slow(Random& random);

  Config config_;
  std::optional<Instant> stable_at_;
  bool was_long_lived_ = false;  ///< of the last connection
  std::uint32_t attempts_ = 0;
  std::uint32_t slow_attempts_ = 0;
  bool now_used_ = false;
  std::array<std::optional<Instant>, kRestartsPerMinute> restarts_;  ///< a ring of the latest
  std::size_t next_restart_ = 0;
};

}  // namespace wa::client

#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/random.hpp"

namespace wa::client {

/// Finds out whether a socket still carries bytes: pings at random intervals, and declares the
/// socket dead when what was sent stays without any answer.
///
///            Opened             ping_at: SendPing
///   Closed ──────────▶ Open ────────────────────────▶ Open
///      ▲                 │ BytesSent: the silence begins, once    │ silence over: ReportDead
///      │                 │ BytesReceived: the silence is over    ▼
///      └──── Closed ─────┴──────────────────────────────────── Closed
///
/// Any received byte is a sign of life, an answer to the ping is not required. The deadline runs
/// from the *first* send since the last receive and is never moved by later sends: an application
/// that keeps sending into a dead socket would otherwise postpone its discovery for ever. Much of
/// what is sent wants no answer, so a ping goes out early enough to get one before that deadline.
///
/// Source: docs/protocol/connection.md, "Keep-alive".
class Keepalive {
 public:
  struct Config {
    Duration ping_min{};
    Duration ping_max{};     ///< the next ping comes uniformly between the two
    Duration ping_answer{};  ///< silence after a ping
    Duration dead{};         ///< silence after any send
    Duration silence{};      ///< silence altogether
  };

  struct Opened {};
  struct BytesReceived {};
  struct BytesSent {};
  struct DeadlineReached {};
  struct SocketGone {};
  using Event = std::variant<Opened, BytesReceived, BytesSent, DeadlineReached, SocketGone>;

  struct SendPing {
    bool operator==(const SendPing&) const = default;
  };
  struct ReportDead {
    bool operator==(const ReportDead&) const = default;
  };
  using Action = std::variant<SendPing, ReportDead>;

  explicit Keepalive(const Config& config) : config_(config) {}

  /// The caller reports what it sends for SendPing as BytesSent, like everything else.
  std::vector<Action> step(const Event& event, Instant now, Random& random);
  std::optional<Instant> next_deadline() const;

 private:
  struct Closed {};
  struct Open {
    Instant ping_at;
    Instant heard_at;
    std::optional<Instant> dead_at;  ///< while something sent is without any answer
  };
  using State = std::variant<Closed, Open>;

  Instant draw_ping(Instant now, Random& random) const;
  Instant deadline(const Open& open) const;

  Config config_;
  State state_;
};

}  // namespace wa::client

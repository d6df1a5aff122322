#pragma once

#include <memory>

#include "engine/client/actions.hpp"
#include "engine/client/config.hpp"
#include "engine/client/stored.hpp"

namespace wa::client {

/// One device: pairing, login, liveness, reconnection. A pure machine; a shell performs its actions
/// in order and keeps one alarm at `next_deadline()`.
///
///   disconnected ─start─▶ connecting ─pair-device─▶ waiting_for_scan ─pair-success─▶ connecting
///                           ▲   │ success                │ refs ended         (finishing) │ 515
///                           │   ▼                        ▼                                │
///               back-off ◀─ connected          qr_expired / renewed              login ◀──┘
///
/// The policy for every way in which a stream ends is a table: close_policy.hpp.
///
/// Source: docs/protocol/pairing.md, docs/protocol/connection.md.
class Session {
 public:
  /// `config` and `random` must outlive the session. What is stored may want something done at
  /// once: look at `next_deadline()` before anything else has happened.
  Session(const Config& config, Stored stored, Random& random);
  Session(Config&&, Stored, Random&) = delete;
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  std::vector<Action> step(const Event& event, Now now);
  std::optional<Instant> next_deadline() const;

  const Status& status() const;
  /// As stored after the last Commit; empty before the first start.
  const std::optional<Credentials>& credentials() const;

  struct Counters {
    std::uint64_t dials = 0;
    std::uint64_t stale_events = 0;  ///< of older generations, dropped
    std::uint64_t unhandled_stanzas = 0;
    std::uint64_t pings_sent = 0;
    std::uint64_t owed_acks = 0;    ///< streams that the server ended over an ack
    std::uint64_t loop_alerts = 0;  ///< times that a stable connection was long in coming
  };
  const Counters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::client

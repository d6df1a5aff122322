#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/client/config.hpp"
#include "engine/client/session.hpp"
#include "engine/net/resolver.hpp"
#include "engine/runtime/clock.hpp"
#include "engine/runtime/compute_pool.hpp"
#include "engine/store/store.hpp"

namespace wa::runtime {

/// What the shells of an io_context share. All of it outlives them.
struct Surroundings {
  boost::asio::io_context& io;
  ComputePool& pool;
  store::Store& store;
  Random& random;
  net::Resolver* resolver = nullptr;  ///< looks up names for dials; null: the system's
  const Clock* clock = nullptr;       ///< null: the process's
};

/// One client::Session on real sockets, files and clocks: feeds it what happens, performs its
/// actions in order (through an ActionGate), keeps one alarm. No decision about the protocol is
/// made here.
///
///               start             opened                     start, logout, …
///     closed ─────────▶ opening ────────▶ running ──────────────────────────▶ running
///       ▲                  │ damaged         │ a commit failed, or took too long
///       ├──────────────────┴─────────────────┤ (opened again; after three such failures closed)
///       └────────────────────────────────────┘ stopped, and at rest: the device is given back
///
/// The machine is made from what is stored, at the first start, and again after a failed commit:
/// its sockets are then closed, since frames that were numbered are lost, and what it knew is void.
/// After three failures in a row the state is `store_error`.
///
/// When another process owns the device, or takes it over, there is no machine: its sockets are
/// closed, nothing is written, the state is `disconnected`, reason `owned_elsewhere`, and the store
/// is asked again every Timings::owned_retry.
///
/// Source: docs/ARCHITECTURE.md, "Writes are actions".
class SessionShell {
 public:
  /// Called from the io_context, never inside a call of the shell.
  struct Events {
    std::function<void(const client::Status&, Now)> on_status;
    std::function<void(const client::Report&, Now)> on_report;
    /// What happened to messages. One with a `seq` comes again at every start until taken().
    std::function<void(const messaging::AppEvent&, Now)> on_event = {};
    /// idle() has become true.
    std::function<void()> on_idle = {};
  };
  struct Options {
    client::Config config;
    /// For wss://: certificates (PEM) that are trusted; empty: those of the system.
    std::string tls_ca_pem = {};
    Duration store_patience = std::chrono::seconds(10);  ///< for a commit, or to open the store
  };

  SessionShell(Surroundings surroundings, std::string device, Options options, Events events);
  /// Cuts sockets; a commit under way is finished by the store.
  ~SessionShell();
  SessionShell(const SessionShell&) = delete;
  SessionShell& operator=(const SessionShell&) = delete;

  /// `done` comes before anything that the command leads to.
  using Done = std::function<void(Result<void>)>;
  /// Errors: `malformed` (what is stored is damaged: state `store_error`, nothing is changed),
  /// `environment` (the store cannot be read). A device that another process runs is no error: it
  /// starts when it is free.
  void start(Done done);
  /// Links with a phone number: starts, and shows a code in the status. A device that is paired
  /// only starts. Errors: `usage` (the number), those of start.
  void request_pairing_code(std::string_view number, Done done);
  /// Nothing happens when the session was never started.
  void stop(Done done);
  void logout(Done done);
  /// Forgets everything, also what is damaged. Errors: `environment`, `fenced`.
  void remove(Done done);

  /// Says something; on_event tells what became of it, under its `ref`. Errors: `conflict` (the
  /// device does not run).
  void send(client::SendRequested request, Done done);
  /// The user has read something. Errors: `conflict`.
  void read(client::ReadRequested request, Done done);
  /// A contact's new keys are accepted. Errors: `conflict`.
  void trust(client::TrustRequested request, Done done);
  /// A group is to be made or changed; on_event tells what became of it, under its `ref`. Errors:
  /// `conflict`.
  void change_group(client::GroupRequested request, Done done);
  /// What the user shows of itself, and wants to see of others. Errors: `conflict`.
  void show(
      std::variant<client::AvailabilityChanged, client::PresenceWanted, client::TypingShown> what,
      Done done);
  /// The application has this event, and will not forget it.
  void taken(std::uint64_t seq);

  /// Calls `then` once nothing is being written, maybe before this returns.
  void when_durable(std::function<void()> then);

  /// As users see it.
  const client::Status& status() const;
  bool has_timer() const;
  /// No socket, timer, commit or command is under way.
  bool idle() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::runtime

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/base/limits.hpp"
#include "mockserver/core/tenant.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::mock {

/// A TenantEvent with its place in the log.
struct LoggedEvent {
  std::uint64_t seq = 0;  ///< from 1, per tenant, without gaps
  std::int64_t t_ms = 0;  ///< since the host started
  std::string tenant;     ///< empty for the default one
  TenantEvent event;
};

/// What a host keeps, of all tenants together.
struct HostLimits {
  std::size_t tenants = limits::kMaxTenants;
  std::size_t phones = limits::kMaxPhones;
  std::size_t faults = limits::kMaxFaults;
  std::size_t events = limits::kMaxLoggedEvents;
};

struct HostOptions {
  std::string listen = "127.0.0.1:0";
  Settings settings;       ///< of the default tenant
  std::uint64_t seed = 0;  ///< of faults and ids
  /// Performs faults of clients' hosts, of the default tenant; without it they are refused. Called
  /// from within a step of the tenant.
  std::function<void(const HostFaultSwitched&)> on_host_fault = {};
  /// Gets the keys of every connection of every tenant, once its handshake is over; without it
  /// nobody does. Called from within a step of the tenant.
  std::function<void(const LogKeys&)> on_keys = {};
  /// Further names and IP addresses of this machine; the first stands in URLs.
  std::vector<std::string> host_names = {};
  /// What TlsAuthority::save() gave; empty: a new authority.
  std::string tls_authority = {};
  HostLimits limits = {};
};

/// Tenants on real sockets: listens (one port with and without TLS), routes `/ws/chat` and
/// `/t/{tenant}/ws/chat`, performs actions in order, keeps one alarm per tenant. Single-threaded:
/// everything runs on the io_context.
class MockHost {
 public:
  /// Errors: `usage` (address, host names), `malformed` (TLS authority), `environment` (port).
  /// `random` outlives the host; keys are drawn from it.
  static Result<std::unique_ptr<MockHost>> start(boost::asio::io_context& io, HostOptions options,
                                                 ServerKeys keys, Random& random);
  ~MockHost();

  std::uint16_t port() const;
  /// "ws://127.0.0.1:PORT/ws/chat", or "…/t/NAME/ws/chat".
  std::string ws_url(std::string_view tenant = {}) const;
  /// The same with TLS: "wss://…".
  std::string wss_url(std::string_view tenant = {}) const;
  /// The certificate that clients of wss_url() are to trust.
  const std::string& tls_ca_pem() const;
  const ServerKeys& keys() const;
  /// The process's clocks, as given to the tenants.
  Now now() const;

  /// The default tenant has the empty name. Null when there is none of that name.
  Tenant* tenant(std::string_view name);
  /// Makes a tenant. Errors: `conflict` (exists), `usage` (name), `too_large` (too many).
  Result<void> add_tenant(std::string_view name, Settings settings);
  std::vector<std::string> tenants() const;

  /// A phone or a fault beyond the host's limits is refused with 429.
  /// `done` runs once, maybe before this returns (most commands), maybe later (Scan).
  using Done = std::function<void(const std::variant<CommandResult, Problem>&)>;
  void command(std::string_view tenant, Command command, Done done);

  /// The newest events (at most kLogSize) of a tenant, oldest first.
  static constexpr std::size_t kLogSize = 20'000;
  const std::deque<LoggedEvent>& log(std::string_view tenant) const;
  using Subscription = std::shared_ptr<void>;
  /// Calls `on_event` for every event from now on, until the subscription is dropped.
  [[nodiscard]] Subscription subscribe(std::function<void(const LoggedEvent&)> on_event);
  /// Calls `on_changed(tenant)` whenever a tenant may have changed, after its actions were
  /// performed.
  [[nodiscard]] Subscription subscribe_changes(std::function<void(const std::string&)> on_changed);

  /// Open WebSockets. For `quiet-end`.
  std::size_t open_sockets() const;
  /// Closes everything; the io_context then runs out of work.
  void stop();

 private:
  class Impl;
  explicit MockHost(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::mock

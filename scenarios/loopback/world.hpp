#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mockserver/core/settings.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/loopback/proxy_server.hpp"
#include "scenarios/stage/world.hpp"

namespace wa::loopback {

struct Options {
  /// As written in the scenario: `scale` is applied here.
  mock::Settings settings;
  /// Of faults and ids; not of keys.
  std::uint64_t seed = 1;
  stage::TimeScale scale = stage::TimeScale::loopback(1);
  /// The client under test with its arguments, split as a shell does, without a shell; empty: this
  /// program's own `engine`.
  std::string client_command;
  /// What messages call it; empty: what its hello says.
  std::string client_name;
  /// Capabilities that the scenario cannot do without: device() fails as for a missing option.
  std::vector<std::string> needs;
  bool record = false;  ///< keep trace lines
  bool tls = true;      ///< devices dial wss://, and are given the mock's CA
  /// Gets the keys of every connection; they are in no trace.
  std::function<void(const mock::LogKeys&)> on_keys = {};
  /// Gets what clients print beside the protocol, line by line. `source` is "engine" or
  /// "engine/device". Never called after finish().
  std::function<void(std::string_view source, std::string_view line)> log;
};

/// A scenario on real sockets in real time: the mock listens on 127.0.0.1, the client under test is
/// one child process or several, told what to do in JSON Lines (docs/guides/client-driver.md).
///
/// One process runs all devices of an engine if its hello lists `multi_device`, else each device
/// has one. A device of the same name of another engine is the same device in a second process:
/// both have the same stored state. `kill()` is SIGKILL to that process, so it ends all its
/// devices; `start()` of any of them runs a new process on the same stored state.
///
/// What goes wrong with a client:
/// - it cannot be started, or says no hello: device() fails with `environment`;
/// - it lacks a capability that is needed: device() fails with `environment` (options, and what the
///   scenario needs), the command is
///   answered by an entry `error` with code `unsupported`; lacking() names it, and finish() returns
///   a failure of kind `skipped` whose rule is the capability;
/// - it ends by itself, or speaks against the protocol: its devices get an entry `exited`, and
/// finish()
///   returns a failure of kind `client` with the exit status and the last lines of its stderr.
class World final : public stage::World {
 public:
  /// Errors: `usage` (client_command), `environment` (port, temporary directory).
  static Result<std::unique_ptr<World>> start(Options options);
  /// Ends what finish() would have ended, without patience.
  ~World() override;

  stage::Mode mode() const override { return stage::Mode::loopback; }
  Now now() const override;
  /// Runs the next handler. Things that happen outside (bytes, news of a client) wait until this is
  /// called.
  bool advance(Instant limit) override;
  stage::Server& server() override;
  /// The first call starts a process and waits for its hello.
  Result<stage::Device*> device(std::string_view engine, std::string_view name,
                                const stage::DeviceOptions& options) override;
  const std::vector<stage::Device*>& devices() const override;
  const stage::TimeScale& time_scale() const override;
  stage::Trace& trace() override;
  std::vector<stage::Failure> finish() override;

  /// "NAME VERSION" of the client under test, once its hello has come.
  const std::string& client() const;
  /// Capabilities that were needed and that the client lacks. A scenario that met one is skipped.
  const std::vector<std::string>& lacking() const;
  /// The proxy of devices with the option `proxy`; null while there is none.
  ProxyServer* proxy();
  /// For tests: process ids of the clients that run now.
  std::vector<int> processes() const;
  /// For tests: the directory below which clients keep what they store.
  const std::string& state_dir() const;

 private:
  class Impl;
  explicit World(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::loopback

#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/client/config.hpp"
#include "engine/runtime/session_shell.hpp"
#include "scenarios/cli/engine_host.hpp"
#include "scenarios/cli/holding_store.hpp"
#include "scenarios/stage/correspondence.hpp"

namespace wa::cli {

/// What the environment of `testline engine` says.
struct EngineSettings {
  std::string url;  ///< empty: `start` must say
  std::optional<crypto::PublicKey> noise_root;
  std::string state_dir;
  std::string owner;       ///< empty: one that nobody else has
  Duration lease{};        ///< of its devices
  std::string tls_ca_pem;  ///< what the file of TESTLINE_TLS_CA holds
  client::Timings timings;

  /// `get` looks up a variable; null when it is not set. Errors: `usage`, naming the variable.
  static Result<EngineSettings> from(const std::function<const char*(const char*)>& get);
};

/// Config of one device from the settings and a `start` command {url?, options?}.
/// Errors: `usage`, naming the member.
Result<client::Config> device_config(const EngineSettings& settings,
                                     const boost::json::object& command);

/// The devices of a client under test: commands in, events out.
class EngineDevices {
 public:
  using Emit = std::function<void(boost::json::object event)>;

  /// `disk`: below the store; null: it cannot fail.
  EngineDevices(runtime::Surroundings surroundings, EngineSettings settings,
                loopback::FaultyVfs* disk, Emit emit);

  /// One line of stdin. Whatever is wrong with it is said in an `error` event.
  void command(std::string_view line);
  /// Stops all devices. `done` runs once, when nothing is under way any more.
  void stop(std::function<void()> done);

 private:
  /// A command that was understood so far, and what its answer must carry.
  struct Request {
    boost::json::value ref;
    std::optional<std::string> device;
  };
  struct Sending {
    Request request;
    client::SendRequested message;
  };
  struct Device {
    std::string name;                  ///< empty: the only device, whose lines have no `device`
    std::string start_text;            ///< what its shell was made from
    std::unique_ptr<EngineHost> host;  ///< outlives the shell
    std::unique_ptr<runtime::SessionShell> shell;
    client::Status shown;
    stage::Correspondence correspondence;
    std::map<std::uint64_t, Sending> sends;         ///< that are not answered yet
    std::map<std::uint64_t, Request> group_wishes;  ///< the same
  };

  void perform(const boost::json::object& command, Request request);
  void start(Device& device, const boost::json::object& command, const Request& request);
  void start_behind(Device& device, const boost::json::object& command, const Request& request);
  void host_fault(Device& device, const boost::json::object& command, const Request& request);
  void send(Device& device, const boost::json::object& command, const Request& request);
  void read(Device& device, const boost::json::object& command, const Request& request);
  void trust(Device& device, const boost::json::object& command, const Request& request);
  void wish(Device& device, std::string_view cmd, const boost::json::object& command,
            const Request& request);
  void inspect(const Device& device, const Request& request);
  void hold(const Device& device, const boost::json::object& command, const Request& request);
  void read_stored(const Device& device, const Request& request);
  void make_shell(Device& device, client::Config config);
  Device& device_named(const std::string& name);

  void on_status(Device& device, const client::Status& status, Now now);
  void on_event(Device& device, const messaging::AppEvent& event, Now now);
  bool answer_send(Device& device, std::uint64_t ref, const messaging::AppEvent::What& what);
  bool answer_wish(Device& device, std::uint64_t ref, const messaging::AppEvent::What& what);
  /// An answer to a command: done, or the error.
  runtime::SessionShell::Done answer(const Request& request);
  void done(const Request& request, boost::json::object data = {});
  void error(const Request& request, std::string_view code, std::string_view text);
  void emit(std::string_view event, const std::optional<std::string>& device,
            boost::json::object data, std::optional<Instant> at = {});
  void finish_when_idle();

  HoldingStore store_;  ///< around that of the process
  runtime::Surroundings surroundings_;
  EngineSettings settings_;
  loopback::FaultyVfs* disk_;
  Emit emit_;
  std::map<std::string, std::unique_ptr<Device>> devices_;
  std::function<void()> on_stopped_;
  std::uint64_t last_send_ = 0;
};

}  // namespace wa::cli

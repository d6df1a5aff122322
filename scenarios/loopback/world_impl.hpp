#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <list>
#include <map>

#include "engine/net/process_limits.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "mockserver/net/mock_host.hpp"
#include "scenarios/loopback/client.hpp"
#include "scenarios/loopback/command_line.hpp"
#include "scenarios/loopback/device.hpp"
#include "scenarios/loopback/world.hpp"
#include "scenarios/stage/invariants.hpp"
#include "scenarios/stage/plan.hpp"

namespace wa::loopback {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using stage::DurationKind;
using stage::Failure;

/// What clients ping at, unscaled.
inline constexpr Duration kKeepalive = 30s;
/// Handlers that are run because they were ready when the time was up.
inline constexpr int kMostReady = 10'000;

inline std::string milliseconds(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return std::to_string(std::max<std::int64_t>(1, ms));
}

/// The same by a name, which clients must look up: faults of look-ups act there.
inline std::string named(std::string url) {
  constexpr std::string_view kAddress = "127.0.0.1";
  if (const std::size_t found = url.find(kAddress); found != std::string::npos)
    url.replace(found, kAddress.size(), "localhost");
  return url;
}

/// The insides of a World, spread over world.cpp (devices, the directory, the end) and
/// world_hosts.cpp (what goes wrong in the hosts of clients). Private to scenarios/loopback.
class World::Impl final : public ClientSurroundings, public stage::ServerPort {
 public:
  explicit Impl(Options given)
      : options(std::move(given)), trace(options.record), server(*this, trace) {}

  ~Impl() override {
    options.log = {};
    clients_.clear();
    if (host_) host_->stop();
    proxy.reset();  // before the io_context, which it outlives as a member
    remove_state_dir();
  }

  Result<void> begin() {
    net::ignore_sigpipe();  // a client that is killed takes its pipes along
    if (options.client_command.empty()) {
      command_ = {"/proc/self/exe", "engine"};
    } else {
      WA_TRY(command_, split_command(options.client_command));
    }
    options.settings = options.settings.scaled(options.scale.factor);
    WA_TRY_VOID(make_state_dir());
    mock::HostOptions host;
    host.settings = options.settings;
    host.seed = options.seed;
    host.limits.faults = stage::Plan::kMaxFaults;
    host.on_keys = options.on_keys;
    // Not within the step of the tenant that it comes from.
    host.on_host_fault = [this](const mock::HostFaultSwitched& switched) {
      asio::post(io_, [this, switched] { perform(switched); });
    };
    WA_TRY(host_, mock::MockHost::start(io_, std::move(host), mock::ServerKeys::generate(random_),
                                        random_));
    server.begin(now().mono);
    WA_TRY_VOID(write_ca_file());
    events_ = host_->subscribe([this](const mock::LoggedEvent& logged) {
      server.record(host_->now().mono, logged.event);
    });
    return {};
  }

  bool advance(Instant limit) {
    io_.restart();
    const auto at = std::chrono::steady_clock::time_point(limit.time_since_epoch());
    const bool happened = io_.run_one_until(at) > 0;
    count_proxy_faults();
    // What was there in time counts, however long the machine took over something else.
    if (now().mono >= limit) {
      for (int i = 0; i < kMostReady && io_.poll_one() > 0; ++i) {
      }
      return false;
    }
    return happened;
  }

  Result<stage::Device*> device(std::string_view engine, std::string_view name,
                                const stage::DeviceOptions& wanted);
  std::vector<Failure> finish();

  // ---- stage::ServerPort ----

  const mock::Tenant& tenant() const override { return *host_->tenant({}); }
  const stage::TimeScale& time_scale() const override { return options.scale; }
  void command(mock::Command asked, Done done) override {
    // Nobody hears of the end of such a stream.
    if (const auto* close = std::get_if<mock::CloseConnection>(&asked))
      silent_ |= close->how == "blackhole";
    host_->command({}, std::move(asked), std::move(done));
  }

  // ---- ClientSurroundings, and ServerPort ----

  Now now() const override { return host_->now(); }
  asio::io_context& io() override { return io_; }
  const std::vector<std::string>& command() const override { return command_; }
  const Hello* hello() const override { return hello_ ? &*hello_ : nullptr; }
  void greeted(const Hello& hello) override {
    if (hello_) return;
    hello_ = hello;
    client_name =
        options.client_name.empty() ? hello.name + " " + hello.version : options.client_name;
  }
  void began(Client& client) override;
  void host_fault_fired(const std::string& id) override { server.host_fault_acted(id); }
  void log(std::string_view source, std::string_view line) override {
    if (options.log) options.log(source, line);
  }
  void failed(Failure failure) override { failures_.push_back(std::move(failure)); }
  ChildProcess::Environment environment(const Client& client) const override {
    std::array<char, 32> factor{};
    std::snprintf(factor.data(), factor.size(), "%.9g", options.scale.factor);
    const Duration keepalive = options.scale.apply(kKeepalive, DurationKind::delay);
    return {{"TESTLINE_WS_URL", url_of(client.label())},
            {"TESTLINE_NOISE_ROOT", to_hex(host_->keys().root.public_key.bytes)},
            {"TESTLINE_TLS_CA", ca_file()},
            {"NODE_EXTRA_CA_CERTS", ca_file()},
            {"TESTLINE_STATE_DIR", client.state_dir()},
            {"TESTLINE_OWNER", client.owner()},
            {"TESTLINE_KEEPALIVE_MS", milliseconds(keepalive)},
            {"TESTLINE_QR_FIRST_MS", milliseconds(options.settings.refs_first)},
            {"TESTLINE_QR_MS", milliseconds(options.settings.refs_rest)},
            {"TESTLINE_TIME_SCALE", factor.data()}};
  }

  std::vector<int> processes() const {
    std::vector<int> pids;
    for (const auto& client : clients_) {
      if (client->running()) pids.push_back(client->pid());
    }
    return pids;
  }

  Options options;
  stage::Trace trace;
  stage::Server server;
  std::vector<stage::Device*> device_list;
  std::vector<std::string> lacking;
  std::string client_name;
  std::string state_dir;
  std::unique_ptr<ProxyServer> proxy;

 private:
  // What happens in the hosts of clients.
  void perform(const mock::HostFaultSwitched& switched);
  bool is_about(const mock::HostFaultSwitched& switched, const Device& device) const;
  void spoil_proxy(const std::string& id, mock::ProxyFault::Kind kind, bool on);
  void count_proxy_faults();
  void start_second_process(const Device& original);
  Result<Device*> make_device(Client& client, std::string_view engine, std::string_view name,
                              const stage::DeviceOptions& wanted);
  std::string url_of(std::string_view label) const {
    const std::string url = options.tls ? host_->wss_url() : host_->ws_url();
    return named(url) + "?device=" + std::string(label);
  }
  /// Beside the directories of the clients.
  std::string ca_file() const { return state_dir + "/ca.pem"; }
  Result<void> write_ca_file();
  Result<void> make_state_dir();
  void remove_state_dir();
  /// What a device is told: the URL of the world's own proxy for "http" and "socks5".
  Result<std::string> proxy_for(const std::string& wanted);
  /// The process that is to run a new device: the engine's, or a new one.
  /// `greeted`: waits for its hello.
  Result<Client*> client_for(std::string_view engine, std::string_view name, bool greeted);
  std::string state_dir_of(std::string_view name) const;
  Result<void> await_hello(Client& client);
  Result<Device*> original_of(const std::string& clone_of);
  Result<void> clone(Device& from, Device& to);
  void lacks(std::string_view capability);

  /// Runs what happens until `condition` holds, at most for `patience`, in real time. False: it
  /// does not hold.
  template <class Condition>
  bool run_until(Duration patience, Condition condition) {
    const Instant limit = now().mono + patience;
    while (!condition()) {
      if (!advance(limit) && now().mono >= limit) return condition();
    }
    return true;
  }

  // The end.
  void judge();
  /// Asks each running device; true once all have answered as `holds` wants, within kNews.
  bool inspect_all(const std::function<bool(const boost::json::object&)>& holds);
  void end_clients();
  void end_server();
  void broken(std::string_view rule, std::string message);

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  crypto::SystemRandom random_;
  std::unique_ptr<mock::MockHost> host_;
  mock::MockHost::Subscription events_;
  std::vector<std::string> command_;
  std::optional<Hello> hello_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::string, Client*, std::less<>> engines_;  ///< when a process runs many devices
  std::vector<std::unique_ptr<Device>> devices_;
  /// Faults of the proxy that are on, with the connections that it had had by then.
  std::map<std::string, std::uint64_t> spoilt_proxy_;
  std::list<mock::HostFaultSwitched> in_client_;  ///< that a new process must be told
  std::vector<Failure> failures_;
  bool silent_ = false;  ///< streams may have been made to end without anybody hearing of it
  bool finished_ = false;
};

}  // namespace wa::loopback

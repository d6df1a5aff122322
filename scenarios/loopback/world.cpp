#include "scenarios/loopback/world.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>

#include "engine/net/process_limits.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "mockserver/net/mock_host.hpp"
#include "scenarios/loopback/client.hpp"
#include "scenarios/loopback/clone_stored.hpp"
#include "scenarios/loopback/command_line.hpp"
#include "scenarios/loopback/device.hpp"
#include "scenarios/stage/host_fault.hpp"
#include "scenarios/stage/invariants.hpp"
#include "scenarios/stage/plan.hpp"

namespace wa::loopback {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using stage::DurationKind;
using stage::Failure;

namespace {

/// For a Node client on a busy machine.
constexpr Duration kHelloWithin = 20s;
/// From the end of stdin. Source: docs/guides/client-driver.md.
constexpr Duration kExitWithin = 5s;
/// For the last closes to arrive at the server, once clients have ended.
constexpr Duration kClosesWithin = 3s;
/// The same, when some of them will not arrive.
constexpr Duration kSilentWithin = 250ms;
/// What two processes and the kernel between them may need to agree, on a busy machine.
constexpr Duration kNews = 1s;
/// What clients ping at, unscaled.
constexpr Duration kKeepalive = 30s;
/// Handlers that are run because they were ready when the time was up.
constexpr int kMostReady = 10'000;

std::string milliseconds(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return std::to_string(std::max<std::int64_t>(1, ms));
}

/// The same by a name, which clients must look up: faults of look-ups act there.
std::string named(std::string url) {
  constexpr std::string_view kAddress = "127.0.0.1";
  if (const std::size_t found = url.find(kAddress); found != std::string::npos)
    url.replace(found, kAddress.size(), "localhost");
  return url;
}

}  // namespace

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

// ---- devices ------------------------------------------------------------------------------------

Result<stage::Device*> World::Impl::device(std::string_view engine, std::string_view name,
                                           const stage::DeviceOptions& wanted) {
  WA_ASSERT(!finished_);
  for (const auto& known : devices_) {
    if (known->engine() != engine || known->name() != name) continue;
    if (wanted == stage::DeviceOptions{} || wanted == known->options()) return known.get();
    return Error{Errc::conflict, "device " + std::string(name) + " exists with other options"};
  }
  for (const std::string_view word : {engine, name}) {
    if (is_name(word)) continue;
    return Error{Errc::usage, "\"" + std::string(word) +
                                  "\" is no name: 1 to 64 letters, digits, hyphens, underscores"};
  }
  if (!wanted.clone_of.empty()) {
    WA_TRY_VOID(original_of(wanted.clone_of));
  }
  WA_TRY(Client * client, client_for(engine, name, true));
  for (const std::string& capability : options.needs) {
    if (hello_->can(capability)) continue;
    lacks(capability);
    return Error{Errc::environment, client_name + " lacks the capability " + capability +
                                        ", which the scenario needs"};
  }
  for (const auto& option : start_options(wanted, options.scale)) {
    if (hello_->can_option(option.key())) continue;
    const std::string capability = "option." + std::string(option.key());
    lacks(capability);
    return Error{Errc::environment, client_name + " lacks the capability " + capability +
                                        ", which device " + std::string(name) + " needs"};
  }

  WA_TRY(Device * device, make_device(*client, engine, name, wanted));
  return device;
}

Result<Device*> World::Impl::make_device(Client& client, std::string_view engine,
                                         std::string_view name,
                                         const stage::DeviceOptions& wanted) {
  Device* original = nullptr;
  if (!wanted.clone_of.empty()) {
    WA_TRY(original, original_of(wanted.clone_of));
  }
  Device::Setup setup;
  setup.url = url_of(name);
  WA_TRY(setup.proxy, proxy_for(wanted.proxy));
  setup.scale = options.scale;
  setup.lacks = [this](std::string_view capability) { lacks(capability); };
  if (original) {
    setup.clone = [this, original](Device& copy) { return clone(*original, copy); };
  }
  auto device = std::make_unique<Device>(*this, client, std::string(engine), std::string(name),
                                         wanted, trace, std::move(setup));
  client.add(*device);
  devices_.push_back(std::move(device));
  device_list.push_back(devices_.back().get());
  return devices_.back().get();
}

Result<std::string> World::Impl::proxy_for(const std::string& wanted) {
  if (wanted != "http" && wanted != "socks5") return wanted;
  if (!proxy) {
    WA_TRY(proxy, ProxyServer::start(io_));
  }
  return proxy->url(wanted);
}

Result<Client*> World::Impl::client_for(std::string_view engine, std::string_view name,
                                        bool greeted) {
  if (const auto known = engines_.find(engine); known != engines_.end()) return known->second;
  std::string client_of = std::string(engine);
  if (!hello_ || !hello_->can("multi_device")) client_of += "/" + std::string(name);
  auto made = std::make_unique<Client>(*this, client_of, std::string(name), state_dir_of(name));
  std::error_code failure;
  fs::create_directory(made->state_dir(), failure);
  if (failure) {
    return Error{Errc::environment, "cannot make " + made->state_dir() + ": " + failure.message()};
  }
  if (greeted) {
    WA_TRY_VOID(await_hello(*made));
  }
  clients_.push_back(std::move(made));
  Client* client = clients_.back().get();
  if (hello_->can("multi_device")) {
    engines_.emplace(engine, client);
    client->rename(engine);
  }
  return client;
}

/// Processes that run a device of the same name share what it has stored; those that run many share
/// all.
std::string World::Impl::state_dir_of(std::string_view name) const {
  for (const auto& client : clients_) {
    if (hello_->can("multi_device") || client->label() == name) return client->state_dir();
  }
  return state_dir + "/" + std::to_string(clients_.size() + 1);
}

Result<void> World::Impl::await_hello(Client& client) {
  WA_TRY_VOID(client.run());
  if (run_until(kHelloWithin, [&] { return client.greeted() || !client.running(); }) &&
      client.greeted()) {
    return {};
  }
  // It is not to be reported twice.
  std::string why =
      "it said no hello within " + stage::to_text(kHelloWithin) +
      (client.last_words().empty() ? "" : "; its stderr ends with:" + client.last_words());
  if (!client.running() && !failures_.empty()) {
    why = std::move(failures_.back().message);
    failures_.pop_back();
  }
  return Error{Errc::environment, "the client under test does not run: " + why};
}

Result<Device*> World::Impl::original_of(const std::string& clone_of) {
  const std::size_t slash = clone_of.find('/');
  const std::string name = clone_of.substr(slash + 1);  // npos + 1 is 0
  for (const auto& device : devices_) {
    const bool same_engine =
        slash == std::string::npos || device->engine() == clone_of.substr(0, slash);
    if (device->name() == name && same_engine) return device.get();
  }
  return Error{Errc::usage, "clone_of: there is no device \"" + clone_of + "\""};
}

Result<void> World::Impl::clone(Device& from, Device& to) {
  const auto place = [&](Device& device) {
    return StoredDevice{device.client().state_dir(),
                        hello_->can("multi_device") ? device.name() : std::string()};
  };
  auto cloned = clone_stored(place(from), place(to));
  if (cloned) return {};
  return Error{Errc::environment, "clone_of: cannot copy what " + from.name() +
                                      " has stored: " + cloned.error().detail};
}

// ---- hosts of clients ---------------------------------------------------------------------------

bool World::Impl::is_about(const mock::HostFaultSwitched& switched, const Device& device) const {
  return stage::is_about(switched.record, switched.device, device, server.jid(device.name()));
}

void World::Impl::perform(const mock::HostFaultSwitched& switched) {
  if (finished_) return;
  const mock::FaultRecord& record = switched.record;
  std::vector<Device*> about;
  for (const auto& device : devices_) {
    if (is_about(switched, *device)) about.push_back(device.get());
  }
  if (const auto* kill = std::get_if<mock::KillFault>(&record.kind)) {
    const stage::KillPoint point = stage::parse_kill_point(kill->point);
    for (Device* device : about) {
      device->kill_at(point.point, point.phase,
                      [this, id = record.id] { server.host_fault_acted(id); });
    }
  } else if (const auto* spoilt = std::get_if<mock::ProxyFault>(&record.kind)) {
    spoil_proxy(record.id, spoilt->kind, switched.on);
  } else if (std::holds_alternative<mock::SecondProcessFault>(record.kind)) {
    for (Device* device : about) start_second_process(*device);
    if (!about.empty()) server.host_fault_acted(record.id);
  } else {
    const bool moment = record.description().fault_class == mock::FaultClass::moment;
    if (!switched.on) {
      in_client_.remove_if([&](const mock::HostFaultSwitched& earlier) {
        return earlier.record.id == record.id &&
               (switched.device.empty() || earlier.device == switched.device);
      });
    }
    if (switched.on || moment) in_client_.push_back(switched);
    for (Device* device : about) {
      if (device->client().running())
        device->host_fault(mock::to_json(record), switched.on || moment);
    }
  }
}

/// The world has one proxy, so its faults are about all devices behind it, and all their dials.
void World::Impl::spoil_proxy(const std::string& id, mock::ProxyFault::Kind kind, bool on) {
  if (!proxy) return;
  using Behaviour = ProxyServer::Behaviour;
  if (on) {
    proxy->set(kind == mock::ProxyFault::Kind::refuse ? Behaviour::refuse
               : kind == mock::ProxyFault::Kind::hang ? Behaviour::hang
                                                      : Behaviour::drop);
    spoilt_proxy_.emplace(id, proxy->connections());
  } else {
    spoilt_proxy_.erase(id);
    if (spoilt_proxy_.empty()) proxy->set(Behaviour::forward);
  }
}

void World::Impl::count_proxy_faults() {
  for (auto& [id, connections] : spoilt_proxy_) {
    if (proxy->connections() == connections) continue;
    connections = proxy->connections();
    server.host_fault_acted(id);
  }
}

/// A process that begins knows nothing of what has been switched on.
void World::Impl::began(Client& client) {
  for (const mock::HostFaultSwitched& switched : in_client_) {
    for (const auto& device : devices_) {
      if (&device->client() == &client && is_about(switched, *device))
        device->host_fault(mock::to_json(switched.record), true);
    }
  }
}

void World::Impl::start_second_process(const Device& original) {
  const std::string engine = original.engine() + "-second";
  for (const auto& known : devices_) {
    if (known->engine() != engine || known->name() != original.name()) continue;
    known->start();
    return;
  }
  const auto client = client_for(engine, original.name(), false);
  const auto second = client ? make_device(**client, engine, original.name(), original.options())
                             : Result<Device*>(client.error());
  if (second) {
    (*second)->start();
  } else {
    failed({"client", "the second process does not run: " + second.error().detail, {}, {}, {}, {}});
  }
}

void World::Impl::lacks(std::string_view capability) {
  if (std::ranges::find(lacking, capability) != lacking.end()) return;
  lacking.emplace_back(capability);
  Failure failure;
  failure.kind = "skipped";
  failure.rule = capability;
  failure.message = client_name + " lacks the capability " + std::string(capability);
  failures_.push_back(std::move(failure));
}

// ---- the directory ------------------------------------------------------------------------------

Result<void> World::Impl::make_state_dir() {
  std::error_code failure;
  const fs::path parent = fs::temp_directory_path(failure);
  std::string pattern = (failure ? fs::path("/tmp") : parent) / "testline-XXXXXX";
  if (!::mkdtemp(pattern.data())) {
    return Error{Errc::environment, "cannot make " + pattern + ": " + std::strerror(errno)};
  }
  state_dir = std::move(pattern);
  return {};
}

Result<void> World::Impl::write_ca_file() {
  std::ofstream file(ca_file(), std::ios::binary);
  file << host_->tls_ca_pem() << std::flush;
  if (file) return {};
  return Error{Errc::environment, "cannot write " + ca_file() + ": " + std::strerror(errno)};
}

void World::Impl::remove_state_dir() {
  if (state_dir.empty()) return;
  std::error_code ignored;
  fs::remove_all(state_dir, ignored);
}

// ---- the end ------------------------------------------------------------------------------------

void World::Impl::judge() {
  // What is on its way may arrive.
  run_until(kNews, [&] {
    return std::ranges::all_of(devices_, [&](const auto& device) {
      return device->state() != "connected" || server.logged_in(device->name());
    });
  });
  const Instant end = now().mono;
  inspect_all([](const auto&) { return true; });  // credentials, once more
  stage::Invariants::Bounds bounds;
  bounds.early = bounds.late = kNews;
  bounds.truthful = options.scale.apply(bounds.truthful, DurationKind::deadline);
  bounds.scale = options.scale.factor;
  bounds.refs_grace = options.settings.refs_grace;
  for (Failure& failure : stage::judge_histories(server, device_list, bounds, end))
    failures_.push_back(std::move(failure));
}

bool World::Impl::inspect_all(const std::function<bool(const boost::json::object&)>& holds) {
  if (!hello_ || !hello_->can("inspect")) return true;
  std::vector<std::pair<Device*, stage::Ref>> asked;
  for (const auto& device : devices_) {
    if (device->client().greeted() && device->started_at())
      asked.emplace_back(device.get(), device->inspect());
  }
  return run_until(kNews, [&] {
    std::erase_if(asked, [&](auto& question) {
      auto& [device, ref] = question;
      const stage::Entry* answer = device->answer(ref);
      if (!answer) return false;
      if (answer->kind != "done" || holds(answer->data)) return true;
      ref = device->inspect();
      return false;
    });
    return asked.empty();
  });
}

void World::Impl::end_clients() {
  for (const auto& device : devices_) {
    if (device->client().running()) device->stop();
  }
  const auto no_timer = [](const boost::json::object& answer) {
    const auto* timers = answer.if_contains("timers");
    return !timers || *timers == 0;
  };
  if (!inspect_all(no_timer)) broken("quiet-end", "a device that was stopped still has a timer");
  for (const auto& client : clients_) client->close();
  const auto ended = [&] { return processes().empty(); };
  run_until(kExitWithin, ended);
  for (const auto& client : clients_) client->end_late(kExitWithin);
}

void World::Impl::end_server() {
  // What a fault keeps from the server it cannot know.
  const auto held = [&] {
    std::vector<mock::ConnectionInfo> connections = server.connections();
    std::erase_if(connections, [](const auto& connection) { return connection.client_gone; });
    return connections;
  };
  const auto closed = [&] { return held().empty() && host_->open_sockets() == 0; };
  if (!run_until(silent_ ? kSilentWithin : kClosesWithin, closed) && !silent_) {
    for (const mock::ConnectionInfo& connection : held()) {
      broken("quiet-end", "the server still holds connection " + std::to_string(connection.id) +
                              " of " + (connection.label.empty() ? "nobody" : connection.label) +
                              " (" + connection.phase + ")");
    }
    if (held().empty()) {
      broken("quiet-end",
             std::to_string(host_->open_sockets()) + " sockets of the server are still open");
    }
  }
  host_->stop();
  if (proxy) proxy->stop();
  io_.restart();
  for (int i = 0; i < kMostReady && io_.poll_one() > 0; ++i) {
  }
}

void World::Impl::broken(std::string_view rule, std::string message) {
  Failure failure;
  failure.kind = "invariant";
  failure.rule = rule;
  failure.message = std::string(rule) + ": " + std::move(message);
  failures_.push_back(std::move(failure));
}

std::vector<Failure> World::Impl::finish() {
  WA_ASSERT(!finished_);
  finished_ = true;
  judge();
  end_clients();
  end_server();
  for (const int pid : processes())
    broken("quiet-end", "process " + std::to_string(pid) + " still runs");
  remove_state_dir();
  if (std::error_code ignored; fs::exists(state_dir, ignored)) {
    broken("quiet-end", "the directory " + state_dir + " could not be removed");
  }
  options.log = {};
  return std::move(failures_);
}

// ---- the World ----------------------------------------------------------------------------------

World::World(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
World::~World() = default;

Result<std::unique_ptr<World>> World::start(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  WA_TRY_VOID(impl->begin());
  return std::unique_ptr<World>(new World(std::move(impl)));
}

Now World::now() const {
  return impl_->now();
}
bool World::advance(Instant limit) {
  return impl_->advance(limit);
}
stage::Server& World::server() {
  return impl_->server;
}
Result<stage::Device*> World::device(std::string_view engine, std::string_view name,
                                     const stage::DeviceOptions& options) {
  return impl_->device(engine, name, options);
}
const std::vector<stage::Device*>& World::devices() const {
  return impl_->device_list;
}
const stage::TimeScale& World::time_scale() const {
  return impl_->options.scale;
}
stage::Trace& World::trace() {
  return impl_->trace;
}
std::vector<Failure> World::finish() {
  return impl_->finish();
}
ProxyServer* World::proxy() {
  return impl_->proxy.get();
}
const std::string& World::client() const {
  return impl_->client_name;
}
const std::vector<std::string>& World::lacking() const {
  return impl_->lacking;
}
std::vector<int> World::processes() const {
  return impl_->processes();
}
const std::string& World::state_dir() const {
  return impl_->state_dir;
}

}  // namespace wa::loopback

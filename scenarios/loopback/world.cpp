#include "scenarios/loopback/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "scenarios/loopback/clone_stored.hpp"
#include "scenarios/loopback/world_impl.hpp"

namespace wa::loopback {

namespace fs = std::filesystem;

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
}  // namespace

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

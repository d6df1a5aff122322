#include "scenarios/sim/world.hpp"

#include <algorithm>
#include <list>

#include "engine/base/overloaded.hpp"
#include "scenarios/sim/device.hpp"
#include "scenarios/sim/event_queue.hpp"
#include "scenarios/sim/links.hpp"
#include "scenarios/stage/host_fault.hpp"
#include "scenarios/stage/invariants.hpp"

namespace wa::sim {

using Kind = Happening::Kind;
using stage::Failure;
using stage::TraceKind;

namespace {

/// 2026-01-01T00:00:00Z. Source: docs/ARCHITECTURE.md, "Determinism".
constexpr std::int64_t kWallStartMs = 1'767'225'600'000;
/// So many things at one instant are a machine that never comes to rest.
constexpr std::uint64_t kLivelock = 1'000'000;
/// How long devices may take to stop, in virtual time.
constexpr Duration kStopPatience = 30s;

constexpr EventQueue::Alarm kTenantAlarm = 0;
/// Of a name, where a fault makes it slow.
constexpr Duration kSlowLookup = 5s;

/// The URL of the proxy that a world keeps, where that is meant.
std::string proxy_url(const std::string& option) {
  if (option == "http") return "http://proxy:3128";
  if (option == "socks5") return "socks5://proxy:1080";
  return option;
}

}  // namespace

/// A standing fault, and for whom it is on.
struct HostFault {
  stage::HostFault fault;
  std::string label;  ///< empty: whom its record names
};

class World::Impl final : public DeviceSurroundings, public stage::ServerPort {
 public:
  explicit Impl(Options given)
      : options(std::move(given)),
        trace_(options.record),
        keys_random_(options.seed, "server keys"),
        keys_(mock::ServerKeys::generate(keys_random_)),
        tenant_random_(options.seed, "tenant"),
        tenant_(options.settings, keys_, options.seed, tenant_random_,
                {.name = {}, .host_faults = true, .key_log = static_cast<bool>(options.on_keys)}),
        links_(queue_, {options.costs.latency, options.costs.jitter, options.seed}),
        tenant_actor_(trace_.actor("tenant")),
        server_(*this, trace_),
        invariants_(server_, {.late = options.costs.latency + options.costs.jitter,
                              .refs_grace = options.settings.refs_grace}) {
    WA_ASSERT(queue_.make_alarm() == kTenantAlarm);
  }

  // ---- for the World ----

  bool advance(Instant limit) {
    while (true) {
      const std::optional<Instant> at = queue_.next_at();
      if (!at || *at > limit) {
        now_ = std::max(now_, limit);
        return false;
      }
      if (*at > now_) {
        now_ = *at;
        steps_at_now_ = 0;
      }
      Happening happening = queue_.pop();
      if (!perform(happening)) continue;
      ++steps_;
      WA_ASSERT(++steps_at_now_ < kLivelock);
      return true;
    }
  }

  Result<stage::Device*> device(std::string_view engine, std::string_view name,
                                const stage::DeviceOptions& device_options);
  stage::Disk& disk(std::string_view device) {
    const auto found = stores_.find(device);
    WA_ASSERT(found != stores_.end());
    return found->second->disk();
  }
  std::vector<Failure> finish();

  // ---- stage::ServerPort ----

  const mock::Tenant& tenant() const override { return tenant_; }
  const stage::TimeScale& time_scale() const override { return scale; }
  Now now() const override {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
    return {now_, UnixMillis{kWallStartMs + elapsed.count()}};
  }
  void command(mock::Command command, Done done) override {
    const mock::RequestId request = next_request_++;
    asked_.emplace(request, std::move(done));
    perform(tenant_.command(request, command, now()));
  }

  // ---- DeviceSurroundings ----

  void dial(std::uint32_t device, const client::DialSocket& dial) override {
    links_.dial(device, dial, now_);
  }
  void send(std::uint32_t device, client::Generation generation, Bytes bytes) override {
    if (const auto link = links_.find(device, generation)) {
      links_.client_sends(*link, std::move(bytes), now_);
    }
  }
  void close(std::uint32_t device, client::Generation generation, client::CloseHow how) override {
    if (const auto link = links_.find(device, generation)) links_.client_closes(*link, how, now_);
  }
  void said(const stage::Device& device, const stage::Entry& entry) override {
    invariants_.said(device, entry);
  }
  void asked(const stage::Device& device, const stage::Device::Asked& asked) override {
    invariants_.asked(device, asked);
  }
  void account_gone(const stage::Device& device) override {
    invariants_.account_gone(device.name(), now_);
  }
  void begin_commit(std::uint32_t device, std::uint32_t incarnation, Duration extra) override {
    Happening happening;
    happening.kind = Kind::commit_done;
    happening.target = device;
    happening.number = incarnation;
    queue_.push(now_ + options.costs.commit + extra, std::move(happening));
  }
  void begin_death(std::uint32_t device, std::uint32_t incarnation) override {
    Happening happening;
    happening.kind = Kind::process_dies;
    happening.target = device;
    happening.number = incarnation;
    queue_.push(now_, std::move(happening));
  }
  void commit_meets_disk(const stage::Device& device) override { meet_disk(device, true); }
  void commit_met_disk(const stage::Device& device) override { meet_disk(device, false); }
  void begin_load(std::uint32_t device, std::uint32_t incarnation, std::uint32_t load) override {
    Happening happening;
    happening.kind = Kind::loaded;
    happening.target = device;
    happening.number = incarnation;
    happening.extra = load;
    queue_.push(now_ + options.costs.load, std::move(happening));
  }
  void begin_compute(std::uint32_t device, std::uint32_t incarnation, std::uint32_t job) override {
    Happening happening;
    happening.kind = Kind::computed;
    happening.target = device;
    happening.number = incarnation;
    happening.extra = job;
    queue_.push(now_ + options.costs.compute, std::move(happening));
  }
  void begin_taking(std::uint32_t device, std::uint32_t incarnation, std::uint32_t seq) override {
    Happening happening;
    happening.kind = Kind::event_taken;
    happening.target = device;
    happening.number = incarnation;
    happening.extra = seq;
    queue_.push(now_, std::move(happening));
  }
  std::size_t open_sockets(std::uint32_t device) const override { return links_.open_of(device); }
  void set_alarm(std::uint32_t device, std::optional<Instant> at) override {
    queue_.set_alarm(kTenantAlarm + 1 + device, at);
  }
  Bytes& trace_open(stage::Trace::Actor actor) override {
    return trace_.open(now_, actor, TraceKind::client_action);
  }
  stage::Trace& trace() override { return trace_; }
  void touch(Bytes& message) override {
    if (++messages_ != flip_message_ || message.empty()) return;
    message[message.size() / 2] ^= std::byte{1};
  }

  // ---- what the World shows ----

  Options options;
  const stage::TimeScale scale = stage::TimeScale::sim();
  std::vector<stage::Device*> device_list;
  std::uint64_t steps() const { return steps_; }
  std::size_t alarms() const { return queue_.alarms_set(); }
  const Links& links() const { return links_; }
  stage::Server& server() { return server_; }
  void flip_byte(std::uint64_t nth) { flip_message_ = nth; }

 private:
  bool perform(Happening& happening);
  void perform(std::vector<mock::Action> actions);
  void perform(mock::Action& action);
  void record(const mock::Action& action);
  // What happens in the hosts of clients.
  void perform(const mock::HostFaultSwitched& switched);
  /// Whether a fault of the device's host keeps this dial from arriving.
  bool host_fails(const Happening& upgrade);
  void meet_disk(const stage::Device& device, bool begins);
  void switch_disk(const mock::HostFaultSwitched& switched, const Device& device, bool on);
  void start_second_process(const Device& original);
  /// Whether a fault answers the TLS handshake of this dial.
  bool tls_fails(std::uint32_t link);
  void to_tenant(std::uint32_t link, const mock::ConnectionEvent& event) {
    perform(tenant_.step(link + 1, event, now()));
  }

  stage::Trace trace_;
  Instant now_{};
  EventQueue queue_;
  SeededRandom keys_random_;
  mock::ServerKeys keys_;
  SeededRandom tenant_random_;
  mock::Tenant tenant_;
  Links links_;
  stage::Trace::Actor tenant_actor_;
  stage::Server server_;
  stage::Invariants invariants_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::map<std::string, std::shared_ptr<Store>, std::less<>> stores_;  ///< by device name
  std::list<HostFault> host_faults_;                                   ///< that are on
  std::map<mock::RequestId, Done> asked_;
  mock::RequestId next_request_ = 1;
  std::map<std::uint32_t, mock::Compute> tenant_jobs_;
  std::uint32_t last_tenant_job_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t steps_at_now_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t flip_message_ = 0;
  bool finished_ = false;
};

// ---- what happens -------------------------------------------------------------------------------

/// False when it came to nothing: a timeout of what has long been answered, bytes for a closed end.
bool World::Impl::perform(Happening& happening) {
  switch (happening.kind) {
    case Kind::alarm:
      if (happening.target == kTenantAlarm) {
        perform(tenant_.deadline_reached(now()));
      } else {
        devices_[happening.target - 1]->alarm();
      }
      return true;
    case Kind::commit_done: devices_[happening.target]->commit_done(happening.number); return true;
    case Kind::process_dies: devices_[happening.target]->dies(happening.number); return true;
    case Kind::loaded:
      devices_[happening.target]->loaded(happening.number, happening.extra);
      return true;
    case Kind::computed:
      devices_[happening.target]->computed(happening.number, happening.extra);
      return true;
    case Kind::event_taken:
      devices_[happening.target]->taken(happening.number, happening.extra);
      return true;
    case Kind::tenant_computed: {
      const mock::Compute job = std::move(tenant_jobs_.extract(happening.number).mapped());
      perform(tenant_.computed(job.job_id, mock::compute(job.job), now()));
      return true;
    }
    default: break;
  }

  Link& link = links_[happening.target];
  Device& device = *devices_[link.device];
  switch (happening.kind) {
    case Kind::upgrade_arrives:
      if (!link.client_open) return false;
      if (host_fails(happening)) return true;
      if (tls_fails(happening.target)) return true;
      links_[happening.target].asking = true;
      to_tenant(happening.target, mock::UpgradeRequested{link.target, "device " + device.name()});
      return true;
    case Kind::upgrade_answered:
      if (!link.client_open) return false;
      if (happening.number == 0) {
        link.established = true;
        device.feed(client::Dialed{link.generation});
      } else {
        link.client_open = false;
        const auto status = static_cast<int>(happening.number);
        device.feed(client::DialFailed{link.generation, client::DialPhase::upgrade, status,
                                       "HTTP status " + std::to_string(status)});
      }
      return true;
    case Kind::dial_expires:
      if (!link.client_open || link.established) return false;
      links_.client_closes(happening.target, client::CloseHow::normal, now_);
      device.feed(client::DialFailed{link.generation, link.phase, {}, "timed out"});
      return true;
    case Kind::dial_fails:
      if (!link.client_open) return false;
      link.client_open = false;
      device.feed(client::DialFailed{link.generation, link.phase, {}, link.failure});
      return true;
    case Kind::bytes_to_server:
      if (!link.server_open || link.blackholed || link.lost_to_server) return false;
      to_tenant(happening.target, mock::BytesReceived{std::move(happening.bytes)});
      return true;
    case Kind::bytes_to_client:
      if (!link.client_open || link.blackholed || link.lost_to_client) return false;
      invariants_.heard(device.name(), now_);
      device.feed(client::BytesReceived{link.generation, std::move(happening.bytes)});
      return true;
    case Kind::server_hears_end:
      if (std::exchange(link.asking, false)) {
        to_tenant(happening.target, mock::Disconnected{"the client gave up its upgrade"});
        return true;
      }
      if (!link.server_open || link.blackholed) return false;
      link.server_open = false;
      to_tenant(happening.target,
                mock::Disconnected{link.lost_to_server ? "connection reset" : "end of stream"});
      return true;
    case Kind::client_hears_end:
      if (!link.client_open) return false;
      link.client_open = false;
      device.feed(client::SocketClosed{link.generation,
                                       link.lost_to_client ? "connection reset" : "end of stream"});
      return true;
    default: return false;
  }
}

// ---- hosts of clients ---------------------------------------------------------------------------

void World::Impl::perform(const mock::HostFaultSwitched& switched) {
  const mock::FaultRecord& record = switched.record;
  const std::string id = record.id;
  std::vector<Device*> about;
  for (const auto& device : devices_) {
    if (stage::is_about(record, switched.device, *device, server_.jid(device->name())))
      about.push_back(device.get());
  }
  const auto rows = Overloaded{
      [&](const mock::ClockFault& clock) {
        for (Device* device : about) device->jump_clock(clock.jump);
        if (!about.empty()) server_.host_fault_acted(id);
      },
      [&](const mock::KillFault& kill) {
        const stage::KillPoint point = stage::parse_kill_point(kill.point);
        for (Device* device : about) {
          device->kill_at(point.point, point.phase, [this, id] { server_.host_fault_acted(id); });
        }
      },
      [&](const mock::SecondProcessFault&) {
        for (Device* device : about) start_second_process(*device);
        if (!about.empty()) server_.host_fault_acted(id);
      },
      [&](const auto&) {
        if (std::holds_alternative<mock::DiskFault>(record.kind)) {
          const bool choosy = stage::HostFault(record, 0).is_choosy();
          for (Device* device : about) switch_disk(switched, *device, switched.on && !choosy);
        }
        if (switched.on) {
          host_faults_.push_back({stage::HostFault(record, options.seed), switched.device});
        } else {
          host_faults_.remove_if([&](const HostFault& fault) {
            return fault.fault.record().id == id &&
                   (switched.device.empty() || fault.label == switched.device);
          });
        }
      },
  };
  std::visit(rows, record.kind);
}

void World::Impl::start_second_process(const Device& original) {
  std::string engine = original.engine() + "-second";
  auto second = device(engine, original.name(), original.options());
  WA_ASSERT(second);
  (*second)->start();
}

void World::Impl::switch_disk(const mock::HostFaultSwitched& switched, const Device& device,
                              bool on) {
  const auto& fault = std::get<mock::DiskFault>(switched.record.kind);
  stores_.at(device.name())
      ->disk()
      .set(fault.kind, on, std::chrono::milliseconds(fault.ms.value_or(0)));
}

/// What takes only some of the commits is on for those alone.
void World::Impl::meet_disk(const stage::Device& device, bool begins) {
  for (HostFault& on : host_faults_) {
    const mock::FaultRecord& record = on.fault.record();
    const auto* fault = std::get_if<mock::DiskFault>(&record.kind);
    if (!fault || !stage::is_about(record, on.label, device, server_.jid(device.name()))) continue;
    const bool acts = begins && on.fault.acts();
    if (acts) server_.host_fault_acted(record.id);
    if (!on.fault.is_choosy()) continue;
    stores_.at(device.name())
        ->disk()
        .set(fault->kind, acts, std::chrono::milliseconds(fault->ms.value_or(0)));
  }
}

bool World::Impl::host_fails(const Happening& upgrade) {
  Link& link = links_[upgrade.target];
  const Device& device = *devices_[link.device];
  const bool looked_up = upgrade.number != 0;
  for (HostFault& on : host_faults_) {
    const mock::FaultRecord& record = on.fault.record();
    const auto* dns = std::get_if<mock::DnsFault>(&record.kind);
    const auto* proxy = std::get_if<mock::ProxyFault>(&record.kind);
    if (!(dns && !looked_up) && !(proxy && !device.options().proxy.empty())) continue;
    if (!stage::is_about(record, on.label, device, server_.jid(device.name()))) continue;
    if (!on.fault.acts()) continue;
    server_.host_fault_acted(record.id);
    link.phase = dns ? client::DialPhase::resolve : client::DialPhase::proxy;
    const auto fails = [&](const char* why) { links_.fail(upgrade.target, link.phase, why, now_); };
    if (dns && dns->kind == mock::DnsFault::Kind::fail) fails("the name was not found");
    if (dns && dns->kind == mock::DnsFault::Kind::slow) {
      Happening later;
      later.kind = Kind::upgrade_arrives;
      later.target = upgrade.target;
      later.number = 1;  // the name is known then
      queue_.push(now_ + kSlowLookup, std::move(later));
    }
    if (proxy && proxy->kind == mock::ProxyFault::Kind::refuse)
      fails("the proxy refused: HTTP 403");
    if (proxy && proxy->kind == mock::ProxyFault::Kind::drop)
      fails("the proxy closed the connection");
    return true;  // what hangs fails when the dial times out
  }
  return false;
}

bool World::Impl::tls_fails(std::uint32_t link) {
  using Fault = mock::TlsFault::Kind;
  mock::Tenant::TlsDecision decision = tenant_.tls_decision(now());
  if (!decision.actions.empty()) perform(std::move(decision.actions));
  if (!decision.fault) return false;
  constexpr auto kPhase = client::DialPhase::tls;
  const auto fail = [&](std::string why) { links_.fail(link, kPhase, std::move(why), now_); };
  switch (*decision.fault) {
    case Fault::expired: fail("the server's certificate has expired"); break;
    case Fault::not_yet_valid: fail("the server's certificate is not yet valid"); break;
    case Fault::self_signed: fail("the server's certificate is self-signed"); break;
    case Fault::wrong_name: fail("the server's certificate is for another name"); break;
    case Fault::unknown_ca:
      fail("the server's certificate is signed by an unknown authority");
      break;
    case Fault::cut: fail("the server cut the TLS handshake"); break;
    case Fault::hang: links_[link].phase = kPhase; break;  // until the dial times out
  }
  return true;
}

// ---- the tenant ---------------------------------------------------------------------------------

void World::Impl::perform(std::vector<mock::Action> actions) {
  for (mock::Action& action : actions) {
    if (const auto* keys = std::get_if<mock::LogKeys>(&action.what)) {
      options.on_keys(*keys);
      continue;
    }
    if (auto* send = std::get_if<mock::SendBytes>(&action.what)) touch(send->bytes);
    record(action);
    perform(action);
  }
  queue_.set_alarm(kTenantAlarm, tenant_.next_deadline());
}

void World::Impl::record(const mock::Action& action) {
  mock::append_canonical(action, trace_.open(now_, tenant_actor_, TraceKind::server_action));
  trace_.close();
  if (!trace_.recording()) return;
  const auto line = [&](std::string_view kind, boost::json::object data) {
    data["connection"] = action.connection;
    trace_.line(now_, tenant_actor_, kind, std::move(data));
  };
  const auto rows = Overloaded{
      [&](const mock::AcceptUpgrade&) { line("accept", {}); },
      [&](const mock::RefuseUpgrade& refuse) {
        line("refuse", {{"status", refuse.status}});
      },
      [&](const mock::SendBytes& send) {
        line("send", {{"bytes", send.bytes.size()}});
      },
      [&](const mock::CloseSocket& close) {
        line("close", {{"how", static_cast<int>(close.how)}});
      },
      [&](const mock::Answer& answer) {
        const auto* problem = std::get_if<mock::Problem>(&answer.result);
        line("answer", {{"request", answer.request}, {"problem", problem ? problem->code : ""}});
      },
      [&](const mock::Compute& compute) {
        line("compute", {{"job", compute.job_id}});
      },
      [](const mock::Record&) {},   // the Server's line says more
      [](const mock::LogKeys&) {},  // never
      [&](const mock::HostFaultSwitched& switched) {
        line("host_fault",
             {{"id", switched.record.id}, {"device", switched.device}, {"on", switched.on}});
      },
  };
  std::visit(rows, action.what);
}

void World::Impl::perform(mock::Action& action) {
  const auto link = static_cast<std::uint32_t>(action.connection - 1);
  const auto rows = Overloaded{
      [&](const mock::AcceptUpgrade&) { links_.accept(link, now_); },
      [&](const mock::RefuseUpgrade& refuse) { links_.refuse(link, refuse.status, now_); },
      [&](mock::SendBytes& send) { links_.server_sends(link, std::move(send.bytes), now_); },
      [&](const mock::CloseSocket& close) { links_.server_closes(link, close.how, now_); },
      [&](const mock::Answer& answer) {
        const auto asked = asked_.find(answer.request);
        if (asked == asked_.end()) return;
        const Done done = std::move(asked->second);
        asked_.erase(asked);
        done(answer.result);
      },
      [&](mock::Compute& compute) {
        Happening happening;
        happening.kind = Kind::tenant_computed;
        happening.number = ++last_tenant_job_;
        tenant_jobs_.emplace(last_tenant_job_, std::move(compute));
        queue_.push(now_ + options.costs.compute, std::move(happening));
      },
      [&](mock::Record& record) {
        server_.record(now_, std::move(record.event));
        invariants_.noticed(server_.history().back());
      },
      [&](const mock::HostFaultSwitched& switched) { perform(switched); },
      [](const mock::LogKeys&) {},  // done already
  };
  std::visit(rows, action.what);
}

// ---- devices ------------------------------------------------------------------------------------

Result<stage::Device*> World::Impl::device(std::string_view engine, std::string_view name,
                                           const stage::DeviceOptions& device_options) {
  for (stage::Device* known : device_list) {
    if (known->engine() != engine || known->name() != name) continue;
    if (device_options == stage::DeviceOptions{} || device_options == known->options())
      return known;
    return Error{Errc::conflict, "device " + std::string(name) + " exists with other options"};
  }
  for (const std::string_view word : {engine, name}) {
    if (is_name(word)) continue;
    return Error{Errc::usage, "\"" + std::string(word) +
                                  "\" is no name: 1 to 64 letters, digits, hyphens, underscores"};
  }

  Device::Setup setup;
  setup.index = static_cast<std::uint32_t>(devices_.size());
  setup.seed = options.seed;
  setup.sabotage = &options.sabotage;
  client::Config& config = setup.config;
  config.url = "ws://mock/ws/chat?device=" + std::string(name);
  config.noise_root = keys_.root.public_key;
  config.initial_prekeys = device_options.initial_prekeys;
  config.takeover_after = device_options.takeover_after;
  if (device_options.auto_renew_qr) config.auto_renew_qr = *device_options.auto_renew_qr;
  if (device_options.unpaired_limit) config.unpaired_limit = *device_options.unpaired_limit;
  if (device_options.version) {
    WA_TRY(config.version, pairing::parse_app_version(*device_options.version));
  }
  config.timings.qr_first = device_options.qr_first.value_or(options.settings.refs_first);
  config.timings.qr_rest = device_options.qr_rest.value_or(options.settings.refs_rest);

  config.expected_number = device_options.expected_number;
  config.proxy = proxy_url(device_options.proxy);
  if (options.sabotage.config) options.sabotage.config(config);

  if (!device_options.clone_of.empty()) {
    const std::string& whole = device_options.clone_of;
    const std::string original = whole.substr(whole.find('/') + 1);  // npos + 1 is 0
    const auto found = stores_.find(original);
    if (found == stores_.end()) {
      return Error{Errc::usage, "clone_of: there is no device \"" + whole + "\""};
    }
    setup.cloned_from = found->second;
  }
  std::shared_ptr<Store>& store = stores_[std::string(name)];
  if (!store) store = std::make_shared<Store>();
  setup.store = store;

  const EventQueue::Alarm alarm = queue_.make_alarm();
  WA_ASSERT(alarm == kTenantAlarm + 1 + setup.index);
  devices_.push_back(std::make_unique<Device>(*this, std::string(engine), std::string(name),
                                              device_options, std::move(setup)));
  invariants_.add(*devices_.back());
  device_list.push_back(devices_.back().get());
  return device_list.back();
}

// ---- the end ------------------------------------------------------------------------------------

std::vector<Failure> World::Impl::finish() {
  WA_ASSERT(!finished_);
  finished_ = true;
  invariants_.end(now_);
  std::vector<Failure> failures = invariants_.broken();
  for (const auto& device : devices_) device->stop();
  const auto restless = [&] {
    return std::ranges::any_of(devices_, [](const auto& device) {
      return device->busy() || (device->session() && device->session()->next_deadline());
    });
  };
  const Instant limit = now_ + kStopPatience;
  while ((links_.open() > 0 || restless()) && advance(limit)) {
  }
  // Streams that went dark: the server never hears that the client gave up.
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    if (!links_[link].blackholed || links_[link].client_open) continue;
    links_[link].server_open = false;
    to_tenant(link, mock::Disconnected{"end of the scenario"});
  }

  const auto quiet = [&](bool holds, std::string message) {
    if (!holds)
      failures.push_back(
          {"invariant", "quiet-end: " + std::move(message), {}, {}, {}, "quiet-end"});
  };
  for (const auto& device : devices_) {
    const client::Session* session = device->session();
    quiet(!session || !session->next_deadline(), "device " + device->name() + " still has a timer");
    quiet(!device->busy(), "device " + device->name() + " still waits for its store");
  }
  quiet(links_.open() == 0, std::to_string(links_.open()) + " links are still open");
  const auto held = std::ranges::count_if(
      tenant_.connections(), [](const auto& connection) { return !connection.client_gone; });
  quiet(held == 0, "the server still holds " + std::to_string(held) + " connections");
  return failures;
}

// ---- the World ----------------------------------------------------------------------------------

World::World(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
World::~World() = default;
Now World::now() const {
  return impl_->now();
}
bool World::advance(Instant limit) {
  return impl_->advance(limit);
}
stage::Server& World::server() {
  return impl_->server();
}
Result<stage::Device*> World::device(std::string_view engine, std::string_view name,
                                     const stage::DeviceOptions& options) {
  return impl_->device(engine, name, options);
}
stage::Disk& World::disk(std::string_view device) {
  return impl_->disk(device);
}
const std::vector<stage::Device*>& World::devices() const {
  return impl_->device_list;
}
const stage::TimeScale& World::time_scale() const {
  return impl_->scale;
}
stage::Trace& World::trace() {
  return impl_->trace();
}
std::vector<stage::Failure> World::finish() {
  return impl_->finish();
}
std::uint64_t World::steps() const {
  return impl_->steps();
}
std::size_t World::open_links() const {
  return impl_->links().open();
}
std::size_t World::alarms() const {
  return impl_->alarms();
}
void World::flip_byte(std::uint64_t nth_message) {
  impl_->flip_byte(nth_message);
}

}  // namespace wa::sim

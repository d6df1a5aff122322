#include "scenarios/sim/world.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "scenarios/sim/world_impl.hpp"

namespace wa::sim {

using Kind = Happening::Kind;
using stage::Failure;
using stage::TraceKind;

namespace {

/// How long devices may take to stop, in virtual time.
constexpr Duration kStopPatience = 30s;

/// The URL of the proxy that a world keeps, where that is meant.
std::string proxy_url(const std::string& option) {
  if (option == "http") return "http://proxy:3128";
  if (option == "socks5") return "socks5://proxy:1080";
  return option;
}

}  // namespace

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
  config.strict_identity = device_options.strict_identity;
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

#pragma once

#include <list>
#include <map>

#include "scenarios/sim/device.hpp"
#include "scenarios/sim/event_queue.hpp"
#include "scenarios/sim/links.hpp"
#include "scenarios/sim/world.hpp"
#include "scenarios/stage/host_fault.hpp"
#include "scenarios/stage/invariants.hpp"

namespace wa::sim {

/// 2026-01-01T00:00:00Z. Source: docs/ARCHITECTURE.md, "Determinism".
inline constexpr std::int64_t kWallStartMs = 1'767'225'600'000;
/// So many things at one instant are a machine that never comes to rest.
inline constexpr std::uint64_t kLivelock = 1'000'000;
inline constexpr EventQueue::Alarm kTenantAlarm = 0;

/// A standing fault, and for whom it is on.
struct HostFault {
  stage::HostFault fault;
  std::string label;  ///< empty: whom its record names
};

/// The insides of a World, spread over world.cpp (what happens, the tenant, devices, the end) and
/// world_hosts.cpp (what goes wrong in the hosts of clients). Private to scenarios/sim.
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
  std::vector<stage::Failure> finish();

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
    schedule(Happening::Kind::commit_done, device, incarnation, 0, options.costs.commit + extra);
  }
  void begin_death(std::uint32_t device, std::uint32_t incarnation) override {
    schedule(Happening::Kind::process_dies, device, incarnation, 0, {});
  }
  void commit_meets_disk(const stage::Device& device) override { meet_disk(device, true); }
  void commit_met_disk(const stage::Device& device) override { meet_disk(device, false); }
  void begin_load(std::uint32_t device, std::uint32_t incarnation, std::uint32_t load) override {
    schedule(Happening::Kind::loaded, device, incarnation, load, options.costs.load);
  }
  void begin_compute(std::uint32_t device, std::uint32_t incarnation, std::uint32_t job) override {
    schedule(Happening::Kind::computed, device, incarnation, job, options.costs.compute);
  }
  void begin_taking(std::uint32_t device, std::uint32_t incarnation, std::uint32_t seq) override {
    schedule(Happening::Kind::event_taken, device, incarnation, seq, {});
  }
  std::size_t open_sockets(std::uint32_t device) const override { return links_.open_of(device); }
  void set_alarm(std::uint32_t device, std::optional<Instant> at) override {
    queue_.set_alarm(kTenantAlarm + 1 + device, at);
  }
  Bytes& trace_open(stage::Trace::Actor actor) override {
    return trace_.open(now_, actor, stage::TraceKind::client_action);
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
  /// Something that a device has begun comes to its end.
  void schedule(Happening::Kind kind, std::uint32_t device, std::uint32_t incarnation,
                std::uint32_t extra, Duration after) {
    Happening happening;
    happening.kind = kind;
    happening.target = device;
    happening.number = incarnation;
    happening.extra = extra;
    queue_.push(now_ + after, std::move(happening));
  }

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

}  // namespace wa::sim

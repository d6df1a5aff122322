#include "engine/base/overloaded.hpp"
#include "scenarios/sim/world_impl.hpp"

namespace wa::sim {

using Kind = Happening::Kind;

namespace {

/// Of a name, where a fault makes it slow.
constexpr Duration kSlowLookup = 5s;

}  // namespace

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

}  // namespace wa::sim

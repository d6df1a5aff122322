#include "scenarios/loopback/world_impl.hpp"
#include "scenarios/stage/host_fault.hpp"

namespace wa::loopback {

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

}  // namespace wa::loopback

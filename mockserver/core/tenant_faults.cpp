#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

void Tenant::Impl::note_fault(const FaultRecord& fault, const Peer& peer) {
  record(EventKind::fault, peer.id, peer.device_name(), {{"id", fault.id}});
}

void Tenant::Impl::perform(const FaultRecord& fault, Peer& peer, Now now) {
  note_fault(fault, peer);
  if (const auto* error = std::get_if<StreamErrorFault>(&fault.kind)) {
    if (peer.link->handshake_done()) {
      stream_error(peer, *error, now);
    } else {
      close(peer, CloseHow::fin, "fault " + fault.id + " before the handshake", now);
    }
  } else if (const auto* ending = std::get_if<CloseFault>(&fault.kind)) {
    close(peer, ending->reset ? CloseHow::rst : CloseHow::fin, "fault " + fault.id, now);
  } else if (const auto* failure = std::get_if<FailureFault>(&fault.kind)) {
    fail(peer, *failure, now);
  } else {
    perform_stanza(fault, peer, now);
  }
}

void Tenant::Impl::carry_out(const std::vector<FaultEngine::Due>& dues, Now now) {
  using What = FaultEngine::Due::What;
  for (const FaultEngine::Due& due : dues) {
    const FaultRecord& fault = *due.record;
    const bool moment = fault.description().fault_class == FaultClass::moment;
    switch (due.what) {
      case What::perform:
        if (fault.is_host()) {
          record(EventKind::fault, due.connection, due.device, {{"id", fault.id}});
          switch_host_fault(fault, due.device, true);
        } else if (Peer* peer =
                       due.connection != 0 ? find(due.connection) : find_device(due.device)) {
          perform(fault, *peer, now);
        }
        break;
      case What::switched_on:
        // The client's host judges single chances; of these it would take none.
        if (fault.is_host() && fault.when.probability == 0.0) break;
        record(EventKind::fault, due.connection, due.device, {{"id", fault.id}});
        if (fault.is_host()) switch_host_fault(fault, due.device, true);
        break;
      case What::switched_off:
        release(fault, due.device, now);
        if (fault.is_host()) switch_host_fault(fault, due.device, false);
        break;
      case What::healed:
        release(fault, {}, now);
        record(EventKind::healed, 0, due.device, {{"id", fault.id}});
        if (fault.is_host() && !moment) switch_host_fault(fault, due.device, false);
        break;
    }
  }
}

void Tenant::Impl::switch_host_fault(const FaultRecord& fault, std::string device, bool on) {
  actions_.push_back({0, HostFaultSwitched{fault, std::move(device), on}});
}

bool Tenant::Impl::withheld(std::string_view stanza, const Peer& peer, Now now) {
  const auto fits = [&](const WithholdFault& fault) { return fault.stanza == stanza; };
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, {}};
  const auto acting = faults.act<WithholdFault>(occasion, now, fits);
  for (const FaultRecord* fault : acting) note_fault(*fault, peer);
  return !acting.empty();
}

}  // namespace wa::mock

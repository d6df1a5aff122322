// Faults of the handshake and of transport frames, and of attempts to connect, performed.

#include <algorithm>

#include "mockserver/core/spoilt_certificate.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

constexpr std::size_t kFrameHeaderBytes = 3;
/// The mock gives up an upgrade that it leaves without an answer: its client has long gone.
constexpr Duration kHangingUpgrade = std::chrono::minutes(1);

/// Flips a bit of the byte at `position`, from the end if negative. What lies beyond the payload is
/// its last, or first, byte.
void flip(std::span<std::byte> payload, std::int64_t position) {
  if (payload.empty()) return;
  const auto size = static_cast<std::int64_t>(payload.size());
  const std::int64_t index = std::clamp<std::int64_t>(
      position < 0 ? size + std::max(position, -size) : position, 0, size - 1);
  payload[static_cast<std::size_t>(index)] ^= std::byte{1};
}

}  // namespace

// ---- attempts to connect ------------------------------------------------------------------------

Tenant::TlsDecision Tenant::Impl::tls_decision(Now now) {
  TlsDecision decision;
  if (!faults.any<TlsFault>()) return decision;
  const auto acting = faults.act<TlsFault>({FaultSubject{}, {}, {}}, now);
  for (const FaultRecord* fault : acting) record(EventKind::fault, 0, {}, {{"id", fault->id}});
  if (!acting.empty()) decision.fault = std::get<TlsFault>(acting.front()->kind).kind;
  decision.actions = take_actions(now);
  return decision;
}

bool Tenant::Impl::spoil_upgrade(Peer& peer, Now now) {
  if (!faults.any<UpgradeFault>()) return false;
  FaultSubject subject = peer.subject();
  subject.state = ConnectionState::offline;  // still
  faults.seen(subject, now);
  const auto acting = faults.act<UpgradeFault>({subject, {}, {}}, now);
  if (acting.empty()) return false;
  for (const FaultRecord* fault : acting) note_fault(*fault, peer);
  const auto& upgrade = std::get<UpgradeFault>(acting.front()->kind);
  const ConnectionId id = peer.id;
  if (upgrade.hang) {
    peer.upgrading = true;
    set_timer(id, TimerKind::handshake, now.mono + kHangingUpgrade);
    return true;
  }
  const int status = upgrade.status.value_or(503);
  actions_.push_back({id, RefuseUpgrade{status, "fault " + acting.front()->id + "\n"}});
  return true;
}

// ---- the handshake ------------------------------------------------------------------------------

void Tenant::Impl::spoil_handshake(Peer& peer, Now now) {
  if (peer.greeted) return;
  peer.greeted = true;
  if (!faults.any<StallFault>() && !faults.any<CertificateFault>()) return;
  const FaultEngine::Occasion chance{peer.subject(), {}, {}};
  const auto stalls = faults.act<StallFault>(chance, now);
  for (const FaultRecord* fault : stalls) note_fault(*fault, peer);
  if (!stalls.empty()) {
    peer.stall = std::get<StallFault>(stalls.front()->kind).stage;
    // The client is to give up, not the server.
    cancel_timer(peer.id, TimerKind::handshake);
    stall_at(peer, StallFault::Stage::header);
  }
  const auto certificates = faults.act<CertificateFault>(chance, now);
  for (const FaultRecord* fault : certificates) note_fault(*fault, peer);
  if (certificates.empty()) return;
  const auto& fault = std::get<CertificateFault>(certificates.front()->kind);
  peer.link->set_certificate_chain(spoilt_chain(chain_spec(now), keys, fault, now.wall, random));
}

bool Tenant::Impl::stall_at(Peer& peer, StallFault::Stage stage) {
  if (peer.stall == stage) peer.stalled = true;
  return peer.stalled;
}

// ---- transport frames ---------------------------------------------------------------------------

bool Tenant::Impl::has_frame_faults() const {
  return faults.any<CorruptFault>() || faults.any<RepeatFrameFault>() ||
         faults.any<SwapFramesFault>() || faults.any<OversizeFault>();
}

void Tenant::Impl::send_frame(Peer& peer, Bytes frame, StanzaRef stanza, Now now) {
  if (peer.endless) return;
  if (!has_frame_faults() && !peer.swapped_out) {
    send_bytes(peer, std::move(frame), now);
    return;
  }
  const FaultEngine::Occasion chance{peer.subject(), Direction::to_client, stanza};
  for (const FaultRecord* fault : faults.act<CorruptFault>(chance, now)) {
    note_fault(*fault, peer);
    const auto payload = std::span(frame).subspan(kFrameHeaderBytes);
    flip(payload, std::get<CorruptFault>(fault->kind).flip_byte);
  }
  if (const auto acting = faults.act<OversizeFault>(chance, now); !acting.empty()) {
    for (const FaultRecord* fault : acting) note_fault(*fault, peer);
    std::fill_n(frame.begin(), kFrameHeaderBytes, std::byte{0xff});
    send_bytes(peer, std::move(frame), now);
    peer.endless = true;
    return;
  }
  if (peer.swapped_out) {
    send_bytes(peer, std::move(frame), now);
    send_bytes(peer, *std::exchange(peer.swapped_out, std::nullopt), now);
    return;
  }
  if (const auto acting = faults.act<SwapFramesFault>(chance, now); !acting.empty()) {
    for (const FaultRecord* fault : acting) note_fault(*fault, peer);
    peer.swapped_out = std::move(frame);
    return;
  }
  // The only place where two frames of the mock share a nonce: they are the same frame.
  for (const FaultRecord* fault : faults.act<RepeatFrameFault>(chance, now)) {
    note_fault(*fault, peer);
    send_bytes(peer, frame, now);
  }
  send_bytes(peer, std::move(frame), now);
}

std::vector<Bytes> Tenant::Impl::spoil_arrived(Peer& peer, Bytes payload, Now now) {
  const FaultEngine::Occasion chance{peer.subject(), Direction::to_server, {}};
  const auto note = [&](const FaultRecord& fault) {
    note_fault(fault, peer);
    peer.tampered = true;
  };
  std::vector<Bytes> frames;
  for (const FaultRecord* fault : faults.act<CorruptFault>(chance, now)) {
    note(*fault);
    flip(payload, std::get<CorruptFault>(fault->kind).flip_byte);
  }
  if (peer.swapped_in) {
    frames.push_back(std::move(payload));
    frames.push_back(*std::exchange(peer.swapped_in, std::nullopt));
    return frames;
  }
  if (const auto acting = faults.act<SwapFramesFault>(chance, now); !acting.empty()) {
    for (const FaultRecord* fault : acting) note(*fault);
    peer.swapped_in = std::move(payload);
    return frames;
  }
  for (const FaultRecord* fault : faults.act<RepeatFrameFault>(chance, now)) {
    note(*fault);
    frames.push_back(payload);
  }
  frames.push_back(std::move(payload));
  return frames;
}

}  // namespace wa::mock

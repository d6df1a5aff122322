// Faults of the link, performed: what a connection sends and is sent passes through here. The way
// of a message that no fault touches is a plain action.

#include <algorithm>

#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

LinkEnd::How on_link(CloseHow how) {
  WA_ASSERT(how != CloseHow::blackhole);  // that one does not close
  if (how == CloseHow::rst) return LinkEnd::How::rst;
  return how == CloseHow::fin ? LinkEnd::How::fin : LinkEnd::How::normal;
}

CloseHow on_socket(LinkEnd::How how) {
  if (how == LinkEnd::How::rst) return CloseHow::rst;
  return how == LinkEnd::How::fin ? CloseHow::fin : CloseHow::normal;
}

LinkLane& lane(FaultyLink& link, Direction direction) {
  return direction == Direction::to_client ? link.to_client : link.to_server;
}

}  // namespace

// ---- what the records say -----------------------------------------------------------------------

bool Tenant::Impl::has_link_faults() const {
  return faults.any<LatencyFault>() || faults.any<ThrottleFault>() || faults.any<SplitFault>() ||
         faults.any<BlackholeFault>() || faults.any<MuteFault>();
}

/// From the record's own stream: one number for each message.
Duration Tenant::Impl::draw_latency(const FaultRecord& fault) {
  const auto& latency = std::get<LatencyFault>(fault.kind);
  const Duration width = latency.max - latency.min;
  if (width <= Duration::zero()) return latency.min;
  SeededRandom draw(seed, "latency " + fault.id, std::to_string(latency_draws_[fault.id]++));
  const std::uint64_t drawn = draw.below(static_cast<std::uint64_t>(width.count()) + 1);
  return latency.min + Duration(static_cast<std::int64_t>(drawn));
}

LinkShape Tenant::Impl::link_shape(const FaultEngine::Occasion& chance, Now now) {
  LinkShape shape;
  for (const FaultRecord* fault : faults.standing<LatencyFault>(chance, now)) {
    shape.delay += draw_latency(*fault);
  }
  for (const FaultRecord* fault : faults.standing<ThrottleFault>(chance, now)) {
    const std::uint64_t speed = std::get<ThrottleFault>(fault->kind).bytes_per_second;
    shape.bytes_per_second = std::min(shape.bytes_per_second.value_or(speed), speed);
  }
  for (const FaultRecord* fault : faults.standing<SplitFault>(chance, now)) {
    const std::size_t size = std::get<SplitFault>(fault->kind).size;
    shape.split_bytes = std::min(shape.split_bytes.value_or(size), size);
  }
  return shape;
}

Tenant::Impl::Passage Tenant::Impl::passage(const Peer& peer, Direction direction, Now now) {
  const auto known = bad_links_.find(peer.id);
  if (known == bad_links_.end() && !has_link_faults()) return {};
  const FaultEngine::Occasion chance{peer.subject(), direction, {}};
  Passage passage{nullptr, link_shape(chance, now)};
  std::vector<std::string> holders;
  for (const FaultRecord* fault : faults.standing<BlackholeFault>(chance, now)) {
    holders.push_back(fault->id);
  }
  const auto mutes = [&](const MuteFault& mute) { return mute.direction == direction; };
  for (const FaultRecord* fault : faults.standing<MuteFault>(chance, now, mutes)) {
    holders.push_back(fault->id);
  }
  if (known == bad_links_.end() && holders.empty() && passage.shape == LinkShape()) return {};
  BadLink& bad = bad_links_[peer.id];
  bad.device = FaultEngine::device_key(chance.subject);
  for (std::string& holder : holders) {
    bad.holders.emplace(direction, std::move(holder));
    lane(bad.link, direction).hold();
  }
  passage.bad = &bad;
  return passage;
}

// ---- on the way ---------------------------------------------------------------------------------

void Tenant::Impl::transmit(Peer& peer, Bytes message, Now now) {
  const Passage passage = this->passage(peer, Direction::to_client, now);
  if (passage.bad == nullptr) {
    actions_.push_back({peer.id, SendBytes{std::move(message)}});
    return;
  }
  LinkLane& lane = passage.bad->link.to_client;
  lane.put(std::move(message), passage.shape, now.mono);
  // An end here is an overflow: the connection goes when nobody is in the middle of using it.
  while (!lane.ended()) {
    auto parcel = lane.take(now.mono);
    if (!parcel) break;
    actions_.push_back({peer.id, SendBytes{std::move(parcel->bytes)}});
  }
  await_link(peer.id, *passage.bad);
}

void Tenant::Impl::transmit_end(Peer& peer, CloseHow how, std::string detail, Now now) {
  const ConnectionId id = peer.id;
  const Passage passage = this->passage(peer, Direction::to_client, now);
  if (passage.bad == nullptr) {
    actions_.push_back({id, CloseSocket{how}});
    forget(peer, "server", std::move(detail), now);
    return;
  }
  BadLink& bad = *passage.bad;
  bad.link.to_client.put_end({on_link(how), {}}, passage.shape, now.mono);
  // Nobody listens to the client any more.
  bad.link.to_server = {};
  std::erase_if(bad.holders, [](const auto& held) { return held.first == Direction::to_server; });
  bad.closing = connection_info(peer);
  bad.closing->phase = "closing";
  const bool client_gone = bad.client_gone;
  forget(peer, "server", std::move(detail), now);
  if (client_gone) {
    drop_link(id);  // there is nobody to be told
  } else {
    deliver(id, now);
  }
}

void Tenant::Impl::receive(Peer& peer, const Bytes& bytes, Now now) {
  const Passage passage = this->passage(peer, Direction::to_server, now);
  if (passage.bad == nullptr) {
    on_bytes(peer, bytes, now);
    return;
  }
  passage.bad->link.to_server.put(bytes, passage.shape, now.mono);
  deliver(peer.id, now);
}

void Tenant::Impl::receive_end(Peer& peer, const std::string& detail, Now now) {
  const Passage passage = this->passage(peer, Direction::to_server, now);
  if (passage.bad == nullptr) {
    forget(peer, "client", detail, now);
    return;
  }
  passage.bad->client_gone = true;
  passage.bad->link.to_server.put_end({LinkEnd::How::fin, detail}, passage.shape, now.mono);
  deliver(peer.id, now);
}

void Tenant::Impl::deliver(ConnectionId id, Now now) {
  const auto find_link = [&]() -> BadLink* {
    const auto found = bad_links_.find(id);
    return found == bad_links_.end() ? nullptr : &found->second;
  };
  BadLink* bad = find_link();
  while (bad != nullptr) {
    if (auto parcel = bad->link.to_client.take(now.mono)) {
      arrive_at_client(id, std::move(*parcel), now);
    } else if (parcel = bad->link.to_server.take(now.mono); parcel) {
      arrive_at_server(id, *parcel, now);
    } else {
      await_link(id, *bad);
      return;
    }
    bad = find_link();
  }
}

void Tenant::Impl::await_link(ConnectionId id, const BadLink& bad) {
  if (bad.link.idle()) {
    drop_link(id);
  } else if (const auto next = bad.link.next_deadline()) {
    set_timer(id, TimerKind::link, *next);
  } else {
    cancel_timer(id, TimerKind::link);
  }
}

void Tenant::Impl::arrive_at_client(ConnectionId id, LinkLane::Parcel parcel, Now now) {
  if (!parcel.end) {
    actions_.push_back({id, SendBytes{std::move(parcel.bytes)}});
    return;
  }
  actions_.push_back({id, CloseSocket{on_socket(parcel.end->how)}});
  drop_link(id);
  // It was not the server that closed: too much was under way.
  if (Peer* peer = find(id)) forget(*peer, "server", std::move(parcel.end->detail), now);
}

void Tenant::Impl::arrive_at_server(ConnectionId id, const LinkLane::Parcel& parcel, Now now) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  if (!parcel.end) {
    on_bytes(*peer, parcel.bytes, now);
    return;
  }
  if (parcel.end->how == LinkEnd::How::rst) {
    close(*peer, CloseHow::rst, parcel.end->detail, now);  // too much was under way
    return;
  }
  drop_link(id);
  forget(*peer, "client", parcel.end->detail, now);
}

void Tenant::Impl::drop_link(ConnectionId id) {
  cancel_timer(id, TimerKind::link);
  bad_links_.erase(id);
}

void Tenant::Impl::cut_links() {
  for (const auto& [id, bad] : bad_links_) {
    cancel_timer(id, TimerKind::link);
    actions_.push_back({id, CloseSocket{CloseHow::fin}});
  }
  bad_links_.clear();
  latency_draws_.clear();
}

void Tenant::Impl::release(const FaultRecord& fault, const std::string& device, Now now) {
  if (!std::holds_alternative<BlackholeFault>(fault.kind) &&
      !std::holds_alternative<MuteFault>(fault.kind)) {
    return;
  }
  for (auto& [id, bad] : bad_links_) {
    const bool meant =
        device.empty() || device == bad.device || device == "connection " + std::to_string(id);
    if (!meant) continue;
    for (const Direction direction : {Direction::to_client, Direction::to_server}) {
      if (bad.holders.erase({direction, fault.id}) == 0) continue;
      const bool still = std::any_of(bad.holders.begin(), bad.holders.end(),
                                     [&](const auto& held) { return held.first == direction; });
      if (!still) lane(bad.link, direction).release();
    }
    // What was held arrives at once, but when nobody is in the middle of a connection.
    if (bad.link.idle() || bad.link.next_deadline()) set_timer(id, TimerKind::link, now.mono);
  }
}

}  // namespace wa::mock

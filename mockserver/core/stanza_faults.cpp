// What faults do to stanzas on their way: lost, doubled, late, out of order, changed; and the
// stanzas that only faults send.

#include <algorithm>
#include <charconv>

#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

std::vector<NodeBuilder>* children_of(NodeBuilder& node) {
  return std::get_if<std::vector<NodeBuilder>>(&node.content());
}

/// What a mutation is about, and the list that it stands in (null for the root).
struct Target {
  NodeBuilder* node = nullptr;
  NodeBuilder* parent = nullptr;
};

/// Follows `a/b/c` from below the root; no node when there is no such child.
Target find_target(NodeBuilder& root, std::string_view path) {
  Target target{&root, nullptr};
  while (!path.empty()) {
    const std::string_view tag = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), tag.size() + 1));
    auto* children = children_of(*target.node);
    if (children == nullptr) return {};
    const auto found = std::find_if(children->begin(), children->end(),
                                    [&](const NodeBuilder& child) { return child.tag() == tag; });
    if (found == children->end()) return {};
    target = Target{&*found, target.node};
  }
  return target;
}

/// False when the stanza has nothing that the mutation could change.
bool mutate(NodeBuilder& stanza, const MutateFault& fault) {
  const Target target = find_target(stanza, fault.child);
  if (target.node == nullptr) return false;
  if (!fault.attr.empty()) {
    // A JID stays one where it can.
    std::optional<NodeBuilder::AttributeValue> value;
    if (fault.value) {
      value = *fault.value;
      for (const auto& [key, old] : target.node->attributes()) {
        if (key != fault.attr || !std::holds_alternative<Jid>(old)) continue;
        if (const auto jid = Jid::parse(*fault.value)) value = *jid;
      }
    }
    target.node->set_attr(fault.attr, std::move(value));
    return true;
  }
  if (fault.value) {
    target.node->text(*fault.value);
    return true;
  }
  auto* siblings = children_of(*target.parent);
  siblings->erase(siblings->begin() + (target.node - siblings->data()));
  if (siblings->empty()) target.parent->content() = std::monostate();
  return true;
}

/// A received stanza of our own making: the nodes view what they were decoded from.
Result<wire::Frame> to_frame(const NodeBuilder& node) {
  return wire::decode(wire::encode(node, wire::Dictionary::v3), wire::Dictionary::v3);
}

std::string_view error_text(int code) {
  switch (code) {
    case 400: return "bad-request";
    case 401: return "not-authorized";
    case 403: return "forbidden";
    case 404: return "item-not-found";
    case 405: return "not-allowed";
    case 406: return "not-acceptable";
    case 410: return "gone";
    case 419: return "resource-limit";
    case 423: return "locked";
    case 429: return "rate-overlimit";
    case 500: return "internal-server-error";
    case 503: return "service-unavailable";
    case 530: return "partial-server-error";
    default: return "fault";
  }
}

}  // namespace

// ---- lanes
// ---------------------------------------------------------------------------------------

bool Tenant::Impl::touches_stanzas() const {
  return faults.any<DropFault>() || faults.any<DupFault>() || faults.any<DelayFault>() ||
         faults.any<ReorderFault>() || faults.any<MutateFault>() || touches_contents();
}

/// The stanza as faults make it, once for every time it is delivered; none when it is lost.
std::vector<NodeBuilder> Tenant::Impl::spoil(Peer& peer, Direction direction, NodeBuilder stanza,
                                             Now now) {
  const auto occasion = [&] { return FaultEngine::Occasion{peer.subject(), direction, &stanza}; };
  for (const FaultRecord* fault : faults.act<DropFault>(occasion(), now)) {
    note_fault(*fault, peer);
    return {};
  }
  const auto fits = [&](const MutateFault& fault) {
    NodeBuilder copy = stanza;
    return mutate(copy, fault);
  };
  for (const FaultRecord* fault : faults.act<MutateFault>(occasion(), now, fits)) {
    note_fault(*fault, peer);
    (void)mutate(stanza, std::get<MutateFault>(fault->kind));
  }
  if (touches_contents()) spoil_contents(peer, direction, stanza, now);
  std::size_t copies = 1;
  for (const FaultRecord* fault : faults.act<DupFault>(occasion(), now)) {
    note_fault(*fault, peer);
    ++copies;
  }
  return std::vector<NodeBuilder>(copies, stanza);
}

/// Delivers the stanza, or keeps it for later.
void Tenant::Impl::route(Peer& peer, Direction direction, NodeBuilder stanza, Now now) {
  StanzaLane& lane = peer.lane(direction);
  const FaultEngine::Occasion occasion{peer.subject(), direction, &stanza};
  Duration delay{};
  for (const FaultRecord* fault : faults.act<DelayFault>(occasion, now)) {
    note_fault(*fault, peer);
    delay += std::get<DelayFault>(fault->kind).by;
  }
  std::uint32_t overtaken = 0;
  for (const FaultRecord* fault : faults.act<ReorderFault>(occasion, now)) {
    note_fault(*fault, peer);
    overtaken = std::max(overtaken, std::get<ReorderFault>(fault->kind).by);
  }
  if (overtaken > 0) {
    lane.overtaken.push_back({overtaken, std::move(stanza)});
    return;
  }
  if (delay == Duration::zero() && lane.late.empty()) {
    arrive(peer, direction, std::move(stanza), now);
    return;
  }
  Instant due = now.mono + delay;
  if (!lane.late.empty()) due = std::max(due, lane.late.back().first);
  lane.late.emplace_back(due, std::move(stanza));
  set_timer(peer, lane_timer(direction), lane.late.front().first);
}

/// The stanza arrives, and behind it those that enough others have overtaken.
void Tenant::Impl::arrive(Peer& peer, Direction direction, NodeBuilder stanza, Now now) {
  const ConnectionId id = peer.id;
  const auto hand_over = [&](Peer& to, const NodeBuilder& node) {
    if (direction == Direction::to_client) {
      put_on_wire(to, node, now);
    } else if (const auto frame = to_frame(node)) {
      on_node(to, frame->root(), now);
    }
  };
  hand_over(peer, stanza);
  Peer* still = find(id);
  if (still == nullptr || still->lane(direction).overtaken.empty()) return;
  auto& overtaken = still->lane(direction).overtaken;
  std::vector<NodeBuilder> free;
  for (auto& entry : overtaken) {
    if (--entry.first == 0) free.push_back(std::move(entry.second));
  }
  std::erase_if(overtaken, [](const auto& entry) { return entry.first == 0; });
  for (const NodeBuilder& node : free) {
    if (Peer* live = find(id)) hand_over(*live, node);
  }
}

void Tenant::Impl::lane_due(Peer& peer, Direction direction, Now now) {
  const ConnectionId id = peer.id;
  for (Peer* still = &peer; still != nullptr; still = find(id)) {
    auto& late = still->lane(direction).late;
    if (late.empty()) return;
    if (late.front().first > now.mono) {
      set_timer(*still, lane_timer(direction), late.front().first);
      return;
    }
    NodeBuilder stanza = std::move(late.front().second);
    late.pop_front();
    arrive(*still, direction, std::move(stanza), now);
  }
}

void Tenant::Impl::send(Peer& peer, NodeBuilder node, Now now) {
  if (faults.any<ServerTimeFault>()) shift_time(peer, node, now);
  // What ends a stream goes out before the end does, or not at all.
  const bool last = peer.ending;
  if (!touches_stanzas() && peer.lane(Direction::to_client).idle()) {
    put_on_wire(peer, node, now);
    return;
  }
  const ConnectionId id = peer.id;
  for (NodeBuilder& copy : spoil(peer, Direction::to_client, std::move(node), now)) {
    Peer* still = find(id);
    if (still == nullptr) return;
    if (last) {
      put_on_wire(*still, copy, now);
    } else {
      route(*still, Direction::to_client, std::move(copy), now);
    }
  }
}

void Tenant::Impl::on_stanza(Peer& peer, const Node& node, Now now) {
  if (!touches_stanzas() && peer.lane(Direction::to_server).idle()) {
    on_node(peer, node, now);
    return;
  }
  const ConnectionId id = peer.id;
  for (NodeBuilder& copy : spoil(peer, Direction::to_server, NodeBuilder::copy_of(node), now)) {
    Peer* still = find(id);
    if (still == nullptr) return;
    route(*still, Direction::to_server, std::move(copy), now);
  }
}

// ---- the server's clock ------------------------------------------------------------------------

/// Every `t` that the server says is as far off as its clock.
void Tenant::Impl::shift_time(Peer& peer, NodeBuilder& node, Now now) {
  Duration offset{};
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, &node};
  for (const FaultRecord* fault : faults.standing<ServerTimeFault>(occasion, now)) {
    offset += std::get<ServerTimeFault>(fault->kind).offset;
  }
  if (offset == Duration::zero()) return;
  for (const auto& [key, value] : node.attributes()) {
    const auto* text = std::get_if<std::string>(&value);
    if (key != "t" || text == nullptr) continue;
    std::int64_t seconds = 0;
    const char* end = text->data() + text->size();
    if (std::from_chars(text->data(), end, seconds).ptr != end) return;
    seconds += std::chrono::duration_cast<std::chrono::seconds>(offset).count();
    node.set_attr("t", std::to_string(seconds));
    return;
  }
}

// ---- answers that go wrong
// -----------------------------------------------------------------------

bool Tenant::Impl::refuse_login(Peer& peer, Now now) {
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, {}};
  for (const FaultRecord* fault : faults.act<FailureFault>(occasion, now)) {
    note_fault(*fault, peer);
    fail(peer, std::get<FailureFault>(fault->kind), now);
    return true;
  }
  return false;
}

bool Tenant::Impl::refuse_iq(Peer& peer, const Node& iq, Now now) {
  if (!faults.any<IqErrorFault>()) return false;
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_server, &iq};
  for (const FaultRecord* fault : faults.act<IqErrorFault>(occasion, now)) {
    note_fault(*fault, peer);
    const int code = std::get<IqErrorFault>(fault->kind).code;
    send(peer, iq_error(iq, code, error_text(code)), now);
    return true;
  }
  return false;
}

std::optional<int> Tenant::Impl::ack_error(Peer& peer, const Node& node, Now now) {
  if (!faults.any<AckErrorFault>()) return std::nullopt;
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_server, &node};
  for (const FaultRecord* fault : faults.act<AckErrorFault>(occasion, now)) {
    note_fault(*fault, peer);
    return std::get<AckErrorFault>(fault->kind).code;
  }
  return std::nullopt;
}

void Tenant::Impl::watch_ack(Peer& peer, OwedAck& owed, const NodeBuilder& node, Now now) {
  if (!faults.any<OweAckFault>()) return;
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, &node};
  std::optional<Duration> patience;
  for (const FaultRecord* fault : faults.armed<OweAckFault>(occasion, now)) {
    const Duration after = std::get<OweAckFault>(fault->kind).after;
    patience = std::min(patience.value_or(after), after);
  }
  if (!patience) return;
  owed.stanza = node;
  owed.due = now.mono + *patience;
}

void Tenant::Impl::set_ack_timer(Peer& peer) {
  std::optional<Instant> next;
  for (const OwedAck& owed : peer.owed_acks) {
    if (owed.due) next = std::min(next.value_or(*owed.due), *owed.due);
  }
  if (next) set_timer(peer, TimerKind::owe_ack, *next);
}

/// Stanzas that nobody acknowledged in time: the stream ends with the first, and it is delivered
/// again after the next login.
void Tenant::Impl::acks_due(Peer& peer, Now now) {
  for (OwedAck& owed : peer.owed_acks) {
    if (!owed.due || *owed.due > now.mono) continue;
    owed.due.reset();
    const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, &*owed.stanza};
    const auto acting = faults.act<OweAckFault>(occasion, now);
    if (acting.empty()) continue;
    note_fault(*acting.front(), peer);
    Companion* companion = peer.companion ? accounts.companion(*peer.companion) : nullptr;
    if (companion != nullptr && !companion->mailbox.holds(owed.ack_class, owed.id)) {
      companion->mailbox.add(*owed.stanza);  // a fault's
    }
    NodeBuilder error("stream:error");
    error.child(NodeBuilder("ack").attr("class", owed.ack_class).attr("id", owed.id));
    end_with(peer, error, "stream:error child=\"ack\" id=\"" + owed.id + "\"", now);
    return;
  }
  set_ack_timer(peer);
}

// ---- stanzas that only faults send
// ---------------------------------------------------------------

void Tenant::Impl::perform_stanza(const FaultRecord& fault, Peer& peer, Now now) {
  if (!peer.link->handshake_done()) return;  // nothing can be sent yet
  if (const auto* inject = std::get_if<InjectFault>(&fault.kind)) {
    send(peer, inject->node, now);
  } else if (const auto* deep = std::get_if<DeepFault>(&fault.kind)) {
    send_deep(peer, deep->levels, now);
  } else if (std::holds_alternative<CompanionRefreshFault>(fault.kind)) {
    refresh_companion(peer, now);
  } else if (std::holds_alternative<PasskeyRequestFault>(fault.kind)) {
    request_passkey(peer, now);
  } else {
    perform_end_to_end(fault, peer, now);
  }
}

/// `<deep><deep>…`, written without a tree: it may be deeper than a stack.
void Tenant::Impl::send_deep(Peer& peer, std::uint32_t levels, Now now) {
  constexpr std::byte kList8{0xf8};
  // Flag byte, list of one, tag.
  const Bytes leaf = wire::encode(NodeBuilder("deep"), peer.link->dictionary());
  const ByteSpan tag = ByteSpan(leaf).subspan(3);
  Bytes plaintext{leaf[0]};
  for (std::uint32_t level = 1; level < levels; ++level) {
    plaintext.push_back(kList8);
    plaintext.push_back(std::byte{2});
    append(plaintext, tag);
    plaintext.push_back(kList8);
    plaintext.push_back(std::byte{1});
  }
  append(plaintext, ByteSpan(leaf).subspan(1));
  Result<Bytes> message = peer.link->seal(plaintext);
  if (!message) {
    close(peer, CloseHow::fin, message.error().detail, now);
    return;
  }
  send_frame(peer, std::move(*message), {}, now);
  notice(EventKind::stanza_out, peer, {{"tag", "deep"}, {"levels", std::to_string(levels)}}, now);
}

/// The secret in the code on show is void: a scan that is under way comes to nothing, and the next
/// one may use the same refs.
void Tenant::Impl::refresh_companion(Peer& peer, Now now) {
  if (peer.phase != Phase::pairing) return;
  if (peer.scan) {
    answer_scan(peer, Problem{409, "companion_refreshed",
                              "the server retired the secret of this QR code while it was scanned",
                              "scan the code that the client shows now"});
    peer.ref_used = false;
    if (!peer.refs.empty()) {
      set_timer(peer, TimerKind::refs_end,
                std::max(now.mono, peer.refs.back().accepted_until) + settings.refs_linger);
    }
  }
  send(peer,
       notification(Jid::server_itself(), "companion_reg_refresh", now)
           .child(NodeBuilder("companion_reg_refresh")),
       now);
}

/// The phone wants a passkey first. No phone of ours gives one: a scan that is under way waits for
/// it until it times out.
void Tenant::Impl::request_passkey(Peer& peer, Now now) {
  if (peer.phase != Phase::pairing) return;
  if (peer.scan) peer.scan->waits_for_passkey = true;
  send(peer, notification(Jid::server_itself(), "passkey_prologue_request", now), now);
}

}  // namespace wa::mock

// Stanzas between devices: what one hands the server, and how another gets it.

#include "engine/base/limits.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// A client that asked for batches and acknowledges none gets the next one all the same.
constexpr Duration kBatchPatience = 10s;

NodeBuilder bulletin(NodeBuilder child) {
  return NodeBuilder("ib").attr("from", Jid::server_itself()).child(std::move(child));
}

}  // namespace

// ---- from devices ------------------------------------------------------------------------------

void Tenant::Impl::submit(const DeviceKey& sender, const Node& stanza, Now now) {
  const std::string_view tag = stanza.tag;
  // Of a message each copy is looked at by itself.
  if (const std::size_t bytes = tag == "message" ? 0 : bytes_of(stanza);
      bytes > limits::kMaxPassedOnBytes) {
    return blame(sender, "stanza-size", std::to_string(bytes) + " bytes", stanza);
  }
  if (tag == "message") {
    on_message(sender, stanza, now);
  } else if (tag == "receipt") {
    on_receipt(sender, stanza, now);
  } else if (tag == "ack") {
    settle(sender, {stanza.attr("class"), stanza.attr("id"), stanza.jid("to")}, now);
  } else if (tag == "presence") {
    on_presence(sender, stanza, now);
  } else if (tag == "chatstate") {
    on_chatstate(sender, stanza, now);
  } else if (tag == "call") {
    on_call(sender, stanza, now);
  }
}

/// Nobody is rung up here: the caller of a call that is rejected hears of it by other means.
void Tenant::Impl::on_call(const DeviceKey& sender, const Node& call, Now now) {
  NodeBuilder ack("ack");
  ack.attr("class", "call").attr("id", std::string(call.attr("id")));
  if (const auto to = call.jid("to")) ack.attr("from", *to);
  if (const Node* what = call.first_child()) ack.attr("type", std::string(what->tag));
  deliver_now(sender, std::move(ack), now);
}

void Tenant::Impl::blame(const DeviceKey& device, std::string_view rule, std::string detail,
                         const Node& stanza) {
  if (const Peer* peer = online(device)) violate(*peer, rule, std::move(detail), &stanza);
}

// ---- to devices --------------------------------------------------------------------------------

void Tenant::Impl::deliver(const DeviceKey& to, NodeBuilder stanza, Now now) {
  if (to.is_phone()) {
    to_phones_.emplace_back(to.phone_id, std::move(stanza));
    return;
  }
  Companion* companion = accounts.companion(to);
  if (companion == nullptr) return;
  companion->mailbox.add(std::move(stanza));
  Peer* peer = online(to);
  if (peer != nullptr && peer->offline_sent) flush_mailbox(*peer, now);
}

void Tenant::Impl::deliver_now(const DeviceKey& to, NodeBuilder stanza, Now now) {
  if (to.is_phone()) {
    to_phones_.emplace_back(to.phone_id, std::move(stanza));
  } else if (Peer* peer = online(to)) {
    send(*peer, std::move(stanza), now);
  }
}

void Tenant::Impl::flush_mailbox(Peer& peer, Now now) {
  const ConnectionId id = peer.id;
  const DeviceKey device = *peer.companion;
  for (Peer* still = &peer; still != nullptr && still->companion == device; still = find(id)) {
    Companion* companion = accounts.companion(device);
    if (companion == nullptr) return;
    auto stanza = companion->mailbox.next();
    if (!stanza) return;
    send(*still, std::move(*stanza), now);
  }
}

wire::Frame Tenant::Impl::frame_of(const NodeBuilder& stanza) {
  auto frame = wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
  WA_ASSERT(frame.has_value());
  return std::move(*frame);
}

void Tenant::Impl::serve_phones(Now now) {
  while (!to_phones_.empty()) {
    const auto [phone_id, stanza] = std::move(to_phones_.front());
    to_phones_.pop_front();
    Phone* phone = accounts.find(phone_id);
    if (phone == nullptr) continue;
    deliver_to_phone(*phone, frame_of(stanza).root(), now);
  }
}

// ---- after a login -----------------------------------------------------------------------------

void Tenant::Impl::begin_offline(Peer& peer, Now now) {
  if (peer.offline_begun) return;
  peer.offline_begun = true;
  continue_offline(peer, now);
}

void Tenant::Impl::continue_offline(Peer& peer, Now now) {
  if (!peer.offline_begun || peer.offline_sent) return;
  const ConnectionId id = peer.id;
  const DeviceKey device = *peer.companion;
  cancel_timer(peer, TimerKind::offline_batch);
  std::size_t sent = 0;
  Peer* still = &peer;
  for (; still != nullptr && still->companion == device; still = find(id)) {
    Companion* companion = accounts.companion(device);
    if (companion == nullptr) return;
    if (!companion->mailbox.next_is_offline()) break;
    if (still->offline_batch && sent == *still->offline_batch) {
      set_timer(*still, TimerKind::offline_batch, now.mono + kBatchPatience);
      return;
    }
    ++sent;
    ++still->offline_count;
    send(*still, *companion->mailbox.next(), now);
  }
  if (still == nullptr || still->companion != device) return;
  still->offline_sent = true;
  if (!withheld("offline", *still, now)) {
    send(*still, bulletin(NodeBuilder("offline").attr("count", still->offline_count)), now);
    still = find(id);
  }
  if (still == nullptr || still->companion != device) return;
  flush_mailbox(*still, now);
  welcome(device, now);
}

void Tenant::Impl::on_offline_batch(Peer& peer, const Node& batch, Now now) {
  const auto count = batch.number("count");
  if (!count || *count == 0) {
    violate(peer, "offline-batch", "count \"" + batch.printed("count") + "\"", &batch);
    return;
  }
  const bool waiting = peer.offline_batch.has_value();
  peer.offline_batch = static_cast<std::size_t>(*count);
  if (waiting) continue_offline(peer, now);
}

void Tenant::Impl::settle(const DeviceKey& device, const Mailbox::Receipted& receipted, Now now) {
  Companion* companion = accounts.companion(device);
  if (companion == nullptr) return;
  (void)companion->mailbox.acknowledge(receipted);
  Peer* peer = online(device);
  if (peer != nullptr && peer->offline_begun && !peer->offline_sent &&
      companion->mailbox.offline_in_flight() == 0) {
    continue_offline(*peer, now);
  }
}

}  // namespace wa::mock

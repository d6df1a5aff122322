// What a paired device does: log in, ask, acknowledge, log out.

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// "iq get encrypt count": what a stanza is, for the coverage table.
std::string stanza_kind(const Node& node) {
  std::string kind(node.tag);
  for (const char* key : {"type", "xmlns"}) {
    if (const std::string_view value = node.attr(key); !value.empty())
      kind += " " + std::string(value);
  }
  if (const Node* child = node.first_child()) kind += " " + std::string(child->tag);
  return kind;
}

NodeBuilder bulletin(NodeBuilder child) {
  return NodeBuilder("ib").attr("from", Jid::server_itself()).child(std::move(child));
}

}  // namespace

void Tenant::Impl::log_in(Peer& peer, const pairing::Login& login, Now now) {
  const ConnectionId id = peer.id;
  Phone* phone = accounts.find_by_number(std::to_string(login.username));
  const auto device = static_cast<std::uint16_t>(std::min<std::uint32_t>(login.device, 0xffff));
  Companion* companion =
      phone == nullptr ? nullptr : accounts.companion(DeviceKey{phone->id, device});
  if (companion != nullptr && peer.label.empty()) peer.label = companion->label;
  if (phone != nullptr) {
    peer.number = phone->number;
    peer.account = phone->id;
    peer.device_jid = phone->jid(device).to_string();
  }
  faults.seen(peer.subject(), now);
  notice(EventKind::login, peer,
         {{"username", std::to_string(login.username)},
          {"device_number", std::to_string(login.device)},
          {"passive", login.passive ? "true" : "false"}},
         now);
  if (find(id) == nullptr) return;
  if (companion == nullptr || companion->noise_key != peer.client_static) {
    fail(peer, FailureFault{401, {}, {}}, now);
    return;
  }
  if (refuse_login(peer, now) || withheld("success", peer, now)) return;

  const DeviceKey key{phone->id, device};
  if (Peer* older = online(key)) {
    stream_error(*older, StreamErrorFault{{}, "replaced", ""}, now);
  }
  peer.companion = key;
  peer.phase = Phase::open;
  online_[key] = id;
  companion->dictionary = peer.link->dictionary();
  companion->mailbox.begin_session();
  peer.passive = login.passive;
  peer.link->set_max_frame_bytes(limits::kMaxFrameBytes);
  if (settings.server_ping > Duration::zero()) {
    set_timer(peer, TimerKind::server_ping, now.mono + settings.server_ping);
  }
  const auto static_hash = crypto::sha256(companion->registration.identity.bytes);
  send(peer,
       NodeBuilder("success")
           .attr("t", now.wall.seconds())
           .attr("props", "27")
           .attr("companion_enc_static", to_base64(static_hash))
           .attr("lid", phone->lid(device))
           .attr("location", "tst")
           .attr("abprops", "0"),
       now);
  if (Peer* still = find(id)) notice(EventKind::success, *still, {{"jid", peer.device_jid}}, now);
  if (Peer* still = find(id); still != nullptr && settings.edge_routing) {
    const auto routing = random.array<8>();
    send(*still,
         bulletin(NodeBuilder("edge_routing").child(NodeBuilder("routing_info").bytes(routing))),
         now);
  }
  companion = accounts.companion(key);
  if (Peer* still = find(id); still != nullptr && companion != nullptr) {
    const Mailbox::Counts waiting = companion->mailbox.unsent();
    send(*still,
         bulletin(NodeBuilder("offline_preview")
                      .attr("count", waiting.all())
                      .attr("message", waiting.message)
                      .attr("receipt", waiting.receipt)
                      .attr("notification", waiting.notification)
                      .attr("appdata", "0")),
         now);
  }
  if (Peer* still = find(id); still != nullptr && !still->passive) begin_offline(*still, now);
}

// Most clients do not answer it, and need not: it only shows that one that does is not disturbed.
void Tenant::Impl::ping(Peer& peer, Now now) {
  constexpr std::size_t kRemembered = 16;
  set_timer(peer, TimerKind::server_ping, now.mono + settings.server_ping);
  peer.pings.push_back(next_stanza_id());
  if (peer.pings.size() > kRemembered) peer.pings.pop_front();
  send(peer,
       NodeBuilder("iq")
           .attr("from", Jid::server_itself())
           .attr("type", "get")
           .attr("id", peer.pings.back())
           .attr("xmlns", "urn:xmpp:ping")
           .child(NodeBuilder("ping")),
       now);
}

void Tenant::Impl::answer_iq(Peer& peer, const Node& iq, Now now) {
  const std::string_view type = iq.attr("type");
  if (iq.attr("id").empty() || (type != "get" && type != "set")) {
    violate(peer, "iq-without-id",
            "id \"" + iq.printed("id") + "\", type \"" + iq.printed("type") + "\"", &iq);
    return;
  }
  const ConnectionId id = peer.id;
  if (refuse_iq(peer, iq, now)) {
    cover(stanza_kind(iq), "fault");
    return;
  }
  const IqRoute* route = find_route(iq);
  const bool logged_in = peer.phase == Phase::open;
  if (!logged_in && on_link_code_iq(peer, iq, now)) return;
  if (!logged_in && iq.attr("xmlns") != "w:p" && iq.attr("xmlns") != "md") {
    violate(peer, "before-login", "an iq that needs a login", &iq);
    send(peer, iq_error(iq, 403, "forbidden"), now);
    return;
  }
  if (route == nullptr || (!logged_in && !route->before_login)) {
    cover(stanza_kind(iq), "unknown");
    send(peer, empty_result(iq), now);
    return;
  }
  cover(stanza_kind(iq), route->what);
  IqContext context{
      iq, accounts, groups, now, random, [&](std::string_view rule, std::string detail) {
        violate(peer, rule, std::move(detail), &iq);
      }};
  if (logged_in) {
    context.device = *peer.companion;
    context.companion = accounts.companion(context.device);
    WA_ASSERT(context.companion != nullptr);
  }
  const bool had_no_keys = context.companion != nullptr && context.companion->prekeys.empty();
  NodeBuilder reply = route->answer(context);
  spoil_answer(peer, iq, reply, now);
  send(peer, std::move(reply), now);
  if (had_no_keys) welcome(context.device, now);  // it may have uploaded some
  for (const DeviceKey& device : context.low_on_prekeys) tell_prekeys_low(device, now);
  for (const GroupNews& news : context.group_news) tell_group_news(news, context.device, now);
  if (context.became_active) {
    if (Peer* still = find(id)) notice(EventKind::active, *still, {}, now);
    if (Peer* still = find(id); still != nullptr && still->passive) begin_offline(*still, now);
  }
  if (context.remove_companion) {
    if (Peer* still = find(id)) unlink(*still->companion, "", now);
  }
}

void Tenant::Impl::on_logged_in_node(Peer& peer, const Node& node, Now now) {
  const std::string_view tag = node.tag;
  if (tag == "iq") {
    const std::string_view type = node.attr("type");
    if (type == "result" || type == "error") {
      const auto pinged = std::find(peer.pings.begin(), peer.pings.end(), node.attr("id"));
      if (pinged != peer.pings.end()) {
        peer.pings.erase(pinged);
        cover("iq result ping", "accepted");
        return;
      }
      violate(peer, "unexpected-result", "id \"" + node.printed("id") + "\" answers nothing",
              &node);
    } else {
      answer_iq(peer, node, now);
    }
    return;
  }
  cover(stanza_kind(node), "accepted");
  if (tag == "ib") {
    const Node* batch = node.child("offline_batch");
    if (batch != nullptr) on_offline_batch(peer, *batch, now);
    return;
  }
  if (tag == "ack") check_ack(peer, node);
  submit(DeviceKey(*peer.companion), node, now);
}

void Tenant::Impl::check_ack(Peer& peer, const Node& ack) {
  const std::string ack_class(ack.attr("class"));
  const std::string id(ack.attr("id"));
  const std::string participant = ack.printed("participant");
  const std::string type = ack.printed("type");
  const auto owed = peer.owed_acks.take(ack_class, id, participant, type);
  if (!owed) {
    return violate(peer, "ack-unknown",
                   "nothing of class \"" + ack_class + "\" with id \"" + id + "\" waits for an ack",
                   &ack);
  }
  if (participant != owed->participant) {
    violate(peer, "ack-shape",
            "participant \"" + participant + "\", expected \"" + owed->participant + "\"", &ack);
  }
  if (!owed->has_type(type)) {
    violate(peer, "ack-shape", "type \"" + type + "\", expected \"" + owed->type + "\"", &ack);
  }
}

void Tenant::Impl::unlink(const DeviceKey& key, std::string_view conflict, Now now) {
  Phone* phone = accounts.find(key.phone_id);
  WA_ASSERT(phone != nullptr);
  const std::string jid = phone->jid(key.device).to_string();
  std::vector<std::pair<std::string_view, std::string>> data = {
      {"jid", jid}, {"by", conflict.empty() ? "client" : "phone"}};
  phone->memory.forget(key);
  Peer* peer = online(key);
  const ConnectionId id = peer == nullptr ? 0 : peer->id;
  const auto gone = phone->companions.extract(key.device);
  online_.erase(key);
  set_presence(key, false, now);
  presences.forget(key);
  tell_devices_changed(*phone, key.device, gone.mapped().key_index, false, now);
  peer = find(id);
  if (peer == nullptr) {
    record(EventKind::unlink, 0, jid, std::move(data));
    return;
  }
  notice(EventKind::unlink, *peer, std::move(data), now);
  peer = find(id);
  if (peer == nullptr) return;
  if (conflict.empty()) {
    close(*peer, CloseHow::normal, "logged out", now);
  } else {
    stream_error(*peer, StreamErrorFault{401, std::string(conflict), ""}, now);
  }
}

}  // namespace wa::mock

// Pairing as the server and the phone see it: refs, the scan, pair-success, pair-device-sign.

#include <algorithm>

#include "engine/protocol/pairing/device_identity.hpp"
#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// Random bytes in a ref; with the prefix "2@" that makes 102 characters of QR text.
constexpr std::size_t kRefBytes = 75;
/// The device number travels in one byte of an AD_JID.
constexpr std::uint16_t kMaxDevice = 255;

}  // namespace

void Tenant::Impl::offer_refs(Peer& peer, Now now) {
  std::uint32_t count = settings.refs_count;
  Duration first = settings.refs_first;
  Duration rest = settings.refs_rest;
  for (const FaultRecord* fault : faults.act<RefsFault>({peer.subject(), {}, {}}, now)) {
    const auto& refs = std::get<RefsFault>(fault->kind);
    count = refs.count.value_or(count);
    first = refs.first.value_or(first);
    rest = refs.rest.value_or(rest);
    note_fault(*fault, peer);
  }
  const Duration window = count == 0 ? Duration::zero() : first + (count - 1) * rest;
  set_timer(peer, TimerKind::refs_end, now.mono + window + settings.refs_linger);
  if (withheld("pair-device", peer, now)) return;

  peer.pair_device_id = next_stanza_id();
  NodeBuilder pair_device("pair-device");
  Duration end = Duration::zero();
  for (std::uint32_t k = 0; k < count; ++k) {
    end += k == 0 ? first : rest;
    const auto raw = random.array<kRefBytes>();
    Ref ref{"2@" + to_base64(raw), now.mono + end + settings.refs_grace};
    pair_device.child(NodeBuilder("ref").bytes(as_bytes(ref.text)));
    peer.refs.push_back(std::move(ref));
  }
  const ConnectionId id = peer.id;
  send(peer,
       NodeBuilder("iq")
           .attr("from", Jid::server_itself())
           .attr("type", "set")
           .attr("id", peer.pair_device_id)
           .attr("xmlns", "md")
           .child(std::move(pair_device)),
       now);
  if (Peer* still = find(id)) {
    const auto ms = [](Duration duration) { return std::to_string(duration / 1ms); };
    notice(EventKind::pair_device, *still,
           {{"refs", std::to_string(count)}, {"first_ms", ms(first)}, {"rest_ms", ms(rest)}}, now);
  }
}

void Tenant::Impl::scan(RequestId request, const Scan& asked, Now now) {
  Phone* phone = find_phone_for(request, asked.phone);
  if (phone == nullptr) return;
  const auto payload = pairing::parse_qr_text(asked.qr_text);
  if (!payload) {
    answer(request, Problem{422, "not_a_whatsapp_qr", payload.error().detail,
                            "scan the code that the client shows for linking a device"});
    return;
  }
  Peer* peer = nullptr;
  const Ref* ref = nullptr;
  for (auto& [id, candidate] : peers_) {
    for (const Ref& offered : candidate.refs) {
      if (offered.text != payload->ref) continue;
      peer = &candidate;
      ref = &offered;
    }
  }
  const Problem stale{409, "stale_ref", "this QR code is no longer valid: its ref has expired",
                      "scan the code that is on show now"};
  if (peer == nullptr) {
    const bool old = std::find(old_refs.begin(), old_refs.end(), payload->ref) != old_refs.end();
    answer(request, old ? stale
                        : Problem{422, "unknown_ref", "this QR code's ref was not issued here",
                                  "is the client connected to this server and tenant?"});
    return;
  }
  if (peer->ref_used) {
    answer(request, Problem{409, "ref_used", "this QR code was scanned before",
                            "one code links one device; ask the client for a new one"});
    return;
  }
  if (now.mono > ref->accepted_until) {
    answer(request, stale);
    return;
  }
  if (payload->identity_key != peer->registration->identity ||
      payload->noise_key != peer->client_static) {
    answer(request, Problem{422, "key_mismatch",
                            "the keys in the QR code are not those the client registered with",
                            "the client mixes keys of two pairing attempts"});
    return;
  }
  if (!has_free_device(request, *phone)) return;
  link(*peer, *phone, request, payload->adv_secret, EventKind::scan, {{"phone", phone->number}},
       now);
}

Phone* Tenant::Impl::find_phone_for(RequestId request, const std::string& id_or_number) {
  Phone* phone = accounts.find(id_or_number);
  if (phone == nullptr) {
    answer(request, Problem{404, "unknown_phone", "there is no phone " + id_or_number,
                            "POST /v1/phones {\"number\": \"15550100001\"} makes one"});
  }
  return phone;
}

bool Tenant::Impl::has_free_device(RequestId request, const Phone& phone) {
  if (phone.next_device <= kMaxDevice) return true;
  answer(request, Problem{409, "too_many_devices",
                          "phone " + phone.number + " has used up its device numbers",
                          "make another phone, or reset"});
  return false;
}

void Tenant::Impl::link(Peer& peer, Phone& phone, RequestId request,
                        const pairing::AdvSecret& secret, EventKind how,
                        std::vector<std::pair<std::string_view, std::string>> data, Now now) {
  peer.ref_used = true;
  cancel_timer(peer, TimerKind::refs_end);
  PendingScan pending;
  pending.request = request;
  pending.phone_id = phone.id;
  pending.device = phone.next_device++;
  pending.key_index = phone.next_key_index++;
  pending.iq_id = next_stanza_id();
  pairing::DeviceIdentitySpec spec;
  spec.raw_id = phone.raw_id;
  spec.timestamp = static_cast<std::uint64_t>(now.wall.seconds());
  spec.key_index = pending.key_index;
  pending.container = pairing::issue_device_identity(spec, phone.identity,
                                                     peer.registration->identity, secret, random);
  const NodeBuilder pair_success =
      NodeBuilder("iq")
          .attr("from", Jid::server_itself())
          .attr("type", "set")
          .attr("id", pending.iq_id)
          .attr("xmlns", "md")
          .attr("t", now.wall.seconds())
          .child(NodeBuilder("pair-success")
                     .child(NodeBuilder("device-identity").bytes(pending.container))
                     .child(NodeBuilder("platform").attr("name", "android"))
                     .child(NodeBuilder("device")
                                .attr("jid", phone.jid(pending.device))
                                .attr("lid", phone.lid(pending.device))));
  peer.scan = std::move(pending);
  set_timer(peer, TimerKind::scan, now.mono + settings.scan_timeout);
  const ConnectionId id = peer.id;
  notice(how, peer, std::move(data), now);
  Peer* linking = find(id);
  // A fault at the scan may have voided it, or ended the connection.
  if (linking == nullptr || !linking->scan || linking->scan->waits_for_passkey) return;
  if (withheld("pair-success", *linking, now)) return;
  send(*linking, pair_success, now);
  if (Peer* still = find(id))
    notice(EventKind::pair_success, *still, {{"phone", phone.number}}, now);
}

void Tenant::Impl::answer_scan(Peer& peer, std::variant<CommandResult, Problem> result) {
  answer(peer.scan->request, std::move(result));
  peer.scan.reset();
  cancel_timer(peer, TimerKind::scan);
}

void Tenant::Impl::on_pairing_node(Peer& peer, const Node& node, Now now) {
  const std::string_view tag = node.tag;
  if (tag == "ib" || tag == "presence") {
    cover(std::string(tag), "accepted");
    return;
  }
  if (tag == "ack") {
    cover("ack", "accepted");
    return check_ack(peer, node);
  }
  if (tag != "iq") {
    violate(peer, "before-login", "<" + std::string(tag) + "> on an unpaired connection", &node);
    return;
  }
  const std::string_view type = node.attr("type");
  if (type != "result" && type != "error") {
    answer_iq(peer, node, now);
    return;
  }
  const std::string_view id = node.attr("id");
  if (!id.empty() && id == peer.pair_device_id && !peer.pair_device_answered) {
    peer.pair_device_answered = true;
    cover("iq result pair-device", "accepted");
    return;
  }
  if (!id.empty() && id == peer.given_up_iq_id) {
    peer.given_up_iq_id.clear();
    cover("iq result pair-device-sign", "too late");
    return;
  }
  if (!peer.scan || id != peer.scan->iq_id) {
    violate(peer, "unexpected-result", "id \"" + std::string(id) + "\" answers nothing", &node);
    return;
  }
  if (type == "error") {
    const Node* error = node.child("error");
    const std::string text = error == nullptr
                                 ? "no <error> child"
                                 : error->printed("code") + " " + error->printed("text");
    answer_scan(peer, Problem{422, "client_rejected", "the companion refused pair-success: " + text,
                              "it did not accept HMAC or account signature"});
    return;
  }

  // pair-device-sign
  const PendingScan& pending = *peer.scan;
  const Node* sign = node.child("pair-device-sign");
  const Node* identity = sign == nullptr ? nullptr : sign->child("device-identity");
  if (identity == nullptr) {
    violate(peer, "device-identity", "no <pair-device-sign><device-identity>", &node);
    answer_scan(peer, Problem{422, "bad_pair_device_sign", "the answer carries no device identity",
                              "see /v1/violations"});
    return;
  }
  if (identity->attr("key-index") != std::to_string(pending.key_index)) {
    violate(peer, "key-index",
            "key-index \"" + identity->printed("key-index") + "\", issued " +
                std::to_string(pending.key_index),
            &node);
  }
  const auto verified = pairing::verify_device_signature(identity->bytes(), pending.container,
                                                         peer.registration->identity);
  if (!verified) {
    const bool signature = verified.error().code == Errc::auth_failed;
    violate(peer, signature ? "device-signature" : "device-identity", verified.error().detail,
            &node);
    answer_scan(
        peer, Problem{422, "bad_pair_device_sign", verified.error().detail, "see /v1/violations"});
    return;
  }
  Phone* phone = accounts.find(pending.phone_id);
  WA_ASSERT(phone != nullptr);
  const std::uint16_t device = pending.device;
  const std::uint32_t key_index = pending.key_index;
  Companion companion;
  companion.device = device;
  companion.key_index = key_index;
  companion.label = peer.label;
  companion.noise_key = peer.client_static;
  companion.registration = *peer.registration;
  companion.device_identity = to_bytes(identity->bytes());
  companion.dictionary = peer.link->dictionary();
  phone->companions[device] = std::move(companion);
  peer.device_jid = phone->jid(device).to_string();
  peer.number = phone->number;
  peer.account = phone->id;
  faults.seen(peer.subject(), now);
  cover("iq result pair-device-sign", "accepted");
  answer_scan(peer, CommandResult{peer.device_jid});
  set_timer(peer, TimerKind::restart, now.mono + settings.restart_delay);
  notice(EventKind::pair_sign, peer, {{"jid", peer.device_jid}}, now);
  tell_devices_changed(*phone, device, key_index, true, now);
}

}  // namespace wa::mock

// Messages between devices: who gets which copy, and under which names.
// Source: docs/protocol/routing.md.

#include <set>

#include "engine/base/limits.hpp"
#include "mockserver/core/sent_message.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr std::string_view kServerBroadcast = "broadcast";

/// Attributes of a message that its readers see as the sender wrote them.
constexpr const char* kPassedOn[] = {"type", "edit"};

}  // namespace

void Tenant::Impl::acknowledge(const DeviceKey& sender, const Node& stanza, Verdict verdict,
                               Now now) {
  NodeBuilder ack("ack");
  ack.attr("class", std::string(stanza.tag)).attr("id", std::string(stanza.attr("id")));
  if (const auto to = stanza.jid("to")) ack.attr("from", *to);
  for (const char* key : {"type", "participant"}) {
    if (stanza.tag == "message" && std::string_view(key) == "type") continue;
    if (const auto jid = stanza.jid(key)) {
      ack.attr(key, *jid);
    } else if (stanza.has_attr(key)) {
      ack.attr(key, stanza.printed(key));
    }
  }
  ack.attr("t", now.wall.seconds());
  if (!verdict.phash.empty()) ack.attr("phash", verdict.phash);
  if (verdict.error) ack.attr("error", *verdict.error);
  deliver_now(sender, std::move(ack), now);
}

void Tenant::Impl::on_message(const DeviceKey& sender, const Node& node, Now now) {
  const Result<SentMessage> taken = take_apart(node);
  if (!taken) {
    blame(sender, "message-shape", taken.error().detail, node);
    if (!node.attr("id").empty()) acknowledge(sender, node, {ack_errors::kBadStanza, {}}, now);
    return;
  }
  for (const SentMessage::Flaw& flaw : taken->flaws) blame(sender, flaw.rule, flaw.detail, node);
  if (Peer* peer = online(sender)) {
    if (const auto code = ack_error(*peer, node, now)) {
      acknowledge(sender, node, {*code, {}}, now);
      return;
    }
  }
  if (taken->to.server == wire::kServerGroup) {
    route_group(sender, *taken, node, now);
  } else if (taken->to.server == kServerBroadcast) {
    route_broadcast(sender, *taken, node, now);
  } else {
    route_direct(sender, *taken, node, now);
  }
}

/// What every copy begins with.
NodeBuilder Tenant::Impl::begin_copy(const Phone& own, const Jid& from, const SentMessage& message,
                                     const Node& node, Now now) {
  NodeBuilder copy("message");
  copy.attr("from", from).attr("id", message.id);
  for (const char* key : kPassedOn) {
    if (node.has_attr(key)) copy.attr(key, node.printed(key));
  }
  copy.attr("t", now.wall.seconds());
  if (const std::string& name = own.shown_name(); !name.empty()) copy.attr("notify", name);
  return copy;
}

/// To one account, and to the sender's own other devices.
void Tenant::Impl::route_direct(const DeviceKey& sender, const SentMessage& message,
                                const Node& node, Now now) {
  Phone* own = accounts.find(sender.phone_id);
  Phone* chat = accounts.find(message.recipient.value_or(message.to));
  Phone* target = accounts.find(message.to);
  WA_ASSERT(own != nullptr);
  if (chat == nullptr || target == nullptr) {
    blame(sender, "message-recipient", "nobody is called " + message.to.to_string(), node);
    acknowledge(sender, node, {ack_errors::kUnknownRecipient, {}}, now);
    return;
  }
  if (message.peer && target != own) {
    blame(sender, "message-recipient", "a peer message goes to the own account only", node);
    acknowledge(sender, node, {ack_errors::kBadStanza, {}}, now);
    return;
  }
  own->contacts.insert(chat->id);
  chat->contacts.insert(own->id);
  remember(message, sender);

  struct Parcel {
    DeviceKey reader;
    const std::vector<const Node*>* encs;
  };
  std::vector<Parcel> parcels;
  const bool to_one = message.copies.empty();
  if (to_one) {
    if (const auto reader = accounts.device(message.to)) {
      parcels.push_back({*reader, &message.encs});
    }
  }
  std::set<DeviceKey> served = {sender};
  bool knows_all = true;
  const SentMessage::Copy* misled = nullptr;
  for (const SentMessage::Copy& copy : message.copies) {
    const Phone* account = accounts.find(copy.to);
    const auto reader = accounts.device(copy.to);
    if (account != nullptr && account != own && account != chat) {
      misled = &copy;
    } else if (!reader) {
      knows_all = false;
    } else if (served.insert(*reader).second) {
      parcels.push_back({*reader, &copy.encs});
    }
  }
  if (misled != nullptr) {
    blame(sender, "message-participants", misled->to.to_string() + " has no part in it", node);
  }

  std::vector<const Phone*> accounts_of_it = {own};
  if (chat != own) accounts_of_it.push_back(chat);
  std::size_t devices = 0;
  for (const Phone* phone : accounts_of_it) devices += Accounts::devices(*phone).size();
  Verdict verdict;
  if (!to_one && (!knows_all || served.size() != devices)) {
    verdict.phash = Accounts::device_hash(accounts_of_it, addressing_of(message.to));
  }
  acknowledge(sender, node, std::move(verdict), now);
  for (const Parcel& parcel : parcels) {
    NodeBuilder stanza = message_header(sender, parcel.reader, *chat, message, node, now);
    add_contents(stanza, *parcel.encs, message);
    deliver(parcel.reader, std::move(stanza), now);
  }
}

/// A direct message as one device is shown it, without its contents.
NodeBuilder Tenant::Impl::message_header(const DeviceKey& sender, const DeviceKey& reader,
                                         const Phone& chat, const SentMessage& message,
                                         const Node& node, Now now) {
  const Phone& own = *accounts.find(sender.phone_id);
  const Addressing form = accounts.form_for(reader);
  const bool hidden = form == Addressing::lid;
  NodeBuilder stanza = begin_copy(own, own.address(form, sender.device), message, node, now);
  stanza.attr("addressing_mode", hidden ? "lid" : "pn");
  if (message.peer) stanza.attr("category", "peer");
  if (reader.phone_id == sender.phone_id && !message.peer) {
    // The other name of the chat, and not of the sender: clients take it for the chat's.
    stanza.attr("recipient", chat.address(form));
    stanza.attr(hidden ? "peer_recipient_pn" : "peer_recipient_lid",
                chat.address(hidden ? Addressing::pn : Addressing::lid));
  } else {
    stanza.attr(hidden ? "sender_pn" : "sender_lid",
                own.address(hidden ? Addressing::pn : Addressing::lid));
  }
  return stanza;
}

void Tenant::Impl::remember(const SentMessage& message, const DeviceKey& sender) {
  remember(message.id, {sender, message.recipient.value_or(message.to).without_device()});
}

void Tenant::Impl::remember(const std::string& id, Sent sent) {
  std::vector<Sent>& of_id = sent_[id];
  for (const Sent& earlier : of_id) {
    if (earlier.device.phone_id == sent.device.phone_id) return;
  }
  of_id.push_back(std::move(sent));
  sent_order_.push_back(id);
  if (sent_order_.size() <= limits::kMaxRememberedMessages) return;
  const auto oldest = sent_.find(sent_order_.front());
  oldest->second.erase(oldest->second.begin());
  if (oldest->second.empty()) sent_.erase(oldest);
  sent_order_.pop_front();
}

/// Who sent the message with this id: of the account, if it is known; else who used it first.
const Tenant::Impl::Sent* Tenant::Impl::find_sent(const std::string& id,
                                                  const Phone* account) const {
  const auto found = sent_.find(id);
  if (found == sent_.end()) return nullptr;
  for (const Sent& sent : found->second) {
    if (account == nullptr || sent.device.phone_id == account->id) return &sent;
  }
  return nullptr;
}

}  // namespace wa::mock

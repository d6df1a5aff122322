// Messages to many: groups, whose members the server knows, and status, whose readers the sender
// names. Source: docs/protocol/routing.md, "Groups".

#include <set>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/signal/messages.hpp"
#include "engine/protocol/signal/phash.hpp"
#include "mockserver/core/group_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

std::string hash_of(const std::vector<DeviceKey>& devices, const DeviceKey* without,
                    Addressing form, const Accounts& accounts) {
  std::vector<Jid> jids;
  for (const DeviceKey& device : devices) {
    if (without == nullptr || device != *without) jids.push_back(accounts.address(device, form));
  }
  return signal::participant_hash(jids);
}

}  // namespace

/// To every device of every member but the one that sends: first what only it can read, which may
/// hold the sender key, then what all can.
void Tenant::Impl::route_group(const DeviceKey& sender, const SentMessage& message,
                               const Node& node, Now now) {
  const Group* group = groups.find(message.to);
  if (group == nullptr) {
    blame(sender, "message-recipient", "there is no group " + message.to.to_string(), node);
    acknowledge(sender, node, {ack_errors::kUnknownRecipient, {}}, now);
    return;
  }
  const bool may_write =
      group->has(sender.phone_id) && (!group->announcement || group->is_admin(sender.phone_id));
  const Addressing form = Groups::form_of(*group, accounts);
  const std::string_view mode = form == Addressing::lid ? "lid" : "pn";
  if (!may_write) {
    acknowledge(sender, node, {ack_errors::kNotAllowed, {}}, now);
    return;
  }
  if (!message.addressing_mode.empty() && message.addressing_mode != mode) {
    acknowledge(sender, node, {ack_errors::kStaleAddressing, {}}, now);
    return;
  }
  const std::vector<DeviceKey> devices = Groups::devices(*group, accounts);
  std::size_t for_all = 0;
  for (const auto* nodes : {&message.encs, &message.passed_on}) {
    for (const Node* one : *nodes) for_all += bytes_of(*one);
  }
  if (for_all * devices.size() > limits::kMaxFanOutBytes) {
    blame(sender, "stanza-size",
          std::to_string(for_all) + " bytes to each of " + std::to_string(devices.size()) +
              " devices",
          node);
    acknowledge(sender, node, {ack_errors::kBadStanza, {}}, now);
    return;
  }
  remember(message, sender);
  Verdict verdict;
  // Some clients count the sending device, some do not.
  const std::string hash = hash_of(devices, nullptr, form, accounts);
  if (!message.phash.empty() && message.phash != hash &&
      message.phash != hash_of(devices, &sender, form, accounts)) {
    verdict.phash = hash;
  }
  acknowledge(sender, node, std::move(verdict), now);

  const std::optional<DeviceKey> only =
      message.participant ? accounts.device(*message.participant) : std::nullopt;
  if (message.participant && !only) return;  // it is gone
  std::map<DeviceKey, const SentMessage::Copy*> copies;
  for (const SentMessage::Copy& copy : message.copies) {
    if (const auto reader = accounts.device(copy.to)) copies.emplace(*reader, &copy);
  }
  const Phone& own = *accounts.find(sender.phone_id);
  NodeBuilder header = begin_copy(own, message.to, message, node, now);
  header.attr("participant", own.address(form, sender.device));
  header.attr(form == Addressing::lid ? "participant_pn" : "participant_lid",
              own.address(form == Addressing::lid ? Addressing::pn : Addressing::lid));
  header.attr("addressing_mode", mode);
  for (const DeviceKey& reader : devices) {
    if (reader == sender || (only && reader != *only)) continue;
    std::vector<const Node*> encs;
    if (const auto copy = copies.find(reader); copy != copies.end()) encs = copy->second->encs;
    encs.insert(encs.end(), message.encs.begin(), message.encs.end());
    if (encs.empty()) continue;
    NodeBuilder stanza = header;
    add_contents(stanza, encs, message);
    deliver(reader, std::move(stanza), now);
  }
}

/// Status and broadcast lists: to the devices that the sender names.
void Tenant::Impl::route_broadcast(const DeviceKey& sender, const SentMessage& message,
                                   const Node& node, Now now) {
  remember(message, sender);
  acknowledge(sender, node, {}, now);
  const Phone& own = *accounts.find(sender.phone_id);
  std::set<DeviceKey> served = {sender};
  for (const SentMessage::Copy& copy : message.copies) {
    const auto reader = accounts.device(copy.to);
    if (!reader || !served.insert(*reader).second) continue;
    const Addressing form = accounts.form_for(*reader);
    NodeBuilder stanza = begin_copy(own, message.to, message, node, now);
    stanza.attr("participant", own.address(form, sender.device));
    stanza.attr(form == Addressing::lid ? "participant_pn" : "participant_lid",
                own.address(form == Addressing::lid ? Addressing::pn : Addressing::lid));
    std::vector<const Node*> encs = copy.encs;
    encs.insert(encs.end(), message.encs.begin(), message.encs.end());
    add_contents(stanza, encs, message);
    deliver(*reader, std::move(stanza), now);
  }
}

std::string Tenant::Impl::sender_key_use(const Node& message) {
  if (message.tag != "message") return {};
  for (const Node& enc : message.children()) {
    if (enc.tag != "enc" || enc.attr("type") != "skmsg") continue;
    const auto parsed = signal::SenderKeyMessage::parse(enc.bytes());
    if (!parsed) return {};
    const auto digest = crypto::sha256(enc.bytes());
    return std::to_string(parsed->id) + "/" + std::to_string(parsed->iteration) + "/" +
           to_hex(ByteSpan(digest).first(8));
  }
  return {};
}

/// Tells the devices of those whom a change of a group concerns.
void Tenant::Impl::tell_group_news(const GroupNews& news, const DeviceKey& actor, Now now) {
  const Phone& author = *accounts.find(actor.phone_id);
  for (const std::string& phone_id : news.to) {
    const Phone* member = accounts.find(phone_id);
    if (member == nullptr) continue;
    for (const DeviceKey& reader : Accounts::devices(*member)) {
      if (reader.is_phone()) continue;
      NodeBuilder stanza = notification(news.group, "w:gp2", now);
      add_names(stanza, "participant",
                news.form == Addressing::lid ? "participant_pn" : "participant_lid", author,
                news.form);
      stanza.attr("addressing_mode", news.form == Addressing::lid ? "lid" : "pn");
      if (const std::string& name = author.shown_name(); !name.empty()) stanza.attr("notify", name);
      deliver(reader, std::move(stanza.child(news.what)), now);
    }
  }
}

}  // namespace wa::mock

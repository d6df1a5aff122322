#include "mockserver/core/usync.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// What a query asks for; `asked` keeps the order and the unknown ones.
struct Protocols {
  std::vector<std::string> asked;
  bool has(std::string_view name) const {
    return std::find(asked.begin(), asked.end(), name) != asked.end();
  }
};

Protocols protocols_of(const Node& usync) {
  Protocols protocols;
  if (const Node* query = usync.child("query")) {
    for (const Node& protocol : query->children()) protocols.asked.emplace_back(protocol.tag);
  }
  if (protocols.asked.empty()) protocols.asked = {"devices"};
  return protocols;
}

/// The JID that a user of the list is asked under; none for one that cannot be read.
std::optional<Jid> asked_jid(const Node& user) {
  if (const auto jid = user.jid("jid")) return jid->without_device();
  const Node* contact = user.child("contact");
  if (contact == nullptr) return std::nullopt;
  std::string digits;
  for (const char c : as_text(contact->bytes())) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  if (digits.empty()) return std::nullopt;
  return Jid{digits, wire::kServerPn, 0};
}

NodeBuilder devices_of(Phone& phone, Addressing form, IqContext& context) {
  NodeBuilder list("device-list");
  const Phone* const phones[] = {&phone};
  list.attr("hash", Accounts::device_hash(phones, form));
  list.child(NodeBuilder("device").attr("id", "0"));
  for (const auto& [number, companion] : phone.companions) {
    list.child(NodeBuilder("device").attr("id", number).attr("key-index", companion.key_index));
  }
  NodeBuilder devices("devices");
  devices.child(std::move(list));
  if (!phone.companions.empty()) {
    const KeyIndexList& signed_list = phone.key_index_list(context.now, context.random);
    devices.child(
        NodeBuilder("key-index-list").attr("ts", signed_list.seconds).bytes(signed_list.bytes));
  }
  return devices;
}

/// `<contact>` as it was asked, with its verdict; the text of the query is the link back to it.
NodeBuilder contact_of(const Node& user, bool known) {
  NodeBuilder contact("contact");
  contact.attr("type", known ? "in" : "out");
  const Node* asked = user.child("contact");
  if (asked != nullptr && !asked->bytes().empty()) contact.bytes(asked->bytes());
  return contact;
}

}  // namespace

NodeBuilder answer_usync(IqContext& context) {
  const Node& usync = *context.iq.child("usync");
  const Protocols protocols = protocols_of(usync);
  NodeBuilder list("list");
  const Node* asked = usync.child("list");
  if (asked != nullptr && asked->children().size() > limits::kMaxAskedNames) {
    return iq_error(context.iq, 400, "bad-request");
  }
  for (const Node& user : asked == nullptr ? std::span<const Node>() : asked->children()) {
    const auto jid = asked_jid(user);
    if (!jid) continue;
    Phone* phone = context.accounts.find(*jid);
    if (phone == nullptr && !protocols.has("contact")) continue;
    NodeBuilder answer("user");
    answer.attr("jid", *jid);
    if (protocols.has("contact")) {
      answer.child(contact_of(user, phone != nullptr));
    }
    const Addressing form = addressing_of(*jid);
    if (phone != nullptr && protocols.has("devices")) {
      answer.child(devices_of(*phone, form, context));
    }
    // Who asks by LID knows it.
    if (phone != nullptr && form == Addressing::pn && protocols.has("lid")) {
      answer.child(NodeBuilder("lid").attr("val", phone->lid()));
    }
    if (phone != nullptr && protocols.has("disappearing_mode")) {
      answer.child(NodeBuilder("disappearing_mode").attr("duration", "0").attr("t", "0"));
    }
    list.child(std::move(answer));
  }
  NodeBuilder result("result");
  for (const std::string& protocol : protocols.asked) result.child(NodeBuilder(protocol));
  NodeBuilder answer("usync");
  for (const char* key : {"sid", "mode", "context"}) {
    if (usync.has_attr(key)) answer.attr(key, usync.printed(key));
  }
  answer.attr("index", "0").attr("last", "true");
  answer.child(std::move(result)).child(std::move(list));
  return empty_result(context.iq).child(std::move(answer));
}

}  // namespace wa::mock

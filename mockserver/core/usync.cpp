#include "mockserver/core/usync.hpp"

#include <algorithm>

#include "engine/protocol/pairing/device_identity.hpp"

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

const Phone* find_phone(const Accounts& accounts, const Jid& jid) {
  for (const auto& [id, phone] : accounts.phones()) {
    const std::string& name = jid.server == wire::kServerLid ? phone.lid_user : phone.number;
    if (name == jid.user) return &phone;
  }
  return nullptr;
}

NodeBuilder devices_of(const Phone& phone, IqContext& context) {
  NodeBuilder list("device-list");
  list.child(NodeBuilder("device").attr("id", "0"));
  pairing::KeyIndexListSpec spec;
  spec.raw_id = phone.raw_id;
  spec.timestamp = static_cast<std::uint64_t>(context.now.wall.seconds());
  spec.current_index = phone.next_key_index - 1;
  for (const auto& [number, companion] : phone.companions) {
    list.child(NodeBuilder("device").attr("id", number).attr("key-index", companion.key_index));
    spec.valid_indexes.push_back(companion.key_index);
  }
  NodeBuilder devices("devices");
  devices.child(std::move(list));
  if (!phone.companions.empty()) {
    devices.child(NodeBuilder("key-index-list")
                      .attr("ts", context.now.wall.seconds())
                      .bytes(pairing::issue_key_index_list(spec, phone.identity, context.random)));
  }
  return devices;
}

}  // namespace

NodeBuilder answer_usync(IqContext& context) {
  const Node& usync = *context.iq.child("usync");
  const Protocols protocols = protocols_of(usync);
  NodeBuilder list("list");
  const Node* asked = usync.child("list");
  for (const Node& user : asked == nullptr ? std::span<const Node>() : asked->children()) {
    const auto jid = asked_jid(user);
    if (!jid) continue;
    const Phone* phone = find_phone(context.accounts, *jid);
    if (phone == nullptr && !protocols.has("contact")) continue;
    NodeBuilder answer("user");
    answer.attr("jid", *jid);
    if (protocols.has("contact")) {
      answer.child(NodeBuilder("contact").attr("type", phone == nullptr ? "out" : "in"));
    }
    if (phone != nullptr && protocols.has("devices")) answer.child(devices_of(*phone, context));
    if (phone != nullptr && protocols.has("lid")) {
      answer.child(NodeBuilder("lid").attr("val", phone->lid()));
    }
    list.child(std::move(answer));
  }
  NodeBuilder result("result");
  for (const std::string& protocol : protocols.asked) result.child(NodeBuilder(protocol));
  return empty_result(context.iq)
      .child(NodeBuilder("usync")
                 .attr("sid", std::string(usync.attr("sid")))
                 .attr("index", "0")
                 .attr("last", "true")
                 .child(std::move(result))
                 .child(std::move(list)));
}

}  // namespace wa::mock

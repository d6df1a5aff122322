#pragma once

#include <string>

#include "engine/protocol/wire/node_codec.hpp"
#include "tests/fuzz/input.hpp"

/// Stanzas that nearly are what they should be.
namespace wa::fuzz {

inline std::string word(Input& input) {
  static const char* const kWords[] = {"id",
                                       "from",
                                       "to",
                                       "type",
                                       "participant",
                                       "recipient",
                                       "sender_pn",
                                       "sender_lid",
                                       "jid",
                                       "lid",
                                       "t",
                                       "count",
                                       "error",
                                       "phash",
                                       "offline",
                                       "category",
                                       "peer",
                                       "retry",
                                       "read",
                                       "pkmsg",
                                       "msg",
                                       "skmsg",
                                       "enc",
                                       "participants",
                                       "device-identity",
                                       "list",
                                       "item",
                                       "keys",
                                       "key",
                                       "skey",
                                       "value",
                                       "signature",
                                       "registration",
                                       "identity",
                                       "user",
                                       "devices",
                                       "device-list",
                                       "device",
                                       "key-index",
                                       "group",
                                       "addressing_mode",
                                       "pn",
                                       "add",
                                       "remove",
                                       "create",
                                       "subject",
                                       "result",
                                       "unavailable",
                                       "message",
                                       "receipt",
                                       "notification",
                                       "ack",
                                       "encrypt",
                                       "w:gp2",
                                       "account_sync",
                                       "class",
                                       "xmlns",
                                       "usync",
                                       "w:g2",
                                       "v",
                                       "2",
                                       "phone_number",
                                       "notify"};
  return kWords[input.number() % std::size(kWords)];
}

/// A JID of somebody in the world, of nobody, or of no shape that there is.
inline wire::Jid jid(Input& input) {
  static const char* const kUsers[] = {"15550100001",
                                       "15550100002",
                                       "15550100003",
                                       "100000000000001",
                                       "100000000000002",
                                       "100000000000003",
                                       "120363000000000001",
                                       "status",
                                       "",
                                       "x"};
  static const char* const kServers[] = {"s.whatsapp.net", "lid",    "g.us", "broadcast",
                                         "c.us",           "hosted", ""};
  const std::uint8_t which = input.number();
  return {kUsers[which % std::size(kUsers)], kServers[input.number() % std::size(kServers)],
          static_cast<std::uint16_t>(which / 10)};
}

inline std::string number(Input& input) {
  static const char* const kNumbers[] = {"0",
                                         "1",
                                         "5",
                                         "255",
                                         "65536",
                                         "2147483648",
                                         "4294967295",
                                         "18446744073709551615",
                                         "-1",
                                         "1e9",
                                         "99999999999999999999"};
  return kNumbers[input.number() % std::size(kNumbers)];
}

/// One change, at the node to which the input leads.
inline void change(wire::NodeBuilder& node, Input& input) {
  using wire::NodeBuilder;
  auto* children = std::get_if<std::vector<NodeBuilder>>(&node.content());
  const std::uint8_t way = input.number();
  if (children && !children->empty() && way % 4 != 0) {
    return change((*children)[way / 4 % children->size()], input);
  }
  const auto& attributes = node.attributes();
  const std::string key =
      attributes.empty() ? word(input) : attributes[input.number() % attributes.size()].first;
  auto* bytes = std::get_if<Bytes>(&node.content());
  switch (input.number() % 14) {
    case 0: return node.set_attr(key, std::nullopt);
    case 1: return node.set_attr(key, std::string(as_text(input.chunk())));
    case 2: return node.set_attr(key, jid(input));
    case 3: return node.set_attr(key, number(input));
    case 4: return node.set_attr(key, word(input));
    case 5: return node.set_attr(word(input), jid(input));
    case 6: return node.set_attr(word(input), number(input));
    case 7:
      if (bytes && !bytes->empty()) {
        const std::size_t at = input.number() * bytes->size() / 256;
        (*bytes)[at] ^= static_cast<std::byte>(input.number());
      }
      return;
    case 8:
      if (bytes) bytes->resize(input.number() * bytes->size() / 256);
      return;
    case 9: node.content() = to_bytes(input.chunk()); return;
    case 10: node.content() = NodeBuilder::Content(); return;
    case 11: {
      if (!children || children->empty()) return;
      const std::size_t at = input.number() % children->size();
      const NodeBuilder copy = (*children)[at];
      for (int times = input.number() % 70; times >= 0; --times) children->push_back(copy);
      return;
    }
    case 12:
      if (children && !children->empty()) {
        children->erase(children->begin() +
                        static_cast<std::ptrdiff_t>(input.number() % children->size()));
      }
      return;
    default: {
      if (bytes || std::holds_alternative<std::string>(node.content())) return;
      node.child(NodeBuilder(word(input)).attr(word(input), number(input)));
    }
  }
}

/// A stanza with up to three changes.
inline wire::NodeBuilder spoilt(wire::NodeBuilder node, Input& input) {
  for (int times = input.number() % 4; times > 0; --times) change(node, input);
  return node;
}

}  // namespace wa::fuzz

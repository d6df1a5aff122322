#include "mockserver/core/node_json.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

#include "engine/base/limits.hpp"
#include "engine/base/overloaded.hpp"
#include "mockserver/core/json_members.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;
using wire::Jid;
using wire::NodeBuilder;

constexpr std::size_t kMaxNodes = 10'000;

std::optional<Jid> jid_in(std::string_view key, std::string_view text) {
  constexpr std::string_view kKeys[] = {"from",        "to",        "jid",   "lid",
                                        "participant", "recipient", "target"};
  if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) return std::nullopt;
  if (text == wire::kServerPn) return Jid::server_itself();
  auto jid = Jid::parse(text);
  if (!jid) return std::nullopt;
  return std::move(*jid);
}

Result<void> read_content(const json::object& object, NodeBuilder& node, std::size_t depth,
                          std::size_t& nodes);

Result<NodeBuilder> read_node(const json::value& value, std::size_t depth, std::size_t& nodes) {
  if (!value.is_object()) {
    return usage(
        "a node is an object such as {\"tag\":\"ib\",\"attrs\":{\"from\":\"@s.whatsapp.net\"}}");
  }
  if (depth > limits::kMaxNodeDepth || ++nodes > kMaxNodes) {
    return usage("\"node\": at most " + std::to_string(limits::kMaxNodeDepth) + " levels and " +
                 std::to_string(kMaxNodes) + " nodes (the fault deep nests further)");
  }
  const json::object& object = value.get_object();
  WA_TRY_VOID(only_members(object, "node", {"tag", "attrs", "children", "text", "hex"}));
  WA_TRY(std::string tag, text_at(object, "tag"));
  if (tag.empty()) return usage("\"tag\" is missing in a node");
  NodeBuilder node(std::move(tag));
  WA_TRY(const json::object attrs, object_at(object, "attrs"));
  for (const auto& member : attrs) {
    WA_TRY(std::string text, text_at(attrs, member.key()));
    if (const auto jid = jid_in(member.key(), text)) {
      node.attr(std::string(member.key()), *jid);
    } else {
      node.attr(std::string(member.key()), std::move(text));
    }
  }
  WA_TRY_VOID(read_content(object, node, depth, nodes));
  return node;
}

Result<void> read_content(const json::object& object, NodeBuilder& node, std::size_t depth,
                          std::size_t& nodes) {
  const bool text = object.contains("text");
  const bool hex = object.contains("hex");
  const auto* children = object.if_contains("children");
  if ((children != nullptr) + text + hex > 1) {
    return usage("a node has one of \"children\", \"text\", \"hex\"");
  }
  if (text) {
    WA_TRY(std::string content, text_at(object, "text"));
    node.text(std::move(content));
  } else if (hex) {
    WA_TRY(const std::string digits, text_at(object, "hex"));
    const auto bytes = from_hex(digits);
    if (!bytes) return usage("\"hex\" takes an even number of hex digits");
    node.bytes(*bytes);
  } else if (children != nullptr) {
    // An empty Lua table may arrive as an object.
    if (children->is_object() && children->get_object().empty()) return {};
    if (!children->is_array()) return usage("\"children\" takes a list of nodes");
    for (const json::value& entry : children->get_array()) {
      WA_TRY(NodeBuilder child, read_node(entry, depth + 1, nodes));
      node.child(std::move(child));
    }
  }
  return {};
}

}  // namespace

Result<NodeBuilder> node_from_json(const json::value& json) {
  std::size_t nodes = 0;
  return read_node(json, 1, nodes);
}

json::object to_json(const NodeBuilder& node) {
  json::object object{{"tag", node.tag()}};
  if (!node.attributes().empty()) {
    json::object attrs;
    for (const auto& [key, value] : node.attributes()) {
      const auto* text = std::get_if<std::string>(&value);
      attrs[key] = text ? *text : std::get<Jid>(value).to_string();
    }
    object["attrs"] = std::move(attrs);
  }
  const auto rows = Overloaded{
      [](std::monostate) {},
      [&](const std::vector<NodeBuilder>& children) {
        json::array list;
        for (const NodeBuilder& child : children) list.push_back(to_json(child));
        object["children"] = std::move(list);
      },
      [&](const Bytes& bytes) { object["hex"] = to_hex(bytes); },
      [&](const std::string& text) { object["text"] = text; },
      [&](const Jid& jid) { object["text"] = jid.to_string(); },
  };
  std::visit(rows, node.content());
  return object;
}

}  // namespace wa::mock

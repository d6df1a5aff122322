#include "engine/messaging/acks.hpp"

#include <algorithm>

namespace wa::messaging {
namespace {

constexpr AckFamily kFamilies[] = {
    {"message", true, false},  // a type only together with an error, which we do not report yet
    {"receipt", true, true},    {"notification", true, true},   {"call", true, true},
    {"iq", false, false},       {"ack", false, false},          {"ib", false, false},
    {"presence", false, false}, {"chatstate", false, false},    {"success", false, false},
    {"failure", false, false},  {"stream:error", false, false}, {"xmlstreamend", false, false},
};
constexpr AckFamily kUnknown{"", true, true};

const AckFamily& family_of(std::string_view tag) {
  const auto found = std::ranges::find(kFamilies, tag, &AckFamily::tag);
  return found == std::end(kFamilies) ? kUnknown : *found;
}

/// The attribute as it came, text or JID; the last of duplicates, as everywhere.
const wire::Value* raw(const wire::Node& node, std::string_view key) {
  const wire::Value* value = nullptr;
  for (const auto& attribute : node.attributes) {
    if (attribute.key == key) value = &attribute.value;
  }
  return value;
}

}  // namespace

std::span<const AckFamily> ack_families() {
  return kFamilies;
}

std::optional<Ack> Ack::for_stanza(const wire::Node& stanza) {
  const AckFamily& family = family_of(stanza.tag);
  const auto* id = raw(stanza, "id");
  if (!family.acked || !id) return std::nullopt;

  Ack ack;
  ack.add("id", *id);
  ack.add("class", stanza.tag);
  const auto* from = raw(stanza, "from");
  ack.add("to", from ? *from : wire::Value(wire::JidView{.user = {}, .server = wire::kServerPn}));
  for (const std::string_view key : {"participant", "recipient"}) {
    if (const auto* value = raw(stanza, key)) ack.add(key, *value);
  }
  if (const auto* type = raw(stanza, "type"); type && family.echoes_type) ack.add("type", *type);
  return ack;
}

}  // namespace wa::messaging

#include "mockserver/core/fault_record.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "mockserver/core/fault_args.hpp"
#include "mockserver/core/json_members.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kMostActs = 1'000'000'000;

const std::vector<std::string_view> kStates = {"offline", "handshake", "pairing", "open"};

std::string text_of(const wire::NodeBuilder::AttributeValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::get<wire::Jid>(value).to_string();
}

std::span<const wire::Node> children_of(const wire::Node& node) {
  return node.children();
}
std::span<const wire::NodeBuilder> children_of(const wire::NodeBuilder& node) {
  const auto* children = std::get_if<std::vector<wire::NodeBuilder>>(&node.content());
  return children == nullptr ? std::span<const wire::NodeBuilder>() : *children;
}
std::string_view tag_of(const wire::Node& node) {
  return node.tag;
}
std::string_view tag_of(const wire::NodeBuilder& node) {
  return node.tag();
}
bool attr_is(const wire::Node& node, std::string_view key, std::string_view value) {
  return node.has_attr(key) && (value == "*" || node.printed(key) == value);
}
bool attr_is(const wire::NodeBuilder& node, std::string_view key, std::string_view value) {
  const auto& attributes = node.attributes();
  return std::any_of(attributes.begin(), attributes.end(), [&](const auto& attribute) {
    return attribute.first == key && (value == "*" || text_of(attribute.second) == value);
  });
}

/// `<message><enc/>` and `<message><participants><to><enc/>`.
template <class AnyNode>
bool enc_is(const AnyNode& node, std::string_view type, int levels = 3) {
  for (const AnyNode& child : children_of(node)) {
    if (tag_of(child) == "enc" && attr_is(child, "type", type)) return true;
    if (levels > 1 && enc_is(child, type, levels - 1)) return true;
  }
  return false;
}

template <class AnyNode>
bool child_is(const AnyNode& node, std::string_view tag) {
  const auto children = children_of(node);
  return std::any_of(children.begin(), children.end(),
                     [&](const AnyNode& child) { return tag_of(child) == tag; });
}

// ---- reading ------------------------------------------------------------------------------------

/// Text in which "*" is the same as nothing.
Result<std::string> name_at(const json::object& object, std::string_view key) {
  WA_TRY(std::string text, text_at(object, key));
  if (text == "*") text.clear();
  return text;
}

Result<std::optional<EventKind>> event_at(const json::object& object) {
  WA_TRY(const std::string event, text_at(object, "on_event"));
  if (event.empty()) return std::optional<EventKind>();
  static const std::vector<std::string_view> words = [] {
    std::vector<std::string_view> list;
    for (int i = 0; i <= static_cast<int>(EventKind::unlink); ++i) {
      list.push_back(to_string(static_cast<EventKind>(i)));
    }
    return list;
  }();
  WA_TRY(const std::size_t index, one_of("on_event", event, words));
  return std::optional(static_cast<EventKind>(index));
}

Result<StanzaPattern> parse_stanza(const json::object& object) {
  StanzaPattern pattern;
  for (const auto& member : object) {
    const bool is_attr = member.key() != "tag" && member.key() != "child" && member.key() != "enc";
    WA_TRY(std::string text,
           is_attr ? text_at(object, member.key()) : name_at(object, member.key()));
    if (member.key() == "tag") {
      pattern.tag = std::move(text);
    } else if (member.key() == "child") {
      pattern.child = std::move(text);
    } else if (member.key() == "enc") {
      pattern.enc = std::move(text);
    } else {
      pattern.attrs.emplace_back(member.key(), std::move(text));
    }
  }
  return pattern;
}

Result<FaultWhere> parse_where(const json::object& object) {
  WA_TRY_VOID(
      only_members(object, "where",
                   {"tenant", "account", "device", "connection", "host", "direction", "stanza"}));
  FaultWhere where;
  WA_TRY(where.tenant, name_at(object, "tenant"));
  WA_TRY(where.account, name_at(object, "account"));
  WA_TRY(where.device, name_at(object, "device"));
  WA_TRY(where.connection, name_at(object, "connection"));
  WA_TRY(where.host, name_at(object, "host"));
  WA_TRY(const std::string direction, name_at(object, "direction"));
  if (!direction.empty()) {
    WA_TRY(const std::size_t index, one_of("direction", direction, {"to_client", "to_server"}));
    where.direction = static_cast<Direction>(index);
  }
  WA_TRY(const json::object stanza, object_at(object, "stanza"));
  WA_TRY(where.stanza, parse_stanza(stanza));
  return where;
}

Result<std::optional<std::pair<Duration, Duration>>> between_at(const json::object& object) {
  using Pair = std::pair<Duration, Duration>;
  const auto* value = object.if_contains("between");
  if (value == nullptr) return std::optional<Pair>();
  const auto bad = [] {
    return usage("\"between\" takes two durations, the earlier first: [\"5s\", \"10s\"]");
  };
  if (!value->is_array() || value->get_array().size() != 2) return bad();
  const json::object ends{{"between", value->get_array()[0]}, {"and", value->get_array()[1]}};
  WA_TRY(const auto from, duration_at(ends, "between"));
  WA_TRY(const auto to, duration_at(ends, "and"));
  if (*from >= *to) return bad();
  return std::optional<Pair>(Pair{*from, *to});
}

Result<FaultWhen> parse_when(const json::object& object) {
  WA_TRY_VOID(only_members(
      object, "when",
      {"on_event", "after", "at", "between", "nth", "every", "probability", "on_state", "manual"}));
  FaultWhen when;
  WA_TRY(when.on_event, event_at(object));
  WA_TRY(when.after, duration_at(object, "after"));
  WA_TRY(when.at, duration_at(object, "at"));
  WA_TRY(when.between, between_at(object));
  WA_TRY(when.nth, count_at(object, "nth", 1, kMostActs));
  WA_TRY(when.every, count_at(object, "every", 1, kMostActs));
  WA_TRY(when.manual, flag_at(object, "manual"));
  WA_TRY(const std::string state, text_at(object, "on_state"));
  if (!state.empty()) {
    WA_TRY(const std::size_t index, one_of("on_state", state, kStates));
    when.on_state = static_cast<ConnectionState>(index);
  }
  if (const auto* value = object.if_contains("probability")) {
    boost::system::error_code failure;
    const double probability = value->is_number() ? value->to_number<double>(failure) : -1;
    if (!(probability >= 0 && probability <= 1)) {
      return usage("\"probability\" takes a number from 0 to 1, not " + json::serialize(*value));
    }
    when.probability = probability;
  }
  if (when.at && (when.after || when.on_event)) {
    return usage("\"at\" is a moment by itself: leave \"after\" and \"on_event\" out");
  }
  return when;
}

Result<std::optional<FaultHeal>> parse_heal(const json::object& record) {
  if (!record.contains("heal")) return std::optional<FaultHeal>();
  WA_TRY(const json::object object, object_at(record, "heal"));
  WA_TRY_VOID(only_members(object, "heal", {"on_event", "after", "at", "nth", "manual"}));
  FaultHeal heal;
  WA_TRY(heal.on_event, event_at(object));
  WA_TRY(heal.after, duration_at(object, "after"));
  WA_TRY(heal.at, duration_at(object, "at"));
  WA_TRY(heal.nth, count_at(object, "nth", 1, kMostActs));
  WA_TRY(heal.manual, flag_at(object, "manual"));
  if (heal == FaultHeal{}) {
    return usage("\"heal\" takes at least one of on_event, after, at, nth, manual");
  }
  if (heal.at && (heal.after || heal.on_event)) {
    return usage("\"at\" is a moment by itself: leave \"after\" and \"on_event\" out");
  }
  return std::optional(heal);
}

/// What a kind cannot be told apart by is refused: such a record would never act.
Result<void> check_where(const FaultRecord& record) {
  const FaultWhere& where = record.where;
  const std::string name(record.name());
  const bool picks_traffic = where.direction || !where.stanza.empty();
  const bool picks_device =
      !where.device.empty() || !where.account.empty() || !where.connection.empty();
  if (std::holds_alternative<TlsFault>(record.kind) &&
      (picks_traffic || picks_device || !where.host.empty())) {
    return usage("tls: \"where\" takes only \"tenant\"; no device is known that early");
  }
  if (record.is_host() && (picks_traffic || !where.connection.empty())) {
    return usage(name + ": \"where\" takes device, account and host; it happens to the client");
  }
  if (!record.is_host() && !where.host.empty()) {
    return usage(name + ": \"host\" is for faults of the host layer");
  }
  const auto& event = record.when.on_event;
  if (record.description().fault_class == FaultClass::moment && !where.stanza.empty() &&
      event != EventKind::stanza_in && event != EventKind::stanza_out) {
    return usage(name + ": \"stanza\" needs \"on_event\" stanza_in or stanza_out");
  }
  return {};
}

Result<void> check_when(const FaultRecord& record) {
  const bool moment = record.description().fault_class == FaultClass::moment;
  if (!moment) return {};
  if (!record.when.has_trigger()) {
    return usage("\"" + std::string(record.name()) +
                 "\" needs a moment: add \"when\" with on_event, after, at or manual");
  }
  if (record.when.on_event == EventKind::closed && !record.when.after && !record.is_host()) {
    return usage(
        "\"closed\" leaves nothing to act on: add \"after\" to act on the next connection");
  }
  return {};
}

// ---- writing ------------------------------------------------------------------------------------

void put(json::object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}
void put(json::object& object, std::string_view key, const std::optional<Duration>& duration) {
  if (duration) object[key] = duration_text(*duration);
}
void put(json::object& object, std::string_view key, const std::optional<std::uint64_t>& count) {
  if (count) object[key] = *count;
}
void put(json::object& object, std::string_view key, const std::optional<EventKind>& event) {
  if (event) object[key] = to_string(*event);
}
void put(json::object& object, std::string_view key, json::object&& part) {
  if (!part.empty()) object[key] = std::move(part);
}

json::object to_json(const FaultWhere& where) {
  json::object object;
  put(object, "tenant", where.tenant);
  put(object, "account", where.account);
  put(object, "device", where.device);
  put(object, "connection", where.connection);
  put(object, "host", where.host);
  if (where.direction) object["direction"] = to_string(*where.direction);
  json::object stanza;
  put(stanza, "tag", where.stanza.tag);
  put(stanza, "child", where.stanza.child);
  put(stanza, "enc", where.stanza.enc);
  for (const auto& [key, value] : where.stanza.attrs) stanza[key] = value;
  put(object, "stanza", std::move(stanza));
  return object;
}

json::object to_json(const FaultWhen& when) {
  json::object object;
  put(object, "on_event", when.on_event);
  put(object, "after", when.after);
  put(object, "at", when.at);
  if (when.between) {
    object["between"] =
        json::array{duration_text(when.between->first), duration_text(when.between->second)};
  }
  put(object, "nth", when.nth);
  put(object, "every", when.every);
  if (when.probability) object["probability"] = *when.probability;
  if (when.on_state) object["on_state"] = to_string(*when.on_state);
  if (when.manual) object["manual"] = true;
  return object;
}

json::object to_json(const FaultHeal& heal) {
  json::object object;
  put(object, "on_event", heal.on_event);
  put(object, "after", heal.after);
  put(object, "at", heal.at);
  put(object, "nth", heal.nth);
  if (heal.manual) object["manual"] = true;
  return object;
}

}  // namespace

std::string_view to_string(ConnectionState state) {
  return kStates[static_cast<std::size_t>(state)];
}

std::string_view to_string(FaultLayer layer) {
  switch (layer) {
    case FaultLayer::link: return "link";
    case FaultLayer::noise: return "Noise";
    case FaultLayer::stanza: return "stanza";
    case FaultLayer::session: return "session";
    case FaultLayer::end_to_end: return "end to end";
    case FaultLayer::host: return "host";
  }
  return "unknown";
}

std::string_view to_string(FaultClass fault_class) {
  switch (fault_class) {
    case FaultClass::moment: return "moment";
    case FaultClass::standing: return "standing";
    case FaultClass::occasion: return "occasion";
  }
  return "unknown";
}

const FaultDescription& description(const FaultKind& kind) {
  return fault_table()[kind.index()];
}

std::vector<std::string_view> fault_names() {
  std::vector<std::string_view> names;
  for (const FaultDescription& row : fault_table()) names.push_back(row.name);
  return names;
}

bool StanzaRef::has_tag(std::string_view tag) const {
  return node_ != nullptr ? node_->tag == tag : builder_ != nullptr && builder_->tag() == tag;
}

bool StanzaRef::has_child(std::string_view tag) const {
  return node_ != nullptr ? child_is(*node_, tag) : builder_ != nullptr && child_is(*builder_, tag);
}

bool StanzaRef::has_enc(std::string_view type) const {
  return node_ != nullptr ? enc_is(*node_, type) : builder_ != nullptr && enc_is(*builder_, type);
}

bool StanzaRef::has_attr(std::string_view key, std::string_view value) const {
  return node_ != nullptr ? attr_is(*node_, key, value)
                          : builder_ != nullptr && attr_is(*builder_, key, value);
}

bool StanzaPattern::matches(const StanzaRef& stanza) const {
  if (empty()) return true;
  if (!tag.empty() && !stanza.has_tag(tag)) return false;
  if (!child.empty() && !stanza.has_child(child)) return false;
  if (!enc.empty() && !stanza.has_enc(enc)) return false;
  return std::all_of(attrs.begin(), attrs.end(), [&](const auto& attribute) {
    return stanza.has_attr(attribute.first, attribute.second);
  });
}

bool FaultWhere::matches(const FaultSubject& subject) const {
  if (!connection.empty() && connection != std::to_string(subject.connection)) return false;
  if (!account.empty() && account != subject.account && account != subject.number) return false;
  return device.empty() || device == subject.label || device == subject.device_jid ||
         device == subject.number;
}

Result<FaultRecord> FaultRecord::parse(const json::value& value) {
  if (!value.is_object()) {
    return usage(
        "a fault is an object such as {\"fault\":\"close\",\"args\":{\"how\":\"rst\"}}, not " +
        std::string(json::to_string(value.kind())));
  }
  const json::object& object = value.get_object();
  WA_TRY_VOID(only_members(object, "fault",
                           {"id", "fault", "args", "where", "when", "heal", "budget", "optional"}));
  FaultRecord record;
  WA_TRY(record.id, text_at(object, "id"));
  WA_TRY(const std::string name, text_at(object, "fault"));
  if (name.empty()) return usage("\"fault\" is missing; it names the kind, e.g. \"stream_error\"");
  const auto& table = fault_table();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const FaultDescription& known) { return known.name == name; });
  if (row == table.end()) {
    return usage("unknown fault \"" + name.substr(0, 60) + "\"" +
                 did_you_mean(name, fault_names()));
  }
  WA_TRY(const json::object args, object_at(object, "args"));
  WA_TRY(record.kind, read_args(*row, args));
  WA_TRY(const json::object where, object_at(object, "where"));
  WA_TRY(record.where, parse_where(where));
  WA_TRY(const json::object when, object_at(object, "when"));
  WA_TRY(record.when, parse_when(when));
  WA_TRY_VOID(check_when(record));
  WA_TRY_VOID(check_where(record));
  WA_TRY(record.heal, parse_heal(object));
  WA_TRY(record.budget, count_at(object, "budget", 1, kMostActs));
  // What stands stays until it heals, for everybody who is meant.
  if (!record.budget && record.when.has_trigger() && row->fault_class != FaultClass::standing) {
    record.budget = 1;
  }
  WA_TRY(record.optional, flag_at(object, "optional"));
  return record;
}

FaultRecord FaultRecord::scaled(const std::function<Duration(Duration)>& scale) const {
  FaultRecord result = *this;
  const auto apply = [&](std::optional<Duration>& duration) {
    if (duration) duration = scale(*duration);
  };
  scale_args(result.kind, scale);
  apply(result.when.after);
  apply(result.when.at);
  if (result.when.between) {
    auto& [from, to] = *result.when.between;
    from = scale(from);
    to = std::max(scale(to), from + Duration(1));
  }
  if (result.heal) {
    apply(result.heal->after);
    apply(result.heal->at);
  }
  return result;
}

FaultRecord FaultRecord::scaled(double factor) const {
  return scaled([factor](Duration duration) {
    return Duration(std::llround(static_cast<double>(duration.count()) * factor));
  });
}

json::object to_json(const FaultRecord& record) {
  json::object object;
  put(object, "id", record.id);
  object["fault"] = record.name();
  put(object, "args", write_args(record.kind));
  put(object, "where", to_json(record.where));
  put(object, "when", to_json(record.when));
  if (record.heal) object["heal"] = to_json(*record.heal);
  put(object, "budget", record.budget);
  if (record.optional) object["optional"] = true;
  return object;
}

}  // namespace wa::mock

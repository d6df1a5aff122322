#include "mockserver/core/faults.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>

#include "engine/base/overloaded.hpp"
#include "mockserver/core/settings.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 4> kFaultNames = {"stream_error", "refs", "withhold",
                                                         "close"};

Error usage(std::string detail) {
  return Error{Errc::usage, std::move(detail)};
}

std::string_view kind_name(const json::value& value) {
  return json::to_string(value.kind());
}

/// Refuses members that are not in the list, naming the nearest one that is.
Result<void> only_members(const json::object& object, std::string_view where,
                          std::vector<std::string_view> known) {
  for (const auto& member : object) {
    const std::string_view key = member.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    return usage(std::string(where) + ": unknown member \"" + std::string(key) + "\"" +
                 (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  return {};
}

Result<json::object> object_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return json::object();
  // An empty Lua table arrives as an empty list.
  if (value->is_array() && value->get_array().empty()) return json::object();
  if (!value->is_object()) {
    return usage("\"" + std::string(key) + "\" takes an object, not " +
                 std::string(kind_name(*value)));
  }
  return value->get_object();
}

Result<std::string> text_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::string();
  if (value->is_int64()) return std::to_string(value->get_int64());
  if (!value->is_string()) {
    return usage("\"" + std::string(key) + "\" takes text, not " + std::string(kind_name(*value)));
  }
  return std::string(value->get_string());
}

Result<std::optional<std::uint64_t>> count_at(const json::object& parent, std::string_view key,
                                              std::uint64_t least, std::uint64_t most) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::optional<std::uint64_t>();
  std::uint64_t number = 0;
  bool whole = false;
  if (value->is_int64() && value->get_int64() >= 0) {
    number = static_cast<std::uint64_t>(value->get_int64());
    whole = true;
  } else if (value->is_uint64()) {
    number = value->get_uint64();
    whole = true;
  }
  if (!whole || number < least || number > most) {
    return usage("\"" + std::string(key) + "\" takes a whole number from " + std::to_string(least) +
                 " to " + std::to_string(most) + ", not " + json::serialize(*value));
  }
  return std::optional<std::uint64_t>(number);
}

Result<std::optional<Duration>> duration_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::optional<Duration>();
  if (!value->is_string()) {
    return usage("\"" + std::string(key) + "\" takes a duration such as \"5s\", not " +
                 json::serialize(*value));
  }
  auto parsed = parse_duration(std::string_view(value->get_string()));
  if (!parsed) return usage("\"" + std::string(key) + "\": " + parsed.error().detail);
  return std::optional<Duration>(*parsed);
}

Result<bool> flag_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) {
    return usage("\"" + std::string(key) + "\" takes true or false, not " +
                 json::serialize(*value));
  }
  return value->get_bool();
}

Result<void> one_of(std::string_view key, std::string_view word,
                    std::vector<std::string_view> words) {
  if (std::find(words.begin(), words.end(), word) != words.end()) return {};
  std::string list;
  for (const std::string_view candidate : words) {
    list += (list.empty() ? "" : ", ") + std::string(candidate);
  }
  return usage("\"" + std::string(key) + "\" takes one of " + list + ", not \"" +
               std::string(word) + "\"");
}

Result<FaultKind> parse_stream_error(const json::object& args) {
  WA_TRY_VOID(only_members(args, "stream_error", {"code", "conflict", "child"}));
  StreamErrorFault fault;
  WA_TRY(const auto code, count_at(args, "code", 1, 999));
  if (code) fault.code = static_cast<int>(*code);
  WA_TRY(fault.conflict, text_at(args, "conflict"));
  WA_TRY(fault.child, text_at(args, "child"));
  return FaultKind(fault);
}

Result<FaultKind> parse_refs(const json::object& args) {
  WA_TRY_VOID(only_members(args, "refs", {"count", "first", "rest"}));
  RefsFault fault;
  WA_TRY(const auto count, count_at(args, "count", 0, 1000));
  if (count) fault.count = static_cast<std::uint32_t>(*count);
  WA_TRY(fault.first, duration_at(args, "first"));
  WA_TRY(fault.rest, duration_at(args, "rest"));
  if (!fault.count && !fault.first && !fault.rest) {
    return usage("refs takes at least one of \"count\", \"first\", \"rest\"");
  }
  return FaultKind(fault);
}

Result<FaultKind> parse_withhold(const json::object& args) {
  WA_TRY_VOID(only_members(args, "withhold", {"stanza"}));
  WithholdFault fault;
  WA_TRY(fault.stanza, text_at(args, "stanza"));
  std::replace(fault.stanza.begin(), fault.stanza.end(), '_', '-');
  WA_TRY_VOID(
      one_of("stanza", fault.stanza, {"pair-device", "pair-success", "success", "offline"}));
  return FaultKind(fault);
}

Result<FaultKind> parse_close(const json::object& args) {
  WA_TRY_VOID(only_members(args, "close", {"how"}));
  WA_TRY(std::string how, text_at(args, "how"));
  if (how.empty()) how = "fin";
  WA_TRY_VOID(one_of("how", how, {"fin", "rst"}));
  return FaultKind(CloseFault{how == "rst"});
}

Result<FaultKind> parse_kind(std::string_view name, const json::object& args) {
  if (name == "stream_error") return parse_stream_error(args);
  if (name == "refs") return parse_refs(args);
  if (name == "withhold") return parse_withhold(args);
  if (name == "close") return parse_close(args);
  const std::string near = nearest(name, fault_names());
  return usage("unknown fault \"" + std::string(name) + "\"" +
               (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

Result<FaultWhen> parse_when(const json::object& when) {
  WA_TRY_VOID(
      only_members(when, "when", {"on_event", "after", "nth", "every", "probability", "manual"}));
  FaultWhen result;
  WA_TRY(const std::string event, text_at(when, "on_event"));
  if (!event.empty()) {
    std::vector<std::string_view> words;
    for (int i = 0; i <= static_cast<int>(EventKind::unlink); ++i) {
      const auto kind = static_cast<EventKind>(i);
      words.push_back(to_string(kind));
      if (words.back() == event) result.on_event = kind;
    }
    WA_TRY_VOID(one_of("on_event", event, words));
  }
  WA_TRY(result.after, duration_at(when, "after"));
  WA_TRY(result.nth, count_at(when, "nth", 1, 1'000'000'000));
  WA_TRY(result.every, count_at(when, "every", 1, 1'000'000'000));
  WA_TRY(result.manual, flag_at(when, "manual"));
  if (const auto* value = when.if_contains("probability")) {
    boost::system::error_code failure;
    const double probability = value->is_number() ? value->to_number<double>(failure) : -1;
    if (probability < 0 || probability > 1) {
      return usage("\"probability\" takes a number from 0 to 1, not " + json::serialize(*value));
    }
    result.probability = probability;
  }
  return result;
}

}  // namespace

bool acts_by_itself(const FaultKind& kind) {
  return std::holds_alternative<StreamErrorFault>(kind) || std::holds_alternative<CloseFault>(kind);
}

std::vector<std::string_view> fault_names() {
  return {kFaultNames.begin(), kFaultNames.end()};
}

bool FaultWhere::matches(ConnectionId id, std::string_view label, std::string_view device_jid,
                         std::string_view number) const {
  if (!connection.empty() && connection != "*" && connection != std::to_string(id)) return false;
  if (device.empty() || device == "*") return true;
  return device == label || device == device_jid || device == number;
}

Result<FaultRecord> FaultRecord::parse(const json::value& value) {
  if (!value.is_object()) {
    return usage(
        "a fault is an object such as {\"fault\":\"close\",\"args\":{\"how\":\"rst\"}}, not " +
        std::string(kind_name(value)));
  }
  const json::object& object = value.get_object();
  WA_TRY_VOID(only_members(object, "fault",
                           {"id", "fault", "args", "where", "when", "budget", "optional"}));
  FaultRecord record;
  WA_TRY(record.id, text_at(object, "id"));
  WA_TRY(const std::string name, text_at(object, "fault"));
  if (name.empty()) return usage("\"fault\" is missing; it names the kind, e.g. \"stream_error\"");
  WA_TRY(const json::object args, object_at(object, "args"));
  WA_TRY(record.kind, parse_kind(name, args));

  WA_TRY(const json::object where, object_at(object, "where"));
  WA_TRY_VOID(only_members(where, "where", {"device", "connection"}));
  WA_TRY(record.where.device, text_at(where, "device"));
  WA_TRY(record.where.connection, text_at(where, "connection"));

  WA_TRY(const json::object when, object_at(object, "when"));
  WA_TRY(record.when, parse_when(when));
  if (acts_by_itself(record.kind) && !record.when.on_event && !record.when.after &&
      !record.when.manual) {
    return usage("\"" + name + "\" needs a moment: add \"when\" with on_event, after or manual");
  }
  if (record.when.on_event == EventKind::closed && !record.when.after) {
    return usage(
        "\"closed\" leaves nothing to act on: add \"after\" to act on the next connection");
  }
  if (!acts_by_itself(record.kind) && (record.when.on_event || record.when.after)) {
    return usage("\"" + name + "\" acts when its stanza is due: on_event and after do not apply");
  }
  WA_TRY(record.budget, count_at(object, "budget", 1, 1'000'000'000));
  if (!record.budget && (record.when.on_event || record.when.after || record.when.manual)) {
    record.budget = 1;
  }
  WA_TRY(record.optional, flag_at(object, "optional"));
  record.json = object;
  if (record.budget) record.json["budget"] = *record.budget;
  return record;
}

const FaultEngine::Active* FaultEngine::find(std::string_view id) const {
  for (const Active& active : records_) {
    if (active.record.id == id) return &active;
  }
  return nullptr;
}

Result<std::string> FaultEngine::add(FaultRecord record, Now now) {
  if (record.id.empty()) {
    do {
      record.id = "f" + std::to_string(next_id_++);
    } while (find(record.id) != nullptr);
  } else if (find(record.id) != nullptr) {
    return Error{Errc::conflict, "there is already a fault \"" + record.id + "\""};
  }
  record.json["id"] = record.id;
  std::string id = record.id;
  records_.emplace_back().record = std::move(record);
  for (const auto& [device, seen] : seen_) start_clock(records_.back(), device, seen, now.mono);
  return id;
}

Result<void> FaultEngine::remove(std::string_view id) {
  const auto found = std::find_if(records_.begin(), records_.end(),
                                  [&](const Active& active) { return active.record.id == id; });
  if (found == records_.end()) {
    return Error{Errc::not_found, "there is no fault \"" + std::string(id) + "\""};
  }
  std::erase_if(timers_, [&](const Timer& timer) { return timer.fault_id == id; });
  records_.erase(found);
  return {};
}

void FaultEngine::clear() {
  records_.clear();
  timers_.clear();
  seen_.clear();
}

/// Counts a match and says whether the record acts on it.
bool FaultEngine::passes(Active& active, bool is_event, EventKind kind) {
  const FaultWhen& when = active.record.when;
  if (when.manual && !active.armed) return false;
  if (is_event && when.on_event != kind) return false;
  if (active.record.budget && active.fired >= *active.record.budget) return false;
  ++active.matches;
  if (when.nth && active.matches != *when.nth) return false;
  if (when.every && active.matches % *when.every != 0) return false;
  if (when.probability) {
    // The record's own stream: another record, or none, changes nothing for the others.
    SeededRandom draw(seed_, "fault " + active.record.id, std::to_string(active.draws++));
    constexpr std::uint64_t kSteps = 1'000'000'000;
    const std::uint64_t drawn = draw.below(kSteps);
    if (static_cast<double>(drawn) >= *when.probability * static_cast<double>(kSteps)) return false;
  }
  ++active.fired;
  return true;
}

namespace {

bool is_about(const FaultRecord& record, const FaultSubject& subject) {
  return record.where.matches(subject.connection, subject.label, subject.device_jid,
                              subject.number);
}

}  // namespace

std::string FaultEngine::device_key(const FaultSubject& subject) {
  if (!subject.label.empty()) return std::string(subject.label);
  if (!subject.device_jid.empty()) return std::string(subject.device_jid);
  return "connection " + std::to_string(subject.connection);
}

void FaultEngine::start_clock(Active& active, const std::string& device, const Seen& seen,
                              Instant now) {
  const FaultWhen& when = active.record.when;
  if (!when.after || when.on_event || !is_about(active.record, seen.subject())) return;
  if (!active.clocks.insert(device).second) return;
  timers_.push_back(Timer{std::max(now, seen.first + *when.after), active.record.id, device});
}

void FaultEngine::seen(const FaultSubject& subject, Now now) {
  const std::string device = device_key(subject);
  const auto [position, is_new] = seen_.try_emplace(device);
  Seen& seen = position->second;
  if (is_new) seen.first = now.mono;
  seen.connection = subject.connection;
  seen.label = subject.label;
  if (!subject.device_jid.empty()) seen.device_jid = subject.device_jid;
  if (!subject.number.empty()) seen.number = subject.number;
  for (Active& active : records_) start_clock(active, device, seen, now.mono);
}

std::vector<const FaultRecord*> FaultEngine::on_event(EventKind kind, const FaultSubject& subject,
                                                      Now now) {
  std::vector<const FaultRecord*> due;
  for (Active& active : records_) {
    if (!active.record.when.on_event || !is_about(active.record, subject)) continue;
    if (*active.record.when.on_event != kind) continue;
    if (active.record.when.after) {
      // Both: the time runs from the event.
      if (active.record.budget && active.fired >= *active.record.budget) continue;
      timers_.push_back(
          Timer{now.mono + *active.record.when.after, active.record.id, device_key(subject)});
      continue;
    }
    if (passes(active, true, kind)) due.push_back(&active.record);
  }
  return due;
}

std::vector<FaultEngine::Due> FaultEngine::on_deadline(
    Now now, const std::function<bool(const std::string&)>& is_live) {
  std::vector<Due> due;
  std::vector<Timer> waiting;
  for (Timer& timer : timers_) {
    if (timer.at > now.mono) {
      waiting.push_back(std::move(timer));
      continue;
    }
    const auto active = std::find_if(records_.begin(), records_.end(), [&](const Active& a) {
      return a.record.id == timer.fault_id;
    });
    if (active == records_.end() || !is_live(timer.device)) continue;
    if (passes(*active, false, EventKind::connected)) {
      due.push_back(Due{&active->record, std::move(timer.device)});
    }
  }
  timers_ = std::move(waiting);
  return due;
}

std::optional<Instant> FaultEngine::next_deadline() const {
  std::optional<Instant> next;
  for (const Timer& timer : timers_) {
    if (!next || timer.at < *next) next = timer.at;
  }
  return next;
}

const FaultRecord* FaultEngine::withholds(std::string_view stanza, const FaultSubject& subject) {
  for (Active& active : records_) {
    const auto* fault = std::get_if<WithholdFault>(&active.record.kind);
    if (fault == nullptr || fault->stanza != stanza || !is_about(active.record, subject)) continue;
    if (passes(active, false, EventKind::connected)) return &active.record;
  }
  return nullptr;
}

const FaultRecord* FaultEngine::refs(const FaultSubject& subject) {
  for (Active& active : records_) {
    if (!std::holds_alternative<RefsFault>(active.record.kind)) continue;
    if (!is_about(active.record, subject)) continue;
    if (passes(active, false, EventKind::connected)) return &active.record;
  }
  return nullptr;
}

Result<const FaultRecord*> FaultEngine::fire(std::string_view id) {
  const auto active = std::find_if(records_.begin(), records_.end(),
                                   [&](const Active& a) { return a.record.id == id; });
  if (active == records_.end()) {
    return Error{Errc::not_found, "there is no fault \"" + std::string(id) + "\""};
  }
  if (active->record.budget && active->fired >= *active->record.budget) {
    return Error{Errc::conflict, "the budget of fault \"" + std::string(id) + "\" is used up"};
  }
  if (acts_by_itself(active->record.kind)) {
    ++active->fired;
  } else {
    active->armed = true;  // acts when its stanza is due
  }
  return &active->record;
}

}  // namespace wa::mock

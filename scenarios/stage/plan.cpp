#include "scenarios/stage/plan.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <vector>

#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/settings.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::stage {

namespace json = boost::json;

namespace {

Error usage(std::string detail) {
  return Error{Errc::usage, std::move(detail)};
}

std::string hint(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string near = mock::nearest(word, known);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

Result<void> only(const json::object& object, const std::string& where,
                  const std::vector<std::string_view>& known) {
  for (const auto& member : object) {
    const std::string_view key = member.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return usage(where + ": unknown member \"" + std::string(key) + "\"" + hint(key, known));
  }
  return {};
}

Result<std::string> text_at(const json::object& object, std::string_view key,
                            const std::string& where, std::string fallback = {}) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) {
    return usage(where + ": \"" + std::string(key) + "\" takes text, not " +
                 json::serialize(*value).substr(0, 80));
  }
  return std::string(value->get_string());
}

Result<json::array> list_at(const json::object& object, std::string_view key, std::size_t most) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return json::array();
  const std::string where = "plan: \"" + std::string(key) + "\"";
  if (!value->is_array()) return usage(where + " takes a list of objects");
  if (value->get_array().size() > most) {
    return Error{Errc::too_large, where + " has " + std::to_string(value->get_array().size()) +
                                      " entries; " + std::to_string(most) + " are the most"};
  }
  for (const json::value& entry : value->get_array()) {
    if (!entry.is_object()) return usage(where + " takes a list of objects");
  }
  return value->get_array();
}

Result<json::object> object_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return json::object();
  if (!value->is_object()) return usage("plan: \"" + std::string(key) + "\" takes an object");
  return value->get_object();
}

json::value sorted(const json::value& value) {
  if (value.is_array()) {
    json::array list;
    for (const json::value& entry : value.get_array()) list.push_back(sorted(entry));
    return list;
  }
  if (!value.is_object()) return value;
  std::vector<std::string_view> keys;
  for (const auto& member : value.get_object()) keys.push_back(member.key());
  std::sort(keys.begin(), keys.end());
  json::object object;
  for (const std::string_view key : keys) object[key] = sorted(value.get_object().at(key));
  return object;
}

Result<void> check_server(const json::object& server) {
  mock::Settings settings;
  for (const auto& member : server) {
    const std::string key(member.key());
    if (!member.value().is_string()) {
      return usage("plan: server[\"" + key + "\"] takes text, such as \"20s\" or \"6\"");
    }
    if (auto set = settings.set(key, std::string_view(member.value().get_string())); !set) {
      return usage("plan: server: " + set.error().detail);
    }
  }
  return {};
}

Result<void> check_actors(const Plan& plan) {
  for (std::size_t i = 0; i < plan.phones.size(); ++i) {
    const json::object& phone = plan.phones[i].get_object();
    const std::string where = "plan: phones[" + std::to_string(i) + "]";
    WA_TRY_VOID(only(phone, where, {"number", "name"}));
    WA_TRY(const std::string number, text_at(phone, "number", where));
    if (number.empty()) return usage(where + " needs a \"number\"");
    WA_TRY(const std::string name, text_at(phone, "name", where));
  }
  for (std::size_t i = 0; i < plan.devices.size(); ++i) {
    const json::object& device = plan.devices[i].get_object();
    const std::string where = "plan: devices[" + std::to_string(i) + "]";
    WA_TRY_VOID(only(device, where, {"engine", "name", "options"}));
    WA_TRY(const std::string name, text_at(device, "name", where));
    if (name.empty()) return usage(where + " needs a \"name\"");
    WA_TRY(const std::string engine, text_at(device, "engine", where));
  }
  return {};
}

/// Every record must be one, and have an id of its own.
Result<void> check_faults(json::array& faults) {
  std::set<std::string, std::less<>> ids;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const std::string where = "plan: faults[" + std::to_string(i) + "]: ";
    json::object& record = faults[i].get_object();
    if (auto parsed = mock::FaultRecord::parse(record); !parsed) {
      return usage(where + parsed.error().detail);
    }
    if (!record.contains("id")) record["id"] = "f" + std::to_string(i + 1);
    if (!ids.emplace(std::string_view(record.at("id").as_string())).second) {
      return usage(where + "the id " + json::serialize(record.at("id")) + " is there twice");
    }
  }
  return {};
}

// ---- steps --------------------------------------------------------------------------------------

/// A JSON value as Lua text.
std::string lua_value(const json::value& value) {
  if (value.is_string()) {
    std::string text = "\"";
    for (const char c : std::string_view(value.get_string())) {
      const auto code = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text += '\\';
        text += c;
      } else if (code < 0x20 || code == 0x7f) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\%03u", code);
        text += escape;
      } else {
        text += c;
      }
    }
    return text + "\"";
  }
  if (value.is_null()) return "nil";
  if (value.is_array()) {
    std::string text = "{ ";
    for (const json::value& entry : value.get_array()) text += lua_value(entry) + ", ";
    return text + "}";
  }
  if (value.is_object()) {
    std::string text = "{ ";
    for (const auto& member : value.get_object()) {
      text +=
          "[" + lua_value(json::value(member.key())) + "] = " + lua_value(member.value()) + ", ";
    }
    return text + "}";
  }
  return json::serialize(value);
}

/// One verb: the members it takes, and the Lua that it is. `$name` stands for a member as Lua,
/// `@device`, `@phone` and `@fault` for the object of that name.
struct Verb {
  std::string_view name;
  std::vector<std::string_view> members;
  std::string_view lua;
};

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"start", {"device"}, "@device:start()"},
      {"stop", {"device"}, "@device:stop()"},
      {"logout", {"device"}, "@device:logout()"},
      {"delete", {"device"}, "@device:delete()"},
      {"kill", {"device"}, "@device:kill()"},
      {"scan", {"device", "phone", "within"}, "@phone:scan(@device:await_qr { within = $within })"},
      {"await", {"device", "state", "within"}, "@device:await($state, { within = $within })"},
      {"unlink", {"device", "phone"}, "@phone:unlink(@device)"},
      {"fire", {"fault"}, "@fault:fire()"},
      {"remove_fault", {"fault"}, "@fault:remove()"},
      {"pause", {"for"}, "pause($for)"},
      {"expect", {"device", "field", "equals"}, "expect(@device[$field]):equals($equals)"},
      {"never", {"device", "state"}, "expect.never(@device, $state)"},
  };
  return all;
}

std::string replaced(std::string text, const std::string& mark, const std::string& with) {
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
    text.replace(at, mark.size(), with);
    at += with.size();
  }
  return text;
}

Result<std::string> lua_of_step(const json::object& step, const std::string& where) {
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  WA_TRY(const std::string name, text_at(step, "do", where));
  const auto verb = std::find_if(verbs().begin(), verbs().end(),
                                 [&](const Verb& known) { return known.name == name; });
  if (verb == verbs().end()) {
    return usage(where + ": unknown verb \"" + name + "\"" + hint(name, names));
  }
  std::vector<std::string_view> known = verb->members;
  known.push_back("do");
  WA_TRY_VOID(only(step, where, known));
  std::string line(verb->lua);
  for (const std::string_view member : verb->members) {
    const json::value* value = step.if_contains(member);
    if (value == nullptr && member == "within") {
      line = replaced(std::move(line), "$within", "\"10s\"");
      continue;
    }
    if (value == nullptr) {
      return usage(where + ": \"" + name + "\" needs \"" + std::string(member) + "\"");
    }
    const std::string text = lua_value(*value);
    line = replaced(std::move(line), "@" + std::string(member),
                    std::string(member) + "s[" + text + "]");
    line = replaced(std::move(line), "$" + std::string(member), text);
  }
  return line + "\n";
}

constexpr const char* kEither = "plan: needs either \"scenario\" or \"steps\", and not both";

/// `plays`: whether it says what is played.
Result<Plan> read(std::string_view text, bool& plays) {
  if (text.size() > Plan::kMaxBytes) {
    return Error{Errc::too_large, "plan: more than 64 MiB"};
  }
  boost::system::error_code failure;
  const json::value document = json::parse(text, failure);
  if (failure) return usage("plan: not JSON: " + failure.message());
  if (!document.is_object()) return usage("plan: takes an object");
  const json::object& object = document.get_object();
  WA_TRY_VOID(only(object, "plan",
                   {"plan", "seed", "jitter", "profile", "server", "phones", "devices", "faults",
                    "scenario", "steps"}));
  const json::value* version = object.if_contains("plan");
  if (version == nullptr || *version != json::value(1)) {
    return usage("plan: \"plan\" says the version of the format; this program reads 1");
  }
  Plan plan;
  if (const json::value* seed = object.if_contains("seed")) {
    const bool whole = (seed->is_int64() && seed->get_int64() >= 0) || seed->is_uint64();
    if (!whole) return usage("plan: \"seed\" takes a whole number, not " + json::serialize(*seed));
    plan.seed = seed->to_number<std::uint64_t>();
  }
  WA_TRY(const std::string jitter, text_at(object, "jitter", "plan", "0s"));
  auto most = mock::parse_duration(jitter);
  if (!most) return usage("plan: \"jitter\": " + most.error().detail);
  plan.jitter = *most;
  WA_TRY(plan.profile, text_at(object, "profile", "plan", "default"));
  if (auto known = mock::Settings::profile(plan.profile); !known) {
    return usage("plan: \"profile\": " + known.error().detail);
  }
  WA_TRY(plan.server, object_at(object, "server"));
  WA_TRY_VOID(check_server(plan.server));
  WA_TRY(plan.phones, list_at(object, "phones", Plan::kMaxFaults));
  WA_TRY(plan.devices, list_at(object, "devices", Plan::kMaxFaults));
  WA_TRY_VOID(check_actors(plan));
  WA_TRY(plan.faults, list_at(object, "faults", Plan::kMaxFaults));
  WA_TRY_VOID(check_faults(plan.faults));
  WA_TRY(const json::object scenario, object_at(object, "scenario"));
  WA_TRY_VOID(only(scenario, "plan: scenario", {"path", "sha256"}));
  WA_TRY(plan.scenario_path, text_at(scenario, "path", "plan: scenario"));
  WA_TRY(plan.scenario_sha256, text_at(scenario, "sha256", "plan: scenario"));
  WA_TRY(plan.steps, list_at(object, "steps", Plan::kMaxSteps));
  if (object.contains("scenario") && object.contains("steps")) return usage(kEither);
  if (object.contains("scenario") && plan.scenario_path.empty()) {
    return usage("plan: scenario needs a \"path\"");
  }
  plays = object.contains("scenario") || object.contains("steps");
  return plan;
}

}  // namespace

Result<Plan> Plan::parse(std::string_view text) {
  bool plays = false;
  WA_TRY(Plan plan, read(text, plays));
  if (!plays) return usage(kEither);
  return plan;
}

Result<Plan> Plan::parse_setup(std::string_view text) {
  bool plays = false;
  return read(text, plays);
}

std::string Plan::to_text() const {
  json::object document{{"plan", 1},        {"seed", seed},     {"profile", profile},
                        {"server", server}, {"phones", phones}, {"devices", devices},
                        {"faults", faults}};
  if (jitter > Duration::zero()) document["jitter"] = stage::to_text(jitter);
  if (scenario_path.empty()) {
    document["steps"] = steps;
  } else {
    document["scenario"] = {{"path", scenario_path}, {"sha256", scenario_sha256}};
  }
  return json::serialize(sorted(document)) + "\n";
}

std::string Plan::hash() const {
  return text_hash(to_text());
}

const json::object* Plan::fault(std::string_view id) const {
  for (const json::value& record : faults) {
    if (std::string_view(record.at("id").as_string()) == id) return &record.get_object();
  }
  return nullptr;
}

std::string text_hash(std::string_view text) {
  return to_hex(crypto::sha256(as_bytes(text)));
}

Result<std::string> to_lua(const Plan& plan) {
  std::string text =
      "scenario { name = \"a plan of steps\", tags = { \"plan\" } }\n"
      "local phones, devices, faults = {}, {}, {}\n";
  for (const json::value& phone : plan.phones) {
    text +=
        "phones[" + lua_value(phone.at("number")) + "] = server:phone " + lua_value(phone) + "\n";
  }
  for (const json::value& device : plan.devices) {
    const json::object& object = device.get_object();
    const json::value* engine = object.if_contains("engine");
    const json::value* options = object.if_contains("options");
    text += "devices[" + lua_value(object.at("name")) + "] = ";
    text += engine ? "engine.new(" + lua_value(*engine) + ")" : "engine";
    text += ":device(" + lua_value(object.at("name")) + ", " +
            (options ? lua_value(*options) : "{}") + ")\n";
  }
  for (const json::value& fault : plan.faults) {
    text += "faults[" + lua_value(fault.at("id")) + "] = server:fault " + lua_value(fault) + "\n";
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    WA_TRY(const std::string line,
           lua_of_step(plan.steps[i].get_object(), "plan: steps[" + std::to_string(i) + "]"));
    text += line;
  }
  return text;
}

}  // namespace wa::stage

#include "scenarios/lua/declaration.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <lua.hpp>

#include "mockserver/core/events.hpp"
#include "mockserver/core/settings.hpp"

namespace wa::lua {

namespace json = boost::json;

namespace {

/// Source: docs/guides/client-driver.md. Options are asked for by who uses them.
constexpr std::string_view kCapabilities[] = {
    "delete",  "generation",   "groups",       "hold",     "host_faults",
    "inspect", "multi_device", "pairing_code", "presence", "quarantine",
    "read",    "send",         "testline_db",  "trust"};

/// A setting's value as `--set` takes it.
std::string setting_text(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  return json::serialize(value);
}

/// server = { refs = { count = 6 }, ["refs.first"] = "60s" } as pairs of dotted keys and texts.
void flatten(lua_State* L, const json::value& value, const std::string& prefix,
             stage::Scenario& scenario) {
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      const std::string key(member.key());
      flatten(L, member.value(), prefix.empty() ? key : prefix + "." + key, scenario);
    }
    return;
  }
  if (value.is_array()) {
    if (value.get_array().empty()) return;
    raise(L, "usage",
          "server: " +
              (prefix.empty() ? "the settings have"
                              : prefix + " takes one value, and settings have") +
              " names");
  }
  mock::Settings settings;
  if (auto set = settings.set(prefix, setting_text(value)); !set) {
    raise(L, "usage", "server: " + set.error().detail);
  }
  scenario.server.emplace_back(prefix, setting_text(value));
}

void check_ids(lua_State* L, std::string_view what, const std::vector<std::string>& ids,
               const std::vector<std::string_view>& known) {
  for (const std::string& id : ids) {
    if (std::find(known.begin(), known.end(), id) != known.end()) continue;
    raise(L, "usage",
          "allow: there is no " + std::string(what) + " \"" + id + "\"" + hint(id, known));
  }
}

void read_allow(lua_State* L, const json::value& value, stage::Allow& allow) {
  push_json(L, value);
  const Options options(L, -1, "allow", {"violations", "invariants"});
  allow.violations = options.texts("violations");
  allow.invariants = options.texts("invariants");
  lua_pop(L, 1);
  std::vector<std::string_view> rules;
  for (const mock::ViolationRule& rule : mock::violation_rules()) rules.push_back(rule.id);
  check_ids(L, "violation rule", allow.violations, rules);
  check_ids(L, "invariant", allow.invariants, invariant_ids());
}

/// A word that nobody knows would skip the scenario for every client.
void check_needs(lua_State* L, const std::vector<std::string>& needs) {
  const std::vector<std::string_view> known(std::begin(kCapabilities), std::end(kCapabilities));
  for (const std::string& word : needs) {
    if (std::find(known.begin(), known.end(), word) != known.end()) continue;
    raise(L, "usage", "needs: there is no capability \"" + word + "\"" + hint(word, known));
  }
}

}  // namespace

std::vector<std::string_view> invariant_ids() {
  return {"truthful-status",  "credentials-survive", "durable-before-sent",
          "no-key-reuse",     "exactly-once-to-app", "nothing-lost",
          "fresh-qr",         "bounded-reconnect",   "single-owner",
          "acks-well-formed", "no-violations",       "quiet-end"};
}

Declaration read_declaration(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) {
    raise(L, "usage", "scenario takes a table: scenario { name = \"…\" }");
  }
  const Options options(L, index, "scenario",
                        {"name", "tags", "server", "modes", "modes_reason", "loopback_scale",
                         "allow", "needs", "symptom"});
  Declaration declaration;
  stage::Scenario& scenario = declaration.scenario;
  const auto name = options.text("name");
  if (!name || name->empty()) raise(L, "usage", "scenario needs a name");
  scenario.name = *name;
  scenario.tags = options.texts("tags");
  scenario.symptom = options.texts("symptom");
  scenario.needs = options.texts("needs");
  check_needs(L, scenario.needs);
  scenario.modes_reason = options.text("modes_reason").value_or("");
  if (const json::value* server = options.find("server")) flatten(L, *server, "", scenario);
  if (options.find("modes")) {
    scenario.modes.clear();
    for (const std::string& word : options.texts("modes")) {
      if (word != "sim" && word != "loopback") {
        raise(L, "usage",
              "modes: there is no mode \"" + word + "\"" + hint(word, {"sim", "loopback"}));
      }
      const stage::Mode mode = word == "sim" ? stage::Mode::sim : stage::Mode::loopback;
      if (!scenario.has_mode(mode)) scenario.modes.push_back(mode);
    }
    if (scenario.modes.empty()) raise(L, "usage", "modes: at least one of \"sim\", \"loopback\"");
    if (scenario.modes.size() < 2 && scenario.modes_reason.empty()) {
      raise(L, "usage", "a scenario that is not for both modes says why: modes_reason = \"…\"");
    }
  }
  if (const auto scale = options.number("loopback_scale")) {
    if (!(*scale > 0 && *scale <= 10))
      raise(L, "usage", "loopback_scale is above 0 and at most 10");
    scenario.loopback_scale = *scale;
    declaration.sets_loopback_scale = true;
  }
  if (const json::value* allow = options.find("allow")) read_allow(L, *allow, scenario.allow);
  return declaration;
}

}  // namespace wa::lua

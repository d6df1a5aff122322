#include <algorithm>
#include <lua.hpp>

#include "mockserver/core/settings.hpp"
#include "scenarios/lua/script_impl.hpp"

// The globals of a scenario file. Each kind of object is a table of members; what is not in it
// raises with the nearest name. The guide docs/guides/scenarios.md lists the same members.
namespace wa::lua {

namespace json = boost::json;
using namespace std::chrono_literals;
using stage::Wait;
using Impl = Script::Impl;

namespace {

/// How long verbs wait that do not say `within`.
constexpr Duration kDefaultWithin = 10s;

// ---- objects ------------------------------------------------------------------------------------

enum class Kind { server, engine, phone, device, fault, expect, expectation, expected_error };

struct Member {
  const char* name;
  lua_CFunction function;
  bool is_field = false;  ///< called with the object, pushes the value
};

struct Type {
  Kind kind;
  const char* name;
  std::span<const Member> members;
  /// What the object is called: where a name is expected, the object serves too.
  std::string (*called)(void* object);
};

const Type& type_of(Kind kind);

struct Handle {
  Kind kind;
  void* object;
};

void push_handle(lua_State* L, Kind kind, void* object) {
  auto* handle = static_cast<Handle*>(lua_newuserdatauv(L, sizeof(Handle), 0));
  *handle = {kind, object};
  luaL_setmetatable(L, type_of(kind).name);
}

/// The object at `index`, or raises: a method was called with a dot.
void* object_at(lua_State* L, int index, Kind kind) {
  const Type& type = type_of(kind);
  auto* handle = static_cast<Handle*>(luaL_testudata(L, index, type.name));
  if (!handle) {
    raise(L, "usage",
          std::string("methods of ") + type.name + " are called with a colon, as in " + type.name +
              ":" + (type.members.empty() ? "method" : type.members.front().name) + "(…)");
  }
  return handle->object;
}

stage::Device& device_at(lua_State* L, int index = 1) {
  return *static_cast<stage::Device*>(object_at(L, index, Kind::device));
}
stage::Phone& phone_at(lua_State* L) {
  return *static_cast<stage::Phone*>(object_at(L, 1, Kind::phone));
}

std::string_view text_at(lua_State* L, int index, std::string_view what) {
  if (lua_type(L, index) != LUA_TSTRING) {
    raise(L, "usage", std::string(what) + ", not a " + luaL_typename(L, index));
  }
  std::size_t length = 0;
  const char* text = lua_tolstring(L, index, &length);
  return {text, length};
}

void push_text(lua_State* L, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
}
void push_text_or_nil(lua_State* L, std::string_view text) {
  if (text.empty()) {
    lua_pushnil(L);
  } else {
    push_text(L, text);
  }
}

int index_object(lua_State* L) {
  const auto& type = *static_cast<const Type*>(lua_touserdata(L, lua_upvalueindex(1)));
  const std::string_view name = text_at(L, 2, "names of members are texts");
  for (const Member& member : type.members) {
    if (member.name != name) continue;
    if (member.is_field) {
      lua_settop(L, 1);
      return member.function(L);
    }
    lua_pushcfunction(L, member.function);
    return 1;
  }
  std::vector<std::string_view> known;
  for (const Member& member : type.members) known.push_back(member.name);
  raise(L, "usage",
        std::string(type.name) + " has no \"" + std::string(name) + "\"" + hint(name, known));
}

int refuse_assignment(lua_State* L) {
  const auto& type = *static_cast<const Type*>(lua_touserdata(L, lua_upvalueindex(1)));
  raise(L, "usage", std::string("the members of ") + type.name + " cannot be changed");
}

int object_text(lua_State* L) {
  const auto& type = *static_cast<const Type*>(lua_touserdata(L, lua_upvalueindex(1)));
  const auto* handle = static_cast<const Handle*>(lua_touserdata(L, 1));
  const std::string called = type.called ? type.called(handle->object) : std::string();
  push_text(L, called.empty() ? type.name : std::string(type.name) + " " + called);
  return 1;
}

int object_called(lua_State* L) {
  const auto& type = *static_cast<const Type*>(lua_touserdata(L, lua_upvalueindex(1)));
  if (!type.called) raise(L, "usage", std::string("a value is needed here, not ") + type.name);
  push_text(L, type.called(static_cast<const Handle*>(lua_touserdata(L, 1))->object));
  return 1;
}

int equal_objects(lua_State* L) {
  const auto* a = static_cast<const Handle*>(lua_touserdata(L, 1));
  const auto* b = static_cast<const Handle*>(lua_touserdata(L, 2));
  lua_pushboolean(L, a && b && a->kind == b->kind && a->object == b->object);
  return 1;
}

Duration within_of(const Options& options, Duration otherwise = kDefaultWithin) {
  return options.duration("within").value_or(otherwise);
}

/// A table that raises for members that are not in `known`, so that a typing error is not nil.
void push_strict(lua_State* L, const json::value& value, std::initializer_list<const char*> known) {
  push_json(L, value);
  lua_createtable(L, 0, 1);
  lua_newtable(L);
  for (const char* name : known) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, name);
  }
  lua_pushcclosure(
      L,
      [](lua_State* S) -> int {
        const std::string name(Sandbox::push_text(S, 2));
        lua_pushvalue(S, 2);
        lua_rawget(S, lua_upvalueindex(1));
        if (lua_toboolean(S, -1)) return lua_pushnil(S), 1;
        std::vector<std::string> names;
        for (lua_pushnil(S); lua_next(S, lua_upvalueindex(1)); lua_pop(S, 1))
          names.emplace_back(lua_tostring(S, -2));
        std::sort(names.begin(), names.end());
        raise(S, "usage",
              "there is no \"" + name + "\"" + hint(name, {names.begin(), names.end()}));
      },
      1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

double seconds_of(Instant at) {
  return std::chrono::duration<double>(at.time_since_epoch()).count();
}

// ---- phone --------------------------------------------------------------------------------------

[[noreturn]] void raise(lua_State* L, const mock::Problem& problem) {
  lua::raise(L, problem.code,
             problem.message + (problem.hint.empty() ? "" : " (" + problem.hint + ")"));
}

/// Waits for the server's answer; a problem raises with its code, a value is returned.
int wait_for_outcome(lua_State* L, stage::OutcomePtr outcome, Duration within) {
  Wait wait = Wait::for_outcome(Impl::world_of(L), std::move(outcome), within);
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    if (const mock::Problem* problem = ended.outcome()->problem()) raise(S, *problem);
    push_text_or_nil(S, ended.outcome()->value()->value);
    return 1;
  });
}

int phone_scan(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  const std::string_view picture = text_at(L, 2, "phone:scan takes a picture: PNG or JPEG bytes");
  const Options options(L, 3, "phone:scan", {"within"});
  // The mock itself gives up after 10 s.
  return wait_for_outcome(L, phone.scan(as_bytes(picture)), within_of(options, 15s));
}

int phone_unlink(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  std::string jid;
  if (luaL_testudata(L, 2, "device")) {
    jid = Impl::world_of(L).server().jid(device_at(L, 2).name());
    if (jid.empty())
      lua::raise(L, "unknown_device", "device " + device_at(L, 2).name() + " is not linked");
  } else {
    jid = text_at(L, 2, "phone:unlink takes a device or its JID");
  }
  const Options options(L, 3, "phone:unlink", {"within"});
  return wait_for_outcome(L, phone.unlink(std::move(jid)), within_of(options));
}

int phone_companions(lua_State* L) {
  json::array list;
  for (const mock::CompanionInfo& companion : phone_at(L).companions()) {
    list.push_back({{"jid", companion.device_jid},
                    {"label", companion.label},
                    {"platform", companion.platform},
                    {"online", companion.online},
                    {"prekeys", companion.prekeys}});
  }
  push_json(L, list);
  return 1;
}

constexpr Member kPhone[] = {
    {"scan", phone_scan},
    {"unlink", phone_unlink},
    {"companions", phone_companions, true},
    {"id",
     [](lua_State* L) {
       push_text(L, phone_at(L).id());
       return 1;
     },
     true},
    {"number",
     [](lua_State* L) {
       push_text(L, phone_at(L).number());
       return 1;
     },
     true},
};

// ---- device -------------------------------------------------------------------------------------

/// The device's answer to a command; an error raises with its code.
int wait_for_answer(lua_State* L, stage::Device& device, stage::Ref ref, const char* what,
                    Finish finish) {
  Wait wait = Wait::for_answer(Impl::world_of(L), device, ref, what, kDefaultWithin);
  return Impl::of(L).wait_for(
      L, std::move(wait), [finish = std::move(finish)](lua_State* S, const Wait& ended) {
        const json::object& data = ended.entry()->data;
        if (ended.entry()->kind == "error") {
          const auto text = [&](const char* key) {
            const json::value* value = data.if_contains(key);
            return value && value->is_string() ? std::string(value->get_string()) : std::string();
          };
          lua::raise(S, text("code"), text("text"));
        }
        return finish ? finish(S, ended) : 0;
      });
}

int device_start(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.start(), "start", {});
}
int device_stop(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.stop(), "stop", {});
}
int device_logout(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.logout(), "logout", {});
}
int device_delete(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.remove(), "delete", {});
}
int device_kill(lua_State* L) {
  device_at(L).kill();
  return 0;
}

int push_inspected(lua_State* L, const Wait& wait) {
  json::object data = wait.entry()->data;
  data.erase("ref");
  push_strict(L, data,
              {"credentials", "generation", "stored", "rss_bytes", "open_files", "timers"});
  return 1;
}
int device_inspect(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.inspect(), "inspect", push_inspected);
}
/// A field that only the client knows: asking waits for its answer.
template <const char* const& kField>
int device_inspected(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.inspect(), "inspect",
                         [](lua_State* S, const Wait& wait) {
                           const json::value* value = wait.entry()->data.if_contains(kField);
                           push_json(S, value ? *value : json::value(nullptr));
                           return 1;
                         });
}
constexpr const char* kCredentials = "credentials";
constexpr const char* kStored = "stored";
constexpr const char* kGeneration = "generation";

int device_await(lua_State* L) {
  stage::Device& device = device_at(L);
  const std::string state(text_at(L, 2, "device:await takes a state, such as \"connected\""));
  unwrap(L, stage::check_state_word(state));
  const Options options(L, 3, "device:await", {"within", "reason"});
  Wait wait = Wait::for_state(Impl::world_of(L), device, state, options.text("reason").value_or(""),
                              within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_strict(
        S, ended.entry()->data,
        {"state", "reason", "attempts", "code", "cause", "next_attempt_ms", "jid", "until_ms"});
    return 1;
  });
}

void push_picture(lua_State* L, const stage::QrPicture& picture) {
  const Bytes png = unwrap(L, picture.png());
  push_text(L, as_text(png));
}

int device_await_qr(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:await_qr", {"within"});
  Wait wait = Wait::for_qr(Impl::world_of(L), device, within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_picture(S, ended.entry()->qr);
    return 1;
  });
}

int device_qr(lua_State* L) {
  const stage::QrPicture& picture = device_at(L).qr();
  if (picture.empty()) return lua_pushnil(L), 1;
  return push_picture(L, picture), 1;
}

int device_history(lua_State* L) {
  const stage::Device& device = device_at(L);
  std::string kind;
  if (!lua_isnoneornil(L, 2)) kind = text_at(L, 2, "device:history takes a kind, such as \"qr\"");
  json::array list;
  for (std::size_t i = device.started_at().value_or(device.history().size());
       i < device.history().size(); ++i) {
    const stage::Entry& entry = device.history()[i];
    if (!kind.empty() && entry.kind != kind) continue;
    json::object row = entry.data;
    row["kind"] = entry.kind;
    row["at"] = seconds_of(entry.at);
    list.push_back(std::move(row));
  }
  push_json(L, list);
  return 1;
}

int device_last_close(lua_State* L) {
  const stage::Device& device = device_at(L);
  std::optional<json::object> close = device.last_close();
  if (!close) {
    if (const auto sent = Impl::world_of(L).server().last_close(device.name())) {
      close = json::object{{"code", sent->code ? json::value(*sent->code) : json::value(nullptr)},
                           {"cause", sent->cause}};
    }
  }
  if (!close) return lua_pushnil(L), 1;
  push_strict(L, *close, {"code", "cause"});
  return 1;
}

int device_states(lua_State* L) {
  json::array list;
  for (const std::string& state : device_at(L).states()) list.emplace_back(state);
  push_json(L, list);
  return 1;
}

int push_count(lua_State* L, std::uint64_t count) {
  lua_pushinteger(L, static_cast<lua_Integer>(count));
  return 1;
}

constexpr Member kDevice[] = {
    {"start", device_start},
    {"stop", device_stop},
    {"logout", device_logout},
    {"delete", device_delete},
    {"kill", device_kill},
    {"inspect", device_inspect},
    {"await", device_await},
    {"await_qr", device_await_qr},
    {"history", device_history},
    {"name",
     [](lua_State* L) {
       push_text(L, device_at(L).name());
       return 1;
     },
     true},
    {"state",
     [](lua_State* L) {
       push_text(L, device_at(L).state());
       return 1;
     },
     true},
    {"reason",
     [](lua_State* L) {
       push_text_or_nil(L, device_at(L).reason());
       return 1;
     },
     true},
    {"states", device_states, true},
    {"attempts", [](lua_State* L) { return push_count(L, device_at(L).attempts()); }, true},
    {"qr", device_qr, true},
    {"last_close", device_last_close, true},
    {"connects",
     [](lua_State* L) {
       return push_count(L, Impl::world_of(L).server().connects(device_at(L).name()));
     },
     true},
    {"streams",
     [](lua_State* L) {
       return push_count(L, Impl::world_of(L).server().streams(device_at(L).name()));
     },
     true},
    {"jid",
     [](lua_State* L) {
       push_text_or_nil(L, Impl::world_of(L).server().jid(device_at(L).name()));
       return 1;
     },
     true},
    {"credentials", device_inspected<kCredentials>, true},
    {"stored", device_inspected<kStored>, true},
    {"generation", device_inspected<kGeneration>, true},
};

// ---- engine -------------------------------------------------------------------------------------

const EngineHandle& engine_at(lua_State* L) {
  return *static_cast<const EngineHandle*>(object_at(L, 1, Kind::engine));
}

/// on_replaced = "stop" or "takeover_after(30s)"
std::optional<Duration> takeover_of(lua_State* L, const Options& options) {
  const std::string word = options.text("on_replaced").value_or("stop");
  if (word == "stop") return {};
  constexpr std::string_view kTakeover = "takeover_after(";
  if (!word.starts_with(kTakeover) || !word.ends_with(")")) {
    lua::raise(L, "usage",
               "engine:device: \"on_replaced\" takes \"stop\" or \"takeover_after(30s)\", not \"" +
                   word + "\"");
  }
  return unwrap(L, mock::parse_duration(std::string_view(word).substr(
                       kTakeover.size(), word.size() - kTakeover.size() - 1)));
}

int engine_device(lua_State* L) {
  const std::string engine = engine_at(L).name;
  stage::World& world = Impl::world_of(L);
  const std::string name(text_at(L, 2, "engine:device takes a name"));
  const Options options(L, 3, "engine:device",
                        {"auto_renew_qr", "clone_of", "initial_prekeys", "on_replaced", "qr_first",
                         "qr_rest", "unpaired_limit", "version"});
  stage::DeviceOptions wanted;
  wanted.auto_renew_qr = options.count("auto_renew_qr");
  wanted.unpaired_limit = options.count("unpaired_limit");
  wanted.takeover_after = takeover_of(L, options);
  if (const auto count = options.count("initial_prekeys")) wanted.initial_prekeys = *count;
  wanted.qr_first = options.duration("qr_first");
  wanted.qr_rest = options.duration("qr_rest");
  wanted.version = options.text("version");
  wanted.clone_of = options.text("clone_of").value_or("");
  push_handle(L, Kind::device, unwrap(L, world.device(engine, name, wanted)));
  return 1;
}

int engine_new(lua_State* L) {
  // engine.new "second", and engine:new "second" as well.
  const int index = luaL_testudata(L, 1, "engine") ? 2 : 1;
  Impl::world_of(L);
  const std::string name(text_at(L, index, "engine.new takes a name"));
  push_handle(L, Kind::engine, Impl::of(L).engine(name));
  return 1;
}

constexpr Member kEngine[] = {
    {"device", engine_device},
    {"new", engine_new},
    {"name",
     [](lua_State* L) {
       push_text(L, engine_at(L).name);
       return 1;
     },
     true},
};

// ---- faults -------------------------------------------------------------------------------------

const FaultHandle& fault_at(lua_State* L) {
  return *static_cast<const FaultHandle*>(object_at(L, 1, Kind::fault));
}

int fault_fire(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return wait_for_outcome(L, Impl::world_of(L).server().fire_fault(fault.id), kDefaultWithin);
}
int fault_remove(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return wait_for_outcome(L, Impl::world_of(L).server().remove_fault(fault.id), kDefaultWithin);
}
int fault_fired(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  const mock::FaultEngine::Active* active = Impl::world_of(L).server().faults().find(fault.id);
  return push_count(L, active ? active->fired : 0);
}

constexpr Member kFault[] = {
    {"fire", fault_fire},
    {"remove", fault_remove},
    {"id",
     [](lua_State* L) {
       push_text(L, fault_at(L).id);
       return 1;
     },
     true},
    {"fired", fault_fired, true},
};

// ---- server -------------------------------------------------------------------------------------

stage::Server& server_at(lua_State* L) {
  object_at(L, 1, Kind::server);
  return Impl::world_of(L).server();
}

int server_phone(lua_State* L) {
  stage::Server& server = server_at(L);
  const Options options(L, 2, "server:phone", {"number", "name"});
  const auto number = options.text("number");
  if (!number)
    lua::raise(L, "usage",
               "server:phone needs a number: server:phone { number = \"15550100001\" }");
  push_handle(L, Kind::phone, unwrap(L, server.phone(*number, options.text("name").value_or(""))));
  return 1;
}

/// Durations of a fault play faster in loopback, like all others.
void scale_durations(json::value& record, const stage::TimeScale& scale) {
  if (scale.factor == 1 || !record.is_object()) return;
  constexpr std::pair<const char*, const char*> kDurations[] = {
      {"when", "after"}, {"args", "first"}, {"args", "rest"}};
  for (const auto& [part, name] : kDurations) {
    json::value* object = record.get_object().if_contains(part);
    json::value* value =
        object && object->is_object() ? object->get_object().if_contains(name) : nullptr;
    if (!value || !value->is_string()) continue;
    const auto duration = mock::parse_duration(std::string_view(value->get_string()));
    if (!duration) continue;  // the mock says what is wrong with it
    const Duration scaled = scale.apply(*duration, stage::DurationKind::delay);
    *value = std::to_string(scaled / 1us) + "us";
  }
}

int server_fault(lua_State* L) {
  stage::Server& server = server_at(L);
  if (lua_type(L, 2) != LUA_TTABLE) {
    lua::raise(L, "usage", "server:fault takes a record: server:fault { fault = \"close\", … }");
  }
  json::value record = to_json(L, 2);
  if (record.is_array()) record = json::object();
  scale_durations(record, Impl::world_of(L).time_scale());
  push_handle(L, Kind::fault, Impl::of(L).fault(unwrap(L, server.fault(record))));
  return 1;
}

mock::EventKind event_kind(lua_State* L, std::string_view word) {
  std::vector<std::string_view> known;
  for (int i = 0; i <= static_cast<int>(mock::EventKind::violation); ++i) {
    const auto kind = static_cast<mock::EventKind>(i);
    known.push_back(mock::to_string(kind));
    if (known.back() == word) return kind;
  }
  lua::raise(L, "usage", "there is no event \"" + std::string(word) + "\"" + hint(word, known));
}

/// Whether the event carries all of `wanted`.
stage::Match match_data(const mock::TenantEvent& event, const json::object& wanted) {
  for (const auto& member : wanted) {
    const auto found = std::find_if(event.data.begin(), event.data.end(), [&](const auto& datum) {
      return datum.first == std::string_view(member.key());
    });
    const std::string value = member.value().is_string()
                                  ? std::string(member.value().get_string())
                                  : std::to_string(member.value().to_number<std::int64_t>());
    if (found == event.data.end() || found->second != value)
      return {stage::Match::Grade::near, stage::describe(event)};
  }
  return {stage::Match::Grade::full, {}};
}

json::object event_row(stage::Server& server, const stage::ServerEntry& entry) {
  json::object data;
  for (const auto& [key, value] : entry.event.data) data[key] = value;
  return {{"kind", mock::to_string(entry.event.kind)},
          {"device", server.label_of(entry)},
          {"connection", entry.event.connection},
          {"at", seconds_of(entry.at)},
          {"data", std::move(data)}};
}

json::object data_option(lua_State* L, const Options& options) {
  const json::value* data = options.find("data");
  if (!data || (data->is_array() && data->get_array().empty())) return {};
  const bool plain =
      data->is_object() &&
      std::all_of(data->get_object().begin(), data->get_object().end(), [](const auto& member) {
        return member.value().is_string() || member.value().is_int64();
      });
  if (!plain)
    lua::raise(L, "usage", "\"data\" takes texts and numbers by name, such as { tag = \"iq\" }");
  return data->get_object();
}

int server_await(lua_State* L) {
  server_at(L);
  const mock::EventKind kind =
      event_kind(L, text_at(L, 2, "server:await takes an event, such as \"login\""));
  const Options options(L, 3, "server:await", {"within", "device", "data"});
  auto matcher = [wanted = data_option(L, options)](const mock::TenantEvent& event) {
    return match_data(event, wanted);
  };
  Wait wait = Wait::for_event(Impl::world_of(L), kind, options.text("device").value_or(""), matcher,
                              within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_json(S, event_row(Impl::world_of(S).server(), *ended.event()));
    return 1;
  });
}

int server_history(lua_State* L) {
  stage::Server& server = server_at(L);
  const mock::EventKind kind =
      event_kind(L, text_at(L, 2, "server:history takes an event, such as \"login\""));
  const Options options(L, 3, "server:history", {"device", "data"});
  const std::string label = options.text("device").value_or("");
  const json::object wanted = data_option(L, options);
  json::array list;
  for (const stage::ServerEntry& entry : server.history()) {
    if (entry.event.kind != kind || (!label.empty() && server.label_of(entry) != label)) continue;
    if (match_data(entry.event, wanted).grade == stage::Match::Grade::full)
      list.push_back(event_row(server, entry));
  }
  push_json(L, list);
  return 1;
}

int server_violations(lua_State* L) {
  json::array list;
  for (const mock::Violation& violation : server_at(L).violations()) {
    list.push_back(
        {{"rule", violation.rule}, {"device", violation.device}, {"detail", violation.detail}});
  }
  push_json(L, list);
  return 1;
}

constexpr Member kServer[] = {
    {"phone", server_phone},
    {"fault", server_fault},
    {"await", server_await},
    {"history", server_history},
    {"violations", server_violations, true},
};

// ---- expect -------------------------------------------------------------------------------------

int expect_value(lua_State* L) {
  Impl& script = Impl::of(L);
  Impl::world_of(L);
  luaL_checkany(L, 2);
  json::value found = to_json(L, 2);
  push_handle(L, Kind::expectation,
              script.expectation(script.expectations().that(
                  std::move(found), script.argument_text(L, "expect"), Sandbox::where(L))));
  return 1;
}

int expect_never(lua_State* L) {
  Impl& script = Impl::of(L);
  Impl::world_of(L);
  if (!luaL_testudata(L, 1, "device"))
    lua::raise(L, "usage", "expect.never takes a device and a state");
  const std::string state(text_at(L, 2, "expect.never takes a device and a state"));
  unwrap(L, stage::check_state_word(state));
  script.expectations().never(device_at(L, 1), state, Sandbox::where(L));
  return 0;
}

int finish_expect_error(lua_State* L, int status, lua_KContext) {
  Impl& script = Impl::of(L);
  const std::string where = Sandbox::where(L);
  std::optional<Raised> raised;
  if (status == LUA_OK || status == LUA_YIELD) {
    script.expectations().fail({"expectation",
                                "the function was expected to raise an error",
                                "an error",
                                "none",
                                where,
                                {}});
  } else if (status == LUA_ERRRUN && !Sandbox::of(L).spent()) {
    raised = raised_at(L, -1);
  } else {
    return lua_error(L);  // out of memory or of budget: nothing that a script may expect
  }
  push_handle(L, Kind::expected_error, script.expected_error(std::move(raised), where));
  return 1;
}

int expect_error(lua_State* L) {
  Impl::world_of(L);
  if (lua_type(L, 1) != LUA_TFUNCTION) lua::raise(L, "usage", "expect.error takes a function");
  lua_settop(L, 1);
  const int status = lua_pcallk(L, 0, 0, 0, 0, finish_expect_error);
  return finish_expect_error(L, status, 0);
}

constexpr Member kExpect[] = {
    {"never", expect_never},
    {"error", expect_error},
};

stage::Expectation& expectation_at(lua_State* L) {
  return *static_cast<stage::Expectation*>(object_at(L, 1, Kind::expectation));
}
int held(lua_State* L, bool holds) {
  lua_pushboolean(L, holds);
  return 1;
}
double number_at(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER)
    lua::raise(L, "usage", std::string("a number is needed, not a ") + luaL_typename(L, index));
  return lua_tonumber(L, index);
}

constexpr Member kExpectation[] = {
    {"equals", [](lua_State* L) { return held(L, expectation_at(L).equals(to_json(L, 2))); }},
    {"differs", [](lua_State* L) { return held(L, expectation_at(L).differs(to_json(L, 2))); }},
    {"at_least", [](lua_State* L) { return held(L, expectation_at(L).at_least(number_at(L, 2))); }},
    {"at_most", [](lua_State* L) { return held(L, expectation_at(L).at_most(number_at(L, 2))); }},
    {"is_true", [](lua_State* L) { return held(L, expectation_at(L).is_true()); }},
    {"is_nil", [](lua_State* L) { return held(L, expectation_at(L).is_nil()); }},
    {"is_not_nil", [](lua_State* L) { return held(L, expectation_at(L).is_not_nil()); }},
    {"contains", [](lua_State* L) { return held(L, expectation_at(L).contains(to_json(L, 2))); }},
};

ExpectedError& expected_error_at(lua_State* L) {
  return *static_cast<ExpectedError*>(object_at(L, 1, Kind::expected_error));
}

int expected_error_code(lua_State* L) {
  ExpectedError& error = expected_error_at(L);
  const std::string code(text_at(L, 2, ":code takes the code of an error, such as \"stale_ref\""));
  error.asked = true;
  const bool holds = error.raised && error.raised->code == code;
  if (error.raised && !holds) {
    Impl::of(L).expectations().fail({"expectation",
                                     "another error was raised: " + error.raised->failure.message,
                                     code,
                                     error.raised->code,
                                     error.where,
                                     {}});
  }
  return held(L, holds);
}

int expected_error_message(lua_State* L) {
  const ExpectedError& error = expected_error_at(L);
  push_text_or_nil(L, error.raised ? error.raised->failure.message : std::string());
  return 1;
}

constexpr Member kExpectedError[] = {
    {"code", expected_error_code},
    {"message", expected_error_message, true},
};

// ---- globals ------------------------------------------------------------------------------------

int pause(lua_State* L) {
  stage::World& world = Impl::world_of(L);
  const Duration duration =
      unwrap(L, mock::parse_duration(text_at(L, 1, "pause takes a duration, such as \"24h\"")));
  return Impl::of(L).wait_for(L, Wait::pause(world, duration), {});
}

int parallel(lua_State* L) {
  Impl::world_of(L);
  const int count = lua_gettop(L);
  if (count == 0 || count > 100) lua::raise(L, "usage", "parallel takes 1 to 100 functions");
  for (int i = 1; i <= count; ++i) {
    if (lua_type(L, i) != LUA_TFUNCTION) {
      lua::raise(L, "usage", std::string("parallel takes functions, not a ") + luaL_typename(L, i));
    }
  }
  return Impl::of(L).run_parallel(L, count);
}

int scenario(lua_State* L) {
  return Impl::of(L).declare_from(L);
}

int unknown_global(lua_State* L) {
  const std::string name(Sandbox::push_text(L, 2));
  std::vector<std::string> names;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) names.emplace_back(lua_tostring(L, -2));
  }
  std::sort(names.begin(), names.end());
  const std::string near = mock::nearest(name, {names.begin(), names.end()});
  lua::raise(
      L, "usage",
      "there is no \"" + name + "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

template <class T>
const T& as(void* object) {
  return *static_cast<const T*>(object);
}

const Type kTypes[] = {
    {Kind::server, "server", kServer, nullptr},
    {Kind::engine, "engine", kEngine, [](void* object) { return as<EngineHandle>(object).name; }},
    {Kind::phone, "phone", kPhone, [](void* object) { return as<stage::Phone>(object).number(); }},
    {Kind::device, "device", kDevice,
     [](void* object) { return as<stage::Device>(object).name(); }},
    {Kind::fault, "fault", kFault, [](void* object) { return as<FaultHandle>(object).id; }},
    {Kind::expect, "expect", kExpect, nullptr},
    {Kind::expectation, "expect(…)", kExpectation, nullptr},
    {Kind::expected_error, "expect.error(…)", kExpectedError, nullptr},
};

const Type& type_of(Kind kind) {
  return kTypes[static_cast<std::size_t>(kind)];
}

}  // namespace

void install_bindings(lua_State* L) {
  for (const Type& type : kTypes) {
    WA_ASSERT(&type_of(type.kind) == &type);
    luaL_newmetatable(L, type.name);
    const auto set = [&](const char* name, lua_CFunction function) {
      lua_pushlightuserdata(L, const_cast<Type*>(&type));
      lua_pushcclosure(L, function, 1);
      lua_setfield(L, -2, name);
    };
    set("__index", index_object);
    set("__newindex", refuse_assignment);
    set("__tostring", object_text);
    set("__eq", equal_objects);
    set("handle_name", object_called);
    if (type.kind == Kind::expect) set("__call", expect_value);
    lua_pop(L, 1);
  }
  push_handle(L, Kind::server, nullptr);
  lua_setglobal(L, "server");
  push_handle(L, Kind::engine, Impl::of(L).engine("engine"));
  lua_setglobal(L, "engine");
  push_handle(L, Kind::expect, nullptr);
  lua_setglobal(L, "expect");
  lua_register(L, "pause", pause);
  lua_register(L, "parallel", parallel);
  lua_register(L, "scenario", scenario);

  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, unknown_global);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

}  // namespace wa::lua

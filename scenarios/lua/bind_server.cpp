#include <algorithm>

#include "mockserver/core/settings.hpp"
#include "scenarios/lua/objects.hpp"

// `server`, its phones and its faults.
namespace wa::lua {

namespace json = boost::json;
using namespace std::chrono_literals;
using stage::Wait;

namespace {

[[noreturn]] void raise(lua_State* L, const mock::Problem& problem) {
  lua::raise(L, problem.code,
             problem.message + (problem.hint.empty() ? "" : " (" + problem.hint + ")"));
}

}  // namespace

stage::Phone& phone_at(lua_State* L) {
  return *static_cast<stage::Phone*>(object_at(L, 1, kPhoneType));
}

int wait_for_outcome(lua_State* L, stage::OutcomePtr outcome, Duration within) {
  Wait wait = Wait::for_outcome(Impl::world_of(L), std::move(outcome), within);
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    if (const mock::Problem* problem = ended.outcome()->problem()) raise(S, *problem);
    push_text_or_nil(S, ended.outcome()->value()->value);
    return 1;
  });
}

namespace {

// ---- phone --------------------------------------------------------------------------------------

int phone_scan(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  const std::string_view picture = text_at(L, 2, "phone:scan takes a picture: PNG or JPEG bytes");
  const Options options(L, 3, "phone:scan", {"within"});
  // The mock itself gives up after 10 s.
  return wait_for_outcome(L, phone.scan(as_bytes(picture)), within_of(options, 15s));
}

int phone_enter_code(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  std::string code(text_at(L, 2, "phone:enter_code takes a code, such as \"ABCD-1234\""));
  const Options options(L, 3, "phone:enter_code", {"within"});
  // The mock gives up after 10 s without companion_finish, and 10 s without pair-device-sign.
  return wait_for_outcome(L, phone.enter_code(std::move(code)), within_of(options, 25s));
}

int phone_unlink(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  std::string jid;
  if (is_object(L, 2, kDeviceType)) {
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
    {"enter_code", phone_enter_code},
    {"unlink", phone_unlink},
    {"send", phone_send},
    {"read", phone_read},
    {"await_message", phone_await_message},
    {"await_undecryptable", phone_await_undecryptable},
    {"await_receipt", phone_await_receipt},
    {"inbox", phone_inbox, true},
    {"messages", phone_messages, true},
    {"presence", phone_presence},
    {"typing", phone_typing},
    {"companions", phone_companions, true},
    {"id",
     [](lua_State* L) {
       push_text(L, phone_at(L).id());
       return 1;
     },
     true},
    {"lid",
     [](lua_State* L) {
       push_text(L, phone_at(L).lid());
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

// ---- faults -------------------------------------------------------------------------------------

const FaultHandle& fault_at(lua_State* L) {
  return *static_cast<const FaultHandle*>(object_at(L, 1, kFaultType));
}

int fault_fire(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return wait_for_outcome(L, Impl::world_of(L).server().fire_fault(fault.id), kDefaultWithin);
}
int fault_remove(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return wait_for_outcome(L, Impl::world_of(L).server().remove_fault(fault.id), kDefaultWithin);
}
int fault_heal(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return wait_for_outcome(L, Impl::world_of(L).server().heal_fault(fault.id), kDefaultWithin);
}
/// Null once it was removed.
const mock::FaultEngine::Active* record_of(lua_State* L) {
  const FaultHandle& fault = fault_at(L);
  return Impl::world_of(L).server().faults().find(fault.id);
}
int fault_fired(lua_State* L) {
  const mock::FaultEngine::Active* record = record_of(L);
  return push_count(L, record ? record->fired : 0);
}
int fault_healed(lua_State* L) {
  const mock::FaultEngine::Active* record = record_of(L);
  lua_pushboolean(L, record != nullptr && record->healed);
  return 1;
}
int fault_active(lua_State* L) {
  const mock::FaultEngine::Active* record = record_of(L);
  lua_pushboolean(L, record != nullptr && record->active());
  return 1;
}

constexpr Member kFault[] = {
    {"fire", fault_fire},
    {"remove", fault_remove},
    {"heal", fault_heal},
    {"id",
     [](lua_State* L) {
       push_text(L, fault_at(L).id);
       return 1;
     },
     true},
    {"fired", fault_fired, true},
    {"healed", fault_healed, true},
    {"active", fault_active, true},
};

// ---- server -------------------------------------------------------------------------------------

stage::Server& server_at(lua_State* L) {
  object_at(L, 1, kServerType);
  return Impl::world_of(L).server();
}

int server_phone(lua_State* L) {
  stage::Server& server = server_at(L);
  const Options options(L, 2, "server:phone", {"number", "name"});
  const auto number = options.text("number");
  if (!number)
    lua::raise(L, "usage",
               "server:phone needs a number: server:phone { number = \"15550100001\" }");
  const std::string name = options.text("name").value_or("");
  push_object(L, kPhoneType, unwrap(L, server.phone(*number, name)));
  Impl::of(L).note_phone(*number, name);
  return 1;
}

int server_fault(lua_State* L) {
  server_at(L);
  if (lua_type(L, 2) != LUA_TTABLE) {
    lua::raise(L, "usage", "server:fault takes a record: server:fault { fault = \"close\", … }");
  }
  json::value record = to_json(L, 2);
  if (record.is_array()) record = json::object();
  Impl& script = Impl::of(L);
  push_object(L, kFaultType, script.fault(unwrap(L, script.add_fault(record.get_object()))));
  return 1;
}

mock::EventKind event_kind(lua_State* L, std::string_view word) {
  std::vector<std::string_view> known;
  for (int i = 0; i < mock::kEventKinds; ++i) {
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

json::object event_row(lua_State* L, const stage::ServerEntry& entry) {
  const stage::Server& server = Impl::world_of(L).server();
  json::object data;
  for (const auto& [key, value] : entry.event.data) data[key] = value;
  return {{"kind", mock::to_string(entry.event.kind)},
          {"device", server.label_of(entry)},
          {"connection", entry.event.connection},
          {"at", seconds_of(L, entry.at)},
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
    push_json(S, event_row(S, *ended.event()));
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
      list.push_back(event_row(L, entry));
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
    {"phone", server_phone}, {"group", server_group},     {"fault", server_fault},
    {"await", server_await}, {"history", server_history}, {"violations", server_violations, true},
};

}  // namespace

const Type kServerType{"server", kServer, nullptr};
const Type kPhoneType{"phone", kPhone, [](void* object) {
                        return static_cast<const stage::Phone*>(object)->number();
                      }};
const Type kFaultType{"fault", kFault,
                      [](void* object) { return static_cast<const FaultHandle*>(object)->id; }};

}  // namespace wa::lua

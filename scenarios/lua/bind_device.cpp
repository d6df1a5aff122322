#include "mockserver/core/settings.hpp"
#include "scenarios/lua/objects.hpp"
#include "scenarios/stage/damage.hpp"

// `engine` and its devices.
namespace wa::lua {

namespace json = boost::json;
using namespace std::chrono_literals;
using stage::Wait;

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

namespace {

// ---- device -------------------------------------------------------------------------------------

int device_start(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:start", {"pairing_number"});
  const auto number = options.text("pairing_number");
  const stage::Ref ref = number ? device.start_with_code(*number) : device.start();
  return wait_for_answer(L, device, ref, "start", {});
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
int device_hold(lua_State* L) {
  stage::Device& device = device_at(L);
  std::string point(text_at(L, 2, "device:hold takes the name of a commit, such as \"paired\""));
  const std::string_view phase = text_at(L, 3, "device:hold takes \"before\" or \"after\"");
  const lua_Integer nth = luaL_optinteger(L, 4, 1);
  if (nth < 1 || nth > 1'000'000) lua::raise(L, "usage", "device:hold counts from 1");
  const stage::Ref ref = device.hold(std::move(point), unwrap(L, stage::parse_hold_phase(phase)),
                                     static_cast<std::uint32_t>(nth));
  return wait_for_answer(L, device, ref, "hold", {});
}
int device_release(lua_State* L) {
  stage::Device& device = device_at(L);
  return wait_for_answer(L, device, device.release(), "release", {});
}
int device_await_held(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:await_held", {"within"});
  Wait wait = Wait::for_entry(
      Impl::world_of(L), device, "held at a commit",
      [](const stage::Entry& entry) {
        using Grade = stage::Match::Grade;
        return stage::Match{entry.kind == "held" ? Grade::full : Grade::none, {}};
      },
      within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_strict(S, ended.entry()->data, {"point", "phase"});
    return 1;
  });
}
int device_kill(lua_State* L) {
  device_at(L).kill();
  return 0;
}

int device_damage_stored(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:damage_stored", {"record", "how"});
  const auto record = options.text("record");
  if (!record) {
    lua::raise(L, "usage",
               "device:damage_stored takes the record, such as { record = \"credentials\" }");
  }
  const stage::Damage damage =
      unwrap(L, stage::parse_damage(*record, options.text("how").value_or("flip")));
  unwrap(L, device.damage_stored(damage, Impl::world_of(L).devices()));
  return 0;
}

int device_copy_stored(lua_State* L) {
  return push_count(L, unwrap(L, device_at(L).copy_stored()));
}
int device_restore_stored(lua_State* L) {
  const lua_Integer copy = luaL_checkinteger(L, 2);
  if (copy < 1) lua::raise(L, "usage", "device:restore_stored takes what copy_stored returned");
  unwrap(L,
         device_at(L).restore_stored(static_cast<std::size_t>(copy), Impl::world_of(L).devices()));
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
    push_strict(S, ended.entry()->data,
                {"state", "reason", "attempts", "code", "cause", "next_attempt_ms", "jid",
                 "until_ms", "pairing_error", "owner"});
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

int device_await_pairing_code(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:await_pairing_code", {"within"});
  Wait wait = Wait::for_pairing_code(Impl::world_of(L), device, within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_text(S, ended.entry()->pairing_code);
    return 1;
  });
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
    row["at"] = seconds_of(L, entry.at);
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

constexpr Member kDevice[] = {
    {"start", device_start},
    {"stop", device_stop},
    {"logout", device_logout},
    {"delete", device_delete},
    {"kill", device_kill},
    {"hold", device_hold},
    {"release", device_release},
    {"await_held", device_await_held},
    {"damage_stored", device_damage_stored},
    {"copy_stored", device_copy_stored},
    {"restore_stored", device_restore_stored},
    {"inspect", device_inspect},
    {"await", device_await},
    {"await_qr", device_await_qr},
    {"await_pairing_code", device_await_pairing_code},
    {"history", device_history},
    {"send", device_send},
    {"read", device_read},
    {"trust", device_trust},
    {"await_sent", device_await_sent},
    {"await_message", device_await_message},
    {"await_undecryptable", device_await_undecryptable},
    {"await_receipt", device_await_receipt},
    {"group_create", device_group_create},
    {"group_add", device_group_add},
    {"group_remove", device_group_remove},
    {"presence", device_presence},
    {"follow", device_follow},
    {"typing", device_typing},
    {"await_presence", device_await_presence},
    {"await_typing", device_await_typing},
    {"inbox", device_inbox, true},
    {"undecryptable", device_undecryptable, true},
    {"receipts", device_receipts, true},
    {"sends", device_sends, true},
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
    {"pairing_code",
     [](lua_State* L) {
       push_text_or_nil(L, device_at(L).pairing_code());
       return 1;
     },
     true},
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
    {"stored_digest",
     [](lua_State* L) {
       push_text_or_nil(L, unwrap(L, device_at(L).stored_digest()));
       return 1;
     },
     true},
};

// ---- engine -------------------------------------------------------------------------------------

const EngineHandle& engine_at(lua_State* L) {
  return *static_cast<const EngineHandle*>(object_at(L, 1, kEngineType));
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
  const Options options(
      L, 3, "engine:device",
      {"auto_renew_qr", "clone_of", "expected_number", "initial_prekeys", "on_replaced", "proxy",
       "qr_first", "qr_rest", "strict_identity", "unpaired_limit", "version"});
  stage::DeviceOptions wanted;
  wanted.auto_renew_qr = options.count("auto_renew_qr");
  wanted.unpaired_limit = options.count("unpaired_limit");
  wanted.takeover_after = takeover_of(L, options);
  if (const auto count = options.count("initial_prekeys")) wanted.initial_prekeys = *count;
  wanted.qr_first = options.duration("qr_first");
  wanted.qr_rest = options.duration("qr_rest");
  wanted.version = options.text("version");
  wanted.clone_of = options.text("clone_of").value_or("");
  wanted.strict_identity = options.flag("strict_identity").value_or(false);
  wanted.expected_number = options.text("expected_number").value_or("");
  wanted.proxy = options.text("proxy").value_or("");
  push_object(L, kDeviceType, unwrap(L, world.device(engine, name, wanted)));
  Impl::of(L).note_device(engine, name, options.json());
  return 1;
}

int engine_new(lua_State* L) {
  // engine.new "second", and engine:new "second" as well.
  const int index = is_object(L, 1, kEngineType) ? 2 : 1;
  Impl::world_of(L);
  const std::string name(text_at(L, index, "engine.new takes a name"));
  push_object(L, kEngineType, Impl::of(L).engine(name));
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

}  // namespace

const Type kDeviceType{"device", kDevice, [](void* object) {
                         return static_cast<const stage::Device*>(object)->name();
                       }};
const Type kEngineType{"engine", kEngine,
                       [](void* object) { return static_cast<const EngineHandle*>(object)->name; }};

}  // namespace wa::lua

#include "scenarios/lua/objects.hpp"
#include "scenarios/stage/wishes.hpp"

// Groups, and what users show of themselves: presence and typing.
namespace wa::lua {

namespace json = boost::json;
using stage::Wait;

namespace {

/// Names at `first` and behind, or in one list there, as JIDs.
std::vector<std::string> accounts_at(lua_State* L, int first, const char* verb) {
  json::array names;
  for (int index = first; index <= lua_gettop(L); ++index) {
    json::value name = to_json(L, index);
    if (name.is_array()) {
      for (json::value& one : name.get_array()) names.push_back(std::move(one));
    } else {
      names.push_back(std::move(name));
    }
  }
  std::vector<std::string> jids;
  for (const json::value& name : names) {
    if (!name.is_string()) raise(L, "usage", std::string(verb) + " takes phones, devices, numbers");
    jids.push_back(
        unwrap(L, Impl::world_of(L).server().address(std::string_view(name.get_string()))));
  }
  if (jids.empty()) raise(L, "usage", std::string(verb) + " takes whom: phones, devices, numbers");
  return jids;
}

std::vector<std::string> accounts_of(lua_State* L, const Options& options, std::string_view name) {
  std::vector<std::string> jids;
  for (const std::string& who : options.texts(name)) {
    jids.push_back(unwrap(L, Impl::world_of(L).server().address(who)));
  }
  return jids;
}

json::array list_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

stage::Group& group_at(lua_State* L) {
  return *static_cast<stage::Group*>(object_at(L, 1, kGroupType));
}

int group_add(lua_State* L) {
  stage::Group& group = group_at(L);
  return wait_for_outcome(L, group.add(accounts_at(L, 2, "group:add")), kDefaultWithin);
}
int group_remove(lua_State* L) {
  stage::Group& group = group_at(L);
  return wait_for_outcome(L, group.remove(accounts_at(L, 2, "group:remove")), kDefaultWithin);
}

constexpr Member kGroup[] = {
    {"add", group_add},
    {"remove", group_remove},
    {"jid",
     [](lua_State* L) {
       push_text(L, group_at(L).jid());
       return 1;
     },
     true},
    {"members",
     [](lua_State* L) {
       push_json(L, list_of(group_at(L).members()));
       return 1;
     },
     true},
};

// ---- by a device --------------------------------------------------------------------------------

int change_by_device(lua_State* L, const char* verb, const char* command) {
  stage::Device& device = device_at(L);
  const std::string group =
      is_object(L, 2, kGroupType)
          ? static_cast<stage::Group*>(object_at(L, 2, kGroupType))->jid()
          : std::string(text_at(L, 2, std::string(verb) + " takes a group, or its JID"));
  const stage::Ref ref =
      device.wish(command, {{"group", group}, {"members", list_of(accounts_at(L, 3, verb))}});
  return wait_for_answer(L, device, ref, command, {});
}

std::string_view state_at(lua_State* L, int index, const char* verb) {
  return text_at(L, index, std::string(verb) + " takes what is shown, such as \"composing\"");
}

bool available_at(lua_State* L, const char* verb) {
  const std::string_view word = text_at(L, 2, std::string(verb) + " takes \"available\"");
  if (word != "available" && word != "unavailable") {
    raise(L, "usage",
          std::string(verb) + " takes \"available\" or \"unavailable\", not \"" +
              std::string(word) + "\"");
  }
  return word == "available";
}

int await_shown(lua_State* L, const char* verb, const char* kind,
                std::vector<std::string_view> known) {
  stage::Device& device = device_at(L);
  known.push_back("within");
  const Options options(L, 2, verb, std::move(known));
  stage::Wanted wanted;
  wanted.from = options.text("from").value_or("");
  wanted.chat = options.text("chat").value_or("");
  wanted.kind = options.text("kind").value_or("");
  Wait wait = Wait::for_message(Impl::world_of(L), device, kind, wanted, within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_strict(S, ended.entry()->data, {"from", "chat", "kind", "last_seen"});
    return 1;
  });
}

}  // namespace

int server_group(lua_State* L) {
  object_at(L, 1, kServerType);
  const Options options(L, 2, "server:group", {"subject", "participants", "addressing"});
  const auto members = accounts_of(L, options, "participants");
  if (members.empty()) {
    raise(L, "usage",
          "server:group needs participants, the first of whom is its admin: server:group { "
          "subject = \"Tea\", participants = { phone, other } }");
  }
  std::optional<mock::Addressing> addressing;
  if (const auto word = options.text("addressing")) {
    if (*word != "pn" && *word != "lid") {
      raise(L, "usage", "server:group: \"addressing\" is \"pn\" or \"lid\", not \"" + *word + "\"");
    }
    addressing = *word == "pn" ? mock::Addressing::pn : mock::Addressing::lid;
  }
  push_object(L, kGroupType,
              unwrap(L, Impl::world_of(L).server().group(options.text("subject").value_or("Group"),
                                                         members, addressing)));
  return 1;
}

int device_group_create(lua_State* L) {
  stage::Device& device = device_at(L);
  const Options options(L, 2, "device:group_create", {"subject", "members"});
  const stage::Ref ref =
      device.wish("group_create", {{"subject", options.text("subject").value_or("Group")},
                                   {"members", list_of(accounts_of(L, options, "members"))}});
  return wait_for_answer(L, device, ref, "group_create",
                         [&device](lua_State* S, const Wait& ended) {
                           const json::value* jid = ended.entry()->data.if_contains("jid");
                           if (!jid || !jid->is_string())
                             raise(S, "no_jid", "the client does not say which group");
                           stage::Server& server = Impl::world_of(S).server();
                           push_object(S, kGroupType,
                                       server.group_of(std::string(jid->get_string()),
                                                       server.account(server.jid(device.name()))));
                           return 1;
                         });
}
int device_group_add(lua_State* L) {
  return change_by_device(L, "device:group_add", "group_add");
}
int device_group_remove(lua_State* L) {
  return change_by_device(L, "device:group_remove", "group_remove");
}

int device_presence(lua_State* L) {
  stage::Device& device = device_at(L);
  const bool available = available_at(L, "device:presence");
  return wait_for_answer(L, device, device.wish("presence", {{"available", available}}), "presence",
                         {});
}
int device_follow(lua_State* L) {
  stage::Device& device = device_at(L);
  const auto whom = accounts_at(L, 2, "device:follow");
  return wait_for_answer(L, device, device.wish("presence", {{"subscribe", whom.front()}}),
                         "presence", {});
}
int device_typing(lua_State* L) {
  stage::Device& device = device_at(L);
  const std::string state(state_at(L, 3, "device:typing"));
  unwrap(L, stage::parse_typing(state));
  lua_settop(L, 2);
  const std::string chat = accounts_at(L, 2, "device:typing").front();
  return wait_for_answer(L, device, device.wish("typing", {{"chat", chat}, {"state", state}}),
                         "typing", {});
}
int device_await_presence(lua_State* L) {
  return await_shown(L, "device:await_presence", "presence", {"from", "kind"});
}
int device_await_typing(lua_State* L) {
  return await_shown(L, "device:await_typing", "typing", {"from", "chat", "kind"});
}

int phone_presence(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  return wait_for_outcome(L, phone.show_presence(available_at(L, "phone:presence")),
                          kDefaultWithin);
}
int phone_typing(lua_State* L) {
  using What = mock::ShowTyping::What;
  stage::Phone& phone = phone_at(L);
  const auto typing = unwrap(L, stage::parse_typing(std::string(state_at(L, 3, "phone:typing"))));
  lua_settop(L, 2);
  const What what = typing == messaging::Typing::composing   ? What::composing
                    : typing == messaging::Typing::recording ? What::recording
                                                             : What::paused;
  return wait_for_outcome(L, phone.show_typing(accounts_at(L, 2, "phone:typing").front(), what),
                          kDefaultWithin);
}

const Type kGroupType{"group", kGroup,
                      [](void* object) { return static_cast<const stage::Group*>(object)->jid(); }};

}  // namespace wa::lua

#include "scenarios/lua/objects.hpp"

#include <algorithm>

namespace wa::lua {

namespace json = boost::json;

namespace {

struct Handle {
  const Type* type;
  void* object;
};

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
  lua_pushboolean(L, a && b && a->type == b->type && a->object == b->object);
  return 1;
}

}  // namespace

void install_type(lua_State* L, const Type& type, lua_CFunction call) {
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
  if (call) set("__call", call);
  lua_pop(L, 1);
}

void push_object(lua_State* L, const Type& type, void* object) {
  auto* handle = static_cast<Handle*>(lua_newuserdatauv(L, sizeof(Handle), 0));
  *handle = {&type, object};
  luaL_setmetatable(L, type.name);
}

bool is_object(lua_State* L, int index, const Type& type) {
  return luaL_testudata(L, index, type.name) != nullptr;
}

void* object_at(lua_State* L, int index, const Type& type) {
  auto* handle = static_cast<Handle*>(luaL_testudata(L, index, type.name));
  if (!handle) {
    raise(L, "usage",
          std::string("methods of ") + type.name + " are called with a colon, as in " + type.name +
              ":" + type.members.front().name + "(…)");
  }
  return handle->object;
}

stage::Device& device_at(lua_State* L, int index) {
  return *static_cast<stage::Device*>(object_at(L, index, kDeviceType));
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

int push_count(lua_State* L, std::uint64_t count) {
  lua_pushinteger(L, static_cast<lua_Integer>(count));
  return 1;
}

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

Duration within_of(const Options& options, Duration otherwise) {
  return options.duration("within").value_or(otherwise);
}

double seconds_of(lua_State* L, Instant at) {
  return std::chrono::duration<double>(at - Impl::world_of(L).server().began()).count();
}

}  // namespace wa::lua

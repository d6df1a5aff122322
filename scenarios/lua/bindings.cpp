#include <algorithm>

#include "mockserver/core/settings.hpp"
#include "scenarios/lua/objects.hpp"

// The globals of a scenario file.
namespace wa::lua {

using stage::Wait;

namespace {

int pause(lua_State* L) {
  stage::World& world = Impl::world_of(L);
  const Duration duration =
      unwrap(L, mock::parse_duration(text_at(L, 1, "pause takes a duration, such as \"24h\"")));
  return Impl::of(L).wait_for(L, Wait::pause(world, duration), {});
}

int wait_until(lua_State* L) {
  Impl::world_of(L);
  if (lua_type(L, 1) != LUA_TFUNCTION)
    lua::raise(L, "usage", "wait_until takes a function: wait_until(function() return … end)");
  const Options options(L, 2, "wait_until", {"within"});
  return Impl::of(L).wait_until(L, within_of(options));
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

}  // namespace

void install_bindings(lua_State* L) {
  for (const Type* type : {&kServerType, &kPhoneType, &kGroupType, &kFaultType, &kEngineType,
                           &kDeviceType, &kSendingType, &kExpectationType, &kExpectedErrorType}) {
    install_type(L, *type);
  }
  install_type(L, kExpectType, expect_value);
  push_object(L, kServerType, nullptr);
  lua_setglobal(L, "server");
  push_object(L, kEngineType, Impl::of(L).engine("engine"));
  lua_setglobal(L, "engine");
  push_object(L, kExpectType, nullptr);
  lua_setglobal(L, "expect");
  lua_register(L, "pause", pause);
  lua_register(L, "parallel", parallel);
  lua_register(L, "wait_until", wait_until);
  lua_register(L, "scenario", scenario);

  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, unknown_global);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

}  // namespace wa::lua

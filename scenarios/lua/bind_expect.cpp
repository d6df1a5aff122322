#include "scenarios/lua/objects.hpp"

namespace wa::lua {

namespace json = boost::json;

namespace {

int expect_never(lua_State* L) {
  Impl& script = Impl::of(L);
  Impl::world_of(L);
  if (!is_object(L, 1, kDeviceType))
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
  push_object(L, kExpectedErrorType, script.expected_error(std::move(raised), where));
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
  return *static_cast<stage::Expectation*>(object_at(L, 1, kExpectationType));
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
  return *static_cast<ExpectedError*>(object_at(L, 1, kExpectedErrorType));
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

}  // namespace

int expect_value(lua_State* L) {
  Impl& script = Impl::of(L);
  Impl::world_of(L);
  luaL_checkany(L, 2);
  json::value found = to_json(L, 2);
  push_object(L, kExpectationType,
              script.expectation(script.expectations().that(
                  std::move(found), script.argument_text(L, "expect"), Sandbox::where(L))));
  return 1;
}

const Type kExpectType{"expect", kExpect, nullptr};
const Type kExpectationType{"expect(…)", kExpectation, nullptr};
const Type kExpectedErrorType{"expect.error(…)", kExpectedError, nullptr};

}  // namespace wa::lua

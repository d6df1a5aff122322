#include <cstring>
#include <lua.hpp>

#include "scenarios/lua/pattern.hpp"
#include "scenarios/lua/sandbox.hpp"

namespace wa::lua {

namespace {

/// A matched step is cheaper than an instruction.
constexpr std::int64_t kStepsPerInstruction = 8;

std::string_view text_argument(lua_State* L, int index) {
  std::size_t length = 0;
  const char* text = luaL_checklstring(L, index, &length);
  return {text, length};
}

/// Where a search begins, from 0; beyond the end means that it fails.
std::size_t start_of(lua_State* L, int index, std::size_t length) {
  const lua_Integer init = luaL_optinteger(L, index, 1);
  if (init > 0) return static_cast<std::size_t>(init) - 1;
  if (init == 0) return 0;
  const auto back = std::uint64_t{0} - static_cast<std::uint64_t>(init);
  return back > length ? 0 : length - static_cast<std::size_t>(back);
}

/// Does what `work` does, within a budget of steps that is then charged.
template <class Work>
auto budgeted(lua_State* L, Work&& work) {
  std::int64_t steps = Sandbox::kPatternSteps;
  auto result = work(steps);
  Sandbox::of(L).charge(L, (Sandbox::kPatternSteps - steps) / kStepsPerInstruction);
  if (!result) Sandbox::fail(L, result.error().detail);
  return std::move(*result);
}

Pattern pattern_argument(lua_State* L, int index, bool anchors) {
  auto pattern = Pattern::compile(text_argument(L, index), anchors);
  if (!pattern) Sandbox::fail(L, pattern.error().detail);
  return std::move(*pattern);
}

void push_capture(lua_State* L, std::string_view subject, const Pattern::Capture& capture) {
  if (capture.is_position) {
    lua_pushinteger(L, static_cast<lua_Integer>(capture.begin + 1));
  } else {
    lua_pushlstring(L, subject.data() + capture.begin, capture.length);
  }
}

/// The captures, or the whole match when there are none.
int push_captures(lua_State* L, std::string_view subject, const Pattern::Found& found, bool whole) {
  luaL_checkstack(L, static_cast<int>(Pattern::kMaxCaptures) + 4, "too many captures");
  for (const Pattern::Capture& capture : found.captures) push_capture(L, subject, capture);
  if (!found.captures.empty()) return static_cast<int>(found.captures.size());
  if (!whole) return 0;
  lua_pushlstring(L, subject.data() + found.begin, found.end - found.begin);
  return 1;
}

int find_plain(lua_State* L, std::string_view subject, std::string_view wanted, std::size_t begin) {
  Sandbox::of(L).charge(L, static_cast<std::int64_t>(subject.size() / 16));
  const void* at =
      ::memmem(subject.data() + begin, subject.size() - begin, wanted.data(), wanted.size());
  if (!at) return lua_pushnil(L), 1;
  const auto index = static_cast<lua_Integer>(static_cast<const char*>(at) - subject.data());
  lua_pushinteger(L, index + 1);
  lua_pushinteger(L, index + static_cast<lua_Integer>(wanted.size()));
  return 2;
}

int search(lua_State* L, bool find) {
  const std::string_view subject = text_argument(L, 1);
  const std::string_view text = text_argument(L, 2);
  const std::size_t begin = start_of(L, 3, subject.size());
  if (begin > subject.size()) return lua_pushnil(L), 1;
  if (find && (lua_toboolean(L, 4) || text.find_first_of("^$*+?.([%-") == std::string_view::npos)) {
    return find_plain(L, subject, text, begin);
  }
  const Pattern pattern = pattern_argument(L, 2, true);
  const auto found =
      budgeted(L, [&](std::int64_t& steps) { return pattern.search(subject, begin, steps); });
  if (!found) return lua_pushnil(L), 1;
  if (!find) return push_captures(L, subject, *found, true);
  lua_pushinteger(L, static_cast<lua_Integer>(found->begin + 1));
  lua_pushinteger(L, static_cast<lua_Integer>(found->end));
  return 2 + push_captures(L, subject, *found, false);
}

int find(lua_State* L) {
  return search(L, true);
}
int match(lua_State* L) {
  return search(L, false);
}

/// Upvalues: subject, pattern, where to go on (from 0), where the last match ended (or −1).
int gmatch_next(lua_State* L) {
  const std::string_view subject = text_argument(L, lua_upvalueindex(1));
  const Pattern pattern = pattern_argument(L, lua_upvalueindex(2), false);
  auto at = static_cast<std::size_t>(lua_tointeger(L, lua_upvalueindex(3)));
  const lua_Integer last_end = lua_tointeger(L, lua_upvalueindex(4));
  while (at <= subject.size()) {
    const auto found =
        budgeted(L, [&](std::int64_t& steps) { return pattern.search(subject, at, steps); });
    if (!found) break;
    if (static_cast<lua_Integer>(found->end) == last_end) {  // an empty match where one ended
      at = found->begin + 1;
      continue;
    }
    lua_pushinteger(L, static_cast<lua_Integer>(found->end));
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(L, subject, *found, true);
  }
  lua_pushinteger(L, static_cast<lua_Integer>(subject.size()) + 1);
  lua_replace(L, lua_upvalueindex(3));
  return lua_pushnil(L), 1;
}

int gmatch(lua_State* L) {
  const std::string_view subject = text_argument(L, 1);
  static_cast<void>(pattern_argument(L, 2, false));
  const std::size_t begin = start_of(L, 3, subject.size());
  lua_settop(L, 2);
  lua_pushinteger(L, static_cast<lua_Integer>(std::min(begin, subject.size() + 1)));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

/// Appends what replaces a match. The stack is as the buffer wants it.
void add_replacement(lua_State* L, luaL_Buffer* out, std::string_view subject,
                     const Pattern::Found& found) {
  const std::string_view whole = subject.substr(found.begin, found.end - found.begin);
  const auto capture_text = [&](std::size_t index) {
    if (index == 0 || (index == 1 && found.captures.empty())) {
      luaL_addlstring(out, whole.data(), whole.size());
      return;
    }
    if (index > found.captures.size()) {
      Sandbox::fail(L,
                    "invalid capture index %" + std::to_string(index) + " in replacement string");
    }
    push_capture(L, subject, found.captures[index - 1]);
    luaL_tolstring(L, -1, nullptr);
    lua_remove(L, -2);
    luaL_addvalue(out);
  };
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION: {
      lua_pushvalue(L, 3);
      const int count = push_captures(L, subject, found, true);
      lua_call(L, count, 1);
      break;
    }
    case LUA_TTABLE: {
      if (found.captures.empty()) {
        lua_pushlstring(L, whole.data(), whole.size());
      } else {
        push_capture(L, subject, found.captures.front());
      }
      lua_gettable(L, 3);
      break;
    }
    default: {
      const std::string_view text = text_argument(L, 3);
      for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
          luaL_addchar(out, text[i]);
          continue;
        }
        ++i;
        const char c = i < text.size() ? text[i] : '\0';
        if (c == '%') {
          luaL_addchar(out, '%');
        } else if (c >= '0' && c <= '9') {
          capture_text(static_cast<std::size_t>(c - '0'));
        } else {
          Sandbox::fail(L, "invalid use of '%' in replacement string");
        }
      }
      return;
    }
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, whole.data(), whole.size());
  } else if (lua_isstring(L, -1)) {
    luaL_addvalue(out);
  } else {
    Sandbox::fail(L, std::string("invalid replacement value (a ") + luaL_typename(L, -1) + ")");
  }
}

int gsub(lua_State* L) {
  const std::string_view subject = text_argument(L, 1);
  const Pattern pattern = pattern_argument(L, 2, true);
  const int kind = lua_type(L, 3);
  luaL_argexpected(
      L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE,
      3, "string/function/table");
  const lua_Integer most = luaL_optinteger(L, 4, static_cast<lua_Integer>(subject.size()) + 1);
  lua_settop(L, 3);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  std::size_t at = 0;
  bool ended_here = false;  // the last match ended at `at`
  lua_Integer count = 0;
  while (count < most) {
    const auto found =
        budgeted(L, [&](std::int64_t& steps) { return pattern.match_at(subject, at, steps); });
    if (found && !(ended_here && found->end == at)) {
      ++count;
      add_replacement(L, &out, subject, *found);
      at = found->end;
      ended_here = true;
    } else if (at < subject.size()) {
      luaL_addchar(&out, subject[at]);
      ++at;
      ended_here = false;
    } else {
      break;
    }
    if (pattern.anchored()) break;
  }
  if (at < subject.size()) luaL_addlstring(&out, subject.data() + at, subject.size() - at);
  luaL_pushresult(&out);
  lua_pushinteger(L, count);
  return 2;
}

}  // namespace

void install_patterns(lua_State* L) {
  const luaL_Reg functions[] = {
      {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
}

}  // namespace wa::lua

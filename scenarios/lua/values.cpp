#include "scenarios/lua/values.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <lua.hpp>

#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/settings.hpp"
#include "scenarios/lua/sandbox.hpp"

namespace wa::lua {

namespace json = boost::json;

namespace {

constexpr const char* kErrorType = "error";
constexpr int kMaxDepth = 32;

void set_text(lua_State* L, const char* key, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, key);
}

std::string text_field(lua_State* L, int index, const char* key) {
  std::string text;
  lua_pushstring(L, key);
  if (lua_rawget(L, lua_absindex(L, index)) == LUA_TSTRING) text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

[[noreturn]] void raise_as(lua_State* L, std::string_view code, std::string_view kind,
                           std::string_view message) {
  const std::string where = Sandbox::where(L);
  lua_createtable(L, 0, 4);
  set_text(L, "code", code);
  set_text(L, "kind", kind);
  set_text(L, "message", message);
  set_text(L, "where", where);
  luaL_setmetatable(L, kErrorType);
  lua_error(L);
  WA_UNREACHABLE("lua_error returned");
}

int error_text(lua_State* L) {
  const std::string text = text_field(L, 1, "where") + ": " + text_field(L, 1, "message");
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i++]);
    if (c < 0x80) continue;
    const std::size_t more = c >= 0xf0 && c < 0xf5   ? 3
                             : c >= 0xe0 && c < 0xf0 ? 2
                             : c >= 0xc2 && c < 0xe0 ? 1
                                                     : 0;
    if (more == 0 || i + more > text.size()) return false;
    for (std::size_t k = 0; k < more; ++k) {
      if ((static_cast<unsigned char>(text[i++]) & 0xc0) != 0x80) return false;
    }
  }
  return true;
}

json::value text_value(std::string_view text) {
  if (is_utf8(text)) return json::value(text);
  return json::value("<" + std::to_string(text.size()) + " bytes, sha256 " +
                     to_hex(crypto::sha256(as_bytes(text))) + ">");
}

json::value convert(lua_State* L, int index, int depth);

json::value convert_table(lua_State* L, int index, int depth) {
  if (depth >= kMaxDepth) raise(L, "usage", "a table is nested too deeply");
  luaL_checkstack(L, 4, nullptr);
  index = lua_absindex(L, index);
  const auto length = static_cast<lua_Integer>(lua_rawlen(L, index));
  lua_Integer keys = 0;
  json::object object;
  std::vector<std::pair<std::string, json::value>> members;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    ++keys;
    if (lua_type(L, -2) == LUA_TSTRING) {
      members.emplace_back(lua_tostring(L, -2), convert(L, -1, depth + 1));
    } else if (!(lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
                 lua_tointeger(L, -2) <= length)) {
      raise(L, "usage", "the keys of a table are names, or 1 to n");
    }
    lua_pop(L, 1);
  }
  if (members.empty()) {
    json::array array;
    for (lua_Integer i = 1; i <= length; ++i) {
      lua_rawgeti(L, index, i);
      array.push_back(convert(L, -1, depth + 1));
      lua_pop(L, 1);
    }
    return array;
  }
  if (static_cast<std::size_t>(keys) != members.size()) {
    raise(L, "usage", "a table has either names or numbers as keys, not both");
  }
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [key, value] : members) object[key] = std::move(value);
  return object;
}

json::value convert(lua_State* L, int index, int depth) {
  switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return nullptr;
    case LUA_TBOOLEAN: return lua_toboolean(L, index) != 0;
    case LUA_TNUMBER: {
      if (lua_isinteger(L, index)) return static_cast<std::int64_t>(lua_tointeger(L, index));
      const double number = lua_tonumber(L, index);
      // 1e3 and 6 / 2 are whole numbers for people.
      if (number == std::floor(number) && std::abs(number) < 9e15)
        return static_cast<std::int64_t>(number);
      return number;
    }
    case LUA_TSTRING: {
      std::size_t length = 0;
      const char* text = lua_tolstring(L, index, &length);
      return text_value({text, length});
    }
    case LUA_TTABLE: return convert_table(L, index, depth);
    default: {
      // Handles say what they are called.
      if (luaL_getmetafield(L, index, "handle_name") == LUA_TFUNCTION) {
        lua_pushvalue(L, lua_absindex(L, index < 0 ? index - 1 : index));
        lua_call(L, 1, 1);
        std::string name = lua_tostring(L, -1);
        lua_pop(L, 1);
        return json::value(name);
      }
      raise(L, "usage", std::string("a ") + luaL_typename(L, index) + " cannot stand here");
    }
  }
}

}  // namespace

void raise(lua_State* L, std::string_view code, std::string_view message) {
  raise_as(L, code, "script", message);
}

void raise(lua_State* L, const Error& error) {
  raise_as(L, to_string(error.code), "script", error.detail);
}

void raise(lua_State* L, const stage::Failure& failure) {
  raise_as(L, "timed_out", failure.kind, failure.message);
}

void install_errors(lua_State* L) {
  luaL_newmetatable(L, kErrorType);
  lua_pushcfunction(L, error_text);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

Raised raised_at(lua_State* L, int index) {
  index = lua_absindex(L, index);
  Raised raised;
  bool ours = false;
  if (lua_type(L, index) == LUA_TTABLE && lua_getmetatable(L, index)) {
    luaL_getmetatable(L, kErrorType);
    ours = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
  }
  if (ours) {
    raised.code = text_field(L, index, "code");
    raised.failure.kind = text_field(L, index, "kind");
    raised.failure.message = text_field(L, index, "message");
    raised.failure.where = text_field(L, index, "where");
    return raised;
  }
  raised.code = "error";
  raised.failure.kind = "script";
  raised.failure.message = lua_type(L, index) == LUA_TSTRING
                               ? lua_tostring(L, index)
                               : std::string("the script raised a ") + luaL_typename(L, index);
  return raised;
}

std::string hint(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string near = mock::nearest(word, known);
  if (!near.empty()) return "; did you mean \"" + near + "\"?";
  std::string list;
  for (const std::string_view name : known) list += (list.empty() ? "" : ", ") + std::string(name);
  return list.empty() ? "" : "; there are: " + list;
}

json::value to_json(lua_State* L, int index) {
  return convert(L, index, 0);
}

void push_json(lua_State* L, const json::value& value) {
  luaL_checkstack(L, 4, "nested too deeply");
  switch (value.kind()) {
    case json::kind::null: lua_pushnil(L); break;
    case json::kind::bool_: lua_pushboolean(L, value.get_bool()); break;
    case json::kind::int64: lua_pushinteger(L, value.get_int64()); break;
    case json::kind::uint64:
      lua_pushinteger(L, static_cast<lua_Integer>(value.get_uint64()));
      break;
    case json::kind::double_: lua_pushnumber(L, value.get_double()); break;
    case json::kind::string:
      lua_pushlstring(L, value.get_string().data(), value.get_string().size());
      break;
    case json::kind::array: {
      lua_newtable(L);
      lua_Integer i = 0;
      for (const json::value& element : value.get_array()) {
        push_json(L, element);
        lua_rawseti(L, -2, ++i);
      }
      break;
    }
    case json::kind::object:
      lua_newtable(L);
      for (const auto& member : value.get_object()) {
        lua_pushlstring(L, member.key().data(), member.key().size());
        push_json(L, member.value());
        lua_rawset(L, -3);
      }
      break;
  }
}

Options::Options(lua_State* L, int index, std::string_view what,
                 std::vector<std::string_view> known)
    : L_(L), what_(what) {
  if (lua_isnoneornil(L, index)) return;
  if (lua_type(L, index) != LUA_TTABLE) {
    raise(L, "usage", what_ + " takes a table of options, not a " + luaL_typename(L, index));
  }
  const json::value table = to_json(L, index);
  if (table.is_array() && table.get_array().empty()) return;
  if (table.is_array())
    raise(L, "usage", what_ + " takes options with names, such as { within = \"2s\" }");
  values_ = table.get_object();
  for (const auto& member : values_) {
    const std::string_view key = member.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    raise(L, "usage", what_ + " has no option \"" + std::string(key) + "\"" + hint(key, known));
  }
}

const json::value* Options::find(std::string_view key) const {
  const json::value* value = values_.if_contains(key);
  return value && !value->is_null() ? value : nullptr;
}

void Options::refuse(std::string_view key, std::string_view takes) const {
  raise(L_, "usage",
        what_ + ": \"" + std::string(key) + "\" takes " + std::string(takes) + ", not " +
            json::serialize(*find(key)));
}

std::optional<std::string> Options::text(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_string()) refuse(key, "a text");
  return std::string(value->get_string());
}

std::optional<bool> Options::flag(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_bool()) refuse(key, "true or false");
  return value->get_bool();
}

std::optional<Duration> Options::duration(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_string()) refuse(key, "a duration with a unit, such as \"10s\"");
  auto duration = mock::parse_duration(std::string_view(value->get_string()));
  if (!duration)
    raise(L_, "usage", what_ + ": \"" + std::string(key) + "\": " + duration.error().detail);
  return *duration;
}

std::optional<double> Options::number(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_number()) refuse(key, "a number");
  return value->to_number<double>();
}

std::optional<std::uint32_t> Options::count(std::string_view key) const {
  const std::optional<double> value = number(key);
  if (!value) return {};
  if (*value < 0 || *value > 1e6 || *value != std::floor(*value)) refuse(key, "a whole number");
  return static_cast<std::uint32_t>(*value);
}

std::vector<std::string> Options::texts(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  std::vector<std::string> list;
  if (const auto* text = value->if_string()) return {std::string(*text)};
  if (!value->is_array()) refuse(key, "a list of texts");
  for (const json::value& element : value->get_array()) {
    if (!element.is_string()) refuse(key, "a list of texts");
    list.emplace_back(element.get_string());
  }
  return list;
}

}  // namespace wa::lua

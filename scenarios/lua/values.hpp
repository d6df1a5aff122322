#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/result.hpp"
#include "scenarios/stage/scenario.hpp"

struct lua_State;

namespace wa::lua {

/// Raises an error value {code, message, where}: what expect.error(f):code(…) looks at.
[[noreturn]] void raise(lua_State* L, std::string_view code, std::string_view message);
[[noreturn]] void raise(lua_State* L, const Error& error);
/// Raises a failure of the stage; its code is "timed_out".
[[noreturn]] void raise(lua_State* L, const stage::Failure& failure);

/// The value of a Result, or raises.
template <class T>
T unwrap(lua_State* L, Result<T> result) {
  if (!result) raise(L, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Makes the metatable of error values. Once per state.
void install_errors(lua_State* L);

/// What an error value at `index` says, also when it is a text that Lua made.
struct Raised {
  std::string code;  ///< "error" for errors without one
  stage::Failure failure;
};
Raised raised_at(lua_State* L, int index);

/// "; did you mean …" for an unknown word; when none is near, the words there are.
std::string hint(std::string_view word, const std::vector<std::string_view>& known);

/// A Lua value as JSON: nil, booleans, numbers, texts; tables with keys 1 to n are arrays, the
/// empty one too. Devices and engines are their names. Texts that are not UTF-8 (pictures) become
/// their size and hash, so that they can be compared and printed. Raises for what has no JSON.
boost::json::value to_json(lua_State* L, int index);
/// Objects and arrays become tables, null becomes nil.
void push_json(lua_State* L, const boost::json::value& value);

/// The table at `index` as named options; without an argument there are none. Raises for other keys
/// than `known`, naming the nearest. `what`: "device:await".
class Options {
 public:
  Options(lua_State* L, int index, std::string_view what, std::vector<std::string_view> known);

  const boost::json::value* find(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<Duration> duration(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<std::uint32_t> count(std::string_view key) const;
  /// A text, or an array of texts.
  std::vector<std::string> texts(std::string_view key) const;
  /// All of them as they were given.
  const boost::json::object& json() const { return values_; }

 private:
  [[noreturn]] void refuse(std::string_view key, std::string_view takes) const;

  lua_State* L_;
  std::string what_;
  boost::json::object values_;
};

}  // namespace wa::lua

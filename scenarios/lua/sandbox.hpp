#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/random.hpp"
#include "engine/base/result.hpp"

struct lua_State;
struct lua_Debug;

namespace wa::lua {

/// A Lua 5.4 state for scenario files: nothing in it reaches outside, and the same file does the
/// same every time.
///
/// - There are assert, error, getmetatable, ipairs, next, pairs, pcall, print, rawequal, rawget,
///   rawlen, rawset, select, setmetatable, tonumber, tostring, type and the libraries math, string,
///   table and utf8. There is no os, io, debug, coroutine, load, require, collectgarbage,
///   string.dump, pack or unpack.
/// - pairs and next go in order: numbers, texts, booleans; other keys raise.
/// - math.random is seeded. tostring and string.format print no addresses.
/// - Metatables with __gc or __mode are refused, also when they gain one later: an object has a
/// copy of
///   its metatable as it was when it was set.
/// - Memory is limited, and so is work: instructions, bytes allocated and steps of library
/// functions
///   draw from one budget, which `refill()` fills. A spent budget ends the run; pcall does not
///   help.
/// - string.find, match, gmatch and gsub also have a budget of steps for each call.
class Sandbox {
 public:
  static constexpr std::size_t kMemoryBytes = 64 * 1024 * 1024;
  static constexpr std::size_t kScriptBytes = 1024 * 1024;
  static constexpr std::int64_t kBudget = 20'000'000;       ///< instructions between two waits
  static constexpr std::int64_t kPatternSteps = 2'000'000;  ///< of one call
  static constexpr std::size_t kPrintedBytes = 64 * 1024;

  explicit Sandbox(std::uint64_t seed);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  lua_State* state() const { return state_; }
  static Sandbox& of(lua_State* L);

  /// A new coroutine with the file as its body; it is on the stack of `state()`. Errors: `usage`
  /// with "path:line: …" (syntax), `too_large`.
  Result<lua_State*> load(std::string_view path, std::string_view text);

  /// Before this coroutine runs.
  void refill(lua_State* thread);
  /// After it ran: what we do to the state ourselves is not limited, as nobody catches its errors.
  void rest();
  /// The budget was spent since it was filled.
  bool spent() const { return budget_ <= 0; }
  /// Draws from the budget. Raises in Lua when it is spent.
  void charge(lua_State* L, std::int64_t work);

  /// What the script printed, one line each.
  const std::string& printed() const { return printed_; }

  /// The place in the file that runs now, "path:line"; empty when none does.
  static std::string where(lua_State* L);
  /// Lua shortens paths above 59 bytes in its messages; this undoes it.
  static std::string with_full_path(std::string message, std::string_view path);
  /// Raises "path:line: message".
  [[noreturn]] static void fail(lua_State* L, std::string_view message);
  /// Pushes the value as text, without addresses; __tostring and __name are asked.
  static std::string_view push_text(lua_State* L, int index);

 private:
  friend struct SandboxFunctions;
  static void* allocate(void* self, void* block, std::size_t old_bytes, std::size_t new_bytes);
  static void count_hook(lua_State* L, lua_Debug* record);
  void open_libraries();

  lua_State* state_ = nullptr;
  lua_State* running_ = nullptr;
  std::size_t memory_bytes_ = 0;
  bool limited_ = false;
  std::int64_t budget_ = kBudget;
  SeededRandom random_;
  std::string printed_;
};

/// Replaces find, match, gmatch and gsub in the table on top of the stack.
void install_patterns(lua_State* L);

}  // namespace wa::lua

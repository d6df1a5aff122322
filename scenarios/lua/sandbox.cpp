#include "scenarios/lua/sandbox.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <lua.hpp>
#include <vector>

namespace wa::lua {

namespace {

constexpr int kHookEvery = 1000;
/// An allocation of so many bytes costs as much as an instruction.
constexpr std::size_t kBytesPerStep = 16;
/// Where a copied metatable keeps the table it was made from.
constexpr char kOriginal = 0;

std::int64_t as_work(std::size_t count) {
  return static_cast<std::int64_t>(std::min<std::size_t>(count, std::size_t{1} << 60));
}

}  // namespace

void* Sandbox::allocate(void* self, void* block, std::size_t old_bytes, std::size_t new_bytes) {
  auto& sandbox = *static_cast<Sandbox*>(self);
  // Without a block the old size is the kind of object.
  const std::size_t held = block ? old_bytes : 0;
  if (new_bytes == 0) {
    std::free(block);
    sandbox.memory_bytes_ -= held;
    return nullptr;
  }
  if (new_bytes > held) {
    if (sandbox.limited_) {
      if (sandbox.memory_bytes_ - held + new_bytes > kMemoryBytes) return nullptr;
      const bool had = sandbox.budget_ > 0;
      sandbox.budget_ -= as_work(new_bytes / kBytesPerStep);
      // The hook raises; here that is not allowed.
      if (had && sandbox.budget_ <= 0) lua_sethook(sandbox.running_, count_hook, LUA_MASKCOUNT, 1);
    }
  }
  void* moved = std::realloc(block, new_bytes);
  if (moved) sandbox.memory_bytes_ = sandbox.memory_bytes_ - held + new_bytes;
  return moved;
}

void Sandbox::count_hook(lua_State* L, lua_Debug* record) {
  Sandbox& sandbox = of(L);
  sandbox.budget_ -= kHookEvery;
  if (sandbox.budget_ > 0) return;
  // From now on every instruction raises, so that pcall cannot keep a loop alive.
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
  lua_getinfo(L, "Sl", record);
  const std::string place = record->currentline > 0 ? std::string(record->source + 1) + ":" +
                                                          std::to_string(record->currentline)
                                                    : where(L);
  lua_pushfstring(L, "%s: more work than %d million instructions without a wait (an endless loop?)",
                  place.c_str(), static_cast<int>(kBudget / 1'000'000));
  lua_error(L);
}

void Sandbox::refill(lua_State* thread) {
  running_ = thread;
  limited_ = true;
  budget_ = kBudget;
  lua_sethook(thread, count_hook, LUA_MASKCOUNT, kHookEvery);
}

void Sandbox::rest() {
  limited_ = false;
}

void Sandbox::charge(lua_State* L, std::int64_t work) {
  budget_ -= std::max<std::int64_t>(work, 0);
  if (budget_ > 0) return;
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
  fail(L, "a library function was asked for more work than a script may do between two waits");
}

Sandbox& Sandbox::of(lua_State* L) {
  return **static_cast<Sandbox**>(lua_getextraspace(L));
}

std::string Sandbox::where(lua_State* L) {
  lua_Debug record;
  for (int level = 0; lua_getstack(L, level, &record); ++level) {
    lua_getinfo(L, "Sl", &record);
    if (record.currentline > 0) {
      return std::string(record.source + 1) + ":" + std::to_string(record.currentline);
    }
  }
  return {};
}

void Sandbox::fail(lua_State* L, std::string_view message) {
  std::string text = where(L);
  if (!text.empty()) text += ": ";
  text += message;
  lua_pushlstring(L, text.data(), text.size());
  lua_error(L);
  WA_UNREACHABLE("lua_error returned");
}

std::string_view Sandbox::push_text(lua_State* L, int index) {
  index = lua_absindex(L, index);
  if (luaL_callmeta(L, index, "__tostring")) {
    if (!lua_isstring(L, -1)) fail(L, "__tostring must return a string");
  } else {
    switch (lua_type(L, index)) {
      case LUA_TSTRING:
      case LUA_TNUMBER: lua_pushvalue(L, index); break;
      case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); break;
      case LUA_TNIL: lua_pushliteral(L, "nil"); break;
      default:
        if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING) {
          lua_pushstring(L, luaL_typename(L, index));
        }
        break;
    }
  }
  std::size_t length = 0;
  const char* text = lua_tolstring(L, -1, &length);
  return {text, length};
}

/// The functions that replace the standard ones.
struct SandboxFunctions {
  static int tostring(lua_State* L) {
    luaL_checkany(L, 1);
    Sandbox::push_text(L, 1);
    return 1;
  }

  static int print(lua_State* L) {
    Sandbox& sandbox = Sandbox::of(L);
    std::string line;
    for (int i = 1; i <= lua_gettop(L); ++i) {
      if (i > 1) line += '\t';
      line += Sandbox::push_text(L, i);
      lua_pop(L, 1);
    }
    line = Sandbox::where(L) + ": " + line + "\n";
    if (sandbox.printed_.size() + line.size() <= Sandbox::kPrintedBytes) sandbox.printed_ += line;
    return 0;
  }

  // ---- order -----------------------------------------------------------------------------------

  /// A key as something that can be sorted: numbers, then texts, then booleans.
  struct Key {
    int rank;
    lua_Number number;
    lua_Integer integer;
    bool is_integer;
    std::string_view text;

    bool operator<(const Key& other) const {
      if (rank != other.rank) return rank < other.rank;
      if (rank == 1) return text < other.text;
      if (is_integer && other.is_integer) return integer < other.integer;
      return number < other.number;
    }
  };

  static Key key_at(lua_State* L, int index) {
    switch (lua_type(L, index)) {
      case LUA_TNUMBER:
        return {0,
                lua_tonumber(L, index),
                lua_isinteger(L, index) ? lua_tointeger(L, index) : 0,
                lua_isinteger(L, index) != 0,
                {}};
      case LUA_TSTRING: {
        std::size_t length = 0;
        const char* text = lua_tolstring(L, index, &length);
        return {1, 0, 0, false, {text, length}};
      }
      case LUA_TBOOLEAN: return {2, 0, lua_toboolean(L, index), true, {}};
      default:
        Sandbox::fail(
            L, std::string("pairs and next need keys that are numbers, strings or booleans, not ") +
                   luaL_typename(L, index));
    }
  }

  static void push_key(lua_State* L, const Key& key) {
    if (key.rank == 1) {
      lua_pushlstring(L, key.text.data(), key.text.size());
    } else if (key.rank == 2) {
      lua_pushboolean(L, key.integer != 0);
    } else if (key.is_integer) {
      lua_pushinteger(L, key.integer);
    } else {
      lua_pushnumber(L, key.number);
    }
  }

  /// The keys stay alive because the table at `index` holds them.
  static std::vector<Key> keys_of(lua_State* L, int index) {
    std::vector<Key> keys;
    lua_pushnil(L);
    while (lua_next(L, index)) {
      lua_pop(L, 1);
      keys.push_back(key_at(L, -1));
    }
    Sandbox::of(L).charge(L, as_work(keys.size()) * 4);
    return keys;
  }

  static int next(lua_State* L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    const std::vector<Key> keys = keys_of(L, 1);
    const Key* least = nullptr;
    const bool from_start = lua_isnil(L, 2);
    const Key after = from_start ? Key{} : key_at(L, 2);
    for (const Key& key : keys) {
      if (!from_start && !(after < key)) continue;
      if (!least || key < *least) least = &key;
    }
    if (!least) return lua_pushnil(L), 1;
    push_key(L, *least);
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
  }

  /// Upvalues: the sorted keys, and how many were given.
  static int next_pair(lua_State* L) {
    while (true) {
      const lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;
      lua_pushinteger(L, i);
      lua_replace(L, lua_upvalueindex(2));
      if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL) return 1;
      lua_pushvalue(L, -1);
      lua_rawget(L, 1);
      if (!lua_isnil(L, -1)) return 2;  // nil: removed by the loop
      lua_pop(L, 2);
    }
  }

  static int pairs(lua_State* L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    std::vector<Key> keys = keys_of(L, 1);
    std::sort(keys.begin(), keys.end());
    lua_createtable(L, static_cast<int>(keys.size()), 0);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      push_key(L, keys[i]);
      lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_pair, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
  }

  // ---- metatables ------------------------------------------------------------------------------

  static int setmetatable(lua_State* L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    const int kind = lua_type(L, 2);
    luaL_argexpected(L, kind == LUA_TNIL || kind == LUA_TTABLE, 2, "nil or table");
    lua_settop(L, 2);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
      Sandbox::fail(L, "cannot change a protected metatable");
    }
    if (kind == LUA_TNIL) {
      lua_setmetatable(L, 1);
      lua_settop(L, 1);
      return 1;
    }
    for (const char* name : {"__gc", "__mode"}) {
      lua_pushstring(L, name);
      if (lua_rawget(L, 2) != LUA_TNIL) {
        Sandbox::fail(L, std::string("a metatable with ") + name +
                             " is not allowed: what it does depends on when memory is collected");
      }
      lua_pop(L, 1);
    }
    lua_newtable(L);  // the copy
    lua_pushnil(L);
    std::int64_t copied = 0;
    while (lua_next(L, 2)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 3 /* the copy */);
      ++copied;
    }
    Sandbox::of(L).charge(L, copied);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, 3, &kOriginal);
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
  }

  static int getmetatable(lua_State* L) {
    luaL_checkany(L, 1);
    // Ours (of strings and of the objects of scenarios) are nobody's business.
    if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) return lua_pushnil(L), 1;
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    lua_rawgetp(L, -1, &kOriginal);
    return 1;
  }

  // ---- math, string, table ---------------------------------------------------------------------

  static int random(lua_State* L) {
    SeededRandom& random = Sandbox::of(L).random_;
    if (lua_gettop(L) == 0) {
      lua_pushnumber(L, static_cast<lua_Number>(random.below(std::uint64_t{1} << 53)) /
                            static_cast<lua_Number>(std::uint64_t{1} << 53));
      return 1;
    }
    const lua_Integer low = lua_gettop(L) == 1 ? 1 : luaL_checkinteger(L, 1);
    const lua_Integer high = luaL_checkinteger(L, lua_gettop(L) == 1 ? 1 : 2);
    luaL_argcheck(L, low <= high, lua_gettop(L) == 1 ? 1 : 2, "interval is empty");
    const std::uint64_t width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    const std::uint64_t drawn = width == UINT64_MAX ? random.next_u64() : random.below(width + 1);
    lua_pushinteger(L, static_cast<lua_Integer>(static_cast<std::uint64_t>(low) + drawn));
    return 1;
  }

  /// Upvalue: the standard function.
  static int call_original(lua_State* L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
  }

  /// Refuses %p; %s prints no addresses.
  static int format(lua_State* L) {
    std::size_t length = 0;
    const char* text = luaL_checklstring(L, 1, &length);
    const std::string_view pattern(text, length);
    int argument = 1;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] != '%') continue;
      if (i + 1 < pattern.size() && pattern[i + 1] == '%') {
        ++i;
        continue;
      }
      ++argument;
      const std::size_t letter = pattern.find_first_not_of("-+#0 .123456789", i + 1);
      if (letter == std::string_view::npos) break;
      if (pattern[letter] == 'p')
        Sandbox::fail(L, "%p prints an address, which differs from run to run");
      if (pattern[letter] == 's' && argument <= lua_gettop(L)) {
        Sandbox::push_text(L, argument);
        lua_replace(L, argument);
      }
      i = letter;
    }
    return call_original(L);
  }

  static int rep(lua_State* L) {
    std::size_t length = 0;
    std::size_t separator = 0;
    luaL_checklstring(L, 1, &length);
    luaL_optlstring(L, 3, "", &separator);
    const lua_Integer count = luaL_checkinteger(L, 2);
    Sandbox::of(L).charge(L, count / 8);
    if (length + separator == 0) return lua_pushliteral(L, ""), 1;
    return call_original(L);
  }

  static lua_Integer length_of(lua_State* L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    return luaL_len(L, 1);
  }

  static int concat(lua_State* L) {
    const lua_Integer first = luaL_optinteger(L, 3, 1);
    const lua_Integer last = lua_isnoneornil(L, 4) ? length_of(L) : luaL_checkinteger(L, 4);
    charge_range(L, first, last);
    return call_original(L);
  }

  static int insert(lua_State* L) {
    const lua_Integer size = length_of(L);
    if (lua_gettop(L) > 2) charge_range(L, luaL_checkinteger(L, 2), size);
    return call_original(L);
  }

  static int remove(lua_State* L) {
    const lua_Integer size = length_of(L);
    if (lua_gettop(L) > 1) charge_range(L, luaL_checkinteger(L, 2), size);
    return call_original(L);
  }

  static int move(lua_State* L) {
    charge_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return call_original(L);
  }

  static int sort(lua_State* L) {
    const lua_Integer size = length_of(L);
    Sandbox::of(L).charge(L, size > Sandbox::kBudget ? Sandbox::kBudget : size * 4);
    return call_original(L);
  }

  static void charge_range(lua_State* L, lua_Integer first, lua_Integer last) {
    if (last < first) return;
    const std::uint64_t count =
        static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
    Sandbox::of(L).charge(L, count > static_cast<std::uint64_t>(Sandbox::kBudget)
                                 ? Sandbox::kBudget
                                 : static_cast<std::int64_t>(count));
  }

  /// Of the table on top of the stack.
  static void wrap(lua_State* L, const char* name, lua_CFunction function) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
  }
  static void remove_field(lua_State* L, const char* name) {
    lua_pushnil(L);
    lua_setfield(L, -2, name);
  }
};

Sandbox::Sandbox(std::uint64_t seed) : random_(seed, "script") {
  state_ = lua_newstate(allocate, this);
  WA_ASSERT(state_);
  *static_cast<Sandbox**>(lua_getextraspace(state_)) = this;
  open_libraries();
}

Sandbox::~Sandbox() {
  limited_ = false;
  lua_close(state_);
}

void Sandbox::open_libraries() {
  using F = SandboxFunctions;
  lua_State* L = state_;
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  for (const char* name : {"collectgarbage", "dofile", "load", "loadfile", "loadstring", "warn",
                           "xpcall", "require", LUA_GNAME}) {
    F::remove_field(L, name);
  }
  const std::array<luaL_Reg, 7> base{luaL_Reg{"tostring", F::tostring},
                                     {"print", F::print},
                                     {"next", F::next},
                                     {"pairs", F::pairs},
                                     {"setmetatable", F::setmetatable},
                                     {"getmetatable", F::getmetatable},
                                     {nullptr, nullptr}};
  luaL_setfuncs(L, base.data(), 0);
  lua_pop(L, 1);

  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
  F::remove_field(L, "randomseed");
  lua_pushcfunction(L, F::random);
  lua_setfield(L, -2, "random");
  lua_pop(L, 1);

  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  for (const char* name : {"dump", "pack", "unpack", "packsize"}) F::remove_field(L, name);
  F::wrap(L, "format", F::format);
  F::wrap(L, "rep", F::rep);
  install_patterns(L);
  lua_pop(L, 1);

  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  F::wrap(L, "concat", F::concat);
  F::wrap(L, "insert", F::insert);
  F::wrap(L, "remove", F::remove);
  F::wrap(L, "move", F::move);
  F::wrap(L, "sort", F::sort);
  lua_pop(L, 1);

  luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
  lua_pop(L, 1);

  // The libraries are globals; nobody needs the registry's table of them.
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

std::string Sandbox::with_full_path(std::string message, std::string_view path) {
  constexpr std::size_t kShown = LUA_IDSIZE - 1;
  if (path.size() <= kShown) return message;
  const std::string shown = "..." + std::string(path.substr(path.size() - (kShown - 3)));
  if (message.starts_with(shown + ":")) message.replace(0, shown.size(), path);
  return message;
}

Result<lua_State*> Sandbox::load(std::string_view path, std::string_view text) {
  if (text.size() > kScriptBytes) {
    return Error{Errc::too_large, std::string(path) + ": a scenario has at most 1 MiB"};
  }
  lua_State* thread = lua_newthread(state_);
  // "t": no precompiled code.
  const std::string chunk = "@" + std::string(path);
  if (luaL_loadbufferx(thread, text.data(), text.size(), chunk.c_str(), "t") != LUA_OK) {
    return Error{Errc::usage, with_full_path(lua_tostring(thread, -1), path)};
  }
  return thread;
}

}  // namespace wa::lua

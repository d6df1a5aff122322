#pragma once

#include <boost/json/object.hpp>
#include <initializer_list>
#include <lua.hpp>
#include <span>
#include <string>
#include <string_view>

#include "scenarios/lua/script_impl.hpp"

/// The objects of scenario files. Each type is a table of members; what is not in it raises with
/// the nearest name. The guide docs/guides/scenarios.md lists the same members.
namespace wa::lua {

using Impl = Script::Impl;

struct Member {
  const char* name;
  lua_CFunction function;
  bool is_field = false;  ///< called with the object, pushes the value
};

struct Type {
  const char* name;
  std::span<const Member> members;
  /// What the object is called: where a name is expected, the object serves too. May be null.
  std::string (*called)(void* object);
};

extern const Type kServerType;
extern const Type kPhoneType;
extern const Type kGroupType;
extern const Type kFaultType;
extern const Type kEngineType;
extern const Type kDeviceType;
extern const Type kSendingType;
extern const Type kExpectType;
extern const Type kExpectationType;
extern const Type kExpectedErrorType;

/// Makes its metatable. Once per state. `call`: what calling the object does, or null.
void install_type(lua_State* L, const Type& type, lua_CFunction call = nullptr);
void push_object(lua_State* L, const Type& type, void* object);
/// The object at `index`, or raises: a method was called with a dot.
void* object_at(lua_State* L, int index, const Type& type);
bool is_object(lua_State* L, int index, const Type& type);
stage::Device& device_at(lua_State* L, int index = 1);

/// A text argument, or raises "`what`, not a …".
std::string_view text_at(lua_State* L, int index, std::string_view what);
void push_text(lua_State* L, std::string_view text);
/// Nil when it is empty.
void push_text_or_nil(lua_State* L, std::string_view text);
int push_count(lua_State* L, std::uint64_t count);
/// A table that raises for members that are not in `known`, so that a typing error is not nil.
void push_strict(lua_State* L, const boost::json::value& value,
                 std::initializer_list<const char*> known);

/// The device's answer to a command; an error raises with its code.
int wait_for_answer(lua_State* L, stage::Device& device, stage::Ref ref, const char* what,
                    Finish finish);
/// The server's answer; a problem raises with its code, a value is returned.
int wait_for_outcome(lua_State* L, stage::OutcomePtr outcome, Duration within);
stage::Phone& phone_at(lua_State* L);

// Messages, of devices and of phones: bind_messages.cpp.
int device_send(lua_State* L);
int device_read(lua_State* L);
int device_trust(lua_State* L);
int device_await_sent(lua_State* L);
int device_await_message(lua_State* L);
int device_await_undecryptable(lua_State* L);
int device_await_receipt(lua_State* L);
int device_inbox(lua_State* L);
int device_undecryptable(lua_State* L);
int device_receipts(lua_State* L);
int device_sends(lua_State* L);
int phone_send(lua_State* L);
int phone_read(lua_State* L);
int phone_await_message(lua_State* L);
int phone_await_undecryptable(lua_State* L);
int phone_await_receipt(lua_State* L);
int phone_inbox(lua_State* L);
int phone_messages(lua_State* L);

// Groups and presence: bind_groups.cpp.
int server_group(lua_State* L);
int device_group_create(lua_State* L);
int device_group_add(lua_State* L);
int device_group_remove(lua_State* L);
int device_presence(lua_State* L);
int device_follow(lua_State* L);
int device_typing(lua_State* L);
int device_await_presence(lua_State* L);
int device_await_typing(lua_State* L);
int phone_presence(lua_State* L);
int phone_typing(lua_State* L);

/// `expect(value)`.
int expect_value(lua_State* L);

/// How long verbs wait that do not say `within`.
inline constexpr Duration kDefaultWithin = std::chrono::seconds(10);
Duration within_of(const Options& options, Duration otherwise = kDefaultWithin);
/// As `at` of histories: since the scenario began.
double seconds_of(lua_State* L, Instant at);

}  // namespace wa::lua

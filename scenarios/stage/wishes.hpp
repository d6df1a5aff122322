#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <variant>

#include "engine/messaging/messenger.hpp"

/// What a device is asked for beside messages: groups and presence. The simulator and `testline
/// engine` share it, so both understand the same.
namespace wa::stage {

using Wish = std::variant<messaging::GroupRequested, messaging::AvailabilityChanged,
                          messaging::PresenceWanted, messaging::TypingShown>;

/// The capability that a command of the driver protocol needs: `groups` or `presence`. Empty: it is
/// not about these.
std::string_view capability_of(std::string_view command);

/// A command as an engine takes it: group_create {subject, members}, group_add and group_remove
/// {group, members}, presence {available} or {subscribe}, typing {chat, state}.
/// Errors: `usage`, naming the member.
Result<Wish> wish_of(std::string_view command, const boost::json::object& fields);

/// How a wish about a group has ended.
struct GroupAnswer {
  boost::json::object done;  ///< {jid}
  std::string code;          ///< of a failure; empty: there is none
  std::string text;
};
/// Empty: the event answers no such wish.
std::optional<GroupAnswer> group_answer(const messaging::AppEvent::What& what);

/// "composing", "recording" or "paused". Errors: `usage`.
Result<messaging::Typing> parse_typing(std::string_view word);
std::string_view to_string(messaging::Typing typing);

}  // namespace wa::stage

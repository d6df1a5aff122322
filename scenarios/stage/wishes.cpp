#include "scenarios/stage/wishes.hpp"

#include <array>

namespace wa::stage {

namespace json = boost::json;
using messaging::GroupRequested;
using messaging::Typing;

namespace {

constexpr std::array kTypings{Typing::composing, Typing::recording, Typing::paused};

Error wrong(std::string_view command, const std::string& what) {
  return {Errc::usage, std::string(command) + " takes " + what};
}

Result<std::string> text_in(std::string_view command, const json::object& fields,
                            std::string_view name, const std::string& what) {
  const json::value* value = fields.if_contains(name);
  if (!value || !value->is_string() || value->get_string().empty()) {
    return wrong(command, "\"" + std::string(name) + "\", " + what);
  }
  return std::string(value->get_string());
}

Result<wire::Jid> jid_from(std::string_view text) {
  if (text.find('@') == std::string_view::npos)
    return wire::Jid(std::string(text), wire::kServerPn);
  auto jid = wire::Jid::parse(text);
  if (!jid) return Error{Errc::usage, "\"" + std::string(text) + "\" is no JID"};
  return std::move(*jid);
}

Result<wire::Jid> jid_in(std::string_view command, const json::object& fields,
                         std::string_view name) {
  WA_TRY(const std::string text, text_in(command, fields, name, "a number or a JID"));
  return jid_from(text);
}

Result<Wish> group_wish(std::string_view command, const json::object& fields) {
  using What = GroupRequested::What;
  GroupRequested wish;
  wish.what = command == "group_create" ? What::create
              : command == "group_add"  ? What::add
                                        : What::remove;
  if (wish.what == What::create) {
    WA_TRY(wish.subject, text_in(command, fields, "subject", "a text"));
  } else {
    WA_TRY(wish.group, jid_in(command, fields, "group"));
  }
  const json::value* members = fields.if_contains("members");
  if (!members || !members->is_array()) {
    return wrong(command, "\"members\", a list of numbers or JIDs");
  }
  for (const json::value& one : members->get_array()) {
    if (!one.is_string()) return wrong(command, "texts in \"members\"");
    WA_TRY(wire::Jid jid, jid_from(std::string_view(one.get_string())));
    wish.members.push_back(std::move(jid));
  }
  return Wish(std::move(wish));
}

Result<Wish> presence_wish(std::string_view command, const json::object& fields) {
  if (fields.contains("subscribe")) {
    WA_TRY(wire::Jid of, jid_in(command, fields, "subscribe"));
    return Wish(messaging::PresenceWanted{std::move(of)});
  }
  const json::value* available = fields.if_contains("available");
  if (!available || !available->is_bool()) {
    return wrong(command, "\"available\", true or false, or \"subscribe\", a number or a JID");
  }
  return Wish(messaging::AvailabilityChanged{available->get_bool()});
}

}  // namespace

std::string_view to_string(Typing typing) {
  switch (typing) {
    case Typing::composing: return "composing";
    case Typing::recording: return "recording";
    case Typing::paused: return "paused";
  }
  return "unknown";
}

Result<Typing> parse_typing(std::string_view word) {
  for (const Typing typing : kTypings) {
    if (word == to_string(typing)) return typing;
  }
  return Error{Errc::usage, "typing is \"composing\", \"recording\" or \"paused\", not \"" +
                                std::string(word) + "\""};
}

std::string_view capability_of(std::string_view command) {
  if (command == "group_create" || command == "group_add" || command == "group_remove") {
    return "groups";
  }
  return command == "presence" || command == "typing" ? "presence" : "";
}

Result<Wish> wish_of(std::string_view command, const json::object& fields) {
  if (capability_of(command) == "groups") return group_wish(command, fields);
  if (command == "presence") return presence_wish(command, fields);
  if (command != "typing") {
    return Error{Errc::usage, "there is no command \"" + std::string(command) + "\""};
  }
  messaging::TypingShown shown;
  WA_TRY(shown.chat, jid_in(command, fields, "chat"));
  WA_TRY(const std::string state, text_in(command, fields, "state", "a text"));
  WA_TRY(shown.typing, parse_typing(state));
  return Wish(std::move(shown));
}

std::optional<GroupAnswer> group_answer(const messaging::AppEvent::What& what) {
  if (const auto* changed = std::get_if<messaging::GroupChanged>(&what)) {
    GroupAnswer answer{{{"jid", changed->group.to_string()}}, {}, {}};
    if (!changed->refused.empty()) {
      const auto& [member, code] = changed->refused.front();
      answer.code = "refused";
      answer.text = "the server answers " + std::to_string(code) + " for " + member.to_string();
    }
    return answer;
  }
  if (const auto* failed = std::get_if<messaging::GroupFailed>(&what)) {
    std::string text = "the group is as it was";
    if (failed->code) text += ": the server answers " + std::to_string(*failed->code);
    return GroupAnswer{{}, failed->reason, std::move(text)};
  }
  return std::nullopt;
}

}  // namespace wa::stage

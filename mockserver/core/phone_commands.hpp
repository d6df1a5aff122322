#pragma once

#include <boost/json/object.hpp>
#include <variant>

#include "engine/protocol/message/content.hpp"

/// What a phone's user does with messages. Lua and the control API share the JSON form.
namespace wa::mock {

struct SayText {
  std::string text;
  std::string reply_to;  ///< id of a message that the phone has seen; empty: none
  bool operator==(const SayText&) const = default;
};
struct React {
  std::string id;     ///< of the message that is reacted to
  std::string emoji;  ///< empty: taken back
  bool operator==(const React&) const = default;
};
struct EditText {
  std::string id;
  std::string text;
  bool operator==(const EditText&) const = default;
};
struct RevokeMessage {
  std::string id;
  bool operator==(const RevokeMessage&) const = default;
};
/// A Message protobuf as it is.
struct SayRaw {
  Bytes protobuf;
  bool operator==(const SayRaw&) const = default;
};

/// A phone sends a message. Answered with its id, as soon as the server has it.
struct SendMessage {
  std::string phone;  ///< id or number
  std::string to;     ///< a number, or the JID of an account or a group
  std::variant<SayText, React, EditText, RevokeMessage, message::Contact, message::Location, SayRaw>
      what;
  std::string id;  ///< of the message; empty: one is drawn

  /// Exactly one of text, reaction, edit, revoke, contact, location and raw says what:
  ///     {"to": "15550100002", "text": "hello", "reply_to": "3EB0…"}
  ///     {"to": …, "reaction": {"id": "3EB0…", "emoji": "👍"}}
  ///     {"to": …, "edit": {"id": …, "text": …}}      {"to": …, "revoke": "3EB0…"}
  ///     {"to": …, "contact": {"name": …, "vcard": …}}
  ///     {"to": …, "location": {"latitude": 52.5, "longitude": 13.4, "name": …, "address": …}}
  ///     {"to": …, "raw": "0a0568656c6c6f"}
  /// `id` may stand beside it. Errors: `usage`, naming the member.
  static Result<SendMessage> parse(std::string phone, const boost::json::object& object);
};

/// The phone's user reads messages: those who wrote them are told. Ids that the phone has not
/// received are passed over.
struct ReadMessages {
  std::string phone;
  std::vector<std::string> ids;
};

}  // namespace wa::mock

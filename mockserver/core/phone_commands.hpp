#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <variant>
#include <vector>

#include "engine/protocol/message/content.hpp"
#include "engine/protocol/wire/jid.hpp"
#include "mockserver/core/device_key.hpp"

/// What a phone's user does with messages, groups and presence. Lua and the control API share the
/// JSON form of messages.
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

/// A phone makes a group, whose founder and admin it is. Answered with its JID.
struct CreateGroup {
  std::string phone;  ///< id or number
  std::string subject;
  std::vector<std::string> members;  ///< numbers or JIDs, beside the phone itself
  /// How its members are called; empty: as their devices want it.
  std::optional<Addressing> addressing;
};

/// An admin adds members to a group, or removes them. Fails for the first that cannot be.
struct ChangeGroup {
  enum class What { add, remove };
  std::string phone;  ///< the admin
  std::string group;  ///< its JID
  What what = What::add;
  std::vector<std::string> members;
};

/// The phone's user has the app open, or no longer.
struct ShowPresence {
  std::string phone;
  bool available = false;
};

/// The phone's user writes in a chat, records, or pauses.
struct ShowTyping {
  enum class What { composing, recording, paused };
  std::string phone;
  std::string to;  ///< a number, or the JID of an account or a group
  What what = What::composing;
};

/// A number as people write it, or a JID. Errors: `usage`.
Result<wire::Jid> recipient_of(const std::string& to);

}  // namespace wa::mock

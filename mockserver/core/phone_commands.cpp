#include "mockserver/core/phone_commands.hpp"

#include <cmath>

#include "engine/protocol/pairing/pairing_code.hpp"
#include "mockserver/core/json_members.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;

/// A text that must be there; it may be empty.
Result<std::string> wanted(const json::object& object, std::string_view where,
                           std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) {
    return usage(std::string(where) + " takes a text \"" + std::string(key) + "\"");
  }
  return std::string(value->get_string());
}

/// The same, and not empty.
Result<std::string> named(const json::object& object, std::string_view where,
                          std::string_view key) {
  WA_TRY(std::string text, wanted(object, where, key));
  if (text.empty()) return usage("\"" + std::string(key) + "\" is empty");
  return text;
}

Result<double> degrees(const json::object& object, std::string_view key, double most) {
  const json::value* value = object.if_contains(key);
  double number = std::nan("");
  if (value != nullptr && value->is_double()) number = value->get_double();
  if (value != nullptr && value->is_int64()) number = static_cast<double>(value->get_int64());
  if (!(number >= -most && number <= most)) {
    return usage("\"location\" takes \"" + std::string(key) + "\", a number of degrees up to " +
                 std::to_string(static_cast<int>(most)));
  }
  return number;
}

const std::vector<std::string_view> kWhats = {"text",    "reaction", "edit", "revoke",
                                              "contact", "location", "raw"};

}  // namespace

Result<SendMessage> SendMessage::parse(std::string phone, const json::object& object) {
  std::vector<std::string_view> known = {"to", "id", "reply_to"};
  known.insert(known.end(), kWhats.begin(), kWhats.end());
  WA_TRY_VOID(only_members(object, "a message", known));
  SendMessage send;
  send.phone = std::move(phone);
  WA_TRY(send.to, named(object, "a message", "to"));
  WA_TRY(send.id, text_at(object, "id"));
  std::string_view what;
  for (const std::string_view word : kWhats) {
    if (!object.contains(word)) continue;
    if (!what.empty()) {
      return usage("a message has one of " + joined(kWhats) + ", not both \"" + std::string(what) +
                   "\" and \"" + std::string(word) + "\"");
    }
    what = word;
  }
  if (what.empty()) return usage("a message has one of " + joined(kWhats));
  if (object.contains("reply_to") && what != "text") return usage("only a text has \"reply_to\"");

  if (what == "text") {
    SayText say;
    WA_TRY(say.text, wanted(object, "a message", "text"));
    WA_TRY(say.reply_to, text_at(object, "reply_to"));
    send.what = std::move(say);
  } else if (what == "revoke") {
    WA_TRY(std::string id, named(object, "a message", "revoke"));
    send.what = RevokeMessage{std::move(id)};
  } else if (what == "raw") {
    WA_TRY(const std::string hex, wanted(object, "a message", "raw"));
    const auto bytes = from_hex(hex);
    if (!bytes) return usage("\"raw\" takes a Message protobuf in hex");
    send.what = SayRaw{*bytes};
  } else {
    WA_TRY(const json::object inner, object_at(object, what));
    if (what == "reaction") {
      WA_TRY_VOID(only_members(inner, what, {"id", "emoji"}));
      React react;
      WA_TRY(react.id, named(inner, "\"reaction\"", "id"));
      WA_TRY(react.emoji, wanted(inner, "\"reaction\"", "emoji"));
      send.what = std::move(react);
    } else if (what == "edit") {
      WA_TRY_VOID(only_members(inner, what, {"id", "text"}));
      EditText edit;
      WA_TRY(edit.id, named(inner, "\"edit\"", "id"));
      WA_TRY(edit.text, wanted(inner, "\"edit\"", "text"));
      send.what = std::move(edit);
    } else if (what == "contact") {
      WA_TRY_VOID(only_members(inner, what, {"name", "vcard"}));
      message::Contact contact;
      WA_TRY(contact.name, wanted(inner, "\"contact\"", "name"));
      WA_TRY(contact.vcard, wanted(inner, "\"contact\"", "vcard"));
      send.what = std::move(contact);
    } else {
      WA_TRY_VOID(only_members(inner, what, {"latitude", "longitude", "name", "address"}));
      message::Location location;
      WA_TRY(location.latitude, degrees(inner, "latitude", 90));
      WA_TRY(location.longitude, degrees(inner, "longitude", 180));
      WA_TRY(location.name, text_at(inner, "name"));
      WA_TRY(location.address, text_at(inner, "address"));
      send.what = std::move(location);
    }
  }
  return send;
}

Result<wire::Jid> recipient_of(const std::string& to) {
  if (to.find('@') != std::string::npos) return wire::Jid::parse(to);
  WA_TRY(const std::string number, pairing::parse_phone_number(to));
  return wire::Jid(number, wire::kServerPn);
}

}  // namespace wa::mock

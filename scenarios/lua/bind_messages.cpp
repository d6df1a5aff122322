#include "scenarios/lua/objects.hpp"

// What scenarios say and see of messages: those of devices, and those of phones.
namespace wa::lua {

namespace json = boost::json;
using stage::Wait;

namespace {

constexpr std::initializer_list<const char*> kMessageMembers = {
    "id", "chat", "from", "kind", "text", "about", "from_me", "offline", "at"};

/// The message that send is called with: `send { to = …, text = … }`, `send(to, "text")` or
/// `send(to, { text = … })`. Numbers and devices in `to` are JIDs afterwards.
json::object message_at(lua_State* L, const char* verb) {
  const auto refuse = [&] {
    raise(L, "usage",
          std::string(verb) + " takes whom and what: " + verb + "(phone, \"hi\"), or " + verb +
              " { to = phone, text = \"hi\" }");
  };
  json::object message;
  const bool alone = lua_type(L, 2) == LUA_TTABLE && lua_isnoneornil(L, 3);
  const int what = alone ? 2 : 3;
  if (lua_type(L, what) == LUA_TTABLE) {
    json::value table = to_json(L, what);
    if (!table.is_object()) refuse();
    message = std::move(table.get_object());
  } else if (lua_type(L, what) == LUA_TSTRING) {
    message["text"] = text_at(L, what, "a message is a text");
  } else {
    refuse();
  }
  if (!alone) message["to"] = to_json(L, 2);
  const json::value* to = message.if_contains("to");
  if (!to || !to->is_string()) refuse();
  message["to"] = unwrap(L, Impl::world_of(L).server().address(std::string_view(to->get_string())));
  return message;
}

/// An entry as scripts see it.
json::object row_of(lua_State* L, const stage::Entry& entry) {
  json::object row = entry.data;
  for (const char* inner : {"seq", "ref"}) row.erase(inner);
  row["at"] = seconds_of(L, entry.at);
  return row;
}

int push_rows(lua_State* L, const std::vector<const stage::Entry*>& entries) {
  json::array list;
  for (const stage::Entry* entry : entries) list.push_back(row_of(L, *entry));
  push_json(L, list);
  return 1;
}

stage::Wanted wanted_of(const Options& options) {
  stage::Wanted wanted;
  wanted.from = options.text("from").value_or("");
  wanted.chat = options.text("chat").value_or("");
  wanted.kind = options.text("kind").value_or("");
  wanted.text = options.text("text");
  wanted.id = options.text("id").value_or("");
  wanted.about = options.text("about").value_or("");
  wanted.from_me = options.flag("from_me");
  wanted.offline = options.flag("offline");
  return wanted;
}

/// Names that are in `from` and `chat` must mean somebody, or nothing would ever match.
void check_names(lua_State* L, const stage::Wanted& wanted) {
  for (const std::string& who : {wanted.from, wanted.chat}) {
    if (!who.empty()) unwrap(L, Impl::world_of(L).server().address(who));
  }
}

int await_of_device(lua_State* L, const char* verb, const char* kind,
                    std::vector<std::string_view> known) {
  stage::Device& device = device_at(L);
  known.push_back("within");
  const Options options(L, 2, verb, std::move(known));
  const stage::Wanted wanted = wanted_of(options);
  check_names(L, wanted);
  Wait wait = Wait::for_message(Impl::world_of(L), device, kind, wanted, within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [](lua_State* S, const Wait& ended) {
    push_strict(S, row_of(S, *ended.entry()), kMessageMembers);
    return 1;
  });
}

int await_of_phone(lua_State* L, const char* verb, const char* kind,
                   std::vector<std::string_view> known) {
  const stage::Phone& phone = phone_at(L);
  known.push_back("within");
  const Options options(L, 2, verb, std::move(known));
  const stage::Wanted wanted = wanted_of(options);
  check_names(L, wanted);
  Wait wait = Wait::for_message(Impl::world_of(L), phone, kind, wanted, within_of(options));
  return Impl::of(L).wait_for(
      L, std::move(wait), [number = phone.number()](lua_State* S, const Wait& ended) {
        auto said = stage::phone_entry(Impl::world_of(S).server(), number, ended.event()->event);
        said->at = ended.event()->at;
        push_strict(S, row_of(S, *said), kMessageMembers);
        return 1;
      });
}

/// What read is called with: a message, `{ chat = …, ids = { … } }`, or for phones one id.
struct Read {
  std::string chat;
  std::vector<std::string> ids;
};
Read read_at(lua_State* L, const char* verb) {
  Read read;
  if (lua_type(L, 2) == LUA_TSTRING) {
    read.ids.emplace_back(text_at(L, 2, "an id is a text"));
    return read;
  }
  // A message has more members than these.
  const json::value table = to_json(L, 2);
  const json::object* object = table.if_object();
  const auto text = [&](const json::value* value) {
    if (!value || !value->is_string()) {
      raise(L, "usage",
            std::string(verb) + " takes a message, or { chat = phone, ids = { \"3EB0…\" } }");
    }
    return std::string(value->get_string());
  };
  if (!object) text(nullptr);
  if (const json::value* chat = object->if_contains("chat")) read.chat = text(chat);
  const json::value* ids = object->if_contains("ids");
  if (!ids) {
    read.ids.push_back(text(object->if_contains("id")));
  } else if (!ids->is_array()) {
    read.ids.push_back(text(ids));
  } else {
    for (const json::value& id : ids->get_array()) read.ids.push_back(text(&id));
  }
  return read;
}

// ---- what a device was asked to send ------------------------------------------------------------

const stage::Sending& sending_at(lua_State* L, int index = 1) {
  return *static_cast<const stage::Sending*>(object_at(L, index, kSendingType));
}

json::value code_of(const stage::Sending& sending) {
  return sending.code ? json::value(*sending.code) : json::value(nullptr);
}

template <std::string stage::Sending::*kField>
int sending_text(lua_State* L) {
  push_text_or_nil(L, sending_at(L).*kField);
  return 1;
}

constexpr Member kSending[] = {
    {"id", sending_text<&stage::Sending::id>, true},
    {"to", sending_text<&stage::Sending::to>, true},
    {"reason", sending_text<&stage::Sending::reason>, true},
    {"state",
     [](lua_State* L) {
       push_text(L, to_string(sending_at(L).state));
       return 1;
     },
     true},
    {"code",
     [](lua_State* L) {
       push_json(L, code_of(sending_at(L)));
       return 1;
     },
     true},
};

}  // namespace

int device_send(lua_State* L) {
  stage::Device& device = device_at(L);
  json::object message = message_at(L, "device:send");
  unwrap(L, stage::check_message(message));
  const stage::Ref ref = device.send(std::move(message));
  return wait_for_answer(L, device, ref, "send", [&device, ref](lua_State* S, const Wait&) {
    push_object(S, kSendingType, const_cast<stage::Sending*>(device.sending(ref)));
    return 1;
  });
}

int device_await_sent(lua_State* L) {
  stage::Device& device = device_at(L);
  if (!is_object(L, 2, kSendingType)) {
    raise(L, "usage", "device:await_sent takes what device:send has returned");
  }
  const stage::Ref ref = sending_at(L, 2).ref;
  if (device.sending(ref) != &sending_at(L, 2)) {
    raise(L, "usage", "device " + device.name() + " did not send that");
  }
  const Options options(L, 3, "device:await_sent", {"within"});
  Wait wait = Wait::for_sending(Impl::world_of(L), device, ref, within_of(options));
  return Impl::of(L).wait_for(L, std::move(wait), [&device, ref](lua_State* S, const Wait&) {
    const stage::Sending& sending = *device.sending(ref);
    if (sending.state == stage::Sending::State::failed) {
      std::string why =
          "message " + sending.id + " to " + sending.to + " was not sent: " + sending.reason;
      if (sending.code) why += " " + std::to_string(*sending.code);
      raise(S, sending.reason, why);
    }
    push_object(S, kSendingType, const_cast<stage::Sending*>(&sending));
    return 1;
  });
}

int device_read(lua_State* L) {
  stage::Device& device = device_at(L);
  Read read = read_at(L, "device:read");
  if (read.chat.empty()) {
    raise(L, "usage", "device:read takes the chat, too: a message that it got has both");
  }
  read.chat = unwrap(L, Impl::world_of(L).server().address(read.chat));
  return wait_for_answer(L, device, device.read(std::move(read.chat), std::move(read.ids)), "read",
                         {});
}

int device_trust(lua_State* L) {
  stage::Device& device = device_at(L);
  const char* const kUsage = "device:trust takes whom: a phone, a device, a number or a JID";
  const json::value who = to_json(L, 2);
  if (!who.is_string()) raise(L, "usage", kUsage);
  std::string account =
      unwrap(L, Impl::world_of(L).server().address(std::string_view(who.get_string())));
  return wait_for_answer(L, device, device.trust(std::move(account)), "trust", {});
}

int device_await_message(lua_State* L) {
  return await_of_device(L, "device:await_message", "message",
                         {"from", "chat", "kind", "text", "id", "about", "from_me", "offline"});
}
int device_await_undecryptable(lua_State* L) {
  return await_of_device(L, "device:await_undecryptable", "undecryptable", {"from", "id", "text"});
}
int device_await_receipt(lua_State* L) {
  return await_of_device(L, "device:await_receipt", "receipt", {"from", "kind", "id"});
}

int device_inbox(lua_State* L) {
  return push_rows(L, device_at(L).inbox());
}
int device_undecryptable(lua_State* L) {
  return push_rows(L, device_at(L).undecryptable());
}
int device_receipts(lua_State* L) {
  return push_rows(L, device_at(L).receipts());
}

int device_sends(lua_State* L) {
  json::array list;
  for (const stage::Sending& sending : device_at(L).sends()) {
    list.push_back({{"id", sending.id},
                    {"to", sending.to},
                    {"state", to_string(sending.state)},
                    {"reason", sending.reason},
                    {"code", code_of(sending)}});
  }
  push_json(L, list);
  return 1;
}

// ---- phones -------------------------------------------------------------------------------------

int phone_send(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  const json::object message = message_at(L, "phone:send");
  return wait_for_outcome(L, unwrap(L, phone.send(message)), kDefaultWithin);
}

int phone_read(lua_State* L) {
  stage::Phone& phone = phone_at(L);
  return wait_for_outcome(L, phone.read(read_at(L, "phone:read").ids), kDefaultWithin);
}

int phone_await_message(lua_State* L) {
  return await_of_phone(L, "phone:await_message", "message",
                        {"from", "chat", "kind", "text", "id", "about", "from_me"});
}
int phone_await_undecryptable(lua_State* L) {
  return await_of_phone(L, "phone:await_undecryptable", "undecryptable", {"from", "id", "text"});
}
int phone_await_receipt(lua_State* L) {
  return await_of_phone(L, "phone:await_receipt", "receipt", {"from", "kind", "id"});
}

int phone_messages(lua_State* L) {
  json::array list;
  for (const mock::PhoneMessage& message : phone_at(L).messages()) {
    if (message.peer) continue;
    json::object row{{"id", message.id},       {"chat", message.chat},
                     {"from", message.from},   {"kind", message.kind},
                     {"text", message.text},   {"about", message.about},
                     {"why", message.why},     {"failures", message.failures},
                     {"error", message.error}, {"from_me", message.from_me}};
    json::object receipts;
    for (const auto& [device, word] : message.receipts) {
      receipts[device.empty() ? "server" : device] = word;
    }
    row["receipts"] = std::move(receipts);
    list.push_back(std::move(row));
  }
  push_json(L, list);
  return 1;
}

int phone_inbox(lua_State* L) {
  const stage::Phone& phone = phone_at(L);
  const stage::Server& server = Impl::world_of(L).server();
  json::array list;
  for (const stage::ServerEntry& entry : server.history()) {
    auto said = stage::phone_entry(server, phone.number(), entry.event);
    if (!said || said->kind != "message") continue;
    said->at = entry.at;
    list.push_back(row_of(L, *said));
  }
  push_json(L, list);
  return 1;
}

const Type kSendingType{"sent message", kSending, [](void* object) {
                          return static_cast<const stage::Sending*>(object)->id;
                        }};

}  // namespace wa::lua

#include "mockserver/core/phone_memory.hpp"

#include <boost/json/array.hpp>

namespace wa::mock {
namespace {

namespace json = boost::json;

Error bad(std::string_view what) {
  return {Errc::malformed, "accounts: \"memory\": " + std::string(what)};
}

Result<std::string> text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) {
    return bad("\"" + std::string(name) + "\" is not a string");
  }
  return std::string(value->get_string());
}

Result<Bytes> bytes_of(const json::object& object, std::string_view name) {
  WA_TRY(const std::string text, text_of(object, name));
  const auto bytes = from_base64(text);
  if (!bytes) return bad("\"" + std::string(name) + "\" is no base64");
  return *bytes;
}

Result<std::uint64_t> number_of(const json::object& object, std::string_view name,
                                std::uint64_t most) {
  const json::value* value = object.if_contains(name);
  std::uint64_t number = most + 1;
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    number = static_cast<std::uint64_t>(value->get_int64());
  } else if (value != nullptr && value->is_uint64()) {
    number = value->get_uint64();
  }
  if (number > most) return bad("\"" + std::string(name) + "\" is no such number");
  return number;
}

/// An array of objects, each given to `take`. It may be missing.
template <class Take>
Result<void> each(const json::object& object, std::string_view name, Take&& take) {
  const json::value* list = object.if_contains(name);
  if (list == nullptr) return {};
  if (!list->is_array()) return bad("\"" + std::string(name) + "\" is not an array");
  for (const json::value& item : list->get_array()) {
    if (!item.is_object())
      return bad("\"" + std::string(name) + "\" has an item that is no object");
    WA_TRY_VOID(take(item.get_object()));
  }
  return {};
}

void save_device(const DeviceKey& device, json::object& to) {
  to["account"] = device.phone_id;
  to["device"] = device.device;
}

Result<DeviceKey> load_device(const json::object& object) {
  DeviceKey device;
  WA_TRY(device.phone_id, text_of(object, "account"));
  WA_TRY(const std::uint64_t number, number_of(object, "device", 0xffff));
  device.device = static_cast<std::uint16_t>(number);
  return device;
}

json::object save_key(const message::AppStateKeys::One& key) {
  json::array indexes;
  for (const std::uint32_t index : key.device_indexes) indexes.push_back(index);
  return {{"id", to_base64(key.id)},
          {"data", to_base64(key.data)},
          {"raw_id", key.raw_id},
          {"current_index", key.current_index},
          {"device_indexes", std::move(indexes)},
          {"at", key.at.value}};
}

Result<message::AppStateKeys::One> load_key(const json::object& object) {
  message::AppStateKeys::One key;
  WA_TRY(key.id, bytes_of(object, "id"));
  WA_TRY(key.data, bytes_of(object, "data"));
  WA_TRY(const std::uint64_t raw_id, number_of(object, "raw_id", 0xffff'ffff));
  key.raw_id = static_cast<std::uint32_t>(raw_id);
  WA_TRY(const std::uint64_t current, number_of(object, "current_index", 0xffff'ffff));
  key.current_index = static_cast<std::uint32_t>(current);
  const json::value* indexes = object.if_contains("device_indexes");
  if (indexes == nullptr || !indexes->is_array()) return bad("\"device_indexes\" is not an array");
  for (const json::value& index : indexes->get_array()) {
    if (!index.is_int64()) return bad("\"device_indexes\" has an item that is no number");
    key.device_indexes.push_back(static_cast<std::uint32_t>(index.get_int64()));
  }
  WA_TRY(const std::uint64_t at, number_of(object, "at", 1ull << 62));
  key.at = UnixMillis{static_cast<std::int64_t>(at)};
  return key;
}

json::object save_sent(const std::string& id, const PhoneMemory::Sent& sent) {
  json::array resent;
  for (const auto& [device, times] : sent.resent) {
    json::object one = {{"times", times}};
    save_device(device, one);
    resent.push_back(std::move(one));
  }
  return {{"id", id},
          {"chat", sent.chat.to_string()},
          {"message", to_base64(message::encode(sent.envelope))},
          {"peer", sent.peer},
          {"resent", std::move(resent)}};
}

Result<PhoneMemory::Sent> load_sent(const json::object& object) {
  PhoneMemory::Sent sent;
  WA_TRY(const std::string chat, text_of(object, "chat"));
  WA_TRY(sent.chat, wire::Jid::parse(chat));
  WA_TRY(const Bytes bytes, bytes_of(object, "message"));
  WA_TRY(sent.envelope, message::decode(bytes));
  const json::value* peer = object.if_contains("peer");
  if (peer == nullptr || !peer->is_bool()) return bad("\"peer\" is not true or false");
  sent.peer = peer->get_bool();
  WA_TRY_VOID(each(object, "resent", [&](const json::object& one) -> Result<void> {
    WA_TRY(DeviceKey device, load_device(one));
    WA_TRY(const std::uint64_t times, number_of(one, "times", 0xffff'ffff));
    sent.resent[std::move(device)] = static_cast<std::uint32_t>(times);
    return {};
  }));
  return sent;
}

}  // namespace

void PhoneMemory::remember(const std::string& id, Sent message) {
  if (sent.insert_or_assign(id, std::move(message)).second) sent_order.push_back(id);
  if (sent_order.size() <= limits::kMaxPhoneSent) return;
  sent.erase(sent_order.front());
  sent_order.pop_front();
}

void PhoneMemory::forget(const DeviceKey& device) {
  sessions.erase(device);
  earlier_sessions.erase(device);
  for (auto& [group, own] : own_sender_keys) own.distributed_to.erase(device);
  std::erase_if(sender_keys, [&](const auto& entry) { return entry.first.second == device; });
}

json::object PhoneMemory::save() const {
  json::array saved_sessions;
  for (const auto& [device, session] : sessions) {
    json::object saved = {{"session", to_base64(session.encode())}};
    save_device(device, saved);
    saved_sessions.push_back(std::move(saved));
  }
  json::array saved_own;
  for (const auto& [group, own] : own_sender_keys) {
    json::array devices;
    for (const DeviceKey& device : own.distributed_to) {
      json::object one;
      save_device(device, one);
      devices.push_back(std::move(one));
    }
    saved_own.push_back(json::object{{"group", group},
                                     {"key", to_base64(own.key.encode())},
                                     {"distributed_to", std::move(devices)}});
  }
  json::array saved_others;
  for (const auto& [name, keys] : sender_keys) {
    json::object saved = {{"group", name.first}, {"keys", to_base64(keys.encode())}};
    save_device(name.second, saved);
    saved_others.push_back(std::move(saved));
  }
  json::array saved_welcomed;
  for (const std::uint16_t device : welcomed) saved_welcomed.push_back(device);
  json::object saved = {{"sessions", std::move(saved_sessions)},
                        {"own_sender_keys", std::move(saved_own)},
                        {"sender_keys", std::move(saved_others)},
                        {"welcomed", std::move(saved_welcomed)}};
  json::array saved_sent;
  for (const std::string& id : sent_order) saved_sent.push_back(save_sent(id, sent.at(id)));
  saved["sent"] = std::move(saved_sent);
  if (app_state_key) saved["app_state_key"] = save_key(*app_state_key);
  return saved;
}

Result<PhoneMemory> PhoneMemory::load(const json::object& object) {
  PhoneMemory memory;
  WA_TRY_VOID(each(object, "sessions", [&](const json::object& saved) -> Result<void> {
    WA_TRY(const DeviceKey device, load_device(saved));
    WA_TRY(const Bytes bytes, bytes_of(saved, "session"));
    WA_TRY(signal::Session session, signal::Session::decode(bytes));
    memory.sessions.insert_or_assign(device, std::move(session));
    return {};
  }));
  WA_TRY_VOID(each(object, "own_sender_keys", [&](const json::object& saved) -> Result<void> {
    WA_TRY(const std::string group, text_of(saved, "group"));
    WA_TRY(const Bytes bytes, bytes_of(saved, "key"));
    WA_TRY(signal::SenderKey key, signal::SenderKey::decode(bytes));
    OwnSenderKey own{std::move(key), {}};
    WA_TRY_VOID(each(saved, "distributed_to", [&](const json::object& one) -> Result<void> {
      WA_TRY(DeviceKey device, load_device(one));
      own.distributed_to.insert(std::move(device));
      return {};
    }));
    memory.own_sender_keys.insert_or_assign(group, std::move(own));
    return {};
  }));
  WA_TRY_VOID(each(object, "sender_keys", [&](const json::object& saved) -> Result<void> {
    WA_TRY(const std::string group, text_of(saved, "group"));
    WA_TRY(const DeviceKey device, load_device(saved));
    WA_TRY(const Bytes bytes, bytes_of(saved, "keys"));
    WA_TRY(signal::SenderKeys keys, signal::SenderKeys::decode(bytes));
    memory.sender_keys.insert_or_assign({group, device}, std::move(keys));
    return {};
  }));
  WA_TRY_VOID(each(object, "sent", [&](const json::object& saved) -> Result<void> {
    WA_TRY(const std::string id, text_of(saved, "id"));
    WA_TRY(Sent sent, load_sent(saved));
    memory.remember(id, std::move(sent));
    return {};
  }));
  if (const json::value* welcomed = object.if_contains("welcomed")) {
    if (!welcomed->is_array()) return bad("\"welcomed\" is not an array");
    for (const json::value& device : welcomed->get_array()) {
      if (!device.is_int64()) return bad("\"welcomed\" has an item that is no number");
      memory.welcomed.insert(static_cast<std::uint16_t>(device.get_int64()));
    }
  }
  if (const json::value* key = object.if_contains("app_state_key")) {
    if (!key->is_object()) return bad("\"app_state_key\" is not an object");
    WA_TRY(memory.app_state_key, load_key(key->get_object()));
  }
  return memory;
}

}  // namespace wa::mock

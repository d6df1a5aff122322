#include "mockserver/core/accounts.hpp"

#include <algorithm>

#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/signal/phash.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/saved_member.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;

/// How phone-number users were called once; clients still write it at times.
constexpr std::string_view kServerOldPn = "c.us";

json::object save_keys(const std::map<std::uint32_t, crypto::PublicKey>& keys) {
  json::object saved;
  for (const auto& [id, key] : keys) saved[std::to_string(id)] = to_hex(key.bytes);
  return saved;
}

/// An object of keys by pre-key id, given to `take` one by one. A member of a later version may be
/// missing.
template <class Key, class Take>
Result<void> load_keys(const json::object& object, std::string_view name, Take&& take) {
  const json::value* keys = object.if_contains(name);
  if (keys == nullptr) return {};
  if (!keys->is_object()) {
    return Error{Errc::malformed, "accounts: \"" + std::string(name) + "\" is not an object"};
  }
  for (const auto& member : keys->get_object()) {
    const std::string id(member.key());
    if (id.empty() || id.size() > 8 ||
        !std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return Error{Errc::malformed, "accounts: \"" + id + "\" is not a pre-key id"};
    }
    WA_TRY(const Key key, SavedMember(keys->get_object(), id).key<Key>());
    take(static_cast<std::uint32_t>(std::stoul(id)), key);
  }
  return {};
}

json::object save_phone_keys(const PhoneKeys& keys) {
  json::object one_time;
  for (const auto& [id, pair] : keys.one_time) {
    one_time[std::to_string(id)] = to_hex(pair.private_key.bytes);
  }
  return {{"registration_id", keys.registration_id},
          {"signed_prekey_id", keys.signed_pre_key.id},
          {"signed_prekey", to_hex(keys.signed_pre_key.key.private_key.bytes)},
          {"signed_prekey_signature", to_hex(keys.signed_pre_key.signature)},
          {"next_prekey_id", keys.next_one_time_id},
          {"prekeys", std::move(one_time)}};
}

Result<PhoneKeys> load_phone_keys(const json::object& object) {
  PhoneKeys keys;
  const auto pair_of = [](const crypto::PrivateKey& key) {
    return crypto::KeyPair{key, crypto::public_key_of(key)};
  };
  WA_TRY(keys.registration_id, SavedMember(object, "registration_id").number());
  WA_TRY(keys.signed_pre_key.id, SavedMember(object, "signed_prekey_id").number());
  WA_TRY(const auto signed_key, SavedMember(object, "signed_prekey").key<crypto::PrivateKey>());
  keys.signed_pre_key.key = pair_of(signed_key);
  WA_TRY(const std::string signature, SavedMember(object, "signed_prekey_signature").text());
  WA_TRY(const Bytes signature_bytes, from_hex(signature));
  WA_TRY(keys.signed_pre_key.signature, fixed<64>(signature_bytes, "signed_prekey_signature"));
  WA_TRY(keys.next_one_time_id, SavedMember(object, "next_prekey_id").number());
  WA_TRY_VOID(load_keys<crypto::PrivateKey>(object, "prekeys",
                                            [&](std::uint32_t id, const crypto::PrivateKey& key) {
                                              keys.one_time.emplace(id, pair_of(key));
                                            }));
  return keys;
}

json::array save_mailbox(const Mailbox& mailbox) {
  json::array saved;
  for (const Mailbox::Kept& kept : mailbox.kept()) {
    const Bytes bytes = wire::encode(kept.stanza, wire::Dictionary::v3);
    saved.push_back(json::object{{"stanza", to_base64(bytes)}, {"sent", kept.ever_sent}});
  }
  return saved;
}

Result<void> load_mailbox(const json::array& saved, Mailbox& mailbox) {
  for (const json::value& entry : saved) {
    if (!entry.is_object()) {
      return Error{Errc::malformed, "accounts: what waits in a mailbox is no object"};
    }
    WA_TRY(const std::string text, SavedMember(entry.get_object(), "stanza").text());
    WA_TRY(const bool sent, SavedMember(entry.get_object(), "sent").flag());
    auto bytes = from_base64(text);
    if (!bytes) return Error{Errc::malformed, "accounts: a \"stanza\" is no base64"};
    WA_TRY(const wire::Frame frame, wire::decode(std::move(*bytes), wire::Dictionary::v3));
    mailbox.restore(wire::NodeBuilder::copy_of(frame.root()), sent);
  }
  return {};
}

json::object save_companion(const Companion& companion) {
  const pairing::Registration& registration = companion.registration;
  return {{"device", companion.device},
          {"key_index", companion.key_index},
          {"label", legible(companion.label)},
          {"noise_key", to_hex(companion.noise_key.bytes)},
          {"registration_id", registration.registration_id},
          {"identity", to_hex(registration.identity.bytes)},
          {"signed_prekey_id", registration.signed_pre_key_id},
          {"signed_prekey", to_hex(registration.signed_pre_key.bytes)},
          {"signed_prekey_signature", to_hex(registration.signed_pre_key_signature)},
          {"os", legible(registration.os)},
          {"device_identity", to_hex(companion.device_identity)},
          {"dictionary", static_cast<int>(companion.dictionary)},
          {"prekeys", save_keys(companion.prekeys.offered())},
          {"prekeys_handed_out", save_keys(companion.prekeys.handed_out())},
          {"waiting", save_mailbox(companion.mailbox)}};
}

Result<Companion> load_companion(const json::object& object) {
  Companion companion;
  WA_TRY(const std::uint32_t device, SavedMember(object, "device").number());
  companion.device = static_cast<std::uint16_t>(device);
  WA_TRY(companion.key_index, SavedMember(object, "key_index").number());
  WA_TRY(companion.label, SavedMember(object, "label").text());
  WA_TRY(companion.noise_key, SavedMember(object, "noise_key").key<crypto::PublicKey>());
  pairing::Registration& registration = companion.registration;
  WA_TRY(registration.registration_id, SavedMember(object, "registration_id").number());
  WA_TRY(registration.identity, SavedMember(object, "identity").key<crypto::PublicKey>());
  WA_TRY(registration.signed_pre_key_id, SavedMember(object, "signed_prekey_id").number());
  WA_TRY(registration.signed_pre_key,
         SavedMember(object, "signed_prekey").key<crypto::PublicKey>());
  WA_TRY(const std::string signature, SavedMember(object, "signed_prekey_signature").text());
  WA_TRY(const Bytes signature_bytes, from_hex(signature));
  WA_TRY(registration.signed_pre_key_signature,
         fixed<64>(signature_bytes, "signed_prekey_signature"));
  WA_TRY(registration.os, SavedMember(object, "os").text());
  // These were not saved always.
  if (object.contains("device_identity")) {
    WA_TRY(const std::string identity, SavedMember(object, "device_identity").text());
    WA_TRY(companion.device_identity, from_hex(identity));
  }
  if (object.contains("dictionary")) {
    WA_TRY(const std::uint32_t dictionary, SavedMember(object, "dictionary").number());
    companion.dictionary = dictionary == 2 ? wire::Dictionary::v2 : wire::Dictionary::v3;
  }
  WA_TRY_VOID(load_keys<crypto::PublicKey>(object, "prekeys",
                                           [&](std::uint32_t id, const crypto::PublicKey& key) {
                                             (void)companion.prekeys.add(id, key);
                                           }));
  WA_TRY_VOID(load_keys<crypto::PublicKey>(object, "prekeys_handed_out",
                                           [&](std::uint32_t id, const crypto::PublicKey& key) {
                                             companion.prekeys.set_handed_out(id, key);
                                           }));
  if (object.contains("waiting")) {
    WA_TRY(const json::array waiting, SavedMember(object, "waiting").list());
    WA_TRY_VOID(load_mailbox(waiting, companion.mailbox));
  }
  return companion;
}

Result<Phone> load_phone(const json::object& object) {
  Phone phone;
  WA_TRY(phone.id, SavedMember(object, "id").text());
  WA_TRY(phone.number, SavedMember(object, "number").text());
  WA_TRY(phone.name, SavedMember(object, "name").text());
  WA_TRY(phone.lid_user, SavedMember(object, "lid").text());
  WA_TRY(phone.identity.private_key, SavedMember(object, "identity").key<crypto::PrivateKey>());
  phone.identity.public_key = crypto::public_key_of(phone.identity.private_key);
  if (const json::value* keys = object.if_contains("keys")) {
    if (!keys->is_object()) return Error{Errc::malformed, "accounts: \"keys\" is not an object"};
    WA_TRY(phone.keys, load_phone_keys(keys->get_object()));
  }
  if (const json::value* memory = object.if_contains("memory")) {
    if (!memory->is_object())
      return Error{Errc::malformed, "accounts: \"memory\" is not an object"};
    WA_TRY(phone.memory, PhoneMemory::load(memory->get_object()));
  }
  if (object.contains("push_name")) {
    WA_TRY(phone.push_name, SavedMember(object, "push_name").text());
  }
  if (object.contains("contacts")) {
    WA_TRY(const json::array contacts, SavedMember(object, "contacts").list());
    for (const json::value& contact : contacts) {
      if (!contact.is_string()) return Error{Errc::malformed, "accounts: a contact is no text"};
      phone.contacts.emplace(contact.get_string());
    }
  }
  WA_TRY(phone.raw_id, SavedMember(object, "raw_id").number());
  WA_TRY(phone.next_key_index, SavedMember(object, "next_key_index").number());
  WA_TRY(const std::uint32_t next_device, SavedMember(object, "next_device").number());
  phone.next_device = static_cast<std::uint16_t>(next_device);
  WA_TRY(const json::array companions, SavedMember(object, "companions").list());
  for (const json::value& entry : companions) {
    if (!entry.is_object()) return Error{Errc::malformed, "accounts: a companion is no object"};
    WA_TRY(Companion companion, load_companion(entry.get_object()));
    phone.companions.emplace(companion.device, std::move(companion));
  }
  return phone;
}

}  // namespace

Addressing addressing_of(const wire::Jid& jid) {
  return jid.server == wire::kServerLid ? Addressing::lid : Addressing::pn;
}

const KeyIndexList& Phone::key_index_list(Now now, Random& random) {
  if (!key_index_list_) {
    pairing::KeyIndexListSpec spec;
    spec.raw_id = raw_id;
    spec.timestamp = static_cast<std::uint64_t>(now.wall.seconds());
    spec.current_index = next_key_index - 1;
    for (const auto& [device, companion] : companions) {
      spec.valid_indexes.push_back(companion.key_index);
    }
    key_index_list_ =
        KeyIndexList{now.wall.seconds(), pairing::issue_key_index_list(spec, identity, random)};
  }
  return *key_index_list_;
}

Result<Phone*> Accounts::add_phone(std::string_view number, std::string_view name, Random& random) {
  const bool digits =
      std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || number.size() < 5 || number.size() > 15 || number.front() == '0') {
    return Error{Errc::usage, "\"" + std::string(number) +
                                  "\" is not a phone number: 5 to 15 digits with the country code, "
                                  "without + or leading zero"};
  }
  if (find_by_number(number) != nullptr) {
    return Error{Errc::conflict, "there is already a phone " + std::string(number)};
  }
  Phone phone;
  phone.id = "p" + std::to_string(next_id_++);
  phone.number = number;
  phone.name = name;
  phone.identity = crypto::generate_key_pair(random);
  const std::uint64_t lid = 100'000'000'000'000 + random.below(900'000'000'000'000);
  phone.lid_user = std::to_string(lid);
  phone.raw_id = static_cast<std::uint32_t>(random.below(0x7fffffff)) + 1;
  id_by_number_[phone.number] = phone.id;
  id_by_lid_[phone.lid_user] = phone.id;
  return &phones_.emplace(phone.id, phone).first->second;
}

void Accounts::index() {
  id_by_number_.clear();
  id_by_lid_.clear();
  for (const auto& [id, phone] : phones_) {
    id_by_number_[phone.number] = id;
    id_by_lid_[phone.lid_user] = id;
  }
}

void Accounts::clear() {
  phones_.clear();
  index();
}

const Phone* Accounts::find(std::string_view id_or_number) const {
  const auto number = id_by_number_.find(id_or_number);
  const auto found =
      phones_.find(number == id_by_number_.end() ? std::string(id_or_number) : number->second);
  return found == phones_.end() ? nullptr : &found->second;
}

Phone* Accounts::find(std::string_view id_or_number) {
  return const_cast<Phone*>(std::as_const(*this).find(id_or_number));
}

Phone* Accounts::find_by_number(std::string_view number) {
  const auto id = id_by_number_.find(number);
  return id == id_by_number_.end() ? nullptr : &phones_.at(id->second);
}

const Phone* Accounts::find(const wire::Jid& jid) const {
  const bool lid = jid.server == wire::kServerLid;
  if (!lid && jid.server != wire::kServerPn && jid.server != kServerOldPn) return nullptr;
  const auto& ids = lid ? id_by_lid_ : id_by_number_;
  const auto id = ids.find(jid.user);
  return id == ids.end() ? nullptr : &phones_.at(id->second);
}

Phone* Accounts::find(const wire::Jid& jid) {
  return const_cast<Phone*>(std::as_const(*this).find(jid));
}

std::optional<DeviceKey> Accounts::device(const wire::Jid& jid) const {
  const Phone* phone = find(jid);
  if (phone == nullptr) return std::nullopt;
  if (jid.device != 0 && !phone->companions.contains(jid.device)) return std::nullopt;
  return DeviceKey{phone->id, jid.device};
}

std::vector<DeviceKey> Accounts::devices(const Phone& phone) {
  std::vector<DeviceKey> keys = {DeviceKey{phone.id, 0}};
  for (const auto& [device, companion] : phone.companions) keys.push_back({phone.id, device});
  return keys;
}

std::string Accounts::device_hash(std::span<const Phone* const> phones, Addressing form) {
  std::vector<wire::Jid> jids;
  for (const Phone* phone : phones) {
    for (const DeviceKey& device : devices(*phone)) {
      jids.push_back(phone->address(form, device.device));
    }
  }
  return signal::participant_hash(jids);
}

Addressing Accounts::form_for(const DeviceKey& reader) const {
  const auto phone = phones_.find(reader.phone_id);
  if (phone == phones_.end()) return Addressing::lid;
  const auto companion = phone->second.companions.find(reader.device);
  const bool old = companion != phone->second.companions.end() &&
                   companion->second.dictionary == wire::Dictionary::v2;
  return old ? Addressing::pn : Addressing::lid;
}

wire::Jid Accounts::address(const DeviceKey& device, Addressing form) const {
  return phones_.at(device.phone_id).address(form, device.device);
}

PhoneKeys& Accounts::keys_of(Phone& phone, Random& random) {
  if (!phone.keys) phone.keys = PhoneKeys::make(phone.identity, random);
  return *phone.keys;
}

std::optional<DeviceBundle> Accounts::take_bundle(const DeviceKey& key, Random& random) {
  const auto phone = phones_.find(key.phone_id);
  if (phone == phones_.end()) return std::nullopt;
  if (key.is_phone()) {
    return keys_of(phone->second, random).bundle(phone->second.identity.public_key, random);
  }
  Companion* companion = this->companion(key);
  if (companion == nullptr) return std::nullopt;
  const pairing::Registration& registration = companion->registration;
  DeviceBundle bundle;
  bundle.registration_id = registration.registration_id;
  bundle.identity = registration.identity;
  bundle.signed_pre_key_id = registration.signed_pre_key_id;
  bundle.signed_pre_key = registration.signed_pre_key;
  bundle.signed_pre_key_signature = registration.signed_pre_key_signature;
  bundle.one_time = companion->prekeys.take();
  bundle.device_identity = companion->device_identity;
  return bundle;
}

Companion* Accounts::companion(const DeviceKey& key) {
  const auto phone = phones_.find(key.phone_id);
  if (phone == phones_.end()) return nullptr;
  const auto companion = phone->second.companions.find(key.device);
  return companion == phone->second.companions.end() ? nullptr : &companion->second;
}

json::array Accounts::save() const {
  json::array phones;
  for (const auto& [id, phone] : phones_) {
    json::array companions;
    for (const auto& [device, companion] : phone.companions) {
      companions.push_back(save_companion(companion));
    }
    json::object saved = {{"id", phone.id},
                          {"number", phone.number},
                          {"name", phone.name},
                          {"lid", phone.lid_user},
                          {"identity", to_hex(phone.identity.private_key.bytes)},
                          {"raw_id", phone.raw_id},
                          {"next_key_index", phone.next_key_index},
                          {"next_device", phone.next_device},
                          {"companions", std::move(companions)}};
    if (phone.keys) saved["keys"] = save_phone_keys(*phone.keys);
    saved["push_name"] = phone.push_name;
    saved["contacts"] = json::array(phone.contacts.begin(), phone.contacts.end());
    saved["memory"] = phone.memory.save();
    phones.push_back(std::move(saved));
  }
  return phones;
}

Result<void> Accounts::load(const json::array& phones) {
  std::map<std::string, Phone> loaded;
  std::uint64_t next_id = 1;
  for (const json::value& entry : phones) {
    if (!entry.is_object()) return Error{Errc::malformed, "accounts: a phone is no object"};
    WA_TRY(Phone phone, load_phone(entry.get_object()));
    while (phone.id == "p" + std::to_string(next_id) ||
           loaded.contains("p" + std::to_string(next_id))) {
      ++next_id;
    }
    loaded.emplace(phone.id, std::move(phone));
  }
  phones_ = std::move(loaded);
  index();
  next_id_ = std::max<std::uint64_t>(next_id, phones_.size() + 1);
  return {};
}

}  // namespace wa::mock

#include "mockserver/core/accounts.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace wa::mock {
namespace {

namespace json = boost::json;

/// A member of a saved object; every error names it.
class Member {
 public:
  Member(const json::object& object, std::string_view key) : key_(key) {
    value_ = object.if_contains(key);
  }

  Result<std::string> text() const {
    if (value_ == nullptr || !value_->is_string()) return bad("text");
    return std::string(value_->get_string());
  }
  Result<std::uint32_t> number() const {
    if (value_ != nullptr && value_->is_int64()) {
      const std::int64_t number = value_->get_int64();
      if (number >= 0 && number <= std::int64_t{0xffffffff}) {
        return static_cast<std::uint32_t>(number);
      }
    }
    return bad("a number below 2^32");
  }
  Result<json::array> list() const {
    if (value_ == nullptr || !value_->is_array()) return bad("a list");
    return value_->get_array();
  }
  template <class Key>
  Result<Key> key() const {
    WA_TRY(const std::string hex, text());
    WA_TRY(const Bytes raw, from_hex(hex));
    return Key::from(raw, key_);
  }

 private:
  Error bad(std::string_view wanted) const {
    return Error{Errc::malformed, "accounts: \"" + key_ + "\" is not " + std::string(wanted)};
  }
  std::string key_;
  const json::value* value_;
};

json::object save_companion(const Companion& companion) {
  const pairing::Registration& registration = companion.registration;
  json::object prekeys;
  for (const auto& [id, key] : companion.prekeys) prekeys[std::to_string(id)] = to_hex(key.bytes);
  return {{"device", companion.device},
          {"key_index", companion.key_index},
          {"label", companion.label},
          {"noise_key", to_hex(companion.noise_key.bytes)},
          {"registration_id", registration.registration_id},
          {"identity", to_hex(registration.identity.bytes)},
          {"signed_prekey_id", registration.signed_pre_key_id},
          {"signed_prekey", to_hex(registration.signed_pre_key.bytes)},
          {"signed_prekey_signature", to_hex(registration.signed_pre_key_signature)},
          {"os", registration.os},
          {"prekeys", std::move(prekeys)}};
}

Result<Companion> load_companion(const json::object& object) {
  Companion companion;
  WA_TRY(const std::uint32_t device, Member(object, "device").number());
  companion.device = static_cast<std::uint16_t>(device);
  WA_TRY(companion.key_index, Member(object, "key_index").number());
  WA_TRY(companion.label, Member(object, "label").text());
  WA_TRY(companion.noise_key, Member(object, "noise_key").key<crypto::PublicKey>());
  pairing::Registration& registration = companion.registration;
  WA_TRY(registration.registration_id, Member(object, "registration_id").number());
  WA_TRY(registration.identity, Member(object, "identity").key<crypto::PublicKey>());
  WA_TRY(registration.signed_pre_key_id, Member(object, "signed_prekey_id").number());
  WA_TRY(registration.signed_pre_key, Member(object, "signed_prekey").key<crypto::PublicKey>());
  WA_TRY(const std::string signature, Member(object, "signed_prekey_signature").text());
  WA_TRY(const Bytes signature_bytes, from_hex(signature));
  WA_TRY(registration.signed_pre_key_signature,
         fixed<64>(signature_bytes, "signed_prekey_signature"));
  WA_TRY(registration.os, Member(object, "os").text());
  const auto* prekeys = object.if_contains("prekeys");
  if (prekeys == nullptr || !prekeys->is_object()) {
    return Error{Errc::malformed, "accounts: \"prekeys\" is not an object"};
  }
  for (const auto& member : prekeys->get_object()) {
    const std::string id(member.key());
    if (id.empty() || id.size() > 8 ||
        !std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return Error{Errc::malformed, "accounts: \"" + id + "\" is not a pre-key id"};
    }
    WA_TRY(const crypto::PublicKey key, Member(prekeys->get_object(), id).key<crypto::PublicKey>());
    companion.prekeys.emplace(static_cast<std::uint32_t>(std::stoul(id)), key);
  }
  return companion;
}

Result<Phone> load_phone(const json::object& object) {
  Phone phone;
  WA_TRY(phone.id, Member(object, "id").text());
  WA_TRY(phone.number, Member(object, "number").text());
  WA_TRY(phone.name, Member(object, "name").text());
  WA_TRY(phone.lid_user, Member(object, "lid").text());
  WA_TRY(phone.identity.private_key, Member(object, "identity").key<crypto::PrivateKey>());
  phone.identity.public_key = crypto::public_key_of(phone.identity.private_key);
  WA_TRY(phone.raw_id, Member(object, "raw_id").number());
  WA_TRY(phone.next_key_index, Member(object, "next_key_index").number());
  WA_TRY(const std::uint32_t next_device, Member(object, "next_device").number());
  phone.next_device = static_cast<std::uint16_t>(next_device);
  WA_TRY(const json::array companions, Member(object, "companions").list());
  for (const json::value& entry : companions) {
    if (!entry.is_object()) return Error{Errc::malformed, "accounts: a companion is no object"};
    WA_TRY(Companion companion, load_companion(entry.get_object()));
    phone.companions.emplace(companion.device, std::move(companion));
  }
  return phone;
}

}  // namespace

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
  return &phones_.emplace(phone.id, phone).first->second;
}

const Phone* Accounts::find(std::string_view id_or_number) const {
  for (const auto& [id, phone] : phones_) {
    if (id == id_or_number || phone.number == id_or_number) return &phone;
  }
  return nullptr;
}

Phone* Accounts::find(std::string_view id_or_number) {
  return const_cast<Phone*>(std::as_const(*this).find(id_or_number));
}

Phone* Accounts::find_by_number(std::string_view number) {
  for (auto& [id, phone] : phones_) {
    if (phone.number == number) return &phone;
  }
  return nullptr;
}

Companion* Accounts::companion(const CompanionKey& key) {
  const auto phone = phones_.find(key.phone_id);
  if (phone == phones_.end()) return nullptr;
  const auto companion = phone->second.companions.find(key.device);
  return companion == phone->second.companions.end() ? nullptr : &companion->second;
}

std::string Accounts::save() const {
  json::array phones;
  for (const auto& [id, phone] : phones_) {
    json::array companions;
    for (const auto& [device, companion] : phone.companions) {
      companions.push_back(save_companion(companion));
    }
    phones.push_back(json::object{{"id", phone.id},
                                  {"number", phone.number},
                                  {"name", phone.name},
                                  {"lid", phone.lid_user},
                                  {"identity", to_hex(phone.identity.private_key.bytes)},
                                  {"raw_id", phone.raw_id},
                                  {"next_key_index", phone.next_key_index},
                                  {"next_device", phone.next_device},
                                  {"companions", std::move(companions)}});
  }
  return json::serialize(json::object{{"version", 1}, {"phones", std::move(phones)}});
}

Result<void> Accounts::load(std::string_view text) {
  boost::system::error_code failure;
  const json::value parsed = json::parse(text, failure);
  if (failure || !parsed.is_object()) {
    return Error{Errc::malformed, "accounts: not a JSON object"};
  }
  WA_TRY(const json::array phones, Member(parsed.get_object(), "phones").list());
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
  next_id_ = std::max<std::uint64_t>(next_id, phones_.size() + 1);
  return {};
}

}  // namespace wa::mock

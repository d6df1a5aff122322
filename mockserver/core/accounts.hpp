#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "mockserver/core/mailbox.hpp"
#include "mockserver/core/phone_memory.hpp"
#include "mockserver/core/prekeys.hpp"

namespace wa::mock {

/// A linked device of an account: what it registered with, and the pre-keys it uploaded.
struct Companion {
  std::uint16_t device = 0;
  std::uint32_t key_index = 0;
  std::string label;  ///< of the connection it was paired on
  crypto::PublicKey noise_key;
  pairing::Registration registration;
  Bytes device_identity;  ///< ADVSignedDeviceIdentity as it countersigned it, without account key
  PreKeyStock prekeys;
  wire::Dictionary dictionary = wire::Dictionary::v3;  ///< of its last connection
  Mailbox mailbox;
};

/// The family that a JID is of; PN unless its server is `lid`.
Addressing addressing_of(const wire::Jid& jid);

/// Which companions of an account are valid, signed by it: what others are shown.
struct KeyIndexList {
  std::int64_t seconds = 0;  ///< when it was signed
  Bytes bytes;               ///< ADVSignedKeyIndexList
};

/// A virtual phone: the primary device of an account.
struct Phone {
  std::string id;
  std::string number;
  std::string name;
  std::string lid_user;
  crypto::KeyPair identity;
  std::optional<PhoneKeys> keys;  ///< see Accounts::keys_of
  std::uint32_t raw_id = 0;
  std::uint32_t next_key_index = 1;
  std::uint16_t next_device = 1;
  std::map<std::uint16_t, Companion> companions;
  std::string push_name;  ///< as a device published it last
  PhoneMemory memory;
  std::set<std::string> contacts;  ///< ids of phones that it exchanged messages with

  /// Signed when it is asked for first, and again after `forget_key_index_list`.
  const KeyIndexList& key_index_list(Now now, Random& random);
  void forget_key_index_list() { key_index_list_.reset(); }

  const std::string& shown_name() const { return push_name.empty() ? name : push_name; }
  wire::Jid jid(std::uint16_t device = 0) const { return {number, wire::kServerPn, device}; }
  wire::Jid lid(std::uint16_t device = 0) const { return {lid_user, wire::kServerLid, device}; }
  wire::Jid address(Addressing form, std::uint16_t device = 0) const {
    return form == Addressing::pn ? jid(device) : lid(device);
  }

 private:
  std::optional<KeyIndexList> key_index_list_;
};

/// The accounts of a tenant.
class Accounts {
 public:
  /// Errors: `usage` (not 5 to 15 digits), `conflict` (number in use).
  Result<Phone*> add_phone(std::string_view number, std::string_view name, Random& random);

  Phone* find(std::string_view id_or_number);
  const Phone* find(std::string_view id_or_number) const;
  Phone* find_by_number(std::string_view number);
  /// By PN or LID, with any device. Null for groups, the server and strangers.
  Phone* find(const wire::Jid& jid);
  const Phone* find(const wire::Jid& jid) const;
  Companion* companion(const DeviceKey& key);
  const std::map<std::string, Phone>& phones() const { return phones_; }
  void clear();

  /// The device that a JID names, if it exists.
  std::optional<DeviceKey> device(const wire::Jid& jid) const;
  /// All devices of an account, the phone first.
  static std::vector<DeviceKey> devices(const Phone& phone);
  /// The participant hash over all devices of these accounts, under one kind of name.
  static std::string device_hash(std::span<const Phone* const> phones, Addressing form);
  /// How a device expects others to be called: by number if it speaks dictionary 2, else hidden.
  Addressing form_for(const DeviceKey& reader) const;
  /// The name of a device that exists.
  wire::Jid address(const DeviceKey& device, Addressing form) const;

  /// The Signal registration of a phone; made when it is asked for first.
  PhoneKeys& keys_of(Phone& phone, Random& random);
  /// What is needed to begin a session with a device; takes one of its one-time keys, if there is
  /// any. None for a device that does not exist.
  std::optional<DeviceBundle> take_bundle(const DeviceKey& key, Random& random);

  /// To JSON and back. Errors: `malformed`, naming the member.
  boost::json::array save() const;
  Result<void> load(const boost::json::array& saved);

 private:
  void index();

  std::map<std::string, Phone> phones_;  ///< by id
  std::map<std::string, std::string, std::less<>> id_by_number_;
  std::map<std::string, std::string, std::less<>> id_by_lid_;
  std::uint64_t next_id_ = 1;
};

}  // namespace wa::mock

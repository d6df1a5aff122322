#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/jid.hpp"

namespace wa::mock {

/// A linked device of an account: what it registered with, and the pre-keys it uploaded.
struct Companion {
  std::uint16_t device = 0;
  std::uint32_t key_index = 0;
  std::string label;  ///< of the connection it was paired on
  crypto::PublicKey noise_key;
  pairing::Registration registration;
  std::map<std::uint32_t, crypto::PublicKey> prekeys;  ///< one-time keys, by id
};

/// A virtual phone: the primary device of an account.
struct Phone {
  std::string id;
  std::string number;
  std::string name;
  std::string lid_user;
  crypto::KeyPair identity;
  std::uint32_t raw_id = 0;
  std::uint32_t next_key_index = 1;
  std::uint16_t next_device = 1;
  std::map<std::uint16_t, Companion> companions;

  wire::Jid jid(std::uint16_t device = 0) const { return {number, wire::kServerPn, device}; }
  wire::Jid lid(std::uint16_t device = 0) const { return {lid_user, wire::kServerLid, device}; }
};

/// Names one companion; stays valid while the companion may come and go.
struct CompanionKey {
  std::string phone_id;
  std::uint16_t device = 0;
  auto operator<=>(const CompanionKey&) const = default;
};

/// The accounts of a tenant.
class Accounts {
 public:
  /// Errors: `usage` (not 5 to 15 digits), `conflict` (number in use).
  Result<Phone*> add_phone(std::string_view number, std::string_view name, Random& random);

  Phone* find(std::string_view id_or_number);
  const Phone* find(std::string_view id_or_number) const;
  Phone* find_by_number(std::string_view number);
  Companion* companion(const CompanionKey& key);
  const std::map<std::string, Phone>& phones() const { return phones_; }
  void clear() { phones_.clear(); }

  /// JSON text and back. Errors: `malformed`, naming the member.
  std::string save() const;
  Result<void> load(std::string_view json);

 private:
  std::map<std::string, Phone> phones_;  ///< by id
  std::uint64_t next_id_ = 1;
};

}  // namespace wa::mock

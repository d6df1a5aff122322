#include "engine/client/credentials.hpp"

#include <charconv>
#include <utility>

#include "engine/client/records.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::client {
namespace {

constexpr std::byte kSignalKeyType{5};
constexpr std::uint64_t kRegistrationIds = 16'380;  // 1 to 16380, as the Signal libraries draw them

void write(const crypto::KeyPair& pair, schema::StoredKeyPair& record) {
  record.set_private_key(schema::field(pair.private_key.bytes));
  record.set_public_key(schema::field(pair.public_key));
}

Result<crypto::KeyPair> read_key_pair(const schema::StoredKeyPair& record, std::string_view what) {
  crypto::KeyPair pair;
  WA_TRY(pair.private_key, crypto::PrivateKey::from(as_bytes(record.private_key()), what));
  WA_TRY(pair.public_key, crypto::PublicKey::from(as_bytes(record.public_key()), what));
  return pair;
}

void write(const pairing::SignedPreKey& key, schema::StoredCredentials::SignedPreKey& record) {
  record.set_id(key.id);
  write(key.key, *record.mutable_key());
  record.set_signature(schema::field(key.signature));
}

Result<pairing::SignedPreKey> read_signed_key(
    const schema::StoredCredentials::SignedPreKey& record) {
  pairing::SignedPreKey key;
  key.id = record.id();
  WA_TRY(key.key, read_key_pair(record.key(), "signed pre-key"));
  WA_TRY(key.signature, fixed<64>(as_bytes(record.signature()), "signed pre-key signature"));
  return key;
}

void write(const Account& account, schema::StoredCredentials::Account& record) {
  record.set_jid(account.jid.to_string());
  if (!account.lid.server.empty()) record.set_lid(account.lid.to_string());
  record.set_account_key(schema::field(account.account_key));
  record.set_account_signature(schema::field(account.account_signature));
  record.set_signed_identity(schema::field(account.signed_identity));
  record.set_platform(account.platform);
  record.set_push_name(account.push_name);
  record.set_logged_in(account.logged_in);
}

Result<Account> read_account(const schema::StoredCredentials::Account& record) {
  Account account;
  WA_TRY(account.jid, wire::Jid::parse(record.jid()));
  WA_TRY([[maybe_unused]] const auto username, login_username(account.jid));
  if (record.has_lid()) {
    WA_TRY(account.lid, wire::Jid::parse(record.lid()));
  }
  WA_TRY(account.account_key,
         crypto::PublicKey::from(as_bytes(record.account_key()), "account key"));
  WA_TRY(account.account_signature,
         fixed<64>(as_bytes(record.account_signature()), "account signature"));
  account.signed_identity = to_bytes(record.signed_identity());
  account.platform = record.platform();
  account.push_name = record.push_name();
  account.logged_in = record.logged_in();
  return account;
}

}  // namespace

Result<std::uint64_t> login_username(const wire::Jid& jid) {
  std::uint64_t number = 0;
  const char* const end = jid.user.data() + jid.user.size();
  const auto [parsed, error] = std::from_chars(jid.user.data(), end, number);
  if (error != std::errc() || parsed != end || number == 0) {
    return Error{Errc::malformed, "JID " + jid.to_string() + ": its user is not a phone number"};
  }
  return number;
}

pairing::SignedPreKey make_signed_pre_key(const crypto::KeyPair& identity, std::uint32_t id,
                                          Random& random) {
  pairing::SignedPreKey signed_key;
  signed_key.id = id;
  signed_key.key = crypto::generate_key_pair(random);
  const Bytes signed_message = concat(std::array{kSignalKeyType}, signed_key.key.public_key);
  signed_key.signature = crypto::sign(identity, signed_message, random);
  return signed_key;
}

std::uint32_t Credentials::take_pre_key_ids(std::uint32_t count) {
  if (next_pre_key_id + count > kLargestPreKeyId + 1) {
    next_pre_key_id = 1;
    offered_from = offered_to = 0;  // a window is never ahead of the next id
  }
  return std::exchange(next_pre_key_id, next_pre_key_id + count);
}

Credentials Credentials::generate(std::uint32_t attempt_id, Random& random) {
  Credentials credentials;
  credentials.attempt_id = attempt_id;
  credentials.noise = crypto::generate_key_pair(random);
  credentials.identity = crypto::generate_key_pair(random);
  credentials.signed_pre_key = make_signed_pre_key(credentials.identity, 1, random);
  credentials.registration_id = 1 + static_cast<std::uint32_t>(random.below(kRegistrationIds));
  random.fill(credentials.adv_secret);
  return credentials;
}

Bytes Credentials::encode() const {
  schema::StoredCredentials record;
  record.set_attempt_id(attempt_id);
  write(noise, *record.mutable_noise());
  write(identity, *record.mutable_identity());
  write(signed_pre_key, *record.mutable_signed_pre_key());
  record.set_registration_id(registration_id);
  record.set_adv_secret(schema::field(adv_secret));
  record.set_next_pre_key_id(next_pre_key_id);
  record.set_uploaded_pre_key_id(uploaded_pre_key_id);
  if (offered_to != 0) {
    record.set_offered_from(offered_from);
    record.set_offered_to(offered_to);
  }
  record.set_routing_info(schema::field(routing_info));
  if (account) write(*account, *record.mutable_account());
  if (pre_keys_owed) record.set_pre_keys_owed(true);
  if (signed_pre_key_at) record.set_signed_pre_key_at(signed_pre_key_at->value);
  if (next_signed_pre_key) write(*next_signed_pre_key, *record.mutable_next_signed_pre_key());
  for (const RetiredPreKey& one : retired_signed_pre_keys) {
    auto& retired = *record.add_retired();
    write(one.key, *retired.mutable_key());
    retired.set_at(one.at.value);
  }
  return seal_record(schema::serialize(record));
}

Result<Credentials> Credentials::decode(ByteSpan bytes) {
  WA_TRY(const ByteSpan whole, open_record(bytes, "credentials"));
  WA_TRY(const auto record, schema::parse<schema::StoredCredentials>(whole, "credentials"));
  Credentials credentials;
  credentials.attempt_id = record.attempt_id();
  WA_TRY(credentials.noise, read_key_pair(record.noise(), "noise key"));
  WA_TRY(credentials.identity, read_key_pair(record.identity(), "identity key"));
  WA_TRY(credentials.signed_pre_key, read_signed_key(record.signed_pre_key()));
  credentials.pre_keys_owed = record.pre_keys_owed();
  if (record.has_signed_pre_key_at()) {
    credentials.signed_pre_key_at = UnixMillis{record.signed_pre_key_at()};
  }
  if (record.has_next_signed_pre_key()) {
    WA_TRY(credentials.next_signed_pre_key, read_signed_key(record.next_signed_pre_key()));
  }
  for (const auto& retired : record.retired()) {
    WA_TRY(pairing::SignedPreKey key, read_signed_key(retired.key()));
    credentials.retired_signed_pre_keys.push_back({std::move(key), UnixMillis{retired.at()}});
  }
  credentials.registration_id = record.registration_id();
  WA_TRY(credentials.adv_secret, fixed<32>(as_bytes(record.adv_secret()), "ADV secret"));
  // A lost counter would hand out ids that were used before.
  if (!record.has_next_pre_key_id() || record.next_pre_key_id() == 0 ||
      record.next_pre_key_id() > kLargestPreKeyId + 1) {
    return Error{Errc::malformed, "credentials: next pre-key id missing or out of range"};
  }
  credentials.next_pre_key_id = record.next_pre_key_id();
  credentials.uploaded_pre_key_id = record.uploaded_pre_key_id();
  credentials.offered_from = record.offered_from();
  credentials.offered_to = record.offered_to();
  if (credentials.offered_from > credentials.offered_to ||
      credentials.offered_to >= credentials.next_pre_key_id ||
      (credentials.offered_from == 0) != (credentials.offered_to == 0)) {
    return Error{Errc::malformed, "credentials: offered pre-keys out of range"};
  }
  credentials.routing_info = to_bytes(record.routing_info());
  if (record.has_account()) {
    WA_TRY(credentials.account, read_account(record.account()));
  }
  return credentials;
}

std::string Credentials::fingerprint() const {
  if (!account) return {};
  return to_hex(crypto::sha256(
      concat(noise.public_key, identity.public_key, big_endian<4>(registration_id), adv_secret,
             as_bytes(account->jid.to_string()),
             as_bytes(account->lid.server.empty() ? std::string() : account->lid.to_string()),
             account->account_signature)));
}

}  // namespace wa::client

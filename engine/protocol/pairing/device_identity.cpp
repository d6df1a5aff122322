#include "engine/protocol/pairing/device_identity.hpp"

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::pairing {
namespace {

// What stands in front of a signed message, so that a signature for one purpose is none for
// another.
using Prefix = ByteArray<2>;
constexpr Prefix kAccountSignature{std::byte{6}, std::byte{0}};
constexpr Prefix kHostedAccountSignature{std::byte{6}, std::byte{5}};
constexpr Prefix kDeviceSignature{std::byte{6}, std::byte{1}};
constexpr Prefix kHostedDeviceSignature{std::byte{6}, std::byte{6}};
constexpr Prefix kKeyIndexList{std::byte{6}, std::byte{2}};

constexpr std::uint32_t kHosted = 1;  // AdvEncryptionType

Bytes account_message(const Prefix& prefix, ByteSpan details, const crypto::PublicKey& companion) {
  return concat(prefix, details, companion);
}

Bytes device_message(const Prefix& prefix, ByteSpan details, const crypto::PublicKey& companion,
                     const crypto::PublicKey& account) {
  return concat(prefix, details, companion, account);
}

ByteArray<32> container_hmac(const AdvSecret& secret, bool hosted, ByteSpan signed_identity) {
  return hosted ? crypto::hmac_sha256(secret, kHostedAccountSignature, signed_identity)
                : crypto::hmac_sha256(secret, signed_identity);
}

/// A container taken apart, with the lengths checked and nothing else.
struct Container {
  bool hosted = false;         ///< as the container says: chooses the HMAC's prefix
  bool hosted_device = false;  ///< as the details say: chooses the account signature's prefix
  std::uint32_t key_index = 0;
  ByteSpan signed_bytes;  ///< what the HMAC covers; views the parsed container
  ByteArray<32> hmac{};
  crypto::PublicKey account_key;
  crypto::Signature account_signature{};
  schema::AdvSignedDeviceIdentity identity;
};

Result<Container> take_apart(const schema::AdvSignedDeviceIdentityHmac& message) {
  Container container;
  if (!message.has_details()) return Error{Errc::malformed, "device identity: no details"};
  container.hosted = message.account_type() == kHosted;
  container.signed_bytes = as_bytes(message.details());
  WA_TRY(container.hmac, fixed<32>(as_bytes(message.hmac()), "device identity: hmac"));

  WA_TRY(container.identity, schema::parse<schema::AdvSignedDeviceIdentity>(
                                 container.signed_bytes, "signed device identity"));
  const auto& identity = container.identity;
  if (!identity.has_details()) return Error{Errc::malformed, "signed device identity: no details"};
  WA_TRY(container.account_key, crypto::PublicKey::from(as_bytes(identity.account_signature_key()),
                                                        "account signature key"));
  WA_TRY(container.account_signature,
         fixed<64>(as_bytes(identity.account_signature()), "account signature"));

  WA_TRY(const auto details, schema::parse<schema::AdvDeviceIdentity>(as_bytes(identity.details()),
                                                                      "device identity details"));
  container.hosted_device = details.device_type() == kHosted;
  container.key_index = details.key_index();
  return container;
}

}  // namespace

Bytes issue_device_identity(const DeviceIdentitySpec& spec, const crypto::KeyPair& account,
                            const crypto::PublicKey& companion_identity,
                            const AdvSecret& adv_secret, Random& random) {
  schema::AdvDeviceIdentity details;
  details.set_raw_id(spec.raw_id);
  details.set_timestamp(spec.timestamp);
  details.set_key_index(spec.key_index);
  const Bytes details_bytes = schema::serialize(details);

  schema::AdvSignedDeviceIdentity identity;
  identity.set_details(schema::field(details_bytes));
  identity.set_account_signature_key(schema::field(account.public_key));
  identity.set_account_signature(schema::field(crypto::sign(
      account, account_message(kAccountSignature, details_bytes, companion_identity), random)));
  const Bytes identity_bytes = schema::serialize(identity);

  schema::AdvSignedDeviceIdentityHmac container;
  container.set_details(schema::field(identity_bytes));
  container.set_hmac(schema::field(container_hmac(adv_secret, false, identity_bytes)));
  return schema::serialize(container);
}

Bytes issue_key_index_list(const KeyIndexListSpec& spec, const crypto::KeyPair& account,
                           Random& random) {
  schema::AdvKeyIndexList details;
  details.set_raw_id(spec.raw_id);
  details.set_timestamp(spec.timestamp);
  details.set_current_index(spec.current_index);
  details.add_valid_indexes(0);
  for (const std::uint32_t index : spec.valid_indexes) details.add_valid_indexes(index);
  const Bytes details_bytes = schema::serialize(details);

  schema::AdvSignedKeyIndexList list;
  list.set_details(schema::field(details_bytes));
  list.set_account_signature(
      schema::field(crypto::sign(account, concat(kKeyIndexList, ByteSpan(details_bytes)), random)));
  list.set_account_signature_key(schema::field(account.public_key));
  return schema::serialize(list);
}

Result<KeyIndexListSpec> read_key_index_list(ByteSpan list, const crypto::PublicKey& account) {
  WA_TRY(const auto message, schema::parse<schema::AdvSignedKeyIndexList>(list, "key index list"));
  WA_TRY(const auto signature,
         fixed<64>(as_bytes(message.account_signature()), "key index list: signature"));
  const ByteSpan details = as_bytes(message.details());
  WA_TRY_VOID(crypto::verify(account, concat(kKeyIndexList, details), signature, "key index list"));
  WA_TRY(const auto parsed, schema::parse<schema::AdvKeyIndexList>(details, "key index list"));
  KeyIndexListSpec spec;
  spec.raw_id = parsed.raw_id();
  spec.timestamp = parsed.timestamp();
  spec.current_index = parsed.current_index();
  for (const std::uint32_t index : parsed.valid_indexes()) {
    if (index != 0) spec.valid_indexes.push_back(index);
  }
  return spec;
}

Result<AcceptedIdentity> accept_device_identity(ByteSpan container,
                                                const crypto::KeyPair& companion_identity,
                                                const AdvSecret& adv_secret, Random& random) {
  WA_TRY(const auto message, schema::parse<schema::AdvSignedDeviceIdentityHmac>(
                                 container, "device identity container"));
  WA_TRY(auto parts, take_apart(message));

  const auto expected_hmac = container_hmac(adv_secret, parts.hosted, parts.signed_bytes);
  if (!crypto::equal_constant_time(expected_hmac, parts.hmac)) {
    return Error{Errc::auth_failed, "hmac of the device identity does not match our ADV secret"};
  }

  const ByteSpan details = as_bytes(parts.identity.details());
  const Prefix& prefix = parts.hosted_device ? kHostedAccountSignature : kAccountSignature;
  WA_TRY_VOID(crypto::verify(parts.account_key,
                             account_message(prefix, details, companion_identity.public_key),
                             parts.account_signature, "account signature"));

  // 06 01 for hosted accounts as well: so do the clients that were run.
  const auto device_signature = crypto::sign(
      companion_identity,
      device_message(kDeviceSignature, details, companion_identity.public_key, parts.account_key),
      random);

  AcceptedIdentity accepted;
  accepted.key_index = parts.key_index;
  accepted.account_key = parts.account_key;
  accepted.account_signature = parts.account_signature;
  parts.identity.set_device_signature(schema::field(device_signature));
  accepted.signed_identity = schema::serialize(parts.identity);
  parts.identity.clear_account_signature_key();
  accepted.reply = schema::serialize(parts.identity);
  return accepted;
}

Result<void> verify_device_signature(ByteSpan reply, ByteSpan issued_container,
                                     const crypto::PublicKey& companion_identity) {
  WA_TRY(const auto message, schema::parse<schema::AdvSignedDeviceIdentityHmac>(
                                 issued_container, "issued device identity"));
  WA_TRY(const auto issued, take_apart(message));
  WA_TRY(const auto answer,
         schema::parse<schema::AdvSignedDeviceIdentity>(reply, "pair-device-sign"));
  WA_TRY(const auto signature,
         fixed<64>(as_bytes(answer.device_signature()), "pair-device-sign: device signature"));
  if (answer.details() != issued.identity.details() ||
      answer.account_signature() != issued.identity.account_signature()) {
    return Error{Errc::auth_failed, "pair-device-sign: not the identity that was issued"};
  }

  const ByteSpan details = as_bytes(issued.identity.details());
  const auto verify_with = [&](const Prefix& prefix) {
    return crypto::verify(companion_identity,
                          device_message(prefix, details, companion_identity, issued.account_key),
                          signature, "device signature");
  };
  auto verified = verify_with(kDeviceSignature);
  // One client prefixes 06 06 when the container is hosted.
  if (!verified && issued.hosted) verified = verify_with(kHostedDeviceSignature);
  return verified;
}

}  // namespace wa::pairing

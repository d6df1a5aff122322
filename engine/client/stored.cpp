#include "engine/client/stored.hpp"

#include <algorithm>

#include "engine/client/records.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::client {
namespace {

constexpr std::string_view kSelf = "self";

void write(const FinalClose& close, schema::StoredClose& record) {
  record.set_attempt_id(close.attempt_id);
  record.set_state(std::string(to_string(close.state)));
  record.set_reason(close.reason);
  if (close.close.code) record.set_code(*close.close.code);
  record.set_cause(close.close.cause);
  record.set_at(close.close.at.value);
}

Result<FinalClose> read_close(const schema::StoredClose& record) {
  FinalClose close;
  close.attempt_id = record.attempt_id();
  WA_TRY(close.state, state_from(record.state()));
  close.reason = record.reason();
  if (record.has_code()) close.close.code = record.code();
  close.close.cause = record.cause();
  close.close.at.value = record.at();
  return close;
}

/// The records of a kind; of most there are none.
const StoredRecords::mapped_type& of_kind(const StoredRecords& records, std::string_view kind) {
  static const StoredRecords::mapped_type kNone;
  const auto found = records.find(kind);
  return found == records.end() ? kNone : found->second;
}

const Bytes* self_of(const StoredRecords& records, std::string_view kind) {
  const auto& all = of_kind(records, kind);
  const auto found = all.find(kSelf);
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace

Put FinalClose::put() const {
  schema::StoredClose record;
  write(*this, record);
  return {std::string(kLastCloseKind), std::string(kSelf), seal_record(schema::serialize(record))};
}

Result<FinalClose> FinalClose::decode(ByteSpan bytes) {
  WA_TRY(const ByteSpan whole, open_record(bytes, "last close"));
  WA_TRY(const auto record, schema::parse<schema::StoredClose>(whole, "last close"));
  return read_close(record);
}

Put Quarantined::put() const {
  schema::StoredQuarantine record;
  write(close, *record.mutable_close());
  record.set_credentials(schema::field(credentials));
  return {std::string(kQuarantineKind), std::to_string(close.attempt_id),
          seal_record(schema::serialize(record))};
}

Result<Quarantined> Quarantined::decode(ByteSpan bytes) {
  WA_TRY(const ByteSpan whole, open_record(bytes, "quarantine"));
  WA_TRY(const auto record, schema::parse<schema::StoredQuarantine>(whole, "quarantine"));
  Quarantined quarantined;
  WA_TRY(quarantined.close, read_close(record.close()));
  quarantined.credentials = to_bytes(as_bytes(record.credentials()));
  return quarantined;
}

Tombstone Tombstone::of(const Credentials& credentials) {
  return {credentials.attempt_id, credentials.noise, credentials.account->jid,
          credentials.routing_info};
}

Put Tombstone::put() const {
  schema::StoredTombstone record;
  record.set_attempt_id(attempt_id);
  record.mutable_noise()->set_private_key(schema::field(noise.private_key.bytes));
  record.mutable_noise()->set_public_key(schema::field(noise.public_key));
  record.set_jid(jid.to_string());
  record.set_routing_info(schema::field(routing_info));
  return {std::string(kTombstoneKind), std::to_string(attempt_id),
          seal_record(schema::serialize(record))};
}

Erase Tombstone::erase() const {
  return {std::string(kTombstoneKind), std::to_string(attempt_id)};
}

Result<Tombstone> Tombstone::decode(ByteSpan bytes) {
  WA_TRY(const ByteSpan whole, open_record(bytes, "tombstone"));
  WA_TRY(const auto record, schema::parse<schema::StoredTombstone>(whole, "tombstone"));
  Tombstone tombstone;
  tombstone.attempt_id = record.attempt_id();
  WA_TRY(tombstone.noise.private_key,
         crypto::PrivateKey::from(as_bytes(record.noise().private_key()), "noise key"));
  WA_TRY(tombstone.noise.public_key,
         crypto::PublicKey::from(as_bytes(record.noise().public_key()), "noise key"));
  WA_TRY(tombstone.jid, wire::Jid::parse(record.jid()));
  WA_TRY([[maybe_unused]] const auto username, login_username(tombstone.jid));
  tombstone.routing_info = to_bytes(as_bytes(record.routing_info()));
  return tombstone;
}

Result<Stored> Stored::read(const StoredRecords& records) {
  Stored stored;
  if (const Bytes* record = self_of(records, kCredentialsKind)) {
    WA_TRY(stored.credentials, Credentials::decode(*record));
  } else if (records.contains(kPreKeyKind)) {
    return Error{Errc::malformed, "credentials: missing, although there are pre-keys of them"};
  }
  if (const Bytes* record = self_of(records, kLastCloseKind)) {
    if (auto close = FinalClose::decode(*record)) stored.last_close = std::move(*close);
  }
  for (const auto& [key, record] : of_kind(records, kTombstoneKind)) {
    if (auto tombstone = Tombstone::decode(record)) {
      stored.tombstones.push_back(std::move(*tombstone));
    }
  }
  for (const auto& [key, record] : of_kind(records, kQuarantineKind)) {
    if (const auto one = Quarantined::decode(record)) {
      stored.quarantine.push_back({key, one->close.close.at});
    }
  }
  stored.messages = {.outbox = of_kind(records, messaging::kOutboxKind),
                     .events = of_kind(records, messaging::kEventKind),
                     .awaited = of_kind(records, messaging::kAwaitedKind),
                     .messenger = of_kind(records, messaging::kMessengerKind)};
  return stored;
}

std::set<std::string, std::less<>> resident_kinds() {
  std::set<std::string, std::less<>> kinds;
  for (const std::string_view kind :
       {kCredentialsKind, kLastCloseKind, kTombstoneKind, kQuarantineKind, messaging::kOutboxKind,
        messaging::kEventKind, messaging::kAwaitedKind, messaging::kMessengerKind}) {
    kinds.emplace(kind);
  }
  return kinds;
}

std::uint32_t Stored::last_attempt_id() const {
  std::uint32_t last = credentials ? credentials->attempt_id : 0;
  if (last_close) last = std::max(last, last_close->attempt_id);
  for (const Tombstone& tombstone : tombstones) last = std::max(last, tombstone.attempt_id);
  return last;
}

}  // namespace wa::client

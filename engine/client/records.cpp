#include "engine/client/records.hpp"

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::client {
namespace {

constexpr std::size_t kDigestBytes = 8;

Bytes digest_of(ByteSpan record) {
  const auto digest = crypto::sha256(record);
  return to_bytes(ByteSpan(digest).first(kDigestBytes));
}

}  // namespace

void put_pre_keys(std::uint32_t first_id, std::span<const crypto::KeyPair> keys,
                  std::vector<Change>& changes) {
  schema::StoredPreKey record;
  changes.reserve(changes.size() + keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto id = first_id + static_cast<std::uint32_t>(i);
    record.set_id(id);
    record.mutable_key()->set_private_key(schema::field(keys[i].private_key.bytes));
    record.mutable_key()->set_public_key(schema::field(keys[i].public_key));
    changes.emplace_back(
        Put{std::string(kPreKeyKind), std::to_string(id), schema::serialize(record)});
  }
}

void end_old_pre_keys(std::uint32_t first_id, std::uint32_t count, std::vector<Change>& changes) {
  for (std::uint32_t id = first_id; id < first_id + count; ++id) {
    if (id <= kMostPreKeys || id - kMostPreKeys >= first_id) continue;
    changes.emplace_back(Erase{std::string(kPreKeyKind), std::to_string(id - kMostPreKeys)});
  }
}

std::vector<Change> erase_account() {
  std::vector<Change> changes;
  changes.emplace_back(Erase{std::string(kCredentialsKind), std::string(kCredentialsKey)});
  changes.emplace_back(Erase{std::string(kPreKeyKind), {}});
  return changes;
}

Bytes seal_record(Bytes record) {
  const Bytes digest = digest_of(record);
  append(record, digest);
  return record;
}

Result<ByteSpan> open_record(ByteSpan sealed, std::string_view what) {
  if (sealed.size() < kDigestBytes) {
    return Error{Errc::malformed, std::string(what) + ": the record is cut"};
  }
  const ByteSpan record = sealed.first(sealed.size() - kDigestBytes);
  if (!equal(digest_of(record), sealed.last(kDigestBytes))) {
    return Error{Errc::malformed, std::string(what) + ": the record is cut or damaged"};
  }
  return record;
}

}  // namespace wa::client

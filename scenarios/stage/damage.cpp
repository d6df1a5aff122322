#include "scenarios/stage/damage.hpp"

#include <vector>

#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/settings.hpp"

namespace wa::stage {

namespace {

constexpr Damage::How kHow[] = {Damage::How::flip, Damage::How::truncate, Damage::How::missing};

/// "credentials (1), pre_key (30)"
std::string list(const StoredRecords& records) {
  std::string text;
  for (const auto& [kind, of_kind] : records) {
    text += (text.empty() ? "" : ", ") + kind + " (" + std::to_string(of_kind.size()) + ")";
  }
  return text;
}

void append_counted(Bytes& out, ByteSpan part) {
  append(out, big_endian<8>(part.size()));
  append(out, part);
}

}  // namespace

std::string_view to_string(Damage::How how) {
  switch (how) {
    case Damage::How::flip: return "flip";
    case Damage::How::truncate: return "truncate";
    case Damage::How::missing: return "missing";
  }
  return "unknown";
}

Result<Damage> parse_damage(std::string_view record, std::string_view how) {
  Damage damage;
  const std::size_t slash = record.find('/');
  damage.kind = record.substr(0, slash);
  if (slash != std::string_view::npos) damage.key = record.substr(slash + 1);
  if (damage.kind.empty() || (slash != std::string_view::npos && damage.key.empty())) {
    return Error{Errc::usage, "\"" + std::string(record) +
                                  "\" is no record: it is a kind, such as \"credentials\", or a "
                                  "kind and a key, such as \"pre_key/7\""};
  }
  std::vector<std::string_view> words;
  for (const Damage::How known : kHow) {
    words.push_back(to_string(known));
    if (words.back() != how) continue;
    damage.how = known;
    return damage;
  }
  std::string detail = "a record is damaged by \"flip\", \"truncate\" or \"missing\", not \"" +
                       std::string(how) + "\"";
  if (const std::string near = mock::nearest(how, words); !near.empty())
    detail += "; did you mean \"" + near + "\"?";
  return Error{Errc::usage, detail};
}

Result<DamagedRecord> damaged(const StoredRecords& records, const Damage& damage) {
  const std::string name = damage.kind + (damage.key.empty() ? "" : "/" + damage.key);
  if (records.empty()) return Error{Errc::not_found, "nothing is stored"};
  const auto of_kind = records.find(damage.kind);
  const bool has_kind = of_kind != records.end() && !of_kind->second.empty();
  const auto record = !has_kind            ? StoredRecords::mapped_type::const_iterator{}
                      : damage.key.empty() ? of_kind->second.begin()
                                           : of_kind->second.find(damage.key);
  if (!has_kind || record == of_kind->second.end()) {
    return Error{Errc::not_found, "no record " + name + " is stored; there are " + list(records)};
  }
  DamagedRecord left{damage.kind, record->first, {}};
  if (damage.how == Damage::How::missing) return left;
  left.bytes = record->second;
  if (left.bytes->empty()) {
    return Error{Errc::not_found,
                 "there are no bytes in the record " + name + ": it can only go missing"};
  }
  const std::size_t middle = left.bytes->size() / 2;
  if (damage.how == Damage::How::flip) {
    (*left.bytes)[middle] ^= std::byte{1};
  } else {
    left.bytes->resize(middle);
  }
  return left;
}

Error no_such_copy(std::size_t copy, std::size_t copies) {
  return {Errc::not_found, "there is no copy " + std::to_string(copy) + " of what it has stored, " +
                               (copies == 0 ? "and no other" : "but " + std::to_string(copies))};
}

std::string digest_of(const StoredRecords& records) {
  Bytes all;
  for (const auto& [kind, of_kind] : records) {
    for (const auto& [key, bytes] : of_kind) {
      append_counted(all, as_bytes(kind));
      append_counted(all, as_bytes(key));
      append_counted(all, bytes);
    }
  }
  return all.empty() ? std::string() : to_hex(crypto::sha256(all));
}

}  // namespace wa::stage

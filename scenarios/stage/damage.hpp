#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.hpp"

namespace wa::stage {

/// kind → key → bytes: what a client has stored of a device, as it lies there.
using StoredRecords = std::map<std::string, std::map<std::string, Bytes, std::less<>>, std::less<>>;

/// What befalls one record behind the back of the client that wrote it:
///
/// - flip: one bit of it, in the middle
/// - truncate: its second half is gone
/// - missing: all of it is gone
struct Damage {
  enum class How { flip, truncate, missing };
  How how = How::flip;
  std::string kind;
  std::string key;  ///< empty: the first of its kind
};
std::string_view to_string(Damage::How how);

/// `record` is "kind" or "kind/key", `how` one of the words above. Errors: `usage`.
Result<Damage> parse_damage(std::string_view record, std::string_view how);

/// A record as damage has left it.
struct DamagedRecord {
  std::string kind;
  std::string key;
  std::optional<Bytes> bytes;  ///< empty: it is gone
};

/// What the damage makes of one of these records. Errors: `not_found` (there is no such record, or
/// no bytes in it; the message says what there is).
Result<DamagedRecord> damaged(const StoredRecords& records, const Damage& damage);

/// What is told of a copy that was never made, when there are so many.
Error no_such_copy(std::size_t copy, std::size_t copies);

/// Hex SHA-256 over kinds, keys and bytes: equal digests are equal records. Empty: there are none.
std::string digest_of(const StoredRecords& records);

}  // namespace wa::stage

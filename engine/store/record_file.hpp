#pragma once

#include "engine/store/store.hpp"

namespace wa::store {

/// All records of one device as the contents of one file, and back. Internal to engine/store.
///
///     "testline" · version (4 bytes) · number of records (4 bytes) · records · SHA-256 of all
///     before record: kind, key (each with a length of 2 bytes), bytes (with a length of 4 bytes)
///
/// Numbers are big-endian. The records stand in order of kind and key.
Bytes encode_records(const Records& records);

/// Strict: a file that is cut, grown or changed anywhere is refused. Errors: `malformed`.
Result<Records> decode_records(ByteSpan file);

}  // namespace wa::store

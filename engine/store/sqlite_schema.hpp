#pragma once

#include "engine/store/sqlite_database.hpp"

/// What the file of a SqliteStore looks like, and how it came to that. Internal to engine/store.
///
///     record   one row per record, with its checksum
///     device   one row per device: generation, number and digest of its records under a seal, and
///              its owner with the token that every commit must carry
///     owner    one row per process that has devices open, with the end of its lease
///
/// | user_version | what is new |
/// |---|---|
/// | 1 | records with checksums |
/// | 2 | devices with generation, digest and owner |
namespace wa::store {

inline constexpr int kSchemaVersion = 2;

/// Makes the file with its tables, if there is none; a file appears complete or not at all.
/// Errors: `environment`.
Result<void> create_database(const std::string& path, const std::string& vfs);

/// Checks that the file is a store of a version that is known, and brings it up to date in one
/// transaction. Errors: `environment` (a newer version; nothing is changed), `malformed`.
Result<void> migrate(Database& database);

}  // namespace wa::store

#pragma once

#include "scenarios/loopback/stored_records.hpp"

namespace wa::loopback {

/// A copy of what one device has stored becomes what another one has: its records, when the client
/// keeps them in a testline.db; else its files, all that are in its own directory, or those named
/// after it (`NAME`, `NAME.…`) in one that it shares. Blocks. Errors: `environment`, `malformed`.
Result<void> clone_stored(const StoredDevice& from, const StoredDevice& to);

}  // namespace wa::loopback

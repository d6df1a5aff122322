#pragma once

#include <string>
#include <vector>

#include "scenarios/stage/damage.hpp"

namespace wa::loopback {

/// What `testline engine` stores in, in its state directory. Source: docs/ARCHITECTURE.md, "The
/// store".
inline constexpr std::string_view kDatabase = "testline.db";

/// What a client keeps of a device.
struct StoredDevice {
  std::string directory;
  std::string name;  ///< empty: the directory is the device's own
};

// The records of one device in a testline.db as they lie there, beside the store: whatever their
// checksums say, and whoever has the device. Both block, for 5 s at most while somebody writes.
//
// Errors: `malformed` (the file cannot be read at all), `environment`.

Result<stage::StoredRecords> read_records(const StoredDevice& device);
/// Also `not_found`, as stage::damaged. Nothing else in the file changes.
Result<stage::DamagedRecord> damage_record(const StoredDevice& device, const stage::Damage& damage);

/// All that a file keeps of one device, byte by byte.
struct StoredCopy {
  struct Record {
    std::string kind;
    std::string key;
    Bytes bytes;
    Bytes checksum;
  };
  std::vector<Record> records;
  // Of the device's row, but for its owner.
  std::int64_t generation = 0;
  std::int64_t count = 0;
  Bytes digest;
  Bytes seal;
};
Result<StoredCopy> copy_records(const StoredDevice& device);
/// In the place of what is there, as when somebody restores a backup.
Result<void> restore_records(const StoredDevice& device, const StoredCopy& copy);

}  // namespace wa::loopback

#pragma once

#include <string>

#include "engine/base/result.hpp"

namespace wa::loopback {

/// What a client keeps of a device.
struct StoredDevice {
  std::string directory;
  std::string name;  ///< empty: the directory is the device's own
};

/// A copy of what one device has stored becomes what another one has: its records, when the client
/// keeps them in a testline.db; else its files, all that are in its own directory, or those named
/// after it (`NAME`, `NAME.…`) in one that it shares. Blocks. Errors: `environment`, `malformed`.
Result<void> clone_stored(const StoredDevice& from, const StoredDevice& to);

}  // namespace wa::loopback

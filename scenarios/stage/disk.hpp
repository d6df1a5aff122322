#pragma once

#include <optional>
#include <string_view>

#include "engine/base/now.hpp"

namespace wa::stage {

/// What can be wrong with the disk of a client under test: the words of the fault `disk {kind}`.
enum class DiskFault {
  enospc,       ///< no space is left
  eio,          ///< reads and writes fail
  short_write,  ///< "short": half of what is written arrives, then there is no space
  slow,         ///< making something durable takes longer
  busy,         ///< another program holds the file's lock
  readonly,     ///< nothing may be written
  torn,         ///< half of what is written arrives, which is noticed only when it is made durable
};

/// Empty when there is no such word.
constexpr std::optional<DiskFault> disk_fault(std::string_view word) {
  if (word == "enospc") return DiskFault::enospc;
  if (word == "eio") return DiskFault::eio;
  if (word == "short") return DiskFault::short_write;
  if (word == "slow") return DiskFault::slow;
  if (word == "busy") return DiskFault::busy;
  if (word == "readonly") return DiskFault::readonly;
  if (word == "torn") return DiskFault::torn;
  return {};
}

/// A disk whose faults can be switched while it is used.
class Disk {
 public:
  virtual ~Disk() = default;
  /// `by`: for slow.
  virtual void set(DiskFault fault, bool on, Duration by = {}) = 0;
};

}  // namespace wa::stage

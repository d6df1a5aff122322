#pragma once

#include "engine/base/now.hpp"
#include "mockserver/core/fault_record.hpp"

namespace wa::stage {

/// What can be wrong with the disk of a client under test:
///
/// - enospc: no space is left
/// - eio: reads and writes fail
/// - short_write: half of what is written arrives, then there is no space
/// - slow: making something durable takes longer
/// - busy: another program holds the file's lock
/// - readonly: nothing may be written
/// - torn: half of what is written arrives, which is noticed only when it is made durable
using DiskFault = mock::DiskFault::Kind;

/// A disk whose faults can be switched while it is used.
class Disk {
 public:
  virtual ~Disk() = default;
  /// `by`: what slow takes in addition, and for how long busy is (zero: until it is off).
  virtual void set(DiskFault fault, bool on, Duration by = {}) = 0;
};

}  // namespace wa::stage

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "scenarios/stage/disk.hpp"

namespace wa::loopback {

/// A SQLite VFS: the default one, with faults that any thread may switch on and off at any time.
/// Given to a SqliteStore by its name.
///
/// - enospc, eio, readonly: what is written is refused (eio: what is read, too)
/// - short: half of it is written, then it is refused as if the disk were full
/// - torn: half of it is written, and only the next fsync fails
/// - slow: an fsync takes `by` longer
/// - busy: the lock for writing is somebody else's, for `by` each time that it is wanted; zero:
/// for
///   as long as the fault is on
class FaultyVfs final : public stage::Disk {
 public:
  /// Registers it with SQLite.
  explicit FaultyVfs(std::string name);
  /// Nothing may have a file open through it any more.
  ~FaultyVfs() override;
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  void set(stage::DiskFault fault, bool on, Duration by = {}) override;
  /// How often a fault acted.
  std::uint64_t acts() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace wa::loopback

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/client/actions.hpp"
#include "scenarios/stage/damage.hpp"
#include "scenarios/stage/disk.hpp"

namespace wa::sim {

/// What is wrong with the disk below a store. Only what a store can tell apart is modelled: a write
/// that fails, however it does, leaves what was durable.
class Disk final : public stage::Disk {
 public:
  void set(stage::DiskFault fault, bool on, Duration by = {}) override;

  /// Why nothing can be written by somebody who has waited that long; empty: it can.
  std::optional<std::string> failure(Duration waited = {}) const;
  /// Another program holds the file: writers wait.
  bool busy(Duration waited = {}) const {
    return is_on(stage::DiskFault::busy) && (busy_for_ == Duration{} || waited < busy_for_);
  }
  /// What making something durable takes beside its usual cost.
  Duration slow_by() const { return is_on(stage::DiskFault::slow) ? slow_by_ : Duration{}; }

 private:
  bool is_on(stage::DiskFault fault) const {
    return (on_ & (1u << static_cast<unsigned>(fault))) != 0;
  }
  unsigned on_ = 0;  ///< a bit for each fault
  Duration slow_by_{};
  Duration busy_for_{};  ///< zero: as long as it is on
};

/// What one device has made durable. Outlives its sessions; one process owns it at a time.
class Store {
 public:
  /// A lease that nobody renews any more ends after this. Source: docs/ARCHITECTURE.md, "Owners".
  static constexpr Duration kLease = std::chrono::seconds(30);
  /// How long a writer waits for a file that is locked. Source: as above, "The store".
  static constexpr Duration kBusyTimeout = std::chrono::seconds(5);
  static constexpr Duration kBusyRetry = std::chrono::milliseconds(100);

  /// True: `owner` has it now. A process that comes back may have its own lease again.
  bool acquire(std::string_view owner, Instant now);
  void release(std::string_view owner);
  std::string_view owner() const { return owner_; }  ///< empty: nobody
  /// The owner died: nobody renews its lease.
  void abandon(std::string_view owner, Instant now);
  /// Grows whenever another owner takes over: what an earlier one remembers is out of date.
  std::uint32_t epoch() const { return epoch_; }

  void apply(std::vector<client::Change> changes);
  /// Grows with every commit, and never falls but by restore().
  std::uint64_t generation() const { return generation_; }
  /// No records any more.
  void erase();
  /// Damaged ones are as damaged in the copy.
  void copy_records(const Store& from);
  /// All of it as it was, as somebody has put it aside: records, and how many commits they had
  /// seen. Who owns it is not in there.
  struct Copy {
    stage::StoredRecords kinds;
    bool intact = true;
    std::uint64_t generation = 0;
  };
  Copy copy() const { return {kinds_, intact_, generation_}; }
  void restore(const Copy& copy);
  /// Somebody who knows nothing of checksums has changed this record.
  void damage(stage::DamagedRecord left);
  /// Whether all is there as it was written. What is not stays so until erase().
  bool intact() const { return intact_; }
  /// Null when there is none.
  const Bytes* find(std::string_view kind, std::string_view key) const;
  using Kinds = stage::StoredRecords;
  const Kinds& kinds() const { return kinds_; }

  Disk& disk() { return disk_; }

 private:
  Kinds kinds_;
  bool intact_ = true;  ///< what the checksums of a file would say
  std::uint64_t generation_ = 0;
  std::string owner_;
  std::string last_owner_;
  std::optional<Instant> lease_ends_;  ///< empty while the owner lives
  std::uint32_t epoch_ = 0;
  Disk disk_;
};

}  // namespace wa::sim

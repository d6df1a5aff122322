#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/client/actions.hpp"

namespace wa::sim {

/// What one device has made durable. Outlives its sessions; one process owns it at a time.
class Store {
 public:
  /// A lease that nobody renews any more ends after this. Source: docs/ARCHITECTURE.md, "Owners".
  static constexpr Duration kLease = std::chrono::seconds(30);

  /// True: `owner` has it now. A process that comes back may have its own lease again.
  bool acquire(std::string_view owner, Instant now);
  void release(std::string_view owner);
  /// The owner died: nobody renews its lease.
  void abandon(std::string_view owner, Instant now);
  /// Grows whenever another owner takes over: what an earlier one remembers is out of date.
  std::uint32_t epoch() const { return epoch_; }

  void apply(const std::vector<client::Change>& changes);
  /// The other's records in place of its own; owner and epoch stay.
  void copy_records(const Store& other) { kinds_ = other.kinds_; }
  /// Null when there is none.
  const Bytes* find(std::string_view kind, std::string_view key) const;
  using Kinds = std::map<std::string, std::map<std::string, Bytes, std::less<>>, std::less<>>;
  const Kinds& kinds() const { return kinds_; }

 private:
  Kinds kinds_;
  std::string owner_;
  std::string last_owner_;
  std::optional<Instant> lease_ends_;  ///< empty while the owner lives
  std::uint32_t epoch_ = 0;
};

}  // namespace wa::sim

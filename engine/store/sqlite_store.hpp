#pragma once

#include <set>

#include "engine/base/now.hpp"
#include "engine/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::store {

/// All devices in one SQLite file. One thread writes: what was asked for meanwhile becomes durable
/// together, with one fsync (group commit), and each device's commit stands or falls as a whole.
/// Reads see what is not durable yet, and are answered when it is.
///
/// A process owns the devices that it has open by a lease in the same file, which it renews while
/// it lives. Another process gets a device when it was given back, or when the lease has lapsed:
/// then whatever the first one still writes is refused (`fenced`), and once it notices, it is told
/// (OnLost). Leases count on the monotonic clock: all users of a file are on one machine.
///
/// Everything stored is checksummed. A file, page or record that is damaged is an error, and stays
/// as it is; SQLite's own errors name the path and say what to do.
///
/// Source: docs/ARCHITECTURE.md, "The store".
class SqliteStore final : public Store {
 public:
  struct Options {
    std::string path;  ///< made, with its directory, if it is not there
    /// Who this is to others. A process that comes back under its old name has its devices at once,
    /// so two that run at a time must not share one. Empty: a name of its own.
    std::string owner = {};
    Duration lease = std::chrono::seconds(30);
    Duration renew = std::chrono::seconds(10);
    Duration busy_timeout = std::chrono::seconds(5);  ///< for others who write the file
    std::string vfs = {};                             ///< a SQLite VFS by name; empty: the default
    /// The kinds whose records open() gives; empty: all. The others are loaded when they are
    /// needed.
    std::set<std::string, std::less<>> resident = {};
    /// Monotonic, and the same for all users of the file; null: CLOCK_MONOTONIC.
    std::function<Instant()> clock = {};
  };

  /// Blocks. Errors: `environment` (also: a newer program's file), `malformed`.
  static Result<std::unique_ptr<SqliteStore>> at(boost::asio::io_context& io, Options options);
  /// Waits for what is under way, and gives back what it owns. DeviceStores that are left are void.
  ~SqliteStore() override;

  void open(std::string device, OnOpened on_opened, OnLost on_lost = {}) override;
  void read(std::string device, OnRead on_read) override;
  void erase(std::string device, Done done) override;

 private:
  class Impl;
  class Device;
  explicit SqliteStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::store

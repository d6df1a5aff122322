#pragma once

#include <optional>
#include <set>

#include "engine/store/sqlite_database.hpp"
#include "engine/store/store.hpp"

/// The rows of a SqliteStore. Internal to engine/store.
namespace wa::store {

/// A process that owns devices. Its lease counts on the monotonic clock of one boot of one machine,
/// which all processes that can have the file open share.
struct Owner {
  std::int64_t id = 0;  ///< drawn, never 0
  std::string name;
  std::int64_t pid = 0;
  std::string boot;
};

/// What the statements do; the caller holds the transaction. Every record has a SHA-256 over its
/// device, kind, key and bytes; a device's row has the XOR of them, their number, and a SHA-256
/// over itself. So bytes that changed, records that are gone and records of another time are all
/// found.
///
/// Errors, beside those of Database: `malformed` (a checksum does not match), `fenced` (another
/// owner, named in the message).
class Tables {
 public:
  explicit Tables(Database& database) : database_(database) {}

  /// `given`: the kinds whose records are wanted; null: all.
  using Kinds = std::set<std::string, std::less<>>;
  Result<Stored> read(const std::string& device, const Kinds* given = nullptr);
  /// `token`: as of take().
  Result<Loaded> load(const std::string& device, std::int64_t token,
                      const std::vector<RecordKey>& keys);
  /// A generation more. `token`: as of take().
  Result<void> commit(const std::string& device, std::int64_t token,
                      const std::vector<Change>& changes);
  /// No records, whatever is there; a generation more.
  Result<void> erase(const std::string& device, const Owner& me, Instant now);

  struct Taken {
    std::int64_t token = 0;  ///< grows with every owner
    Stored stored;
  };
  /// `me` owns the device from here on. A device is free when nobody has it, the lease of whoever
  /// has it has lapsed, or that is an earlier process of the same name. Whether `me` has it open
  /// already is not seen here.
  Result<Taken> take(const std::string& device, const Owner& me, Instant now,
                     const Kinds* given = nullptr);
  /// Nothing happens when somebody else has it by now.
  Result<void> release(const std::string& device, std::int64_t token);

  /// The owner has a row with a lease until then; rows of others that have lapsed go.
  Result<void> renew(const Owner& owner, Instant now, Instant until);
  /// device → token of all that it owns.
  Result<std::map<std::string, std::int64_t>> owned_by(std::int64_t owner);
  /// Its devices are free and its row is gone.
  Result<void> leave(std::int64_t owner);

  /// For files from before there were device rows.
  Result<void> adopt(const std::string& device);

 private:
  struct Row {
    std::int64_t id = 0;
    std::int64_t generation = 0;
    std::int64_t records = 0;
    ByteArray<32> digest{};
    std::int64_t owner = 0;
    std::int64_t token = 0;
    bool intact = true;  ///< the seal matches
  };
  Result<std::optional<Row>> row_of(const std::string& device);
  Result<void> write_row(const std::string& device, const Row& row);
  /// Sums a row up from the checksums of the records that are there.
  Result<Row> sum_up(const std::string& device, std::set<std::string>* kinds = nullptr);
  /// Adds the records that a query of kind, key, bytes and checksum yields, each verified.
  Result<void> collect(const std::string& device, Query query, Stored& stored);
  Result<void> put(const std::string& device, const Put& put, Row& row);
  Result<void> erase(const std::string& device, const Erase& erase, Row& row);
  Result<void> check_free(const std::string& device, const Row& row, const Owner& me, Instant now);
  Error damaged(const std::string& device, const std::string& what) const;

  Database& database_;
};

}  // namespace wa::store

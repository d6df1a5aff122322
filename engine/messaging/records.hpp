#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/messaging/attempt.hpp"

namespace wa::messaging {

/// The stored records that are in memory, and the changes of the handler that runs.
///
/// A record is here while a lane has it pinned, and for as long as somebody waits for its load. A
/// handler reads records through this view; one that is not here ends the handler. Its changes are
/// kept apart until it has come to its end: then they are what every other handler reads. Since one
/// handler runs at a time and from its start, each is a transaction.
///
///     begin(pins) → read, put, erase … → finish(): the changes     (or abandon())
///     Blocked → wait(lane, keys): what has to be loaded → loaded(): the lanes to run again
class Records {
 public:
  using Pins = std::set<RecordKey>;

  /// A handler begins. What it reads is pinned in `pins`, which must outlive it.
  void begin(Pins& pins);

  /// The record; null when there is none. Valid until this record is changed.
  Attempt<const Bytes*> read(const RecordKey& key);
  /// Whether all of them can be read, so that one load brings them together.
  Attempt<void> need(std::span<const RecordKey> keys);

  void put(RecordKey key, Bytes bytes);
  void erase(RecordKey key);
  /// Every record of a kind that no handler reads any more.
  void erase_kind(std::string kind);

  /// Whether the handler has changed anything yet.
  bool changed() const { return !changes_.empty() || !erased_kinds_.empty(); }
  /// The handler has come to its end: its changes, in order of their keys.
  std::vector<Change> finish();
  /// It has not: its changes are forgotten. What it pinned stays pinned.
  void abandon();

  /// A lane waits for records. Those that nobody has asked for yet, to be loaded under `load_id`.
  std::vector<RecordKey> wait(const std::string& lane, std::span<const RecordKey> keys,
                              std::uint32_t load_id);
  /// What a load brought, in the order of its keys. The lanes that waited for it.
  std::vector<std::string> loaded(std::uint32_t load_id, std::vector<std::optional<Bytes>> values);

  /// A lane needs its records no longer.
  void release(Pins& pins);

  std::size_t resident() const { return slots_.size(); }

 private:
  struct Slot {
    std::optional<std::optional<Bytes>> value;  ///< empty: not loaded; then empty: no such record
    std::size_t pins = 0;
    bool loading = false;
    std::vector<std::string> waiters;
  };
  void pin(const RecordKey& key);
  void drop_if_unused(std::map<RecordKey, Slot>::iterator slot);

  std::map<RecordKey, Slot> slots_;
  std::map<RecordKey, std::optional<Bytes>> changes_;  ///< of the handler that runs
  std::set<std::string> erased_kinds_;
  Pins* pins_ = nullptr;
  std::map<std::uint32_t, std::vector<RecordKey>> loads_;
};

}  // namespace wa::messaging

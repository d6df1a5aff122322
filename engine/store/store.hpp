#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/change.hpp"

/// Where sessions keep what must survive them. Stores know kinds, keys and bytes only.
///
/// Callbacks run on the io_context that the store was made with, never inside the call that caused
/// them, in the order of the calls.
namespace wa::store {

using wa::Change;
using wa::Erase;
using wa::Put;

/// kind → key → bytes. A kind without records is not there.
using Records = std::map<std::string, std::map<std::string, Bytes, std::less<>>, std::less<>>;
void apply(std::vector<Change> changes, Records& records);
/// Null when there is none.
const Bytes* find(const Records& records, std::string_view kind, std::string_view key);

/// What is durable of one device.
struct Stored {
  /// Of the kinds that the store was told to give; of any other kind that has records, no record.
  Records records;
  std::uint64_t generation = 0;  ///< grows with every commit, and never falls
};

using Done = std::function<void(Result<void>)>;
/// One for each key, in their order.
using Loaded = std::vector<std::optional<Bytes>>;
using OnLoaded = std::function<void(Result<Loaded>)>;

/// One device, opened by who runs its session: its only owner. Dropping it ends the ownership;
/// commits under way are finished.
class DeviceStore {
 public:
  virtual ~DeviceStore() = default;
  /// Makes all of the changes durable, or none. `point` names what made the commit, and is a
  /// literal (client::Commit). `done` may come after this object is gone.
  /// Errors: `fenced` (the device has another owner), `environment`, `malformed`.
  virtual void commit(std::string_view point, std::vector<Change> changes, Done done) = 0;

  /// What the records hold after all commits that were asked for before, durable or not; empty
  /// where there is none. Errors: `fenced`, `environment`, `malformed` (a record is damaged).
  virtual void load(std::vector<RecordKey> keys, OnLoaded on_loaded) = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  struct Opened {
    std::shared_ptr<DeviceStore> device;
    Stored stored;
  };
  using OnOpened = std::function<void(Result<Opened>)>;
  /// The ownership was lost: whoever has the device must do nothing more in its name. `why` is for
  /// humans. Called once at most, never after the DeviceStore was dropped.
  using OnLost = std::function<void(const std::string& why)>;
  /// Makes the caller the only owner of a device. One that was never stored has no records.
  /// `device` matches [A-Za-z0-9_-]{0,64}; `on_lost` may be empty.
  /// Errors: `fenced` (another owner has it; the message says who and until when), `malformed`
  /// (what is stored is damaged; it is left as it is), `environment`.
  virtual void open(std::string device, OnOpened on_opened, OnLost on_lost = {}) = 0;

  using OnRead = std::function<void(Result<Stored>)>;
  /// Looks without owning. Errors: `malformed`, `environment`, as of open().
  virtual void read(std::string device, OnRead on_read) = 0;

  /// Removes all records of a device that nobody has open, damaged ones too.
  /// Errors: `fenced`, `environment`.
  virtual void erase(std::string device, Done done) = 0;
};

}  // namespace wa::store

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/client/actions.hpp"
#include "engine/client/credentials.hpp"

/// What is stored of a device beside its live credentials, and the whole of it as a session begins
/// with it.
namespace wa::client {

/// A final end of an account: nothing logs in with its credentials again.
struct FinalClose {
  std::uint32_t attempt_id = 0;
  State state = State::logged_out;
  std::string reason;
  LastClose close;
  bool operator==(const FinalClose&) const = default;

  Put put() const;
  static Result<FinalClose> decode(ByteSpan record);
};

/// Dead credentials, kept for a day as evidence. Never loaded as live ones.
struct Quarantined {
  FinalClose close;
  Bytes credentials;  ///< the record as it was
  bool operator==(const Quarantined&) const = default;

  Put put() const;
  static Result<Quarantined> decode(ByteSpan record);
};

/// What it takes to log in once more and have a companion removed whose device is deleted here.
struct Tombstone {
  std::uint32_t attempt_id = 0;
  crypto::KeyPair noise;
  wire::Jid jid;
  Bytes routing_info;
  bool operator==(const Tombstone&) const = default;

  static Tombstone of(const Credentials& credentials);
  Put put() const;
  Erase erase() const;
  static Result<Tombstone> decode(ByteSpan record);
};

/// kind → key → bytes, as stores give it.
using StoredRecords = std::map<std::string, std::map<std::string, Bytes, std::less<>>, std::less<>>;

/// The kinds that are in memory while a session runs; records of others are loaded when they are
/// needed.
std::set<std::string, std::less<>> resident_kinds();

/// All that a session wants to know when it begins: of the resident kinds the records, and of
/// others whether there are any.
struct Stored {
  std::optional<Credentials> credentials = {};
  std::optional<FinalClose> last_close = {};
  std::vector<Tombstone> tombstones = {};
  struct Evidence {
    std::string key;
    UnixMillis at;
  };
  std::vector<Evidence> quarantine = {};
  messaging::ResidentRecords messages = {};

  /// Errors: `malformed`: the credentials are damaged, or gone while their pre-keys are there. Then
  /// nobody may pair over them. Other damaged records are left as they are and not reported here.
  static Result<Stored> read(const StoredRecords& records);

  /// Grows with every pairing attempt of this device that left anything behind.
  std::uint32_t last_attempt_id() const;
};

}  // namespace wa::client

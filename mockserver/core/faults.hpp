#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/random.hpp"
#include "engine/protocol/wire/node.hpp"
#include "mockserver/core/events.hpp"

/// Faults are data: records from Lua, the plan and the control API.
/// Source: docs/guides/faults.md.
namespace wa::mock {

/// `stream_error {code?, conflict?, child?}`: sends it and closes.
struct StreamErrorFault {
  std::optional<int> code;
  std::string conflict;  ///< type of the <conflict/> child, or empty
  std::string child;     ///< tag of another child, or empty
};
/// `refs {count, first, rest}`: what pair-device offers.
struct RefsFault {
  std::optional<std::uint32_t> count;
  std::optional<Duration> first;
  std::optional<Duration> rest;
};
/// `withhold {stanza}`: success, pair-device, pair-success or offline is not sent.
struct WithholdFault {
  std::string stanza;
};
/// `close {how}`: fin or rst.
struct CloseFault {
  bool reset = false;
};
using FaultKind = std::variant<StreamErrorFault, RefsFault, WithholdFault, CloseFault>;

/// Whether a fault of this kind acts at a moment of its own; the others act when their stanza is
/// due.
bool acts_by_itself(const FaultKind& kind);

/// Which connections a record is about; empty fields match everything.
struct FaultWhere {
  std::string device;      ///< label, device JID, or number (all its companions)
  std::string connection;  ///< decimal id, or "*"
  bool matches(ConnectionId id, std::string_view label, std::string_view device_jid,
               std::string_view number) const;
};

/// When a matching record acts; all that are given must hold.
struct FaultWhen {
  std::optional<EventKind> on_event;
  std::optional<Duration> after;  ///< since the device's first connection
  std::optional<std::uint64_t> nth;
  std::optional<std::uint64_t> every;
  std::optional<double> probability;
  bool manual = false;
};

struct FaultRecord {
  std::string id;  ///< generated when empty
  FaultKind kind;
  FaultWhere where;
  FaultWhen when;
  std::optional<std::uint64_t> budget;  ///< how often it may act; empty = unlimited
  bool optional = false;                ///< need not fire
  boost::json::object json;             ///< as it was given, with id and defaults filled in

  /// Errors: `usage`; names the member and what it takes, an unknown word names the nearest.
  static Result<FaultRecord> parse(const boost::json::value& json);
};

/// The names of the faults, for documentation and completion.
std::vector<std::string_view> fault_names();

/// Who a decision is about.
struct FaultSubject {
  ConnectionId connection = 0;
  std::string_view label;
  std::string_view device_jid;
  std::string_view number;
};

/// Holds the records of a tenant and decides; what a fault does is done by the tenant.
class FaultEngine {
 public:
  explicit FaultEngine(std::uint64_t seed) : seed_(seed) {}

  /// The id. Errors: `conflict` (id in use).
  Result<std::string> add(FaultRecord record, Now now);
  /// Errors: `not_found`.
  Result<void> remove(std::string_view id);
  /// Forgets records, timers and devices.
  void clear();

  struct Active {
    FaultRecord record;
    std::uint64_t matches = 0;
    std::uint64_t fired = 0;
    bool armed = false;  ///< manual: fire() was called
    std::uint64_t draws = 0;
    std::set<std::string> clocks;  ///< devices whose `after` was started
  };
  const std::vector<Active>& records() const { return records_; }
  const Active* find(std::string_view id) const;

  /// A device has a connection, or more of it is known (its JID): its `after` clocks run from the
  /// first time it was seen. Call it on every connection and once it has logged in or paired.
  void seen(const FaultSubject& subject, Now now);

  /// Faults that act now because something happened.
  std::vector<const FaultRecord*> on_event(EventKind kind, const FaultSubject& subject, Now now);
  /// Faults whose `after` has come, with the device they are about. A device that `is_live` denies
  /// has no connection to act on: the moment passes, and the record has not fired.
  struct Due {
    const FaultRecord* record;
    std::string device;
  };
  std::vector<Due> on_deadline(Now now, const std::function<bool(const std::string&)>& is_live);
  std::optional<Instant> next_deadline() const;
  /// How timers name a device: its label, else its JID, else its connection.
  static std::string device_key(const FaultSubject& subject);

  /// Is this stanza withheld? Counts as fired when it is.
  const FaultRecord* withholds(std::string_view stanza, const FaultSubject& subject);
  /// The refs to offer instead of the settings', if a record says so.
  const FaultRecord* refs(const FaultSubject& subject);
  /// Marks a manual record as to be performed; the tenant then performs it on every connection that
  /// matches. Errors: `not_found`, `conflict` (budget used up).
  Result<const FaultRecord*> fire(std::string_view id);

 private:
  struct Timer {
    Instant at;
    std::string fault_id;
    std::string device;
  };
  /// What is known of a device that was seen, for records that are added later.
  struct Seen {
    Instant first;
    ConnectionId connection = 0;
    std::string label;
    std::string device_jid;
    std::string number;
    FaultSubject subject() const { return {connection, label, device_jid, number}; }
  };
  void start_clock(Active& active, const std::string& device, const Seen& seen, Instant now);
  bool passes(Active& active, bool is_event, EventKind kind);

  std::uint64_t seed_;
  std::uint64_t next_id_ = 1;
  std::vector<Active> records_;
  std::vector<Timer> timers_;
  std::map<std::string, Seen> seen_;  ///< by device_key
};

}  // namespace wa::mock

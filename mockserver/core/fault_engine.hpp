#pragma once

#include <array>
#include <list>
#include <map>
#include <set>
#include <unordered_map>

#include "mockserver/core/fault_record.hpp"

namespace wa::mock {

/// Position of a kind in FaultKind.
template <class K, std::size_t I = 0>
constexpr std::size_t fault_index() {
  if constexpr (std::is_same_v<K, std::variant_alternative_t<I, FaultKind>>) {
    return I;
  } else {
    return fault_index<K, I + 1>();
  }
}

/// Holds the records of a tenant and decides which act; what a fault does is done by the tenant.
///
///   record added ──▶ waiting ──trigger──▶ armed (occasion) / on (standing) ──heal──▶ over
///                       └─────trigger: performed once (moment)
///
/// A record without a trigger is armed, or on, from the start. Triggers count per device, manual
/// ones for all. Everything is indexed by kind, by what is waited for and by device, so a record
/// costs those only whom it may concern.
///
/// Source: docs/guides/faults.md.
class FaultEngine {
 public:
  FaultEngine(std::uint64_t seed, std::string tenant = {})
      : seed_(seed), tenant_(std::move(tenant)) {}
  FaultEngine(FaultEngine&&) = delete;  // records are pointed at

  struct Active {
    FaultRecord record;
    std::uint64_t matches = 0;  ///< chances that got as far as nth, every and probability
    std::uint64_t fired = 0;    ///< acts; of a standing fault: how often it was switched on
    bool healed = false;        ///< over for good

    /// Whether it acts on its next chance, or is on for somebody. Moments: until they are used up.
    bool active() const;

   private:
    friend class FaultEngine;
    std::uint64_t sequence = 0;
    std::uint64_t draws = 0;
    bool armed_for_all = false;     ///< fire() was called
    std::set<std::string> armed;    ///< devices whose trigger came
    std::set<std::string> on;       ///< devices that a standing fault is on for; empty text: all
    std::set<std::string> counted;  ///< those of them for whom it has acted
    std::set<std::string> clocks;   ///< devices whose `after` or `at` was started
    std::set<std::pair<Instant, std::uint64_t>> timers;
    bool heal_clock = false;  ///< heal.after or heal.at was started
    bool heal_ready = false;  ///< … and is over: only heal.nth is waited for
  };

  // ---- records ----

  /// The id. Errors: `conflict` (id in use).
  Result<std::string> add(FaultRecord record, Now now);
  /// Errors: `not_found`.
  Result<void> remove(std::string_view id, Now now);
  /// Fires a manual record, or any other ahead of its time. A moment counts as one act: the tenant
  /// performs it on every connection that matches. Others are armed, or switched on, for everybody.
  /// Errors: `not_found`, `conflict` (budget used up, or healed).
  Result<const FaultRecord*> fire(std::string_view id, Now now);
  /// The record is over for good; healing it again changes nothing. Errors: `not_found`.
  Result<void> heal(std::string_view id, Now now);
  /// Forgets records, timers and devices.
  void clear();

  const std::list<Active>& records() const { return records_; }
  const Active* find(std::string_view id) const;
  /// A cheap test, so that a tenant without faults of this kind pays nothing.
  template <class K>
  bool any() const {
    return !by_kind_[fault_index<K>()].empty();
  }

  // ---- what happens ----

  /// A device has a connection, or more of it is known (its JID): its clocks run from the first
  /// time it was seen. Call it on every connection and once it has logged in or paired.
  void seen(const FaultSubject& subject, Now now);

  struct Due {
    enum class What {
      perform,       ///< a moment has come
      switched_on,   ///< a standing fault is on for the device from now on
      switched_off,  ///< … is off again, for now or because its record was removed
      healed,        ///< the record is over for good, for everybody
    };
    What what = What::perform;
    const FaultRecord* record = nullptr;  ///< valid until it is removed
    std::string device;  ///< as device_key() names it; empty: everybody whom the record is about
    ConnectionId connection = 0;  ///< on which it is to be performed; 0: look the device up
  };
  /// What is due now because something happened. `stanza` is that of stanza_in and stanza_out.
  std::vector<Due> on_event(EventKind kind, const FaultSubject& subject, Now now,
                            StanzaRef stanza = {});
  /// What is due because its time has come. A device that `is_live` denies has no connection to
  /// act on: the moment passes, and the record has not fired.
  std::vector<Due> on_deadline(Now now, const std::function<bool(const std::string&)>& is_live);
  std::optional<Instant> next_deadline() const;
  /// Switches and heals that came of anything but on_event and on_deadline: of add, remove, fire,
  /// heal, act and standing.
  std::vector<Due> take_due();

  // ---- chances ----

  struct Occasion {
    FaultSubject subject;
    std::optional<Direction> direction;
    StanzaRef stanza;
  };
  /// Occasion faults of kind K that act on this chance, counted; of kinds that exclude each other
  /// the first that fires. `fits` says whether a record's arguments make this its chance at all.
  template <class K>
  std::vector<const FaultRecord*> act(const Occasion& occasion, Now now) {
    return act(fault_index<K>(), occasion, now, {});
  }
  template <class K, class Fits>
  std::vector<const FaultRecord*> act(const Occasion& occasion, Now now, Fits fits) {
    return act(fault_index<K>(), occasion, now,
               [&fits](const FaultKind& kind) { return fits(std::get<K>(kind)); });
  }
  /// Records of kind K that would have their chance now; nothing is counted or drawn.
  template <class K>
  std::vector<const FaultRecord*> armed(const Occasion& occasion, Now now) {
    return armed(fault_index<K>(), occasion, now);
  }
  /// Standing faults of kind K that are on for this chance.
  template <class K>
  std::vector<const FaultRecord*> standing(const Occasion& occasion, Now now) {
    return standing(fault_index<K>(), occasion, now, {});
  }
  template <class K, class Fits>
  std::vector<const FaultRecord*> standing(const Occasion& occasion, Now now, Fits fits) {
    return standing(fault_index<K>(), occasion, now,
                    [&fits](const FaultKind& kind) { return fits(std::get<K>(kind)); });
  }

  /// How timers name a device: its label, else its JID, else its connection.
  static std::string device_key(const FaultSubject& subject);

 private:
  using Fits = std::function<bool(const FaultKind&)>;
  /// What is known of a device that was seen, for records that are added later.
  struct Seen {
    Instant first;
    ConnectionId connection = 0;
    std::string label;
    std::string device_jid;
    std::string number;
    std::string account;
    ConnectionState state = ConnectionState::offline;
    FaultSubject subject() const { return {connection, label, device_jid, number, account, state}; }
  };
  enum class TimerKind { trigger, window, heal };
  struct Timer {
    TimerKind kind;
    Active* active;
    std::string device;
  };
  /// Records by the device they name, in the order in which they were added.
  class Index {
   public:
    void add(Active& active);
    void remove(const Active& active);
    void clear();
    bool empty() const { return anybody_.empty() && by_device_.empty(); }
    /// Whom a record may concern: a superset of those whose `where` matches.
    std::vector<Active*> about(const FaultSubject& subject) const;

   private:
    using Row = std::map<std::uint64_t, Active*>;
    Row anybody_;
    std::unordered_map<std::string, Row> by_device_;
  };
  static constexpr std::size_t kEvents = static_cast<std::size_t>(EventKind::unlink) + 1;

  std::vector<const FaultRecord*> act(std::size_t kind, const Occasion& occasion, Now now,
                                      const Fits& fits);
  std::vector<const FaultRecord*> armed(std::size_t kind, const Occasion& occasion, Now now);
  std::vector<const FaultRecord*> standing(std::size_t kind, const Occasion& occasion, Now now,
                                           const Fits& fits);

  /// Shows every index that the record belongs in.
  template <class Visit>
  void for_each_index(const FaultRecord& record, Visit visit);
  void retire(Active& active);
  Active* find_active(std::string_view id);
  bool is_about(const Active& active, const FaultSubject& subject) const;
  bool in_window(const Active& active, const std::string& device, Now now) const;
  bool is_armed(const Active& active, const FaultSubject& subject) const;
  bool has_chance(const Active& active, const Occasion& occasion, Now now) const;
  /// Counts a match and says whether the record acts on it.
  bool chosen(Active& active);
  void count_act(Active& active, Now now);
  /// The moment, event or time that the record waited for has come for a device.
  void trigger(Active& active, const FaultSubject& subject, Now now);
  void check_heal(Active& active);
  void update_switch(Active& active, const FaultSubject& subject, Now now);
  void start_clocks(Active& active, const std::string& device, const Seen& seen, Now now);
  void start_heal_clock(Active& active, Instant at);
  void end(Active& active);
  /// The rest of the life of a record for everybody: on from now, whoever connects.
  void switch_on_for_all(Active& active, Now now);
  void set_timer(TimerKind kind, Active& active, std::string device, Instant at);
  void cancel_timers(Active& active);

  std::uint64_t seed_;
  std::string tenant_;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_sequence_ = 1;
  std::list<Active> records_;
  std::unordered_map<std::string, std::list<Active>::iterator> by_id_;
  std::array<Index, kFaultKinds> by_kind_;
  std::array<Index, kEvents> by_event_;  ///< triggers
  std::array<Index, kEvents> by_heal_event_;
  Index by_clock_;     ///< after, at, between, heal.at
  Index by_standing_;  ///< standing faults, which are reviewed when a device is seen
  std::map<std::pair<Instant, std::uint64_t>, Timer> timers_;
  std::uint64_t next_timer_ = 1;
  std::map<std::string, Seen> seen_;  ///< by device_key
  std::vector<Due> due_;
  std::list<Active> removed_;  ///< the last that were removed: `due_` may point at them
};

}  // namespace wa::mock

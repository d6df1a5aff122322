#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"

namespace wa::sim {

/// Something that will happen in virtual time. One struct for all kinds: queue slots are reused, so
/// a message costs no allocation beyond its bytes.
struct Happening {
  enum class Kind : std::uint8_t {
    alarm,             ///< of the machine `target`
    upgrade_arrives,   ///< target: link
    upgrade_answered,  ///< target: link; number: HTTP status, 0 = accepted
    dial_expires,      ///< target: link
    dial_fails,        ///< target: link, which says why
    bytes_to_server,   ///< target: link
    bytes_to_client,   ///< target: link
    server_hears_end,  ///< target: link
    client_hears_end,  ///< target: link
    commit_done,       ///< target: device; number: incarnation
    process_dies,      ///< target: device; number: incarnation
    loaded,            ///< target: device; number: incarnation; extra: load
    computed,          ///< target: device; number: incarnation; extra: job
    event_taken,       ///< target: device; number: incarnation; extra: seq
    tenant_computed,   ///< number: place of the job
  };
  Kind kind = Kind::alarm;
  std::uint32_t target = 0;
  std::uint32_t number = 0;
  std::uint32_t extra = 0;
  Bytes bytes;
};

/// What happens, ordered by time, then by the order in which it was put in. Every machine has one
/// alarm, which is replaced, not added to.
class EventQueue {
 public:
  using Alarm = std::uint32_t;

  void push(Instant at, Happening happening);

  Alarm make_alarm();
  /// Empty: none. Moving an alarm later costs nothing now; its old place is corrected when it
  /// comes.
  void set_alarm(Alarm alarm, std::optional<Instant> at);
  std::size_t alarms_set() const;

  /// When the next thing happens; empty when nothing will.
  std::optional<Instant> next_at();
  /// Takes the next thing; there must be one. An alarm is unset by this.
  Happening pop();
  /// Without alarms.
  std::size_t size() const { return live_; }

 private:
  struct Place {
    Instant at;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;  ///< of the happening, or the alarm's number
    bool is_alarm = false;
  };
  struct AlarmState {
    std::optional<Instant> at;
    std::uint64_t sequence = 0;  ///< of its valid place; 0 = none
    Instant place_at;
  };
  void put(Place place);
  void remove_first();
  void place_alarm(Alarm alarm, Instant at);
  void drop_stale();

  std::vector<Place> heap_;
  std::vector<Happening> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<AlarmState> alarms_;
  std::uint64_t next_sequence_ = 1;
  std::size_t live_ = 0;
};

}  // namespace wa::sim

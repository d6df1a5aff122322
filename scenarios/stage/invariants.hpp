#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/stage/device.hpp"
#include "scenarios/stage/message_invariants.hpp"
#include "scenarios/stage/scenario.hpp"
#include "scenarios/stage/server.hpp"

namespace wa::stage {

using namespace std::chrono_literals;

/// What holds always, judged from two histories: what devices say, and what the server noticed.
/// A machine: both are fed in order of time, as they happen (the simulator) or at the end
/// (loopback). What may last for a while is judged when the next thing of that device is fed.
///
/// It judges truthful-status, credentials-survive, fresh-qr, bounded-reconnect, single-owner,
/// no-key-reuse, and through MessageInvariants exactly-once-to-app, nothing-lost and
/// acks-well-formed. The others are judged elsewhere: no-violations by the gates, quiet-end by
/// worlds.
///
/// Source: docs/invariants.md.
class Invariants {
 public:
  /// What is honest to ask of a world.
  struct Bounds {
    /// A device may know something this much before the server's word of it is in the history.
    Duration early{};
    /// News from the server may take this long to change what a device shows.
    Duration late{};
    /// `connected` needs a frame within this.
    Duration truthful = 45s;
    /// Factor on the policy's own times: `kWithin`, a minute, …
    double scale = 1;
    Duration refs_grace{};  ///< for which the server accepts a code after its end
  };
  /// Connects within `kWithin` that the back-off allows when every stream ends at once:
  /// 0, ½, 1 ½, 3 ½, 7 ½, 15 ½ s, then every 30 s, all with the smallest jitter.
  static constexpr std::size_t kMostConnects = 25;
  static constexpr Duration kWithin = 10min;
  /// 515s after which the next connect is neither delayed nor counted.
  static constexpr std::size_t kFreeRestarts = 3;
  static constexpr Duration kRestartsWithin = 1min;
  /// A connection that lasted so long returns the back-off to zero.
  static constexpr Duration kStable = 60s;
  /// Connects in a row without a code, while unpaired; DeviceOptions may say otherwise.
  static constexpr std::uint32_t kFruitless = 3;

  Invariants(const Server& server, Bounds bounds);
  Invariants(const Invariants&) = delete;
  Invariants& operator=(const Invariants&) = delete;

  // ---- what happened, in order of time ----

  void add(const Device& device);
  void said(const Device& device, const Entry& entry);
  void asked(const Device& device, const Device::Asked& asked);
  /// One that the server has in its history.
  void noticed(const ServerEntry& entry);
  /// Bytes of the server reached a device of that name. Without any call nobody asks how old they
  /// are.
  void heard(std::string_view label, Instant at);
  /// For who can see it: the account that a device of that name had stored is gone.
  void account_gone(std::string_view label, Instant at);
  /// The scenario is over: what could still come right is no failure.
  void end(Instant at);

  /// Each invariant once for each name.
  const std::vector<Failure>& broken() const { return broken_; }

 private:
  /// Something that is wrong if it lasts.
  struct Suspicion {
    std::optional<Instant> since;
    Duration may_last{};
  };
  /// A connection, as the server sees it.
  struct Stream {
    mock::ConnectionId id = 0;
    std::string jid;
    bool logged_in = false;
    bool finishing = false;            ///< its pairing succeeded
    bool disturbed = false;            ///< by a fault that changes frames
    std::optional<Instant> opened_at;  ///< a code could be shown, or the login succeeded
    std::optional<Instant> codes_end;
    std::optional<Instant> closed_at;
    std::optional<int> code;  ///< with which the server closed it
    std::string cause;
  };
  /// What a device shows.
  struct Shown {
    const Device* device = nullptr;
    std::string state;
    bool code = false;  ///< one that is not marked stale
    std::optional<std::int64_t> sequence;
    Instant code_at;
    std::optional<Instant> code_ends;   ///< by its own word
    std::optional<Instant> good_until;  ///< by the server's
    std::string fingerprint;            ///< of its credentials, as it said last
    std::optional<Instant> heard_at;    ///< while connected
    Suspicion untruthful;
    Suspicion orphaned;  ///< the code, of its stream
  };
  /// All that has one name: devices that share what is stored, and their connections.
  struct Group {
    std::vector<Shown> shown;
    std::vector<Stream> streams;  ///< the newest is last; closed ones before it are dropped
    std::deque<Instant> connects;
    std::deque<Instant> restarts;
    std::uint32_t fruitless = 0;
    bool has_account = false;  ///< and no reason to forget it
    std::string jid;
    // The newest offer of codes.
    mock::ConnectionId offered_by = 0;
    Instant offered_at;
    Duration first{};
    Duration rest{};
    std::int64_t codes = 0;  ///< shown since
  };

  Group& group(std::string_view label);
  Shown& shown(const Device& device);
  static Stream* find(Group& group, mock::ConnectionId id);

  void on_connected(std::string_view label, Group& group, const ServerEntry& entry);
  bool is_free(Group& group, Instant at);
  void on_codes(Group& group, Stream& stream, const ServerEntry& entry);
  void on_success(std::string_view label, Group& group, Stream& stream, const ServerEntry& entry);
  void on_closed(Group& group, Stream& stream, const ServerEntry& entry);
  void on_violation(std::string_view label, const Stream* stream, const ServerEntry& entry);
  void on_code(Group& group, Shown& shown, const Entry& entry);
  void on_inspected(std::string_view label, Group& group, Shown& shown, const Entry& entry);
  void check_alone(std::string_view label, const Group& group, const Shown& shown, Instant at);
  static void may_forget(Group& group);

  /// What held until now.
  void look_back(std::string_view label, Group& group, Instant at);
  /// What holds from now on.
  void look(Group& group, Instant at);
  static bool running(const Shown& shown);
  Duration scaled(Duration duration) const;
  /// How long news of the end of a stream may take.
  Duration late() const;
  /// What clocks on both sides may differ by, of something that lasts so long.
  Duration tolerance(Duration duration) const;
  void break_rule(std::string_view rule, std::string_view label, std::string message, Instant at);

  const Server& server_;
  Bounds bounds_;
  std::map<std::string, Group, std::less<>> groups_;
  bool hears_ = false;
  MessageInvariants messages_;
  std::set<std::pair<std::string, std::string>> told_;
  std::vector<Failure> broken_;
};

/// Judges a scenario whose histories are complete, as `bounds` allow.
std::vector<Failure> judge_histories(const Server& server, const std::vector<Device*>& devices,
                                     const Invariants::Bounds& bounds, Instant end);

}  // namespace wa::stage

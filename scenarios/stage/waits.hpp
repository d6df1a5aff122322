#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "scenarios/stage/world.hpp"

namespace wa::stage {

/// How well something fits what is awaited.
struct Match {
  enum class Grade { none, near, full } grade = Grade::none;
  std::string near_miss;  ///< why it is only near: "reason was login_timeout"
};

/// A message or a receipt that is awaited. Empty members: any.
struct Wanted {
  std::string from = {};  ///< of a receipt: who has it. As Server::is() takes it
  std::string chat = {};  ///< the same
  std::string kind = {};
  std::optional<std::string> text = {};
  std::string id = {};
  std::string about = {};  ///< id of the message that it answers, reacts to, edits or revokes
  std::optional<bool> from_me = {};
  std::optional<bool> offline = {};

  /// Whether these are the members of it.
  bool matches(const boost::json::object& message, const Server& server) const;
  /// "text \"hi\" from 15550100001"; empty when it wants anything.
  std::string to_text() const;
};

/// One thing a script waits for: an actor, a matcher and a deadline.
///
/// It looks at the actor's history from the actor's cursor on; the first match ends it and moves
/// the cursor behind itself, so nothing is missed or counted twice. Poll it after every advance();
/// several may be pending at once. An actor outlives its waits.
///
///     Wait wait = Wait::for_state(world, device, "connected", {}, 10s);
///     if (auto failure = await(world, wait)) …
class Wait {
 public:
  enum class Progress { pending, matched, timed_out };

  /// `within` is unscaled; the world's scale (kind `within`) is applied here. Time runs from now
  /// on. `state`: a word of client::State; `reason` empty: any.
  static Wait for_state(World& world, Device& device, std::string state, std::string reason,
                        Duration within);
  /// The next code shown that is not stale.
  static Wait for_qr(World& world, Device& device, Duration within);
  /// The next pairing code.
  static Wait for_pairing_code(World& world, Device& device, Duration within);
  using EntryMatcher = std::function<Match(const Entry&)>;
  static Wait for_entry(World& world, Device& device, std::string what, EntryMatcher matcher,
                        Duration within);
  /// The next entry of that kind (message, receipt, undecryptable) that nobody has awaited yet,
  /// whatever came before it: those of several chats come in any order. The cursor stays.
  static Wait for_message(World& world, Device& device, std::string kind, Wanted wanted,
                          Duration within);
  /// The same of a phone, which has no cursor.
  static Wait for_message(World& world, const Phone& phone, std::string kind, Wanted wanted,
                          Duration within);
  /// That a message was sent, or failed.
  static Wait for_sending(World& world, Device& device, Ref ref, Duration within);
  /// The answer to a command. Does not use or move the cursor.
  static Wait for_answer(World& world, Device& device, Ref ref, std::string what, Duration within);
  /// An answer of the server: a scan, an unlink. A Problem is an answer too.
  static Wait for_outcome(World& world, OutcomePtr outcome, Duration within);
  /// An event of the server about this device (a label; empty: any).
  using EventMatcher = std::function<Match(const mock::TenantEvent&)>;
  static Wait for_event(World& world, mock::EventKind kind, std::string label, EventMatcher matcher,
                        Duration within);
  /// Anything that can be asked: asked again after whatever happens. True ends it.
  static Wait until(World& world, std::string what, std::function<bool()> condition,
                    Duration within);
  /// Lets time pass (kind `delay`); it ends matched.
  static Wait pause(World& world, Duration duration);

  Progress poll();
  Progress progress() const { return progress_; }
  Instant deadline() const { return deadline_; }

  /// After `matched`: where in the actor's history. `entry()` for devices, `event()` for the
  /// server.
  std::size_t index() const { return index_; }
  const Entry* entry() const;
  const ServerEntry* event() const;
  const OutcomePtr& outcome() const { return outcome_; }

  /// After `timed_out`: what was awaited, what did arrive, what came nearest, which faults fired
  /// meanwhile, and whether it held already. `where` is left to the caller.
  Failure failure() const;
  /// "device shop-1: state connected": for progress lines and for who ends a hanging run.
  const std::string& what() const { return what_; }

 private:
  enum class Kind { entries, answer, sending, outcome, events, condition, pause };
  Wait(World& world, Kind kind, std::string what, Duration within);
  Progress finish(Progress progress);
  void scan_entries();
  void scan_events();
  // For failure(): one text for each thing.
  std::vector<std::string> arrived() const;
  std::vector<std::string> held_already() const;
  std::vector<std::string> fired_meanwhile() const;

  World* world_;
  Kind kind_;
  std::string what_;
  Instant began_;
  Instant deadline_;
  Duration within_;
  bool takes_ = false;  ///< what it finds, wherever the cursor is
  Progress progress_ = Progress::pending;
  Device* device_ = nullptr;
  std::string label_;
  mock::EventKind event_kind_ = mock::EventKind::connected;
  EntryMatcher entry_matcher_;
  EventMatcher event_matcher_;
  std::function<bool()> condition_;
  Ref ref_ = 0;
  OutcomePtr outcome_;
  std::size_t begin_ = 0;  ///< the cursor when the wait began
  std::size_t next_ = 0;   ///< first index not looked at yet
  std::size_t index_ = 0;
  std::vector<std::string> near_misses_;
  std::vector<std::pair<std::string, std::uint64_t>> fired_before_;
};

/// Advances the world until the wait ends. Empty: it matched.
[[nodiscard]] std::optional<Failure> await(World& world, Wait& wait);
/// Advances until at least one of them has ended (they are polled in order).
void await_any(World& world, std::span<Wait* const> waits);

}  // namespace wa::stage

#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"
#include "engine/client/status.hpp"

namespace wa::stage {

class Trace;
struct Damage;
struct DamagedRecord;

/// A QR code as a user sees it: a picture. The text inside can be had only by looking at the
/// pixels, as a phone does. Drawn when somebody asks, since a simulation shows thousands that
/// nobody scans.
class QrPicture {
 public:
  QrPicture() = default;
  static QrPicture from_text(std::string text);
  static QrPicture from_png(Bytes png);

  bool empty() const { return text_.empty() && png_.empty(); }
  /// Errors: `not_found` (empty), those of qr::to_png.
  Result<Bytes> png() const;

 private:
  std::string text_;
  Bytes png_;
};

/// Something a device under test did or said.
///
/// - `state`: {state, reason, attempts, code?, cause?, next_attempt_ms?, jid?}; state or reason
///   changed
/// - `status`: the same members; something else of them changed
/// - `qr`: {sequence, stale, expires_ms, window_ms}, both from now; the picture is in `qr`
/// - `qr_gone`: nothing is on show any more
/// - `pairing_code`: {sequence, expires_ms}; the code itself is in `pairing_code`, not in traces
/// - `pairing_code_gone`: it is void
/// - `log`: {level, text}
/// - `done`: {ref} and what the command yields; for inspect: credentials (text or null),
///   generation, stored {kind: count}, …
/// - `error`: {ref, code, text}
/// - `held`: {point, phase}; it stands still until release()
/// - `killed`, `exited`: the process ended, by the scenario or by itself {status}
/// - `damaged`: {record, how}; the scenario changed what it has stored
/// - `restored`: {copy}; the scenario put an older copy of it in its place
/// - `message`: {id, chat, from, kind, text, about?, from_me?, offline?, seq?}; in `inbox()`
/// - `undecryptable`: {id, from, text}; a message that could not be read
/// - `receipt`: {id, kind, from?, chat?}; somebody has a message of this device, or has read it
/// - `presence`: {from, kind, last_seen?}; an account is `available`, or `unavailable`
/// - `typing`: {from, chat, kind}; somebody is `composing` or `recording` in a chat, or `paused`
/// - `sent`: {id}, `send_failed`: {id, reason, code?}; what became of a message that was accepted
/// - `repeated`: as `message`, one that it has said before under this `seq`: it could not know
///   whether it had been heard
/// - others: what a client under test says
struct Entry {
  Instant at;
  std::string kind;
  boost::json::object data;
  QrPicture qr;
  std::string pairing_code = {};  ///< eight characters: a secret
};

/// Entries that a change of status amounts to, in order: state or status, then qr. The simulator
/// and `testline engine` share it, so both say the same.
std::vector<Entry> entries_of(const client::Status& before, const client::Status& after, Now now);

/// What `engine:device(name, {…})` may say. Durations are unscaled.
struct DeviceOptions {
  std::optional<std::uint32_t> auto_renew_qr;
  std::optional<std::uint32_t> unpaired_limit;
  std::optional<Duration> takeover_after;  ///< on_replaced = "takeover_after(30s)"; empty: stop
  std::uint32_t initial_prekeys = 30;
  std::optional<Duration> qr_first;  ///< overrides what the server's settings say
  std::optional<Duration> qr_rest;
  std::optional<std::string> version;  ///< "2.3000.1043857760"
  bool strict_identity = false;        ///< new keys of contacts are refused until trust()
  std::string expected_number;         ///< digits; a scan by another number is refused; empty: any
  /// "http" or "socks5": through a proxy of the world's own; or a proxy's URL. Empty: none.
  std::string proxy;
  /// A rogue: before its first start it gets a copy of what this other device has stored
  /// ("engine/device" or "device").
  std::string clone_of;
  bool operator==(const DeviceOptions&) const = default;
};

/// Errors: `usage` when the word is no state; names the nearest.
Result<void> check_state_word(std::string_view word);

/// One line for people: "state connecting (finishing)", "qr 2".
std::string describe(const Entry& entry);

/// Numbers what is asked of a device; the answer is an entry `done` or `error` with this `ref`.
using Ref = std::uint64_t;

/// Where a process is held at a commit.
enum class HoldPhase { before, after };
/// "before" and "after". Errors: `usage`.
Result<HoldPhase> parse_hold_phase(std::string_view word);
std::string_view to_string(HoldPhase phase);

/// A message that a device was asked to send.
///
///     asked ──▶ accepted ──▶ sent          (the server has it)
///       └──────────┴───────▶ failed        (it will not be sent)
struct Sending {
  enum class State { asked, accepted, sent, failed };
  Ref ref = 0;
  std::string to;  ///< a JID
  std::string id;  ///< empty until it is accepted
  State state = State::asked;
  std::string reason;       ///< why it failed: a stable word
  std::optional<int> code;  ///< of the server's refusal
  std::string text;         ///< more of that, for people
  Instant asked_at;
  Instant ended_at;

  bool ended() const { return state == State::sent || state == State::failed; }
};
std::string_view to_string(Sending::State state);

/// What is to be sent, as the protocol of clients under test and that of phones have it: to whom,
/// and exactly one of text, reaction, edit, revoke, contact and location.
/// Errors: `usage`, naming the member.
Result<void> check_message(const boost::json::object& message);

/// One device of an engine under test. Commands return at once; what they lead to is in the
/// history.
///
/// What the device does is pushed by the world that owns it; the fields below are kept here, so
/// that the simulator and real processes mean the same by them.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return name_; }  ///< also the label in the server's eyes
  /// "engine", or a name given to engine.new.
  const std::string& engine() const { return engine_; }
  const DeviceOptions& options() const { return options_; }

  /// Places the cursor at the end of the history, then starts (or starts again).
  Ref start();
  /// The same, and links with a phone number: the device is to show a pairing code.
  Ref start_with_code(std::string number);
  Ref stop();
  Ref logout();
  Ref remove();
  /// Sends a message, as check_message() wants it, to a JID. What becomes of it is in `sends()`.
  Ref send(boost::json::object message);
  /// Its user has read these messages of a chat, a JID.
  Ref read(std::string chat, std::vector<std::string> ids);
  /// Its user accepts the new keys of a contact, a JID.
  Ref trust(std::string account);
  /// A command about groups or presence, as wish_of() takes it. That of a group is answered when
  /// the server has done it.
  Ref wish(std::string command, boost::json::object fields);
  /// Ends the process that runs the device, at once; what was durable stays. `start()` runs it
  /// again.
  virtual void kill() = 0;
  /// When the device is about to make the nth commit of that name durable, or has just done so and
  /// nobody knows, it stands still: an entry `held`. nth from 1, from now on. One hold at a time.
  virtual Ref hold(std::string point, HoldPhase phase, std::uint32_t nth) = 0;
  /// It goes on, or the hold that has not come yet is given up.
  virtual Ref release() = 0;
  virtual Ref inspect() = 0;
  /// Changes a record of what it has stored, behind its back. `devices`: all of its world.
  /// Errors: `conflict` (a process runs it, in whatever engine: it may know better), `not_found`
  /// (no such record), `environment` (also: the client stores in a way that is not known here).
  Result<void> damage_stored(const Damage& damage, const std::vector<Device*>& devices);
  /// Keeps a copy of what it has stored, as a backup would have it, also while it runs. Yields the
  /// copy's number, from 1. Errors: `environment`, `malformed`.
  virtual Result<std::size_t> copy_stored() = 0;
  /// A copy takes the place of what it has stored, as when somebody restores a backup. `devices`
  /// and errors as of damage_stored(); `not_found`: there is no such copy.
  Result<void> restore_stored(std::size_t copy, const std::vector<Device*>& devices);
  /// Hex SHA-256 over its records as they lie there, damaged or not; empty: there are none.
  /// Errors: `environment`, `malformed` (not even the file can be read).
  virtual Result<std::string> stored_digest() = 0;

  /// A command that changes what may be expected of the device.
  struct Asked {
    Instant at;
    std::string_view what;  ///< start, stop, logout or delete
  };
  const std::vector<Asked>& asked() const { return asked_; }

  const std::vector<Entry>& history() const { return history_; }
  std::size_t cursor() const { return cursor_; }
  /// Cursors only move forward.
  void move_cursor(std::size_t index) { cursor_ = index > cursor_ ? index : cursor_; }
  /// From start() until its process ends, whether it is stopped meanwhile or not.
  bool runs() const { return runs_; }
  /// First index of the history after the first start(); empty before.
  std::optional<std::size_t> started_at() const { return started_at_; }

  // What it says of itself.
  /// "disconnected" before it says anything; empty after it was killed, until it speaks again.
  const std::string& state() const { return state_; }
  const std::string& reason() const { return reason_; }
  /// States in order, each once per stay.
  const std::vector<std::string>& states() const { return states_; }
  std::uint32_t attempts() const { return attempts_; }
  /// {code (or null), cause}; empty when nothing closed yet.
  const std::optional<boost::json::object>& last_close() const { return last_close_; }
  /// The code on show now; empty when there is none.
  const QrPicture& qr() const { return qr_; }
  /// The pairing code on show now; empty when there is none.
  const std::string& pairing_code() const { return pairing_code_; }
  /// Messages, oldest first, as entries of the history.
  std::vector<const Entry*> inbox() const { return said("message"); }
  std::vector<const Entry*> undecryptable() const { return said("undecryptable"); }
  std::vector<const Entry*> receipts() const { return said("receipt"); }
  /// In the order in which they were asked for; they stay where they are.
  const std::deque<Sending>& sends() const { return sends_; }
  const Sending* sending(Ref ref) const;
  /// Entries that somebody has awaited one by one, wherever the cursor was.
  void take(std::size_t index) { taken_.insert(index); }
  bool taken(std::size_t index) const { return taken_.contains(index); }
  /// The answer to a command, if it has come.
  const Entry* answer(Ref ref) const;

 protected:
  Device(std::string engine, std::string name, DeviceOptions options, Trace& trace);

  /// `pairing_number`: empty unless it is to link with a code.
  virtual void do_start(Ref ref, std::string pairing_number) = 0;
  virtual void do_stop(Ref ref) = 0;
  virtual void do_logout(Ref ref) = 0;
  virtual void do_remove(Ref ref) = 0;
  virtual void do_send(Ref ref, boost::json::object message) = 0;
  virtual void do_read(Ref ref, std::string chat, std::vector<std::string> ids) = 0;
  virtual void do_trust(Ref ref, std::string account) = 0;
  virtual void do_wish(Ref ref, std::string command, boost::json::object fields) = 0;
  /// Nothing runs it. Yields the record that was changed.
  virtual Result<DamagedRecord> do_damage(const Damage& damage) = 0;
  /// The same. `copy` as copy_stored() numbers them. Errors: `not_found`, `environment`.
  virtual Result<void> do_restore(std::size_t copy) = 0;
  virtual Instant now() const = 0;
  /// For worlds that look at once.
  virtual void was_asked(const Asked&) {}
  virtual void pushed(const Entry&) {}
  Ref next_ref() { return next_ref_++; }
  /// Appends to the history and updates the fields. A `state` that repeats state and reason becomes
  /// a `status`.
  void push(Entry entry);

 private:
  Ref begin(std::string pairing_number);
  /// Errors: `conflict`, when a process runs it.
  Result<void> check_ended(const std::vector<Device*>& devices) const;
  void note(std::string_view what);
  std::vector<const Entry*> said(std::string_view kind) const;
  std::size_t place_of_sending(Ref ref) const;
  /// What the entry, about to join the history, says of a message that was sent.
  void follow_sending(const Entry& entry);
  void on_send_answered(std::size_t place, const Entry& entry);
  void end_sending(Sending& sending, const Entry& entry);

  std::string engine_;
  std::string name_;
  DeviceOptions options_;
  Trace& trace_;
  std::uint16_t trace_actor_ = 0;
  Ref next_ref_ = 1;
  std::vector<Asked> asked_;
  std::vector<Entry> history_;
  std::unordered_map<Ref, std::size_t> answers_;  ///< the newest to each command: its place
  std::size_t cursor_ = 0;
  std::optional<std::size_t> started_at_;
  bool runs_ = false;
  std::string state_ = "disconnected";
  std::string reason_;
  std::vector<std::string> states_;
  std::uint32_t attempts_ = 0;
  std::optional<boost::json::object> last_close_;
  QrPicture qr_;
  std::string pairing_code_;
  std::deque<Sending> sends_;
  std::unordered_map<std::string, std::vector<std::size_t>> open_sends_;  ///< by id: their places
  std::unordered_map<std::string, std::size_t> fates_;  ///< by id: newest `sent` or `send_failed`
  std::set<std::size_t> taken_;
  std::set<std::int64_t> heard_;  ///< `seq` of messages
};

}  // namespace wa::stage

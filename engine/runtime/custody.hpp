#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/client/actions.hpp"
#include "engine/client/config.hpp"
#include "engine/runtime/action_gate.hpp"

namespace wa::runtime {

/// The store's side of a session: who owns the device, when its machine exists, what of its actions
/// may be performed. Pure; a shell hands in what happens and performs the actions in order.
///
///              a command that starts or deletes           Opened
///     Closed ────────────────────────────────▶ Opening ─────────▶ Running
///       ▲  ▲                                    │   ▲                │  │
///       │  └──── OpenFailed; three in a row ────┘   └─ commit failed ┘  │
///       └──── ownership lost, or stopped and at rest; store_error ──────┘
///
/// In Closed it may be waiting: for a device that another process runs it asks again.
///
/// - What the machine's step led to comes in as Stepped and goes out through an ActionGate: what
///   depends on a commit waits until the commit is durable. What a commit changes is its own
///   affair.
/// - After a failed commit what the machine knew is void, and its frames have a gap: it is dropped
///   with its sockets and what it held back, and made anew from what is durable. Failures to open
///   count as failures to commit. After three in a row the state is `store_error`.
/// - A device that another process runs shows `disconnected`, reason `owned_elsewhere`, and is
///   asked for again every `owned_retry`, as long as it is to run.
/// - What is damaged stays as it is until a DeleteRequested, which erases what cannot be opened.
///
/// incarnation() numbers the machine. Whoever begins an Open, a Commit or a Compute keeps the
/// number for the answer: an answer to an earlier incarnation is void.
///
/// Source: docs/ARCHITECTURE.md, "The store" and "Owners".
class Custody {
 public:
  struct Config {
    Duration store_patience = std::chrono::seconds(10);  ///< for a commit, or to open the store
    Duration owned_retry = client::Timings{}.owned_retry;
  };
  using CommandId = std::uint64_t;
  using Incarnation = std::uint32_t;

  /// A Load of the machine, as far as the store has to be asked: what is committed and not durable
  /// yet is in `loaded` already.
  struct Lookup {
    std::vector<RecordKey> keys;
    std::vector<std::size_t> places;  ///< of the keys' values in `loaded`
    client::Loaded loaded;
  };

  // ---- events ----

  /// Start, pairing code, stop, logout or delete.
  struct Commanded {
    CommandId id = 0;
    client::Event command;
  };
  /// The device is ours, and there is a machine that was made from what is stored.
  struct Opened {
    Incarnation incarnation = 0;
    std::uint64_t generation = 0;  ///< of what is stored
  };
  /// `fenced`: another process runs it; `malformed`: what is stored is damaged; else the store
  /// itself fails.
  struct OpenFailed {
    Incarnation incarnation = 0;
    Error error;
  };
  /// Another process has taken the device over.
  struct OwnershipLost {
    Incarnation incarnation = 0;
    std::string why;
  };
  /// The machine made a step.
  struct Stepped {
    std::vector<client::Action> actions;
  };
  struct CommitEnded {
    Incarnation incarnation = 0;
    Result<void> result;
  };
  /// What the store has of the records of a Lookup, in the order of its keys. Errors as of
  /// OpenFailed.
  struct LookupEnded {
    Incarnation incarnation = 0;
    Lookup lookup;
    Result<std::vector<std::optional<Bytes>>> found;
  };
  struct EraseEnded {
    CommandId id = 0;
    Result<void> result;
  };
  /// The machine has no socket and no deadline, and no command is on its way to it.
  struct Rested {};
  struct DeadlineReached {};
  using Event = std::variant<Commanded, Opened, OpenFailed, OwnershipLost, Stepped, CommitEnded,
                             LookupEnded, EraseEnded, Rested, DeadlineReached>;

  // ---- actions ----

  /// Take the device and make a machine from what is stored; answer with Opened or OpenFailed.
  struct Open {
    std::string why;  ///< for logs: what went wrong before; else empty
  };
  /// Close its sockets, destroy it, give the device back. Commits under way are the store's.
  struct DropMachine {};
  /// The machine has nothing under way: give the device back. The next Open may take up the same
  /// machine, if nobody else has had the device meanwhile.
  struct GiveBack {};
  /// Remove what is stored, damaged or not, without opening it; answer with EraseEnded.
  struct EraseStored {
    CommandId id = 0;
  };
  /// Step the machine, and hand in Stepped. Nothing when there is none.
  struct Feed {
    client::Event event;
  };
  /// Of a command; comes before anything that the command leads to.
  struct Answer {
    CommandId id = 0;
    Result<void> result;
  };
  /// The status while there is no machine that could say it.
  struct Show {
    client::Status status;
    std::string why;  ///< for logs; empty: nothing new
  };
  /// A warning for logs.
  struct Warn {
    std::string text;
  };
  /// A client::Action is one of the machine, and may be performed now.
  using Action = std::variant<client::Action, Open, DropMachine, GiveBack, EraseStored, Feed,
                              Answer, Show, Warn>;

  explicit Custody(Config config) : config_(config) {}

  std::vector<Action> step(Event event, Now now);
  /// How to perform a Load of the machine: ask the store for the keys, also when there are none,
  /// and answer with LookupEnded, never inside the call.
  Lookup look_up(client::Load load) const;

  /// Its own; that of the machine is the machine's.
  std::optional<Instant> next_deadline() const;

  Incarnation incarnation() const { return incarnation_; }
  bool running() const { return std::holds_alternative<Running>(state_); }
  bool opening() const { return std::holds_alternative<Opening>(state_); }
  /// A commit is under way.
  bool committing() const { return gate_.committing(); }
  /// Something is asked of the store.
  bool busy() const { return opening() || committing() || erasing_ > 0; }
  /// It will ask again for a device that another process runs.
  bool waits_for_owner() const;

 private:
  struct Closed {
    std::optional<Instant> ask_again_at;
  };
  struct Opening {
    Instant deadline;
    bool by_itself = false;  ///< to go on with wanted_
    std::string why;
    std::vector<Commanded> waiting;
  };
  struct Running {
    Instant commit_deadline;  ///< of the commit that is under way, if any
  };

  void on(Commanded commanded);
  void on(Opened opened);
  void on(OpenFailed failed);
  void on(OwnershipLost lost);
  void on(Stepped stepped);
  void on(CommitEnded ended);
  void on(LookupEnded ended);
  void on(EraseEnded ended);
  void on(Rested rested);
  void on(DeadlineReached reached);

  void open(Opening opening);
  void open_failed(Error error);
  void drop_machine();
  void rebuild(std::string_view what, std::string_view why);
  void pass(std::vector<client::Action> actions);
  void show_elsewhere(std::string why);
  void show_store_error(std::string_view reason, std::string why);
  void show(client::Status status, std::string why);
  void note(const client::Status& status);
  client::Status without_machine() const;
  bool wants_to_run() const;
  bool is_due(std::optional<Instant> deadline) const { return deadline && now_.mono >= *deadline; }

  Config config_;
  std::variant<Closed, Opening, Running> state_;
  Incarnation incarnation_ = 0;
  client::Event wanted_;          ///< the last command
  int failures_ = 0;              ///< of the store, in a row
  std::uint64_t generation_ = 0;  ///< of what is durable, as far as known: it never falls
  std::size_t erasing_ = 0;
  ActionGate gate_;
  /// What is on show and has to be known later.
  struct Shown {
    std::string reason;
    std::string jid;
    std::optional<client::LastClose> last_close;
    std::string owner;
  };
  Shown shown_;
  // Of the step under way.
  Now now_;
  std::vector<Action> actions_;
};

}  // namespace wa::runtime

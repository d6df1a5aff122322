#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/messaging/app_event.hpp"
#include "engine/messaging/own_keys.hpp"
#include "engine/messaging/stored.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::messaging {

// ---- events: what happened ------------------------------------------------------------------

/// The login succeeded: stanzas can be sent.
struct StreamReady {};
/// The stream is gone. What was received and not answered will come again.
struct StreamEnded {};
/// A stanza for which Messenger::handles() says so. Viewed during the step only.
struct StanzaReceived {
  const wire::Node* stanza = nullptr;
};
/// The answer to a Query; null: none came in time. Not owed once the stream has ended.
struct Answered {
  std::uint32_t query_id = 0;
  const wire::Node* answer = nullptr;
};
/// The application wants something said. Answered with SendAccepted when it is durable, later with
/// MessageSent or SendFailed. With the same `id` it is said once, however often it is wanted.
struct SendRequested {
  std::uint64_t ref = 0;
  wire::Jid to;
  message::Content content;
  std::string id;  ///< empty: a new one is drawn
};
/// The user has read these messages. Said once a stream is up.
struct ReadRequested {
  wire::Jid chat;
  std::optional<wire::Jid> sender;  ///< in groups
  std::vector<std::string> ids;
};
/// A group is to be made, or its members changed. Answered with GroupChanged or GroupFailed; not
/// kept: without a stream it fails.
struct GroupRequested {
  enum class What : std::uint8_t { create, add, remove };
  std::uint64_t ref = 0;
  What what = What::create;
  wire::Jid group = {};                 ///< that is changed
  std::string subject = {};             ///< of a new one
  std::vector<wire::Jid> members = {};  ///< accounts, beside our own
};
/// Whether the user is there. It is said on this stream and on those that follow; receipts say
/// "inactive" while nobody is.
struct AvailabilityChanged {
  bool available = false;
};
/// Whoever has the account now is to be believed: its new keys are accepted.
struct TrustRequested {
  wire::Jid account;
};
/// The user wants to know when an account comes and goes: PresenceSeen tells. It is asked for on
/// this stream and on those that follow.
struct PresenceWanted {
  wire::Jid of;
};
/// The user writes in a chat, or pauses. Said now or never.
struct TypingShown {
  wire::Jid chat;
  Typing typing = Typing::composing;
};
/// What a Load asked for, in its order; empty: there is no such record.
struct Loaded {
  std::uint32_t load_id = 0;
  std::vector<std::optional<Bytes>> values;
};
/// The application has an event, and will not forget it.
struct EventTaken {
  std::uint64_t seq = 0;
};
struct DeadlineReached {};
/// What is stored turned out to be an older copy of itself. `evidence` as of RollbackSuspected.
struct StoreIsOld {
  std::string evidence;
};

using Event =
    std::variant<StreamReady, StreamEnded, StanzaReceived, Answered, SendRequested, ReadRequested,
                 TrustRequested, GroupRequested, AvailabilityChanged, PresenceWanted, TypingShown,
                 Loaded, EventTaken, DeadlineReached, StoreIsOld>;

// ---- actions: what the session must do, in order --------------------------------------------

struct SendStanza {
  wire::NodeBuilder stanza;
};
/// An IQ that lacks its id; answered with Answered.
struct Query {
  std::uint32_t query_id = 0;
  wire::NodeBuilder iq;
};
/// Must be durable before the actions behind it are performed.
struct Commit {
  std::vector<Change> changes;
  std::string_view point;
};
/// Read what is stored, with every Commit before it, durable or not. Never held back.
struct Load {
  std::uint32_t load_id = 0;
  std::vector<RecordKey> keys;
};
/// The messenger has found out by itself that it works with an old copy: the server is to get new
/// pre-keys, under ids that it has not heard of.
struct RenewPreKeys {};
/// For the application. Held back by a Commit before it.
struct Publish {
  AppEvent event;
};
struct Report {
  enum class Level { debug, info, warning } level = Level::info;
  std::string text;
};
using Action = std::variant<SendStanza, Query, Commit, Load, Publish, RenewPreKeys, Report>;

/// How long a messenger waits.
struct Patience {
  /// With a message that was asked for again; then the application is told.
  Duration resend = std::chrono::seconds(45);
  /// With what a device wrote before to a group, and was asked for again.
  Duration held = std::chrono::seconds(10);
  /// Between two messages that are sent again, once many were.
  Duration pace = std::chrono::milliseconds(500);
};

/// Everything that a device says and hears once it is logged in: messages, receipts, retries,
/// groups, presence, and what they need (devices of accounts, sessions, pre-keys).
///
///   stanza ▸ door ▸ lane of its chat ▸ handler ──Blocked──▶ Load, Query … Loaded, Answered ▸ again
///                                         └────end──▶ Commit, then SendStanza and Publish
///
/// At the door the chat gets its one name (its LID, if that is known), in the order of arrival. In
/// a lane one handler runs after the other, while lanes that wait do not hold up each other: what
/// comes from a chat, what is to go to it, and what is sent again have one each. A handler is a
/// straight line over `Records` and is run again from its start when something was missing, so it
/// keeps nothing. Idle, a messenger holds the messages that are not acknowledged, those that were
/// asked for again, the events that are not taken, and nothing of any peer.
///
/// An old copy of what it stores is dangerous: keys would be used a second time. When one is
/// noticed, a new era begins (signal::Session::enter_era), and the application is told.
///
/// Files: messenger.cpp (door, lanes, commits), incoming.cpp, awaited.cpp, outgoing.cpp,
/// devices.cpp, bundles.cpp, retries.cpp, receipts.cpp, groups.cpp, group_changes.cpp,
/// presence.cpp. Source: docs/protocol/delivery.md.
class Messenger {
 public:
  struct Policy {
    /// New keys of an account are refused until somebody accepts them, and not taken as they come.
    bool strict_identity = false;
    Patience patience = {};
  };
  /// `keys` and `random` outlive it.
  Messenger(OwnKeys& keys, ResidentRecords stored, Random& random, Policy policy);
  Messenger(OwnKeys& keys, ResidentRecords stored, Random& random)
      : Messenger(keys, std::move(stored), random, Policy{}) {}
  ~Messenger();
  Messenger(Messenger&&) noexcept;
  Messenger& operator=(Messenger&&) noexcept;

  /// Whether a stanza is to be given to a messenger, which then answers it, with its ack as well.
  static bool handles(const wire::Node& stanza);

  std::vector<Action> step(const Event& event, Now now);
  std::optional<Instant> next_deadline() const;

  /// The account is gone, and the messenger is of no more use. What was accepted and not sent has
  /// failed; what the application has not taken is left for it.
  struct Parting {
    std::vector<Action> actions;
    std::vector<Change> changes;  ///< all else that it stores, gone
    ResidentRecords left;         ///< for the messenger of a later account
  };
  Parting part(Now now);

  struct Counters {
    std::uint64_t received = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t undecryptable = 0;  ///< each failed attempt
    std::uint64_t retries_asked = 0;  ///< retry receipts sent
    std::uint64_t resends = 0;
    std::uint64_t retry_misses = 0;     ///< asked for a message that we do not have
    std::uint64_t retries_refused = 0;  ///< too many, or by somebody it was not for
  };
  const Counters& counters() const;
  /// What is in memory, for tests of idleness.
  struct Residency {
    std::size_t records = 0;
    std::size_t lanes = 0;
    std::size_t outbox = 0;
    std::size_t events = 0;
    std::size_t awaited = 0;
  };
  Residency residency() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::messaging

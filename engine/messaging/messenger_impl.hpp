#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>

#include "engine/messaging/message_ids.hpp"
#include "engine/messaging/messenger.hpp"
#include "engine/messaging/peers.hpp"
#include "engine/messaging/records.hpp"
#include "engine/messaging/stanzas.hpp"
#include "engine/messaging/suppressor.hpp"
#include "engine/messaging/token_bucket.hpp"
#include "engine/protocol/signal/sender_key.hpp"

/// The inside of Messenger, by file: messenger.cpp (steps, door, lanes, commits, names),
/// sessions.cpp, identities.cpp, incoming.cpp, receipts.cpp, retries.cpp, outgoing.cpp, groups.cpp,
/// group_changes.cpp, presence.cpp, devices.cpp, bundles.cpp.
namespace wa::messaging {

class Messenger::Impl {
 public:
  Impl(OwnKeys& keys, ResidentRecords stored, Random& random, Policy policy);

  Parting part(Now now);
  std::vector<Action> step(const Event& event, Now now);
  std::optional<Instant> next_deadline() const;
  const Counters& counters() const { return counters_; }
  Residency residency() const;

 private:
  // ---- what lanes do ----
  struct ReceiptWork {
    IncomingReceipt receipt;
    std::optional<wire::NodeBuilder> ack;
  };
  struct RetryWork {
    IncomingRetry retry;
    std::optional<wire::NodeBuilder> ack;
  };
  struct NoticeWork {
    IncomingNotice notice;
    std::optional<wire::NodeBuilder> ack;
  };
  struct Transmission {
    std::string id;  ///< in the outbox
  };
  /// To the devices that a message has not reached although they are there.
  struct Completion {
    std::string id;
    Sent sent;
    std::set<wire::Jid> reached;
  };
  struct DevicesArrived {
    std::vector<Fetch> asked;
    std::vector<AccountAnswer> accounts;
  };
  struct GroupArrived {
    std::vector<Fetch> asked;
    std::optional<GroupAnswer> answer;
  };
  /// The server has the message that brought our key of a group to these devices.
  struct KeyGiven {
    wire::Jid group;
    std::uint32_t key_id = 0;
    std::set<std::string> holders;
  };
  /// The server has done what was wanted of a group.
  struct GroupSettled {
    GroupRequested request;
    GroupVerdict verdict;
  };
  /// A message that was asked for again has not come in time.
  struct ResendOverdue {
    std::uint64_t order = 0;
  };
  using Job = std::variant<IncomingMessage, ReceiptWork, RetryWork, NoticeWork, SendRequested,
                           TrustRequested, Transmission, Completion, KeyGiven, DevicesArrived,
                           GroupArrived, GroupSettled, ResendOverdue>;
  struct Work {
    Job job;
    /// What was asked for in its name, and what came; of devices a record tells.
    std::map<Fetch, BundleAnswer> tried = {};
  };
  struct Lane {
    std::deque<Work> queue;
    Records::Pins pins;
    bool blocked = false;
    std::size_t awaited = 0;  ///< fetches; it runs on when the last one is settled
  };
  struct Arrival {
    wire::Jid chat;
    std::optional<wire::Jid> alias;
    Work work;
  };

  // ---- messenger.cpp ----
  void begin();
  void on(const StreamReady&);
  void on(const StreamEnded&);
  void on(const StanzaReceived& event);
  void on(const Answered& event);
  void on(const SendRequested& event);
  void on(const ReadRequested& event);
  void on(const TrustRequested& event);
  void on(const GroupRequested& request);
  void on(const AvailabilityChanged& event);
  void on(const PresenceWanted& event);
  void on(const TypingShown& event);
  void on(const Loaded& event);
  void on(const EventTaken& event);
  void on(const DeadlineReached&);
  void on(const StoreIsOld& event);

  /// Work about a chat comes to its lane in the order in which it came here.
  void arrive(wire::Jid chat, std::optional<wire::Jid> alias, Job job);
  Attempt<std::string> lane_of(const Arrival& arrival);
  void open_door();
  void enqueue(const std::string& name, Work work);
  void wake(const std::string& name);
  void run_ready();
  void run(const std::string& name);
  static std::string_view point_of(const Job& job);
  /// A lane waits: what it needs is asked for, unless that is under way.
  void block(const std::string& name, const Work& work, const Blocked& blocked);
  void load_for(const std::string& name, const std::vector<RecordKey>& keys);
  void ask(const std::vector<Fetch>& fetches, wire::NodeBuilder iq);
  template <class MakeQuery>
  void ask_in_parts(const std::vector<Fetch>& fetches, MakeQuery make_query);
  /// What was asked for is there, or will not come.
  void settle(const std::vector<Fetch>& fetches, const std::vector<BundleAnswer>& bundles);

  /// A change that reads nothing: it never blocks.
  void change(std::string_view point, const std::function<void()>& make);
  /// The handler has come to its end: one commit, and what follows from it.
  void conclude(std::string_view point);
  void begin_era(const std::string& evidence);
  /// Told of a message of ours that we never sent: it was sent after what is stored was copied.
  void look_for_future(const std::string& id);
  void erase_taken_now();
  void erase_taken();
  bool clean_old_days();

  void send(wire::NodeBuilder stanza) { effects_.stanzas.push_back(std::move(stanza)); }
  void send_if(const std::optional<wire::NodeBuilder>& stanza) {
    if (stanza) send(*stanza);
  }
  /// A stored event.
  void publish(AppEvent::What what, std::optional<std::uint64_t> ref = {}) {
    effects_.events.push_back({0, std::move(what), ref});
  }
  void reply(AppEvent::What what, std::uint64_t ref) {
    effects_.replies.push_back({0, std::move(what), ref});
  }
  /// For the log; the same thing once a minute.
  void complain(const std::string& thing) {
    if (auto text = complaints_.say(thing, now_.mono)) {
      actions_.push_back(Report{Report::Level::warning, std::move(*text)});
    }
  }
  Day today() const { return day_of(now_.wall); }

  Peer self() const;
  bool is_ours(const wire::Jid& jid) const;
  bool is_this_device(const wire::Jid& jid) const {
    return is_ours(jid) && jid.device == keys_.jid().device;
  }
  /// The account of a JID under both names; the other one is `alias`, else the one that is stored.
  Attempt<Peer> known_peer(const wire::Jid& jid, const std::optional<wire::Jid>& alias);
  /// The same, and `alias` is stored.
  Attempt<Peer> peer_of(const wire::Jid& jid, const std::optional<wire::Jid>& alias = {});
  /// Where the other name of an account is, for need().
  void add_name_keys(const wire::Jid& jid, std::vector<RecordKey>& to) const;
  /// Whether what was learned then is still believed.
  bool is_recent(UnixMillis at) const;
  /// A record that is kept per day, of whichever day it is; null: none.
  Attempt<const Bytes*> read_daily(std::string_view kind, std::string_view key);

  // ---- sessions.cpp ----
  struct SessionAt {
    RecordKey at;
    signal::Session session;
  };
  /// Those with one device, the one to write with first; mostly there is one at most.
  Attempt<std::vector<SessionAt>> sessions_with(const Peer& peer, std::uint16_t device);
  static void add_session_keys(const Peer& peer, std::uint16_t device, std::vector<RecordKey>& to);
  /// The one to write with; null: a bundle is needed.
  static SessionAt* current_of(std::vector<SessionAt>& sessions);
  /// The one where a new session goes.
  SessionAt& first_of(std::vector<SessionAt>& sessions, const Peer& peer,
                      std::uint16_t device) const;
  void put(const SessionAt& session) { records_.put(session.at, session.session.encode()); }
  /// In place of the current one, which is archived.
  signal::Outcome<void> begin_session(std::vector<SessionAt>& sessions, const Peer& peer,
                                      std::uint16_t device, const signal::PreKeyBundle& bundle);
  /// Device 0, and those on its list.
  Attempt<std::set<std::uint16_t>> known_devices(const Peer& peer);
  /// New sessions are needed with every device of an account, but for one.
  Attempt<void> archive_sessions(const Peer& peer, std::optional<std::uint16_t> except = {});

  // ---- identities.cpp ----
  /// The account has keys that nobody has accepted; told once.
  Attempt<void> distrust(const Peer& peer);
  Attempt<bool> is_distrusted(const Peer& peer);
  Attempt<void> handle(const TrustRequested& request, Work&);

  // ---- incoming.cpp ----
  Attempt<void> handle(const IncomingMessage& message, Work&);
  /// What the parts of a message say together.
  struct Reading {
    std::optional<message::Envelope> envelope;
    std::optional<signal::Refusal> refusal;
    std::string unreadable;  ///< nothing that could ever be read
    bool told = false;       ///< and the application knows

    std::vector<message::KeyDistribution> distributions;  ///< not taken yet

    /// The first one counts, but for duplicates: those say that there was nothing new.
    void refuse(signal::Refusal why) {
      if (!refusal || refusal->why == signal::Failure::duplicate) refusal = std::move(why);
    }
  };
  Attempt<Reading> read_encs(const IncomingMessage& message, const Peer& author);
  void read_message(std::vector<SessionAt> sessions, ByteSpan body, Reading& reading);
  Attempt<void> read_pre_key_message(const Peer& author, std::uint16_t device,
                                     std::vector<SessionAt> sessions, ByteSpan body,
                                     Reading& reading);
  static void take_plaintext(ByteSpan padded, Reading& reading);
  Attempt<void> take_distributions(const IncomingMessage& message, const Peer& author,
                                   Reading& reading);
  void deliver(const IncomingMessage& message, const Peer& author, Reading reading);
  void give_up(const IncomingMessage& message, const Peer& author, Origin origin, Reading reading);
  void refuse(const IncomingMessage& message);
  Origin origin_of(const IncomingMessage& message, const Peer& author,
                   const std::optional<std::string>& sent_to) const;

  // ---- receipts.cpp ----
  void acknowledge(const IncomingMessage& message, const Peer& author, bool history);
  Attempt<void> handle(const ReceiptWork& work, Work&);
  void say_read(const ReadRequested& request);

  // ---- retries.cpp ----
  struct Asked {
    bool again = false;  ///< else that was done often enough
    bool told = false;   ///< that it did not come
  };
  Attempt<Asked> ask_again(const IncomingMessage& message, const Peer& author,
                           const signal::Refusal& refusal);
  wire::NodeBuilder retry_receipt(const IncomingMessage& message, std::uint32_t count,
                                  signal::Failure why);
  Attempt<void> handle(const RetryWork& request, Work& work);
  Attempt<void> resend(const IncomingRetry& retry, const Peer& reader, const Sent& sent,
                       Retries retries, const std::string& key, Work& work);
  Attempt<std::optional<Sent>> find_sent(const std::string& id);
  /// Of a group, if it is one. Drops those that are full again.
  TokenBucket& resends_to(const wire::Jid& group);

  // ---- awaited.cpp ----
  struct Waiting {
    Awaited awaited = {};
    Instant late_at{};     ///< the application is told
    Instant hold_until{};  ///< what is behind it goes
    bool overdue = false;  ///< that is under way
  };
  static std::string message_key(const Peer& author, std::uint16_t device, const std::string& id);
  void restore_awaited(const ResidentRecords::OfKind& records);
  void resume_awaited();
  void find_awaited_due();
  /// 0: it is not awaited.
  std::uint64_t awaited_order(const Peer& author, std::uint16_t device,
                              const std::string& id) const;
  void keep_awaited(std::uint64_t order, Awaited awaited);
  void drop_awaited(std::uint64_t order);
  void await_resend(const IncomingMessage& message, const Peer& author, std::string reason);
  bool waits_behind(const wire::Jid& group, const Peer& author, std::uint16_t device,
                    std::uint64_t order) const;
  void publish_in_turn(const IncomingMessage& message, const Peer& author, AppEvent::What what);
  void settle_awaited(const IncomingMessage& message, const Peer& author);
  void release_held(const wire::Jid& group, std::string_view device);
  void on_awaited_due();
  Attempt<void> handle(const ResendOverdue& overdue, Work&);

  // ---- outgoing.cpp ----
  struct Outgoing {
    Sent sent;
    Instant deadline{};
    std::vector<std::uint64_t> refs;
    bool under_way = false;         ///< on this stream
    std::optional<KeyGiven> gives;  ///< to a group
    std::set<wire::Jid> reached;    ///< devices, as the stanza named them
    std::uint32_t skipped = 0;
  };
  struct Wording {
    message::StanzaWords words = {};
    Bytes to_others = {};
    Bytes to_own = {};
  };
  struct Target {
    Peer peer;
    wire::Jid device;  ///< as the stanza names it
    std::vector<SessionAt> sessions;
  };
  struct Copies {
    wire::NodeBuilder participants{"participants"};
    std::set<wire::Jid> reached;
    std::uint32_t skipped = 0;
    bool pre_key = false;    ///< one of them begins a session
    bool to_others = false;  ///< one of them is for another account
  };
  enum class Belief : std::uint8_t { none, recent };

  void restore_outbox(const ResidentRecords::OfKind& records);
  Instant deadline_of(const Sent& sent) const;
  Attempt<void> handle(const SendRequested& request, Work&);
  void transmit_all();
  static wire::NodeBuilder message_header(const std::string& id, const wire::Jid& to,
                                          const message::StanzaWords& words);
  wire::NodeBuilder device_identity() const;
  static Wording wording_of(const Sent& sent);
  Attempt<std::vector<Target>> targets_of(const wire::Jid& to, Belief belief, const Work& work);
  std::optional<wire::NodeBuilder> encrypt(Target& target, const Wording& wording,
                                           std::optional<std::uint32_t> count);
  static bool is_pre_key(const wire::NodeBuilder& enc);
  Copies encrypt_for(std::vector<Target>& targets, const Wording& wording, const Work& work);
  Attempt<void> handle(const Transmission& transmission, Work& work);
  Attempt<void> handle(const Completion& completion, Work& work);
  void send_copies(const std::string& id, const wire::Jid& to, const Wording& wording,
                   Copies copies);
  /// The sessions of targets; asks for bundles where there are none.
  Attempt<void> load_sessions(std::vector<Target>& targets, const Work& work);
  void on_ack(const IncomingAck& ack);
  bool is_hash_of(const std::string& phash, const std::set<wire::Jid>& reached) const;
  void sent(const std::string& id, UnixMillis at);
  void failed(const std::string& id, std::string reason, std::optional<int> code);
  void settle_outgoing(const std::string& id, Sent::Outcome outcome, AppEvent::What what);

  // ---- devices.cpp ----
  /// The devices of an account; empty if the server does not say. What has to be asked for, since
  /// it is not known or too old, is added to `blocked`.
  Attempt<std::vector<std::uint16_t>> devices_of(const Peer& peer, const wire::Jid& asked_as,
                                                 Belief belief, const Work& work, Blocked& blocked);
  wire::NodeBuilder devices_query(const std::vector<Fetch>& fetches);
  Attempt<void> heed_device(const Peer& peer, std::uint16_t device);
  void forget_devices(const Peer& peer);
  Attempt<void> handle(const DevicesArrived& arrived, Work&);
  Attempt<void> handle(const NoticeWork& work, Work&);

  static void add_device_list_keys(const Peer& peer, std::vector<RecordKey>& to);

  // ---- groups.cpp ----
  /// Our key for a group, and who has it.
  struct OwnGroupKey {
    signal::SenderKey key;
    std::set<std::string> holders;
    std::set<std::string> unconfirmed;
  };
  static wire::NodeBuilder group_query(const wire::Jid& group);
  Attempt<void> handle(const GroupArrived& arrived, Work&);
  Attempt<void> learn_group(const GroupAnswer& answer);
  Attempt<void> handle(const KeyGiven& given, Work&);
  Attempt<std::optional<Group>> group_of(const wire::Jid& jid, const Work& work);
  void forget_group(const wire::Jid& group);
  Attempt<std::vector<Target>> members_of(const Group& group, const Work& work);
  Attempt<std::optional<OwnGroupKey>> group_key_of(const wire::Jid& group);
  void put(const wire::Jid& group, const OwnGroupKey& key);
  static message::Envelope with_key(const wire::Jid& group, const OwnGroupKey& key,
                                    message::Content inside);
  Attempt<void> transmit_to_group(const std::string& id, Work& work);
  Attempt<bool> is_member(const wire::Jid& group, const Peer& peer, std::uint16_t device);
  static void add_sender_key_keys(const wire::Jid& group, const Peer& author, std::uint16_t device,
                                  std::vector<RecordKey>& to);
  Attempt<void> take_distribution(const wire::Jid& group, const Peer& author, std::uint16_t device,
                                  ByteSpan distribution);
  Attempt<void> read_group_message(const wire::Jid& group, const Peer& author, std::uint16_t device,
                                   ByteSpan body, Reading& reading);

  // ---- group_changes.cpp ----
  void refuse(const GroupRequested& request, std::string reason, std::optional<int> code = {});
  void give_up_group_requests();
  void on_group_answer(GroupRequested request, const Answered& event);
  Attempt<void> handle(const GroupSettled& settled, Work&);

  // ---- presence.cpp ----
  void say_presence();
  void resume_presence();
  void on_presence(const wire::Node& stanza);
  void on_chatstate(const wire::Node& stanza);

  // ---- bundles.cpp ----
  static Fetch bundle_of(const Peer& peer, std::uint16_t device);
  static wire::NodeBuilder bundles_query(const std::vector<Fetch>& fetches);

  OwnKeys& keys_;
  Random& random_;
  const Policy policy_;
  Now now_{};
  std::vector<Action> actions_;
  Counters counters_;

  bool begun_ = false;
  bool streaming_ = false;
  bool available_ = false;
  std::set<wire::Jid> followed_;  ///< accounts whose presence is wanted
  Watermarks watermarks_;
  MessageIds ids_;

  Records records_;
  std::list<Arrival> door_;
  Records::Pins door_pins_;
  /// Number → LID, as stanzas said that are still worked on. For the order of work only: handlers
  /// go by what is stored.
  std::map<std::string, std::string> joined_;
  std::map<std::string, Lane> lanes_;
  std::list<std::string> ready_;
  std::uint32_t last_load_id_ = 0;

  std::map<Fetch, std::set<std::string>> fetches_;  ///< under way → lanes that wait
  std::map<std::uint32_t, std::vector<Fetch>> queries_;
  std::map<std::uint32_t, GroupRequested> group_requests_;  ///< by query
  std::uint32_t last_query_id_ = 0;
  std::multimap<Instant, std::string> sleeping_;  ///< lanes

  /// What a handler wants done once its changes are durable.
  struct Effects {
    std::vector<wire::NodeBuilder> stanzas;
    std::vector<AppEvent> events;
    std::vector<AppEvent> replies;
    std::vector<Change> changes;  ///< made by OwnKeys
    std::vector<Arrival> next;    ///< work that follows
    std::string old_copy;         ///< the evidence that we work with one; empty: none
  };
  Effects effects_;

  std::map<std::string, Outgoing> outbox_;
  std::set<std::pair<Instant, std::string>> outbox_deadlines_;  ///< by id
  std::map<std::uint64_t, AppEvent> events_;                    ///< not taken
  std::set<std::uint64_t> taken_;                               ///< not erased yet
  std::optional<Instant> erase_taken_at_;
  std::vector<ReadRequested> reads_;  ///< wait for a stream

  std::map<std::uint64_t, Waiting> awaited_;          ///< by order
  std::map<std::string, std::uint64_t> awaited_ids_;  ///< by Awaited::message
  std::uint64_t last_awaited_ = 0;
  std::optional<Instant> awaited_due_;

  Suppressor complaints_;
  /// Many at once, since a whole group may have lost its sessions; then slowly, so that the server
  /// does not take us for somebody who floods it. One group leaves something to others.
  static constexpr std::uint32_t kMostResends = 60;
  static constexpr std::uint32_t kMostResendsToGroup = 40;
  TokenBucket resends_;
  std::map<wire::Jid, TokenBucket> group_resends_;
};

}  // namespace wa::messaging

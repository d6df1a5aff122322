#pragma once

#include <deque>
#include <set>
#include <tuple>
#include <unordered_map>

#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/pairing/qr_text.hpp"
#include "mockserver/core/accounts.hpp"
#include "mockserver/core/connection.hpp"
#include "mockserver/core/faulty_link.hpp"
#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/owed_acks.hpp"
#include "mockserver/core/phone_peer.hpp"
#include "mockserver/core/presence.hpp"
#include "mockserver/core/recent_keys.hpp"
#include "mockserver/core/sent_message.hpp"
#include "mockserver/core/tenant.hpp"

namespace wa::mock {

/// The insides of a Tenant, spread over tenant.cpp (connections), tenant_faults.cpp,
/// registration.cpp (refs, scan, pair-success), link_code.cpp (codes instead of scans), login.cpp
/// (success, IQs, acks) and router.cpp (stanzas between devices; messages.cpp, receipts.cpp,
/// presence.cpp), and what users do: phone_routes.cpp, group_commands.cpp. Private to
/// mockserver/core.
class Tenant::Impl {
 public:
  Impl(Settings tenant_settings, const ServerKeys& server_keys, std::uint64_t tenant_seed,
       Random& random_source, Options tenant_options);

  enum class Phase { handshake, pairing, open };

  struct Ref {
    std::string text;
    Instant accepted_until;
  };
  /// A scan between pair-success and pair-device-sign.
  struct PendingScan {
    RequestId request = 0;
    std::string phone_id;
    std::uint16_t device = 0;
    std::uint32_t key_index = 0;
    std::string iq_id;
    Bytes container;
    bool waits_for_passkey = false;  ///< pair-success is not sent
  };
  /// The code that a companion shows for a phone to be linked with.
  struct ShownCode {
    std::string number;
    pairing::WrappedEphemeral companion_ephemeral;
    Bytes ref;
    std::uint64_t order = 0;  ///< of several for one number the newest counts
    Instant expires_at;
  };
  /// A code that was typed into a phone, until the bundle of companion_finish was judged.
  struct TypedCode {
    RequestId request = 0;
    std::string phone_id;
    std::uint64_t job = 0;
    crypto::KeyPair ephemeral;
    pairing::CodeSalt salt{};
    crypto::PublicKey companion_ephemeral;  ///< as the code opens it; nonsense if it is wrong
    Bytes bundle;
  };
  /// A code that was typed before any companion asked for one with this number.
  struct EarlyCode {
    RequestId request = 0;
    EnterPairingCode entered;
    Instant until;
  };
  /// Stanzas of one direction that faults keep back.
  struct StanzaLane {
    std::deque<std::pair<Instant, wire::NodeBuilder>> late;              ///< in their order
    std::vector<std::pair<std::uint32_t, wire::NodeBuilder>> overtaken;  ///< by so many yet
    bool idle() const { return late.empty() && overtaken.empty(); }
  };

  /// What a connection waits for. One deadline of each kind at a time.
  enum class TimerKind {
    handshake,
    first_frame,
    refs_end,
    scan,
    companion_finish,
    restart,
    server_ping,
    link,
    stanzas_out,
    stanzas_in,
    owe_ack,
    offline_batch
  };
  /// What a connection that has ended waits for no more; what is under way on its link arrives.
  static constexpr TimerKind kEndedTimers[] = {
      TimerKind::handshake,   TimerKind::first_frame,  TimerKind::refs_end,
      TimerKind::scan,        TimerKind::restart,      TimerKind::companion_finish,
      TimerKind::server_ping, TimerKind::stanzas_out,  TimerKind::stanzas_in,
      TimerKind::owe_ack,     TimerKind::offline_batch};

  struct Peer {
    ConnectionId id = 0;
    std::string label;
    std::string remote;
    Phase phase = Phase::handshake;
    std::unique_ptr<Connection> link;
    bool blackholed = false;
    bool ending = false;  ///< its last stanza is on the way: nothing more happens to it
    // Registration.
    std::optional<pairing::Registration> registration;
    crypto::PublicKey client_static;
    std::vector<Ref> refs;
    std::string pair_device_id;
    bool pair_device_answered = false;
    bool ref_used = false;
    std::optional<PendingScan> scan;
    std::string given_up_iq_id;  ///< of a scan's pair-success, whose answer may still be under way
    std::optional<ShownCode> shown_code;
    std::optional<TypedCode> typed_code;
    // Login.
    std::optional<DeviceKey> companion;
    std::string device_jid;
    std::string number;
    std::string account;  ///< id of the phone
    bool passive = false;
    bool offline_begun = false;                ///< what waited for the login is being sent
    bool offline_sent = false;                 ///< all of it was, and `<offline/>` behind it
    std::size_t offline_count = 0;             ///< so much of it was sent
    std::optional<std::size_t> offline_batch;  ///< so much of it is wanted at a time
    OwedAcks owed_acks;
    std::deque<std::string> pings;  ///< ids of ours that nothing answered yet; clients may never
    // Frames held back until the first-frame delay is over.
    bool holding = false;
    std::vector<Bytes> held;
    struct Ending {
      CloseHow how = CloseHow::normal;
      std::string detail;
    };
    std::optional<Ending> held_end;  ///< its end is held back, too; it is no longer listened to
    // What faults do to it.
    bool upgrading = false;  ///< its upgrade is left without an answer
    bool greeted = false;    ///< its first bytes came: the faults of its handshake are chosen
    std::optional<StallFault::Stage> stall;
    bool stalled = false;  ///< the handshake goes no further
    bool tampered =
        false;  ///< a fault changed what it sent: it is not to blame for what comes of it
    bool endless = false;              ///< the client waits for the rest of an oversize frame
    std::optional<Bytes> swapped_out;  ///< goes behind the next frame
    std::optional<Bytes> swapped_in;
    StanzaLane lanes[2];
    StanzaLane& lane(Direction direction) { return lanes[static_cast<std::size_t>(direction)]; }

    FaultSubject subject() const {
      const ConnectionState state = phase == Phase::open      ? ConnectionState::open
                                    : phase == Phase::pairing ? ConnectionState::pairing
                                                              : ConnectionState::handshake;
      return {id, label, device_jid, number, account, state};
    }
    std::string device_name() const { return label.empty() ? device_jid : label; }
  };

  // tenant.cpp
  std::vector<Action> take_actions(Now now);
  void on_connection_event(ConnectionId id, const ConnectionEvent& event, Now now);
  void on_command(RequestId request, const Command& command, Now now);
  void on_deadline(Now now);
  std::optional<Instant> next_deadline() const;
  std::vector<ConnectionInfo> connections() const;
  PhoneInfo describe(const Phone& phone);
  std::optional<GroupInfo> describe_group(std::string_view jid) const;
  std::vector<CoverageRow> coverage() const;

  // registration.cpp
  void offer_refs(Peer& peer, Now now);
  void scan(RequestId request, const Scan& scan, Now now);
  /// Sends pair-success, bound to the secret that phone and companion share; what the companion
  /// answers is the answer to the request. `how` is noted before, with `data`.
  void link(Peer& peer, Phone& phone, RequestId request, const pairing::AdvSecret& secret,
            EventKind how, std::vector<std::pair<std::string_view, std::string>> data, Now now);
  /// Null, false: the request has been answered.
  Phone* find_phone_for(RequestId request, const std::string& id_or_number);
  bool has_free_device(RequestId request, const Phone& phone);
  void on_pairing_node(Peer& peer, const wire::Node& node, Now now);

  // link_code.cpp
  /// False when the iq is about something else.
  bool on_link_code_iq(Peer& peer, const wire::Node& iq, Now now);
  Result<wire::NodeBuilder> on_companion_hello(Peer& peer, const wire::Node& iq,
                                               const wire::Node& hello, Now now);
  Result<wire::NodeBuilder> on_companion_finish(Peer& peer, const wire::Node& iq,
                                                const wire::Node& finish);
  void judge_bundle(Peer& peer, Now now);
  Peer* newest_code_for(std::string_view number);
  void enter_pairing_code(RequestId request, const EnterPairingCode& entered, Now now);
  void enter_early_codes(const std::string& number, Now now);
  void refuse_early_codes(Instant until);
  void on_computed(std::uint64_t job, const ComputeValue& value, Now now);
  void give_up_code(Peer& peer, Problem problem);
  void notice_link_code(Peer& peer, std::string_view stage, std::string number, Now now);

  // login.cpp
  void log_in(Peer& peer, const pairing::Login& login, Now now);
  void on_logged_in_node(Peer& peer, const wire::Node& node, Now now);
  void answer_iq(Peer& peer, const wire::Node& iq, Now now);
  void check_ack(Peer& peer, const wire::Node& ack);
  void ping(Peer& peer, Now now);
  void unlink(const DeviceKey& key, std::string_view conflict, Now now);

  // router.cpp
  /// What a device hands the server: message, receipt, ack, presence, chatstate, call. A
  /// companion's comes over its connection, a phone's in process.
  void submit(const DeviceKey& sender, const wire::Node& stanza, Now now);
  void on_call(const DeviceKey& sender, const wire::Node& call, Now now);
  /// Hands a device a message, receipt, notification or call. A companion gets it now or after its
  /// next login, and again until it acknowledges it. A phone gets it at the end of this step.
  void deliver(const DeviceKey& to, wire::NodeBuilder stanza, Now now);
  /// Hands a device what is worth nothing later: acks, presence. Lost when it is not there.
  void deliver_now(const DeviceKey& to, wire::NodeBuilder stanza, Now now);
  /// A stanza as if it had come over a wire.
  static wire::Frame frame_of(const wire::NodeBuilder& stanza);
  /// Gives phones what came for them, until nothing is left.
  void serve_phones(Now now);
  /// Begins, and goes on with, what waited for a login; `<offline/>` is the end of it.
  void begin_offline(Peer& peer, Now now);
  void continue_offline(Peer& peer, Now now);
  void flush_mailbox(Peer& peer, Now now);
  /// The client wants so much of it at a time.
  void on_offline_batch(Peer& peer, const wire::Node& batch, Now now);
  /// A receipt or an ack of a companion: what it is about is delivered.
  void settle(const DeviceKey& device, const Mailbox::Receipted& receipted, Now now);
  /// A violation by a companion, noted on its connection. Phones are ours.
  void blame(const DeviceKey& device, std::string_view rule, std::string detail,
             const wire::Node& stanza);

  // messages.cpp
  /// What the ack of a message or receipt says besides.
  struct Verdict {
    std::optional<int> error;
    std::string phash;
  };
  /// A message that went through here. An id stands there once for each account that used it.
  struct Sent {
    DeviceKey device;
    wire::Jid chat;  ///< as the sender calls it, without device
  };
  void acknowledge(const DeviceKey& sender, const wire::Node& stanza, Verdict verdict, Now now);
  void on_message(const DeviceKey& sender, const wire::Node& node, Now now);
  void route_direct(const DeviceKey& sender, const SentMessage& message, const wire::Node& node,
                    Now now);
  wire::NodeBuilder begin_copy(const Phone& own, const wire::Jid& from, const SentMessage& message,
                               const wire::Node& node, Now now);
  wire::NodeBuilder message_header(const DeviceKey& sender, const DeviceKey& reader,
                                   const Phone& chat, const SentMessage& message,
                                   const wire::Node& node, Now now);
  void remember(const SentMessage& message, const DeviceKey& sender);
  /// Only what an account uses an id for first counts.
  void remember(const std::string& id, Sent sent);
  const Sent* find_sent(const std::string& id, const Phone* account) const;

  // saved_state.cpp
  std::string save() const;
  Result<void> load(std::string_view text);
  boost::json::array save_sent() const;
  /// Errors: `malformed`.
  Result<void> load_sent(const boost::json::array& saved);

  // group_messages.cpp
  void route_group(const DeviceKey& sender, const SentMessage& message, const wire::Node& node,
                   Now now);
  void route_broadcast(const DeviceKey& sender, const SentMessage& message, const wire::Node& node,
                       Now now);
  /// Key, iteration and digest of what a message says to a group: "id/iteration/digest". Empty: it
  /// says nothing to one.
  static std::string sender_key_use(const wire::Node& message);
  void tell_group_news(const GroupNews& news, const DeviceKey& actor, Now now);

  // phone_routes.cpp
  PhonePeer phone_peer(Phone& phone, Now now);
  /// A phone is handed a stanza. Its answers go through `submit`.
  void deliver_to_phone(Phone& phone, const wire::Node& stanza, Now now);
  /// Does what comes of a phone's call.
  void carry(const Phone& phone, PhonePeer::Output output, Now now);
  void tell(const Phone& phone, const PhonePeer::Note& note, Now now);
  void send_message(RequestId request, const SendMessage& send, Now now);
  Result<message::Content> content_of(Phone& phone, const SendMessage& send, Now now);
  void read_messages(RequestId request, const ReadMessages& read, Now now);
  const std::deque<PhoneMessage>* messages_of(std::string_view phone) const;
  /// The phone's messages to a companion that has logged in for the first time.
  void welcome(const DeviceKey& device, Now now);
  message::HistoryNotice history_for(const Phone& phone, const Companion& companion);
  const Bytes* media(std::string_view target) const;
  std::optional<DeviceBundle> take_bundle(const DeviceKey& device, Now now);
  std::optional<GroupDevices> group_devices(const wire::Jid& group, const std::string& phone_id);

  // group_commands.cpp
  void create_group(RequestId request, const CreateGroup& asked, Now now);
  void change_group(RequestId request, const ChangeGroup& asked, Now now);
  /// The accounts that members of a group are to be. Null in it: answered with what is wrong.
  std::optional<std::vector<const Phone*>> members_for(RequestId request,
                                                       const std::vector<std::string>& members);

  // receipts.cpp
  void on_receipt(const DeviceKey& reader, const wire::Node& receipt, Now now);
  void route_receipt(const DeviceKey& reader, const wire::Node& receipt, Now now);
  wire::NodeBuilder receipt_for(const DeviceKey& device, const DeviceKey& reader,
                                const Phone& author, const Sent* sent, const wire::Node& receipt,
                                Now now);

  // device_notices.cpp
  /// `<notification>` with all but its contents.
  wire::NodeBuilder notification(const wire::Jid& from, std::string type, Now now);
  void tell_devices_changed(Phone& phone, std::uint16_t device, std::uint32_t key_index, bool added,
                            Now now);
  void tell_prekeys_low(const DeviceKey& device, Now now);
  void tell_identity_changed(const Phone& phone, Now now);

  // presence.cpp
  void on_presence(const DeviceKey& sender, const wire::Node& presence, Now now);
  void set_presence(const DeviceKey& device, bool available, Now now);
  void tell_presence(const DeviceKey& follower, const std::string& phone_id,
                     const wire::Jid& asked_for, Now now);
  void on_chatstate(const DeviceKey& sender, const wire::Node& chatstate, Now now);
  void show_presence(RequestId request, const ShowPresence& shown, Now now);
  void show_typing(RequestId request, const ShowTyping& shown, Now now);

  // link_faults.cpp
  /// A link that faults touch. It stays until nothing is on its way, also after its connection.
  struct BadLink {
    FaultyLink link;
    std::string device;                                   ///< as the fault engine calls it
    std::set<std::pair<Direction, std::string>> holders;  ///< records that hold a direction
    bool client_gone = false;                             ///< its socket is no more
    std::optional<ConnectionInfo> closing;                ///< the server has ended the connection
  };
  /// The way of one message.
  struct Passage {
    BadLink* bad = nullptr;  ///< null: nothing is in its way
    LinkShape shape;
  };
  bool has_link_faults() const;
  Duration draw_latency(const FaultRecord& fault);
  LinkShape link_shape(const FaultEngine::Occasion& chance, Now now);
  Passage passage(const Peer& peer, Direction direction, Now now);
  void transmit(Peer& peer, Bytes message, Now now);
  /// Ends the connection behind what was sent. `peer` is gone afterwards.
  void transmit_end(Peer& peer, CloseHow how, std::string detail, Now now);
  void receive(Peer& peer, const Bytes& bytes, Now now);
  void receive_end(Peer& peer, const std::string& detail, Now now);
  /// Lets through what has arrived.
  void deliver(ConnectionId id, Now now);
  void await_link(ConnectionId id, const BadLink& bad);
  void arrive_at_client(ConnectionId id, LinkLane::Parcel parcel, Now now);
  void arrive_at_server(ConnectionId id, const LinkLane::Parcel& parcel, Now now);
  void drop_link(ConnectionId id);
  void cut_links();
  /// A standing fault is off: what it held may go. An empty device: of everybody.
  void release(const FaultRecord& fault, const std::string& device, Now now);

  // noise_faults.cpp
  TlsDecision tls_decision(Now now);
  /// Refuses the upgrade, or leaves it hanging; false: it is to be accepted.
  bool spoil_upgrade(Peer& peer, Now now);
  /// Chooses the faults of a handshake, once.
  void spoil_handshake(Peer& peer, Now now);
  bool stall_at(Peer& peer, StallFault::Stage stage);
  bool has_frame_faults() const;
  /// Sends a sealed frame with what faults make of it.
  void send_frame(Peer& peer, Bytes frame, StanzaRef stanza, Now now);
  /// What is opened in the place of a sealed frame that arrived.
  std::vector<Bytes> spoil_arrived(Peer& peer, Bytes payload, Now now);

  // stanza_faults.cpp
  bool touches_stanzas() const;
  /// Sends a stanza, as faults leave it.
  void send(Peer& peer, wire::NodeBuilder node, Now now);
  /// A stanza arrived, as faults leave it.
  void on_stanza(Peer& peer, const wire::Node& node, Now now);
  std::vector<wire::NodeBuilder> spoil(Peer& peer, Direction direction, wire::NodeBuilder stanza,
                                       Now now);
  void route(Peer& peer, Direction direction, wire::NodeBuilder stanza, Now now);
  void arrive(Peer& peer, Direction direction, wire::NodeBuilder stanza, Now now);
  /// Stanzas that were delayed are due.
  void lane_due(Peer& peer, Direction direction, Now now);
  static TimerKind lane_timer(Direction direction) {
    return direction == Direction::to_client ? TimerKind::stanzas_out : TimerKind::stanzas_in;
  }
  void shift_time(Peer& peer, wire::NodeBuilder& node, Now now);
  /// Refuses a login that is due, if a fault says so.
  bool refuse_login(Peer& peer, Now now);
  /// Answers with an error, if a fault says so.
  bool refuse_iq(Peer& peer, const wire::Node& iq, Now now);
  std::optional<int> ack_error(Peer& peer, const wire::Node& node, Now now);
  void watch_ack(Peer& peer, OwedAck& owed, const wire::NodeBuilder& node, Now now);
  void set_ack_timer(Peer& peer);
  void acks_due(Peer& peer, Now now);
  void perform_stanza(const FaultRecord& fault, Peer& peer, Now now);
  void send_deep(Peer& peer, std::uint32_t levels, Now now);
  void refresh_companion(Peer& peer, Now now);
  void request_passkey(Peer& peer, Now now);

  // phone_faults.cpp
  bool touches_contents() const;
  void spoil_contents(const Peer& peer, Direction direction, wire::NodeBuilder& stanza, Now now);
  void spoil_answer(const Peer& peer, const wire::Node& iq, wire::NodeBuilder& answer, Now now);
  bool refuses_to_read(Phone& phone, const wire::Node& stanza, Now now);
  void perform_end_to_end(const FaultRecord& fault, Peer& peer, Now now);
  void leave_prekeys(const DeviceKey& device, std::uint32_t left, Now now);
  void change_identity(const std::string& phone_id, Now now);

  // Shared, in tenant.cpp.
  Peer* find(ConnectionId id);
  Peer* online(const DeviceKey& key);
  /// Seals a stanza and sends it; counts what wants an ack.
  void put_on_wire(Peer& peer, const wire::NodeBuilder& node, Now now);
  void send_bytes(Peer& peer, Bytes message, Now now);
  /// Sends `<failure reason=…/>` or `<stream:error …>` and closes.
  void fail(Peer& peer, const FailureFault& failure, Now now);
  /// Sends the last stanza of a stream, and closes.
  void end_with(Peer& peer, const wire::NodeBuilder& node, std::string detail, Now now);
  void stream_error(Peer& peer, const StreamErrorFault& error, Now now);
  /// Ends the connection and forgets it. `peer` is gone afterwards.
  void close(Peer& peer, CloseHow how, std::string detail, Now now);
  void forget(Peer& peer, std::string_view by, std::string detail, Now now);
  void violate(const Peer& peer, std::string_view rule, std::string detail, const wire::Node* node);
  /// Logs an event and performs the faults that wait for it. May close the connection: look it up
  /// again afterwards.
  void notice(EventKind kind, Peer& peer,
              std::vector<std::pair<std::string_view, std::string>> data, Now now,
              StanzaRef stanza = {});
  void record(EventKind kind, ConnectionId id, std::string device,
              std::vector<std::pair<std::string_view, std::string>> data);
  void perform(const FaultRecord& fault, Peer& peer, Now now);
  void note_fault(const FaultRecord& fault, const Peer& peer);
  /// What the fault engine says is due: moments are performed, switches told.
  void carry_out(const std::vector<FaultEngine::Due>& dues, Now now);
  void switch_host_fault(const FaultRecord& fault, std::string device, bool on);
  /// True when a fault withholds this stanza.
  bool withheld(std::string_view stanza, const Peer& peer, Now now);
  Peer* find_device(const std::string& device_key);
  void answer(RequestId request, std::variant<CommandResult, Problem> result);
  void answer_scan(Peer& peer, std::variant<CommandResult, Problem> result);
  void set_timer(ConnectionId id, TimerKind kind, Instant at);
  void set_timer(const Peer& peer, TimerKind kind, Instant at) { set_timer(peer.id, kind, at); }
  void cancel_timer(ConnectionId id, TimerKind kind);
  void cancel_timer(const Peer& peer, TimerKind kind) { cancel_timer(peer.id, kind); }
  void cover(std::string stanza, std::string_view route);
  std::string next_stanza_id() { return std::to_string(next_stanza_id_++); }
  noise::ChainSpec chain_spec(Now now) const;
  const Bytes& certificate_chain(Now now);
  ConnectionInfo connection_info(const Peer& peer) const;

  Settings settings;
  const Options options;
  const ServerKeys& keys;
  const std::uint64_t seed;
  Random& random;
  Accounts accounts;
  FaultEngine faults;
  std::vector<Violation> violations;
  PresenceBoard presences;
  Groups groups;

 private:
  void on_upgrade(ConnectionId id, const UpgradeRequested& event, Now now);
  void on_bytes(Peer& peer, ByteSpan bytes, Now now);
  void on_handshake(Peer& peer, const Connection::HandshakeDone& done, Now now);
  void on_node(Peer& peer, const wire::Node& node, Now now);
  void on_timer(Peer& peer, TimerKind kind, Now now);
  void close_connection(RequestId request, const CloseConnection& command, Now now);
  void add_fault(RequestId request, const AddFault& command, Now now);
  void fire_fault(RequestId request, const FireFault& command, Now now);
  void reset(Now now);

  std::map<ConnectionId, Peer> peers_;
  std::map<ConnectionId, BadLink> bad_links_;
  std::map<std::string, std::uint64_t, std::less<>> latency_draws_;  ///< by record
  std::map<DeviceKey, ConnectionId> online_;  ///< the newest login; it may have ended
  std::deque<std::pair<std::string, wire::NodeBuilder>> to_phones_;  ///< by phone id
  std::unordered_map<std::string, std::vector<Sent>> sent_;          ///< by id, oldest first
  std::deque<std::string> sent_order_;
  std::map<std::string, wire::NodeBuilder> handed_out_;  ///< one-time keys, for `bundle`
  std::map<std::string, Bytes, std::less<>> media_;      ///< by path
  std::deque<std::string> media_order_;
  std::map<std::tuple<ConnectionId, TimerKind>, Instant> timer_of_;
  std::set<std::tuple<Instant, ConnectionId, TimerKind>> timers_;
  std::vector<Action> actions_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> coverage_;
  std::uint64_t next_stanza_id_ = 1;
  std::map<std::uint64_t, ConnectionId> jobs_;
  std::uint64_t next_job_id_ = 1;
  std::uint64_t last_shown_code_ = 0;
  std::deque<EarlyCode> early_codes_;  ///< by time
  Bytes certificate_chain_;
  std::optional<UnixMillis> certificate_issued_;

 public:
  /// Refs that were offered and are no longer accepted, newest last: a late scan is `stale_ref`.
  std::deque<std::string> old_refs;
  /// Ephemeral keys of clients, and the keys that seal their frames.
  RecentKeys recent_keys;
  std::map<ConnectionId, Peer>& peers() { return peers_; }
};

}  // namespace wa::mock

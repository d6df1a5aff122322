#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/client/close_policy.hpp"
#include "engine/client/connection.hpp"
#include "engine/client/pair_success.hpp"
#include "engine/client/server_clock.hpp"
#include "engine/client/session.hpp"
#include "engine/client/stored.hpp"

/// The inside of Session, by file: session.cpp (commands, dialing, deadlines), session_ends.cpp
/// (what follows the end of a stream), session_removal.cpp (logout, delete, and what they owe the
/// server), session_stanzas.cpp (stanzas in general, login), session_pairing.cpp (stanzas of
/// pairing), session_pairing_code.cpp (the code that is typed instead of a scan),
/// session_pre_keys.cpp (what the server has of our keys, and gets), session_messages.cpp (what its
/// messenger needs).
namespace wa::client {

class Session::Impl {
 public:
  Impl(const Config& config, Stored stored, Random& random);

  std::vector<Action> step(const Event& event, Now now);
  std::optional<Instant> next_deadline() const;

  const Status& status() const { return status_; }
  const std::optional<Credentials>& credentials() const { return credentials_; }
  const Counters& counters() const { return counters_; }

 private:
  // ---- session.cpp ----
  void on(const StartRequested&);
  void on(const PairingCodeRequested&);
  void on(const StopRequested&);
  void on(const VersionChanged& event);
  void on(const Dialed& event);
  void on(const DialFailed& event);
  void on(const BytesReceived& event);
  void on(const SocketClosed& event);
  void on(const Computed& event);
  void on(const DeadlineReached&);

  /// The connection that an event of this generation may still concern; otherwise it is counted as
  /// stale and null.
  Connection* current(Generation generation);
  void wake_connection();
  void rotate_code();
  void refs_ended();
  void dial();
  void open_connection();
  void begin_attempt();
  Bytes client_payload() const;
  void close_socket();
  bool running() const { return own_connection() || dial_at_; }
  /// The connection, if it is not on an errand for a device that is gone.
  Connection* own_connection() const {
    return connection_ && !connection_->errand ? connection_.get() : nullptr;
  }
  bool online() const {
    const Connection* const own = own_connection();
    return own && own->stage() == Stage::online;
  }
  bool paired() const { return credentials_ && credentials_->account; }
  /// Paired, and the next login is the first one.
  bool never_logged_in() const { return paired() && !credentials_->account->logged_in; }

  // ---- session_ends.cpp ----
  /// The stream of the current connection is over. Everything that follows is decided here.
  void end_stream(StreamEnd end);
  void end_locally(std::string_view word, std::string cause = {});
  Situation situation() const;
  /// What the policy says, and what the counters make of it.
  struct Verdict {
    State state;
    std::string reason;
    std::optional<Instant> dial_at;  ///< empty: stop
  };
  Verdict judge(const StreamEnd& end, const ClosePolicy& policy);
  Verdict judge_refs_ended(const ClosePolicy& policy);
  Verdict judge_replaced(const ClosePolicy& policy);
  std::optional<Verdict> give_up_pairing(const StreamEnd& end, const ClosePolicy& policy);
  std::optional<Verdict> give_up_finishing(const StreamEnd& end, const ClosePolicy& policy);
  void apply(Verdict verdict);
  /// No socket, no timer; `start` begins anew.
  void settle(State state, std::string_view reason);
  void finish_deadline_reached();
  /// A final end: the account is gone, the evidence of it is kept.
  void bury_account(const Verdict& verdict);

  // ---- session_removal.cpp ----
  void on(const LogoutRequested&);
  void on(const DeleteRequested&);
  /// The account goes, and `instead` takes its place, in one commit. All that deletes credentials
  /// comes through here. Events that nobody has taken stay.
  void forget_account(std::vector<Change> instead);
  /// The server has (or has not) heard of the logout or delete that is wanted: now forget.
  void finish_farewell(bool server_knows);
  void ask_removal(const wire::Jid& jid);
  /// A companion with the keys of this attempt is to be removed as soon as the socket is free.
  void owe_removal(const wire::Jid& jid, std::string_view point);
  /// One login to have a companion removed whose device is gone here.
  void begin_errand();
  void on_errand_stanza(const wire::Node& stanza);
  void end_errand(const StreamEnd& end);
  void finish_errand();
  void rest_errands();
  void purge_evidence();

  // ---- session_stanzas.cpp ----
  void on_established(Stream::Established established);
  void on_stanza(const wire::Node& stanza);
  void on_iq(const wire::Node& iq);
  void on_answer(Requests::Request request, const wire::Node* answer);
  void on_bulletin(const wire::Node& bulletin);
  void on_notification(const wire::Node& notification);
  /// An answer that may carry the server's time.
  void learn_time(const wire::Node& answer);
  UnixMillis server_time() const { return clock_.corrected(now_.wall); }
  void on_success(const wire::Node& success);
  void note_login(const wire::Node& success);
  void on_stream_error(const wire::Node& stanza);
  void on_failure(const wire::Node& stanza);
  void begin_talking();
  void ping();
  void unhandled(const wire::Node& stanza);
  void answer_iq(const wire::Node& iq);
  template <class Node>
  void send(const Node& node) {
    connection_->send(node, now_, random_, actions_);
  }

  // ---- session_pre_keys.cpp ----
  void run_login(const LoginSequence::Event& event);
  void perform(const LoginSequence::Action& action);
  void on_digest_answered(const wire::Node* answer);
  void note_owed_keys();
  void make_keys();
  void load_offered_keys();
  std::uint32_t first_offered() const;
  void on_offered_keys(const std::vector<std::optional<Bytes>>& records);
  void store_and_upload();
  void upload_again_later(std::uint32_t failures);
  void keys_uploaded(bool enough);
  void plan_rotation();
  void rotate_signed_key();
  void signed_key_rotated();

  // ---- session_messages.cpp ----
  class MessengerKeys final : public messaging::OwnKeys {
   public:
    explicit MessengerKeys(Impl& session);
    const signal::LocalIdentity& identity() const override { return identity_; }
    const pairing::SignedPreKey& signed_pre_key() const override;
    std::optional<crypto::KeyPair> signed_pre_key(std::uint32_t id) const override;
    const wire::Jid& jid() const override;
    const wire::Jid& lid() const override;
    const std::string& push_name() const override;
    ByteSpan signed_device_identity() const override;
    signal::PreKeyBundle::OneTime make_pre_key(Random& random,
                                               std::vector<Change>& changes) override;

   private:
    const Credentials& own() const;
    Impl& session_;
    signal::LocalIdentity identity_;
  };
  /// An account can say and hear something from here on.
  void begin_messages(messaging::ResidentRecords stored);
  /// The messenger parts from its account: what goes with it.
  std::vector<Change> end_messages();
  /// Of an account that is gone: what the application has still to take.
  void publish_left_over();
  void tell_messenger(const messaging::Event& event);
  Now corrected_now() const { return {now_.mono, server_time()}; }
  void perform(messaging::Action action);
  void on(const SendRequested& request);
  void on(const ReadRequested& request) { tell_messenger(request); }
  void on(const TrustRequested& request) { tell_messenger(request); }
  void on(const GroupRequested& request);
  void on(const AvailabilityChanged& event) { tell_messenger(event); }
  void on(const PresenceWanted& event) { tell_messenger(event); }
  void on(const TypingShown& event) { tell_messenger(event); }
  void on(const EventTaken& taken);
  void on(const Loaded& loaded);
  void refuse_send(const SendRequested& request);

  // ---- session_pairing.cpp ----
  bool on_pairing_iq(const wire::Node& iq);
  void on_pair_device(const wire::Node& iq, const wire::Node& pair_device);
  void on_pair_success(const wire::Node& iq, const wire::Node& pair_success);
  Result<PairSuccess> accept_with_any_secret(const wire::Node& pair_success);
  bool on_pairing_notification(const wire::Node& notification);
  void show_code();
  void renew_adv_secret();

  // ---- session_pairing_code.cpp ----
  void begin_code();
  void derive_link_key();
  void on_link_key(const pairing::LinkKey& key);
  void on_companion_hello_answered(const wire::Node* answer);
  void on_link_code_notification(const wire::Node& notification);
  /// The code on show is void; the next stream brings a new one.
  void drop_code();
  /// No code is wanted any more.
  void forget_code();
  void fail_code(std::string_view word, std::string text);

  // ---- all ----
  Put put_credentials() const;
  void store_credentials(std::string_view point, std::vector<Change> changes = {});
  void report(Report::Level level, std::string text);
  void publish();

  /// Pairing has succeeded and no login yet.
  struct Finishing {
    Instant deadline;
    std::uint32_t failures = 0;
  };

  /// A user waits for a pairing code.
  struct CodeWanted {
    std::string number;
    std::optional<Instant> begin_by;  ///< until the first one is begun
  };

  /// A logout or delete is wanted, and the server is told first.
  struct Farewell {
    Instant deadline;
    bool deletes = false;     ///< everything, not only the account
    bool then_start = false;  ///< somebody wants to begin anew behind it
  };

  const Config& config_;
  Random& random_;
  pairing::AppVersion version_;
  std::optional<Credentials> credentials_;
  Status status_;
  Status published_;
  Counters counters_;
  Reconnect reconnect_;
  ServerClock clock_;
  Generation generation_ = 0;
  std::unique_ptr<Connection> connection_;
  std::optional<Instant> dial_at_;
  std::optional<Finishing> finishing_;
  std::optional<Farewell> farewell_;
  std::vector<Tombstone> tombstones_;
  std::vector<Stored::Evidence> quarantine_;
  /// Dead credentials that were found beside the record of their end: to be buried.
  std::unique_ptr<const Credentials> dead_;
  Reconnect errand_backoff_;
  std::optional<Instant> errand_at_;  ///< the next try, once nothing else wants the socket
  std::optional<Instant> errand_deadline_;
  std::uint32_t last_attempt_id_ = 0;
  bool renew_keys_ = false;
  std::uint32_t fruitless_ = 0;  ///< unpaired ends in a row without any new QR
  std::uint32_t windows_renewed_ = 0;
  std::vector<Instant> renewals_;  ///< of windows, within the last hour
  std::uint32_t codes_shown_ = 0;
  std::optional<CodeWanted> code_wanted_;
  std::string_view code_failure_;  ///< why there is no code; shown as the reason beside a QR
  std::uint32_t pairing_codes_shown_ = 0;
  std::uint32_t next_job_id_ = 1;
  /// Loads of the session itself, among those of its messenger.
  static constexpr std::uint32_t kOwnLoads = 0x80000000;
  std::uint32_t next_load_id_ = 1;
  std::optional<Instant> first_open_;  ///< of an account that was paired in this run
  std::optional<Instant> last_takeover_;
  std::vector<std::string> reported_kinds_;

  std::unique_ptr<MessengerKeys> keys_;
  std::unique_ptr<messaging::Messenger> messenger_;  ///< while there is an account
  bool messenger_online_ = false;                    ///< StreamEnded is owed to it
  /// What is stored is no old copy, as far as the server can tell.
  bool store_checked_ = false;
  messaging::ResidentRecords left_over_;  ///< by messengers of earlier accounts
  bool begun_ = false;

  // Of the current step.
  Now now_;
  std::vector<Action> actions_;
};

}  // namespace wa::client

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/messaging/messenger.hpp"
#include "engine/messaging/stanzas.hpp"
#include "engine/protocol/signal/sender_key.hpp"

/// A messenger among scripted peers: its store, its server, and what comes out of it.
namespace wa::messaging::test {

inline const wire::Jid kOwnJid("15550100001", "s.whatsapp.net", 3);
inline const wire::Jid kOwnLid("100000000000001", "lid", 3);
inline const wire::Jid kPeerJid("15550100002", "s.whatsapp.net");
inline const wire::Jid kPeerLid("100000000000002", "lid");
inline const wire::Jid kGroup("120363000000000001", "g.us");

/// What is durable of a device.
using Store = std::map<RecordKey, Bytes>;
void store_changes(const std::vector<Change>& changes, Store& store);

/// A stanza as it comes off the wire.
wire::Frame frame_of(const wire::NodeBuilder& stanza);

/// An attribute as text; empty when absent.
std::string attr(const wire::NodeBuilder& node, std::string_view key);
/// The first child with a tag; null when there is none.
const wire::NodeBuilder* child(const wire::NodeBuilder& node, std::string_view tag);
std::vector<wire::NodeBuilder> children(const wire::NodeBuilder& node);
ByteSpan bytes_of(const wire::NodeBuilder& node);

/// The keys of the device under test. Survive its messenger, as credentials do.
class TestKeys final : public OwnKeys {
 public:
  explicit TestKeys(Random& random);

  const signal::LocalIdentity& identity() const override { return identity_; }
  const pairing::SignedPreKey& signed_pre_key() const override { return signed_pre_key_; }
  std::optional<crypto::KeyPair> signed_pre_key(std::uint32_t id) const override;
  const wire::Jid& jid() const override { return kOwnJid; }
  const wire::Jid& lid() const override { return kOwnLid; }
  const std::string& push_name() const override { return name; }
  ByteSpan signed_device_identity() const override { return device_identity_; }
  signal::PreKeyBundle::OneTime make_pre_key(Random& random, std::vector<Change>& changes) override;

  /// What a server would hand out, with a new one-time key, which is stored.
  signal::PreKeyBundle bundle(Random& random, Store& store);

  std::string name = "Shop";

 private:
  signal::LocalIdentity identity_;
  pairing::SignedPreKey signed_pre_key_;
  std::uint32_t next_pre_key_id_ = 1;
  Bytes device_identity_ = to_bytes("signed device identity");
};

/// One device of somebody: Signal in the flesh, everything else by script.
class PeerDevice {
 public:
  PeerDevice(wire::Jid number, wire::Jid lid, std::uint16_t device, std::uint64_t seed);

  const wire::Jid& number() const { return number_; }
  const wire::Jid& lid() const { return lid_; }
  /// New keys, no sessions: the app was set up anew.
  void set_up_anew();

  /// What the server hands out; one-time keys are never repeated.
  signal::PreKeyBundle bundle();
  /// The session with us begins at this end.
  void begin(const signal::PreKeyBundle& ours);
  bool has_session() const { return session_.has_current(); }

  /// `<enc>` with a text inside, or with anything else.
  wire::NodeBuilder enc(const std::string& text);
  wire::NodeBuilder enc(const message::Envelope& envelope);
  /// `<enc>` around any plaintext, which is not padded.
  wire::NodeBuilder raw_enc(ByteSpan plaintext);
  /// A stanza as the server hands it on, from the LID with the number beside it.
  wire::NodeBuilder message(const std::string& id, const std::string& text);
  wire::NodeBuilder message(const std::string& id, wire::NodeBuilder enc);
  wire::NodeBuilder message_by_number(const std::string& id, wire::NodeBuilder enc);

  /// What one `<enc>` says.
  signal::Outcome<message::Envelope> read(const wire::NodeBuilder& enc);
  /// The text in it; a failure's word when it cannot be read.
  std::string text_in(const wire::NodeBuilder& enc);

  /// Asks for a message once more.
  wire::NodeBuilder retry(const std::string& id, std::uint32_t count, bool with_keys);

  signal::Session& session() { return session_; }

  // ---- groups ----
  /// `<enc>` that brings us this device's key for a group, and `<enc>` written with it.
  wire::NodeBuilder key_enc(const wire::Jid& group);
  wire::NodeBuilder group_enc(const std::string& text);
  /// A stanza of a group, as the server hands it on.
  wire::NodeBuilder group_message(const std::string& id, const wire::Jid& group,
                                  std::vector<wire::NodeBuilder> encs) const;
  /// The text of a stanza that we sent to a group: its copy for this device first, if any.
  std::string read_group(const wire::NodeBuilder& stanza);
  void new_group_key() { group_key_.reset(); }

 private:
  SeededRandom random_;
  wire::Jid number_;
  wire::Jid lid_;
  signal::LocalIdentity identity_;
  pairing::SignedPreKey signed_pre_key_;
  std::map<std::uint32_t, crypto::KeyPair> one_time_;
  std::uint32_t next_pre_key_id_ = 1;
  signal::Session session_;
  std::optional<signal::SenderKey> group_key_;
  signal::SenderKeys keys_of_ours_;
};

/// The `<enc>` of a message stanza that is for a device.
std::optional<wire::NodeBuilder> copy_in(const wire::NodeBuilder& stanza, const PeerDevice& device);

/// The device under test, with its store, and the server's answers to what it asks.
class World {
 public:
  explicit World(std::uint64_t seed = 1);

  // ---- driving ----
  /// A step, and all that follows from it.
  void step(const Event& event);
  void receive(const wire::NodeBuilder& stanza);
  /// Performs and answers until nothing is left to do.
  void settle();
  /// One action or one answer. False: nothing was left to do.
  bool perform_one();
  /// Adds a step's actions without performing any.
  void feed(const Event& event);
  void feed_stanza(const wire::NodeBuilder& stanza);
  /// The process dies: what is not performed is lost, what is durable comes back.
  void kill();
  Messenger::Policy policy;  ///< from the next kill() on
  void pass(Duration time);
  void online() { step(StreamReady{}); }
  void offline();

  std::string send(const wire::Jid& to, const std::string& text, const std::string& id = {});
  /// The server takes a message.
  void ack(const std::string& id, std::optional<int> error = {}, const std::string& phash = {});

  // ---- the others ----
  PeerDevice& add(PeerDevice device);
  PeerDevice& peer() { return *find(kPeerJid); }
  /// Our own phone.
  PeerDevice& phone() { return *find(kOwnJid.without_device()); }
  void remove(const wire::Jid& number) { peers_.erase(number); }
  /// The device that a JID names, under either name; null: nobody.
  PeerDevice* find(const wire::Jid& jid);
  signal::PreKeyBundle own_bundle() { return keys.bundle(random, store); }

  /// What the server answers to a query.
  wire::NodeBuilder answer(const wire::NodeBuilder& iq);

  // ---- what came out ----
  std::vector<AppEvent> events;
  std::vector<wire::NodeBuilder> sent;
  std::vector<wire::NodeBuilder> queries;
  std::vector<std::string> reports;
  std::size_t loads = 0;
  std::size_t commits = 0;
  std::size_t renewals = 0;  ///< of pre-keys, that were asked for
  /// Stanzas with this tag.
  std::vector<wire::NodeBuilder> sent_with(std::string_view tag, std::string_view type = {}) const;
  template <class What>
  std::vector<What> events_of() const {
    std::vector<What> found;
    for (const AppEvent& event : events) {
      if (const auto* what = std::get_if<What>(&event.what)) found.push_back(*what);
    }
    return found;
  }
  /// Texts that the application was given, in order.
  std::vector<std::string> texts() const;
  /// The `<enc>` of the last message stanza that has one for a device.
  std::optional<wire::NodeBuilder> copy_for(const PeerDevice& device) const;

  // ---- knobs ----
  bool answer_loads = true;
  bool answer_queries = true;
  bool take_events = true;
  bool lids_in_usync = true;
  /// Who is in which group; named by LID in an answer.
  std::map<wire::Jid, std::vector<wire::Jid>> groups;
  /// What the server says to changes of groups.
  wire::NodeBuilder group_verdict{"iq"};
  std::function<void(signal::PreKeyBundle&, const wire::Jid&)> spoil_bundle;
  /// Instead of the server's own answer to a query, or changed from it.
  std::function<wire::NodeBuilder(const wire::NodeBuilder& iq)> answer_instead;
  std::function<bool(const wire::Jid&)> has_bundle = [](const wire::Jid&) { return true; };

  SeededRandom random;
  Store store;
  TestKeys keys;
  Now now{Instant(std::chrono::hours(1)), UnixMillis{1'767'225'600'000}};
  std::unique_ptr<Messenger> messenger;

 private:
  void perform(Action& action);
  void load(const Load& action);
  wire::NodeBuilder answer_group(const wire::Jid& group) const;
  ResidentRecords resident() const;

  std::map<wire::Jid, std::unique_ptr<PeerDevice>> peers_;  ///< by number
  std::deque<Action> actions_;
  std::deque<Loaded> loaded_;
  std::deque<std::pair<std::uint32_t, wire::NodeBuilder>> answers_;
};

}  // namespace wa::messaging::test

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/client/session.hpp"
#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "engine/protocol/wire/node_codec.hpp"

/// A small scripted server and a world around one session, for the tests of this folder only. It
/// speaks real Noise and real nodes; what it does is a few switches that a test sets.
namespace wa::client::test {

using wire::NodeBuilder;

/// `<iq>` from the server, for what tests send.
NodeBuilder server_iq(std::string type, std::string id, std::string xmlns = {});
NodeBuilder stream_error(std::optional<int> code, std::optional<NodeBuilder> child = {});
NodeBuilder conflict(std::string type);
NodeBuilder failure(int reason);

/// The server's side of one socket.
class ServerStream {
 public:
  ServerStream(const crypto::KeyPair& static_key, Bytes chain, Random& random);

  /// What came from the client, at any cut. What must be answered at once is in the result.
  Bytes receive(ByteSpan bytes);
  Bytes seal(const NodeBuilder& node);
  /// Any plaintext, sealed as a frame.
  Bytes seal_plaintext(ByteSpan plaintext);

  bool established() const { return sealing_.has_value(); }
  std::vector<NodeBuilder> take_stanzas() { return std::exchange(stanzas_, {}); }

  std::optional<std::variant<pairing::Registration, pairing::Login>> payload;
  crypto::PublicKey client_static;
  Bytes routing_info;  ///< of the ED prefix

 private:
  void read_header();

  noise::Responder responder_;
  Bytes chain_;
  Bytes header_;
  bool header_read_ = false;
  bool hello_read_ = false;
  wire::FrameSplitter splitter_;
  std::optional<noise::TransportCipher> sealing_;
  std::optional<noise::TransportCipher> opening_;
  std::vector<NodeBuilder> stanzas_;
};

/// One session, its store, its sockets and its server, in virtual time.
class World {
 public:
  explicit World(Config asked = default_config(), Stored stored = {}, std::uint64_t seed = 1);
  static Config default_config();

  // ---- what the server and the network do ----
  enum class OnDial { accept, hold, fail };
  struct Behaviour {
    OnDial on_dial = OnDial::accept;
    std::optional<int> http_status;  ///< of a failing dial
    bool answer_hello = true;
    bool valid_chain = true;
    std::optional<std::size_t> refs = 6;  ///< empty: no pair-device
    bool send_success = true;
    bool answer_pings = true;
    bool answer_iqs = true;
    bool restart_after_sign = true;  ///< 515 and a close behind pair-device-sign
    std::uint64_t pre_key_count = 100;
  } behaviour;
  /// Called for every stanza of the client, before the automatic answers; true: no automatic
  /// answer.
  std::function<bool(const NodeBuilder&)> on_stanza;

  void send(const NodeBuilder& node);
  void send_bytes(Bytes bytes);
  /// It closes, and nobody can reach it any more.
  void lose_server() {
    behaviour.on_dial = OnDial::fail;
    close_from_server();
  }
  void close_from_server();
  /// The stanza, then the close.
  void send_and_close(const NodeBuilder& node);
  struct Scan {
    bool spoil_hmac = false;
    bool spoil_signature = false;
    std::string jid = "15550100001:7@s.whatsapp.net";
    std::optional<ByteArray<32>> adv_secret = {};  ///< instead of the QR's
  };
  /// The phone scans the QR on show.
  void scan(const Scan& scan);
  void scan() { scan(Scan{}); }
  NodeBuilder pair_success(const Scan& scan);

  // ---- what the user and time do ----
  void step(const Event& event);
  void start() {
    step(StartRequested{});
    advance(0s);  // an errand may come first
  }
  /// Virtual time passes; every deadline in between is kept.
  void advance(Duration duration);
  /// Start, scan, restart, login.
  void pair();

  // ---- what happened ----
  const Status& status() const { return session.status(); }
  /// Stanzas of the client with this tag since the last `forget`, all sockets together.
  std::vector<NodeBuilder> sent(std::string_view tag) const;
  /// The IQs among them with this first child.
  std::vector<NodeBuilder> sent_iqs(std::string_view child) const;
  void forget() { stanzas.clear(), statuses.clear(), actions.clear(), dial_times.clear(); }
  bool was_ever(State state) const;
  std::vector<Duration> dial_gaps() const;

  SeededRandom random;
  crypto::KeyPair root;
  Now now;
  const Config config;
  Session session;
  StoredRecords store;
  /// Nothing is left that belongs to an account.
  bool forgot_account() const;
  Stored stored() const { return Stored::read(store).value(); }
  std::vector<NodeBuilder> stanzas;
  std::vector<messaging::AppEvent> app_events;
  std::vector<Status> statuses;
  std::vector<Action> actions;  ///< all, in order
  std::vector<Instant> dial_times;
  std::unique_ptr<ServerStream> server;  ///< of the open socket
  std::optional<Generation> open_socket;
  std::size_t steps = 0;
  bool keep_actions = true;

 private:
  void perform(Action action);
  void run(const Event& event);
  void commit(const Commit& commit);
  void serve();
  void answer(const NodeBuilder& stanza);

  crypto::KeyPair intermediate_;
  crypto::KeyPair static_key_;
  crypto::KeyPair account_;
  std::deque<Event> events_;
  bool running_ = false;
  Bytes issued_container_;
  std::uint32_t next_iq_ = 1;
};

/// The credentials as they are in the world's store.
Credentials stored_credentials(const World& world);

/// Reading a NodeBuilder as tests do.
std::string attr(const NodeBuilder& node, std::string_view key);
const NodeBuilder* child(const NodeBuilder& node, std::string_view tag);
std::vector<NodeBuilder> children(const NodeBuilder& node);

}  // namespace wa::client::test

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/client/actions.hpp"
#include "engine/client/code_pairing.hpp"
#include "engine/client/config.hpp"
#include "engine/client/keepalive.hpp"
#include "engine/client/login_sequence.hpp"
#include "engine/client/pairing_window.hpp"
#include "engine/client/pre_key_upload.hpp"
#include "engine/client/requests.hpp"
#include "engine/client/stored.hpp"
#include "engine/client/stream.hpp"

namespace wa::client {

/// How far a socket has come, and the local end (close_policy.hpp) when it gets no further in time.
enum class Stage : std::uint8_t {
  dialing,        ///< dial_timeout
  handshaking,    ///< handshake_timeout
  awaiting_refs,  ///< first_ref_timeout
  showing_qr,     ///< no deadline: the pairing window ends it
  passkey,        ///< passkey_timeout
  finishing,      ///< pair-success answered, the restart is due: finish_timeout
  logging_in,     ///< login_timeout
  online,         ///< no deadline: the keepalive ends it
  ending,         ///< the stream is over, the server may close the socket first
};
/// The child of the local end at this stage's deadline; empty where there is none.
std::string_view timeout_word(Stage stage);

/// Everything that lives and dies with one socket. The session drives it; this is where deadlines,
/// sealing and the sign-of-life bookkeeping of a socket are in one place.
class Connection {
 public:
  /// A dial has begun. `config` must outlive the connection.
  Connection(Generation generation, const Config& config, Now now);

  Generation generation() const { return generation_; }
  Stage stage() const { return stage_; }
  void enter(Stage stage, std::optional<Instant> deadline);
  std::optional<Instant> stage_deadline() const { return stage_deadline_; }

  /// The socket is open: the handshake begins.
  void open(Stream::Config config, Now now, Random& random, std::vector<Action>& actions);
  /// The handshake is done: `client_finish` is sent and the keepalive runs.
  void establish(Bytes client_finish, Now now, Random& random, std::vector<Action>& actions);

  void receive(ByteSpan bytes, Now now, Random& random);
  Stream& stream() { return *stream_; }

  /// Seals and sends. A node that cannot be sealed breaks the connection: see `broken()`.
  void send(const wire::Node& node, Now now, Random& random, std::vector<Action>& actions);
  void send(const wire::NodeBuilder& node, Now now, Random& random, std::vector<Action>& actions);
  bool broken() const { return broken_; }

  std::string open_request(Purpose purpose, Now now, std::uint32_t number = 0) {
    // Everything waits for the digest, as for a login.
    const bool urgent = purpose == Purpose::pre_key_digest;
    return requests_->open({purpose, number},
                           now.mono + (urgent ? timings_.login : timings_.request));
  }
  std::optional<Requests>& requests() { return requests_; }
  std::vector<Keepalive::Action> wake_keepalive(Now now, Random& random) {
    return keepalive_.step(Keepalive::DeadlineReached{}, now.mono, random);
  }

  std::optional<Instant> next_deadline() const;

  // What the session remembers with the socket.
  std::unique_ptr<const Tombstone> errand;  ///< it was opened to have this companion removed
  std::optional<PairingWindow> window;
  std::optional<Instant> code_changes_at;
  std::unique_ptr<CodePairing> code;
  bool offered_qr = false;  ///< a ref came on this socket
  bool saw_pair_success = false;
  LoginSequence login;
  Instant asked_at;  ///< the latest question that the server answers with its time
  std::optional<std::uint32_t> key_job;  ///< pre-keys are being made
  std::vector<crypto::KeyPair> made_keys;
  std::optional<std::uint32_t> offered_load;  ///< unconfirmed ones are being read
  std::vector<OfferedKey> offered_keys;       ///< and are there
  std::uint32_t wanted_keys = 0;
  bool talking = false;  ///< the messenger was told that it may
  std::optional<Instant> upload_again_at;
  std::optional<Instant> rotate_at;  ///< the signed pre-key

 private:
  template <class Node>
  void seal_and_send(const Node& node, Now now, Random& random, std::vector<Action>& actions);

  const Timings& timings_;
  Generation generation_;
  Stage stage_ = Stage::dialing;
  std::optional<Instant> stage_deadline_;
  std::optional<Stream> stream_;
  std::optional<Requests> requests_;
  Keepalive keepalive_;
  bool broken_ = false;
};

}  // namespace wa::client

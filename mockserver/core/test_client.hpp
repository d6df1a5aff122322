#pragma once

#include <deque>
#include <map>

#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "mockserver/core/tenant.hpp"

/// A tenant on a bench: a scripted clock, and clients that speak the real bytes. For tests of
/// mockserver/core only; it shares nothing with engine/client.
namespace wa::mock::test {

/// Settings under which phones say nothing to a new companion by themselves.
inline Settings quiet_phones() {
  Settings settings;
  settings.initial_history = false;
  return settings;
}

class Bench {
 public:
  explicit Bench(Settings settings = {}, std::uint64_t seed = 1, Tenant::Options options = {});

  void step(ConnectionId id, const ConnectionEvent& event);
  /// The answer, or nothing while it is pending (see `answers`).
  std::optional<std::variant<CommandResult, Problem>> command(const Command& command);
  /// Moves time, stopping at every deadline on the way.
  void advance(Duration duration);

  std::vector<std::string> rules() const;  ///< of the violations so far
  std::size_t count(EventKind kind) const;

  Random& random() { return random_; }
  Now now() const { return now_; }

  SeededRandom random_;
  ServerKeys keys;
  Tenant tenant;
  std::map<ConnectionId, std::deque<Bytes>> messages;  ///< to the clients, not yet read
  std::map<ConnectionId, CloseHow> closed;
  std::map<ConnectionId, int> refused;
  std::map<RequestId, std::variant<CommandResult, Problem>> answers;
  std::vector<TenantEvent> events;
  std::vector<LogKeys> logged_keys;
  bool hold_jobs = false;     ///< else computed at once
  std::vector<Compute> jobs;  ///< held
  void finish_jobs();
  RequestId next_request = 1;

 private:
  void take(std::vector<Action> actions);
  Now now_;
};

/// The keys of a companion under test.
struct DeviceKeys {
  explicit DeviceKeys(Random& random);
  crypto::KeyPair noise;
  crypto::KeyPair identity;
  pairing::SignedPreKey signed_pre_key;
  ByteArray<32> adv_secret;
  pairing::Registration registration() const;
};

/// One connection of a client under test.
class TestClient {
 public:
  TestClient(Bench& bench, const DeviceKeys& keys, std::string label = "shop-1",
             wire::Dictionary dictionary = wire::Dictionary::v3);

  /// Upgrade and handshake up to ClientFinish around this payload; with `resume_with` set, by IK
  /// with the server whose static key that is. `random`: of the ephemeral key; null: the
  /// bench's.
  void connect(ByteSpan payload, Random* random = nullptr);
  void register_device();
  void log_in(const PhoneInfo& phone, std::uint32_t device, bool passive = true);
  void disconnect() { bench_.step(id, Disconnected{"end of file"}); }

  void send(const wire::NodeBuilder& node) { send_raw(seal(node)); }
  /// Its next frame, not sent.
  Bytes seal(const wire::NodeBuilder& node) { return seal(wire::encode(node, dictionary_)); }
  Bytes seal(ByteSpan plaintext);
  void send_raw(ByteSpan bytes) { bench_.step(id, BytesReceived{to_bytes(bytes)}); }
  /// The next stanza from the server; the test ends if there is none.
  wire::Frame receive();
  Bytes receive_plaintext();
  bool has_message() const;
  void drop_messages();
  std::optional<CloseHow> closed() const;

  /// The QR text for the kth ref (from 0) of the last pair-device.
  std::string qr_text(std::size_t k = 0) const;
  /// Reads pair-device, answers it, keeps the refs.
  void answer_pair_device();
  /// Reads pair-success and answers it with a good pair-device-sign.
  void answer_pair_success();

  ConnectionId id;
  std::vector<std::string> refs;
  std::optional<crypto::PublicKey> resume_with;
  noise::SymmetricState::Keys transport_keys{};
  std::optional<noise::Pattern> pattern;  ///< of the last handshake; none when it was not answered
  Bytes first_bytes;                      ///< header and hello, as they were sent
  Bytes certificate_chain;                ///< of the ServerHello

 private:
  Bench& bench_;
  const DeviceKeys& keys_;
  std::string label_;
  wire::Dictionary dictionary_;
  std::optional<noise::TransportCipher> send_cipher_;
  std::optional<noise::TransportCipher> receive_cipher_;
};

/// A phone with one linked companion, ready to log in.
struct Linked {
  PhoneInfo phone;
  std::uint32_t device = 0;
};
Linked link_device(Bench& bench, const DeviceKeys& keys, std::string number = "15550100001");

/// "ok", the code of the problem, or "pending".
std::string problem_code(const std::optional<std::variant<CommandResult, Problem>>& answer);

/// Adds a fault, of JSON text; the test fails if it is refused.
void add_fault(Bench& bench, std::string_view text);

/// An IQ to the server; `child`: the tag of its only child, if it has one.
wire::NodeBuilder query(std::string xmlns, std::string type, std::string id,
                        std::string child = "");
wire::NodeBuilder ping(std::string id);

}  // namespace wa::mock::test

/// One device with our Signal code, for scripts: reads commands from stdin, a line each, and
/// answers each with a line.
///
///     bundle                    id, identity, signed pre-key's id, key and signature, one-time
///     pre-key's id and key initiate <as above>       begins a session with that bundle encrypt HEX
///     "msg HEX" or "pkmsg HEX" decrypt msg|pkmsg HEX     "ok HEX", or the failure's word
///     distribution              of the own sender key
///     process HEX               takes another one's distribution
///     encrypt-group HEX         HEX
///     decrypt-group HEX         "ok HEX", or the failure's word
///
/// Public keys have 33 bytes here. The session is decoded anew for each command, so its stored form
/// is tested, too.
///
///     signal_device SEED
#include <iostream>
#include <map>
#include <sstream>

#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"

namespace {

using namespace wa;

class Device {
 public:
  explicit Device(std::uint64_t seed) : random_(seed) {}

  std::string answer(std::istream& words) {
    std::string command;
    words >> command;
    if (command == "bundle") return bundle();
    if (command == "initiate") return initiate(words);
    if (command == "encrypt") return encrypt(bytes(words));
    if (command == "decrypt") return decrypt(words);
    if (command == "distribution") return to_hex(sender_key_.distribution().serialize());
    if (command == "process") {
      const Bytes wire = bytes(words);
      others_.process(signal::SenderKeyDistribution::parse(wire).value());
      return "ok";
    }
    if (command == "encrypt-group")
      return to_hex(sender_key_.encrypt(bytes(words), random_).value());
    if (command == "decrypt-group") return decrypt_group(bytes(words));
    return "unknown command";
  }

 private:
  static Bytes bytes(std::istream& words) {
    std::string hex;
    words >> hex;
    return from_hex(hex).value();
  }
  static crypto::PublicKey key(std::istream& words) {
    return signal::read_key(bytes(words), "key").value();
  }

  std::string bundle() {
    const std::uint32_t id = next_id_++;
    one_time_[id] = crypto::generate_key_pair(random_);
    const auto signature =
        signal::sign_pre_key(local_.identity, signed_pre_key_.public_key, random_);
    std::ostringstream out;
    out << local_.registration_id << ' ' << to_hex(signal::typed(local_.identity.public_key))
        << " 1 " << to_hex(signal::typed(signed_pre_key_.public_key)) << ' ' << to_hex(signature)
        << ' ' << id << ' ' << to_hex(signal::typed(one_time_[id].public_key));
    return out.str();
  }

  std::string initiate(std::istream& words) {
    signal::PreKeyBundle bundle;
    words >> bundle.registration_id;
    bundle.identity = key(words);
    words >> bundle.signed_pre_key_id;
    bundle.signed_pre_key = key(words);
    bundle.signed_pre_key_signature = fixed<64>(bytes(words), "signature").value();
    signal::PreKeyBundle::OneTime one_time;
    words >> one_time.id;
    one_time.key = key(words);
    bundle.one_time = one_time;
    return change([&](signal::Session& session) -> signal::Outcome<std::string> {
      WA_TRY_VOID(session.initiate(local_, bundle, random_));
      return std::string("ok");
    });
  }

  std::string encrypt(const Bytes& plaintext) {
    return change([&](signal::Session& session) -> signal::Outcome<std::string> {
      WA_TRY(const auto sent, session.encrypt(local_, plaintext));
      return (sent.pre_key ? "pkmsg " : "msg ") + to_hex(sent.bytes);
    });
  }

  std::string decrypt(std::istream& words) {
    std::string type;
    words >> type;
    const Bytes wire = bytes(words);
    return change([&](signal::Session& session) -> signal::Outcome<std::string> {
      if (type == "msg") {
        WA_TRY(const auto message, signal::SignalMessage::parse(wire));
        WA_TRY(const auto plaintext, session.decrypt(local_, message, random_));
        return "ok " + to_hex(plaintext);
      }
      WA_TRY(const auto message, signal::PreKeySignalMessage::parse(wire));
      signal::Session::PreKeys pre_keys{signed_pre_key_, std::nullopt};
      const auto one_time = one_time_.find(message.pre_key_id.value_or(0));
      if (one_time != one_time_.end()) pre_keys.one_time = one_time->second;
      WA_TRY(const auto plaintext, session.decrypt(local_, message, pre_keys, random_));
      if (one_time != one_time_.end()) one_time_.erase(one_time);
      return "ok " + to_hex(plaintext);
    });
  }

  std::string decrypt_group(const Bytes& wire) {
    const auto message = signal::SenderKeyMessage::parse(wire);
    if (!message) return std::string(to_string(message.error().why));
    auto keys = signal::SenderKeys::decode(others_.encode()).value();
    const auto plaintext = keys.decrypt(*message);
    others_ = std::move(keys);
    return plaintext ? "ok " + to_hex(*plaintext) : std::string(to_string(plaintext.error().why));
  }

  /// Stores the session again when `work` succeeds.
  template <class Work>
  std::string change(Work work) {
    auto session = stored_.empty() ? signal::Session() : signal::Session::decode(stored_).value();
    const auto answer = work(session);
    if (!answer) return std::string(to_string(answer.error().why));
    stored_ = session.encode();
    return *answer;
  }

  SeededRandom random_;
  signal::LocalIdentity local_{crypto::generate_key_pair(random_), 77};
  crypto::KeyPair signed_pre_key_ = crypto::generate_key_pair(random_);
  std::map<std::uint32_t, crypto::KeyPair> one_time_;
  std::uint32_t next_id_ = 1;
  Bytes stored_;
  signal::SenderKey sender_key_ = signal::SenderKey::create(random_);
  signal::SenderKeys others_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: signal_device SEED\n";
    return 2;
  }
  Device device(std::stoull(argv[1]));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::cout << device.answer(words) << std::endl;
  }
}

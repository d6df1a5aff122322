// Signal messages, stored sessions, and a conversation on which the network does its worst.
//
// The first byte chooses: 0 to 3 a message of each kind, the rest of the input; 4 to 6 a stored
// record, the rest; 7 a stored session (chunk) that reads a message (rest); 8 the padding; else a
// conversation, whose steps are described at `converse`.
#include <cstdlib>
#include <vector>

#include "engine/protocol/signal/padding.hpp"
#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace wa;

void require(bool holds) {
  if (!holds) std::abort();
}

/// What parses is the same after it was written and read again.
void parse_signal(ByteSpan bytes) {
  const auto message = signal::SignalMessage::parse(bytes);
  if (!message) return;
  const Bytes again = concat(
      signal::SignalMessage::serialize_covered(message->ratchet_key, message->counter,
                                               message->previous_counter, message->ciphertext),
      message->mac);
  const auto same = signal::SignalMessage::parse(again);
  require(same && same->ratchet_key == message->ratchet_key && same->counter == message->counter &&
          same->previous_counter == message->previous_counter &&
          equal(same->ciphertext, message->ciphertext) && equal(same->mac, message->mac));
}

void parse_pre_key(ByteSpan bytes) {
  const auto message = signal::PreKeySignalMessage::parse(bytes);
  if (!message) return;
  const Bytes again = message->serialize();
  const auto same = signal::PreKeySignalMessage::parse(again);
  require(same && same->serialize() == again && equal(same->message_bytes, message->message_bytes));
}

void parse_sender_key(ByteSpan bytes) {
  const auto message = signal::SenderKeyMessage::parse(bytes);
  if (!message) return;
  const Bytes again = concat(signal::SenderKeyMessage::serialize_covered(
                                 message->id, message->iteration, message->ciphertext),
                             message->signature);
  const auto same = signal::SenderKeyMessage::parse(again);
  require(same && same->id == message->id && same->iteration == message->iteration &&
          equal(same->ciphertext, message->ciphertext));
}

void parse_distribution(ByteSpan bytes) {
  const auto message = signal::SenderKeyDistribution::parse(bytes);
  if (!message) return;
  const Bytes again = message->serialize();
  const auto same = signal::SenderKeyDistribution::parse(again);
  require(same && same->serialize() == again);
  signal::SenderKeys keys;
  keys.process(*same);
  require(keys.has(same->id));
}

template <class Record>
void stored(ByteSpan bytes) {
  const auto record = Record::decode(bytes);
  if (!record) return;
  const Bytes again = record->encode();
  const auto same = Record::decode(again);
  require(same && same->encode() == again);
}

struct Device {
  explicit Device(std::uint64_t seed) : random(seed) {}

  SeededRandom random;
  signal::LocalIdentity local{crypto::generate_key_pair(random), 7};
  crypto::KeyPair signed_pre_key = crypto::generate_key_pair(random);
  signal::PreKeyBundle bundle{
      7,
      local.identity.public_key,
      1,
      signed_pre_key.public_key,
      signal::sign_pre_key(local.identity, signed_pre_key.public_key, random),
      std::nullopt};
  signal::Session session;
  signal::SenderKey sender_key = signal::SenderKey::create(random);
  signal::SenderKeys others;
};

/// A message under way.
struct Sent {
  int from = 0;
  int number = 0;
  bool pre_key = false;
  bool group = false;
  Bytes bytes;
};

signal::Outcome<Bytes> read(Device& to, const Sent& sent) {
  if (sent.group) {
    WA_TRY(const auto message, signal::SenderKeyMessage::parse(sent.bytes));
    return to.others.decrypt(message);
  }
  if (!sent.pre_key) {
    WA_TRY(const auto message, signal::SignalMessage::parse(sent.bytes));
    return to.session.decrypt(to.local, message, to.random);
  }
  WA_TRY(const auto message, signal::PreKeySignalMessage::parse(sent.bytes));
  return to.session.decrypt(to.local, message, {to.signed_pre_key, std::nullopt}, to.random);
}

/// Steps, two bytes each: what to do, and with which message or how often. What a message says is
/// its number, and none is read twice by the session that read it; a failure leaves the session's
/// record as it was.
void converse(fuzz::Input& input) {
  static const Device alice(1);
  static const Device bob(2);
  Device devices[2] = {alice, bob};
  devices[0].others.process(bob.sender_key.distribution());
  devices[1].others.process(alice.sender_key.distribution());
  std::vector<Sent> sent;
  std::vector<bool> was_read;
  for (int steps = 0; steps < 60 && !input.empty(); ++steps) {
    const int what = input.number();
    const std::size_t which = input.number();
    Device& device = devices[what & 1];
    switch (what / 2 % 8) {
      case 0:
        require(static_cast<bool>(
            device.session.initiate(device.local, devices[~what & 1].bundle, device.random)));
        break;
      case 1: device.session.archive_current(); break;
      case 2: device.session = signal::Session::decode(device.session.encode()).value(); break;
      case 3: {
        const int number = static_cast<int>(sent.size());
        auto wire =
            device.sender_key.encrypt(as_bytes(std::to_string(number)), device.random).value();
        sent.push_back({what & 1, number, false, true, std::move(wire)});
        was_read.push_back(false);
        break;
      }
      case 4:
      case 5: {
        const int number = static_cast<int>(sent.size());
        auto wire = device.session.encrypt(device.local, as_bytes(std::to_string(number)));
        if (!wire) break;
        sent.push_back({what & 1, number, wire->pre_key, false, std::move(wire->bytes)});
        was_read.push_back(false);
        break;
      }
      default: {
        if (sent.empty()) break;
        Sent delivered = sent[which % sent.size()];
        const bool damaged = what / 16 % 4 == 3;
        if (damaged) {
          const std::size_t at = input.number() * delivered.bytes.size() / 256;
          delivered.bytes[at] ^= static_cast<std::byte>(input.number());
        }
        Device& to = devices[1 - delivered.from];
        const Bytes before = concat(to.session.encode(), to.others.encode());
        const auto outcome = read(to, delivered);
        if (!outcome) {
          require(concat(to.session.encode(), to.others.encode()) == before);
          break;
        }
        const auto number = static_cast<std::size_t>(delivered.number);
        require(as_text(*outcome) == std::to_string(number));
        // With no one-time pre-key, a pkmsg whose session was forgotten begins one again.
        require(!was_read[number] || delivered.pre_key);
        was_read[number] = true;
      }
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.number()) {
    case 0: parse_signal(input.rest()); break;
    case 1: parse_pre_key(input.rest()); break;
    case 2: parse_sender_key(input.rest()); break;
    case 3: parse_distribution(input.rest()); break;
    case 4: stored<signal::Session>(input.rest()); break;
    case 5: stored<signal::SenderKey>(input.rest()); break;
    case 6: stored<signal::SenderKeys>(input.rest()); break;
    case 7: {
      auto session = signal::Session::decode(input.chunk());
      const Bytes wire = to_bytes(input.rest());
      const auto message = signal::SignalMessage::parse(wire);
      if (!session || !message) break;
      Device reader(3);
      (void)session->decrypt(reader.local, *message, reader.random);
      (void)session->encrypt(reader.local, wire);
      break;
    }
    case 8: {
      const Bytes padded = to_bytes(input.rest());
      const auto plain = signal::unpad(padded);
      require(!plain || plain->size() < padded.size());
      break;
    }
    default: converse(input);
  }
  return 0;
}

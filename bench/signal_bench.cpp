/// What Signal's work costs beside the primitives that it is made of, measured in turns in one run.
///
///     signal_bench [--check]      --check: exit 1 when a ratio is above its target
///
/// Each line: the work, our microseconds, those of its primitives, separated by tabs; the best of
/// 41 rounds each.
/// bench/signal_vs_libsignal puts the times of npm libsignal beside them.
///
/// - one way: a message of 64 bytes encrypted, parsed and decrypted
/// - round trip: a message each way, so that both ratchets step
/// - first message: bundle verified, X3DH at both ends, a pkmsg written and read (what the reader's
///   first answer needs is made when it answers)
/// - group message: encrypted, signed, verified and decrypted
/// - stored: a session with 20 kept seeds to its stored form and back (no primitives)
/// - hostile, …: a message of an unknown chain, refused by a session with 41 states in all of which
///   we wrote last; its number in the chain is 0, 249 or 1999 (no primitives)
/// - hostile, stored: a session with as many seeds as there may be, to its stored form and back
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"

namespace {

using namespace wa;

constexpr double kTarget = 1.5;  ///< ours to the primitives

struct Device {
  explicit Device(Random& random)
      : local{crypto::generate_key_pair(random), 1},
        signed_pre_key(crypto::generate_key_pair(random)),
        one_time(crypto::generate_key_pair(random)) {}

  signal::PreKeyBundle bundle(Random& random) const {
    signal::PreKeyBundle out;
    out.identity = local.identity.public_key;
    out.signed_pre_key_id = 1;
    out.signed_pre_key = signed_pre_key.public_key;
    out.signed_pre_key_signature =
        signal::sign_pre_key(local.identity, signed_pre_key.public_key, random);
    out.one_time = {1, one_time.public_key};
    return out;
  }

  signal::LocalIdentity local;
  crypto::KeyPair signed_pre_key;
  crypto::KeyPair one_time;
  signal::Session session;
};

void deliver(Device& from, Device& to, ByteSpan plaintext, Random& random) {
  const auto sent = from.session.encrypt(from.local, plaintext).value();
  if (sent.pre_key) {
    const auto message = signal::PreKeySignalMessage::parse(sent.bytes).value();
    WA_ASSERT(to.session.decrypt(to.local, message, {to.signed_pre_key, to.one_time}, random));
  } else {
    const auto message = signal::SignalMessage::parse(sent.bytes).value();
    WA_ASSERT(to.session.decrypt(to.local, message, random));
  }
}

/// The inputs of the primitives.
struct Floor {
  explicit Floor(Random& seed) : random(seed) {}

  /// Chain, message keys, cipher and code of one message at one end.
  void message(bool encrypt) {
    const crypto::HmacSha256 chain(key);
    const auto message_seed = chain.over(one);
    key = chain.over(one);
    const auto keys = crypto::hkdf_sha256<80>(message_seed, {}, as_bytes("WhisperMessageKeys"));
    if (encrypt) {
      sealed = crypto::aes_cbc_encrypt(key, iv, plaintext);
    } else {
      WA_ASSERT(crypto::aes_cbc_decrypt(sealed_key, iv, sealed_always));
    }
    code = crypto::hmac_sha256(ByteSpan(keys).first(32), covered);
  }
  /// X25519 and the step of the root.
  void step() {
    const auto secret = crypto::agree(pair.private_key, other.public_key).value();
    (void)crypto::hkdf_sha256<64>(secret, key, as_bytes("WhisperRatchet"));
  }
  void new_pair() { (void)crypto::generate_key_pair(random); }
  void x3dh() {
    for (int i = 0; i < 4; ++i) (void)crypto::agree(pair.private_key, other.public_key).value();
    (void)crypto::hkdf_sha256<64>(covered, {}, as_bytes("WhisperText"));
  }
  void verified() { WA_ASSERT(crypto::verify(pair.public_key, covered, signature, "bench")); }

  Random& random;
  ByteArray<1> one{std::byte{1}};
  ByteArray<32> key{};
  ByteArray<32> sealed_key{};
  ByteArray<16> iv{};
  Bytes plaintext = Bytes(64, std::byte{7});
  Bytes covered = Bytes(160 + 33, std::byte{7});
  Bytes sealed;
  Bytes sealed_always = crypto::aes_cbc_encrypt(sealed_key, iv, plaintext);
  ByteArray<32> code{};
  crypto::KeyPair pair = crypto::generate_key_pair(random);
  crypto::KeyPair other = crypto::generate_key_pair(random);
  crypto::Signature signature = crypto::sign(pair, covered, random);
};

template <class Work>
double timed(int times, Work& work) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) work();
  const auto elapsed = std::chrono::steady_clock::now() - start;
  return std::chrono::duration<double, std::micro>(elapsed).count() / times;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool good = true;

/// Both kinds of work in turns; the ratio is the median of the ratios of neighbours.
template <class Ours, class Primitives>
void compare(const char* name, int times, Ours ours, Primitives primitives) {
  timed(times, ours);
  timed(times, primitives);
  std::vector<double> our_times, floor_times, ratios;
  for (int round = 0; round < 41; ++round) {
    our_times.push_back(timed(times, ours));
    floor_times.push_back(timed(times, primitives));
    ratios.push_back(our_times.back() / floor_times.back());
  }
  const double ratio = median(ratios);
  good = good && ratio <= kTarget;
  std::printf("%s\t%.2f\t%.2f\t%.3f of the primitives (at most %.1f)\n", name,
              *std::min_element(our_times.begin(), our_times.end()),
              *std::min_element(floor_times.begin(), floor_times.end()), ratio, kTarget);
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 2 && std::string_view(argv[1]) == "--check";
  if (argc > 1 && !check) {
    std::fprintf(stderr, "usage: signal_bench [--check]\n");
    return 2;
  }
  SeededRandom random(1);
  const Bytes plaintext(64, std::byte{7});
  Device alice(random);
  Device bob(random);
  const auto bundle = bob.bundle(random);
  WA_ASSERT(alice.session.initiate(alice.local, bundle, random));
  deliver(alice, bob, plaintext, random);
  deliver(bob, alice, plaintext, random);
  deliver(alice, bob, plaintext, random);

  Floor floor(random);
  compare(
      "one way", 500, [&] { deliver(alice, bob, plaintext, random); },
      [&] {
        floor.message(true);
        floor.message(false);
      });
  compare(
      "round trip", 10,
      [&] {
        deliver(bob, alice, plaintext, random);
        deliver(alice, bob, plaintext, random);
      },
      [&] {
        for (int way = 0; way < 2; ++way) {
          floor.message(true);
          floor.message(false);
          floor.step();
          floor.new_pair();
          floor.step();
        }
      });
  compare(
      "first message", 5,
      [&] {
        alice.session = {};
        bob.session = {};
        WA_ASSERT(alice.session.initiate(alice.local, bundle, random));
        deliver(alice, bob, plaintext, random);
      },
      [&] {
        floor.verified();
        floor.new_pair();
        floor.new_pair();
        floor.x3dh();
        floor.step();
        floor.message(true);
        floor.x3dh();
        floor.step();
        floor.message(false);
      });

  auto sender = signal::SenderKey::create(random);
  signal::SenderKeys member;
  member.process(sender.distribution());
  compare(
      "group message", 20,
      [&] {
        const auto wire = sender.encrypt(plaintext, random).value();
        WA_ASSERT(member.decrypt(signal::SenderKeyMessage::parse(wire).value()));
      },
      [&] {
        floor.message(true);
        floor.message(false);
        (void)crypto::sign(floor.pair, floor.covered, random);
        floor.verified();
      });

  for (int i = 0; i < 20; ++i) WA_ASSERT(alice.session.encrypt(alice.local, plaintext));
  deliver(alice, bob, plaintext, random);
  auto store = [&] { bob.session = signal::Session::decode(bob.session.encode()).value(); };
  timed(500, store);
  std::printf("stored\t%.2f\t-\t%zu bytes\n", timed(2000, store), bob.session.encode().size());

  // The costliest session there is: 41 states, each of which may have a chain that we do not know.
  alice.session = bob.session = {};
  for (int i = 0; i < 41; ++i) {
    WA_ASSERT(alice.session.initiate(alice.local, bundle, random));
    for (int skipped = 0; skipped < 1000; ++skipped) {
      WA_ASSERT(alice.session.encrypt(alice.local, plaintext));
    }
    deliver(alice, bob, plaintext, random);
    deliver(bob, alice, plaintext, random);
  }
  for (const std::uint32_t counter : {0u, 249u, 1999u}) {
    const Bytes covered = signal::SignalMessage::serialize_covered(
        crypto::generate_key_pair(random).public_key, counter, 0, Bytes(80));
    const Bytes wire = concat(covered, Bytes(signal::SignalMessage::kMacBytes));
    auto refuse = [&] {
      const auto message = signal::SignalMessage::parse(wire).value();
      WA_ASSERT(!bob.session.decrypt(bob.local, message, random));
    };
    timed(20, refuse);
    std::printf("hostile, %u\t%.2f\t-\n", counter, timed(100, refuse));
  }
  timed(20, store);
  std::printf("hostile, stored\t%.2f\t-\t%zu bytes\n", timed(100, store),
              bob.session.encode().size());
  return check && !good ? 1 : 0;
}

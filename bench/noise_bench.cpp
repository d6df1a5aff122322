/// What the Noise handshake and the pre-keys cost beside the primitives they are made of, measured
/// in turns in one run, so that the ratios hold on a busy machine.
///
///     noise_bench [--json] [--check]      --check: exit 1 when a ratio is above its target
///
/// - handshake: both roles in one thread, with the client's check of the certificate chain; beside
///   the same X25519, fixed-base multiplications, hashes, HKDFs, AES-GCM calls and Ed25519 checks
///   in a row. The curves are libsodium's own functions there, so that our conversions between the
///   forms of the curve count as overhead.
/// - pre-keys: 812 pairs at once, beside 812 fixed-base multiplications of libsodium.
#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/noise/handshake.hpp"

namespace {

using namespace wa;

constexpr std::size_t kPreKeys = 812;
constexpr double kHandshakeTarget = 1.3;
constexpr double kPreKeysTarget = 1.15;

unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

/// What both sides hold before they meet.
struct Setting {
  SeededRandom random{1};
  crypto::KeyPair root = crypto::generate_key_pair(random);
  crypto::KeyPair intermediate = crypto::generate_key_pair(random);
  crypto::KeyPair server = crypto::generate_key_pair(random);
  crypto::KeyPair client = crypto::generate_key_pair(random);
  Bytes chain = noise::issue_chain(
      {.server_static = server.public_key, .not_before = 0, .not_after = 4'000'000'000}, root,
      intermediate, random);
  Bytes payload = Bytes(250, std::byte{7});  // about what a registration payload has
};

void handshake(Setting& setting) {
  noise::Initiator client(noise::prologue(3), setting.client, setting.random);
  noise::Responder server(noise::prologue(3), setting.server, setting.random);
  const auto hello = client.client_hello();
  const auto server_hello = server.on_client_hello(hello, setting.chain);
  WA_ASSERT(server_hello);
  const auto answer = client.on_server_hello(server_hello->server_hello);
  WA_ASSERT(answer);
  WA_ASSERT(noise::verify_chain(answer->certificate_chain, setting.root.public_key,
                                answer->server_static, {1'000'000'000'000}));
  const auto finish = client.client_finish(setting.payload);
  WA_ASSERT(finish);
  WA_ASSERT(server.on_client_finish(*finish));
  WA_ASSERT(client.split().client_to_server == server.split().client_to_server);
}

/// The inputs of the primitives, of the sizes that the handshake has.
struct Floor {
  explicit Floor(Setting& setting) : chain(setting.chain), payload(setting.payload) {
    scalar = setting.client.private_key.bytes;
    point = setting.server.public_key.bytes;
    crypto_sign_keypair(ed25519_public.data(), ed25519_secret.data());
    details.resize(50);
    crypto_sign_detached(signature.data(), nullptr, raw(details.data()), details.size(),
                         ed25519_secret.data());
  }

  Bytes chain;
  Bytes payload;
  Bytes details;
  ByteArray<32> scalar;
  ByteArray<32> point;
  std::array<unsigned char, 32> ed25519_public;
  std::array<unsigned char, 64> ed25519_secret;
  std::array<unsigned char, 64> signature;
};

void fixed_base(ByteArray<32>& out, const ByteArray<32>& scalar) {
  WA_ASSERT(crypto_scalarmult_ed25519_base_noclamp(raw(out.data()), raw(scalar.data())) == 0);
}

void primitives(const Floor& floor) {
  ByteArray<32> out;
  // Two ephemeral keys, three agreements on each side, two certificates.
  for (int i = 0; i < 2; ++i) fixed_base(out, floor.scalar);
  for (int i = 0; i < 6; ++i) {
    WA_ASSERT(crypto_scalarmult_curve25519(raw(out.data()), raw(floor.scalar.data()),
                                           raw(floor.point.data())) == 0);
  }
  for (int i = 0; i < 2; ++i) {
    WA_ASSERT(crypto_sign_verify_detached(floor.signature.data(), raw(floor.details.data()),
                                          floor.details.size(), floor.ed25519_public.data()) == 0);
  }
  // Each side: one cipher; the prologue, two ephemerals and four ciphertexts hashed; three keys
  // mixed and a split; four messages of which it seals two.
  for (int side = 0; side < 2; ++side) {
    crypto::AesGcm cipher(out);
    Bytes sealed[4];
    const ByteSpan messages[] = {floor.point, floor.chain, floor.point, floor.payload};
    ByteArray<32> hash = crypto::sha256(out, ByteSpan(floor.point).first(4));
    hash = crypto::sha256(hash, floor.point);
    hash = crypto::sha256(hash, floor.point);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto okm = crypto::hkdf_sha256<64>(out, hash, {});
      if (i < 3) {
        std::copy_n(okm.begin(), out.size(), out.begin());
        cipher.rekey(out);
      }
      sealed[i].reserve(messages[i].size() + crypto::AesGcm::kTagBytes);
      cipher.seal({}, hash, messages[i], sealed[i]);
      hash = crypto::sha256(hash, sealed[i]);
    }
  }
}

double microseconds(std::chrono::steady_clock::duration elapsed) {
  return std::chrono::duration<double, std::micro>(elapsed).count();
}

template <class Work>
double timed(int times, Work work) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) work();
  return microseconds(std::chrono::steady_clock::now() - start) / times;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Two kinds of work in turns. The ratio is the median of the ratios of neighbours.
struct Comparison {
  double ours = 0;
  double floor = 0;
  double ratio = 0;
};

template <class Ours, class Floor>
Comparison compare(int rounds, int times, Ours ours, Floor floor) {
  timed(times, ours);
  timed(times, floor);
  std::vector<double> our_times, floor_times, ratios;
  for (int round = 0; round < rounds; ++round) {
    our_times.push_back(timed(times, ours));
    floor_times.push_back(timed(times, floor));
    ratios.push_back(our_times.back() / floor_times.back());
  }
  return {median(our_times), median(floor_times), median(ratios)};
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--check") {
      check = true;
    } else {
      std::fprintf(stderr, "usage: noise_bench [--json] [--check]\n");
      return 2;
    }
  }

  WA_ASSERT(sodium_init() >= 0);
  Setting setting;
  const Floor floor(setting);
  const auto handshakes = compare(
      61, 20, [&] { handshake(setting); }, [&] { primitives(floor); });

  // The scalars are drawn beforehand, once: the floor is the multiplications alone.
  std::vector<ByteArray<32>> scalars;
  for (const auto& pair : crypto::generate_key_pairs(kPreKeys, setting.random)) {
    scalars.push_back(pair.private_key.bytes);
  }
  const auto pre_keys = compare(
      61, 1,
      [&] { WA_ASSERT(crypto::generate_key_pairs(kPreKeys, setting.random).size() == kPreKeys); },
      [&] {
        ByteArray<32> out;
        for (const auto& scalar : scalars) fixed_base(out, scalar);
      });
  const bool good = handshakes.ratio <= kHandshakeTarget && pre_keys.ratio <= kPreKeysTarget;

  if (json) {
    std::printf(
        "{\"handshake_us\": %.1f, \"handshake_primitives_us\": %.1f, \"handshake_ratio\": %.3f, "
        "\"pre_keys\": %zu, \"pre_keys_us\": %.1f, \"fixed_base_us\": %.1f, "
        "\"pre_keys_ratio\": %.3f}\n",
        handshakes.ours, handshakes.floor, handshakes.ratio, kPreKeys, pre_keys.ours,
        pre_keys.floor, pre_keys.ratio);
  } else {
    std::printf("XX handshake, both roles   %9.1f us\n", handshakes.ours);
    std::printf("  its primitives           %9.1f us\n", handshakes.floor);
    std::printf("  ratio                    %9.3f     (target: at most %.2f)\n", handshakes.ratio,
                kHandshakeTarget);
    std::printf("%zu pre-keys               %9.1f us\n", kPreKeys, pre_keys.ours);
    std::printf("  fixed-base alone         %9.1f us\n", pre_keys.floor);
    std::printf("  ratio                    %9.3f     (target: at most %.2f)\n", pre_keys.ratio,
                kPreKeysTarget);
  }
  return check && !good ? 1 : 0;
}

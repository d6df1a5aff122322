#include "engine/protocol/crypto/keys.hpp"

#include <sodium.h>

#include "engine/protocol/crypto/field25519.hpp"

namespace wa::crypto {
namespace {

// Before main: sodium_init picks the fast X25519 and draws once for its own canaries. A simulation
// forbids every draw that does not come from its seed, and it does so only after main has begun.
const bool sodium_ready = sodium_init() >= 0;

unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

void clamp(ByteArray<32>& scalar) {
  scalar[0] &= std::byte{0xf8};
  scalar[31] &= std::byte{0x7f};
  scalar[31] |= std::byte{0x40};
}

/// scalar · B as an Edwards point: y, and the sign of x in the top bit.
ByteArray<32> edwards_base(const ByteArray<32>& scalar) {
  WA_ASSERT(sodium_ready);
  ByteArray<32> point;
  // Fails only for a multiple of the group's order. A clamped scalar is none, since it is a
  // multiple of 8 below 2^255 < 8·L; a random nonce is one with probability 2^-252.
  WA_ASSERT(crypto_scalarmult_ed25519_base_noclamp(raw(point.data()), raw(scalar.data())) == 0);
  return point;
}

/// u = (1 + y) / (1 - y): the numerator and the denominator. The latter is 0 for the neutral
/// element only.
struct Fraction {
  Field25519 numerator;
  Field25519 denominator;
};

Fraction montgomery_of(const ByteArray<32>& edwards) {
  const Field25519 y = Field25519::from_bytes(edwards);  // ignores the sign bit
  return {add(Field25519::one(), y), subtract(Field25519::one(), y)};
}

/// y = (u - 1) / (u + 1), with the given sign of x. For u = -1, which is no point of the curve that
/// keys come from, y is 0: of small order, and so refused by every verification.
ByteArray<32> edwards_of(const PublicKey& key, std::byte sign_bit) {
  const Field25519 u = Field25519::from_bytes(key.bytes);
  const Field25519 inverse = invert(add(u, Field25519::one()));
  ByteArray<32> edwards = multiply(subtract(u, Field25519::one()), inverse).to_bytes();
  edwards[31] |= sign_bit;
  return edwards;
}

constexpr std::byte kSignBit{0x80};

class Sha512 {
 public:
  Sha512() { crypto_hash_sha512_init(&state_); }
  ~Sha512() { sodium_memzero(&state_, sizeof state_); }
  Sha512(const Sha512&) = delete;
  Sha512& operator=(const Sha512&) = delete;

  Sha512& add(ByteSpan data) {
    crypto_hash_sha512_update(&state_, raw(data.data()), data.size());
    return *this;
  }

  /// The digest modulo the group's order.
  ByteArray<32> scalar() {
    ByteArray<64> digest;
    crypto_hash_sha512_final(&state_, raw(digest.data()));
    ByteArray<32> reduced;
    crypto_core_ed25519_scalar_reduce(raw(reduced.data()), raw(digest.data()));
    sodium_memzero(digest.data(), digest.size());
    return reduced;
  }

 private:
  crypto_hash_sha512_state state_;
};

}  // namespace

Result<PublicKey> PublicKey::from(ByteSpan bytes, std::string_view what) {
  WA_TRY(const auto array, fixed<32>(bytes, what));
  return PublicKey{array};
}

PrivateKey::~PrivateKey() {
  sodium_memzero(bytes.data(), bytes.size());
}

Result<PrivateKey> PrivateKey::from(ByteSpan bytes, std::string_view what) {
  WA_TRY(const auto array, fixed<32>(bytes, what));
  return PrivateKey(array);
}

PublicKey public_key_of(const PrivateKey& private_key) {
  PrivateKey clamped = private_key;
  clamp(clamped.bytes);
  const Fraction u = montgomery_of(edwards_base(clamped.bytes));
  return {multiply(u.numerator, invert(u.denominator)).to_bytes()};
}

KeyPair generate_key_pair(Random& random) {
  KeyPair pair;
  pair.private_key = generate_private_key(random);
  pair.public_key = public_key_of(pair.private_key);
  return pair;
}

PrivateKey generate_private_key(Random& random) {
  PrivateKey key;
  random.fill(key.bytes);
  clamp(key.bytes);
  return key;
}

std::vector<KeyPair> generate_key_pairs(std::size_t count, Random& random) {
  std::vector<KeyPair> pairs(count);
  std::vector<Field25519> numerators(count);
  std::vector<Field25519> denominators(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto& scalar = pairs[i].private_key.bytes;
    random.fill(scalar);
    clamp(scalar);
    const Fraction u = montgomery_of(edwards_base(scalar));
    numerators[i] = u.numerator;
    denominators[i] = u.denominator;
  }
  std::vector<Field25519> scratch(count);
  invert_all(denominators, scratch);
  for (std::size_t i = 0; i < count; ++i) {
    pairs[i].public_key.bytes = multiply(numerators[i], denominators[i]).to_bytes();
  }
  return pairs;
}

Result<SharedSecret> agree(const PrivateKey& mine, const PublicKey& theirs) {
  WA_ASSERT(sodium_ready);
  SharedSecret secret;
  if (crypto_scalarmult_curve25519(raw(secret.data()), raw(mine.bytes.data()),
                                   raw(theirs.bytes.data())) != 0) {
    return Error{Errc::auth_failed, "X25519: the peer's public key is of small order"};
  }
  return secret;
}

Signature sign(const KeyPair& key, ByteSpan message, Random& random) {
  // The 32 bytes that separate this use of SHA-512 from the one that makes the challenge: no point
  // is encoded like this.
  static constexpr auto kPrefix = [] {
    ByteArray<32> prefix;
    prefix.fill(std::byte{0xff});
    prefix[0] = std::byte{0xfe};
    return prefix;
  }();

  PrivateKey scalar = key.private_key;
  clamp(scalar.bytes);
  const auto public_point = edwards_base(scalar.bytes);
  auto drawn = random.array<64>();
  const PrivateKey nonce(Sha512().add(kPrefix).add(scalar.bytes).add(message).add(drawn).scalar());
  sodium_memzero(drawn.data(), drawn.size());

  const auto nonce_point = edwards_base(nonce.bytes);
  auto response = Sha512().add(nonce_point).add(public_point).add(message).scalar();
  crypto_core_ed25519_scalar_mul(raw(response.data()), raw(response.data()),
                                 raw(scalar.bytes.data()));
  crypto_core_ed25519_scalar_add(raw(response.data()), raw(response.data()),
                                 raw(nonce.bytes.data()));

  Signature signature;
  std::memcpy(signature.data(), nonce_point.data(), 32);
  std::memcpy(signature.data() + 32, response.data(), 32);
  signature[63] |= public_point[31] & kSignBit;
  return signature;
}

Result<void> verify(const PublicKey& key, ByteSpan message, ByteSpan signature,
                    std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    return Error{Errc::auth_failed, std::string(what) + ": " + std::string(why)};
  };
  if (signature.size() != 64) {
    return refuse("the signature has " + std::to_string(signature.size()) + " bytes, not 64");
  }
  Signature ed25519;
  std::memcpy(ed25519.data(), signature.data(), ed25519.size());
  const auto public_point = edwards_of(key, ed25519[63] & kSignBit);
  ed25519[63] &= ~kSignBit;
  if (crypto_sign_verify_detached(raw(ed25519.data()), raw(message.data()), message.size(),
                                  raw(public_point.data())) != 0) {
    return refuse("the signature does not verify");
  }
  return {};
}

}  // namespace wa::crypto

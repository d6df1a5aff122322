#include "engine/protocol/crypto/hash.hpp"

// The low-level functions are deprecated in OpenSSL 3, but they are what a short hash needs: a
// state that is a plain struct on the stack and can be copied after the first block. The EVP
// interface costs several times more for 64 bytes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>

#include "engine/protocol/crypto/secret.hpp"

namespace wa::crypto {
namespace {

unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

void wipe_state(SHA256_CTX& state) {
  wipe(std::as_writable_bytes(std::span(&state, 1)));
}

/// The state of SHA-256 behind a key's block, as OpenSSL's functions want it.
SHA256_CTX resume(const std::array<std::uint32_t, 8>& words) {
  SHA256_CTX state{};
  std::copy(words.begin(), words.end(), state.h);
  state.Nl = SHA256_CBLOCK * 8;
  state.md_len = SHA256_DIGEST_LENGTH;
  return state;
}

/// The only block of a message of 55 bytes at most that follows a key's block: the message, the bit
/// 1, zeros and the length. Spares short messages the buffering of SHA256_Update and SHA256_Final.
class LastBlock {
 public:
  static constexpr std::size_t kCapacity = SHA256_CBLOCK - 9;

  ~LastBlock() { wipe(bytes_); }

  void add(ByteSpan part) {
    // An empty part may have no address.
    if (!part.empty()) std::memcpy(bytes_.data() + used_, part.data(), part.size());
    used_ += part.size();
  }

  /// The message is the digest that `state` holds.
  void set(const SHA256_CTX& state) {
    for (std::size_t i = 0; i < 8; ++i) {
      const SHA_LONG big = __builtin_bswap32(state.h[i]);
      std::memcpy(bytes_.data() + 4 * i, &big, 4);
    }
    used_ = SHA256_DIGEST_LENGTH;
  }

  ByteArray<32> begin() const {
    ByteArray<32> bytes;
    std::memcpy(bytes.data(), bytes_.data(), bytes.size());
    return bytes;
  }

  /// Behind `state`, which has hashed the key's block.
  void hash_into(SHA256_CTX& state) {
    bytes_[used_] = std::byte{0x80};
    const auto bits = static_cast<std::uint16_t>(8 * (SHA256_CBLOCK + used_));
    bytes_[SHA256_CBLOCK - 2] = static_cast<std::byte>(bits >> 8);
    bytes_[SHA256_CBLOCK - 1] = static_cast<std::byte>(bits & 0xff);
    SHA256_Transform(&state, raw(bytes_.data()));
  }

 private:
  ByteArray<SHA256_CBLOCK> bytes_{};
  std::size_t used_ = 0;
};

}  // namespace

ByteArray<32> sha256(ByteSpan data) {
  return sha256(data, {});
}

ByteArray<32> sha256(ByteSpan first, ByteSpan second) {
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, first.data(), first.size());
  SHA256_Update(&state, second.data(), second.size());
  ByteArray<32> digest;
  SHA256_Final(raw(digest.data()), &state);
  return digest;
}

ByteArray<20> sha1(ByteSpan data) {
  SHA_CTX state;
  SHA1_Init(&state);
  SHA1_Update(&state, data.data(), data.size());
  ByteArray<20> digest;
  SHA1_Final(raw(digest.data()), &state);
  return digest;
}

ByteArray<16> md5(ByteSpan data) {
  MD5_CTX state;
  MD5_Init(&state);
  MD5_Update(&state, data.data(), data.size());
  ByteArray<16> digest;
  MD5_Final(raw(digest.data()), &state);
  return digest;
}

HmacSha256::HmacSha256(ByteSpan key) {
  ByteArray<SHA256_CBLOCK> block{};
  if (key.size() > block.size()) {
    const auto hashed = sha256(key);
    std::copy(hashed.begin(), hashed.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  SHA256_CTX state;
  for (auto& byte : block) byte ^= std::byte{0x36};
  SHA256_Init(&state);
  SHA256_Transform(&state, raw(block.data()));
  std::copy_n(state.h, inner_.size(), inner_.begin());
  for (auto& byte : block) byte ^= std::byte{0x36 ^ 0x5c};
  SHA256_Init(&state);
  SHA256_Transform(&state, raw(block.data()));
  std::copy_n(state.h, outer_.size(), outer_.begin());
  wipe_state(state);
  wipe(block);
}

HmacSha256::~HmacSha256() {
  wipe(std::as_writable_bytes(std::span(inner_)));
  wipe(std::as_writable_bytes(std::span(outer_)));
}

ByteArray<32> HmacSha256::over(ByteSpan first, ByteSpan second, ByteSpan third) const {
  SHA256_CTX state = resume(inner_);
  LastBlock digest;
  if (first.size() + second.size() + third.size() <= LastBlock::kCapacity) {
    LastBlock block;
    for (const ByteSpan part : {first, second, third}) block.add(part);
    block.hash_into(state);
    digest.set(state);
  } else {
    ByteArray<32> bytes;
    for (const ByteSpan part : {first, second, third}) {
      SHA256_Update(&state, part.data(), part.size());
    }
    SHA256_Final(raw(bytes.data()), &state);
    digest.add(bytes);
  }
  std::copy(outer_.begin(), outer_.end(), state.h);
  digest.hash_into(state);
  digest.set(state);
  wipe_state(state);
  return digest.begin();
}

ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan message) {
  return HmacSha256(key).over(message);
}

ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan first, ByteSpan second) {
  return HmacSha256(key).over(first, second);
}

void hkdf_sha256(ByteSpan ikm, ByteSpan salt, ByteSpan info, std::span<std::byte> okm) {
  WA_ASSERT(okm.size() <= 255 * 32);
  // An empty salt is 32 zero bytes by definition, and as an HMAC key that is the same. Signal's
  // derivations nearly all have it, so its blocks are hashed once.
  static const HmacSha256 kNoSalt{ByteSpan()};
  auto extracted = salt.empty() ? kNoSalt.over(ikm) : HmacSha256(salt).over(ikm);
  const HmacSha256 key(extracted);
  wipe(extracted);
  ByteArray<32> block;
  ByteSpan previous;
  ByteArray<1> number{};
  for (std::size_t done = 0; done < okm.size(); done += block.size()) {
    number[0] = static_cast<std::byte>(done / block.size() + 1);
    block = key.over(previous, info, number);
    previous = block;
    const std::size_t wanted = std::min(block.size(), okm.size() - done);
    std::memcpy(okm.data() + done, block.data(), wanted);
  }
  wipe(block);
}

ByteArray<32> pbkdf2_sha256(ByteSpan password, ByteSpan salt, std::uint32_t rounds) {
  WA_ASSERT(rounds > 0);
  const HmacSha256 key(password);
  const ByteArray<32> first = key.over(salt, big_endian<4>(1));
  // Each round is an HMAC over a digest, so the block is never laid out anew. The pairing code pays
  // this 131,072 times.
  LastBlock block;
  block.add(first);
  SHA256_CTX state = resume(key.inner_);
  std::array<SHA_LONG, 8> folded{};
  for (std::uint32_t round = 1; round < rounds; ++round) {
    for (const auto* half : {&key.inner_, &key.outer_}) {
      std::copy(half->begin(), half->end(), state.h);
      block.hash_into(state);
      block.set(state);
    }
    for (std::size_t i = 0; i < folded.size(); ++i) folded[i] ^= state.h[i];
  }
  std::copy(folded.begin(), folded.end(), state.h);
  block.set(state);
  ByteArray<32> sum = block.begin();
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] ^= first[i];
  return sum;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace wa::crypto

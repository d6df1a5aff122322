#include "engine/protocol/crypto/hash.hpp"

// The low-level functions are deprecated in OpenSSL 3, but they are what a short hash needs: a
// state that is a plain struct on the stack and can be copied after the first block. The EVP
// interface costs several times more for 64 bytes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>

namespace wa::crypto {
namespace {

unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

/// HMAC with the key's two blocks hashed already, to be used for several messages.
class HmacKey {
 public:
  explicit HmacKey(ByteSpan key) {
    ByteArray<SHA256_CBLOCK> block{};
    if (key.size() > block.size()) {
      const auto hashed = sha256(key);
      std::copy(hashed.begin(), hashed.end(), block.begin());
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    for (auto& byte : block) byte ^= std::byte{0x36};
    SHA256_Init(&inner_);
    SHA256_Update(&inner_, block.data(), block.size());
    for (auto& byte : block) byte ^= std::byte{0x36 ^ 0x5c};
    SHA256_Init(&outer_);
    SHA256_Update(&outer_, block.data(), block.size());
    OPENSSL_cleanse(block.data(), block.size());
  }

  template <class... Parts>
  ByteArray<32> over(const Parts&... parts) const {
    SHA256_CTX state = inner_;
    (SHA256_Update(&state, ByteSpan(parts).data(), ByteSpan(parts).size()), ...);
    ByteArray<32> digest;
    SHA256_Final(raw(digest.data()), &state);
    state = outer_;
    SHA256_Update(&state, digest.data(), digest.size());
    SHA256_Final(raw(digest.data()), &state);
    return digest;
  }

  const SHA256_CTX& inner() const { return inner_; }
  const SHA256_CTX& outer() const { return outer_; }

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

/// A block that holds a digest and the padding of a message of 64 + 32 bytes: what each half of an
/// HMAC over a digest compresses.
struct DigestBlock {
  ByteArray<SHA256_CBLOCK> bytes{};

  DigestBlock() {
    bytes[32] = std::byte{0x80};
    const auto bits = big_endian<8>((64 + 32) * 8);
    std::copy(bits.begin(), bits.end(), bytes.end() - 8);
  }

  void set(const SHA_LONG (&words)[8]) {
    for (std::size_t i = 0; i < 8; ++i) {
      const SHA_LONG big = __builtin_bswap32(words[i]);
      std::memcpy(bytes.data() + 4 * i, &big, 4);
    }
  }
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

ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan message) {
  return HmacKey(key).over(message);
}

ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan first, ByteSpan second) {
  return HmacKey(key).over(first, second);
}

void hkdf_sha256(ByteSpan ikm, ByteSpan salt, ByteSpan info, std::span<std::byte> okm) {
  WA_ASSERT(okm.size() <= 255 * 32);
  // An empty salt is 32 zero bytes by definition, and as an HMAC key that is the same.
  const HmacKey key(HmacKey(salt).over(ikm));
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
}

ByteArray<32> pbkdf2_sha256(ByteSpan password, ByteSpan salt, std::uint32_t rounds) {
  WA_ASSERT(rounds > 0);
  const HmacKey key(password);
  ByteArray<32> last = key.over(salt, big_endian<4>(1));
  ByteArray<32> sum = last;
  // Each round is an HMAC over a digest: two compressions from the key's states, without the
  // buffering of SHA256_Update. The pairing code pays this 131,072 times.
  DigestBlock block;
  std::memcpy(block.bytes.data(), last.data(), last.size());
  SHA_LONG folded[8] = {};
  for (std::uint32_t round = 1; round < rounds; ++round) {
    SHA256_CTX state = key.inner();
    SHA256_Transform(&state, raw(block.bytes.data()));
    block.set(state.h);
    state = key.outer();
    SHA256_Transform(&state, raw(block.bytes.data()));
    block.set(state.h);
    for (std::size_t i = 0; i < 8; ++i) folded[i] ^= state.h[i];
  }
  DigestBlock rest;
  rest.set(folded);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] ^= rest.bytes[i];
  return sum;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace wa::crypto

#pragma once

#include "engine/base/bytes.hpp"

namespace wa::crypto {

/// HMAC-SHA256 under one key, whose two blocks are hashed once: for several messages, or one
/// message in parts. Wiped when it dies.
class HmacSha256 {
 public:
  explicit HmacSha256(ByteSpan key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;

  /// Over the parts joined.
  ByteArray<32> over(ByteSpan first, ByteSpan second = {}, ByteSpan third = {}) const;

 private:
  friend ByteArray<32> pbkdf2_sha256(ByteSpan password, ByteSpan salt, std::uint32_t rounds);
  using State = std::array<std::uint32_t, 8>;

  State inner_;
  State outer_;
};

ByteArray<32> sha256(ByteSpan data);
/// SHA-256 over the two parts joined.
ByteArray<32> sha256(ByteSpan first, ByteSpan second);
ByteArray<20> sha1(ByteSpan data);
/// For the build hash of the registration payload only.
ByteArray<16> md5(ByteSpan data);

ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan message);
/// Over the two parts joined.
ByteArray<32> hmac_sha256(ByteSpan key, ByteSpan first, ByteSpan second);

/// Fills `okm` (at most 255 · 32 bytes). RFC 5869.
void hkdf_sha256(ByteSpan ikm, ByteSpan salt, ByteSpan info, std::span<std::byte> okm);

template <std::size_t N>
ByteArray<N> hkdf_sha256(ByteSpan ikm, ByteSpan salt, ByteSpan info) {
  ByteArray<N> okm;
  hkdf_sha256(ikm, salt, info, okm);
  return okm;
}

/// PBKDF2-HMAC-SHA256, 32 bytes. About 15 ms at the 131,072 rounds of the pairing code.
ByteArray<32> pbkdf2_sha256(ByteSpan password, ByteSpan salt, std::uint32_t rounds);

/// Equal, compared in constant time.
bool equal_constant_time(ByteSpan a, ByteSpan b);

}  // namespace wa::crypto

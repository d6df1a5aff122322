#pragma once

#include "engine/protocol/crypto/secret.hpp"

namespace wa::crypto {

/// AES-256-GCM under one key, 12-byte nonces, 16-byte tags appended to the ciphertext. Holds the
/// key and nothing else: the cipher context is the thread's, so that an idle connection costs none.
class AesGcm {
 public:
  static constexpr std::size_t kTagBytes = 16;
  using Key = ByteArray<32>;
  using Nonce = ByteArray<12>;

  explicit AesGcm(const Key& key) : key_(key) {}

  void rekey(const Key& key) { key_ = Secret<32>(key); }

  /// Ciphertext and tag are appended to `out`, which holds none of the inputs (it may grow).
  void seal(const Nonce& nonce, ByteSpan associated_data, ByteSpan plaintext, Bytes& out) const;

  /// The plaintext is appended to `out`; on an error `out` is as before.
  /// Errors: `truncated` (shorter than a tag), `auth_failed`.
  Result<void> open(const Nonce& nonce, ByteSpan associated_data, ByteSpan sealed,
                    Bytes& out) const;

 private:
  Secret<32> key_;
};

/// AES-256-CBC with PKCS#7 padding. Key 32 bytes, IV 16 bytes.
Bytes aes_cbc_encrypt(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan plaintext);
/// Errors: `malformed` (length), `auth_failed` (padding).
Result<Bytes> aes_cbc_decrypt(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan sealed);

/// AES-256-CTR; the IV is the initial counter block. Encryption and decryption are the same.
Bytes aes_ctr(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan input);

}  // namespace wa::crypto

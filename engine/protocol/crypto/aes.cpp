#include "engine/protocol/crypto/aes.hpp"

#include <openssl/evp.h>

#include <limits>
#include <memory>

namespace wa::crypto {
namespace {

const unsigned char* raw(ByteSpan bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

/// OpenSSL counts in int.
int count(std::size_t size) {
  WA_ASSERT(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()) - 32);
  return static_cast<int>(size);
}

/// Fetched once: looking an algorithm up costs more than encrypting a kilobyte.
const EVP_CIPHER* fetch(const char* name) {
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  WA_ASSERT(cipher != nullptr);
  return cipher;
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

Context new_context() {
  Context context(EVP_CIPHER_CTX_new());
  WA_ASSERT(context != nullptr);
  return context;
}

/// The whole input through a cipher that needs no tag. False when the padding is wrong.
bool run(const EVP_CIPHER* cipher, const ByteArray<32>& key, const ByteArray<16>& iv, bool encrypt,
         ByteSpan input, Bytes& out) {
  thread_local const Context context = new_context();
  WA_ASSERT(EVP_CipherInit_ex(context.get(), cipher, nullptr, raw(ByteSpan(key)), raw(ByteSpan(iv)),
                              encrypt ? 1 : 0) == 1);
  const int input_bytes = count(input.size());
  out.resize(input.size() + 16);
  int written = 0;
  WA_ASSERT(input.empty() || EVP_CipherUpdate(context.get(), raw(out.data()), &written, raw(input),
                                              input_bytes) == 1);
  int last = 0;
  const bool ok = EVP_CipherFinal_ex(context.get(), raw(out.data()) + written, &last) == 1;
  // The next caller sets its own key; this one must not stay behind.
  EVP_CIPHER_CTX_reset(context.get());
  out.resize(static_cast<std::size_t>(written) + static_cast<std::size_t>(ok ? last : 0));
  return ok;
}

/// The thread's context under a key and a nonce, until the end of the scope: the key does not stay
/// behind.
class GcmContext {
 public:
  GcmContext(ByteSpan key, ByteSpan nonce, bool encrypt) {
    static const EVP_CIPHER* const cipher = fetch("AES-256-GCM");
    WA_ASSERT(EVP_CipherInit_ex(get(), cipher, nullptr, raw(key), raw(nonce), encrypt ? 1 : 0) ==
              1);
  }
  ~GcmContext() { EVP_CIPHER_CTX_reset(get()); }
  GcmContext(const GcmContext&) = delete;
  GcmContext& operator=(const GcmContext&) = delete;

  static EVP_CIPHER_CTX* get() {
    thread_local const Context context = new_context();
    return context.get();
  }
};

}  // namespace

void AesGcm::seal(const Nonce& nonce, ByteSpan associated_data, ByteSpan plaintext,
                  Bytes& out) const {
  const GcmContext in_use(key_, nonce, true);
  EVP_CIPHER_CTX* const context = in_use.get();
  const int ad_bytes = count(associated_data.size());
  const int plain_bytes = count(plaintext.size());
  int written = 0;
  if (ad_bytes > 0) {
    WA_ASSERT(EVP_CipherUpdate(context, nullptr, &written, raw(associated_data), ad_bytes) == 1);
  }
  const std::size_t start = out.size();
  out.resize(start + plaintext.size() + kTagBytes);
  unsigned char* const to = raw(out.data() + start);
  if (plain_bytes > 0) {
    WA_ASSERT(EVP_CipherUpdate(context, to, &written, raw(plaintext), plain_bytes) == 1);
    WA_ASSERT(written == plain_bytes);
  }
  WA_ASSERT(EVP_CipherFinal_ex(context, to + plain_bytes, &written) == 1);
  WA_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, int{kTagBytes}, to + plain_bytes) ==
            1);
}

Result<void> AesGcm::open(const Nonce& nonce, ByteSpan associated_data, ByteSpan sealed,
                          Bytes& out) const {
  if (sealed.size() < kTagBytes) {
    return Error{Errc::truncated, "AES-GCM: " + std::to_string(sealed.size()) +
                                      " bytes are shorter than the 16-byte tag"};
  }
  const GcmContext in_use(key_, nonce, false);
  EVP_CIPHER_CTX* const context = in_use.get();
  const ByteSpan ciphertext = sealed.first(sealed.size() - kTagBytes);
  auto tag = ByteArray<kTagBytes>{};  // OpenSSL takes the expected tag through a non-const pointer
  std::memcpy(tag.data(), sealed.data() + ciphertext.size(), kTagBytes);
  const int ad_bytes = count(associated_data.size());
  const int cipher_bytes = count(ciphertext.size());
  WA_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, int{kTagBytes}, tag.data()) == 1);
  int written = 0;
  if (ad_bytes > 0) {
    WA_ASSERT(EVP_CipherUpdate(context, nullptr, &written, raw(associated_data), ad_bytes) == 1);
  }
  const std::size_t start = out.size();
  out.resize(start + ciphertext.size());
  if (cipher_bytes > 0) {
    WA_ASSERT(EVP_CipherUpdate(context, raw(out.data() + start), &written, raw(ciphertext),
                               cipher_bytes) == 1);
    WA_ASSERT(written == cipher_bytes);
  }
  unsigned char nothing[16];
  if (EVP_CipherFinal_ex(context, nothing, &written) != 1) {
    // What was decrypted is not authentic, so nobody may see it, not even behind the end of `out`.
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), std::byte{0});
    out.resize(start);
    return Error{Errc::auth_failed, "AES-GCM: the tag does not match"};
  }
  return {};
}

Bytes aes_cbc_encrypt(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan plaintext) {
  static const EVP_CIPHER* const cipher = fetch("AES-256-CBC");
  Bytes out;
  WA_ASSERT(run(cipher, key, iv, true, plaintext, out));
  return out;
}

Result<Bytes> aes_cbc_decrypt(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan sealed) {
  static const EVP_CIPHER* const cipher = fetch("AES-256-CBC");
  if (sealed.empty() || sealed.size() % 16 != 0) {
    return Error{Errc::malformed,
                 "AES-CBC: " + std::to_string(sealed.size()) + " bytes are not whole blocks"};
  }
  Bytes out;
  if (!run(cipher, key, iv, false, sealed, out)) {
    return Error{Errc::auth_failed, "AES-CBC: wrong padding"};
  }
  return out;
}

Bytes aes_ctr(const ByteArray<32>& key, const ByteArray<16>& iv, ByteSpan input) {
  static const EVP_CIPHER* const cipher = fetch("AES-256-CTR");
  Bytes out;
  WA_ASSERT(run(cipher, key, iv, true, input, out));
  return out;
}

}  // namespace wa::crypto

#include "engine/protocol/signal/ratchet.hpp"

#include <limits>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"

namespace wa::signal {
namespace {

constexpr ByteArray<1> kSeedInput{std::byte{1}};
constexpr ByteArray<1> kChainInput{std::byte{2}};

RootAndChain split(const crypto::Secret<64>& okm) {
  return {Key::part<0>(okm), Key::part<32>(okm)};
}

}  // namespace

Key Chain::next_seed() {
  WA_ASSERT(index < std::numeric_limits<std::uint32_t>::max());
  const crypto::HmacSha256 hmac(key);
  Key seed(hmac.over(kSeedInput));
  key = Key(hmac.over(kChainInput));
  ++index;
  return seed;
}

void Chain::advance(std::uint32_t target) {
  for (; index < target; ++index) key = Key(crypto::hmac_sha256(key, kChainInput));
}

RootAndChain derive_session(std::span<const Key> agreements) {
  // The first 32 bytes keep this input apart from every encoding of a point.
  crypto::Secret<5 * 32> master;
  WA_ASSERT(agreements.size() == 3 || agreements.size() == 4);
  auto& bytes = master.bytes();
  std::memset(bytes.data(), 0xff, 32);
  std::size_t used = 32;
  for (const Key& agreement : agreements) {
    std::memcpy(bytes.data() + used, agreement.bytes().data(), 32);
    used += 32;
  }
  crypto::Secret<64> okm;
  crypto::hkdf_sha256(ByteSpan(bytes).first(used), {}, as_bytes("WhisperText"), okm.bytes());
  return split(okm);
}

Outcome<Key> agree(const crypto::PrivateKey& mine, const crypto::PublicKey& theirs,
                   std::string_view what) {
  auto secret = crypto::agree(mine, theirs);
  if (!secret) {
    return Refusal{Failure::invalid_key, std::string(what) + ": " + secret.error().detail};
  }
  Key key(*secret);
  crypto::wipe(*secret);
  return key;
}

Outcome<RootAndChain> step_root(const Key& root, const crypto::PrivateKey& mine,
                                const crypto::PublicKey& theirs) {
  WA_TRY(const Key agreement, agree(mine, theirs, "ratchet key"));
  crypto::Secret<64> okm;
  crypto::hkdf_sha256(agreement, root, as_bytes("WhisperRatchet"), okm.bytes());
  return split(okm);
}

MessageKeys::MessageKeys(const Key& seed) {
  crypto::hkdf_sha256(seed, {}, as_bytes("WhisperMessageKeys"), keys_.bytes());
}

Bytes MessageKeys::encrypt(ByteSpan plaintext) const {
  const auto cipher_key = crypto::Secret<32>::part<0>(keys_);
  const auto iv = crypto::Secret<16>::part<64>(keys_);
  return crypto::aes_cbc_encrypt(cipher_key.bytes(), iv.bytes(), plaintext);
}

Outcome<Bytes> MessageKeys::decrypt(ByteSpan ciphertext) const {
  const auto cipher_key = crypto::Secret<32>::part<0>(keys_);
  const auto iv = crypto::Secret<16>::part<64>(keys_);
  auto plaintext = crypto::aes_cbc_decrypt(cipher_key.bytes(), iv.bytes(), ciphertext);
  if (!plaintext) return Refusal{Failure::bad_padding, plaintext.error().detail};
  return std::move(*plaintext);
}

ByteArray<SignalMessage::kMacBytes> MessageKeys::mac(const crypto::PublicKey& sender,
                                                     const crypto::PublicKey& receiver,
                                                     ByteSpan covered) const {
  const auto mac_key = ByteSpan(keys_).subspan(32, 32);
  const auto whole = crypto::HmacSha256(mac_key).over(typed(sender), typed(receiver), covered);
  ByteArray<SignalMessage::kMacBytes> begin;
  std::memcpy(begin.data(), whole.data(), begin.size());
  return begin;
}

}  // namespace wa::signal

#pragma once

#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/crypto/secret.hpp"
#include "engine/protocol/signal/messages.hpp"

/// The key derivations of X3DH and of the double ratchet, and what is done with a message's keys.
/// Internal to the signal module. Source: docs/protocol/signal.md, "Key derivation".
namespace wa::signal {

using Key = crypto::Secret<32>;

/// A chain of message keys: the key of the next message, and its number.
struct Chain {
  Key key;
  std::uint32_t index = 0;  ///< of the next message; at 2^32 - 1 the chain is used up

  /// The seed of message `index`; the chain moves on by one.
  Key next_seed();
  /// The chain moves on to `target`, and the seeds in between are never made.
  void advance(std::uint32_t target);
};

struct RootAndChain {
  Key root;
  Key chain;
};

/// The root and the first chain key of a new session, from the joined agreements (three or four).
RootAndChain derive_session(std::span<const Key> agreements);

/// A step of the root. Errors: `invalid_key` (a public key of small order).
Outcome<RootAndChain> step_root(const Key& root, const crypto::PrivateKey& mine,
                                const crypto::PublicKey& theirs);

/// X25519 with the secret in a wiped form. Errors: `invalid_key`; `what` names their key.
Outcome<Key> agree(const crypto::PrivateKey& mine, const crypto::PublicKey& theirs,
                   std::string_view what);

/// The keys of one message: cipher key, MAC key, IV.
class MessageKeys {
 public:
  explicit MessageKeys(const Key& seed);

  Bytes encrypt(ByteSpan plaintext) const;
  /// Errors: `bad_padding`.
  Outcome<Bytes> decrypt(ByteSpan ciphertext) const;

  /// Over both identities, sender's first, and the message.
  ByteArray<SignalMessage::kMacBytes> mac(const crypto::PublicKey& sender,
                                          const crypto::PublicKey& receiver,
                                          ByteSpan covered) const;

 private:
  crypto::Secret<80> keys_;
};

}  // namespace wa::signal

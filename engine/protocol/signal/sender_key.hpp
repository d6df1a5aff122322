#pragma once

#include <vector>

#include "engine/protocol/signal/messages.hpp"
#include "engine/protocol/signal/skipped.hpp"

namespace wa::signal {

/// Our own key for one group: what we send to it is encrypted once, for all that have the
/// distribution. Source: docs/protocol/signal.md, "Sender keys".
class SenderKey {
 public:
  /// Draws the id (31 bits), the chain key, the signing key.
  static SenderKey create(Random& random);

  /// Errors: `malformed`.
  static Result<SenderKey> decode(ByteSpan stored);
  Bytes encode() const;

  std::uint32_t id() const { return id_; }
  /// Of the next message.
  std::uint32_t iteration() const { return chain_.index; }

  /// What a member needs to read from the next message on, earlier ones excluded.
  SenderKeyDistribution distribution() const;

  /// A whole `skmsg` body. Draws 64 bytes for the signature. Errors: `too_far` (2^32 - 1 messages).
  Outcome<Bytes> encrypt(ByteSpan plaintext, Random& random);

 private:
  std::uint32_t id_ = 0;
  Chain chain_;
  crypto::KeyPair signing_;
};

/// The keys with which one device writes to one group, as far as it distributed them to us. A
/// failure changes nothing.
class SenderKeys {
 public:
  static constexpr std::size_t kMaxStates = 5;
  static constexpr std::uint32_t kMaxJump = 2000;  ///< messages ahead in one step

  /// Errors: `malformed`.
  static Result<SenderKeys> decode(ByteSpan stored);
  Bytes encode() const;

  bool empty() const { return states_.empty(); }
  /// Whether a distribution came for this key id.
  bool has(std::uint32_t id) const;

  /// Takes a distribution. A key that we have already goes on where it is (a distribution is sent
  /// again for many reasons), unless this one is further along; then what lies between is kept
  /// as skipped. The same id with another signing key replaces the key.
  void process(const SenderKeyDistribution& distribution);

  /// Errors: `no_sender_key`, `bad_signature`, `duplicate`, `too_far`, `bad_padding`.
  Outcome<Bytes> decrypt(const SenderKeyMessage& message);

 private:
  struct State {
    std::uint32_t id = 0;
    crypto::PublicKey signing_key;
    Chain chain;
    SkippedSeeds skipped;
  };
  std::vector<State>::iterator find(std::uint32_t id);

  std::vector<State> states_;  ///< newest first, each id once
};

}  // namespace wa::signal

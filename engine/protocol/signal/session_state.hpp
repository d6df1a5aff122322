#pragma once

#include <optional>
#include <vector>

#include "engine/protocol/signal/skipped.hpp"

namespace wa::schema {
class StoredSession_State;
}

namespace wa::signal {

/// One double ratchet with one device of a peer; a `Session` has several. Internal to the signal
/// module.
///
/// Reading works beside the state: `read` computes what the message needs, and `apply` puts it in
/// place once code and padding were right.
struct SessionState {
  static constexpr std::size_t kMaxChains = 5;     ///< receiving ones; the newest are kept
  static constexpr std::uint32_t kMaxJump = 2000;  ///< messages ahead in one step

  struct ReceiverChain {
    crypto::PublicKey ratchet_key;
    Chain chain;
    bool closed = false;  ///< by a newer chain; of `chain` only the index is left then
    SkippedSeeds skipped;
  };

  /// What every message carries until the peer's first answer was read.
  struct Pending {
    std::optional<std::uint32_t> pre_key_id;
    std::uint32_t signed_pre_key_id = 0;
  };

  crypto::PublicKey remote_identity;
  std::uint32_t remote_registration_id = 0;
  crypto::PublicKey base_key;  ///< the initiator's, which names the session
  Key root;
  crypto::KeyPair ratchet;  ///< ours; the public key is empty while a step is owed
  /// Empty while a step is owed: the chain that follows the peer's newest one is made when there is
  /// something to write.
  std::optional<Chain> sender;
  bool sender_lost = false;  ///< nobody knows how far it was used
  std::uint32_t previous_counter = 0;
  std::vector<ReceiverChain> receivers;  ///< oldest first
  std::optional<Pending> pending;

  bool owes_step() const { return !sender && !receivers.empty(); }
  /// The sending chain, made now if it is owed.
  Chain& sending();
  /// Whether the peer may have a ratchet key of ours to which it has not answered yet.
  bool awaits_chain() const { return sender && sender->index > 0; }
  /// Whether there are keys left to send with.
  bool can_send() const { return !sender_lost && !(sender && sender->index == kUsedUp); }
  /// Its chain to send with, made or owed, is not used any more; the next one of the peer brings a
  /// new one.
  void give_up_sender();

  /// Which of `receivers` a message with this ratchet key belongs to.
  std::optional<std::size_t> chain_of(const crypto::PublicKey& ratchet_key) const;

  /// A message that was read, and what it changes.
  struct Reading {
    Bytes plaintext;
    std::optional<RootAndChain> step;  ///< the message begins a chain
    std::optional<Chain> after;        ///< its chain behind it; empty if the seed was a skipped one
  };
  /// Changes nothing. Errors: `bad_mac`, `duplicate`, `too_far`, `chain_closed`, `invalid_key`,
  /// `bad_padding`.
  Outcome<Reading> read(const crypto::PublicKey& local_identity,
                        const SignalMessage& message) const;
  /// Draws a new ratchet key if the message begins a chain; what follows from it is owed.
  void apply(const SignalMessage& message, const Reading& reading, Random& random);

  /// Forgets seeds of overtaken messages, the oldest first, until at most `most` are left; how many
  /// there are then.
  std::size_t keep_seeds(std::size_t most);

  void write(schema::StoredSession_State& record) const;
  /// Errors: `malformed`.
  static Result<SessionState> from(const schema::StoredSession_State& record);

 private:
  static constexpr std::uint32_t kUsedUp = 0xffffffff;

  /// The seed for a message of a chain that we have, and the chain behind it.
  struct Seed {
    Key key;
    std::optional<Chain> after;
  };
  static Outcome<Seed> seed_of(const ReceiverChain& receiver, std::uint32_t counter);
  static Outcome<Seed> seed_of(const Chain& chain, std::uint32_t counter);
  RootAndChain owed_step() const;
  void begin_chain(const SignalMessage& message, const RootAndChain& step, Random& random);
};

}  // namespace wa::signal

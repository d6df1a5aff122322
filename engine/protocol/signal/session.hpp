#pragma once

#include <optional>
#include <vector>

#include "engine/protocol/signal/bundle.hpp"
#include "engine/protocol/signal/messages.hpp"
#include "engine/protocol/signal/session_state.hpp"

namespace wa::signal {

/// Who we are towards every peer.
struct LocalIdentity {
  crypto::KeyPair identity;
  std::uint32_t registration_id = 0;
};

/// Everything that is shared with one device of a peer: the current state of the double ratchet and
/// up to 40 archived ones, with which late messages are still read.
///
/// Whoever calls keeps one per (own device, peer device), stores `encode()` after every success and
/// before the bytes leave or an ack goes out. A failure changes nothing: what is needed is
/// computed beside the state and put in place only when code and padding were right.
///
/// To write first: fetch a bundle, `initiate`, `encrypt` (a pkmsg, until the first answer was
/// read). To read: `decrypt`, with the pre-keys that a pkmsg names unless the session `knows` it.
///
/// Source: docs/protocol/signal.md, "Sessions".
class Session {
 public:
  static constexpr std::size_t kMaxArchived = 40;
  /// Most seeds of overtaken messages in all states together: what one chain may have, twice.
  static constexpr std::size_t kMaxSeeds = 4000;
  /// How much of the past is looked through for a chain that nobody knows: each state costs an
  /// agreement, and a step for every message of the chain before this one.
  static constexpr std::size_t kMostArchivedTried = 8;
  static constexpr std::uint32_t kMostArchivedJump = 250;

  /// What a pkmsg that begins a session needs, looked up by the ids in the message. What is not
  /// there any more stays empty.
  struct PreKeys {
    std::optional<crypto::KeyPair> signed_pre_key;
    std::optional<crypto::KeyPair> one_time;
  };

  struct Ciphertext {
    bool pre_key = false;  ///< pkmsg rather than msg
    Bytes bytes;
  };

  /// From what `encode` gave. Errors: `malformed`, also for a version of this record that we do not
  /// know, and for more than the limits allow.
  static Result<Session> decode(ByteSpan stored);
  Bytes encode() const;

  /// Whether `encrypt` works without a new bundle.
  bool has_current() const { return current_ && states_.back().can_send(); }
  std::size_t archived() const { return states_.size() - (current_ ? 1 : 0); }

  /// Of the current state, else of the newest archived one.
  std::optional<crypto::PublicKey> remote_identity() const;
  std::uint32_t remote_registration_id() const;
  /// The key that names the current state; whoever answers a retry keeps it to see whether the
  /// session was rebuilt since. Empty without a current state.
  std::optional<crypto::PublicKey> base_key() const;

  /// Begins a session as its initiator; the current state is archived. Draws the base key, then
  /// the first ratchet key. Errors: `bad_signature`, `invalid_key`.
  Outcome<void> initiate(const LocalIdentity& local, const PreKeyBundle& bundle, Random& random);

  /// The next `encrypt` needs a new bundle; late messages are still read.
  void archive_current();

  /// A new era begins whenever the caller learns that it works with an old copy of what it has
  /// stored: sessions of an earlier one may have been used further than they show, so nothing is
  /// encrypted with a chain from then. What the peer writes is still read, and a chain that it
  /// begins makes the session good again. Does nothing in the era that the session is of.
  void enter_era(std::uint32_t era);

  /// With the current state. Draws nothing. Errors: `no_session`, `too_far` (2^32 - 1 messages).
  Outcome<Ciphertext> encrypt(const LocalIdentity& local, ByteSpan plaintext);

  /// With the state that has the message's chain; when none has it, with the current one, then with
  /// the archived ones, newest first, in which we wrote last: in no other one can there be a chain
  /// that we do not know. An archived state that succeeds becomes the current one.
  /// Draws a new ratchet key when the message begins a chain, after its MAC was found right.
  /// Errors: `no_session`, `bad_mac`, `duplicate`, `too_far`, `chain_closed`, `invalid_key`,
  /// `bad_padding`.
  Outcome<Bytes> decrypt(const LocalIdentity& local, const SignalMessage& message, Random& random);

  /// Whether a state was begun by this message or an earlier one with the same base key. Then no
  /// pre-key is looked up, and none is used up.
  bool knows(const PreKeySignalMessage& message) const;

  /// Reads with the state that the message belongs to, or begins one as its responder and archives
  /// the current one. After the latter the one-time pre-key is used up: it goes in the
  /// transaction that stores the session.
  /// Errors: as for a SignalMessage, and `no_pre_key`, `no_signed_pre_key`.
  Outcome<Bytes> decrypt(const LocalIdentity& local, const PreKeySignalMessage& message,
                         const PreKeys& pre_keys, Random& random);

 private:
  void make_current(SessionState state);
  /// Reads with one state, which then is the current one.
  Outcome<Bytes> read_with(std::size_t index, const LocalIdentity& local,
                           const SignalMessage& message, Random& random);
  void forget_oldest_seeds();
  std::optional<std::size_t> state_of(const PreKeySignalMessage& message) const;

  std::vector<SessionState> states_;  ///< oldest first
  bool current_ = false;              ///< whether the last of them is the current one
  std::uint32_t era_ = 0;
};

}  // namespace wa::signal

#include "engine/protocol/signal/session.hpp"

#include <algorithm>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::signal {
namespace {

/// Version 1 had no state that owes a step.
constexpr std::uint32_t kStoredVersion = 2;

/// A new session as its responder sees it before the first message: our ratchet key is the signed
/// pre-key. Errors: `no_pre_key`, `no_signed_pre_key`, `invalid_key`.
Outcome<SessionState> respond(const LocalIdentity& local, const PreKeySignalMessage& message,
                              const Session::PreKeys& pre_keys) {
  if (!pre_keys.signed_pre_key) {
    return Refusal{Failure::no_signed_pre_key,
                   "signed pre-key " + std::to_string(message.signed_pre_key_id) + " is not known"};
  }
  if (message.pre_key_id && !pre_keys.one_time) {
    return Refusal{Failure::no_pre_key,
                   "one-time pre-key " + std::to_string(*message.pre_key_id) + " is gone"};
  }
  const auto& signed_key = pre_keys.signed_pre_key->private_key;
  std::array<Key, 4> agreements;
  WA_TRY(agreements[0], agree(signed_key, message.identity_key, "identity key"));
  WA_TRY(agreements[1], agree(local.identity.private_key, message.base_key, "base key"));
  WA_TRY(agreements[2], agree(signed_key, message.base_key, "base key"));
  if (message.pre_key_id) {
    WA_TRY(agreements[3], agree(pre_keys.one_time->private_key, message.base_key, "base key"));
  }
  SessionState state;
  state.remote_identity = message.identity_key;
  state.remote_registration_id = message.registration_id;
  state.base_key = message.base_key;
  state.root = derive_session(std::span(agreements).first(message.pre_key_id ? 4 : 3)).root;
  state.ratchet = *pre_keys.signed_pre_key;
  return state;
}

}  // namespace

Result<Session> Session::decode(ByteSpan stored) {
  WA_TRY(const auto record, schema::parse<schema::StoredSession>(stored, "session"));
  if (record.version() == 0 || record.version() > kStoredVersion) {
    return Error{Errc::malformed, "session: version " + std::to_string(record.version()) +
                                      ", not 1 to " + std::to_string(kStoredVersion)};
  }
  Session session;
  for (const auto& one : record.states()) {
    WA_TRY(auto state, SessionState::from(one));
    session.states_.push_back(std::move(state));
  }
  session.current_ = record.current();
  session.era_ = record.era();
  if (session.current_ && session.states_.empty()) {
    return Error{Errc::malformed, "session: the current state is missing"};
  }
  if (session.archived() > kMaxArchived) {
    return Error{Errc::malformed,
                 "session: " + std::to_string(session.archived()) + " archived states"};
  }
  return session;
}

Bytes Session::encode() const {
  schema::StoredSession record;
  record.set_version(kStoredVersion);
  for (const SessionState& state : states_) state.write(*record.add_states());
  record.set_current(current_);
  if (era_ != 0) record.set_era(era_);
  return schema::serialize(record);
}

std::optional<crypto::PublicKey> Session::remote_identity() const {
  if (states_.empty()) return std::nullopt;
  return states_.back().remote_identity;
}

std::uint32_t Session::remote_registration_id() const {
  return states_.empty() ? 0 : states_.back().remote_registration_id;
}

std::optional<crypto::PublicKey> Session::base_key() const {
  if (!current_) return std::nullopt;
  return states_.back().base_key;
}

void Session::make_current(SessionState state) {
  states_.push_back(std::move(state));
  current_ = true;
  if (archived() > kMaxArchived) states_.erase(states_.begin());
}

void Session::archive_current() {
  current_ = false;
  if (archived() > kMaxArchived) states_.erase(states_.begin());
}

void Session::enter_era(std::uint32_t era) {
  if (era_ >= era) return;
  era_ = era;
  for (SessionState& state : states_) state.give_up_sender();
}

Outcome<void> Session::initiate(const LocalIdentity& local, const PreKeyBundle& bundle,
                                Random& random) {
  WA_TRY_VOID(verify(bundle));
  const auto base = crypto::generate_key_pair(random);
  const auto ratchet = crypto::generate_key_pair(random);
  std::array<Key, 4> agreements;
  WA_TRY(agreements[0], agree(local.identity.private_key, bundle.signed_pre_key, "signed pre-key"));
  WA_TRY(agreements[1], agree(base.private_key, bundle.identity, "identity key"));
  WA_TRY(agreements[2], agree(base.private_key, bundle.signed_pre_key, "signed pre-key"));
  if (bundle.one_time) {
    WA_TRY(agreements[3], agree(base.private_key, bundle.one_time->key, "one-time pre-key"));
  }
  const auto begin = derive_session(std::span(agreements).first(bundle.one_time ? 4 : 3));
  WA_TRY(auto sending, step_root(begin.root, ratchet.private_key, bundle.signed_pre_key));

  SessionState state;
  state.remote_identity = bundle.identity;
  state.remote_registration_id = bundle.registration_id;
  state.base_key = base.public_key;
  state.root = std::move(sending.root);
  state.ratchet = ratchet;
  state.sender = Chain{std::move(sending.chain), 0};
  SessionState::Pending pending;
  pending.signed_pre_key_id = bundle.signed_pre_key_id;
  if (bundle.one_time) pending.pre_key_id = bundle.one_time->id;
  state.pending = pending;
  make_current(std::move(state));
  return {};
}

Outcome<Session::Ciphertext> Session::encrypt(const LocalIdentity& local, ByteSpan plaintext) {
  if (!current_) return Refusal{Failure::no_session, "no current session: fetch a bundle"};
  SessionState& state = states_.back();
  if (!state.can_send()) {
    return Refusal{Failure::too_far, "the sending chain is used up"};
  }
  Chain& chain = state.sending();
  const std::uint32_t counter = chain.index;
  const MessageKeys keys(chain.next_seed());
  Bytes message = SignalMessage::serialize_covered(state.ratchet.public_key, counter,
                                                   state.previous_counter, keys.encrypt(plaintext));
  append(message, keys.mac(local.identity.public_key, state.remote_identity, message));
  if (!state.pending) return Ciphertext{false, std::move(message)};

  PreKeySignalMessage outer;
  outer.registration_id = local.registration_id;
  outer.pre_key_id = state.pending->pre_key_id;
  outer.signed_pre_key_id = state.pending->signed_pre_key_id;
  outer.base_key = state.base_key;
  outer.identity_key = local.identity.public_key;
  outer.message_bytes = message;
  return Ciphertext{true, outer.serialize()};
}

Outcome<Bytes> Session::read_with(std::size_t index, const LocalIdentity& local,
                                  const SignalMessage& message, Random& random) {
  SessionState& state = states_[index];
  WA_TRY(auto reading, state.read(local.identity.public_key, message));
  state.apply(message, reading, random);
  const auto first = states_.begin() + static_cast<std::ptrdiff_t>(index);
  std::rotate(first, first + 1, states_.end());
  current_ = true;
  forget_oldest_seeds();
  return std::move(reading.plaintext);
}

/// Whoever has sessions with us could make us keep 2000 seeds for each of their chains.
void Session::forget_oldest_seeds() {
  std::size_t kept = 0;
  for (auto state = states_.rbegin(); state != states_.rend(); ++state) {
    kept += state->keep_seeds(kMaxSeeds - kept);
  }
}

Outcome<Bytes> Session::decrypt(const LocalIdentity& local, const SignalMessage& message,
                                Random& random) {
  if (states_.empty()) return Refusal{Failure::no_session, "no session with this device"};
  // Ratchet keys are random: the state that has this chain is the right one, whatever comes of it.
  for (std::size_t i = states_.size(); i-- > 0;) {
    if (states_[i].chain_of(message.ratchet_key)) return read_with(i, local, message, random);
  }
  // The newest state's failure is told: it is the likeliest to have been meant.
  auto outcome = read_with(states_.size() - 1, local, message, random);
  if (message.counter >= kMostArchivedJump) return outcome;
  std::size_t tried = 0;
  for (std::size_t i = states_.size() - 1; !outcome && i-- > 0 && tried < kMostArchivedTried;) {
    if (!states_[i].awaits_chain()) continue;
    ++tried;
    if (auto other = read_with(i, local, message, random)) outcome = std::move(other);
  }
  return outcome;
}

std::optional<std::size_t> Session::state_of(const PreKeySignalMessage& message) const {
  for (std::size_t i = states_.size(); i-- > 0;) {
    if (states_[i].base_key == message.base_key) return i;
  }
  return std::nullopt;
}

bool Session::knows(const PreKeySignalMessage& message) const {
  return state_of(message).has_value();
}

Outcome<Bytes> Session::decrypt(const LocalIdentity& local, const PreKeySignalMessage& message,
                                const PreKeys& pre_keys, Random& random) {
  if (const auto known = state_of(message)) {
    return read_with(*known, local, message.message, random);
  }
  WA_TRY(auto state, respond(local, message, pre_keys));
  WA_TRY(auto reading, state.read(local.identity.public_key, message.message));
  state.apply(message.message, reading, random);
  make_current(std::move(state));
  forget_oldest_seeds();
  return std::move(reading.plaintext);
}

}  // namespace wa::signal

#include "engine/protocol/signal/session_state.hpp"

#include <algorithm>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::signal {
namespace {

/// A previous counter from here on means that nothing was sent before: peers that take 1 from 0
/// write 2^32 - 1.
constexpr std::uint32_t kNothingBefore = std::uint32_t{1} << 31;

/// How far ahead of the last message that was read or skipped. 64 bits: nothing wraps around.
std::uint64_t jump(const Chain& chain, std::uint32_t counter) {
  return std::uint64_t{counter} + 1 - chain.index;
}

Outcome<void> check_jump(const Chain& chain, std::uint32_t counter) {
  if (jump(chain, counter) <= SessionState::kMaxJump) return {};
  return Refusal{Failure::too_far, "counter " + std::to_string(counter) + ", " +
                                       std::to_string(chain.index) + " was expected"};
}

}  // namespace

// The peer's key has made a secret with an earlier one of ours, so it is not of small order.
RootAndChain SessionState::owed_step() const {
  return step_root(root, ratchet.private_key, receivers.back().ratchet_key).value();
}

Chain& SessionState::sending() {
  if (owes_step()) {
    auto step = owed_step();
    ratchet.public_key = crypto::public_key_of(ratchet.private_key);
    root = std::move(step.root);
    sender = Chain{std::move(step.chain), 0};
  }
  return *sender;
}

std::optional<std::size_t> SessionState::chain_of(const crypto::PublicKey& ratchet_key) const {
  for (std::size_t i = receivers.size(); i-- > 0;) {
    if (receivers[i].ratchet_key == ratchet_key) return i;
  }
  return std::nullopt;
}

Outcome<SessionState::Seed> SessionState::seed_of(const Chain& chain, std::uint32_t counter) {
  WA_TRY_VOID(check_jump(chain, counter));
  Chain after = chain;
  after.advance(counter);
  Key seed = after.next_seed();
  return Seed{std::move(seed), std::move(after)};
}

Outcome<SessionState::Seed> SessionState::seed_of(const ReceiverChain& receiver,
                                                  std::uint32_t counter) {
  if (const Key* const skipped = receiver.skipped.find(counter)) {
    return Seed{*skipped, std::nullopt};
  }
  if (counter < receiver.chain.index) {
    return Refusal{Failure::duplicate, "counter " + std::to_string(counter) + ", " +
                                           std::to_string(receiver.chain.index) +
                                           " comes next, and no key is kept for it"};
  }
  if (receiver.closed) {
    return Refusal{Failure::chain_closed, "counter " + std::to_string(counter) +
                                              " of a chain that ended before " +
                                              std::to_string(receiver.chain.index)};
  }
  return seed_of(receiver.chain, counter);
}

Outcome<SessionState::Reading> SessionState::read(const crypto::PublicKey& local_identity,
                                                  const SignalMessage& message) const {
  Reading reading;
  Seed seed;
  if (const auto known = chain_of(message.ratchet_key)) {
    WA_TRY(seed, seed_of(receivers[*known], message.counter));
  } else {
    WA_TRY_VOID(check_jump(Chain(), message.counter));  // before what costs
    const Key from = owes_step() ? owed_step().root : root;
    WA_TRY(reading.step, step_root(from, ratchet.private_key, message.ratchet_key));
    WA_TRY(seed, seed_of(Chain{reading.step->chain, 0}, message.counter));
  }
  const MessageKeys keys(seed.key);
  if (!crypto::equal_constant_time(keys.mac(remote_identity, local_identity, message.covered),
                                   message.mac)) {
    return Refusal{Failure::bad_mac, "the message's MAC is not the one that our keys make"};
  }
  WA_TRY(reading.plaintext, keys.decrypt(message.ciphertext));
  reading.after = std::move(seed.after);
  return reading;
}

void SessionState::begin_chain(const SignalMessage& message, const RootAndChain& step,
                               Random& random) {
  if (!receivers.empty() && !receivers.back().closed) {
    auto& closing = receivers.back();
    // Messages of the old chain may still come, up to the last one that the sender made. When that
    // is too far ahead, or no sensible number, none of them is awaited.
    const std::uint32_t last = message.previous_counter;
    if (last < kNothingBefore && last >= closing.chain.index &&
        jump(closing.chain, last) <= kMaxJump) {
      closing.skipped.keep(closing.chain, last + 1);
    }
    closing.chain.key.clear();
    closing.closed = true;
  }
  if (receivers.size() == kMaxChains) receivers.erase(receivers.begin());
  receivers.push_back({message.ratchet_key, Chain{step.chain, 0}, false, {}});

  previous_counter = !sender_lost && awaits_chain() ? sender->index - 1 : 0;
  ratchet = {crypto::generate_private_key(random), {}};
  root = step.root;
  sender.reset();
  sender_lost = false;
}

void SessionState::give_up_sender() {
  if (sender) sender->key.clear();
  sender_lost = true;
}

void SessionState::apply(const SignalMessage& message, const Reading& reading, Random& random) {
  if (reading.step) begin_chain(message, *reading.step, random);
  auto& receiver = receivers[chain_of(message.ratchet_key).value()];
  if (reading.after) {
    receiver.skipped.keep(receiver.chain, message.counter);
    receiver.chain = *reading.after;
  } else {
    receiver.skipped.erase(message.counter);
  }
  pending.reset();
}

std::size_t SessionState::keep_seeds(std::size_t most) {
  std::size_t kept = 0;
  for (auto receiver = receivers.rbegin(); receiver != receivers.rend(); ++receiver) {
    kept += receiver->skipped.keep_newest(most - kept);
  }
  return kept;
}

void SessionState::write(schema::StoredSession_State& record) const {
  record.set_remote_identity(schema::field(remote_identity));
  record.set_remote_registration_id(remote_registration_id);
  record.set_base_key(schema::field(base_key));
  record.set_root(schema::field(root));
  record.mutable_ratchet()->set_private_key(schema::field(ratchet.private_key.bytes));
  if (sender) {
    record.mutable_ratchet()->set_public_key(schema::field(ratchet.public_key));
    record.set_sender_index(sender->index);
    record.set_sender_chain_key(schema::field(sender->key));
  }
  if (sender_lost) record.set_sender_lost(true);
  record.set_previous_counter(previous_counter);
  for (const ReceiverChain& receiver : receivers) {
    auto& one = *record.add_receivers();
    one.set_ratchet_key(schema::field(receiver.ratchet_key));
    one.set_index(receiver.chain.index);
    if (!receiver.closed) one.set_chain_key(schema::field(receiver.chain.key));
    receiver.skipped.write(*one.mutable_skipped());
  }
  if (pending) {
    record.set_pending_signed_pre_key_id(pending->signed_pre_key_id);
    if (pending->pre_key_id) record.set_pending_pre_key_id(*pending->pre_key_id);
  }
}

Result<SessionState> SessionState::from(const schema::StoredSession_State& record) {
  SessionState state;
  WA_TRY(state.remote_identity,
         crypto::PublicKey::from(as_bytes(record.remote_identity()), "remote identity"));
  state.remote_registration_id = record.remote_registration_id();
  WA_TRY(state.base_key, crypto::PublicKey::from(as_bytes(record.base_key()), "base key"));
  WA_TRY(state.root, Key::from(as_bytes(record.root()), "root"));
  WA_TRY(state.ratchet.private_key,
         crypto::PrivateKey::from(as_bytes(record.ratchet().private_key()), "ratchet key"));
  if (record.has_sender_chain_key() || record.ratchet().has_public_key()) {
    WA_TRY(state.ratchet.public_key,
           crypto::PublicKey::from(as_bytes(record.ratchet().public_key()), "ratchet key"));
    state.sender.emplace();
    WA_TRY(state.sender->key, Key::from(as_bytes(record.sender_chain_key()), "sender chain"));
    state.sender->index = record.sender_index();
  } else if (record.receivers_size() == 0) {
    return Error{Errc::malformed, "neither a sender chain nor one that it would follow"};
  }
  state.sender_lost = record.sender_lost();
  state.previous_counter = record.previous_counter();
  if (static_cast<std::size_t>(record.receivers_size()) > kMaxChains) {
    return Error{Errc::malformed, "receiver chains: " + std::to_string(record.receivers_size())};
  }
  for (const auto& one : record.receivers()) {
    ReceiverChain receiver;
    WA_TRY(receiver.ratchet_key,
           crypto::PublicKey::from(as_bytes(one.ratchet_key()), "remote ratchet key"));
    receiver.chain.index = one.index();
    receiver.closed = !one.has_chain_key();
    if (!receiver.closed) {
      WA_TRY(receiver.chain.key, Key::from(as_bytes(one.chain_key()), "receiver chain"));
    }
    WA_TRY(receiver.skipped, SkippedSeeds::from(one.skipped(), one.index()));
    state.receivers.push_back(std::move(receiver));
  }
  if (record.has_pending_signed_pre_key_id()) {
    Pending pending;
    pending.signed_pre_key_id = record.pending_signed_pre_key_id();
    if (record.has_pending_pre_key_id()) pending.pre_key_id = record.pending_pre_key_id();
    state.pending = pending;
  }
  return state;
}

}  // namespace wa::signal

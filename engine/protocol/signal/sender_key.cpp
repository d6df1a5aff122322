#include "engine/protocol/signal/sender_key.hpp"

#include <algorithm>
#include <limits>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::signal {
namespace {

constexpr std::uint32_t kStoredVersion = 1;

Result<void> check_version(std::uint32_t version, std::string_view what) {
  if (version == kStoredVersion) return {};
  return Error{Errc::malformed, std::string(what) + ": version " + std::to_string(version) +
                                    ", not " + std::to_string(kStoredVersion)};
}

/// The keys of one group message.
struct GroupMessageKeys {
  explicit GroupMessageKeys(const Key& seed) {
    crypto::Secret<48> okm;
    crypto::hkdf_sha256(seed, {}, as_bytes("WhisperGroup"), okm.bytes());
    iv = crypto::Secret<16>::part<0>(okm);
    cipher_key = Key::part<16>(okm);
  }
  crypto::Secret<16> iv;
  Key cipher_key;
};

}  // namespace

SenderKey SenderKey::create(Random& random) {
  SenderKey key;
  const auto id = random.array<4>();
  key.id_ = static_cast<std::uint32_t>(read_big_endian(id) & 0x7fff'ffff);
  random.fill(key.chain_.key.bytes());
  key.signing_ = crypto::generate_key_pair(random);
  return key;
}

Result<SenderKey> SenderKey::decode(ByteSpan stored) {
  WA_TRY(const auto record, schema::parse<schema::StoredSenderKey>(stored, "sender key"));
  WA_TRY_VOID(check_version(record.version(), "sender key"));
  SenderKey key;
  key.id_ = record.id();
  WA_TRY(key.chain_.key, Key::from(as_bytes(record.chain_key()), "sender chain"));
  key.chain_.index = record.iteration();
  WA_TRY(key.signing_.private_key,
         crypto::PrivateKey::from(as_bytes(record.signing().private_key()), "signing key"));
  WA_TRY(key.signing_.public_key,
         crypto::PublicKey::from(as_bytes(record.signing().public_key()), "signing key"));
  return key;
}

Bytes SenderKey::encode() const {
  schema::StoredSenderKey record;
  record.set_version(kStoredVersion);
  record.set_id(id_);
  record.set_iteration(chain_.index);
  record.set_chain_key(schema::field(chain_.key));
  record.mutable_signing()->set_private_key(schema::field(signing_.private_key.bytes));
  record.mutable_signing()->set_public_key(schema::field(signing_.public_key));
  return schema::serialize(record);
}

SenderKeyDistribution SenderKey::distribution() const {
  return {id_, chain_.index, chain_.key, signing_.public_key};
}

Outcome<Bytes> SenderKey::encrypt(ByteSpan plaintext, Random& random) {
  if (chain_.index == std::numeric_limits<std::uint32_t>::max()) {
    return Refusal{Failure::too_far, "the sender key is used up"};
  }
  const std::uint32_t iteration = chain_.index;
  const GroupMessageKeys keys(chain_.next_seed());
  Bytes message = SenderKeyMessage::serialize_covered(
      id_, iteration, crypto::aes_cbc_encrypt(keys.cipher_key.bytes(), keys.iv.bytes(), plaintext));
  append(message, crypto::sign(signing_, message, random));
  return message;
}

Result<SenderKeys> SenderKeys::decode(ByteSpan stored) {
  WA_TRY(const auto record, schema::parse<schema::StoredSenderKeys>(stored, "sender keys"));
  WA_TRY_VOID(check_version(record.version(), "sender keys"));
  if (static_cast<std::size_t>(record.states_size()) > kMaxStates) {
    return Error{Errc::malformed, "sender keys: " + std::to_string(record.states_size())};
  }
  SenderKeys keys;
  for (const auto& one : record.states()) {
    State state;
    state.id = one.id();
    WA_TRY(state.signing_key, crypto::PublicKey::from(as_bytes(one.signing_key()), "signing key"));
    WA_TRY(state.chain.key, Key::from(as_bytes(one.chain_key()), "sender chain"));
    state.chain.index = one.iteration();
    WA_TRY(state.skipped, SkippedSeeds::from(one.skipped(), one.iteration()));
    keys.states_.push_back(std::move(state));
  }
  return keys;
}

Bytes SenderKeys::encode() const {
  schema::StoredSenderKeys record;
  record.set_version(kStoredVersion);
  for (const State& state : states_) {
    auto& one = *record.add_states();
    one.set_id(state.id);
    one.set_signing_key(schema::field(state.signing_key));
    one.set_iteration(state.chain.index);
    one.set_chain_key(schema::field(state.chain.key));
    state.skipped.write(*one.mutable_skipped());
  }
  return schema::serialize(record);
}

std::vector<SenderKeys::State>::iterator SenderKeys::find(std::uint32_t id) {
  return std::find_if(states_.begin(), states_.end(),
                      [&](const State& state) { return state.id == id; });
}

bool SenderKeys::has(std::uint32_t id) const {
  return std::any_of(states_.begin(), states_.end(),
                     [&](const State& state) { return state.id == id; });
}

void SenderKeys::process(const SenderKeyDistribution& distribution) {
  const auto known = find(distribution.id);
  State state;
  if (known != states_.end()) {
    if (known->signing_key == distribution.signing_key) state = std::move(*known);
    states_.erase(known);
  }
  if (state.signing_key != distribution.signing_key) {
    state = State();
    state.id = distribution.id;
    state.signing_key = distribution.signing_key;
    state.chain = {distribution.chain_key, distribution.iteration};
  } else if (distribution.iteration >= state.chain.index) {
    if (distribution.iteration - state.chain.index <= kMaxJump) {
      state.skipped.keep(state.chain, distribution.iteration);
    }
    state.chain = {distribution.chain_key, distribution.iteration};
  }
  states_.insert(states_.begin(), std::move(state));
  if (states_.size() > kMaxStates) states_.pop_back();
}

Outcome<Bytes> SenderKeys::decrypt(const SenderKeyMessage& message) {
  const auto state = find(message.id);
  if (state == states_.end()) {
    return Refusal{Failure::no_sender_key,
                   "no distribution came for key " + std::to_string(message.id)};
  }
  if (auto verified =
          crypto::verify(state->signing_key, message.covered, message.signature, "group message");
      !verified) {
    return Refusal{Failure::bad_signature, std::move(verified).error().detail};
  }
  const auto open = [&](const Key& seed) -> Outcome<Bytes> {
    const GroupMessageKeys keys(seed);
    auto plaintext =
        crypto::aes_cbc_decrypt(keys.cipher_key.bytes(), keys.iv.bytes(), message.ciphertext);
    if (!plaintext) return Refusal{Failure::bad_padding, std::move(plaintext).error().detail};
    return std::move(*plaintext);
  };
  const std::uint32_t next = state->chain.index;
  if (message.iteration < next) {
    const Key* const skipped = state->skipped.find(message.iteration);
    if (skipped == nullptr) {
      return Refusal{Failure::duplicate, "iteration " + std::to_string(message.iteration) + ", " +
                                             std::to_string(next) + " comes next"};
    }
    WA_TRY(auto plaintext, open(*skipped));
    state->skipped.erase(message.iteration);
    return plaintext;
  }
  if (message.iteration - next > kMaxJump) {
    return Refusal{Failure::too_far, "iteration " + std::to_string(message.iteration) + ", " +
                                         std::to_string(next) + " was expected"};
  }
  Chain after = state->chain;
  after.advance(message.iteration);
  WA_TRY(auto plaintext, open(after.next_seed()));
  state->skipped.keep(state->chain, message.iteration);
  state->chain = std::move(after);
  return plaintext;
}

}  // namespace wa::signal

#include "engine/protocol/signal/messages.hpp"

#include <limits>

#include "engine/protocol/signal/fields.hpp"

namespace wa::signal {
namespace {

constexpr std::byte kVersion{0x33};  // message version 3 in the high half, ours in the low one
constexpr std::byte kKeyType{0x05};

/// A message without its version byte and what follows the protobuf.
struct Parts {
  ByteSpan covered;
  ByteSpan body;
  ByteSpan tail;
};

/// The low half is the highest version that the sender speaks; no peer speaks more than 3.
Outcome<Parts> take_apart(ByteSpan bytes, std::size_t tail_bytes, std::string_view what) {
  if (bytes.empty()) return Refusal{Failure::malformed, std::string(what) + ": empty"};
  const auto version = std::to_integer<unsigned>(bytes[0]);
  if (version >> 4 < 3 || (version & 0xf) > 3) {
    return Refusal{Failure::bad_version,
                   std::string(what) + ": version byte 0x" + to_hex(bytes.first(1)) + ", not 0x33"};
  }
  if (bytes.size() < 1 + tail_bytes) {
    return Refusal{Failure::malformed,
                   std::string(what) + ": " + std::to_string(bytes.size()) + " bytes"};
  }
  const ByteSpan covered = bytes.first(bytes.size() - tail_bytes);
  return Parts{covered, covered.subspan(1), bytes.last(tail_bytes)};
}

/// Goes through the fields of `body`, handing each to `take`. Errors: `malformed`.
template <class Take>
Outcome<void> read_fields(ByteSpan body, std::string_view what, Take take) {
  FieldReader reader(body);
  while (const auto field = reader.next()) take(*field);
  if (reader.broken()) return Refusal{Failure::malformed, std::string(what) + ": no protobuf"};
  return {};
}

Outcome<ByteSpan> present(const std::optional<ByteSpan>& field, std::string_view what) {
  if (!field || field->empty()) {
    return Refusal{Failure::malformed, std::string(what) + " is missing"};
  }
  return *field;
}

/// A counter of 2^32 - 1 would leave none for the next message.
Outcome<void> check_counter(std::uint32_t counter, std::string_view what) {
  if (counter == std::numeric_limits<std::uint32_t>::max()) {
    return Refusal{Failure::malformed, std::string(what) + ": the counter is at its end"};
  }
  return {};
}

/// Room for the version byte, some numbers, and the bytes fields.
Bytes begin(std::size_t content_bytes) {
  Bytes bytes;
  bytes.reserve(content_bytes + 64);
  bytes.push_back(kVersion);
  return bytes;
}

}  // namespace

ByteArray<33> typed(const crypto::PublicKey& key) {
  ByteArray<33> bytes;
  bytes[0] = kKeyType;
  std::memcpy(bytes.data() + 1, key.bytes.data(), key.bytes.size());
  return bytes;
}

Outcome<crypto::PublicKey> read_key(ByteSpan bytes, std::string_view what) {
  if (bytes.size() == 33 && bytes[0] == kKeyType) bytes = bytes.subspan(1);
  if (bytes.size() != 32) {
    return Refusal{Failure::invalid_key, std::string(what) + ": " + std::to_string(bytes.size()) +
                                             " bytes, expected 05 and 32 bytes"};
  }
  // X25519 ignores the top bit. With it a base key, which nothing signs, would be another one to us
  // and make the same secrets: a message that begins a session could be read twice.
  if ((bytes[31] & std::byte{0x80}) != std::byte{0}) {
    return Refusal{Failure::invalid_key, std::string(what) + ": the top bit is set"};
  }
  crypto::PublicKey key;
  std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
  return key;
}

Outcome<SignalMessage> SignalMessage::parse(ByteSpan bytes) {
  constexpr std::string_view kWhat = "Signal message";
  WA_TRY(const Parts parts, take_apart(bytes, kMacBytes, kWhat));
  SignalMessage message;
  message.covered = parts.covered;
  message.mac = parts.tail;
  std::optional<ByteSpan> ratchet_key;
  std::optional<ByteSpan> ciphertext;
  WA_TRY_VOID(read_fields(parts.body, kWhat, [&](const Field& field) {
    switch (field.id) {
      case 1: field.take(ratchet_key); break;
      case 2: field.take(message.counter); break;
      case 3: field.take(message.previous_counter); break;
      case 4: field.take(ciphertext); break;
    }
  }));
  WA_TRY(const ByteSpan key_bytes, present(ratchet_key, "Signal message: the ratchet key"));
  WA_TRY(message.ratchet_key, read_key(key_bytes, "ratchet key"));
  WA_TRY(message.ciphertext, present(ciphertext, "Signal message: the ciphertext"));
  WA_TRY_VOID(check_counter(message.counter, kWhat));
  return message;
}

Bytes SignalMessage::serialize_covered(const crypto::PublicKey& ratchet_key, std::uint32_t counter,
                                       std::uint32_t previous_counter, ByteSpan ciphertext) {
  Bytes bytes = begin(33 + ciphertext.size());
  FieldWriter(bytes)
      .bytes(1, typed(ratchet_key))
      .number(2, counter)
      .number(3, previous_counter)
      .bytes(4, ciphertext);
  return bytes;
}

Outcome<PreKeySignalMessage> PreKeySignalMessage::parse(ByteSpan bytes) {
  constexpr std::string_view kWhat = "pre-key message";
  WA_TRY(const Parts parts, take_apart(bytes, 0, kWhat));
  PreKeySignalMessage message;
  std::optional<std::uint32_t> signed_pre_key_id;
  std::optional<ByteSpan> base_key;
  std::optional<ByteSpan> identity_key;
  std::optional<ByteSpan> inner;
  WA_TRY_VOID(read_fields(parts.body, kWhat, [&](const Field& field) {
    switch (field.id) {
      case 1: field.take(message.pre_key_id); break;
      case 2: field.take(base_key); break;
      case 3: field.take(identity_key); break;
      case 4: field.take(inner); break;
      case 5: field.take(message.registration_id); break;
      case 6: field.take(signed_pre_key_id); break;
    }
  }));
  if (!signed_pre_key_id) {
    return Refusal{Failure::malformed, "pre-key message: the signed pre-key's id is missing"};
  }
  message.signed_pre_key_id = *signed_pre_key_id;
  WA_TRY(const ByteSpan base_bytes, present(base_key, "pre-key message: the base key"));
  WA_TRY(message.base_key, read_key(base_bytes, "base key"));
  WA_TRY(const ByteSpan identity_bytes, present(identity_key, "pre-key message: the identity key"));
  WA_TRY(message.identity_key, read_key(identity_bytes, "identity key"));
  WA_TRY(message.message_bytes, present(inner, "pre-key message: the inner message"));
  WA_TRY(message.message, SignalMessage::parse(message.message_bytes));
  return message;
}

Bytes PreKeySignalMessage::serialize() const {
  Bytes bytes = begin(2 * 33 + message_bytes.size());
  FieldWriter writer(bytes);
  if (pre_key_id) writer.number(1, *pre_key_id);
  writer.bytes(2, typed(base_key))
      .bytes(3, typed(identity_key))
      .bytes(4, message_bytes)
      .number(5, registration_id)
      .number(6, signed_pre_key_id);
  return bytes;
}

Outcome<SenderKeyMessage> SenderKeyMessage::parse(ByteSpan bytes) {
  constexpr std::string_view kWhat = "group message";
  WA_TRY(const Parts parts, take_apart(bytes, std::tuple_size_v<crypto::Signature>, kWhat));
  SenderKeyMessage message;
  message.covered = parts.covered;
  message.signature = parts.tail;
  std::optional<ByteSpan> ciphertext;
  WA_TRY_VOID(read_fields(parts.body, kWhat, [&](const Field& field) {
    switch (field.id) {
      case 1: field.take(message.id); break;
      case 2: field.take(message.iteration); break;
      case 3: field.take(ciphertext); break;
    }
  }));
  WA_TRY(message.ciphertext, present(ciphertext, "group message: the ciphertext"));
  WA_TRY_VOID(check_counter(message.iteration, kWhat));
  return message;
}

Bytes SenderKeyMessage::serialize_covered(std::uint32_t id, std::uint32_t iteration,
                                          ByteSpan ciphertext) {
  Bytes bytes = begin(ciphertext.size() + std::tuple_size_v<crypto::Signature>);
  FieldWriter(bytes).number(1, id).number(2, iteration).bytes(3, ciphertext);
  return bytes;
}

Outcome<SenderKeyDistribution> SenderKeyDistribution::parse(ByteSpan bytes) {
  constexpr std::string_view kWhat = "sender key distribution";
  WA_TRY(const Parts parts, take_apart(bytes, 0, kWhat));
  SenderKeyDistribution distribution;
  std::optional<ByteSpan> chain_key;
  std::optional<ByteSpan> signing_key;
  WA_TRY_VOID(read_fields(parts.body, kWhat, [&](const Field& field) {
    switch (field.id) {
      case 1: field.take(distribution.id); break;
      case 2: field.take(distribution.iteration); break;
      case 3: field.take(chain_key); break;
      case 4: field.take(signing_key); break;
    }
  }));
  WA_TRY(const ByteSpan chain_bytes, present(chain_key, "sender key distribution: the chain key"));
  if (chain_bytes.size() != distribution.chain_key.bytes().size()) {
    return Refusal{Failure::invalid_key,
                   "chain key: " + std::to_string(chain_bytes.size()) + " bytes, expected 32"};
  }
  std::memcpy(distribution.chain_key.bytes().data(), chain_bytes.data(), chain_bytes.size());
  WA_TRY(const ByteSpan key_bytes,
         present(signing_key, "sender key distribution: the signing key"));
  WA_TRY(distribution.signing_key, read_key(key_bytes, "signing key"));
  WA_TRY_VOID(check_counter(distribution.iteration, kWhat));
  return distribution;
}

Bytes SenderKeyDistribution::serialize() const {
  Bytes bytes = begin(32 + 33);
  FieldWriter(bytes)
      .number(1, id)
      .number(2, iteration)
      .bytes(3, chain_key)
      .bytes(4, typed(signing_key));
  return bytes;
}

}  // namespace wa::signal

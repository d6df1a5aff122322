// A phone's sessions: reading and making what is inside `<enc>`.

#include "engine/protocol/signal/padding.hpp"
#include "mockserver/core/phone_peer.hpp"

namespace wa::mock {

using signal::Failure;
using signal::Outcome;
using signal::Refusal;

signal::LocalIdentity PhonePeer::local() {
  return {phone_.identity, keys().registration_id};
}

Outcome<Bytes> PhonePeer::open(const DeviceKey& author, const std::string& group, const Node& enc) {
  const std::string_view type = enc.attr("type");
  const auto padded = [&]() -> Outcome<Bytes> {
    if (type == "pkmsg") return open_pre_key(author, enc.bytes());
    if (type == "skmsg") {
      const auto keys = phone_.memory.sender_keys.find({group, author});
      WA_TRY(const auto message, signal::SenderKeyMessage::parse(enc.bytes()));
      if (keys == phone_.memory.sender_keys.end()) {
        return Refusal{Failure::no_sender_key, "no key of this device came for the group"};
      }
      return keys->second.decrypt(message);
    }
    if (type != "msg") {
      return Refusal{Failure::malformed, "<enc type=\"" + std::string(type) + "\">"};
    }
    WA_TRY(const auto message, signal::SignalMessage::parse(enc.bytes()));
    const auto session = phone_.memory.sessions.find(author);
    if (session == phone_.memory.sessions.end()) {
      return Refusal{Failure::no_session, "nothing is shared with this device"};
    }
    return session->second.decrypt(local(), message, surroundings_.random);
  }();
  if (!padded) return padded.error();
  WA_TRY(const ByteSpan plaintext, signal::unpad(*padded));
  return to_bytes(plaintext);
}

Outcome<Bytes> PhonePeer::open_pre_key(const DeviceKey& author, ByteSpan bytes) {
  WA_TRY(const auto message, signal::PreKeySignalMessage::parse(bytes));
  const auto known = phone_.memory.sessions.find(author);
  signal::Session session;
  if (known != phone_.memory.sessions.end()) session = known->second;
  const bool begins = !session.knows(message);
  PhoneKeys& own = keys();
  signal::Session::PreKeys pre_keys;
  if (message.signed_pre_key_id == own.signed_pre_key.id) {
    pre_keys.signed_pre_key = own.signed_pre_key.key;
  }
  if (message.pre_key_id) {
    const auto one_time = own.one_time.find(*message.pre_key_id);
    if (one_time != own.one_time.end()) pre_keys.one_time = one_time->second;
  }
  WA_TRY(Bytes plaintext, session.decrypt(local(), message, pre_keys, surroundings_.random));
  if (begins && message.pre_key_id) own.one_time.erase(*message.pre_key_id);
  phone_.memory.sessions.insert_or_assign(author, std::move(session));
  return plaintext;
}

bool PhonePeer::begin_session(const DeviceKey& device) {
  const std::optional<DeviceBundle> taken = surroundings_.take_bundle(device);
  if (!taken) return false;
  signal::PreKeyBundle bundle;
  bundle.registration_id = taken->registration_id;
  bundle.identity = taken->identity;
  bundle.signed_pre_key_id = taken->signed_pre_key_id;
  bundle.signed_pre_key = taken->signed_pre_key;
  bundle.signed_pre_key_signature = taken->signed_pre_key_signature;
  if (taken->one_time) bundle.one_time = {taken->one_time->id, taken->one_time->key};
  return begin_session(device, bundle);
}

bool PhonePeer::begin_session(const DeviceKey& device, const signal::PreKeyBundle& bundle) {
  signal::Session& session = phone_.memory.sessions[device];
  return session.initiate(local(), bundle, surroundings_.random).has_value();
}

std::optional<wire::NodeBuilder> PhonePeer::seal(const DeviceKey& reader,
                                                 const message::Envelope& envelope) {
  signal::Session& session = phone_.memory.sessions[reader];
  if (!session.has_current() && !begin_session(reader)) return std::nullopt;
  phone_.memory.earlier_sessions.insert_or_assign(reader, session);
  const Bytes padded = signal::pad(message::encode(envelope), surroundings_.random);
  const auto sealed = session.encrypt(local(), padded);
  if (!sealed) return std::nullopt;
  NodeBuilder enc("enc");
  enc.attr("v", "2").attr("type", sealed->pre_key ? "pkmsg" : "msg");
  const message::StanzaWords words = message::stanza_words(envelope.content);
  if (!words.media.empty()) enc.attr("mediatype", words.media);
  if (words.hide_failure) enc.attr("decrypt-fail", "hide");
  enc.bytes(sealed->bytes);
  return enc;
}

message::Envelope PhonePeer::addressed(const DeviceKey& reader,
                                       const PhoneMemory::Sent& sent) const {
  message::Envelope envelope = sent.envelope;
  const bool group = sent.chat.server == wire::kServerGroup;
  if (reader.phone_id == phone_.id && !sent.peer && !group) {
    envelope.sent_to = sent.chat.to_string();
  }
  return envelope;
}

void PhonePeer::spoil_session(const DeviceKey& device, SessionFault::Kind kind) {
  constexpr int kTooFar = 2001;
  auto& sessions = phone_.memory.sessions;
  const auto session = sessions.find(device);
  if (session == sessions.end()) return;
  switch (kind) {
    case SessionFault::Kind::stale: {
      const auto earlier = phone_.memory.earlier_sessions.find(device);
      if (earlier != phone_.memory.earlier_sessions.end()) session->second = earlier->second;
      break;
    }
    case SessionFault::Kind::lost: sessions.erase(session); break;
    case SessionFault::Kind::ahead:
      for (int i = 0; i < kTooFar; ++i) (void)session->second.encrypt(local(), {});
      break;
  }
}

}  // namespace wa::mock

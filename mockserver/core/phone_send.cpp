// What a phone sends: messages, what it tells a new companion, and what it sends again.

#include <algorithm>

#include "engine/protocol/signal/padding.hpp"
#include "mockserver/core/phone_peer.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// So often does a device get one message again.
constexpr std::uint32_t kMostResends = 5;

std::optional<std::uint32_t> number_in(const Node& parent, std::string_view tag,
                                       std::size_t bytes) {
  const Node* node = parent.child(tag);
  if (node == nullptr || node->bytes().size() != bytes) return std::nullopt;
  std::uint32_t number = 0;
  for (const std::byte byte : node->bytes()) number = number << 8 | std::to_integer<unsigned>(byte);
  return number;
}

template <std::size_t N>
std::optional<ByteArray<N>> bytes_in(const Node& parent, std::string_view tag) {
  const Node* node = parent.child(tag);
  if (node == nullptr) return std::nullopt;
  const auto bytes = fixed<N>(node->bytes(), tag);
  if (!bytes) return std::nullopt;
  return *bytes;
}

/// The bundle that a retry receipt carries; none when it has none, or a broken one.
std::optional<signal::PreKeyBundle> bundle_in(const Node& receipt) {
  const Node* keys = receipt.child("keys");
  const Node* signed_key = keys == nullptr ? nullptr : keys->child("skey");
  if (signed_key == nullptr) return std::nullopt;
  const auto registration_id = number_in(receipt, "registration", 4);
  const auto identity = bytes_in<32>(*keys, "identity");
  const auto signed_id = number_in(*signed_key, "id", 3);
  const auto signed_value = bytes_in<32>(*signed_key, "value");
  const auto signature = bytes_in<64>(*signed_key, "signature");
  if (!registration_id || !identity || !signed_id || !signed_value || !signature) {
    return std::nullopt;
  }
  signal::PreKeyBundle bundle;
  bundle.registration_id = *registration_id;
  bundle.identity = crypto::PublicKey{*identity};
  bundle.signed_pre_key_id = *signed_id;
  bundle.signed_pre_key = crypto::PublicKey{*signed_value};
  bundle.signed_pre_key_signature = *signature;
  if (const Node* one_time = keys->child("key")) {
    const auto id = number_in(*one_time, "id", 3);
    const auto value = bytes_in<32>(*one_time, "value");
    if (id && value) bundle.one_time = {*id, crypto::PublicKey{*value}};
  }
  return bundle;
}

NodeBuilder message_stanza(const std::string& id, const Jid& to, const message::Content& content) {
  const message::StanzaWords words = message::stanza_words(content);
  NodeBuilder stanza("message");
  stanza.attr("id", id).attr("to", to).attr("type", words.type);
  if (!words.edit.empty()) stanza.attr("edit", words.edit);
  return stanza;
}

}  // namespace

/// As phones make them: 16 random bytes in upper-case hex.
std::string PhonePeer::draw_id() {
  std::string id = to_hex(surroundings_.random.array<16>());
  std::transform(id.begin(), id.end(), id.begin(), [](char c) {
    return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return id;
}

Result<PhonePeer::Output> PhonePeer::send(const Outgoing& outgoing, Now now) {
  const std::string id = outgoing.id.empty() ? draw_id() : outgoing.id;
  const bool group = outgoing.chat.server == wire::kServerGroup;
  const Phone* account = group ? nullptr : surroundings_.accounts.find(outgoing.chat);
  if (!group && account == nullptr) {
    return Error{Errc::not_found, "nobody is called " + outgoing.chat.to_string()};
  }
  PhoneMemory::Sent sent{outgoing.chat.without_device(), {outgoing.content}, false, {}};
  WA_TRY_VOID(group ? send_to_group(sent, id) : send_direct(sent, id));
  const PhoneMessage& message =
      phone_.memory.log.add({.id = id,
                             .from_me = true,
                             .chat = group ? outgoing.chat.to_string() : account->jid().to_string(),
                             .from = shown({phone_.id, 0}),
                             .kind = std::string(message::kind_of(outgoing.content)),
                             .text = text_of(outgoing.content),
                             .about = subject_of(outgoing.content),
                             .at = now.wall});
  phone_.memory.remember(id, std::move(sent));
  note(Note::What::sent, message);
  return take();
}

Result<void> PhonePeer::send_direct(const PhoneMemory::Sent& sent, const std::string& id) {
  Accounts& accounts = surroundings_.accounts;
  const Phone& chat = *accounts.find(sent.chat);
  const Addressing form = addressing_of(sent.chat);
  std::vector<DeviceKey> readers = Accounts::devices(chat);
  if (chat.id != phone_.id) {
    for (const DeviceKey& device : Accounts::devices(phone_)) readers.push_back(device);
  }
  NodeBuilder participants("participants");
  bool any = false;
  for (const DeviceKey& reader : readers) {
    if (reader == DeviceKey{phone_.id, 0}) continue;
    auto enc = seal(reader, addressed(reader, sent));
    if (!enc) continue;
    any = true;
    participants.child(
        NodeBuilder("to").attr("jid", accounts.address(reader, form)).child(std::move(*enc)));
  }
  if (!any) {
    return Error{Errc::conflict, "no device of " + sent.chat.to_string() + " can be written to"};
  }
  NodeBuilder stanza = message_stanza(id, sent.chat, sent.envelope.content);
  output_.stanzas.push_back(std::move(stanza.child(std::move(participants))));
  return {};
}

// ---- groups
// --------------------------------------------------------------------------------------

/// The phone's key for a group. A new one when somebody has the old one who is no member any more.
PhoneMemory::OwnSenderKey& PhonePeer::sender_key_for(const std::string& group,
                                                     const GroupDevices& members) {
  auto& keys = phone_.memory.own_sender_keys;
  const auto known = keys.find(group);
  const auto is_member = [&](const DeviceKey& device) {
    return std::find(members.devices.begin(), members.devices.end(), device) !=
           members.devices.end();
  };
  if (known != keys.end() && std::all_of(known->second.distributed_to.begin(),
                                         known->second.distributed_to.end(), is_member)) {
    return known->second;
  }
  PhoneMemory::OwnSenderKey fresh{signal::SenderKey::create(surroundings_.random), {}};
  return keys.insert_or_assign(group, std::move(fresh)).first->second;
}

message::KeyDistribution PhonePeer::distribution_of(const std::string& group) const {
  const signal::SenderKey& key = phone_.memory.own_sender_keys.at(group).key;
  return {group, key.distribution().serialize()};
}

Result<void> PhonePeer::send_to_group(const PhoneMemory::Sent& sent, const std::string& id) {
  const std::optional<GroupDevices> members = surroundings_.group(sent.chat);
  const std::string group = sent.chat.to_string();
  if (!members) return Error{Errc::not_found, "this phone is in no group " + group};
  PhoneMemory::OwnSenderKey& own = sender_key_for(group, *members);
  const message::Envelope key_only{.content = message::Other{},
                                   .sender_key = distribution_of(group)};
  NodeBuilder participants("participants");
  bool any = false;
  for (const DeviceKey& reader : members->devices) {
    if (reader == DeviceKey{phone_.id, 0} || own.distributed_to.contains(reader)) continue;
    auto enc = seal(reader, key_only);
    if (!enc) continue;
    own.distributed_to.insert(reader);
    any = true;
    participants.child(NodeBuilder("to")
                           .attr("jid", surroundings_.accounts.address(reader, members->form))
                           .child(std::move(*enc)));
  }
  const Bytes padded = signal::pad(message::encode(sent.envelope), surroundings_.random);
  const auto sealed = own.key.encrypt(padded, surroundings_.random);
  if (!sealed) return Error{Errc::conflict, signal::to_string(sealed.error())};
  NodeBuilder stanza = message_stanza(id, sent.chat, sent.envelope.content);
  stanza.attr("addressing_mode", members->form == Addressing::lid ? "lid" : "pn");
  if (any) stanza.child(std::move(participants));
  NodeBuilder enc("enc");
  enc.attr("v", "2").attr("type", "skmsg");
  const message::StanzaWords words = message::stanza_words(sent.envelope.content);
  if (!words.media.empty()) enc.attr("mediatype", words.media);
  if (words.hide_failure) enc.attr("decrypt-fail", "hide");
  output_.stanzas.push_back(std::move(stanza.child(std::move(enc.bytes(*sealed)))));
  return {};
}

// ---- to a companion of its own
// -------------------------------------------------------------------

void PhonePeer::send_to_companion(std::uint16_t companion, message::Content content, Now now) {
  const DeviceKey device{phone_.id, companion};
  const std::string id = draw_id();
  PhoneMemory::Sent sent{phone_.jid(), {std::move(content)}, true, {}};
  auto enc = seal(device, sent.envelope);
  if (!enc) return;
  PhoneMessage& message =
      phone_.memory.log.add({.id = id,
                             .from_me = true,
                             .peer = true,
                             .chat = phone_.jid().to_string(),
                             .from = shown({phone_.id, 0}),
                             .kind = std::string(message::kind_of(sent.envelope.content)),
                             .at = now.wall});
  note(Note::What::sent, message, device);
  NodeBuilder stanza = message_stanza(id, phone_.jid(companion), sent.envelope.content);
  stanza.attr("category", "peer").child(std::move(*enc));
  phone_.memory.remember(id, std::move(sent));
  output_.stanzas.push_back(std::move(stanza));
}

PhonePeer::Output PhonePeer::welcome(std::uint16_t companion, message::HistoryNotice history,
                                     Now now) {
  if (!phone_.memory.app_state_key) {
    message::AppStateKeys::One key;
    key.id = to_bytes(surroundings_.random.array<6>());
    key.data = to_bytes(surroundings_.random.array<32>());
    key.raw_id = phone_.raw_id;
    key.current_index = phone_.next_key_index - 1;
    key.device_indexes = {0};
    for (const auto& [device, linked] : phone_.companions) {
      key.device_indexes.push_back(linked.key_index);
    }
    key.at = now.wall;
    phone_.memory.app_state_key = std::move(key);
  }
  phone_.memory.welcomed.insert(companion);
  send_to_companion(companion, message::AppStateKeys{{*phone_.memory.app_state_key}}, now);
  send_to_companion(companion, std::move(history), now);
  return take();
}

// ---- once more
// -----------------------------------------------------------------------------------

void PhonePeer::on_retry(const Node& receipt) {
  const auto from = receipt.jid("from");
  const auto participant = receipt.jid("participant");
  const std::optional<Jid> asks = participant ? participant : from;
  const auto device = asks ? surroundings_.accounts.device(*asks) : std::optional<DeviceKey>();
  const Node* retry = receipt.child("retry");
  if (!device || retry == nullptr) return;
  const std::string id(receipt.attr("id"));
  const auto sent = phone_.memory.sent.find(id);
  if (sent == phone_.memory.sent.end()) {
    return note(Note::What::refused, {.id = id}, *device, "nobody remembers this message");
  }
  std::uint32_t& resent = sent->second.resent[*device];
  if (resent == kMostResends) {
    return note(Note::What::refused, {.id = id}, *device, "asked for too often");
  }
  ++resent;
  signal::Session& session = phone_.memory.sessions[*device];
  if (const auto bundle = bundle_in(receipt)) {
    if (!begin_session(*device, *bundle)) {
      return note(Note::What::refused, {.id = id}, *device, "its keys are no good");
    }
  } else if (number_in(receipt, "registration", 4) != session.remote_registration_id()) {
    session.archive_current();  // it is not the device that it was
  }
  const auto count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(retry->number("count").value_or(1), kMostResends));
  resend(*device, *asks, id, sent->second, count);
}

void PhonePeer::resend(const DeviceKey& device, const Jid& as, const std::string& id,
                       PhoneMemory::Sent& sent, std::uint32_t count) {
  const bool group = sent.chat.server == wire::kServerGroup;
  message::Envelope envelope = addressed(device, sent);
  if (group && phone_.memory.own_sender_keys.contains(sent.chat.to_string())) {
    envelope.sender_key = distribution_of(sent.chat.to_string());
  }
  auto enc = seal(device, envelope);
  if (!enc) return note(Note::What::refused, {.id = id}, device, "there is no bundle of it");
  enc->attr("count", count);
  NodeBuilder stanza = message_stanza(id, group ? sent.chat : as, envelope.content);
  if (group) {
    stanza.attr("participant", as);
  } else if (sent.peer) {
    stanza.attr("category", "peer");
  } else {
    if (device.phone_id == phone_.id) stanza.attr("recipient", sent.chat);
    stanza.attr("device_fanout", "false");
  }
  output_.stanzas.push_back(std::move(stanza.child(std::move(*enc))));
  const PhoneMessage* message = phone_.memory.log.find(id, shown({phone_.id, 0}));
  note(Note::What::resent, message == nullptr ? PhoneMessage{.id = id} : *message, device);
}

}  // namespace wa::mock

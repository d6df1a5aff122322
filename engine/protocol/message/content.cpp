#include "engine/protocol/message/content.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/schema/message.pb.h"
#include "engine/protocol/schema/serialize.hpp"

namespace wa::message {
namespace {

/// Real ones have three: of a device of one's own, ephemeral, edited.
constexpr int kMostWrappings = 8;

enum ProtocolType : std::uint32_t {
  kRevoke = 0,
  kHistoryNotice = 5,
  kAppStateKeys = 6,
  kAppStateKeysWanted = 7,
  kEdit = 14,
};

Bytes owned(const std::string& field) {
  return to_bytes(field);
}

// ---- writing --------------------------------------------------------------------------------

void write(const Key& key, schema::MessageKey& to) {
  to.set_remote_jid(key.chat);
  to.set_from_me(key.from_me);
  to.set_id(key.id);
  if (!key.participant.empty()) to.set_participant(key.participant);
}

void write(const Text& text, schema::Message& to) {
  if (!text.extended && !text.quote && text.mentions.empty()) {
    to.set_conversation(text.text);
    return;
  }
  auto& extended = *to.mutable_extended_text_message();
  extended.set_text(text.text);
  if (text.quote) {
    auto& context = *extended.mutable_context_info();
    context.set_stanza_id(text.quote->id);
    context.set_participant(text.quote->author);
    context.mutable_quoted_message()->set_conversation(text.quote->text);
  }
  for (const std::string& jid : text.mentions) {
    extended.mutable_context_info()->add_mentioned_jid(jid);
  }
}

void write(const Reaction& reaction, schema::Message& to) {
  auto& message = *to.mutable_reaction_message();
  write(reaction.to, *message.mutable_key());
  message.set_text(reaction.emoji);
  message.set_sender_timestamp_ms(reaction.at.value);
}

void write(const Edit& edit, schema::Message& to) {
  auto& protocol = *to.mutable_protocol_message();
  write(edit.of, *protocol.mutable_key());
  protocol.set_type(kEdit);
  protocol.mutable_edited_message()->set_conversation(edit.text);
  protocol.set_timestamp_ms(edit.at.value);
}

void write(const Revoke& revoke, schema::Message& to) {
  auto& protocol = *to.mutable_protocol_message();
  write(revoke.of, *protocol.mutable_key());
  protocol.set_type(kRevoke);
}

void write(const Contact& contact, schema::Message& to) {
  to.mutable_contact_message()->set_display_name(contact.name);
  to.mutable_contact_message()->set_vcard(contact.vcard);
}

void write(const Location& location, schema::Message& to) {
  auto& message = *to.mutable_location_message();
  message.set_degrees_latitude(location.latitude);
  message.set_degrees_longitude(location.longitude);
  if (!location.name.empty()) message.set_name(location.name);
  if (!location.address.empty()) message.set_address(location.address);
}

void write(const AppStateKeys& share, schema::Message& to) {
  auto& protocol = *to.mutable_protocol_message();
  protocol.set_type(kAppStateKeys);
  auto& keys = *protocol.mutable_app_state_sync_key_share();
  for (const AppStateKeys::One& one : share.keys) {
    auto& key = *keys.add_keys();
    key.mutable_key_id()->set_key_id(schema::field(one.id));
    auto& data = *key.mutable_key_data();
    data.set_key_data(schema::field(one.data));
    data.set_timestamp(one.at.value);
    auto& fingerprint = *data.mutable_fingerprint();
    fingerprint.set_raw_id(one.raw_id);
    fingerprint.set_current_index(one.current_index);
    for (const std::uint32_t index : one.device_indexes) fingerprint.add_device_indexes(index);
  }
}

void write(const AppStateKeysWanted& wanted, schema::Message& to) {
  auto& protocol = *to.mutable_protocol_message();
  protocol.set_type(kAppStateKeysWanted);
  auto& request = *protocol.mutable_app_state_sync_key_request();
  for (const Bytes& id : wanted.ids) request.add_key_ids()->set_key_id(schema::field(id));
}

void write(const HistoryNotice& notice, schema::Message& to) {
  auto& protocol = *to.mutable_protocol_message();
  protocol.set_type(kHistoryNotice);
  auto& history = *protocol.mutable_history_sync_notification();
  history.set_sync_type(static_cast<std::uint32_t>(notice.type));
  history.set_chunk_order(notice.chunk_order);
  history.set_progress(notice.progress);
  if (!notice.inline_payload.empty()) {
    history.set_initial_hist_bootstrap_inline_payload(schema::field(notice.inline_payload));
    return;
  }
  history.set_direct_path(notice.direct_path);
  history.set_media_key(schema::field(notice.media_key));
  history.set_file_sha256(schema::field(notice.file_sha256));
  history.set_file_enc_sha256(schema::field(notice.file_enc_sha256));
  history.set_file_length(notice.file_bytes);
}

void write(const Other& other, schema::Message& to) {
  to.ParseFromArray(other.protobuf.data(), static_cast<int>(other.protobuf.size()));
}

// ---- reading --------------------------------------------------------------------------------

Key read(const schema::MessageKey& key) {
  return {.chat = key.remote_jid(),
          .from_me = key.from_me(),
          .id = key.id(),
          .participant = key.participant()};
}

/// What a text says, whichever of the two fields holds it.
const std::string& text_of(const schema::Message& message) {
  return message.has_extended_text_message() ? message.extended_text_message().text()
                                             : message.conversation();
}

Text read_text(const schema::Message& message) {
  Text text{.text = text_of(message), .extended = message.has_extended_text_message()};
  if (!text.extended) return text;
  const auto& context = message.extended_text_message().context_info();
  text.mentions.assign(context.mentioned_jid().begin(), context.mentioned_jid().end());
  if (context.has_stanza_id()) {
    text.quote = {.id = context.stanza_id(),
                  .author = context.participant(),
                  .text = text_of(context.quoted_message())};
  }
  return text;
}

AppStateKeys read(const schema::Message::AppStateSyncKeyShare& share) {
  AppStateKeys keys;
  for (const auto& key : share.keys()) {
    const auto& data = key.key_data();
    const auto& fingerprint = data.fingerprint();
    keys.keys.push_back({.id = owned(key.key_id().key_id()),
                         .data = owned(data.key_data()),
                         .raw_id = fingerprint.raw_id(),
                         .current_index = fingerprint.current_index(),
                         .device_indexes = {fingerprint.device_indexes().begin(),
                                            fingerprint.device_indexes().end()},
                         .at = UnixMillis{data.timestamp()}});
  }
  return keys;
}

AppStateKeysWanted read(const schema::Message::AppStateSyncKeyRequest& request) {
  AppStateKeysWanted wanted;
  for (const auto& id : request.key_ids()) wanted.ids.push_back(owned(id.key_id()));
  return wanted;
}

HistoryNotice read(const schema::Message::HistorySyncNotification& history) {
  return {.type = static_cast<HistoryNotice::Type>(history.sync_type()),
          .chunk_order = history.chunk_order(),
          .progress = history.progress(),
          .inline_payload = owned(history.initial_hist_bootstrap_inline_payload()),
          .direct_path = history.direct_path(),
          .media_key = owned(history.media_key()),
          .file_sha256 = owned(history.file_sha256()),
          .file_enc_sha256 = owned(history.file_enc_sha256()),
          .file_bytes = history.file_length()};
}

/// Empty where the kind of protocol message is none of ours.
std::optional<Content> read(const schema::Message::ProtocolMessage& protocol) {
  switch (protocol.type()) {
    case kRevoke: return Revoke{read(protocol.key())};
    case kEdit:
      return Edit{.of = read(protocol.key()),
                  .text = text_of(protocol.edited_message()),
                  .at = UnixMillis{protocol.timestamp_ms()}};
    case kHistoryNotice: return read(protocol.history_sync_notification());
    case kAppStateKeys: return read(protocol.app_state_sync_key_share());
    case kAppStateKeysWanted: return read(protocol.app_state_sync_key_request());
    default: return std::nullopt;
  }
}

Content read_content(const schema::Message& message) {
  if (message.has_conversation() || message.has_extended_text_message()) return read_text(message);
  if (message.has_reaction_message()) {
    const auto& reaction = message.reaction_message();
    return Reaction{.to = read(reaction.key()),
                    .emoji = reaction.text(),
                    .at = UnixMillis{reaction.sender_timestamp_ms()}};
  }
  if (message.has_contact_message()) {
    return Contact{.name = message.contact_message().display_name(),
                   .vcard = message.contact_message().vcard()};
  }
  if (message.has_location_message()) {
    const auto& location = message.location_message();
    return Location{.latitude = location.degrees_latitude(),
                    .longitude = location.degrees_longitude(),
                    .name = location.name(),
                    .address = location.address()};
  }
  if (message.has_protocol_message()) {
    if (auto content = read(message.protocol_message())) return *std::move(content);
  }
  return Other{schema::serialize(message)};
}

/// What this message is wrapped around; null when it is none of the wrappers.
const schema::Message* unwrap(const schema::Message& message) {
  if (message.has_device_sent_message()) return &message.device_sent_message().message();
  if (message.has_ephemeral_message()) return &message.ephemeral_message().message();
  if (message.has_view_once_message()) return &message.view_once_message().message();
  if (message.has_view_once_message_v2()) return &message.view_once_message_v2().message();
  if (message.has_document_with_caption_message()) {
    return &message.document_with_caption_message().message();
  }
  if (message.has_edited_message()) return &message.edited_message().message();
  return nullptr;
}

/// What stands beside the content, at whatever depth.
void read_companions(const schema::Message& message, Envelope& envelope) {
  if (message.has_sender_key_distribution_message()) {
    const auto& distribution = message.sender_key_distribution_message();
    envelope.sender_key = {
        .group = distribution.group_id(),
        .distribution = owned(distribution.axolotl_sender_key_distribution_message())};
  }
  if (message.has_message_context_info() && message.message_context_info().has_message_secret()) {
    envelope.secret = owned(message.message_context_info().message_secret());
  }
  if (message.has_device_sent_message()) {
    envelope.sent_to = message.device_sent_message().destination_jid();
  }
}

}  // namespace

std::string_view kind_of(const Content& content) {
  const auto rows = Overloaded{
      [](const Text&) { return "text"; },
      [](const Reaction&) { return "reaction"; },
      [](const Edit&) { return "edit"; },
      [](const Revoke&) { return "revoke"; },
      [](const Contact&) { return "contact"; },
      [](const Location&) { return "location"; },
      [](const AppStateKeys&) { return "app_state_keys"; },
      [](const AppStateKeysWanted&) { return "app_state_keys_wanted"; },
      [](const HistoryNotice&) { return "history_notice"; },
      [](const Other&) { return "other"; },
  };
  return std::visit(rows, content);
}

Bytes encode(const Envelope& envelope) {
  schema::Message message;
  schema::Message* inner = &message;
  if (envelope.sent_to) {
    message.mutable_device_sent_message()->set_destination_jid(*envelope.sent_to);
    inner = message.mutable_device_sent_message()->mutable_message();
  }
  std::visit([inner](const auto& content) { write(content, *inner); }, envelope.content);
  if (envelope.sender_key) {
    auto& distribution = *message.mutable_sender_key_distribution_message();
    distribution.set_group_id(envelope.sender_key->group);
    distribution.set_axolotl_sender_key_distribution_message(
        schema::field(envelope.sender_key->distribution));
  }
  if (!envelope.secret.empty()) {
    message.mutable_message_context_info()->set_message_secret(schema::field(envelope.secret));
  }
  return schema::serialize(message);
}

Result<Envelope> decode(ByteSpan protobuf) {
  WA_TRY(schema::Message message, schema::parse<schema::Message>(protobuf, "message"));
  Envelope envelope;
  const schema::Message* inner = &message;
  for (int wrappings = 0;; ++wrappings) {
    read_companions(*inner, envelope);
    const schema::Message* next = unwrap(*inner);
    if (next == nullptr) break;
    if (wrappings == kMostWrappings) {
      return Error{Errc::too_large,
                   "message: wrapped more than " + std::to_string(kMostWrappings) + " times"};
    }
    inner = next;
  }
  schema::Message content = *inner;
  content.clear_sender_key_distribution_message();
  content.clear_message_context_info();
  envelope.content = read_content(content);
  return envelope;
}

StanzaWords stanza_words(const Content& content) {
  const auto rows = Overloaded{
      [](const Reaction&) { return StanzaWords{.type = "reaction", .hide_failure = true}; },
      [](const Edit&) { return StanzaWords{.edit = "1", .hide_failure = true}; },
      [](const Revoke&) { return StanzaWords{.edit = "7"}; },
      [](const Contact&) { return StanzaWords{.type = "media", .media = "vcard"}; },
      [](const Location&) { return StanzaWords{.type = "media", .media = "location"}; },
      [](const auto&) { return StanzaWords{}; },
  };
  return std::visit(rows, content);
}

}  // namespace wa::message

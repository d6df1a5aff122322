// Phones in the tenant: what reaches them, what they send, what their users do.

#include "engine/base/overloaded.hpp"
#include "mockserver/core/history.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;

/// How many files of phones the tenant serves; clients fetch them soon or never.
constexpr std::size_t kMostMediaFiles = 1000;

std::string_view word_of(PhonePeer::Note::What what) {
  using What = PhonePeer::Note::What;
  switch (what) {
    case What::received: return "received";
    case What::unreadable: return "unreadable";
    case What::sent: return "sent";
    case What::resent: return "resent";
    case What::refused: return "refused";
    case What::receipt: return "receipt";
    case What::failed: return "failed";
  }
  WA_UNREACHABLE("a note without a word");
}

}  // namespace

std::optional<DeviceBundle> Tenant::Impl::take_bundle(const DeviceKey& device, Now now) {
  std::optional<DeviceBundle> bundle = accounts.take_bundle(device, random);
  const Companion* companion = accounts.companion(device);
  if (companion != nullptr && bundle->one_time && companion->prekeys.runs_low()) {
    tell_prekeys_low(device, now);
  }
  return bundle;
}

std::optional<GroupDevices> Tenant::Impl::group_devices(const Jid& jid,
                                                        const std::string& phone_id) {
  const Group* group = groups.find(jid);
  if (group == nullptr || !group->has(phone_id)) return std::nullopt;
  return GroupDevices{Groups::form_of(*group, accounts), Groups::devices(*group, accounts)};
}

PhonePeer Tenant::Impl::phone_peer(Phone& phone, Now now) {
  return PhonePeer(
      phone,
      {accounts, random, [this, now](const DeviceKey& device) { return take_bundle(device, now); },
       [this, id = phone.id](const Jid& group) { return group_devices(group, id); }});
}

void Tenant::Impl::deliver_to_phone(Phone& phone, const wire::Node& stanza, Now now) {
  if (refuses_to_read(phone, stanza, now)) return;
  carry(phone, phone_peer(phone, now).receive(stanza, now), now);
}

void Tenant::Impl::carry(const Phone& phone, PhonePeer::Output output, Now now) {
  const DeviceKey device{phone.id, 0};
  for (const PhonePeer::Note& note : output.notes) tell(phone, note, now);
  for (const wire::NodeBuilder& stanza : output.stanzas) {
    submit(device, frame_of(stanza).root(), now);
  }
}

/// An event, under the label of the device that it is about.
void Tenant::Impl::tell(const Phone& phone, const PhonePeer::Note& note, Now now) {
  std::vector<std::pair<std::string_view, std::string>> data = {
      {"phone", phone.number}, {"what", std::string(word_of(note.what))}, {"id", note.message.id}};
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) data.emplace_back(name, value);
  };
  add("chat", note.message.chat);
  add("from", note.message.from);
  add("kind", note.message.kind);
  add("text", note.message.text);
  add("about", note.message.about);
  add("detail", note.detail);
  Peer* peer = note.device && !note.device->is_phone() ? online(*note.device) : nullptr;
  if (peer != nullptr) {
    notice(EventKind::message, *peer, std::move(data), now);
    return;
  }
  const std::string name = note.device ? accounts.address(*note.device, Addressing::pn).to_string()
                                       : phone.jid().to_string();
  record(EventKind::message, 0, name, std::move(data));
}

// ---- what its user does
// --------------------------------------------------------------------------

void Tenant::Impl::send_message(RequestId request, const SendMessage& send, Now now) {
  Phone* phone = find_phone_for(request, send.phone);
  if (phone == nullptr) return;
  const auto chat = recipient_of(send.to);
  if (!chat) {
    answer(request, Problem{422, "bad_recipient", chat.error().detail,
                            "\"to\" is a number or a JID, such as 15550100002@s.whatsapp.net"});
    return;
  }
  const auto content = content_of(*phone, send, now);
  if (!content) {
    answer(request, Problem{404, "unknown_message", content.error().detail,
                            "GET /v1/phones/" + phone->id + "/messages lists what it has seen"});
    return;
  }
  auto output = phone_peer(*phone, now).send({*chat, *content, send.id}, now);
  if (!output) {
    const bool unknown = output.error().code == Errc::not_found;
    answer(request, Problem{unknown ? 404 : 409, unknown ? "unknown_recipient" : "no_devices",
                            output.error().detail, "GET /v1/phones lists the accounts"});
    return;
  }
  const std::string id = output->notes.front().message.id;
  carry(*phone, std::move(*output), now);
  answer(request, CommandResult{id});
}

/// Errors: `not_found`: a message that it is about, and that the phone has not seen.
Result<message::Content> Tenant::Impl::content_of(Phone& phone, const SendMessage& send, Now now) {
  const auto key_of = [&](const std::string& id) -> Result<message::Key> {
    const PhoneMessage* message = phone.memory.log.find(id);
    if (message == nullptr) {
      return Error{Errc::not_found, "this phone has seen no message \"" + id + "\""};
    }
    message::Key key{.chat = message->chat, .from_me = message->from_me, .id = id};
    const auto author = Jid::parse(message->from);
    const auto chat = Jid::parse(message->chat);
    if (author && chat && chat->server == wire::kServerGroup) {
      key.participant = author->without_device().to_string();
    }
    return key;
  };
  const auto rows = Overloaded{
      [&](const SayText& say) -> Result<message::Content> {
        message::Text text{.text = say.text};
        if (say.reply_to.empty()) return message::Content(std::move(text));
        const PhoneMessage* quoted = phone.memory.log.find(say.reply_to);
        if (quoted == nullptr) {
          return Error{Errc::not_found, "this phone has seen no message \"" + say.reply_to + "\""};
        }
        const auto author = Jid::parse(quoted->from);
        text.quote =
            message::Quote{.id = quoted->id,
                           .author = author ? author->without_device().to_string() : quoted->from,
                           .text = quoted->text};
        return message::Content(std::move(text));
      },
      [&](const React& react) -> Result<message::Content> {
        WA_TRY(message::Key key, key_of(react.id));
        return message::Content(message::Reaction{std::move(key), react.emoji, now.wall});
      },
      [&](const EditText& edit) -> Result<message::Content> {
        WA_TRY(message::Key key, key_of(edit.id));
        return message::Content(message::Edit{std::move(key), edit.text, now.wall});
      },
      [&](const RevokeMessage& revoke) -> Result<message::Content> {
        WA_TRY(message::Key key, key_of(revoke.id));
        return message::Content(message::Revoke{std::move(key)});
      },
      [](const SayRaw& raw) -> Result<message::Content> {
        return message::Content(message::Other{raw.protobuf});
      },
      [](const auto& content) -> Result<message::Content> { return message::Content(content); },
  };
  return std::visit(rows, send.what);
}

void Tenant::Impl::read_messages(RequestId request, const ReadMessages& read, Now now) {
  Phone* phone = find_phone_for(request, read.phone);
  if (phone == nullptr) return;
  carry(*phone, phone_peer(*phone, now).read(read.ids, now), now);
  answer(request, CommandResult{});
}

const std::deque<PhoneMessage>* Tenant::Impl::messages_of(std::string_view phone) const {
  const Phone* found = accounts.find(phone);
  return found == nullptr ? nullptr : &found->memory.log.messages();
}

// ---- a new companion
// -----------------------------------------------------------------------------

void Tenant::Impl::welcome(const DeviceKey& device, Now now) {
  Phone* phone = accounts.find(device.phone_id);
  const Companion* companion = accounts.companion(device);
  if (!settings.initial_history || phone == nullptr || companion == nullptr) return;
  if (phone->memory.welcomed.contains(device.device)) return;
  // Clients ask for what waits for them before their keys are up, or after: the phone waits for
  // both.
  const Peer* peer = online(device);
  if (peer == nullptr || !peer->offline_sent || companion->prekeys.empty()) return;
  message::HistoryNotice notice = history_for(*phone, *companion);
  carry(*phone, phone_peer(*phone, now).welcome(device.device, std::move(notice), now), now);
}

message::HistoryNotice Tenant::Impl::history_for(const Phone& phone, const Companion& companion) {
  std::vector<KnownPerson> known = {{phone.jid().to_string(), phone.lid().to_string(), phone.name}};
  for (const std::string& id : phone.contacts) {
    const Phone* contact = accounts.find(id);
    if (contact == nullptr || contact == &phone) continue;
    known.push_back({contact->jid().to_string(), contact->lid().to_string(), contact->name});
  }
  const Bytes history = initial_history(known);
  message::HistoryNotice notice;
  notice.chunk_order = 1;
  notice.progress = 100;
  if (companion.dictionary != wire::Dictionary::v2) {
    notice.inline_payload = history;
    return notice;
  }
  // Such clients read no inline payload: they fetch it.
  MediaFile file = seal_media(history, "WhatsApp History Keys", random);
  notice.direct_path = "/v/media/" + to_hex(ByteSpan(file.enc_sha256).first(16)) + ".enc?ccb=1";
  if (!options.name.empty()) notice.direct_path = "/t/" + options.name + notice.direct_path;
  notice.media_key = std::move(file.key);
  notice.file_sha256 = std::move(file.sha256);
  notice.file_enc_sha256 = std::move(file.enc_sha256);
  notice.file_bytes = history.size();
  const std::string path = notice.direct_path.substr(0, notice.direct_path.find('?'));
  media_.emplace(path, std::move(file.sealed));
  media_order_.push_back(path);
  if (media_order_.size() > kMostMediaFiles) {
    media_.erase(media_order_.front());
    media_order_.pop_front();
  }
  return notice;
}

const Bytes* Tenant::Impl::media(std::string_view target) const {
  // Some clients append further parameters whatever stands there already.
  const auto file = media_.find(target.substr(0, target.find_first_of("?&")));
  return file == media_.end() ? nullptr : &file->second;
}

}  // namespace wa::mock

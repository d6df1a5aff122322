#include "scenarios/stage/correspondence.hpp"

#include "engine/base/overloaded.hpp"
#include "mockserver/core/phone_commands.hpp"
#include "mockserver/core/phone_peer.hpp"
#include "scenarios/stage/wishes.hpp"

namespace wa::stage {

namespace json = boost::json;
using messaging::AppEvent;

namespace {

/// What devices tell each other is not for people.
bool for_people(const message::Content& content) {
  return !std::holds_alternative<message::AppStateKeys>(content) &&
         !std::holds_alternative<message::AppStateKeysWanted>(content) &&
         !std::holds_alternative<message::HistoryNotice>(content);
}

json::object data_of(const messaging::Origin& origin) {
  return {{"id", origin.id},
          {"chat", origin.chat.to_string()},
          {"from", origin.sender.to_string()},
          {"from_me", origin.from_me},
          {"offline", origin.replayed}};
}

std::string_view word(messaging::ReceiptKind kind) {
  switch (kind) {
    case messaging::ReceiptKind::delivered: return "delivered";
    case messaging::ReceiptKind::read: return "read";
    case messaging::ReceiptKind::played: return "played";
  }
  return "unknown";
}

Result<wire::Jid> recipient(std::string_view text) {
  if (text.find('@') == std::string_view::npos)
    return wire::Jid(std::string(text), wire::kServerPn);
  auto jid = wire::Jid::parse(text);
  if (!jid) return Error{Errc::usage, "\"" + std::string(text) + "\" is no JID"};
  return std::move(*jid);
}

}  // namespace

std::vector<Entry> entries_of(const AppEvent& event, Instant at) {
  std::vector<Entry> entries;
  const auto add = [&](std::string_view kind, json::object data) {
    if (event.seq != 0) data["seq"] = event.seq;
    entries.push_back({at, std::string(kind), std::move(data), {}});
  };
  std::visit(Overloaded{
                 [&](const messaging::MessageReceived& received) {
                   if (!for_people(received.content)) return;
                   json::object data = data_of(received.origin);
                   data["kind"] = message::kind_of(received.content);
                   data["text"] = mock::text_of(received.content);
                   if (const auto about = mock::subject_of(received.content); !about.empty()) {
                     data["about"] = about;
                   }
                   add("message", std::move(data));
                 },
                 [&](const messaging::MessageUnreadable& unreadable) {
                   json::object data = data_of(unreadable.origin);
                   data["text"] = unreadable.reason;
                   add("undecryptable", std::move(data));
                 },
                 [&](const messaging::ReceiptReceived& receipt) {
                   for (const std::string& id : receipt.ids) {
                     add("receipt", {{"id", id},
                                     {"kind", word(receipt.kind)},
                                     {"chat", receipt.chat.to_string()},
                                     {"from", receipt.reader.to_string()}});
                   }
                 },
                 [&](const messaging::PresenceSeen& seen) {
                   json::object data{{"from", seen.account.to_string()},
                                     {"kind", seen.available ? "available" : "unavailable"}};
                   if (seen.last_seen) data["last_seen"] = seen.last_seen->seconds();
                   add("presence", std::move(data));
                 },
                 [&](const messaging::TypingSeen& seen) {
                   add("typing", {{"from", seen.sender.to_string()},
                                  {"chat", seen.chat.to_string()},
                                  {"kind", to_string(seen.typing)}});
                 },
                 [](const messaging::SendAccepted&) {},
                 [](const messaging::GroupChanged&) {},
                 [](const messaging::GroupFailed&) {},
                 [&](const messaging::MessageSent& sent) {
                   json::object data{{"id", sent.id}, {"to", sent.to.to_string()}};
                   if (sent.skipped_devices > 0) data["skipped_devices"] = sent.skipped_devices;
                   add("sent", std::move(data));
                 },
                 [&](const messaging::SendFailed& failed) {
                   json::object data{
                       {"id", failed.id}, {"to", failed.to.to_string()}, {"reason", failed.reason}};
                   if (failed.code) data["code"] = *failed.code;
                   add("send_failed", std::move(data));
                 },
                 [&](const messaging::IdentityChanged& changed) {
                   add("identity_changed", {{"account", changed.account.to_string()}});
                 },
                 [&](const messaging::RollbackSuspected& suspected) {
                   add("rollback_suspected", {{"evidence", suspected.evidence}});
                 },
             },
             event.what);
  return entries;
}

void Correspondence::remember(const std::string& id, Known known) {
  if (known_.insert_or_assign(id, std::move(known)).second) order_.push_back(id);
  if (order_.size() <= kMost) return;
  known_.erase(order_.front());
  order_.pop_front();
}

void Correspondence::note(const AppEvent& event) {
  const auto* received = std::get_if<messaging::MessageReceived>(&event.what);
  if (!received) return;
  const messaging::Origin& origin = received->origin;
  remember(origin.id,
           {origin.chat, origin.sender, origin.from_me, mock::text_of(received->content)});
}

void Correspondence::said(const std::string& id, const messaging::SendRequested& request) {
  remember(id, {request.to, {}, true, mock::text_of(request.content)});
}

Result<const Correspondence::Known*> Correspondence::find(const std::string& id) const {
  const auto found = known_.find(id);
  if (found == known_.end()) {
    return Error{Errc::not_found, "this process has neither sent nor received \"" + id + "\""};
  }
  return &found->second;
}

message::Key Correspondence::key_of(const std::string& id, const Known& known) const {
  message::Key key{.chat = known.chat.to_string(), .from_me = known.from_me, .id = id};
  const bool in_group = known.chat.server == wire::kServerGroup;
  if (in_group && !known.from_me) key.participant = known.sender.without_device().to_string();
  return key;
}

Result<messaging::SendRequested> Correspondence::send(const json::object& message,
                                                      std::string_view me, UnixMillis at) const {
  WA_TRY_VOID(check_message(message));
  WA_TRY(mock::SendMessage parsed, mock::SendMessage::parse({}, message));
  messaging::SendRequested request;
  request.id = std::move(parsed.id);
  WA_TRY(request.to, recipient(parsed.to));
  const auto key_to = [&](const std::string& id) -> Result<message::Key> {
    WA_TRY(const Known* known, find(id));
    return key_of(id, *known);
  };
  const auto content = [&](auto& what) -> Result<message::Content> {
    using What = std::remove_reference_t<decltype(what)>;
    if constexpr (std::is_same_v<What, mock::SayText>) {
      message::Text text{.text = std::move(what.text)};
      if (what.reply_to.empty()) return text;
      WA_TRY(const Known* known, find(what.reply_to));
      wire::Jid author = known->sender;
      if (author.server.empty()) {
        WA_TRY(author, recipient(me));
      }
      text.quote = message::Quote{what.reply_to, author.without_device().to_string(), known->text};
      return text;
    } else if constexpr (std::is_same_v<What, mock::React>) {
      WA_TRY(message::Key key, key_to(what.id));
      return message::Reaction{std::move(key), std::move(what.emoji), at};
    } else if constexpr (std::is_same_v<What, mock::EditText>) {
      WA_TRY(message::Key key, key_to(what.id));
      return message::Edit{std::move(key), std::move(what.text), at};
    } else if constexpr (std::is_same_v<What, mock::RevokeMessage>) {
      WA_TRY(message::Key key, key_to(what.id));
      return message::Revoke{std::move(key)};
    } else if constexpr (std::is_same_v<What, mock::SayRaw>) {
      return message::Other{std::move(what.protobuf)};
    } else {
      return std::move(what);
    }
  };
  WA_TRY(request.content, std::visit(content, parsed.what));
  return request;
}

Result<std::vector<messaging::ReadRequested>> Correspondence::read(
    std::string_view chat, const std::vector<std::string>& ids) const {
  WA_TRY(const wire::Jid jid, recipient(chat));
  std::vector<messaging::ReadRequested> requests;
  for (const std::string& id : ids) {
    std::optional<wire::Jid> sender;
    if (jid.server == wire::kServerGroup) {
      WA_TRY(const Known* known, find(id));
      sender = known->sender;
    }
    if (requests.empty() || requests.back().sender != sender) {
      requests.push_back({jid, sender, {}});
    }
    requests.back().ids.push_back(id);
  }
  return requests;
}

}  // namespace wa::stage

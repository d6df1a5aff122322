// A tenant's accounts and groups as JSON text, and back.

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <unordered_map>

#include "mockserver/core/legible.hpp"
#include "mockserver/core/saved_member.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

namespace json = boost::json;

namespace {

/// Senders that are remembered across a restart: of messages that are still asked for, mostly.
constexpr std::size_t kMostSavedSenders = 2000;

}  // namespace

json::array Tenant::Impl::save_sent() const {
  json::array saved;
  const std::size_t passed_over =
      sent_order_.size() - std::min(sent_order_.size(), kMostSavedSenders);
  std::unordered_map<std::string_view, std::size_t> seen;  // so many accounts that used the id
  for (std::size_t i = 0; i < sent_order_.size(); ++i) {
    const std::string& id = sent_order_[i];
    const Sent& sent = sent_.at(id)[seen[id]++];
    if (i < passed_over) continue;
    saved.push_back(json::object{{"id", legible(id)},
                                 {"account", sent.device.phone_id},
                                 {"device", sent.device.device},
                                 {"chat", legible(sent.chat.to_string())}});
  }
  return saved;
}

Result<void> Tenant::Impl::load_sent(const json::array& saved) {
  sent_.clear();
  sent_order_.clear();
  for (const json::value& entry : saved) {
    if (!entry.is_object()) return Error{Errc::malformed, "accounts: a sender is no object"};
    const json::object& object = entry.get_object();
    Sent sent;
    WA_TRY(const std::string id, SavedMember(object, "id").text());
    WA_TRY(sent.device.phone_id, SavedMember(object, "account").text());
    WA_TRY(const std::uint32_t device, SavedMember(object, "device").number());
    sent.device.device = static_cast<std::uint16_t>(device);
    WA_TRY(const std::string chat, SavedMember(object, "chat").text());
    WA_TRY(sent.chat, wire::Jid::parse(chat));
    remember(id, std::move(sent));
  }
  return {};
}

std::string Tenant::Impl::save() const {
  return json::serialize(json::object{{"version", 1},
                                      {"phones", accounts.save()},
                                      {"groups", groups.save()},
                                      {"senders", save_sent()},
                                      {"next_stanza_id", next_stanza_id_}});
}

Result<void> Tenant::Impl::load(std::string_view text) {
  boost::system::error_code failure;
  const json::value parsed = json::parse(text, failure);
  if (failure || !parsed.is_object()) {
    return Error{Errc::malformed, "accounts: not a JSON object"};
  }
  const json::object& saved = parsed.get_object();
  WA_TRY(const json::array phones, SavedMember(saved, "phones").list());
  // These were not saved always.
  json::array saved_groups;
  if (saved.contains("groups")) {
    WA_TRY(saved_groups, SavedMember(saved, "groups").list());
  }
  json::array senders;
  if (saved.contains("senders")) {
    WA_TRY(senders, SavedMember(saved, "senders").list());
  }
  std::int64_t next_stanza_id = 1;
  if (saved.contains("next_stanza_id")) {
    WA_TRY(next_stanza_id, SavedMember(saved, "next_stanza_id").whole());
  }
  Accounts loaded;
  WA_TRY_VOID(loaded.load(phones));
  WA_TRY_VOID(groups.load(saved_groups));
  WA_TRY_VOID(load_sent(senders));
  next_stanza_id_ = static_cast<std::uint64_t>(next_stanza_id);
  accounts = std::move(loaded);
  return {};
}

std::string Tenant::save() const {
  return impl_->save();
}

Result<void> Tenant::load(std::string_view text) {
  return impl_->load(text);
}

}  // namespace wa::mock

// Presence and chat states: worth nothing later, never queued, never acknowledged.
// Source: docs/protocol/routing.md, "Presence".

#include "mockserver/core/presence.hpp"

#include "engine/base/limits.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

// ---- the board ---------------------------------------------------------------------------------

std::vector<PresenceBoard::Follower> PresenceBoard::set(const DeviceKey& device, bool available,
                                                        UnixMillis at) {
  Board& board = boards_[device.phone_id];
  const bool before = !board.available.empty();
  if (available) {
    board.available.insert(device);
  } else {
    board.available.erase(device);
  }
  const bool after = !board.available.empty();
  if (before == after) return {};
  if (!after) board.last_seen = at;
  std::vector<Follower> followers;
  for (const auto& [follower, asked_for] : board.followers) {
    followers.push_back({follower, asked_for});
  }
  return followers;
}

bool PresenceBoard::follow(const DeviceKey& follower, const std::string& phone_id,
                           const Jid& asked_for) {
  std::set<std::string>& followed = following_[follower];
  if (followed.size() >= limits::kMaxPresenceSubscriptions && !followed.contains(phone_id)) {
    return false;
  }
  followed.insert(phone_id);
  boards_[phone_id].followers.insert_or_assign(follower, asked_for);
  return true;
}

void PresenceBoard::unfollow(const DeviceKey& follower, const std::string& phone_id) {
  if (const auto found = following_.find(follower); found != following_.end()) {
    found->second.erase(phone_id);
  }
  boards_[phone_id].followers.erase(follower);
}

void PresenceBoard::forget(const DeviceKey& device) {
  const auto followed = following_.extract(device);
  if (!followed) return;
  for (const std::string& phone_id : followed.mapped()) boards_[phone_id].followers.erase(device);
}

bool PresenceBoard::available(const std::string& phone_id) const {
  const auto board = boards_.find(phone_id);
  return board != boards_.end() && !board->second.available.empty();
}

std::optional<UnixMillis> PresenceBoard::last_seen(const std::string& phone_id) const {
  const auto board = boards_.find(phone_id);
  return board == boards_.end() ? std::nullopt : board->second.last_seen;
}

// ---- stanzas -----------------------------------------------------------------------------------

void Tenant::Impl::tell_presence(const DeviceKey& follower, const std::string& phone_id,
                                 const Jid& asked_for, Now now) {
  NodeBuilder presence("presence");
  presence.attr("from", asked_for);
  if (!presences.available(phone_id)) {
    presence.attr("type", "unavailable");
    const auto last = presences.last_seen(phone_id);
    presence.attr("last", last ? std::to_string(last->seconds()) : "none");
  }
  deliver_now(follower, std::move(presence), now);
}

void Tenant::Impl::set_presence(const DeviceKey& device, bool available, Now now) {
  for (const auto& follower : presences.set(device, available, now.wall)) {
    tell_presence(follower.device, device.phone_id, follower.asked_for, now);
  }
}

void Tenant::Impl::on_presence(const DeviceKey& sender, const Node& presence, Now now) {
  const std::string_view type = presence.attr("type");
  if (type.empty() || type == "available" || type == "unavailable") {
    Phone* phone = accounts.find(sender.phone_id);
    if (const std::string name = presence.printed("name"); !name.empty()) {
      phone->push_name = legible(name, limits::kMaxPhoneNameBytes);
    }
    set_presence(sender, type != "unavailable", now);
    return;
  }
  const bool follow = type == "subscribe";
  const auto to = presence.jid("to");
  if ((!follow && type != "unsubscribe") || !to) {
    blame(sender, "presence-shape",
          "type \"" + presence.printed("type") + "\", to \"" + presence.printed("to") + "\"",
          presence);
    return;
  }
  const Phone* followed = accounts.find(*to);
  if (followed == nullptr) return;  // of a group, or of a stranger: nobody ever comes
  if (!follow) {
    presences.unfollow(sender, followed->id);
  } else if (presences.follow(sender, followed->id, to->without_device())) {
    tell_presence(sender, followed->id, to->without_device(), now);
  }
}

void Tenant::Impl::on_chatstate(const DeviceKey& sender, const Node& chatstate, Now now) {
  const auto to = chatstate.jid("to");
  const Node* state = chatstate.first_child();
  if (!to || chatstate.children().size() != 1 ||
      (state->tag != "composing" && state->tag != "paused")) {
    blame(sender, "chatstate-shape", "exactly one of <composing/> and <paused/> is wanted, and to",
          chatstate);
    return;
  }
  const Phone& own = *accounts.find(sender.phone_id);
  const Phone* chat = accounts.find(*to);
  const Group* group = groups.find(*to);
  if (chat == nullptr && (group == nullptr || !group->has(own.id))) return;
  const std::vector<DeviceKey> readers =
      chat != nullptr ? Accounts::devices(*chat) : Groups::devices(*group, accounts);
  for (const DeviceKey& reader : readers) {
    if (reader.is_phone() || reader == sender) continue;
    NodeBuilder shown("chatstate");
    if (group != nullptr) {
      shown.attr("from", group->jid());
      shown.attr("participant", own.address(Groups::form_of(*group, accounts)));
    } else {
      shown.attr("from", own.address(accounts.form_for(reader)));
    }
    deliver_now(reader, std::move(shown.child(NodeBuilder::copy_of(*state))), now);
  }
}

// ---- what users of phones show -----------------------------------------------------------------

void Tenant::Impl::show_presence(RequestId request, const ShowPresence& shown, Now now) {
  const Phone* phone = find_phone_for(request, shown.phone);
  if (phone == nullptr) return;
  set_presence({phone->id, 0}, shown.available, now);
  answer(request, CommandResult{});
}

void Tenant::Impl::show_typing(RequestId request, const ShowTyping& shown, Now now) {
  using What = ShowTyping::What;
  const Phone* phone = find_phone_for(request, shown.phone);
  if (phone == nullptr) return;
  const auto chat = recipient_of(shown.to);
  if (!chat) {
    answer(request, Problem{422, "bad_recipient", chat.error().detail,
                            "\"to\" is a number or a JID, such as 15550100002@s.whatsapp.net"});
    return;
  }
  NodeBuilder state(shown.what == What::paused ? "paused" : "composing");
  if (shown.what == What::recording) state.attr("media", "audio");
  const NodeBuilder stanza = NodeBuilder("chatstate").attr("to", *chat).child(std::move(state));
  on_chatstate({phone->id, 0}, frame_of(stanza).root(), now);
  answer(request, CommandResult{});
}

}  // namespace wa::mock

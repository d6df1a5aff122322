#include "scenarios/stage/message_invariants.hpp"

#include <algorithm>
#include <array>

#include "engine/protocol/wire/jid.hpp"
#include "scenarios/stage/event_data.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::stage {

namespace json = boost::json;
using mock::EventKind;

namespace {

/// Faults after which what was sent need not arrive, or cannot be read.
constexpr auto kLosing = std::to_array<std::string_view>(
    {"drop", "withhold", "mute", "blackhole", "mutate", "corrupt", "corrupt_enc", "identity_change",
     "stall", "deep", "prekeys", "bundle", "sender_key", "session", "lid", "disk"});
/// Faults that change the order of stanzas.
constexpr auto kReordering = std::to_array<std::string_view>({"reorder", "delay", "swap_frames"});
/// Faults by which more stanzas come to a client than the server's events tell of.
constexpr auto kAdding =
    std::to_array<std::string_view>({"dup", "inject", "repeat_frame", "mutate"});
/// Stanzas of the server that want an ack.
constexpr auto kWantsAck =
    std::to_array<std::string_view>({"message", "receipt", "notification", "call"});
/// What devices tell each other, and no application.
constexpr auto kBetweenDevices = std::to_array<std::string_view>(
    {"app_state_keys", "app_state_keys_wanted", "history_notice", "other"});

template <std::size_t kCount>
bool among(const std::array<std::string_view, kCount>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::optional<std::int64_t> seq_of(const json::object& object) {
  const json::value* value = object.if_contains("seq");
  if (!value || !value->is_number()) return {};
  return value->to_number<std::int64_t>();
}

}  // namespace

MessageInvariants::MessageKey MessageInvariants::key_of(std::string_view from,
                                                        std::string_view id) const {
  return server_.account(from) + "/" + std::string(id);
}

MessageInvariants::Written* MessageInvariants::find_written(const MessageKey& key) {
  const auto found = written_at_.find(key);
  return found == written_at_.end() ? nullptr : &written_[found->second];
}

bool MessageInvariants::has_fault(std::span<const std::string_view> kinds) const {
  return std::ranges::any_of(server_.fault_kinds(), [&](const auto& kind) {
    return std::ranges::find(kinds, kind.second) != kinds.end();
  });
}

// ---- devices ------------------------------------------------------------------------------------

void MessageInvariants::said(const Device& device, const Entry& entry) {
  Heard& heard = heard_[device.name()];
  if (entry.kind == "message") return on_message(device, entry);
  if (entry.kind == "undecryptable") {
    heard.unreadable.insert(key_of(text(entry.data, "from"), text(entry.data, "id")));
  } else if (entry.kind == "state") {
    const bool connected = text(entry.data, "state") == "connected";
    if (!connected) {
      heard.connected_since.reset();
    } else if (!heard.connected_since) {
      heard.connected_since = entry.at;
    }
  } else if (entry.kind == "killed" || entry.kind == "exited" || entry.kind == "held") {
    heard.connected_since.reset();
  }
}

void MessageInvariants::on_message(const Device& device, const Entry& entry) {
  Heard& heard = heard_[device.name()];
  const std::string_view id = text(entry.data, "id");
  const MessageKey key = key_of(text(entry.data, "from"), id);
  const auto seq = seq_of(entry.data);
  const auto [known, added] = heard.messages.emplace(key, seq);
  if (!added) {
    // The same event again, to another process: it is safe only once that has said so.
    if (seq && known->second == seq) return;
    return break_("exactly-once-to-app", device.name(),
                  "told its application twice of message " + std::string(id) + " from " +
                      std::string(text(entry.data, "from")),
                  entry.at);
  }
  const Written* written = find_written(key);
  if (!written || written->again || heard.unreadable.contains(key)) return;
  std::uint64_t& latest = heard.places[written->phone + " " + written->chat];
  if (written->place < latest && !has_fault(kReordering)) {
    break_("exactly-once-to-app", device.name(),
           "told its application of message " + std::string(id) + " behind a later one of its chat",
           entry.at);
  }
  latest = std::max(latest, written->place);
}

// ---- the server ---------------------------------------------------------------------------------

void MessageInvariants::noticed(const ServerEntry& entry) {
  const std::string_view label = server_.label_of(entry);
  switch (entry.event.kind) {
    case EventKind::message: return on_phone(entry.event, entry.at);
    case EventKind::stanza_in:
    case EventKind::stanza_out: return on_stanza(entry);
    case EventKind::success: {
      Heard& heard = heard_[std::string(label)];
      const std::string_view jid = datum(entry.event, "jid");
      if (heard.jid == jid) return;
      heard.jid = jid;
      heard.linked_at = entry.at;
      return;
    }
    case EventKind::unlink:
      for (auto& [name, heard] : heard_) {
        if (heard.jid == entry.event.device) heard.jid.clear();
      }
      return;
    case EventKind::closed: {
      const auto owed = owed_.find(entry.event.connection);
      if (owed == owed_.end()) return;
      check_owed(owed->second, entry.at);
      owed_.erase(owed);
      return;
    }
    default: return;
  }
}

void MessageInvariants::on_phone(const mock::TenantEvent& event, Instant at) {
  const std::string phone(datum(event, "phone"));
  const std::string_view what = datum(event, "what");
  const std::string id(datum(event, "id"));
  if (what == "sent") {
    if (among(kBetweenDevices, datum(event, "kind"))) return;
    const auto [place, added] = written_at_.try_emplace(phone + "/" + id, written_.size());
    if (!added) return;
    std::string chat(datum(event, "chat"));
    std::vector<std::string> members = server_.members_of(chat);
    written_.push_back({id, phone, std::move(chat), std::move(members), at, written_.size() + 1});
  } else if (what == "resent" || what == "refused") {
    if (Written* written = find_written(phone + "/" + id)) written->again = true;
  } else if (what == "failed") {
    if (Written* written = find_written(phone + "/" + id)) written->failed = true;
  } else if (what == "received") {
    read_by_phones_.insert(phone + " " + key_of(datum(event, "from"), id));
  } else if (what == "unreadable" && datum(event, "detail").starts_with("duplicate")) {
    // A message that it has had before is confirmed again and no more.
    const std::string from(datum(event, "from"));
    if (has_fault(kLosing) || read_by_phones_.contains(phone + " " + key_of(from, id))) return;
    for (const auto& [label, heard] : heard_) {
      if (heard.jid.empty() || !server_.is(from, heard.jid)) continue;
      break_("no-key-reuse", label,
             "encrypted message " + id + " with a key that it had used before", at);
    }
  }
}

void MessageInvariants::on_stanza(const ServerEntry& entry) {
  const mock::TenantEvent& event = entry.event;
  const std::string_view tag = datum(event, "tag");
  const std::string id(datum(event, "id"));
  if (event.connection == 0 || id.empty()) return;
  if (event.kind == EventKind::stanza_out) {
    if (!among(kWantsAck, tag)) return;
    Owed& owed = owed_[event.connection];
    owed.label = server_.label_of(entry);
    owed.stanzas[id].push_back({entry.at, tag == "message"});
    return;
  }
  if (tag == "message") return on_sender_key(entry);
  if (tag != "ack" && tag != "receipt") return;
  Owed& owed = owed_[event.connection];
  const auto found = owed.stanzas.find(id);
  if (tag == "receipt") {
    if (found == owed.stanzas.end()) return;
    for (Wanting& wanting : found->second) wanting.confirmed = wanting.message;
    return;
  }
  if (found == owed.stanzas.end()) {
    if (has_fault(kAdding)) return;
    return break_("acks-well-formed", server_.label_of(entry),
                  "acknowledged " + id + ", which was not sent to it, or once more than that",
                  entry.at);
  }
  found->second.erase(found->second.begin());
  if (found->second.empty()) owed.stanzas.erase(found);
}

/// The same bytes may come twice; other ones under the same key and iteration give both away.
void MessageInvariants::on_sender_key(const ServerEntry& entry) {
  const std::string_view use = datum(entry.event, "sender_key");
  const std::size_t digest = use.rfind('/');
  if (digest == std::string_view::npos) return;
  const std::string_view label = server_.label_of(entry);
  const std::string key = std::string(label) + " " + std::string(use.substr(0, digest));
  const auto [known, added] = sender_keys_.emplace(key, use.substr(digest));
  if (added || known->second == use.substr(digest)) return;
  break_("no-key-reuse", label,
         "encrypted group message " + std::string(datum(entry.event, "id")) +
             " with a sender key and iteration that it had used before",
         entry.at);
}

bool MessageInvariants::is_for(const Written& written, std::string_view jid) const {
  if (server_.is(jid, written.chat) || server_.is(jid, written.phone)) return true;
  return std::ranges::find(written.members, server_.account(jid)) != written.members.end();
}

// ---- the end ------------------------------------------------------------------------------------

void MessageInvariants::check_owed(const Owed& owed, Instant at) {
  if (has_fault(kLosing)) return;
  const Heard& heard = heard_[owed.label];
  if (!heard.connected_since || at - *heard.connected_since < within_) return;
  std::map<std::string_view, Instant> late;  // one report must not depend on hashes
  for (const auto& [id, wanting] : owed.stanzas) {
    for (const Wanting& one : wanting) {
      if (!one.confirmed && at - one.since >= within_) late.emplace(id, one.since);
    }
  }
  for (const auto& [id, since] : late) {
    break_("acks-well-formed", owed.label,
           "has not acknowledged " + std::string(id) + ", for " + to_text(at - since), at);
  }
}

void MessageInvariants::check_sends(Instant at) {
  for (const Device* device : devices_) {
    const Heard& heard = heard_[device->name()];
    if (!heard.connected_since || at - *heard.connected_since < within_) continue;
    for (const Sending& sending : device->sends()) {
      if (sending.state != Sending::State::accepted || at - sending.asked_at < within_) continue;
      break_("nothing-lost", device->name(),
             "accepted message " + sending.id +
                 " and neither sent it nor said that it failed, for " +
                 to_text(at - sending.asked_at),
             at);
    }
  }
}

void MessageInvariants::check_written(Instant at) {
  for (const auto& [label, heard] : heard_) {
    if (heard.jid.empty() || !heard.connected_since || at - *heard.connected_since < within_) {
      continue;
    }
    for (const Written& written : written_) {
      if (written.failed || !is_for(written, heard.jid)) continue;
      if (written.at < heard.linked_at || at - written.at < within_) continue;
      const MessageKey key = written.phone + "/" + written.id;
      if (heard.messages.contains(key) || heard.unreadable.contains(key)) continue;
      break_("nothing-lost", label,
             "was not told of message " + written.id + " of phone " + written.phone + ", sent " +
                 to_text(at - written.at) + " before",
             at);
    }
  }
}

void MessageInvariants::end(Instant at) {
  for (const auto& [connection, owed] : owed_) check_owed(owed, at);
  if (has_fault(kLosing)) return;
  check_sends(at);
  check_written(at);
}

}  // namespace wa::stage

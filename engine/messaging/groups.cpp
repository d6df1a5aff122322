#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"
#include "engine/protocol/signal/padding.hpp"

/// Groups: a message is encrypted once, with a key of ours that every device of every member has.
/// Who is new gets the key beside the message, pairwise; when somebody has left, there is a new
/// key. Source: docs/protocol/delivery.md, "Groups".
namespace wa::messaging {
namespace {

using wire::Jid;
using wire::NodeBuilder;

RecordKey group_record(const Jid& group) {
  return {std::string(kGroupKind), group.to_string()};
}

RecordKey key_record(const Jid& group) {
  return {std::string(kGroupKeyKind), group.to_string()};
}

std::string holder(const Peer& peer, std::uint16_t device) {
  return peer.keys(device).front();
}

}  // namespace

// ---- who is in it ---------------------------------------------------------------------------

NodeBuilder Messenger::Impl::group_query(const Jid& group) {
  return NodeBuilder("iq")
      .attr("xmlns", "w:g2")
      .attr("type", "get")
      .attr("to", group)
      .child(NodeBuilder("query").attr("request", "interactive"));
}

Attempt<void> Messenger::Impl::handle(const GroupArrived& arrived, Work&) {
  if (!arrived.answer) return {};
  return learn_group(*arrived.answer);
}

Attempt<void> Messenger::Impl::learn_group(const GroupAnswer& answer) {
  std::vector<RecordKey> names;
  for (const GroupAnswer::Member& member : answer.members) {
    add_name_keys(member.jid, names);
    if (member.alias) add_name_keys(*member.alias, names);
  }
  WA_TRY_VOID(records_.need(names));
  Group group{.by_lid = answer.by_lid, .at = now_.wall};
  std::set<Jid> seen;  // somebody may be in it twice
  for (const GroupAnswer::Member& member : answer.members) {
    WA_TRY(const Peer peer, peer_of(member.jid, member.alias));
    if (seen.insert(peer.jid()).second) group.members.push_back(peer.jid());
  }
  records_.put(group_record(answer.asked), group.encode());
  return {};
}

/// Empty: the server does not say who is in it.
Attempt<std::optional<Group>> Messenger::Impl::group_of(const Jid& jid, const Work& work) {
  WA_TRY(const Bytes* record, records_.read(group_record(jid)));
  std::optional<Group> known;
  if (record) {
    if (auto group = Group::decode(*record)) known = std::move(*group);
  }
  if (known && is_recent(known->at)) return known;
  const Fetch fetch{Fetch::What::group, jid};
  if (!work.tried.contains(fetch)) return Blocked{.fetches = {fetch}};
  return known;
}

void Messenger::Impl::forget_group(const Jid& group) {
  records_.erase(group_record(group));
  // Who had asked and has not used the answer asks again: it is of before.
  for (auto& [name, lane] : lanes_) {
    for (Work& work : lane.queue) work.tried.erase({Fetch::What::group, group});
  }
}

/// Every device of every member but this one, without sessions.
Attempt<std::vector<Messenger::Impl::Target>> Messenger::Impl::members_of(const Group& group,
                                                                          const Work& work) {
  std::vector<RecordKey> keys;
  for (const Jid& member : group.members) add_name_keys(member, keys);
  WA_TRY_VOID(records_.need(keys));
  std::vector<Peer> peers{self()};
  for (const Jid& member : group.members) {
    WA_TRY(Peer peer, peer_of(member));
    if (!peer.self) peers.push_back(std::move(peer));
  }
  keys.clear();
  for (const Peer& peer : peers) add_device_list_keys(peer, keys);
  WA_TRY_VOID(records_.need(keys));

  const Jid family("", group.by_lid ? wire::kServerLid : wire::kServerPn);
  std::vector<Target> targets;
  Blocked blocked;
  for (const Peer& peer : peers) {
    WA_TRY(const bool distrusted, is_distrusted(peer));
    if (distrusted) continue;
    const Jid name = peer.jid_like(family);
    WA_TRY(const auto devices, devices_of(peer, name, Belief::recent, work, blocked));
    for (const std::uint16_t device : devices) {
      Jid jid = name;
      jid.device = device;
      if (!is_this_device(jid)) targets.push_back({peer, std::move(jid), {}});
    }
  }
  if (!blocked.fetches.empty()) return blocked;
  return targets;
}

// ---- our key --------------------------------------------------------------------------------

Attempt<std::optional<Messenger::Impl::OwnGroupKey>> Messenger::Impl::group_key_of(
    const Jid& group) {
  WA_TRY(const Bytes* record, records_.read(key_record(group)));
  std::optional<OwnGroupKey> none;
  if (!record) return none;
  auto stored = GroupKey::decode(*record);
  if (!stored || stored->era < watermarks_.era) return none;
  auto key = signal::SenderKey::decode(stored->key);
  if (!key) return none;
  return std::optional(
      OwnGroupKey{std::move(*key), std::move(stored->holders), std::move(stored->unconfirmed)});
}

void Messenger::Impl::put(const Jid& group, const OwnGroupKey& key) {
  records_.put(key_record(group),
               GroupKey{key.key.encode(), key.holders, key.unconfirmed, watermarks_.era}.encode());
}

/// The message that brings the key to a device, and says `inside` besides.
message::Envelope Messenger::Impl::with_key(const Jid& group, const OwnGroupKey& key,
                                            message::Content inside) {
  return {.content = std::move(inside),
          .sender_key =
              message::KeyDistribution{group.to_string(), key.key.distribution().serialize()}};
}

Attempt<void> Messenger::Impl::transmit_to_group(const std::string& id, Work& work) {
  Outgoing& outgoing = outbox_.at(id);
  const Jid& to = outgoing.sent.to;
  WA_TRY(const std::optional<Group> group, group_of(to, work));
  if (!group) {
    failed(id, "no_group", std::nullopt);
    return {};
  }
  WA_TRY(std::vector<Target> targets, members_of(*group, work));
  WA_TRY(std::optional<OwnGroupKey> key, group_key_of(to));
  std::set<std::string> present;
  for (const Target& target : targets) present.insert(holder(target.peer, target.device.device));
  const auto is_present = [&](const std::string& one) { return present.contains(one); };
  // Who has left must not read on.
  if (key && !(std::ranges::all_of(key->holders, is_present) &&
               std::ranges::all_of(key->unconfirmed, is_present))) {
    key.reset();
  }
  if (key) {
    std::erase_if(targets, [&](const Target& target) {
      return key->holders.contains(holder(target.peer, target.device.device));
    });
  }
  WA_TRY_VOID(load_sessions(targets, work));

  if (!key) key = OwnGroupKey{signal::SenderKey::create(random_), {}, {}};
  const Wording wording = wording_of(outgoing.sent);
  const Bytes distribution = message::encode(with_key(to, *key, message::Other{}));
  Copies copies =
      encrypt_for(targets, {.words = {}, .to_others = distribution, .to_own = distribution}, work);
  const Bytes padded = signal::pad(wording.to_others, random_);
  const auto ciphertext = key->key.encrypt(padded, random_);
  if (!ciphertext) {
    failed(id, "no_sessions", std::nullopt);
    return {};
  }
  KeyGiven gives{to, key->key.id(), {}};
  for (const Target& target : targets) {
    if (copies.reached.contains(target.device)) {
      gives.holders.insert(holder(target.peer, target.device.device));
    }
  }
  key->unconfirmed.insert(gives.holders.begin(), gives.holders.end());
  put(to, *key);
  outgoing.under_way = true;
  outgoing.skipped = copies.skipped;
  outgoing.gives.reset();
  if (!gives.holders.empty()) outgoing.gives = std::move(gives);

  NodeBuilder stanza = message_header(id, to, wording.words);
  stanza.attr("addressing_mode", group->by_lid ? "lid" : "pn");
  NodeBuilder enc("enc");
  enc.attr("v", 2).attr("type", "skmsg");
  if (!wording.words.media.empty()) enc.attr("mediatype", wording.words.media);
  if (wording.words.hide_failure) enc.attr("decrypt-fail", "hide");
  enc.bytes(*ciphertext);
  stanza.child(std::move(enc));
  if (!copies.reached.empty()) stanza.child(std::move(copies.participants));
  if (copies.pre_key) stanza.child(device_identity());
  send(std::move(stanza));
  return {};
}

Attempt<void> Messenger::Impl::handle(const KeyGiven& given, Work&) {
  WA_TRY(std::optional<OwnGroupKey> key, group_key_of(given.group));
  if (!key || key->key.id() != given.key_id) return {};  // there is another one by now
  for (const std::string& one : given.holders) {
    if (key->unconfirmed.erase(one) != 0) key->holders.insert(one);
  }
  put(given.group, *key);
  return {};
}

/// Whether somebody may ask for what was written to a group: a member, as far as we know.
Attempt<bool> Messenger::Impl::is_member(const Jid& group, const Peer& peer, std::uint16_t device) {
  const std::array keys{group_record(group), key_record(group)};
  WA_TRY_VOID(records_.need(keys));
  WA_TRY(const Bytes* record, records_.read(group_record(group)));
  if (record) {
    const auto known = Group::decode(*record);
    if (known) {
      std::vector<RecordKey> names;
      for (const Jid& member : known->members) add_name_keys(member, names);
      WA_TRY_VOID(records_.need(names));
      for (const Jid& member : known->members) {
        WA_TRY(const Peer one, peer_of(member));
        if (one == peer) return true;
      }
      return false;
    }
  }
  WA_TRY(const std::optional<OwnGroupKey> key, group_key_of(group));
  const std::string name = holder(peer, device);
  return key && (key->holders.contains(name) || key->unconfirmed.contains(name));
}

// ---- keys of others -------------------------------------------------------------------------

void Messenger::Impl::add_sender_key_keys(const Jid& group, const Peer& author,
                                          std::uint16_t device, std::vector<RecordKey>& to) {
  for (const std::string& key : author.keys(device)) {
    to.push_back({std::string(kSenderKeysKind), group.to_string() + " " + key});
  }
}

Attempt<void> Messenger::Impl::take_distribution(const Jid& group, const Peer& author,
                                                 std::uint16_t device, ByteSpan distribution) {
  const auto parsed = signal::SenderKeyDistribution::parse(distribution);
  if (!parsed) {
    complain("a bad group key of " + author.keys(device).front() + ": " +
             to_string(parsed.error()));
    return {};
  }
  std::vector<RecordKey> keys;
  add_sender_key_keys(group, author, device, keys);
  WA_TRY_VOID(records_.need(keys));
  RecordKey at = keys.front();
  signal::SenderKeys known;
  for (const RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    if (auto decoded = signal::SenderKeys::decode(*record)) known = std::move(*decoded);
    at = key;
    break;
  }
  known.process(*parsed);
  records_.put(at, known.encode());
  return {};
}

Attempt<void> Messenger::Impl::read_group_message(const Jid& group, const Peer& author,
                                                  std::uint16_t device, ByteSpan body,
                                                  Reading& reading) {
  const auto parsed = signal::SenderKeyMessage::parse(body);
  if (!parsed) {
    reading.refuse(parsed.error());
    return {};
  }
  std::vector<RecordKey> keys;
  add_sender_key_keys(group, author, device, keys);
  signal::Refusal refusal{signal::Failure::no_sender_key, "no key came for this group"};
  for (const RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    auto known = signal::SenderKeys::decode(*record);
    if (!known) continue;
    const auto padded = known->decrypt(*parsed);
    if (padded) {
      records_.put(key, known->encode());
      take_plaintext(*padded, reading);
      return {};
    }
    if (padded.error().why != signal::Failure::no_sender_key) refusal = padded.error();
  }
  reading.refuse(std::move(refusal));
  return {};
}

}  // namespace wa::messaging

#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"
#include "engine/protocol/signal/padding.hpp"
#include "engine/protocol/signal/phash.hpp"

/// Messages of ours: accepted, encrypted for every device, sent until the server has them.
namespace wa::messaging {
namespace {

using wire::Jid;
using wire::NodeBuilder;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr std::size_t kSecretBytes = 32;

RecordKey outbox_key(const std::string& id) {
  return {std::string(kOutboxKind), id};
}

/// What became of a message, as it is told to whoever asks for it once more.
AppEvent::What outcome_of(const std::string& id, const Sent& sent) {
  const Sent::Outcome& outcome = *sent.outcome;
  if (outcome.sent_at) return MessageSent{id, sent.to, *outcome.sent_at, 0};
  return SendFailed{id, sent.to, outcome.failure, outcome.code, sent.at};
}

}  // namespace

// ---- accepting ------------------------------------------------------------------------------

void Messenger::Impl::restore_outbox(const ResidentRecords::OfKind& records) {
  for (const auto& [id, record] : records) {
    auto sent = Sent::decode(record);
    if (!sent) continue;
    watermarks_.last_order = std::max(watermarks_.last_order, sent->order);
    outbox_[id].sent = std::move(*sent);
  }
}

/// Time that has passed while nobody looked counts, as far as the wall clock can be believed.
Instant Messenger::Impl::deadline_of(const Sent& sent) const {
  const auto passed = std::chrono::milliseconds(now_.wall.value - sent.at.value);
  return now_.mono + std::clamp<Duration>(kPatience - passed, Duration(0), kPatience);
}

Attempt<void> Messenger::Impl::handle(const SendRequested& request, Work&) {
  if (!request.id.empty()) {
    if (const auto waiting = outbox_.find(request.id); waiting != outbox_.end()) {
      waiting->second.refs.push_back(request.ref);
      reply(SendAccepted{request.id}, request.ref);
      return {};
    }
    WA_TRY(const std::optional<Sent> before, find_sent(request.id));
    if (before && before->outcome) {
      reply(SendAccepted{request.id}, request.ref);
      reply(outcome_of(request.id, *before), request.ref);
      return {};
    }
  }
  const bool bad_id = request.id.size() > limits::kMaxMessageIdChars;
  const bool to_group = request.to.server == wire::kServerGroup && !request.to.user.empty();
  if (bad_id || (!to_group && !is_account(request.to))) {
    reply(SendFailed{request.id, request.to, "unsupported", std::nullopt, now_.wall}, request.ref);
    return {};
  }
  const std::uint64_t order = ++watermarks_.last_order;
  std::string id = request.id;
  if (id.empty()) id = ids_.make(order, random_);
  const auto secret = random_.array<kSecretBytes>();

  Outgoing outgoing;
  outgoing.sent = {.to = request.to.without_device(),
                   .message = message::encode(
                       {.content = request.content, .secret = to_bytes(ByteSpan(secret))}),
                   .at = now_.wall,
                   .order = order};
  outgoing.deadline = now_.mono + kPatience;
  outgoing.refs.push_back(request.ref);
  records_.put(outbox_key(id), outgoing.sent.encode());
  outbox_deadlines_.emplace(outgoing.deadline, id);
  outbox_[id] = std::move(outgoing);
  reply(SendAccepted{id}, request.ref);
  effects_.next.push_back({request.to, {}, {Transmission{std::move(id)}}});
  return {};
}

void Messenger::Impl::transmit_all() {
  std::vector<std::pair<std::uint64_t, std::string>> ids;
  for (const auto& [id, outgoing] : outbox_) ids.emplace_back(outgoing.sent.order, id);
  std::ranges::sort(ids);
  for (auto& [order, id] : ids) {
    const Jid to = outbox_.at(id).sent.to;
    arrive(to, {}, Transmission{std::move(id)});
  }
}

// ---- encrypting -----------------------------------------------------------------------------

NodeBuilder Messenger::Impl::message_header(const std::string& id, const Jid& to,
                                            const message::StanzaWords& words) {
  NodeBuilder stanza("message");
  stanza.attr("id", id).attr("to", to).attr("type", words.type);
  if (!words.edit.empty()) stanza.attr("edit", words.edit);
  return stanza;
}

NodeBuilder Messenger::Impl::device_identity() const {
  return NodeBuilder("device-identity").bytes(keys_.signed_device_identity());
}

Messenger::Impl::Wording Messenger::Impl::wording_of(const Sent& sent) {
  Wording wording{.to_others = sent.message};
  // What we encoded ourselves can be decoded.
  if (auto envelope = message::decode(sent.message)) {
    wording.words = message::stanza_words(envelope->content);
    envelope->sent_to = sent.to.to_string();
    wording.to_own = message::encode(*envelope);
  }
  return wording;
}

/// Every device that a message is for, with its sessions. Empty: nobody knows the recipient's.
Attempt<std::vector<Messenger::Impl::Target>> Messenger::Impl::targets_of(const Jid& to,
                                                                          Belief belief,
                                                                          const Work& work) {
  WA_TRY(const Peer peer, peer_of(to));
  const Peer own = self();
  Blocked blocked;
  WA_TRY(const auto theirs, devices_of(peer, peer.jid_like(to), belief, work, blocked));
  WA_TRY(const auto ours, devices_of(own, own.jid_like(to), belief, work, blocked));
  if (!blocked.fetches.empty()) return blocked;

  std::vector<Target> targets;
  const auto add = [&](const Peer& account, const std::vector<std::uint16_t>& devices) {
    for (const std::uint16_t device : devices) {
      Jid jid = account.jid_like(to);
      jid.device = device;
      if (!is_this_device(jid)) targets.push_back({account, std::move(jid), {}});
    }
  };
  if (!peer.self) {
    if (theirs.empty()) return targets;
    add(peer, theirs);
  }
  add(own, ours);

  WA_TRY_VOID(load_sessions(targets, work));
  return targets;
}

Attempt<void> Messenger::Impl::load_sessions(std::vector<Target>& targets, const Work& work) {
  std::vector<RecordKey> keys;
  for (const Target& target : targets) add_session_keys(target.peer, target.device.device, keys);
  WA_TRY_VOID(records_.need(keys));
  Blocked blocked;
  for (Target& target : targets) {
    WA_TRY(target.sessions, sessions_with(target.peer, target.device.device));
    const Fetch fetch = bundle_of(target.peer, target.device.device);
    if (!current_of(target.sessions) && !work.tried.contains(fetch)) {
      blocked.fetches.push_back(fetch);
    }
  }
  if (!blocked.fetches.empty()) return blocked;
  return {};
}

std::optional<NodeBuilder> Messenger::Impl::encrypt(Target& target, const Wording& wording,
                                                    std::optional<std::uint32_t> count) {
  SessionAt* at = current_of(target.sessions);
  if (!at) return std::nullopt;
  const Bytes padded = signal::pad(target.peer.self ? wording.to_own : wording.to_others, random_);
  const auto ciphertext = at->session.encrypt(keys_.identity(), padded);
  if (!ciphertext) {
    complain("cannot write to " + target.device.to_string() + ": " + to_string(ciphertext.error()));
    return std::nullopt;
  }
  put(*at);
  NodeBuilder enc("enc");
  enc.attr("v", 2).attr("type", ciphertext->pre_key ? "pkmsg" : "msg");
  if (!wording.words.media.empty()) enc.attr("mediatype", wording.words.media);
  if (wording.words.hide_failure) enc.attr("decrypt-fail", "hide");
  if (count) enc.attr("count", *count);
  enc.bytes(ciphertext->bytes);
  return enc;
}

bool Messenger::Impl::is_pre_key(const NodeBuilder& enc) {
  return std::ranges::any_of(enc.attributes(), [](const auto& attribute) {
    const auto* text = std::get_if<std::string>(&attribute.second);
    return attribute.first == "type" && text && *text == "pkmsg";
  });
}

/// Device by device: one with bad keys is left out and reported, and nobody else suffers.
Messenger::Impl::Copies Messenger::Impl::encrypt_for(std::vector<Target>& targets,
                                                     const Wording& wording, const Work& work) {
  Copies copies;
  for (Target& target : targets) {
    if (!current_of(target.sessions)) {
      const auto tried = work.tried.find(bundle_of(target.peer, target.device.device));
      const BundleAnswer* answer = tried == work.tried.end() ? nullptr : &tried->second;
      std::string flaw = answer ? answer->flaw : "";
      if (answer && answer->bundle) {
        const auto begun =
            begin_session(target.sessions, target.peer, target.device.device, *answer->bundle);
        if (!begun) flaw = to_string(begun.error());
      }
      if (!flaw.empty()) complain("no keys of " + target.device.to_string() + ": " + flaw);
    }
    auto enc = encrypt(target, wording, std::nullopt);
    if (!enc) {
      ++copies.skipped;
      continue;
    }
    copies.pre_key = copies.pre_key || is_pre_key(*enc);
    copies.to_others = copies.to_others || !target.peer.self;
    copies.participants.child(NodeBuilder("to").attr("jid", target.device).child(std::move(*enc)));
    copies.reached.insert(target.device);
  }
  return copies;
}

Attempt<void> Messenger::Impl::handle(const Transmission& transmission, Work& work) {
  const auto found = outbox_.find(transmission.id);
  if (found == outbox_.end() || !streaming_ || found->second.under_way) return {};
  Outgoing& outgoing = found->second;
  const Jid& to = outgoing.sent.to;
  if (is_many(to)) return transmit_to_group(transmission.id, work);
  WA_TRY(const Peer peer, peer_of(to));
  WA_TRY(const bool distrusted, is_distrusted(peer));
  if (distrusted) {
    failed(transmission.id, "untrusted_identity", std::nullopt);
    return {};
  }
  WA_TRY(std::vector<Target> targets, targets_of(to, Belief::recent, work));
  if (targets.empty() && !is_ours(to)) {
    failed(transmission.id, "no_devices", std::nullopt);
    return {};
  }
  const Wording wording = wording_of(outgoing.sent);
  Copies copies = encrypt_for(targets, wording, work);
  if (!copies.to_others && !is_ours(to)) {
    failed(transmission.id, "no_sessions", std::nullopt);
    return {};
  }
  outgoing.under_way = true;
  outgoing.reached = copies.reached;
  outgoing.skipped = copies.skipped;
  send_copies(transmission.id, to, wording, std::move(copies));
  return {};
}

Attempt<void> Messenger::Impl::handle(const Completion& completion, Work& work) {
  if (!streaming_) return {};
  WA_TRY(std::vector<Target> targets, targets_of(completion.sent.to, Belief::none, work));
  std::erase_if(targets,
                [&](const Target& target) { return completion.reached.contains(target.device); });
  if (targets.empty()) return {};
  const Wording wording = wording_of(completion.sent);
  Copies copies = encrypt_for(targets, wording, work);
  if (!copies.reached.empty()) {
    send_copies(completion.id, completion.sent.to, wording, std::move(copies));
  }
  return {};
}

void Messenger::Impl::send_copies(const std::string& id, const Jid& to, const Wording& wording,
                                  Copies copies) {
  NodeBuilder stanza = message_header(id, to, wording.words);
  stanza.child(std::move(copies.participants));
  if (copies.pre_key) stanza.child(device_identity());
  send(std::move(stanza));
}

// ---- how it ends ----------------------------------------------------------------------------

void Messenger::Impl::on_ack(const IncomingAck& ack) {
  const auto found = outbox_.find(ack.id);
  if (found == outbox_.end() || !found->second.under_way) return;
  if (ack.error) {
    // Sending again what the server refuses makes it worse.
    const Jid to = found->second.sent.to;
    return change(kPointSent, [&] {
      if (is_many(to)) forget_group(to);  // perhaps it is not what we think
      failed(ack.id, "refused", ack.error);
    });
  }
  const Outgoing& outgoing = found->second;
  std::optional<Completion> completion;
  if (!ack.phash.empty() && !is_many(outgoing.sent.to) &&
      !is_hash_of(ack.phash, outgoing.reached)) {
    completion = Completion{ack.id, outgoing.sent, outgoing.reached};
  }
  std::optional<KeyGiven> gives = outgoing.gives;
  const Jid to = outgoing.sent.to;
  change(kPointSent, [&] { sent(ack.id, ack.at.value_or(now_.wall)); });
  if (completion) arrive(to, {}, std::move(*completion));
  if (gives) arrive(to, {}, std::move(*gives));
}

/// With this device or without: clients and servers differ.
bool Messenger::Impl::is_hash_of(const std::string& phash, const std::set<Jid>& reached) const {
  std::vector<Jid> devices(reached.begin(), reached.end());
  if (signal::participant_hash(devices) == phash) return true;
  for (const Jid& own : {keys_.jid(), keys_.lid()}) {
    if (own.server.empty()) continue;
    devices.push_back(own);
    devices.back().device = keys_.jid().device;
    if (signal::participant_hash(devices) == phash) return true;
    devices.pop_back();
  }
  return false;
}

void Messenger::Impl::sent(const std::string& id, UnixMillis at) {
  const auto found = outbox_.find(id);
  if (found == outbox_.end()) return;
  MessageSent what{id, found->second.sent.to, at, found->second.skipped};
  settle_outgoing(id, {.sent_at = at, .failure = {}, .code = {}}, std::move(what));
}

void Messenger::Impl::failed(const std::string& id, std::string reason, std::optional<int> code) {
  SendFailed what{id, outbox_.at(id).sent.to, reason, code, now_.wall};
  settle_outgoing(id, {.sent_at = {}, .failure = std::move(reason), .code = code}, std::move(what));
}

/// It leaves the outbox, and is kept for those who cannot read it and for whoever wants it sent
/// once more.
void Messenger::Impl::settle_outgoing(const std::string& id, Sent::Outcome outcome,
                                      AppEvent::What what) {
  auto outgoing = outbox_.extract(id);
  outbox_deadlines_.erase({outgoing.mapped().deadline, id});
  Sent sent = std::move(outgoing.mapped().sent);
  sent.outcome = std::move(outcome);
  records_.erase(outbox_key(id));
  records_.put({kind_of_day(kSentKind, today()), id}, sent.encode());
  const auto& refs = outgoing.mapped().refs;
  publish(std::move(what), refs.empty() ? std::nullopt : std::optional(refs.front()));
}

}  // namespace wa::messaging

#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"

/// Retries, both ways: asking for what we could not read, sending again what others could not.
/// Source: docs/protocol/delivery.md, "Retries".
namespace wa::messaging {
namespace {

using wire::NodeBuilder;

/// Attempts per message and device, in either direction.
constexpr std::uint32_t kMostRetries = 5;
/// From this attempt on the receipt brings keys for a new session.
constexpr std::uint32_t kKeysFrom = 2;
/// A status is gone after a day, and is not asked for any more.
constexpr std::int64_t kStatusMillis = 24 * 60 * 60 * 1000;
constexpr ByteArray<1> kKeyType{std::byte{5}};

NodeBuilder leaf(std::string tag, ByteSpan bytes) {
  return NodeBuilder(std::move(tag)).bytes(bytes);
}

}  // namespace

// ---- what we cannot read --------------------------------------------------------------------

Attempt<Messenger::Impl::Asked> Messenger::Impl::ask_again(const IncomingMessage& message,
                                                           const Peer& author,
                                                           const signal::Refusal& refusal) {
  const std::string key = message_key(author, message.author().device, message.id);
  WA_TRY(const Bytes* record, read_daily(kRetriesInKind, key));
  Retries retries;
  if (record) {
    if (auto known = Retries::decode(*record)) retries = std::move(*known);
  }
  ++counters_.undecryptable;
  const bool old_status = message.from.server == kServerBroadcast && message.at &&
                          now_.wall.value - message.at->value > kStatusMillis;
  if (old_status || retries.count >= kMostRetries) return Asked{.told = retries.told};
  ++retries.count;
  records_.put({kind_of_day(kRetriesInKind, today()), key}, retries.encode());
  ++counters_.retries_asked;
  complain("cannot read a message of " + message.author().to_string() + ": " +
           std::string(signal::to_string(refusal.why)));
  send(retry_receipt(message, retries.count, refusal.why));
  send_if(message.ack);
  return Asked{.again = true, .told = retries.told};
}

NodeBuilder Messenger::Impl::retry_receipt(const IncomingMessage& message, std::uint32_t count,
                                           signal::Failure why) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", message.id).attr("to", message.from).attr("type", "retry");
  if (message.participant) receipt.attr("participant", *message.participant);
  if (message.recipient) receipt.attr("recipient", *message.recipient);
  if (message.peer) receipt.attr("category", "peer");

  NodeBuilder retry("retry");
  retry.attr("count", count).attr("id", message.id);
  retry.attr("t", message.at.value_or(now_.wall).seconds()).attr("v", 1);
  if (const int reason = signal::retry_reason(why); reason != 0) retry.attr("error", reason);
  receipt.child(std::move(retry));
  const signal::LocalIdentity& own = keys_.identity();
  receipt.child(leaf("registration", big_endian<4>(own.registration_id)));
  if (count < kKeysFrom) return receipt;

  const auto one_time = keys_.make_pre_key(random_, effects_.changes);
  receipt.child(NodeBuilder("keys")
                    .child(leaf("type", kKeyType))
                    .child(leaf("identity", own.identity.public_key))
                    .child(NodeBuilder("key")
                               .child(leaf("id", big_endian<3>(one_time.id)))
                               .child(leaf("value", one_time.key)))
                    .child(signed_key_node(keys_.signed_pre_key()))
                    .child(device_identity()));
  return receipt;
}

// ---- what others cannot read ----------------------------------------------------------------

Attempt<void> Messenger::Impl::handle(const RetryWork& request, Work& work) {
  const IncomingRetry& retry = request.retry;
  WA_TRY(const Peer reader, peer_of(retry.reader()));
  WA_TRY(const std::optional<Sent> sent, find_sent(retry.id));
  if (!sent) {
    look_for_future(retry.id);
    ++counters_.retry_misses;
    complain("asked again for a message that is not kept");
    send_if(request.ack);
    return {};
  }
  Peer chat;
  if (is_account(sent->to)) {
    WA_TRY(chat, peer_of(sent->to));
  }
  const std::string key = message_key(reader, retry.reader().device, retry.id);
  WA_TRY(const Bytes* record, read_daily(kRetriesOutKind, key));
  Retries retries;
  if (record) {
    if (auto known = Retries::decode(*record)) retries = std::move(*known);
  }
  bool is_for_reader = reader.self || reader == chat;
  if (is_many(sent->to)) {
    WA_TRY(const bool member, is_member(sent->to, reader, retry.reader().device));
    is_for_reader = retry.from == sent->to && (reader.self || member);
  }
  if (!is_for_reader || is_this_device(retry.reader()) || retries.count >= kMostRetries) {
    ++counters_.retries_refused;
    send_if(request.ack);
    return {};
  }
  Instant ready_at = resends_.ready_at();
  if (is_many(sent->to)) ready_at = std::max(ready_at, resends_to(sent->to).ready_at());
  if (ready_at > now_.mono) return Blocked{.until = ready_at};
  WA_TRY_VOID(heed_device(reader, retry.reader().device));
  WA_TRY_VOID(resend(retry, reader, *sent, std::move(retries), key, work));
  send_if(request.ack);
  return {};
}

/// With a session that the reader can be expected to have: from the keys that it sent, else the one
/// that there is, unless it was set up anew or this session has failed before; else from a bundle.
Attempt<void> Messenger::Impl::resend(const IncomingRetry& retry, const Peer& reader,
                                      const Sent& sent, Retries retries, const std::string& key,
                                      Work& work) {
  const std::uint16_t device = retry.reader().device;
  Target target{reader, retry.reader(), {}};
  WA_TRY(target.sessions, sessions_with(reader, device));
  const SessionAt* current = current_of(target.sessions);
  std::optional<signal::PreKeyBundle> bundle = retry.bundle;
  const bool set_up_anew = current && retry.registration_id &&
                           *retry.registration_id != current->session.remote_registration_id();
  const bool failed_before =
      current && retries.base_key && retries.base_key == current->session.base_key();
  if (!bundle && (!current || set_up_anew || failed_before)) {
    const Fetch fetch = bundle_of(reader, device);
    const auto tried = work.tried.find(fetch);
    if (tried == work.tried.end()) return Blocked{.fetches = {fetch}};
    bundle = tried->second.bundle;
  }
  const bool to_group = is_many(sent.to);
  std::optional<OwnGroupKey> group_key;
  if (to_group) {
    WA_TRY(group_key, group_key_of(sent.to));
  }
  ++retries.count;
  resends_.take(now_.mono);
  if (to_group) resends_to(sent.to).take(now_.mono);
  if (bundle) {
    const auto begun = begin_session(target.sessions, reader, device, *bundle);
    if (!begun) {
      complain("bad keys of " + target.device.to_string() + ": " + to_string(begun.error()));
    }
  }
  if (SessionAt* now = current_of(target.sessions)) retries.base_key = now->session.base_key();
  records_.put({kind_of_day(kRetriesOutKind, today()), key}, retries.encode());
  Wording wording = wording_of(sent);
  if (to_group) {
    // Whoever lacks the message mostly lacks our key; it comes along, for this device alone.
    wording.to_own = wording.to_others;
    auto envelope = message::decode(sent.message);
    if (group_key && envelope) {
      auto with = with_key(sent.to, *group_key, std::move(envelope->content));
      with.secret = std::move(envelope->secret);
      wording.to_own = wording.to_others = message::encode(with);
      group_key->holders.erase(reader.keys(device).front());
      group_key->unconfirmed.insert(reader.keys(device).front());
    }
  }
  auto enc = encrypt(target, wording, retry.count);
  if (!enc) return {};
  ++counters_.resends;

  NodeBuilder stanza = message_header(retry.id, to_group ? sent.to : retry.reader(), wording.words);
  if (to_group) {
    stanza.attr("participant", retry.reader());
    if (group_key) put(sent.to, *group_key);
  } else {
    stanza.attr("device_fanout", "false");
    if (reader.self) stanza.attr("recipient", sent.to);
  }
  const bool pre_key = is_pre_key(*enc);
  stanza.child(std::move(*enc));
  if (pre_key) stanza.child(device_identity());
  send(std::move(stanza));
  return {};
}

TokenBucket& Messenger::Impl::resends_to(const wire::Jid& group) {
  std::erase_if(group_resends_, [&](const auto& entry) {
    return entry.first != group && entry.second.full(now_.mono);
  });
  return group_resends_.try_emplace(group, kMostResendsToGroup, 2 * policy_.patience.pace)
      .first->second;
}

Attempt<std::optional<Sent>> Messenger::Impl::find_sent(const std::string& id) {
  if (const auto waiting = outbox_.find(id); waiting != outbox_.end()) return waiting->second.sent;
  WA_TRY(const Bytes* record, read_daily(kSentKind, id));
  if (!record) return std::optional<Sent>();
  auto sent = Sent::decode(*record);
  if (!sent) return std::optional<Sent>();
  return std::optional<Sent>(std::move(*sent));
}

}  // namespace wa::messaging

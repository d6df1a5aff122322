#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"
#include "engine/protocol/signal/padding.hpp"

/// Messages that come in: decrypted, deduplicated, handed to the application, and answered.
namespace wa::messaging {
namespace {

/// Errors of an ack, for what will never be read.
constexpr int kNackUnknownStanza = 488;
constexpr int kNackNoSecret = 495;

/// What only one's own phone may say.
bool is_private(const message::Content& content) {
  return std::holds_alternative<message::AppStateKeys>(content) ||
         std::holds_alternative<message::AppStateKeysWanted>(content) ||
         std::holds_alternative<message::HistoryNotice>(content);
}

bool can_be_read(const IncomingMessage& message) {
  return std::ranges::any_of(message.encs, [](const IncomingMessage::Enc& enc) {
    return enc.type == "pkmsg" || enc.type == "msg" || enc.type == "skmsg";
  });
}

/// The error in the ack of a message that is encrypted in a way that we do not know.
std::optional<int> nack_of(const IncomingMessage& message) {
  if (message.encs.empty() || can_be_read(message)) return std::nullopt;
  return message.encs.back().type == "msmsg" ? kNackNoSecret : kNackUnknownStanza;
}

std::vector<RecordKey> seen_keys_of(const Peer& author, std::uint16_t device) {
  std::vector<RecordKey> keys;
  for (std::string& key : author.keys(device)) {
    keys.push_back({std::string(kSeenKind), std::move(key)});
  }
  return keys;
}

bool says_nothing(const message::Content& content) {
  const auto* other = std::get_if<message::Other>(&content);
  return other && other->protobuf.empty();
}

}  // namespace

Attempt<void> Messenger::Impl::handle(const IncomingMessage& message, Work&) {
  if (is_this_device(message.author())) {
    send_if(message.ack);
    return {};
  }
  WA_TRY(const Peer author, peer_of(message.author(), message.author_alias));
  if (message.recipient && message.recipient_alias) {
    WA_TRY([[maybe_unused]] const Peer chat, peer_of(*message.recipient, message.recipient_alias));
  }
  const std::vector<RecordKey> seen_keys = seen_keys_of(author, message.author().device);
  std::vector<RecordKey> keys = seen_keys;
  add_session_keys(author, message.author().device, keys);
  WA_TRY_VOID(records_.need(keys));

  // What came before the LID was known is remembered under the number alone.
  Seen seen;  // under the canonical name, which comes first
  bool had_before = false;
  bool may_be_forgotten = false;
  for (const RecordKey& key : seen_keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    Seen known(*record);
    had_before = had_before || known.has(message.id);
    may_be_forgotten = may_be_forgotten || known.is_full();
    if (&key == &seen_keys.front()) seen = std::move(known);
  }
  if (had_before) {
    ++counters_.duplicates;
    // What nobody can read was given up before, and is not delivered the second time either.
    can_be_read(message) ? acknowledge(message, author, false) : refuse(message);
    return {};
  }
  WA_TRY(Reading reading, read_encs(message, author));
  // A used key: a message that we have had, if it can have been forgotten since. Else it is another
  // one, whose author has gone back to an older session, and gets it across by sending it again.
  const bool had = reading.refusal && reading.refusal->why == signal::Failure::duplicate &&
                   message.replayed && may_be_forgotten;
  if (reading.refusal && !had) {
    WA_TRY(const Asked asked, ask_again(message, author, *reading.refusal));
    std::string reason(signal::to_string(reading.refusal->why));
    if (asked.again) {
      if (!asked.told) await_resend(message, author, std::move(reason));
      return {};
    }
    reading.unreadable = std::move(reason);
    reading.told = asked.told;
  }
  seen.add(message.id);
  records_.put(seen_keys.front(), seen.encode());
  if (had) {
    ++counters_.duplicates;
    acknowledge(message, author, false);
    settle_awaited(message, author);
    return {};
  }
  deliver(message, author, std::move(reading));
  return {};
}

// ---- decryption -----------------------------------------------------------------------------

/// The first failure is the one that counts, unless something can be read.
Attempt<Messenger::Impl::Reading> Messenger::Impl::read_encs(const IncomingMessage& message,
                                                             const Peer& author) {
  Reading reading;
  if (message.encs.empty())
    reading.unreadable = message.unavailable ? "unavailable" : "not_encrypted";
  const std::uint16_t device = message.author().device;
  if (is_many(message.from)) {
    std::vector<RecordKey> keys;
    add_sender_key_keys(message.from, author, device, keys);
    WA_TRY_VOID(records_.need(keys));
  }
  std::vector<SessionAt> sessions;
  for (const IncomingMessage::Enc& enc : message.encs) {
    if (enc.type == "pkmsg") {
      WA_TRY(sessions, sessions_with(author, device));
      WA_TRY_VOID(read_pre_key_message(author, device, std::move(sessions), enc.body, reading));
    } else if (enc.type == "msg") {
      WA_TRY(sessions, sessions_with(author, device));
      read_message(std::move(sessions), enc.body, reading);
    } else if (enc.type == "skmsg" && is_many(message.from)) {
      WA_TRY_VOID(read_group_message(message.from, author, device, enc.body, reading));
    } else if (reading.unreadable.empty()) {
      reading.unreadable = "unknown_type";
    }
    WA_TRY_VOID(take_distributions(message, author, reading));
  }
  if (reading.envelope && !says_nothing(reading.envelope->content)) {
    reading.unreadable.clear();
    reading.refusal.reset();
  }
  return reading;
}

void Messenger::Impl::read_message(std::vector<SessionAt> sessions, ByteSpan body,
                                   Reading& reading) {
  const auto parsed = signal::SignalMessage::parse(body);
  if (!parsed) return reading.refuse(parsed.error());
  signal::Refusal refusal{signal::Failure::no_session, "there is no session with this device"};
  bool first = true;
  for (SessionAt& one : sessions) {
    auto padded = one.session.decrypt(keys_.identity(), *parsed, random_);
    if (padded) {
      put(one);
      return take_plaintext(*padded, reading);
    }
    // Of a session under the account's other name only what it does know counts.
    const bool knows_better = padded.error().why != signal::Failure::no_session &&
                              padded.error().why != signal::Failure::bad_mac;
    if (std::exchange(first, false) || knows_better) refusal = padded.error();
    if (knows_better) break;
  }
  reading.refuse(std::move(refusal));
}

Attempt<void> Messenger::Impl::read_pre_key_message(const Peer& author, std::uint16_t device,
                                                    std::vector<SessionAt> sessions, ByteSpan body,
                                                    Reading& reading) {
  const auto parsed = signal::PreKeySignalMessage::parse(body);
  if (!parsed) {
    reading.refuse(parsed.error());
    return {};
  }
  const auto knows = [&](const SessionAt& one) { return one.session.knows(*parsed); };
  const auto known = std::ranges::find_if(sessions, knows);
  const bool begins = known == sessions.end();
  SessionAt& at = begins ? first_of(sessions, author, device) : *known;
  const auto before = at.session.remote_identity();
  const bool new_identity = begins && before && *before != parsed->identity_key;
  if (new_identity && policy_.strict_identity && !author.self) {
    WA_TRY_VOID(distrust(author));
    reading.unreadable = "untrusted_identity";
    return {};
  }
  // Of a change that the server told of, the session is archived by now.
  const bool is_news = new_identity && at.session.has_current();

  signal::Session::PreKeys pre_keys;
  std::optional<RecordKey> unused;  // the one-time pre-key that this message uses up
  if (begins) {
    pre_keys.signed_pre_key = keys_.signed_pre_key(parsed->signed_pre_key_id);
    if (parsed->pre_key_id) {
      const std::string id = std::to_string(*parsed->pre_key_id);
      RecordKey key{std::string(kPreKeyKind), id};
      std::vector<RecordKey> places = days_of(kUsedPreKeyKind, id, today());
      places.push_back(key);
      WA_TRY_VOID(records_.need(places));
      WA_TRY(const Bytes* fresh, records_.read(key));
      WA_TRY(const Bytes* used, read_daily(kUsedPreKeyKind, id));
      if (const Bytes* record = fresh ? fresh : used) {
        if (auto pair = decode_pre_key(*record)) pre_keys.one_time = std::move(*pair);
      }
      if (fresh && pre_keys.one_time) unused = std::move(key);
    }
  }
  // A phone with new keys has no companions any more, or new ones.
  if (new_identity && device == 0) WA_TRY_VOID(archive_sessions(author, device));

  const auto padded = at.session.decrypt(keys_.identity(), *parsed, pre_keys, random_);
  if (!padded) {
    reading.refuse(padded.error());
    return {};
  }
  put(at);
  if (unused) {
    // Whoever wrote before the server forgot this key may write with it once more.
    WA_TRY(const Bytes* record, records_.read(*unused));
    Bytes kept = *record;
    records_.put({kind_of_day(kUsedPreKeyKind, today()), unused->key}, std::move(kept));
    records_.erase(*unused);
  }
  if (is_news) publish(IdentityChanged{author.jid()});
  take_plaintext(*padded, reading);
  return {};
}

void Messenger::Impl::take_plaintext(ByteSpan padded, Reading& reading) {
  const auto plaintext = signal::unpad(padded);
  if (!plaintext) return reading.refuse(plaintext.error());
  auto envelope = message::decode(*plaintext);
  if (!envelope) return reading.refuse({signal::Failure::malformed, envelope.error().detail});
  if (envelope->sender_key) reading.distributions.push_back(std::move(*envelope->sender_key));
  if (!reading.envelope || !says_nothing(envelope->content)) {
    reading.envelope = std::move(*envelope);
  }
}

/// Keys for the group that the message is in, from whoever wrote it. Others nobody needs.
Attempt<void> Messenger::Impl::take_distributions(const IncomingMessage& message,
                                                  const Peer& author, Reading& reading) {
  for (const message::KeyDistribution& one : std::exchange(reading.distributions, {})) {
    if (one.group != message.from.to_string()) continue;
    WA_TRY_VOID(take_distribution(message.from, author, message.author().device, one.distribution));
  }
  return {};
}

// ---- what follows ---------------------------------------------------------------------------

void Messenger::Impl::deliver(const IncomingMessage& message, const Peer& author, Reading reading) {
  std::optional<std::string> sent_to;
  if (author.self && reading.envelope) sent_to = reading.envelope->sent_to;
  Origin origin = origin_of(message, author, sent_to);
  const bool phone = author.self && message.author().device == 0;
  if (!reading.unreadable.empty()) {
    return give_up(message, author, std::move(origin), std::move(reading));
  }
  message::Content& content = reading.envelope->content;
  if (is_private(content) && !phone) {
    reading.unreadable = "forged";
    return give_up(message, author, std::move(origin), std::move(reading));
  }
  ++counters_.received;
  acknowledge(message, author, std::holds_alternative<message::HistoryNotice>(content));
  if (says_nothing(content)) return settle_awaited(message, author);
  publish_in_turn(message, author, MessageReceived{std::move(origin), std::move(content)});
}

void Messenger::Impl::give_up(const IncomingMessage& message, const Peer& author, Origin origin,
                              Reading reading) {
  complain("a message of " + message.author().to_string() +
           " cannot be read: " + reading.unreadable);
  if (reading.told) {
    settle_awaited(message, author);
  } else {
    publish_in_turn(message, author,
                    MessageUnreadable{std::move(origin), std::move(reading.unreadable)});
  }
  refuse(message);
}

/// Its ack, which says that nothing was delivered.
void Messenger::Impl::refuse(const IncomingMessage& message) {
  if (!message.ack) return;
  wire::NodeBuilder ack = *message.ack;
  if (const auto nack = nack_of(message)) ack.attr("error", *nack);
  send(std::move(ack));
}

Origin Messenger::Impl::origin_of(const IncomingMessage& message, const Peer& author,
                                  const std::optional<std::string>& sent_to) const {
  Origin origin{.id = message.id,
                .chat = message.from.without_device(),
                .sender = message.author(),
                .sender_alias = author.other_name_of(message.author()),
                .from_me = author.self,
                .replayed = message.replayed,
                .at = message.at.value_or(now_.wall),
                .push_name = message.push_name};
  if (!author.self || is_many(message.from)) return origin;
  if (message.recipient) {
    origin.chat = message.recipient->without_device();
  } else if (sent_to) {
    if (auto chat = wire::Jid::parse(*sent_to)) origin.chat = chat->without_device();
  }
  return origin;
}

}  // namespace wa::messaging

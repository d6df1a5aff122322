#include "engine/messaging/stored.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

#include "engine/base/limits.hpp"
#include "engine/base/overloaded.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::messaging {
namespace {

constexpr std::int64_t kMillisPerDay = 24 * 60 * 60 * 1000;
constexpr std::size_t kHashBytes = 8;

constexpr DailyKind kDailyKinds[] = {
    {kSentKind, 7},
    {kUsedPreKeyKind, 1},
    {kRetriesInKind, 1},
    {kRetriesOutKind, 1},
};

ByteArray<kHashBytes> hash_of(std::string_view id) {
  const auto digest = crypto::sha256(as_bytes(id));
  ByteArray<kHashBytes> hash;
  std::copy_n(digest.begin(), kHashBytes, hash.begin());
  return hash;
}

/// A JID that may be missing.
Result<wire::Jid> read_jid(const std::string& text) {
  if (text.empty()) return wire::Jid();
  return wire::Jid::parse(text);
}

std::string print(const wire::Jid& jid) {
  return jid.server.empty() ? std::string() : jid.to_string();
}

void write(const Origin& origin, schema::StoredAppEvent::Message& to) {
  to.set_id(origin.id);
  to.set_chat(print(origin.chat));
  to.set_sender(print(origin.sender));
  to.set_sender_alias(print(origin.sender_alias));
  to.set_from_me(origin.from_me);
  to.set_replayed(origin.replayed);
  to.set_at(origin.at.value);
  to.set_push_name(origin.push_name);
}

Result<Origin> read_origin(const schema::StoredAppEvent::Message& record) {
  Origin origin;
  origin.id = record.id();
  WA_TRY(origin.chat, read_jid(record.chat()));
  WA_TRY(origin.sender, read_jid(record.sender()));
  WA_TRY(origin.sender_alias, read_jid(record.sender_alias()));
  origin.from_me = record.from_me();
  origin.replayed = record.replayed();
  origin.at.value = record.at();
  origin.push_name = record.push_name();
  return origin;
}

Result<AppEvent::What> read_message(const schema::StoredAppEvent::Message& record) {
  WA_TRY(Origin origin, read_origin(record));
  if (record.has_failure()) return MessageUnreadable{std::move(origin), record.failure()};
  WA_TRY(message::Envelope envelope, message::decode(as_bytes(record.content())));
  return MessageReceived{std::move(origin), std::move(envelope.content)};
}

Result<AppEvent::What> read_receipt(const schema::StoredAppEvent::Receipt& record) {
  ReceiptReceived receipt;
  receipt.ids.assign(record.id().begin(), record.id().end());
  WA_TRY(receipt.chat, read_jid(record.chat()));
  WA_TRY(receipt.reader, read_jid(record.reader()));
  receipt.kind = static_cast<ReceiptKind>(record.kind());
  receipt.at.value = record.at();
  return receipt;
}

Result<AppEvent::What> read_outcome(const schema::StoredAppEvent::Outcome& record) {
  WA_TRY(wire::Jid to, read_jid(record.to()));
  const UnixMillis at{record.at()};
  if (!record.has_failure()) {
    return MessageSent{record.id(), std::move(to), at, record.skipped_devices()};
  }
  SendFailed failed{record.id(), std::move(to), record.failure(), std::nullopt, at};
  if (record.has_code()) failed.code = record.code();
  return failed;
}

}  // namespace

// ---- kinds ----------------------------------------------------------------------------------

Day day_of(UnixMillis at) {
  return static_cast<Day>(std::max<std::int64_t>(at.value, 0) / kMillisPerDay);
}

std::string kind_of_day(std::string_view kind, Day day) {
  // The civil date of a day number: days since 0000-03-01, in eras of 400 years.
  const Day shifted = day + 719'468;
  const Day era = shifted / 146'097;
  const Day of_era = shifted - era * 146'097;
  const Day year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const Day of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const Day shifted_month = (5 * of_year + 2) / 153;
  const Day date = of_year - (153 * shifted_month + 2) / 5 + 1;
  const Day month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const Day year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  std::string digits = std::to_string(year * 10'000 + month * 100 + date);
  return std::string(kind) + "." + digits;
}

std::span<const DailyKind> daily_kinds() {
  return kDailyKinds;
}

std::vector<Change> erase_account_records(Day cleaned_day, Day today) {
  std::vector<Change> changes;
  for (const std::string_view kind :
       {kSessionKind, kSeenKind, kDevicesKind, kLidOfKind, kNumberOfKind, kDistrustedKind,
        kGroupKind, kGroupKeyKind, kSenderKeysKind, kOutboxKind, kAwaitedKind}) {
    changes.emplace_back(Erase{std::string(kind), {}});
  }
  for (const DailyKind& daily : daily_kinds()) {
    std::set<Day> days{today};
    for (Day back = 0; back <= daily.kept_days && back <= cleaned_day; ++back) {
      days.insert(cleaned_day - back);
    }
    for (const Day day : days) changes.emplace_back(Erase{kind_of_day(daily.kind, day), {}});
  }
  return changes;
}

std::vector<RecordKey> days_of(std::string_view kind, std::string_view key, Day today) {
  const auto found = std::ranges::find(kDailyKinds, kind, &DailyKind::kind);
  WA_ASSERT(found != std::end(kDailyKinds));
  std::vector<RecordKey> keys;
  for (Day back = 0; back <= found->kept_days && back <= today; ++back) {
    keys.push_back({kind_of_day(kind, today - back), std::string(key)});
  }
  return keys;
}

// ---- contents -------------------------------------------------------------------------------

std::vector<Change> erase_events() {
  return {Erase{std::string(kEventKind), {}}, Erase{std::string(kMessengerKind), {}}};
}

Bytes Sent::encode() const {
  schema::StoredSent record;
  record.set_to(to.to_string());
  record.set_message(schema::field(message));
  record.set_at(at.value);
  record.set_order(order);
  if (outcome) {
    if (outcome->sent_at) record.set_sent_at(outcome->sent_at->value);
    if (!outcome->failure.empty()) record.set_failure(outcome->failure);
    if (outcome->code) record.set_code(*outcome->code);
  }
  return schema::serialize(record);
}

Result<Sent> Sent::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredSent>(bytes, "sent message"));
  Sent sent;
  WA_TRY(sent.to, wire::Jid::parse(record.to()));
  sent.message = to_bytes(record.message());
  sent.at.value = record.at();
  sent.order = record.order();
  if (record.has_sent_at() || record.has_failure()) {
    sent.outcome.emplace();
    if (record.has_sent_at()) sent.outcome->sent_at = UnixMillis{record.sent_at()};
    sent.outcome->failure = record.failure();
    if (record.has_code()) sent.outcome->code = record.code();
  }
  return sent;
}

Bytes Devices::encode() const {
  schema::StoredDevices record;
  for (const std::uint16_t number : numbers) record.add_device(number);
  record.set_at(at.value);
  return schema::serialize(record);
}

Result<Devices> Devices::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredDevices>(bytes, "devices"));
  if (static_cast<std::size_t>(record.device_size()) > limits::kMaxDevicesPerAccount) {
    return Error{Errc::too_large, "devices: too many"};
  }
  Devices devices;
  for (const std::uint32_t number : record.device()) {
    devices.numbers.push_back(static_cast<std::uint16_t>(number));
  }
  devices.at.value = record.at();
  return devices;
}

Bytes Group::encode() const {
  schema::StoredGroup record;
  for (const wire::Jid& member : members) record.add_member(member.to_string());
  record.set_by_lid(by_lid);
  record.set_at(at.value);
  return schema::serialize(record);
}

Result<Group> Group::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredGroup>(bytes, "group"));
  Group group;
  for (const std::string& member : record.member()) {
    WA_TRY(wire::Jid jid, wire::Jid::parse(member));
    group.members.push_back(std::move(jid));
  }
  group.by_lid = record.by_lid();
  group.at.value = record.at();
  return group;
}

Bytes GroupKey::encode() const {
  schema::StoredGroupKey record;
  record.set_key(schema::field(key));
  for (const std::string& holder : holders) record.add_holder(holder);
  for (const std::string& holder : unconfirmed) record.add_unconfirmed(holder);
  if (era != 0) record.set_era(era);
  return schema::serialize(record);
}

Result<GroupKey> GroupKey::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredGroupKey>(bytes, "group key"));
  return GroupKey{to_bytes(record.key()),
                  {record.holder().begin(), record.holder().end()},
                  {record.unconfirmed().begin(), record.unconfirmed().end()},
                  record.era()};
}

Bytes Retries::encode() const {
  schema::StoredRetries record;
  record.set_count(count);
  if (base_key) record.set_base_key(schema::field(*base_key));
  if (told) record.set_told(true);
  return schema::serialize(record);
}

Result<Retries> Retries::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredRetries>(bytes, "retries"));
  Retries retries{.count = record.count(), .told = record.told()};
  if (record.has_base_key()) {
    WA_TRY(retries.base_key, crypto::PublicKey::from(as_bytes(record.base_key()), "base key"));
  }
  return retries;
}

Seen::Seen(ByteSpan record) {
  const std::size_t whole = std::min(record.size() / kHashBytes, kMaxIds) * kHashBytes;
  hashes_ = to_bytes(record.last(whole));
}

bool Seen::has(std::string_view id) const {
  const auto hash = hash_of(id);
  for (std::size_t at = 0; at < hashes_.size(); at += kHashBytes) {
    if (equal(ByteSpan(hashes_).subspan(at, kHashBytes), hash)) return true;
  }
  return false;
}

bool Seen::is_full() const {
  return hashes_.size() == kMaxIds * kHashBytes;
}

void Seen::add(std::string_view id) {
  if (is_full()) {
    hashes_.erase(hashes_.begin(), hashes_.begin() + kHashBytes);
  }
  append(hashes_, hash_of(id));
}

Bytes Watermarks::encode() const {
  schema::StoredMessenger record;
  record.set_last_event_seq(last_event_seq);
  record.set_cleaned_day(cleaned_day);
  record.set_boots(boots);
  record.set_last_order(last_order);
  if (era != 0) record.set_era(era);
  return schema::serialize(record);
}

Result<Watermarks> Watermarks::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredMessenger>(bytes, "messenger"));
  return Watermarks{record.last_event_seq(), record.cleaned_day(), record.boots(),
                    record.last_order(), record.era()};
}

bool is_stored(const AppEvent::What& what) {
  const auto rows = Overloaded{
      [](const SendAccepted&) { return false; }, [](const GroupChanged&) { return false; },
      [](const GroupFailed&) { return false; },  [](const PresenceSeen&) { return false; },
      [](const TypingSeen&) { return false; },   [](const auto&) { return true; },
  };
  return std::visit(rows, what);
}

Bytes encode(const AppEvent::What& what) {
  schema::StoredAppEvent record;
  const auto write_outcome = [&](const auto& one) {
    auto& outcome = *record.mutable_outcome();
    outcome.set_id(one.id);
    outcome.set_to(print(one.to));
    outcome.set_at(one.at.value);
    return &outcome;
  };
  const auto rows = Overloaded{
      [&](const MessageReceived& received) {
        write(received.origin, *record.mutable_message());
        record.mutable_message()->set_content(
            schema::field(message::encode({.content = received.content})));
      },
      [&](const MessageUnreadable& unreadable) {
        write(unreadable.origin, *record.mutable_message());
        record.mutable_message()->set_failure(unreadable.reason);
      },
      [&](const ReceiptReceived& receipt) {
        auto& to = *record.mutable_receipt();
        for (const std::string& id : receipt.ids) to.add_id(id);
        to.set_chat(print(receipt.chat));
        to.set_reader(print(receipt.reader));
        to.set_kind(static_cast<std::uint32_t>(receipt.kind));
        to.set_at(receipt.at.value);
      },
      [&](const MessageSent& sent) {
        write_outcome(sent)->set_skipped_devices(sent.skipped_devices);
      },
      [&](const SendFailed& failed) {
        auto* outcome = write_outcome(failed);
        outcome->set_failure(failed.reason);
        if (failed.code) outcome->set_code(*failed.code);
      },
      [&](const IdentityChanged& changed) {
        record.set_changed_identity(changed.account.to_string());
      },
      [&](const RollbackSuspected& suspected) { record.set_rollback(suspected.evidence); },
      [](const auto&) { WA_UNREACHABLE("such an event is not stored"); },
  };
  std::visit(rows, what);
  return schema::serialize(record);
}

Result<AppEvent::What> decode_app_event(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredAppEvent>(bytes, "event"));
  if (record.has_message()) return read_message(record.message());
  if (record.has_receipt()) return read_receipt(record.receipt());
  if (record.has_outcome()) return read_outcome(record.outcome());
  if (record.has_rollback()) return RollbackSuspected{record.rollback()};
  WA_TRY(wire::Jid account, wire::Jid::parse(record.changed_identity()));
  return IdentityChanged{std::move(account)};
}

std::vector<AppEvent> read_events(const ResidentRecords::OfKind& records) {
  std::vector<AppEvent> events;
  for (const auto& [key, record] : records) {
    std::uint64_t seq = 0;
    std::from_chars(key.data(), key.data() + key.size(), seq);
    auto what = decode_app_event(record);
    if (seq != 0 && what) events.push_back({seq, std::move(*what), std::nullopt});
  }
  std::ranges::sort(events, {}, &AppEvent::seq);
  return events;
}

Bytes Awaited::encode() const {
  schema::StoredAwaited record;
  record.set_message(message);
  record.set_event(schema::field(messaging::encode(what)));
  return schema::serialize(record);
}

Result<Awaited> Awaited::decode(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredAwaited>(bytes, "awaited message"));
  WA_TRY(AppEvent::What what, decode_app_event(as_bytes(record.event())));
  if (!std::holds_alternative<MessageUnreadable>(what) &&
      !std::holds_alternative<MessageReceived>(what)) {
    return Error{Errc::malformed, "awaited message: it is no message"};
  }
  return Awaited{record.message(), std::move(what)};
}

Result<crypto::KeyPair> decode_pre_key(ByteSpan bytes) {
  WA_TRY(const auto record, schema::parse<schema::StoredPreKey>(bytes, "pre-key"));
  crypto::KeyPair pair;
  WA_TRY(pair.private_key,
         crypto::PrivateKey::from(as_bytes(record.key().private_key()), "pre-key"));
  WA_TRY(pair.public_key, crypto::PublicKey::from(as_bytes(record.key().public_key()), "pre-key"));
  return pair;
}

}  // namespace wa::messaging

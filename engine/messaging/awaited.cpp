#include <algorithm>
#include <charconv>

#include "engine/messaging/messenger_impl.hpp"

/// Messages that could not be read and were asked for again: until they come, or are reported. What
/// a device writes to a group behind one that lacks its key waits for a while, so that it is told
/// in its order. Source: docs/protocol/delivery.md, "Retries".
namespace wa::messaging {
namespace {

using wire::Jid;

/// The oldest are reported when there are more.
constexpr std::size_t kMostAwaited = 1000;

RecordKey awaited_record(std::uint64_t order) {
  return {std::string(kAwaitedKind), std::to_string(order)};
}

std::string_view device_in(std::string_view message_key) {
  return message_key.substr(0, message_key.find(' '));
}

const Origin& origin_in(const AppEvent::What& what) {
  const auto* unreadable = std::get_if<MessageUnreadable>(&what);
  return unreadable ? unreadable->origin : std::get<MessageReceived>(what).origin;
}

bool lacks_its_key(const AppEvent::What& what) {
  const auto* unreadable = std::get_if<MessageUnreadable>(&what);
  return unreadable && unreadable->reason == signal::to_string(signal::Failure::no_sender_key);
}

bool is_there(const AppEvent::What& what) {
  return std::holds_alternative<MessageReceived>(what);
}

}  // namespace

std::string Messenger::Impl::message_key(const Peer& author, std::uint16_t device,
                                         const std::string& id) {
  return author.keys(device).front() + " " + id;
}

void Messenger::Impl::restore_awaited(const ResidentRecords::OfKind& records) {
  for (const auto& [key, record] : records) {
    std::uint64_t order = 0;
    std::from_chars(key.data(), key.data() + key.size(), order);
    auto awaited = Awaited::decode(record);
    if (order == 0 || !awaited) continue;
    awaited_ids_[awaited->message] = order;
    awaited_[order].awaited = std::move(*awaited);
    last_awaited_ = std::max(last_awaited_, order);
  }
}

/// Nothing can come without a stream, so that time does not count.
void Messenger::Impl::resume_awaited() {
  for (auto& [order, waiting] : awaited_) {
    waiting.late_at = now_.mono + policy_.patience.resend;
    waiting.hold_until = now_.mono + policy_.patience.held;
  }
  find_awaited_due();
}

void Messenger::Impl::find_awaited_due() {
  awaited_due_.reset();
  if (!streaming_) return;
  const auto consider = [this](Instant at) {
    awaited_due_ = awaited_due_ ? std::min(*awaited_due_, at) : at;
  };
  for (const auto& [order, waiting] : awaited_) {
    if (is_there(waiting.awaited.what)) continue;
    if (!waiting.overdue) consider(waiting.late_at);
    if (waiting.hold_until > now_.mono) consider(waiting.hold_until);
  }
}

std::uint64_t Messenger::Impl::awaited_order(const Peer& author, std::uint16_t device,
                                             const std::string& id) const {
  for (const std::string& name : author.keys(device)) {
    const auto found = awaited_ids_.find(name + " " + id);
    if (found != awaited_ids_.end()) return found->second;
  }
  return 0;
}

void Messenger::Impl::keep_awaited(std::uint64_t order, Awaited awaited) {
  records_.put(awaited_record(order), awaited.encode());
  awaited_ids_[awaited.message] = order;
  awaited_[order] = {std::move(awaited), now_.mono + policy_.patience.resend,
                     now_.mono + policy_.patience.held};
  const Instant due = now_.mono + std::min(policy_.patience.resend, policy_.patience.held);
  if (streaming_) awaited_due_ = awaited_due_ ? std::min(*awaited_due_, due) : due;
}

void Messenger::Impl::drop_awaited(std::uint64_t order) {
  const auto found = awaited_.find(order);
  if (found == awaited_.end()) return;
  records_.erase(awaited_record(order));
  awaited_ids_.erase(found->second.awaited.message);
  awaited_.erase(found);
}

void Messenger::Impl::await_resend(const IncomingMessage& message, const Peer& author,
                                   std::string reason) {
  const std::uint16_t device = message.author().device;
  if (awaited_order(author, device, message.id) != 0) return;
  keep_awaited(++last_awaited_,
               {message_key(author, device, message.id),
                MessageUnreadable{origin_of(message, author, {}), std::move(reason)}});
  if (awaited_.size() <= kMostAwaited) return;
  for (auto& [order, waiting] : awaited_) {
    if (waiting.overdue || is_there(waiting.awaited.what)) continue;
    waiting.overdue = true;
    effects_.next.push_back({origin_in(waiting.awaited.what).chat, {}, {ResendOverdue{order}}});
    return;
  }
}

/// What a device wrote to a group is told behind what it wrote before, as long as that may come.
bool Messenger::Impl::waits_behind(const Jid& group, const Peer& author, std::uint16_t device,
                                   std::uint64_t order) const {
  if (!is_many(group)) return false;
  const std::vector<std::string> names = author.keys(device);
  return std::ranges::any_of(awaited_, [&](const auto& entry) {
    const auto& [earlier, waiting] = entry;
    return earlier < order && lacks_its_key(waiting.awaited.what) &&
           waiting.hold_until > now_.mono && origin_in(waiting.awaited.what).chat == group &&
           std::ranges::find(names, device_in(waiting.awaited.message)) != names.end();
  });
}

void Messenger::Impl::publish_in_turn(const IncomingMessage& message, const Peer& author,
                                      AppEvent::What what) {
  const std::uint16_t device = message.author().device;
  const std::uint64_t asked_for = awaited_order(author, device, message.id);
  const std::uint64_t order = asked_for != 0 ? asked_for : last_awaited_ + 1;
  if (is_there(what) && waits_behind(message.from, author, device, order)) {
    last_awaited_ = std::max(last_awaited_, order);
    return keep_awaited(order, {message_key(author, device, message.id), std::move(what)});
  }
  publish(std::move(what));
  settle_awaited(message, author);
}

/// A message has come to its end, whatever that was: what waits behind it may go.
void Messenger::Impl::settle_awaited(const IncomingMessage& message, const Peer& author) {
  const std::uint16_t device = message.author().device;
  drop_awaited(awaited_order(author, device, message.id));
  for (const std::string& name : author.keys(device)) release_held(message.from, name);
}

void Messenger::Impl::release_held(const Jid& group, std::string_view device) {
  std::vector<std::uint64_t> free;
  for (const auto& [order, waiting] : awaited_) {
    const AppEvent::What& what = waiting.awaited.what;
    if (device_in(waiting.awaited.message) != device || origin_in(what).chat != group) continue;
    if (is_there(what)) {
      free.push_back(order);
    } else if (lacks_its_key(what) && waiting.hold_until > now_.mono) {
      break;
    }
  }
  for (const std::uint64_t order : free) {
    publish(std::move(awaited_.at(order).awaited.what));
    drop_awaited(order);
  }
}

void Messenger::Impl::on_awaited_due() {
  std::set<std::pair<Jid, std::string>> released;
  std::vector<std::pair<Jid, std::uint64_t>> late;
  for (auto& [order, waiting] : awaited_) {
    const Origin& origin = origin_in(waiting.awaited.what);
    if (is_there(waiting.awaited.what)) {
      released.emplace(origin.chat, device_in(waiting.awaited.message));
    } else if (!waiting.overdue && waiting.late_at <= now_.mono) {
      waiting.overdue = true;
      late.emplace_back(origin.chat, order);
    }
  }
  for (const auto& [group, device] : released) {
    change(kPointReceived, [&] { release_held(group, device); });
  }
  find_awaited_due();
  for (auto& [chat, order] : late) arrive(chat, {}, ResendOverdue{order});
}

/// It was asked for and never came: the application is told, and is told of the message should it
/// come all the same.
Attempt<void> Messenger::Impl::handle(const ResendOverdue& overdue, Work&) {
  const auto found = awaited_.find(overdue.order);
  if (found == awaited_.end() || is_there(found->second.awaited.what)) return {};
  const Awaited& awaited = found->second.awaited;
  WA_TRY(const Bytes* record, read_daily(kRetriesInKind, awaited.message));
  Retries retries;
  if (record) {
    if (auto known = Retries::decode(*record)) retries = std::move(*known);
  }
  retries.told = true;
  records_.put({kind_of_day(kRetriesInKind, today()), awaited.message}, retries.encode());
  const Origin origin = origin_in(awaited.what);
  const std::string device(device_in(awaited.message));
  complain("a message of " + origin.sender.to_string() + " was asked for and did not come");
  publish(std::move(found->second.awaited.what));
  drop_awaited(overdue.order);
  release_held(origin.chat, device);
  return {};
}

}  // namespace wa::messaging

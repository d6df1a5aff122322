#include "engine/messaging/messenger.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/messaging/messenger_impl.hpp"

namespace wa::messaging {
namespace {

using wire::Jid;

const std::string kDoor = "door";
/// A lane that never empties gives its records back now and then.
constexpr std::size_t kMostPins = 256;
constexpr auto kEraseTakenAfter = std::chrono::seconds(1);
constexpr std::size_t kMostWaitingReads = 64;
/// Of a large group some thousand devices are asked for: by queries of this size.
constexpr std::ptrdiff_t kMostPerQuery = 250;
/// So much may have happened since an old copy was made, and is passed over: events and messages
/// get numbers that were not given out then.
constexpr std::uint64_t kLostEvents = 1'000'000;
constexpr std::uint64_t kLostMessages = 100'000;
const RecordKey kWatermarks{std::string(kMessengerKind), "self"};

}  // namespace

Messenger::Messenger(OwnKeys& keys, ResidentRecords stored, Random& random, Policy policy)
    : impl_(std::make_unique<Impl>(keys, std::move(stored), random, policy)) {}
Messenger::~Messenger() = default;
Messenger::Messenger(Messenger&&) noexcept = default;
Messenger& Messenger::operator=(Messenger&&) noexcept = default;

bool Messenger::handles(const wire::Node& stanza) {
  for (const std::string_view tag : {"message", "receipt", "presence", "chatstate"}) {
    if (stanza.tag == tag) return true;
  }
  if (stanza.tag == "ack") return stanza.attr("class") == "message";
  return stanza.tag == "notification" && IncomingNotice::read(stanza);
}

Messenger::Parting Messenger::part(Now now) {
  return impl_->part(now);
}
std::vector<Action> Messenger::step(const Event& event, Now now) {
  return impl_->step(event, now);
}
std::optional<Instant> Messenger::next_deadline() const {
  return impl_->next_deadline();
}
const Messenger::Counters& Messenger::counters() const {
  return impl_->counters();
}
Messenger::Residency Messenger::residency() const {
  return impl_->residency();
}

// ---- steps ----------------------------------------------------------------------------------

Messenger::Impl::Impl(OwnKeys& keys, ResidentRecords stored, Random& random, Policy policy)
    : keys_(keys),
      random_(random),
      policy_(policy),
      ids_(keys.identity().identity),
      resends_(kMostResends, policy.patience.pace) {
  if (const auto self = stored.messenger.find(kWatermarks.key); self != stored.messenger.end()) {
    if (const auto watermarks = Watermarks::decode(self->second)) watermarks_ = *watermarks;
  }
  ++watermarks_.boots;
  restore_outbox(stored.outbox);
  restore_awaited(stored.awaited);
  for (AppEvent& event : read_events(stored.events)) {
    watermarks_.last_event_seq = std::max(watermarks_.last_event_seq, event.seq);
    events_[event.seq] = std::move(event);
  }
}

std::vector<Action> Messenger::Impl::step(const Event& event, Now now) {
  now_ = now;
  if (!std::exchange(begun_, true)) begin();
  std::visit([this](const auto& one) { on(one); }, event);
  run_ready();
  return std::exchange(actions_, {});
}

Messenger::Parting Messenger::Impl::part(Now now) {
  now_ = now;
  if (!std::exchange(begun_, true)) begin();
  std::map<std::uint64_t, std::string> waiting;
  for (const auto& [id, outgoing] : outbox_) waiting.emplace(outgoing.sent.order, id);
  std::vector<SendRequested> asked;  // and not accepted yet
  const auto ask = [&](const Work& work) {
    if (const auto* request = std::get_if<SendRequested>(&work.job)) asked.push_back(*request);
  };
  for (const Arrival& arrival : door_) ask(arrival.work);
  for (const auto& [name, lane] : lanes_) std::ranges::for_each(lane.queue, ask);
  change(kPointSent, [&] {
    for (const auto& [order, id] : waiting) failed(id, "logged_out", std::nullopt);
    for (const SendRequested& one : asked) {
      reply(SendFailed{one.id, one.to, "logged_out", std::nullopt, now_.wall}, one.ref);
    }
  });
  Parting parting{
      std::exchange(actions_, {}), erase_account_records(watermarks_.cleaned_day, today()), {}};
  for (const std::uint64_t seq : taken_) {
    parting.changes.emplace_back(Erase{std::string(kEventKind), std::to_string(seq)});
  }
  for (const auto& [seq, event] : events_) {
    parting.left.events[std::to_string(seq)] = encode(event.what);
  }
  parting.left.messenger[kWatermarks.key] = watermarks_.encode();
  return parting;
}

void Messenger::Impl::begin() {
  for (auto& [id, outgoing] : outbox_) {
    outgoing.deadline = deadline_of(outgoing.sent);
    outbox_deadlines_.emplace(outgoing.deadline, id);
  }
  for (const auto& [seq, event] : events_) actions_.push_back(Publish{event});
}

std::optional<Instant> Messenger::Impl::next_deadline() const {
  std::optional<Instant> next = erase_taken_at_;
  const auto consider = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
  if (!outbox_deadlines_.empty()) consider(outbox_deadlines_.begin()->first);
  if (!sleeping_.empty()) consider(sleeping_.begin()->first);
  if (awaited_due_) consider(*awaited_due_);
  return next;
}

Messenger::Residency Messenger::Impl::residency() const {
  return {records_.resident(), lanes_.size(), outbox_.size(), events_.size(), awaited_.size()};
}

void Messenger::Impl::on(const StreamReady&) {
  streaming_ = true;
  resume_awaited();
  resume_presence();
  transmit_all();
  for (const ReadRequested& request : std::exchange(reads_, {})) say_read(request);
}

void Messenger::Impl::on(const StreamEnded&) {
  streaming_ = false;
  awaited_due_.reset();
  if (!taken_.empty()) erase_taken_now();
  queries_.clear();
  give_up_group_requests();
  fetches_.clear();
  sleeping_.clear();
  for (auto& [id, outgoing] : outbox_) outgoing.under_way = false;
  // Stanzas come again, and the outbox is sent again. What the application asked for stays.
  const auto comes_again = [](const Work& work) {
    return !std::holds_alternative<SendRequested>(work.job) &&
           !std::holds_alternative<TrustRequested>(work.job) &&
           !std::holds_alternative<GroupSettled>(work.job) &&
           !std::holds_alternative<ResendOverdue>(work.job);
  };
  std::erase_if(door_, [&](const Arrival& arrival) { return comes_again(arrival.work); });
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    std::erase_if(lane->second.queue, comes_again);
    if (lane->second.queue.empty()) {
      records_.release(lane->second.pins);
      lane = lanes_.erase(lane);
    } else {
      lane->second.blocked = false;
      lane->second.awaited = 0;
      ready_.push_back(lane->first);
      ++lane;
    }
  }
  open_door();
}

void Messenger::Impl::on(const StanzaReceived& event) {
  const wire::Node& stanza = *event.stanza;
  if (stanza.tag == "ack") {
    if (const auto ack = IncomingAck::read(stanza)) on_ack(*ack);
    return;
  }
  if (stanza.tag == "presence") return on_presence(stanza);
  if (stanza.tag == "chatstate") return on_chatstate(stanza);
  if (stanza.tag == "message") {
    if (auto message = IncomingMessage::read(stanza)) {
      const bool ours = is_ours(message->author());
      const bool names_chat = ours && message->recipient && !is_many(message->from);
      Jid chat = names_chat ? *message->recipient : message->from;
      auto alias = names_chat ? message->recipient_alias : message->author_alias;
      return arrive(std::move(chat), std::move(alias), std::move(*message));
    }
  } else if (stanza.tag == "receipt" && stanza.attr("type") == "retry") {
    if (auto retry = IncomingRetry::read(stanza)) {
      Jid reader = retry->reader();
      return arrive(std::move(reader), {}, RetryWork{std::move(*retry), ack_of(stanza)});
    }
  } else if (stanza.tag == "receipt") {
    if (auto receipt = IncomingReceipt::read(stanza)) {
      Jid chat = receipt->recipient.value_or(receipt->from);
      return arrive(std::move(chat), {}, ReceiptWork{std::move(*receipt), ack_of(stanza)});
    }
  } else if (auto notice = IncomingNotice::read(stanza)) {
    Jid account = notice->account;
    auto alias = notice->alias;
    return arrive(std::move(account), std::move(alias),
                  NoticeWork{std::move(*notice), ack_of(stanza)});
  }
  // Nothing to be made of it, but the server wants it off its list.
  if (auto ack = ack_of(stanza)) actions_.push_back(SendStanza{std::move(*ack)});
}

void Messenger::Impl::on(const Answered& event) {
  if (auto wanted = group_requests_.extract(event.query_id)) {
    return on_group_answer(std::move(wanted.mapped()), event);
  }
  const auto query = queries_.extract(event.query_id);
  if (query.empty()) return;
  const bool accepted = event.answer && event.answer->attr("type") == "result";
  const wire::Node* answer = accepted ? event.answer : nullptr;
  std::vector<Fetch>& asked = query.mapped();
  if (asked.front().what == Fetch::What::bundle) {
    return settle(asked, read_bundles(answer, asked));
  }
  const std::string lane = "query " + std::to_string(event.query_id);
  if (asked.front().what == Fetch::What::group) {
    auto group = read_group(answer, asked.front().of);
    return enqueue(lane, {GroupArrived{std::move(asked), std::move(group)}});
  }
  auto accounts = read_devices(answer, asked);
  enqueue(lane, {DevicesArrived{std::move(asked), std::move(accounts)}});
}

void Messenger::Impl::on(const SendRequested& event) {
  arrive(event.to, {}, event);
}

void Messenger::Impl::on(const TrustRequested& event) {
  arrive(event.account, {}, event);
}

void Messenger::Impl::on(const ReadRequested& event) {
  if (streaming_) return say_read(event);
  if (reads_.size() < kMostWaitingReads) reads_.push_back(event);
}

void Messenger::Impl::on(const Loaded& event) {
  for (const std::string& name : records_.loaded(event.load_id, event.values)) {
    if (name == kDoor) {
      open_door();
    } else {
      wake(name);
    }
  }
}

void Messenger::Impl::on(const EventTaken& event) {
  if (events_.erase(event.seq) == 0) return;
  taken_.insert(event.seq);
  if (!streaming_) return erase_taken_now();  // nothing else will be committed soon
  if (!erase_taken_at_) erase_taken_at_ = now_.mono + kEraseTakenAfter;
}

void Messenger::Impl::on(const DeadlineReached&) {
  while (!outbox_deadlines_.empty() && outbox_deadlines_.begin()->first <= now_.mono) {
    const std::string id = outbox_deadlines_.begin()->second;
    change(kPointSent, [&] { failed(id, "timed_out", std::nullopt); });
  }
  if (erase_taken_at_ && *erase_taken_at_ <= now_.mono) erase_taken_now();
  if (awaited_due_ && *awaited_due_ <= now_.mono) on_awaited_due();
  while (!sleeping_.empty() && sleeping_.begin()->first <= now_.mono) {
    wake(sleeping_.extract(sleeping_.begin()).mapped());
  }
}

void Messenger::Impl::on(const StoreIsOld& event) {
  change(kPointRolledBack, [&] { effects_.old_copy = event.evidence; });
}

// ---- the door -------------------------------------------------------------------------------

void Messenger::Impl::arrive(Jid chat, std::optional<Jid> alias, Job job) {
  if (alias && is_account(chat) && is_account(*alias) && !is_ours(chat) && !is_ours(*alias)) {
    const bool hidden = chat.server == wire::kServerLid;
    joined_[hidden ? alias->user : chat.user] = hidden ? chat.user : alias->user;
  }
  door_.push_back({std::move(chat), std::move(alias), {std::move(job)}});
  if (door_.size() == 1) return open_door();
  // Others wait before it; what its name needs is loaded meanwhile.
  records_.begin(door_pins_);
  if (const auto lane = lane_of(door_.back()); !lane) load_for(kDoor, lane.error().records);
}

Attempt<std::string> Messenger::Impl::lane_of(const Arrival& arrival) {
  // What may wait for the server's answers does not hold up what comes in, and a flood of retries
  // does not hold up new messages.
  const Job& job = arrival.work.job;
  std::string prefix = "from ";
  if (std::holds_alternative<RetryWork>(job)) prefix = "retry ";
  if (std::holds_alternative<SendRequested>(job)) prefix = "wanted ";
  if (std::holds_alternative<Transmission>(job) || std::holds_alternative<Completion>(job) ||
      std::holds_alternative<KeyGiven>(job)) {
    prefix = "to ";
  }
  if (!is_account(arrival.chat)) return prefix + arrival.chat.to_string();
  std::optional<Jid> alias = arrival.alias;
  if (!alias && arrival.chat.server == wire::kServerPn) {
    const auto joined = joined_.find(arrival.chat.user);
    if (joined != joined_.end()) alias = Jid(joined->second, wire::kServerLid);
  }
  WA_TRY(const Peer peer, known_peer(arrival.chat, alias));
  if (!peer.lid.empty() && !peer.number.empty()) {
    // While something of the chat waits under its number, what follows waits behind it.
    std::string by_number = prefix + Jid(peer.number, wire::kServerPn).to_string();
    if (lanes_.contains(by_number)) return by_number;
  }
  return prefix + peer.jid().to_string();
}

void Messenger::Impl::open_door() {
  while (!door_.empty()) {
    records_.begin(door_pins_);
    const auto lane = lane_of(door_.front());
    if (!lane) return load_for(kDoor, lane.error().records);
    Work work = std::move(door_.front().work);
    door_.pop_front();
    enqueue(*lane, std::move(work));
  }
  records_.release(door_pins_);
}

// ---- lanes ----------------------------------------------------------------------------------

void Messenger::Impl::enqueue(const std::string& name, Work work) {
  Lane& lane = lanes_[name];
  lane.queue.push_back(std::move(work));
  if (!lane.blocked) ready_.push_back(name);
}

void Messenger::Impl::wake(const std::string& name) {
  const auto lane = lanes_.find(name);
  if (lane == lanes_.end()) return;
  lane->second.blocked = false;
  ready_.push_back(name);
}

void Messenger::Impl::run_ready() {
  while (!ready_.empty()) {
    const std::string name = std::move(ready_.front());
    ready_.pop_front();
    run(name);
  }
  if (lanes_.empty() && door_.empty()) joined_.clear();
}

void Messenger::Impl::run(const std::string& name) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end() || found->second.blocked) return;
  Lane& lane = found->second;
  while (!lane.queue.empty()) {
    Work& work = lane.queue.front();
    records_.begin(lane.pins);
    effects_ = {};
    const Attempt<void> attempt =
        std::visit([&](const auto& job) { return handle(job, work); }, work.job);
    if (!attempt) {
      records_.abandon();
      lane.blocked = true;
      return block(name, work, attempt.error());
    }
    std::vector<Arrival> next = std::move(effects_.next);
    conclude(point_of(work.job));
    const Job done = std::move(work.job);
    lane.queue.pop_front();
    for (Arrival& one : next) arrive(std::move(one.chat), {}, std::move(one.work.job));
    if (const auto* arrived = std::get_if<DevicesArrived>(&done)) settle(arrived->asked, {});
    if (const auto* arrived = std::get_if<GroupArrived>(&done)) settle(arrived->asked, {});
    if (lane.pins.size() > kMostPins) records_.release(lane.pins);
  }
  records_.release(lane.pins);
  lanes_.erase(found);
}

std::string_view Messenger::Impl::point_of(const Job& job) {
  const auto rows = Overloaded{
      [](const SendRequested&) { return kPointAccepted; },
      [](const Transmission&) { return kPointEncrypted; },
      [](const Completion&) { return kPointEncrypted; },
      [](const RetryWork&) { return kPointEncrypted; },
      [](const KeyGiven&) { return kPointSent; },
      [](const DevicesArrived&) { return kPointLearned; },
      [](const GroupArrived&) { return kPointLearned; },
      [](const GroupSettled&) { return kPointLearned; },
      [](const auto&) { return kPointReceived; },
  };
  return std::visit(rows, job);
}

void Messenger::Impl::block(const std::string& name, const Work& work, const Blocked& blocked) {
  if (!blocked.records.empty()) load_for(name, blocked.records);
  if (blocked.until) sleeping_.emplace(*blocked.until, name);
  std::vector<Fetch> devices;
  std::vector<Fetch> bundles;
  for (const Fetch& fetch : blocked.fetches) {
    WA_ASSERT(!work.tried.contains(fetch));
    const auto [under_way, is_new] = fetches_.try_emplace(fetch);
    if (under_way->second.insert(name).second) ++lanes_.at(name).awaited;
    if (!is_new) continue;
    if (fetch.what == Fetch::What::group) {
      ask({fetch}, group_query(fetch.of));
    } else {
      (fetch.what == Fetch::What::devices ? devices : bundles).push_back(fetch);
    }
  }
  ask_in_parts(devices, [this](const auto& part) { return devices_query(part); });
  ask_in_parts(bundles, [](const auto& part) { return bundles_query(part); });
}

template <class MakeQuery>
void Messenger::Impl::ask_in_parts(const std::vector<Fetch>& fetches, MakeQuery make_query) {
  for (auto at = fetches.begin(); at != fetches.end();) {
    const auto end = at + std::min(kMostPerQuery, fetches.end() - at);
    const std::vector<Fetch> part(at, end);
    ask(part, make_query(part));
    at = end;
  }
}

void Messenger::Impl::load_for(const std::string& name, const std::vector<RecordKey>& keys) {
  auto to_load = records_.wait(name, keys, last_load_id_ + 1);
  if (to_load.empty()) return;
  actions_.push_back(Load{++last_load_id_, std::move(to_load)});
}

void Messenger::Impl::ask(const std::vector<Fetch>& fetches, wire::NodeBuilder iq) {
  queries_[++last_query_id_] = fetches;
  actions_.push_back(Query{last_query_id_, std::move(iq)});
}

void Messenger::Impl::settle(const std::vector<Fetch>& fetches,
                             const std::vector<BundleAnswer>& bundles) {
  for (const Fetch& fetch : fetches) {
    const auto under_way = fetches_.extract(fetch);
    if (under_way.empty()) continue;
    const auto answer = std::ranges::find(bundles, fetch.of, &BundleAnswer::asked);
    for (const std::string& name : under_way.mapped()) {
      const auto lane = lanes_.find(name);
      if (lane == lanes_.end() || lane->second.queue.empty()) continue;
      lane->second.queue.front().tried[fetch] =
          answer == bundles.end() ? BundleAnswer{fetch.of, {}, "the server does not say"} : *answer;
      if (--lane->second.awaited == 0) wake(name);
    }
  }
}

// ---- commits --------------------------------------------------------------------------------

void Messenger::Impl::change(std::string_view point, const std::function<void()>& make) {
  Records::Pins pins;
  records_.begin(pins);
  effects_ = {};
  make();
  conclude(point);
  records_.release(pins);
}

void Messenger::Impl::conclude(std::string_view point) {
  const bool found_out = !effects_.old_copy.empty() && point != kPointRolledBack;
  if (!effects_.old_copy.empty()) begin_era(effects_.old_copy);
  for (AppEvent& event : effects_.events) {
    event.seq = ++watermarks_.last_event_seq;
    records_.put({std::string(kEventKind), std::to_string(event.seq)}, encode(event.what));
    events_[event.seq] = event;
  }
  if (records_.changed()) {
    const bool cleaned = clean_old_days();
    const bool accepted = point == kPointAccepted;
    if (cleaned || accepted || !effects_.events.empty()) {
      records_.put(kWatermarks, watermarks_.encode());
    }
    erase_taken();
  }
  std::vector<Change> changes = records_.finish();
  std::move(effects_.changes.begin(), effects_.changes.end(), std::back_inserter(changes));
  if (!changes.empty()) actions_.push_back(Commit{std::move(changes), point});
  for (wire::NodeBuilder& stanza : effects_.stanzas) {
    actions_.push_back(SendStanza{std::move(stanza)});
  }
  for (AppEvent& event : effects_.replies) actions_.push_back(Publish{std::move(event)});
  for (AppEvent& event : effects_.events) actions_.push_back(Publish{std::move(event)});
  if (found_out) actions_.push_back(RenewPreKeys{});
  effects_ = {};
}

void Messenger::Impl::begin_era(const std::string& evidence) {
  ++watermarks_.era;
  watermarks_.last_event_seq += kLostEvents;
  watermarks_.last_order += kLostMessages;
  publish(RollbackSuspected{evidence});
  actions_.push_back(
      Report{Report::Level::warning,
             "what is stored of this device is an older copy of itself (" + evidence +
                 "): sessions begin anew. Messages since that copy are not known here"});
}

void Messenger::Impl::look_for_future(const std::string& id) {
  if (ids_.is_later(id, watermarks_.last_order)) effects_.old_copy = "message_ids";
}

void Messenger::Impl::erase_taken_now() {
  change(kPointTaken, [this] { erase_taken(); });
}

void Messenger::Impl::erase_taken() {
  for (const std::uint64_t seq : std::exchange(taken_, {})) {
    records_.erase({std::string(kEventKind), std::to_string(seq)});
  }
  erase_taken_at_.reset();
}

/// Whether it is another day than when this was done last.
bool Messenger::Impl::clean_old_days() {
  const Day last = watermarks_.cleaned_day;
  if (today() <= last) return false;
  for (const DailyKind& daily : daily_kinds()) {
    if (last == 0) continue;
    // What there can be is of the day of the last cleaning or older.
    for (Day day = last - daily.kept_days; day <= last && day + daily.kept_days < today(); ++day) {
      records_.erase_kind(kind_of_day(daily.kind, day));
    }
  }
  watermarks_.cleaned_day = today();
  return true;
}

// ---- names ----------------------------------------------------------------------------------

Peer Messenger::Impl::self() const {
  return {keys_.jid().user, keys_.lid().server.empty() ? std::string() : keys_.lid().user, true};
}

bool Messenger::Impl::is_ours(const Jid& jid) const {
  const Peer own = self();
  if (jid.server == wire::kServerLid) return !own.lid.empty() && jid.user == own.lid;
  return jid.server == wire::kServerPn && jid.user == own.number;
}

Attempt<Peer> Messenger::Impl::known_peer(const Jid& jid, const std::optional<Jid>& alias) {
  if (is_ours(jid)) return self();
  Peer peer;
  const bool hidden = jid.server == wire::kServerLid;
  (hidden ? peer.lid : peer.number) = jid.user;
  std::string& other = hidden ? peer.number : peer.lid;
  // Nobody else has one of our names.
  if (alias && is_account(*alias) && !is_ours(*alias)) {
    other = alias->user;
    return peer;
  }
  const std::string_view kind = hidden ? kNumberOfKind : kLidOfKind;
  WA_TRY(const Bytes* known, records_.read({std::string(kind), jid.user}));
  if (known) other = std::string(as_text(*known));
  return peer;
}

void Messenger::Impl::add_name_keys(const Jid& jid, std::vector<RecordKey>& to) const {
  if (is_ours(jid)) return;
  const bool hidden = jid.server == wire::kServerLid;
  to.push_back({std::string(hidden ? kNumberOfKind : kLidOfKind), jid.user});
}

Attempt<Peer> Messenger::Impl::peer_of(const Jid& jid, const std::optional<Jid>& alias) {
  WA_TRY(Peer peer, known_peer(jid, alias));
  if (peer.self || peer.number.empty() || peer.lid.empty() || !alias) return peer;
  const RecordKey lid_of{std::string(kLidOfKind), peer.number};
  const RecordKey number_of{std::string(kNumberOfKind), peer.lid};
  const std::array both{lid_of, number_of};
  WA_TRY_VOID(records_.need(both));
  const auto teach = [this](const RecordKey& key, const std::string& name) {
    const auto known = records_.read(key);
    if (known && *known && as_text(**known) == name) return;
    records_.put(key, to_bytes(name));
  };
  teach(lid_of, peer.lid);
  teach(number_of, peer.number);
  return peer;
}

Attempt<const Bytes*> Messenger::Impl::read_daily(std::string_view kind, std::string_view key) {
  const std::vector<RecordKey> days = days_of(kind, key, today());
  WA_TRY_VOID(records_.need(days));
  for (const RecordKey& day : days) {
    WA_TRY(const Bytes* record, records_.read(day));
    if (record) return record;
  }
  return nullptr;
}

}  // namespace wa::messaging

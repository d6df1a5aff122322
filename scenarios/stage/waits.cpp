#include "scenarios/stage/waits.hpp"

#include <algorithm>

namespace wa::stage {

using mock::EventKind;
using Grade = Match::Grade;

namespace {

/// How many arrivals a message lists; the newest say most.
constexpr std::size_t kListed = 8;

/// Since the scenario began.
std::string at_text(World& world, Instant at) {
  return to_text(at - world.server().began());
}

std::string list(const std::vector<std::string>& parts) {
  std::string text;
  const std::size_t first = parts.size() > kListed ? parts.size() - kListed : 0;
  if (first > 0) text = std::to_string(first) + " more, then ";
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (i > first) text += ", ";
    text += parts[i];
  }
  return text;
}

bool flag(const boost::json::object& data, std::string_view key) {
  const boost::json::value* value = data.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

bool same_text(const boost::json::object& data, std::string_view key, std::string_view text) {
  const boost::json::value* value = data.if_contains(key);
  return value && value->is_string() && std::string_view(value->get_string()) == text;
}

}  // namespace

Wait::Wait(World& world, Kind kind, std::string what, Duration within)
    : world_(&world),
      kind_(kind),
      what_(std::move(what)),
      began_(world.now().mono),
      within_(world.time_scale().apply(
          within, kind == Kind::pause ? DurationKind::delay : DurationKind::within)) {
  deadline_ = began_ + within_;
  for (const auto& active : world.server().faults().records()) {
    fired_before_.emplace_back(active.record.id, active.fired);
  }
}

Wait Wait::for_entry(World& world, Device& device, std::string what, EntryMatcher matcher,
                     Duration within) {
  Wait wait(world, Kind::entries, "device " + device.name() + ": " + what, within);
  wait.device_ = &device;
  wait.entry_matcher_ = std::move(matcher);
  wait.begin_ = wait.next_ = device.cursor();
  return wait;
}

Wait Wait::for_state(World& world, Device& device, std::string state, std::string reason,
                     Duration within) {
  std::string what = "state " + state + (reason.empty() ? "" : " (" + reason + ")");
  auto matcher = [state = std::move(state),
                  reason = std::move(reason)](const Entry& entry) -> Match {
    if (entry.kind != "state" || !same_text(entry.data, "state", state)) return {};
    if (reason.empty() || same_text(entry.data, "reason", reason)) return {Grade::full, {}};
    return {Grade::near, describe(entry)};
  };
  return for_entry(world, device, std::move(what), std::move(matcher), within);
}

Wait Wait::for_qr(World& world, Device& device, Duration within) {
  auto matcher = [](const Entry& entry) -> Match {
    if (entry.kind != "qr") return {};
    if (flag(entry.data, "stale")) return {Grade::near, describe(entry)};
    return {Grade::full, {}};
  };
  return for_entry(world, device, "a QR code", matcher, within);
}

Wait Wait::for_pairing_code(World& world, Device& device, Duration within) {
  auto matcher = [](const Entry& entry) -> Match {
    return {entry.kind == "pairing_code" ? Grade::full : Grade::none, {}};
  };
  return for_entry(world, device, "a pairing code", matcher, within);
}

bool Wanted::matches(const boost::json::object& message, const Server& server) const {
  const auto names = [&](std::string_view key, const std::string& who) {
    if (who.empty()) return true;
    const boost::json::value* jid = message.if_contains(key);
    return jid && jid->is_string() && server.is(std::string_view(jid->get_string()), who);
  };
  const auto says = [&](std::string_view key, const std::string& word) {
    return word.empty() || same_text(message, key, word);
  };
  const auto is = [&](std::string_view key, std::optional<bool> wanted) {
    return !wanted || flag(message, key) == *wanted;
  };
  return names("from", from) && names("chat", chat) && says("kind", kind) && says("id", id) &&
         says("about", about) && (!text || same_text(message, "text", *text)) &&
         is("from_me", from_me) && is("offline", offline);
}

std::string Wanted::to_text() const {
  std::string words;
  const auto add = [&](std::string_view before, const std::string& word) {
    if (!word.empty()) words += (words.empty() ? "" : " ") + std::string(before) + word;
  };
  add("", kind);
  if (text) add("", '"' + *text + '"');
  add("from ", from);
  add("in chat ", chat);
  add("about ", about);
  add("with id ", id);
  if (from_me) add("", *from_me ? "by the own account" : "by others");
  if (offline) add("", *offline ? "kept by the server" : "live");
  return words;
}

Wait Wait::for_message(World& world, Device& device, std::string kind, Wanted wanted,
                       Duration within) {
  std::string what = "a " + kind;
  if (const std::string words = wanted.to_text(); !words.empty()) what += " " + words;
  auto matcher = [&world, kind = std::move(kind), wanted = std::move(wanted)](const Entry& entry) {
    if (entry.kind != kind) return Match{};
    if (wanted.matches(entry.data, world.server())) return Match{Grade::full, {}};
    return Match{Grade::near, describe(entry)};
  };
  Wait wait = for_entry(world, device, std::move(what), std::move(matcher), within);
  wait.takes_ = true;
  wait.next_ = 0;
  return wait;
}

Wait Wait::for_message(World& world, const Phone& phone, std::string kind, Wanted wanted,
                       Duration within) {
  Wait wait = for_event(world, EventKind::message, {}, {}, within);
  wait.what_ = "phone " + phone.number() + ": a " + kind;
  if (const std::string words = wanted.to_text(); !words.empty()) wait.what_ += " " + words;
  wait.event_matcher_ = [&world, number = phone.number(), kind = std::move(kind),
                         wanted = std::move(wanted)](const mock::TenantEvent& event) {
    const auto said = phone_entry(world.server(), number, event);
    if (!said || said->kind != kind) return Match{};
    if (wanted.matches(said->data, world.server())) return Match{Grade::full, {}};
    return Match{Grade::near, describe(*said)};
  };
  wait.takes_ = true;
  wait.next_ = 0;
  return wait;
}

Wait Wait::for_sending(World& world, Device& device, Ref ref, Duration within) {
  Wait wait(world, Kind::sending, "device " + device.name() + ": the server's word on a message",
            within);
  wait.device_ = &device;
  wait.ref_ = ref;
  wait.begin_ = wait.next_ = device.history().size();
  return wait;
}

Wait Wait::for_answer(World& world, Device& device, Ref ref, std::string what, Duration within) {
  Wait wait(world, Kind::answer, "device " + device.name() + ": answer to " + what, within);
  wait.device_ = &device;
  wait.ref_ = ref;
  wait.begin_ = wait.next_ = device.history().size();
  return wait;
}

Wait Wait::for_outcome(World& world, OutcomePtr outcome, Duration within) {
  Wait wait(world, Kind::outcome, "answer to " + outcome->what, within);
  wait.outcome_ = std::move(outcome);
  wait.begin_ = wait.next_ = world.server().history().size();
  return wait;
}

Wait Wait::for_event(World& world, EventKind kind, std::string label, EventMatcher matcher,
                     Duration within) {
  std::string what = "server: event " + std::string(mock::to_string(kind));
  if (!label.empty()) what += " of " + label;
  Wait wait(world, Kind::events, std::move(what), within);
  wait.begin_ = wait.next_ = world.server().cursor(label);
  wait.label_ = std::move(label);
  wait.event_kind_ = kind;
  wait.event_matcher_ = std::move(matcher);
  return wait;
}

Wait Wait::until(World& world, std::string what, std::function<bool()> condition, Duration within) {
  Wait wait(world, Kind::condition, std::move(what), within);
  wait.condition_ = std::move(condition);
  return wait;
}

Wait Wait::pause(World& world, Duration duration) {
  return Wait(world, Kind::pause, "pause of " + to_text(duration), duration);
}

Wait::Progress Wait::poll() {
  if (progress_ != Progress::pending) return progress_;
  const bool over = world_->now().mono >= deadline_;
  switch (kind_) {
    case Kind::pause: return over ? finish(Progress::matched) : progress_;
    case Kind::condition:
      if (condition_()) return finish(Progress::matched);
      break;
    case Kind::outcome:
      if (outcome_->answered()) return finish(Progress::matched);
      break;
    case Kind::answer:
      if (const Entry* answer = device_->answer(ref_)) {
        index_ = static_cast<std::size_t>(answer - device_->history().data());
        return finish(Progress::matched);
      }
      break;
    case Kind::sending:
      if (const Sending* sending = device_->sending(ref_); sending && sending->ended()) {
        return finish(Progress::matched);
      }
      break;
    case Kind::entries: scan_entries(); break;
    case Kind::events: scan_events(); break;
  }
  if (progress_ == Progress::pending && over) finish(Progress::timed_out);
  return progress_;
}

Wait::Progress Wait::finish(Progress progress) {
  progress_ = progress;
  Trace& trace = world_->trace();
  const Trace::Actor actor = trace.actor("script");
  const Instant at = world_->now().mono;
  Bytes& canonical = trace.open(at, actor, TraceKind::wait);
  append(canonical, as_bytes(what_));
  append(canonical, big_endian<1>(progress == Progress::matched ? 1 : 0));
  append(canonical, big_endian<8>(index_));
  trace.close();
  if (trace.recording()) {
    trace.line(at, actor, progress == Progress::matched ? "matched" : "timed_out",
               {{"what", what_}});
  }
  return progress_;
}

void Wait::scan_entries() {
  // The cursor may have been moved by another wait since this one began.
  if (!takes_) next_ = std::max(next_, device_->cursor());
  const auto& history = device_->history();
  for (; next_ < history.size(); ++next_) {
    if (takes_ && device_->taken(next_)) continue;
    Match match = entry_matcher_(history[next_]);
    if (match.grade == Grade::near) near_misses_.push_back(std::move(match.near_miss));
    if (match.grade != Grade::full) continue;
    index_ = next_;
    if (takes_) {
      device_->take(index_);
    } else {
      device_->move_cursor(index_ + 1);
    }
    finish(Progress::matched);
    return;
  }
}

void Wait::scan_events() {
  Server& server = world_->server();
  if (!takes_) next_ = std::max(next_, server.cursor(label_));
  const auto& history = server.history();
  for (; next_ < history.size(); ++next_) {
    const ServerEntry& entry = history[next_];
    if (entry.event.kind != event_kind_ || (takes_ && server.taken(next_))) continue;
    if (!label_.empty() && server.label_of(entry) != label_) continue;
    Match match = event_matcher_ ? event_matcher_(entry.event) : Match{Grade::full, {}};
    if (match.grade == Grade::near) near_misses_.push_back(std::move(match.near_miss));
    if (match.grade != Grade::full) continue;
    index_ = next_;
    if (takes_) {
      server.take(index_);
    } else {
      server.move_cursor(label_, index_ + 1);
    }
    finish(Progress::matched);
    return;
  }
}

const Entry* Wait::entry() const {
  return progress_ == Progress::matched && device_ ? &device_->history()[index_] : nullptr;
}

const ServerEntry* Wait::event() const {
  return progress_ == Progress::matched && kind_ == Kind::events
             ? &world_->server().history()[index_]
             : nullptr;
}

std::vector<std::string> Wait::arrived() const {
  std::vector<std::string> texts;
  if (device_) {
    const auto& history = device_->history();
    for (std::size_t i = begin_; i < history.size(); ++i) {
      if (history[i].kind == "log") continue;
      texts.push_back(describe(history[i]) + " at " + at_text(*world_, history[i].at));
    }
    return texts;
  }
  if (kind_ != Kind::events && kind_ != Kind::outcome) return texts;
  const Server& server = world_->server();
  for (std::size_t i = begin_; i < server.history().size(); ++i) {
    const ServerEntry& entry = server.history()[i];
    if (!label_.empty() && server.label_of(entry) != label_) continue;
    if (takes_ && entry.event.kind != event_kind_) continue;
    texts.push_back(describe(entry.event) + " at " + at_text(*world_, entry.at));
  }
  return texts;
}

std::vector<std::string> Wait::held_already() const {
  std::vector<std::string> texts;
  if (kind_ == Kind::entries) {
    const auto& history = device_->history();
    for (std::size_t i = 0; i < begin_; ++i) {
      if (entry_matcher_(history[i]).grade != Grade::full) continue;
      texts.push_back(describe(history[i]) + " at " + at_text(*world_, history[i].at));
    }
  } else if (kind_ == Kind::events) {
    const Server& server = world_->server();
    for (std::size_t i = 0; i < begin_; ++i) {
      const ServerEntry& entry = server.history()[i];
      if (entry.event.kind != event_kind_) continue;
      if (!label_.empty() && server.label_of(entry) != label_) continue;
      if (event_matcher_ && event_matcher_(entry.event).grade != Grade::full) continue;
      texts.push_back(describe(entry.event) + " at " + at_text(*world_, entry.at));
    }
  }
  return texts;
}

std::vector<std::string> Wait::fired_meanwhile() const {
  std::vector<std::string> texts;
  for (const auto& active : world_->server().faults().records()) {
    std::uint64_t before = 0;
    for (const auto& [id, fired] : fired_before_) {
      if (id == active.record.id) before = fired;
    }
    if (active.fired <= before) continue;
    texts.push_back(active.record.id + " (" + std::string(active.record.name()) + ") x" +
                    std::to_string(active.fired - before));
  }
  return texts;
}

Failure Wait::failure() const {
  Failure failure;
  failure.kind = "wait";
  failure.message = what_ + " did not come within " + to_text(within_) + ".";
  const std::vector<std::string> came = arrived();
  if (kind_ != Kind::condition && kind_ != Kind::pause) {
    failure.message += came.empty() ? " Nothing arrived." : " Arrived: " + list(came) + ".";
  }
  if (!near_misses_.empty()) failure.message += " Nearest: " + near_misses_.back() + ".";
  if (const auto fired = fired_meanwhile(); !fired.empty()) {
    failure.message += " Faults that fired meanwhile: " + list(fired) + ".";
  }
  if (const auto held = held_already(); !held.empty()) {
    failure.message += " It had come before this wait: " + held.back() +
                       (device_ ? "; the state is now " + device_->state() : std::string()) + ".";
  } else if (device_ && kind_ == Kind::entries) {
    failure.message += " The state is " + device_->state() +
                       (device_->reason().empty() ? "" : " (" + device_->reason() + ")") + ".";
  }
  return failure;
}

std::optional<Failure> await(World& world, Wait& wait) {
  while (wait.poll() == Wait::Progress::pending) world.advance(wait.deadline());
  if (wait.progress() == Wait::Progress::matched) return {};
  return wait.failure();
}

void await_any(World& world, std::span<Wait* const> waits) {
  WA_ASSERT(!waits.empty());
  while (true) {
    bool ended = false;
    Instant limit = Instant::max();
    for (Wait* wait : waits) {
      ended |= wait->poll() != Wait::Progress::pending;
      limit = std::min(limit, wait->deadline());
    }
    if (ended) return;
    world.advance(limit);
  }
}

}  // namespace wa::stage

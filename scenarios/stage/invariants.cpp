#include "scenarios/stage/invariants.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

#include "scenarios/stage/event_data.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::stage {

namespace json = boost::json;
using mock::EventKind;

namespace {

/// Faults that make frames fail whose sender did nothing wrong.
constexpr std::string_view kDisturbing[] = {"corrupt", "repeat_frame", "swap_frames", "oversize"};
/// Faults that hold bytes up: news take as long as a client may believe a silent stream.
constexpr std::string_view kDelaying[] = {"latency", "throttle", "blackhole", "mute",
                                          "delay",   "reorder",  "drop"};
/// What a client keeps nothing after. An unlink is a 401, at once or at the next login.
constexpr int kForgetCodes[] = {401, 403, 406, 516};
/// Milliseconds are rounded down in what devices say.
constexpr Duration kRounding = 1ms;

Duration milliseconds(std::string_view text) {
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return std::chrono::milliseconds(count);
}

std::optional<std::int64_t> number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_number()) return {};
  return value->to_number<std::int64_t>();
}

}  // namespace

// ---- devices ------------------------------------------------------------------------------------

Invariants::Invariants(const Server& server, Bounds bounds)
    : server_(server),
      bounds_(bounds),
      messages_(server, scaled(MessageInvariants::kWithin) + bounds_.late,
                [this](std::string_view rule, std::string_view label, std::string message,
                       Instant at) { break_rule(rule, label, std::move(message), at); }) {}

void Invariants::add(const Device& device) {
  messages_.add(device);
  Shown& made = group(device.name()).shown.emplace_back();
  made.device = &device;
}

Invariants::Group& Invariants::group(std::string_view label) {
  const auto found = groups_.find(label);
  return found != groups_.end() ? found->second : groups_[std::string(label)];
}

Invariants::Shown& Invariants::shown(const Device& device) {
  auto& all = group(device.name()).shown;
  const auto found = std::ranges::find(all, &device, &Shown::device);
  WA_ASSERT(found != all.end());
  return *found;
}

void Invariants::asked(const Device& device, const Device::Asked& asked) {
  Group& its = group(device.name());
  if (asked.what == "start") {
    its.connects.clear();
    its.restarts.clear();
    its.fruitless = 0;
  } else if (asked.what == "logout" || asked.what == "delete") {
    may_forget(its);
  }
}

void Invariants::said(const Device& device, const Entry& entry) {
  messages_.said(device, entry);
  const std::string& label = device.name();
  Group& its = group(label);
  Shown& shows = shown(device);
  look_back(label, its, entry.at);
  if (entry.kind == "state" || entry.kind == "status") {
    const bool was_running = running(shows);
    const bool was_connected = shows.state == "connected";
    shows.state = text(entry.data, "state");
    // As Device: clients that never say so show no code any more in other states.
    if (shows.state != "waiting_for_scan" && shows.state != "connecting") shows.code = false;
    if (!was_connected && shows.state == "connected") shows.heard_at = entry.at;
    if (!was_running && running(shows)) check_alone(label, its, shows, entry.at);
  } else if (entry.kind == "qr") {
    on_code(its, shows, entry);
  } else if (entry.kind == "qr_gone") {
    shows.code = false;
  } else if (entry.kind == "killed" || entry.kind == "exited") {
    shows.state.clear();
    shows.code = false;
    shows.sequence.reset();  // a new process counts from 1 again
  } else if (entry.kind == "done") {
    on_inspected(label, its, shows, entry);
  }
  look(its, entry.at);
}

void Invariants::on_code(Group& group, Shown& shown, const Entry& entry) {
  const json::value* stale = entry.data.if_contains("stale");
  shown.code = !(stale && stale->is_bool() && stale->get_bool());
  if (!shown.code) return;
  const auto sequence = number(entry.data, "sequence");
  if (sequence && sequence == shown.sequence) return;
  shown.sequence = sequence;
  shown.code_at = entry.at;
  shown.code_ends.reset();
  shown.good_until.reset();
  if (const auto expires = number(entry.data, "expires_ms"))
    shown.code_ends = entry.at + std::chrono::milliseconds(*expires) + kRounding;
  if (group.offered_by == 0) return;
  shown.good_until =
      group.offered_at + group.first + group.codes++ * group.rest + bounds_.refs_grace;
}

void Invariants::on_inspected(std::string_view label, Group& group, Shown& shown,
                              const Entry& entry) {
  const json::value* credentials = entry.data.if_contains("credentials");
  if (!credentials) return;
  const std::string now(text(entry.data, "credentials"));
  const bool without_reason = group.has_account || group.jid.empty();
  if (without_reason && !shown.fingerprint.empty() && now != shown.fingerprint) {
    break_rule("credentials-survive", label,
               now.empty() ? "forgot its account without a reason"
                           : "has other credentials than before, without a new pairing",
               entry.at);
  }
  shown.fingerprint = now;
}

bool Invariants::running(const Shown& shown) {
  return shown.state == "connecting" || shown.state == "waiting_for_scan" ||
         shown.state == "connected" || shown.state == "passkey_required";
}

void Invariants::check_alone(std::string_view label, const Group& group, const Shown& shown,
                             Instant at) {
  for (const Shown& other : group.shown) {
    if (&other == &shown || !running(other)) continue;
    break_rule(
        "single-owner", label,
        "is run by " + shown.device->engine() + " while " + other.device->engine() + " runs it",
        at);
  }
}

void Invariants::may_forget(Group& group) {
  group.has_account = false;
  for (Shown& shown : group.shown) shown.fingerprint.clear();
}

void Invariants::account_gone(std::string_view label, Instant at) {
  Group& its = group(label);
  if (its.has_account)
    break_rule("credentials-survive", label, "forgot its account without a reason", at);
}

// ---- the server ---------------------------------------------------------------------------------

Invariants::Stream* Invariants::find(Group& group, mock::ConnectionId id) {
  const auto found = std::ranges::find(group.streams, id, &Stream::id);
  return id == 0 || found == group.streams.end() ? nullptr : &*found;
}

void Invariants::noticed(const ServerEntry& entry) {
  messages_.noticed(entry);
  const mock::TenantEvent& event = entry.event;
  if (event.kind == EventKind::stanza_in || event.kind == EventKind::stanza_out) return;
  if (event.kind == EventKind::unlink) {
    // It names the companion; whoever has its keys has lost them.
    const std::string_view jid = datum(event, "jid").empty() ? event.device : datum(event, "jid");
    for (auto& [name, some] : groups_) {
      if (some.jid == jid || name == event.device) may_forget(some);
    }
  }
  const std::string_view label = server_.label_of(entry);
  Group& its = group(label);
  look_back(label, its, entry.at);
  Stream* stream = find(its, event.connection);
  if (event.kind == EventKind::connected) {
    on_connected(label, its, entry);
  } else if (event.kind == EventKind::violation) {
    on_violation(label, stream, entry);
  } else if (stream) {
    switch (event.kind) {
      case EventKind::registration:
        if (its.has_account) {
          break_rule("credentials-survive", label, "registers anew, though it has an account",
                     entry.at);
        }
        break;
      case EventKind::login: its.fruitless = 0; break;
      case EventKind::pair_device: on_codes(its, *stream, entry); break;
      case EventKind::pair_sign:
        may_forget(its);  // what it had before
        its.has_account = true;
        its.jid = datum(event, "jid");
        stream->finishing = true;
        break;
      case EventKind::success: on_success(label, its, *stream, entry); break;
      case EventKind::closed: on_closed(its, *stream, entry); break;
      case EventKind::fault: {
        const std::string kind = server_.fault_kind(datum(event, "id"));
        stream->disturbed |= std::ranges::find(kDisturbing, kind) != std::end(kDisturbing);
        break;
      }
      default: break;
    }
  }
  look(its, entry.at);
}

void Invariants::on_connected(std::string_view label, Group& group, const ServerEntry& entry) {
  const Instant at = entry.at;
  if (!group.streams.empty()) {
    const Stream& last = group.streams.back();
    const Instant until = last.closed_at.value_or(at);
    if (last.opened_at && until - *last.opened_at >= scaled(kStable) - tolerance(scaled(kStable)))
      group.connects.clear();
  }
  if (!is_free(group, at)) {
    group.connects.push_back(at);
    while (at - group.connects.front() > scaled(kWithin)) group.connects.pop_front();
    if (group.connects.size() > kMostConnects) {
      break_rule("bounded-reconnect", label,
                 "connected more than " + std::to_string(kMostConnects) + " times within " +
                     to_text(scaled(kWithin)),
                 at);
    }
  }
  std::uint32_t limit = kFruitless;
  for (const Shown& shown : group.shown)
    limit = std::max(limit, shown.device->options().unpaired_limit.value_or(0));
  if (!group.has_account && ++group.fruitless > limit) {
    break_rule("bounded-reconnect", label,
               "connected more than " + std::to_string(limit) +
                   " times without a code, and did not give up",
               at);
  }
  std::erase_if(group.streams, [](const Stream& stream) { return stream.closed_at.has_value(); });
  group.streams.emplace_back().id = entry.event.connection;
}

/// Whether the policy neither delays nor counts a connect that follows the newest stream.
bool Invariants::is_free(Group& group, Instant at) {
  if (group.streams.empty()) return false;
  const Stream& last = group.streams.back();
  if (last.finishing) return true;
  if (last.codes_end && at >= *last.codes_end - tolerance(*last.codes_end - *last.opened_at))
    return true;
  const bool conflict = last.cause.find("conflict") != std::string::npos;
  if (conflict && std::ranges::any_of(group.shown, [](const Shown& shown) {
        return shown.device->options().takeover_after.has_value();
      })) {
    return true;
  }
  if (last.code != 515) return false;
  std::deque<Instant>& restarts = group.restarts;
  const Duration minute = scaled(kRestartsWithin);
  while (!restarts.empty() && at - restarts.front() > minute - tolerance(minute))
    restarts.pop_front();
  if (restarts.size() >= kFreeRestarts) return false;
  restarts.push_back(at);
  return true;
}

void Invariants::on_codes(Group& group, Stream& stream, const ServerEntry& entry) {
  std::int64_t count = 0;
  const std::string_view refs = datum(entry.event, "refs");
  std::from_chars(refs.data(), refs.data() + refs.size(), count);
  if (count == 0) return;
  group.fruitless = 0;
  group.offered_by = stream.id;
  group.offered_at = entry.at;
  group.first = milliseconds(datum(entry.event, "first_ms"));
  group.rest = milliseconds(datum(entry.event, "rest_ms"));
  group.codes = 0;
  stream.opened_at = entry.at;
  stream.codes_end = entry.at + group.first + (count - 1) * group.rest;
  for (Shown& shown : group.shown) {
    // A code of this offer, whose word came before the server's.
    if (!shown.code || shown.code_at + bounds_.early < entry.at) continue;
    group.codes = 1;
    shown.good_until = entry.at + group.first + bounds_.refs_grace;
  }
}

void Invariants::on_success(std::string_view label, Group& group, Stream& stream,
                            const ServerEntry& entry) {
  stream.logged_in = true;
  stream.opened_at = entry.at;
  stream.jid = datum(entry.event, "jid");
  group.has_account = true;
  group.jid = stream.jid;
  std::size_t live = 0;
  for (const auto& [name, some] : groups_) {
    live += static_cast<std::size_t>(std::ranges::count_if(some.streams, [&](const Stream& other) {
      return other.logged_in && !other.closed_at && other.jid == stream.jid;
    }));
  }
  if (live > 1) {
    break_rule("single-owner", label,
               "has " + std::to_string(live) + " live streams of " + stream.jid, entry.at);
  }
}

void Invariants::on_closed(Group& group, Stream& stream, const ServerEntry& entry) {
  stream.closed_at = entry.at;
  const auto close = sent_close(entry);
  if (!close) return;
  stream.code = close->code;
  stream.cause = close->cause;
  const bool by_code =
      close->code && std::ranges::find(kForgetCodes, *close->code) != std::end(kForgetCodes);
  if (by_code || close->cause.find("device_removed") != std::string::npos) may_forget(group);
}

void Invariants::on_violation(std::string_view label, const Stream* stream,
                              const ServerEntry& entry) {
  const std::string_view rule = datum(entry.event, "rule");
  const bool frame = rule == "decrypt" && !(stream && stream->disturbed);
  if (!frame && rule != "key-reused") return;
  break_rule("no-key-reuse", label,
             "sent a frame that does not authenticate with the next counter, or a key again: " +
                 std::string(datum(entry.event, "detail")),
             entry.at);
}

void Invariants::heard(std::string_view label, Instant at) {
  hears_ = true;
  Group& its = group(label);
  look_back(label, its, at);
  for (Shown& shown : its.shown) {
    if (shown.state == "connected") shown.heard_at = at;
  }
}

// ---- judging ------------------------------------------------------------------------------------

void Invariants::look_back(std::string_view label, Group& group, Instant at) {
  for (const Shown& shown : group.shown) {
    const auto lasted = [&](const Suspicion& suspicion) {
      return suspicion.since && at - *suspicion.since > suspicion.may_last;
    };
    if (lasted(shown.untruthful)) {
      break_rule("truthful-status", label,
                 "shows connected, but the server holds no logged-in stream, for " +
                     to_text(at - *shown.untruthful.since),
                 at);
    }
    if (shown.state == "connected" && hears_ && shown.heard_at &&
        at - *shown.heard_at > bounds_.truthful + bounds_.late) {
      break_rule(
          "truthful-status", label,
          "shows connected, but nothing came from the server for " + to_text(at - *shown.heard_at),
          at);
    }
    if (shown.state != "waiting_for_scan" || !shown.code) continue;
    if (lasted(shown.orphaned)) {
      break_rule("fresh-qr", label, "shows a QR code as good whose stream is down", at);
    } else if (shown.code_ends && at > *shown.code_ends + bounds_.late) {
      break_rule("fresh-qr", label, "shows a QR code as good that expired", at);
    } else if (shown.good_until && at > *shown.good_until + late()) {
      break_rule("fresh-qr", label, "shows a QR code as good that the server no longer accepts",
                 at);
    }
  }
}

void Invariants::look(Group& group, Instant at) {
  const auto begin = [&](Suspicion& suspicion, bool wrong, std::optional<Instant> ended) {
    if (!wrong) {
      suspicion.since.reset();
    } else if (!suspicion.since) {
      const bool news = ended && at - *ended <= late();
      suspicion.since = news ? *ended : at;
      suspicion.may_last = news ? late() : bounds_.early;
    }
  };
  const bool live = std::ranges::any_of(
      group.streams, [](const Stream& stream) { return stream.logged_in && !stream.closed_at; });
  const bool offering = std::ranges::any_of(group.streams, [&](const Stream& stream) {
    return stream.id == group.offered_by && !stream.closed_at;
  });
  std::optional<Instant> ended;
  for (const Stream& stream : group.streams) {
    if (stream.opened_at && stream.closed_at) ended = stream.closed_at;
  }
  for (Shown& shown : group.shown) {
    begin(shown.untruthful, shown.state == "connected" && !live, ended);
    begin(shown.orphaned, shown.state == "waiting_for_scan" && shown.code && !offering, ended);
  }
}

void Invariants::end(Instant at) {
  messages_.end(at);
  for (auto& [label, its] : groups_) look_back(label, its, at);
}

Duration Invariants::late() const {
  const auto& kinds = server_.fault_kinds();
  const bool delayed = std::ranges::any_of(kinds, [](const auto& kind) {
    return std::ranges::find(kDelaying, kind.second) != std::end(kDelaying);
  });
  return delayed ? bounds_.truthful + bounds_.late : bounds_.late;
}

Duration Invariants::scaled(Duration duration) const {
  return Duration(
      static_cast<Duration::rep>(static_cast<double>(duration.count()) * bounds_.scale));
}

Duration Invariants::tolerance(Duration duration) const {
  return std::min(bounds_.late, duration / 2);
}

void Invariants::break_rule(std::string_view rule, std::string_view label, std::string message,
                            Instant at) {
  if (!told_.emplace(rule, label).second) return;
  Failure failure;
  failure.kind = "invariant";
  failure.rule = rule;
  failure.message = std::string(rule) + ": device " +
                    (label.empty() ? std::string("without a label") : std::string(label)) + " " +
                    std::move(message) + ", at " + to_text(at - server_.began());
  broken_.push_back(std::move(failure));
}

std::vector<Failure> judge_histories(const Server& server, const std::vector<Device*>& devices,
                                     const Invariants::Bounds& bounds, Instant end) {
  /// One history, and how far it was told.
  struct Source {
    std::function<std::optional<Instant>(std::size_t)> at;
    std::function<void(std::size_t)> tell;
    std::size_t next = 0;
  };
  Invariants invariants(server, bounds);
  std::vector<Source> sources;
  for (const Device* device : devices) {
    invariants.add(*device);
    const auto add = [&](const auto& list, auto tell) {
      sources.push_back({[&list](std::size_t i) {
                           return i < list.size() ? std::optional(list[i].at) : std::nullopt;
                         },
                         [&list, tell](std::size_t i) { tell(list[i]); }});
    };
    add(device->asked(), [&invariants, device](const auto& it) { invariants.asked(*device, it); });
    add(device->history(), [&invariants, device](const auto& it) { invariants.said(*device, it); });
  }
  const auto& noticed = server.history();
  sources.insert(sources.begin(), {[&](std::size_t i) {
                                     return i < noticed.size() ? std::optional(noticed[i].at)
                                                               : std::nullopt;
                                   },
                                   [&](std::size_t i) { invariants.noticed(noticed[i]); }});
  while (true) {
    Source* first = nullptr;
    std::optional<Instant> at;
    for (Source& source : sources) {
      const auto its = source.at(source.next);
      if (its && (!at || *its < *at)) {
        first = &source;
        at = its;
      }
    }
    if (!first) break;
    first->tell(first->next++);
  }
  invariants.end(end);
  return invariants.broken();
}

}  // namespace wa::stage

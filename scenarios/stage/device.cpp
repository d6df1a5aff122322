#include "scenarios/stage/device.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>

#include "engine/qr/qr.hpp"
#include "mockserver/core/phone_commands.hpp"
#include "mockserver/core/settings.hpp"
#include "scenarios/stage/damage.hpp"
#include "scenarios/stage/trace.hpp"

namespace wa::stage {

namespace json = boost::json;
using client::State;

namespace {

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// A member as text, empty when there is none.
std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value) return {};
  if (const auto* text = value->if_string()) return std::string(*text);
  return json::serialize(*value);
}

std::optional<std::int64_t> number_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code failure;
  if (!value || !value->is_number()) return {};
  const auto number = value->to_number<std::int64_t>(failure);
  return failure ? std::nullopt : std::optional(number);
}

std::vector<std::string_view> state_words() {
  std::vector<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(State::crashed); ++i) {
    words.push_back(client::to_string(static_cast<State>(i)));
  }
  return words;
}

}  // namespace

QrPicture QrPicture::from_text(std::string text) {
  QrPicture picture;
  picture.text_ = std::move(text);
  return picture;
}

QrPicture QrPicture::from_png(Bytes png) {
  QrPicture picture;
  picture.png_ = std::move(png);
  return picture;
}

Result<Bytes> QrPicture::png() const {
  if (!png_.empty()) return png_;
  if (text_.empty()) return Error{Errc::not_found, "no QR code is on show"};
  return qr::to_png(text_);
}

std::vector<Entry> entries_of(const client::Status& before, const client::Status& after, Now now) {
  std::vector<Entry> entries;
  client::Status rest = after;
  rest.qr = before.qr;
  rest.pairing_code = before.pairing_code;
  if (!(rest == before)) {
    json::object data;
    data["state"] = client::to_string(after.state);
    data["reason"] = after.reason;
    data["attempts"] = after.attempts;
    if (after.last_close) {
      if (after.last_close->code) data["code"] = *after.last_close->code;
      data["cause"] = after.last_close->cause;
    }
    if (after.next_attempt_at)
      data["next_attempt_ms"] = milliseconds(*after.next_attempt_at - now.mono);
    if (!after.jid.empty()) data["jid"] = after.jid;
    if (!after.pairing_error.empty()) data["pairing_error"] = after.pairing_error;
    if (!after.owner.empty()) data["owner"] = after.owner;
    if (after.until) data["until_ms"] = after.until->value - now.wall.value;
    const bool other_state = after.state != before.state || after.reason != before.reason;
    entries.push_back({now.mono, other_state ? "state" : "status", std::move(data), {}});
  }
  if (after.qr && after.qr != before.qr) {
    json::object data;
    data["sequence"] = after.qr->sequence;
    data["stale"] = after.qr->stale;
    data["expires_ms"] = milliseconds(after.qr->expires_at - now.mono);
    data["window_ms"] = milliseconds(after.qr->window_expires_at - now.mono);
    entries.push_back({now.mono, "qr", std::move(data), QrPicture::from_text(after.qr->text)});
  } else if (!after.qr && before.qr) {
    entries.push_back({now.mono, "qr_gone", {}, {}});
  }
  if (after.pairing_code && after.pairing_code != before.pairing_code) {
    json::object data;
    data["sequence"] = after.pairing_code->sequence;
    data["expires_ms"] = milliseconds(after.pairing_code->expires_at - now.mono);
    entries.push_back({now.mono, "pairing_code", std::move(data), {}, after.pairing_code->code});
  } else if (!after.pairing_code && before.pairing_code) {
    entries.push_back({now.mono, "pairing_code_gone", {}, {}});
  }
  return entries;
}

Result<void> check_state_word(std::string_view word) {
  const std::vector<std::string_view> words = state_words();
  for (const std::string_view known : words) {
    if (known == word) return {};
  }
  std::string detail = "\"" + std::string(word) + "\" is no state";
  if (const std::string near = mock::nearest(word, words); !near.empty()) {
    detail += "; did you mean \"" + near + "\"?";
  }
  return Error{Errc::usage, detail};
}

std::string describe(const Entry& entry) {
  if (entry.kind == "state" || entry.kind == "status") {
    std::string text = entry.kind + " " + text_of(entry.data, "state");
    if (const std::string reason = text_of(entry.data, "reason"); !reason.empty()) {
      text += " (" + reason + ")";
    }
    return text;
  }
  if (entry.kind == "qr") {
    const json::value* stale = entry.data.if_contains("stale");
    std::string text = "qr " + text_of(entry.data, "sequence");
    if (stale && stale->is_bool() && stale->get_bool()) text += " (stale)";
    return text;
  }
  if (entry.kind == "pairing_code") return "pairing_code " + text_of(entry.data, "sequence");
  if (entry.kind == "log") return "log \"" + text_of(entry.data, "text") + "\"";
  if (entry.kind == "message" || entry.kind == "undecryptable" || entry.kind == "repeated") {
    std::string text = entry.kind;
    if (const std::string kind = text_of(entry.data, "kind"); !kind.empty()) text += " " + kind;
    text += " \"" + text_of(entry.data, "text") + "\" from " + text_of(entry.data, "from");
    return text + " (" + text_of(entry.data, "id") + ")";
  }
  if (entry.kind == "receipt") {
    std::string text =
        "receipt " + text_of(entry.data, "kind") + " of " + text_of(entry.data, "id");
    if (const std::string from = text_of(entry.data, "from"); !from.empty()) text += " by " + from;
    return text;
  }
  if (entry.data.empty()) return entry.kind;
  return entry.kind + " " + json::serialize(entry.data);
}

Result<HoldPhase> parse_hold_phase(std::string_view word) {
  for (const HoldPhase phase : {HoldPhase::before, HoldPhase::after}) {
    if (word == to_string(phase)) return phase;
  }
  return Error{Errc::usage,
               "a commit is held \"before\" or \"after\", not \"" + std::string(word) + "\""};
}

std::string_view to_string(HoldPhase phase) {
  return phase == HoldPhase::before ? "before" : "after";
}

Device::Device(std::string engine, std::string name, DeviceOptions options, Trace& trace)
    : engine_(std::move(engine)),
      name_(std::move(name)),
      options_(std::move(options)),
      trace_(trace),
      trace_actor_(trace.actor("device " + engine_ + "/" + name_)) {}

void Device::note(std::string_view what) {
  asked_.push_back({now(), what});
  was_asked(asked_.back());
}

Ref Device::start() {
  return begin({});
}

Ref Device::start_with_code(std::string number) {
  return begin(std::move(number));
}

Ref Device::begin(std::string pairing_number) {
  move_cursor(history_.size());
  if (!started_at_) started_at_ = history_.size();
  runs_ = true;
  note("start");
  const Ref ref = next_ref();
  do_start(ref, std::move(pairing_number));
  return ref;
}

Ref Device::stop() {
  note("stop");
  const Ref ref = next_ref();
  do_stop(ref);
  return ref;
}

Ref Device::logout() {
  note("logout");
  const Ref ref = next_ref();
  do_logout(ref);
  return ref;
}

Ref Device::remove() {
  note("delete");
  const Ref ref = next_ref();
  do_remove(ref);
  return ref;
}

// ---- messages -----------------------------------------------------------------------------------

std::string_view to_string(Sending::State state) {
  switch (state) {
    case Sending::State::asked: return "asked";
    case Sending::State::accepted: return "accepted";
    case Sending::State::sent: return "sent";
    case Sending::State::failed: return "failed";
  }
  return "unknown";
}

Result<void> check_message(const json::object& message) {
  WA_TRY(const auto parsed, mock::SendMessage::parse({}, message));
  if (std::holds_alternative<mock::SayRaw>(parsed.what)) {
    return Error{Errc::usage, "only a phone sends a message that is \"raw\""};
  }
  return {};
}

Ref Device::send(json::object message) {
  const Ref ref = next_ref();
  Sending& sending = sends_.emplace_back();
  sending.ref = ref;
  sending.to = text_of(message, "to");
  sending.asked_at = now();
  do_send(ref, std::move(message));
  return ref;
}

Ref Device::read(std::string chat, std::vector<std::string> ids) {
  const Ref ref = next_ref();
  do_read(ref, std::move(chat), std::move(ids));
  return ref;
}

Ref Device::trust(std::string account) {
  const Ref ref = next_ref();
  do_trust(ref, std::move(account));
  return ref;
}

Ref Device::wish(std::string command, json::object fields) {
  const Ref ref = next_ref();
  do_wish(ref, std::move(command), std::move(fields));
  return ref;
}

std::vector<const Entry*> Device::said(std::string_view kind) const {
  std::vector<const Entry*> entries;
  for (const Entry& entry : history_) {
    if (entry.kind == kind) entries.push_back(&entry);
  }
  return entries;
}

/// In the order of their refs.
std::size_t Device::place_of_sending(Ref ref) const {
  const auto found = std::ranges::lower_bound(sends_, ref, {}, &Sending::ref);
  return found != sends_.end() && found->ref == ref
             ? static_cast<std::size_t>(found - sends_.begin())
             : sends_.size();
}

const Sending* Device::sending(Ref ref) const {
  const std::size_t place = place_of_sending(ref);
  return place < sends_.size() ? &sends_[place] : nullptr;
}

void Device::follow_sending(const Entry& entry) {
  const std::string id = text_of(entry.data, "id");
  if (id.empty()) return;
  fates_[id] = history_.size();  // where the entry will be
  const auto open = open_sends_.extract(id);
  if (open.empty()) return;
  for (const std::size_t place : open.mapped()) end_sending(sends_[place], entry);
}

void Device::on_send_answered(std::size_t place, const Entry& entry) {
  if (place == sends_.size() || sends_[place].ended()) return;
  Sending& sending = sends_[place];
  if (entry.kind == "error") return end_sending(sending, entry);
  sending.state = Sending::State::accepted;
  sending.id = text_of(entry.data, "id");
  // The server may have been faster than the answer.
  const auto fate = fates_.find(sending.id);
  if (fate != fates_.end() && history_[fate->second].at >= sending.asked_at) {
    return end_sending(sending, history_[fate->second]);
  }
  open_sends_[sending.id].push_back(place);
}

void Device::end_sending(Sending& sending, const Entry& entry) {
  sending.ended_at = entry.at;
  if (entry.kind == "sent") {
    sending.state = Sending::State::sent;
    return;
  }
  sending.state = Sending::State::failed;
  const bool refused_here = entry.kind == "error";
  sending.reason = text_of(entry.data, refused_here ? "code" : "reason");
  sending.text = text_of(entry.data, "text");
  if (const auto code = refused_here ? std::nullopt : number_of(entry.data, "code")) {
    sending.code = static_cast<int>(*code);
  }
}

Result<void> Device::check_ended(const std::vector<Device*>& devices) const {
  for (const Device* device : devices) {
    if (device->name() != name_ || !device->runs()) continue;
    return Error{Errc::conflict, "device " + name_ + " runs, in the process of " +
                                     device->engine() + ": end it before, with device:kill()"};
  }
  return {};
}

Result<void> Device::restore_stored(std::size_t copy, const std::vector<Device*>& devices) {
  WA_TRY_VOID(check_ended(devices));
  if (const auto restored = do_restore(copy); !restored) {
    return Error{restored.error().code, "device " + name_ + ": " + restored.error().detail};
  }
  push({now(), "restored", {{"copy", copy}}, {}});
  return {};
}

Result<void> Device::damage_stored(const Damage& damage, const std::vector<Device*>& devices) {
  WA_TRY_VOID(check_ended(devices));
  auto left = do_damage(damage);
  if (!left) return Error{left.error().code, "device " + name_ + ": " + left.error().detail};
  push({now(),
        "damaged",
        {{"record", left->kind + "/" + left->key}, {"how", to_string(damage.how)}},
        {}});
  return {};
}

const Entry* Device::answer(Ref ref) const {
  const auto found = answers_.find(ref);
  return found == answers_.end() ? nullptr : &history_[found->second];
}

void Device::push(Entry entry) {
  if (entry.kind == "state" || entry.kind == "status") {
    const std::string state = text_of(entry.data, "state");
    const std::string reason = text_of(entry.data, "reason");
    const bool repeated = !states_.empty() && state == state_ && reason == reason_;
    entry.kind = repeated ? "status" : "state";
    if (states_.empty() || state != state_) states_.push_back(state);
    state_ = state;
    reason_ = reason;
    if (const json::value* attempts = entry.data.if_contains("attempts")) {
      if (attempts->is_number()) attempts_ = attempts->to_number<std::uint32_t>();
    }
    const json::value* code = entry.data.if_contains("code");
    if (code || entry.data.contains("cause")) {
      json::object close;
      close["code"] = code ? *code : json::value(nullptr);
      close["cause"] = text_of(entry.data, "cause");
      last_close_ = std::move(close);
    }
    // Clients that never say so show no code any more in these states.
    if (state_ != "waiting_for_scan" && state_ != "connecting") {
      qr_ = {};
      pairing_code_.clear();
    }
  } else if (entry.kind == "qr") {
    qr_ = entry.qr;
  } else if (entry.kind == "qr_gone") {
    qr_ = {};
  } else if (entry.kind == "pairing_code") {
    pairing_code_ = entry.pairing_code;
  } else if (entry.kind == "pairing_code_gone") {
    pairing_code_.clear();
  } else if (entry.kind == "killed" || entry.kind == "exited") {
    runs_ = false;
    qr_ = {};
    pairing_code_.clear();
    state_.clear();
    reason_.clear();
  } else if (entry.kind == "message") {
    const auto seq = number_of(entry.data, "seq");
    if (seq && !heard_.insert(*seq).second) entry.kind = "repeated";
  } else if (entry.kind == "done" || entry.kind == "error") {
    if (const auto ref = number_of(entry.data, "ref")) {
      answers_[static_cast<Ref>(*ref)] = history_.size();  // where the entry will be
      on_send_answered(place_of_sending(static_cast<Ref>(*ref)), entry);
    }
  } else if (entry.kind == "sent" || entry.kind == "send_failed") {
    follow_sending(entry);
  }
  Bytes& canonical = trace_.open(entry.at, trace_actor_, TraceKind::device_entry);
  append(canonical, as_bytes(entry.kind));
  append(canonical, as_bytes(json::serialize(entry.data)));
  trace_.close();
  if (trace_.recording()) trace_.line(entry.at, trace_actor_, entry.kind, entry.data);
  history_.push_back(std::move(entry));
  pushed(history_.back());
}

}  // namespace wa::stage

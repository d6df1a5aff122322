#include "scenarios/loopback/client.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "engine/protocol/pairing/pairing_code.hpp"
#include "scenarios/loopback/device.hpp"

namespace wa::loopback {

namespace json = boost::json;

namespace {

/// So much of a line is quoted in messages.
constexpr std::size_t kQuoted = 200;

std::string quoted(std::string_view text) {
  return text.size() <= kQuoted ? std::string(text) : std::string(text.substr(0, kQuoted)) + "…";
}

/// A member that is a text; empty when it is not.
std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// The member that an event about a message lacks; empty when it has all.
std::string lacking(std::string_view event, const json::object& line) {
  std::vector<std::string_view> wanted;
  if (event == "message") wanted = {"id", "chat", "from", "kind"};
  if (event == "undecryptable") wanted = {"id", "from"};
  if (event == "receipt") wanted = {"id", "kind"};
  if (event == "sent") wanted = {"id"};
  if (event == "send_failed") wanted = {"id", "reason"};
  for (const std::string_view member : wanted) {
    if (text_of(line, member).empty()) return std::string(member);
  }
  return {};
}

}  // namespace

bool Hello::can(std::string_view capability) const {
  return std::ranges::find(capabilities, capability) != capabilities.end();
}

bool Hello::can_option(std::string_view option) const {
  return can("options") || can("option." + std::string(option));
}

Client::Client(ClientSurroundings& surroundings, std::string name, std::string label,
               std::string state_dir)
    : world_(surroundings),
      name_(std::move(name)),
      owner_(name_),
      label_(std::move(label)),
      state_dir_(std::move(state_dir)) {}
Client::~Client() = default;

bool Client::multi_device() const {
  return world_.hello() && world_.hello()->can("multi_device");
}

// ---- the process --------------------------------------------------------------------------------

Result<void> Client::run() {
  if (running()) return {};
  greeted_ = closing_ = broken_ = false;
  waiting_.clear();
  ChildProcess::Events events;
  events.on_stdout = [this](std::string_view line) { on_line(line); };
  events.on_stderr = [this](std::string_view line) { world_.log(name_, line); };
  events.on_exit = [this](const std::string& how, bool success) { on_exit(how, success); };
  WA_TRY(process_, ChildProcess::spawn(world_.io(), world_.command(), world_.environment(*this),
                                       std::move(events)));
  return {};
}

void Client::kill() {
  if (!running()) return;
  process_->kill();
  if (!broken_) ended("killed", {});
}

void Client::close() {
  if (!running()) return;
  closing_ = true;
  process_->close_stdin();
}

void Client::end_late(Duration patience) {
  if (!running()) return;
  fail("still ran " + stage::to_text(patience) + " after the end of its stdin, and was ended");
  process_->kill();
}

void Client::on_exit(const std::string& how, bool success) {
  if (closing_ && success) return;
  fail(how + (closing_ ? " when it was told to end" : greeted_ ? "" : " before its hello"));
  if (!closing_) ended("exited", how);
}

void Client::nonsense(std::string why, std::string_view text) {
  if (std::exchange(broken_, true)) return;
  fail("spoke against the protocol: " + why + ": " + quoted(text));
  process_->kill();
  ended("exited", "spoke against the protocol: " + why);
}

void Client::ended(std::string_view kind, const std::string& how) {
  waiting_.clear();
  const Instant now = world_.now().mono;
  for (const auto& [wire_ref, asked] : std::exchange(asked_, {})) {
    const std::string text = "the process ended before it answered";
    asked.device->said({now, "error", {{"ref", asked.ref}, {"code", kind}, {"text", text}}, {}});
  }
  for (Device* device : devices_) {
    if (!device->started_at()) continue;
    json::object data;
    if (!how.empty()) data["status"] = how;
    device->said({now, std::string(kind), std::move(data), {}});
  }
}

void Client::fail(const std::string& what) {
  stage::Failure failure;
  failure.kind = "client";
  const std::string words = process_->last_words();
  failure.message =
      "the client of " + name_ + " " + what +
      (words.empty() ? "; it wrote nothing to stderr" : "; its stderr ends with:" + words);
  world_.failed(std::move(failure));
}

// ---- commands -----------------------------------------------------------------------------------

void Client::send(Device& device, stage::Ref ref, std::string_view command, json::object fields) {
  const std::uint64_t wire_ref = next_ref_++;
  asked_.emplace(wire_ref, Asked{&device, ref});
  json::object line;
  line["cmd"] = command;
  line["ref"] = wire_ref;
  if (multi_device()) line["device"] = device.name();
  for (auto& member : fields) line[member.key()] = std::move(member.value());
  std::string text = json::serialize(line);
  // A process that does not take it is about to end; then it is said that nobody answered.
  if (!greeted_) {
    waiting_.push_back(std::move(text));
  } else {
    process_->write(text);
  }
}

// ---- events -------------------------------------------------------------------------------------

void Client::on_line(std::string_view text) {
  if (broken_) return;
  boost::system::error_code failure;
  json::value parsed = json::parse(text, failure);
  if (failure || !parsed.is_object()) return world_.log(name_, text);
  json::object& line = parsed.get_object();
  const std::string event = text_of(line, "event");
  if (event.empty()) return nonsense("a line without `event`", text);
  if (event == "hello") {
    if (greeted_) return nonsense("a second hello", text);
    const json::value* protocol = line.if_contains("protocol");
    if (!protocol || *protocol != 1) return nonsense("a protocol other than 1", text);
    return on_hello(line);
  }
  if (!greeted_) return nonsense("an event before its hello", text);
  on_event(event, std::move(line));
}

void Client::on_hello(const json::object& line) {
  Hello hello;
  hello.name = text_of(line, "name");
  hello.version = text_of(line, "version");
  const json::value* capabilities = line.if_contains("capabilities");
  if (!capabilities || !capabilities->is_array()) {
    return nonsense("a hello without capabilities", json::serialize(line));
  }
  for (const json::value& capability : capabilities->get_array()) {
    if (capability.is_string()) hello.capabilities.emplace_back(capability.get_string());
  }
  greeted_ = true;
  world_.greeted(hello);
  world_.began(*this);
  for (const std::string& waiting : std::exchange(waiting_, {})) process_->write(waiting);
}

void Client::on_event(std::string_view event, json::object line) {
  if (event == "done" || event == "error") return on_answer(event, std::move(line));

  Device* device = nullptr;
  if (multi_device()) {
    const std::string name = text_of(line, "device");
    const auto found = std::ranges::find(devices_, name, &Device::name);
    if (found != devices_.end()) device = *found;
  } else if (!devices_.empty()) {
    device = devices_.front();
  }
  if (!device) {
    if (event == "log") return world_.log(name_, text_of(line, "text"));
    for (const char* secret : {"code", "data", "base64"}) line.erase(secret);
    return nonsense("an event of no device that it runs", json::serialize(line));
  }

  stage::Entry entry;
  entry.at = time_of(line);
  entry.kind = event;
  if (event == "host_fault_fired") world_.host_fault_fired(text_of(line, "id"));
  if (event == "qr") {
    const std::string data = text_of(line, "data");
    if (data.empty()) return nonsense("a qr without data", json::serialize(line));
    entry.qr = stage::QrPicture::from_text(data);
    line.erase("data");
  } else if (event == "qr_png") {
    auto picture = from_base64(text_of(line, "base64"));
    if (!picture || picture->empty())
      return nonsense("a qr_png that is no base64", json::serialize(line));
    entry.kind = "qr";
    entry.qr = stage::QrPicture::from_png(std::move(*picture));
    line.erase("base64");
  } else if (event == "pairing_code") {
    auto code = pairing::parse_pairing_code(text_of(line, "code"));
    if (!code) return nonsense("a pairing_code without a code", {});
    entry.pairing_code = std::move(*code);
    line.erase("code");
  } else if (event == "state") {
    if (!stage::check_state_word(text_of(line, "state"))) {
      return nonsense("a state that does not exist", json::serialize(line));
    }
  } else if (const std::string lack = lacking(event, line); !lack.empty()) {
    return nonsense("a " + std::string(event) + " without " + lack, json::serialize(line));
  }
  for (const char* key : {"event", "device", "t_us"}) line.erase(key);
  entry.data = std::move(line);
  device->said(std::move(entry));
}

void Client::on_answer(std::string_view event, json::object line) {
  const json::value* ref = line.if_contains("ref");
  boost::system::error_code failure;
  const auto wire_ref = ref && ref->is_number() ? ref->to_number<std::uint64_t>(failure) : 0;
  const auto found = asked_.find(wire_ref);
  if (found == asked_.end()) return nonsense("an answer to nothing", json::serialize(line));
  const Asked asked = found->second;
  asked_.erase(found);
  stage::Entry entry;
  entry.at = time_of(line);
  entry.kind = event;
  for (const char* key : {"event", "device", "t_us"}) line.erase(key);
  line["ref"] = asked.ref;
  entry.data = std::move(line);
  asked.device->said(std::move(entry));
}

/// When it happened, by its own word; a time to come is not believed.
Instant Client::time_of(const json::object& line) const {
  const Instant now = world_.now().mono;
  const json::value* given = line.if_contains("t_us");
  if (!given || !given->is_number()) return now;
  boost::system::error_code failure;
  const auto micros = given->to_number<std::int64_t>(failure);
  if (failure || micros < 0) return now;
  return std::min(now, Instant(std::chrono::microseconds(micros)));
}

}  // namespace wa::loopback

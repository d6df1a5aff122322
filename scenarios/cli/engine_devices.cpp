#include "scenarios/cli/engine_devices.hpp"
#include "scenarios/stage/wishes.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "engine/client/records.hpp"
#include "engine/net/proxy.hpp"
#include "engine/net/tls_context.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "engine/runtime/clock.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/stage/device.hpp"

namespace wa::cli {

namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

/// However much time is scaled: a deadline.
constexpr Duration kShortestLease = 250ms;

Error wrong(std::string detail) {
  return Error{Errc::usage, std::move(detail)};
}

/// A positive number from the environment; `what` is its name.
Result<double> positive(const char* what, std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e12) {
    return wrong(std::string(what) + "=" + std::string(text) + " is not a positive number");
  }
  return value;
}

Duration milliseconds(double count) {
  return Duration(static_cast<Duration::rep>(count * 1e6));
}

/// The member as a whole number from `least` on; empty when it is not there.
Result<std::optional<std::uint64_t>> number(const json::object& object, std::string_view name,
                                            std::uint64_t least, std::uint64_t most) {
  const json::value* value = object.if_contains(name);
  if (!value) return std::optional<std::uint64_t>{};
  boost::system::error_code failure;
  const auto read = value->is_number() ? value->to_number<std::uint64_t>(failure) : 0;
  if (!value->is_number() || failure || read < least || read > most) {
    return wrong(std::string(name) + " is not a whole number from " + std::to_string(least) +
                 " to " + std::to_string(most) + ": " + json::serialize(*value));
  }
  return std::optional(read);
}

Result<std::optional<Duration>> duration(const json::object& object, std::string_view name) {
  constexpr std::uint64_t kMostMs = 1000ull * 3600 * 24 * 365;
  WA_TRY(const auto ms, number(object, name, 1, kMostMs));
  if (!ms) return std::optional<Duration>{};
  return std::optional<Duration>(std::chrono::milliseconds(*ms));
}

Result<std::string> text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value) return std::string();
  if (!value->is_string())
    return wrong(std::string(name) + " is not a text: " + json::serialize(*value));
  return std::string(value->get_string());
}

Result<bool> flag(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value) return false;
  if (!value->is_bool())
    return wrong(std::string(name) + " is neither true nor false: " + json::serialize(*value));
  return value->get_bool();
}

/// The digits of `pairing_number`; empty when it is not there.
Result<std::string> pairing_number(const json::object& command) {
  WA_TRY(const std::string written, text(command, "pairing_number"));
  if (!command.contains("pairing_number")) return written;
  auto digits = pairing::parse_phone_number(written);
  if (!digits) return wrong("pairing_number: " + digits.error().detail);
  return digits;
}

std::string_view word(client::Report::Level level) {
  switch (level) {
    case client::Report::Level::debug: return "debug";
    case client::Report::Level::info: return "info";
    case client::Report::Level::warning: return "warning";
  }
  return "info";
}

std::string_view code_of(const Error& error) {
  switch (error.code) {
    case Errc::malformed:
    case Errc::environment: return "store_error";
    case Errc::fenced: return "owned_elsewhere";
    default: return "failed";
  }
}

/// Second field of /proc/self/statm, in bytes.
std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  unsigned long all = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &all, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t open_files() {
  std::error_code failure;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator file("/proc/self/fd", failure), end;
       !failure && file != end; file.increment(failure)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the one that looked
}

/// {credentials, generation, stored} of `inspect`.
Result<json::object> describe_stored(const store::Stored& stored) {
  json::object data;
  data["credentials"] = nullptr;
  data["generation"] = stored.generation;
  data["attempt"] = nullptr;
  if (const Bytes* record =
          store::find(stored.records, client::kCredentialsKind, client::kCredentialsKey)) {
    WA_TRY(const client::Credentials credentials, client::Credentials::decode(*record));
    if (credentials.account) data["credentials"] = credentials.fingerprint();
    data["attempt"] = credentials.attempt_id;
  }
  json::object counts;
  for (const auto& [kind, of_kind] : stored.records) counts[kind] = of_kind.size();
  data["stored"] = std::move(counts);
  return data;
}

}  // namespace

Result<EngineSettings> EngineSettings::from(const std::function<const char*(const char*)>& get) {
  const auto variable = [&](const char* name) -> std::string_view {
    const char* value = get(name);
    return value ? value : "";
  };
  EngineSettings settings;
  settings.url = variable("TESTLINE_WS_URL");
  settings.state_dir = variable("TESTLINE_STATE_DIR");
  if (settings.state_dir.empty())
    return wrong("TESTLINE_STATE_DIR is not set: it names the directory that keeps credentials");
  if (const auto root = variable("TESTLINE_NOISE_ROOT"); !root.empty()) {
    const auto bytes = from_hex(root);
    const auto key = bytes ? crypto::PublicKey::from(*bytes, "root") : bytes.error();
    if (!key) return wrong("TESTLINE_NOISE_ROOT is not 64 hexadecimal digits");
    settings.noise_root = *key;
  }
  if (const auto file = variable("TESTLINE_TLS_CA"); !file.empty()) {
    const auto contents = read_file(std::string(file));
    if (!contents) return wrong("TESTLINE_TLS_CA: " + contents.error().detail);
    settings.tls_ca_pem = as_text(*contents);
    if (const auto trust = net::TlsTrust::of(settings.tls_ca_pem); !trust) {
      return wrong("TESTLINE_TLS_CA: " + std::string(file) + ": " + trust.error().detail);
    }
  }
  double scale = 1;
  if (const auto given = variable("TESTLINE_TIME_SCALE"); !given.empty()) {
    WA_TRY(scale, positive("TESTLINE_TIME_SCALE", given));
  }
  client::Timings& timings = settings.timings;
  if (scale != 1) timings = timings.scaled(scale);
  settings.owner = variable("TESTLINE_OWNER");
  settings.lease = std::max(milliseconds(scale * 30'000), kShortestLease);
  // These are given as they are to be: the harness has scaled them.
  if (const auto given = variable("TESTLINE_KEEPALIVE_MS"); !given.empty()) {
    WA_TRY(const double ms, positive("TESTLINE_KEEPALIVE_MS", given));
    timings.ping_max = milliseconds(ms);
    timings.ping_min = timings.ping_max / 2;
  }
  if (const auto given = variable("TESTLINE_QR_FIRST_MS"); !given.empty()) {
    WA_TRY(const double ms, positive("TESTLINE_QR_FIRST_MS", given));
    timings.qr_first = milliseconds(ms);
  }
  if (const auto given = variable("TESTLINE_QR_MS"); !given.empty()) {
    WA_TRY(const double ms, positive("TESTLINE_QR_MS", given));
    timings.qr_rest = milliseconds(ms);
  }
  return settings;
}

Result<client::Config> device_config(const EngineSettings& settings, const json::object& command) {
  client::Config config;
  config.timings = settings.timings;
  WA_TRY(config.url, text(command, "url"));
  if (config.url.empty()) config.url = settings.url;
  if (settings.noise_root) config.noise_root = *settings.noise_root;

  const json::value* given = command.if_contains("options");
  if (!given) return config;
  if (!given->is_object()) return wrong("options is not an object");
  const json::object& options = given->get_object();
  constexpr std::string_view kKnown[] = {"auto_renew_qr",   "unpaired_limit", "takeover_after_ms",
                                         "initial_prekeys", "qr_first_ms",    "qr_rest_ms",
                                         "version",         "proxy",          "expected_number",
                                         "strict_identity"};
  for (const auto& member : options) {
    if (std::ranges::find(kKnown, std::string_view(member.key())) == std::end(kKnown)) {
      return wrong("there is no option \"" + std::string(member.key()) + "\"");
    }
  }
  constexpr std::uint64_t kManyTimes = 1'000'000;
  constexpr std::uint64_t kMostPreKeys = 10'000;
  const auto set = [](auto& field, const auto& value) {
    if (value) field = static_cast<std::remove_reference_t<decltype(field)>>(*value);
  };
  WA_TRY(const auto auto_renew_qr, number(options, "auto_renew_qr", 0, kManyTimes));
  set(config.auto_renew_qr, auto_renew_qr);
  WA_TRY(const auto unpaired_limit, number(options, "unpaired_limit", 1, kManyTimes));
  set(config.unpaired_limit, unpaired_limit);
  WA_TRY(const auto initial_prekeys, number(options, "initial_prekeys", 1, kMostPreKeys));
  set(config.initial_prekeys, initial_prekeys);
  WA_TRY(const auto qr_first, duration(options, "qr_first_ms"));
  set(config.timings.qr_first, qr_first);
  WA_TRY(const auto qr_rest, duration(options, "qr_rest_ms"));
  set(config.timings.qr_rest, qr_rest);
  WA_TRY(config.takeover_after, duration(options, "takeover_after_ms"));
  WA_TRY(config.expected_number, text(options, "expected_number"));
  WA_TRY(config.strict_identity, flag(options, "strict_identity"));
  WA_TRY(config.proxy, text(options, "proxy"));
  if (!config.proxy.empty()) {
    WA_TRY_VOID(net::Proxy::parse(config.proxy));
  }
  WA_TRY(const std::string version, text(options, "version"));
  if (!version.empty()) {
    WA_TRY(config.version, pairing::parse_app_version(version));
  }
  return config;
}

EngineDevices::EngineDevices(runtime::Surroundings surroundings, EngineSettings settings,
                             loopback::FaultyVfs* disk, Emit emit)
    : store_(surroundings.store,
             [this](const std::string& device, const std::string& point) {
               const auto name = device.empty() ? std::nullopt : std::optional(device);
               this->emit("held", name, {{"point", point}});
             }),
      surroundings_{surroundings.io, surroundings.pool, store_, surroundings.random,
                    surroundings.resolver},
      settings_(std::move(settings)),
      disk_(disk),
      emit_(std::move(emit)) {}

// ---- commands -----------------------------------------------------------------------------------

void EngineDevices::command(std::string_view line) {
  if (line.find_first_not_of(" \t") == std::string_view::npos) return;
  boost::system::error_code failure;
  const json::value parsed = json::parse(line, failure);
  if (failure || !parsed.is_object()) {
    const std::string why = failure ? failure.message() : "it is another value";
    return error({nullptr, {}}, "bad_request", "the line is no JSON object: " + why);
  }
  const json::object& command = parsed.get_object();
  Request request;
  if (const json::value* ref = command.if_contains("ref")) request.ref = *ref;
  if (const json::value* device = command.if_contains("device")) {
    if (!device->is_string() || !is_name(device->get_string())) {
      return error(request, "bad_request",
                   "device is not a name of 1 to 64 letters, digits, - and _");
    }
    request.device = std::string(device->get_string());
  }
  perform(command, std::move(request));
}

void EngineDevices::perform(const json::object& command, Request request) {
  const json::value* given = command.if_contains("cmd");
  if (!given || !given->is_string()) return error(request, "bad_request", "cmd is not a text");
  const std::string_view cmd = given->get_string();
  if (on_stopped_) return error(request, "stopping", "the process is about to end");

  Device& device = device_named(request.device.value_or(""));
  if (cmd == "start") return start(device, command, request);
  if (cmd == "inspect") return inspect(device, request);
  if (cmd == "send") return send(device, command, request);
  if (cmd == "read") return read(device, command, request);
  if (cmd == "trust") return trust(device, command, request);
  if (!stage::capability_of(cmd).empty()) return wish(device, cmd, command, request);
  if (cmd == "hold") return hold(device, command, request);
  if (cmd == "release") {
    store_.release(device.name);
    return done(request);
  }
  if (cmd == "host_fault") return host_fault(device, command, request);
  if (cmd != "stop" && cmd != "logout" && cmd != "delete") {
    return error(request, "unsupported", "there is no command \"" + std::string(cmd) + "\"");
  }
  if (!device.shell) {
    auto config = device_config(settings_, {});
    if (!config) return error(request, "config_error", config.error().detail);
    make_shell(device, std::move(*config));
  }
  if (cmd == "stop") return device.shell->stop(answer(request));
  if (cmd == "logout") return device.shell->logout(answer(request));
  device.shell->remove(answer(request));
}

void EngineDevices::start(Device& device, const json::object& command, const Request& request) {
  const auto number = pairing_number(command);
  if (!number) return error(request, "bad_request", number.error().detail);
  json::object what;
  for (const std::string_view name : {"url", "options"}) {
    if (const json::value* value = command.if_contains(name)) what[name] = *value;
  }
  std::string start_text = json::serialize(what);
  if (!device.shell || start_text != device.start_text) {
    auto config = device_config(settings_, command);
    if (!config) return error(request, "bad_request", config.error().detail);
    if (config->url.empty()) {
      return error(request, "config_error", "no url: neither in start nor in TESTLINE_WS_URL");
    }
    if (!settings_.noise_root)
      return error(request, "config_error", "TESTLINE_NOISE_ROOT is not set");
    if (device.shell && !device.shell->idle()) {
      if (device.start_text.empty()) return start_behind(device, command, request);
      return error(request, "conflict", "the device runs with another url or other options");
    }
    make_shell(device, std::move(*config));
    device.start_text = std::move(start_text);
  }
  if (number->empty()) return device.shell->start(answer(request));
  device.shell->request_pairing_code(*number, answer(request));
}

/// A shell that was made for a stop, logout or delete before any start gives way to one that knows
/// the options, once what it writes is durable.
void EngineDevices::start_behind(Device& device, const json::object& command,
                                 const Request& request) {
  device.shell->when_durable([this, &device, command, request] {
    boost::asio::post(surroundings_.io, [this, &device, command, request] {
      // Another start may have come first.
      if (device.start_text.empty()) device.shell.reset();
      start(device, command, request);
    });
  });
}

void EngineDevices::hold(const Device& device, const json::object& command,
                         const Request& request) {
  constexpr std::uint64_t kMostCommits = 1'000'000;
  const auto point = text(command, "point");
  if (!point) return error(request, "bad_request", point.error().detail);
  const auto word = text(command, "phase");
  const auto phase = stage::parse_hold_phase(word ? *word : "");
  if (!phase) return error(request, "bad_request", "phase: " + phase.error().detail);
  const auto nth = number(command, "nth", 1, kMostCommits);
  if (!nth) return error(request, "bad_request", nth.error().detail);
  store_.hold(device.name, *point, *phase, static_cast<std::uint32_t>(nth->value_or(1)));
  done(request);
}

void EngineDevices::host_fault(Device& device, const json::object& command,
                               const Request& request) {
  const json::value* given = command.if_contains("record");
  const json::value* on = command.if_contains("on");
  if (!given || !on || !on->is_bool())
    return error(request, "bad_request", "host_fault takes a record, and on: true or false");
  const auto record = mock::FaultRecord::parse(*given);
  if (!record) return error(request, "bad_request", record.error().detail);
  const auto set = device.host->set(*record, on->get_bool());
  if (!set) return error(request, "unsupported", set.error().detail);
  done(request);
}

void EngineDevices::inspect(const Device& device, const Request& request) {
  if (!device.shell) return read_stored(device, request);
  device.shell->when_durable([this, &device, request] { read_stored(device, request); });
}

void EngineDevices::read_stored(const Device& device, const Request& request) {
  const bool has_timer = device.shell && device.shell->has_timer();
  surroundings_.store.read(device.name, [this, has_timer, request](Result<store::Stored> stored) {
    if (!stored) return error(request, "store_error", stored.error().detail);
    auto data = describe_stored(*stored);
    if (!data) return error(request, "store_error", data.error().detail);
    (*data)["rss_bytes"] = resident_bytes();
    (*data)["open_files"] = open_files();
    (*data)["timers"] = has_timer ? 1 : 0;
    done(request, std::move(*data));
  });
}

EngineDevices::Device& EngineDevices::device_named(const std::string& name) {
  std::unique_ptr<Device>& device = devices_[name];
  if (!device) {
    device = std::make_unique<Device>();
    device->name = name;
    const auto about = name.empty() ? std::nullopt : std::optional(name);
    device->host =
        std::make_unique<EngineHost>(surroundings_.io, disk_, [this, about](const auto& id) {
          emit("host_fault_fired", about, {{"id", id}});
        });
  }
  return *device;
}

void EngineDevices::make_shell(Device& device, client::Config config) {
  runtime::SessionShell::Events events;
  events.on_status = [this, &device](const client::Status& status, Now now) {
    on_status(device, status, now);
  };
  events.on_report = [this, &device](const client::Report& report, Now now) {
    const auto name = device.name.empty() ? std::nullopt : std::optional(device.name);
    emit("log", name, {{"level", word(report.level)}, {"text", report.text}}, now.mono);
  };
  events.on_event = [this, &device](const messaging::AppEvent& event, Now now) {
    on_event(device, event, now);
  };
  events.on_idle = [this] { finish_when_idle(); };
  runtime::SessionShell::Options options;
  options.config = std::move(config);
  options.tls_ca_pem = settings_.tls_ca_pem;
  runtime::Surroundings surroundings = surroundings_;
  surroundings.resolver = device.host.get();
  surroundings.clock = device.host.get();
  device.shell = std::make_unique<runtime::SessionShell>(surroundings, device.name,
                                                         std::move(options), std::move(events));
}

void EngineDevices::stop(std::function<void()> done_callback) {
  on_stopped_ = std::move(done_callback);
  for (const auto& [name, device] : devices_) {
    if (device->shell) device->shell->stop({});
  }
  finish_when_idle();
}

void EngineDevices::finish_when_idle() {
  const bool idle = std::ranges::all_of(devices_, [](const auto& entry) {
    return !entry.second->shell || entry.second->shell->idle();
  });
  if (!idle || !on_stopped_) return;
  for (const auto& [name, device] : devices_) device->host->stop();
  // Once, but `stopping` must go on.
  const auto stopped = std::exchange(on_stopped_, [] {});
  stopped();
}

// ---- events -------------------------------------------------------------------------------------

void EngineDevices::on_status(Device& device, const client::Status& status, Now now) {
  device.host->look_at_disk();
  const auto name = device.name.empty() ? std::nullopt : std::optional(device.name);
  for (stage::Entry& entry : stage::entries_of(device.shown, status, now)) {
    if (entry.kind == "qr") entry.data["data"] = status.qr->text;
    if (entry.kind == "pairing_code") entry.data["code"] = entry.pairing_code;
    emit(entry.kind == "status" ? "state" : entry.kind, name, std::move(entry.data), entry.at);
  }
  device.shown = status;
}

runtime::SessionShell::Done EngineDevices::answer(const Request& request) {
  return [this, request](Result<void> result) {
    if (!result) return error(request, code_of(result.error()), result.error().detail);
    done(request);
  };
}

void EngineDevices::done(const Request& request, json::object data) {
  data["ref"] = request.ref;
  emit("done", request.device, std::move(data));
}

void EngineDevices::error(const Request& request, std::string_view code, std::string_view why) {
  emit("error", request.device, {{"ref", request.ref}, {"code", code}, {"text", why}});
}

void EngineDevices::emit(std::string_view event, const std::optional<std::string>& device,
                         json::object data, std::optional<Instant> at) {
  json::object line;
  line["event"] = event;
  if (device) line["device"] = *device;
  for (auto& member : data) line[member.key()] = std::move(member.value());
  const Instant when = at.value_or(runtime::read_clocks().mono);
  line["t_us"] =
      std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count();
  emit_(std::move(line));
}

}  // namespace wa::cli

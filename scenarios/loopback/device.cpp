#include "scenarios/loopback/device.hpp"

namespace wa::loopback {

namespace json = boost::json;
using stage::DurationKind;
using stage::Ref;

Device::Device(ClientSurroundings& world, Client& client, std::string engine, std::string name,
               stage::DeviceOptions options, stage::Trace& trace, Setup setup)
    : stage::Device(std::move(engine), std::move(name), std::move(options), trace),
      world_(world),
      client_(client),
      setup_(std::move(setup)) {}

void Device::do_start(Ref ref) {
  if (const auto clone = std::exchange(setup_.clone, {})) {
    if (const auto cloned = clone(*this); !cloned)
      return error(ref, "environment", cloned.error().detail);
  }
  if (const auto run = client_.run(); !run) return error(ref, "environment", run.error().detail);
  json::object fields;
  fields["url"] = setup_.url;
  if (world_.hello() && world_.hello()->can("options")) fields["options"] = start_options();
  client_.send(*this, ref, "start", std::move(fields));
}

Ref Device::stop() {
  return tell("stop");
}
Ref Device::logout() {
  return tell("logout");
}
Ref Device::remove() {
  return ask("delete", "delete");
}
Ref Device::inspect() {
  return ask("inspect", "inspect");
}
void Device::kill() {
  client_.kill();
}

Ref Device::tell(std::string_view command) {
  const Ref ref = next_ref();
  if (client_.running()) {
    client_.send(*this, ref, command);
  } else {
    done(ref);
  }
  return ref;
}

Ref Device::ask(std::string_view command, std::string_view capability) {
  const Ref ref = next_ref();
  if (world_.hello() && !world_.hello()->can(capability)) {
    setup_.lacks(capability);
    error(ref, "unsupported", "the client lacks the capability " + std::string(capability));
  } else if (const auto run = client_.run(); !run) {
    error(ref, "environment", run.error().detail);
  } else {
    client_.send(*this, ref, command);
  }
  return ref;
}

void Device::done(Ref ref) {
  push({world_.now().mono, "done", {{"ref", ref}}, {}});
}

void Device::error(Ref ref, std::string_view code, std::string_view text) {
  push({world_.now().mono, "error", {{"ref", ref}, {"code", code}, {"text", text}}, {}});
}

json::object Device::start_options() const {
  const auto scaled_ms = [&](Duration duration) {
    const Duration scaled = setup_.scale.apply(duration, DurationKind::delay);
    return std::chrono::duration_cast<std::chrono::milliseconds>(scaled).count();
  };
  json::object fields;
  fields["initial_prekeys"] = options().initial_prekeys;
  if (options().auto_renew_qr) fields["auto_renew_qr"] = *options().auto_renew_qr;
  if (options().unpaired_limit) fields["unpaired_limit"] = *options().unpaired_limit;
  if (options().takeover_after) fields["takeover_after_ms"] = scaled_ms(*options().takeover_after);
  if (options().qr_first) fields["qr_first_ms"] = scaled_ms(*options().qr_first);
  if (options().qr_rest) fields["qr_rest_ms"] = scaled_ms(*options().qr_rest);
  if (!setup_.proxy.empty()) fields["proxy"] = setup_.proxy;
  if (options().version) fields["version"] = *options().version;
  return fields;
}

}  // namespace wa::loopback

#include "scenarios/loopback/device.hpp"

#include "scenarios/stage/wishes.hpp"

namespace wa::loopback {

namespace json = boost::json;
using stage::DurationKind;
using stage::Ref;

json::object start_options(const stage::DeviceOptions& options, const stage::TimeScale& scale) {
  const auto scaled_ms = [&](Duration duration) {
    const Duration scaled = scale.apply(duration, DurationKind::delay);
    return std::chrono::duration_cast<std::chrono::milliseconds>(scaled).count();
  };
  json::object fields;
  if (options.initial_prekeys != stage::DeviceOptions{}.initial_prekeys) {
    fields["initial_prekeys"] = options.initial_prekeys;
  }
  if (options.auto_renew_qr) fields["auto_renew_qr"] = *options.auto_renew_qr;
  if (options.unpaired_limit) fields["unpaired_limit"] = *options.unpaired_limit;
  if (options.takeover_after) fields["takeover_after_ms"] = scaled_ms(*options.takeover_after);
  if (options.qr_first) fields["qr_first_ms"] = scaled_ms(*options.qr_first);
  if (options.qr_rest) fields["qr_rest_ms"] = scaled_ms(*options.qr_rest);
  if (options.version) fields["version"] = *options.version;
  if (!options.proxy.empty()) fields["proxy"] = options.proxy;
  if (!options.expected_number.empty()) fields["expected_number"] = options.expected_number;
  if (options.strict_identity) fields["strict_identity"] = true;
  return fields;
}

Device::Device(ClientSurroundings& world, Client& client, std::string engine, std::string name,
               stage::DeviceOptions options, stage::Trace& trace, Setup setup)
    : stage::Device(std::move(engine), std::move(name), std::move(options), trace),
      world_(world),
      client_(client),
      setup_(std::move(setup)) {}

void Device::do_start(Ref ref, std::string pairing_number) {
  if (const auto clone = std::exchange(setup_.clone, {})) {
    if (const auto cloned = clone(*this); !cloned)
      return error(ref, "environment", cloned.error().detail);
  }
  if (const auto run = client_.run(); !run) return error(ref, "environment", run.error().detail);
  if (!pairing_number.empty() && world_.hello() && !world_.hello()->can("pairing_code")) {
    setup_.lacks("pairing_code");
    return error(ref, "unsupported", "the client lacks the capability pairing_code");
  }
  json::object fields;
  fields["url"] = setup_.url;
  if (!pairing_number.empty()) fields["pairing_number"] = std::move(pairing_number);
  json::object chosen = start_options(options(), setup_.scale);
  // Fewer keys than a client makes by itself save time, and change nothing a scenario looks at.
  if (world_.hello() && world_.hello()->can_option("initial_prekeys")) {
    chosen["initial_prekeys"] = options().initial_prekeys;
  }
  if (!setup_.proxy.empty()) chosen["proxy"] = setup_.proxy;
  if (!chosen.empty()) fields["options"] = std::move(chosen);
  client_.send(*this, ref, "start", std::move(fields));
}

void Device::do_send(Ref ref, json::object message) {
  const json::value* to = message.if_contains("to");
  const bool to_group = to && to->is_string() && to->get_string().ends_with("@g.us");
  ask(ref, "send", to_group ? "groups" : "send", std::move(message));
}

void Device::do_wish(Ref ref, std::string command, json::object fields) {
  ask(ref, command, stage::capability_of(command), std::move(fields));
}

void Device::do_read(Ref ref, std::string chat, std::vector<std::string> ids) {
  ask(ref, "read", "read", {{"chat", chat}, {"ids", json::array(ids.begin(), ids.end())}});
}

Ref Device::inspect() {
  const Ref ref = next_ref();
  ask(ref, "inspect", "inspect");
  return ref;
}
Ref Device::hold(std::string point, stage::HoldPhase phase, std::uint32_t nth) {
  const Ref ref = next_ref();
  ask(ref, "hold", "hold", {{"point", point}, {"phase", stage::to_string(phase)}, {"nth", nth}});
  return ref;
}
Ref Device::release() {
  const Ref ref = next_ref();
  ask(ref, "release", "hold");
  return ref;
}
void Device::kill() {
  on_death_ = {};
  client_.kill();
}

// ---- what is stored -----------------------------------------------------------------------------

Result<StoredDevice> Device::records() {
  constexpr std::string_view kCapability = "testline_db";
  const Hello* hello = world_.hello();
  if (hello && !hello->can(kCapability)) {
    setup_.lacks(kCapability);
    return Error{Errc::environment, "the client lacks the capability " + std::string(kCapability)};
  }
  const bool shared = hello && hello->can("multi_device");
  return StoredDevice{client_.state_dir(), shared ? name() : std::string()};
}

Result<stage::DamagedRecord> Device::do_damage(const stage::Damage& damage) {
  WA_TRY(const StoredDevice place, records());
  return damage_record(place, damage);
}

Result<std::string> Device::stored_digest() {
  WA_TRY(const StoredDevice place, records());
  WA_TRY(const stage::StoredRecords stored, read_records(place));
  return stage::digest_of(stored);
}

Result<std::size_t> Device::copy_stored() {
  WA_TRY(const StoredDevice place, records());
  WA_TRY(StoredCopy copy, copy_records(place));
  copies_.push_back(std::move(copy));
  return copies_.size();
}

Result<void> Device::do_restore(std::size_t copy) {
  if (copy == 0 || copy > copies_.size()) return stage::no_such_copy(copy, copies_.size());
  WA_TRY(const StoredDevice place, records());
  return restore_records(place, copies_[copy - 1]);
}

// ---- its host -----------------------------------------------------------------------------------

void Device::host_fault(const json::object& record, bool on) {
  ask(next_ref(), "host_fault", "host_faults", {{"record", record}, {"on", on}});
}

void Device::kill_at(std::string point, stage::HoldPhase phase, std::function<void()> on_death) {
  on_death_ = std::move(on_death);
  hold(std::move(point), phase, 1);
}

void Device::pushed(const stage::Entry& entry) {
  if (entry.kind != "held" || !on_death_) return;
  std::exchange(on_death_, {})();
  client_.kill();
}

void Device::tell(Ref ref, std::string_view command) {
  if (client_.running()) {
    client_.send(*this, ref, command);
  } else {
    done(ref);
  }
}

void Device::ask(Ref ref, std::string_view command, std::string_view capability,
                 json::object fields) {
  if (world_.hello() && !world_.hello()->can(capability)) {
    setup_.lacks(capability);
    error(ref, "unsupported", "the client lacks the capability " + std::string(capability));
  } else if (const auto run = client_.run(); !run) {
    error(ref, "environment", run.error().detail);
  } else {
    client_.send(*this, ref, command, std::move(fields));
  }
}

void Device::done(Ref ref) {
  push({world_.now().mono, "done", {{"ref", ref}}, {}});
}

void Device::error(Ref ref, std::string_view code, std::string_view text) {
  push({world_.now().mono, "error", {{"ref", ref}, {"code", code}, {"text", text}}, {}});
}

}  // namespace wa::loopback

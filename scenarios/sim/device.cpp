#include "scenarios/sim/device.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"

namespace wa::sim {

namespace json = boost::json;
using stage::Ref;

namespace {

std::string_view word(client::Report::Level level) {
  switch (level) {
    case client::Report::Level::debug: return "debug";
    case client::Report::Level::info: return "info";
    case client::Report::Level::warning: return "warning";
  }
  return "unknown";
}

/// An action for the trace's lines: its kind and what people look for.
std::pair<std::string_view, json::object> line_of(const client::Action& action) {
  using Line = std::pair<std::string_view, json::object>;
  return std::visit(
      Overloaded{
          [](const client::DialSocket& dial) -> Line {
            return {"dial", {{"generation", dial.generation}, {"url", dial.url}}};
          },
          [](const client::SendBytes& send) -> Line {
            return {"send", {{"generation", send.generation}, {"bytes", send.bytes.size()}}};
          },
          [](const client::CloseSocket& close) -> Line {
            const bool reset = close.how == client::CloseHow::rst;
            return {"close", {{"generation", close.generation}, {"how", reset ? "rst" : "normal"}}};
          },
          [](const client::Commit& commit) -> Line {
            json::array changes;
            for (const client::Change& change : commit.changes) {
              if (const auto* put = std::get_if<client::Put>(&change)) {
                changes.emplace_back("put " + put->kind + "/" + put->key);
              } else {
                const auto& erase = std::get<client::Erase>(change);
                changes.emplace_back("erase " + erase.kind + "/" + erase.key);
              }
            }
            return {"commit", {{"changes", std::move(changes)}}};
          },
          [](const client::Compute& compute) -> Line {
            return {"compute", {{"job", compute.job_id}}};
          },
          [](const client::PublishStatus& publish) -> Line {
            return {"publish", {{"state", client::to_string(publish.status.state)}}};
          },
          [](const client::Report& report) -> Line {
            return {"report", {{"level", word(report.level)}, {"text", report.text}}};
          },
      },
      action);
}

}  // namespace

Device::Device(DeviceSurroundings& surroundings, std::string engine, std::string name,
               stage::DeviceOptions options, Setup setup)
    : stage::Device(std::move(engine), std::move(name), std::move(options), surroundings.trace()),
      world_(surroundings),
      setup_(std::move(setup)),
      actor_(world_.trace().actor("session " + this->engine() + "/" + this->name())) {}

// ---- commands -----------------------------------------------------------------------------------

void Device::do_start(Ref ref, std::string pairing_number) {
  if (!pairing_number.empty()) {
    auto number = pairing::parse_phone_number(pairing_number);
    if (!number) {
      json::object data{{"ref", ref}, {"code", "bad_request"}, {"text", number.error().detail}};
      return push({world_.now().mono, "error", std::move(data), {}});
    }
    pairing_number = std::move(*number);
  }
  stopping_ = false;
  if (!setup_.store->acquire(owner(), world_.now().mono) && !setup_.sabotage->ignores_lease) {
    done(ref);
    push({world_.now().mono,
          "state",
          {{"state", "disconnected"}, {"reason", "owned_elsewhere"}, {"attempts", 0}},
          {}});
    return;
  }
  if (epoch_ != setup_.store->epoch()) session_.reset();  // another process has written since
  if (!session_ && !boot()) {
    push(
        {world_.now().mono,
         "error",
         {{"ref", ref}, {"code", "store_error"}, {"text", "the stored credentials cannot be read"}},
         {}});
    return;
  }
  done(ref);
  if (!pairing_number.empty()) return feed(client::PairingCodeRequested{std::move(pairing_number)});
  feed(client::StartRequested{});
}

void Device::do_stop(Ref ref) {
  done(ref);
  feed(client::StopRequested{});
  stopping_ = gate_.committing();
  if (!stopping_) setup_.store->release(owner());
}

void Device::do_logout(Ref ref) {
  done(ref);
  feed(client::LogoutRequested{});
}

void Device::do_remove(Ref ref) {
  // Nobody runs that could forget by itself.
  if (!session_ && !boot()) *setup_.store = Store{};
  done(ref);
  feed(client::DeleteRequested{});
}

void Device::kill() {
  if (!session_) return;
  setup_.store->abandon(owner(), world_.now().mono);
  ++incarnation_;
  const auto dials = session_->counters().dials;
  session_.reset();
  gate_.clear();
  committing_.clear();
  hold_.reset();
  computing_.clear();
  world_.set_alarm(setup_.index, {});
  // The operating system ends the sockets of a process that is killed.
  for (std::uint64_t generation = 1; generation <= dials; ++generation) {
    world_.close(setup_.index, static_cast<client::Generation>(generation), client::CloseHow::rst);
  }
  status_ = {};  // a dead process shows nothing
  push({world_.now().mono, "killed", {}, {}});
}

Ref Device::hold(std::string point, stage::HoldPhase phase, std::uint32_t nth) {
  const Ref ref = release();  // what was asked for before
  hold_ = Hold{std::move(point), phase, nth, false, {}};
  return ref;
}

Ref Device::release() {
  const Ref ref = next_ref();
  const std::optional<Hold> hold = std::exchange(hold_, {});
  done(ref);
  if (!hold || !hold->stands) return ref;
  if (hold->phase == stage::HoldPhase::before) {
    begin_commit();
  } else {
    finish_commit();
  }
  return ref;
}

void Device::kill_at(std::string point, stage::HoldPhase phase, std::function<void()> on_death) {
  hold_ = Hold{std::move(point), phase, 1, false, std::move(on_death)};
}

void Device::dies(std::uint32_t incarnation) {
  if (incarnation != incarnation_ || !hold_) return;
  const auto on_death = std::move(hold_->on_death);
  on_death();
  kill();
}

bool Device::holds(stage::HoldPhase phase) {
  if (!hold_ || hold_->stands || hold_->phase != phase) return false;
  if (!hold_->point.empty() && hold_->point != committing_point_) return false;
  if (--hold_->left > 0) return false;
  hold_->stands = true;
  if (hold_->on_death) {
    world_.begin_death(setup_.index, incarnation_);
    return true;
  }
  push({world_.now().mono,
        "held",
        {{"point", hold_->point}, {"phase", stage::to_string(phase)}},
        {}});
  return true;
}

Ref Device::inspect() {
  const Ref ref = next_ref();
  json::object data;
  data["credentials"] = nullptr;
  data["generation"] = nullptr;
  if (const Bytes* record = setup_.store->find("credentials", "self")) {
    if (const auto credentials = client::Credentials::decode(*record)) {
      if (credentials->account) data["credentials"] = credentials->fingerprint();
      data["generation"] = credentials->attempt_id;
    }
  }
  json::object stored;
  for (const auto& [kind, records] : setup_.store->kinds()) stored[kind] = records.size();
  data["stored"] = std::move(stored);
  data["timers"] = session_ && session_->next_deadline() ? 1 : 0;
  data["open_files"] = world_.open_sockets(setup_.index) + (session_ ? 1 : 0);  // and the store
  done(ref, std::move(data));
  return ref;
}

void Device::done(Ref ref, json::object data) {
  data["ref"] = ref;
  push({world_.now().mono, "done", std::move(data), {}});
}

bool Device::boot() {
  ++incarnation_;
  epoch_ = setup_.store->epoch();
  gate_.clear();
  status_ = {};
  if (setup_.cloned_from) {
    *setup_.store = *setup_.cloned_from;
    setup_.cloned_from.reset();
  }
  auto stored = client::Stored::read(setup_.store->kinds());
  if (!stored) return false;
  random_ = std::make_unique<SeededRandom>(
      setup_.seed, "session", engine() + "/" + name() + "#" + std::to_string(incarnation_));
  session_ = std::make_unique<client::Session>(setup_.config, std::move(*stored), *random_);
  return true;
}

// ---- the shell ----------------------------------------------------------------------------------

void Device::feed(client::Event event) {
  if (!session_) return;
  const Sabotage& sabotage = *setup_.sabotage;
  if (sabotage.hears && !sabotage.hears(event)) return;
  std::vector<client::Action> actions = session_->step(event, host_now());
  if (sabotage.actions) sabotage.actions(actions);
  perform(gate_.admit(std::move(actions)));
  world_.set_alarm(setup_.index, session_->next_deadline());
}

Now Device::host_now() const {
  Now now = world_.now();
  now.wall.value += std::chrono::duration_cast<std::chrono::milliseconds>(wall_offset_).count();
  return now;
}

void Device::commit_durable(std::uint32_t incarnation) {
  if (incarnation != incarnation_) return;  // its process was killed before
  const bool had_account = has_account();
  setup_.store->apply(committing_);
  if (had_account && !has_account()) world_.account_gone(*this);
  committing_.clear();
  if (!holds(stage::HoldPhase::after)) finish_commit();
}

void Device::finish_commit() {
  perform(gate_.durable());
  if (stopping_ && !gate_.committing()) {
    stopping_ = false;
    setup_.store->release(owner());
  }
}

bool Device::has_account() const {
  const Bytes* record = setup_.store->find("credentials", "self");
  if (!record) return false;
  const auto credentials = client::Credentials::decode(*record);
  return credentials && credentials->account;
}

void Device::computed(std::uint32_t incarnation, std::uint32_t job) {
  if (incarnation != incarnation_) return;
  const auto found = computing_.find(job);
  WA_ASSERT(found != computing_.end());
  client::ComputeValue value = client::compute(found->second);
  computing_.erase(found);
  feed(client::Computed{job, std::move(value)});
}

void Device::perform(std::vector<client::Action> actions) {
  for (client::Action& action : actions) {
    if (auto* send = std::get_if<client::SendBytes>(&action)) world_.touch(send->bytes);
    record(action);
    perform(action);
  }
}

void Device::record(const client::Action& action) {
  client::append_canonical(action, world_.trace_open(actor_));
  world_.trace().close();
  if (!world_.trace().recording()) return;
  auto [kind, data] = line_of(action);
  world_.trace().line(world_.now().mono, actor_, kind, std::move(data));
}

void Device::perform(client::Action& action) {
  const auto rows = Overloaded{
      [&](const client::DialSocket& dial) { world_.dial(setup_.index, dial); },
      [&](client::SendBytes& send) {
        world_.send(setup_.index, send.generation, std::move(send.bytes));
      },
      [&](const client::CloseSocket& close) {
        world_.close(setup_.index, close.generation, close.how);
      },
      [&](client::Commit& commit) {
        committing_ = std::move(commit.changes);
        committing_point_ = commit.point;
        if (!holds(stage::HoldPhase::before)) begin_commit();
      },
      [&](client::Compute& compute) {
        computing_.insert_or_assign(compute.job_id, std::move(compute.job));
        world_.begin_compute(setup_.index, incarnation_, compute.job_id);
      },
      [&](const client::PublishStatus& published) { publish(published.status); },
      [&](client::Report& report) {
        push({world_.now().mono,
              "log",
              {{"level", word(report.level)}, {"text", std::move(report.text)}},
              {}});
      },
  };
  std::visit(rows, action);
}

void Device::publish(const client::Status& status) {
  std::vector<stage::Entry> entries = stage::entries_of(status_, status, host_now());
  status_ = status;
  for (stage::Entry& entry : entries) push(std::move(entry));
}

}  // namespace wa::sim

#include "scenarios/sim/device.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"

namespace wa::sim {

namespace json = boost::json;
using stage::Ref;

namespace {

/// As of runtime::SessionShell: for a commit; failures in a row, then `store_error`.
constexpr Duration kStorePatience = std::chrono::seconds(10);
constexpr int kStoreFailures = 3;
constexpr std::string_view kDamaged = "what is stored of the device is damaged";

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
      return error(ref, "bad_request", number.error().detail);
    }
    pairing_number = std::move(*number);
  }
  stopping_ = false;
  reopen_at_.reset();
  opening_since_.reset();
  wanted_ = client::StartRequested{};
  if (!pairing_number.empty()) wanted_ = client::PairingCodeRequested{std::move(pairing_number)};
  const Opening opening = open();
  if (opening == Opening::failed || opening == Opening::damaged) {
    error(ref, "store_error",
          opening == Opening::failed ? *setup_.store->disk().failure() : std::string(kDamaged));
  } else {
    done(ref);
  }
  if (opening == Opening::opened) return feed(wanted_);
  show(opening);
  set_alarm();
}

void Device::do_stop(Ref ref) {
  done(ref);
  wanted_ = client::StopRequested{};
  if (std::exchange(reopen_at_, {})) {
    client::Status status = without_session();
    status.reason = "stopped";
    publish(status);
    set_alarm();
  }
  feed(wanted_);
  stopping_ = gate_.committing();
  if (!stopping_) setup_.store->release(owner());
}

void Device::do_logout(Ref ref) {
  done(ref);
  wanted_ = client::LogoutRequested{};
  feed(wanted_);
}

void Device::do_remove(Ref ref) {
  wanted_ = client::DeleteRequested{};
  // Nobody runs that could forget by itself.
  if (!session_ && !boot()) setup_.store->erase();
  done(ref);
  feed(wanted_);
}

void Device::kill() {
  if (!session_ && !reopen_at_ && !runs()) return;
  setup_.store->abandon(owner(), world_.now().mono);
  // The operating system ends the sockets of a process that is killed.
  destroy_session(client::CloseHow::rst);
  reopen_at_.reset();
  hold_.reset();
  set_alarm();
  status_ = {};  // a dead process shows nothing
  push({world_.now().mono, "killed", {}, {}});
}

void Device::destroy_session(client::CloseHow how) {
  ++incarnation_;
  commit_deadline_.reset();
  gate_.clear();
  committing_ = {};
  computing_.clear();
  if (!session_) return;
  const auto dials = session_->counters().dials;
  session_.reset();
  for (std::uint64_t generation = 1; generation <= dials; ++generation) {
    world_.close(setup_.index, static_cast<client::Generation>(generation), how);
  }
}

Ref Device::inspect() {
  const Ref ref = next_ref();
  if (!setup_.store->intact()) {
    error(ref, "store_error", kDamaged);
    return ref;
  }
  json::object data;
  data["credentials"] = nullptr;
  data["generation"] = setup_.store->generation();
  data["attempt"] = nullptr;
  if (const Bytes* record = setup_.store->find("credentials", "self")) {
    if (const auto credentials = client::Credentials::decode(*record)) {
      if (credentials->account) data["credentials"] = credentials->fingerprint();
      data["attempt"] = credentials->attempt_id;
    }
  }
  json::object stored;
  for (const auto& [kind, records] : setup_.store->kinds()) stored[kind] = records.size();
  data["stored"] = std::move(stored);
  data["timers"] = reopen_at_ || (session_ && session_->next_deadline()) ? 1 : 0;
  data["open_files"] = world_.open_sockets(setup_.index) + (session_ ? 1 : 0);  // and the store
  done(ref, std::move(data));
  return ref;
}

void Device::done(Ref ref, json::object data) {
  data["ref"] = ref;
  push({world_.now().mono, "done", std::move(data), {}});
}

void Device::error(Ref ref, std::string_view code, std::string_view text) {
  push({world_.now().mono, "error", {{"ref", ref}, {"code", code}, {"text", text}}, {}});
}

bool Device::boot() {
  ++incarnation_;
  epoch_ = setup_.store->epoch();
  gate_.clear();
  status_ = {};
  if (setup_.cloned_from) {
    setup_.store->copy_records(*setup_.cloned_from);
    setup_.cloned_from.reset();
  }
  if (!setup_.store->intact()) return false;
  auto stored = client::Stored::read(setup_.store->kinds());
  if (!stored) return false;
  random_ = std::make_unique<SeededRandom>(
      setup_.seed, "session", engine() + "/" + name() + "#" + std::to_string(incarnation_));
  session_ = std::make_unique<client::Session>(setup_.config, std::move(*stored), *random_);
  return true;
}

// ---- the store ----------------------------------------------------------------------------------

Result<stage::DamagedRecord> Device::do_damage(const stage::Damage& damage) {
  WA_TRY(stage::DamagedRecord left, stage::damaged(setup_.store->kinds(), damage));
  setup_.store->damage(left);
  return left;
}

Result<std::string> Device::stored_digest() {
  return stage::digest_of(setup_.store->kinds());
}

Device::Opening Device::open() {
  Store& store = *setup_.store;
  const Instant now = world_.now().mono;
  const bool mine = session_ && epoch_ == store.epoch() && store.acquire(owner(), now);
  if (mine) return Opening::opened;
  // Who opens a device writes that it is the owner.
  const Duration waited = now - opening_since_.value_or(now);
  if (const auto failure = store.disk().failure(waited)) {
    if (store.disk().busy(waited) && waited < Store::kBusyTimeout) {
      if (!opening_since_) opening_since_ = now;
      return Opening::waiting;
    }
    opening_since_.reset();
    return Opening::failed;
  }
  opening_since_.reset();
  if (!store.acquire(owner(), now) && !setup_.sabotage->ignores_lease) return Opening::elsewhere;
  if (epoch_ != store.epoch()) session_.reset();  // another process has written since
  return session_ || boot() ? Opening::opened : Opening::damaged;
}

void Device::reopen() {
  const Opening opening = open();
  if (opening == Opening::opened) return feed(wanted_);
  if (opening == Opening::failed && ++store_failures_ < kStoreFailures) return reopen();
  show(opening);
}

void Device::show(Opening opening) {
  switch (opening) {
    case Opening::opened: return;
    case Opening::waiting: reopen_at_ = world_.now().mono + Store::kBusyRetry; return;
    case Opening::elsewhere: return show_owned_elsewhere();
    case Opening::failed: return show_store_error("unavailable");
    case Opening::damaged: return show_store_error("damaged");
  }
}

void Device::show_store_error(std::string_view reason) {
  store_failures_ = 0;  // the next start has as many
  setup_.store->release(owner());
  client::Status status = without_session();
  status.state = client::State::store_error;
  status.reason = reason;
  publish(status);
}

void Device::show_owned_elsewhere() {
  client::Status status = without_session();
  status.reason = "owned_elsewhere";
  if (wants_to_run()) {
    reopen_at_ = world_.now().mono + setup_.config.timings.owned_retry;
    status.next_attempt_at = reopen_at_;
  }
  publish(status);
}

bool Device::wants_to_run() const {
  return std::holds_alternative<client::StartRequested>(wanted_) ||
         std::holds_alternative<client::PairingCodeRequested>(wanted_);
}

client::Status Device::without_session() const {
  client::Status status;
  status.jid = status_.jid;
  status.last_close = status_.last_close;
  return status;
}

void Device::begin_commit() {
  commit_began_ = world_.now().mono;
  world_.commit_meets_disk(*this);
  world_.begin_commit(setup_.index, incarnation_, setup_.store->disk().slow_by());
}

void Device::commit_done(std::uint32_t incarnation) {
  if (incarnation != incarnation_) return;  // its process was killed before
  const Disk& disk = setup_.store->disk();
  const Duration waited = world_.now().mono - commit_began_;
  if (disk.busy(waited) && waited < Store::kBusyTimeout) {
    return world_.begin_commit(setup_.index, incarnation_, Store::kBusyRetry);
  }
  const auto failure = disk.failure(waited);
  world_.commit_met_disk(*this);
  if (failure) return commit_failed(*failure);
  const bool had_account = has_account();
  setup_.store->apply(committing_.changes);
  if (had_account && !has_account()) world_.account_gone(*this);
  if (!holds(stage::HoldPhase::after)) commit_durable();
}

void Device::commit_durable() {
  store_failures_ = 0;
  commit_deadline_.reset();
  committing_ = {};
  perform(gate_.durable());
  set_alarm();
  give_back_when_stopped();
}

/// What the session believes to be durable is not: it is built anew from what is.
void Device::commit_failed(const std::string& why) {
  push({world_.now().mono, "log", {{"level", "warning"}, {"text", "a commit failed: " + why}}, {}});
  destroy_session(client::CloseHow::normal);
  if (hold_ && hold_->stands) hold_.reset();
  give_back_when_stopped();
  if (++store_failures_ >= kStoreFailures) {
    show_store_error("commit_failed");
    return set_alarm();
  }
  client::Status status = without_session();
  if (wants_to_run()) {
    status.state = client::State::connecting;
    status.reason = "rebuilding";
  }
  publish(status);
  reopen();
  set_alarm();
}

void Device::give_back_when_stopped() {
  if (!stopping_ || gate_.committing()) return;
  stopping_ = false;
  setup_.store->release(owner());
}

// ---- held ---------------------------------------------------------------------------------------

Ref Device::hold(std::string point, stage::HoldPhase phase, std::uint32_t nth) {
  const Ref ref = release();  // what was asked for before
  hold_ = Hold{std::move(point), phase, nth, false, {}};
  return ref;
}

Ref Device::release() {
  const Ref ref = next_ref();
  done(ref);
  const std::optional<Hold> hold = std::exchange(hold_, {});
  if (!hold || !hold->stands) return ref;
  if (hold->phase == stage::HoldPhase::before) {
    begin_commit();
  } else {
    commit_durable();
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
  if (!hold_->point.empty() && hold_->point != committing_.point) return false;
  if (--hold_->left > 0) return false;
  hold_->stands = true;
  if (hold_->on_death) {
    world_.begin_death(setup_.index, incarnation_);
    return true;
  }
  push({world_.now().mono,
        "held",
        {{"point", committing_.point}, {"phase", stage::to_string(phase)}},
        {}});
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
  set_alarm();
}

void Device::alarm() {
  const Instant now = world_.now().mono;
  if (commit_deadline_ && now >= *commit_deadline_) {
    commit_failed("the store did not answer in time");
  } else if (reopen_at_ && now >= *reopen_at_) {
    reopen_at_.reset();
    reopen();
  } else {
    return feed(client::DeadlineReached{});
  }
  set_alarm();
}

Now Device::host_now() const {
  Now now = world_.now();
  now.wall.value += std::chrono::duration_cast<std::chrono::milliseconds>(wall_offset_).count();
  return now;
}

void Device::set_alarm() {
  std::optional<Instant> next;
  for (const auto& deadline :
       {commit_deadline_, reopen_at_, session_ ? session_->next_deadline() : std::nullopt}) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  world_.set_alarm(setup_.index, next);
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
        committing_ = std::move(commit);
        commit_deadline_ = world_.now().mono + kStorePatience;
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

#include "scenarios/sim/device.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/client/records.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "scenarios/stage/wishes.hpp"

namespace wa::sim {

namespace json = boost::json;
using runtime::Custody;
using stage::Ref;

namespace {

constexpr std::string_view kDamaged = "what is stored of the device is damaged";

std::string owned_elsewhere(const Store& store) {
  return "the device is run by " + std::string(store.owner());
}

constexpr const char* kNotRunning = "the device does not run: start it first";

std::string_view code_for(const Error& error) {
  return error.code == Errc::not_found ? "not_found" : "bad_request";
}

std::string_view word(client::Report::Level level) {
  switch (level) {
    case client::Report::Level::debug: return "debug";
    case client::Report::Level::info: return "info";
    case client::Report::Level::warning: return "warning";
  }
  return "unknown";
}

Custody::Config custody_config(const client::Config& config) {
  Custody::Config custody;
  custody.owned_retry = config.timings.owned_retry;
  return custody;
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
          [](const client::Load& load) -> Line {
            json::array keys;
            for (const RecordKey& key : load.keys) keys.emplace_back(key.kind + "/" + key.key);
            return {"load", {{"keys", std::move(keys)}}};
          },
          [](const client::Compute& compute) -> Line {
            return {"compute", {{"job", compute.job_id}}};
          },
          [](const client::PublishStatus& publish) -> Line {
            return {"publish", {{"state", client::to_string(publish.status.state)}}};
          },
          [](const client::PublishEvent& publish) -> Line {
            return {"event", {{"seq", publish.event.seq}}};
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
      actor_(world_.trace().actor("session " + this->engine() + "/" + this->name())),
      custody_(custody_config(setup_.config)) {}

// ---- commands -----------------------------------------------------------------------------------

void Device::do_start(Ref ref, std::string pairing_number) {
  if (!pairing_number.empty()) {
    auto number = pairing::parse_phone_number(pairing_number);
    if (!number) {
      return error(ref, "bad_request", number.error().detail);
    }
    pairing_number = std::move(*number);
  }
  client::Event start = client::StartRequested{};
  if (!pairing_number.empty()) start = client::PairingCodeRequested{std::move(pairing_number)};
  command(ref, std::move(start));
}

void Device::do_stop(Ref ref) {
  command(ref, client::StopRequested{});
}
void Device::do_logout(Ref ref) {
  command(ref, client::LogoutRequested{});
}
void Device::do_remove(Ref ref) {
  command(ref, client::DeleteRequested{});
}

void Device::do_send(Ref ref, json::object message) {
  if (!session_) return error(ref, "not_running", kNotRunning);
  auto wanted = correspondence_.send(message, status_.jid, host_now().wall);
  if (!wanted) return error(ref, code_for(wanted.error()), wanted.error().detail);
  wanted->ref = ref;
  sends_.emplace(ref, *wanted);
  feed(std::move(*wanted));
}

void Device::do_read(Ref ref, std::string chat, std::vector<std::string> ids) {
  if (!session_) return error(ref, "not_running", kNotRunning);
  auto wanted = correspondence_.read(chat, ids);
  if (!wanted) return error(ref, code_for(wanted.error()), wanted.error().detail);
  for (client::ReadRequested& one : *wanted) feed(std::move(one));
  done(ref);
}

void Device::do_trust(Ref ref, std::string account) {
  if (!session_) return error(ref, "not_running", kNotRunning);
  const auto jid = wire::Jid::parse(account);
  if (!jid) return error(ref, "bad_request", jid.error().detail);
  feed(client::TrustRequested{*jid});
  done(ref);
}

void Device::do_wish(Ref ref, std::string command, json::object fields) {
  if (!session_) return error(ref, "not_running", kNotRunning);
  auto wish = stage::wish_of(command, fields);
  if (!wish) return error(ref, code_for(wish.error()), wish.error().detail);
  auto* group = std::get_if<client::GroupRequested>(&*wish);
  if (group) group->ref = ref;
  std::visit([this](auto& one) { feed(std::move(one)); }, *wish);
  if (!group) done(ref);  // of a group told() answers
}

void Device::told(const messaging::AppEvent& event) {
  correspondence_.note(event);
  if (auto answer = event.ref ? stage::group_answer(event.what) : std::nullopt) {
    if (answer->code.empty()) return done(*event.ref, std::move(answer->done));
    return error(*event.ref, answer->code, answer->text);
  }
  if (!event.ref || !answer_send(*event.ref, event.what)) {
    for (stage::Entry& entry : stage::entries_of(event, world_.now().mono)) push(std::move(entry));
  }
  if (event.seq != 0) {
    world_.begin_taking(setup_.index, incarnation_, static_cast<std::uint32_t>(event.seq));
  }
}

/// Whether the event is the answer to a `send`, and not what became of it later.
bool Device::answer_send(Ref ref, const messaging::AppEvent::What& what) {
  const auto found = sends_.find(ref);
  if (found == sends_.end()) return false;
  const auto* accepted = std::get_if<messaging::SendAccepted>(&what);
  const auto* failed = std::get_if<messaging::SendFailed>(&what);
  if (!accepted && !failed) return false;
  const client::SendRequested message = std::move(found->second);
  sends_.erase(found);
  if (accepted) {
    correspondence_.said(accepted->id, message);
    done(ref, {{"id", accepted->id}});
  } else {
    error(ref, failed->reason, "the device cannot send");
  }
  return true;
}

void Device::taken(std::uint32_t incarnation, std::uint32_t seq) {
  if (incarnation == incarnation_) feed(client::EventTaken{seq});
}

void Device::command(Ref ref, client::Event event) {
  tell(Custody::Commanded{ref, std::move(event)});
}

void Device::kill() {
  if (!session_ && !custody_.next_deadline() && !runs()) return;
  setup_.store->abandon(owner(), world_.now().mono);
  // The operating system ends the sockets of a process that is killed.
  destroy_session(client::CloseHow::rst);
  custody_ = Custody(custody_config(setup_.config));
  opening_since_.reset();
  open_again_at_.reset();
  hold_.reset();
  settle();
  status_ = {};  // a dead process shows nothing
  push({world_.now().mono, "killed", {}, {}});
}

void Device::destroy_session(client::CloseHow how) {
  ++incarnation_;
  committing_ = {};
  looking_up_.clear();
  sends_.clear();
  correspondence_ = {};
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
  data["timers"] = custody_.waits_for_owner() || (session_ && session_->next_deadline()) ? 1 : 0;
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

Result<std::size_t> Device::copy_stored() {
  copies_.push_back(setup_.store->copy());
  return copies_.size();
}

Result<void> Device::do_restore(std::size_t copy) {
  if (copy == 0 || copy > copies_.size()) return stage::no_such_copy(copy, copies_.size());
  setup_.store->restore(copies_[copy - 1]);
  return {};
}

Result<std::string> Device::stored_digest() {
  return stage::digest_of(setup_.store->kinds());
}

void Device::open() {
  Store& store = *setup_.store;
  const Instant now = world_.now().mono;
  const auto opened = [&] { decide(Custody::Opened{custody_.incarnation(), store.generation()}); };
  const auto failed = [&](Errc code, std::string why) {
    opening_since_.reset();
    decide(Custody::OpenFailed{custody_.incarnation(), {code, std::move(why)}});
  };
  const bool mine = session_ && epoch_ == store.epoch() && store.acquire(owner(), now);
  if (mine) return opened();
  // Who opens a device writes that it is the owner.
  const Duration waited = now - opening_since_.value_or(now);
  if (const auto failure = store.disk().failure(waited)) {
    if (!store.disk().busy(waited) || waited >= Store::kBusyTimeout) {
      return failed(Errc::environment, *failure);
    }
    if (!opening_since_) opening_since_ = now;
    open_again_at_ = now + Store::kBusyRetry;
    return;
  }
  if (!store.acquire(owner(), now) && !setup_.sabotage->ignores_lease) {
    return failed(Errc::fenced, owned_elsewhere(store));
  }
  opening_since_.reset();
  if (epoch_ != store.epoch()) session_.reset();  // another process has written since
  if (session_ || boot()) return opened();
  store.release(owner());
  failed(Errc::malformed, std::string(kDamaged));
}

void Device::erase(Ref ref) {
  Store& store = *setup_.store;
  world_.commit_meets_disk(*this);
  const auto failure = store.disk().failure();
  world_.commit_met_disk(*this);
  Result<void> erased;
  if (failure) {
    erased = Error{Errc::environment, *failure};
  } else if (!store.acquire(owner(), world_.now().mono)) {
    erased = Error{Errc::fenced, owned_elsewhere(store)};
  } else {
    store.erase();
    store.release(owner());
  }
  decide(Custody::EraseEnded{ref, std::move(erased)});
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
  if (failure) {
    return tell(Custody::CommitEnded{custody_.incarnation(), Error{Errc::environment, *failure}});
  }
  const bool touches_account =
      std::ranges::any_of(committing_.changes, [](const client::Change& change) {
        return std::visit([](const auto& one) { return one.kind == client::kCredentialsKind; },
                          change);
      });
  const bool had_account = touches_account && has_account();
  setup_.store->apply(std::move(committing_.changes));
  if (had_account && !has_account()) world_.account_gone(*this);
  if (!holds(stage::HoldPhase::after)) commit_durable();
}

void Device::commit_durable() {
  committing_ = {};
  tell(Custody::CommitEnded{custody_.incarnation(), {}});
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

void Device::tell(Custody::Event event) {
  decide(std::move(event));
  settle();
}

void Device::decide(Custody::Event event) {
  for (Custody::Action& action : custody_.step(std::move(event), host_now())) perform(action);
}

void Device::feed(const client::Event& event) {
  step_session(event);
  settle();
}

void Device::step_session(const client::Event& event) {
  if (!session_) return;
  const Sabotage& sabotage = *setup_.sabotage;
  unheard_ = sabotage.hears && !sabotage.hears(event);
  if (unheard_) return;
  std::vector<client::Action> actions = session_->step(event, host_now());
  if (sabotage.actions) sabotage.actions(actions);
  decide(Custody::Stepped{std::move(actions)});
}

void Device::alarm() {
  if (!open_again_at_ || world_.now().mono < *open_again_at_) {
    return tell(Custody::DeadlineReached{});
  }
  open_again_at_.reset();
  open();
  settle();
}

Now Device::host_now() const {
  Now now = world_.now();
  now.wall.value += std::chrono::duration_cast<std::chrono::milliseconds>(wall_offset_).count();
  return now;
}

void Device::settle() {
  if (std::exchange(unheard_, false)) return;  // its deadline would come again at once
  if (session_ && !session_->next_deadline() && world_.open_sockets(setup_.index) == 0) {
    decide(Custody::Rested{});
  }
  std::optional<Instant> next;
  for (const auto& deadline : {custody_.next_deadline(), open_again_at_,
                               session_ ? session_->next_deadline() : std::nullopt}) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  world_.set_alarm(setup_.index, next);
}

bool Device::has_account() const {
  const Bytes* record = setup_.store->find(client::kCredentialsKind, client::kCredentialsKey);
  if (!record) return false;
  const auto credentials = client::Credentials::decode(*record);
  return credentials && credentials->account;
}

void Device::loaded(std::uint32_t incarnation, std::uint32_t load) {
  if (incarnation != incarnation_) return;
  Custody::Lookup lookup = std::move(looking_up_.extract(load).mapped());
  const Store& store = *setup_.store;
  Result<std::vector<std::optional<Bytes>>> found = Error{Errc::malformed, std::string(kDamaged)};
  if (store.intact()) {
    std::vector<std::optional<Bytes>> values;
    for (const RecordKey& key : lookup.keys) {
      const Bytes* record = store.find(key.kind, key.key);
      values.push_back(record ? std::optional(*record) : std::nullopt);
    }
    found = std::move(values);
  }
  tell(Custody::LookupEnded{custody_.incarnation(), std::move(lookup), std::move(found)});
}

void Device::computed(std::uint32_t incarnation, std::uint32_t job) {
  if (incarnation != incarnation_) return;
  const auto found = computing_.find(job);
  WA_ASSERT(found != computing_.end());
  client::ComputeValue value = client::compute(found->second);
  computing_.erase(found);
  feed(client::Computed{job, std::move(value)});
}

void Device::perform(Custody::Action& action) {
  const auto rows = Overloaded{
      [&](client::Action& of_session) {
        if (auto* send = std::get_if<client::SendBytes>(&of_session)) world_.touch(send->bytes);
        record(of_session);
        perform(of_session);
      },
      // Why it could not be opened, the answer says, or the fault that a scenario declared.
      [&](const Custody::Open&) { open(); },
      [&](const Custody::DropMachine&) {
        destroy_session(client::CloseHow::normal);
        if (hold_ && hold_->stands) hold_.reset();
        setup_.store->release(owner());
      },
      [&](const Custody::GiveBack&) { setup_.store->release(owner()); },
      [&](const Custody::EraseStored& erased) { erase(erased.id); },
      [&](const Custody::Feed& fed) { step_session(fed.event); },
      [&](const Custody::Answer& answered) { answer(answered); },
      [&](const Custody::Show& shown) { publish(shown.status); },
      [&](const Custody::Warn& warning) { log(client::Report::Level::warning, warning.text); },
  };
  std::visit(rows, action);
}

void Device::answer(const Custody::Answer& answer) {
  if (answer.result) return done(answer.id);
  error(answer.id, "store_error", answer.result.error().detail);
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
        if (!holds(stage::HoldPhase::before)) begin_commit();
      },
      [&](client::Load& load) {
        const std::uint32_t id = load.load_id;
        looking_up_.insert_or_assign(id, custody_.look_up(std::move(load)));
        world_.begin_load(setup_.index, incarnation_, id);
      },
      [&](client::Compute& compute) {
        computing_.insert_or_assign(compute.job_id, std::move(compute.job));
        world_.begin_compute(setup_.index, incarnation_, compute.job_id);
      },
      [&](const client::PublishStatus& published) { publish(published.status); },
      [&](const client::PublishEvent& published) { told(published.event); },
      [&](const client::Report& report) { log(report.level, report.text); },
  };
  std::visit(rows, action);
}

void Device::publish(const client::Status& status) {
  std::vector<stage::Entry> entries = stage::entries_of(status_, status, host_now());
  status_ = status;
  for (stage::Entry& entry : entries) push(std::move(entry));
}

void Device::log(client::Report::Level level, std::string_view text) {
  push({world_.now().mono, "log", {{"level", word(level)}, {"text", text}}, {}});
}

}  // namespace wa::sim

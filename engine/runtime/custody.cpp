#include "engine/runtime/custody.hpp"

#include <utility>

#include "engine/base/overloaded.hpp"

namespace wa::runtime {

using client::State;

namespace {

/// Failures of the store in a row, then `store_error`.
constexpr int kStoreFailures = 3;
constexpr std::string_view kOwnedElsewhere = "owned_elsewhere";
constexpr const char* kLate = "the store did not answer in time";

bool starts(const client::Event& command) {
  return std::holds_alternative<client::StartRequested>(command) ||
         std::holds_alternative<client::PairingCodeRequested>(command);
}
bool deletes(const client::Event& command) {
  return std::holds_alternative<client::DeleteRequested>(command);
}

}  // namespace

std::vector<Custody::Action> Custody::step(Event event, Now now) {
  now_ = now;
  std::visit([&](auto& happened) { on(std::move(happened)); }, event);
  return std::exchange(actions_, {});
}

std::optional<Instant> Custody::next_deadline() const {
  const auto rows = Overloaded{
      [](const Closed& closed) { return closed.ask_again_at; },
      [](const Opening& opening) { return std::optional(opening.deadline); },
      [&](const Running& running) {
        return committing() ? std::optional(running.commit_deadline) : std::nullopt;
      },
  };
  return std::visit(rows, state_);
}

bool Custody::waits_for_owner() const {
  const auto* closed = std::get_if<Closed>(&state_);
  return closed && closed->ask_again_at;
}

// ---- commands -----------------------------------------------------------------------------------

void Custody::on(Commanded commanded) {
  if (auto* opening = std::get_if<Opening>(&state_)) {
    wanted_ = commanded.command;
    opening->waiting.push_back(std::move(commanded));
    return;
  }
  auto* closed = std::get_if<Closed>(&state_);
  if (!closed) {
    wanted_ = commanded.command;
    actions_.push_back(Answer{commanded.id, {}});
    actions_.push_back(Feed{std::move(commanded.command)});
    return;
  }
  const bool waited = std::exchange(closed->ask_again_at, {}).has_value();
  if (starts(commanded.command) || deletes(commanded.command)) {
    wanted_ = commanded.command;
    Opening opening;
    opening.waiting.push_back(std::move(commanded));
    return open(std::move(opening));
  }
  actions_.push_back(Answer{commanded.id, {}});
  if (!waited) return;
  client::Status status = without_machine();
  status.reason = "stopped";
  show(std::move(status), {});
}

// ---- opening ------------------------------------------------------------------------------------

void Custody::open(Opening opening) {
  ++incarnation_;
  opening.deadline = now_.mono + config_.store_patience;
  actions_.push_back(Open{std::exchange(opening.why, {})});
  state_ = std::move(opening);
}

void Custody::on(Opened opened) {
  if (!opening() || opened.incarnation != incarnation_) return;
  if (opened.generation < generation_) {
    // Given back before anybody may want to delete it.
    actions_.push_back(DropMachine{});
    return open_failed(
        {Errc::malformed, "an old copy of the store was put in its place: generation " +
                              std::to_string(opened.generation) + " instead of " +
                              std::to_string(generation_)});
  }
  generation_ = opened.generation;
  Opening before = std::get<Opening>(std::exchange(state_, Running{}));
  if (before.by_itself) actions_.push_back(Feed{wanted_});
  for (Commanded& commanded : before.waiting) {
    actions_.push_back(Answer{commanded.id, {}});
    // The machine may be gone again by then: what one command led to may have failed.
    actions_.push_back(Feed{std::move(commanded.command)});
  }
}

void Custody::on(OpenFailed failed) {
  if (!opening() || failed.incarnation != incarnation_) return;
  open_failed(std::move(failed.error));
}

void Custody::open_failed(Error error) {
  ++incarnation_;
  const Opening before = std::get<Opening>(std::exchange(state_, Closed{}));
  // One failure of the store is no more than another.
  if (before.by_itself && before.waiting.empty() && error.code == Errc::environment &&
      ++failures_ < kStoreFailures) {
    return open({.deadline = {}, .by_itself = true, .why = std::move(error.detail), .waiting = {}});
  }
  failures_ = 0;  // the next start has as many
  const bool elsewhere = error.code == Errc::fenced;
  bool shows = before.by_itself;
  for (const Commanded& commanded : before.waiting) {
    shows = !deletes(commanded.command);
    if (shows) {
      // Who starts a device that runs elsewhere gets it when it is free.
      actions_.push_back(Answer{commanded.id, elsewhere ? Result<void>() : error});
    } else {
      ++erasing_;
      actions_.push_back(EraseStored{commanded.id});
    }
  }
  if (!shows) return;
  if (elsewhere) return show_elsewhere(std::move(error.detail));
  show_store_error(error.code == Errc::malformed ? "damaged" : "unavailable",
                   std::move(error.detail));
}

void Custody::on(EraseEnded ended) {
  --erasing_;
  actions_.push_back(Answer{ended.id, ended.result});
  if (ended.result) {
    generation_ = 0;
    client::Status status;
    status.reason = "deleted";
    show(std::move(status), {});
  } else if (ended.result.error().code == Errc::fenced) {
    show_elsewhere(ended.result.error().detail);
  } else {
    show_store_error("unavailable", {});
  }
}

// ---- running ------------------------------------------------------------------------------------

void Custody::on(Stepped stepped) {
  if (running()) pass(gate_.admit(std::move(stepped.actions)));
}

void Custody::pass(std::vector<client::Action> actions) {
  for (client::Action& action : actions) {
    if (std::holds_alternative<client::Commit>(action)) {
      std::get<Running>(state_).commit_deadline = now_.mono + config_.store_patience;
    } else if (const auto* publish = std::get_if<client::PublishStatus>(&action)) {
      note(publish->status);
    }
    actions_.emplace_back(std::move(action));
  }
}

void Custody::on(CommitEnded ended) {
  if (!committing() || ended.incarnation != incarnation_) return;
  if (!ended.result) {
    const Error& error = ended.result.error();
    if (error.code == Errc::fenced) return on(OwnershipLost{incarnation_, error.detail});
    return rebuild("a commit", error.detail);
  }
  failures_ = 0;
  ++generation_;
  pass(gate_.durable());
}

Custody::Lookup Custody::look_up(client::Load load) const {
  Lookup lookup;
  lookup.loaded.load_id = load.load_id;
  for (RecordKey& key : load.keys) {
    if (const auto uncommitted = gate_.uncommitted(key)) {
      lookup.loaded.values.push_back(*uncommitted ? std::optional(**uncommitted) : std::nullopt);
      continue;
    }
    lookup.places.push_back(lookup.loaded.values.size());
    lookup.loaded.values.emplace_back();
    lookup.keys.push_back(std::move(key));
  }
  return lookup;
}

void Custody::on(LookupEnded ended) {
  if (!running() || ended.incarnation != incarnation_) return;
  if (!ended.found) {
    Error error = ended.found.error();
    if (error.code == Errc::fenced) return on(OwnershipLost{incarnation_, std::move(error.detail)});
    if (error.code != Errc::malformed) return rebuild("a load", error.detail);
    drop_machine();
    return show_store_error("damaged", std::move(error.detail));
  }
  WA_ASSERT(ended.found->size() == ended.lookup.places.size());
  for (std::size_t i = 0; i < ended.found->size(); ++i) {
    ended.lookup.loaded.values[ended.lookup.places[i]] = std::move((*ended.found)[i]);
  }
  actions_.push_back(Feed{std::move(ended.lookup.loaded)});
}

void Custody::on(OwnershipLost lost) {
  if (!running() || lost.incarnation != incarnation_) return;
  drop_machine();
  show_elsewhere(std::move(lost.why));
}

void Custody::on(Rested) {
  const bool stopped = std::holds_alternative<client::StopRequested>(wanted_);
  if (!running() || !stopped || committing()) return;
  ++incarnation_;
  gate_.clear();
  state_ = Closed{};
  actions_.push_back(GiveBack{});
}

/// What it holds back is dropped, and nothing of it is written.
void Custody::drop_machine() {
  ++incarnation_;
  gate_.clear();
  state_ = Closed{};
  actions_.push_back(DropMachine{});
}

/// What the machine believes to be durable is not, or it cannot go on without what it asked for: it
/// is made anew from what is durable.
void Custody::rebuild(std::string_view what, std::string_view why) {
  drop_machine();
  actions_.push_back(Warn{std::string(what) + " failed: " + std::string(why)});
  if (++failures_ >= kStoreFailures) {
    failures_ = 0;  // the next start has as many
    return show_store_error("commit_failed", {});
  }
  client::Status status = without_machine();
  if (wants_to_run()) {
    status.state = State::connecting;
    status.reason = "rebuilding";
  }
  show(std::move(status), {});
  open({.deadline = {}, .by_itself = true, .why = {}, .waiting = {}});
}

void Custody::on(DeadlineReached) {
  if (!is_due(next_deadline())) {
    actions_.push_back(Feed{client::DeadlineReached{}});
  } else if (opening()) {
    open_failed({Errc::environment, kLate});
  } else if (running()) {
    rebuild("a commit", kLate);
  } else {
    open({.deadline = {}, .by_itself = true, .why = {}, .waiting = {}});
  }
}

// ---- what is shown ------------------------------------------------------------------------------

/// It does nothing more in the device's name.
void Custody::show_elsewhere(std::string why) {
  client::Status status = without_machine();
  status.reason = kOwnedElsewhere;
  status.owner = why;
  if (shown_.reason == kOwnedElsewhere) {
    status.owner = shown_.owner;  // it differs in the age of the lease alone
    why.clear();
  }
  auto* closed = std::get_if<Closed>(&state_);
  if (closed && wants_to_run()) {
    closed->ask_again_at = now_.mono + config_.owned_retry;
    status.next_attempt_at = closed->ask_again_at;
  }
  show(std::move(status), std::move(why));
}

void Custody::show_store_error(std::string_view reason, std::string why) {
  client::Status status = without_machine();
  status.state = State::store_error;
  status.reason = reason;
  show(std::move(status), std::move(why));
}

void Custody::show(client::Status status, std::string why) {
  note(status);
  actions_.push_back(Show{std::move(status), std::move(why)});
}

void Custody::note(const client::Status& status) {
  shown_ = {status.reason, status.jid, status.last_close, status.owner};
}

/// What stays true without a machine.
client::Status Custody::without_machine() const {
  client::Status status;
  status.jid = shown_.jid;
  status.last_close = shown_.last_close;
  return status;
}

bool Custody::wants_to_run() const {
  return starts(wanted_);
}

}  // namespace wa::runtime

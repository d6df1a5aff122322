#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"

/// Logout and delete, and what they owe the server. A companion that is forgotten here without the
/// server's knowledge would stay on the phone's list for ever, so a tombstone takes the place of
/// its credentials: enough to log in once more and say it. That is an errand: a connection of its
/// own, whenever nothing else wants the socket, tried slowly until the server has confirmed, or
/// does not know the companion any more. A start waits for one errand, a few seconds at most.
namespace wa::client {
namespace {

constexpr std::int64_t kEvidenceLife = 24 * 60 * 60 * 1000;  // milliseconds

}  // namespace

void Session::Impl::on(const LogoutRequested&) {
  if (farewell_) return;
  if (!paired()) return finish_farewell(true);
  farewell_ = Farewell{now_.mono + config_.timings.logout};
  status_.reason = "logging_out";
  if (!connection_) return dial();
  if (connection_->errand || connection_->stage() == Stage::ending) {
    dial_at_ = now_.mono;
  } else if (connection_->stage() == Stage::online) {
    ask_removal(credentials_->account->jid);
  }
}

void Session::Impl::on(const DeleteRequested&) {
  const Connection* const own = own_connection();
  const bool asked = farewell_.has_value();
  const bool online = paired() && own && own->stage() == Stage::online;
  farewell_ = Farewell{now_.mono + config_.timings.removal, true};
  if (!online) return finish_farewell(!paired());
  status_.reason = "deleting";
  if (!asked) ask_removal(credentials_->account->jid);
}

void Session::Impl::ask_removal(const wire::Jid& jid) {
  const std::string id = connection_->open_request(Purpose::remove_companion, now_);
  send(wire::NodeBuilder("iq")
           .attr("to", wire::Jid::server_itself())
           .attr("type", "set")
           .attr("xmlns", "md")
           .attr("id", id)
           .child(wire::NodeBuilder("remove-companion-device")
                      .attr("jid", jid)
                      .attr("reason", "user_initiated")));
}

void Session::Impl::forget_account(std::vector<Change> instead) {
  for (Change& change : erase_account()) instead.push_back(std::move(change));
  for (Change& change : end_messages()) instead.push_back(std::move(change));
  if (farewell_ && farewell_->deletes) {
    left_over_ = {};
    for (Change& change : messaging::erase_events()) instead.push_back(std::move(change));
  }
  actions_.push_back(Commit{std::move(instead), kPointErased});
  credentials_.reset();
  dead_.reset();
  status_.jid.clear();
  finishing_.reset();
  first_open_.reset();
}

void Session::Impl::finish_farewell(bool server_knows) {
  const bool deletes = farewell_ && farewell_->deletes;
  const bool then_start = farewell_ && farewell_->then_start;
  std::vector<Change> instead;
  if (deletes) {
    instead.emplace_back(Erase{std::string(kLastCloseKind), {}});
    instead.emplace_back(Erase{std::string(kQuarantineKind), {}});
    quarantine_.clear();
    status_.last_close.reset();
  } else {
    status_.last_close = LastClose{{}, "the user asked for it", now_.wall};
    const FinalClose close{last_attempt_id_, State::logged_out, "user_initiated",
                           *status_.last_close};
    instead.emplace_back(close.put());
  }
  if (paired() && !server_knows) {
    tombstones_.push_back(Tombstone::of(*credentials_));
    instead.emplace_back(tombstones_.back().put());
    status_.removal_pending = true;
    // A logout has just tried for a while.
    errand_at_ = deletes ? now_.mono
                         : now_.mono + errand_backoff_.next_delay(Retry::slow, now_.mono, random_);
  }
  if (own_connection()) close_socket();
  forget_account(std::move(instead));
  settle(deletes ? State::disconnected : State::logged_out, deletes ? "deleted" : "user_initiated");
  if (then_start) on(StartRequested{});
}

// ---- errands --------------------------------------------------------------------------------

void Session::Impl::owe_removal(const wire::Jid& jid, std::string_view point) {
  tombstones_.push_back(
      Tombstone{credentials_->attempt_id, credentials_->noise, jid, credentials_->routing_info});
  actions_.push_back(Commit{{tombstones_.back().put()}, point});
  status_.removal_pending = true;
  errand_at_ = now_.mono;
}

void Session::Impl::begin_errand() {
  errand_at_.reset();
  errand_deadline_ = now_.mono + config_.timings.removal;
  open_connection();
  connection_->errand = std::make_unique<Tombstone>(tombstones_.front());
}

void Session::Impl::on_errand_stanza(const wire::Node& stanza) {
  if (stanza.tag == "success" && connection_->stage() == Stage::logging_in) {
    connection_->stream().login_succeeded();
    connection_->enter(Stage::online, std::nullopt);
    return ask_removal(connection_->errand->jid);
  }
  if (stanza.tag == "iq") return on_iq(stanza);
  if (stanza.tag == "stream:error") return on_stream_error(stanza);
  if (stanza.tag == "failure") return on_failure(stanza);
}

void Session::Impl::end_errand(const StreamEnd& end) {
  const ClosePolicy& policy = close_policy(end, Situation::paired);
  // Removed at the phone meanwhile: nothing is left to do.
  if (policy.keys == Keys::erase) return finish_errand();
  report(Report::Level::info, "a companion is still to be removed: " + end.cause);
  close_socket();
  errand_deadline_.reset();
  if (policy.retry == Retry::stop) return;  // until the next start
  errand_at_ = now_.mono + errand_backoff_.next_delay(Retry::slow, now_.mono, random_);
}

void Session::Impl::finish_errand() {
  report(Report::Level::info, "removed the companion " + connection_->errand->jid.to_string());
  actions_.push_back(Commit{{connection_->errand->erase()}, kPointRemoved});
  close_socket();
  errand_deadline_.reset();
  errand_backoff_.reset();
  tombstones_.erase(tombstones_.begin());
  status_.removal_pending = !tombstones_.empty();
  if (status_.removal_pending) errand_at_ = now_.mono;
}

void Session::Impl::rest_errands() {
  if (connection_ && connection_->errand) close_socket();
  errand_at_.reset();
  errand_deadline_.reset();
}

// ---- evidence -------------------------------------------------------------------------------

void Session::Impl::purge_evidence() {
  std::vector<Change> changes;
  std::erase_if(quarantine_, [&](const Stored::Evidence& evidence) {
    if (now_.wall.value - evidence.at.value < kEvidenceLife) return false;
    changes.emplace_back(Erase{std::string(kQuarantineKind), evidence.key});
    return true;
  });
  if (!changes.empty()) actions_.push_back(Commit{std::move(changes), kPointPurged});
}

}  // namespace wa::client

#include <algorithm>

#include "engine/client/session_impl.hpp"

/// What follows the end of a stream. The table (close_policy.hpp) says what an end means; here its
/// word meets the counters: how often, how soon, when to give up.
namespace wa::client {
namespace {

constexpr int kRefsEndedCode = 408;        // the one code that is ours to say
constexpr std::uint32_t kFinishTries = 3;  // logins after a pairing, before it has failed
constexpr std::size_t kRenewalsPerHour = 60;
constexpr auto kHour = std::chrono::hours(1);
constexpr std::uint32_t kLoop = 5;  // counted reconnects in a row that are worth a warning
constexpr auto kLongestBan = std::chrono::hours(24 * 366);

bool is_restart(const StreamEnd& end) {
  return end.element == Element::stream_error && end.code == 515;
}

bool server_spoke(Element element) {
  return element == Element::stream_error || element == Element::failure ||
         element == Element::stream_end;
}

bool socket_is_gone(Element element) {
  return element == Element::dial || element == Element::socket;
}

}  // namespace

Situation Session::Impl::situation() const {
  if (connection_->saw_pair_success) return Situation::finishing;
  return paired() ? Situation::paired : Situation::unpaired;
}

void Session::Impl::end_locally(std::string_view word, std::string cause) {
  StreamEnd end{.element = Element::local, .child = std::string(word), .cause = std::move(cause)};
  if (end.cause.empty()) end.cause = end.child;
  if (word == "refs_ended" || word == "no_refs") end.code = kRefsEndedCode;
  end_stream(std::move(end));
}

void Session::Impl::end_stream(StreamEnd end) {
  WA_ASSERT(connection_ && connection_->stage() != Stage::ending);  // the first reason wins
  if (connection_->errand) return end_errand(end);
  const ClosePolicy& policy = close_policy(end, situation());
  drop_code();
  reconnect_.closed(now_.mono);
  status_.last_close = LastClose{end.code, end.cause, now_.wall};
  report(policy.retry == Retry::stop ? Report::Level::warning : Report::Level::info,
         "stream ended: " + end.cause + " → " + std::string(to_string(policy.state)) + ", " +
             std::string(policy.reason));

  if (policy.retry == Retry::recycle) ++counters_.owed_acks;

  Verdict verdict = judge(end, policy);
  // A wanted logout goes on as long as there may be a login to say it on.
  const bool farewell_is_over =
      farewell_ && (connection_->stage() == Stage::online || !verdict.dial_at);
  if (socket_is_gone(end.element)) {
    connection_.reset();
  } else if (server_spoke(end.element) && verdict.dial_at && !farewell_is_over) {
    // The server closes behind its last word; closing first would only race with it.
    connection_->enter(Stage::ending, now_.mono + config_.timings.restart_close);
  } else {
    close_socket();
  }

  if (farewell_is_over) return finish_farewell(policy.keys == Keys::erase);
  if (policy.keys == Keys::erase) {
    if (status_.qr) {
      // The code is dead now, not only once the commit is durable.
      settle(verdict.state, verdict.reason);
      publish();
    }
    bury_account(verdict);
  }
  if (policy.keys == Keys::renew) renew_keys_ = true;
  apply(std::move(verdict));
}

Session::Impl::Verdict Session::Impl::judge(const StreamEnd& end, const ClosePolicy& policy) {
  const bool stops = policy.retry == Retry::stop;
  if (!stops) {
    if (auto verdict = give_up_finishing(end, policy)) return std::move(*verdict);
    if (auto verdict = give_up_pairing(end, policy)) return std::move(*verdict);
  }
  if (end.element == Element::local && end.child == "refs_ended") return judge_refs_ended(policy);
  if (policy.state == State::replaced) return judge_replaced(policy);

  Verdict verdict{policy.state, std::string(policy.reason), std::nullopt};
  if (policy.state == State::temporarily_banned && end.retry_after) {
    const Duration ban = std::min<Duration>(*end.retry_after, kLongestBan);
    verdict.dial_at = now_.mono + ban;
    status_.until = UnixMillis{server_time().value +
                               std::chrono::duration_cast<std::chrono::milliseconds>(ban).count()};
  } else if (!stops) {
    verdict.dial_at = now_.mono + reconnect_.next_delay(policy.retry, now_.mono, random_);
  } else if (policy.reason == "device_removed" && first_open_ &&
             now_.mono - *first_open_ < 2 * config_.timings.stable) {
    // Unlinked right after pairing: nobody did that by hand, the server does not want this client.
    verdict.reason = "pairing_rejected";
  }
  return verdict;
}

Session::Impl::Verdict Session::Impl::judge_refs_ended(const ClosePolicy& policy) {
  std::erase_if(renewals_, [&](Instant at) { return now_.mono - at >= kHour; });
  if (windows_renewed_ >= config_.auto_renew_qr || renewals_.size() >= kRenewalsPerHour) {
    return {policy.state, std::string(policy.reason), std::nullopt};
  }
  ++windows_renewed_;
  renewals_.push_back(now_.mono);
  return {State::connecting, "renewing_qr",
          now_.mono + reconnect_.next_delay(policy.retry, now_.mono, random_)};
}

Session::Impl::Verdict Session::Impl::judge_replaced(const ClosePolicy& policy) {
  Verdict verdict{policy.state, std::string(policy.reason), std::nullopt};
  if (!config_.takeover_after) return verdict;
  Instant at = now_.mono + *config_.takeover_after;
  // Two clients that both insist would throw each other out for ever: not more than once a minute.
  if (last_takeover_) at = std::max(at, *last_takeover_ + config_.timings.slow);
  last_takeover_ = at;
  verdict.dial_at = at;
  return verdict;
}

std::optional<Session::Impl::Verdict> Session::Impl::give_up_pairing(const StreamEnd& end,
                                                                     const ClosePolicy& policy) {
  if (situation() != Situation::unpaired || end.child == "refs_ended") return std::nullopt;
  // An end after a QR was shown is bounded by the back-off; one that brought nothing, by number.
  if (connection_->offered_qr && !is_restart(end)) return std::nullopt;
  if (++fruitless_ < config_.unpaired_limit) return std::nullopt;
  if (policy.state != State::connecting) {
    return Verdict{policy.state, std::string(policy.reason), std::nullopt};
  }
  return Verdict{State::disconnected, is_restart(end) ? "restart_limit" : "closed_before_first_ref",
                 std::nullopt};
}

std::optional<Session::Impl::Verdict> Session::Impl::give_up_finishing(const StreamEnd& end,
                                                                       const ClosePolicy& policy) {
  // The network's failures are nobody's verdict on the pairing; only time bounds them.
  const bool a_login_failed = situation() == Situation::paired && end.element != Element::dial;
  if (!finishing_ || !a_login_failed) return std::nullopt;
  if (++finishing_->failures < kFinishTries) return std::nullopt;
  return Verdict{State::pairing_failed, std::string(policy.reason), std::nullopt};
}

void Session::Impl::finish_deadline_reached() {
  finishing_->deadline = now_.mono + config_.timings.pairing_finish;
  const Connection* const own = own_connection();
  if (own && own->stage() != Stage::ending) return end_locally("finish_timeout");
  if (++finishing_->failures >= kFinishTries) {
    return settle(State::pairing_failed, "finish_timeout");
  }
  dial_at_ = now_.mono;
  status_.next_attempt_at = dial_at_;
}

void Session::Impl::apply(Verdict verdict) {
  if (status_.attempts < kLoop && reconnect_.attempts() >= kLoop) {
    ++counters_.loop_alerts;
    report(Report::Level::warning,
           std::to_string(kLoop) + " reconnects without a stable connection, the last because of " +
               verdict.reason);
  }
  status_.attempts = reconnect_.attempts();
  if (!verdict.dial_at) return settle(verdict.state, verdict.reason);
  dial_at_ = verdict.dial_at;
  status_.next_attempt_at = dial_at_;
  status_.state = verdict.state;
  status_.reason = std::move(verdict.reason);
  if (verdict.state != State::connecting) {
    status_.qr.reset();
    return;
  }
  if (finishing_) status_.reason = "finishing";
  if (status_.qr) {
    status_.qr->stale = true;
    status_.state = State::waiting_for_scan;
  }
}

void Session::Impl::settle(State state, std::string_view reason) {
  if (own_connection()) close_socket();
  reconnect_.closed(now_.mono);
  dial_at_.reset();
  finishing_.reset();
  farewell_.reset();
  forget_code();
  status_.state = state;
  status_.reason = reason;
  status_.qr.reset();
  status_.next_attempt_at.reset();
}

void Session::Impl::bury_account(const Verdict& verdict) {
  FinalClose close{last_attempt_id_, verdict.state, verdict.reason, *status_.last_close};
  std::vector<Change> changes{close.put()};
  if (paired()) {
    Quarantined quarantined{std::move(close), credentials_->encode()};
    Put put = quarantined.put();
    quarantine_.push_back({put.key, quarantined.close.close.at});
    changes.emplace_back(std::move(put));
  }
  forget_account(std::move(changes));
}

}  // namespace wa::client

#include "engine/client/login_sequence.hpp"

#include <algorithm>
#include <utility>

#include "engine/base/overloaded.hpp"

namespace wa::client {

void LoginSequence::activate(std::vector<Action>& actions) {
  if (!std::exchange(activated_, true)) actions.push_back(SendActive{});
}

void LoginSequence::become_ready(std::vector<Action>& actions) {
  phase_ = Phase::ready;
  activate(actions);
  if (renewal_wanted_) check(actions);
}

void LoginSequence::check(std::vector<Action>& actions) {
  phase_ = Phase::checking;
  actions.push_back(AskDigest{});
}

void LoginSequence::count(std::vector<Action>& actions) {
  phase_ = Phase::counting;
  actions.push_back(AskCount{});
}

void LoginSequence::make(std::uint32_t count, bool renew, std::vector<Action>& actions) {
  if (count == 0) return become_ready(actions);
  wanted_ = count;
  renewing_ = renewing_ || renew;
  phase_ = Phase::making;
  actions.push_back(MakeKeys{count, renew});
}

/// `left`: empty when the server does not say.
void LoginSequence::judge(std::optional<std::uint64_t> left, std::vector<Action>& actions) {
  const std::uint64_t there = std::min<std::uint64_t>(left.value_or(owed_ ? 0 : target_), target_);
  if (there == target_ && std::exchange(owed_, false)) actions.push_back(MarkUploaded{});
  const bool few = owed_ || 2 * there < target_;
  make(few ? target_ - static_cast<std::uint32_t>(there) : 0, false, actions);
}

void LoginSequence::on_warning(const KeysRunLow& low, std::vector<Action>& actions) {
  const bool under_way = phase_ != Phase::checking && phase_ != Phase::counting;
  if (phase_ == Phase::idle || low.left.value_or(0) >= target_) return;
  if (phase_ != Phase::ready && under_way) return;
  owed_ = true;
  actions.push_back(NoteOwed{});
  if (phase_ != Phase::ready) return;  // what it has is being asked
  low.left ? judge(low.left, actions) : count(actions);
}

void LoginSequence::on_upload(const UploadAnswered& answer, std::vector<Action>& actions) {
  if (!answer.accepted) {
    phase_ = Phase::waiting;
    actions.push_back(RetryLater{++failures_});
    return activate(actions);
  }
  failures_ = 0;
  renewing_ = false;
  wanted_ -= std::min(wanted_, offered_);
  if (wanted_ == 0) owed_ = false;
  actions.push_back(MarkUploaded{.enough = wanted_ == 0});
  make(wanted_, false, actions);
}

std::vector<LoginSequence::Action> LoginSequence::step(const Event& event) {
  std::vector<Action> actions;
  const auto rows = Overloaded{
      [&](const LoggedIn& login) {
        if (phase_ != Phase::idle) return;
        owed_ = login.owed;
        login.check ? check(actions) : count(actions);
      },
      [&](const DigestAnswered& answer) {
        if (phase_ != Phase::checking) return;
        if (std::exchange(renewal_wanted_, false) || answer.renew) {
          return make(target_, true, actions);
        }
        answer.count ? judge(answer.count, actions) : count(actions);
      },
      [&](const CountAnswered& answer) {
        if (phase_ == Phase::counting) judge(answer.count, actions);
      },
      [&](const KeysMade& made) {
        if (phase_ != Phase::making) return;
        offered_ = made.count;
        phase_ = Phase::uploading;
        actions.push_back(StoreAndUpload{});
      },
      [&](const UploadAnswered& answer) {
        if (phase_ == Phase::uploading) on_upload(answer, actions);
      },
      [&](const RetryDue&) {
        if (phase_ != Phase::waiting) return;
        // It may have arrived all the same.
        renewing_ ? make(wanted_, false, actions) : check(actions);
      },
      [&](const KeysRunLow& low) { on_warning(low, actions); },
      [&](const RenewalWanted&) {
        renewal_wanted_ = true;
        if (phase_ == Phase::ready || phase_ == Phase::waiting) check(actions);
      },
  };
  std::visit(rows, event);
  return actions;
}

}  // namespace wa::client

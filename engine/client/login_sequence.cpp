#include "engine/client/login_sequence.hpp"

#include <algorithm>
#include <utility>

#include "engine/base/overloaded.hpp"

namespace wa::client {

void LoginSequence::become_ready(std::vector<Action>& actions) {
  phase_ = Phase::ready;
  if (!std::exchange(activated_, true)) actions.push_back(SendActive{});
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
  phase_ = Phase::making;
  actions.push_back(MakeKeys{count, renew});
}

void LoginSequence::judge(std::optional<std::uint64_t> count, std::vector<Action>& actions) {
  if (!count || *count > kFewPreKeys) return become_ready(actions);
  make(*count == 0 ? initial_pre_keys_ : std::min(initial_pre_keys_, kTopUpPreKeys), false,
       actions);
}

std::vector<LoginSequence::Action> LoginSequence::step(const Event& event) {
  std::vector<Action> actions;
  std::visit(Overloaded{
                 [&](const LoggedIn& login) {
                   if (phase_ == Phase::idle) login.check ? check(actions) : count(actions);
                 },
                 [&](const DigestAnswered& answer) {
                   if (phase_ != Phase::checking) return;
                   if (std::exchange(renewal_wanted_, false) || answer.renew) {
                     return make(initial_pre_keys_, true, actions);
                   }
                   answer.count ? judge(answer.count, actions) : count(actions);
                 },
                 [&](const CountAnswered& answer) {
                   if (phase_ == Phase::counting) judge(answer.count, actions);
                 },
                 [&](const KeysMade&) {
                   if (phase_ != Phase::making) return;
                   phase_ = Phase::uploading;
                   actions.push_back(StoreAndUpload{});
                 },
                 [&](const UploadAnswered& answer) {
                   if (phase_ != Phase::uploading) return;
                   if (answer.accepted) actions.push_back(MarkUploaded{});
                   become_ready(actions);
                 },
                 [&](const KeysRunLow&) {
                   if (phase_ == Phase::ready) count(actions);
                 },
                 [&](const RenewalWanted&) {
                   renewal_wanted_ = true;
                   if (phase_ == Phase::ready) check(actions);
                 },
             },
             event);
  return actions;
}

}  // namespace wa::client

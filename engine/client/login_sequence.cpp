#include "engine/client/login_sequence.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"

namespace wa::client {

void LoginSequence::become_ready(std::vector<Action>& actions) {
  phase_ = Phase::ready;
  if (activated_) return;
  activated_ = true;
  actions.push_back(SendActive{});
}

std::vector<LoginSequence::Action> LoginSequence::step(const Event& event) {
  std::vector<Action> actions;
  const auto count = [&] {
    phase_ = Phase::counting;
    actions.push_back(AskCount{});
  };
  std::visit(Overloaded{
                 [&](const LoggedIn&) {
                   if (phase_ == Phase::idle) count();
                 },
                 [&](const CountAnswered& answer) {
                   if (phase_ != Phase::counting) return;
                   const bool few = answer.count && *answer.count <= kFewPreKeys;
                   if (!few || initial_pre_keys_ == 0) return become_ready(actions);
                   phase_ = Phase::making;
                   actions.push_back(MakeKeys{*answer.count == 0
                                                  ? initial_pre_keys_
                                                  : std::min(initial_pre_keys_, kTopUpPreKeys)});
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
                   if (phase_ == Phase::ready) count();
                 },
             },
             event);
  return actions;
}

}  // namespace wa::client

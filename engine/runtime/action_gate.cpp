#include "engine/runtime/action_gate.hpp"

#include <algorithm>
#include <variant>

#include "engine/base/overloaded.hpp"

namespace wa::runtime {

using client::Action;
using client::State;

std::vector<Action> ActionGate::admit(std::vector<Action> actions) {
  // The usual case: nothing under way, nothing to hold.
  const bool commits = std::ranges::any_of(
      actions, [](const Action& action) { return std::holds_alternative<client::Commit>(action); });
  std::vector<Action> out;
  if (!committing_ && !commits) {
    out = std::move(actions);
    for (const Action& action : out) {
      if (const auto* status = std::get_if<client::PublishStatus>(&action)) {
        published_ = status->status.state;
      }
    }
    return out;
  }
  for (Action& action : actions) admit_one(std::move(action), out);
  return out;
}

std::vector<Action> ActionGate::durable() {
  WA_ASSERT(committing_);
  committing_ = false;
  std::deque<Action> waiting;
  waiting.swap(held_);
  std::vector<Action> out;
  for (Action& action : waiting) admit_one(std::move(action), out);
  return out;
}

void ActionGate::clear() {
  committing_ = false;
  published_ = State::disconnected;
  held_.clear();
}

void ActionGate::admit_one(Action action, std::vector<Action>& out) {
  if (committing_ && !may_pass(action)) {
    held_.push_back(std::move(action));
    return;
  }
  const auto before = Overloaded{
      [&](const client::Commit&) { committing_ = true; },
      [&](const client::CloseSocket& close) {
        std::erase_if(held_, [&](const Action& held) {
          const auto* send = std::get_if<client::SendBytes>(&held);
          const auto* dial = std::get_if<client::DialSocket>(&held);
          return (send && send->generation == close.generation) ||
                 (dial && dial->generation == close.generation);
        });
      },
      [&](const client::PublishStatus& status) {
        if (committing_) {
          std::erase_if(held_, [](const Action& held) {
            return std::holds_alternative<client::PublishStatus>(held);
          });
        }
        published_ = status.status.state;
      },
      [](const auto&) {},
  };
  std::visit(before, action);
  out.push_back(std::move(action));
}

bool ActionGate::may_pass(const Action& action) const {
  return std::visit(Overloaded{
                        [](const client::SendBytes&) { return false; },
                        [](const client::DialSocket&) { return false; },
                        [](const client::Commit&) { return false; },
                        [&](const client::PublishStatus& status) {
                          if (status.status.state == State::connected) return false;
                          // A `connected` that is still held counts too: published after this one,
                          // it would claim a stream that is gone.
                          return published_ == State::connected ||
                                 std::ranges::any_of(held_, [](const Action& held) {
                                   const auto* earlier = std::get_if<client::PublishStatus>(&held);
                                   return earlier && earlier->status.state == State::connected;
                                 });
                        },
                        [](const auto&) { return true; },
                    },
                    action);
}

}  // namespace wa::runtime

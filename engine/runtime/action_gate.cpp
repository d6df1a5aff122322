#include "engine/runtime/action_gate.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "engine/base/overloaded.hpp"
#include "engine/messaging/kinds.hpp"

namespace wa::runtime {

using client::Action;
using client::State;

namespace {

/// Commits of messages, whatever made them, and others of one kind.
bool join(std::string_view point, std::string_view other) {
  return point == other || (messaging::is_point(point) && messaging::is_point(other));
}

/// Joins the commits behind the first one to it, as far as they may.
void merge_commits(std::vector<Action>& actions) {
  const auto is_commit = [](const Action& action) {
    return std::holds_alternative<client::Commit>(action);
  };
  const auto first = std::ranges::find_if(actions, is_commit);
  if (first == actions.end()) return;
  auto& into = std::get<client::Commit>(*first);
  std::size_t merged = 1;
  const auto joins = [&](Action& action) {
    auto* commit = std::get_if<client::Commit>(&action);
    if (!commit || merged == ActionGate::kMostMerged) return false;
    ++merged;
    std::ranges::move(commit->changes, std::back_inserter(into.changes));
    return true;
  };
  auto rest = std::next(first);
  // One that may not join ends it: its commit must not come before theirs.
  auto end = std::find_if(rest, actions.end(), [&](const Action& action) {
    return is_commit(action) && !join(std::get<client::Commit>(action).point, into.point);
  });
  actions.erase(std::remove_if(rest, end, joins), end);
}

}  // namespace

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
  under_way_ = std::vector<Change>();  // an idle session keeps no memory for it
  std::vector<Action> waiting = std::exchange(held_, {});
  merge_commits(waiting);
  std::vector<Action> out;
  for (Action& action : waiting) admit_one(std::move(action), out);
  return out;
}

std::optional<const Bytes*> ActionGate::uncommitted(const RecordKey& key) const {
  std::optional<const Bytes*> found;
  const auto look = [&](const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      if (const auto* put = std::get_if<Put>(&change)) {
        if (put->kind == key.kind && put->key == key.key) found = &put->bytes;
      } else {
        const auto& erase = std::get<Erase>(change);
        if (erase.kind == key.kind && (erase.key.empty() || erase.key == key.key)) found = nullptr;
      }
    }
  };
  look(under_way_);
  for (const Action& held : held_) {
    if (const auto* commit = std::get_if<client::Commit>(&held)) look(commit->changes);
  }
  return found;
}

void ActionGate::clear() {
  committing_ = false;
  published_ = State::disconnected;
  under_way_.clear();
  held_.clear();
}

void ActionGate::admit_one(Action action, std::vector<Action>& out) {
  if (committing_ && !may_pass(action)) {
    held_.push_back(std::move(action));
    return;
  }
  const auto before = Overloaded{
      [&](const client::Commit& commit) {
        committing_ = true;
        under_way_ = commit.changes;
      },
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
                        [](const client::PublishEvent&) { return false; },
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

#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "engine/client/actions.hpp"

namespace wa::runtime {

/// Holds back what depends on a commit until the commit is durable. Pure; every shell that performs
/// the actions of a client::Session owns one and performs only what comes out of it.
///
///     perform(gate.admit(session.step(event, now)));
///     … a commit became durable: perform(gate.durable());
///
/// While a commit is under way:
/// - held, in order: SendBytes, DialSocket, Commit, and a PublishStatus that claims more;
/// - never held: CloseSocket (what is held for that socket is dropped), Compute, Report, and a
///   PublishStatus of a state other than `connected` that leaves `connected`. A status that goes
///   out early replaces the held ones: an older status never follows a newer one.
///
/// One commit is under way at a time: the next one comes out of durable().
///
/// Source: docs/ARCHITECTURE.md, "Writes are actions".
class ActionGate {
 public:
  /// What may be performed now, in order.
  std::vector<client::Action> admit(std::vector<client::Action> actions);

  /// The commit that came out last is durable: what may be performed now, in order.
  std::vector<client::Action> durable();

  /// Whether a commit is under way.
  bool committing() const { return committing_; }
  std::size_t held() const { return held_.size(); }

  /// The machine is gone, or its commit failed: everything held is dropped.
  void clear();

 private:
  void admit_one(client::Action action, std::vector<client::Action>& out);
  bool may_pass(const client::Action& action) const;

  bool committing_ = false;
  client::State published_ = client::State::disconnected;  ///< the state that users see
  std::deque<client::Action> held_;
};

}  // namespace wa::runtime

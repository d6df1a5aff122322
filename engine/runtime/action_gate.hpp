#pragma once

#include <optional>
#include <vector>

#include "engine/base/change.hpp"
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
/// One commit is under way at a time: the next one comes out of durable(). Commits of one kind
/// (their point) that wait in a row become one, and so do all that a messenger made; what stood
/// between them comes behind it. So a burst costs a few writes, and no more than `kMostMerged`
/// commits stand or fall together.
///
/// What is committed and not durable yet can be looked up, since a Load is never held.
///
/// Source: docs/ARCHITECTURE.md, "Writes are actions".
class ActionGate {
 public:
  /// What may be performed now, in order.
  std::vector<client::Action> admit(std::vector<client::Action> actions);

  /// The commit that came out last is durable: what may be performed now, in order.
  std::vector<client::Action> durable();

  static constexpr std::size_t kMostMerged = 200;

  /// What the commit under way and those behind it make of a record: its bytes, or null when they
  /// erase it. Empty: they do not touch it. The view holds until the next call.
  std::optional<const Bytes*> uncommitted(const RecordKey& key) const;

  /// Whether a commit is under way.
  bool committing() const { return committing_; }
  std::size_t held() const { return held_.size(); }

  /// The machine is gone, or its commit failed: everything held is dropped.
  void clear();

 private:
  void admit_one(client::Action action, std::vector<client::Action>& out);
  bool may_pass(const client::Action& action) const;

  bool committing_ = false;
  std::vector<Change> under_way_;                          ///< of the commit that came out last
  client::State published_ = client::State::disconnected;  ///< the state that users see
  std::vector<client::Action> held_;
};

}  // namespace wa::runtime

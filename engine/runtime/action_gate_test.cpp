#include "engine/runtime/action_gate.hpp"

#include <gtest/gtest.h>

#include "engine/messaging/kinds.hpp"
#include "tests/support/test_support.hpp"

namespace wa::runtime {
namespace {

using client::Action;
using client::State;

Action send(client::Generation generation, int byte) {
  return client::SendBytes{generation, test::bytes({byte})};
}
Action dial(client::Generation generation) {
  return client::DialSocket{generation, "ws://x", {}};
}
Action close(client::Generation generation) {
  return client::CloseSocket{generation, client::CloseHow::normal};
}
Action commit(const char* key, std::string_view point) {
  return client::Commit{{client::Put{"kind", key, {}}}, point};
}
/// Of a kind of its own.
Action commit(const char* key) {
  return commit(key, key);
}
Action publish(State state) {
  client::Status status;
  status.state = state;
  return client::PublishStatus{status};
}
Action report() {
  return client::Report{client::Report::Level::info, "text"};
}

/// Short names, so that expectations read as a list.
std::vector<std::string> names(const std::vector<Action>& actions) {
  std::vector<std::string> out;
  for (const Action& action : actions) {
    if (const auto* sent = std::get_if<client::SendBytes>(&action)) {
      out.push_back("send " + to_hex(sent->bytes));
    } else if (const auto* dialed = std::get_if<client::DialSocket>(&action)) {
      out.push_back("dial " + std::to_string(dialed->generation));
    } else if (std::get_if<client::CloseSocket>(&action)) {
      out.emplace_back("close");
    } else if (const auto* committed = std::get_if<client::Commit>(&action)) {
      std::string keys;
      for (const Change& change : committed->changes) keys += " " + std::get<Put>(change).key;
      out.push_back("commit" + keys);
    } else if (const auto* status = std::get_if<client::PublishStatus>(&action)) {
      out.push_back(std::string(status->status.state == State::connected ? "connected" : "other"));
    } else if (std::get_if<client::Compute>(&action)) {
      out.emplace_back("compute");
    } else {
      out.emplace_back("report");
    }
  }
  return out;
}
using Names = std::vector<std::string>;

TEST(ActionGateTest, WithoutACommitEverythingPassesInOrder) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({dial(1), send(1, 7), publish(State::connected), report()})),
            (Names{"dial 1", "send 07", "connected", "report"}));
  EXPECT_FALSE(gate.committing());
}

TEST(ActionGateTest, WhatStandsBeforeTheCommitIsNotHeld) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({send(1, 1), commit("a"), send(1, 2), publish(State::connected)})),
            (Names{"send 01", "commit a"}));
  EXPECT_EQ(gate.held(), 2u);
  EXPECT_EQ(names(gate.durable()), (Names{"send 02", "connected"}));
  EXPECT_EQ(gate.held(), 0u);
}

TEST(ActionGateTest, LaterStepsWaitBehindTheCommitToo) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({commit("a"), dial(2)})), (Names{"commit a"}));
  EXPECT_EQ(names(gate.admit({send(2, 5)})), Names{});
  EXPECT_EQ(names(gate.durable()), (Names{"dial 2", "send 05"}));
}

TEST(ActionGateTest, OneCommitIsUnderWayAtATime) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({commit("a"), send(1, 1), commit("b"), send(1, 2)})),
            (Names{"commit a"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 01", "commit b"}));
  EXPECT_TRUE(gate.committing());
  EXPECT_EQ(names(gate.durable()), (Names{"send 02"}));
  EXPECT_FALSE(gate.committing());
}

TEST(ActionGateTest, CommitsOfOneKindThatWaitInARowBecomeOne) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({commit("a", "m"), send(1, 1)})), (Names{"commit a"}));
  EXPECT_EQ(names(gate.admit({commit("b", "m"), send(1, 2), commit("c", "m"), send(1, 3),
                              commit("x", "other"), send(1, 4), commit("d", "m"), send(1, 5)})),
            Names{});
  EXPECT_EQ(names(gate.durable()), (Names{"send 01", "commit b c"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 02", "send 03", "commit x"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 04", "commit d"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 05"}));
}

TEST(ActionGateTest, CommitsOfMessagesBecomeOneWhateverMadeThem) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({commit("a", messaging::kPointReceived), send(1, 1)})),
            (Names{"commit a"}));
  EXPECT_EQ(names(gate.admit({commit("b", messaging::kPointAccepted), report(),
                              commit("c", messaging::kPointEncrypted), send(1, 2),
                              commit("d", messaging::kPointSent), commit("x", "login"), send(1, 3),
                              commit("e", messaging::kPointSent)})),
            (Names{"report"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 01", "commit b c d"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 02", "commit x"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 03", "commit e"}));
}

TEST(ActionGateTest, NotMoreThanSoManyCommitsBecomeOne) {
  ActionGate gate;
  (void)gate.admit({commit("a", "m")});
  for (std::size_t i = 0; i < ActionGate::kMostMerged + 3; ++i)
    (void)gate.admit({commit("b", "m")});
  auto next = gate.durable();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(std::get<client::Commit>(next[0]).changes.size(), ActionGate::kMostMerged);
  next = gate.durable();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(std::get<client::Commit>(next[0]).changes.size(), 3u);
}

TEST(ActionGateTest, WhatIsNotDurableYetCanBeLookedUp) {
  using test::bytes;
  ActionGate gate;
  const RecordKey one{"kind", "1"};
  EXPECT_FALSE(gate.uncommitted(one));
  (void)gate.admit(
      {client::Commit{{Put{"kind", "1", bytes({1})}, Put{"kind", "2", bytes({2})}}, "a"},
       client::Commit{{Put{"kind", "1", bytes({3})}, Erase{"kind", "2"}}, "b"},
       client::Commit{{Erase{"gone", {}}}, "c"}});
  EXPECT_EQ(**gate.uncommitted(one), bytes({3})) << "the newest counts";
  EXPECT_EQ(gate.uncommitted({"kind", "2"}).value(), nullptr);
  EXPECT_EQ(gate.uncommitted({"gone", "7"}).value(), nullptr) << "a whole kind";
  EXPECT_FALSE(gate.uncommitted({"kind", "3"}));
  (void)gate.durable();
  EXPECT_EQ(**gate.uncommitted(one), bytes({3})) << "it is under way now";
  (void)gate.durable();
  EXPECT_FALSE(gate.uncommitted(one)) << "it is durable";
  gate.clear();
  EXPECT_FALSE(gate.uncommitted({"gone", "7"}));
}

TEST(ActionGateTest, ClosingReportsAndComputingAreNeverHeld) {
  ActionGate gate;
  client::Compute compute{1, client::MakePreKeys{}};
  EXPECT_EQ(names(gate.admit({commit("a"), compute, report(), close(1)})),
            (Names{"commit a", "compute", "report", "close"}));
}

TEST(ActionGateTest, ACloseDropsWhatIsHeldForThatSocketOnly) {
  ActionGate gate;
  (void)gate.admit({commit("a"), send(1, 1), send(2, 2), dial(1), dial(3)});
  EXPECT_EQ(names(gate.admit({close(1)})), (Names{"close"}));
  EXPECT_EQ(names(gate.durable()), (Names{"send 02", "dial 3"}));
}

TEST(ActionGateTest, LeavingConnectedIsShownAtOnce) {
  ActionGate gate;
  (void)gate.admit({publish(State::connected)});
  EXPECT_EQ(names(gate.admit({commit("a"), publish(State::connecting)})),
            (Names{"commit a", "other"}));
  EXPECT_EQ(names(gate.durable()), Names{});
}

TEST(ActionGateTest, AHeldConnectedIsNeverShownAfterItsEnd) {
  ActionGate gate;
  (void)gate.admit({commit("a"), publish(State::connected)});
  EXPECT_EQ(names(gate.admit({publish(State::connecting)})), (Names{"other"}));
  EXPECT_EQ(names(gate.durable()), Names{});
}

TEST(ActionGateTest, AnOtherStateThatLeavesNothingWaitsForItsCommit) {
  ActionGate gate;
  EXPECT_EQ(names(gate.admit({commit("a"), publish(State::waiting_for_scan)})),
            (Names{"commit a"}));
  EXPECT_EQ(names(gate.durable()), (Names{"other"}));
}

TEST(ActionGateTest, ClearForgetsTheCommitAndWhatWaitsForIt) {
  ActionGate gate;
  (void)gate.admit({commit("a"), send(1, 1)});
  gate.clear();
  EXPECT_FALSE(gate.committing());
  EXPECT_EQ(names(gate.admit({send(2, 2)})), (Names{"send 02"}));
}

}  // namespace
}  // namespace wa::runtime

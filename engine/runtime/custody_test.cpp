#include "engine/runtime/custody.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/overloaded.hpp"

namespace wa::runtime {
namespace {

using namespace std::chrono_literals;
using client::State;
using testing::ElementsAre;
using testing::IsEmpty;

using Names = std::vector<std::string>;

std::string name(const client::Event& event) {
  return std::visit(Overloaded{
                        [](const client::StartRequested&) { return "start"; },
                        [](const client::PairingCodeRequested&) { return "code"; },
                        [](const client::StopRequested&) { return "stop"; },
                        [](const client::LogoutRequested&) { return "logout"; },
                        [](const client::DeleteRequested&) { return "delete"; },
                        [](const client::Loaded&) { return "loaded"; },
                        [](const client::DeadlineReached&) { return "deadline"; },
                        [](const auto&) { return "other"; },
                    },
                    event);
}
std::string name(const client::Action& action) {
  return std::visit(Overloaded{
                        [](const client::SendBytes&) { return "send"; },
                        [](const client::Commit&) { return "commit"; },
                        [](const client::PublishStatus&) { return "publish"; },
                        [](const client::PublishEvent&) { return "event"; },
                        [](const auto&) { return "other"; },
                    },
                    action);
}

/// Short names, so that expectations read as a list.
std::string name(const Custody::Action& action) {
  const auto rows = Overloaded{
      [](const client::Action& of_machine) { return name(of_machine); },
      [](const Custody::Open& open) {
        return open.why.empty() ? std::string("open") : "open after: " + open.why;
      },
      [](const Custody::DropMachine&) { return std::string("drop"); },
      [](const Custody::GiveBack&) { return std::string("give back"); },
      [](const Custody::EraseStored& erase) { return "erase for " + std::to_string(erase.id); },
      [](const Custody::Feed& feed) { return "feed " + name(feed.event); },
      [](const Custody::Answer& answer) {
        return "answer " + std::to_string(answer.id) +
               (answer.result ? "" : ": " + answer.result.error().detail);
      },
      [](const Custody::Show& show) {
        std::string text = "show " + std::string(to_string(show.status.state));
        if (!show.status.reason.empty()) text += " " + show.status.reason;
        return show.why.empty() ? text : text + ": " + show.why;
      },
      [](const Custody::Warn& warning) { return "warn: " + warning.text; },
  };
  return std::visit(rows, action);
}

const Error kFull{Errc::environment, "disk full"};
const Error kDamaged{Errc::malformed, "bad checksum"};
const Error kElsewhere{Errc::fenced, "run by another"};

class CustodyTest : public testing::Test {
 protected:
  Names step(Custody::Event event) {
    Names names;
    for (const Custody::Action& action : custody_.step(std::move(event), {now_, UnixMillis{}})) {
      names.push_back(name(action));
    }
    return names;
  }
  Names command(client::Event event) {
    return step(Custody::Commanded{++last_id_, std::move(event)});
  }
  Names start() { return command(client::StartRequested{}); }
  Names stop() { return command(client::StopRequested{}); }
  Names opened(std::uint64_t generation = 0) {
    return step(Custody::Opened{custody_.incarnation(), generation});
  }
  Names open_failed(Error error) {
    return step(Custody::OpenFailed{custody_.incarnation(), std::move(error)});
  }
  Names commit() { return step(Custody::Stepped{{client::Commit{}, client::SendBytes{}}}); }
  Names commit_ended(Result<void> result) {
    return step(Custody::CommitEnded{custody_.incarnation(), std::move(result)});
  }
  Names deadline_after(Duration time) {
    now_ += time;
    return step(Custody::DeadlineReached{});
  }
  void run() {
    start();
    opened();
  }

  Custody custody_{Custody::Config{10s, 5s}};
  Instant now_{};
  Custody::CommandId last_id_ = 0;
};

// ---- commands ----

TEST_F(CustodyTest, AStartOpensTheDeviceAndFeedsTheMachine) {
  EXPECT_THAT(start(), ElementsAre("open"));
  EXPECT_TRUE(custody_.opening());
  EXPECT_THAT(opened(), ElementsAre("answer 1", "feed start"));
  EXPECT_TRUE(custody_.running());
  EXPECT_FALSE(custody_.busy());
  EXPECT_FALSE(custody_.next_deadline());
  EXPECT_THAT(start(), ElementsAre("answer 2", "feed start")) << "there is a machine already";
}

TEST_F(CustodyTest, CommandsThatNeedNoMachineMakeNone) {
  EXPECT_THAT(stop(), ElementsAre("answer 1"));
  EXPECT_THAT(command(client::LogoutRequested{}), ElementsAre("answer 2"));
  EXPECT_THAT(command(client::DeleteRequested{}), ElementsAre("open"));
}

TEST_F(CustodyTest, CommandsWaitInOrderWhileTheDeviceIsOpened) {
  start();
  EXPECT_THAT(command(client::PairingCodeRequested{"15550100001"}), IsEmpty());
  EXPECT_THAT(stop(), IsEmpty());
  EXPECT_THAT(opened(), ElementsAre("answer 1", "feed start", "answer 2", "feed code", "answer 3",
                                    "feed stop"));
}

TEST_F(CustodyTest, AStoppedMachineIsGivenBackOnceItRests) {
  run();
  EXPECT_THAT(step(Custody::Rested{}), IsEmpty()) << "it is to run";
  stop();
  commit();
  EXPECT_THAT(step(Custody::Rested{}), IsEmpty()) << "it still writes";
  commit_ended({});
  EXPECT_THAT(step(Custody::Rested{}), ElementsAre("give back"));
  EXPECT_THAT(step(Custody::Rested{}), IsEmpty());
  EXPECT_THAT(stop(), ElementsAre("answer 3"));
  EXPECT_THAT(start(), ElementsAre("open"));
}

// ---- commits ----

TEST_F(CustodyTest, WhatDependsOnACommitWaitsForIt) {
  run();
  EXPECT_THAT(commit(), ElementsAre("commit"));
  EXPECT_TRUE(custody_.busy());
  EXPECT_THAT(commit(), IsEmpty()) << "one at a time";
  EXPECT_THAT(commit_ended({}), ElementsAre("send", "commit"));
  EXPECT_THAT(commit_ended({}), ElementsAre("send"));
  EXPECT_FALSE(custody_.busy());
}

TEST_F(CustodyTest, AFailedCommitDropsTheMachineAndWhatItHeldBack) {
  run();
  commit();
  EXPECT_THAT(commit_ended(kFull), ElementsAre("drop", "warn: a commit failed: disk full",
                                               "show connecting rebuilding", "open"));
  EXPECT_THAT(opened(), ElementsAre("feed start")) << "it goes on with what was wanted";
  EXPECT_THAT(commit(), ElementsAre("commit"));
  EXPECT_THAT(commit_ended({}), ElementsAre("send")) << "of the new machine alone";
}

/// What becomes of a store in the middle of messages.
struct StoreState {
  const char* name;
  Error error;
};
void PrintTo(const StoreState& state, std::ostream* out) {
  *out << state.name;
}
class MessagesTest : public CustodyTest, public testing::WithParamInterface<StoreState> {
 protected:
  /// A message came: what it changes, its receipt, and what the application is told.
  Names received() {
    return step(Custody::Stepped{{client::Commit{}, client::SendBytes{}, client::PublishEvent{}}});
  }
};

TEST_P(MessagesTest, NeitherReceiptNorEventComesBeforeItsCommitAndBothComeAfterTheRepair) {
  run();
  EXPECT_THAT(received(), ElementsAre("commit"));
  EXPECT_THAT(received(), IsEmpty());
  const auto no_word = testing::Not(testing::AnyOf("send", "event"));
  EXPECT_THAT(commit_ended(GetParam().error), testing::Each(no_word));
  EXPECT_THAT(open_failed(GetParam().error), testing::Each(no_word));
  const bool shown = !custody_.busy();
  if (!shown) open_failed(GetParam().error);
  EXPECT_FALSE(custody_.busy()) << "it rests until somebody starts it";
  EXPECT_THAT(received(), IsEmpty()) << "of a machine that is gone";

  start();
  EXPECT_THAT(opened(), ElementsAre("answer 2", "feed start"));
  EXPECT_THAT(received(), ElementsAre("commit"));
  EXPECT_THAT(commit_ended({}), ElementsAre("send", "event"));
}

INSTANTIATE_TEST_SUITE_P(
    StoreStates, MessagesTest,
    testing::Values(StoreState{"full", kFull},
                    StoreState{"read_only",
                               {Errc::environment, "attempt to write a readonly database"}},
                    StoreState{"locked", {Errc::timed_out, "testline.db is locked"}},
                    StoreState{"newer", {Errc::environment, "written by a newer version"}},
                    StoreState{"damaged", kDamaged}),
    [](const auto& state) { return std::string(state.param.name); });

TEST_F(CustodyTest, AStoppedMachineWhoseCommitFailedDoesNotClaimToConnect) {
  run();
  commit();
  stop();
  EXPECT_THAT(commit_ended(kFull), testing::Contains("show disconnected"));
  EXPECT_THAT(opened(), ElementsAre("feed stop"));
  EXPECT_THAT(step(Custody::Rested{}), ElementsAre("give back"));
}

TEST_F(CustodyTest, ThreeFailedCommitsInARowAreAStoreError) {
  run();
  for (int failure = 1; failure <= 2; ++failure) {
    commit();
    commit_ended(kFull);
    opened();
  }
  commit();
  EXPECT_THAT(commit_ended(kFull), ElementsAre("drop", "warn: a commit failed: disk full",
                                               "show store_error commit_failed"));
  EXPECT_FALSE(custody_.next_deadline());
  run();  // a later start has as many
  commit();
  EXPECT_THAT(commit_ended(kFull), testing::Contains("open"));
}

TEST_F(CustodyTest, ADurableCommitForgivesTheFailuresBeforeIt) {
  run();
  for (std::uint64_t failure = 1; failure <= 5; ++failure) {
    commit();
    EXPECT_THAT(commit_ended(kFull), testing::Contains("open"));
    opened(failure - 1);
    commit();
    commit_ended({});
  }
}

TEST_F(CustodyTest, FailuresToOpenCountAsFailuresToCommit) {
  run();
  commit();
  commit_ended(kFull);
  EXPECT_THAT(open_failed(kFull), ElementsAre("open after: disk full"));
  EXPECT_THAT(open_failed(kFull), ElementsAre("show store_error unavailable: disk full"));
  EXPECT_FALSE(custody_.busy());
}

TEST_F(CustodyTest, ACommitThatTakesTooLongIsAFailure) {
  run();
  commit();
  EXPECT_EQ(custody_.next_deadline(), now_ + 10s);
  EXPECT_THAT(deadline_after(9s), ElementsAre("feed deadline")) << "that of the machine, then";
  const auto late = custody_.incarnation();
  EXPECT_THAT(deadline_after(1s), testing::Contains("open"));
  opened();
  commit();
  EXPECT_THAT(step(Custody::CommitEnded{late, {}}), IsEmpty()) << "what comes late is void";
  EXPECT_THAT(step(Custody::CommitEnded{late, kFull}), IsEmpty());
  EXPECT_TRUE(custody_.committing());
}

TEST_F(CustodyTest, AMachineThatIsGoneLeadsToNothing) {
  run();
  commit();
  commit_ended(kElsewhere);
  EXPECT_THAT(commit(), IsEmpty());
  EXPECT_FALSE(custody_.committing());
}

// ---- opening ----

TEST_F(CustodyTest, WhoStartsHearsWhyTheStoreCannotBeOpened) {
  start();
  EXPECT_THAT(open_failed(kFull),
              ElementsAre("answer 1: disk full", "show store_error unavailable: disk full"))
      << "once, not three times";
  start();
  EXPECT_THAT(open_failed(kDamaged),
              ElementsAre("answer 2: bad checksum", "show store_error damaged: bad checksum"));
}

TEST_F(CustodyTest, AStoreThatDoesNotOpenInTimeHasFailed) {
  start();
  const auto late = custody_.incarnation();
  EXPECT_EQ(custody_.next_deadline(), now_ + 10s);
  EXPECT_THAT(deadline_after(10s), testing::Contains("answer 1: the store did not answer in time"));
  EXPECT_THAT(step(Custody::Opened{late, 0}), IsEmpty());
  start();
  EXPECT_THAT(step(Custody::Opened{late, 0}), IsEmpty()) << "an answer to another question";
  EXPECT_THAT(step(Custody::OpenFailed{late, kFull}), IsEmpty());
  EXPECT_THAT(opened(), ElementsAre("answer 2", "feed start"));
}

TEST_F(CustodyTest, DamageIsNotTriedAgainByItself) {
  run();
  commit();
  commit_ended(kFull);
  EXPECT_THAT(open_failed(kDamaged), ElementsAre("show store_error damaged: bad checksum"));
}

TEST_F(CustodyTest, AnOldCopyOfTheStoreIsDamage) {
  start();
  opened(7);
  commit();
  commit_ended({});
  commit();
  commit_ended(kFull);
  EXPECT_THAT(opened(7), ElementsAre("drop", testing::HasSubstr("damaged: an old copy")));
  start();
  EXPECT_THAT(opened(8), ElementsAre("answer 2", "feed start"));
}

TEST_F(CustodyTest, WhatCannotBeOpenedCanBeErased) {
  command(client::DeleteRequested{});
  EXPECT_THAT(open_failed(kDamaged), ElementsAre("erase for 1"));
  EXPECT_TRUE(custody_.busy());
  EXPECT_THAT(step(Custody::EraseEnded{1, {}}),
              ElementsAre("answer 1", "show disconnected deleted"));
  EXPECT_FALSE(custody_.busy());

  command(client::DeleteRequested{});
  open_failed(kDamaged);
  EXPECT_THAT(step(Custody::EraseEnded{2, kFull}),
              ElementsAre("answer 2: disk full", "show store_error unavailable"));
}

TEST_F(CustodyTest, ADeviceThatWasErasedBeginsItsGenerationsAnew) {
  start();
  opened(7);
  commit();
  commit_ended(kElsewhere);
  command(client::DeleteRequested{});
  open_failed(kDamaged);
  step(Custody::EraseEnded{2, {}});
  start();
  EXPECT_THAT(opened(0), ElementsAre("answer 3", "feed start"));
}

// ---- owners ----

TEST_F(CustodyTest, ADeviceThatRunsElsewhereIsAskedForUntilItIsFree) {
  start();
  EXPECT_THAT(open_failed(kElsewhere),
              ElementsAre("answer 1", "show disconnected owned_elsewhere: run by another"));
  EXPECT_TRUE(custody_.waits_for_owner());
  EXPECT_EQ(custody_.next_deadline(), now_ + 5s);
  EXPECT_THAT(deadline_after(5s), ElementsAre("open"));
  EXPECT_FALSE(custody_.waits_for_owner());
  EXPECT_THAT(open_failed(kElsewhere), ElementsAre("show disconnected owned_elsewhere"))
      << "logged once";
  deadline_after(5s);
  EXPECT_THAT(opened(), ElementsAre("feed start"));
}

TEST_F(CustodyTest, StopEndsTheWaitForAnotherOwner) {
  start();
  open_failed(kElsewhere);
  EXPECT_THAT(stop(), ElementsAre("answer 2", "show disconnected stopped"));
  EXPECT_FALSE(custody_.next_deadline());
  EXPECT_THAT(stop(), ElementsAre("answer 3"));
}

TEST_F(CustodyTest, ALostDeviceIsDroppedAtOnceAndNotWritten) {
  run();
  commit();
  EXPECT_THAT(step(Custody::OwnershipLost{custody_.incarnation() + 1, "another time"}), IsEmpty());
  EXPECT_THAT(step(Custody::OwnershipLost{custody_.incarnation(), "taken over"}),
              ElementsAre("drop", "show disconnected owned_elsewhere: taken over"));
  EXPECT_TRUE(custody_.waits_for_owner());
  EXPECT_FALSE(custody_.committing());
}

TEST_F(CustodyTest, AFencedCommitIsALostDeviceAndNoFailureOfTheStore) {
  run();
  for (int time = 1; time <= 4; ++time) {
    commit();
    EXPECT_EQ(commit_ended(kElsewhere).front(), "drop");
    EXPECT_TRUE(custody_.waits_for_owner());
    deadline_after(5s);
    opened();
  }
}

TEST_F(CustodyTest, WhoDoesNotWantToRunDoesNotAskAgain) {
  run();
  commit();
  stop();
  commit_ended(kElsewhere);
  EXPECT_FALSE(custody_.next_deadline());
}

TEST_F(CustodyTest, AStatusWithoutAMachineKeepsWhatStaysTrue) {
  run();
  client::Status status;
  status.state = State::connected;
  status.jid = "15550100001:1@s.whatsapp.net";
  status.last_close = client::LastClose{515, "stream:error", {}};
  status.attempts = 3;
  step(Custody::Stepped{{client::PublishStatus{status}, client::Commit{}}});
  for (const Custody::Action& action :
       custody_.step(Custody::CommitEnded{custody_.incarnation(), kFull}, {now_, {}})) {
    const auto* show = std::get_if<Custody::Show>(&action);
    if (!show) continue;
    EXPECT_EQ(show->status.jid, status.jid);
    EXPECT_EQ(show->status.last_close, status.last_close);
    EXPECT_EQ(show->status.attempts, 0u);
    return;
  }
  ADD_FAILURE() << "nothing was shown";
}

// ---- loads ----

class CustodyLoadTest : public CustodyTest {
 protected:
  using Values = std::vector<std::optional<Bytes>>;

  Custody::Lookup look_up() { return custody_.look_up({7, {{"k", "1"}, {"k", "2"}, {"k", "3"}}}); }
  /// What the machine is fed.
  Values fed(Custody::Lookup lookup, Values found) {
    auto actions = custody_.step(
        Custody::LookupEnded{custody_.incarnation(), std::move(lookup), std::move(found)}, {});
    EXPECT_EQ(actions.size(), 1u);
    const auto& loaded = std::get<client::Loaded>(std::get<Custody::Feed>(actions.at(0)).event);
    EXPECT_EQ(loaded.load_id, 7u);
    return loaded.values;
  }
  const Bytes one_{std::byte{1}};
  const Bytes two_{std::byte{2}};
};

TEST_F(CustodyLoadTest, TheStoreIsAskedForWhatNoCommitHasTouched) {
  run();
  step(
      Custody::Stepped{{client::Commit{{Put{"k", "1", one_}}}, client::Commit{{Erase{"k", "2"}}}}});
  const Custody::Lookup lookup = look_up();
  EXPECT_THAT(lookup.keys, ElementsAre(RecordKey{"k", "3"}));
  EXPECT_EQ(fed(lookup, {two_}), (Values{one_, std::nullopt, two_}));

  commit_ended({});
  commit_ended({});
  EXPECT_EQ(look_up().keys.size(), 3u) << "all of it is durable";
  EXPECT_EQ(fed(look_up(), {one_, std::nullopt, two_}), (Values{one_, std::nullopt, two_}));
}

TEST_F(CustodyLoadTest, ADamagedRecordIsAStoreError) {
  run();
  EXPECT_THAT(step(Custody::LookupEnded{custody_.incarnation(), look_up(), kDamaged}),
              ElementsAre("drop", "show store_error damaged: bad checksum"));
}

TEST_F(CustodyLoadTest, AFailedLoadBuildsTheMachineAnew) {
  run();
  EXPECT_THAT(
      step(Custody::LookupEnded{custody_.incarnation(), look_up(), kFull}),
      ElementsAre("drop", "warn: a load failed: disk full", "show connecting rebuilding", "open"));
}

TEST_F(CustodyLoadTest, WhatAnEarlierMachineAskedForIsVoid) {
  run();
  const auto incarnation = custody_.incarnation();
  Custody::Lookup lookup = look_up();
  commit();
  commit_ended(kFull);
  opened();
  EXPECT_THAT(step(Custody::LookupEnded{incarnation, std::move(lookup), Values(3)}), IsEmpty());
}

}  // namespace
}  // namespace wa::runtime

// What goes wrong in the host of a client, in virtual time.

#include <gmock/gmock.h>

#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::sim {
namespace {

using stage::Wait;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HostFaultTest : public testing::Test {
 protected:
  void fault(const boost::json::object& record) {
    const auto id = world_.server().fault(record);
    ASSERT_TRUE(id) << id.error();
  }
  void reaches(stage::Device& device, const char* state, Duration within, const char* reason = "") {
    Wait wait = Wait::for_state(world_, device, state, reason, within);
    const auto failure = await(world_, wait);
    EXPECT_FALSE(failure) << to_string(*failure);
  }
  void reaches(const char* state, Duration within, const char* reason = "") {
    reaches(device_, state, within, reason);
  }
  void pass(Duration duration) {
    Wait wait = Wait::pause(world_, duration);
    (void)await(world_, wait);
  }
  void scan() {
    Wait wait = Wait::for_qr(world_, device_, 2min);
    ASSERT_FALSE(await(world_, wait));
    (void)phone_.scan(*wait.entry()->qr.png());
  }
  void pair() {
    device_.start();
    scan();
    reaches("connected", 10s);
  }
  void cut() {
    for (const auto& connection : world_.server().connections())
      world_.server().command(mock::CloseConnection{connection.id, "rst"}, "cut");
  }
  boost::json::object inspect() {
    const stage::Ref ref = device_.inspect();
    return device_.answer(ref)->data;
  }
  /// Phase of the newest hold; empty when there was none.
  std::string held() const {
    std::string phase;
    for (const stage::Entry& entry : device_.history()) {
      if (entry.kind == "held") phase = entry.data.at("phase").as_string();
    }
    return phase;
  }
  std::vector<std::string> conclude() {
    std::vector<std::string> texts;
    stage::Expectations expectations;
    for (const auto& failure : stage::conclude(world_, {}, expectations))
      texts.push_back(to_string(failure));
    return texts;
  }

  World world_{Options{}};
  stage::Phone& phone_ = **world_.server().phone("15550100001");
  stage::Device& device_ = **world_.device("engine", "shop-1", {});
};

// ---- holds and kills at commits ----

TEST_F(HostFaultTest, ADeviceStandsStillBeforeACommitUntilItIsReleased) {
  (void)device_.hold("paired", stage::HoldPhase::before, 1);
  device_.start();
  scan();
  pass(2s);
  EXPECT_EQ(held(), "before");
  EXPECT_EQ(inspect().at("credentials"), nullptr) << "nothing is durable yet";
  EXPECT_EQ(world_.server().jid("shop-1"), "") << "and the server was told nothing";
  (void)device_.release();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ADeviceThatIsHeldAfterACommitHasMadeItDurable) {
  (void)device_.hold("paired", stage::HoldPhase::after, 1);
  device_.start();
  scan();
  pass(2s);
  EXPECT_TRUE(inspect().at("credentials").is_string());
  EXPECT_EQ(world_.server().jid("shop-1"), "");
  device_.kill();
  EXPECT_TRUE(inspect().at("credentials").is_string());
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, HoldsCountCommitsOfTheirName) {
  (void)device_.hold("", stage::HoldPhase::before, 2);
  device_.start();
  scan();
  pass(1s);
  ASSERT_EQ(held(), "before");
  (void)device_.release();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AKillAtACommitLeavesTheOldRecordsOrTheNew) {
  for (const char* point : {"paired.before", "paired.after"}) {
    SCOPED_TRACE(point);
    World world{Options{}};
    stage::Phone& phone = **world.server().phone("15550100001");
    stage::Device& device = **world.device("engine", "shop-1", {});
    ASSERT_TRUE(world.server().fault({{"fault", "kill"},
                                      {"args", {{"point", point}}},
                                      {"when", {{"on_event", "pair_device"}}}}));
    device.start();
    Wait code = Wait::for_qr(world, device, 2s);
    ASSERT_FALSE(await(world, code));
    (void)phone.scan(*code.entry()->qr.png());
    Wait pause = Wait::pause(world, 3s);
    (void)await(world, pause);
    EXPECT_EQ(device.history().back().kind, "killed");
    const auto data = device.answer(device.inspect())->data;
    EXPECT_EQ(data.at("credentials").is_string(), std::string_view(point) == "paired.after");
    stage::Expectations expectations;
    EXPECT_THAT(stage::conclude(world, {}, expectations), IsEmpty());
  }
}

TEST_F(HostFaultTest, AKillWhosePointNeverComesHasNotFired) {
  fault({{"id", "k"},
         {"fault", "kill"},
         {"args", {{"point", "nowhere.before"}}},
         {"when", {{"on_event", "success"}}}});
  pair();
  EXPECT_THAT(conclude(), ElementsAre(HasSubstr("the fault k never fired")));
}

// ---- clocks ----

TEST_F(HostFaultTest, AWallClockThatJumpsChangesNoDeadline) {
  for (const char* jump : {"1h", "-1h"}) {
    fault({{"fault", "clock"}, {"args", {{"jump", jump}}}, {"when", {{"at", "1s"}}}});
  }
  fault({{"fault", "clock"}, {"args", {{"jump", "-26280h"}}}, {"when", {{"at", "5s"}}}});
  pair();
  pass(1h);
  EXPECT_EQ(device_.state(), "connected");
  EXPECT_EQ(world_.server().connects("shop-1"), 2u);
  cut();
  reaches("connecting", 5s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ACommitWaitsForAFileThatIsBusyForAWhile) {
  fault({{"fault", "disk"}, {"args", {{"kind", "busy"}, {"ms", 3000}}}, {"when", {{"nth", 1}}}});
  device_.start();
  pass(2s);
  EXPECT_EQ(world_.server().connects("shop-1"), 0u);
  scan();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

// ---- look-ups and proxies ----

TEST_F(HostFaultTest, ALookUpThatFailsIsTriedAgainWithBackOff) {
  pair();
  fault({{"id", "d"}, {"fault", "dns"}, {"args", {{"kind", "fail"}}}, {"heal", {{"after", "2m"}}}});
  cut();
  reaches("connecting", 5s, "dial_failed");
  pass(1min);
  EXPECT_EQ(device_.state(), "connecting");
  reaches("connected", 130s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, OnlyTheChosenLookUpFails) {
  pair();
  fault({{"fault", "dns"}, {"args", {{"kind", "fail"}}}, {"when", {{"nth", 2}}}});
  cut();
  reaches("connected", 30s);
  cut();
  reaches("connecting", 5s, "dial_failed");
  reaches("connected", 30s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ALookUpThatHangsEndsWithTheDialsOwnDeadline) {
  fault({{"fault", "dns"}, {"args", {{"kind", "hang"}}}, {"budget", 1}});
  device_.start();
  reaches("connecting", 21s, "dial_failed");
  scan();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ASlowLookUpIsWaitedFor) {
  fault({{"fault", "dns"}, {"args", {{"kind", "slow"}}}, {"budget", 1}});
  device_.start();
  pass(4s);
  EXPECT_EQ(world_.server().connects("shop-1"), 0u);
  scan();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AProxyThatRefusesIsNamedAndTriedAgain) {
  stage::DeviceOptions options;
  options.proxy = "http";
  stage::Device& behind = **world_.device("engine", "shop-2", options);
  fault({{"id", "p"}, {"fault", "proxy"}, {"args", {{"kind", "refuse"}}}, {"budget", 2}});
  behind.start();
  device_.start();
  reaches("waiting_for_scan", 5s);
  EXPECT_EQ(world_.server().connects("shop-2"), 0u) << "it never dials past its proxy";
  reaches(behind, "waiting_for_scan", 1min);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AFaultOfProxiesThatNobodyHasNeverFires) {
  fault({{"id", "p"}, {"fault", "proxy"}, {"args", {{"kind", "refuse"}}}});
  pair();
  EXPECT_THAT(conclude(), ElementsAre(HasSubstr("the fault p never fired")));
}

// ---- disks ----

TEST_F(HostFaultTest, AFullDiskIsAStoreErrorUntilItIsHealed) {
  pair();
  fault({{"id", "d"},
         {"fault", "disk"},
         {"args", {{"kind", "enospc"}}},
         {"where", {{"device", "shop-1"}}}});
  device_.stop();
  pass(1s);
  device_.remove();
  pass(10s);
  (void)world_.server().remove_fault("d");
  device_.start();
  pass(10s);
  EXPECT_NE(device_.state(), "store_error");
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, OneCommitThatFailsIsMadeAgain) {
  fault({{"fault", "disk"}, {"args", {{"kind", "eio"}}}, {"when", {{"nth", 1}}}});
  device_.start();
  reaches("connecting", 5s, "rebuilding");
  scan();
  reaches("connected", 10s);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ASlowDiskDelaysWhatDependsOnIt) {
  fault({{"fault", "disk"}, {"args", {{"kind", "slow"}, {"ms", 3000}}}});
  device_.start();
  pass(2s);
  EXPECT_EQ(world_.server().connects("shop-1"), 0u) << "the keys are not durable yet";
  scan();
  reaches("connected", 30s);
  EXPECT_THAT(conclude(), IsEmpty());
}

// ---- second process ----

TEST_F(HostFaultTest, ASecondProcessDoesNotGetTheDevice) {
  fault({{"fault", "second_process"}, {"when", {{"on_event", "success"}}}});
  pair();
  pass(1min);
  EXPECT_EQ(device_.state(), "connected");
  EXPECT_EQ(world_.server().connects("shop-1"), 2u);
  ASSERT_EQ(world_.devices().size(), 2u);
  EXPECT_EQ(world_.devices()[1]->reason(), "owned_elsewhere");
  EXPECT_THAT(conclude(), IsEmpty());
}

// ---- what can be looked at ----

TEST_F(HostFaultTest, InspectCountsWhatADeviceHolds) {
  EXPECT_EQ(inspect().at("open_files"), 0);
  pair();
  EXPECT_EQ(inspect().at("open_files"), 2) << "its socket and its store";
  EXPECT_EQ(inspect().at("timers"), 1);
  device_.kill();
  EXPECT_EQ(inspect().at("open_files"), 0);
  EXPECT_THAT(conclude(), IsEmpty());
}

}  // namespace
}  // namespace wa::sim

// What goes wrong in the host of a client, on real sockets: faults at the edges of the process.

#include <gmock/gmock.h>

#include "scenarios/loopback/world.hpp"
#include "scenarios/stage/gates.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using stage::Device;
using stage::DeviceOptions;
using stage::Failure;
using stage::Wait;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

/// Unscaled: at 1/50 these are 10 s.
constexpr Duration kPatience = 500s;

class HostFaultTest : public testing::Test {
 protected:
  void begin(std::string command = WA_TESTLINE " engine") {
    Options options;
    options.scale = stage::TimeScale::loopback(0.02);
    options.client_command = std::move(command);
    auto started = World::start(std::move(options));
    ASSERT_TRUE(started) << started.error();
    world_ = std::move(*started);
    shop_ = *world_->device("engine", "shop-1", {});
  }
  void fault(const boost::json::object& record) {
    const auto id = world_->server().fault(record);
    ASSERT_TRUE(id) << id.error();
  }
  void expect(Wait wait) {
    const auto failure = stage::await(*world_, wait);
    EXPECT_FALSE(failure) << to_string(*failure);
  }
  void reaches(const char* state, const char* reason = "") {
    expect(Wait::for_state(*world_, *shop_, state, reason, kPatience));
  }
  void pair() {
    stage::Phone& phone = **world_->server().phone("15550100001");
    shop_->start();
    expect(Wait::for_qr(*world_, *shop_, kPatience));
    expect(Wait::for_outcome(*world_, phone.scan(*shop_->qr().png()), kPatience));
  }
  void cut() {
    for (const auto& connection : world_->server().connections())
      world_->server().command(mock::CloseConnection{connection.id, "rst"}, "cut");
  }
  /// Everything that did not hold.
  std::vector<std::string> conclude() {
    std::vector<std::string> texts;
    stage::Expectations expectations;
    for (const Failure& failure : stage::conclude(*world_, {}, expectations))
      texts.push_back(to_string(failure));
    return texts;
  }

  std::unique_ptr<World> world_;
  Device* shop_ = nullptr;
};

TEST_F(HostFaultTest, LookUpsFailUntilTheFaultIsRemoved) {
  begin();
  pair();
  reaches("connected");
  fault({{"id", "d"}, {"fault", "dns"}, {"args", {{"kind", "fail"}}}});
  // The client has to hear of it first.
  expect(Wait::until(
      *world_, "the client knows", [&] { return shop_->history().back().kind == "done"; },
      kPatience));
  cut();
  reaches("connecting", "dial_failed");
  EXPECT_TRUE(world_->server().unfired_faults().empty());
  (void)world_->server().remove_fault("d");
  reaches("connected");
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AProxyThatRefusesIsNamedAndTriedAgain) {
  begin();
  DeviceOptions options;
  options.proxy = "http";
  shop_ = *world_->device("engine", "behind", options);
  fault({{"id", "p"}, {"fault", "proxy"}, {"args", {{"kind", "refuse"}}}});
  expect(Wait::pause(*world_, 1s));
  shop_->start();
  expect(Wait::until(
      *world_, "it has tried twice", [&] { return shop_->attempts() >= 2; }, kPatience));
  EXPECT_EQ(world_->server().connects("behind"), 0u) << "it never dials past its proxy";
  (void)world_->server().remove_fault("p");
  reaches("waiting_for_scan");
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AWallClockThatJumpsIsNoReasonToReconnect) {
  begin();
  fault({{"fault", "clock"}, {"args", {{"jump", "-1h"}}}, {"when", {{"on_event", "success"}}}});
  pair();
  reaches("connected");
  expect(Wait::until(
      *world_, "it has jumped", [&] { return world_->server().unfired_faults().empty(); },
      kPatience));
  expect(Wait::pause(*world_, 30s));
  EXPECT_EQ(shop_->state(), "connected");
  EXPECT_EQ(world_->server().connects("shop-1"), 2u);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ADiskThatFailsIsAStoreError) {
  begin();
  fault({{"id", "d"}, {"fault", "disk"}, {"args", {{"kind", "enospc"}}}});
  expect(Wait::pause(*world_, 1s));
  shop_->start();
  reaches("store_error");
  expect(Wait::until(
      *world_, "it has acted", [&] { return world_->server().unfired_faults().empty(); },
      kPatience));
  (void)world_->server().remove_fault("d");
  expect(Wait::pause(*world_, 1s));
  pair();
  reaches("connected");
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, ASecondProcessOfTheSameDeviceDoesNotGetIt) {
  begin();
  fault({{"fault", "second_process"}, {"when", {{"on_event", "success"}}}});
  pair();
  reaches("connected");
  expect(Wait::until(
      *world_, "the second process was refused",
      [&] {
        return world_->devices().size() == 2 && world_->devices()[1]->reason() == "owned_elsewhere";
      },
      kPatience));
  EXPECT_EQ(world_->processes().size(), 2u);
  EXPECT_EQ(shop_->state(), "connected");
  EXPECT_EQ(world_->server().connects("shop-1"), 2u);
  EXPECT_THAT(conclude(), IsEmpty());
}

TEST_F(HostFaultTest, AClientThatHasNoHostFaultsIsSkippedByName) {
  begin(
      R"(bash -c 'echo "{\"event\":\"hello\",\"protocol\":1,\"name\":\"plain\",\"version\":\"0\",)"
      R"(\"capabilities\":[]}"; while read -r line; do :; done')");
  shop_->start();
  fault({{"id", "d"}, {"fault", "dns"}, {"args", {{"kind", "fail"}}}, {"optional", true}});
  expect(Wait::until(
      *world_, "it was asked", [&] { return !world_->lacking().empty(); }, kPatience));
  EXPECT_THAT(world_->lacking(), ElementsAre("host_faults"));
  EXPECT_THAT(world_->finish(), ElementsAre(AllOf(Field(&Failure::kind, "skipped"),
                                                  Field(&Failure::rule, "host_faults"))));
}

}  // namespace
}  // namespace wa::loopback

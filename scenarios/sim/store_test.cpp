#include "scenarios/sim/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::sim {
namespace {

using namespace std::chrono_literals;
using stage::DiskFault;
using stage::Wait;
using testing::IsEmpty;

constexpr DiskFault kFailing[] = {DiskFault::enospc, DiskFault::eio, DiskFault::short_write,
                                  DiskFault::readonly, DiskFault::torn};

TEST(SimStoreTest, GenerationsGrowWithEveryCommitAndNeverFall) {
  Store store;
  store.apply({client::Put{"k", "1", {}}});
  EXPECT_EQ(store.generation(), 1u);
  store.erase();
  EXPECT_EQ(store.generation(), 2u);
  EXPECT_TRUE(store.kinds().empty());
}

TEST(SimStoreTest, ARestoredCopyIsWhatTheStoreWasWhenItWasMade) {
  Store store;
  store.apply({client::Put{"k", "1", to_bytes("ab")}});
  const Store::Copy copy = store.copy();
  store.apply({client::Put{"k", "2", to_bytes("cd")}});
  store.damage({"k", "1", {}});
  store.restore(copy);
  EXPECT_TRUE(store.intact());
  EXPECT_EQ(store.kinds(), copy.kinds);
  EXPECT_EQ(store.generation(), 1u);
}

TEST(SimStoreTest, DamageStaysUntilAllIsErased) {
  Store store;
  store.apply({client::Put{"k", "1", to_bytes("ab")}, client::Put{"k", "2", to_bytes("cd")}});
  const std::string whole = stage::digest_of(store.kinds());
  EXPECT_TRUE(store.intact());
  store.damage({"k", "1", to_bytes("a")});
  EXPECT_FALSE(store.intact());
  EXPECT_NE(stage::digest_of(store.kinds()), whole);
  EXPECT_EQ(store.generation(), 1u) << "nobody has committed that";
  Store copy;
  copy.copy_records(store);
  EXPECT_FALSE(copy.intact());

  store.damage({"k", "1", {}});
  store.damage({"k", "2", {}});
  EXPECT_TRUE(store.kinds().empty());
  EXPECT_FALSE(store.intact()) << "nothing stands for nothing stored only when that was meant";
  store.erase();
  EXPECT_TRUE(store.intact());
}

TEST(SimStoreTest, ADiskFailsAsLongAsAFaultIsOn) {
  Disk disk;
  EXPECT_FALSE(disk.failure());
  for (const DiskFault fault : kFailing) {
    disk.set(fault, true);
    EXPECT_TRUE(disk.failure());
    disk.set(fault, false);
    EXPECT_FALSE(disk.failure());
  }
  disk.set(DiskFault::slow, true, 2s);
  EXPECT_EQ(disk.slow_by(), 2s);
  EXPECT_FALSE(disk.failure());
  disk.set(DiskFault::slow, false);
  EXPECT_EQ(disk.slow_by(), 0s);
}

/// One device and its phone.
class DiskTest : public testing::Test {
 protected:
  bool reaches(const char* state, Duration within, std::string reason = {}) {
    Wait wait = Wait::for_state(world_, device_, state, std::move(reason), within);
    const auto failure = await(world_, wait);
    if (failure) last_ = to_string(*failure);
    return !failure;
  }
  bool pairs() {
    device_.start();
    Wait qr = Wait::for_qr(world_, device_, 10s);
    if (await(world_, qr)) return false;
    scan();
    return reaches("connected", 60s);
  }
  void scan() {
    stage::Phone& phone = **world_.server().phone("15550100001");
    auto scanned = phone.scan(*device_.qr().png());
    Wait wait = Wait::for_outcome(world_, scanned, 60s);
    (void)await(world_, wait);
  }
  void passes(Duration time) {
    Wait wait = Wait::pause(world_, time);
    (void)await(world_, wait);
  }
  boost::json::object inspect() { return device_.answer(device_.inspect())->data; }
  std::size_t seen(std::string_view state, std::string_view reason) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(device_.history(), [&](const stage::Entry& entry) {
          return entry.kind == "state" && entry.data.at("state").as_string() == state &&
                 entry.data.at("reason").as_string() == reason;
        }));
  }

  World world_{Options{}};
  stage::Device& device_ = **world_.device("engine", "shop-1", {});
  stage::Disk& disk_ = world_.disk("shop-1");
  std::string last_;
};

TEST_F(DiskTest, AStoreThatCannotBeOpenedIsAnErrorAndAState) {
  disk_.set(DiskFault::readonly, true);
  const auto ref = device_.start();
  EXPECT_TRUE(reaches("store_error", 1s, "unavailable"));
  EXPECT_EQ(device_.answer(ref)->data.at("code"), "store_error");
  EXPECT_EQ(world_.server().connects("shop-1"), 0u);
  disk_.set(DiskFault::readonly, false);
  EXPECT_TRUE(pairs()) << last_;
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, AFailedCommitRebuildsTheSessionAndThreeAreAStoreError) {
  device_.hold("keys", stage::HoldPhase::before, 1);
  device_.start();
  passes(1ms);
  for (const DiskFault fault : kFailing) {
    disk_.set(fault, true);
    device_.release();
    EXPECT_TRUE(reaches("store_error", 30s, "unavailable")) << last_;
    EXPECT_EQ(world_.server().connects("shop-1"), 0u);
    EXPECT_EQ(inspect().at("generation"), 0);
    disk_.set(fault, false);
    device_.hold("keys", stage::HoldPhase::before, 1);
    device_.start();
    passes(1ms);
  }
  EXPECT_GE(seen("connecting", "rebuilding"), 5u);
  device_.release();
  Wait qr = Wait::for_qr(world_, device_, 10s);
  EXPECT_FALSE(await(world_, qr));
  scan();
  EXPECT_TRUE(reaches("connected", 60s)) << last_;
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, PairingIsNotTakenForSuccessWhenItCannotBeStored) {
  device_.start();
  Wait qr = Wait::for_qr(world_, device_, 10s);
  ASSERT_FALSE(await(world_, qr));
  disk_.set(DiskFault::eio, true);
  scan();
  EXPECT_TRUE(reaches("store_error", 60s)) << last_;
  EXPECT_EQ(inspect().at("credentials"), nullptr);
  disk_.set(DiskFault::eio, false);
  EXPECT_TRUE(pairs()) << last_;
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, ASlowDiskDelaysTheLoginAfterPairingUntilTheAccountIsDurable) {
  device_.start();
  Wait qr = Wait::for_qr(world_, device_, 10s);
  ASSERT_FALSE(await(world_, qr));
  disk_.set(DiskFault::slow, true, 2s);
  const Instant begun = world_.now().mono;
  scan();
  EXPECT_GE(world_.now().mono - begun, 2s);
  EXPECT_TRUE(reaches("connected", 60s)) << last_;
  EXPECT_EQ(world_.server().connects("shop-1"), 2u);
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, ACommitThatIsOlderThanItsPatienceIsAFailure) {
  disk_.set(DiskFault::slow, true, 11s);
  device_.start();
  EXPECT_TRUE(reaches("store_error", 60s, "commit_failed")) << last_;
  EXPECT_EQ(world_.now().mono.time_since_epoch(), 30s) << "three times ten seconds";
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, ABusyFileIsWaitedForAsLongAsSqliteDoes) {
  disk_.set(DiskFault::busy, true);
  device_.start();
  passes(4s);
  EXPECT_EQ(world_.server().connects("shop-1"), 0u);
  disk_.set(DiskFault::busy, false);
  Wait qr = Wait::for_qr(world_, device_, 10s);
  EXPECT_FALSE(await(world_, qr));
  EXPECT_EQ(seen("store_error", "unavailable"), 0u);

  // Eight seconds: the commit gives up after five, the rebuilt session waits for the rest.
  disk_.set(DiskFault::busy, true);
  stage::Phone& phone = **world_.server().phone("15550100001");
  (void)phone.scan(*device_.qr().png());
  passes(8s);
  disk_.set(DiskFault::busy, false);
  passes(2s);
  EXPECT_EQ(seen("connecting", "rebuilding"), 1u);
  ASSERT_EQ(device_.state(), "waiting_for_scan");
  scan();
  EXPECT_TRUE(reaches("connected", 60s)) << last_;
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, AKillLosesACommitThatIsNotDurableAndKeepsOneThatIs) {
  device_.hold("paired", stage::HoldPhase::before, 1);
  device_.start();
  Wait qr = Wait::for_qr(world_, device_, 10s);
  ASSERT_FALSE(await(world_, qr));
  stage::Phone& phone = **world_.server().phone("15550100001");
  (void)phone.scan(*device_.qr().png());
  passes(1s);
  EXPECT_TRUE(std::ranges::any_of(device_.history(), [](const stage::Entry& entry) {
    return entry.kind == "held" && entry.data.at("point") == "paired";
  }));
  device_.kill();
  EXPECT_EQ(inspect().at("credentials"), nullptr);

  device_.hold("paired", stage::HoldPhase::after, 1);
  device_.start();
  qr = Wait::for_qr(world_, device_, 10s);
  ASSERT_FALSE(await(world_, qr));
  (void)phone.scan(*device_.qr().png());
  passes(1s);
  device_.kill();
  EXPECT_NE(inspect().at("credentials"), nullptr);
}

TEST_F(DiskTest, WhatIsDamagedIsNeitherPairedOverNorChangedUntilTheDeviceIsDeleted) {
  struct Case {
    const char* record;
    const char* how;
  };
  for (const Case& damage :
       {Case{"credentials", "flip"}, Case{"credentials", "truncate"},
        Case{"credentials", "missing"}, Case{"pre_key/7", "flip"}, Case{"pre_key", "missing"}}) {
    SCOPED_TRACE(std::string(damage.record) + " " + damage.how);
    ASSERT_TRUE(pairs()) << last_;
    passes(1s);
    const auto parsed = *stage::parse_damage(damage.record, damage.how);
    EXPECT_EQ(device_.damage_stored(parsed, world_.devices()).error().code, Errc::conflict);
    device_.kill();
    const std::string whole = *device_.stored_digest();
    ASSERT_TRUE(device_.damage_stored(parsed, world_.devices()));
    const std::string left = *device_.stored_digest();
    EXPECT_NE(left, whole);
    const auto connects = world_.server().connects("shop-1");

    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto ref = device_.start();
      EXPECT_TRUE(reaches("store_error", 1s, "damaged")) << last_;
      EXPECT_EQ(device_.answer(ref)->data.at("code"), "store_error");
      EXPECT_EQ(inspect().at("code"), "store_error");
      passes(1h);
      device_.stop();
      device_.kill();  // also a process that has no session
      EXPECT_EQ(device_.history().back().kind, "killed");
    }
    EXPECT_EQ(world_.server().connects("shop-1"), connects);
    EXPECT_TRUE(device_.qr().empty());
    EXPECT_EQ(*device_.stored_digest(), left);
    device_.remove();
    EXPECT_EQ(*device_.stored_digest(), "");
  }
  EXPECT_TRUE(pairs()) << last_;
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, ADeviceThatRunsElsewhereIsTriedAgainUntilItsLeaseEnds) {
  ASSERT_TRUE(pairs()) << last_;
  stage::Device& second = **world_.device("other", "shop-1", {});
  passes(1s);
  device_.kill();
  const Instant killed = world_.now().mono;
  second.start();
  EXPECT_EQ(second.reason(), "owned_elsewhere");
  EXPECT_TRUE(second.history().back().data.contains("next_attempt_ms"));
  Wait wait = Wait::for_state(world_, second, "connected", {}, 60s);
  EXPECT_FALSE(await(world_, wait));
  EXPECT_GE(world_.now().mono - killed, 30s);
  EXPECT_LE(world_.now().mono - killed, 35s + 1s);
  EXPECT_THAT(world_.finish(), IsEmpty());
}

TEST_F(DiskTest, AStartRightBehindADeleteDoesNotUndoIt) {
  ASSERT_TRUE(pairs()) << last_;
  device_.stop();
  passes(1s);
  stage::Device& second = **world_.device("other", "shop-1", {});
  second.remove();
  second.start();
  Wait wait = Wait::for_qr(world_, second, 10s);
  EXPECT_FALSE(await(world_, wait)) << "it forgot the account before it started";
  EXPECT_EQ(inspect().at("credentials"), nullptr);
}

TEST_F(DiskTest, AStoppedDeviceIsGivenBackAfterAFailedCommitToo) {
  ASSERT_TRUE(pairs()) << last_;
  device_.hold("", stage::HoldPhase::before, 1);
  device_.logout();
  passes(1s);
  disk_.set(DiskFault::eio, true);
  device_.stop();
  device_.release();
  passes(20s);
  disk_.set(DiskFault::eio, false);
  stage::Device& second = **world_.device("other", "shop-1", {});
  second.start();
  passes(1s);
  EXPECT_NE(second.reason(), "owned_elsewhere");
}

TEST_F(DiskTest, StopEndsTheWaitForAnotherOwner) {
  ASSERT_TRUE(pairs()) << last_;
  stage::Device& second = **world_.device("other", "shop-1", {});
  second.start();
  second.stop();
  EXPECT_EQ(second.reason(), "stopped");
  passes(1min);
  EXPECT_EQ(second.reason(), "stopped");
  EXPECT_THAT(world_.finish(), IsEmpty());
}

}  // namespace
}  // namespace wa::sim

#include "scenarios/cli/holding_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>

#include "engine/store/memory_store.hpp"

namespace wa::cli {
namespace {

using Phase = stage::HoldPhase;
using testing::ElementsAre;
using testing::IsEmpty;

class HoldingStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    store_.open("a", [&](Result<store::Store::Opened> opened) { a_ = std::move(opened->device); });
    run();
  }
  void run() {
    io_.restart();
    io_.run();
  }
  void commit(const char* point) {
    a_->commit(point, {store::Put{"k", point, {}}}, [this, point](const Result<void>& result) {
      if (result) done_.emplace_back(point);
    });
    run();
  }
  std::size_t stored() {
    std::size_t count = 0;
    below_.read("a", [&](Result<store::Stored> read) {
      count = read->records.empty() ? 0 : read->records.at("k").size();
    });
    run();
    return count;
  }

  boost::asio::io_context io_;
  store::MemoryStore below_{io_};
  std::vector<std::string> held_;
  HoldingStore store_{below_, [this](const std::string& device, const std::string& point) {
                        held_.push_back(device + " " + point);
                      }};
  std::shared_ptr<store::DeviceStore> a_;
  std::vector<std::string> done_;
};

TEST_F(HoldingStoreTest, PassesEverythingOnAsLongAsNobodyAsks) {
  commit("keys");
  EXPECT_THAT(done_, ElementsAre("keys"));
  EXPECT_THAT(held_, IsEmpty());
}

TEST_F(HoldingStoreTest, BeforeTheStoreBelowHasNotHeardOfTheCommit) {
  store_.hold("a", "paired", Phase::before, 1);
  commit("keys");
  commit("paired");
  EXPECT_THAT(held_, ElementsAre("a paired"));
  EXPECT_THAT(done_, ElementsAre("keys"));
  EXPECT_EQ(stored(), 1u);
  store_.release("a");
  run();
  EXPECT_THAT(done_, ElementsAre("keys", "paired"));
  EXPECT_EQ(stored(), 2u);
}

TEST_F(HoldingStoreTest, AfterItIsDurableAndNobodyKnows) {
  store_.hold("a", "paired", Phase::after, 1);
  commit("paired");
  EXPECT_THAT(held_, ElementsAre("a paired"));
  EXPECT_THAT(done_, IsEmpty());
  EXPECT_EQ(stored(), 1u);
  store_.release("a");
  run();
  EXPECT_THAT(done_, ElementsAre("paired"));
}

TEST_F(HoldingStoreTest, CountsTheCommitsOfItsPointOfItsDevice) {
  store_.hold("a", "x", Phase::before, 2);
  store_.hold("b", "", Phase::before, 1);
  for (const char* point : {"x", "y", "y", "x", "x"}) commit(point);
  EXPECT_THAT(held_, ElementsAre("a x")) << "once";
  EXPECT_EQ(done_.size(), 4u);
}

TEST_F(HoldingStoreTest, AnEmptyPointIsAnyCommit) {
  store_.hold("a", "", Phase::before, 1);
  commit("whatever");
  EXPECT_THAT(held_, ElementsAre("a whatever"));
}

TEST_F(HoldingStoreTest, ReleaseForgetsAHoldThatWasNotReached) {
  store_.hold("a", "x", Phase::after, 1);
  store_.release("a");
  commit("x");
  EXPECT_THAT(held_, IsEmpty());
  EXPECT_THAT(done_, ElementsAre("x"));
}

TEST_F(HoldingStoreTest, WhoIsDroppedWhileItIsHeldCommitsNothing) {
  store_.hold("a", "x", Phase::before, 1);
  commit("x");
  a_.reset();
  store_.release("a");
  run();
  EXPECT_EQ(stored(), 0u);
  EXPECT_THAT(done_, IsEmpty());
}

}  // namespace
}  // namespace wa::cli

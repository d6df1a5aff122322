// What holds for every kind of fault there is, played against the real engine.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "mockserver/core/fault_record.hpp"
#include "scenarios/sim/test_stage.hpp"

namespace wa::sim {
namespace {

namespace json = boost::json;
using test::Stage;

class EveryFaultTest : public testing::TestWithParam<std::size_t> {
 protected:
  json::object record() const {
    return json::parse(mock::fault_table()[GetParam()].example).as_object();
  }
};

json::object& part(json::object& record, std::string_view name) {
  if (!record.contains(name)) record[name] = json::object();
  return record[name].as_object();
}

/// The same for a tenant that is not ours: it is only kept.
json::object elsewhere(json::object record) {
  part(record, "where")["tenant"] = "elsewhere";
  return record;
}

/// Pairs, stays, and leaves. The hash of everything that was done.
std::string play(const json::object& record, bool removed) {
  Stage stage;
  // A host fault may find nobody who performs it: that answer is part of the trace, too.
  const auto id = stage.world.server().fault(record);
  if (removed && id) (void)stage.world.server().remove_fault(*id);
  EXPECT_TRUE(stage.pairs());
  EXPECT_TRUE(stage.passes(std::chrono::minutes(10)));
  stage.device.stop();
  EXPECT_TRUE(stage.passes(std::chrono::seconds(5)));
  return stage.world.trace().hash();
}

TEST_P(EveryFaultTest, WithProbabilityZeroTheRunIsThatWithoutTheRecord) {
  json::object never = record();
  part(never, "when")["probability"] = 0;
  EXPECT_EQ(play(never, false), play(elsewhere(never), false));
}

TEST_P(EveryFaultTest, ARecordThatIsRemovedBeforeItActsLeavesNothingBehind) {
  json::object waiting = record();
  part(waiting, "when")["manual"] = true;
  EXPECT_EQ(play(waiting, true), play(elsewhere(waiting), true));
}

TEST(AnyFaultTest, TheComparisonNoticesARecordThatActs) {
  for (const char* text :
       {R"({"fault":"dup","when":{"nth":2}})", R"({"fault":"server_time","args":{"offset":"-2h"}})",
        R"({"fault":"delay","args":{"by":"1ms"},"when":{"probability":0.2}})"}) {
    const json::object record = json::parse(text).as_object();
    EXPECT_NE(play(record, false), play(elsewhere(record), false)) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(FaultTable, EveryFaultTest,
                         testing::Range<std::size_t>(0, mock::kFaultKinds), [](const auto& kind) {
                           return std::string(mock::fault_table()[kind.param].name);
                         });

}  // namespace
}  // namespace wa::sim

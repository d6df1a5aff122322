#include "scenarios/stage/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wa::stage {
namespace {

using testing::HasSubstr;

constexpr const char* kPlan =
    R"({"plan":1,"seed":7,"server":{"refs.count":"2"},"phones":[{"number":"15550100001"}],
        "devices":[{"name":"shop-1","options":{"auto_renew_qr":0}}],
        "faults":[{"id":"f1","fault":"close","when":{"after":"5s"}},{"fault":"refs","args":{"count":0}}],
        "steps":[{"do":"start","device":"shop-1"},{"do":"scan","device":"shop-1","phone":"15550100001"},
                 {"do":"await","device":"shop-1","state":"connected","within":"3s"},
                 {"do":"expect","device":"shop-1","field":"connects","equals":2}]})";

TEST(PlanTest, IsTheSameAfterItWasWrittenAndRead) {
  const auto plan = Plan::parse(kPlan);
  ASSERT_TRUE(plan) << plan.error();
  EXPECT_EQ(plan->seed, 7u);
  ASSERT_NE(plan->fault("f2"), nullptr) << "a fault without an id gets one";
  const auto again = Plan::parse(plan->to_text());
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->to_text(), plan->to_text());
  EXPECT_EQ(again->hash(), plan->hash());
}

TEST(PlanTest, TheOrderOfMembersDoesNotMatter) {
  const auto plan =
      Plan::parse(R"({"plan":1,"steps":[],"seed":3,"phones":[{"name":"n","number":"12345"}]})");
  const auto other =
      Plan::parse(R"({"phones":[{"number":"12345","name":"n"}],"seed":3,"steps":[],"plan":1})");
  ASSERT_TRUE(plan && other);
  EXPECT_EQ(plan->hash(), other->hash());
}

TEST(PlanTest, StepsAreAScenario) {
  const auto plan = Plan::parse(kPlan);
  ASSERT_TRUE(plan);
  const auto text = to_lua(*plan);
  ASSERT_TRUE(text) << text.error();
  EXPECT_THAT(
      *text,
      HasSubstr("devices[\"shop-1\"] = engine:device(\"shop-1\", { [\"auto_renew_qr\"] = 0, })\n"));
  EXPECT_THAT(
      *text,
      HasSubstr(
          "phones[\"15550100001\"]:scan(devices[\"shop-1\"]:await_qr { within = \"10s\" })\n"));
  EXPECT_THAT(*text, HasSubstr("devices[\"shop-1\"]:await(\"connected\", { within = \"3s\" })\n"));
  EXPECT_THAT(*text, HasSubstr("expect(devices[\"shop-1\"][\"connects\"]):equals(2)\n"));
}

TEST(PlanTest, TextOfAPlanCannotBecomeCode) {
  const auto plan =
      Plan::parse(R"({"plan":1,"steps":[{"do":"stop","device":"x\"] os.exit() --\n]]\\"}]})");
  ASSERT_TRUE(plan);
  EXPECT_THAT(*to_lua(*plan), HasSubstr("devices[\"x\\\"] os.exit() --\\010]]\\\\\"]:stop()\n"));
}

struct Bad {
  const char* text;
  const char* says;
};

TEST(PlanTest, WhatIsWrongIsNamed) {
  for (
      const Bad& bad : {
          Bad{"", "not JSON"},
          Bad{"[]", "takes an object"},
          Bad{"{}", "\"plan\" says the version"},
          Bad{R"({"plan":2,"steps":[]})", "reads 1"},
          Bad{R"({"plan":1})", "either \"scenario\" or \"steps\""},
          Bad{R"({"plan":1,"steps":[],"scenario":{"path":"x"}})", "not both"},
          Bad{R"({"plan":1,"step":[]})", "did you mean \"steps\"?"},
          Bad{R"({"plan":1,"steps":[],"seed":-1})", "whole number"},
          Bad{R"({"plan":1,"steps":[],"profile":"fats"})", "fast"},
          Bad{R"({"plan":1,"steps":[],"server":{"refs.cuont":"1"}})", "refs.count"},
          Bad{R"({"plan":1,"steps":[],"server":{"refs.first":"-5s"}})", "refs.first"},
          Bad{R"({"plan":1,"steps":[],"server":{"refs.first":5}})", "takes text"},
          Bad{R"({"plan":1,"steps":[],"phones":[{"nummer":"1"}]})", "did you mean \"number\"?"},
          Bad{R"({"plan":1,"steps":[],"phones":[7]})", "list of objects"},
          Bad{R"({"plan":1,"steps":[],"devices":[{}]})", "devices[0] needs a \"name\""},
          Bad{R"({"plan":1,"steps":[],"faults":[{"fault":"clsoe"}]})", "faults[0]"},
          Bad{R"({"plan":1,"steps":[],"faults":[{"fault":"close","when":{"after":"-5s"}}]})",
              "faults[0]"},
          Bad{R"({"plan":1,"steps":[],"faults":[{"id":"a","fault":"refs","args":{"count":1}},{"id":"a","fault":"refs","args":{"count":1}}]})",
              "there twice"},
      }) {
    const auto plan = Plan::parse(bad.text);
    ASSERT_FALSE(plan) << bad.text;
    EXPECT_EQ(plan.error().code, Errc::usage);
    EXPECT_THAT(plan.error().detail, HasSubstr(bad.says)) << bad.text;
  }
}

TEST(PlanTest, AServerNeedsNothingToPlay) {
  const auto bare = Plan::parse_setup(R"({"plan":1,"phones":[{"number":"15550100001"}]})");
  ASSERT_TRUE(bare) << bare.error();
  EXPECT_EQ(bare->phones.size(), 1u);
  EXPECT_TRUE(Plan::parse_setup(kPlan)) << "one that is played serves too";
  for (const Bad& bad : {Bad{R"({"plan":1,"steps":[],"scenario":{"path":"x"}})", "not both"},
                         Bad{R"({"plan":1,"fault":[]})", "did you mean \"faults\"?"},
                         Bad{R"({"plan":1,"faults":[{"fault":"clsoe"}]})", "faults[0]"}}) {
    const auto plan = Plan::parse_setup(bad.text);
    ASSERT_FALSE(plan) << bad.text;
    EXPECT_THAT(plan.error().detail, HasSubstr(bad.says));
  }
}

TEST(PlanTest, AStepThatIsWrongIsNamed) {
  for (const Bad& bad : {
           Bad{R"({"plan":1,"steps":[{"do":"strat","device":"a"}]})", "did you mean \"start\"?"},
           Bad{R"({"plan":1,"steps":[{"do":"start"}]})", "steps[0]: \"start\" needs \"device\""},
           Bad{R"({"plan":1,"steps":[{"do":"start","device":"a","devise":"b"}]})",
               "did you mean \"device\"?"},
           Bad{R"({"plan":1,"steps":[{}]})", "unknown verb"},
       }) {
    const auto plan = Plan::parse(bad.text);
    ASSERT_TRUE(plan) << plan.error();
    const auto text = to_lua(*plan);
    ASSERT_FALSE(text) << bad.text;
    EXPECT_THAT(text.error().detail, HasSubstr(bad.says));
  }
}

TEST(PlanTest, AMillionFaultsAreRefusedByNumber) {
  std::string text = R"({"plan":1,"steps":[],"faults":[)";
  for (int i = 0; i < 1'000'000; ++i) text += i ? ",{}" : "{}";
  const auto plan = Plan::parse(text + "]}");
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Errc::too_large);
  EXPECT_THAT(plan.error().detail, HasSubstr("1000000 entries; 100000 are the most"));
}

}  // namespace
}  // namespace wa::stage

#include "scenarios/stage/host_fault.hpp"

#include <gmock/gmock.h>
#include <boost/json/parse.hpp>

#include "scenarios/stage/scripted_world.hpp"

namespace wa::stage {
namespace {

using testing::ElementsAre;

mock::FaultRecord record(const char* json) {
  auto parsed = mock::FaultRecord::parse(boost::json::parse(json));
  EXPECT_TRUE(parsed) << parsed.error();
  return *parsed;
}

std::vector<int> chances_taken(const char* json, int chances) {
  HostFault fault(record(json), 1);
  std::vector<int> taken;
  for (int i = 1; i <= chances; ++i) {
    if (fault.acts()) taken.push_back(i);
  }
  EXPECT_EQ(fault.acted(), taken.size());
  return taken;
}

TEST(HostFaultTest, CountsSingleChances) {
  EXPECT_THAT(chances_taken(R"({"id":"f","fault":"dns","args":{"kind":"fail"}})", 3),
              ElementsAre(1, 2, 3));
  EXPECT_THAT(
      chances_taken(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"when":{"nth":2}})", 5),
      ElementsAre(2));
  EXPECT_THAT(
      chances_taken(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"when":{"every":2}})", 5),
      ElementsAre(2, 4));
  EXPECT_THAT(chances_taken(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"budget":2})", 5),
              ElementsAre(1, 2));
}

TEST(HostFaultTest, ProbabilityIsOfEachChance) {
  EXPECT_THAT(
      chances_taken(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"when":{"probability":0}})",
                    100),
      testing::IsEmpty());
  const auto half = chances_taken(
      R"({"id":"f","fault":"dns","args":{"kind":"fail"},"when":{"probability":0.5}})", 1000);
  EXPECT_GT(half.size(), 400u);
  EXPECT_LT(half.size(), 600u);
}

TEST(HostFaultTest, IsAboutTheDevicesThatItsRecordNames) {
  ScriptedWorld world;
  const Device& shop = world.add_device("shop-1");
  const Device& twin = world.add_device("shop-1", "other");
  const auto any = record(R"({"id":"f","fault":"dns","args":{"kind":"fail"}})");
  const auto named =
      record(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"where":{"device":"shop-1"}})");
  const auto host =
      record(R"({"id":"f","fault":"dns","args":{"kind":"fail"},"where":{"host":"other"}})");
  EXPECT_TRUE(is_about(any, "", shop, ""));
  EXPECT_TRUE(is_about(named, "", shop, ""));
  EXPECT_FALSE(is_about(named, "", world.add_device("shop-2"), ""));
  EXPECT_FALSE(is_about(host, "", shop, ""));
  EXPECT_TRUE(is_about(host, "", twin, ""));
  EXPECT_TRUE(is_about(any, "shop-1", shop, ""));
  EXPECT_FALSE(is_about(any, "shop-2", shop, ""));
  EXPECT_TRUE(is_about(any, "1555:2@s.whatsapp.net", shop, "1555:2@s.whatsapp.net"));
}

TEST(HostFaultTest, APointOfAKillSaysOnWhichSide) {
  EXPECT_EQ(parse_kill_point("paired.after").point, "paired");
  EXPECT_EQ(parse_kill_point("paired.after").phase, HoldPhase::after);
  EXPECT_EQ(parse_kill_point("paired.before").phase, HoldPhase::before);
  EXPECT_EQ(parse_kill_point("pre_keys").point, "pre_keys");
}

}  // namespace
}  // namespace wa::stage

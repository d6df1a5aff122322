#include "engine/protocol/wire/jid.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace wa::wire {
namespace {

struct JidCase {
  const char* name;
  const char* text;
  Jid jid;
};
void PrintTo(const JidCase& c, std::ostream* out) {
  *out << c.name;
}

Jid make(std::string user, std::string_view server, std::uint16_t device, std::uint16_t integrator,
         std::uint8_t agent) {
  Jid jid(std::move(user), server, device);
  jid.integrator = integrator;
  jid.agent = agent;
  return jid;
}

class JidTextTest : public testing::TestWithParam<JidCase> {};

TEST_P(JidTextTest, ParsesAndPrintsBack) {
  const auto parsed = Jid::parse(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_EQ(*parsed, GetParam().jid);
  EXPECT_EQ(parsed->to_string(), GetParam().text);
  EXPECT_EQ(Jid(parsed->view()), *parsed);
}

INSTANTIATE_TEST_SUITE_P(
    All, JidTextTest,
    testing::Values(
        JidCase{"user", "15551230001@s.whatsapp.net", Jid("15551230001", kServerPn)},
        JidCase{"device", "15551230001:7@s.whatsapp.net", Jid("15551230001", kServerPn, 7)},
        JidCase{"largest_device", "1:65535@lid", Jid("1", kServerLid, 65535)},
        JidCase{"server_itself", "@s.whatsapp.net", Jid::server_itself()},
        JidCase{"agent", "15551230001_2:7@s.whatsapp.net", make("15551230001", kServerPn, 7, 0, 2)},
        JidCase{"underscore_elsewhere", "a_2@lid", Jid("a_2", kServerLid)},
        JidCase{"underscore_that_is_no_agent", "a_b@s.whatsapp.net", Jid("a_b", kServerPn)},
        JidCase{"agent_too_large", "a_256@s.whatsapp.net", Jid("a_256", kServerPn)},
        JidCase{"group_with_dash", "15551230001-1600000000@g.us",
                Jid("15551230001-1600000000", kServerGroup)},
        JidCase{"interop", "2-555:5@interop", make("555", "interop", 5, 2, 0)},
        JidCase{"interop_without_integrator", "555@interop", Jid("555", "interop")},
        JidCase{"hosted_lid", "98:99@hosted.lid", Jid("98", "hosted.lid", 99)},
        JidCase{"free_text", "mail me @ home", Jid("mail me ", " home")}),
    [](const auto& each) { return each.param.name; });

TEST(JidTest, RefusesWhatIsNoJid) {
  for (const char* text : {"", "15551230001", "15551230001@", "@", "1:@lid", "1:x@lid",
                           "1:65536@lid", "1:-1@lid", "1:+1@lid", "1:7:8@lid", "1: 7@lid"}) {
    const auto parsed = Jid::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::malformed) << text;
  }
}

TEST(JidTest, WithoutDeviceIsTheSameUsersPrimary) {
  EXPECT_EQ(Jid("1", kServerLid, 7).without_device(), Jid("1", kServerLid));
  EXPECT_EQ(Jid("1", kServerLid).without_device(), Jid("1", kServerLid));
}

TEST(JidTest, OrdersByUserThenServerThenDevice) {
  EXPECT_LT(Jid("1", "lid", 9), Jid("2", "lid", 1));
  EXPECT_LT(Jid("1", "lid", 9), Jid("1", "s.whatsapp.net", 1));
  EXPECT_LT(Jid("1", "lid", 1), Jid("1", "lid", 2));
}

TEST(JidTest, StreamsAsItsText) {
  std::ostringstream out;
  out << Jid("1", kServerLid, 7);
  EXPECT_EQ(out.str(), "1:7@lid");
}

}  // namespace
}  // namespace wa::wire

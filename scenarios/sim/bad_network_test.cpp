// What our engine makes of bad links, spoilt frames and handshakes, and attempts that fail.
// Source: docs/protocol/connection.md, "How streams end".

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>

#include "scenarios/sim/test_stage.hpp"

namespace wa::sim {
namespace {

using test::Stage;
using test::Wait;
using testing::ElementsAre;
using testing::IsEmpty;

boost::json::object record(std::string_view text) {
  return boost::json::parse(text).as_object();
}

// ---- links --------------------------------------------------------------------------------------

struct LinkFault {
  std::string name;
  std::string record;
};
void PrintTo(const LinkFault& link, std::ostream* out) {
  *out << link.name;
}

class BadLinkTest : public testing::TestWithParam<LinkFault> {};

TEST_P(BadLinkTest, PairsLogsInAndIdles) {
  Stage stage;
  stage.expect.never(stage.device, "disconnected", "");
  stage.fault(record(GetParam().record));
  ASSERT_TRUE(stage.pairs());
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  ASSERT_TRUE(stage.passes(1h));
  EXPECT_EQ(stage.device.state(), "connected");
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST_P(BadLinkTest, AResetOrAFinIsFollowedByALogin) {
  for (const char* how : {"fin", "rst"}) {
    SCOPED_TRACE(how);
    Stage stage;
    stage.fault(record(GetParam().record));
    ASSERT_TRUE(stage.pairs());
    const auto id = stage.world.server().connections().at(0).id;
    stage.world.server().command(mock::CloseConnection{id, how}, "close");
    ASSERT_TRUE(stage.reaches("connecting", 5s));
    ASSERT_TRUE(stage.reaches("connected", 10s));
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, BadLinkTest,
    testing::Values(
        LinkFault{"split 1", R"({"fault":"split","args":{"size":1}})"},
        LinkFault{"split 2", R"({"fault":"split","args":{"size":2}})"},
        LinkFault{"split 3", R"({"fault":"split","args":{"size":3}})"},
        LinkFault{"split 4", R"({"fault":"split","args":{"size":4}})"},
        LinkFault{"split 5", R"({"fault":"split","args":{"size":5}})"},
        LinkFault{"split 6", R"({"fault":"split","args":{"size":6}})"},
        LinkFault{"split 7", R"({"fault":"split","args":{"size":7}})"},
        LinkFault{"latency", R"({"fault":"latency","args":{"min":"0ms","max":"50ms"}})"},
        LinkFault{"long latency", R"({"fault":"latency","args":{"min":"200ms","max":"400ms"}})"},
        LinkFault{"throttle", R"({"fault":"throttle","args":{"bytes_per_second":20000}})"}));

TEST(BadLinkDeterminismTest, RandomLatencyIsTheSameAgainAndOfItsOwnStream) {
  const auto play = [](std::string_view text) {
    Stage stage;
    if (!text.empty()) stage.fault(record(text));
    EXPECT_TRUE(stage.pairs());
    return stage.world.trace().hash();
  };
  const std::string slow = play(R"({"id":"l","fault":"latency","args":{"min":"0s","max":"50ms"}})");
  EXPECT_EQ(slow, play(R"({"id":"l","fault":"latency","args":{"min":"0s","max":"50ms"}})"));
  EXPECT_NE(slow, play(""));
}

TEST(BadLinkTest, ASilentServerIsNoticedAndReplaced) {
  for (const char* text :
       {R"({"fault":"mute","args":{"direction":"to_client"},"where":{"connection":"2"}})",
        R"({"fault":"mute","args":{"direction":"to_server"},"where":{"connection":"2"}})",
        R"({"fault":"blackhole","where":{"connection":"2"}})"}) {
    SCOPED_TRACE(text);
    Stage stage;
    ASSERT_TRUE(stage.pairs());
    stage.fault(record(text));
    ASSERT_TRUE(stage.reaches("connecting", 45s, "dead_socket"));
    ASSERT_TRUE(stage.reaches("connected", 10s));
    EXPECT_EQ(stage.world.server().connects("shop-1"), 3u);
    ASSERT_TRUE(stage.passes(10min));
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
}

TEST(BadLinkTest, AShortSilenceIsSurvivedOnTheSameStream) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage.fault(record(R"({"fault":"blackhole","when":{"after":"0s"},"heal":{"after":"8s"}})"));
  ASSERT_TRUE(stage.passes(10min));
  EXPECT_EQ(stage.device.state(), "connected");
  EXPECT_EQ(stage.world.server().connects("shop-1"), 2u);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

// ---- frames and handshakes ----------------------------------------------------------------------

/// A fault, what a paired and connected device says of it, and that it comes back.
struct Trouble {
  std::string name;
  std::string record;
  std::string reason;
  std::string state = "connecting";
  Duration noticed = 60s;
  Duration back = 10s;
};
void PrintTo(const Trouble& trouble, std::ostream* out) {
  *out << trouble.name;
}

/// A paired device meets the trouble and comes back with its credentials. `reset`: its stream is
/// reset first, so that the next attempt meets it.
void recovers(const Trouble& trouble, bool reset) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  const auto credentials = stage.inspect().at("credentials");
  stage.fault(record(trouble.record));
  if (reset) {
    const auto id = stage.world.server().connections().at(0).id;
    stage.world.server().command(mock::CloseConnection{id, "rst"}, "close");
  }
  ASSERT_TRUE(stage.reaches(trouble.state, trouble.noticed, trouble.reason));
  ASSERT_TRUE(stage.reaches("connected", trouble.back));
  EXPECT_EQ(stage.inspect().at("credentials"), credentials);
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

class SpoiltStreamTest : public testing::TestWithParam<Trouble> {};

TEST_P(SpoiltStreamTest, IsLeftAndReplacedWithTheSameCredentials) {
  recovers(GetParam(), false);
}

INSTANTIATE_TEST_SUITE_P(
    Frames, SpoiltStreamTest,
    testing::Values(
        Trouble{
            "corrupt to client",
            R"({"fault":"corrupt","args":{"flip_byte":0},"where":{"direction":"to_client"},"budget":1})",
            "stream_broken"},
        Trouble{
            "corrupt tag",
            R"({"fault":"corrupt","args":{"flip_byte":-1},"where":{"direction":"to_client"},"budget":1})",
            "stream_broken"},
        Trouble{"repeat",
                R"({"fault":"repeat_frame","where":{"direction":"to_client"},"budget":1})",
                "stream_broken"},
        Trouble{"swap", R"({"fault":"swap_frames","where":{"direction":"to_client"},"budget":1})",
                "stream_broken", "connecting", 90s},
        Trouble{"oversize", R"({"fault":"oversize","where":{"direction":"to_client"},"budget":1})",
                "dead_socket"},
        Trouble{
            "corrupt to server",
            R"({"fault":"corrupt","args":{"flip_byte":0},"where":{"direction":"to_server"},"budget":1})",
            "connection_lost"},
        Trouble{"repeat to server",
                R"({"fault":"repeat_frame","where":{"direction":"to_server"},"budget":1})",
                "connection_lost"},
        Trouble{"swap to server",
                R"({"fault":"swap_frames","where":{"direction":"to_server"},"budget":1})",
                "connection_lost"}));

/// The fault hits the next connection, after a reset.
class SpoiltAttemptTest : public testing::TestWithParam<Trouble> {};

TEST_P(SpoiltAttemptTest, IsRepeatedUntilOneSucceedsWithTheSameCredentials) {
  recovers(GetParam(), true);
}

INSTANTIATE_TEST_SUITE_P(
    Handshakes, SpoiltAttemptTest,
    testing::Values(
        Trouble{"stall header", R"({"fault":"stall","args":{"stage":"header"},"budget":1})",
                "handshake_timeout"},
        Trouble{"stall hello", R"({"fault":"stall","args":{"stage":"hello"},"budget":1})",
                "handshake_timeout"},
        Trouble{"stall finish", R"({"fault":"stall","args":{"stage":"finish"},"budget":1})",
                "login_timeout"},
        Trouble{"certificate",
                R"({"fault":"certificate","args":{"of":"leaf","field":"signature"},"budget":1})",
                "bad_certificate", "config_error", 10s, 100s},
        Trouble{
            "no intermediate",
            R"({"fault":"certificate","args":{"of":"intermediate","field":"all","kind":"missing"},"budget":1})",
            "bad_certificate", "config_error", 10s, 100s},
        Trouble{"oversize before login",
                R"({"fault":"oversize","where":{"direction":"to_client"},"budget":1})",
                "stream_broken"}));

INSTANTIATE_TEST_SUITE_P(
    Upgrades, SpoiltAttemptTest,
    testing::Values(
        Trouble{"400", R"({"fault":"upgrade","args":{"status":400},"budget":1})", "http_status"},
        Trouble{"401", R"({"fault":"upgrade","args":{"status":401},"budget":1})", "http_status"},
        Trouble{"403", R"({"fault":"upgrade","args":{"status":403},"budget":1})", "http_status"},
        Trouble{"404", R"({"fault":"upgrade","args":{"status":404},"budget":1})", "http_status"},
        Trouble{"429", R"({"fault":"upgrade","args":{"status":429},"budget":1})", "http_status"},
        Trouble{"500", R"({"fault":"upgrade","args":{"status":500},"budget":1})", "http_status"},
        Trouble{"503", R"({"fault":"upgrade","args":{"status":503},"budget":1})", "http_status"},
        Trouble{"hang", R"({"fault":"upgrade","args":{"hang":true},"budget":1})", "dial_failed"}));

INSTANTIATE_TEST_SUITE_P(
    Tls, SpoiltAttemptTest,
    testing::Values(
        Trouble{"expired", R"({"fault":"tls","args":{"kind":"expired"},"budget":1})",
                "dial_failed"},
        Trouble{"not yet valid", R"({"fault":"tls","args":{"kind":"not_yet_valid"},"budget":1})",
                "dial_failed"},
        Trouble{"self signed", R"({"fault":"tls","args":{"kind":"self_signed"},"budget":1})",
                "dial_failed"},
        Trouble{"wrong name", R"({"fault":"tls","args":{"kind":"wrong_name"},"budget":1})",
                "dial_failed"},
        Trouble{"unknown ca", R"({"fault":"tls","args":{"kind":"unknown_ca"},"budget":1})",
                "dial_failed"},
        Trouble{"hang", R"({"fault":"tls","args":{"kind":"hang"},"budget":1})", "dial_failed"},
        Trouble{"cut", R"({"fault":"tls","args":{"kind":"cut"},"budget":1})", "dial_failed"}));

TEST(SpoiltAttemptTest, ACertificateThatStaysBadIsTriedSlowly) {
  Stage stage;
  ASSERT_TRUE(stage.pairs());
  stage.fault(record(R"({"id":"c","fault":"certificate","args":{"field":"key"}})"));
  const auto id = stage.world.server().connections().at(0).id;
  stage.world.server().command(mock::CloseConnection{id, "rst"}, "close");
  ASSERT_TRUE(stage.passes(1h));
  EXPECT_EQ(stage.device.state(), "config_error");
  EXPECT_LE(stage.world.server().connects("shop-1"), 2u + 15u);
  stage.world.server().remove_fault("c");
  ASSERT_TRUE(stage.reaches("connected", 15min));
  EXPECT_THAT(stage.conclude(), IsEmpty());
}

TEST(SpoiltAttemptTest, AnUpgradeThatHangsMayBeCut) {
  for (const char* how : {"fin", "rst"}) {
    SCOPED_TRACE(how);
    Stage stage;
    stage.fault(record(R"({"fault":"upgrade","args":{"hang":true},"budget":1})"));
    stage.fault({{"fault", "close"}, {"args", {{"how", how}}}, {"when", {{"after", "3s"}}}});
    stage.device.start();
    ASSERT_TRUE(stage.reaches("connecting", 4s, "dial_failed"));
    ASSERT_TRUE(stage.shows_qr(10s));
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
}

TEST(SpoiltAttemptTest, AnUnpairedDevicePairsOnceTheServerAnswers) {
  for (const char* text : {R"({"fault":"upgrade","args":{"status":503},"budget":2})",
                           R"({"fault":"tls","args":{"kind":"expired"},"budget":2})",
                           R"({"fault":"stall","args":{"stage":"hello"},"budget":1})",
                           R"({"fault":"upgrade","args":{"hang":true},"budget":1})"}) {
    SCOPED_TRACE(text);
    Stage stage;
    stage.fault(record(text));
    stage.device.start();
    ASSERT_TRUE(stage.shows_qr(1min));
    ASSERT_TRUE(stage.scans());
    ASSERT_TRUE(stage.reaches("connected", 10s));
    EXPECT_THAT(stage.conclude(), IsEmpty());
  }
}

// ---- an end at any moment -----------------------------------------------------------------------

TEST(CloseFaultTest, AnEndAtAnyMomentOfPairingOrLoginIsRecoveredFrom) {
  for (const char* how : {"fin", "rst"}) {
    for (const char* event :
         {"connected", "handshake", "registration", "pair_device", "login", "success", "active"}) {
      SCOPED_TRACE(std::string(how) + " at " + event);
      Stage stage;
      stage.fault({{"fault", "close"}, {"args", {{"how", how}}}, {"when", {{"on_event", event}}}});
      stage.device.start();
      ASSERT_TRUE(stage.passes(10s));
      stage.picture = *stage.device.qr().png();
      ASSERT_TRUE(stage.scans());
      ASSERT_TRUE(stage.outcome->value());
      Wait up = Wait::until(
          stage.world, "shop-1 is connected for good",
          [&] { return stage.device.state() == "connected"; }, 1min);
      ASSERT_TRUE(stage.passes(10s));
      ASSERT_TRUE(stage.holds(await(stage.world, up)));
      EXPECT_THAT(stage.conclude(), IsEmpty());
    }
  }
}

}  // namespace
}  // namespace wa::sim

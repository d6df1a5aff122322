// Server, phones, devices, expectations and gates.

#include <gmock/gmock.h>
#include <boost/json/serialize.hpp>

#include "engine/qr/qr.hpp"
#include "mockserver/camera/camera.hpp"
#include "scenarios/stage/scripted_world.hpp"
#include "tests/support/test_support.hpp"

namespace wa::stage {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> kinds(const std::vector<Failure>& failures) {
  std::vector<std::string> out;
  for (const Failure& failure : failures) {
    out.push_back(failure.kind + (failure.rule.empty() ? "" : " " + failure.rule));
  }
  return out;
}

// ---- phones ----

TEST(PhoneTest, ThePixelsDecideWhatIsScanned) {
  ScriptedWorld world;
  Phone& phone = **world.server().phone("15550100001");
  for (const std::string text : {"a code", "another code"}) {
    (void)phone.scan(*QrPicture::from_text(text).png());
    EXPECT_EQ(std::get<mock::Scan>(world.commands.back()).qr_text, text);
  }
  // A picture from elsewhere, with the same file around other pixels.
  (void)phone.scan(*qr::to_png("written by somebody else", {.pixels_per_module = 7}));
  EXPECT_EQ(std::get<mock::Scan>(world.commands.back()).qr_text, "written by somebody else");
}

TEST(PhoneTest, TextInThePlaceOfAPictureIsNotScanned) {
  ScriptedWorld world;
  Phone& phone = **world.server().phone("15550100001");
  const std::size_t commands = world.commands.size();
  const OutcomePtr outcome = phone.scan(as_bytes("2@ref,key,identity,secret,1"));
  ASSERT_TRUE(outcome->problem());
  EXPECT_EQ(outcome->problem()->status, 422);
  EXPECT_EQ(outcome->problem()->code, "bad_picture");
  EXPECT_EQ(world.commands.size(), commands);
}

TEST(PhoneTest, APictureWithDamagedPixelsIsNoCode) {
  ScriptedWorld world;
  Phone& phone = **world.server().phone("15550100001");
  Bytes png = *QrPicture::from_text("a code").png();
  png[png.size() / 2] ^= std::byte{0xff};
  const OutcomePtr outcome = phone.scan(png);
  ASSERT_TRUE(outcome->problem());
  EXPECT_EQ(outcome->problem()->status, 422);
}

TEST(PhoneTest, ACodeIsTypedAsItIsAndInNoTrace) {
  ScriptedWorld world(true);
  Phone& phone = **world.server().phone("15550100001");
  const OutcomePtr outcome = phone.enter_code("ABCD-1234");
  const auto& entered = std::get<mock::EnterPairingCode>(world.commands.back());
  EXPECT_EQ(entered.code, "ABCD-1234");
  EXPECT_EQ(entered.phone, phone.id());
  EXPECT_EQ(outcome->what, "pairing code typed into phone 15550100001");
  for (const std::string& line : world.trace().lines()) EXPECT_THAT(line, Not(HasSubstr("ABCD")));
}

TEST(PhoneTest, ANumberHasOnePhone) {
  ScriptedWorld world;
  Phone* first = *world.server().phone("15550100001");
  EXPECT_EQ(*world.server().phone("15550100001"), first);
  EXPECT_FALSE(first->id().empty());
  EXPECT_EQ(world.server().phone("not a number").error().code, Errc::usage);
}

// ---- server ----

TEST(ServerTest, TheLastCloseIsWhatTheServerDid) {
  using mock::EventKind;
  ScriptedWorld world;
  Server& server = world.server();
  EXPECT_FALSE(server.last_close("shop-1"));
  server.record(Instant(1ms), {EventKind::connected, 1, "shop-1", {}});
  server.record(Instant(2ms), {EventKind::closed,
                               1,
                               "shop-1",
                               {{"by", "server"}, {"detail", "stream:error code=\"515\""}}});
  server.record(Instant(3ms), {EventKind::connected, 2, "shop-1", {}});
  server.record(Instant(4ms),
                {EventKind::closed, 2, "shop-1", {{"by", "client"}, {"detail", "x"}}});
  ASSERT_TRUE(server.last_close("shop-1"));
  EXPECT_EQ(server.last_close("shop-1")->code, 515);
  EXPECT_EQ(server.last_close("shop-1")->at, Instant(2ms));
  EXPECT_EQ(server.connects("shop-1"), 2u);
  EXPECT_EQ(server.connects("shop-2"), 0u);

  server.record(Instant(5ms), {EventKind::connected, 3, "shop-1", {}});
  server.record(
      Instant(6ms),
      {EventKind::closed, 3, "shop-1", {{"by", "server"}, {"detail", "QR refs used up"}}});
  EXPECT_EQ(server.last_close("shop-1")->code, std::nullopt);
}

TEST(ServerTest, AFaultThatCannotBeReadSaysSo) {
  ScriptedWorld world;
  EXPECT_EQ(world.server().fault({{"fault", "strem_error"}}).error().code, Errc::usage);
}

// ---- devices ----

client::Status status(client::State state) {
  client::Status made;
  made.state = state;
  return made;
}

TEST(DeviceTest, AStatusBecomesEntries) {
  const Now now{Instant(1s), UnixMillis{0}};
  client::Status waiting = status(client::State::waiting_for_scan);
  waiting.qr = client::QrOnShow{"secret", 1, Instant(61s), Instant(161s), false};
  auto entries = entries_of(status(client::State::connecting), waiting, now);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(describe(entries[0]), "state waiting_for_scan");
  EXPECT_EQ(entries[1].data.at("expires_ms"), 60'000);
  EXPECT_EQ(entries[1].data.at("window_ms"), 160'000);

  client::Status stale = waiting;
  stale.qr->stale = true;
  entries = entries_of(waiting, stale, now);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(describe(entries[0]), "qr 1 (stale)");

  client::Status counted = waiting;
  counted.attempts = 2;
  entries = entries_of(waiting, counted, now);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].kind, "status");

  client::Status expired = status(client::State::qr_expired);
  expired.last_close = client::LastClose{408, "QR refs attempts ended", UnixMillis{0}};
  entries = entries_of(waiting, expired, now);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].data.at("code"), 408);
  EXPECT_EQ(entries[1].kind, "qr_gone");
  EXPECT_TRUE(entries_of(expired, expired, now).empty());
}

TEST(DeviceTest, NoEntryHoldsTheTextOfTheCode) {
  client::Status waiting = status(client::State::waiting_for_scan);
  waiting.qr = client::QrOnShow{"the-secret-text", 1, Instant(61s), Instant(161s), false};
  ScriptedWorld world(true);
  ScriptedDevice& device = world.add_device("shop-1");
  for (Entry& entry : entries_of({}, waiting, world.now())) {
    EXPECT_THAT(boost::json::serialize(entry.data), Not(HasSubstr("secret")));
    device.push(std::move(entry));
  }
  for (const std::string& line : world.trace().lines()) EXPECT_THAT(line, Not(HasSubstr("secret")));
  EXPECT_EQ(*mock::camera::read_picture(*device.qr().png()), "the-secret-text");
}

TEST(DeviceTest, APairingCodeComesAndGoesAndIsInNoTrace) {
  client::Status waiting = status(client::State::waiting_for_scan);
  waiting.pairing_code = client::PairingCodeOnShow{"ABCD1234", 2, Instant(180s)};
  ScriptedWorld world(true);
  ScriptedDevice& device = world.add_device("shop-1");
  const auto show = [&](const client::Status& before, const client::Status& after) {
    std::vector<std::string> shown;
    for (Entry& entry : entries_of(before, after, Now{Instant(1s), {}})) {
      shown.push_back(describe(entry));
      EXPECT_THAT(boost::json::serialize(entry.data), Not(HasSubstr("ABCD")));
      if (entry.kind == "pairing_code") {
        EXPECT_EQ(entry.data.at("expires_ms"), 179'000);
      }
      device.push(std::move(entry));
    }
    return shown;
  };
  EXPECT_THAT(show(status(client::State::waiting_for_scan), waiting),
              ElementsAre("pairing_code 2"));
  EXPECT_EQ(device.pairing_code(), "ABCD1234");
  client::Status gone = waiting;
  gone.pairing_code.reset();
  EXPECT_THAT(show(waiting, gone), ElementsAre("pairing_code_gone"));
  EXPECT_EQ(device.pairing_code(), "");
  (void)show(gone, waiting);
  (void)show(waiting, status(client::State::connected));
  EXPECT_EQ(device.pairing_code(), "");
  for (const std::string& line : world.trace().lines()) EXPECT_THAT(line, Not(HasSubstr("ABCD")));
}

TEST(DeviceTest, RemembersTheLastCloseAndEveryState) {
  ScriptedWorld world;
  ScriptedDevice& device = world.add_device("shop-1");
  EXPECT_EQ(device.state(), "disconnected");
  EXPECT_FALSE(device.last_close());
  device.push({Instant(1ms), "state", {{"state", "connecting"}}, {}});
  device.push(
      {Instant(2ms),
       "state",
       {{"state", "connecting"}, {"reason", "finishing"}, {"code", 515}, {"cause", "stream:error"}},
       {}});
  device.push({Instant(3ms), "state", {{"state", "connected"}, {"attempts", 3}}, {}});
  EXPECT_THAT(device.states(), ElementsAre("connecting", "connected"));
  EXPECT_EQ(device.last_close()->at("code"), 515);
  EXPECT_EQ(device.attempts(), 3u);
  device.push({Instant(4ms), "killed", {}, {}});
  EXPECT_EQ(device.state(), "");
  device.push({Instant(5ms), "state", {{"state", "connected"}}, {}});
  EXPECT_THAT(device.states(), ElementsAre("connecting", "connected", "connected"));
}

TEST(DeviceTest, AnUnknownStateNamesTheNearest) {
  EXPECT_TRUE(check_state_word("connected"));
  EXPECT_THAT(check_state_word("conected").error().detail,
              HasSubstr("did you mean \"connected\"?"));
}

// ---- expectations ----

TEST(ExpectationTest, HoldsOrSaysWhatItFound) {
  Expectations expect;
  EXPECT_TRUE(expect.that(2, "device.connects", "a.lua:1").equals(2));
  EXPECT_TRUE(expect.that(2.0, "x", "").equals(2));
  EXPECT_TRUE(expect.that("abc", "x", "").contains("bc"));
  EXPECT_TRUE(expect.that({1, 2}, "x", "").contains(2.0));
  EXPECT_TRUE(expect.that(nullptr, "x", "").is_nil());
  EXPECT_TRUE(expect.that(5, "x", "").at_least(5));
  EXPECT_TRUE(expect.that(5, "x", "").at_most(5));
  EXPECT_TRUE(expect.failures().empty());

  EXPECT_FALSE(expect.that(3, "device.connects", "a.lua:7").equals(2));
  EXPECT_FALSE(expect.that("2", "x", "").equals(2));
  EXPECT_FALSE(expect.that("5", "x", "").at_least(5));
  EXPECT_FALSE(expect.that(nullptr, "x", "").is_not_nil());
  EXPECT_FALSE(expect.that("abc", "x", "").contains("d"));
  ASSERT_EQ(expect.failures().size(), 5u);
  EXPECT_EQ(to_string(expect.failures()[0]),
            "a.lua:7: device.connects is not what was expected (expected 2, found 3)");
}

TEST(ExpectationTest, NeverLooksFromTheFirstStartToTheEnd) {
  ScriptedWorld world;
  ScriptedDevice& device = world.add_device("shop-1");
  device.push({Instant(1ms), "state", {{"state", "banned"}}, {}});
  device.start();
  device.push({Instant(2ms), "state", {{"state", "connected"}}, {}});
  Expectations expect;
  expect.never(device, "banned", "a.lua:3");
  expect.never(device, "disconnected", "a.lua:4");
  // After the expectation was written down, too.
  device.push({Instant(3ms), "state", {{"state", "disconnected"}, {"reason", "gave_up"}}, {}});
  const auto failures = conclude(world, {}, expect);
  ASSERT_EQ(kinds(failures), std::vector<std::string>{"never"});
  EXPECT_EQ(failures[0].where, "a.lua:4");
  EXPECT_EQ(failures[0].found, "state disconnected (gave_up) at 3ms");
}

// ---- gates ----

TEST(GateTest, AnUndeclaredViolationFails) {
  const mock::Violation frame{"frame", 1, "shop-1", "too long", ""};
  const mock::Violation node{"node", 1, "shop-1", "no tag", ""};
  EXPECT_THAT(kinds(undeclared_violations({frame, node}, {})),
              ElementsAre("violation frame", "violation node"));
  EXPECT_THAT(
      kinds(undeclared_violations({frame, node}, {.violations = {"frame"}, .invariants = {}})),
      ElementsAre("violation node"));
  EXPECT_THAT(kinds(undeclared_violations({}, {})), ElementsAre());
}

TEST(GateTest, AnUnusedAllowanceFails) {
  EXPECT_THAT(kinds(undeclared_violations({}, {.violations = {"frame"}, .invariants = {}})),
              ElementsAre("allowance frame"));
  ScriptedWorld world;
  Expectations expect;
  Scenario scenario;
  scenario.allow.invariants = {"fresh-qr"};
  EXPECT_THAT(kinds(conclude(world, scenario, expect)), ElementsAre("allowance fresh-qr"));
}

TEST(GateTest, AnAllowedInvariantMayBreakAndNoOther) {
  ScriptedWorld world;
  world.at_finish = {{"invariant", "fresh-qr: …", {}, {}, {}, "fresh-qr"},
                     {"invariant", "quiet-end: …", {}, {}, {}, "quiet-end"}};
  Expectations expect;
  Scenario scenario;
  scenario.allow.invariants = {"fresh-qr"};
  EXPECT_THAT(kinds(conclude(world, scenario, expect)), ElementsAre("invariant quiet-end"));
}

TEST(GateTest, AFaultThatNeverFiredFailsUnlessOptional) {
  ScriptedWorld world;
  Server& server = world.server();
  ASSERT_TRUE(server.fault({{"id", "f1"}, {"fault", "close"}, {"when", {{"manual", true}}}}));
  ASSERT_TRUE(server.fault(
      {{"id", "f2"}, {"fault", "refs"}, {"args", {{"count", 1}}}, {"optional", true}}));
  ASSERT_TRUE(server.fault({{"id", "f3"}, {"fault", "close"}, {"when", {{"manual", true}}}}));
  // Taking a fault away does not make it have fired.
  ASSERT_TRUE(server.remove_fault("f3")->value());
  Expectations expect;
  EXPECT_THAT(kinds(conclude(world, {}, expect)), ElementsAre("fault f3", "fault f1"));
}

TEST(GateTest, SettingsAreReadFromTheScenario) {
  Scenario scenario;
  scenario.server = {{"refs.count", "2"}, {"refs.first", "5s"}};
  const auto settings = settings_of(scenario, "fast");
  ASSERT_TRUE(settings) << settings.error();
  EXPECT_EQ(settings->refs_count, 2u);
  EXPECT_EQ(settings->refs_first, 5s);
  EXPECT_EQ(settings->restart_delay, 0s);
  scenario.server = {{"refs.cuont", "2"}};
  EXPECT_THAT(settings_of(scenario).error().detail, HasSubstr("refs.count"));
}

TEST(TimeScaleTest, HasAFloorForEachKind) {
  const TimeScale fast = TimeScale::loopback(0.02);
  EXPECT_EQ(fast.apply(60s, DurationKind::delay), 1200ms);
  EXPECT_EQ(fast.apply(100ms, DurationKind::delay), 20ms);
  EXPECT_EQ(fast.apply(5s, DurationKind::deadline), 250ms);
  EXPECT_EQ(fast.apply(2s, DurationKind::within), 500ms);
  EXPECT_EQ(fast.apply(0s, DurationKind::delay), 0s);
  EXPECT_EQ(TimeScale::sim().apply(1ms, DurationKind::within), 1ms);
  TimeScale patient = fast;
  patient.shortest_within = 5s;
  EXPECT_EQ(patient.apply(10s, DurationKind::within), 5s);
  EXPECT_EQ(patient.apply(10min, DurationKind::within), 12s);
  EXPECT_EQ(patient.apply(10s, DurationKind::deadline), 250ms);
}

TEST(TimeScaleTest, DurationsReadWell) {
  EXPECT_EQ(to_text(24h), "24h");
  EXPECT_EQ(to_text(90s), "90s");
  EXPECT_EQ(to_text(1250ms), "1.25s");
  EXPECT_EQ(to_text(40ms), "40ms");
  EXPECT_EQ(to_text(0s), "0s");
}

}  // namespace
}  // namespace wa::stage

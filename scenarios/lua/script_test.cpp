#include "scenarios/lua/script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/sim/world.hpp"
#include "scenarios/stage/gates.hpp"

namespace wa::lua {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Played {
  std::vector<std::string> failures;
  std::string script_error;
  std::string printed;
  std::string hash;
};

/// Plays the text, with this plan if it is not null; `declared` gets the plan of what was played.
Played play_plan(const std::string& text, std::shared_ptr<const stage::Plan> plan,
                 stage::Plan* declared = nullptr) {
  Script script("test.lua", text, 1);
  EXPECT_TRUE(script.declare());
  script.use(std::move(plan));
  sim::World world({{}, 1, false, {}});
  Outcome outcome = script.play(world);
  if (declared != nullptr) *declared = script.declared();
  Played played{{}, outcome.script_error, outcome.printed, world.trace().hash()};
  for (const stage::Failure& failure : outcome.failures)
    played.failures.push_back(to_string(failure));
  return played;
}

Result<Played> try_play(std::string_view text, std::uint64_t seed = 1,
                        std::uint64_t flipped_message = 0) {
  Script script("test.lua", std::string(text), seed);
  WA_TRY(const Declaration declaration, script.declare());
  WA_TRY(mock::Settings settings, stage::settings_of(declaration.scenario));
  sim::World world({std::move(settings), seed, false, {}});
  if (flipped_message > 0) world.flip_byte(flipped_message);
  Outcome outcome = script.play(world);
  Played played{{}, outcome.script_error, outcome.printed, world.trace().hash()};
  for (const stage::Failure& failure : outcome.failures)
    played.failures.push_back(to_string(failure));
  return played;
}

/// Plays it with a phone, a device and scenario{} in front, all on line 1.
Played play(std::string_view text) {
  auto played = try_play(
      "scenario { name = 'test' } local phone = server:phone { number = '15550100001' } "
      "local device = engine:device 'shop-1' " +
      std::string(text));
  if (!played) return {{"unreadable: " + played.error().detail}, "", "", ""};
  return std::move(*played);
}
std::vector<std::string> failures(std::string_view text) {
  return play(text).failures;
}

constexpr const char* kPair =
    "device:start() local qr = device:await_qr() phone:scan(qr) device:await('connected') ";

std::string paired(std::string_view text) {
  return std::string(kPair) + std::string(text);
}

std::string unreadable(std::string_view text) {
  Script script("test.lua", std::string(text), 1);
  const auto declaration = script.declare();
  return declaration ? "read" : declaration.error().detail;
}

// ---- declaring ----

TEST(ScriptTest, AFileThatCannotBeReadSaysWhereAndWhy) {
  EXPECT_THAT(unreadable("scenario { name = 'a'"), StartsWith("test.lua:1: "));
  EXPECT_THAT(unreadable("local a = 1"), HasSubstr("has no scenario"));
  EXPECT_THAT(unreadable("\nserver:phone { number = '1' }"),
              AllOf(StartsWith("test.lua:2: "), HasSubstr("must be the first call")));
  EXPECT_THAT(unreadable("scenario { nane = 'a' }"),
              AllOf(StartsWith("test.lua:1: "), HasSubstr("did you mean \"name\"?")));
  EXPECT_THAT(unreadable("scenario { tags = {'a'} }"), HasSubstr("needs a name"));
  EXPECT_THAT(unreadable("scenario { name = 'a', server = { refs = { cuont = 1 } } }"),
              HasSubstr("did you mean \"refs.count\"?"));
  EXPECT_THAT(unreadable("scenario { name = 'a', server = { restart_delay = 5 } }"),
              HasSubstr("restart_delay"));
  EXPECT_THAT(unreadable("scenario { name = 'a', modes = {'sim'} }"), HasSubstr("modes_reason"));
  EXPECT_THAT(unreadable("scenario { name = 'a', modes = {'simm'} }"),
              HasSubstr("did you mean \"sim\"?"));
  EXPECT_THAT(unreadable("scenario { name = 'a', loopback_scale = 0 }"),
              HasSubstr("loopback_scale"));
  EXPECT_THAT(unreadable("scenario { name = 'a', allow = { violations = {'hedaer'} } }"),
              HasSubstr("did you mean \"header\"?"));
  EXPECT_THAT(unreadable("scenario { name = 'a', needs = {'host_fault'} }"),
              HasSubstr("did you mean \"host_faults\"?"));
  EXPECT_THAT(unreadable("while true do end"),
              AllOf(StartsWith("test.lua:1: "), HasSubstr("endless loop")));
}

TEST(ScriptTest, ADeclarationStopsTheFileThere) {
  Script script(
      "test.lua",
      "scenario { name = 'a name', tags = {'x', 'y'}, server = { refs = { first = '30s' }, "
      "restart_delay = '0s',"
      " ['refs.count'] = 3 }, loopback_scale = 1/50, symptom = 'QR refs' } error('never')",
      1);
  const auto declaration = script.declare();
  ASSERT_TRUE(declaration) << declaration.error();
  const stage::Scenario& scenario = declaration->scenario;
  EXPECT_EQ(scenario.name, "a name");
  EXPECT_THAT(scenario.tags, ElementsAre("x", "y"));
  EXPECT_THAT(scenario.symptom, ElementsAre("QR refs"));
  EXPECT_DOUBLE_EQ(scenario.loopback_scale, 0.02);
  EXPECT_TRUE(declaration->sets_loopback_scale);
  const auto settings = stage::settings_of(scenario);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->refs_count, 3u);
  EXPECT_EQ(settings->refs_first, std::chrono::seconds(30));
}

TEST(ScriptTest, TheExampleOfTheGuideHolds) {
  const auto played = try_play(R"(
scenario {
  name = "a restart right after pairing is a login",
  tags = { "pairing", "515", "FB-001" },
  server = { refs = { count = 6, first = "60s", rest = "20s" } },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"

device:start()
local qr = device:await_qr { within = "2s" }        -- PNG bytes, as a user would see them
phone:scan(qr)                                      -- ZXing reads the pixels
device:await("connected", { within = "10s" })
expect(device.connects):equals(2)
expect(device.last_close.code):equals(515)
expect.never(device, "disconnected")                -- from start() to the end
)");
  ASSERT_TRUE(played) << played.error();
  EXPECT_THAT(played->failures, IsEmpty());
}

// ---- what names mean ----

TEST(ScriptTest, UnknownNamesRaiseWithTheNearest) {
  for (const auto& [text, expected] : std::vector<std::pair<const char*, const char*>>{
           {"device:strat()", "device has no \"strat\"; did you mean \"start\"?"},
           {"return device.conects", "did you mean \"connects\"?"},
           {"server:phnoe {}", "did you mean \"phone\"?"},
           {"enigne:device 'x'", "there is no \"enigne\"; did you mean \"engine\"?"},
           {"device:await('conected')", "did you mean \"connected\"?"},
           {"device:await('connected', { whitin = '1s' })", "did you mean \"within\"?"},
           {"engine:device('b', { auto_renew = 1 })", "did you mean \"auto_renew_qr\"?"},
           {"server:await('loggin')", "did you mean \"login\"?"},
           {"server:fault { fault = 'stream_eror', args = { code = 515 } }",
            "did you mean \"stream_error\"?"},
           {"server:fault { fautl = 'close' }", "did you mean \"fault\"?"},
           {"expect(1):equal(1)", "did you mean \"equals\"?"},
           {"expect.nevr(device, 'connected')", "did you mean \"never\"?"},
           {"expect.never(device, 'conected')", "did you mean \"connected\"?"},
           {"device.start()", "called with a colon"},
           {"device.state = 'x'", "cannot be changed"},
           {"device:await_qr { within = 2 }", "a duration with a unit"},
           {"device:start { pairing_nmuber = '15550100001' }", "did you mean \"pairing_number\"?"},
           {"scenario { name = 'again' }", "called once"}}) {
    SCOPED_TRACE(text);
    const Played played = play(text);
    ASSERT_EQ(played.failures.size(), 1u);
    EXPECT_THAT(played.failures[0], AllOf(StartsWith("test.lua:1: "), HasSubstr(expected)));
    EXPECT_EQ(played.script_error, "usage");
  }
}

TEST(ScriptTest, ErrorsOfLuaItselfAreFailuresWithTheirPlace) {
  const Played played = play("\n\nlocal x = nil\nreturn x.y");
  EXPECT_THAT(played.failures, ElementsAre(StartsWith("test.lua:4: attempt to index a nil value")));
  EXPECT_EQ(played.script_error, "");
  EXPECT_THAT(failures("\nerror({})"),
              ElementsAre(StartsWith("test.lua:2: the script raised a table")));
}

TEST(ScriptTest, AnEndlessLoopEndsTheRun) {
  EXPECT_THAT(failures("\nwhile true do end"),
              ElementsAre(AllOf(StartsWith("test.lua:2: "), HasSubstr("endless loop"))));
  EXPECT_THAT(failures("\nwhile true do pcall(parallel, function() while true do end end) end"),
              ElementsAre(AllOf(StartsWith("test.lua:2: "), HasSubstr("endless loop"))));
  EXPECT_THAT(failures("expect.error(function() while true do end end):code('error')"),
              ElementsAre(HasSubstr("endless loop")));
}

TEST(ScriptTest, TheBudgetIsFilledAtEveryWait) {
  EXPECT_THAT(failures("for i = 1, 12 do for k = 1, 1e6 do end pause '1ms' end"), IsEmpty());
}

TEST(ScriptTest, MemoryThatRunsOutHasAPlace) {
  EXPECT_THAT(failures("\nlocal t = {} for i = 1, 1e7 do t[i] = {i} end"),
              ElementsAre(AllOf(StartsWith("test.lua:2: "), HasSubstr("memory"))));
}

// ---- waits ----

TEST(ScriptTest, AWaitThatTimesOutSaysWhatDidArrive) {
  EXPECT_THAT(
      failures("device:start()\ndevice:await('connected', { within = '3s' })"),
      ElementsAre(
          AllOf(StartsWith(
                    "test.lua:2: device shop-1: state connected did not come within 3s. Arrived: "),
                HasSubstr("state waiting_for_scan"), HasSubstr("qr 1"))));
}

TEST(ScriptTest, AwaitYieldsWhatItFound) {
  EXPECT_THAT(
      failures(paired(
          "expect(device.jid):is_not_nil() local login = server:await('login', {device = device}) "
          "expect(login.device):equals('shop-1') expect(#server:history('login')):equals(1) "
          "expect(device.states):equals({'connecting', 'waiting_for_scan', 'connecting', "
          "'connected'})")),
      IsEmpty());
}

TEST(ScriptTest, TimePassesInAPause) {
  EXPECT_THAT(failures(paired("pause '24h' expect(device.state):equals('connected')")), IsEmpty());
}

TEST(ScriptTest, InspectAndItsFieldsWait) {
  EXPECT_THAT(failures("expect(device.credentials):is_nil() " +
                       paired("local c = device.credentials expect(#c):equals(64) "
                              "expect(device:inspect().credentials):equals(c) "
                              "expect(device.stored):contains('credentials')")),
              IsEmpty());
  EXPECT_THAT(failures(paired("return device:inspect().credentails")),
              ElementsAre(HasSubstr("did you mean \"credentials\"?")));
}

TEST(ScriptTest, AWaitCannotStandWhereNobodyCanYield) {
  EXPECT_THAT(failures("table.sort({1, 2}, function() pause '1s' end)"),
              ElementsAre(HasSubstr("a wait cannot stand")));
}

TEST(ScriptTest, ParallelRunsSideBySide) {
  const Played played = play(
      "local other = engine:device 'shop-2' local second = server:phone { number = '15550100002' } "
      "local function link(d, p) return function() d:start() p:scan(d:await_qr()) d:await "
      "'connected' return d.name end end "
      "local a, b = parallel(link(device, phone), link(other, second)) print(a, b) "
      "local order = '' parallel(function() pause '2s' order = order .. 'a' end, function() pause "
      "'1s' order = order .. 'b' end) print(order)");
  EXPECT_THAT(played.failures, IsEmpty());
  EXPECT_EQ(played.printed, "test.lua:1: shop-1\tshop-2\ntest.lua:1: ba\n");
}

TEST(ScriptTest, AFailureInParallelEndsTheOthers) {
  EXPECT_THAT(
      failures("parallel(function() pause '1h' error('late') end,\nfunction() error('early') end)"),
      ElementsAre(StartsWith("test.lua:2: early")));
  EXPECT_THAT(failures("expect.error(function() parallel(function() phone:scan('no picture') end, "
                       "function() pause '1h' end) end)"
                       ":code('bad_picture')"),
              IsEmpty());
  EXPECT_THAT(failures("parallel(function() parallel(function() pause '1h' end) end, function() "
                       "device:await('connected', {within = '1s'}) end)"),
              ElementsAre(HasSubstr("did not come within 1s")));
}

// ---- expectations ----

TEST(ScriptTest, ExpectationsSayWhatWasExpectedAndFound) {
  EXPECT_THAT(
      failures("expect(device.connects):equals(2)\nexpect(#'abc'):at_least(4) "
               "expect('abc'):contains('x')"),
      ElementsAre("test.lua:1: device.connects is not what was expected (expected 2, found 0)",
                  "test.lua:2: #'abc' is not what was expected (expected at least 4, found 3)",
                  HasSubstr("expected something with \"x\", found \"abc\"")));
  EXPECT_THAT(failures("expect(2):equals(2.0) expect({1, 2}):equals({1, 2}) expect({1, "
                       "2}):contains(2) expect(1):differs(2) "
                       "expect(3):at_most(3) expect(true):is_true() expect(nil):is_nil() expect({a "
                       "= 1}):contains('a')"),
              IsEmpty());
  EXPECT_THAT(failures("expect(1):is_true() expect(1):differs(1) expect(4):at_most(3) "
                       "expect(1):is_nil() expect({}):contains(1)"),
              testing::SizeIs(5));
}

TEST(ScriptTest, PicturesAreComparedWithoutBeingPrinted) {
  EXPECT_THAT(failures("device:start() local qr = device:await_qr() expect(qr):equals(device.qr)"),
              IsEmpty());
  EXPECT_THAT(failures("device:start() local qr = device:await_qr() expect(qr):differs(device.qr)"),
              ElementsAre(AllOf(HasSubstr("bytes, sha256 "), testing::Not(HasSubstr("PNG")))));
}

TEST(ScriptTest, NeverIsJudgedAtTheEnd) {
  EXPECT_THAT(failures(paired("expect.never(device, 'waiting_for_scan')")),
              ElementsAre(HasSubstr("never waiting_for_scan")));
  EXPECT_THAT(failures(paired("expect.never(device, 'logged_out')")), IsEmpty());
}

TEST(ScriptTest, ExpectedErrorsAreNamedByTheirCode) {
  EXPECT_THAT(failures("expect.error(function() phone:scan('x') end):code('bad_picture')"),
              IsEmpty());
  EXPECT_THAT(failures("expect.error(function() phone:scan('x') end):code('stale_ref')"),
              ElementsAre(AllOf(HasSubstr("another error was raised"),
                                HasSubstr("expected stale_ref, found bad_picture"))));
  EXPECT_THAT(failures("expect.error(function() end):code('stale_ref')"),
              ElementsAre(HasSubstr("was expected to raise")));
  EXPECT_THAT(failures("expect.error(function() phone:scan('x') end)"),
              ElementsAre(HasSubstr("add :code(\"bad_picture\")")));
  EXPECT_THAT(failures("expect.error(function() device:await('connected', {within = '1s'}) "
                       "end):code('timed_out')"),
              IsEmpty());
}

// ---- the gates ----

TEST(ScriptTest, AFaultThatNeverFiredFails) {
  EXPECT_THAT(
      failures(paired("server:fault { id = 'f', fault = 'close', when = { manual = true } }")),
      ElementsAre(HasSubstr("f never fired")));
  EXPECT_THAT(failures(paired(
                  "server:fault { fault = 'close', when = { manual = true }, optional = true }")),
              IsEmpty());
}

TEST(ScriptTest, FaultsFireAndAreRemoved) {
  EXPECT_THAT(failures(paired("local fault = server:fault { fault = 'stream_error', args = { code "
                              "= 503 }, where = { device = device }, "
                              "when = { manual = true } } fault:fire() device:await 'connecting' "
                              "device:await 'connected' "
                              "expect(fault.fired):equals(1) "
                              "expect(device.last_close.code):equals(503) fault:remove()")),
              IsEmpty());
}

TEST(ScriptTest, AFaultIsActiveUntilItIsHealed) {
  EXPECT_THAT(
      failures(paired("local fault = server:fault { fault = 'drop', where = { device = device, "
                      "direction = 'to_server', stanza = { tag = 'iq', xmlns = 'w:p' } }, "
                      "when = { between = { '0s', '1h' } }, optional = true } "
                      "expect(fault.active):equals(true) expect(fault.healed):equals(false) "
                      "fault:heal() "
                      "expect(fault.active):equals(false) expect(fault.healed):equals(true) "
                      "expect.error(function() fault:fire() end):code('fault_healed')")),
      IsEmpty());
}

TEST(ScriptTest, WaitsUntilAFunctionSaysSo) {
  EXPECT_THAT(
      failures("local d = engine:device 'a' d:start() "
               "wait_until(function() return #d.states >= 2 end, { within = '5s' }) "
               "expect(d.state):equals('waiting_for_scan') "
               "expect.error(function() wait_until(function() return false end, { within = '1s' }) "
               "end):code('timed_out') "
               "expect.error(function() wait_until(function() error('x') end) end):code('error') "
               "expect.error(function() wait_until(function() return d.credentials end) "
               "end):code('usage') "
               "expect.error(function() wait_until(3) end):code('usage')"),
      IsEmpty());
}

TEST(ScriptTest, AConditionThatNeverReturnsEndsTheScript) {
  EXPECT_THAT(failures("wait_until(function() while true do end end)"),
              ElementsAre(HasSubstr("an endless loop?")));
}

TEST(ScriptTest, ADeviceIsHeldAtACommitAndReleased) {
  EXPECT_THAT(failures("local p, d = server:phone { number = '15550100001' }, "
                       "engine:device('a', { expected_number = '15550100001' }) "
                       "d:hold('paired', 'before') d:start() p = p "
                       "local qr = d:await_qr() "
                       "parallel(function() p:scan(qr) end, function() "
                       "local held = d:await_held { within = '5s' } "
                       "expect(held.point):equals('paired') expect(held.phase):equals('before') "
                       "expect(d.credentials):is_nil() d:release() end) "
                       "d:await 'connected' "
                       "expect.error(function() d:hold('paired', 'during') end):code('usage')"),
              IsEmpty());
}

TEST(ScriptTest, WhatADeviceHasStoredIsDamagedOnceItsProcessHasEnded) {
  EXPECT_THAT(
      failures("expect(device.stored_digest):is_nil() "
               "expect.error(function() device:damage_stored { record = 'credentials' } end)"
               ":code('not_found') " +
               paired("local function spoil() device:damage_stored { record = 'credentials' } end "
                      "expect.error(spoil):code('conflict') device:kill() "
                      "local whole = device.stored_digest expect(#whole):equals(64) spoil() "
                      "expect(device.stored_digest):differs(whole) spoil() "
                      "expect(device.stored_digest):equals(whole) "  // the bit is back
                      "local damaged = device:history('damaged') expect(#damaged):equals(2) "
                      "expect(damaged[1].record):equals('credentials/self') "
                      "expect(damaged[1].how):equals('flip') "
                      "device:damage_stored { record = 'credentials', how = 'missing' } "
                      "expect.error(function() device:start() end):code('store_error') "
                      "device:await('store_error', { reason = 'damaged' })")),
      IsEmpty());
  EXPECT_THAT(failures("device:damage_stored { record = 'credentials', how = 'flop' }"),
              ElementsAre(HasSubstr("did you mean \"flip\"?")));
  EXPECT_THAT(failures("device:damage_stored { how = 'flip' }"), ElementsAre(HasSubstr("record")));
}

TEST(ScriptTest, AnAllowanceThatWasNotUsedFails) {
  const auto played = try_play(
      "scenario { name = 'a', allow = { violations = {'header'}, invariants = {'fresh-qr'} } }");
  ASSERT_TRUE(played);
  EXPECT_THAT(played->failures,
              testing::UnorderedElementsAre(HasSubstr("allows the violation \"header\""),
                                            HasSubstr("allows the invariant \"fresh-qr\"")));
}

TEST(ScriptTest, AViolationThatWasNotDeclaredFails) {
  // A byte of what the client says after the handshake is changed on its way.
  const std::string text =
      "local p, d = server:phone { number = '15550100001' }, engine:device 'a' d:start() pause "
      "'1m'";
  const std::uint64_t kMessage = 5;
  const auto undeclared = try_play("scenario { name = 'a' } " + text, 1, kMessage);
  ASSERT_TRUE(undeclared);
  EXPECT_THAT(undeclared->failures, ElementsAre(HasSubstr("no-key-reuse: device a"),
                                                HasSubstr("protocol violation decrypt")));
  const auto declared = try_play(
      "scenario { name = 'a', allow = { violations = {'decrypt'}, invariants = {'no-key-reuse'} } "
      "} " +
          text,
      1, kMessage);
  ASSERT_TRUE(declared);
  EXPECT_THAT(declared->failures, IsEmpty());
}

// ---- pixels ----

TEST(ScriptTest, PhonesScanPixelsOnly) {
  // The text of a code is no picture of it, and a script cannot get the text.
  EXPECT_THAT(
      failures("expect.error(function() phone:scan('2@abc,def,ghi,jkl,0') end):code('bad_picture') "
               "device:start() local qr = device:await_qr() expect(qr:sub(2, 4)):equals('PNG') "
               "expect.error(function() phone:scan(qr:sub(1, #qr // 2)) end):code('bad_picture') "
               "phone:scan(qr)"),
      IsEmpty());
}

// ---- determinism ----

TEST(ScriptTest, TheSameSeedGivesTheSameHash) {
  const std::string text =
      "scenario { name = 'a' } local p, d = server:phone { number = '15550100001' }, engine:device "
      "'a' "
      "d:start() p:scan(d:await_qr()) d:await 'connected' pause '1h'";
  const auto first = try_play(text, 5);
  ASSERT_TRUE(first) << first.error();
  EXPECT_THAT(first->failures, IsEmpty());
  EXPECT_EQ(first->hash, try_play(text, 5)->hash);
  EXPECT_NE(first->hash, try_play(text, 6)->hash);
}

// ---- plans ----

constexpr const char* kTwoFaults =
    "scenario { name = 'a' } local d = engine:device 'a' "
    "server:fault { fault = 'refs', args = { first = '30s' } } "
    "local p = server:phone { number = '15550100001' } "
    "server:fault { id = 'late', fault = 'close', when = { on_event = 'active' } } "
    "d:start() p:scan(d:await_qr()) d:await 'connected' pause '1m' print(d.connects)";

/// As it is after it was written and read.
std::shared_ptr<stage::Plan> reread(const stage::Plan& plan) {
  auto read = stage::Plan::parse(plan.to_text());
  EXPECT_TRUE(read) << read.error();
  return std::make_shared<stage::Plan>(std::move(*read));
}

TEST(ScriptPlanTest, ThePlanOfARunGivesTheSameRun) {
  stage::Plan declared;
  const Played run = play_plan(kTwoFaults, nullptr, &declared);
  EXPECT_THAT(run.failures, IsEmpty());
  ASSERT_EQ(declared.faults.size(), 2u);
  stage::Plan again;
  const Played planned = play_plan(kTwoFaults, reread(declared), &again);
  EXPECT_THAT(planned.failures, IsEmpty());
  EXPECT_EQ(planned.hash, run.hash);
  EXPECT_EQ(again.hash(), declared.hash());
}

TEST(ScriptPlanTest, WhatThePlanSaysOfAFaultCounts) {
  stage::Plan declared;
  const Played run = play_plan(kTwoFaults, nullptr, &declared);
  const auto shrunk = reread(declared);
  shrunk->faults.pop_back();
  const Played without = play_plan(kTwoFaults, shrunk);
  EXPECT_THAT(without.failures, IsEmpty());
  EXPECT_THAT(run.printed, HasSubstr("3"));
  EXPECT_THAT(without.printed, HasSubstr("2"));

  const auto changed = reread(declared);
  changed->faults.back().as_object()["when"] = {{"on_event", "login"}};
  EXPECT_NE(play_plan(kTwoFaults, changed).hash, run.hash);
}

TEST(ScriptPlanTest, WhatOnlyThePlanHasIsThereBeforeAnythingHappens) {
  stage::Plan declared;
  play_plan(kTwoFaults, nullptr, &declared);
  const auto more = reread(declared);
  more->faults.insert(more->faults.begin(), boost::json::object{{"id", "x"},
                                                                {"fault", "upgrade"},
                                                                {"args", {{"status", 503}}},
                                                                {"when", {{"nth", 1}}},
                                                                {"budget", 1}});
  const Played played = play_plan(kTwoFaults, more);
  EXPECT_THAT(played.failures, IsEmpty()) << "it fired at the first dial";
}

TEST(ScriptPlanTest, AFileWithoutAWaitHasItsFaultsToo) {
  const auto plan = std::make_shared<stage::Plan>();
  plan->faults.push_back(boost::json::object{{"id", "x"}, {"fault", "close"}});
  EXPECT_THAT(play_plan("scenario { name = 'a' }", plan).failures, ElementsAre(HasSubstr("x")));
}

TEST(ScriptPlanTest, ARecordThatTheServerRefusesIsThePlansMistake) {
  const auto plan = std::make_shared<stage::Plan>();
  plan->faults.push_back(boost::json::object{{"id", "x"}, {"fault", "clsoe"}});
  const Played played = play_plan("scenario { name = 'a' } pause '1s'", plan);
  EXPECT_EQ(played.script_error, "usage");
  EXPECT_THAT(played.failures, ElementsAre(HasSubstr("plan: fault \"x\"")));
}

}  // namespace
}  // namespace wa::lua

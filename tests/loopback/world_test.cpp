#include "scenarios/loopback/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <filesystem>

#include "scenarios/stage/damage.hpp"
#include "scenarios/stage/waits.hpp"
#include "tests/loopback/sqlite_query.hpp"

namespace wa::loopback {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;
using stage::Device;
using stage::DeviceOptions;
using stage::Failure;
using stage::Wait;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kHello =
    R"({"event":"hello","protocol":1,"name":"fake","version":"0","capabilities":["multi_device"]})";

/// Unscaled: at 1/50 these are 10 s.
constexpr Duration kPatience = 500s;

/// For a text within "…" of a command.
std::string json_escaped(std::string_view json) {
  std::string escaped;
  for (const char c : json) {
    if (c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

class WorldTest : public testing::Test {
 protected:
  void begin(double factor = 0.02, std::string command = WA_TESTLINE " engine") {
    Options options;
    options.scale = stage::TimeScale::loopback(factor);
    options.client_command = std::move(command);
    options.log = [this](std::string_view source, std::string_view line) {
      log_.push_back(std::string(source) + ": " + std::string(line));
    };
    auto started = World::start(std::move(options));
    ASSERT_TRUE(started) << started.error();
    world_ = std::move(*started);
  }
  /// A client that is a shell script.
  void begin_script(const std::string& script) {
    begin(0.02, "sh -c \"" + json_escaped(script) + "\"");
  }
  /// A script that begins with a hello.
  void begin_polite_script(const std::string& rest) {
    begin_script("echo '" + std::string(kHello) + "'; " + rest);
  }

  Device& device(const std::string& name, const DeviceOptions& options = {}) {
    auto made = world_->device("engine", name, options);
    WA_ASSERT(made);
    return **made;
  }

  void expect(Wait wait) {
    const auto failure = stage::await(*world_, wait);
    EXPECT_FALSE(failure) << to_string(*failure);
  }
  void expect_state(Device& device, const std::string& state, const std::string& reason = {}) {
    expect(Wait::for_state(*world_, device, state, reason, kPatience));
  }
  void expect_exited(Device& device) {
    const auto exited = [&] {
      return !device.history().empty() && device.history().back().kind == "exited";
    };
    expect(Wait::until(*world_, "exited", exited, kPatience));
  }
  const json::object& answer(Device& device, stage::Ref ref) {
    expect(Wait::for_answer(*world_, device, ref, "the answer", kPatience));
    static const json::object none;
    const stage::Entry* entry = device.answer(ref);
    return entry ? entry->data : none;
  }

  /// From the picture to `connected`.
  void pair(Device& device, const std::string& number = "15550100001") {
    stage::Phone& phone = **world_->server().phone(number);
    device.start();
    expect(Wait::for_qr(*world_, device, kPatience));
    const auto picture = device.qr().png();
    ASSERT_TRUE(picture) << picture.error();
    auto scanned = phone.scan(*picture);
    expect(Wait::for_outcome(*world_, scanned, kPatience));
    ASSERT_TRUE(scanned->value()) << scanned->problem()->message;
    expect_state(device, "connected");
  }

  std::string credentials(Device& device) {
    const json::object& data = answer(device, device.inspect());
    const json::value* text = data.if_contains("credentials");
    return text && text->is_string() ? std::string(text->get_string()) : "none";
  }
  /// What the first client's store says to a query.
  std::string query(const std::string& sql) const {
    return test::query_sqlite(world_->state_dir() + "/1/testline.db", sql);
  }
  std::string stored_credentials(const std::string& device) const {
    return query("SELECT count(*) FROM record WHERE kind = 'credentials' AND device = '" + device +
                 "'");
  }

  void finish_quietly() {
    const std::string directory = world_->state_dir();
    const std::vector<int> pids = world_->processes();
    for (const Failure& failure : world_->finish()) ADD_FAILURE() << to_string(failure);
    EXPECT_TRUE(world_->processes().empty());
    EXPECT_FALSE(fs::exists(directory));
    for (const int pid : pids) {
      EXPECT_EQ(::kill(pid, 0), -1);
      EXPECT_EQ(errno, ESRCH);
    }
    EXPECT_THAT(world_->server().violations(), IsEmpty());
  }

  std::unique_ptr<World> world_;
  std::vector<std::string> log_;
};

// ---- our engine ---------------------------------------------------------------------------------

TEST_F(WorldTest, TheEngineGoesThroughTheWorldsProxyAndNotAroundIt) {
  begin();
  EXPECT_EQ(world_->proxy(), nullptr);
  for (const std::string kind : {"http", "socks5"}) {
    DeviceOptions options;
    options.proxy = kind;
    Device& shop = device("shop-" + kind, options);
    ASSERT_TRUE(world_->proxy());
    const std::uint64_t before = world_->proxy()->tunnels();
    pair(shop, kind == "http" ? "15550100001" : "15550100002");
    EXPECT_EQ(world_->proxy()->tunnels() - before, 2u) << "pairing and login";
  }
  finish_quietly();
}

TEST_F(WorldTest, AProxyThatRefusesLeavesTheDeviceWithoutAConnection) {
  begin();
  DeviceOptions options;
  options.proxy = "http";
  Device& shop = device("shop-1", options);
  world_->proxy()->set(ProxyServer::Behaviour::refuse);
  shop.start();
  const auto tried = [&] { return world_->proxy()->connections() >= 2; };
  expect(Wait::until(*world_, "two tries", tried, kPatience));
  EXPECT_THAT(world_->server().connections(), IsEmpty());
  world_->proxy()->set(ProxyServer::Behaviour::forward);
  pair(shop);
  finish_quietly();
}

TEST_F(WorldTest, ClientsAreGivenAUrlWithTlsAndTheCa) {
  begin_polite_script(
      "echo url $TESTLINE_WS_URL; head -1 $TESTLINE_TLS_CA; "
      "echo node $NODE_EXTRA_CA_CERTS; cat >/dev/null");
  device("shop-1");
  expect(Wait::until(
      *world_, "three lines", [&] { return log_.size() >= 3; }, kPatience));
  EXPECT_THAT(log_[0], HasSubstr("url wss://localhost:"));
  EXPECT_THAT(log_[1], HasSubstr("-----BEGIN CERTIFICATE-----"));
  EXPECT_THAT(log_[2], HasSubstr("/ca.pem"));
}

TEST_F(WorldTest, TheEnginePairsFromThePictureAndLogsIn) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);

  EXPECT_THAT(shop.states(),
              ElementsAre("connecting", "waiting_for_scan", "connecting", "connected"));
  EXPECT_EQ(world_->server().connects("shop-1"), 2u) << "pairing, then the login after the 515";
  ASSERT_TRUE(shop.last_close());
  EXPECT_EQ(shop.last_close()->at("code"), 515);
  EXPECT_TRUE(world_->server().logged_in("shop-1"));
  EXPECT_EQ(world_->client(), "testline 0.1.0");

  const json::object& inspected = answer(shop, shop.inspect());
  EXPECT_TRUE(inspected.at("credentials").is_string()) << json::serialize(inspected);
  EXPECT_EQ(inspected.at("stored").at("credentials"), 1);
  EXPECT_GT(inspected.at("open_files").to_number<int>(), 3);
  EXPECT_GT(inspected.at("rss_bytes").to_number<std::int64_t>(), 1'000'000);
  finish_quietly();
  EXPECT_EQ(shop.state(), "disconnected") << "finish() stops devices";
}

TEST_F(WorldTest, TheEngineUploadsThePreKeysThatItIsTold) {
  begin();
  DeviceOptions options;
  options.initial_prekeys = 12;
  Device& shop = device("shop-1", options);
  pair(shop);
  const stage::Phone& phone = **world_->server().phone("15550100001");
  expect(Wait::until(
      *world_, "12 pre-keys at the server, less the one that the phone took to write with",
      [&] { return phone.companions().size() == 1 && phone.companions()[0].prekeys == 11; },
      kPatience));
  EXPECT_EQ(answer(shop, shop.inspect()).at("stored").at("pre_key"), 12);
  finish_quietly();
}

TEST_F(WorldTest, TheEngineKeepsItsConnectionAlive) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  world_->server().move_cursor("shop-1", world_->server().history().size());
  // At 1/50 a ping comes every 300 to 600 ms.
  const auto ping = [](const mock::TenantEvent& event) {
    bool is_iq = false;
    bool is_ping = false;
    for (const auto& [key, value] : event.data) {
      is_iq |= key == "tag" && value == "iq";
      is_ping |= key == "xmlns" && value == "w:p";
    }
    return stage::Match{is_iq && is_ping ? stage::Match::Grade::full : stage::Match::Grade::none,
                        {}};
  };
  for (int i = 0; i < 3; ++i) {
    expect(Wait::for_event(*world_, mock::EventKind::stanza_in, "shop-1", ping, kPatience));
  }
  EXPECT_EQ(shop.state(), "connected");
  finish_quietly();
}

TEST_F(WorldTest, ADeviceStaysPairedWhenItsProcessIsKilled) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  const std::string before = credentials(shop);
  ASSERT_EQ(before.size(), 64u);
  const int first = world_->processes().at(0);

  shop.kill();
  EXPECT_EQ(shop.history().back().kind, "killed");
  EXPECT_EQ(shop.state(), "");
  EXPECT_TRUE(world_->processes().empty());
  EXPECT_EQ(::kill(first, 0), -1);

  shop.start();
  expect_state(shop, "connected");
  EXPECT_NE(world_->processes().at(0), first);
  EXPECT_EQ(credentials(shop), before);
  EXPECT_EQ(world_->server().connects("shop-1"), 3u);
  EXPECT_EQ(std::ranges::count(shop.states(), "waiting_for_scan"), 1) << "no second QR code";
  finish_quietly();
}

TEST_F(WorldTest, AProcessThatIsKilledInTheMiddleOfPairingPairsAfterwards) {
  begin();
  Device& shop = device("shop-1");
  shop.start();
  expect(Wait::for_qr(*world_, shop, kPatience));
  shop.kill();
  EXPECT_TRUE(shop.qr().empty());
  pair(shop);
  finish_quietly();
}

TEST_F(WorldTest, OneProcessRunsTheDevicesOfAnEngine) {
  begin();
  Device& one = device("one");
  Device& two = device("two");
  pair(one, "15550100001");
  pair(two, "15550100002");
  EXPECT_EQ(world_->processes().size(), 1u);
  EXPECT_NE(credentials(one), credentials(two));

  one.kill();
  EXPECT_EQ(one.history().back().kind, "killed");
  EXPECT_EQ(two.history().back().kind, "killed") << "they share the process";
  two.start();
  expect_state(two, "connected");
  EXPECT_EQ(one.state(), "");

  auto other = world_->device("second", "three", {});
  ASSERT_TRUE(other);
  EXPECT_EQ(world_->processes().size(), 2u);
  finish_quietly();
}

TEST_F(WorldTest, ACloneLogsInWithTheKeysOfTheOriginal) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  DeviceOptions options;
  options.clone_of = "engine/shop-1";
  auto made = world_->device("rogue", "copy", options);
  ASSERT_TRUE(made) << made.error();
  (*made)->start();
  expect_state(**made, "connected");
  expect_state(shop, "replaced");
  EXPECT_EQ(credentials(**made), credentials(shop));
  finish_quietly();

  const auto orphan = [] {
    DeviceOptions of_nobody;
    of_nobody.clone_of = "nobody";
    return of_nobody;
  }();
  begin();
  const auto refused = world_->device("engine", "x", orphan);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::usage);
}

TEST_F(WorldTest, DamageIsOfOneDeviceAndStays) {
  begin();
  Device& one = device("one");
  Device& two = device("two");
  pair(one, "15550100001");
  pair(two, "15550100002");
  const auto damage = *stage::parse_damage("credentials", "truncate");
  EXPECT_EQ(one.damage_stored(damage, world_->devices()).error().code, Errc::conflict);
  one.kill();
  const std::string intact = *two.stored_digest();
  ASSERT_TRUE(one.damage_stored(damage, world_->devices()));
  const std::string left = *one.stored_digest();
  EXPECT_EQ(*two.stored_digest(), intact);

  two.start();
  expect_state(two, "connected");
  const auto refused = one.start();
  expect_state(one, "store_error", "damaged");
  EXPECT_EQ(answer(one, refused).at("code"), "store_error");
  EXPECT_EQ(answer(one, one.inspect()).at("code"), "store_error");
  EXPECT_EQ(*one.stored_digest(), left);
  EXPECT_EQ(one.damage_stored(damage, world_->devices()).error().code, Errc::conflict);
  answer(one, one.remove());
  EXPECT_EQ(*one.stored_digest(), "");
  pair(one, "15550100003");
  finish_quietly();
}

TEST_F(WorldTest, AScenarioIsSkippedByTheCapabilityThatItNeeds) {
  Options options;
  options.client_command =
      "sh -c \"" +
      json_escaped("echo '" + std::string(kHello) + "'; while read -r line; do :; done") + "\"";
  options.needs = {"multi_device", "generation"};
  auto started = World::start(std::move(options));
  ASSERT_TRUE(started) << started.error();
  world_ = std::move(*started);
  const auto made = world_->device("engine", "shop-1", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(world_->lacking(), ElementsAre("generation"));
  EXPECT_THAT(world_->finish(), ElementsAre(AllOf(Field(&Failure::kind, "skipped"),
                                                  Field(&Failure::rule, "generation"))));
}

TEST_F(WorldTest, WhatAClientStoresElsewhereCannotBeDamaged) {
  begin_polite_script("while read -r line; do :; done");
  Device& shop = device("shop-1");
  const auto damage = *stage::parse_damage("credentials", "flip");
  EXPECT_EQ(shop.damage_stored(damage, world_->devices()).error().code, Errc::environment);
  EXPECT_EQ(shop.stored_digest().error().code, Errc::environment);
  EXPECT_THAT(world_->lacking(), ElementsAre("testline_db"));
}

TEST_F(WorldTest, TheEngineComesBackWhenItsSocketIsReset) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  shop.move_cursor(shop.history().size());
  const auto connections = world_->server().connections();
  ASSERT_EQ(connections.size(), 1u);
  world_->server().command(mock::CloseConnection{connections[0].id, "rst"}, "reset");
  expect_state(shop, "connecting");
  expect_state(shop, "connected");
  finish_quietly();
}

TEST_F(WorldTest, ABlackholedStreamDoesNotSpoilTheEnd) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  const auto connections = world_->server().connections();
  world_->server().command(mock::CloseConnection{connections.at(0).id, "blackhole"}, "blackhole");
  finish_quietly();
}

TEST_F(WorldTest, ALogoutForgetsTheCredentials) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  shop.logout();
  expect_state(shop, "logged_out");
  EXPECT_EQ(credentials(shop), "none") << "inspect waits for what is being written";
  EXPECT_EQ(stored_credentials("shop-1"), "0");
  finish_quietly();
}

TEST_F(WorldTest, ADeletedDeviceHasNothingStored) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  shop.kill();
  answer(shop, shop.remove());
  EXPECT_EQ(credentials(shop), "none") << "inspect waits for what is being written";
  EXPECT_EQ(stored_credentials("shop-1"), "0");
  finish_quietly();
}

TEST_F(WorldTest, DamagedCredentialsAreAStoreErrorAndAreNotReplaced) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  shop.kill();
  query("UPDATE record SET bytes = zeroblob(100) WHERE kind = 'credentials'");
  const std::string before = query("SELECT hex(bytes) FROM record WHERE kind = 'credentials'");

  const stage::Ref ref = shop.start();
  expect_state(shop, "store_error", "damaged");
  EXPECT_EQ(answer(shop, ref).at("code"), "store_error");
  EXPECT_EQ(answer(shop, shop.inspect()).at("code"), "store_error");
  EXPECT_EQ(query("SELECT hex(bytes) FROM record WHERE kind = 'credentials'"), before);
  EXPECT_EQ(world_->server().connects("shop-1"), 2u) << "nothing was dialled with made-up keys";

  // Only somebody who says so deletes it.
  answer(shop, shop.remove());
  EXPECT_EQ(credentials(shop), "none");
  EXPECT_EQ(query("SELECT count(*) FROM record WHERE kind = 'credentials'"), "0");
  shop.start();
  expect_state(shop, "waiting_for_scan");
  finish_quietly();
}

TEST_F(WorldTest, CommandsToAProcessThatDoesNotRun) {
  begin();
  Device& shop = device("shop-1");
  pair(shop);
  const std::string before = credentials(shop);
  shop.kill();
  EXPECT_EQ(shop.answer(shop.stop())->kind, "done") << "there is nothing to stop";
  EXPECT_EQ(shop.answer(shop.logout())->kind, "done");
  EXPECT_EQ(credentials(shop), before) << "inspect looks at what is stored";
  finish_quietly();
}

TEST_F(WorldTest, TheQrCodesFollowTheServersSchedule) {
  begin(0.01);  // 600 ms, then 200 ms each; deadlines at their floors
  Device& shop = device("shop-1");
  shop.start();
  Wait first = Wait::for_qr(*world_, shop, kPatience);
  ASSERT_FALSE(stage::await(*world_, first));
  const auto& data = first.entry()->data;
  EXPECT_LE(data.at("expires_ms").to_number<int>(), 600);
  EXPECT_GT(data.at("expires_ms").to_number<int>(), 300);
  expect(Wait::for_entry(
      *world_, shop, "the second code",
      [](const stage::Entry& entry) {
        const bool second = entry.kind == "qr" && entry.data.at("sequence") == 2;
        return stage::Match{second ? stage::Match::Grade::full : stage::Match::Grade::none, {}};
      },
      kPatience));
  finish_quietly();
}

// ---- another client -----------------------------------------------------------------------------

TEST_F(WorldTest, BaileysPairsAndStaysPairedWhenItsProcessIsKilled) {
  const fs::path folder = WA_BAILEYS;
  ASSERT_TRUE(fs::exists(folder / "node_modules")) << "Baileys is not installed: run ci/setup";
  begin(0.1, (folder / "run").string());
  Device& shop = device("shop-1");
  pair(shop);
  EXPECT_THAT(world_->client(), testing::StartsWith("baileys 7"));
  const std::string before = credentials(shop);
  EXPECT_EQ(before.size(), 64u);
  shop.kill();
  shop.start();
  expect_state(shop, "connected");
  EXPECT_EQ(credentials(shop), before);
  EXPECT_EQ(world_->server().connects("shop-1"), 3u);
  finish_quietly();
}

// ---- the world ----------------------------------------------------------------------------------

TEST_F(WorldTest, AdvanceMovesTimeToItsLimitWhenNothingHappens) {
  begin();
  const Instant limit = world_->now().mono + 30ms;
  while (world_->advance(limit)) {
  }
  EXPECT_GE(world_->now().mono, limit);
  finish_quietly();
}

TEST_F(WorldTest, RefusesNamesAndOptionsThatDoNotFit) {
  begin();
  EXPECT_EQ(world_->device("engine", "a/b", {}).error().code, Errc::usage);
  EXPECT_EQ(world_->device("", "a", {}).error().code, Errc::usage);
  Device& shop = device("shop-1");
  EXPECT_EQ(*world_->device("engine", "shop-1", {}), &shop);
  DeviceOptions other;
  other.initial_prekeys = 7;
  EXPECT_EQ(world_->device("engine", "shop-1", other).error().code, Errc::conflict);
  finish_quietly();
}

TEST_F(WorldTest, AWorldThatIsDroppedLeavesNothingBehind) {
  begin();
  device("shop-1").start();
  const int pid = world_->processes().at(0);
  const std::string directory = world_->state_dir();
  world_.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_FALSE(fs::exists(directory));
}

// ---- clients that are not well ------------------------------------------------------------------

TEST_F(WorldTest, AClientThatIsMissingIsNamed) {
  begin(0.02, "/nowhere/client --fast");
  const auto made = world_->device("engine", "shop-1", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail, HasSubstr("/nowhere/client: No such file"));
  finish_quietly();
}

TEST_F(WorldTest, ACommandThatCannotBeSplitIsAUsageError) {
  Options options;
  options.client_command = "node 'adapter.mjs";
  const auto started = World::start(std::move(options));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::usage);
}

TEST_F(WorldTest, AClientThatEndsBeforeItsHelloSaysWhy) {
  begin_script("echo no root key >&2; exit 2");
  const auto made = world_->device("engine", "shop-1", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail,
              AllOf(HasSubstr("exited with status 2"), HasSubstr("no root key")));
  finish_quietly();
}

TEST_F(WorldTest, AClientThatLacksAnOptionIsSkippedAndNotPassed) {
  begin_polite_script("read a || exit 0");
  DeviceOptions options;
  options.auto_renew_qr = 1;
  const auto made = world_->device("engine", "shop-1", options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail, HasSubstr("fake 0 lacks the capability option.auto_renew_qr"));
  EXPECT_THAT(world_->lacking(), ElementsAre("option.auto_renew_qr"));
  EXPECT_THAT(world_->finish(), ElementsAre(AllOf(Field(&Failure::kind, "skipped"),
                                                  Field(&Failure::rule, "option.auto_renew_qr"))));
}

TEST_F(WorldTest, ACommandThatAClientLacksIsAnsweredAndSkipped) {
  begin_polite_script("read a || exit 0");
  Device& shop = device("shop-1");
  EXPECT_EQ(shop.answer(shop.inspect())->data.at("code"), "unsupported");
  EXPECT_EQ(shop.answer(shop.remove())->data.at("code"), "unsupported");
  EXPECT_THAT(world_->lacking(), ElementsAre("inspect", "delete"));
  EXPECT_EQ(world_->finish().size(), 2u);
}

TEST_F(WorldTest, AClientThatDiesIsReportedWithItsLastWords) {
  begin_polite_script("read a; echo out of luck >&2; exit 7");
  Device& shop = device("shop-1");
  const stage::Ref ref = shop.start();
  EXPECT_EQ(answer(shop, ref).at("code"), "exited");
  expect_exited(shop);
  EXPECT_EQ(shop.history().back().data.at("status"), "exited with status 7");
  EXPECT_THAT(log_, Contains("engine: out of luck"));
  EXPECT_THAT(world_->finish(),
              ElementsAre(AllOf(Field(&Failure::kind, "client"),
                                Field(&Failure::message, AllOf(HasSubstr("exited with status 7"),
                                                               HasSubstr("out of luck"))))));
}

TEST_F(WorldTest, NonsenseFromAClientIsAFailure) {
  for (const char* line : {R"({"no":"event"})", R"({"event":"done","ref":99})",
                           R"({"event":"state","device":"nobody","state":"connected"})",
                           R"({"event":"state","device":"shop-1","state":"dancing"})",
                           R"({"event":"qr","device":"shop-1"})",
                           R"({"event":"qr_png","device":"shop-1","base64":"?"})", kHello}) {
    SCOPED_TRACE(line);
    begin_polite_script("read a; echo '" + std::string(line) + "'; read b");
    Device& shop = device("shop-1");
    shop.start();
    expect_exited(shop);
    EXPECT_THAT(
        world_->finish(),
        ElementsAre(AllOf(Field(&Failure::kind, "client"),
                          Field(&Failure::message, HasSubstr("spoke against the protocol")))));
  }
}

TEST_F(WorldTest, OtherLinesOfAClientGoToTheLog) {
  begin_script("echo starting up; echo '" + std::string(kHello) + "'; echo [1]; read a || exit 0");
  device("shop-1");
  finish_quietly();
  EXPECT_THAT(log_, Contains("engine/shop-1: starting up"));
}

TEST_F(WorldTest, AClientThatSpeaksBeforeItsHelloDoesNotRun) {
  begin_script(R"(echo '{"event":"state","state":"connected"}'; read a || exit 0)");
  const auto made = world_->device("engine", "shop-1", {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().detail, HasSubstr("before its hello"));
  finish_quietly();
}

TEST_F(WorldTest, AClientThatDoesNotEndIsEndedAndReported) {
  begin_polite_script("while :; do read a || sleep 1; done");
  device("shop-1");
  const int pid = world_->processes().at(0);
  EXPECT_THAT(world_->finish(),
              ElementsAre(AllOf(Field(&Failure::kind, "client"),
                                Field(&Failure::message, HasSubstr("still ran 5s")))));
  EXPECT_EQ(::kill(pid, 0), -1);
}

// ---- messages -----------------------------------------------------------------------------------

/// Announces `send`, answers the start, then says `rest`.
std::string talker(const std::string& rest) {
  return R"(echo '{"event":"hello","protocol":1,"name":"fake","version":"0","capabilities":["send"]}'; )"
         R"(read start; echo '{"event":"done","ref":1}'; )" +
         rest + "cat > /dev/null";
}

TEST_F(WorldTest, AMessageIsSentAndFollowedAndOneThatCameIsInTheInbox) {
  begin_script(talker(
      R"(read send; echo '{"event":"done","ref":2,"id":"A1"}'; echo '{"event":"sent","id":"A1"}'; )"
      R"(echo '{"event":"message","id":"B1","chat":"1@s.whatsapp.net","from":"1@s.whatsapp.net","kind":"text","text":"hi"}'; )"));
  Device& shop = device("shop-1");
  answer(shop, shop.start());
  const stage::Ref ref = shop.send({{"to", "15550100002@s.whatsapp.net"}, {"text", "hello"}});
  expect(Wait::for_sending(*world_, shop, ref, kPatience));
  EXPECT_EQ(shop.sending(ref)->state, stage::Sending::State::sent);
  EXPECT_EQ(shop.sending(ref)->id, "A1");
  expect(Wait::for_message(*world_, shop, "message", {.text = "hi"}, kPatience));
  EXPECT_EQ(shop.inbox().size(), 1u);
  // It cannot read.
  EXPECT_EQ(answer(shop, shop.read("1@s.whatsapp.net", {"B1"})).at("code"), "unsupported");
}

TEST_F(WorldTest, AnEventOfAMessageThatLacksItsIdEndsTheClient) {
  begin_script(
      talker(R"(echo '{"event":"message","chat":"1@g.us","from":"1@lid","kind":"text"}'; )"));
  Device& shop = device("shop-1");
  shop.start();
  expect_exited(shop);
  EXPECT_EQ(shop.history().back().data.at("status"),
            "spoke against the protocol: a message without id");
}

}  // namespace
}  // namespace wa::loopback

// `testline run` as a whole, in the simulator: this process plays its part.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/run_merge.hpp"
#include "scenarios/cli/run_pool.hpp"
#include "scenarios/cli/verb_run.hpp"
#include "tests/support/test_support.hpp"

namespace wa::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kPasses =
    "scenario { name = 'it passes', tags = {'a', 'b'}, symptom = {'Stream Errored'} } pause '1h'";
constexpr const char* kFails = "scenario { name = 'it fails', tags = {'b'} }\nexpect(1):equals(2)";

constexpr const char* kPairs =
    "scenario { name = 'x' } local p = server:phone { number = '15550100001' } local d = "
    "engine:device 'a' d:start() p:scan(d:await_qr()) d:await 'connected'";

/// A directory of its own, which is also where out/traces goes.
class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(folder_.path());
  }
  void TearDown() override { fs::current_path(before_); }
  static void write(const std::string& path, std::string_view text) {
    if (fs::path(path).has_parent_path()) fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Runs in the simulator unless it says otherwise; stdout and stderr are kept.
  int run(RunOptions options) {
    if (options.mode.empty() && options.client.empty()) options.mode = "sim";
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_scenarios(options);
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  test::TemporaryDirectory folder_;
  fs::path before_;
  std::string out_;
  std::string err_;
};

TEST_F(RunTest, WhatHoldsPasses) {
  write("scenarios/library/x/passes.lua", kPasses);
  EXPECT_EQ(run({}), kOk);
  EXPECT_THAT(out_, AllOf(HasSubstr("scenarios/library/x/passes.lua  sim   passed"),
                          HasSubstr("\n1 passed, 0 failed\n")));
  EXPECT_FALSE(fs::exists("out"));
}

TEST_F(RunTest, TheLibraryHoldsInTheSimulator) {
  // Found from the program's own place, as this directory has none.
  EXPECT_EQ(run({}), kOk) << out_;
  EXPECT_THAT(out_,
              AllOf(HasSubstr("FB-001"), HasSubstr(" 0 failed\n"), Not(HasSubstr("skipped"))));
}

TEST_F(RunTest, ThePlanOfEveryLibraryScenarioGivesTheSameRun) {
  const auto library = find_library();
  ASSERT_TRUE(library);
  const auto files = read_scenarios({*library}, 1);
  ASSERT_TRUE(files);
  std::size_t with_faults = 0;
  for (const ScenarioFile& file : *files) {
    if (!file.declaration.scenario.has_mode(stage::Mode::sim)) continue;
    SCOPED_TRACE(file.path);
    PlayOptions options;
    options.plan_out = "plan.json";
    const auto nobody = [](const std::string&, const std::string&) {};
    const JobResult run = play_job({&file, stage::Mode::sim, 0}, options, nobody);
    const auto planned = read_plan_file("plan.json");
    ASSERT_TRUE(planned) << planned.error();
    if (!planned->plan->faults.empty()) ++with_faults;
    const JobResult again = play_job({&*planned, stage::Mode::sim, 0}, PlayOptions{}, nobody);
    EXPECT_EQ(again.exit_code, kOk);
    EXPECT_EQ(again.result.trace_hash, run.result.trace_hash);
  }
  EXPECT_GE(with_faults, 15u) << "or this shows nothing";
}

TEST_F(RunTest, AFailureSaysWhereAndLeavesItsTrace) {
  write("lib/x/fails.lua", kFails);
  write("lib/x/passes.lua", kPasses);
  EXPECT_EQ(run({.paths = {"lib"}, .junit = "reports/junit.xml", .json = "report.json"}), kFailed);
  EXPECT_THAT(
      out_, AllOf(HasSubstr("lib/x/fails.lua:2: 1 is not what was expected (expected 2, found 1)"),
                  HasSubstr("trace: out/traces/fails.sim.jsonl"),
                  HasSubstr("again: testline run --mode sim --seed 1 lib/x/fails.lua"),
                  HasSubstr("1 passed, 1 failed")));
  EXPECT_TRUE(fs::exists("out/traces/fails.sim.jsonl"));
  EXPECT_THAT(read("reports/junit.xml"), HasSubstr("failures=\"1\""));
  EXPECT_THAT(read("report.json"), HasSubstr("\"failed\":1"));
}

TEST_F(RunTest, AReportOnStdoutStandsAlone) {
  write("a.lua", kPasses);
  EXPECT_EQ(run({.paths = {"a.lua"}, .junit = "-"}), kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("<?xml"), Not(HasSubstr("1 passed"))));
}

TEST_F(RunTest, AFileThatCannotBeReadIsTheUsersMistake) {
  write("a.lua", "scenario { name = 'x' ");
  write("b.lua", kPasses);
  write("c.lua", "scenario { name = 'x' }\nserver:phnoe {}");
  EXPECT_EQ(run({.paths = {"a.lua", "b.lua"}}), kUsage);
  EXPECT_THAT(out_, AllOf(HasSubstr("a.lua:1: "), HasSubstr("1 passed, 1 failed")));
  EXPECT_EQ(run({.paths = {"c.lua"}}), kUsage);
  EXPECT_THAT(out_, HasSubstr("c.lua:2: server has no \"phnoe\"; did you mean \"phone\"?"));
}

TEST_F(RunTest, TheCommandLineIsChecked) {
  write("a.lua", kPasses);
  EXPECT_EQ(run({.paths = {"a.lua"}, .mode = "simm"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("did you mean \"sim\"?"));
  EXPECT_EQ(run({.paths = {"a.lua"}, .timeout = "60"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--timeout"));
  EXPECT_EQ(run({.paths = {"a.lua"}, .profile = "slow"}), kUsage);
  EXPECT_EQ(run({.paths = {"a.lua"}, .shard = "3/2"}), kUsage);
  EXPECT_EQ(run({.paths = {"a.lua"}, .mode = "sim", .client = "x"}), kUsage);
  EXPECT_EQ(run({.paths = {"a.lua"}, .tags = {"bb"}}), kUsage);
  EXPECT_EQ(run({.paths = {"nowhere"}}), kEnvironment);
  EXPECT_EQ(run({.paths = {"a.lua"}, .seeds = 0}), kUsage);
  EXPECT_EQ(run({.paths = {"a.lua"}, .jitter = "50"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--jitter"));
  EXPECT_EQ(run({.paths = {"a.lua"}, .mode = "loopback", .jitter = "50ms"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("say --mode sim"));
}

TEST_F(RunTest, AClientThatIsNotThereIsTheEnvironment) {
  write("a.lua", "scenario { name = 'x' } engine:device 'a'");
  EXPECT_EQ(run({.paths = {"a.lua"}, .client = "/nonexistent/client"}), kEnvironment);
  EXPECT_THAT(out_, HasSubstr("/nonexistent/client"));
}

TEST_F(RunTest, WhatIsNotForThisModeIsSkippedWithItsReason) {
  write("a.lua", "scenario { name = 'x', modes = {'loopback'}, modes_reason = 'needs a disk' }");
  EXPECT_EQ(run({.paths = {"a.lua"}}), kOk);
  EXPECT_THAT(out_, AllOf(HasSubstr("skipped"), HasSubstr("needs a disk"),
                          HasSubstr("0 passed, 0 failed, 1 skipped")));
}

TEST_F(RunTest, AHangingScenarioIsEndedAndTheRestGoesOn) {
  write("a.lua", "scenario { name = 'hangs' }\nwhile true do pause '1h' end");
  write("b.lua", kPasses);
  EXPECT_EQ(run({.paths = {"a.lua", "b.lua"}, .jobs = 1, .timeout = "300ms"}), kFailed);
  EXPECT_THAT(out_, AllOf(HasSubstr("a.lua:2: it did not end within --timeout 300ms and was "
                                    "stopped while it waited for: pause of 1h"),
                          HasSubstr("1 passed, 1 failed")));
}

TEST_F(RunTest, AWorkerThatDiesIsReplaced) {
  write("a.lua", kPasses);
  const auto files = read_scenarios({"a.lua"}, 1);
  ASSERT_TRUE(files);
  const std::vector<Job> jobs(3, Job{&files->front(), stage::Mode::sim, 0});
  PoolEvents events;
  events.began = [](std::size_t job) {
    if (job != 1) return;
    // Our only child is the worker that is about to get this job.
    std::ifstream children("/proc/self/task/" + std::to_string(getpid()) + "/children");
    pid_t worker = 0;
    ASSERT_TRUE(children >> worker);
    kill(worker, SIGKILL);
  };
  const auto results = play_jobs(jobs, {}, {}, events);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].job.result.verdict, report::Verdict::passed);
  EXPECT_EQ(results[1].job.result.verdict, report::Verdict::error);
  EXPECT_THAT(stage::to_string(results[1].job.result.failures.at(0)),
              HasSubstr("ended by signal 9"));
  EXPECT_EQ(results[2].job.result.verdict, report::Verdict::passed);
}

TEST_F(RunTest, AnInterruptEndsTheRun) {
  write("a.lua", "scenario { name = 'hangs' } while true do pause '1h' end");
  const auto files = read_scenarios({"a.lua"}, 1);
  ASSERT_TRUE(files);
  PoolEvents events;
  events.interrupted = [] { return true; };
  const auto results = play_jobs({Job{&files->front(), stage::Mode::sim, 0}}, {}, {}, events);
  EXPECT_FALSE(results.at(0).done);
}

TEST_F(RunTest, RepetitionsInFreshProcessesGiveOneHash) {
  write("a.lua",
        "scenario { name = 'x' } local p = server:phone { number = '15550100001' } local d = "
        "engine:device 'a' "
        "d:start() p:scan(d:await_qr()) d:await 'connected'");
  EXPECT_EQ(run({.paths = {"a.lua"}, .repeat = 3}), kOk);
  EXPECT_THAT(out_, HasSubstr("3 runs, one hash"));
  EXPECT_FALSE(fs::exists("out/traces/a.sim.jsonl"));
}

TEST_F(RunTest, SeedsPlayOnNetworksOfTheirOwnAndMakeOneRow) {
  write("a.lua", kPairs);
  const auto hash = [&](std::uint64_t seed, std::uint32_t seeds, std::string jitter) {
    EXPECT_EQ(run({.paths = {"a.lua"},
                   .seed = seed,
                   .seeds = seeds,
                   .jitter = jitter,
                   .json = "report.json",
                   .repeat = 2}),
              kOk)
        << out_;
    const std::string report = read("report.json");
    return report.substr(report.find("\"trace_hash\":"), 80);
  };
  const std::string all = hash(1, 5, "50ms");
  EXPECT_THAT(out_, AllOf(HasSubstr("5 seeds, each 2 times: one hash"), HasSubstr("1 passed")));
  EXPECT_FALSE(fs::exists("out/traces") && !fs::is_empty("out/traces"));
  EXPECT_EQ(all, hash(1, 5, "50ms"));
  EXPECT_NE(all, hash(2, 5, "50ms"));
  EXPECT_NE(hash(1, 1, "50ms"), hash(1, 1, ""));
}

TEST_F(RunTest, AFailingSeedSaysHowToPlayItAgain) {
  // Which of the seeds draw so is theirs; that some do and some do not is what matters here.
  write("a.lua", "scenario { name = 'x' }\nexpect(math.random(3)):differs(1)");
  EXPECT_EQ(run({.paths = {"a.lua"}, .seed = 10, .seeds = 20, .jitter = "50ms"}), kFailed);
  EXPECT_THAT(out_, HasSubstr(" of 20 seeds failed"));
  const std::string again = "  again: testline run --mode sim --seed ";
  const std::size_t at = out_.find(again);
  ASSERT_NE(at, std::string::npos) << out_;
  std::size_t digits = 0;
  const std::uint64_t seed = std::stoull(out_.substr(at + again.size()), &digits);
  EXPECT_EQ(out_.substr(at + again.size() + digits, 22), " --jitter 50ms a.lua\n\n");
  EXPECT_GE(seed, 10u);
  EXPECT_LT(seed, 30u);
  EXPECT_TRUE(fs::exists("out/traces/a.sim.seed" + std::to_string(seed) + ".jsonl"));
  EXPECT_EQ(run({.paths = {"a.lua"}, .seed = seed, .jitter = "50ms"}), kFailed);
  if (seed > 10) {
    EXPECT_EQ(run({.paths = {"a.lua"}, .seed = seed - 1, .jitter = "50ms"}), kOk);
  }
}

TEST_F(RunTest, APlanKeepsTheNetworkOfItsRun) {
  write("a.lua", kPairs);
  const auto hash = [&] {
    const std::string report = read("report.json");
    return report.substr(report.find("\"trace_hash\":"), 80);
  };
  EXPECT_EQ(run({.paths = {"a.lua"},
                 .seed = 7,
                 .jitter = "50ms",
                 .json = "report.json",
                 .plan_out = "plan.json"}),
            kOk);
  EXPECT_THAT(read("plan.json"), AllOf(HasSubstr("\"jitter\":\"50ms\""), HasSubstr("\"seed\":7")));
  const std::string made = hash();
  EXPECT_EQ(run({.json = "report.json", .plan = "plan.json"}), kOk);
  EXPECT_EQ(hash(), made);
}

TEST_F(RunTest, RunsThatDifferAreNondeterminism) {
  write("one.jsonl", "{\"seq\":1}\n{\"seq\":2,\"kind\":\"a\"}\n");
  write("two.jsonl", "{\"seq\":1}\n{\"seq\":2,\"kind\":\"b\"}\n");
  JobResult first;
  first.result.trace_hash = "aa";
  first.result.trace_file = "one.jsonl";
  JobResult second = first;
  second.result.trace_hash = "bb";
  second.result.trace_file = "two.jsonl";
  const JobResult merged = merge_runs({first, second}, false);
  EXPECT_EQ(merged.exit_code, kNondeterminism);
  EXPECT_EQ(merged.result.verdict, report::Verdict::failed);
  EXPECT_THAT(merged.result.failures.at(0).message,
              HasSubstr("event 2 was {\"seq\":2,\"kind\":\"a\"}, then {\"seq\":2,\"kind\":\"b\"}"));
  EXPECT_TRUE(fs::exists("one.jsonl"));
}

TEST_F(RunTest, ListsPathNameAndTags) {
  write("lib/b.lua", kFails);
  write("lib/a.lua", kPasses);
  EXPECT_EQ(run({.paths = {"lib"}, .list = true}), kOk);
  EXPECT_EQ(out_, "lib/a.lua\tit passes\ta,b\nlib/b.lua\tit fails\tb\n");
  EXPECT_EQ(run({.paths = {"lib"}, .tags = {"a"}, .list = true}), kOk);
  EXPECT_EQ(out_, "lib/a.lua\tit passes\ta,b\n");
  EXPECT_EQ(run({.paths = {"lib"}, .filter = "*/b*", .list = true}), kOk);
  EXPECT_EQ(out_, "lib/b.lua\tit fails\tb\n");
  EXPECT_EQ(run({.paths = {"lib"}, .shard = "2/2", .list = true}), kOk);
  EXPECT_EQ(out_, "lib/b.lua\tit fails\tb\n");
  EXPECT_EQ(run({.paths = {"lib"}, .list = true, .symptom = "error: stream errored (restart)"}),
            kOk);
  EXPECT_EQ(out_, "lib/a.lua\tit passes\ta,b\n");
  EXPECT_EQ(run({.paths = {"lib"}, .list = true, .symptom = "something else"}), kFailed);
}

TEST_F(RunTest, TheKeysOfEveryConnectionAreLogged) {
  write("a.lua", kPairs);
  write("b.lua", kPairs);
  const RunOptions options{.paths = {"a.lua", "b.lua"}, .jobs = 2, .key_log = "keys.log"};
  EXPECT_EQ(run(options), kOk);
  const auto keys = parse_key_log(read("keys.log"));
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), 4u) << "a registration and a login each";
  EXPECT_EQ(fs::status("keys.log").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(run(options), kOk);
  EXPECT_EQ(parse_key_log(read("keys.log"))->size(), 8u) << "it is appended to";
}

TEST_F(RunTest, AKeyLogOnStdoutStandsAlone) {
  write("a.lua", kPairs);
  EXPECT_EQ(run({.paths = {"a.lua"}, .key_log = "-"}), kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("NOISE "), Not(HasSubstr("passed"))));
}

TEST_F(RunTest, AKeyLogThatCannotBeWrittenIsTheEnvironment) {
  write("a.lua", kPairs);
  EXPECT_EQ(run({.paths = {"a.lua"}, .key_log = "no/such/keys.log"}), kEnvironment);
  EXPECT_THAT(err_, HasSubstr("--key-log: cannot write no/such/keys.log: No such file"));
  EXPECT_EQ(run({.paths = {"a.lua"}, .key_log = "/dev/full"}), kEnvironment);
  EXPECT_THAT(out_, HasSubstr("--key-log: cannot write /dev/full: No space left"));
}

TEST_F(RunTest, ResultsCrossThePipeUnchanged) {
  JobResult sent;
  sent.exit_code = kFailed;
  sent.result.name = "n";
  sent.result.path = "p.lua";
  sent.result.mode = stage::Mode::loopback;
  sent.result.verdict = report::Verdict::failed;
  sent.result.failures = {{"kind", "message\n", "expected", "found", "where:1", "rule"}};
  sent.result.scenario_time = std::chrono::milliseconds(1500);
  sent.result.tags = {"a", "b"};
  sent.result.scale = 0.02;
  const auto received = decode(encode(sent));
  ASSERT_TRUE(received);
  EXPECT_EQ(encode(*received), encode(sent));
  EXPECT_EQ(received->result.failures.at(0).where, "where:1");
  EXPECT_EQ(received->result.scenario_time, sent.result.scenario_time);
  EXPECT_FALSE(decode("{\"exit_code\""));
}

TEST(TripwireDeathTest, ASimulationThatDrawsEntropyOrOpensASocketEnds) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH(
      {
        install_tripwires();
        randombytes_random();
      },
      "drew entropy from the system through libsodium");
  unsigned char byte = 0;
  EXPECT_DEATH(
      {
        install_tripwires();
        RAND_bytes(&byte, 1);
      },
      "drew entropy from the system through OpenSSL");
  EXPECT_EXIT(
      {
        install_tripwires();
        socket(AF_INET, SOCK_STREAM, 0);
      },
      testing::KilledBySignal(SIGSYS), "");
}

}  // namespace
}  // namespace wa::cli

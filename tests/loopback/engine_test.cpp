#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <filesystem>
#include <optional>

#include "engine/net/process_limits.hpp"
#include "scenarios/loopback/child_process.hpp"
#include "scenarios/loopback/lines.hpp"
#include "tests/loopback/sqlite_query.hpp"
#include "tests/support/test_support.hpp"

// `testline engine` as a program: its lines, its environment, its end. What it does on a server is
// in world_test.cpp.
namespace wa::loopback {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;
using testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    net::ignore_sigpipe();
    environment_ = {{"TESTLINE_STATE_DIR", directory_ / "state"},
                    {"TESTLINE_NOISE_ROOT", std::string(64, '1')},
                    // Nothing listens there.
                    {"TESTLINE_WS_URL", "ws://127.0.0.1:1/ws/chat"},
                    {"TESTLINE_TIME_SCALE", "0.02"}};
  }
  void TearDown() override { process_.reset(); }

  void run(const std::vector<std::string>& command = {WA_TESTLINE, "engine"}) {
    lines_.clear();
    exit_.reset();
    ChildProcess::Events events;
    events.on_stdout = [this](std::string_view line) {
      auto parsed = json::parse(line);
      ASSERT_TRUE(parsed.is_object()) << line;
      lines_.push_back(std::move(parsed.get_object()));
    };
    events.on_stderr = [this](std::string_view line) { errors_ += std::string(line) + "\n"; };
    events.on_exit = [this](std::string how, bool) { exit_ = std::move(how); };
    auto spawned = ChildProcess::spawn(io_, command, environment_, std::move(events));
    ASSERT_TRUE(spawned) << spawned.error();
    process_ = std::move(*spawned);
  }
  void set(const std::string& name, const std::string& value) {
    std::erase_if(environment_, [&](const auto& variable) { return variable.first == name; });
    environment_.emplace_back(name, value);
  }

  template <class Condition>
  bool run_until(Condition condition, std::chrono::milliseconds patience = 10s) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!condition() && std::chrono::steady_clock::now() < limit) {
      io_.restart();
      io_.run_one_for(10ms);  // some conditions are about files
    }
    return condition();
  }
  const json::object* find(std::string_view event, std::string_view key, const json::value& value) {
    for (const json::object& line : lines_) {
      const json::value* given = line.if_contains(key);
      if (line.at("event").as_string() == event && given && *given == value) return &line;
    }
    return nullptr;
  }
  /// Sends a line and returns what answers this ref.
  json::object ask(std::string_view line, const json::value& ref) {
    EXPECT_TRUE(process_->write(line));
    const json::object* answer = nullptr;
    run_until([&] {
      return (answer = find("done", "ref", ref)) || (answer = find("error", "ref", ref));
    });
    EXPECT_TRUE(answer) << "no answer to " << line;
    return answer ? *answer : json::object{};
  }
  bool stores(const std::string& device) {
    const std::string path = directory_ / "state/testline.db";
    return fs::exists(path) &&
           test::query_sqlite(path,
                              "SELECT count(*) FROM record WHERE device = '" + device + "'") != "0";
  }
  void close() {
    process_->close_stdin();
    ASSERT_TRUE(run_until([&] { return exit_.has_value(); }, 5s));
  }

  boost::asio::io_context io_;
  test::TemporaryDirectory directory_;
  ChildProcess::Environment environment_;
  std::unique_ptr<ChildProcess> process_;
  std::vector<json::object> lines_;
  std::string errors_;
  std::optional<std::string> exit_;
};

TEST_F(EngineTest, SaysHelloFirstAndEndsWithItsStdin) {
  run();
  close();
  EXPECT_EQ(exit_, "exited with status 0");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].at("event"), "hello");
  EXPECT_EQ(lines_[0].at("protocol"), 1);
  EXPECT_EQ(lines_[0].at("name"), "testline");
  EXPECT_EQ(
      json::serialize(lines_[0].at("capabilities")),
      R"(["multi_device","pairing_code","options","delete","inspect","hold","host_faults","testline_db",)"
      R"("generation","quarantine","send","read","trust","groups","presence"])");
}

struct BadLine {
  const char* line;
  const char* code;
  const char* text;
};

TEST_F(EngineTest, SaysWhatIsWrongWithALine) {
  run();
  const BadLine bad_lines[] = {
      {"start", "bad_request", "no JSON object"},
      {"[1]", "bad_request", "no JSON object"},
      {R"({"ref":null})", "bad_request", "cmd"},
      {R"({"ref":null,"cmd":1})", "bad_request", "cmd"},
      {R"({"ref":null,"cmd":"fly"})", "unsupported", "fly"},
      {R"({"ref":null,"cmd":"start","device":"../x"})", "bad_request", "device"},
      {R"({"ref":null,"cmd":"start","url":7})", "bad_request", "url"},
      {R"({"ref":null,"cmd":"start","options":[]})", "bad_request", "options"},
      {R"({"ref":null,"cmd":"start","options":{"speed":1}})", "bad_request", "speed"},
      {R"({"ref":null,"cmd":"start","options":{"initial_prekeys":-1}})", "bad_request",
       "initial_prekeys"},
      {R"({"ref":null,"cmd":"start","options":{"initial_prekeys":1e9}})", "bad_request",
       "initial_prekeys"},
      {R"({"ref":null,"cmd":"start","options":{"auto_renew_qr":1.5}})", "bad_request",
       "auto_renew_qr"},
      {R"({"ref":null,"cmd":"start","options":{"version":"2.x"}})", "bad_request", "2.x"},
      {R"({"ref":null,"cmd":"start","options":{"proxy":"ftp://a:1"}})", "bad_request", "proxy"},
      {R"({"ref":null,"cmd":"hold","point":7,"phase":"after"})", "bad_request", "point"},
      {R"({"ref":null,"cmd":"hold","point":"keys","phase":"when"})", "bad_request", "phase"},
      {R"({"ref":null,"cmd":"hold","phase":"after","nth":0})", "bad_request", "nth"},
      {R"({"ref":null,"cmd":"start","pairing_number":"1"})", "bad_request", "pairing_number"},
  };
  for (const BadLine& bad : bad_lines) {
    SCOPED_TRACE(bad.line);
    lines_.clear();
    const json::object answer = ask(bad.line, nullptr);
    EXPECT_EQ(answer.at("code"), bad.code);
    EXPECT_THAT(std::string(answer.at("text").as_string()), HasSubstr(bad.text));
  }
  EXPECT_TRUE(ask(R"({"cmd":"inspect","ref":"text","device":"a"})", "text").contains("stored"))
      << "it still works";
  close();
  EXPECT_EQ(exit_, "exited with status 0");
}

TEST_F(EngineTest, ALineWithoutAnEndEndsItAndNotItsMemory) {
  run({"sh", "-c", "head -c 3000000 /dev/zero | " WA_TESTLINE " engine"});
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_, "exited with status 0");
  EXPECT_THAT(errors_, HasSubstr("longer than 1048576 bytes"));
}

TEST_F(EngineTest, IsHeldAtACommitUntilItIsReleased) {
  run();
  ask(R"({"cmd":"hold","ref":1,"device":"a","point":"keys","phase":"before"})", 1);
  ask(R"({"cmd":"start","ref":2,"device":"a"})", 2);
  ASSERT_TRUE(run_until([&] { return find("held", "point", "keys") != nullptr; }));
  EXPECT_FALSE(stores("a"));
  ask(R"({"cmd":"release","ref":3,"device":"a"})", 3);
  ASSERT_TRUE(run_until([&] { return stores("a"); }));

  ask(R"({"cmd":"hold","ref":4,"device":"b","point":"keys","phase":"after"})", 4);
  ask(R"({"cmd":"start","ref":5,"device":"b"})", 5);
  ASSERT_TRUE(run_until([&] { return find("held", "device", "b") != nullptr; }));
  EXPECT_TRUE(stores("b"));
  EXPECT_FALSE(find("state", "device", "b")) << "nobody knows yet";
  close();
}

TEST_F(EngineTest, WithoutADeviceTheLinesHaveNone) {
  run();
  ask(R"({"cmd":"start","ref":1})", 1);
  ASSERT_TRUE(run_until([&] { return find("state", "state", "connecting") != nullptr; }));
  EXPECT_FALSE(find("state", "state", "connecting")->contains("device"));
  EXPECT_TRUE(find("state", "state", "connecting")->at("t_us").is_int64());
  close();
  EXPECT_TRUE(stores(""));
}

TEST_F(EngineTest, AServerThatIsNotThereIsTriedAgain) {
  run();
  ask(R"({"cmd":"start","ref":1,"device":"a"})", 1);
  ASSERT_TRUE(run_until([&] { return find("state", "attempts", 1) != nullptr; }));
  const json::object& failed = *find("state", "attempts", 1);
  EXPECT_THAT(std::string(failed.at("cause").as_string()), HasSubstr("refused"));
  EXPECT_TRUE(failed.contains("next_attempt_ms"));
  close();
}

TEST_F(EngineTest, KeysOutliveTheProcess) {
  run();
  ask(R"({"cmd":"start","ref":1,"device":"a"})", 1);
  const json::object before = ask(R"({"cmd":"inspect","ref":2,"device":"a"})", 2);
  EXPECT_TRUE(before.at("credentials").is_null()) << "not paired yet";
  EXPECT_EQ(before.at("stored").at("credentials"), 1);
  process_->kill();
  run();
  const json::object after = ask(R"({"cmd":"inspect","ref":3,"device":"a"})", 3);
  EXPECT_EQ(after.at("generation"), before.at("generation"));
  EXPECT_EQ(after.at("stored"), before.at("stored"));
  close();
}

TEST_F(EngineTest, ADeviceThatRunsKeepsItsOptions) {
  run();
  ask(R"({"cmd":"start","ref":1,"device":"a"})", 1);
  EXPECT_TRUE(find("done", "ref", 1));
  EXPECT_TRUE(ask(R"({"cmd":"start","ref":2,"device":"a"})", 2).at("event") == "done")
      << "idempotent";
  const json::object other =
      ask(R"({"cmd":"start","ref":3,"device":"a","options":{"auto_renew_qr":1}})", 3);
  EXPECT_EQ(other.at("code"), "conflict");
  ask(R"({"cmd":"stop","ref":4,"device":"a"})", 4);
  ASSERT_TRUE(run_until([&] { return find("state", "reason", "stopped") != nullptr; }));
  EXPECT_EQ(
      ask(R"({"cmd":"start","ref":5,"device":"a","options":{"auto_renew_qr":1}})", 5).at("event"),
      "done");
  close();
}

TEST_F(EngineTest, NothingButItsEnvironmentIsNeeded) {
  set("TESTLINE_WS_URL", "");
  set("TESTLINE_NOISE_ROOT", "");
  run();
  EXPECT_EQ(ask(R"({"cmd":"start","ref":1,"device":"a"})", 1).at("code"), "config_error");
  EXPECT_EQ(ask(R"({"cmd":"start","ref":2,"device":"a","url":"ws://127.0.0.1:1/"})", 2).at("code"),
            "config_error");
  close();
}

TEST_F(EngineTest, AnEnvironmentThatIsWrongEndsItWithAWord) {
  const std::pair<const char*, const char*> wrong[] = {
      {"TESTLINE_STATE_DIR", ""},      {"TESTLINE_NOISE_ROOT", "12"},
      {"TESTLINE_TIME_SCALE", "fast"}, {"TESTLINE_KEEPALIVE_MS", "-1"},
      {"TESTLINE_QR_FIRST_MS", "0"},   {"TESTLINE_QR_MS", "20s"},
      {"TESTLINE_TLS_CA", "/nowhere"}, {"TESTLINE_TLS_CA", "/proc/version"}};
  const ChildProcess::Environment right = environment_;
  for (const auto& [name, value] : wrong) {
    SCOPED_TRACE(name);
    environment_ = right;
    errors_.clear();
    set(name, value);
    run();
    ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
    EXPECT_EQ(exit_, "exited with status 2");
    EXPECT_THAT(errors_, HasSubstr(name));
  }
  environment_ = right;
  set("TESTLINE_STATE_DIR", "/proc/nowhere");
  run();
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_, "exited with status 3");
}

TEST_F(EngineTest, AReaderThatSleepsDoesNotStopIt) {
  // Its stdout is a named pipe that nobody reads for now: 64 KiB fit into it.
  const std::string fifo = directory_ / "stdout";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int out = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  run({"sh", "-c", "exec " WA_TESTLINE " engine >" + fifo});
  constexpr int kCommands = 20'000;
  for (int i = 1; i <= kCommands; ++i) {
    ASSERT_TRUE(process_->write(R"({"cmd":"x","ref":)" + std::to_string(i) + "}"));
  }
  process_->write(R"({"cmd":"start","ref":0,"device":"last"})");
  // Megabytes of answers wait, and still it obeys.
  ASSERT_TRUE(run_until([&] { return stores("last"); }));

  int answers = 0;
  const LineReader reader(
      io_, out, 1024 * 1024,
      {.on_line = [&](std::string_view line) { answers += line.find("\"error\"") != line.npos; },
       .on_end = {}});
  EXPECT_TRUE(run_until([&] { return answers == kCommands; })) << answers;
  close();
  EXPECT_EQ(exit_, "exited with status 0");
}

TEST_F(EngineTest, EndsInTimeWhenNobodyReadsWhatItSays) {
  const std::string fifo = directory_ / "stdout";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int out = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  run({"sh", "-c", "exec " WA_TESTLINE " engine >" + fifo});
  for (int i = 1; i <= 2000; ++i) process_->write(R"({"cmd":"x","ref":)" + std::to_string(i) + "}");
  close();
  EXPECT_EQ(exit_, "exited with status 0");
  ::close(out);
}

}  // namespace
}  // namespace wa::loopback

// Clients that are broken on purpose, on real sockets: what a client says is held against what the
// server saw.

#include <gmock/gmock.h>

#include "scenarios/loopback/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using stage::Device;
using stage::Failure;
using stage::Wait;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

class BrokenClientTest : public testing::Test {
 protected:
  /// A client that answers every command with `done`, after `says` (lines of JSON or of bash) and
  /// with `more` members.
  void begin(const std::string& says, const std::string& more = "") {
    const std::string script =
        R"(echo '{"event":"hello","protocol":1,"name":"broken",)"
        R"("version":"0","capabilities":["inspect"]}'; )"
        R"(while read -r line; do ref=${line##*ref\":}; ref=${ref%%[,\}]*}; )" +
        says + R"(; echo "{\"event\":\"done\",\"ref\":$ref)" + more + R"(}"; done)";
    Options options;
    options.scale = stage::TimeScale::loopback(0.02);
    options.client_command = "bash -c '" + quoted(script) + "'";
    auto started = World::start(std::move(options));
    ASSERT_TRUE(started) << started.error();
    world_ = std::move(*started);
  }
  static std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
    return out;
  }
  static std::string echo(const std::string& json) { return "echo '" + json + "'"; }

  Device& start(const char* engine = "engine") {
    Device& device = **world_->device(engine, "shop-1", {});
    const stage::Ref ref = device.start();
    Wait wait = Wait::for_answer(*world_, device, ref, "start", 500s);
    EXPECT_FALSE(await(*world_, wait));
    return device;
  }
  void pass(Duration real) {
    Wait wait = Wait::pause(*world_, real * 50);
    (void)await(*world_, wait);
  }
  void expect_caught(const char* rule, const char* message) {
    EXPECT_THAT(world_->finish(),
                ElementsAre(AllOf(Field(&Failure::kind, "invariant"), Field(&Failure::rule, rule),
                                  Field(&Failure::message, HasSubstr(message)))));
  }

  std::unique_ptr<World> world_;
};

TEST_F(BrokenClientTest, OneThatDoesNothingBreaksNothing) {
  begin(echo(R"({"event":"state","state":"disconnected"})"));
  start();
  EXPECT_THAT(world_->finish(), IsEmpty());
}

TEST_F(BrokenClientTest, ConnectedWithoutAStream) {
  begin(echo(R"({"event":"state","state":"connected"})"));
  start();
  expect_caught("truthful-status", "the server holds no logged-in stream");
}

TEST_F(BrokenClientTest, ACodeWithoutAStream) {
  begin(echo(R"({"event":"state","state":"waiting_for_scan"})") + "; " +
        echo(R"({"event":"qr","data":"a code"})"));
  start();
  pass(1100ms);
  expect_caught("fresh-qr", "whose stream is down");
}

TEST_F(BrokenClientTest, CredentialsThatVanish) {
  begin(R"(n=$((n+1)))", R"(,\"credentials\":$([ $n -lt 3 ] && echo \"ab\" || echo null))");
  Device& device = start();
  const stage::Ref ref = device.inspect();
  Wait wait = Wait::for_answer(*world_, device, ref, "inspect", 500s);
  EXPECT_FALSE(await(*world_, wait));
  expect_caught("credentials-survive", "forgot its account without a reason");
}

TEST_F(BrokenClientTest, ConnectsOverAndOver) {
  begin(R"(rest=${TESTLINE_WS_URL#*://}; host=${rest%%/*}; )"
        R"(case $line in *start*) for i in 1 2 3 4 5; do exec 3<>/dev/tcp/${host%:*}/${host#*:}; )"
        R"(printf "GET /%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n)"
        R"(Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" )"
        R"("${rest#*/}" "$host" >&3; read -r answer <&3; exec 3>&-; done;; esac)");
  start();
  expect_caught("bounded-reconnect", "more than 3 times without a code");
}

TEST_F(BrokenClientTest, TwoProcessesThatRunOneDevice) {
  begin(R"(case $line in *start*) echo "{\"event\":\"state\",\"state\":\"connecting\"}";; esac)");
  start("engine");
  start("other");
  expect_caught("single-owner", "is run by other while engine runs it");
}

TEST_F(BrokenClientTest, ATimerThatIsLeft) {
  begin(":", R"(,\"timers\":2)");
  start();
  expect_caught("quiet-end", "still has a timer");
}

}  // namespace
}  // namespace wa::loopback

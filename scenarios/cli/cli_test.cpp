#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/net/websocket.hpp"
#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "mockserver/control/http_test_client.hpp"
#include "scenarios/cli/completion.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/cli/key_log.hpp"
#include "tests/support/test_support.hpp"

// The program as a user runs it: a process, its output, its exit code.
namespace wa::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Folder = test::TemporaryDirectory;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// `testline` with these arguments. Ends with the object, by its own pid.
class Testline {
 public:
  explicit Testline(std::vector<std::string> arguments, const std::string& input = {}) {
    int out[2];
    int in[2];
    EXPECT_EQ(::pipe2(out, O_CLOEXEC) + ::pipe2(in, O_CLOEXEC), 0);
    errors_ = folder_ / "stderr";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, errors_.c_str(), O_CREAT | O_WRONLY, 0600);
    arguments.insert(arguments.begin(), WA_TESTLINE);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, WA_TESTLINE, &actions, nullptr, pointers.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    ::close(in[0]);
    EXPECT_EQ(::write(in[1], input.data(), input.size()), static_cast<::ssize_t>(input.size()));
    ::close(in[1]);
    out_ = ::fdopen(out[0], "r");
  }
  ~Testline() {
    if (pid_ > 0) end(SIGKILL);
    std::fclose(out_);
  }

  /// Blocks until there is a line; empty at the end of the output.
  std::string line() {
    std::string text;
    for (int c = std::fgetc(out_); c != EOF && c != '\n'; c = std::fgetc(out_)) {
      text.push_back(static_cast<char>(c));
    }
    return text;
  }
  std::string rest() {
    std::string text;
    for (int c = std::fgetc(out_); c != EOF; c = std::fgetc(out_)) {
      text.push_back(static_cast<char>(c));
    }
    return text;
  }
  int wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  int end(int signal) {
    ::kill(pid_, signal);
    return wait();
  }
  std::string errors() const { return contents(errors_); }

 private:
  Folder folder_;
  std::string errors_;
  pid_t pid_ = 0;
  std::FILE* out_ = nullptr;
};

int run(std::vector<std::string> arguments, std::string* output = nullptr,
        std::string* errors = nullptr, const std::string& input = {}) {
  Testline program(std::move(arguments), input);
  const std::string text = program.rest();
  const int code = program.wait();
  if (output != nullptr) *output = text;
  if (errors != nullptr) *errors = program.errors();
  return code;
}

// ---- the command line ------------------------------------------------------------------------

TEST(CommandLineTest, HelpAndVersionAreNoErrors) {
  std::string output;
  EXPECT_EQ(run({"--version"}, &output), kOk);
  EXPECT_THAT(output, StartsWith("testline "));
  for (const std::string verb : {"mock", "qr", "scan", "completion"}) {
    SCOPED_TRACE(verb);
    EXPECT_EQ(run({verb, "--help"}, &output), kOk);
    EXPECT_THAT(output, HasSubstr("Examples:\n  "));
  }
}

TEST(CommandLineTest, WhatCannotBeUnderstoodIsUsage) {
  std::string errors;
  EXPECT_EQ(run({}), kUsage);
  EXPECT_EQ(run({"mokc"}, nullptr, &errors), kUsage);
  EXPECT_THAT(errors, HasSubstr("did you mean \"mock\"?"));
  EXPECT_EQ(run({"mock", "--profil", "fast"}), kUsage);
  EXPECT_EQ(run({"mock", "--profile", "slow"}, nullptr, &errors), kUsage);
  EXPECT_THAT(errors, HasSubstr("fast"));
  EXPECT_EQ(run({"mock", "--set", "refs.cuont=3"}, nullptr, &errors), kUsage);
  EXPECT_THAT(errors, HasSubstr("did you mean \"refs.count\"?"));
  EXPECT_EQ(run({"mock", "--set", "refs.count"}, nullptr, &errors), kUsage);
  EXPECT_EQ(run({"mock", "--listen", "nonsense"}, nullptr, &errors), kUsage);
  EXPECT_THAT(errors, HasSubstr("--listen"));
  EXPECT_EQ(run({"completion", "fish"}), kUsage);
}

TEST(CommandLineTest, CompletionOffersVerbsAndTheirOptions) {
  std::string script;
  ASSERT_EQ(run({"completion", "bash"}, &script), kOk);
  EXPECT_THAT(script, HasSubstr("mock) words='--help --listen --control"));
  Folder folder;
  std::ofstream(folder / "script") << script
                                   << "COMP_WORDS=(testline mock --rea); COMP_CWORD=2; _testline\n"
                                      "echo \"${COMPREPLY[@]}\" > "
                                   << (folder / "reply") << "\n";
  ASSERT_EQ(std::system(("bash " + (folder / "script")).c_str()), 0);
  EXPECT_EQ(contents(folder / "reply"), "--ready-file\n");
}

// ---- qr and scan -----------------------------------------------------------------------------

TEST(QrVerbTest, WhatQrDrawsScanReads) {
  Folder folder;
  const std::string file = folder / "qr.png";
  std::string output;
  ASSERT_EQ(run({"qr", "2@abc,def,ghi,jkl", "--out", file, "--module", "3"}), kOk);
  EXPECT_EQ(run({"scan", file}, &output), kOk);
  EXPECT_EQ(output, "2@abc,def,ghi,jkl\n");
  EXPECT_EQ(run({"scan", "-"}, &output, nullptr, contents(file)), kOk);
  EXPECT_EQ(output, "2@abc,def,ghi,jkl\n");
  ASSERT_EQ(run({"qr", "-", "--out", file}, nullptr, nullptr, "from stdin\n"), kOk);
  EXPECT_EQ(run({"scan", file}, &output), kOk);
  EXPECT_EQ(output, "from stdin\n");
}

TEST(QrVerbTest, DrawsOnTheTerminalAndAsSvg) {
  std::string output;
  EXPECT_EQ(run({"qr", "hello"}, &output), kOk);
  EXPECT_THAT(output, HasSubstr("█"));
  EXPECT_EQ(run({"qr", "hello", "--svg"}, &output), kOk);
  EXPECT_THAT(output, HasSubstr("<svg"));
}

TEST(QrVerbTest, FailuresHaveTheirExitCodes) {
  Folder folder;
  std::string errors;
  EXPECT_EQ(run({"qr", std::string(3000, 'x')}, nullptr, &errors), kFailed);
  EXPECT_THAT(errors, Not(IsEmpty()));
  EXPECT_EQ(run({"qr", "x", "--out", folder / "q.png", "--module", "65"}), kUsage);
  EXPECT_EQ(run({"qr", "x", "--out", folder / "no/such/folder.png"}, nullptr, &errors),
            kEnvironment);
  EXPECT_THAT(errors, HasSubstr("no/such/folder.png"));
  EXPECT_EQ(run({"scan", folder / "missing.png"}), kEnvironment);
  std::ofstream(folder / "text.png") << "no picture";
  EXPECT_EQ(run({"scan", folder / "text.png"}, nullptr, &errors), kFailed);
  EXPECT_THAT(errors, HasSubstr("neither PNG nor JPEG"));
}

// ---- mock ------------------------------------------------------------------------------------

/// `testline mock` on free ports, up and running.
class MockVerb {
 public:
  explicit MockVerb(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"mock",        "--listen",     "127.0.0.1:0", "--control",
                                          "127.0.0.1:0", "--ready-file", ready_file()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    process.emplace(std::move(arguments));
    for (int i = 0; i < 40 && !banner.ends_with("-----END CERTIFICATE-----\n"); ++i) {
      banner += process->line() + "\n";
    }
    const std::string text = contents(ready_file());
    if (text.empty()) {
      ADD_FAILURE() << "no ready file; stdout: " << banner << "stderr: " << process->errors();
      return;
    }
    info = boost::json::parse(text).as_object();
    const std::string url(info.at("control_url").as_string());
    control_port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }

  std::string ready_file() const { return folder / "ready.json"; }
  mock::test::HttpAnswer call(std::string_view method, std::string_view path,
                              std::string_view body = {},
                              const mock::test::HttpHeaders& headers = {}) {
    return mock::test::http_call(control_port, method, path, body, headers);
  }

  Folder folder;
  std::optional<Testline> process;
  std::string banner;
  boost::json::object info;
  std::uint16_t control_port = 0;
};

TEST(MockVerbTest, SaysWhereItListensAndHowToScan) {
  MockVerb mock;
  const std::string ws_url(mock.info.at("ws_url").as_string());
  EXPECT_THAT(mock.banner, HasSubstr(ws_url));
  EXPECT_THAT(mock.banner, HasSubstr("wss" + ws_url.substr(2)));
  EXPECT_EQ(mock.info.at("wss_url").as_string(), "wss" + ws_url.substr(2));
  EXPECT_THAT(mock.banner, HasSubstr(std::string(mock.info.at("tls_ca_pem").as_string())));
  EXPECT_THAT(mock.banner, HasSubstr("curl --data-binary @qr.png"));
  EXPECT_EQ(boost::json::parse(mock.call("GET", "/v1/info").body), boost::json::value(mock.info));
  EXPECT_THAT(mock.process->errors(), IsEmpty());
}

TEST(MockVerbTest, EndsCleanlyOnSignals) {
  for (const auto& [signal, code] : {std::pair(SIGTERM, 0), std::pair(SIGINT, 130)}) {
    SCOPED_TRACE(signal);
    MockVerb mock;
    mock::test::TestSocket client(
        static_cast<std::uint16_t>(mock.control_port));  // a connection that stands idle
    const std::string ready = mock.ready_file();
    EXPECT_EQ(mock.process->end(signal), code);
    EXPECT_FALSE(std::filesystem::exists(ready)) << "nobody is ready any more";
  }
}

TEST(MockVerbTest, SettingsTokenAndSeedReachTheMock) {
  MockVerb mock({"--profile", "fast", "--set", "refs.count=2", "--set", "refs.first=9s", "--token",
                 "secret", "--seed", "7"});
  EXPECT_EQ(mock.call("GET", "/v1/info").status, 401);
  const auto info = mock.call("GET", "/v1/info", {}, {{"Authorization", "Bearer secret"}});
  EXPECT_EQ(info.json().at("profile").as_string(), "fast");
  EXPECT_THAT(mock.banner, Not(HasSubstr("secret")));
}

TEST(MockVerbTest, APortInUseIsNamedWithWhatToDo) {
  MockVerb mock;
  const std::string address = "127.0.0.1:" + std::to_string(mock.control_port);
  std::string errors;
  EXPECT_EQ(run({"mock", "--listen", address, "--control", "127.0.0.1:0"}, nullptr, &errors),
            kEnvironment);
  EXPECT_THAT(errors, testing::AllOf(HasSubstr("--listen"), HasSubstr(address)));
  EXPECT_EQ(run({"mock", "--listen", "127.0.0.1:0", "--control", address}, nullptr, &errors),
            kEnvironment);
  EXPECT_THAT(errors, testing::AllOf(HasSubstr("--control"), HasSubstr("port 0 takes a free one")));
}

TEST(MockVerbTest, StateSurvivesARestartAndAKill) {
  Folder folder;
  const std::string state = folder / "state";
  std::string root;
  std::string ca;
  std::string lid;
  {
    MockVerb first({"--state", state});
    root = first.info.at("noise_root_public_key").as_string();
    ca = first.info.at("tls_ca_pem").as_string();
    const auto phone = first.call("POST", "/v1/phones", R"({"number":"15550100001"})").json();
    lid = phone.at("lid").as_string();
    EXPECT_EQ(first.process->end(SIGTERM), kOk);
  }
  {
    MockVerb second({"--state", state});
    EXPECT_EQ(second.info.at("noise_root_public_key").as_string(), root);
    EXPECT_EQ(second.info.at("tls_ca_pem").as_string(), ca);
    const auto phone = second.call("GET", "/v1/phones/15550100001");
    ASSERT_EQ(phone.status, 200);
    EXPECT_EQ(phone.json().at("lid").as_string(), lid);
    second.process->end(SIGKILL);
  }
  MockVerb third({"--state", state});
  EXPECT_EQ(third.call("GET", "/v1/phones/15550100001").status, 200);
}

TEST(MockVerbTest, ADamagedStateFileIsNamedWithWhatToDo) {
  Folder folder;
  const std::string state = folder / "state";
  { MockVerb once({"--state", state}); }
  for (const std::string name : {"keys.json", "tls.pem", "accounts.json"}) {
    SCOPED_TRACE(name);
    const std::string good = contents(state + "/" + name);
    std::ofstream(state + "/" + name) << "{\"half";
    std::string errors;
    EXPECT_EQ(run({"mock", "--state", state, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"},
                  nullptr, &errors),
              kEnvironment);
    EXPECT_THAT(errors, testing::AllOf(HasSubstr(state + "/" + name), HasSubstr("delete it")));
    EXPECT_EQ(contents(state + "/" + name), "{\"half") << "not overwritten";
    if (good.empty()) {
      std::filesystem::remove(state + "/" + name);
    } else {
      std::ofstream(state + "/" + name) << good;
    }
  }
}

/// A client on a WebSocket that keeps what went over it, payloads one behind the other.
class Capture {
 public:
  explicit Capture(const std::string& url) {
    dial_.emplace(io_, *net::Url::parse(url), net::DialOptions(), [this](auto result) {
      socket_ = std::get<net::WebSocketPtr>(std::move(result));
      net::WebSocket::Events events;
      events.on_message = [this](ByteSpan message) {
        append(from_server, message);
        messages_.push_back(to_bytes(message));
      };
      socket_->start(std::move(events));
    });
    while (!socket_) io_.run_one();
  }
  void send(const Bytes& message) {
    append(from_client, message);
    socket_->send(message);
  }
  /// The payload of the next frame.
  Bytes receive() {
    while (messages_.empty()) io_.run_one();
    const Bytes message = std::move(messages_.front());
    messages_.pop_front();
    return to_bytes(ByteSpan(message).subspan(3));
  }

  Bytes from_client;
  Bytes from_server;

 private:
  boost::asio::io_context io_{1};
  std::optional<net::Dial> dial_;
  net::WebSocketPtr socket_;
  std::deque<Bytes> messages_;
};

Bytes framed(ByteSpan payload) {
  Bytes message;
  wire::append_frame_header(payload.size(), message);
  append(message, payload);
  return message;
}

/// A registration up to pair-device, and one iq of the client's.
void register_client(Capture& capture, Random& random) {
  const auto noise_key = crypto::generate_key_pair(random);
  const auto identity = crypto::generate_key_pair(random);
  pairing::Registration registration;
  registration.version = {2, 3000, 1043857760};
  registration.identity = identity.public_key;
  registration.signed_pre_key_id = 1;
  registration.signed_pre_key = crypto::generate_key_pair(random).public_key;
  const std::byte type{5};
  registration.signed_pre_key_signature = crypto::sign(
      identity, concat(ByteSpan(&type, 1), ByteSpan(registration.signed_pre_key.bytes)), random);
  registration.os = "Ubuntu";

  const auto prologue = noise::prologue(3);
  noise::Initiator initiator(prologue, noise_key, random);
  capture.send(concat(ByteSpan(prologue), ByteSpan(framed(initiator.client_hello()))));
  ASSERT_TRUE(initiator.on_server_hello(capture.receive()));
  const auto payload = pairing::encode_registration(registration);
  capture.send(framed(*initiator.client_finish(payload)));
  capture.receive();  // pair-device
  noise::TransportCipher cipher(initiator.split().client_to_server);
  const auto ping =
      wire::NodeBuilder("iq").attr("xmlns", "w:p").attr("type", "get").attr("id", "7");
  Bytes message;
  ASSERT_TRUE(cipher.seal_frame(wire::encode(ping, wire::Dictionary::v3), message));
  capture.send(message);
}

TEST(MockVerbTest, WhatACaptureHoldsIsReadWithItsKeyLog) {
  Folder folder;
  const std::string keys = folder / "keys.log";
  MockVerb mock({"--key-log", keys});
  ASSERT_EQ(mock.call("PUT", "/v1/t/other", "{}").status, 201);
  SeededRandom random(1);
  const std::string url(mock.info.at("ws_url").as_string());
  Capture capture(url);
  register_client(capture, random);
  Capture other(url.substr(0, url.find("/ws/")) + "/t/other/ws/chat");
  register_client(other, random);
  EXPECT_EQ(parse_key_log(contents(keys))->size(), 2u) << "of all tenants";

  ASSERT_TRUE(write_file(folder / "server.bin", capture.from_server));
  ASSERT_TRUE(write_file(folder / "client.bin", other.from_client));
  std::string output;
  EXPECT_EQ(run({"decode", "--key-log", keys, folder / "server.bin"}, &output), kOk);
  EXPECT_THAT(output, testing::AllOf(HasSubstr("ServerHello"), HasSubstr("<pair-device>")));
  EXPECT_EQ(run({"decode", "--key-log", keys, folder / "client.bin"}, &output), kOk);
  EXPECT_THAT(output, testing::AllOf(HasSubstr("ClientFinish"), HasSubstr("xmlns=\"w:p\"")));

  const auto logged = parse_key_log(contents(keys));
  const std::string secret = to_hex(logged->front().client_to_server);
  for (const char* call : {"/v1/events?limit=100&within=0s", "/v1/connections", "/v1/info",
                           "/v1/violations", "/v1/coverage", "/metrics"}) {
    const auto answer = mock.call("GET", call, {}, {{"Accept", "application/json"}});
    EXPECT_THAT(answer.body, Not(HasSubstr(secret))) << call;
    EXPECT_THAT(answer.body, Not(IsEmpty())) << call;
  }
}

constexpr const char* kMockPlan =
    R"({"plan":1,"seed":7,"profile":"fast","server":{"refs.count":"2"},
        "phones":[{"number":"15550100001","name":"Shop"},{"number":"15550100002"}],
        "faults":[{"id":"cut","fault":"close","when":{"manual":true}},
                  {"id":"late","fault":"close","where":{"device":"shop-1"},"when":{"after":"1h"}}]})";

/// How many refs a client is offered that connects now.
int refs_offered(const MockVerb& mock, const std::string& keys) {
  SeededRandom random(1);
  Capture capture(std::string(mock.info.at("ws_url").as_string()));
  register_client(capture, random);
  const std::string file = mock.folder / "server.bin";
  EXPECT_TRUE(write_file(file, capture.from_server));
  std::string output;
  EXPECT_EQ(run({"decode", "--key-log", keys, file}, &output), kOk);
  int count = 0;
  for (auto at = output.find("<ref>"); at != std::string::npos; at = output.find("<ref>", at + 1))
    ++count;
  return count;
}

TEST(MockVerbTest, APlanIsThereWhenItStarts) {
  Folder folder;
  const std::string plan = folder / "plan.json";
  const std::string keys = folder / "keys.log";
  std::ofstream(plan) << kMockPlan;
  MockVerb mock({"--plan", plan, "--key-log", keys});
  EXPECT_EQ(mock.info.at("profile").as_string(), "fast");
  EXPECT_EQ(mock.call("GET", "/v1/phones/15550100001").json().at("name").as_string(), "Shop");
  EXPECT_EQ(mock.call("GET", "/v1/phones/15550100002").status, 200);
  const std::string faults = mock.call("GET", "/v1/faults").body;
  EXPECT_THAT(faults, testing::AllOf(HasSubstr("\"cut\""), HasSubstr("\"late\"")));
  EXPECT_EQ(refs_offered(mock, keys), 2);
}

TEST(MockVerbTest, FlagsCountMoreThanThePlan) {
  Folder folder;
  const std::string plan = folder / "plan.json";
  const std::string keys = folder / "keys.log";
  std::ofstream(plan) << kMockPlan;
  MockVerb mock({"--plan", plan, "--key-log", keys, "--profile", "default", "--set", "refs.count=3",
                 "--seed", "8"});
  EXPECT_EQ(mock.info.at("profile").as_string(), "default");
  EXPECT_EQ(refs_offered(mock, keys), 3);
}

TEST(MockVerbTest, APlanAndItsStateCanBeUsedAgain) {
  Folder folder;
  const std::string plan = folder / "plan.json";
  std::ofstream(plan) << kMockPlan;
  std::string lid;
  {
    MockVerb first({"--plan", plan, "--state", folder / "state"});
    lid = first.call("GET", "/v1/phones/15550100002").json().at("lid").as_string();
    EXPECT_EQ(first.process->end(SIGTERM), kOk);
  }
  MockVerb second({"--plan", plan, "--state", folder / "state"});
  EXPECT_EQ(second.call("GET", "/v1/phones/15550100002").json().at("lid").as_string(), lid);
}

TEST(MockVerbTest, WhatIsWrongWithAPlanIsNamed) {
  struct Bad {
    const char* plan;
    const char* says;
  };
  Folder folder;
  const std::string file = folder / "plan.json";
  std::string errors;
  for (
      const Bad& bad : {
          Bad{"{", "not JSON"},
          Bad{R"({"plan":1,"phnoes":[]})",
              "plan: unknown member \"phnoes\"; did you mean \"phones\"?"},
          Bad{R"({"plan":1,"phones":[{"nummer":"1"}]})", "phones[0]: unknown member \"nummer\""},
          Bad{R"({"plan":1,"phones":[{"number":"12ab"}]})", "phones[0]: "},
          Bad{R"({"plan":1,"server":{"refs.cuont":"1"}})", "refs.count"},
          Bad{R"({"plan":1,"faults":[{"fault":"close","wen":{}}]})", "faults[0]: "},
          Bad{R"({"plan":1,"faults":[{"fault":"kill","args":{"point":"login.after"},"when":{"manual":true}}]})",
              "faults[0]: kill happens to the client's host"},
      }) {
    SCOPED_TRACE(bad.plan);
    std::ofstream(file) << bad.plan;
    EXPECT_EQ(run({"mock", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--plan", file},
                  nullptr, &errors),
              kUsage);
    EXPECT_THAT(errors, testing::AllOf(HasSubstr(file + ": "), HasSubstr(bad.says)));
  }
  EXPECT_EQ(run({"mock", "--plan", folder / "none.json"}, nullptr, &errors), kEnvironment);
  EXPECT_THAT(errors, HasSubstr("none.json"));
}

TEST(MockVerbTest, AKeyLogThatCannotBeOpenedIsTheEnvironment) {
  Folder folder;
  std::string errors;
  EXPECT_EQ(run({"mock", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--key-log",
                 folder / "no/such/keys.log"},
                nullptr, &errors),
            kEnvironment);
  EXPECT_THAT(errors, HasSubstr("--key-log: cannot write " + (folder / "no/such/keys.log")));
}

/// The commands of the guide's blocks that are marked sh; those marked console need a client.
std::string commands_of_guide() {
  std::istringstream guide(contents(WA_GUIDE));
  std::string commands = "set -e\n";
  bool inside = false;
  for (std::string line; std::getline(guide, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
    } else if (inside) {
      commands += line + "\n";
    }
  }
  return commands;
}

TEST(GuideTest, TheCurlExamplesWork) {
  ASSERT_EQ(std::system("curl --version > /dev/null"), 0) << "curl is missing: run ci/setup";
  MockVerb mock;
  std::ofstream(mock.folder / ".curlrc") << "fail-with-body\n";
  const std::string commands = commands_of_guide();
  ASSERT_THAT(commands, HasSubstr("/faults -d"));
  std::ofstream(mock.folder / "guide") << commands;
  const std::string url(mock.info.at("control_url").as_string());
  const std::string output = mock.folder / "output";
  EXPECT_EQ(std::system(("MOCK=" + url + "/v1 CURL_HOME=" + (mock.folder / "") + " bash -x " +
                         (mock.folder / "guide") + " > " + output + " 2>&1")
                            .c_str()),
            0)
      << contents(output);
  EXPECT_THAT(contents(output), HasSubstr("late-515"));
}

TEST(FilesTest, AFileIsReplacedAsAWhole) {
  Folder folder;
  const std::string file = folder / "f";
  ASSERT_TRUE(write_file(file, as_bytes("long contents")));
  ASSERT_TRUE(write_file(file, as_bytes("short")));
  EXPECT_EQ(contents(file), "short");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / ""),
                          std::filesystem::directory_iterator()),
            1)
      << "nothing is left beside it";
  const auto failed = write_file(folder / "", as_bytes("x"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::environment);
}

}  // namespace
}  // namespace wa::cli

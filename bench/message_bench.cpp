// How long a message takes over real loopback sockets: from the command that wants it sent until
// the engine answers for it (durable here), and until the server has acknowledged it (durable here,
// too). The engine and the mock are processes of their own; TLS, SQLite with an fsync per commit.
//
//   message_bench [--messages N] [--rate PER_SECOND] [--testline PATH]
//
// Each message has its place in time and is measured from there, so one that is late does not make
// the next ones look quick.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <vector>

#include "engine/net/process_limits.hpp"
#include "mockserver/control/http_test_client.hpp"
#include "scenarios/loopback/child_process.hpp"
#include "tests/support/test_support.hpp"

namespace {

using namespace wa;
using namespace std::chrono_literals;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using loopback::ChildProcess;

constexpr const char* kOwn = "15550100001";
constexpr const char* kOther = "15550100002";

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "message_bench: %s\n", why.c_str());
  std::exit(1);
}

void print(const char* name, std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  const auto at = [&](double share) {
    return times_ms[static_cast<std::size_t>(share * static_cast<double>(times_ms.size() - 1))];
  };
  std::printf("%-47s p50 %7.2f ms   p99 %7.2f ms   max %7.2f ms   n %zu\n", name, at(0.5), at(0.99),
              times_ms.back(), times_ms.size());
}

/// What a commit cannot be quicker than, in milliseconds.
std::vector<double> disk_syncs(const std::string& directory) {
  constexpr int kWrites = 500;
  const std::string path = directory + "/sync";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) give_up("cannot write " + path);
  const std::string page(4096, 'x');
  std::vector<double> times;
  for (int i = 0; i < kWrites; ++i) {
    const auto begin = Clock::now();
    if (::pwrite(file, page.data(), page.size(), static_cast<off_t>(page.size()) * i) < 0 ||
        ::fdatasync(file) != 0) {
      give_up("cannot write " + path);
    }
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  ::close(file);
  return times;
}

struct Message {
  Clock::time_point due;
  std::optional<Clock::time_point> accepted;
  std::optional<Clock::time_point> sent;
};

class Bench {
 public:
  explicit Bench(std::string testline) : testline_(std::move(testline)) {}

  void begin() {
    const std::string ready_file = directory_ / "mock.json";
    mock_ = spawn({testline_, "mock", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
                   "--profile", "fast", "--ready-file", ready_file},
                  {}, [](std::string_view) {});
    const auto limit = Clock::now() + 10s;
    while (!std::filesystem::exists(ready_file)) {
      if (Clock::now() > limit) give_up("the mock is not ready within 10 s");
      run_for(5ms);
    }
    std::ifstream file(ready_file);
    const json::value info = json::parse(
        std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
    const auto text = [&](const char* name) { return std::string(info.at(name).as_string()); };
    const std::string control = text("control_url");
    const std::size_t colon = control.rfind(':');
    control_port_ = static_cast<std::uint16_t>(std::atoi(control.c_str() + colon + 1));
    std::ofstream(directory_ / "ca.pem") << text("tls_ca_pem");
    for (const char* number : {kOwn, kOther}) {
      call("POST", "/v1/phones", json::serialize(json::object{{"number", number}}));
    }
    engine_ = spawn({testline_, "engine"},
                    {{"TESTLINE_WS_URL", text("wss_url") + "?device=bench"},
                     {"TESTLINE_NOISE_ROOT", text("noise_root_public_key")},
                     {"TESTLINE_TLS_CA", directory_ / "ca.pem"},
                     {"TESTLINE_STATE_DIR", directory_ / "engine"}},
                    [this](std::string_view line) { on_line(line); });
    tell({{"cmd", "start"}, {"ref", 1}, {"options", {{"initial_prekeys", 30}}}});
    run_until("the device is not connected", [&] { return connected_; });
    // The first message brings devices, keys and sessions.
    run(1, 1);
  }

  void run(std::size_t messages, double rate) {
    const auto gap =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));
    const auto begin = Clock::now();
    messages_.clear();
    ended_ = 0;
    while (messages_.size() < messages) {
      const auto due = begin + gap * static_cast<Clock::rep>(messages_.size());
      const auto left = due - Clock::now();
      if (left > Clock::duration::zero()) {
        run_for(left);
        continue;
      }
      const std::string number = std::to_string(messages_.size());
      messages_.push_back({due, {}, {}});
      tell({{"cmd", "send"},
            {"ref", kFirstRef + messages_.size() - 1},
            {"to", kOther},
            {"text", "message " + number},
            {"id", id_prefix_ + number}});
    }
    run_until("not every message was sent", [&] { return ended_ == messages; });
    id_prefix_ = "BENCH";
  }

  const std::string& directory() const { return directory_.path(); }

  void report(double rate) const {
    std::vector<double> accepted;
    std::vector<double> sent;
    for (const Message& message : messages_) {
      accepted.push_back(
          std::chrono::duration<double, std::milli>(*message.accepted - message.due).count());
      sent.push_back(
          std::chrono::duration<double, std::milli>(*message.sent - message.due).count());
    }
    std::printf("%g messages per second, wss, SQLite; from the command to\n", rate);
    print("  accepted: durable, and answered for", std::move(accepted));
    print("  sent: the server's ack, and that is durable", std::move(sent));
  }

 private:
  static constexpr std::size_t kFirstRef = 100;

  std::unique_ptr<ChildProcess> spawn(const std::vector<std::string>& command,
                                      ChildProcess::Environment environment,
                                      std::function<void(std::string_view)> on_line) {
    ChildProcess::Events events;
    events.on_stdout = std::move(on_line);
    events.on_stderr = [](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
    events.on_exit = [name = command[1]](const std::string& how, bool) {
      give_up(name + " " + how);
    };
    auto spawned = ChildProcess::spawn(io_, command, environment, std::move(events));
    if (!spawned) give_up(spawned.error().detail);
    return std::move(*spawned);
  }
  void run_for(Clock::duration duration) {
    io_.restart();
    io_.run_one_for(duration);
  }
  void run_until(const char* otherwise, const std::function<bool()>& condition) {
    const auto limit = Clock::now() + 60s;
    while (!condition()) {
      if (Clock::now() > limit) give_up(std::string(otherwise) + " within 60 s");
      run_for(100ms);
    }
  }
  void tell(const json::object& line) { engine_->write(json::serialize(line)); }
  void call(const char* method, const std::string& target, const std::string& body) {
    const auto answer = mock::test::http_call(control_port_, method, target, body);
    if (answer.status / 100 != 2) give_up(target + ": " + answer.body);
  }

  void on_line(std::string_view text) {
    const auto now = Clock::now();
    const json::value line = json::parse(text);
    const std::string_view event = line.at("event").as_string();
    if (event == "qr") {
      const std::string code(line.at("data").as_string());
      call("POST", std::string("/v1/phones/") + kOwn + "/scan", code);
    } else if (event == "state") {
      connected_ = line.at("state").as_string() == "connected";
    } else if (event == "done") {
      const auto ref = line.at("ref").to_number<std::size_t>();
      if (ref >= kFirstRef) messages_.at(ref - kFirstRef).accepted = now;
    } else if (event == "sent") {
      const std::string_view id = line.at("id").as_string();
      messages_.at(std::stoul(std::string(id.substr(id_prefix_.size())))).sent = now;
      ++ended_;
    } else if (event == "error" || event == "send_failed") {
      give_up(std::string(text));
    }
  }

  const std::string testline_;
  boost::asio::io_context io_{1};
  const test::TemporaryDirectory directory_;
  std::uint16_t control_port_ = 0;
  std::unique_ptr<ChildProcess> mock_;
  std::unique_ptr<ChildProcess> engine_;
  bool connected_ = false;
  std::string id_prefix_ = "FIRST";
  std::vector<Message> messages_;
  std::size_t ended_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::size_t messages = 4000;
  double rate = 200;
  std::string testline = std::filesystem::path(argv[0]).parent_path() / "testline";
  CLI::App app("From the command to send until a message is accepted, and acknowledged.");
  app.add_option("--messages", messages, "so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rate", rate, "messages per second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--testline", testline, "the program")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  net::ignore_sigpipe();
  Bench bench(std::move(testline));
  bench.begin();
  bench.run(messages, rate);
  bench.report(rate);
  print("  the disk alone: a write of 4 KiB, and fdatasync", disk_syncs(bench.directory()));
}

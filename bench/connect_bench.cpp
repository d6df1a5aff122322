// What a connection costs over real loopback sockets: a whole pairing with picture and camera, TLS
// and plain; the memory of an idle connection, both ends in this process; and how soon `testline
// mock` is ready.
//
//   connect_bench [--pairings N] [--connections N] [--starts N] [--testline PATH]

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "engine/net/process_limits.hpp"
#include "engine/net/websocket.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "engine/qr/qr.hpp"
#include "engine/runtime/session_shell.hpp"
#include "engine/store/memory_store.hpp"
#include "mockserver/camera/camera.hpp"
#include "mockserver/net/mock_host.hpp"
#include "tests/support/test_support.hpp"

namespace {

using namespace wa;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "connect_bench: %s\n", why.c_str());
  std::exit(1);
}

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

void print(const char* name, std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  const auto at = [&](double share) {
    return times_ms[static_cast<std::size_t>(share * static_cast<double>(times_ms.size() - 1))];
  };
  std::printf("%-44s p50 %7.2f ms   p99 %7.2f ms   n %zu\n", name, at(0.5), at(0.99),
              times_ms.size());
}

/// One mock and what devices share.
struct Bench {
  boost::asio::io_context io{1};
  crypto::SystemRandom random;
  runtime::ComputePool pool{io, 2};
  store::MemoryStore store{io};
  std::unique_ptr<mock::MockHost> host;

  Bench() {
    mock::HostOptions options;
    options.settings = mock::Settings::profile("fast").value();
    auto started = mock::MockHost::start(io, options, mock::ServerKeys::generate(random), random);
    if (!started) give_up(started.error().detail);
    host = std::move(*started);
  }

  void run_until(const std::function<bool()>& condition) {
    while (!condition()) {
      io.restart();
      if (io.run_one_for(10s) == 0) give_up("nothing happened for 10 s");
    }
  }
};

/// From start() to `connected`, in ms: dial, QR, PNG, ZXing, pair-success, 515, login, pre-keys.
double pair(Bench& bench, int number, bool tls, std::uint32_t prekeys) {
  const std::string phone = std::to_string(15550100000 + number);
  bench.host->command({}, mock::AddPhone{phone, ""}, {});
  runtime::SessionShell::Options options;
  options.config.url = tls ? bench.host->wss_url() : bench.host->ws_url();
  options.config.noise_root = bench.host->keys().root.public_key;
  options.config.initial_prekeys = prekeys;
  options.tls_ca_pem = bench.host->tls_ca_pem();
  bool scanned = false;
  bool connected = false;
  runtime::SessionShell::Events events;
  events.on_report = [](const client::Report&, Now) {};
  events.on_status = [&](const client::Status& status, Now) {
    connected = status.state == client::State::connected;
    if (!status.qr || std::exchange(scanned, true)) return;
    const auto picture = qr::to_png(status.qr->text);
    if (!picture) give_up(picture.error().detail);
    const auto text = mock::camera::read_picture(*picture);
    if (!text) give_up(text.error().detail);
    bench.host->command({}, mock::Scan{phone, *text}, [](const auto& answer) {
      if (const auto* problem = std::get_if<mock::Problem>(&answer)) give_up(problem->message);
    });
  };
  runtime::SessionShell shell({bench.io, bench.pool, bench.store, bench.random}, "d" + phone,
                              std::move(options), std::move(events));
  const auto begin = Clock::now();
  shell.start({});
  bench.run_until([&] { return connected; });
  const double took = ms_since(begin);
  shell.stop({});
  bench.run_until([&] { return shell.idle(); });
  return took;
}

void bench_pairings(int count) {
  Bench bench;
  int number = 0;
  struct Case {
    const char* name;
    bool tls;
    std::uint32_t prekeys;
  };
  for (const Case& one :
       {Case{"pairing, wss, 812 pre-keys", true, 812}, Case{"pairing, wss, 30 pre-keys", true, 30},
        Case{"pairing, ws, 30 pre-keys", false, 30}}) {
    std::vector<double> times;
    pair(bench, ++number, one.tls, one.prekeys);  // warm
    for (int i = 0; i < count; ++i) times.push_back(pair(bench, ++number, one.tls, one.prekeys));
    print(one.name, std::move(times));
  }
}

std::size_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  unsigned long all = 0;
  unsigned long resident = 0;
  const bool read = file && std::fscanf(file, "%lu %lu", &all, &resident) == 2;
  if (file) std::fclose(file);
  return read ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

/// Both ends of idle WebSockets, and what the mock keeps for each.
void measure_memory(std::size_t count, bool tls) {
  Bench bench;
  std::vector<net::WebSocketPtr> clients;
  clients.reserve(count);
  const auto url = net::Url::parse(tls ? bench.host->wss_url() : bench.host->ws_url());
  net::DialOptions options;
  options.tls_ca_pem = bench.host->tls_ca_pem();
  std::size_t before = 0;
  auto begin = Clock::now();
  for (std::size_t i = 0; i <= count; ++i) {
    if (i == 1) {  // the first one pays for what all share
      before = resident_bytes();
      begin = Clock::now();
    }
    const net::Dial dial(bench.io, *url, options, [&](auto outcome) {
      auto* socket = std::get_if<net::WebSocketPtr>(&outcome);
      if (!socket) give_up(std::get<net::DialFailure>(outcome).detail);
      (*socket)->start({.on_message = {}, .on_closed = {}});
      clients.push_back(std::move(*socket));
    });
    bench.run_until([&] { return clients.size() == i + 1; });
  }
  const double took = ms_since(begin);
  const auto grown = static_cast<double>(resident_bytes() - before);
  std::printf("%-44s %7.1f KiB both ends and the mock's state   %6.0f connects/s   n %zu\n",
              tls ? "idle connection, wss" : "idle connection, ws",
              grown / static_cast<double>(count) / 1024, 1000.0 * static_cast<double>(count) / took,
              count);
  std::fflush(stdout);
}

/// Each in a process of its own: freed memory is not given back.
void bench_memory(std::size_t count) {
  for (const bool tls : {true, false}) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      measure_memory(count, tls);
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
  }
}

/// From fork to the ready file, in ms.
double start_mock(const std::string& testline, const std::string& ready_file) {
  const auto begin = Clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, STDOUT_FILENO);
    ::execl(testline.c_str(), testline.c_str(), "mock", "--listen", "127.0.0.1:0", "--control",
            "127.0.0.1:0", "--profile", "fast", "--ready-file", ready_file.c_str(), nullptr);
    ::_exit(127);
  }
  struct stat found {};
  while (::stat(ready_file.c_str(), &found) != 0) {
    if (ms_since(begin) > 10'000) give_up(testline + " mock was not ready within 10 s");
    ::usleep(200);
  }
  const double took = ms_since(begin);
  ::kill(child, SIGTERM);
  ::waitpid(child, nullptr, 0);
  return took;
}

void bench_starts(const std::string& testline, int count) {
  if (::access(testline.c_str(), X_OK) != 0) {
    std::printf("%-44s skipped: there is no %s\n", "testline mock, exec to ready file",
                testline.c_str());
    return;
  }
  const test::TemporaryDirectory directory;
  std::vector<double> times;
  for (int i = 0; i < count; ++i) times.push_back(start_mock(testline, directory / "ready.json"));
  print("testline mock, exec to ready file", std::move(times));
}

}  // namespace

int main(int argc, char** argv) {
  int pairings = 100;
  int connections = 2000;
  int starts = 20;
  std::string testline = std::filesystem::path(argv[0]).parent_path() / "testline";
  CLI::App app("Pairings over TLS, memory of idle connections, starts of the mock. 0: not that.");
  app.add_option("--pairings", pairings)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--connections", connections)
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--starts", starts)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--testline", testline, "the program")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  net::ignore_sigpipe();
  net::raise_open_file_limit();
  if (pairings > 0) bench_pairings(pairings);
  if (connections > 0) bench_memory(static_cast<std::size_t>(connections));
  if (starts > 0) bench_starts(testline, starts);
}

// What an idle paired session keeps in memory beside its socket, and what it keeps of each account
// that it knows. Sessions run here, with their shells, their SQLite store and plain WebSockets; the
// mock is a process of its own. In-use bytes of the heap are counted (mallinfo2).
//
//   memory_bench [--sessions N] [--peers N]
//
// Each peer writes to each session and is answered, so both sides have keys and a ratchet; then
// everything falls silent. The figures are slopes: between a fifth of the sessions and all of them.

#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/overloaded.hpp"
#include "engine/client/stored.hpp"
#include "engine/net/process_limits.hpp"
#include "engine/net/websocket.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "engine/runtime/session_shell.hpp"
#include "engine/store/sqlite_store.hpp"
#include "mockserver/net/mock_host.hpp"
#include "scenarios/loopback/lines.hpp"
#include "tests/support/test_support.hpp"

namespace {

using namespace wa;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Sessions that pair and talk at a time.
constexpr std::size_t kWave = 50;
/// After the last message: what was taken is erased, and nothing is under way any more.
constexpr auto kSilence = 3s;
constexpr std::size_t kLongestLine = 4096;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "memory_bench: %s\n", why.c_str());
  std::exit(1);
}

double heap_bytes() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

std::string session_number(std::size_t session) {
  return std::to_string(15'551'000'000 + session);
}
std::string peer_number(std::size_t peer) {
  return std::to_string(15'552'000'000 + peer);
}

// ---- the mock's process -------------------------------------------------------------------------

/// Does what it is told in lines: `scan NUMBER QR` and `talk NUMBER`.
class Server {
 public:
  Server(int commands, int answers, std::size_t peers) : answers_(answers), peers_(peers) {
    mock::HostOptions options;
    options.settings = mock::Settings::profile("fast").value();
    auto started =
        mock::MockHost::start(io_, options, mock::ServerKeys::generate(random_), random_);
    if (!started) give_up(started.error().detail);
    host_ = std::move(*started);
    for (std::size_t i = 0; i < peers_; ++i) tell(mock::AddPhone{peer_number(i), ""});
    reader_ = std::make_unique<loopback::LineReader>(
        io_, commands, kLongestLine,
        loopback::LineReader::Events{[this](std::string_view line) { on_line(line); },
                                     [](const std::string&) { ::_exit(0); }});
    const std::string greeting =
        host_->ws_url() + " " + to_hex(host_->keys().root.public_key.bytes) + "\n";
    if (::write(answers_, greeting.data(), greeting.size()) < 0) give_up("the pipe is closed");
  }
  void run() { io_.run(); }

 private:
  void tell(mock::Command command) {
    host_->command({}, std::move(command), [](const auto& answer) {
      if (const auto* problem = std::get_if<mock::Problem>(&answer)) give_up(problem->message);
    });
  }
  void on_line(std::string_view line) {
    std::istringstream words{std::string(line)};
    std::string verb;
    std::string number;
    words >> verb >> number;
    if (verb == "scan") {
      std::string code;
      words >> code;
      tell(mock::AddPhone{number, ""});
      tell(mock::Scan{number, code});
    } else {
      for (std::size_t i = 0; i < peers_; ++i) {
        tell(mock::SendMessage{peer_number(i), number, mock::SayText{"hello", ""}, ""});
      }
    }
  }

  const int answers_;
  const std::size_t peers_;
  boost::asio::io_context io_{1};
  crypto::SystemRandom random_;
  std::unique_ptr<mock::MockHost> host_;
  std::unique_ptr<loopback::LineReader> reader_;
};

/// The child that it runs in, and what it said.
struct ServerProcess {
  pid_t pid = 0;
  int commands = -1;
  std::string url;
  std::string root;

  explicit ServerProcess(std::size_t peers) {
    int down[2];
    int up[2];
    if (::pipe(down) != 0 || ::pipe(up) != 0) give_up("there are no pipes left");
    std::fflush(stdout);
    pid = ::fork();
    if (pid == 0) {
      ::close(down[1]);
      ::close(up[0]);
      Server(down[0], up[1], peers).run();
      ::_exit(0);
    }
    ::close(down[0]);
    ::close(up[1]);
    commands = down[1];
    std::string greeting;
    for (char c = 0; c != '\n';) {
      if (::read(up[0], &c, 1) != 1) give_up("the mock does not start");
      greeting += c;
    }
    ::close(up[0]);
    std::istringstream(greeting) >> url >> root;
  }
  ~ServerProcess() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(commands);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void tell(const std::string& line) const {
    if (::write(commands, (line + "\n").data(), line.size() + 1) < 0) give_up("the mock is gone");
  }
};

// ---- this process -------------------------------------------------------------------------------

/// Its heap as it grew, by the number of things that there were.
struct Growth {
  std::vector<std::pair<std::size_t, double>> points;

  void note(std::size_t count) { points.emplace_back(count, heap_bytes()); }
  double slope() const {
    const auto& [first, less] = points.front();
    const auto& [last, more] = points.back();
    return (more - less) / static_cast<double>(last - first);
  }
  void print(const char* name, const char* remark) const {
    std::printf("%-34s %8.0f B   %s\n", name, slope(), remark);
    for (const auto& [count, bytes] : points) {
      std::printf("  %6zu: %10.0f B\n", count, bytes);
    }
    std::fflush(stdout);
  }
};

class Engine {
 public:
  Engine(const ServerProcess& server, std::size_t peers) : server_(server), peers_(peers) {
    store::SqliteStore::Options options;
    options.path = directory_ / "testline.db";
    options.resident = client::resident_kinds();
    auto opened = store::SqliteStore::at(io_, std::move(options));
    if (!opened) give_up(opened.error().detail);
    store_ = std::move(*opened);
  }
  ~Engine() { sessions_.clear(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// So many idle sessions; they talk a wave at a time.
  void grow_to(std::size_t count) {
    while (sessions_.size() < count) {
      const std::size_t begin = sessions_.size();
      const std::size_t end = std::min(count, begin + kWave);
      for (std::size_t i = begin; i < end; ++i) add();
      run_until([&] {
        for (std::size_t i = begin; i < end; ++i) {
          if (!sessions_[i]->done(peers_)) return false;
        }
        return true;
      });
    }
    const auto silence = Clock::now() + kSilence;
    while (Clock::now() < silence) run_for(100ms);
  }

 private:
  struct Session {
    std::unique_ptr<runtime::SessionShell> shell;
    bool connected = false;
    std::uint32_t heard = 0;
    std::uint32_t sent = 0;
    bool done(std::size_t peers) const { return connected && heard == peers && sent == peers; }
  };

  void add() {
    const std::string number = session_number(sessions_.size());
    Session& session = *sessions_.emplace_back(std::make_unique<Session>());
    runtime::SessionShell::Options options;
    options.config.url = server_.url;
    options.config.noise_root.bytes = root();
    options.config.initial_prekeys = static_cast<std::uint32_t>(peers_ + 10);
    runtime::SessionShell::Events events;
    events.on_report = [](const client::Report& said, Now) {
      if (said.level == client::Report::Level::warning) {
        std::fprintf(stderr, "%s\n", said.text.c_str());
      }
    };
    events.on_status = [this, &session, number](const client::Status& status, Now) {
      if (status.qr && status.qr->sequence == 1)
        server_.tell("scan " + number + " " + status.qr->text);
      if (status.state != client::State::connected || session.connected) return;
      session.connected = true;
      server_.tell("talk " + number);
    };
    events.on_event = [&session](const messaging::AppEvent& event, Now) {
      const auto rows = Overloaded{
          [&](const messaging::MessageReceived& received) {
            if (!std::holds_alternative<message::Text>(received.content)) return;
            ++session.heard;
            session.shell->send({1, received.origin.chat, message::Text{.text = "hello"}, ""}, {});
          },
          [&](const messaging::MessageSent&) { ++session.sent; },
          [](const messaging::SendFailed& failed) { give_up("a send failed: " + failed.reason); },
          [](const messaging::MessageUnreadable& message) {
            give_up("unreadable: " + message.reason);
          },
          [](const auto&) {},
      };
      std::visit(rows, event.what);
      if (event.seq != 0) session.shell->taken(event.seq);
    };
    session.shell = std::make_unique<runtime::SessionShell>(
        runtime::Surroundings{io_, pool_, *store_, random_}, "d" + number, std::move(options),
        std::move(events));
    session.shell->start({});
  }
  ByteArray<32> root() const {
    const auto bytes = from_hex(server_.root);
    ByteArray<32> key{};
    std::copy(bytes->begin(), bytes->end(), key.begin());
    return key;
  }
  void run_for(Clock::duration duration) {
    io_.restart();
    io_.run_one_for(duration);
  }
  void run_until(const std::function<bool()>& condition) {
    const auto limit = Clock::now() + 120s;
    while (!condition()) {
      if (Clock::now() > limit) give_up("sessions do not come to rest within 120 s");
      run_for(100ms);
    }
  }

  const ServerProcess& server_;
  const std::size_t peers_;
  const test::TemporaryDirectory directory_;
  boost::asio::io_context io_{1};
  crypto::SystemRandom random_;
  runtime::ComputePool pool_{io_, 1};
  std::unique_ptr<store::Store> store_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

Growth measure_sessions(std::size_t sessions, std::size_t peers) {
  const ServerProcess server(peers);
  Engine engine(server, peers);
  Growth growth;
  for (std::size_t fifth = 1; fifth <= 5; ++fifth) {
    engine.grow_to(sessions * fifth / 5);
    growth.note(sessions * fifth / 5);
  }
  return growth;
}

/// WebSockets alone, as a session has one.
Growth measure_sockets(std::size_t count) {
  const ServerProcess server(0);
  boost::asio::io_context io{1};
  std::vector<net::WebSocketPtr> sockets;
  sockets.reserve(count);
  const auto url = net::Url::parse(server.url);
  Growth growth;
  for (std::size_t i = 0; i < count; ++i) {
    const net::Dial dial(io, *url, net::DialOptions(), [&](auto outcome) {
      auto* socket = std::get_if<net::WebSocketPtr>(&outcome);
      if (!socket) give_up(std::get<net::DialFailure>(outcome).detail);
      (*socket)->start({.on_message = {}, .on_closed = {}});
      // The beginning of a handshake: one that has written has its buffers.
      (*socket)->send(to_bytes(std::string_view("W")));
      sockets.push_back(std::move(*socket));
    });
    while (sockets.size() == i) {
      io.restart();
      if (io.run_one_for(10s) == 0) give_up("a socket was not opened within 10 s");
    }
    if (i + 1 == count / 5 || i + 1 == count) growth.note(i + 1);
  }
  return growth;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t sessions = 5000;
  std::size_t peers = 50;
  CLI::App app("Heap of an idle paired session beside its socket, and of each account it knows.");
  app.add_option("--sessions", sessions, "so many")
      ->check(CLI::Range(10, 100'000))
      ->capture_default_str();
  app.add_option("--peers", peers, "that each session exchanges messages with")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  net::ignore_sigpipe();
  net::raise_open_file_limit();
  const Growth sockets = measure_sockets(1000);
  sockets.print("socket", "a plain WebSocket alone");
  const Growth alone = measure_sessions(sessions, 0);
  alone.print("session", "paired, knows nobody; with its socket");
  const Growth popular = measure_sessions(sessions, peers);
  popular.print("session with peers", "the same, each peer has written and was answered");
  std::printf(
      "idle session beside its socket: %.0f B; known peer: %.1f B (%zu sessions, %zu peers)\n",
      popular.slope() - sockets.slope(),
      (popular.slope() - alone.slope()) / static_cast<double>(peers), sessions, peers);
}

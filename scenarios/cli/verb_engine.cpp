#include "scenarios/cli/verb_engine.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <csignal>
#include <cstdlib>

#include "engine/net/process_limits.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "engine/store/sqlite_store.hpp"
#include "scenarios/cli/engine_devices.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/loopback/lines.hpp"

namespace wa::cli {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::size_t kMaxLineBytes = 1024 * 1024;
/// Of events that nobody reads.
constexpr std::size_t kMaxQueuedBytes = 8 * 1024 * 1024;
/// The protocol promises 5 s.
constexpr auto kStopWithin = 4s;
constexpr std::size_t kComputeThreads = 2;

/// The process between its environment and its pipes.
class EngineProcess {
 public:
  EngineProcess(asio::io_context& io, EngineSettings settings, store::Store& store,
                loopback::FaultyVfs& disk, std::string version)
      : signals_(io, SIGTERM, SIGINT),
        deadline_(io),
        pool_(io, kComputeThreads),
        writer_(io, own(STDOUT_FILENO), kMaxQueuedBytes, [this](const std::string&) { stop(); }),
        devices_({io, pool_, store, random_}, std::move(settings), &disk,
                 [this](json::object event) { write(event); }) {
    json::array capabilities{"multi_device", "pairing_code", "options",     "delete",
                             "inspect",      "hold",         "host_faults", "testline_db",
                             "generation",   "quarantine",   "send",        "read",
                             "trust",        "groups",       "presence"};
    write({{"event", "hello"},
           {"protocol", 1},
           {"name", "testline"},
           {"version", version},
           {"capabilities", std::move(capabilities)}});
    reader_.emplace(io, own(STDIN_FILENO), kMaxLineBytes,
                    loopback::LineReader::Events{
                        .on_line = [this](std::string_view line) { devices_.command(line); },
                        .on_end =
                            [this](const std::string& why) {
                              if (!why.empty()) complain("engine: stdin: " + why);
                              stop();
                            },
                    });
    signals_.async_wait([this](const boost::system::error_code& failure, int) {
      if (!failure) stop();
    });
  }

 private:
  /// A copy that is ours to close.
  static int own(int descriptor) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw std::runtime_error("engine: stdin or stdout is closed");
    return copy;
  }

  void write(const json::object& event) {
    if (dropped_ > 0) {
      const std::string text = std::to_string(dropped_) + " events were dropped: nobody read them";
      const json::object confession{{"event", "log"}, {"level", "warning"}, {"text", text}};
      if (!writer_.write(json::serialize(confession))) return void(++dropped_);
      dropped_ = 0;
    }
    if (!writer_.write(json::serialize(event))) ++dropped_;
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    signals_.cancel();
    deadline_.expires_after(kStopWithin);
    deadline_.async_wait([](const boost::system::error_code& failure) {
      // A disk or a reader that hangs: what is durable is durable.
      if (!failure) std::_Exit(kOk);
    });
    devices_.stop([this] {
      reader_.reset();
      writer_.close([this] { deadline_.cancel(); });
    });
  }

  asio::signal_set signals_;
  asio::steady_timer deadline_;
  crypto::SystemRandom random_;
  runtime::ComputePool pool_;
  loopback::LineWriter writer_;
  EngineDevices devices_;
  std::optional<loopback::LineReader> reader_;
  std::uint64_t dropped_ = 0;
  bool stopping_ = false;
};

}  // namespace

int run_engine(const EngineOptions& options) {
  net::ignore_sigpipe();
  auto settings = EngineSettings::from([](const char* name) { return std::getenv(name); });
  if (!settings) {
    complain("engine: " + settings.error().detail);
    return kUsage;
  }
  net::raise_open_file_limit();
  asio::io_context io(1);
  loopback::FaultyVfs disk("testline");
  store::SqliteStore::Options stored;
  stored.vfs = "testline";
  stored.path = settings->state_dir + "/testline.db";
  stored.owner = settings->owner;
  stored.resident = client::resident_kinds();
  stored.lease = settings->lease;
  stored.renew = settings->lease / 3;
  auto store = store::SqliteStore::at(io, std::move(stored));
  if (!store) {
    complain("engine: TESTLINE_STATE_DIR: " + store.error().detail);
    return kEnvironment;
  }
  EngineProcess process(io, std::move(*settings), **store, disk, options.version);
  io.run();
  return kOk;
}

}  // namespace wa::cli

#include "scenarios/cli/verb_mock.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "engine/net/process_limits.hpp"
#include "engine/protocol/crypto/system_random.hpp"
#include "mockserver/control/control_api.hpp"
#include "mockserver/net/mock_host.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/cli/key_log.hpp"
#include "scenarios/cli/mock_state.hpp"
#include "scenarios/stage/plan.hpp"

namespace wa::cli {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

int fail(const Error& error) {
  complain(error.detail);
  return error.code == Errc::usage ? kUsage : kEnvironment;
}

Result<stage::Plan> plan_of(const MockOptions& options) {
  if (options.plan.empty()) return stage::Plan();
  WA_TRY(const Bytes text, read_file(options.plan));
  auto plan = stage::Plan::parse_setup(as_text(text));
  if (!plan) return Error{Errc::usage, options.plan + ": " + plan.error().detail};
  return plan;
}

/// What is asked for on the command line counts more than the plan, and that more than the profile.
Result<mock::Settings> settings_of(const MockOptions& options, const stage::Plan& plan) {
  WA_TRY(mock::Settings settings, mock::Settings::profile(options.profile.value_or(plan.profile)));
  for (const auto& member : plan.server) {
    WA_TRY_VOID(settings.set(member.key(), std::string_view(member.value().as_string())));
  }
  for (const std::string& assignment : options.set) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      return Error{Errc::usage, "--set takes KEY=VALUE, not \"" + assignment + "\""};
    }
    const std::string_view whole = assignment;
    WA_TRY_VOID(settings.set(whole.substr(0, equals), whole.substr(equals + 1)));
  }
  return settings;
}

/// Says which of the two listeners failed, and how to choose another address.
Error cannot_listen(const Error& error, const std::string& flag, const std::string& address) {
  return Error{error.code, flag + " " + address + ": " + error.detail + " (choose another with " +
                               flag + " HOST:PORT; port 0 takes a free one)"};
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]") ||
         address.starts_with("localhost:");
}

/// The running mock: what is told to stop in the order in which it must.
class MockProcess {
 public:
  MockProcess(const MockOptions& options, asio::io_context& io)
      : options_(options), io_(io), signals_(io, SIGINT, SIGTERM), save_timer_(io) {}

  Result<void> start() {
    WA_TRY(const stage::Plan plan, plan_of(options_));
    WA_TRY(mock::Settings settings, settings_of(options_, plan));
    if (!options_.state.empty()) {
      WA_TRY(state_, MockState::open(options_.state));
    }
    mock::ServerKeys keys;
    if (state_) {
      WA_TRY(keys, state_->keys(random_));
    } else {
      keys = mock::ServerKeys::generate(random_);
    }
    forget_ready_file();
    mock::HostOptions host;
    host.listen = options_.listen;
    host.settings = std::move(settings);
    host.seed = options_.seed.value_or(plan.seed);
    host.host_names = options_.host_names;
    if (!options_.key_log.empty()) {
      WA_TRY(key_log_, KeyLog::open(options_.key_log));
      host.on_keys = [this](const mock::LogKeys& logged) { log_keys(logged); };
    }
    if (state_) {
      WA_TRY(host.tls_authority, state_->tls_authority());
    }
    auto started = mock::MockHost::start(io_, std::move(host), std::move(keys), random_);
    if (!started) return cannot_listen(started.error(), "--listen", options_.listen);
    host_ = std::move(*started);
    if (state_) {
      WA_TRY_VOID(state_->load(*host_->tenant({})));
      changes_ = host_->subscribe_changes([this](const std::string& tenant) {
        if (tenant.empty()) save_soon();
      });
    }
    WA_TRY_VOID(set_up(plan));
    mock::ControlOptions control;
    control.listen = options_.control;
    control.token = options_.token;
    control.profile = options_.profile.value_or(plan.profile);
    control.version = options_.version;
    auto controlled = mock::ControlApi::start(io_, *host_, std::move(control));
    if (!controlled) return cannot_listen(controlled.error(), "--control", options_.control);
    control_ = std::move(*controlled);
    signals_.async_wait([this](const boost::system::error_code& failure, int signal) {
      if (!failure) stop(signal);
    });
    return announce();
  }

  int exit_code() const { return exit_code_; }

 private:
  /// The phones and faults of the plan. Nobody can have connected yet.
  Result<void> set_up(const stage::Plan& plan) {
    for (std::size_t i = 0; i < plan.phones.size(); ++i) {
      const boost::json::object& phone = plan.phones[i].get_object();
      const boost::json::value* name = phone.if_contains("name");
      mock::AddPhone add{std::string(phone.at("number").as_string()),
                         name ? std::string(name->as_string()) : std::string()};
      if (host_->tenant({})->phone(add.number)) continue;  // --state has it
      WA_TRY_VOID(do_now(std::move(add), "phones[" + std::to_string(i) + "]"));
    }
    for (std::size_t i = 0; i < plan.faults.size(); ++i) {
      WA_TRY(mock::FaultRecord record, mock::FaultRecord::parse(plan.faults[i]));
      WA_TRY_VOID(do_now(mock::AddFault{std::move(record)}, "faults[" + std::to_string(i) + "]"));
    }
    return {};
  }

  /// For commands that are answered at once.
  Result<void> do_now(mock::Command command, const std::string& where) {
    std::optional<std::variant<mock::CommandResult, mock::Problem>> answer;
    host_->command({}, std::move(command), [&answer](const auto& result) { answer = result; });
    WA_ASSERT(answer.has_value());
    const auto* problem = std::get_if<mock::Problem>(&*answer);
    if (problem == nullptr) return {};
    return Error{Errc::usage, options_.plan + ": plan: " + where + ": " + problem->message +
                                  (problem->hint.empty() ? "" : " (" + problem->hint + ")")};
  }

  Result<void> announce() {
    const std::string url = control_->url() + "/v1";
    const std::string header = options_.token.empty() ? "" : " -H 'Authorization: Bearer TOKEN'";
    std::string text;
    text += "clients   " + host_->ws_url() + "\n";
    text += "          " + host_->wss_url() + "\n";
    text += "control   " + url + "\n";
    text += "root key  " + to_hex(host_->keys().root.public_key.bytes) + "\n";
    text += "a phone   curl" + header + " " + url + "/phones -d '{\"number\":\"15550100001\"}'\n";
    text +=
        "scan      curl" + header + " --data-binary @qr.png " + url + "/phones/15550100001/scan\n";
    if (options_.token.empty() && !is_loopback(options_.control)) {
      complain("the control API listens on " + options_.control +
               " without a --token: whoever reaches it controls the mock");
    }
    text += "TLS CA    give it to clients of wss://\n" + host_->tls_ca_pem();
    if (options_.ready_file == "-") {
      text += control_->info();
    } else if (!options_.ready_file.empty()) {
      WA_TRY_VOID(write_file(options_.ready_file, as_bytes(control_->info())));
    }
    return write_stdout(as_bytes(text));
  }

  /// A file left by a mock that was killed would tell a test of the wrong ports.
  void forget_ready_file() {
    if (!options_.ready_file.empty() && options_.ready_file != "-") {
      ::unlink(options_.ready_file.c_str());
    }
  }

  void log_keys(const mock::LogKeys& keys) {
    if (!key_log_->written()) return;
    key_log_->add(keys);
    if (!key_log_->written()) complain(key_log_->written().error().detail);
  }

  /// Saving takes longer the more accounts there are: it may take a twentieth of the time.
  void save_soon() {
    if (std::exchange(save_is_due_, true)) return;
    save_timer_.expires_after(std::max<Duration>(250ms, 20 * save_took_));
    save_timer_.async_wait([this](const boost::system::error_code& failure) {
      if (failure) return;
      save_is_due_ = false;
      save();
    });
  }

  bool save() {
    const auto begin = std::chrono::steady_clock::now();
    const auto saved = state_->save(*host_->tenant({}));
    save_took_ = std::chrono::steady_clock::now() - begin;
    if (!saved) complain(saved.error().detail);
    return saved.has_value();
  }

  void stop(int signal) {
    // From here on a second signal ends the process at once.
    signals_.clear();
    control_->stop();
    host_->stop();
    save_timer_.cancel();
    forget_ready_file();
    exit_code_ = signal == SIGINT ? kInterrupted : kOk;
    if (state_ && !save()) exit_code_ = kEnvironment;
  }

  const MockOptions& options_;
  asio::io_context& io_;
  crypto::SystemRandom random_;
  asio::signal_set signals_;
  asio::steady_timer save_timer_;
  std::optional<MockState> state_;
  std::unique_ptr<KeyLog> key_log_;
  std::unique_ptr<mock::MockHost> host_;
  std::unique_ptr<mock::ControlApi> control_;
  mock::MockHost::Subscription changes_;
  Duration save_took_{};
  bool save_is_due_ = false;
  int exit_code_ = kOk;
};

}  // namespace

int run_mock(const MockOptions& options) {
  net::raise_open_file_limit();
  net::ignore_sigpipe();
  asio::io_context io(1);
  MockProcess process(options, io);
  if (const auto started = process.start(); !started) return fail(started.error());
  io.run();
  return process.exit_code();
}

}  // namespace wa::cli

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>

#include "engine/net/process_limits.hpp"
#include "engine/net/test_certificates.hpp"
#include "engine/net/websocket.hpp"
#include "engine/runtime/session_shell.hpp"
#include "engine/store/memory_store.hpp"

namespace wa::runtime {
namespace {

namespace asio = boost::asio;
namespace certificates = net::test_certificates;
using namespace std::chrono_literals;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;

/// What a shell's dials are told: the CA, the proxy, the resolver.
class SessionDialTest : public testing::Test {
 protected:
  void SetUp() override {
    net::ignore_sigpipe();
    auto listening = net::WebSocketServer::listen(
        io_, "127.0.0.1:0", [this](net::UpgradeRequest) { ++upgrades_; }, {.tls = [] {
          return net::TlsIdentity::from_pem(certificates::kGood, certificates::kServerKey).value();
        }});
    ASSERT_TRUE(listening) << listening.error();
    server_ = std::move(*listening);
    options_.config.url = "wss://127.0.0.1:" + std::to_string(server_->port()) + "/ws/chat";
    options_.config.timings = client::Timings{}.scaled(0.02);
  }

  void start() {
    SessionShell::Events events;
    events.on_status = [this](const client::Status& status, Now) {
      if (status.last_close) last_cause_ = status.last_close->cause;
    };
    events.on_report = [](const client::Report&, Now) {};
    shell_ =
        std::make_unique<SessionShell>(Surroundings{io_, pool_, store_, random_, resolver_.get()},
                                       "a", options_, std::move(events));
    shell_->start({});
  }

  template <class Condition>
  bool run_until(Condition condition, Duration limit = 10s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      if (io_.run_one_until(end) == 0) break;
    }
    return condition();
  }

  asio::io_context io_{1};
  ComputePool pool_{io_, 1};
  store::MemoryStore store_{io_};
  SeededRandom random_{1};
  std::unique_ptr<net::Resolver> resolver_;
  std::unique_ptr<net::WebSocketServer> server_;
  SessionShell::Options options_;
  std::unique_ptr<SessionShell> shell_;
  std::string last_cause_;
  int upgrades_ = 0;
};

TEST_F(SessionDialTest, TrustsTheCaThatItWasGiven) {
  options_.tls_ca_pem = certificates::kCa;
  start();
  EXPECT_TRUE(run_until([&] { return upgrades_ > 0; }));
}

TEST_F(SessionDialTest, SaysWhyItTrustsAServerNot) {
  start();
  ASSERT_TRUE(run_until([&] { return !last_cause_.empty(); }));
  EXPECT_THAT(last_cause_, HasSubstr("unknown authority, \"Test CA\""));
  EXPECT_EQ(upgrades_, 0);
}

TEST_F(SessionDialTest, AsksTheProxyAndNobodyElse) {
  tcp::acceptor proxy(io_, {asio::ip::make_address("127.0.0.1"), 0});
  tcp::socket asked(io_);
  std::string got(64, '\0');
  std::size_t count = 0;
  proxy.async_accept(asked, [&](auto failure) {
    ASSERT_FALSE(failure);
    asked.async_read_some(asio::buffer(got), [&](auto, std::size_t read) { count = read; });
  });
  options_.config.proxy = "http://127.0.0.1:" + std::to_string(proxy.local_endpoint().port());
  options_.tls_ca_pem = certificates::kCa;
  start();
  ASSERT_TRUE(run_until([&] { return count > 0; }));
  EXPECT_THAT(got, StartsWith("CONNECT 127.0.0.1:" + std::to_string(server_->port())));
  asked.close();
  proxy.close();
  ASSERT_TRUE(run_until([&] { return last_cause_.find("refused") != std::string::npos; }));
  EXPECT_THAT(last_cause_, HasSubstr("proxy"));
  EXPECT_EQ(upgrades_, 0);
}

class CountingResolver final : public net::Resolver {
 public:
  explicit CountingResolver(int& asked) : asked_(asked) {}
  Lookup resolve(const std::string&, Done) override {
    ++asked_;
    return {};
  }

 private:
  int& asked_;
};

TEST_F(SessionDialTest, LooksNamesUpWhereItWasTold) {
  int asked = 0;
  resolver_ = std::make_unique<CountingResolver>(asked);
  options_.config.url = "wss://mock.test:1/ws/chat";
  start();
  EXPECT_TRUE(run_until([&] { return asked > 0; }));
}

}  // namespace
}  // namespace wa::runtime

#include "scenarios/loopback/proxy_server.hpp"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

#include "engine/net/websocket.hpp"

namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Behaviour = ProxyServer::Behaviour;

class ProxyServerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto on_upgrade = [this](net::UpgradeRequest request) {
      request.accept([this](net::WebSocketPtr socket) {
        server_socket_ = std::move(socket);
        server_socket_->start(
            {.on_message = [this](ByteSpan message) { server_socket_->send(to_bytes(message)); },
             .on_closed = {}});
      });
    };
    auto server = net::WebSocketServer::listen(io_, "127.0.0.1:0", on_upgrade);
    ASSERT_TRUE(server);
    server_ = std::move(*server);
    auto proxy = ProxyServer::start(io_);
    ASSERT_TRUE(proxy);
    proxy_ = std::move(*proxy);
  }

  template <class Condition>
  bool run_until(Condition condition) {
    while (!condition()) {
      io_.restart();
      if (io_.run_one_for(10s) == 0) break;
    }
    return condition();
  }

  /// Empty: it gave socket_.
  std::optional<net::DialFailure> dial(std::string host = "127.0.0.1", std::string login = {},
                                       Duration timeout = 10s) {
    net::DialOptions options;
    options.timeout = timeout;
    options.proxy = proxy_->url(GetParam());
    options.proxy.insert(options.proxy.find("//") + 2, login);
    std::optional<net::DialFailure> failure;
    bool done = false;
    const net::Dial dial(io_, net::Url{false, std::move(host), server_->port(), "/"}, options,
                         [&](std::variant<net::WebSocketPtr, net::DialFailure> outcome) {
                           done = true;
                           if (auto* socket = std::get_if<net::WebSocketPtr>(&outcome)) {
                             socket_ = std::move(*socket);
                           } else {
                             failure = std::get<net::DialFailure>(outcome);
                           }
                         });
    EXPECT_TRUE(run_until([&] { return done; }));
    return failure;
  }

  boost::asio::io_context io_{1};
  std::unique_ptr<net::WebSocketServer> server_;
  std::unique_ptr<ProxyServer> proxy_;
  net::WebSocketPtr server_socket_;
  net::WebSocketPtr socket_;
};
INSTANTIATE_TEST_SUITE_P(, ProxyServerTest, testing::Values("http", "socks5"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(ProxyServerTest, ForwardsNamesAndAddressesWithAndWithoutALogin) {
  EXPECT_FALSE(dial());
  EXPECT_FALSE(dial("localhost"));
  EXPECT_FALSE(dial("127.0.0.1", "me:pw@"));
  EXPECT_EQ(proxy_->connections(), 3u);
  EXPECT_EQ(proxy_->tunnels(), 3u);
  Bytes large(3'000'000);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::byte>(i * 7);
  Bytes got;
  bool closed = false;
  socket_->start({.on_message = [&](ByteSpan message) { got = to_bytes(message); },
                  .on_closed = [&](const net::ClosedInfo&) { closed = true; }});
  socket_->send(large);
  ASSERT_TRUE(run_until([&] { return got == large; }));
  socket_->close(net::CloseHow::normal);
  EXPECT_TRUE(run_until([&] { return closed; }));
  server_socket_.reset();
  EXPECT_TRUE(run_until([&] { return proxy_->open() == 0; }));
}

TEST_P(ProxyServerTest, BehavesAsItIsToldFromTheNextRequestOn) {
  EXPECT_FALSE(dial());
  const net::WebSocketPtr standing = socket_;
  bool closed = false;
  standing->start({.on_message = {}, .on_closed = [&](const auto&) { closed = true; }});

  proxy_->set(Behaviour::refuse);
  const auto refused = dial();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->phase, net::DialPhase::proxy);
  EXPECT_THAT(refused->detail, HasSubstr("refused"));
  proxy_->set(Behaviour::drop);
  const auto dropped = dial();
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->phase, net::DialPhase::proxy);
  EXPECT_THAT(dropped->detail, HasSubstr("closed the connection"));
  proxy_->set(Behaviour::hang);
  const auto late = dial("127.0.0.1", {}, 50ms);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->phase, net::DialPhase::proxy);
  EXPECT_THAT(late->detail, HasSubstr("timed out"));
  EXPECT_FALSE(closed) << "a tunnel that stands is left alone";
  proxy_->set(Behaviour::forward);
  EXPECT_FALSE(dial());
  EXPECT_EQ(proxy_->connections(), 5u);
  EXPECT_EQ(proxy_->tunnels(), 2u);
}

TEST_P(ProxyServerTest, SaysWhatItDoesNotReachAndForwardsNowhereElse) {
  for (const char* host : {"no-such-host.invalid", "192.0.2.1"}) {
    const auto failure = dial(host);
    ASSERT_TRUE(failure) << host;
    EXPECT_EQ(failure->phase, net::DialPhase::proxy);
    EXPECT_THAT(failure->detail, testing::AnyOf(HasSubstr("502"), HasSubstr("does not reach")));
  }
}

TEST_P(ProxyServerTest, StoppingCutsTunnels) {
  EXPECT_FALSE(dial());
  bool closed = false;
  socket_->start({.on_message = {}, .on_closed = [&](const auto&) { closed = true; }});
  proxy_->stop();
  EXPECT_EQ(proxy_->open(), 0u);
  EXPECT_TRUE(run_until([&] { return closed; }));
}

}  // namespace
}  // namespace wa::loopback

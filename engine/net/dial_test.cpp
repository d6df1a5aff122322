#include "engine/net/websocket.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include "engine/base/limits.hpp"
#include "engine/net/test_websockets.hpp"

namespace wa::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::bytes;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class DialTest : public WebSocketTest {};

TEST_F(DialTest, ARefusalCarriesItsStatus) {
  listen([](UpgradeRequest request) { request.refuse(503, "busy\n"); });
  const auto failure = failure_of(url());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::upgrade);
  EXPECT_EQ(failure->http_status, 503);
  EXPECT_EQ(failure->detail, "HTTP 503 Service Unavailable");
}

TEST_F(DialTest, AHangingUpgradeTimesOutInItsPhase) {
  std::optional<UpgradeRequest> kept;
  listen([&](UpgradeRequest request) { kept = std::move(request); });
  const auto failure = failure_of(url(), {.timeout = milliseconds(100), .headers = {}});
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::upgrade);
  EXPECT_EQ(failure->http_status, std::nullopt);
  EXPECT_EQ(failure->detail, "timed out after 100 ms");
  EXPECT_TRUE(kept);
}

TEST_F(DialTest, ADroppedUpgradeIsACutConnection) {
  listen([](UpgradeRequest) {});
  const auto failure = failure_of(url());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::upgrade);
  EXPECT_EQ(failure->detail, "the server closed the connection");
}

TEST_F(DialTest, AClosedPortFailsInConnect) {
  listen_and_accept();
  const Url target = url();
  server_.reset();
  const auto failure = failure_of(target);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::connect);
  EXPECT_THAT(failure->detail, HasSubstr("Connection refused"));
}

TEST_F(DialTest, AnUnknownNameFailsInResolve) {
  const auto failure = failure_of({false, "no-such-host.invalid", 80, "/"});
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::resolve);
  EXPECT_THAT(failure->detail, StartsWith("no-such-host.invalid: "));
}

TEST_F(DialTest, AServerOfGarbageFailsInUpgrade) {
  tcp::acceptor acceptor(io_, {asio::ip::make_address("127.0.0.1"), 0});
  std::optional<tcp::socket> accepted;
  acceptor.async_accept([&](auto ec, tcp::socket socket) {
    ASSERT_FALSE(ec);
    accepted = std::move(socket);
    asio::write(*accepted, asio::buffer(std::string("SSH-2.0-OpenSSH_9\r\n")));
  });
  const auto failure = failure_of({false, "127.0.0.1", acceptor.local_endpoint().port(), "/"});
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::upgrade);
  EXPECT_EQ(failure->http_status, std::nullopt);
}

TEST_F(DialTest, AnAnswerWithTheWrongKeyFailsInUpgrade) {
  tcp::acceptor acceptor(io_, {asio::ip::make_address("127.0.0.1"), 0});
  std::optional<tcp::socket> accepted;
  acceptor.async_accept([&](auto ec, tcp::socket socket) {
    ASSERT_FALSE(ec);
    accepted = std::move(socket);
    asio::write(*accepted, asio::buffer(std::string(
                               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")));
  });
  const auto failure = failure_of({false, "127.0.0.1", acceptor.local_endpoint().port(), "/"});
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::upgrade);
}

TEST_F(DialTest, AHeaderThatBreaksOutOfItsLineIsRefused) {
  listen_and_accept();
  const auto failure = failure_of(url(), {.headers = {{"Origin", "x\r\nEvil: 1"}}});
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->detail, HasSubstr("Origin"));
}

TEST_F(DialTest, DestroyingCancelsInEveryPhase) {
  std::optional<UpgradeRequest> kept;
  listen([&](UpgradeRequest request) { kept = std::move(request); });
  bool called = false;
  {
    Dial dial(io_, {false, "localhost", server_->port(), "/"}, {}, [&](auto) { called = true; });
  }
  settle();
  auto dial = std::make_unique<Dial>(io_, url(), DialOptions{}, [&](auto) { called = true; });
  ASSERT_TRUE(run_until([&] { return kept.has_value(); }));
  dial.reset();
  bool accepted = false;
  kept->accept([&](WebSocketPtr) { accepted = true; });
  ASSERT_TRUE(run_until([&] { return accepted; }));
  settle();
  EXPECT_FALSE(called);
}

TEST_F(DialTest, ADialMayBeDestroyedInsideItsCallback) {
  listen_and_accept();
  std::unique_ptr<Dial> dial;
  WebSocketPtr socket;
  dial = std::make_unique<Dial>(io_, url(), DialOptions{}, [&](auto outcome) {
    dial.reset();
    socket = std::get<WebSocketPtr>(std::move(outcome));
  });
  ASSERT_TRUE(run_until([&] { return socket != nullptr && server_peer_.socket != nullptr; }));
}

TEST_F(DialTest, ReachesAServerByNameAndByIpv6) {
  listen_and_accept();
  WebSocketPtr by_name;
  Dial first(io_, {false, "localhost", server_->port(), "/"}, {},
             [&](auto outcome) { by_name = std::get<WebSocketPtr>(std::move(outcome)); });
  ASSERT_TRUE(run_until([&] { return by_name && server_peer_.socket; }));

  server_peer_ = {};
  listen(
      [this](UpgradeRequest request) {
        request.accept([this](WebSocketPtr socket) { server_peer_.socket = std::move(socket); });
      },
      "[::1]:0");
  WebSocketPtr by_address;
  const auto target = Url::parse("ws://[::1]:" + std::to_string(server_->port()) + "/x");
  ASSERT_TRUE(target);
  Dial second(io_, *target, {},
              [&](auto outcome) { by_address = std::get<WebSocketPtr>(std::move(outcome)); });
  ASSERT_TRUE(run_until([&] { return by_address && server_peer_.socket; }));
  EXPECT_THAT(server_peer_.socket->remote(), StartsWith("[::1]:"));
}

}  // namespace
}  // namespace wa::net

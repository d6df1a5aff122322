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

/// What holds with and without TLS.
class EitherWebSocketTest : public WebSocketTest, public ::testing::WithParamInterface<bool> {
 protected:
  EitherWebSocketTest() { tls_ = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(, EitherWebSocketTest, ::testing::Values(false, true),
                         [](const auto& test) { return test.param ? "tls" : "plain"; });

// ---- messages

TEST_P(EitherWebSocketTest, CarriesMessagesOfEverySizeBothWaysInOrder) {
  connect();
  std::vector<Bytes> sent;
  for (const std::size_t size :
       {0u, 1u, 125u, 126u, 511u, 512u, 513u, 1536u, 65535u, 65536u, 3000000u}) {
    Bytes message(size);
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<std::byte>(i * 7 + size);
    sent.push_back(message);
  }
  sent.push_back(Bytes((std::size_t{1} << 24) + 16, std::byte{9}));
  for (const Bytes& message : sent) {
    client_peer_.socket->send(message);
    server_peer_.socket->send(message);
  }
  EXPECT_GT(client_peer_.socket->queued_bytes(), std::size_t{1} << 24);

  ASSERT_TRUE(run_until([&] {
    return client_peer_.messages.size() == sent.size() &&
           server_peer_.messages.size() == sent.size();
  }));

  EXPECT_TRUE(client_peer_.messages == sent);
  EXPECT_TRUE(server_peer_.messages == sent);
  EXPECT_TRUE(run_until([&] { return client_peer_.socket->queued_bytes() == 0; }));
  EXPECT_FALSE(client_peer_.is_closed());
}

TEST_P(EitherWebSocketTest, AnswersMayBeSentInsideTheCallback) {
  listen([this](UpgradeRequest request) {
    request.accept([this](WebSocketPtr socket) {
      server_peer_.socket = socket;
      socket->start({.on_message = [this](ByteSpan m) { server_peer_.socket->send(to_bytes(m)); },
                     .on_closed = {}});
    });
  });
  Dial dial(io_, url(), dial_options(), [this](auto outcome) {
    client_peer_.socket = std::get<WebSocketPtr>(std::move(outcome));
    client_peer_.start();
    client_peer_.socket->send(bytes({1}));
    client_peer_.socket->send(bytes({2, 3}));
  });
  ASSERT_TRUE(run_until([&] { return client_peer_.messages.size() == 2; }));
  EXPECT_EQ(client_peer_.messages, (std::vector<Bytes>{bytes({1}), bytes({2, 3})}));
}

TEST_P(EitherWebSocketTest, TooLargeAMessageEndsTheConnectionWith1009) {
  connect();
  client_peer_.socket->send(Bytes((std::size_t{1} << 24) + 17));

  ASSERT_TRUE(run_until_both_closed());

  EXPECT_TRUE(server_peer_.messages.empty());
  EXPECT_THAT(server_peer_.closed[0].detail, HasSubstr("WebSocket protocol"));
  EXPECT_FALSE(server_peer_.closed[0].by_us);
}

TEST_F(WebSocketTest, TextMessagesArriveAsBytes) {
  tcp::socket client = raw_upgraded();
  write(client, client_frame(0x81, as_bytes("hi")));
  ASSERT_TRUE(run_until([&] { return !server_peer_.messages.empty(); }));
  EXPECT_EQ(server_peer_.messages[0], to_bytes("hi"));
}

TEST_F(WebSocketTest, FragmentsAreJoinedHoweverTheBytesAreCut) {
  const Bytes whole =
      concat(client_frame(0x02, as_bytes("one ")), client_frame(0x89, as_bytes("p")),
             client_frame(0x00, as_bytes("")), client_frame(0x80, as_bytes("two")));
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    SCOPED_TRACE(cut);
    server_peer_ = {};
    tcp::socket client = raw_upgraded();
    write(client, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)));
    settle();
    write(client, Bytes(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end()));
    ASSERT_TRUE(run_until([&] { return !server_peer_.messages.empty(); }));
    EXPECT_EQ(server_peer_.messages, std::vector<Bytes>{to_bytes("one two")});
    Bytes pong(3);
    asio::read(client, asio::buffer(pong));
    EXPECT_EQ(pong, bytes({0x8a, 1, 'p'}));
  }
}

TEST_F(WebSocketTest, FramesThatCameWithTheUpgradeAreNotLost) {
  listen_and_accept();
  tcp::socket client = raw_client();
  write(client, concat(as_bytes(upgrade_request()), client_frame(0x82, as_bytes("early"))));
  ASSERT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
  server_peer_.start();
  ASSERT_TRUE(run_until([&] { return !server_peer_.messages.empty(); }));
  EXPECT_EQ(server_peer_.messages, std::vector<Bytes>{to_bytes("early")});
}

TEST_F(WebSocketTest, NeverAcceptsCompression) {
  listen_and_accept();
  tcp::socket client = raw_client();
  write(client, upgrade_request("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  const std::string head = read_head(client);
  EXPECT_THAT(head, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(head, ::testing::Not(HasSubstr("deflate")));
  ASSERT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
}

TEST_P(EitherWebSocketTest, TheRequestShowsTargetHeadersAndPeer) {
  std::optional<UpgradeRequest> request;
  listen([&](UpgradeRequest asked) { request = std::move(asked); });
  DialOptions options = dial_options();
  options.headers = {{"Origin", "https://web.example"}};
  Dial dial(io_, url("/ws/chat?device=shop-1"), options, [](auto) {});
  ASSERT_TRUE(run_until([&] { return request.has_value(); }));
  EXPECT_EQ(request->target(), "/ws/chat?device=shop-1");
  EXPECT_EQ(request->header("origin"), "https://web.example");
  EXPECT_EQ(request->header("x-none"), "");
  EXPECT_EQ(request->header("Host"), "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_THAT(request->remote(), StartsWith("127.0.0.1:"));
}

// ---- ends

TEST_P(EitherWebSocketTest, NormalCloseSendsQueuedMessagesAndThenAFrame) {
  connect();
  for (int i = 0; i < 50; ++i) client_peer_.socket->send(Bytes(100'000, std::byte(i)));
  client_peer_.socket->close(CloseHow::normal);
  client_peer_.socket->send(bytes({1}));  // too late
  EXPECT_FALSE(client_peer_.is_closed()) << "a callback ran inside the call";

  ASSERT_TRUE(run_until_both_closed());

  EXPECT_EQ(server_peer_.messages.size(), 50u);
  EXPECT_EQ(server_peer_.closed[0].code, 1000);
  EXPECT_FALSE(server_peer_.closed[0].by_us);
  EXPECT_EQ(client_peer_.closed[0].code, 1000);
  EXPECT_TRUE(client_peer_.closed[0].by_us);
}

TEST_P(EitherWebSocketTest, FinCloseSendsQueuedMessagesAndNoFrame) {
  connect();
  for (int i = 0; i < 50; ++i) server_peer_.socket->send(Bytes(100'000, std::byte(i)));
  server_peer_.socket->close(CloseHow::fin);

  ASSERT_TRUE(run_until_both_closed());

  EXPECT_EQ(client_peer_.messages.size(), 50u);
  EXPECT_EQ(client_peer_.closed[0].code, std::nullopt);
  EXPECT_EQ(client_peer_.closed[0].detail, "end of file");
  EXPECT_TRUE(server_peer_.closed[0].by_us);
}

TEST_P(EitherWebSocketTest, ResetEndsAtOnce) {
  connect();
  server_peer_.socket->send(Bytes(30'000'000));
  server_peer_.socket->close(CloseHow::rst);
  EXPECT_FALSE(server_peer_.is_closed()) << "a callback ran inside the call";

  ASSERT_TRUE(run_until_both_closed());

  EXPECT_TRUE(client_peer_.messages.empty());
  EXPECT_EQ(client_peer_.closed[0].detail, "connection reset");
  EXPECT_TRUE(server_peer_.closed[0].by_us);
}

TEST_P(EitherWebSocketTest, BothEndsClosingAtOnceEndCleanly) {
  for (const CloseHow how : {CloseHow::normal, CloseHow::fin, CloseHow::rst}) {
    SCOPED_TRACE(static_cast<int>(how));
    client_peer_ = {};
    server_peer_ = {};
    connect();
    client_peer_.socket->close(CloseHow::normal);
    server_peer_.socket->close(how);
    ASSERT_TRUE(run_until_both_closed());
    settle();
    EXPECT_EQ(client_peer_.closed.size(), 1u);
    EXPECT_EQ(server_peer_.closed.size(), 1u);
  }
}

TEST_P(EitherWebSocketTest, ClosingTwiceKeepsTheFirstWayUnlessTheSecondIsAReset) {
  connect();
  client_peer_.socket->close(CloseHow::normal);
  client_peer_.socket->close(CloseHow::fin);
  ASSERT_TRUE(run_until_both_closed());
  EXPECT_EQ(server_peer_.closed[0].code, 1000);

  client_peer_ = {};
  server_peer_ = {};
  connect();
  server_peer_.socket->stop_reading();
  client_peer_.socket->close(CloseHow::normal);  // will never be answered
  client_peer_.socket->close(CloseHow::rst);
  ASSERT_TRUE(run_until_both_closed());
  EXPECT_EQ(client_peer_.closed.size(), 1u);
}

TEST_P(EitherWebSocketTest, DroppingTheLastHandleClosesWithFinAndSilencesTheCallbacks) {
  connect();
  client_peer_.socket.reset();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].detail, "end of file");
  settle();
  EXPECT_FALSE(client_peer_.is_closed());
}

TEST_P(EitherWebSocketTest, AHandleMayBeDroppedInsideItsCallbacks) {
  listen([this](UpgradeRequest request) {
    request.accept([this](WebSocketPtr socket) {
      server_peer_.socket = std::move(socket);
      auto& mine = server_peer_.socket;
      mine->start({.on_message = [&mine](ByteSpan) { mine.reset(); },
                   .on_closed = [](const ClosedInfo&) { FAIL() << "the handle is gone"; }});
    });
  });
  Dial dial(io_, url(), dial_options(), [this](auto outcome) {
    client_peer_.socket = std::get<WebSocketPtr>(std::move(outcome));
    auto& mine = client_peer_.socket;
    mine->start({.on_message = {}, .on_closed = [this, &mine](const ClosedInfo& info) {
                   mine.reset();
                   client_peer_.closed.push_back(info);
                 }});
    mine->send(bytes({1}));
    mine->send(bytes({2}));
  });
  ASSERT_TRUE(run_until([&] { return client_peer_.is_closed(); }));
  EXPECT_EQ(client_peer_.closed[0].detail, "end of file");
  settle();
}

TEST_P(EitherWebSocketTest, EventsThatOwnTheirHandleAreFreedAfterTheEnd) {
  listen_and_accept();
  WebSocketPtr client;
  Dial dial(io_, url(), dial_options(),
            [&](auto outcome) { client = std::get<WebSocketPtr>(outcome); });
  ASSERT_TRUE(run_until([&] { return client && server_peer_.socket; }));
  server_peer_.start();
  const auto owner = std::make_shared<int>(0);
  client->start({.on_message = {}, .on_closed = [owner, client](const ClosedInfo&) { ++*owner; }});
  server_peer_.socket->close(CloseHow::normal);
  ASSERT_TRUE(run_until([&] { return *owner == 1; }));
  EXPECT_EQ(owner.use_count(), 1);
  EXPECT_EQ(client.use_count(), 1);
}

TEST_F(WebSocketTest, APeerThatDoesNotAnswerACloseIsCutOff) {
  tcp::socket client = raw_upgraded();
  const auto begin = std::chrono::steady_clock::now();
  server_peer_.socket->close(CloseHow::normal);
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, milliseconds(1900));
  EXPECT_LT(took, milliseconds(3500));
  EXPECT_THAT(server_peer_.closed[0].detail, HasSubstr("did not answer"));
}

TEST_F(WebSocketTest, APeerThatDoesNotReadWhatWasQueuedIsCutOff) {
  tcp::socket client = raw_upgraded();
  server_peer_.socket->send(Bytes(40'000'000));
  server_peer_.socket->close(CloseHow::normal);
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_THAT(server_peer_.closed[0].detail, HasSubstr("did not read"));
}

TEST_F(WebSocketTest, AFullSendQueueResetsTheConnection) {
  tcp::socket client = raw_upgraded();
  const Bytes megabytes(8 * 1024 * 1024);
  for (int i = 0; i < 9; ++i) server_peer_.socket->send(megabytes);
  EXPECT_FALSE(server_peer_.is_closed()) << "a callback ran inside the call";
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_FALSE(server_peer_.closed[0].by_us);
  EXPECT_THAT(server_peer_.closed[0].detail, HasSubstr("queue was full"));
  EXPECT_EQ(server_peer_.socket->queued_bytes(), 0u);
}

TEST_F(WebSocketTest, AfterStopReadingBytesStayInTheKernel) {
  tcp::socket client = raw_upgraded();
  server_peer_.socket->stop_reading();
  client.non_blocking(true);
  boost::system::error_code ec;
  const Bytes chunk(64 * 1024);
  // Frames of nothing: the server takes none of them, so the kernel's buffers fill up.
  for (int full = 0; full < 3;) {
    client.write_some(asio::buffer(chunk), ec);
    full = ec == asio::error::would_block ? full + 1 : 0;
    ASSERT_TRUE(!ec || ec == asio::error::would_block) << ec.message();
    settle();
  }
  EXPECT_FALSE(server_peer_.is_closed());
  EXPECT_TRUE(server_peer_.messages.empty());
}

TEST_F(WebSocketTest, AfterStopReadingPingsAreNotAnsweredAndCloseStillWorks) {
  for (const CloseHow how : {CloseHow::fin, CloseHow::rst}) {
    server_peer_ = {};
    tcp::socket client = raw_upgraded();
    server_peer_.socket->stop_reading();
    write(client, client_frame(0x89, as_bytes("p")));
    settle();
    server_peer_.socket->close(how);
    const std::string answer = read_to_end(client);
    EXPECT_EQ(answer, how == CloseHow::fin ? "" : "[Connection reset by peer]");
    client.close();
    ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
    EXPECT_TRUE(server_peer_.closed[0].by_us);
  }
}

TEST_F(WebSocketTest, AfterStopReadingAResetIsStillSeen) {
  tcp::socket client = raw_upgraded();
  server_peer_.socket->stop_reading();
  write(client, client_frame(0x82, as_bytes("x")));
  settle();
  client.set_option(asio::socket_base::linger(true, 0));
  client.close();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].detail, "connection reset");
  EXPECT_TRUE(server_peer_.messages.empty());
}

// ---- the process

TEST_P(EitherWebSocketTest, TwoHundredConnectionsLeaveNoDescriptorBehind) {
  listen([](UpgradeRequest) {});
  settle();
  const std::size_t before = open_descriptors();
  std::vector<std::unique_ptr<Peer>> clients;
  std::vector<std::unique_ptr<Peer>> servers;
  const auto adopt = [](auto& list, WebSocketPtr socket) {
    list.push_back(std::make_unique<Peer>());
    list.back()->socket = std::move(socket);
    list.back()->start();
  };
  server_.reset();
  listen([&](UpgradeRequest request) {
    request.accept([&](WebSocketPtr socket) { adopt(servers, std::move(socket)); });
  });
  std::vector<std::unique_ptr<Dial>> dials;
  for (int i = 0; i < 200; ++i) {
    dials.push_back(std::make_unique<Dial>(io_, url(), dial_options(), [&](auto outcome) {
      adopt(clients, std::get<WebSocketPtr>(std::move(outcome)));
    }));
  }
  ASSERT_TRUE(run_until([&] { return clients.size() == 200 && servers.size() == 200; }));
  EXPECT_GE(open_descriptors(), before + 400);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i]->socket->send(Bytes(1000));
    clients[i]->socket->close(static_cast<CloseHow>(i % 3));
  }

  ASSERT_TRUE(run_until([&] {
    const auto closed = [](const auto& peer) { return peer->is_closed(); };
    return std::all_of(clients.begin(), clients.end(), closed) &&
           std::all_of(servers.begin(), servers.end(), closed);
  }));

  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(WebSocketTest, OutOfDescriptorsTheListenerWaitsAndGoesOn) {
  listen_and_accept();
  tcp::socket client = raw_client();
  settle();
  tcp::socket waiting(io_);
  waiting.open(tcp::v4());
  std::vector<int> hoarded;
  for (int fd = dup(0); fd >= 0; fd = dup(0)) hoarded.push_back(fd);
  waiting.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
  write(waiting, upgrade_request());
  settle();
  EXPECT_FALSE(server_peer_.socket);
  for (const int fd : hoarded) ::close(fd);
  EXPECT_THAT(read_head(waiting), StartsWith("HTTP/1.1 101 "));
}

TEST_P(EitherWebSocketTest, APortCanBeTakenAgainAtOnceAfterItsServerEndedConnections) {
  connect();
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  server_peer_.socket->close(CloseHow::fin);  // who closes first keeps the port in TIME_WAIT
  ASSERT_TRUE(run_until_both_closed());
  server_.reset();
  settle();
  listen([](UpgradeRequest) {}, address.c_str());
}

TEST(ProcessLimitsTest, TheSoftLimitOfOpenFilesBecomesTheHardOne) {
  const std::size_t limit = raise_open_file_limit();
  EXPECT_GE(limit, 256u);
  EXPECT_EQ(raise_open_file_limit(), limit);
}

// ---- addresses and URLs

TEST_F(WebSocketTest, BadAddressesAreUsageAndTakenPortsAreEnvironment) {
  for (const char* address :
       {"", ":", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", ":8080", "127.0.0.1:65536",
        "127.0.0.1:-1", "::1:8080", "[::1]", "1.2.3.4:80 "}) {
    SCOPED_TRACE(address);
    const auto server = WebSocketServer::listen(io_, address, [](UpgradeRequest) {});
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, Errc::usage);
  }
  listen_and_accept();
  const auto second = WebSocketServer::listen(io_, "127.0.0.1:" + std::to_string(server_->port()),
                                              [](UpgradeRequest) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::environment);
  EXPECT_THAT(second.error().detail, HasSubstr("in use"));
}

}  // namespace
}  // namespace wa::net

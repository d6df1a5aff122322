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

// ---- hostile peers

struct BadFrames {
  const char* name;
  Bytes frames;
  int code;  ///< of the close frame that answers
};
void PrintTo(const BadFrames& bad, std::ostream* out) {
  *out << bad.name;
}

class BadFramesTest : public WebSocketTest, public ::testing::WithParamInterface<BadFrames> {};

TEST_P(BadFramesTest, EndTheConnectionWithACodeThatSaysWhy) {
  tcp::socket client = raw_upgraded();
  write(client, GetParam().frames);
  const std::string answer = read_to_end(client);
  ASSERT_GE(answer.size(), 4u);
  EXPECT_EQ(static_cast<unsigned char>(answer[0]), 0x88);
  EXPECT_EQ(read_big_endian(as_bytes(answer).subspan(2, 2)),
            static_cast<std::uint64_t>(GetParam().code));
  client.close();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_TRUE(server_peer_.messages.empty());
  EXPECT_THAT(server_peer_.closed[0].detail, StartsWith("WebSocket protocol: "));
}

INSTANTIATE_TEST_SUITE_P(
    Frames, BadFramesTest,
    ::testing::Values(
        BadFrames{"Unmasked", bytes({0x82, 1, 'x'}), 1002},
        BadFrames{"ReservedOpcode", bytes({0x83, 0x81, 0, 0, 0, 0, 'x'}), 1002},
        BadFrames{"ReservedBit", bytes({0xc2, 0x81, 0, 0, 0, 0, 'x'}), 1002},
        BadFrames{"ContinuationOfNothing", bytes({0x80, 0x81, 0, 0, 0, 0, 'x'}), 1002},
        BadFrames{"FragmentedPing", bytes({0x09, 0x80, 0, 0, 0, 0}), 1002},
        BadFrames{"LengthInTooManyBytes", bytes({0x82, 0xfe, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5}),
                  1002},
        BadFrames{"LengthBeyondTheLimit", bytes({0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 17, 0, 0, 0, 0}),
                  1009},
        BadFrames{"LengthOfExabytes",
                  bytes({0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}),
                  1009},
        BadFrames{"CloseOfOneByte", bytes({0x88, 0x81, 0, 0, 0, 0, 3}), 1002},
        BadFrames{"TextThatIsNoUtf8", bytes({0x81, 0x81, 0, 0, 0, 0, 0xff}), 1007}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(WebSocketTest, AnAnnouncedMessageTakesNoMemoryBeforeItsBytesArrive) {
  tcp::socket client = raw_upgraded();
  write(client, bytes({0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x'}));
  settle();
  EXPECT_FALSE(server_peer_.is_closed());
  client.close();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].detail, "end of file");
}

TEST_F(WebSocketTest, EveryTruncationOfAFrameEndsAsEndOfFile) {
  const Bytes whole = concat(bytes({0x82, 0xfe, 0, 126, 1, 2, 3, 4}), Bytes(126));
  for (const std::size_t cut : {0u, 1u, 2u, 3u, 4u, 7u, 8u, 9u, 133u}) {
    SCOPED_TRACE(cut);
    server_peer_ = {};
    tcp::socket client = raw_upgraded();
    write(client, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)));
    client.shutdown(tcp::socket::shutdown_send);
    ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
    EXPECT_EQ(server_peer_.closed[0].detail, "end of file");
    EXPECT_EQ(server_peer_.closed[0].code, std::nullopt);
    EXPECT_TRUE(server_peer_.messages.empty());
  }
}

TEST_F(WebSocketTest, AResetInTheMiddleOfAMessageIsReported) {
  tcp::socket client = raw_upgraded();
  write(client, bytes({0x82, 0xfe, 0, 126, 1, 2, 3, 4, 5}));
  settle();
  client.set_option(asio::socket_base::linger(true, 0));
  client.close();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].detail, "connection reset");
}

TEST_F(WebSocketTest, ACloseFrameWithCodeAndReasonIsReported) {
  tcp::socket client = raw_upgraded();
  write(client, client_frame(0x88, concat(big_endian<2>(4003), as_bytes("go away"))));
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].code, 4003);
  EXPECT_THAT(server_peer_.closed[0].detail, HasSubstr("go away"));
}

TEST_F(WebSocketTest, ACloseFrameWithoutACodeIs1005) {
  tcp::socket client = raw_upgraded();
  write(client, client_frame(0x88, {}));
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  EXPECT_EQ(server_peer_.closed[0].code, 1005);
}

// ---- requests that are no upgrades

struct BadRequest {
  const char* name;
  std::string request;
  const char* answer;
};
void PrintTo(const BadRequest& bad, std::ostream* out) {
  *out << bad.name;
}

class BadRequestTest : public WebSocketTest, public ::testing::WithParamInterface<BadRequest> {};

TEST_P(BadRequestTest, IsAnsweredAndClosed) {
  bool upgraded = false;
  listen([&](UpgradeRequest) { upgraded = true; });
  tcp::socket client = raw_client();
  write(client, GetParam().request);
  const std::string answer = read_to_end(client);
  EXPECT_THAT(answer, StartsWith(GetParam().answer));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_FALSE(upgraded);
  EXPECT_EQ(server_->upgrading(), 0u);
}

TEST_F(WebSocketTest, APlainGetIsAnsweredWithAFileThatIsThere) {
  WebSocketServerOptions options;
  options.files = [](std::string_view target) -> std::optional<Bytes> {
    if (target != "/a?b=c") return std::nullopt;
    return to_bytes(std::string_view("what it holds\0and more", 22));
  };
  bool upgraded = false;
  listen([&](UpgradeRequest) { upgraded = true; }, std::move(options));
  const auto answer_to = [&](std::string_view request) {
    tcp::socket client = raw_client();
    write(client, std::string(request));
    return read_to_end(client);
  };
  const std::string there = answer_to("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(there, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(there, HasSubstr("Content-Length: 22\r\n"));
  EXPECT_TRUE(there.ends_with(std::string("what it holds\0and more", 22)));
  EXPECT_THAT(answer_to("GET /other HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 426 "));
  EXPECT_THAT(answer_to("POST /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 426 "));
  EXPECT_FALSE(upgraded);
  EXPECT_EQ(server_->upgrading(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, BadRequestTest,
    ::testing::Values(
        BadRequest{"Garbage", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                   "HTTP/1.1 400 "},
        BadRequest{"GarbageLines", "hello\r\n\r\n", "HTTP/1.1 400 "},
        BadRequest{"PlainGet", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
        BadRequest{"OldVersion",
                   "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                   "HTTP/1.1 426 "},
        BadRequest{"OtherMethod",
                   "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                   "HTTP/1.1 426 "},
        BadRequest{"HeadAboveTheLimit",
                   "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
                   "HTTP/1.1 431 "},
        BadRequest{"EndlessHead", "GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x'),
                   "HTTP/1.1 431 "},
        BadRequest{"NulInHeader", std::string("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 26),
                   "HTTP/1.1 400 "}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(WebSocketTest, AHeadJustBelowTheLimitIsAccepted) {
  listen_and_accept();
  tcp::socket client = raw_client();
  write(client, upgrade_request("X: " + std::string(16'000, 'x') + "\r\n"));
  EXPECT_THAT(read_head(client), StartsWith("HTTP/1.1 101 "));
}

TEST_F(WebSocketTest, AHeadMayArriveByteByByte) {
  listen_and_accept();
  tcp::socket client = raw_client();
  client.set_option(tcp::no_delay(true));
  for (const char byte : upgrade_request()) {
    asio::write(client, asio::buffer(&byte, 1));
    settle();
  }
  EXPECT_THAT(read_head(client), StartsWith("HTTP/1.1 101 "));
}

TEST_F(WebSocketTest, AHalfClosedClientIsToldThatItsHeadIsIncomplete) {
  listen_and_accept();
  tcp::socket client = raw_client();
  write(client, std::string("GET / HTTP/1.1\r\n"));
  client.shutdown(tcp::socket::shutdown_send);
  EXPECT_THAT(read_to_end(client), StartsWith("HTTP/1.1 400 "));
}

TEST_F(WebSocketTest, AnUpgradeWithoutAKeyIsRefusedAndItsAcceptYieldsNothing) {
  std::optional<bool> accepted;
  listen([&](UpgradeRequest request) {
    request.accept([&](WebSocketPtr socket) { accepted = socket != nullptr; });
  });
  tcp::socket client = raw_client();
  write(client, std::string("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n"
                            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"));
  EXPECT_THAT(read_to_end(client), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(accepted, false);
}

TEST_F(WebSocketTest, ASilentClientCountsAsUpgradingUntilTheServerStops) {
  listen_and_accept();
  tcp::socket client = raw_client();
  ASSERT_TRUE(run_until([&] { return server_->upgrading() == 1; }));
  server_->stop();
  EXPECT_EQ(server_->upgrading(), 0u);
  EXPECT_EQ(read_to_end(client), "");
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

// ---- dialling

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

TEST(UrlTest, ReadsEveryPart) {
  const auto check = [](const char* text, bool tls, const char* host, int port,
                        const char* target) {
    SCOPED_TRACE(text);
    const auto url = Url::parse(text);
    ASSERT_TRUE(url) << url.error();
    EXPECT_EQ(url->tls, tls);
    EXPECT_EQ(url->host, host);
    EXPECT_EQ(url->port, port);
    EXPECT_EQ(url->target, target);
  };
  check("ws://127.0.0.1:8080/ws/chat?device=a", false, "127.0.0.1", 8080, "/ws/chat?device=a");
  check("wss://web.example.com/ws", true, "web.example.com", 443, "/ws");
  check("WS://host", false, "host", 80, "/");
  check("ws://host?x=1", false, "host", 80, "/?x=1");
  check("ws://[::1]:9/", false, "::1", 9, "/");
  check("wss://[fe80::1]", true, "fe80::1", 443, "/");
}

TEST(UrlTest, NamesThePartThatIsWrong) {
  const auto check = [](const char* text, const char* part) {
    SCOPED_TRACE(text);
    const auto url = Url::parse(text);
    ASSERT_FALSE(url);
    EXPECT_EQ(url.error().code, Errc::usage);
    EXPECT_THAT(url.error().detail, HasSubstr(part));
  };
  check("", "scheme");
  check("http://x", "scheme");
  check("ws:/x", "scheme");
  check("ws://", "host");
  check("ws://:80", "host");
  check("ws://[::1", "host");
  check("ws://[1.2.3.4]/", "host");
  check("ws://[::1]x", "port");
  check("ws://a,b/", "host");
  check("ws://x:0", "port");
  check("ws://x:", "port");
  check("ws://x:65536", "port");
  check("ws://x:8o", "port");
  check("ws://me:secret@x/", "passwords");
  check("ws://x/a#b", "fragment");
  check("ws://x/a b", "ASCII");
  check("ws://x/\r\nEvil: 1", "ASCII");
}

}  // namespace
}  // namespace wa::net

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

struct BadUpgrade {
  const char* name;
  std::string request;
  const char* answer;
};
void PrintTo(const BadUpgrade& bad, std::ostream* out) {
  *out << bad.name;
}

class BadUpgradeTest : public WebSocketTest, public ::testing::WithParamInterface<BadUpgrade> {};

TEST_P(BadUpgradeTest, IsAnsweredAndClosed) {
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
    Requests, BadUpgradeTest,
    ::testing::Values(
        BadUpgrade{"Garbage", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                   "HTTP/1.1 400 "},
        BadUpgrade{"GarbageLines", "hello\r\n\r\n", "HTTP/1.1 400 "},
        BadUpgrade{"PlainGet", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
        BadUpgrade{"OldVersion",
                   "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                   "HTTP/1.1 426 "},
        BadUpgrade{"OtherMethod",
                   "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                   "HTTP/1.1 426 "},
        BadUpgrade{"HeadAboveTheLimit",
                   "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
                   "HTTP/1.1 431 "},
        BadUpgrade{"EndlessHead", "GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x'),
                   "HTTP/1.1 431 "},
        BadUpgrade{"NulInHeader", std::string("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 26),
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

}  // namespace
}  // namespace wa::net

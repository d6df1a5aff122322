// What an HTTP server bears of clients that flood it: small limits, and a status for each refusal.

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>

#include "engine/net/http_server.hpp"

namespace wa::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kMegabyte = 1024 * 1024;

class HttpLimitsTest : public ::testing::Test {
 protected:
  void serve(HttpLimits limits) {
    server_ = std::make_unique<HttpServer>(io_, limits);
    server_->route("GET", "/hello", [](const HttpRequest&, HttpReply reply) {
      reply.send({.status = 200, .content_type = "text/plain", .body = "hi\n", .headers = {}});
    });
    server_->route("GET", "/large", [](const HttpRequest&, HttpReply reply) {
      reply.send({.status = 200,
                  .content_type = "text/plain",
                  .body = std::string(16 * kMegabyte, 'x'),
                  .headers = {}});
    });
    server_->route(
        "POST", "/body", [](const HttpRequest&, HttpReply reply) { reply.send({}); },
        8 * kMegabyte);
    server_->route("GET", "/events", [this](const HttpRequest&, HttpReply reply) {
      reply.start_events();
      streams_.push_back(std::move(reply));
    });
    ASSERT_TRUE(server_->listen("127.0.0.1:0"));
  }
  ~HttpLimitsTest() override {
    streams_.clear();
    sockets_.clear();
    server_.reset();
    run();
  }

  tcp::socket& connect(std::string_view text = {}) {
    tcp::socket& socket = sockets_.emplace_back(io_);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    socket.non_blocking(true);
    send(socket, text);
    return socket;
  }
  void send(tcp::socket& socket, std::string_view text) {
    while (!text.empty()) {
      boost::system::error_code ec;
      text.remove_prefix(socket.write_some(asio::buffer(text), ec));
      if (ec && ec != asio::error::would_block) return;
      run();
    }
    run();
  }
  void run() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }
  /// What comes until the server closes.
  std::string read(tcp::socket& socket) {
    std::string text;
    std::array<char, 65536> part{};
    const auto end = std::chrono::steady_clock::now() + seconds(5);
    while (std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_one_for(milliseconds(1));
      boost::system::error_code ec;
      text.append(part.data(), socket.read_some(asio::buffer(part), ec));
      if (ec && ec != asio::error::would_block) return text;
    }
    ADD_FAILURE() << "no end after: " << text.substr(0, 300);
    return text;
  }
  std::string ask(std::string_view target) {
    return read(connect("GET " + std::string(target) + " HTTP/1.1\r\nConnection: close\r\n\r\n"));
  }

  asio::io_context io_{1};
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpReply> streams_;
  std::list<tcp::socket> sockets_;
};

TEST_F(HttpLimitsTest, AConnectionBeyondTheMostIsTold503AndTheOthersGoOn) {
  serve({.connections = 2});
  tcp::socket& first = connect();
  connect("GET /ne");  // a head that does not go on
  EXPECT_THAT(ask("/hello"), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("2 connections")));
  send(first, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(read(first), StartsWith("HTTP/1.1 200 "));
  first.close();
  run();
  EXPECT_THAT(ask("/hello"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpLimitsTest, AFloodOfConnectionsIsTurnedAway) {
  serve({.connections = 2});
  tcp::socket& first = connect();
  connect();
  for (int i = 0; i < 300; ++i) connect();
  send(first, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(read(first), StartsWith("HTTP/1.1 200 "));
  sockets_.clear();
  run();
  EXPECT_THAT(ask("/hello"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpLimitsTest, AHeadThatComesTooSlowlyIsTold408) {
  serve({.idle_time = milliseconds(50)});
  EXPECT_THAT(read(connect("GET /hello HTTP/1.1\r\nX-Slow: ")), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(read(connect()), "");  // who says nothing is told nothing
}

TEST_F(HttpLimitsTest, ABodyThatMovesButNeverEndsIsTold408) {
  serve({.idle_time = seconds(5), .body_time = milliseconds(50)});
  tcp::socket& drip = connect("POST /body HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
  const auto began = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - began < milliseconds(100)) {
    io_.restart();
    io_.run_one_for(milliseconds(2));
    if (drip.available() > 0) break;
    send(drip, "x");
  }
  EXPECT_THAT(read(drip), StartsWith("HTTP/1.1 408 "));
}

TEST_F(HttpLimitsTest, BodiesThatDoNotEndAreKeptUpToTheMostOfAll) {
  serve({.held_bytes = 4 * kMegabyte});
  const std::string part(3 * kMegabyte, 'x');
  const std::string head = "POST /body HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n";
  tcp::socket& first = connect(head + part);
  tcp::socket& second = connect(head);
  tcp::socket& small =
      connect("POST /body HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nx");
  send(second, part);
  EXPECT_THAT(read(second), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("4194304 bytes")));
  send(small, "y");
  EXPECT_THAT(read(small), StartsWith("HTTP/1.1 200 "));
  first.close();
  second.close();
  run();
  EXPECT_THAT(
      read(connect("POST /body HTTP/1.1\r\nConnection: close\r\nContent-Length: 3145728\r\n\r\n" +
                   part)),
      StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpLimitsTest, AnswersThatNobodyReadsAreKeptUpToTheMostOfAll) {
  serve({.held_bytes = 40 * kMegabyte});
  const std::string ask_large = "GET /large HTTP/1.1\r\n\r\n";
  connect(ask_large);
  connect(ask_large);
  connect(ask_large);  // some of theirs is in the sockets
  connect(ask_large);
  EXPECT_THAT(ask("/large"), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("not read")));
  EXPECT_THAT(ask("/hello"), StartsWith("HTTP/1.1 200 "));
  sockets_.clear();
  run();
  EXPECT_THAT(ask("/large"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpLimitsTest, StreamsThatNobodyReadsAreCutOffAndOneThatIsReadStays) {
  serve({.held_bytes = 32 * kMegabyte});
  tcp::socket& reader = connect("GET /events HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 4; ++i) connect("GET /events HTTP/1.1\r\n\r\n");
  ASSERT_EQ(streams_.size(), 5u);
  const std::string event(kMegabyte, 'x');
  std::array<char, 65536> part{};
  for (int i = 0; i < 40; ++i) {
    for (const HttpReply& stream : streams_) stream.event("", event);
    boost::system::error_code ec;
    do {
      run();
      (void)reader.read_some(asio::buffer(part), ec);
    } while (!ec);
  }
  EXPECT_TRUE(streams_[0].open());
  for (std::size_t i = 1; i < 5; ++i) EXPECT_FALSE(streams_[i].open()) << i;
}

}  // namespace
}  // namespace wa::net

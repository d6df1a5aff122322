#include "engine/net/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "engine/base/limits.hpp"
#include "engine/net/http_routes.hpp"

namespace wa::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

std::string get(const std::string& target, const std::string& headers = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n";
}

/// A client of bytes that keeps what it received.
struct Client : std::enable_shared_from_this<Client> {
  explicit Client(asio::io_context& io) : socket(io) {}

  void read() {
    socket.async_read_some(asio::buffer(chunk),
                           [this, self = shared_from_this()](auto ec, std::size_t count) {
                             received.append(chunk.data(), count);
                             if (ec == asio::error::operation_aborted) return;
                             if (ec) {
                               ended = true;
                               if (ec != asio::error::eof) received += "[" + ec.message() + "]";
                               return;
                             }
                             read();
                           });
  }

  void send(const std::string& text) { asio::write(socket, asio::buffer(text)); }

  tcp::socket socket;
  std::array<char, 4096> chunk{};
  std::string received;
  bool ended = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    server_->route("GET", "/hello", [](const HttpRequest&, HttpReply reply) {
      reply.send({.status = 200, .content_type = "text/plain", .body = "hi\n", .headers = {}});
    });
    server_->route(
        "POST", "/echo",
        [](const HttpRequest& request, HttpReply reply) {
          HttpResponse response;
          response.body = std::string(as_text(request.body));
          reply.send(std::move(response));
        },
        1000);
    server_->route("GET", "/later", [this](const HttpRequest&, HttpReply reply) {
      replies_.push_back(std::move(reply));
    });
    server_->route("GET", "/events", [this](const HttpRequest&, HttpReply reply) {
      reply.start_events();
      replies_.push_back(std::move(reply));
    });
    const auto listening = server_->listen("127.0.0.1:0");
    EXPECT_TRUE(listening) << listening.error();
  }

  ~HttpServerTest() override {
    replies_.clear();
    drop_clients();
    server_.reset();
    settle();
  }

  template <class Condition>
  bool run_until(Condition condition, Duration limit = seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    io_.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (io_.run_one_for(milliseconds(20)) == 0) io_.restart();
    }
    return condition();
  }

  void settle() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }

  void drop_clients() {
    for (const auto& client : clients_) client->socket.close();
    clients_.clear();
  }

  Client& connect() {
    clients_.push_back(std::make_shared<Client>(io_));
    Client& client = *clients_.back();
    client.socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    client.read();
    return client;
  }

  /// All that comes back until the server closes. The request must ask for that, or deserve it.
  std::string ask(const std::string& request) {
    Client& client = connect();
    client.send(request);
    EXPECT_TRUE(run_until([&] { return client.ended; })) << "no end after: " << client.received;
    return client.received;
  }

  asio::io_context io_{1};
  std::unique_ptr<HttpServer> server_ = std::make_unique<HttpServer>(io_);
  std::vector<HttpReply> replies_;
  std::vector<std::shared_ptr<Client>> clients_;
};

// ---- answers

TEST_F(HttpServerTest, AnswersWithStatusHeadersAndBody) {
  EXPECT_EQ(ask(get("/hello")),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
            "Connection: close\r\n\r\nhi\n");
}

TEST_F(HttpServerTest, HandlersGetEveryPartDecoded) {
  std::optional<HttpRequest> seen;
  server_->route("PUT", "/v1/t/{tenant}/phones/{id}", [&](const HttpRequest& request, HttpReply r) {
    seen = request;
    r.send({.status = 204, .content_type = "", .body = "", .headers = {{"X-A", "b"}}});
  });

  const std::string answer = ask(
      "PUT /v1/t/a%2Fb/phones/%2B49%20x?from=1&name=a+b%26&flag&from=2 HTTP/1.1\r\n"
      "Host: x\r\nX-Twice: 1\r\nx-twice: 2\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody");

  EXPECT_EQ(answer, "HTTP/1.1 204 No Content\r\nX-A: b\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->method, "PUT");
  EXPECT_EQ(seen->path, "/v1/t/a/b/phones/+49 x");
  EXPECT_THAT(seen->parameters, ElementsAre(Pair("id", "+49 x"), Pair("tenant", "a/b")));
  EXPECT_THAT(seen->query, ElementsAre(Pair("flag", ""), Pair("from", "2"), Pair("name", "a b&")));
  EXPECT_EQ(seen->headers.at("x-twice"), "1, 2");
  EXPECT_EQ(as_text(seen->body), "body");
}

TEST_F(HttpServerTest, ConnectionsAreKeptAlive) {
  Client& client = connect();
  for (std::size_t i = 1; i <= 3; ++i) {
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(run_until([&] { return client.received.ends_with("hi\n"); }));
    EXPECT_THAT(client.received, Not(HasSubstr("Connection: close")));
    client.received.clear();
  }
  EXPECT_FALSE(client.ended);
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrderEvenWhenTheFirstIsLate) {
  Client& client = connect();
  client.send("GET /later HTTP/1.1\r\n\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" +
              get("/hello"));
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  settle();
  EXPECT_EQ(client.received, "");
  replies_[0].send({.status = 200, .content_type = "", .body = "late", .headers = {}});
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, ::testing::ContainsRegex("late.*abc.*hi\n$"));
}

TEST_F(HttpServerTest, ManyPipelinedRequestsNeedNoStack) {
  std::string requests;
  for (int i = 0; i < 5000; ++i) requests += "GET /hello HTTP/1.1\r\n\r\n";
  const std::string answers = ask(requests + get("/hello"));
  std::size_t count = 0;
  for (std::size_t at = 0; (at = answers.find("HTTP/1.1 200 OK", at)) != std::string::npos; ++at) {
    ++count;
  }
  EXPECT_EQ(count, 5001u);
}

TEST_F(HttpServerTest, ARequestMayArriveByteByByte) {
  Client& client = connect();
  client.socket.set_option(tcp::no_delay(true));
  for (const char byte : std::string("\r\nPOST /echo HTTP/1.1\r\nConnection: close\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n"
                                     "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")) {
    client.send(std::string(1, byte));
    settle();
  }
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nabcde"));
}

TEST_F(HttpServerTest, Http10ClientsAreAnsweredAndClosed) {
  EXPECT_THAT(ask("GET /hello HTTP/1.0\r\n\r\n"), EndsWith("Connection: close\r\n\r\nhi\n"));
}

TEST_F(HttpServerTest, AClientThatExpectsContinueGetsItBeforeItsBody) {
  Client& client = connect();
  client.send(
      "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
      "Connection: close\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !client.received.empty(); }));
  EXPECT_EQ(client.received, "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
}

TEST_F(HttpServerTest, LargeAnswersArriveWhole) {
  const std::string large(20'000'000, 'x');
  server_->route("GET", "/large", [&](const HttpRequest&, HttpReply reply) {
    reply.send({.status = 200, .content_type = "", .body = large, .headers = {}});
  });
  EXPECT_THAT(ask(get("/large")).size(), ::testing::Gt(large.size()));
}

TEST_F(HttpServerTest, AHeaderOfAnAnswerCannotBreakOutOfItsLine) {
  server_->route("GET", "/split", [](const HttpRequest&, HttpReply reply) {
    reply.send(
        {.status = 200, .content_type = "a\r\nB: c", .body = "", .headers = {{"X", "y\r\nZ: 1"}}});
  });
  const std::string answer = ask(get("/split"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: a  B: c\r\n"));
  EXPECT_THAT(answer, HasSubstr("X: y  Z: 1\r\n"));
}

// ---- late answers and gone clients

TEST_F(HttpServerTest, AReplyNoticesThatItsClientHasGone) {
  Client& client = connect();
  client.send("GET /later HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  EXPECT_TRUE(replies_[0].open());
  client.socket.close();
  ASSERT_TRUE(run_until([&] { return !replies_[0].open(); }));
  replies_[0].send({});
  replies_[0].event("1", "x");
  settle();
}

TEST_F(HttpServerTest, AHalfClosedClientStillGetsItsLateAnswer) {
  Client& client = connect();
  client.send("GET /later HTTP/1.1\r\n\r\n");
  client.socket.shutdown(tcp::socket::shutdown_send);
  ASSERT_TRUE(run_until([&] { return !replies_.empty() && !replies_[0].open(); }));
  replies_[0].send({.status = 200, .content_type = "", .body = "late", .headers = {}});
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, EndsWith("late"));
}

TEST_F(HttpServerTest, ASecondAnswerIsIgnoredEvenWhenTheNextRequestWaits) {
  Client& client = connect();
  client.send("GET /later HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return replies_.size() == 1; }));
  replies_[0].send({.status = 200, .content_type = "", .body = "first", .headers = {}});
  replies_[0].send({.status = 200, .content_type = "", .body = "second", .headers = {}});
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("first"); }));
  client.send("GET /later HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return replies_.size() == 2; }));
  replies_[0].send({.status = 200, .content_type = "", .body = "third", .headers = {}});
  EXPECT_FALSE(replies_[0].open());
  replies_[1].send({.status = 200, .content_type = "", .body = "right", .headers = {}});
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("right"); }));
  EXPECT_THAT(client.received, Not(HasSubstr("second")));
  EXPECT_THAT(client.received, Not(HasSubstr("third")));
}

TEST_F(HttpServerTest, ARequestThatNobodyAnswersGets500) {
  server_->route("GET", "/forgotten", [](const HttpRequest&, HttpReply) {});
  EXPECT_THAT(ask(get("/forgotten")), StartsWith("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, AHandlerThatThrowsGets500AndTheServerLives) {
  server_->route("GET", "/throws",
                 [](const HttpRequest&, HttpReply) { throw std::runtime_error("no \"luck\"\n"); });
  server_->route("GET", "/throws-late", [](const HttpRequest&, HttpReply reply) {
    reply.send({.status = 200, .content_type = "", .body = "sent", .headers = {}});
    throw 1;
  });
  server_->route("GET", "/throws-streaming", [](const HttpRequest&, HttpReply reply) {
    reply.start_events();
    throw 1;
  });
  const std::string answer = ask(get("/throws"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 Internal Server Error\r\n"));
  EXPECT_THAT(
      answer,
      EndsWith("{\"error\":{\"code\":\"internal\",\"message\":\"no \\\"luck\\\"\\u000a\"}}\n"));
  EXPECT_THAT(ask(get("/throws-late")), EndsWith("sent"));
  EXPECT_THAT(ask(get("/throws-streaming")), Not(HasSubstr(" 500 ")));
  EXPECT_THAT(ask(get("/hello")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, StopFinishesTheAnswerThatIsBeingWritten) {
  const std::string large(20'000'000, 'x');
  server_->route("GET", "/large", [&](const HttpRequest&, HttpReply reply) {
    reply.send({.status = 200, .content_type = "", .body = large, .headers = {}});
    server_->stop();
  });
  Client& idle = connect();
  settle();
  EXPECT_GT(ask("GET /large HTTP/1.1\r\n\r\n").size(), large.size());
  EXPECT_TRUE(run_until([&] { return idle.ended; }));
}

TEST_F(HttpServerTest, RepliesMayOutliveTheServer) {
  Client& client = connect();
  client.send("GET /later HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  server_.reset();
  EXPECT_FALSE(replies_[0].open());
  replies_[0].send({});
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_EQ(client.received, "");
}

// ---- errors of the server's own

struct BadRequest {
  const char* name;
  std::string request;
  const char* answer;
};
void PrintTo(const BadRequest& bad, std::ostream* out) {
  *out << bad.name;
}

class BadHttpRequestTest : public HttpServerTest,
                           public ::testing::WithParamInterface<BadRequest> {};

TEST_P(BadHttpRequestTest, IsAnsweredAndClosed) {
  const std::string answer = ask(GetParam().request);
  EXPECT_THAT(answer, StartsWith(GetParam().answer));
  EXPECT_THAT(answer, HasSubstr("{\"error\":{\"code\":\""));
  EXPECT_THAT(answer, Not(HasSubstr("HTTP/1.1 200")));
}

INSTANTIATE_TEST_SUITE_P(
    Requests, BadHttpRequestTest,
    ::testing::Values(
        BadRequest{"Garbage", std::string("\x16\x03\x01\x00\xff\x01", 6), "HTTP/1.1 400 "},
        BadRequest{"NoVersion", "GET /hello\r\n\r\n", "HTTP/1.1 400 "},
        BadRequest{"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 "},
        BadRequest{"NulInHeader", std::string("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 26),
                   "HTTP/1.1 400 "},
        BadRequest{"HeadAboveTheLimit",
                   "GET /hello HTTP/1.1\r\nX: " + std::string(17'000, 'x') + "\r\n\r\n",
                   "HTTP/1.1 431 "},
        BadRequest{"EndlessTarget", "GET /" + std::string(100'000, 'x'), "HTTP/1.1 431 "},
        BadRequest{"BodyAnnouncedAboveTheLimit",
                   "POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413 "},
        BadRequest{"BodyOfExabytes",
                   "POST /echo HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
                   "HTTP/1.1 413 "},
        BadRequest{"LengthThatOverflows",
                   "POST /echo HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
                   "HTTP/1.1 400 "},
        BadRequest{"NegativeLength", "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                   "HTTP/1.1 400 "},
        BadRequest{"TwoLengths",
                   "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                   "HTTP/1.1 400 "},
        BadRequest{"LengthAndChunks",
                   "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n0\r\n\r\n",
                   "HTTP/1.1 400 "},
        BadRequest{
            "BodySentAboveTheLimit",
            "POST /echo HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + std::string(300'000, 'x'),
            "HTTP/1.1 413 "},
        BadRequest{"ChunksAboveTheLimit",
                   "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" +
                       std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n",
                   "HTTP/1.1 413 "},
        BadRequest{"ChunkOfExabytes",
                   "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                   "HTTP/1.1 413 "},
        BadRequest{"ChunkWithoutASize",
                   "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                   "HTTP/1.1 400 "},
        BadRequest{"EndlessChunkExtension",
                   "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                       std::string(100'000, 'x'),
                   "HTTP/1.1 431 "},
        BadRequest{"PercentCutShort", get("/hello%4"), "HTTP/1.1 400 "},
        BadRequest{"PercentNotHex", get("/hello?x=%zz"), "HTTP/1.1 400 "},
        BadRequest{"PercentNul", get("/hello%00"), "HTTP/1.1 400 "},
        BadRequest{"TargetWithoutSlash", get("hello"), "HTTP/1.1 400 "},
        BadRequest{"UnknownPath", get("/none"), "HTTP/1.1 404 "},
        BadRequest{"UnknownPathBelowAKnownOne", get("/hello/x"), "HTTP/1.1 404 "},
        BadRequest{"TrailingSlash", get("/hello/"), "HTTP/1.1 404 "},
        BadRequest{"OtherMethod", "DELETE /hello HTTP/1.1\r\nConnection: close\r\n\r\n",
                   "HTTP/1.1 405 "}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(HttpServerTest, EveryTruncationOfARequestIsMalformed) {
  const std::string whole = "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    SCOPED_TRACE(cut);
    Client& client = connect();
    client.send(whole.substr(0, cut));
    client.socket.shutdown(tcp::socket::shutdown_send);
    ASSERT_TRUE(run_until([&] { return client.ended; }));
    EXPECT_THAT(client.received, StartsWith("HTTP/1.1 400 "));
  }
}

TEST_F(HttpServerTest, AnEndBeforeAnyRequestIsNoError) {
  Client& client = connect();
  client.socket.shutdown(tcp::socket::shutdown_send);
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_EQ(client.received, "");
}

TEST_F(HttpServerTest, AResetInTheMiddleOfABodyIsNoError) {
  Client& client = connect();
  client.send("POST /echo HTTP/1.1\r\nContent-Length: 300\r\n\r\nabc");
  settle();
  client.socket.set_option(asio::socket_base::linger(true, 0));
  client.socket.close();
  settle();
  EXPECT_THAT(ask(get("/hello")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, A404KeepsTheConnectionAndNamesThePath) {
  Client& client = connect();
  client.send("GET /no%22ne HTTP/1.1\r\n\r\n" + get("/hello"));
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(client.received, HasSubstr(R"("message":"there is nothing at /no\"ne")"));
  EXPECT_THAT(client.received, EndsWith("hi\n"));
}

TEST_F(HttpServerTest, A405ListsTheMethodsThatAreAllowed) {
  server_->route("POST", "/hello", [](const HttpRequest&, HttpReply) {});
  const std::string answer = ask("PUT /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, POST\r\n"));
}

TEST_F(HttpServerTest, AnAnswerToHeadHasNoBody) {
  const std::string answer = ask("HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, ARefusedUploadStillReadsItsAnswer) {
  // More than the kernel's buffers hold: a close without reading it would reset the connection.
  Client& client = connect();
  bool sent = false;
  const std::string body(8'000'000, 'x');
  const std::string head = "POST /echo HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n";
  asio::async_write(client.socket, std::array{asio::buffer(head), asio::buffer(body)},
                    [&](auto ec, std::size_t) {
                      EXPECT_FALSE(ec) << ec.message();
                      client.socket.shutdown(tcp::socket::shutdown_send);
                      sent = true;
                    });
  ASSERT_TRUE(run_until([&] { return sent && client.ended; }));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(client.received, Not(HasSubstr("[")));
}

TEST_F(HttpServerTest, ErrorsHaveTheShapeThatTheOwnerGives) {
  server_->on_error([](int status, std::string code, std::string message) {
    HttpResponse response;
    response.body = std::to_string(status) + "|" + code + "|" + message;
    return response;
  });
  EXPECT_THAT(ask(get("/none")), EndsWith("404|not_found|there is nothing at /none"));
}

TEST_F(HttpServerTest, WithATokenEveryRequestMustCarryIt) {
  server_->require_token("s3cret");
  for (const char* header : {"", "Authorization: Bearer s3cre\r\n",
                             "Authorization: Bearer s3crets\r\n", "Authorization: Bearer \r\n",
                             "Authorization: s3cret\r\n", "Authorization: Bearer S3cret\r\n"}) {
    SCOPED_TRACE(header);
    const std::string answer = ask(get("/none", header));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Bearer\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("s3cret")));
  }
  EXPECT_THAT(ask(get("/hello", "Authorization: Bearer s3cret\r\n")), StartsWith("HTTP/1.1 200 "));
}

// ---- event streams

TEST_F(HttpServerTest, EventsAreSentAsTheyComeAndTheConnectionGoesOn) {
  Client& client = connect();
  client.send("GET /events HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("\r\n\r\n"); }));
  EXPECT_THAT(client.received, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(client.received, HasSubstr("Transfer-Encoding: chunked\r\n"));
  client.received.clear();

  replies_[0].event("7", "{\"a\":1}");
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("\n\n\r\n"); }));
  EXPECT_EQ(client.received, "15\r\nid: 7\ndata: {\"a\":1}\n\n\r\n");
  client.received.clear();

  replies_[0].event("", "one\ntwo\r\nthree");
  replies_[0].end();
  replies_[0].event("8", "too late");
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("0\r\n\r\n"); }));
  EXPECT_EQ(client.received, "21\r\ndata: one\ndata: two\ndata: three\n\n\r\n0\r\n\r\n");
  EXPECT_FALSE(replies_[0].open());

  client.send(get("/hello"));
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, EndsWith("hi\n"));
}

TEST_F(HttpServerTest, AnEventStreamEndsWhenItsReplyIsDropped) {
  Client& client = connect();
  client.send("GET /events HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  replies_.clear();
  ASSERT_TRUE(run_until([&] { return client.received.ends_with("0\r\n\r\n"); }));
}

TEST_F(HttpServerTest, AnEventStreamToHttp10IsNotChunked) {
  Client& client = connect();
  client.send("GET /events HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  replies_[0].event("1", "x");
  replies_[0].end();
  ASSERT_TRUE(run_until([&] { return client.ended; }));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nid: 1\ndata: x\n\n"));
}

TEST_F(HttpServerTest, AnEventStreamNoticesThatItsReaderHasGone) {
  Client& client = connect();
  client.send("GET /events HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  EXPECT_TRUE(replies_[0].open());
  client.socket.close();
  ASSERT_TRUE(run_until([&] { return !replies_[0].open(); }));
  replies_[0].event("1", "x");
  settle();
}

TEST_F(HttpServerTest, AReaderThatDoesNotKeepUpIsCutOff) {
  tcp::socket slow(io_);  // never reads
  slow.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
  asio::write(slow, asio::buffer(std::string("GET /events HTTP/1.1\r\n\r\n")));
  ASSERT_TRUE(run_until([&] { return !replies_.empty(); }));
  const std::string megabytes(8 * 1024 * 1024, 'x');
  std::size_t sent = 0;
  while (replies_[0].open() && sent < 2 * limits::kMaxSendQueueBytes) {
    replies_[0].event("", megabytes);
    sent += megabytes.size();
    settle();
  }
  EXPECT_FALSE(replies_[0].open());
  EXPECT_GE(sent, limits::kMaxSendQueueBytes);
}

// ---- the process

TEST_F(HttpServerTest, TwoHundredConnectionsLeaveNoDescriptorBehind) {
  settle();
  const std::size_t before = open_descriptors();
  std::vector<Client*> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(&connect());
    if (i % 4 != 0) clients.back()->send(i % 2 ? get("/hello") : "GET /events HTTP/1.1\r\n\r\n");
  }
  ASSERT_TRUE(run_until([&] { return replies_.size() == 50; }));
  EXPECT_GE(open_descriptors(), before + 300);
  drop_clients();
  ASSERT_TRUE(run_until([&] { return open_descriptors() == before; }));
}

TEST_F(HttpServerTest, ListenSaysWhatIsWrong) {
  HttpServer other(io_);
  const auto usage = other.listen("nonsense");
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().code, Errc::usage);
  const auto taken = other.listen("127.0.0.1:" + std::to_string(server_->port()));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::environment);
  ASSERT_TRUE(other.listen("[::1]:0"));
  EXPECT_NE(other.port(), 0);
}

// ---- routes

TEST(RouteTableTest, ALiteralSegmentBeatsAParameterInEitherOrder) {
  for (const bool literal_first : {true, false}) {
    RouteTable table;
    const auto add = [&](const char* pattern) {
      table.add({"GET", RouteTable::split(pattern), {}, 0});
    };
    if (literal_first) add("/v1/phones/new");
    add("/v1/phones/{id}");
    if (!literal_first) add("/v1/phones/new");
    const auto literal = table.find("GET", {"v1", "phones", "new"});
    ASSERT_TRUE(literal && literal->route);
    EXPECT_TRUE(literal->parameters.empty());
    const auto parameter = table.find("GET", {"v1", "phones", "49"});
    ASSERT_TRUE(parameter && parameter->route);
    EXPECT_THAT(parameter->parameters, ElementsAre(Pair("id", "49")));
    EXPECT_FALSE(table.find("GET", {"v1", "phones", ""}));
    EXPECT_FALSE(table.find("GET", {"v1", "phones"}));
  }
}

TEST(RouteTableTest, TheMethodDecidesBetweenRoutesOfOnePath) {
  RouteTable table;
  table.add({"GET", RouteTable::split("/{a}"), {}, 1});
  table.add({"POST", RouteTable::split("/x"), {}, 2});
  const auto found = table.find("GET", {"x"});
  ASSERT_TRUE(found && found->route);
  EXPECT_EQ(found->route->max_body_bytes, 1u);
}

TEST(RequestTargetTest, TakesTheWholeUrlThatAProxyWouldGet) {
  const auto target = RequestTarget::parse("http://host:80/a?b=c");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a");
  EXPECT_THAT(target->query, ElementsAre(Pair("b", "c")));
  EXPECT_EQ(RequestTarget::parse("http://host")->path, "/");
  EXPECT_EQ(RequestTarget::parse("/")->segments, std::vector<std::string>{""});
}

TEST(ConstantTimeTest, OnlyEqualTextIsEqual) {
  EXPECT_TRUE(equal_in_constant_time("ab", "ab"));
  EXPECT_TRUE(equal_in_constant_time("", ""));
  for (const char* other : {"", "a", "abc", "aB", "abab"}) {
    EXPECT_FALSE(equal_in_constant_time("ab", other)) << other;
  }
  EXPECT_FALSE(equal_in_constant_time("", "a"));
}

}  // namespace
}  // namespace wa::net

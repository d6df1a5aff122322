#pragma once

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <iterator>

#include "engine/net/process_limits.hpp"
#include "engine/net/test_certificates.hpp"
#include "engine/net/websocket.hpp"
#include "tests/support/test_support.hpp"

/// What the tests of WebSockets, TLS and proxies share. Everything runs on real loopback sockets.
namespace wa::net {

inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

using TcpSocket = boost::asio::ip::tcp::socket;

/// One end of a WebSocket and what it saw.
struct Peer {
  WebSocketPtr socket;
  std::vector<Bytes> messages;
  std::vector<ClosedInfo> closed;

  void start() {
    socket->start({.on_message = [this](ByteSpan m) { messages.push_back(to_bytes(m)); },
                   .on_closed = [this](const ClosedInfo& info) { closed.push_back(info); }});
  }
  bool is_closed() const { return !closed.empty(); }
};

/// A handle whose end closes the object. Handlers that are still queued keep the object itself.
template <class T>
std::shared_ptr<T> closed_at_the_end(std::shared_ptr<T> object) {
  T* const raw = object.get();
  return {raw, [object = std::move(object)](T*) { object->close(); }};
}

/// Answers every name with the same; keeps those that were asked.
class FakeResolver final : public Resolver {
 public:
  explicit FakeResolver(boost::asio::io_context& io) : io_(io) {}

  Lookup resolve(const std::string& host, Done done) override {
    asked.push_back(host);
    auto lookup = std::make_shared<Done>(std::move(done));
    if (hangs) return lookup;
    boost::asio::post(io_, [this, weak = std::weak_ptr(lookup)] {
      if (const auto waiting = weak.lock()) (*waiting)(answer);
    });
    return lookup;
  }

  Result<std::vector<std::string>> answer = std::vector<std::string>{"127.0.0.1"};
  bool hangs = false;
  std::vector<std::string> asked;

 private:
  boost::asio::io_context& io_;
};

class WebSocketTest : public ::testing::Test {
 protected:
  void SetUp() override { ignore_sigpipe(); }

  /// Runs until the condition holds; a failure, not a wait, decides after 10 s.
  template <class Condition>
  bool run_until(Condition condition, Duration limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    io_.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (io_.run_one_for(std::chrono::milliseconds(20)) == 0) io_.restart();
    }
    return condition();
  }

  /// Runs whatever is ready and nothing else.
  void settle() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }

  /// Serves TLS with the good certificate, if the test is about TLS.
  WebSocketServerOptions server_options() const {
    if (!tls_) return {};
    return {.tls = [] { return identity(test_certificates::kGood); }};
  }

  static TlsIdentity identity(const char* certificate) {
    return TlsIdentity::from_pem(certificate, test_certificates::kServerKey).value();
  }

  /// Trusts that server.
  DialOptions dial_options() const {
    DialOptions options;
    if (tls_) options.tls_ca_pem = test_certificates::kCa;
    return options;
  }

  void listen(WebSocketServer::OnUpgrade on_upgrade, const char* address = "127.0.0.1:0") {
    listen(std::move(on_upgrade), server_options(), address);
  }

  void listen(WebSocketServer::OnUpgrade on_upgrade, WebSocketServerOptions options,
              const char* address = "127.0.0.1:0") {
    auto server = WebSocketServer::listen(io_, address, std::move(on_upgrade), std::move(options));
    ASSERT_TRUE(server) << server.error();
    server_ = std::move(*server);
  }

  void listen_and_accept() { listen_and_accept(server_options()); }

  void listen_and_accept(WebSocketServerOptions options) {
    const auto accept = [this](UpgradeRequest request) {
      request.accept([this](WebSocketPtr socket) {
        ASSERT_TRUE(socket);
        server_peer_.socket = std::move(socket);
      });
    };
    listen(accept, std::move(options));
  }

  Url url(const std::string& path = "/ws/chat") const {
    return Url{tls_, "127.0.0.1", server_->port(), path};
  }

  /// Both ends of one connection, started.
  void connect() {
    listen_and_accept();
    Dial dial(io_, url(), dial_options(), [this](auto outcome) {
      ASSERT_TRUE(std::holds_alternative<WebSocketPtr>(outcome));
      client_peer_.socket = std::get<WebSocketPtr>(std::move(outcome));
    });
    ASSERT_TRUE(run_until([&] { return client_peer_.socket && server_peer_.socket; }));
    client_peer_.start();
    server_peer_.start();
  }

  /// How a dial ends; empty: it gave a socket, which is the client peer's now.
  std::optional<DialFailure> failure_of(const Url& target, DialOptions options = {}) {
    std::optional<DialFailure> failure;
    bool done = false;
    Dial dial(io_, target, std::move(options), [&](auto outcome) {
      done = true;
      if (auto* failed = std::get_if<DialFailure>(&outcome)) {
        failure = *failed;
      } else {
        client_peer_.socket = std::get<WebSocketPtr>(std::move(outcome));
      }
    });
    EXPECT_FALSE(done) << "a callback ran inside the call";
    EXPECT_TRUE(run_until([&] { return done; }));
    return failure;
  }

  bool run_until_both_closed() {
    return run_until([&] { return client_peer_.is_closed() && server_peer_.is_closed(); });
  }

  /// A client of bytes, in its own blocking style but driven by the same loop.
  TcpSocket raw_client() {
    TcpSocket socket(io_);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
    return socket;
  }

  /// Everything until the end of the stream; "reset" is appended when it is one.
  std::string read_to_end(TcpSocket& socket) {
    std::string text;
    bool ended = false;
    boost::asio::async_read(socket, boost::asio::dynamic_buffer(text), [&](auto ec, std::size_t) {
      ended = true;
      if (ec != boost::asio::error::eof) text += "[" + ec.message() + "]";
    });
    EXPECT_TRUE(run_until([&] { return ended; })) << "no end after: " << text;
    return text;
  }

  std::string read_head(TcpSocket& socket) {
    std::string text;
    bool done = false;
    auto step = std::make_shared<std::function<void()>>();
    auto byte = std::make_shared<char>();
    *step = [&, byte, weak = std::weak_ptr(step)] {
      boost::asio::async_read(socket, boost::asio::buffer(byte.get(), 1),
                              [&, byte, again = weak.lock()](auto ec, std::size_t) {
                                if (!ec) text += *byte;
                                done = ec || text.ends_with("\r\n\r\n");
                                if (!done) (*again)();
                              });
    };
    (*step)();
    EXPECT_TRUE(run_until([&] { return done; })) << text;
    return text;
  }

  static std::string upgrade_request(const std::string& extra = {}) {
    return "GET /ws/chat?device=a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
           "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
           extra + "\r\n";
  }

  /// A client of bytes whose upgrade was accepted.
  TcpSocket raw_upgraded() {
    listen_and_accept();
    TcpSocket socket = raw_client();
    boost::asio::write(socket, boost::asio::buffer(upgrade_request()));
    EXPECT_THAT(read_head(socket), ::testing::StartsWith("HTTP/1.1 101 "));
    EXPECT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
    server_peer_.start();
    return socket;
  }

  /// A client frame; the mask is zero, so the payload stays readable.
  static Bytes client_frame(int first_byte, ByteSpan payload) {
    WA_ASSERT(payload.size() < 126);
    return concat(test::bytes({first_byte, 0x80 | static_cast<int>(payload.size()), 0, 0, 0, 0}),
                  payload);
  }

  template <class Frame>
  static void write(TcpSocket& socket, const Frame& frame) {
    boost::asio::write(socket, boost::asio::buffer(frame));
  }

  bool tls_ = false;
  boost::asio::io_context io_{1};
  std::unique_ptr<WebSocketServer> server_;
  Peer server_peer_;
  Peer client_peer_;
};

}  // namespace wa::net

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "engine/net/test_websockets.hpp"

namespace wa::net {
namespace {

namespace asio = boost::asio;
namespace certificates = test_certificates;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---- contexts

TEST(TlsContextTest, TheSameCaIsReadOnce) {
  const auto one = TlsTrust::of(certificates::kCa);
  const auto two = TlsTrust::of(certificates::kCa);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->context(), two->context());
  const auto both = TlsTrust::of(std::string(certificates::kCa) + certificates::kSelfSigned);
  ASSERT_TRUE(both);
  EXPECT_NE(both->context(), one->context());
  const auto of_the_system = TlsTrust::of("");
  ASSERT_TRUE(of_the_system);
  EXPECT_NE(of_the_system->context(), one->context());
}

TEST(TlsContextTest, ManyCasDoNotGrowWithoutBound) {
  const auto first = TlsTrust::of(certificates::kCa);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(TlsTrust::of("number " + std::to_string(i) + "\n" + certificates::kCa));
  }
  const auto again = TlsTrust::of(certificates::kCa);
  ASSERT_TRUE(first && again);
  EXPECT_NE(first->context(), again->context());
}

TEST(TlsContextTest, WhatIsNoCertificateIsRefused) {
  std::string broken = certificates::kCa;
  broken[broken.size() / 2] = '!';
  for (const std::string& text :
       {std::string("no PEM"), std::string(certificates::kServerKey), broken,
        std::string(certificates::kCa) + broken, std::string("-----BEGIN CERTIFICATE-----\n")}) {
    SCOPED_TRACE(text);
    const auto trust = TlsTrust::of(text);
    ASSERT_FALSE(trust);
    EXPECT_EQ(trust.error().code, Errc::usage);
    EXPECT_THAT(trust.error().detail, HasSubstr("PEM"));
  }
}

TEST(TlsContextTest, AnIdentityNeedsACertificateAndItsKey) {
  EXPECT_TRUE(TlsIdentity::from_pem(certificates::kGood, certificates::kServerKey));
  const auto no_certificate = TlsIdentity::from_pem("x", certificates::kServerKey);
  ASSERT_FALSE(no_certificate);
  EXPECT_THAT(no_certificate.error().detail, HasSubstr("certificate"));
  const auto no_key = TlsIdentity::from_pem(certificates::kGood, certificates::kGood);
  ASSERT_FALSE(no_key);
  EXPECT_THAT(no_key.error().detail, HasSubstr("key"));
  const auto others = TlsIdentity::from_pem(certificates::kCa, certificates::kServerKey);
  ASSERT_FALSE(others);
  EXPECT_THAT(others.error().detail, HasSubstr("does not belong"));
}

// ---- what a client accepts

class TlsTest : public WebSocketTest {
 protected:
  TlsTest() { tls_ = true; }

  void serve(const char* certificate) {
    listen_and_accept({.tls = [certificate] { return identity(certificate); }});
  }

  std::optional<DialFailure> failure_as(const std::string& host) {
    Url target = url();
    target.host = host;
    return failure_of(target, dial_options());
  }

  /// A server of bytes: what it got, and it sends `answer` once something has come.
  struct RawServer {
    std::optional<tcp::socket> socket;
    std::array<char, 4096> got{};
  };
  Url raw_server(tcp::acceptor& acceptor, RawServer& server,
                 std::function<void(tcp::socket&)> on_hello) {
    acceptor.async_accept([&server, on_hello](auto ec, tcp::socket socket) {
      ASSERT_FALSE(ec);
      server.socket = std::move(socket);
      server.socket->async_read_some(asio::buffer(server.got),
                                     [&server, on_hello](auto failed, auto) {
                                       if (!failed) on_hello(*server.socket);
                                     });
    });
    return {true, "127.0.0.1", acceptor.local_endpoint().port(), "/"};
  }
  tcp::acceptor any_port() { return {io_, {asio::ip::make_address("127.0.0.1"), 0}}; }
};

TEST_F(TlsTest, ReachesAServerByAddressAndByName) {
  serve(certificates::kGood);
  EXPECT_FALSE(failure_as("127.0.0.1"));
  EXPECT_FALSE(failure_as("localhost"));
  EXPECT_FALSE(failure_as("LocalHost"));
}

TEST_F(TlsTest, ReachesAServerByIpv6) {
  listen([](UpgradeRequest request) { request.accept([](WebSocketPtr) {}); }, "[::1]:0");
  EXPECT_FALSE(failure_as("::1"));
}

TEST_F(TlsTest, ThePlainProtocolIsSpokenOnTheSamePort) {
  serve(certificates::kGood);
  Url plain = url();
  plain.tls = false;
  EXPECT_FALSE(failure_of(plain));
  EXPECT_FALSE(failure_as("127.0.0.1"));
  EXPECT_EQ(server_->upgrading(), 0u);
}

struct BadCertificate {
  const char* name;
  const char* certificate;
  std::string detail;
};
void PrintTo(const BadCertificate& bad, std::ostream* out) {
  *out << bad.name;
}
class BadCertificateTest : public TlsTest, public ::testing::WithParamInterface<BadCertificate> {};

INSTANTIATE_TEST_SUITE_P(
    , BadCertificateTest,
    ::testing::Values(
        BadCertificate{"expired", certificates::kExpired,
                       "the server's certificate has expired on 2021-01-01 00:00:00 UTC"},
        BadCertificate{"not_yet_valid", certificates::kNotYetValid,
                       "the server's certificate is not yet valid: it begins on 2119-01-01 "
                       "00:00:00 UTC; is this machine's clock right?"},
        BadCertificate{"wrong_name", certificates::kWrongName,
                       "the server's certificate is for elsewhere.test, 10.0.0.1, not for "
                       "127.0.0.1"},
        BadCertificate{"unknown_ca", certificates::kUnknownCa,
                       "the server's certificate is signed by an unknown authority, \"Other CA\"; "
                       "give the CA with its certificate in PEM form"},
        BadCertificate{"self_signed", certificates::kSelfSigned,
                       "the server's certificate is self-signed, and not one that was given to "
                       "trust"}),
    [](const auto& test) { return test.param.name; });

TEST_P(BadCertificateTest, IsRefusedInWordsThatSayWhy) {
  serve(GetParam().certificate);
  const auto failure = failure_as("127.0.0.1");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->http_status, std::nullopt);
  EXPECT_EQ(failure->detail, GetParam().detail);
  EXPECT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
  EXPECT_FALSE(server_peer_.socket) << "no request may be sent to a server that is not trusted";
}

TEST_F(TlsTest, TheNameThatWasDialledCountsNotTheAddress) {
  serve(certificates::kGood);
  FakeResolver resolver(io_);
  DialOptions options = dial_options();
  options.resolver = &resolver;
  Url target = url();
  target.host = "mock.test";
  EXPECT_FALSE(failure_of(target, options));
  target.host = "other.test";
  const auto failure = failure_of(target, options);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail,
            "the server's certificate is for localhost, mock.test, 127.0.0.1, ::1, not for "
            "other.test");
}

TEST_F(TlsTest, TheSystemsAuthoritiesDoNotKnowATestServer) {
  serve(certificates::kGood);
  const auto failure = failure_of(url());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_THAT(failure->detail, HasSubstr("unknown authority, \"Test CA\""));
}

TEST_F(TlsTest, ASelfSignedCertificateMayBeTrustedItself) {
  serve(certificates::kSelfSigned);
  DialOptions options;
  options.tls_ca_pem = certificates::kSelfSigned;
  EXPECT_FALSE(failure_of(url(), options));
}

TEST_F(TlsTest, ACaThatIsNoneFailsInItsPhase) {
  serve(certificates::kGood);
  DialOptions options;
  options.tls_ca_pem = "no PEM";
  const auto failure = failure_of(url(), options);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_THAT(failure->detail, HasSubstr("PEM"));
}

// ---- servers that do not do it

TEST_F(TlsTest, APlainHttpServerSpeaksNoTls) {
  listen_and_accept({});  // it answers 400
  const auto failure = failure_of(url(), dial_options());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail, "the server does not speak TLS on this port");
}

TEST_F(TlsTest, GarbageIsNoTls) {
  for (const std::string& garbage :
       {std::string("SSH-2.0-OpenSSH_9\r\n"), std::string(100, '\0'), std::string(100, '\xff'),
        std::string("\x16\x03\x03\xff\xff") + std::string(100, 'x')}) {
    tcp::acceptor acceptor = any_port();
    RawServer server;
    const Url target =
        raw_server(acceptor, server, [&](tcp::socket& socket) { write(socket, garbage); });
    const auto failure = failure_of(target, dial_options());
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->phase, DialPhase::tls);
    EXPECT_THAT(failure->detail, ::testing::AnyOf(HasSubstr("does not speak TLS"),
                                                  HasSubstr("the TLS handshake failed")));
  }
}

TEST_F(TlsTest, ACutHandshakeSaysSo) {
  tcp::acceptor acceptor = any_port();
  RawServer server;
  const Url target = raw_server(acceptor, server, [](tcp::socket& socket) { socket.close(); });
  const auto failure = failure_of(target, dial_options());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail, "the server closed the connection in the TLS handshake");
}

TEST_F(TlsTest, AResetHandshakeSaysSo) {
  tcp::acceptor acceptor = any_port();
  RawServer server;
  const Url target = raw_server(acceptor, server, [](tcp::socket& socket) {
    socket.set_option(asio::socket_base::linger(true, 0));
    socket.close();
  });
  const auto failure = failure_of(target, dial_options());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail, "the connection broke in the TLS handshake: Connection reset by peer");
}

TEST_F(TlsTest, AHangingHandshakeTimesOutInItsPhase) {
  tcp::acceptor acceptor = any_port();
  RawServer server;
  const Url target = raw_server(acceptor, server, [](tcp::socket&) {});
  DialOptions options = dial_options();
  options.timeout = milliseconds(100);
  const auto failure = failure_of(target, options);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail, "timed out after 100 ms");
}

TEST_F(TlsTest, AServerMayCutEveryHandshake) {
  listen_and_accept({.tls = [] { return TlsCut{}; }});
  const auto failure = failure_of(url(), dial_options());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->detail, "the server closed the connection in the TLS handshake");
  EXPECT_EQ(server_->upgrading(), 0u);
}

TEST_F(TlsTest, AServerMayLetAHandshakeHangUntilTheClientGoes) {
  int asked = 0;
  listen_and_accept({.tls =
                         [&] {
                           ++asked;
                           return TlsHang{};
                         },
                     .patience = milliseconds(50)});
  DialOptions options = dial_options();
  options.timeout = milliseconds(200);
  const auto failure = failure_of(url(), options);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_EQ(failure->detail, "timed out after 200 ms");
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
}

// ---- clients that do not do it

TEST_F(TlsTest, GarbageAfterTheFirstByteEndsTheConnection) {
  listen_and_accept();
  for (std::size_t size = 1; size < 60; ++size) {
    SCOPED_TRACE(size);
    tcp::socket client = raw_client();
    write(client, std::string(1, '\x16') + std::string(size, 'G'));
    client.shutdown(tcp::socket::shutdown_send);
    read_to_end(client);
    ASSERT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
  }
  EXPECT_FALSE(server_peer_.socket);
  EXPECT_FALSE(failure_as("127.0.0.1"));
}

TEST_F(TlsTest, AClientThatNeverFinishesItsHandshakeIsCut) {
  WebSocketServerOptions options = server_options();
  options.patience = milliseconds(100);
  listen_and_accept(options);
  tcp::socket silent = raw_client();
  tcp::socket begun = raw_client();
  write(begun, std::string("\x16\x03\x01\x02"));
  ASSERT_TRUE(run_until([&] { return server_->upgrading() == 2; }));
  EXPECT_THAT(read_to_end(silent), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(read_to_end(begun), "");
  EXPECT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
}

TEST_F(TlsTest, StoppingCutsHandshakes) {
  listen_and_accept();
  tcp::socket silent = raw_client();
  tcp::socket begun = raw_client();
  write(begun, std::string("\x16\x03\x01\x02"));
  ASSERT_TRUE(run_until([&] { return server_->upgrading() == 2; }));
  server_->stop();
  EXPECT_EQ(read_to_end(silent), "");
  read_to_end(begun);
}

TEST_F(TlsTest, DestroyingADialCancelsItsHandshake) {
  listen_and_accept({.tls = [] { return TlsHang{}; }});
  bool called = false;
  auto dial =
      std::make_unique<Dial>(io_, url(), dial_options(), [&](const auto&) { called = true; });
  ASSERT_TRUE(run_until([&] { return server_->upgrading() == 1; }));
  settle();
  dial.reset();
  EXPECT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
  EXPECT_FALSE(called);
}

// ---- bytes on the way

/// Forwards one connection in pieces of one size, and can cut it.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  static std::shared_ptr<Relay> start(asio::io_context& io, std::uint16_t to) {
    const auto relay = std::make_shared<Relay>(io, to);
    relay->accept();
    return closed_at_the_end(relay);
  }

  Relay(asio::io_context& io, std::uint16_t to)
      : acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}),
        client_(io),
        server_(io),
        to_(to) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    client_.close(ignored);
    server_.close(ignored);
  }

  std::size_t piece = 4096;
  /// A reset of both ends after this many bytes, of both directions together.
  std::size_t reset_after = std::numeric_limits<std::size_t>::max();
  std::size_t carried = 0;

 private:
  using Buffer = std::array<std::byte, 4096>;

  void accept() {
    acceptor_.async_accept(client_, [this, self = shared_from_this()](auto ec) {
      if (ec) return;
      server_.connect({asio::ip::make_address("127.0.0.1"), to_});
      client_.set_option(tcp::no_delay(true));
      server_.set_option(tcp::no_delay(true));
      carry(client_, server_, there_);
      carry(server_, client_, back_);
    });
  }

  void carry(tcp::socket& from, tcp::socket& to, Buffer& buffer) {
    from.async_read_some(asio::buffer(buffer, piece),
                         [&, this, self = shared_from_this()](auto ec, std::size_t count) {
                           boost::system::error_code failed;
                           if (!ec) {
                             carried += count;
                             if (carried >= reset_after) return reset();
                             asio::write(to, asio::buffer(buffer, count), failed);
                             if (!failed) return carry(from, to, buffer);
                           }
                           to.shutdown(tcp::socket::shutdown_send, failed);
                         });
  }

  void reset() {
    for (tcp::socket* socket : {&client_, &server_}) {
      boost::system::error_code ignored;
      socket->set_option(asio::socket_base::linger(true, 0), ignored);
      socket->close(ignored);
    }
  }

  tcp::acceptor acceptor_;
  tcp::socket client_;
  tcp::socket server_;
  std::uint16_t to_;
  Buffer there_;
  Buffer back_;
};

TEST_F(TlsTest, WorksHoweverTheBytesAreCut) {
  listen_and_accept();
  for (std::size_t piece = 1; piece <= 40; ++piece) {
    SCOPED_TRACE(piece);
    client_peer_ = {};
    server_peer_ = {};
    const auto relay = Relay::start(io_, server_->port());
    relay->piece = piece;
    Url target = url();
    target.port = relay->port();
    ASSERT_FALSE(failure_of(target, dial_options()));
    ASSERT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
    client_peer_.start();
    server_peer_.start();
    const Bytes message(300, std::byte(piece));
    client_peer_.socket->send(message);
    server_peer_.socket->send(message);
    ASSERT_TRUE(run_until(
        [&] { return client_peer_.messages.size() == 1 && server_peer_.messages.size() == 1; }));
    EXPECT_EQ(client_peer_.messages[0], message);
    EXPECT_EQ(server_peer_.messages[0], message);
    client_peer_.socket->close(CloseHow::normal);
    ASSERT_TRUE(run_until_both_closed());
    EXPECT_EQ(server_peer_.closed[0].code, 1000);
  }
}

TEST_F(TlsTest, AResetAnywhereInTheHandshakeLeavesNothingBehind) {
  listen_and_accept();
  settle();
  const std::size_t before = open_descriptors();
  int in_tls = 0;
  for (std::size_t cut = 1; cut < 2000; cut += 97) {
    SCOPED_TRACE(cut);
    client_peer_ = {};
    server_peer_ = {};
    const auto relay = Relay::start(io_, server_->port());
    relay->piece = 60;
    relay->reset_after = cut;
    Url target = url();
    target.port = relay->port();
    const auto failure = failure_of(target, dial_options());
    if (failure) in_tls += failure->phase == DialPhase::tls ? 1 : 0;
    ASSERT_TRUE(run_until([&] { return server_->upgrading() == 0; }));
  }
  EXPECT_GT(in_tls, 5);
  client_peer_ = {};
  server_peer_ = {};
  EXPECT_TRUE(run_until([&] { return open_descriptors() == before; }));
}

TEST_F(TlsTest, ACutWithoutCloseNotifyIsAnEndOfFile) {
  listen_and_accept();
  auto relay = Relay::start(io_, server_->port());
  Url target = url();
  target.port = relay->port();
  ASSERT_FALSE(failure_of(target, dial_options()));
  ASSERT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
  client_peer_.start();
  server_peer_.start();
  settle();
  relay.reset();  // closes both: FIN, or a reset if bytes were on their way
  ASSERT_TRUE(run_until_both_closed());
  EXPECT_EQ(client_peer_.closed[0].detail, "end of file");
  EXPECT_EQ(server_peer_.closed[0].detail, "end of file");
}

TEST_F(TlsTest, SpoiltBytesEndTheConnectionAndSayThatItWasTls) {
  listen_and_accept();
  tcp::acceptor acceptor = any_port();
  // A relay by hand, so that a byte can be put between.
  tcp::socket to_client(io_);
  tcp::socket to_server(io_);
  std::array<std::byte, 4096> there{};
  std::array<std::byte, 4096> back{};
  std::function<void(tcp::socket&, tcp::socket&, std::array<std::byte, 4096>&)> carry =
      [&](tcp::socket& from, tcp::socket& to, std::array<std::byte, 4096>& buffer) {
        from.async_read_some(asio::buffer(buffer), [&](auto ec, std::size_t count) {
          if (ec) return;
          boost::system::error_code ignored;
          asio::write(to, asio::buffer(buffer, count), ignored);
          carry(from, to, buffer);
        });
      };
  acceptor.async_accept(to_client, [&](auto ec) {
    ASSERT_FALSE(ec);
    to_server.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    carry(to_client, to_server, there);
    carry(to_server, to_client, back);
  });
  Url target = url();
  target.port = acceptor.local_endpoint().port();
  ASSERT_FALSE(failure_of(target, dial_options()));
  ASSERT_TRUE(run_until([&] { return server_peer_.socket != nullptr; }));
  client_peer_.start();
  server_peer_.start();
  write(to_client, std::string("\x17\x03\x03\x00\x20") + std::string(32, 'x'));
  ASSERT_TRUE(run_until([&] { return client_peer_.is_closed(); }));
  EXPECT_THAT(client_peer_.closed[0].detail, StartsWith("TLS: "));
  to_client.close();
  to_server.close();
  ASSERT_TRUE(run_until([&] { return server_peer_.is_closed(); }));
  settle();
}

TEST_F(TlsTest, ManyHandshakesAtOnce) {
  listen([](UpgradeRequest) {});
  settle();
  const std::size_t before = open_descriptors() - 1;
  server_.reset();
  std::vector<WebSocketPtr> sockets;
  listen([&](UpgradeRequest request) {
    request.accept([&](WebSocketPtr socket) { sockets.push_back(std::move(socket)); });
  });
  constexpr std::size_t kMany = 200;
  std::vector<WebSocketPtr> clients;
  std::vector<std::unique_ptr<Dial>> dials;
  for (std::size_t i = 0; i < kMany; ++i) {
    dials.push_back(std::make_unique<Dial>(io_, url(), dial_options(), [&](auto outcome) {
      ASSERT_TRUE(std::holds_alternative<WebSocketPtr>(outcome))
          << std::get<DialFailure>(outcome).detail;
      clients.push_back(std::get<WebSocketPtr>(std::move(outcome)));
    }));
  }
  ASSERT_TRUE(run_until([&] { return clients.size() == kMany && sockets.size() == kMany; }));
  clients.clear();
  sockets.clear();
  server_.reset();
  EXPECT_TRUE(run_until([&] { return open_descriptors() <= before; }));
}

}  // namespace
}  // namespace wa::net

#include "engine/net/proxy.hpp"

#include <array>

#include "engine/net/test_websockets.hpp"

namespace wa::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using test::bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// ---- URLs

TEST(ProxyUrlTest, ReadsEveryPart) {
  const auto plain = Proxy::parse("http://127.0.0.1:3128");
  ASSERT_TRUE(plain) << plain.error();
  EXPECT_EQ(plain->kind, Proxy::Kind::http);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 3128);
  EXPECT_FALSE(plain->login);

  const auto full = Proxy::parse("socks5://me%40home:p%3Aa%25%2541@[::1]:1080/");
  ASSERT_TRUE(full) << full.error();
  EXPECT_EQ(full->kind, Proxy::Kind::socks5);
  EXPECT_EQ(full->host, "::1");
  EXPECT_EQ(full->port, 1080);
  EXPECT_EQ(full->login, (Proxy::Login{"me@home", "p:a%%41"})) << "decoded once";

  const auto user_only = Proxy::parse("http://user@proxy.test:1");
  ASSERT_TRUE(user_only) << user_only.error();
  EXPECT_EQ(user_only->login, (Proxy::Login{"user", ""}));
}

TEST(ProxyUrlTest, NamesThePartThatIsWrongAndNoPassword) {
  const std::string long_text(256, 'a');
  for (const auto& [url, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "scheme"},
           {"https://proxy.test:1", "scheme"},
           {"proxy.test:1", "scheme"},
           {"http://proxy.test", "port is missing"},
           {"http://", "port is missing"},
           {"http://u:secret@", "port is missing"},
           {"http://[::1]", "port is missing"},
           {"http://:80", "host is missing"},
           {"http://u:secret@:80", "host is missing"},
           {"http://a b:80", "host is missing"},
           {"http://a\r\nb:80", "host is missing"},
           {"http://a:0", "1 to 65535"},
           {"http://a:65536", "1 to 65535"},
           {"http://a:+1", "1 to 65535"},
           {"http://a:1x", "1 to 65535"},
           {"http://u%:secret@a:1", "%"},
           {"http://u%4:secret@a:1", "%"},
           {"http://u:secret%zz@a:1", "%"},
           {"http://u%3Av:secret@a:1", "no : in a user"},
           {"socks5://:secret@a:1", "1 to 255"},
           {"socks5://" + long_text + ":secret@a:1", "1 to 255"},
           {"socks5://u:secret" + long_text + "@a:1", "at most 255"}}) {
    SCOPED_TRACE(url);
    const auto proxy = Proxy::parse(url);
    ASSERT_FALSE(proxy);
    EXPECT_EQ(proxy.error().code, Errc::usage);
    EXPECT_THAT(proxy.error().detail, AllOf(HasSubstr(part), Not(HasSubstr("secret"))));
  }
}

// ---- the handshakes

std::unique_ptr<ProxyHandshake> begin(const std::string& proxy,
                                      const std::string& host = "mock.test",
                                      std::uint16_t port = 443) {
  return ProxyHandshake::begin(Proxy::parse(proxy).value(), host, port).value();
}

/// What went out, one entry a step.
std::vector<std::string> play(ProxyHandshake& handshake, ByteSpan answers, std::size_t piece) {
  std::vector<std::string> sent{std::string(as_text(handshake.request()))};
  while (!answers.empty() && !handshake.done() && !handshake.failure()) {
    const ByteSpan next = answers.first(std::min(piece, answers.size()));
    answers = answers.subspan(next.size());
    const Bytes out = handshake.feed(next);
    if (!out.empty()) sent.emplace_back(as_text(out));
  }
  return sent;
}

TEST(HttpProxyTest, AsksForATunnelAndTakesAny2xx) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 200 Connection established\r\n\r\n"),
        std::string("HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 10\r\n\r\n"),
        std::string("HTTP/1.1 204\r\n\r\n")}) {
    for (std::size_t piece = 1; piece <= answer.size(); ++piece) {
      const auto handshake = begin("http://proxy.test:1");
      EXPECT_THAT(play(*handshake, as_bytes(answer), piece),
                  ElementsAre("CONNECT mock.test:443 HTTP/1.1\r\nHost: mock.test:443\r\n\r\n"));
      EXPECT_TRUE(handshake->done()) << answer << piece;
    }
  }
}

TEST(HttpProxyTest, SendsItsLoginAndBracketsAddresses) {
  const auto handshake = begin("http://Aladdin:open%20sesame@proxy.test:1", "::1", 80);
  EXPECT_EQ(as_text(handshake->request()),
            "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n"
            "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
}

TEST(HttpProxyTest, ARefusalCarriesItsStatus) {
  const auto handshake = begin("http://u:secret@proxy.test:1");
  play(*handshake, as_bytes("HTTP/1.1 407 Proxy Authentication Required\r\n\r\nno"), 1000);
  ASSERT_TRUE(handshake->failure());
  EXPECT_EQ(handshake->failure()->http_status, 407);
  EXPECT_THAT(handshake->failure()->detail,
              AllOf(StartsWith("it refused with HTTP 407 Proxy Authentication Required; give"),
                    Not(HasSubstr("secret"))));
  const auto forbidden = begin("http://proxy.test:1");
  play(*forbidden, as_bytes("HTTP/1.1 403 \x1b[31mno" + std::string(5000, 'x') + "\r\n\r\n"), 7);
  ASSERT_TRUE(forbidden->failure());
  EXPECT_EQ(forbidden->failure()->http_status, 403);
  EXPECT_LT(forbidden->failure()->detail.size(), 200u);
  EXPECT_THAT(forbidden->failure()->detail, HasSubstr("403 ?[31mno"));
}

TEST(HttpProxyTest, OtherAnswersAreFailures) {
  for (const auto& [answer, why] : std::vector<std::pair<std::string, std::string>>{
           {"SSH-2.0-OpenSSH_9\r\n", "does not speak HTTP"},
           {std::string("\x05\x00", 2), "does not speak HTTP"},
           {"HTTP/2 200\r\n\r\n", "does not speak HTTP"},
           {"HTTP/1.1 abc\r\n\r\n", "no HTTP status"},
           {"HTTP/1.1\r\n\r\n", "no HTTP status"},
           {"HTTP/1.1 20\r\n\r\n", "no HTTP status"},
           {"HTTP/1.1 099 x\r\n\r\n", "no HTTP status"},
           {"HTTP/1.1 200 OK\r\n\r\nwelcome", "more than its answer"},
           {"HTTP/1.1 200 OK\r\nX: " + std::string(17'000, 'x'), "larger than 16 KiB"}}) {
    SCOPED_TRACE(answer.substr(0, 40));
    const auto handshake = begin("http://proxy.test:1");
    play(*handshake, as_bytes(answer), 4096);
    ASSERT_TRUE(handshake->failure());
    EXPECT_FALSE(handshake->done());
    EXPECT_EQ(handshake->failure()->http_status, std::nullopt);
    EXPECT_THAT(handshake->failure()->detail, HasSubstr(why));
  }
}

std::string text(const Bytes& bytes) {
  return std::string(as_text(bytes));
}

TEST(SocksProxyTest, LetsTheProxyResolveTheName) {
  const Bytes answers = bytes({5, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0x1f, 0x90});
  const auto handshake = begin("socks5://proxy.test:1");
  // The second answer comes only once the first was read: one byte at a time is as it is.
  EXPECT_THAT(
      play(*handshake, answers, 1),
      ElementsAre(text(bytes({5, 1, 0})), text(bytes({5, 1, 0, 3, 9, 'm', 'o', 'c', 'k', '.', 't',
                                                      'e', 's', 't', 0x01, 0xbb}))));
  EXPECT_TRUE(handshake->done());
}

TEST(SocksProxyTest, SendsAddressesAsSuchAndReadsEveryTypeOfAnswer) {
  const auto v4 = begin("socks5://p:1", "1.2.3.4", 80);
  EXPECT_EQ(play(*v4, bytes({5, 0}), 2).back(), text(bytes({5, 1, 0, 1, 1, 2, 3, 4, 0, 80})));
  v4->feed(concat(bytes({5, 0, 0, 4}), Bytes(18)));
  EXPECT_TRUE(v4->done());
  const auto v6 = begin("socks5://p:1", "::1", 80);
  EXPECT_EQ(play(*v6, bytes({5, 0}), 2).back(),
            text(concat(bytes({5, 1, 0, 4}), Bytes(15), bytes({1, 0, 80}))));
  v6->feed(concat(bytes({5, 0, 0, 3, 3}), bytes({'a', 'b', 'c', 0, 1})));
  EXPECT_TRUE(v6->done());
}

TEST(SocksProxyTest, LogsInWhenItIsAsked) {
  const auto handshake = begin("socks5://me:pw@p:1", "a", 1);
  const Bytes connect = bytes({5, 1, 0, 3, 1, 'a', 0, 1});
  EXPECT_THAT(play(*handshake, bytes({5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0}), 1),
              ElementsAre(text(bytes({5, 2, 0, 2})), text(bytes({1, 2, 'm', 'e', 2, 'p', 'w'})),
                          text(connect)));
  EXPECT_TRUE(handshake->done());
  const auto unasked = begin("socks5://me:pw@p:1", "a", 1);
  EXPECT_THAT(play(*unasked, bytes({5, 0}), 2),
              ElementsAre(text(bytes({5, 2, 0, 2})), text(connect)));
}

TEST(SocksProxyTest, RefusalsSayWhy) {
  for (const auto& [answers, why] : std::vector<std::pair<Bytes, std::string>>{
           {bytes({4}), "does not speak SOCKS5"},
           {to_bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak SOCKS5"},
           {bytes({5, 0xff}), "neither"},
           {bytes({5, 1}), "neither"},
           {bytes({5, 2, 1, 1}), "refused the user and the password"},
           {bytes({5, 2, 5, 0}), "refused the user and the password"},
           {bytes({5, 0, 4}), "does not speak SOCKS5"},
           {bytes({5, 0, 5, 1}), "code 1: a general failure"},
           {bytes({5, 0, 5, 2}), "code 2: its rules"},
           {bytes({5, 0, 5, 3}), "code 3: it does not reach the network"},
           {bytes({5, 0, 5, 4}), "code 4: it does not reach the host"},
           {bytes({5, 0, 5, 5}), "code 5: the host refused"},
           {bytes({5, 0, 5, 6}), "code 6: the connection timed out"},
           {bytes({5, 0, 5, 7}), "code 7: it does not know CONNECT"},
           {bytes({5, 0, 5, 8}), "code 8: it does not know this type"},
           {bytes({5, 0, 5, 99}), "code 99: an unknown reason"},
           {bytes({5, 0, 5, 0, 0, 2, 0}), "unknown type of address"}}) {
    SCOPED_TRACE(why);
    const auto handshake = begin("socks5://me:secret@p:1");
    play(*handshake, answers, 1);
    ASSERT_TRUE(handshake->failure());
    EXPECT_THAT(handshake->failure()->detail, AllOf(HasSubstr(why), Not(HasSubstr("secret"))));
  }
  const auto without_login = begin("socks5://p:1");
  play(*without_login, bytes({5, 0xff}), 2);
  EXPECT_THAT(without_login->failure()->detail, HasSubstr("wants a login"));
}

TEST(SocksProxyTest, AnswersThatComeTooEarlyOrTooLongAreFailures) {
  const auto early = begin("socks5://p:1");
  play(*early, bytes({5, 0, 5, 0}), 4);
  EXPECT_THAT(early->failure()->detail, HasSubstr("before it was asked"));
  const auto early_login = begin("socks5://u:p@p:1");
  play(*early_login, bytes({5, 2}), 2);
  early_login->feed(bytes({1, 0, 5}));
  EXPECT_THAT(early_login->failure()->detail, HasSubstr("before it was asked"));
  const auto more = begin("socks5://p:1");
  play(*more, bytes({5, 0}), 2);
  more->feed(bytes({5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x'}));
  EXPECT_THAT(more->failure()->detail, HasSubstr("more than its answer"));
}

TEST(SocksProxyTest, ANameThatIsTooLongIsRefusedAtOnce) {
  const auto handshake =
      ProxyHandshake::begin(Proxy::parse("socks5://p:1").value(), std::string(256, 'a'), 1);
  ASSERT_FALSE(handshake);
  EXPECT_EQ(handshake.error().code, Errc::usage);
}

TEST(SocksProxyTest, EveryTruncationWaitsForMore) {
  const Bytes answers = bytes({5, 0, 5, 0, 0, 3, 2, 'a', 'b', 0, 1});
  for (std::size_t size = 0; size < answers.size(); ++size) {
    const auto handshake = begin("socks5://p:1");
    play(*handshake, ByteSpan(answers).first(size), 1);
    EXPECT_FALSE(handshake->done());
    EXPECT_FALSE(handshake->failure());
  }
}

// ---- dialling through one

/// A proxy that answers its n-th read with the n-th of its lines, then joins both ends.
class ScriptedProxy : public std::enable_shared_from_this<ScriptedProxy> {
 public:
  static std::shared_ptr<ScriptedProxy> start(asio::io_context& io, std::vector<Bytes> lines) {
    const auto proxy = std::make_shared<ScriptedProxy>(io, std::move(lines));
    proxy->accept();
    return closed_at_the_end(proxy);
  }

  ScriptedProxy(asio::io_context& io, std::vector<Bytes> lines)
      : io_(io),
        acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}),
        lines_(std::move(lines)) {}

  std::string url(const std::string& scheme, const std::string& login = {}) const {
    return scheme + "://" + login +
           "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }

  /// Nobody can connect any more; what stands is left to its clients.
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

  std::uint16_t target = 0;  ///< where the tunnel leads; 0: nowhere, the client is left hanging
  bool drop = false;         ///< instead of an answer
  bool reset = false;
  int connections = 0;
  std::vector<std::string> got;

 private:
  struct Tunnel {
    explicit Tunnel(asio::io_context& io) : client(io), server(io) {}
    tcp::socket client;
    tcp::socket server;
    std::array<std::byte, 4096> there{};
    std::array<std::byte, 4096> back{};
    std::size_t step = 0;
  };

  void accept() {
    acceptor_.async_accept([this, self = shared_from_this()](auto ec, tcp::socket socket) {
      if (ec) return;
      ++connections;
      auto tunnel = std::make_shared<Tunnel>(io_);
      tunnel->client = std::move(socket);
      answer(tunnel);
      accept();
    });
  }

  void answer(const std::shared_ptr<Tunnel>& tunnel) {
    tunnel->client.async_read_some(
        asio::buffer(tunnel->there),
        [this, self = shared_from_this(), tunnel](auto ec, std::size_t count) {
          if (ec) return;
          got.emplace_back(reinterpret_cast<const char*>(tunnel->there.data()), count);
          if (reset) tunnel->client.set_option(asio::socket_base::linger(true, 0));
          if (drop || reset) return tunnel->client.close();
          if (tunnel->step == lines_.size()) return answer(tunnel);  // hangs
          boost::system::error_code ignored;
          asio::write(tunnel->client, asio::buffer(lines_[tunnel->step++]), ignored);
          if (tunnel->step < lines_.size() || target == 0) return answer(tunnel);
          tunnel->server.connect({asio::ip::make_address("127.0.0.1"), target});
          carry(tunnel, tunnel->client, tunnel->server, tunnel->there);
          carry(tunnel, tunnel->server, tunnel->client, tunnel->back);
        });
  }

  static void carry(const std::shared_ptr<Tunnel>& tunnel, tcp::socket& from, tcp::socket& to,
                    std::array<std::byte, 4096>& buffer) {
    from.async_read_some(asio::buffer(buffer), [&, tunnel](auto ec, std::size_t count) {
      boost::system::error_code failed;
      if (!ec) asio::write(to, asio::buffer(buffer, count), failed);
      if (!ec && !failed) return carry(tunnel, from, to, buffer);
      to.shutdown(tcp::socket::shutdown_send, failed);
    });
  }

  asio::io_context& io_;
  tcp::acceptor acceptor_;
  std::vector<Bytes> lines_;
};

const Bytes kHttpOk = to_bytes("HTTP/1.1 200 Connection established\r\n\r\n");
const Bytes kSocksOk = bytes({5, 0, 0, 1, 0, 0, 0, 0, 0, 0});

class ProxyDialTest : public WebSocketTest {
 protected:
  /// A server that must not be dialled directly: nobody knows its name but the proxy.
  Url hidden() const {
    Url target = url();
    target.host = "mock.test";
    return target;
  }

  DialOptions through(const std::string& proxy) {
    DialOptions options = dial_options();
    options.proxy = proxy;
    options.resolver = &resolver_;
    return options;
  }

  void expect_failure(const std::optional<DialFailure>& failure, const std::string& detail) {
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->phase, DialPhase::proxy);
    EXPECT_THAT(failure->detail, HasSubstr(detail));
    EXPECT_THAT(resolver_.asked, IsEmpty()) << "the proxy resolves names";
  }

  FakeResolver resolver_{io_};
};

TEST_F(ProxyDialTest, TlsGoesThroughBothKindsOfTunnelToTheServerThatWasMeant) {
  tls_ = true;
  listen_and_accept();
  const auto http = ScriptedProxy::start(io_, {kHttpOk});
  http->target = server_->port();
  EXPECT_FALSE(failure_of(hidden(), through(http->url("http"))));
  EXPECT_THAT(http->got.at(0), StartsWith("CONNECT mock.test:"));

  const auto socks = ScriptedProxy::start(io_, {bytes({5, 2}), bytes({1, 0}), kSocksOk});
  socks->target = server_->port();
  EXPECT_FALSE(failure_of(hidden(), through(socks->url("socks5", "me:pw@"))));
  EXPECT_EQ(socks->got.at(1), text(bytes({1, 2, 'm', 'e', 2, 'p', 'w'})));
  EXPECT_THAT(resolver_.asked, IsEmpty());

  // The certificate is checked against the server's name, not the proxy's.
  Url other = url();
  other.host = "other.test";
  const auto failure = failure_of(other, through(http->url("http")));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->phase, DialPhase::tls);
  EXPECT_THAT(failure->detail, HasSubstr("not for other.test"));
}

TEST_F(ProxyDialTest, PlainGoesThroughBothKindsOfTunnel) {
  listen_and_accept();
  const auto http = ScriptedProxy::start(io_, {kHttpOk});
  http->target = server_->port();
  EXPECT_FALSE(failure_of(hidden(), through(http->url("http"))));
  const auto socks = ScriptedProxy::start(io_, {bytes({5, 0}), kSocksOk});
  socks->target = server_->port();
  EXPECT_FALSE(failure_of(hidden(), through(socks->url("socks5"))));
}

TEST_F(ProxyDialTest, TheProxysOwnNameIsLookedUpHere) {
  listen_and_accept();
  const auto proxy = ScriptedProxy::start(io_, {kHttpOk});
  proxy->target = server_->port();
  std::string by_name = proxy->url("http");
  by_name.replace(by_name.find("127.0.0.1"), 9, "proxy.test");
  EXPECT_FALSE(failure_of(hidden(), through(by_name)));
  EXPECT_THAT(resolver_.asked, ElementsAre("proxy.test"));

  resolver_.answer = Error{Errc::not_found, "Host not found"};
  const auto unknown = failure_of(hidden(), through(by_name));
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->phase, DialPhase::proxy);
  EXPECT_THAT(unknown->detail, HasSubstr("proxy.test: Host not found"));

  resolver_.hangs = true;
  DialOptions options = through(by_name);
  options.timeout = milliseconds(50);
  const auto late = failure_of(hidden(), options);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->phase, DialPhase::proxy);
  EXPECT_THAT(late->detail, HasSubstr("timed out after 50 ms"));
}

TEST_F(ProxyDialTest, WithAProxyNothingIsDialledDirectly) {
  listen_and_accept();  // it could be reached
  std::string nobody;
  {
    const auto gone = ScriptedProxy::start(io_, {});
    nobody = gone->url("http");
  }
  settle();
  expect_failure(failure_of(url(), through(nobody)), "Connection refused");
  expect_failure(failure_of(url(), through("ftp://127.0.0.1:1")), "the scheme must be");
  expect_failure(failure_of(url(), through(" ")), "the scheme must be");
  settle();
  EXPECT_FALSE(server_peer_.socket);
  EXPECT_EQ(server_->upgrading(), 0u);
}

TEST_F(ProxyDialTest, RefusalsCarryWhatTheProxySaid) {
  listen_and_accept();
  const auto http =
      ScriptedProxy::start(io_, {to_bytes("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")});
  const auto refused = failure_of(hidden(), through(http->url("http", "u:secret@")));
  expect_failure(refused, "HTTP 407 Proxy Authentication Required");
  EXPECT_EQ(refused->http_status, 407);
  EXPECT_THAT(refused->detail, AllOf(StartsWith("the proxy 127.0.0.1:"), Not(HasSubstr("secret"))));

  const auto socks =
      ScriptedProxy::start(io_, {bytes({5, 0}), bytes({5, 5, 0, 1, 0, 0, 0, 0, 0, 0})});
  expect_failure(failure_of(hidden(), through(socks->url("socks5"))), "the host refused");

  const auto garbage = ScriptedProxy::start(io_, {to_bytes("SSH-2.0-OpenSSH_9\r\n")});
  expect_failure(failure_of(hidden(), through(garbage->url("http"))), "does not speak HTTP");
  expect_failure(failure_of(hidden(), through(garbage->url("socks5"))), "does not speak SOCKS5");

  const auto endless = ScriptedProxy::start(io_, {Bytes(100'000, std::byte('x'))});
  expect_failure(failure_of(hidden(), through(endless->url("http"))), "does not speak HTTP");
  const auto large =
      ScriptedProxy::start(io_, {to_bytes("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'))});
  expect_failure(failure_of(hidden(), through(large->url("http"))), "larger than 16 KiB");
}

TEST_F(ProxyDialTest, DropsAndHangsEndWithinTheOneDeadline) {
  listen_and_accept();
  const auto proxy = ScriptedProxy::start(io_, {});
  proxy->drop = true;
  expect_failure(failure_of(hidden(), through(proxy->url("http"))), "it closed the connection");
  proxy->drop = false;
  proxy->reset = true;
  expect_failure(failure_of(hidden(), through(proxy->url("socks5"))), "Connection reset by peer");
  proxy->reset = false;
  for (const char* scheme : {"http", "socks5"}) {
    DialOptions options = through(proxy->url(scheme));
    options.timeout = milliseconds(50);
    expect_failure(failure_of(hidden(), options), "timed out after 50 ms");
  }
  // The tunnel stands, but nothing comes through: that is the server's phase.
  const auto silent = ScriptedProxy::start(io_, {kHttpOk});
  DialOptions options = through(silent->url("http"));
  options.timeout = milliseconds(50);
  const auto late = failure_of(hidden(), options);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->phase, DialPhase::upgrade);
}

TEST_F(ProxyDialTest, AHundredFailuresLeaveNoDescriptorBehind) {
  listen_and_accept();
  const auto refusing = ScriptedProxy::start(io_, {to_bytes("HTTP/1.1 403 Forbidden\r\n\r\n")});
  const auto dropping = ScriptedProxy::start(io_, {});
  dropping->drop = true;
  const auto hanging = ScriptedProxy::start(io_, {});
  settle();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    const auto& proxy = i % 3 == 0 ? refusing : i % 3 == 1 ? dropping : hanging;
    DialOptions options = through(proxy->url(i % 2 == 0 ? "http" : "socks5"));
    options.timeout = milliseconds(proxy == hanging ? 5 : 10'000);
    EXPECT_TRUE(failure_of(hidden(), options));
  }
  EXPECT_EQ(refusing->connections + dropping->connections + hanging->connections, 100);
  EXPECT_TRUE(run_until([&] { return open_descriptors() == before; }));
}

TEST_F(ProxyDialTest, DestroyingADialCancelsItsProxy) {
  listen_and_accept();
  const auto proxy = ScriptedProxy::start(io_, {});
  bool called = false;
  auto dial = std::make_unique<Dial>(io_, hidden(), through(proxy->url("http")),
                                     [&](const auto&) { called = true; });
  ASSERT_TRUE(run_until([&] { return !proxy->got.empty(); }));
  dial.reset();
  settle();
  EXPECT_FALSE(called);
}

// ---- looking up names

TEST_F(ProxyDialTest, ALookUpThatFailsOrHangsIsOfItsPhase) {
  listen_and_accept();
  resolver_.answer = Error{Errc::transport, "no name server answers"};
  const auto failed = failure_of(hidden(), through(""));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->phase, DialPhase::resolve);
  EXPECT_EQ(failed->detail, "mock.test: no name server answers");
  resolver_.hangs = true;
  DialOptions options = through("");
  options.timeout = milliseconds(50);
  const auto late = failure_of(hidden(), options);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->phase, DialPhase::resolve);
  EXPECT_FALSE(failure_of(url(), options)) << "an address needs no look-up";
}

TEST_F(ProxyDialTest, EveryAddressOfANameIsTried) {
  listen_and_accept();
  resolver_.answer = std::vector<std::string>{"::1", "127.0.0.1"};  // nobody listens on the first
  EXPECT_FALSE(failure_of(hidden(), through("")));
  resolver_.answer = std::vector<std::string>{};
  const auto nowhere = failure_of(hidden(), through(""));
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(nowhere->phase, DialPhase::connect);
}

}  // namespace
}  // namespace wa::net

#include "mockserver/net/mock_host.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>

#include "engine/net/process_limits.hpp"
#include "engine/net/websocket.hpp"
#include "mockserver/net/chat_path.hpp"
#include "mockserver/net/listen_address.hpp"
#include "tests/support/test_support.hpp"

namespace wa::mock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ChatPathTest, TakesTheTenantFromThePath) {
  const std::string longest(64, 'a');
  EXPECT_EQ(*tenant_of_target("/ws/chat"), "");
  EXPECT_EQ(*tenant_of_target("/ws/chat?device=shop-1"), "");
  EXPECT_EQ(*tenant_of_target("/t/Team_1-a/ws/chat"), "Team_1-a");
  EXPECT_EQ(*tenant_of_target("/t/b/ws/chat?ED=abc&device=x/y"), "b");
  EXPECT_EQ(*tenant_of_target("/t/" + longest + "/ws/chat"), longest);
}

TEST(ChatPathTest, RefusesEveryOtherPathAndNamesTheRightOnes) {
  const std::string too_long(65, 'a');
  for (const std::string& target :
       {std::string(), std::string("/"), std::string("/ws"), std::string("/ws/chat/"),
        std::string("/ws/chatter"), std::string("/t//ws/chat"), std::string("/t/ws/chat"),
        std::string("/t/a/b/ws/chat"), std::string("/t/a%20b/ws/chat"), std::string("?/ws/chat"),
        "/t/" + too_long + "/ws/chat", std::string("//ws/chat")}) {
    SCOPED_TRACE(target);
    const auto tenant = tenant_of_target(target);
    ASSERT_FALSE(tenant);
    EXPECT_THAT(tenant.error().detail, HasSubstr("/ws/chat"));
  }
}

TEST(ListenAddressTest, AllInterfacesAreDialledOverLoopback) {
  EXPECT_EQ(dialled_host("0.0.0.0:80"), "127.0.0.1");
  EXPECT_EQ(dialled_host("[::]:80"), "[::1]");
  EXPECT_EQ(dialled_host("127.0.0.1:0"), "127.0.0.1");
  EXPECT_EQ(dialled_host("mock.test:1"), "mock.test");
}

/// One WebSocket client on the same io_context.
struct Client {
  Client(boost::asio::io_context& io, const std::string& url, net::DialOptions options) {
    dial.emplace(io, *net::Url::parse(url), std::move(options),
                 [this](std::variant<net::WebSocketPtr, net::DialFailure> result) {
                   if (auto* failed = std::get_if<net::DialFailure>(&result)) {
                     failure = *failed;
                     return;
                   }
                   socket = std::get<net::WebSocketPtr>(result);
                   net::WebSocket::Events events;
                   events.on_message = [this](ByteSpan) { ++messages; };
                   events.on_closed = [this](const net::ClosedInfo& info) { closed = info; };
                   socket->start(std::move(events));
                 });
  }

  std::optional<net::Dial> dial;
  net::WebSocketPtr socket;
  std::optional<net::DialFailure> failure;
  std::optional<net::ClosedInfo> closed;
  int messages = 0;
};

class MockHostTest : public testing::Test {
 protected:
  void SetUp() override { net::ignore_sigpipe(); }

  void start(Settings settings = {}) {
    HostOptions options;
    options.settings = std::move(settings);
    auto started = MockHost::start(io_, std::move(options), ServerKeys::generate(random_), random_);
    ASSERT_TRUE(started) << started.error();
    host_ = std::move(*started);
  }

  /// Runs until it is so; fails the test when that takes absurdly long.
  template <class Condition>
  void run_until(Condition condition) {
    while (!condition()) {
      ASSERT_NE(io_.run_one_for(std::chrono::seconds(20)), 0u) << "nothing more happened";
    }
  }

  std::unique_ptr<Client> connect(const std::string& url, net::DialOptions options = {}) {
    options.tls_ca_pem = host_->tls_ca_pem();
    auto client = std::make_unique<Client>(io_, url, std::move(options));
    run_until([&] { return client->socket || client->failure; });
    return client;
  }

  std::variant<CommandResult, Problem> command(std::string_view tenant, Command what) {
    std::optional<std::variant<CommandResult, Problem>> answer;
    host_->command(tenant, std::move(what), [&](const auto& result) { answer = result; });
    run_until([&] { return answer.has_value(); });
    return *answer;
  }

  std::vector<std::string> kinds(std::string_view tenant = {}) const {
    std::vector<std::string> words;
    for (const LoggedEvent& event : host_->log(tenant)) {
      words.emplace_back(to_string(event.event.kind));
    }
    return words;
  }

  boost::asio::io_context io_{1};
  SeededRandom random_{7};
  std::unique_ptr<MockHost> host_;
};

TEST_F(MockHostTest, NumbersConnectionsAndEventsFromOne) {
  start();
  const auto first = connect(host_->ws_url() + "?device=shop-1");
  const auto second = connect(host_->ws_url());
  ASSERT_TRUE(first->socket && second->socket);

  const auto& log = host_->log({});
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].seq, 1u);
  EXPECT_EQ(log[0].event.connection, 1u);
  EXPECT_EQ(log[0].event.device, "shop-1");
  EXPECT_EQ(log[1].seq, 2u);
  EXPECT_EQ(log[1].event.connection, 2u);
  EXPECT_GE(log[1].t_ms, log[0].t_ms);
  EXPECT_EQ(host_->open_sockets(), 2u);
}

TEST_F(MockHostTest, OnePortServesBothWithAndWithoutTls) {
  start();
  ASSERT_TRUE(host_->add_tenant("a", Settings{}));
  EXPECT_EQ(host_->wss_url("a"),
            "wss://127.0.0.1:" + std::to_string(host_->port()) + "/t/a/ws/chat");
  const auto secure = connect(host_->wss_url("a"));
  const auto plain = connect(host_->ws_url());
  ASSERT_TRUE(secure->socket) << secure->failure->detail;
  ASSERT_TRUE(plain->socket);
  secure->socket->send(to_bytes("this is no WhatsApp header"));
  run_until([&] { return secure->closed.has_value(); });
  EXPECT_THAT(kinds("a"), ElementsAre("connected", "violation", "closed"));
}

TEST_F(MockHostTest, ATlsFaultSpoilsHandshakesAndNothingElse) {
  start();
  for (const auto& [kind, words] : std::vector<std::pair<std::string, std::string>>{
           {"expired", "has expired on"},
           {"not_yet_valid", "is not yet valid"},
           {"self_signed", "is self-signed"},
           {"wrong_name", "is for wrong-name.invalid"},
           {"unknown_ca", "unknown authority"},
           {"cut", "closed the connection in the TLS handshake"},
           {"hang", "timed out after 100 ms"}}) {
    SCOPED_TRACE(kind);
    const auto record = FaultRecord::parse(
        boost::json::value{{"fault", "tls"}, {"args", {{"kind", kind}}}, {"budget", 1}});
    ASSERT_TRUE(record) << record.error();
    command({}, AddFault{*record});
    EXPECT_TRUE(connect(host_->ws_url())->socket) << "no TLS, no fault";
    net::DialOptions options;
    if (kind == "hang") options.timeout = std::chrono::milliseconds(100);
    const auto spoilt = connect(host_->wss_url(), options);
    ASSERT_TRUE(spoilt->failure);
    EXPECT_EQ(spoilt->failure->phase, net::DialPhase::tls);
    EXPECT_THAT(spoilt->failure->detail, HasSubstr(words));
    EXPECT_TRUE(connect(host_->wss_url())->socket) << "the budget is used up";
  }
  EXPECT_EQ(std::ranges::count(kinds(), "fault"), 7);
}

TEST_F(MockHostTest, AnUpgradeFaultIsAnsweredWithItsStatus) {
  start();
  const auto record = FaultRecord::parse(
      boost::json::value{{"fault", "upgrade"}, {"args", {{"status", 503}}}, {"budget", 2}});
  ASSERT_TRUE(record) << record.error();
  command({}, AddFault{*record});
  for (const std::string& url : {host_->ws_url(), host_->wss_url()}) {
    SCOPED_TRACE(url);
    net::DialOptions options;
    options.timeout = std::chrono::seconds(5);
    const auto refused = connect(url, options);
    ASSERT_TRUE(refused->failure);
    EXPECT_EQ(refused->failure->http_status, 503);
  }
  EXPECT_TRUE(connect(host_->ws_url())->socket) << "the budget is used up";
}

TEST_F(MockHostTest, HostNamesStandInUrlsAndCertificates) {
  HostOptions options;
  options.host_names = {"localhost", "mock.test"};
  auto started = MockHost::start(io_, options, ServerKeys::generate(random_), random_);
  ASSERT_TRUE(started) << started.error();
  host_ = std::move(*started);
  EXPECT_THAT(host_->wss_url(), testing::StartsWith("wss://localhost:"));
  EXPECT_TRUE(connect(host_->wss_url())->socket);
  for (const std::string bad : {"", "a b", "a,IP:1.2.3.4", "[::1]", "a\nb"}) {
    options.host_names = {bad};
    const auto refused = MockHost::start(io_, options, ServerKeys::generate(random_), random_);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Errc::usage);
  }
}

TEST_F(MockHostTest, AWrongPathIsA404) {
  start();
  const std::string base = "ws://127.0.0.1:" + std::to_string(host_->port());
  EXPECT_EQ(connect(base + "/chat")->failure->http_status, 404);
  EXPECT_EQ(connect(base + "/t/nobody/ws/chat")->failure->http_status, 404);
  EXPECT_EQ(host_->open_sockets(), 0u);
  EXPECT_THAT(kinds(), IsEmpty());
}

TEST_F(MockHostTest, TenantsShareAPortAndNothingElse) {
  start();
  ASSERT_TRUE(host_->add_tenant("a", Settings{}));
  EXPECT_EQ(host_->add_tenant("a", Settings{}).error().code, Errc::conflict);
  EXPECT_EQ(host_->add_tenant("a/b", Settings{}).error().code, Errc::usage);
  EXPECT_EQ(host_->add_tenant("", Settings{}).error().code, Errc::usage);
  EXPECT_THAT(host_->tenants(), ElementsAre("", "a"));

  const auto client = connect(host_->ws_url("a"));
  ASSERT_TRUE(client->socket);
  command("a", AddPhone{"15550100001", ""});

  EXPECT_THAT(kinds("a"), ElementsAre("connected"));
  EXPECT_EQ(host_->log("a").front().event.connection, 1u);
  EXPECT_EQ(host_->log("a").front().tenant, "a");
  EXPECT_THAT(kinds(), IsEmpty());
  EXPECT_THAT(host_->tenant({})->phones(), IsEmpty());
  EXPECT_EQ(host_->tenant("a")->phones().size(), 1u);
  EXPECT_EQ(host_->tenant("b"), nullptr);
  EXPECT_EQ(std::get<Problem>(command("b", Reset{})).code, "unknown_tenant");
}

TEST_F(MockHostTest, BytesReachTheTenantAndItsCloseReachesTheClient) {
  start();
  const auto client = connect(host_->ws_url());
  client->socket->send(to_bytes("this is no WhatsApp header"));
  run_until([&] { return client->closed.has_value(); });
  EXPECT_THAT(kinds(), ElementsAre("connected", "violation", "closed"));
  run_until([&] { return host_->open_sockets() == 0; });
}

TEST_F(MockHostTest, AClientThatGoesIsSeenOnce) {
  start();
  const auto client = connect(host_->ws_url());
  client->socket->close(net::CloseHow::rst);
  run_until([&] { return host_->open_sockets() == 0; });
  EXPECT_THAT(kinds(), ElementsAre("connected", "closed"));
  EXPECT_THAT(host_->tenant({})->connections(), IsEmpty());
}

// The close is decided together with the accept, whose 101 is then still to be written.
TEST_F(MockHostTest, ActionsWaitForTheAcceptThatIsInFlight) {
  start();
  const auto record = FaultRecord::parse(boost::json::value{
      {"fault", "close"}, {"args", {{"how", "fin"}}}, {"when", {{"on_event", "connected"}}}});
  ASSERT_TRUE(record) << record.error();
  command({}, AddFault{*record});
  const auto client = connect(host_->ws_url());
  ASSERT_TRUE(client->socket) << "the upgrade itself succeeds";
  run_until([&] { return client->closed.has_value(); });
  EXPECT_FALSE(client->closed->code) << "FIN without a close frame";
  EXPECT_THAT(kinds(), ElementsAre("connected", "fault", "closed"));
  run_until([&] { return host_->open_sockets() == 0; });
}

TEST_F(MockHostTest, ClosesAsItIsAsked) {
  start();
  const auto fin = connect(host_->ws_url());
  const auto rst = connect(host_->ws_url());
  command({}, CloseConnection{1, "fin"});
  command({}, CloseConnection{2, "rst"});
  run_until([&] { return fin->closed && rst->closed; });
  EXPECT_FALSE(fin->closed->code);
  EXPECT_THAT(fin->closed->detail, HasSubstr("end of file"));
  EXPECT_THAT(rst->closed->detail, HasSubstr("reset"));
  EXPECT_TRUE(std::holds_alternative<Problem>(command({}, CloseConnection{2, "fin"})));
}

TEST_F(MockHostTest, ABlackholeKeepsTheSocketAndSaysNothing) {
  start();
  const auto client = connect(host_->ws_url());
  command({}, CloseConnection{1, "blackhole"});
  client->socket->send(to_bytes("this is no WhatsApp header"));
  // Another client's whole life passes by.
  const auto other = connect(host_->ws_url());
  other->socket->send(to_bytes("this is no WhatsApp header"));
  run_until([&] { return other->closed.has_value(); });

  EXPECT_FALSE(client->closed);
  EXPECT_EQ(client->messages, 0);
  EXPECT_GE(host_->open_sockets(), 1u);

  command({}, Reset{});
  run_until([&] { return client->closed.has_value(); });
  run_until([&] { return host_->open_sockets() == 0; });
}

TEST_F(MockHostTest, DeadlinesArePerformed) {
  Settings settings;
  settings.handshake_timeout = 20ms;
  start(settings);
  const auto first = connect(host_->ws_url());
  const auto second = connect(host_->ws_url());
  run_until([&] { return first->closed && second->closed; });
  EXPECT_EQ(host_->tenant({})->next_deadline(), std::nullopt);
}

TEST_F(MockHostTest, AResetForgetsTheLogAndGoesOnCounting) {
  start();
  const auto client = connect(host_->ws_url());
  command({}, AddPhone{"15550100001", ""});
  command({}, Reset{});
  EXPECT_THAT(kinds(), IsEmpty());
  EXPECT_THAT(host_->tenant({})->phones(), IsEmpty());
  run_until([&] { return client->closed.has_value(); });
  const auto again = connect(host_->ws_url());
  ASSERT_FALSE(host_->log({}).empty());
  EXPECT_GT(host_->log({}).back().seq, 1u);
  EXPECT_EQ(host_->log({}).back().event.connection, 2u);
}

TEST_F(MockHostTest, SubscribersAreToldUntilTheyDropTheirHandle) {
  start();
  int seen = 0;
  int changes = 0;
  auto subscription = host_->subscribe([&](const LoggedEvent& event) {
    EXPECT_EQ(event.seq, host_->log({}).back().seq) << "the log has it already";
    ++seen;
  });
  auto watching = host_->subscribe_changes([&](const std::string&) { ++changes; });
  const auto first = connect(host_->ws_url());
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(changes, 1);
  subscription.reset();
  watching.reset();
  const auto second = connect(host_->ws_url());
  EXPECT_EQ(host_->log({}).size(), 2u);
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(changes, 1);
}

// A subscriber may do whatever anybody may: what it causes comes after what it was told of.
TEST_F(MockHostTest, ASubscriberMayCommandAndSubscribe) {
  start();
  std::vector<std::string> order;
  MockHost::Subscription later;
  const auto subscription = host_->subscribe([&](const LoggedEvent& event) {
    order.emplace_back(to_string(event.event.kind));
    if (event.event.kind != EventKind::connected) return;
    later = host_->subscribe([&](const LoggedEvent&) { order.emplace_back("later"); });
    host_->command({}, CloseConnection{event.event.connection, "fin"},
                   [&](const auto&) { order.emplace_back("answered"); });
    order.emplace_back("told");
  });
  const auto client = connect(host_->ws_url());
  run_until([&] { return client->closed || client->failure; });
  run_until([&] { return order.size() >= 5; });
  EXPECT_EQ(order[0], "connected");
  EXPECT_EQ(order[1], "told");
  EXPECT_THAT(order,
              testing::UnorderedElementsAre("connected", "told", "closed", "later", "answered"));
}

TEST_F(MockHostTest, AfterStopNothingIsLeftToDo) {
  start();
  auto first = connect(host_->ws_url());
  auto second = connect(host_->ws_url());
  command({}, CloseConnection{2, "blackhole"});
  host_->stop();
  EXPECT_EQ(host_->open_sockets(), 0u);
  std::optional<std::variant<CommandResult, Problem>> answer;
  host_->command({}, Reset{}, [&](const auto& result) { answer = result; });
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<Problem>(*answer).status, 503);
  io_.run();  // returns: no timer, socket or listener is left
  EXPECT_TRUE(first->closed);
  EXPECT_TRUE(second->closed);
}

TEST_F(MockHostTest, APortInUseIsAnEnvironmentError) {
  start();
  HostOptions options;
  options.listen = "127.0.0.1:" + std::to_string(host_->port());
  const auto second =
      MockHost::start(io_, std::move(options), ServerKeys::generate(random_), random_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::environment);
  EXPECT_THAT(second.error().detail, HasSubstr(std::to_string(host_->port())));
}

}  // namespace
}  // namespace wa::mock

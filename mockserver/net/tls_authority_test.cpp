#include "mockserver/net/tls_authority.hpp"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

#include "engine/net/process_limits.hpp"
#include "engine/net/websocket.hpp"

namespace wa::mock {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Flaw = TlsAuthority::Flaw;

/// A server with one certificate after the other, and a client that trusts one CA.
class TlsAuthorityTest : public testing::Test {
 protected:
  void SetUp() override { net::ignore_sigpipe(); }

  /// Why a dial to 127.0.0.1 fails; empty when it does not.
  std::string failure_of(const net::TlsIdentity& identity, const std::string& ca_pem,
                         const std::string& host = "127.0.0.1") {
    const auto on_upgrade = [](net::UpgradeRequest request) {
      request.accept([](net::WebSocketPtr) {});
    };
    auto server = net::WebSocketServer::listen(io_, "127.0.0.1:0", on_upgrade,
                                               {.tls = [&] { return identity; }});
    EXPECT_TRUE(server);
    std::optional<std::string> outcome;
    net::DialOptions options;
    options.tls_ca_pem = ca_pem;
    options.resolver = &resolver_;
    const net::Dial dial(io_, net::Url{true, host, (*server)->port(), "/"}, options,
                         [&](const std::variant<net::WebSocketPtr, net::DialFailure>& result) {
                           const auto* failure = std::get_if<net::DialFailure>(&result);
                           outcome = failure ? failure->detail : "";
                         });
    while (!outcome && io_.run_one_for(std::chrono::seconds(20)) > 0) {
    }
    return outcome.value_or("nothing more happened");
  }

 private:
  class ThisMachine final : public net::Resolver {
   public:
    explicit ThisMachine(boost::asio::io_context& io) : below_(net::system_resolver(io)) {}
    Lookup resolve(const std::string&, Done done) override {
      return below_->resolve("127.0.0.1", std::move(done));
    }

   private:
    std::unique_ptr<net::Resolver> below_;
  };

  boost::asio::io_context io_{1};
  ThisMachine resolver_{io_};
};

TEST_F(TlsAuthorityTest, ItsGoodCertificateIsForThisMachineAndTheGivenHosts) {
  auto authority = TlsAuthority::make({"mock.test", "10.1.2.3"});
  const net::TlsIdentity& identity = authority.identity(Flaw::none);
  EXPECT_EQ(failure_of(identity, authority.ca_pem()), "");
  EXPECT_EQ(failure_of(identity, authority.ca_pem(), "localhost"), "");
  EXPECT_EQ(failure_of(identity, authority.ca_pem(), "mock.test"), "");
  EXPECT_THAT(
      failure_of(identity, authority.ca_pem(), "other.test"),
      HasSubstr("is for 127.0.0.1, ::1, localhost, mock.test, 10.1.2.3, not for other.test"));
}

TEST_F(TlsAuthorityTest, EveryFlawIsNoticedAsWhatItIs) {
  auto authority = TlsAuthority::make();
  for (const auto& [flaw, words] : std::vector<std::pair<Flaw, std::string>>{
           {Flaw::expired, "the server's certificate has expired on "},
           {Flaw::not_yet_valid, "the server's certificate is not yet valid: it begins on "},
           {Flaw::self_signed, "the server's certificate is self-signed"},
           {Flaw::wrong_name, "is for wrong-name.invalid, not for 127.0.0.1"},
           {Flaw::unknown_ca, "unknown authority, \"Testline's unknown CA\""}}) {
    EXPECT_THAT(failure_of(authority.identity(flaw), authority.ca_pem()), HasSubstr(words));
  }
  EXPECT_EQ(failure_of(authority.identity(Flaw::none), authority.ca_pem()), "");
}

TEST_F(TlsAuthorityTest, ItIsIssuedOnceAndSurvivesItsSaving) {
  auto authority = TlsAuthority::make();
  EXPECT_EQ(authority.identity(Flaw::none).context(), authority.identity(Flaw::none).context());
  EXPECT_THAT(authority.save(),
              AllOf(StartsWith("-----BEGIN CERTIFICATE-----"), HasSubstr("PRIVATE KEY")));
  auto again = TlsAuthority::load(authority.save());
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->ca_pem(), authority.ca_pem());
  EXPECT_EQ(failure_of(again->identity(Flaw::none), authority.ca_pem()), "");
  auto other = TlsAuthority::make();
  EXPECT_NE(other.ca_pem(), authority.ca_pem());
  EXPECT_THAT(failure_of(other.identity(Flaw::none), authority.ca_pem()),
              HasSubstr("the server's certificate"));
}

TEST_F(TlsAuthorityTest, WhatIsDamagedIsNotLoaded) {
  const std::string saved = TlsAuthority::make().save();
  const std::string other = TlsAuthority::make().save();
  const std::size_t key_at = saved.find("-----BEGIN PRIVATE KEY");
  ASSERT_NE(key_at, std::string::npos);
  for (const std::string& text :
       {std::string(), saved.substr(0, key_at), saved.substr(key_at),
        saved.substr(0, key_at) + other.substr(other.find("-----BEGIN PRIVATE KEY"))}) {
    const auto loaded = TlsAuthority::load(text);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::malformed);
  }
}

}  // namespace
}  // namespace wa::mock

#include "engine/client/stream.hpp"

#include <gtest/gtest.h>

#include "engine/base/limits.hpp"
#include "engine/client/test_server.hpp"
#include "engine/protocol/noise/certificate.hpp"

namespace wa::client {
namespace {

using test::ServerStream;
using wire::NodeBuilder;

constexpr UnixMillis kWall{1'767'225'600'000};

class StreamTest : public ::testing::Test {
 protected:
  Bytes chain(const crypto::KeyPair& signer, std::int64_t valid_from = -60) {
    const noise::ChainSpec spec{.server_static = server_key.public_key,
                                .not_before = kWall.seconds() + valid_from,
                                .not_after = kWall.seconds() + 3600};
    return noise::issue_chain(spec, signer, intermediate, random);
  }
  Stream stream(Bytes routing = {}) {
    const Bytes payload = pairing::encode_login({{2, 3000, 1}, 15550100001u, 7, true});
    return Stream({root.public_key, client_key, payload, std::move(routing)}, random);
  }
  ServerStream server() { return ServerStream(server_key, chain(root), random); }

  /// Through the handshake.
  void establish(Stream& client, ServerStream& peer) {
    client.feed(peer.receive(client.hello()));
    auto item = client.next(kWall).value();
    ASSERT_TRUE(item);
    peer.receive(std::get<Stream::Established>(*item).client_finish);
    ASSERT_TRUE(peer.established());
  }
  static std::string next_tag(Stream& client) {
    auto item = client.next(kWall);
    if (!item) return "error " + to_string(item.error());
    if (!*item) return "";
    return std::string(std::get<wire::Frame>(**item).root().tag);
  }

  SeededRandom random{9};
  crypto::KeyPair root = crypto::generate_key_pair(random);
  crypto::KeyPair intermediate = crypto::generate_key_pair(random);
  crypto::KeyPair server_key = crypto::generate_key_pair(random);
  crypto::KeyPair client_key = crypto::generate_key_pair(random);
};

TEST_F(StreamTest, CarriesNodesBothWays) {
  auto client = stream();
  auto peer = server();
  establish(client, peer);
  EXPECT_EQ(peer.client_static, client_key.public_key);
  ASSERT_TRUE(peer.payload);
  EXPECT_EQ(std::get<pairing::Login>(*peer.payload).device, 7u);

  client.feed(peer.seal(NodeBuilder("success").attr("t", 5)));
  EXPECT_EQ(next_tag(client), "success");
  EXPECT_EQ(next_tag(client), "");

  Bytes out;
  ASSERT_TRUE(client.seal(NodeBuilder("iq").attr("id", "1"), out));
  const wire::Attribute attributes[] = {{"id", "2"}};
  ASSERT_TRUE(client.seal(wire::Node{"iq", attributes, {}}, out));
  peer.receive(out);
  const auto stanzas = peer.take_stanzas();
  ASSERT_EQ(stanzas.size(), 2u);
  EXPECT_EQ(stanzas[1], NodeBuilder("iq").attr("id", "2"));
}

TEST_F(StreamTest, BeginsWithTheHeaderAndWithTheRoutingPrefixWhenThereIsOne) {
  auto plain = stream();
  EXPECT_EQ(to_hex(ByteSpan(plain.hello()).first(4)), "57410603");

  auto routed = stream(to_bytes("abc"));
  EXPECT_EQ(to_hex(ByteSpan(routed.hello()).first(14)),
            "45440001"
            "000003"
            "616263"
            "57410603");
  auto client = stream(to_bytes("abc"));
  auto peer = server();
  establish(client, peer);
  EXPECT_EQ(peer.routing_info, to_bytes("abc"));
}

TEST_F(StreamTest, YieldsNodesHoweverTheBytesAreCut) {
  auto client = stream();
  auto peer = server();
  const Bytes answer = peer.receive(client.hello());
  for (const std::byte byte : answer) client.feed(std::span(&byte, 1));
  auto item = client.next(kWall).value();
  ASSERT_TRUE(item);
  peer.receive(std::get<Stream::Established>(*item).client_finish);

  for (std::size_t cut = 0; cut < 40; ++cut) {
    Bytes both = peer.seal(NodeBuilder("ib").text("hello"));
    append(both, peer.seal(NodeBuilder("success")));
    client.feed(ByteSpan(both).first(std::min(cut, both.size())));
    std::string tags = next_tag(client);
    client.feed(ByteSpan(both).subspan(std::min(cut, both.size())));
    for (std::string tag = next_tag(client); !tag.empty(); tag = next_tag(client)) tags += tag;
    EXPECT_EQ(tags, "ibsuccess") << cut;
  }
}

TEST_F(StreamTest, RefusesACertificateOfAnotherRootAndOneOutOfItsTime) {
  for (const bool another_root : {true, false}) {
    auto client = stream();
    ServerStream peer(server_key, another_root ? chain(intermediate) : chain(root, 60), random);
    client.feed(peer.receive(client.hello()));
    const auto item = client.next(kWall);
    ASSERT_FALSE(item);
    EXPECT_EQ(client.failure(), Stream::Failure::certificate);
  }
}

TEST_F(StreamTest, AnySpoiltByteOfTheServerHelloEndsTheHandshake) {
  auto reference = server();
  const std::size_t size = reference.receive(stream().hello()).size();
  for (std::size_t at = 0; at < size; ++at) {
    auto client = stream();
    auto peer = server();
    Bytes answer = peer.receive(client.hello());
    answer[at] ^= std::byte{0x40};
    client.feed(answer);
    const auto item = client.next(kWall);
    // A longer length only waits for more, and the deadline of the handshake ends that.
    if (item && !*item) {
      EXPECT_LT(at, 3u);
      continue;
    }
    EXPECT_FALSE(item) << at;
  }
}

TEST_F(StreamTest, AFrameThatDoesNotAuthenticateIsAnError) {
  auto client = stream();
  auto peer = server();
  establish(client, peer);
  Bytes sealed = peer.seal(NodeBuilder("success"));
  sealed.back() ^= std::byte{1};
  client.feed(sealed);
  EXPECT_FALSE(client.next(kWall));
  EXPECT_EQ(client.failure(), Stream::Failure::frame);
}

TEST_F(StreamTest, ARepeatedFrameIsAnError) {
  auto client = stream();
  auto peer = server();
  establish(client, peer);
  const Bytes sealed = peer.seal(NodeBuilder("success"));
  client.feed(sealed);
  EXPECT_EQ(next_tag(client), "success");
  client.feed(sealed);
  EXPECT_FALSE(client.next(kWall));
}

TEST_F(StreamTest, AnAuthenticFrameThatIsNoNodeIsAnError) {
  for (const Bytes& plaintext :
       {Bytes(), Bytes{std::byte{0}}, Bytes{std::byte{0}, std::byte{0xf8}, std::byte{9}},
        Bytes{std::byte{2}, std::byte{1}, std::byte{2}}}) {
    auto client = stream();
    auto peer = server();
    establish(client, peer);
    client.feed(peer.seal_plaintext(plaintext));
    EXPECT_FALSE(client.next(kWall));
    EXPECT_EQ(client.failure(), Stream::Failure::content);
  }
}

TEST_F(StreamTest, BelievesLargeFramesOnlyAfterLogin) {
  const NodeBuilder large = NodeBuilder("ib").bytes(Bytes(limits::kMaxFrameBytesBeforeLogin + 1));
  for (const bool logged_in : {false, true}) {
    auto client = stream();
    auto peer = server();
    establish(client, peer);
    if (logged_in) client.login_succeeded();
    client.feed(peer.seal(large));
    EXPECT_EQ(client.next(kWall).has_value(), logged_in);
  }
}

}  // namespace
}  // namespace wa::client

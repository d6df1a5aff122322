// What other people's clients need to pair, log in, idle and log out: docs/protocol names the
// client that cares. Each is a thing that one client overlooks and another trips over.

#include <gtest/gtest.h>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/pairing/device_identity.hpp"
#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::query;
using test::TestClient;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// A linked device that is logged in, with what it was told at login dropped.
class TenantClientsTest : public testing::Test {
 protected:
  TenantClientsTest() {
    client_.log_in(linked_.phone, linked_.device);
    client_.drop_messages();
  }

  /// Sends an IQ and reads its result.
  wire::Frame ask(const NodeBuilder& iq) {
    client_.send(iq);
    wire::Frame reply = client_.receive();
    EXPECT_EQ(reply.root().tag, "iq");
    EXPECT_EQ(reply.root().attr("type"), "result");
    EXPECT_EQ(reply.root().jid("from"), Jid::server_itself());
    return reply;
  }

  Bench bench_;
  DeviceKeys keys_{bench_.random()};
  Linked linked_ = link_device(bench_, keys_);
  TestClient client_{bench_, keys_};
};

// WM compares `from` with the server's JID and drops an IQ in which it is text.
TEST(TenantClientsPairingTest, TheServerNamesItselfAsAJidAndNotAsText) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  const Bytes plaintext = client.receive_plaintext();
  // "from" (token 06), then JID_PAIR without user (fa 00) of "s.whatsapp.net" (token 03).
  EXPECT_NE(to_hex(plaintext).find("06fa0003"), std::string::npos) << to_hex(plaintext);
}

// WM checks all of it: presence, lengths, serials, both signatures, the leaf's key, both windows.
TEST(TenantClientsPairingTest, TheChainSatisfiesTheStrictestClient) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  const auto verdict = noise::verify_chain(client.certificate_chain, bench.keys.root.public_key,
                                           bench.keys.noise_static.public_key, bench.now().wall);
  EXPECT_TRUE(verdict) << verdict.error();
}

// B6 sends an empty presence after pair-success, B7, WM and RS a unified_session; WM pings without
// a child while unpaired; RS addresses the server by text.
TEST(TenantClientsPairingTest, WhatUnpairedClientsSendBesidesIsLetPass) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  client.send(NodeBuilder("presence"));
  client.send(NodeBuilder("ib").child(NodeBuilder("unified_session").attr("id", "1")));
  EXPECT_FALSE(client.has_message());
  client.send(NodeBuilder("iq")
                  .attr("to", "s.whatsapp.net")
                  .attr("xmlns", "w:p")
                  .attr("type", "get")
                  .attr("id", "p"));
  const wire::Frame pong = client.receive();
  EXPECT_EQ(pong.root().attr("id"), "p");
  EXPECT_TRUE(pong.root().number("t"));
  EXPECT_FALSE(client.closed());
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
}

TEST(TenantClientsPairingTest, AnswersMayAddressTheServerByText) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  const wire::Frame pair_device = client.receive();
  const auto refs = pair_device.root().child("pair-device")->children();
  client.refs.emplace_back(as_text(refs[0].bytes()));
  client.send(NodeBuilder("iq")
                  .attr("to", "s.whatsapp.net")
                  .attr("type", "result")
                  .attr("id", std::string(pair_device.root().attr("id"))));
  (void)bench.command(Scan{"15550100001", client.qr_text()});
  const wire::Frame pair_success = client.receive();
  // WM takes a missing time for 1970, B7 needs the LID.
  EXPECT_TRUE(pair_success.root().number("t"));
  const Node* device = pair_success.root().child("pair-success")->child("device");
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(device->jid("jid")->server, wire::kServerPn);
  EXPECT_EQ(device->jid("lid")->server, wire::kServerLid);
  const auto accepted = pairing::accept_device_identity(
      pair_success.root().child("pair-success")->child("device-identity")->bytes(), keys.identity,
      keys.adv_secret, bench.random());
  ASSERT_TRUE(accepted);
  client.send(NodeBuilder("iq")
                  .attr("to", "s.whatsapp.net")
                  .attr("type", "result")
                  .attr("id", std::string(pair_success.root().attr("id")))
                  .child(NodeBuilder("pair-device-sign")
                             .child(NodeBuilder("device-identity")
                                        .attr("key-index", accepted->key_index)
                                        .bytes(accepted->reply))));
  EXPECT_EQ(bench.tenant.phone("15550100001")->devices.size(), 1u);
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
}

// B6 derives its keys in the background after ClientFinish: a refusal at once would be lost on it,
// and it would take the close for a network that is bad.
TEST(TenantClientsLoginTest, ARefusalWaitsUntilAClientOfDictionary2CanReadIt) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys, "old", wire::Dictionary::v2);
  client.log_in(linked.phone, 77);
  EXPECT_FALSE(client.has_message());
  EXPECT_FALSE(client.closed());
  client.send(query("w:p", "get", "1"));  // no longer listened to
  bench.advance(49ms);
  EXPECT_FALSE(client.closed());
  bench.advance(1ms);
  EXPECT_EQ(client.receive().root().attr("reason"), "401");
  EXPECT_FALSE(client.has_message());
  EXPECT_EQ(client.closed(), CloseHow::normal);
  EXPECT_EQ(bench.count(EventKind::closed), 2u);  // with that of the pairing
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  EXPECT_FALSE(bench.tenant.next_deadline());
}

// While the last word waits the device is as good as gone: its successor does not throw it out
// again.
TEST(TenantClientsLoginTest, AReplacedClientOfDictionary2GoesOnceAndIsTold) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient first(bench, keys, "first", wire::Dictionary::v2);
  first.log_in(linked.phone, linked.device);
  TestClient second(bench, keys, "second");
  second.log_in(linked.phone, linked.device);
  EXPECT_FALSE(first.closed());
  TestClient third(bench, keys, "third");
  third.log_in(linked.phone, linked.device);
  EXPECT_TRUE(second.closed());
  bench.advance(50ms);
  EXPECT_TRUE(first.closed());
  std::vector<std::string> tags;
  while (first.has_message()) tags.emplace_back(first.receive().root().tag);
  EXPECT_EQ(tags, (std::vector<std::string>{"success", "ib", "ib", "stream:error"}));
}

// A client that leaves meanwhile leaves nothing behind.
TEST(TenantClientsLoginTest, AClientThatIsGoneBeforeItsRefusalIsForgotten) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys, "old", wire::Dictionary::v2);
  client.log_in(linked.phone, 77);
  client.disconnect();
  EXPECT_FALSE(bench.tenant.next_deadline());
  EXPECT_FALSE(client.has_message());
}

// WM maps phone number and LID by success, and resets when it is not the device's of pair-success.
TEST(TenantClientsLoginTest, SuccessAndTheOfflineMarkersCarryWhatClientsRead) {
  Settings settings;
  settings.initial_history = false;
  Bench bench(settings);
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device, false);
  const wire::Frame success = client.receive();
  ASSERT_EQ(success.root().tag, "success");
  EXPECT_TRUE(success.root().number("t"));
  const auto lid = success.root().jid("lid");
  ASSERT_TRUE(lid);
  EXPECT_EQ(lid->without_device().to_string(), linked.phone.lid);
  EXPECT_EQ(lid->device, linked.device);
  bool preview = false;
  bool offline = false;
  while (client.has_message()) {
    const wire::Frame frame = client.receive();
    EXPECT_EQ(frame.root().tag, "ib");
    EXPECT_EQ(frame.root().jid("from"), Jid::server_itself());
    EXPECT_EQ(frame.root().children().size(), 1u) << "B6 and B7 look at the first child only";
    if (const Node* counters = frame.root().child("offline_preview")) {
      preview = true;
      for (const char* name : {"count", "message", "receipt", "notification", "appdata"}) {
        EXPECT_TRUE(counters->number(name)) << name;
      }
    }
    offline |= frame.root().child("offline") != nullptr;
  }
  EXPECT_TRUE(preview);
  EXPECT_TRUE(offline);
}

TEST_F(TenantClientsTest, AnIqAddressedByTextIsAnswered) {
  for (const auto& [xmlns, type, child] :
       {std::tuple{"passive", "set", "active"}, std::tuple{"encrypt", "get", "count"},
        std::tuple{"w:p", "get", "ping"}, std::tuple{"abt", "get", "props"}}) {
    SCOPED_TRACE(xmlns);
    client_.drop_messages();
    (void)ask(NodeBuilder("iq")
                  .attr("to", "s.whatsapp.net")
                  .attr("xmlns", xmlns)
                  .attr("type", type)
                  .attr("id", "x")
                  .child(NodeBuilder(child)));
  }
}

// RS skips companions without a signed list, and checks its time and indexes.
TEST_F(TenantClientsTest, ADeviceListComesWithTheSignedKeyIndexes) {
  const DeviceKeys second(bench_.random());
  TestClient other(bench_, second, "second");
  other.register_device();
  other.answer_pair_device();
  (void)bench_.command(Scan{"15550100001", other.qr_text()});
  const wire::Frame pair_success = other.receive();
  const auto accepted = pairing::accept_device_identity(
      pair_success.root().child("pair-success")->child("device-identity")->bytes(), second.identity,
      second.adv_secret, bench_.random());
  ASSERT_TRUE(accepted);
  other.send(NodeBuilder("iq")
                 .attr("to", Jid::server_itself())
                 .attr("type", "result")
                 .attr("id", std::string(pair_success.root().attr("id")))
                 .child(NodeBuilder("pair-device-sign")
                            .child(NodeBuilder("device-identity")
                                       .attr("key-index", accepted->key_index)
                                       .bytes(accepted->reply))));

  const auto lid = Jid::parse(linked_.phone.lid);
  const wire::Frame reply = ask(
      query("usync", "get", "u")
          .child(NodeBuilder("usync")
                     .attr("sid", "s1")
                     .attr("mode", "query")
                     .child(NodeBuilder("query").child(NodeBuilder("devices").attr("version", "2")))
                     .child(NodeBuilder("list")
                                .child(NodeBuilder("user").attr(
                                    "jid", Jid("15550100001", wire::kServerPn)))
                                .child(NodeBuilder("user").attr("jid", *lid))
                                .child(NodeBuilder("user").attr(
                                    "jid", Jid("15559999999", wire::kServerPn))))));
  const Node* usync = reply.root().child("usync");
  ASSERT_NE(usync, nullptr);
  EXPECT_EQ(usync->attr("sid"), "s1");
  EXPECT_NE(usync->child("result")->child("devices"), nullptr);
  const auto users = usync->child("list")->children();
  ASSERT_EQ(users.size(), 2u) << "people without WhatsApp are left out";
  EXPECT_EQ(users[1].jid("jid"), lid) << "under the name that was asked";
  for (const Node& user : users) {
    EXPECT_EQ(user.child("lid"), nullptr) << "not asked";
    const Node* devices = user.child("devices");
    ASSERT_EQ(devices->child("device-list")->children().size(), 3u);
    const Node* list = devices->child("key-index-list");
    ASSERT_NE(list, nullptr);
    EXPECT_TRUE(list->number("ts"));
    const auto read = pairing::read_key_index_list(list->bytes(), accepted->account_key);
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(read->valid_indexes, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(read->current_index, 2u);
    for (const Node& device : devices->child("device-list")->children()) {
      EXPECT_EQ(device.has_attr("key-index"), device.attr("id") != "0");
    }
  }
}

// B7 asks for LIDs with the devices; every client asks by contact whether a number is there at all.
TEST_F(TenantClientsTest, AUsyncAnswersWhatIsAskedAndNamesTheRest) {
  NodeBuilder protocols("query");
  for (const char* name : {"contact", "lid", "status"}) protocols.child(NodeBuilder(name));
  NodeBuilder list("list");
  for (const char* number : {"+15550100001", "+15559999999", "nobody"}) {
    list.child(NodeBuilder("user").child(NodeBuilder("contact").bytes(as_bytes(number))));
  }
  list.child(NodeBuilder("user"));
  const wire::Frame reply =
      ask(query("usync", "get", "u")
              .child(NodeBuilder("usync").child(std::move(protocols)).child(std::move(list))));
  const Node* usync = reply.root().child("usync");
  EXPECT_EQ(usync->child("result")->children().size(), 3u);
  const auto users = usync->child("list")->children();
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0].child("contact")->attr("type"), "in");
  EXPECT_EQ(users[0].child("lid")->jid("val")->to_string(), linked_.phone.lid);
  EXPECT_EQ(users[0].child("devices"), nullptr);
  EXPECT_EQ(users[1].child("contact")->attr("type"), "out");
  EXPECT_EQ(users[1].child("lid"), nullptr);
  EXPECT_EQ(users[1].jid("jid")->user, "15559999999");
}

// WM asks for five collections at once, RS for two and then three.
TEST_F(TenantClientsTest, EveryAppStateCollectionIsThereAndEmpty) {
  const char* names[] = {"critical_block", "critical_unblock_low", "regular_high", "regular_low",
                         "regular"};
  NodeBuilder sync("sync");
  for (const char* name : names) {
    sync.child(NodeBuilder("collection")
                   .attr("name", name)
                   .attr("version", "0")
                   .attr("return_snapshot", "true"));
  }
  const wire::Frame reply = ask(query("w:sync:app:state", "set", "s").child(std::move(sync)));
  const auto collections = reply.root().child("sync")->children();
  ASSERT_EQ(collections.size(), std::size(names));
  for (std::size_t i = 0; i < collections.size(); ++i) {
    EXPECT_EQ(collections[i].attr("name"), names[i]);
    EXPECT_EQ(collections[i].attr("version"), "0");
    EXPECT_EQ(collections[i].attr("type"), "result");
    EXPECT_TRUE(collections[i].children().empty());
  }
}

// RS computes the hash itself and complains when it differs.
TEST_F(TenantClientsTest, TheDigestHashesTheBundleAsRsDoes) {
  const auto one_time = crypto::generate_key_pairs(3, bench_.random());
  NodeBuilder list("list");
  const std::uint32_t ids[] = {9, 300, 70'000};
  for (std::size_t i = 0; i < one_time.size(); ++i) {
    list.child(NodeBuilder("key")
                   .child(NodeBuilder("id").bytes(big_endian<3>(ids[i])))
                   .child(NodeBuilder("value").bytes(one_time[i].public_key.bytes)));
  }
  const std::byte type{5};
  (void)ask(
      query("encrypt", "set", "up")
          .child(NodeBuilder("registration").bytes(big_endian<4>(4242)))
          .child(NodeBuilder("type").bytes(ByteSpan(&type, 1)))
          .child(NodeBuilder("identity").bytes(keys_.identity.public_key.bytes))
          .child(std::move(list))
          .child(NodeBuilder("skey")
                     .child(NodeBuilder("id").bytes(big_endian<3>(keys_.signed_pre_key.id)))
                     .child(NodeBuilder("value").bytes(keys_.signed_pre_key.key.public_key.bytes))
                     .child(NodeBuilder("signature").bytes(keys_.signed_pre_key.signature))));
  const wire::Frame reply = ask(query("encrypt", "get", "d").child(NodeBuilder("digest")));
  const Node* digest = reply.root().child("digest");
  ASSERT_NE(digest, nullptr);
  EXPECT_EQ(to_bytes(digest->child("registration")->bytes()), to_bytes(big_endian<4>(4242)));
  EXPECT_EQ(to_bytes(digest->child("type")->bytes()), Bytes{type});
  const Node* skey = digest->child("skey");
  Bytes hashed = to_bytes(digest->child("identity")->bytes());
  append(hashed, skey->child("value")->bytes());
  append(hashed, skey->child("signature")->bytes());
  const auto listed = digest->child("list")->children();
  ASSERT_EQ(listed.size(), 3u);
  for (std::size_t i = 0; i < listed.size(); ++i) {
    EXPECT_EQ(read_big_endian(listed[i].bytes()), ids[i]);
    append(hashed, one_time[i].public_key.bytes);
  }
  EXPECT_EQ(to_bytes(digest->child("hash")->bytes()), to_bytes(crypto::sha1(hashed)));
}

// WM asks after a history sync. What it is told leads nowhere: no test reaches another host.
TEST_F(TenantClientsTest, MediaHasAHostThatDoesNotExist) {
  const wire::Frame reply = ask(query("w:m", "set", "m").child(NodeBuilder("media_conn")));
  const Node* connection = reply.root().child("media_conn");
  ASSERT_NE(connection, nullptr);
  for (const char* name : {"ttl", "auth_ttl", "max_buckets"}) {
    EXPECT_TRUE(connection->number(name)) << name;
  }
  EXPECT_FALSE(connection->attr("auth").empty());
  EXPECT_EQ(connection->child("host")->attr("hostname"), "media.testline.invalid");
}

// WM waits for the result before it forgets the account.
TEST_F(TenantClientsTest, ALogoutIsAnsweredBeforeTheClose) {
  (void)ask(query("md", "set", "bye")
                .child(NodeBuilder("remove-companion-device")
                           .attr("jid", *Jid::parse(linked_.phone.devices.at(0).device_jid))
                           .attr("reason", "user_initiated")));
  EXPECT_EQ(client_.closed(), CloseHow::normal);
  EXPECT_TRUE(bench_.tenant.phone("15550100001")->devices.empty());
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{});
}

TEST_F(TenantClientsTest, WhatAskesForNoAnswerGetsNone) {
  client_.send(NodeBuilder("ib").child(NodeBuilder("unified_session").attr("id", "12")));
  client_.send(NodeBuilder("ib").child(NodeBuilder("offline_batch").attr("count", "100")));
  client_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Ann"));
  client_.send(NodeBuilder("chatstate")
                   .attr("to", Jid("15550100002", wire::kServerPn))
                   .child(NodeBuilder("composing")));
  EXPECT_FALSE(client_.has_message());
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{});
}

// RS and our engine answer it, the others do not: neither is held against anybody.
TEST(TenantServerPingTest, MayBeAnsweredAndNeedNotBe) {
  Settings settings;
  ASSERT_TRUE(settings.set("server_ping", "10s"));
  Bench bench(settings);
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  client.drop_messages();
  bench.advance(10s);
  const wire::Frame ping = client.receive();
  EXPECT_EQ(ping.root().attr("xmlns"), "urn:xmpp:ping");
  EXPECT_EQ(ping.root().attr("type"), "get");
  EXPECT_NE(ping.root().child("ping"), nullptr);
  const NodeBuilder pong = NodeBuilder("iq")
                               .attr("to", "s.whatsapp.net")
                               .attr("type", "result")
                               .attr("id", std::string(ping.root().attr("id")));
  client.send(pong);
  bench.advance(300s);
  client.drop_messages();
  EXPECT_FALSE(client.closed());
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  client.send(pong);  // a second time it answers nothing
  EXPECT_EQ(bench.rules(), std::vector<std::string>{"unexpected-result"});
  client.disconnect();
  EXPECT_FALSE(bench.tenant.next_deadline());
}

}  // namespace
}  // namespace wa::mock

// Key bundles, device lists and the notifications about them.

#include <gtest/gtest.h>

#include <set>

#include "engine/protocol/pairing/device_identity.hpp"
#include "mockserver/core/test_devices.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::message_to;
using test::query;
using test::TestDevice;
using wire::Frame;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

class KeyBundlesTest : public testing::Test {
 protected:
  KeyBundlesTest() {
    (void)anna_.inbox();
    (void)bert_.inbox();
  }
  /// Bert uploads so many one-time keys.
  void upload(std::uint32_t first, std::uint32_t count) {
    NodeBuilder list("list");
    for (std::uint32_t id = first; id < first + count; ++id) {
      list.child(NodeBuilder("key")
                     .child(NodeBuilder("id").bytes(big_endian<3>(id)))
                     .child(NodeBuilder("value").bytes(big_endian_key(id))));
    }
    const auto& keys = bert_.keys;
    const Frame answer = bert_.ask(
        query("encrypt", "set", "up")
            .child(NodeBuilder("registration").bytes(big_endian<4>(4242)))
            .child(NodeBuilder("type").bytes(Bytes{std::byte{5}}))
            .child(NodeBuilder("identity").bytes(keys.identity.public_key.bytes))
            .child(std::move(list))
            .child(NodeBuilder("skey")
                       .child(NodeBuilder("id").bytes(big_endian<3>(keys.signed_pre_key.id)))
                       .child(NodeBuilder("value").bytes(keys.signed_pre_key.key.public_key.bytes))
                       .child(NodeBuilder("signature").bytes(keys.signed_pre_key.signature))));
    EXPECT_EQ(answer.root().attr("type"), "result");
  }
  static Bytes big_endian_key(std::uint32_t id) {
    Bytes key(28);
    append(key, big_endian<4>(id));
    return key;
  }
  static NodeBuilder bundles_of(const std::vector<Jid>& devices) {
    NodeBuilder key("key");
    for (const Jid& device : devices) key.child(NodeBuilder("user").attr("jid", device));
    return query("encrypt", "get", "keys").child(std::move(key));
  }
  static std::optional<std::uint64_t> one_time_id(const Node& user) {
    const Node* key = user.child("key");
    if (key == nullptr) return std::nullopt;
    return read_big_endian(key->child("id")->bytes());
  }

  Bench bench_{test::quiet_phones()};
  TestDevice anna_{bench_, "15550100001", "anna"};
  TestDevice bert_{bench_, "15550100002", "bert"};
  Jid bert_phone_ = bert_.pn().without_device();
};

TEST_F(KeyBundlesTest, ABundleIsAllThatASessionNeedsInItsExactSizes) {
  upload(1, 2);
  const Frame answer = anna_.ask(bundles_of({bert_.lid(), bert_phone_}));
  const auto users = answer.root().child("list")->children();
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0].jid("jid"), bert_.lid()) << "the name that was asked for";
  EXPECT_EQ(users[1].jid("jid"), bert_phone_);
  for (const Node& user : users) {
    EXPECT_EQ(user.child("registration")->bytes().size(), 4u);
    EXPECT_EQ(user.child("type")->bytes().size(), 1u);
    EXPECT_EQ(user.child("skey")->child("id")->bytes().size(), 3u);
    EXPECT_EQ(user.child("key")->child("id")->bytes().size(), 3u);
    EXPECT_EQ(user.child("key")->child("value")->bytes().size(), 32u);
    const auto identity = *crypto::PublicKey::from(user.child("identity")->bytes(), "identity");
    const Bytes signed_bytes =
        concat(Bytes{std::byte{5}}, user.child("skey")->child("value")->bytes());
    EXPECT_TRUE(crypto::verify(identity, signed_bytes,
                               user.child("skey")->child("signature")->bytes(), "skey"));
  }
  EXPECT_EQ(read_big_endian(users[0].child("registration")->bytes()), 4242u);
  EXPECT_NE(users[0].child("device-identity"), nullptr);
  EXPECT_EQ(users[1].child("device-identity"), nullptr) << "a phone needs none";
}

TEST_F(KeyBundlesTest, NoOneTimeKeyIsHandedOutTwice) {
  upload(1, 3);
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 3; ++i) {
    const Frame answer = anna_.ask(bundles_of({bert_.pn()}));
    ids.insert(*one_time_id(*answer.root().child("list")->first_child()));
  }
  EXPECT_EQ(ids, (std::set<std::uint64_t>{1, 2, 3}));
  upload(1, 3);  // the client may not have heard that they arrived
  const Frame last = anna_.ask(bundles_of({bert_.pn()}));
  EXPECT_FALSE(one_time_id(*last.root().child("list")->first_child()));
  EXPECT_NE(last.root().child("list")->first_child()->child("skey"), nullptr);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(KeyBundlesTest, APhoneAlwaysHasAnother) {
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 20; ++i) {
    const Frame answer = anna_.ask(bundles_of({bert_phone_}));
    ids.insert(*one_time_id(*answer.root().child("list")->first_child()));
  }
  EXPECT_EQ(ids.size(), 20u);
}

TEST_F(KeyBundlesTest, WhoAsksForADeviceManyTimesGetsOneKey) {
  upload(1, 10);
  const Frame answer = anna_.ask(bundles_of(std::vector<Jid>(5000, bert_.pn())));
  EXPECT_EQ(answer.root().child("list")->children().size(), 1u);
  EXPECT_EQ(bench_.tenant.phone("15550100002")->devices.at(0).prekeys, 9u);
}

// B6 and B7 throw the whole answer away for one user with an error.
TEST_F(KeyBundlesTest, StrangersAreLeftOut) {
  Jid gone = bert_.pn();
  gone.device = 99;
  const Frame answer = anna_.ask(bundles_of(
      {gone, Jid("15550199999", wire::kServerPn), Jid("1", wire::kServerLid, 3), bert_.pn()}));
  const auto users = answer.root().child("list")->children();
  ASSERT_EQ(users.size(), 1u);
  EXPECT_EQ(users[0].jid("jid"), bert_.pn());
}

TEST_F(KeyBundlesTest, QueriesThatMakeNoSenseAreRefused) {
  const Frame none =
      anna_.ask(query("encrypt", "get", "1").child(NodeBuilder("key").child(NodeBuilder("user"))));
  EXPECT_EQ(none.root().attr("type"), "error");
  EXPECT_EQ(bench_.rules(), Words{"bundle-query"});
  const Frame many = anna_.ask(bundles_of(std::vector<Jid>(10'001, bert_.pn())));
  EXPECT_EQ(many.root().attr("type"), "error");
}

TEST_F(KeyBundlesTest, ADeviceIsToldWhenItsKeysRunOut) {
  upload(1, 11);
  Words told;
  for (int i = 0; i < 12; ++i) {
    (void)anna_.ask(bundles_of({bert_.pn()}));
    for (const Frame& frame : bert_.inbox("notification")) {
      EXPECT_EQ(frame.root().attr("type"), "encrypt");
      EXPECT_EQ(frame.root().jid("from"), Jid::server_itself());
      told.push_back(frame.root().child("count")->printed("value"));
    }
  }
  EXPECT_EQ(told, (Words{"9", "4", "0"}));
}

TEST_F(KeyBundlesTest, RotatedKeysAreServedFromThenOn) {
  const auto pair = crypto::generate_key_pair(bench_.random());
  const Bytes message = concat(Bytes{std::byte{5}}, pair.public_key);
  const auto signature = crypto::sign(bert_.keys.identity, message, bench_.random());
  (void)bert_.ask(query("encrypt", "set", "r")
                      .child(NodeBuilder("rotate").child(
                          NodeBuilder("skey")
                              .child(NodeBuilder("id").bytes(big_endian<3>(7)))
                              .child(NodeBuilder("value").bytes(pair.public_key.bytes))
                              .child(NodeBuilder("signature").bytes(signature)))));
  const Frame answer = anna_.ask(bundles_of({bert_.pn()}));
  const Node* skey = answer.root().child("list")->first_child()->child("skey");
  EXPECT_EQ(read_big_endian(skey->child("id")->bytes()), 7u);
  EXPECT_TRUE(equal(skey->child("value")->bytes(), pair.public_key.bytes));
}

// ---- device lists ------------------------------------------------------------------------------

TEST_F(KeyBundlesTest, DeviceListsNameWhoWasAskedForAsItWasAsked) {
  const auto ask = [&](const Jid& jid) {
    return anna_.ask(
        query("usync", "get", "1")
            .child(NodeBuilder("usync")
                       .attr("sid", "s")
                       .attr("mode", "query")
                       .attr("context", "message")
                       .child(NodeBuilder("query")
                                  .child(NodeBuilder("devices").attr("version", "2"))
                                  .child(NodeBuilder("lid")))
                       .child(NodeBuilder("list").child(NodeBuilder("user").attr("jid", jid)))));
  };
  const Frame by_number = ask(bert_phone_);
  const Node* usync = by_number.root().child("usync");
  EXPECT_EQ(usync->attr("context"), "message");
  const Node* user = usync->child("list")->first_child();
  EXPECT_EQ(user->jid("jid"), bert_phone_);
  EXPECT_EQ(user->child("lid")->jid("val"), bert_.lid().without_device());
  const auto devices = user->child("devices")->child("device-list")->children();
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].attr("id"), "0");
  EXPECT_EQ(devices[1].number("id"), bert_.device());
  EXPECT_GE(devices[1].number("key-index").value_or(0), 1u);
  const Frame by_lid = ask(bert_.lid().without_device());
  const Node* hidden = by_lid.root().child("usync")->child("list")->first_child();
  EXPECT_EQ(hidden->jid("jid"), bert_.lid().without_device());
  EXPECT_EQ(hidden->child("lid"), nullptr) << "who asks by LID knows it";
}

TEST_F(KeyBundlesTest, WhoHasTalkedToAnAccountIsToldOfItsNewDevices) {
  TestDevice carl(bench_, "15550100003", "carl");
  anna_.send(message_to(bert_phone_, "M1", {bert_.pn()}));
  for (TestDevice* device : {&anna_, &bert_, &carl}) (void)device->inbox();
  TestDevice second(bench_, "15550100002", "bert-2");
  const auto told = anna_.inbox("notification");
  ASSERT_EQ(told.size(), 2u) << "under both names";
  EXPECT_EQ(told[0].root().attr("type"), "devices");
  EXPECT_EQ(told[0].root().jid("from"), bert_phone_);
  const Node* add = told[0].root().child("add");
  ASSERT_NE(add, nullptr);
  EXPECT_EQ(add->attr("device_hash").size(), 10u);
  EXPECT_EQ(add->child("device")->jid("jid"), second.pn());
  EXPECT_EQ(add->child("device")->jid("lid"), second.lid());
  EXPECT_EQ(add->child("device")->attr("key-index"), "2");
  EXPECT_FALSE(add->child("key-index-list")->bytes().empty());
  EXPECT_EQ(told[1].root().child("add")->child("device")->jid("jid"), second.lid());
  const auto own = bert_.inbox("notification");
  ASSERT_EQ(own.size(), 1u);
  EXPECT_EQ(own[0].root().attr("type"), "account_sync");
  EXPECT_EQ(own[0].root().child("devices")->children().size(), 3u);
  EXPECT_EQ(carl.inbox("notification").size(), 0u);

  (void)bench_.command(Unlink{second.phone_id(), second.pn().to_string()});
  const auto gone = anna_.inbox("notification");
  ASSERT_EQ(gone.size(), 2u);
  ASSERT_NE(gone[0].root().child("remove"), nullptr);
  EXPECT_EQ(gone[0].root().child("remove")->child("device")->jid("jid"), second.pn());
}

TEST_F(KeyBundlesTest, KeysAndDevicesSurviveASave) {
  upload(1, 3);
  const Frame first = anna_.ask(bundles_of({bert_.pn(), bert_phone_}));
  const std::string saved = bench_.tenant.save();
  Bench other;
  ASSERT_TRUE(other.tenant.load(saved));
  EXPECT_EQ(other.tenant.save(), saved);
  EXPECT_EQ(other.tenant.phone("15550100002")->devices.at(0).prekeys, 2u);
}

}  // namespace
}  // namespace wa::mock

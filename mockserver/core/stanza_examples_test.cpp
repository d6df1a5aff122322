// What the mock sends has the shape of stanzas that were put together with other people's code, and
// it understands theirs (tests/vectors/stanza-examples.json, retry-receipt.json).

#include <gtest/gtest.h>

#include <algorithm>

#include "mockserver/core/test_devices.hpp"
#include "tests/support/test_support.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::enc;
using test::message_to;
using test::query;
using test::TestDevice;
using wire::Frame;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

Frame decoded(const boost::json::value& example) {
  auto frame = wire::decode(wa::test::hex_at(example, "binaryHex"), wire::Dictionary::v3);
  EXPECT_TRUE(frame);
  return std::move(*frame);
}

Frame example(std::string_view beginning) {
  const auto file = wa::test::vectors("stanza-examples.json");
  for (const auto& each : file.at("stanzas").as_array()) {
    if (wa::test::text_at(each, "name").starts_with(beginning)) return decoded(each);
  }
  ADD_FAILURE() << "no example " << beginning;
  return decoded(file.at("stanzas").as_array().at(0));
}

bool is_jid(const Node& node, std::string_view key) {
  return node.has_attr(key) && node.attr(key).empty() && node.jid(key);
}

/// Keys and values of Signal have one size; what is longer may vary.
constexpr std::size_t kFixedSizes = 64;

/// Every attribute and every kind of child that the example has, `ours` has, in the same form.
void expect_shape(const Node& ours, const Node& theirs) {
  SCOPED_TRACE(wire::to_xml(ours) + " beside " + wire::to_xml(theirs));
  EXPECT_EQ(ours.tag, theirs.tag);
  for (const wire::Attribute& attribute : theirs.attributes) {
    EXPECT_TRUE(ours.has_attr(attribute.key)) << attribute.key;
    EXPECT_EQ(is_jid(ours, attribute.key), is_jid(theirs, attribute.key)) << attribute.key;
  }
  if (theirs.children().empty()) {
    EXPECT_EQ(ours.bytes().empty(), theirs.bytes().empty());
    if (theirs.bytes().size() <= kFixedSizes && theirs.tag != "enc") {
      EXPECT_EQ(ours.bytes().size(), theirs.bytes().size());
    }
    return;
  }
  ASSERT_FALSE(ours.children().empty());
  std::vector<std::string_view> seen;
  for (const Node& child : theirs.children()) {
    if (std::find(seen.begin(), seen.end(), child.tag) != seen.end()) continue;
    seen.push_back(child.tag);
    ASSERT_NE(ours.child(child.tag), nullptr) << child.tag;
    expect_shape(*ours.child(child.tag), child);
  }
}

class StanzaExamplesTest : public testing::Test {
 protected:
  StanzaExamplesTest() {
    anna_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Anna"));
    for (TestDevice* device : {&anna_, &second_anna_, &bert_}) device->settle();
  }
  void upload_keys(TestDevice& device) {
    NodeBuilder list("list");
    for (std::uint32_t id = 1; id <= 10; ++id) {
      Bytes key(28);
      append(key, big_endian<4>(id));
      list.child(NodeBuilder("key")
                     .child(NodeBuilder("id").bytes(big_endian<3>(id)))
                     .child(NodeBuilder("value").bytes(key)));
    }
    const auto& signed_key = device.keys.signed_pre_key;
    (void)device.ask(
        query("encrypt", "set", "up")
            .child(NodeBuilder("registration").bytes(big_endian<4>(4660)))
            .child(NodeBuilder("type").bytes(Bytes{std::byte{5}}))
            .child(NodeBuilder("identity").bytes(device.keys.identity.public_key.bytes))
            .child(std::move(list))
            .child(NodeBuilder("skey")
                       .child(NodeBuilder("id").bytes(big_endian<3>(signed_key.id)))
                       .child(NodeBuilder("value").bytes(signed_key.key.public_key.bytes))
                       .child(NodeBuilder("signature").bytes(signed_key.signature))));
  }
  /// Sends bytes that somebody else encoded.
  static void send_example(TestDevice& device, ByteSpan plaintext) {
    device.client->send_raw(device.client->seal(plaintext));
  }

  Bench bench_{test::quiet_phones()};
  // The account of the examples, whose second device speaks.
  TestDevice second_anna_{bench_, "15550001111", "anna-1"};
  TestDevice anna_{bench_, "15550001111", "anna-2"};
  TestDevice bert_{bench_, "15550002222", "bert"};
};

TEST_F(StanzaExamplesTest, KeyBundlesAreAskedForAndHandedOut) {
  upload_keys(anna_);
  const auto file = wa::test::vectors("stanza-examples.json");
  send_example(bert_, wa::test::hex_at(file.at("stanzas").as_array().at(0), "binaryHex"));
  const auto answers = bert_.inbox("iq");
  ASSERT_EQ(answers.size(), 1u);
  const auto ours = answers[0].root().child("list")->children();
  const Frame answer = example("prekey bundle response");
  const auto theirs = answer.root().child("list")->children();
  ASSERT_EQ(ours.size(), 2u) << "the third of the example does not exist";
  expect_shape(ours[0], theirs[0]);
  expect_shape(ours[1], theirs[1]);
}

TEST_F(StanzaExamplesTest, DeviceLists) {
  const Frame ours =
      bert_.ask(query("usync", "get", "1.2-7")
                    .child(NodeBuilder("usync")
                               .attr("sid", "s-1")
                               .attr("mode", "query")
                               .attr("last", "true")
                               .attr("index", "0")
                               .attr("context", "message")
                               .child(NodeBuilder("query")
                                          .child(NodeBuilder("devices").attr("version", "2"))
                                          .child(NodeBuilder("lid")))
                               .child(NodeBuilder("list").child(
                                   NodeBuilder("user").attr("jid", anna_.pn().without_device())))));
  expect_shape(ours.root(), example("usync devices+lid response").root());
}

TEST_F(StanzaExamplesTest, DirectMessagesAndTheirAcks) {
  NodeBuilder message("message");
  message.attr("id", "M1").attr("to", bert_.pn().without_device()).attr("type", "text");
  message.child(NodeBuilder("participants")
                    .child(NodeBuilder("to").attr("jid", bert_.pn()).child(enc("pkmsg", "x"))));
  message.child(NodeBuilder("device-identity").bytes(Bytes(152)));
  anna_.send(message);
  expect_shape(anna_.inbox("ack").at(0).root(), example("ack for an outgoing message").root());
  expect_shape(bert_.inbox("message").at(0).root(), example("incoming direct message").root());
  const Jid stranger("15559999999", wire::kServerPn);
  anna_.send(message_to(stranger, "M2", {stranger}));
  expect_shape(anna_.inbox("ack").at(0).root(), example("error ack").root());
}

TEST_F(StanzaExamplesTest, GroupMessages) {
  const Frame made = anna_.ask(
      NodeBuilder("iq")
          .attr("to", Jid("", wire::kServerGroup))
          .attr("xmlns", "w:g2")
          .attr("type", "set")
          .attr("id", "1")
          .child(NodeBuilder("create")
                     .attr("subject", "Tea")
                     .child(NodeBuilder("participant").attr("jid", bert_.pn().without_device()))));
  const Jid group(std::string(made.root().child("group")->attr("id")), wire::kServerGroup);
  bert_.settle();
  NodeBuilder message = message_to(group, "M1", {bert_.lid()});
  message.child(enc("skmsg", "for all"));
  anna_.send(message);
  expect_shape(bert_.inbox("message").at(0).root(),
               example("incoming group message with sender key").root());
}

TEST_F(StanzaExamplesTest, TheQueueAfterALogin) {
  bert_.disconnect();
  anna_.send(message_to(bert_.pn().without_device(), "M1", {bert_.pn()}));
  bert_.log_in_unread();
  bool preview = false;
  bool end = false;
  for (const Frame& frame : bert_.inbox("ib")) {
    const Node& node = frame.root();
    if (node.child("offline_preview") != nullptr) {
      preview = true;
      expect_shape(node, example("offline preview then end").root());
    }
    if (node.child("offline") != nullptr) {
      end = true;
      expect_shape(node, example("offline end").root());
    }
  }
  EXPECT_TRUE(preview && end);
}

TEST_F(StanzaExamplesTest, NotificationsOfKeysAndDevices) {
  upload_keys(anna_);
  (void)bert_.ask(
      query("encrypt", "get", "k")
          .child(NodeBuilder("key").child(NodeBuilder("user").attr("jid", anna_.pn()))));
  expect_shape(anna_.inbox("notification").at(0).root(), example("low prekeys").root());
  bert_.send(message_to(anna_.pn().without_device(), "M1", {anna_.pn()}));
  (void)bert_.inbox();
  const TestDevice third(bench_, "15550001111", "anna-3");
  expect_shape(bert_.inbox("notification").at(0).root(), example("device added").root());
}

TEST_F(StanzaExamplesTest, RetryReceiptsArriveAsTheyWereSent) {
  const auto file = wa::test::vectors("retry-receipt.json");
  std::size_t tried = 0;
  for (const auto& each : file.at("examples").as_array()) {
    const Frame theirs = decoded(each);
    const Node& receipt = theirs.root();
    const auto to = receipt.jid("to");
    // Those of groups need one, and resends are messages.
    if (receipt.tag != "receipt" || !to || *to != anna_.pn()) continue;
    SCOPED_TRACE(wa::test::text_at(each, "name"));
    ++tried;
    anna_.send(
        message_to(bert_.pn().without_device(), std::string(receipt.attr("id")), {bert_.pn()}));
    (void)bert_.inbox();
    (void)anna_.inbox();
    send_example(bert_, wa::test::hex_at(each, "binaryHex"));
    const auto arrived = anna_.inbox("receipt");
    ASSERT_EQ(arrived.size(), 1u);
    const Node& ours = arrived[0].root();
    EXPECT_EQ(ours.attr("id"), receipt.attr("id"));
    EXPECT_EQ(ours.attr("type"), "retry");
    EXPECT_EQ(ours.jid("from"), bert_.pn());
    ASSERT_EQ(ours.children().size(), receipt.children().size());
    for (std::size_t i = 0; i < ours.children().size(); ++i) {
      EXPECT_EQ(NodeBuilder::copy_of(ours.children()[i]),
                NodeBuilder::copy_of(receipt.children()[i]));
    }
    EXPECT_EQ(second_anna_.inbox("receipt").size(), 0u);
  }
  EXPECT_GE(tried, 2u);
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{});
}

}  // namespace
}  // namespace wa::mock

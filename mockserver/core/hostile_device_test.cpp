#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/limits.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/test_devices.hpp"

/// A linked device that means harm: the others must not notice.
namespace wa::mock::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::SizeIs;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

class HostileDeviceTest : public testing::Test {
 protected:
  HostileDeviceTest() {
    bad_.settle();
    good_.settle();
  }
  /// The other device is served as ever.
  void expect_good_is_well() {
    EXPECT_FALSE(good_.client->closed());
    EXPECT_EQ(good_.ask(ping("well")).root().attr("id"), "well");
    good_.disconnect();
    good_.log_in();
    EXPECT_EQ(good_.ask(ping("again")).root().attr("id"), "again");
    EXPECT_FALSE(good_.client->closed());
  }
  Jid good() const { return good_.pn().without_device(); }
  std::string error_of_ack() {
    for (const wire::Frame& frame : bad_.inbox("ack")) {
      return std::string(frame.root().attr("error"));
    }
    return "none";
  }
  static NodeBuilder big(std::string tag, std::size_t bytes) {
    return NodeBuilder(std::move(tag)).bytes(Bytes(bytes, std::byte{7}));
  }
  wire::Frame group_iq(const Jid& to, std::string type, NodeBuilder change) {
    NodeBuilder iq("iq");
    iq.attr("to", to).attr("xmlns", "w:g2").attr("type", std::move(type)).attr("id", "g");
    return bad_.ask(iq.child(std::move(change)));
  }

  Bench bench_{quiet_phones()};
  TestDevice bad_{bench_, "15550100001", "bad"};
  TestDevice good_{bench_, "15550100002", "good"};
};

// A copy is a little larger than what was sent: it would not fit into a frame to its reader, whose
// connection would end at every login.
TEST_F(HostileDeviceTest, AMessageThatFillsAFrameIsRefused) {
  NodeBuilder stanza("message");
  stanza.attr("id", "M1").attr("to", good_.pn()).attr("type", "text");
  bad_.send(
      stanza.child(big("enc", limits::kMaxFrameBytes - 200).attr("v", "2").attr("type", "msg")));
  EXPECT_EQ(error_of_ack(), "479");
  EXPECT_THAT(bench_.rules(), Contains("message-shape"));
  expect_good_is_well();
}

TEST_F(HostileDeviceTest, AMessageOfTooManyPartsIsRefused) {
  std::vector<std::function<void(NodeBuilder&)>> spoil = {
      [](NodeBuilder& stanza) {
        for (int i = 0; i < 65'000; ++i) stanza.child(NodeBuilder("x"));
      },
      [](NodeBuilder& stanza) {
        for (int i = 0; i < 65'000; ++i) stanza.child(enc("msg", "x"));
      },
      [&](NodeBuilder& stanza) {
        NodeBuilder to("to");
        to.attr("jid", good_.pn());
        for (int i = 0; i < 65'000; ++i) to.child(enc("msg", "x"));
        stanza.child(NodeBuilder("participants").child(std::move(to)));
      },
      [](NodeBuilder& stanza) { stanza.set_attr("id", std::string(129, 'x')); },
      [](NodeBuilder& stanza) { stanza.set_attr("id", std::string("\xc3\x28")); }};
  for (const auto& one : spoil) {
    NodeBuilder stanza("message");
    stanza.attr("id", "M1").attr("to", good_.pn()).attr("type", "text").child(enc("msg", "x"));
    one(stanza);
    bad_.send(stanza);
    EXPECT_EQ(error_of_ack(), "479");
  }
  EXPECT_TRUE(good_.inbox("message").empty());
  expect_good_is_well();
}

TEST_F(HostileDeviceTest, AReceiptThatFillsAFrameIsNotHandedOn) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", "M1").attr("to", good_.pn()).attr("type", "retry");
  bad_.send(receipt.child(big("keys", limits::kMaxFrameBytes - 200)));
  EXPECT_THAT(bench_.rules(), Contains("stanza-size"));
  EXPECT_TRUE(good_.inbox("receipt").empty());
  expect_good_is_well();
}

TEST_F(HostileDeviceTest, AGroupOfStrangersIsNotMade) {
  NodeBuilder create("create");
  create.attr("subject", "crowd");
  for (int i = 0; i < 65'000; ++i) {
    create.child(NodeBuilder("participant")
                     .attr("jid", Jid(std::to_string(16'000'000'000 + i), "s.whatsapp.net")));
  }
  EXPECT_EQ(group_iq(Jid("", "g.us"), "set", std::move(create)).root().attr("type"), "error");
  expect_good_is_well();
}

TEST_F(HostileDeviceTest, ChangesOfAGroupHandOnNothingButTheChange) {
  const auto made = group_iq(Jid("", "g.us"), "set",
                             NodeBuilder("create")
                                 .attr("subject", "two")
                                 .attr("key", std::string(100'000, 'x'))
                                 .child(NodeBuilder("participant").attr("jid", good())));
  const Jid group(std::string(made.root().child("group")->attr("id")), "g.us");
  group_iq(group, "set", big("announcement", 100'000).attr("x", std::string(100'000, 'x')));
  group_iq(group, "set",
           NodeBuilder("description")
               .attr("id", std::string(100'000, 'x'))
               .child(NodeBuilder("body").bytes(as_bytes("words"))));
  const auto news = good_.inbox("notification");
  ASSERT_EQ(news.size(), 3u);
  for (const wire::Frame& frame : news) EXPECT_LT(frame.plaintext().size(), 1000u);
  for (const char* subject : {"\xff", "\xc3\x28", "\xed\xa0\x80"}) {
    EXPECT_EQ(
        group_iq(group, "set", NodeBuilder("subject").bytes(as_bytes(subject))).root().attr("type"),
        "error");
  }
  Bench later;
  EXPECT_TRUE(later.tenant.load(bench_.tenant.save()));
}

TEST_F(HostileDeviceTest, AMessageForFiveThousandMembersIsBoundedAsAWhole) {
  std::vector<std::string> numbers;
  NodeBuilder create("create");
  create.attr("subject", "many");
  for (std::size_t i = 0; i < limits::kMaxGroupMembers - 2; ++i) {
    const std::string number = std::to_string(15'560'000'000 + i);
    (void)bench_.command(AddPhone{number, ""});
    create.child(NodeBuilder("participant").attr("jid", Jid(number, wire::kServerPn)));
  }
  create.child(NodeBuilder("participant").attr("jid", good()));
  const auto made = group_iq(Jid("", "g.us"), "set", std::move(create));
  const Node& group_node = *made.root().child("group");
  const Jid group(std::string(group_node.attr("id")), "g.us");
  EXPECT_EQ(group_node.attr("size"), std::to_string(limits::kMaxGroupMembers));
  good_.settle();
  const auto say = [&](std::string id, std::size_t bytes) {
    NodeBuilder stanza("message");
    stanza.attr("id", std::move(id)).attr("to", group).attr("type", "text");
    bad_.send(stanza.child(big("enc", bytes).attr("v", "2").attr("type", "skmsg")));
    return error_of_ack();
  };
  EXPECT_EQ(say("M1", 200), "");
  EXPECT_EQ(good_.inbox("message").size(), 1u);
  EXPECT_EQ(say("M2", 100'000), "479") << "half a gigabyte";
  EXPECT_THAT(bench_.rules(), Contains("stanza-size"));
  EXPECT_TRUE(good_.inbox("message").empty());
  expect_good_is_well();
}

TEST_F(HostileDeviceTest, PreKeysAreHeldUpToALimit) {
  const auto upload = [&](std::uint32_t first, std::uint32_t count) {
    const auto key = [&](const char* tag, std::uint32_t id) {
      return NodeBuilder(tag)
          .child(NodeBuilder("id").bytes(big_endian<3>(id)))
          .child(NodeBuilder("value").bytes(bad_.keys.noise.public_key.bytes));
    };
    NodeBuilder iq = query("encrypt", "set", "up");
    iq.child(NodeBuilder("registration").bytes(big_endian<4>(std::uint32_t{4242})));
    iq.child(NodeBuilder("type").bytes(Bytes{std::byte{5}}));
    iq.child(NodeBuilder("identity").bytes(bad_.keys.identity.public_key.bytes));
    NodeBuilder list("list");
    for (std::uint32_t i = 0; i < count; ++i) list.child(key("key", first + i));
    const pairing::SignedPreKey& signed_key = bad_.keys.signed_pre_key;
    iq.child(std::move(list));
    iq.child(NodeBuilder("skey")
                 .child(NodeBuilder("id").bytes(big_endian<3>(signed_key.id)))
                 .child(NodeBuilder("value").bytes(signed_key.key.public_key.bytes))
                 .child(NodeBuilder("signature").bytes(signed_key.signature)));
    return std::string(bad_.ask(iq).root().attr("type"));
  };
  for (std::uint32_t i = 0; i < limits::kMaxOfferedKeys / 2000; ++i) {
    EXPECT_EQ(upload(1 + i * 2000, 2000), "result");
  }
  EXPECT_EQ(upload(1'000'000, 1), "error");
}

TEST_F(HostileDeviceTest, WhatIsNotedOfItIsBounded) {
  for (std::size_t i = 0; i < limits::kMaxCoverageRows + 100; ++i) {
    bad_.send(NodeBuilder("iq")
                  .attr("type", "get")
                  .attr("id", "1")
                  .attr("xmlns", std::to_string(i) + std::string(1000, 'x')));
  }
  EXPECT_LE(bench_.tenant.coverage().size(), limits::kMaxCoverageRows + 10);
  bad_.send(NodeBuilder("iq").attr("xmlns", std::string(1'000'000, '\xff')));
  const Violation& last = bench_.tenant.violations().back();
  EXPECT_LE(last.stanza.size(), 4096u);
  EXPECT_LE(last.detail.size(), 4096u);
  for (const TenantEvent& event : bench_.events) {
    for (const auto& [key, text] : event.data) EXPECT_LE(text.size(), 4096u) << key;
  }
}

TEST_F(HostileDeviceTest, QueriesWithEndlessListsAreRefused) {
  NodeBuilder list("list");
  for (int i = 0; i < 65'000; ++i) list.child(NodeBuilder("user").attr("jid", good()));
  EXPECT_EQ(bad_.ask(query("usync", "get", "u")
                         .child(NodeBuilder("usync")
                                    .child(NodeBuilder("query").child(NodeBuilder("devices")))
                                    .child(std::move(list))))
                .root()
                .attr("type"),
            "error");
  expect_good_is_well();
}

TEST(LegibleTest, WhatIsNoUtf8IsReplacedAndWhatIsTooLongIsCut) {
  EXPECT_EQ(legible("plain \xc3\xa9 \xf0\x9f\x98\x80"), "plain \xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(legible("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(legible("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(legible("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd") << "overlong";
  EXPECT_EQ(legible("\xed\xa0\x80").size(), 9u) << "a surrogate";
  EXPECT_EQ(legible("\xf4\x90\x80\x80").size(), 12u) << "beyond the last character";
  EXPECT_EQ(legible("abc", 2), "ab");
  EXPECT_EQ(legible("a\xc3\xa9", 2), "a") << "no half characters";
  EXPECT_EQ(legible(""), "");
}

}  // namespace
}  // namespace wa::mock::test

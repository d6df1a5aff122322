#include <gtest/gtest.h>

#include "mockserver/core/test_devices.hpp"

/// What a restart of the server keeps, so that a client that knows nothing of it goes on.
namespace wa::mock::test {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

class SavedStateTest : public testing::Test {
 protected:
  SavedStateTest() {
    anna_.settle();
    ben_.settle();
  }
  /// The server ends, and another process begins with what it saved.
  Bench& restart() {
    const std::string saved = bench_.tenant.save();
    later_ = std::make_unique<Bench>(quiet_phones(), 2);
    EXPECT_TRUE(later_->tenant.load(saved));
    EXPECT_EQ(later_->tenant.save(), saved);
    return *later_;
  }
  /// A client of the server that began anew.
  std::unique_ptr<TestClient> log_in(Bench& bench, const TestDevice& device) {
    auto client = std::make_unique<TestClient>(bench, device.keys, "again");
    client->log_in(device.linked.phone, device.linked.device, false);
    bench.advance(std::chrono::milliseconds(100));
    return client;
  }
  static std::vector<wire::Frame> with_tag(TestClient& client, std::string_view tag) {
    std::vector<wire::Frame> frames;
    while (client.has_message()) {
      frames.push_back(client.receive());
      if (frames.back().root().tag != tag) frames.pop_back();
    }
    return frames;
  }

  Bench bench_{quiet_phones()};
  TestDevice anna_{bench_, "15550100001", "anna"};
  TestDevice ben_{bench_, "15550100002", "ben"};
  std::unique_ptr<Bench> later_;
};

TEST_F(SavedStateTest, WhatWaitsForADeviceComesAfterTheRestart) {
  ben_.disconnect();
  anna_.send(message_to(ben_.pn().without_device(), "M1", {ben_.pn()}));
  anna_.send(message_to(ben_.pn().without_device(), "M2", {ben_.pn()}));
  anna_.disconnect();
  Bench& later = restart();
  const auto ben = log_in(later, ben_);
  const auto waited = with_tag(*ben, "message");
  ASSERT_EQ(waited.size(), 2u);
  EXPECT_EQ(waited[0].root().attr("id"), "M1");
  EXPECT_EQ(waited[0].root().attr("offline"), "0");
  EXPECT_EQ(as_text(waited[0].root().child("enc")->bytes()), ben_.pn().to_string());
  ben->send(receipt_for(waited[0].root()));
  ben->disconnect();
  EXPECT_EQ(with_tag(*log_in(later, ben_), "message").size(), 1u) << "only what was not confirmed";
}

TEST_F(SavedStateTest, AReceiptForWhatCameBeforeTheRestartReachesItsSender) {
  anna_.send(message_to(ben_.pn().without_device(), "M1", {ben_.pn()}));
  const auto received = ben_.inbox("message");
  ASSERT_EQ(received.size(), 1u);
  anna_.disconnect();
  ben_.disconnect();
  Bench& later = restart();
  const auto ben = log_in(later, ben_);
  ben->drop_messages();
  NodeBuilder receipt("receipt");  // as B7 sends it at times: without its addressee
  ben->send(receipt.attr("id", "M1"));
  const auto told = with_tag(*log_in(later, anna_), "receipt");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].root().attr("id"), "M1");
}

TEST_F(SavedStateTest, WhatAPhoneHasSentCanBeAskedForAfterTheRestart) {
  (void)bench_.command(AddPhone{"15550100003", ""});
  const auto sent = bench_.command(
      SendMessage{"15550100003", ben_.pn().without_device().to_string(), SayText{"hello", ""}, ""});
  ASSERT_EQ(problem_code(sent), "ok");
  const auto received = ben_.inbox("message");
  ASSERT_EQ(received.size(), 1u);
  const Node& message = received[0].root();
  anna_.disconnect();
  ben_.disconnect();
  Bench& later = restart();
  const auto ben = log_in(later, ben_);
  ben->drop_messages();
  NodeBuilder retry = receipt_for(message, "retry");
  retry.child(NodeBuilder("retry").attr("count", 1).attr("id", std::string(message.attr("id"))));
  retry.child(NodeBuilder("registration").bytes(big_endian<4>(std::uint32_t{4242})));
  ben->send(retry);
  const auto again = with_tag(*ben, "message");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].root().attr("id"), message.attr("id"));
  EXPECT_EQ(again[0].root().child("enc")->attr("count"), "1");
}

TEST_F(SavedStateTest, NamesAndContactsStay) {
  anna_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Anna at work"));
  anna_.send(message_to(ben_.pn().without_device(), "M1", {ben_.pn()}));
  ben_.settle();
  anna_.disconnect();
  ben_.disconnect();
  Bench& later = restart();
  const auto ben = log_in(later, ben_);
  ben->drop_messages();
  // Who exchanged messages with an account hears of its new devices.
  const DeviceKeys more(later.random());
  (void)link_device(later, more, "15550100001");
  const auto notices = with_tag(*ben, "notification");
  ASSERT_EQ(notices.size(), 2u) << "under each of her names";
  EXPECT_EQ(notices[0].root().jid("from")->server, wire::kServerPn);
  EXPECT_EQ(notices[1].root().jid("from")->server, wire::kServerLid);
  EXPECT_EQ(notices[0].root().attr("type"), "devices");
  EXPECT_NE(notices[0].root().attr("id"), "1") << "numbers go on";
  const auto anna = log_in(later, anna_);
  anna->send(message_to(ben_.pn().without_device(), "M2", {ben_.pn()}));
  const auto messages = with_tag(*ben, "message");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].root().attr("notify"), "Anna at work");
}

TEST_F(SavedStateTest, BytesThatAreNoTextCanBeSavedAndLoaded) {
  ben_.disconnect();
  anna_.send(NodeBuilder("presence").attr("type", "available").attr("name", "\xff\xfe"));
  NodeBuilder stanza = message_to(ben_.pn().without_device(), "M1", {ben_.pn()});
  anna_.send(stanza.child(NodeBuilder("meta").attr("x", "\xc3\x28").bytes(as_bytes("\xff"))));
  anna_.disconnect();
  const auto ben = log_in(restart(), ben_);
  const auto messages = with_tag(*ben, "message");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].root().child("meta")->attr("x"), "\xc3\x28");
}

TEST_F(SavedStateTest, ADamagedMailboxIsRefused) {
  ben_.disconnect();
  anna_.send(message_to(ben_.pn().without_device(), "M1", {ben_.pn()}));
  const std::string saved = bench_.tenant.save();
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"stanza\":\"", "\"stanza\":\"!"},
                                                        {"\"stanza\":\"", "\"stanza\":\"AAAA"},
                                                        {"\"sent\":", "\"sent\":1,\"was\":"},
                                                        {"\"senders\":[", "\"senders\":[7,"},
                                                        {"\"contacts\":[", "\"contacts\":[7,"}}) {
    std::string text = saved;
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    Bench other;
    EXPECT_FALSE(other.tenant.load(text)) << to;
  }
}

}  // namespace
}  // namespace wa::mock::test

// Messages between linked devices: who gets which copy under which names, and what waits.

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>

#include "mockserver/core/test_devices.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::enc;
using test::message_to;
using test::receipt_for;
using test::TestDevice;
using wire::Frame;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

/// Anna has two devices; Bert has a current one and an old one (dictionary 2).
class MessagesTest : public testing::Test {
 protected:
  MessagesTest() {
    for (TestDevice* device : {&anna_, &other_anna_, &bert_, &old_bert_}) device->settle();
  }
  static std::string body(const Node& message) {
    const Node* content = message.child("enc");
    return content == nullptr ? "" : std::string(as_text(content->bytes()));
  }
  /// To Bert by number, with a copy for every device of both.
  NodeBuilder to_bert(std::string id) {
    return message_to(
        bert_pn_, std::move(id),
        {bert_pn_, bert_.pn(), old_bert_.pn(), anna_.pn().without_device(), other_anna_.pn()});
  }
  Words ids(const std::vector<Frame>& frames) {
    Words words;
    for (const Frame& frame : frames) words.emplace_back(frame.root().attr("id"));
    return words;
  }
  std::string ack_error(const Frame& ack) { return std::string(ack.root().attr("error")); }
  static Settings without_history() {
    Settings settings;
    settings.initial_history = false;
    return settings;
  }

  Bench bench_{without_history()};
  TestDevice anna_{bench_, "15550100001", "anna"};
  TestDevice other_anna_{bench_, "15550100001", "anna-2"};
  TestDevice bert_{bench_, "15550100002", "bert"};
  TestDevice old_bert_{bench_, "15550100002", "bert-old", wire::Dictionary::v2};
  Jid anna_pn_ = anna_.pn().without_device();
  Jid anna_lid_ = anna_.lid().without_device();
  Jid bert_pn_ = bert_.pn().without_device();
  Jid bert_lid_ = bert_.lid().without_device();
};

TEST_F(MessagesTest, EveryDeviceOfBothAccountsGetsItsOwnCopy) {
  anna_.send(to_bert("M1"));
  const auto at_bert = bert_.inbox("message");
  const auto at_old_bert = old_bert_.inbox("message");
  const auto at_other_anna = other_anna_.inbox("message");
  ASSERT_EQ(at_bert.size(), 1u);
  ASSERT_EQ(at_old_bert.size(), 1u);
  ASSERT_EQ(at_other_anna.size(), 1u);
  EXPECT_EQ(body(at_bert[0].root()), bert_.pn().to_string());
  EXPECT_EQ(body(at_old_bert[0].root()), old_bert_.pn().to_string());
  EXPECT_EQ(body(at_other_anna[0].root()), other_anna_.pn().to_string());
  EXPECT_EQ(at_bert[0].root().child("participants"), nullptr);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, CurrentDevicesAreShownLidsAndOldOnesNumbers) {
  anna_.send(to_bert("M1"));
  const auto frames = bert_.inbox("message");
  ASSERT_EQ(frames.size(), 1u);
  const Node& hidden = frames[0].root();
  EXPECT_EQ(hidden.jid("from"), anna_.lid());
  EXPECT_EQ(hidden.jid("sender_pn"), anna_pn_);
  EXPECT_FALSE(hidden.has_attr("sender_lid"));
  EXPECT_FALSE(hidden.has_attr("recipient"));
  EXPECT_EQ(hidden.attr("addressing_mode"), "lid");
  EXPECT_EQ(hidden.attr("type"), "text");
  EXPECT_EQ(hidden.number("t"), static_cast<std::uint64_t>(bench_.now().wall.seconds()));
  const auto old_frames = old_bert_.inbox("message");
  ASSERT_EQ(old_frames.size(), 1u);
  const Node& plain = old_frames[0].root();
  EXPECT_EQ(plain.jid("from"), anna_.pn());
  EXPECT_EQ(plain.jid("sender_lid"), anna_lid_);
  EXPECT_EQ(plain.attr("addressing_mode"), "pn");
}

// B7 and WM read an attribute with `@` in it only as a JID when it was sent as one.
TEST_F(MessagesTest, JidsAreSentAsJids) {
  anna_.send(to_bert("M1"));
  const auto frames = bert_.inbox("message");
  ASSERT_EQ(frames.size(), 1u);
  for (const char* key : {"from", "sender_pn"}) {
    EXPECT_EQ(frames[0].root().attr(key), "") << key << " is text";
    EXPECT_NE(frames[0].root().printed(key), "") << key;
  }
}

// B7 takes the other name for the chat's: the sender's there would make both one person.
TEST_F(MessagesTest, OwnDevicesAreToldTheChatByBothNames) {
  anna_.send(to_bert("M1"));
  const auto frames = other_anna_.inbox("message");
  ASSERT_EQ(frames.size(), 1u);
  const Node& copy = frames[0].root();
  EXPECT_EQ(copy.jid("from"), anna_.lid());
  EXPECT_EQ(copy.jid("recipient"), bert_lid_);
  EXPECT_EQ(copy.jid("peer_recipient_pn"), bert_pn_);
  EXPECT_FALSE(copy.has_attr("sender_pn"));
}

TEST_F(MessagesTest, TheAckComesFirstAndIsOfItsFamily) {
  anna_.send(to_bert("M1"));
  const auto frames = anna_.inbox();
  ASSERT_FALSE(frames.empty());
  const Node& ack = frames[0].root();
  EXPECT_EQ(ack.tag, "ack");
  EXPECT_EQ(ack.attr("class"), "message");
  EXPECT_EQ(ack.attr("id"), "M1");
  EXPECT_EQ(ack.jid("from"), bert_pn_);
  EXPECT_TRUE(ack.number("t"));
  EXPECT_FALSE(ack.has_attr("error"));
  EXPECT_FALSE(ack.has_attr("phash")) << "no device was missing";
}

TEST_F(MessagesTest, APhoneAsksTheSendingDeviceAloneForWhatItCannotRead) {
  anna_.send(to_bert("M1"));
  const auto receipts = anna_.inbox("receipt");
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_EQ(receipts[0].root().jid("from"), bert_pn_) << "by the name that Anna used";
  EXPECT_EQ(receipts[0].root().attr("type"), "retry");
  EXPECT_EQ(receipts[1].root().jid("from"), anna_pn_) << "her own phone";
  EXPECT_EQ(receipts[1].root().attr("type"), "retry");
  EXPECT_EQ(receipts[1].root().jid("recipient"), bert_pn_);
  EXPECT_EQ(ids(other_anna_.inbox("receipt")), Words{});
}

TEST_F(MessagesTest, OnlyTheDevicesOfAFirstMessageGetTheIdentity) {
  NodeBuilder message("message");
  message.attr("id", "M1").attr("to", bert_pn_).attr("type", "text").attr("edit", "1");
  message.child(
      NodeBuilder("participants")
          .child(NodeBuilder("to").attr("jid", bert_.pn()).child(enc("pkmsg", "first")))
          .child(NodeBuilder("to").attr("jid", old_bert_.pn()).child(enc("msg", "next"))));
  message.child(NodeBuilder("device-identity").bytes(as_bytes("who")));
  message.child(NodeBuilder("meta").attr("polltype", "creation"));
  message.child(NodeBuilder("tctoken").bytes(as_bytes("for the server")));
  anna_.send(message);
  const auto first = bert_.inbox("message");
  const auto next = old_bert_.inbox("message");
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(next.size(), 1u);
  ASSERT_NE(first[0].root().child("device-identity"), nullptr);
  EXPECT_EQ(as_text(first[0].root().child("device-identity")->bytes()), "who");
  EXPECT_EQ(next[0].root().child("device-identity"), nullptr);
  for (const auto* frames : {&first, &next}) {
    const Node& node = frames->front().root();
    EXPECT_EQ(node.attr("edit"), "1");
    ASSERT_NE(node.child("meta"), nullptr);
    EXPECT_EQ(node.child("meta")->attr("polltype"), "creation");
    EXPECT_EQ(node.child("tctoken"), nullptr);
  }
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, APushNameIsShownAsItWasPublishedLast) {
  anna_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Anna"));
  anna_.send(to_bert("M1"));
  EXPECT_EQ(bert_.inbox("message").at(0).root().attr("notify"), "Anna");
}

TEST_F(MessagesTest, AMessageToOneselfGoesToTheOtherDevicesOnly) {
  anna_.send(message_to(anna_pn_, "M1", {anna_pn_, anna_.pn(), other_anna_.pn()}));
  const auto copies = other_anna_.inbox("message");
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].root().jid("recipient"), anna_lid_);
  EXPECT_EQ(anna_.inbox("message").size(), 0u);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, APeerMessageGoesToTheOwnPhoneOnly) {
  anna_.send(NodeBuilder("message")
                 .attr("id", "P1")
                 .attr("to", anna_pn_)
                 .attr("type", "text")
                 .attr("category", "peer")
                 .child(enc("msg", "keys?")));
  const auto frames = anna_.inbox();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].root().tag, "ack");
  EXPECT_EQ(frames[1].root().tag, "receipt");
  EXPECT_EQ(frames[1].root().attr("type"), "retry") << "no phone reads that";
  EXPECT_EQ(other_anna_.inbox().size(), 0u);
  anna_.send(NodeBuilder("message")
                 .attr("id", "P2")
                 .attr("to", bert_pn_)
                 .attr("type", "text")
                 .attr("category", "peer")
                 .child(enc("msg", "keys?")));
  EXPECT_EQ(ack_error(anna_.inbox("ack").at(0)), "479");
  EXPECT_EQ(bench_.rules(), Words{"message-recipient"});
}

TEST_F(MessagesTest, AResendGoesToTheDeviceThatAskedForIt) {
  anna_.send(to_bert("M1"));
  (void)bert_.inbox();
  (void)old_bert_.inbox();
  NodeBuilder again = enc("msg", "again");
  again.attr("count", "1");
  anna_.send(NodeBuilder("message")
                 .attr("id", "M1")
                 .attr("to", bert_.lid())
                 .attr("type", "text")
                 .attr("device_fanout", "false")
                 .child(std::move(again)));
  const auto frames = bert_.inbox("message");
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].root().attr("id"), "M1");
  EXPECT_EQ(frames[0].root().child("enc")->attr("count"), "1");
  EXPECT_EQ(old_bert_.inbox("message").size(), 0u);
  EXPECT_FALSE(anna_.inbox("ack").back().root().has_attr("phash"));
}

TEST_F(MessagesTest, AResendToAnOwnDeviceKeepsItsChat) {
  anna_.send(NodeBuilder("message")
                 .attr("id", "M1")
                 .attr("to", other_anna_.pn())
                 .attr("recipient", bert_pn_)
                 .attr("type", "text")
                 .child(enc("msg", "again")));
  const auto frames = other_anna_.inbox("message");
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].root().jid("recipient"), bert_lid_);
}

TEST_F(MessagesTest, AnIncompleteSetOfDevicesIsToldByItsHash) {
  anna_.send(message_to(bert_pn_, "M1", {bert_pn_, bert_.pn()}));
  const std::string hash(anna_.inbox("ack").at(0).root().attr("phash"));
  EXPECT_EQ(hash.size(), 10u);
  EXPECT_TRUE(hash.starts_with("2:")) << hash;
  EXPECT_EQ(bench_.rules(), Words{}) << "device lists may be old";
}

TEST_F(MessagesTest, CopiesForDevicesThatAreGoneAreDropped) {
  Jid gone = bert_.pn();
  gone.device = 77;
  anna_.send(message_to(bert_pn_, "M1", {gone, bert_.pn()}));
  EXPECT_EQ(bert_.inbox("message").size(), 1u);
  EXPECT_FALSE(anna_.inbox("ack").at(0).root().has_attr("error"));
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, ADeviceGetsOneCopyHoweverOftenItIsNamed) {
  anna_.send(message_to(bert_pn_, "M1", {bert_.pn(), bert_.pn(), bert_.lid()}));
  EXPECT_EQ(bert_.inbox("message").size(), 1u);
  EXPECT_EQ(bench_.rules(), Words{"message-shape"});
}

TEST_F(MessagesTest, WhoHasNoPartInItGetsNothing) {
  TestDevice carl(bench_, "15550100003", "carl");
  anna_.send(message_to(bert_pn_, "M1", {carl.pn(), bert_.pn()}));
  EXPECT_EQ(carl.inbox("message").size(), 0u);
  EXPECT_EQ(bert_.inbox("message").size(), 1u);
  EXPECT_EQ(bench_.rules(), Words{"message-participants"});
}

TEST_F(MessagesTest, StrangersAndShapesThatNobodyCanReadAreRefused) {
  struct Case {
    std::string name;
    NodeBuilder message;
    std::string error;
    std::string rule;
  };
  const auto empty = [](const Jid& to) {
    return NodeBuilder("message").attr("id", "M").attr("to", to).attr("type", "text");
  };
  const Jid stranger("15550199999", wire::kServerPn);
  const std::vector<Case> cases = {
      {"a stranger", message_to(stranger, "M", {stranger}), "404", "message-recipient"},
      {"no enc", empty(bert_pn_), "479", "message-shape"},
      {"no readable enc", empty(bert_pn_).child(enc("rot13", "x")), "479", "message-shape"},
      {"an enc of another version",
       empty(bert_pn_).child(
           NodeBuilder("enc").attr("v", "3").attr("type", "msg").bytes(as_bytes("x"))),
       "479", "message-shape"},
      {"an empty enc", empty(bert_pn_).child(enc("msg", "")), "479", "message-shape"},
      {"the server", message_to(Jid::server_itself(), "M", {bert_.pn()}), "479", "message-shape"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    const std::size_t before = bench_.rules().size();
    anna_.send(each.message);
    const auto acks = anna_.inbox("ack");
    ASSERT_EQ(acks.size(), 1u);
    EXPECT_EQ(ack_error(acks[0]), each.error);
    ASSERT_EQ(bench_.rules().size(), before + 1);
    EXPECT_EQ(bench_.rules().back(), each.rule);
    EXPECT_EQ(bert_.inbox("message").size(), 0u);
  }
}

TEST_F(MessagesTest, AMessageWithoutIdIsBlamedAndCannotBeAcknowledged) {
  anna_.send(NodeBuilder("message").attr("to", bert_pn_).child(enc("msg", "x")));
  EXPECT_EQ(anna_.inbox().size(), 0u);
  EXPECT_EQ(bench_.rules(), Words{"message-shape"});
}

TEST_F(MessagesTest, FlawsThatDoNotPreventDeliveryAreNoted) {
  anna_.send(
      NodeBuilder("message").attr("id", "M1").attr("to", bert_.pn()).child(enc("pkmsg", "x")));
  EXPECT_EQ(bert_.inbox("message").size(), 1u);
  EXPECT_EQ(bench_.rules(), (Words{"message-shape", "message-identity"}));
}

TEST_F(MessagesTest, TenThousandCopiesAreReadAndBlamedInBounds) {
  std::vector<Jid> devices(10'000, bert_.pn());
  anna_.send(message_to(bert_pn_, "M1", devices));
  EXPECT_EQ(bert_.inbox("message").size(), 1u);
  EXPECT_LE(bench_.rules().size(), 8u);
  devices.clear();
  for (int i = 0; i < 10'000; ++i) {
    devices.emplace_back(std::to_string(20'000'000 + i), wire::kServerPn, 1);
  }
  anna_.send(message_to(bert_pn_, "M2", devices));
  EXPECT_EQ(ids(anna_.inbox("ack")), (Words{"M1", "M2"}));
}

TEST_F(MessagesTest, AnAckThatAFaultTurnsIntoAnErrorDeliversNothing) {
  const auto fault = FaultRecord::parse(
      boost::json::parse(R"({"fault":"ack_error","args":{"code":500},"budget":1})"));
  ASSERT_TRUE(fault);
  (void)bench_.command(AddFault{*fault});
  anna_.send(to_bert("M1"));
  EXPECT_EQ(ack_error(anna_.inbox("ack").at(0)), "500");
  EXPECT_EQ(bert_.inbox().size(), 0u);
}

// ---- receipts ----------------------------------------------------------------------------------

TEST_F(MessagesTest, ADeliveryIsToldToEveryDeviceOfTheSender) {
  anna_.send(to_bert("M1"));
  (void)anna_.inbox();
  (void)other_anna_.inbox();
  const auto message = bert_.inbox("message");
  bert_.send(receipt_for(message.at(0).root()));
  const auto ack = bert_.inbox();
  ASSERT_EQ(ack.size(), 1u);
  EXPECT_EQ(ack[0].root().attr("class"), "receipt");
  EXPECT_EQ(ack[0].root().attr("id"), "M1");
  for (TestDevice* device : {&anna_, &other_anna_}) {
    const auto receipts = device->inbox();
    ASSERT_EQ(receipts.size(), 1u);
    EXPECT_EQ(receipts[0].root().jid("from"), bert_.pn());
    EXPECT_FALSE(receipts[0].root().has_attr("type"));
    EXPECT_FALSE(receipts[0].root().has_attr("recipient"));
  }
  EXPECT_EQ(old_bert_.inbox("receipt").size(), 0u);
}

TEST_F(MessagesTest, AReadIsToldToTheSenderAndToTheReadersOtherDevices) {
  anna_.send(to_bert("M1"));
  const auto message = bert_.inbox("message");
  for (TestDevice* device : {&anna_, &other_anna_, &bert_, &old_bert_}) (void)device->inbox();
  NodeBuilder read("receipt");
  read.attr("id", "M1").attr("to", anna_lid_).attr("type", "read");
  read.child(NodeBuilder("list").child(NodeBuilder("item").attr("id", "M0")));
  bert_.send(read);
  const auto at_anna = anna_.inbox("receipt");
  ASSERT_EQ(at_anna.size(), 1u);
  EXPECT_EQ(at_anna[0].root().attr("type"), "read");
  ASSERT_NE(at_anna[0].root().child("list"), nullptr);
  EXPECT_EQ(at_anna[0].root().child("list")->first_child()->attr("id"), "M0");
  EXPECT_EQ(other_anna_.inbox("receipt").size(), 1u);
  const auto at_old_bert = old_bert_.inbox("receipt");
  ASSERT_EQ(at_old_bert.size(), 1u);
  EXPECT_EQ(at_old_bert[0].root().jid("from"), bert_.pn());
  EXPECT_EQ(at_old_bert[0].root().jid("recipient"), anna_pn_);
}

TEST_F(MessagesTest, WhoHidesReadReceiptsTellsOnlyTheOwnDevices) {
  anna_.send(to_bert("M1"));
  for (TestDevice* device : {&anna_, &other_anna_, &bert_, &old_bert_}) (void)device->inbox();
  bert_.send(
      NodeBuilder("receipt").attr("id", "M1").attr("to", anna_lid_).attr("type", "read-self"));
  EXPECT_EQ(anna_.inbox("receipt").size(), 0u);
  EXPECT_EQ(old_bert_.inbox("receipt").size(), 1u);
}

TEST_F(MessagesTest, TheCopyOfAnOwnMessageIsConfirmedToItsAuthorAlone) {
  anna_.send(to_bert("M1"));
  const auto copy = other_anna_.inbox("message");
  (void)anna_.inbox();
  (void)bert_.inbox();
  other_anna_.send(receipt_for(copy.at(0).root(), "sender"));
  const auto receipts = anna_.inbox("receipt");
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_EQ(receipts[0].root().attr("type"), "sender");
  EXPECT_EQ(receipts[0].root().jid("recipient"), bert_pn_);
  EXPECT_EQ(bert_.inbox("receipt").size(), 0u);
  // B7 leaves `to` out at times.
  other_anna_.send(
      NodeBuilder("receipt").attr("id", "M1").attr("recipient", bert_pn_).attr("type", "sender"));
  EXPECT_EQ(ids(anna_.inbox("receipt")), Words{"M1"});
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, ARetryGoesUnchangedToTheDeviceThatSent) {
  anna_.send(to_bert("M1"));
  const auto message = bert_.inbox("message");
  (void)anna_.inbox();
  (void)other_anna_.inbox();
  NodeBuilder retry = receipt_for(message.at(0).root(), "retry");
  retry.child(NodeBuilder("retry").attr("count", "2").attr("id", "M1").attr("v", "1"));
  retry.child(NodeBuilder("registration").bytes(big_endian<4>(4242)));
  retry.child(NodeBuilder("keys").child(NodeBuilder("type").bytes(Bytes{std::byte{5}})));
  bert_.send(retry);
  const auto receipts = anna_.inbox("receipt");
  ASSERT_EQ(receipts.size(), 1u);
  const Node& asked = receipts[0].root();
  EXPECT_EQ(asked.jid("from"), bert_.pn());
  EXPECT_EQ(asked.attr("type"), "retry");
  EXPECT_FALSE(asked.has_attr("recipient")) << "B7 takes it for somebody else's message";
  ASSERT_EQ(asked.children().size(), 3u);
  EXPECT_EQ(asked.child("retry")->attr("count"), "2");
  EXPECT_EQ(read_big_endian(asked.child("registration")->bytes()), 4242u);
  EXPECT_NE(asked.child("keys")->child("type"), nullptr);
  EXPECT_EQ(other_anna_.inbox("receipt").size(), 0u);
}

TEST_F(MessagesTest, ReceiptsOfTheWrongShapeAreBlamed) {
  bert_.send(NodeBuilder("receipt").attr("to", anna_lid_));
  EXPECT_EQ(bert_.inbox().size(), 0u) << "without an id there is nothing to acknowledge";
  bert_.send(NodeBuilder("receipt").attr("id", "M1").attr("to", anna_lid_).attr("type", "retry"));
  EXPECT_EQ(bert_.inbox("ack").size(), 1u);
  EXPECT_EQ(bench_.rules(), (Words{"receipt-shape", "receipt-shape"}));
}

TEST_F(MessagesTest, ReceiptsForNobodysMessagesComeToNothing) {
  const Jid stranger("15550199999", wire::kServerPn, 3);
  bert_.send(NodeBuilder("receipt").attr("id", "M9").attr("to", stranger));
  bert_.send(NodeBuilder("receipt").attr("id", "M9"));
  bert_.send(NodeBuilder("receipt").attr("id", "M9").attr("to", Jid::server_itself()));
  EXPECT_EQ(bert_.inbox("ack").size(), 3u);
  EXPECT_EQ(bench_.rules(), Words{});
}

// ---- what is not acknowledged ------------------------------------------------------------------

TEST_F(MessagesTest, WhatComesWhileADeviceIsAwayWaitsInOrder) {
  bert_.disconnect();
  for (const char* id : {"M1", "M2", "M3"}) anna_.send(to_bert(id));
  bert_.log_in_unread();
  const auto frames = bert_.inbox();
  Words words;
  for (const Frame& frame : frames) {
    const Node& node = frame.root();
    if (node.tag == "message") {
      words.push_back(std::string(node.attr("id")) + (node.has_attr("offline") ? "!" : ""));
    } else if (node.tag == "ib") {
      words.push_back(std::string(node.first_child()->tag) + " " +
                      node.first_child()->printed("count"));
    }
  }
  EXPECT_EQ(words, (Words{"edge_routing ", "offline_preview 3", "M1!", "M2!", "M3!", "offline 3"}));
  anna_.send(to_bert("M4"));
  EXPECT_FALSE(bert_.inbox("message").at(0).root().has_attr("offline"));
}

TEST_F(MessagesTest, APassiveLoginGetsItWhenItGoesActive) {
  bert_.disconnect();
  anna_.send(to_bert("M1"));
  bert_.log_in_unread(true);
  EXPECT_EQ(bert_.inbox("message").size(), 0u);
  anna_.send(to_bert("M2"));
  EXPECT_EQ(bert_.inbox("message").size(), 0u) << "nothing overtakes what waits";
  bert_.send(test::query("passive", "set", "1").child(NodeBuilder("active")));
  EXPECT_EQ(ids(bert_.inbox("message")), (Words{"M1", "M2"}));
}

TEST_F(MessagesTest, WhatIsNotConfirmedComesAgainAndWhatIsDoesNot) {
  for (const char* id : {"M1", "M2", "M3", "M4"}) anna_.send(to_bert(id));
  const auto messages = bert_.inbox("message");
  ASSERT_EQ(messages.size(), 4u);
  bert_.send(receipt_for(messages[0].root()));
  NodeBuilder retry = receipt_for(messages[1].root(), "retry");
  retry.child(NodeBuilder("retry").attr("count", "1"));
  retry.child(NodeBuilder("registration").bytes(big_endian<4>(1)));
  bert_.send(retry);
  bert_.send(NodeBuilder("ack").attr("class", "message").attr("id", "M3").attr("to", anna_.lid()));
  bert_.disconnect();
  bert_.log_in_unread();
  const auto again = bert_.inbox("message");
  ASSERT_EQ(ids(again), Words{"M4"});
  EXPECT_TRUE(again[0].root().has_attr("offline"));
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, AReceiptForSeveralMessagesConfirmsThemAll) {
  for (const char* id : {"M1", "M2", "M3"}) anna_.send(to_bert(id));
  (void)bert_.inbox();
  NodeBuilder receipt("receipt");
  receipt.attr("id", "M1").attr("to", anna_.lid());
  receipt.child(NodeBuilder("list")
                    .child(NodeBuilder("item").attr("id", "M2"))
                    .child(NodeBuilder("item").attr("id", "M3")));
  bert_.send(receipt);
  bert_.disconnect();
  bert_.log_in_unread();
  EXPECT_EQ(bert_.inbox("message").size(), 0u);
}

TEST_F(MessagesTest, ReceiptsForOneMessageAreAckedInAnyOrder) {
  anna_.send(to_bert("M1"));
  const auto message = bert_.inbox("message");
  bert_.send(receipt_for(message.at(0).root()));
  auto receipts = anna_.inbox("receipt");
  ASSERT_EQ(receipts.size(), 3u) << "two phones that cannot read it, and Bert";
  std::reverse(receipts.begin(), receipts.end());
  for (const wire::Frame& receipt : receipts) {
    NodeBuilder ack("ack");
    ack.attr("class", "receipt").attr("id", "M1").attr("to", *receipt.root().jid("from"));
    if (receipt.root().has_attr("type")) ack.attr("type", receipt.root().printed("type"));
    anna_.send(ack);
  }
  EXPECT_EQ(bench_.rules(), Words{});
}

// B6 sends both, B7 and WM the receipt alone.
TEST_F(MessagesTest, AReceiptMayBeFollowedByOneAck) {
  anna_.send(to_bert("M1"));
  const auto messages = bert_.inbox("message");
  const auto ack =
      NodeBuilder("ack").attr("class", "message").attr("id", "M1").attr("to", anna_.lid());
  bert_.send(receipt_for(messages.at(0).root()));
  bert_.send(ack);
  EXPECT_EQ(bench_.rules(), Words{});
  bert_.send(ack);
  EXPECT_EQ(bench_.rules(), Words{"ack-unknown"});
}

TEST_F(MessagesTest, WhoWantsItInBatchesGetsTheNextWhenOneIsConfirmed) {
  bert_.disconnect();
  for (int i = 1; i <= 5; ++i) anna_.send(to_bert("M" + std::to_string(i)));
  bert_.log_in_unread(true);
  bert_.send(NodeBuilder("ib").child(NodeBuilder("offline_batch").attr("count", "2")));
  bert_.send(test::query("passive", "set", "1").child(NodeBuilder("active")));
  auto frames = bert_.inbox();
  const auto messages = [&] {
    Words words;
    for (const Frame& frame : frames) {
      if (frame.root().tag == "message") words.emplace_back(frame.root().attr("id"));
    }
    return words;
  };
  EXPECT_EQ(messages(), (Words{"M1", "M2"}));
  bert_.send(NodeBuilder("receipt").attr("id", "M1").attr("to", anna_.lid()));
  frames = bert_.inbox();
  EXPECT_EQ(messages(), Words{}) << "one of the batch is still out";
  bert_.send(NodeBuilder("receipt").attr("id", "M2").attr("to", anna_.lid()));
  frames = bert_.inbox();
  EXPECT_EQ(messages(), (Words{"M3", "M4"}));
  bert_.send(NodeBuilder("ib").child(NodeBuilder("offline_batch").attr("count", "100")));
  frames = bert_.inbox();
  EXPECT_EQ(messages(), Words{"M5"}) << "it may ask for more before";
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().root().first_child()->attr("count"), "5");
}

TEST_F(MessagesTest, WhoConfirmsNothingGetsTheNextBatchAfterAWhile) {
  bert_.disconnect();
  for (const char* id : {"M1", "M2"}) anna_.send(to_bert(id));
  bert_.log_in_unread(true);
  bert_.send(NodeBuilder("ib").child(NodeBuilder("offline_batch").attr("count", "1")));
  bert_.send(test::query("passive", "set", "1").child(NodeBuilder("active")));
  EXPECT_EQ(ids(bert_.inbox("message")), Words{"M1"});
  bench_.advance(std::chrono::seconds(10));
  EXPECT_EQ(ids(bert_.inbox("message")), Words{"M2"});
  bert_.send(NodeBuilder("ib").child(NodeBuilder("offline_batch").attr("count", "0")));
  EXPECT_EQ(bench_.rules(), Words{"offline-batch"});
}

TEST_F(MessagesTest, ReceiptsWaitLikeMessages) {
  anna_.send(to_bert("M1"));
  const auto message = bert_.inbox("message");
  anna_.disconnect();
  bert_.send(receipt_for(message.at(0).root()));
  anna_.log_in_unread();
  const auto receipts = anna_.inbox("receipt");
  EXPECT_EQ(ids(receipts), (Words{"M1", "M1", "M1"})) << "two phones had confirmed before";
  EXPECT_TRUE(receipts.back().root().has_attr("offline"));
}

TEST_F(MessagesTest, ADeviceThatIsUnlinkedLeavesNothingBehind) {
  bert_.disconnect();
  anna_.send(to_bert("M1"));
  (void)bench_.command(Unlink{bert_.phone_id(), bert_.pn().to_string()});
  bert_.log_in_unread();
  const auto frames = bert_.inbox();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].root().tag, "failure");
  anna_.send(to_bert("M2"));
  EXPECT_TRUE(anna_.inbox("ack").back().root().has_attr("phash"));
}

// ---- presence ----------------------------------------------------------------------------------

TEST_F(MessagesTest, WhoFollowsSomebodyIsToldWhetherHeIsThere) {
  anna_.send(NodeBuilder("presence").attr("type", "subscribe").attr("to", bert_pn_));
  auto told = anna_.inbox("presence");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].root().jid("from"), bert_pn_) << "by the name that was asked for";
  EXPECT_EQ(told[0].root().attr("type"), "unavailable");
  EXPECT_EQ(told[0].root().attr("last"), "none");
  bert_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Bert"));
  told = anna_.inbox("presence");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].root().has_attr("type"));
  old_bert_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Bert"));
  bert_.disconnect();
  EXPECT_EQ(anna_.inbox("presence").size(), 0u) << "his other device is still there";
  old_bert_.send(NodeBuilder("presence").attr("type", "unavailable").attr("name", "Bert"));
  told = anna_.inbox("presence");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].root().number("last"), static_cast<std::uint64_t>(bench_.now().wall.seconds()));
  anna_.send(NodeBuilder("presence").attr("type", "unsubscribe").attr("to", bert_pn_));
  old_bert_.send(NodeBuilder("presence").attr("type", "available").attr("name", "Bert"));
  EXPECT_EQ(anna_.inbox("presence").size(), 0u);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(MessagesTest, ChatStatesGoToDevicesThatAreThereAndAreNotKept) {
  old_bert_.disconnect();
  const auto composing = NodeBuilder("chatstate")
                             .attr("to", bert_pn_)
                             .child(NodeBuilder("composing").attr("media", "audio"));
  anna_.send(composing);
  const auto states = bert_.inbox("chatstate");
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].root().jid("from"), anna_lid_);
  EXPECT_EQ(states[0].root().child("composing")->attr("media"), "audio");
  old_bert_.log_in_unread();
  EXPECT_EQ(old_bert_.inbox("chatstate").size(), 0u);
  anna_.send(NodeBuilder("chatstate").attr("to", bert_pn_).child(NodeBuilder("dancing")));
  anna_.send(NodeBuilder("presence").attr("type", "subscribe"));
  EXPECT_EQ(bench_.rules(), (Words{"chatstate-shape", "presence-shape"}));
}

TEST_F(MessagesTest, ARejectedCallIsAcknowledged) {
  anna_.send(NodeBuilder("call")
                 .attr("id", "C1")
                 .attr("to", bert_pn_)
                 .child(NodeBuilder("reject").attr("call-id", "X")));
  const auto acks = anna_.inbox("ack");
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0].root().attr("class"), "call");
  EXPECT_EQ(acks[0].root().attr("type"), "reject");
}

}  // namespace
}  // namespace wa::mock

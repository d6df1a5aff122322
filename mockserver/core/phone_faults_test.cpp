// Faults of the end-to-end layer, with a phone at one end and a companion of another at the other.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "mockserver/core/test_signal.hpp"

namespace wa::mock {
namespace {

using signal::Failure;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::TestClient;
using test::TestSignal;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr const char* kAnna = "15550100001";
constexpr const char* kBen = "15550100002";

Settings without_history() {
  Settings settings;
  settings.initial_history = false;
  return settings;
}

/// Ben's phone and Anna's companion have written to each other.
class PhoneFaultsTest : public testing::Test {
 protected:
  PhoneFaultsTest() {
    (void)bench_.command(AddPhone{kBen, "Ben"});
    client_.log_in(linked_.phone, linked_.device, false);
    client_.drop_messages();
    say("the first word");
    (void)signal_.read(next("message").root());
    write("A1", "the second word");
    client_.drop_messages();
  }

  std::string fault(std::string_view json) {
    const auto record = FaultRecord::parse(boost::json::parse(json));
    EXPECT_TRUE(record) << (record ? "" : record.error().detail);
    return std::get<CommandResult>(*bench_.command(AddFault{*record})).value;
  }
  void strike(std::string_view json) { (void)bench_.command(FireFault{fault(json)}); }
  /// Ben's phone writes to Anna.
  std::string say(std::string text) {
    const auto sent = bench_.command(SendMessage{kBen, kAnna, SayText{std::move(text), ""}, ""});
    return std::get<CommandResult>(*sent).value;
  }
  /// Anna's companion writes to Ben's phone.
  void write(std::string id, std::string text) {
    client_.send(signal_.write(std::move(id), Jid(kBen, wire::kServerPn), std::move(text)));
  }
  /// The next stanza of this kind; others are passed over.
  wire::Frame next(std::string_view tag) {
    while (client_.has_message()) {
      wire::Frame frame = client_.receive();
      if (frame.root().tag == tag) return frame;
    }
    ADD_FAILURE() << "no <" << tag << "> came";
    return *wire::decode(wire::encode(NodeBuilder("none"), wire::Dictionary::v3),
                         wire::Dictionary::v3);
  }
  void ask_again(const Node& stanza) {
    client_.send(NodeBuilder("receipt")
                     .attr("id", stanza.printed("id"))
                     .attr("to", *stanza.jid("from"))
                     .attr("type", "retry")
                     .child(NodeBuilder("retry").attr("count", "1"))
                     .child(NodeBuilder("registration").bytes(registration_id())));
  }
  Bytes registration_id() const {
    Bytes bytes(4);
    for (unsigned i = 0; i < 4; ++i) {
      bytes[3 - i] = static_cast<std::byte>(keys_.registration().registration_id >> (8 * i));
    }
    return bytes;
  }
  const PhoneMessage& last_of_ben() { return bench_.tenant.messages(kBen)->back(); }

  Bench bench_{without_history()};
  DeviceKeys keys_{bench_.random()};
  Linked linked_ = test::link_device(bench_, keys_, kAnna);
  TestClient client_{bench_, keys_};
  TestSignal signal_{keys_, bench_.random()};
};

TEST_F(PhoneFaultsTest, TheyHaveWrittenToEachOther) {
  EXPECT_EQ(last_of_ben().text, "the second word");
  EXPECT_EQ(last_of_ben().failures, 0u);
}

TEST_F(PhoneFaultsTest, WhatWasReadIsConfirmed) {
  write("A2", "hello");
  const wire::Frame receipt = next("receipt");
  EXPECT_EQ(receipt.root().attr("id"), "A2");
  EXPECT_EQ(receipt.root().jid("from"), Jid(kBen, wire::kServerPn));
  EXPECT_FALSE(receipt.root().has_attr("type"));
}

TEST_F(PhoneFaultsTest, ASpoiltMessageComesAgainAsItWas) {
  fault(R"({"fault":"corrupt_enc","args":{"part":"mac"},"budget":1,
            "where":{"direction":"to_client","stanza":{"tag":"message"}}})");
  say("hello");
  const wire::Frame spoilt = next("message");
  EXPECT_EQ(signal_.try_read(spoilt.root()).error().why, Failure::bad_mac);
  ask_again(spoilt.root());
  const wire::Frame again = next("message");
  EXPECT_EQ(again.root().attr("id"), spoilt.root().attr("id"));
  EXPECT_EQ(std::get<message::Text>(signal_.read(again.root()).content).text, "hello");
}

TEST_F(PhoneFaultsTest, WhatIsSpoiltOnItsWayToAPhoneIsAskedForAgain) {
  fault(R"({"fault":"corrupt_enc","args":{"part":"body"},"budget":1,
            "where":{"direction":"to_server","stanza":{"tag":"message"}}})");
  write("A2", "hello");
  EXPECT_EQ(last_of_ben().kind, "unreadable");
  EXPECT_EQ(last_of_ben().why, "bad_mac");
  const wire::Frame receipt = next("receipt");
  EXPECT_EQ(receipt.root().attr("type"), "retry");
  EXPECT_EQ(receipt.root().child("retry")->attr("error"), "7");
  EXPECT_EQ(receipt.root().child("keys"), nullptr);
  write("A2", "hello");
  EXPECT_EQ(last_of_ben().text, "hello");
  EXPECT_EQ(last_of_ben().failures, 1u);
}

TEST_F(PhoneFaultsTest, APhoneAsksForWhatItCouldRead) {
  fault(R"({"fault":"retry_receipt","args":{"count":3},"budget":1})");
  write("A2", "hello");
  const wire::Frame receipt = next("receipt");
  EXPECT_EQ(receipt.root().attr("type"), "retry");
  EXPECT_EQ(receipt.root().child("retry")->attr("count"), "3");
  EXPECT_NE(receipt.root().child("keys"), nullptr);
  EXPECT_EQ(last_of_ben().text, "the second word");
  write("A2", "hello");
  EXPECT_EQ(last_of_ben().text, "hello");
}

TEST_F(PhoneFaultsTest, SessionsAreOldTooFarOnOrForgotten) {
  say("a message that the old session has not sent yet");
  (void)signal_.read(next("message").root());
  strike(R"({"fault":"session","args":{"kind":"stale"},"when":{"manual":true}})");
  say("with a key that was used");
  EXPECT_EQ(signal_.try_read(next("message").root()).error().why, Failure::duplicate);
  strike(R"({"fault":"session","args":{"kind":"ahead"},"when":{"manual":true}})");
  say("far ahead");
  EXPECT_EQ(signal_.try_read(next("message").root()).error().why, Failure::too_far);
  strike(R"({"fault":"session","args":{"kind":"lost"},"when":{"manual":true}})");
  write("A2", "to who forgot");
  EXPECT_EQ(last_of_ben().why, "no_session");
  say("a new session");
  EXPECT_EQ(std::get<message::Text>(signal_.read(next("message").root()).content).text,
            "a new session");
}

TEST_F(PhoneFaultsTest, APhoneIsSetUpAnew) {
  const std::string before = bench_.tenant.save();
  strike(R"({"fault":"identity_change","when":{"manual":true}})");
  EXPECT_NE(bench_.tenant.save(), before);
  const wire::Frame told = next("notification");
  EXPECT_EQ(told.root().attr("type"), "encrypt");
  EXPECT_NE(told.root().child("identity"), nullptr);
  EXPECT_EQ(told.root().jid("from")->to_string(), bench_.tenant.phone(kBen)->lid);
  write("A2", "on the old session");
  EXPECT_EQ(last_of_ben().why, "no_session");
  say("from the new identity");
  EXPECT_EQ(std::get<message::Text>(signal_.read(next("message").root()).content).text,
            "from the new identity");
  write("A3", "to the new identity");
  EXPECT_EQ(last_of_ben().text, "to the new identity");
}

TEST_F(PhoneFaultsTest, TheServerHasFewKeysLeft) {
  strike(R"({"fault":"prekeys","args":{"left":0},"when":{"manual":true}})");
  const wire::Frame told = next("notification");
  EXPECT_EQ(told.root().attr("type"), "encrypt");
  EXPECT_EQ(told.root().child("count")->attr("value"), "0");
  EXPECT_EQ(told.root().jid("from"), Jid::server_itself());
}

TEST_F(PhoneFaultsTest, TheAuthorHasAnotherName) {
  fault(R"({"fault":"lid","args":{"kind":"other"},"budget":1,"where":{"direction":"to_client"}})");
  say("hello");
  const wire::Frame message = next("message");
  EXPECT_EQ(message.root().jid("from")->to_string(), bench_.tenant.phone(kBen)->jid);
  EXPECT_EQ(message.root().jid("sender_lid")->to_string(), bench_.tenant.phone(kBen)->lid);
}

}  // namespace
}  // namespace wa::mock

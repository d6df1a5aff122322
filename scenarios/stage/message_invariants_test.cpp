// Invariants of messages on histories that are made up: clients that lose, repeat and mix up.

#include <gmock/gmock.h>

#include "scenarios/stage/invariants.hpp"
#include "scenarios/stage/scripted_world.hpp"

namespace wa::stage {
namespace {

namespace json = boost::json;
using mock::EventKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kOwn = "15550100001:1@s.whatsapp.net";
constexpr const char* kPeer = "15550100002@s.whatsapp.net";

class MessageInvariantsTest : public testing::Test {
 protected:
  MessageInvariantsTest() {
    bounds_.early = bounds_.late = 1s;
    (void)world_.server().phone("15550100001");
    (void)world_.server().phone("15550100002");
    event(0s, EventKind::connected, {});
    event(0s, EventKind::login, {});
    event(0s, EventKind::success, {{"jid", kOwn}});
    shows(0s, "connected");
  }

  using Data = std::vector<std::pair<std::string_view, std::string>>;
  void event(Duration at, EventKind kind, Data data) {
    world_.server().record(Instant(at), {kind, 1, "shop-1", std::move(data)});
  }
  /// A phone notices something of a message.
  void phone(Duration at, const std::string& number, const std::string& what, const std::string& id,
             const std::string& from, const std::string& chat, const std::string& detail = {}) {
    world_.server().record(Instant(at), {EventKind::message,
                                         0,
                                         {},
                                         {{"phone", number},
                                          {"what", what},
                                          {"id", id},
                                          {"chat", chat},
                                          {"from", from},
                                          {"kind", "text"},
                                          {"detail", detail}}});
  }
  void peer_sends(Duration at, const std::string& id) {
    phone(at, "15550100002", "sent", id, kPeer, "15550100001@s.whatsapp.net");
  }
  void shows(Duration at, const std::string& state) {
    shop_.push({Instant(at), "state", {{"state", state}, {"reason", ""}}, {}});
  }
  void gets(Duration at, const std::string& id, std::optional<int> seq = {}) {
    json::object data{{"id", id}, {"chat", kPeer}, {"from", kPeer}, {"kind", "text"}};
    if (seq) data["seq"] = *seq;
    shop_.push({Instant(at), "message", std::move(data), {}});
  }
  void out(Duration at, const std::string& tag, const std::string& id) {
    event(at, EventKind::stanza_out, {{"tag", tag}, {"id", id}});
  }
  void acks(Duration at, const std::string& id) {
    event(at, EventKind::stanza_in, {{"tag", "ack"}, {"id", id}});
  }

  std::vector<std::string> rules(Duration end = 1h) {
    std::vector<std::string> found;
    messages_.clear();
    for (const Failure& failure :
         judge_histories(world_.server(), world_.devices(), bounds_, Instant(end))) {
      found.push_back(failure.rule);
      messages_ += failure.message + "\n";
    }
    return found;
  }

  ScriptedWorld world_;
  ScriptedDevice& shop_ = world_.add_device("shop-1");
  Invariants::Bounds bounds_;
  std::string messages_;
};

// ---- exactly-once-to-app ----

TEST_F(MessageInvariantsTest, EachMessageOnceIsWell) {
  peer_sends(1s, "A1");
  peer_sends(2s, "A2");
  gets(3s, "A1");
  gets(3s, "A2");
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, AMessageToldTwiceIsCaught) {
  peer_sends(1s, "A1");
  gets(2s, "A1");
  gets(3s, "A1");
  EXPECT_THAT(rules(), ElementsAre("exactly-once-to-app"));
  EXPECT_THAT(messages_, HasSubstr("told its application twice of message A1"));
}

TEST_F(MessageInvariantsTest, TheSameEventAgainIsNoSecondMessage) {
  peer_sends(1s, "A1");
  gets(2s, "A1", 7);
  shop_.push({Instant(3s), "killed", {}, {}});
  gets(4s, "A1", 7);
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, AnotherEventForTheSameMessageIs) {
  peer_sends(1s, "A1");
  gets(2s, "A1", 7);
  gets(4s, "A1", 8);
  EXPECT_THAT(rules(), ElementsAre("exactly-once-to-app"));
}

TEST_F(MessageInvariantsTest, MessagesOfAChatOutOfOrderAreCaught) {
  peer_sends(1s, "A1");
  peer_sends(2s, "A2");
  gets(3s, "A2");
  gets(4s, "A1");
  EXPECT_THAT(rules(), ElementsAre("exactly-once-to-app"));
  EXPECT_THAT(messages_, HasSubstr("message A1 behind a later one"));
}

TEST_F(MessageInvariantsTest, AMessageThatWasSentAgainMayComeLate) {
  peer_sends(1s, "A1");
  peer_sends(2s, "A2");
  gets(3s, "A2");
  phone(3500ms, "15550100002", "resent", "A1", kPeer, kPeer);
  gets(4s, "A1");
  EXPECT_THAT(rules(), IsEmpty());
}

// ---- nothing-lost ----

TEST_F(MessageInvariantsTest, AMessageThatNobodyIsToldOfIsCaught) {
  peer_sends(1s, "A1");
  EXPECT_THAT(rules(), ElementsAre("nothing-lost"));
  EXPECT_THAT(messages_,
              HasSubstr("device shop-1 was not told of message A1 of phone 15550100002"));
}

TEST_F(MessageInvariantsTest, NothingIsLostWhileItMayStillCome) {
  peer_sends(1s, "A1");
  EXPECT_THAT(rules(30s), IsEmpty());
}

TEST_F(MessageInvariantsTest, WhatCannotBeReadIsNotLost) {
  peer_sends(1s, "A1");
  shop_.push({Instant(2s), "undecryptable", {{"id", "A1"}, {"from", kPeer}}, {}});
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, ADeviceThatIsAwayIsToldNothing) {
  shows(500ms, "disconnected");
  peer_sends(1s, "A1");
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, AnAcceptedMessageThatIsForgottenIsCaught) {
  const Ref ref = shop_.send({{"to", kPeer}, {"text", "hi"}});
  shop_.push({Instant(1s), "done", {{"ref", ref}, {"id", "S1"}}, {}});
  EXPECT_THAT(rules(), ElementsAre("nothing-lost"));
  EXPECT_THAT(messages_, HasSubstr("accepted message S1 and neither sent it nor"));
  shop_.push({Instant(2s), "send_failed", {{"id", "S1"}, {"reason", "refused"}}, {}});
  EXPECT_THAT(rules(), IsEmpty());
}

// ---- acks-well-formed ----

TEST_F(MessageInvariantsTest, WhatIsNotAcknowledgedIsCaught) {
  out(1s, "notification", "N1");
  out(1s, "receipt", "R1");
  acks(2s, "N1");
  EXPECT_THAT(rules(), ElementsAre("acks-well-formed"));
  EXPECT_THAT(messages_, HasSubstr("has not acknowledged R1"));
  acks(3s, "R1");
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, ASecondAckIsCaught) {
  out(1s, "message", "M1");
  acks(2s, "M1");
  acks(2s, "M1");
  EXPECT_THAT(rules(), ElementsAre("acks-well-formed"));
}

TEST_F(MessageInvariantsTest, AReceiptConfirmsAMessageAndNothingElse) {
  out(1s, "message", "M1");
  out(1s, "notification", "N1");
  for (const char* id : {"M1", "N1"}) {
    event(2s, EventKind::stanza_in, {{"tag", "receipt"}, {"id", id}});
  }
  EXPECT_THAT(rules(), ElementsAre("acks-well-formed"));
  EXPECT_THAT(messages_, HasSubstr("has not acknowledged N1"));
  acks(3s, "N1");
  acks(3s, "M1");
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(MessageInvariantsTest, AnIqWantsNoAck) {
  out(1s, "iq", "Q1");
  EXPECT_THAT(rules(), IsEmpty());
}

// ---- no-key-reuse ----

TEST_F(MessageInvariantsTest, AMessageKeyThatWasUsedBeforeIsCaught) {
  phone(1s, "15550100002", "received", "S1", kOwn, "15550100001@s.whatsapp.net");
  phone(2s, "15550100002", "unreadable", "S2", kOwn, "15550100001@s.whatsapp.net", "duplicate");
  EXPECT_THAT(rules(), ElementsAre("no-key-reuse"));
  EXPECT_THAT(messages_, HasSubstr("encrypted message S2 with a key that it had used before"));
}

TEST_F(MessageInvariantsTest, TheSameMessageAgainIsNoKeyAgain) {
  phone(1s, "15550100002", "received", "S1", kOwn, "15550100001@s.whatsapp.net");
  phone(2s, "15550100002", "unreadable", "S1", kOwn, "15550100001@s.whatsapp.net", "duplicate");
  EXPECT_THAT(rules(), IsEmpty());
}

}  // namespace
}  // namespace wa::stage

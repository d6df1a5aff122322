#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

/// A world in which the peer has written before.
class IncomingTest : public testing::Test {
 protected:
  IncomingTest() {
    world.peer().begin(world.own_bundle());
    world.online();
  }
  World world;
};

TEST_F(IncomingTest, AFirstMessageIsReadAndItsReceiptFollowsTheCommit) {
  world.feed_stanza(world.peer().message("A1", "hello"));
  bool committed = false;
  while (world.perform_one()) {
    committed = committed || world.commits > 0;
    if (!committed) {
      EXPECT_THAT(world.sent, IsEmpty());
    }
  }
  const auto received = world.events_of<MessageReceived>();
  ASSERT_THAT(received, SizeIs(1));
  EXPECT_EQ(received[0].origin.id, "A1");
  EXPECT_EQ(received[0].origin.chat, test::kPeerLid);
  EXPECT_EQ(received[0].origin.sender_alias, test::kPeerJid);
  EXPECT_FALSE(received[0].origin.from_me);
  EXPECT_FALSE(received[0].origin.replayed);
  EXPECT_EQ(received[0].origin.at.value, 1'767'225'600'000);
  EXPECT_EQ(received[0].origin.push_name, "Peer");
  EXPECT_EQ(world.texts(), std::vector<std::string>{"hello"});

  ASSERT_THAT(world.sent, SizeIs(1));
  EXPECT_EQ(world.sent[0].tag(), "receipt");
  EXPECT_EQ(attr(world.sent[0], "id"), "A1");
  EXPECT_EQ(attr(world.sent[0], "to"), test::kPeerLid.to_string());
  EXPECT_EQ(attr(world.sent[0], "type"), "inactive");
}

TEST_F(IncomingTest, AnAvailableDeviceSaysDelivered) {
  world.step(AvailabilityChanged{true});
  world.receive(world.peer().message("A1", "hello"));
  const auto receipts = world.sent_with("receipt");
  ASSERT_THAT(receipts, SizeIs(1));
  EXPECT_EQ(attr(receipts[0], "type"), "");
}

TEST_F(IncomingTest, SessionSeenEventAndUsedKeyAreOneCommit) {
  ASSERT_TRUE(world.store.contains({std::string(kPreKeyKind), "1"}));
  world.take_events = false;
  world.receive(world.peer().message("A1", "hello"));
  EXPECT_EQ(world.commits, 1U);
  EXPECT_FALSE(world.store.contains({std::string(kPreKeyKind), "1"}));
  EXPECT_TRUE(world.store.contains({"used_pre_key.20260101", "1"}));
  EXPECT_TRUE(world.store.contains({std::string(kSessionKind), test::kPeerLid.user + "_1.0"}));
  EXPECT_TRUE(world.store.contains({std::string(kSeenKind), test::kPeerLid.user + "_1.0"}));
  EXPECT_TRUE(world.store.contains({std::string(kEventKind), "1"}));
}

TEST_F(IncomingTest, ARedeliveredMessageIsReceiptedAgainAndNothingElse) {
  const auto stanza = world.peer().message("A1", "hello");
  for (int i = 0; i < 3; ++i) world.receive(stanza);
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
  EXPECT_THAT(world.sent_with("receipt", "inactive"), SizeIs(3));
  EXPECT_THAT(world.sent, SizeIs(3));
  EXPECT_EQ(world.messenger->counters().duplicates, 2U);
}

TEST_F(IncomingTest, AMessageIsRememberedUnderEitherNameOfItsAuthor) {
  auto& peer = world.peer();
  const auto enc = peer.enc("hello");
  world.receive(peer.message_by_number("A1", enc));
  world.receive(peer.message("A1", enc));  // its LID has become known since
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
}

TEST_F(IncomingTest, AMessageUnderAUsedKeyIsAskedForAgain) {
  auto& peer = world.peer();
  world.receive(peer.message("A1", "hello"));
  const signal::Session older = peer.session();
  world.receive(peer.message("A2", "on the key that comes next"));
  // The peer has gone back to an older session: Baileys does, when it reads and writes at once.
  peer.session() = older;
  world.receive(peer.message("A3", "on the same key"));
  ASSERT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
  EXPECT_EQ(attr(world.sent_with("receipt", "retry")[0], "id"), "A3");
  world.receive(peer.message("A3", "on the same key"));
  EXPECT_THAT(world.texts(), ElementsAre("hello", "on the key that comes next", "on the same key"));
}

TEST_F(IncomingTest, AUsedKeyOfALiveMessageIsNeverTakenForARedelivery) {
  auto& peer = world.peer();
  for (std::size_t i = 0; i <= Seen::kMaxIds; ++i) {
    world.receive(peer.message("A" + std::to_string(i), "hello"));
  }
  const signal::Session older = peer.session();
  world.receive(peer.message("B1", "one"));
  peer.session() = older;
  world.receive(peer.message("B2", "another one"));
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
}

TEST_F(IncomingTest, ARedeliveredMessageThatIsForgottenIsNoMessageAndNoRetry) {
  auto& peer = world.peer();
  auto first = peer.message("A0", "hello");
  world.receive(first);
  for (std::size_t i = 1; i <= Seen::kMaxIds; ++i) {
    world.receive(peer.message("A" + std::to_string(i), "hello"));
  }
  first.attr("offline", 0);
  world.receive(first);
  EXPECT_THAT(world.texts(), SizeIs(Seen::kMaxIds + 1));
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
}

TEST_F(IncomingTest, MessagesOfAChatStayInOrderWhileLoadsAreSlow) {
  world.answer_loads = false;
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "text " + std::to_string(i);
    expected.push_back(text);
    // Half of them come by number alone, whose LID has to be looked up first.
    auto enc = world.peer().enc(text);
    const std::string id = "A" + std::to_string(i);
    world.receive(i % 2 == 0 ? world.peer().message(id, std::move(enc))
                             : world.peer().message_by_number(id, std::move(enc)));
  }
  EXPECT_THAT(world.texts(), IsEmpty());
  world.answer_loads = true;
  world.settle();
  EXPECT_EQ(world.texts(), expected);
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
}

TEST_F(IncomingTest, OneSessionServesBothNamesOfAPeerInWhateverOrderTheyAreLearned) {
  // Everything by number first: what is stored then goes on being used under the LID.
  world.receive(world.peer().message_by_number("A1", world.peer().enc("one")));
  world.receive(world.peer().message("A2", "two"));
  world.receive(world.peer().message_by_number("A3", world.peer().enc("three")));
  EXPECT_THAT(world.texts(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(world.messenger->counters().undecryptable, 0U);
}

TEST_F(IncomingTest, TwoSessionsUnderTwoNamesAreBothRead) {
  // Before anybody knew that the two names are one account, each got a session of its own.
  auto& peer = world.peer();
  world.receive(peer.message_by_number("A1", peer.enc("by number")));
  signal::Session by_number = peer.session();
  peer.session() = {};
  peer.begin(world.own_bundle());
  auto stanza = peer.message("A2", peer.enc("by LID"));
  stanza.set_attr("sender_pn", std::nullopt);
  world.receive(stanza);
  // Now the names are joined, and the old session speaks.
  std::swap(peer.session(), by_number);
  world.receive(peer.message("A3", peer.enc("by number again")));
  std::swap(peer.session(), by_number);
  world.receive(peer.message("A4", peer.enc("by LID again")));
  EXPECT_THAT(world.texts(), ElementsAre("by number", "by LID", "by number again", "by LID again"));
  EXPECT_EQ(world.messenger->counters().undecryptable, 0U);
}

TEST_F(IncomingTest, WhatWasKeptByTheServerIsMarked) {
  auto stanza = world.peer().message("A1", "hello");
  stanza.attr("offline", 0);
  world.receive(stanza);
  ASSERT_THAT(world.events_of<MessageReceived>(), SizeIs(1));
  EXPECT_TRUE(world.events_of<MessageReceived>()[0].origin.replayed);
}

TEST_F(IncomingTest, MessagesOfOurOwnDevicesAreOursAndInTheChatTheyWentTo) {
  auto& phone = world.phone();
  phone.begin(world.own_bundle());
  const message::Envelope copy{.content = message::Text{.text = "typed on the phone"},
                               .sent_to = test::kPeerLid.to_string()};
  // By LID and by number: one identity.
  auto by_lid = phone.message("A1", phone.enc(copy));
  by_lid.set_attr("sender_pn", std::nullopt);
  by_lid.attr("recipient", test::kPeerLid).attr("peer_recipient_pn", test::kPeerJid);
  world.receive(by_lid);
  auto by_number = phone.message_by_number("A2", phone.enc(copy));
  by_number.attr("recipient", test::kPeerJid).attr("peer_recipient_lid", test::kPeerLid);
  world.receive(by_number);

  const auto received = world.events_of<MessageReceived>();
  ASSERT_THAT(received, SizeIs(2));
  EXPECT_TRUE(received[0].origin.from_me);
  EXPECT_EQ(received[0].origin.chat, test::kPeerLid);
  EXPECT_TRUE(received[1].origin.from_me);
  EXPECT_EQ(received[1].origin.chat, test::kPeerJid);
  const auto receipts = world.sent_with("receipt", "sender");
  ASSERT_THAT(receipts, SizeIs(2));
  EXPECT_EQ(attr(receipts[0], "recipient"), test::kPeerLid.to_string());
}

TEST_F(IncomingTest, AStrangerCannotPutWordsIntoOurMouth) {
  const message::Envelope forged{.content = message::Text{.text = "as if by us"},
                                 .sent_to = "15550109999@s.whatsapp.net"};
  world.receive(world.peer().message("A1", world.peer().enc(forged)));
  const auto received = world.events_of<MessageReceived>();
  ASSERT_THAT(received, SizeIs(1));
  EXPECT_FALSE(received[0].origin.from_me);
  EXPECT_EQ(received[0].origin.chat, test::kPeerLid);
}

TEST_F(IncomingTest, OnlyTheOwnPhoneSharesKeys) {
  const message::Envelope keys{.content = message::AppStateKeys{}};
  world.receive(world.peer().message("A1", world.peer().enc(keys)));
  const auto unreadable = world.events_of<MessageUnreadable>();
  ASSERT_THAT(unreadable, SizeIs(1));
  EXPECT_EQ(unreadable[0].reason, "forged");
  EXPECT_THAT(world.events_of<MessageReceived>(), IsEmpty());
}

TEST_F(IncomingTest, APeerMessageOfTheOwnPhoneGetsItsOwnReceipts) {
  auto& phone = world.phone();
  phone.begin(world.own_bundle());
  const message::Envelope notice{.content = message::HistoryNotice{}};
  auto stanza = phone.message("A1", phone.enc(notice));
  stanza.attr("category", std::string("peer"));
  world.receive(stanza);
  EXPECT_THAT(world.events_of<MessageReceived>(), SizeIs(1));
  ASSERT_THAT(world.sent, SizeIs(2));
  EXPECT_EQ(attr(world.sent[0], "type"), "peer_msg");
  EXPECT_EQ(attr(world.sent[1], "type"), "hist_sync");
}

// ---- what cannot be read --------------------------------------------------------------------

/// `<enc>` with one bit of its MAC turned over.
NodeBuilder spoilt(const NodeBuilder& enc) {
  NodeBuilder copy = enc;
  auto& bytes = std::get<Bytes>(copy.content());
  std::byte* last = &bytes.back();
  if (attr(enc, "type") == "pkmsg") {
    const auto parsed = signal::PreKeySignalMessage::parse(bytes);
    const std::byte* end = parsed->message_bytes.data() + parsed->message_bytes.size();
    last = bytes.data() + (end - bytes.data()) - 1;
  }
  *last ^= std::byte{1};
  return copy;
}

TEST_F(IncomingTest, AMessageThatCannotBeReadIsAskedForAgainAndTheResendIsOneEvent) {
  const auto enc = world.peer().enc("hello");
  world.receive(world.peer().message("A1", spoilt(enc)));
  EXPECT_THAT(world.texts(), IsEmpty());
  ASSERT_THAT(world.sent, SizeIs(2));
  const NodeBuilder& receipt = world.sent[0];
  EXPECT_EQ(attr(receipt, "type"), "retry");
  const NodeBuilder* retry = child(receipt, "retry");
  ASSERT_NE(retry, nullptr);
  EXPECT_EQ(attr(*retry, "count"), "1");
  EXPECT_EQ(attr(*retry, "id"), "A1");
  EXPECT_EQ(attr(*retry, "error"), "7");
  ASSERT_NE(child(receipt, "registration"), nullptr);
  EXPECT_EQ(test::bytes_of(*child(receipt, "registration")).size(), 4U);
  EXPECT_EQ(child(receipt, "keys"), nullptr);
  EXPECT_EQ(world.sent[1].tag(), "ack");
  EXPECT_EQ(attr(world.sent[1], "class"), "message");

  world.receive(world.peer().message("A1", enc));
  world.receive(world.peer().message("A1", enc));
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
  EXPECT_THAT(world.events_of<MessageUnreadable>(), IsEmpty());
}

TEST_F(IncomingTest, FromTheSecondAttemptOnTheReceiptBringsKeysForANewSession) {
  world.receive(world.peer().message("A0", "before"));
  world.sent.clear();
  world.peer().session() = {};
  world.peer().begin(world.own_bundle());
  const auto enc = world.peer().enc("lost");
  world.receive(world.peer().message("A1", spoilt(enc)));
  world.receive(world.peer().message("A1", spoilt(enc)));
  const auto receipts = world.sent_with("receipt", "retry");
  ASSERT_THAT(receipts, SizeIs(2));
  EXPECT_EQ(child(receipts[0], "keys"), nullptr);
  NodeBuilder forwarded = receipts[1];
  forwarded.attr("from", test::kOwnLid);
  const auto frame = test::frame_of(forwarded);
  const auto asked = IncomingRetry::read(frame.root());
  ASSERT_TRUE(asked && asked->bundle);
  ASSERT_TRUE(asked->bundle->one_time.has_value());
  // The peer begins anew with exactly these keys.
  world.peer().session() = {};
  world.peer().begin(*asked->bundle);
  world.receive(world.peer().message("A1", world.peer().enc("found")));
  EXPECT_THAT(world.texts(), ElementsAre("before", "found"));
}

TEST_F(IncomingTest, AfterFiveAttemptsTheMessageIsReportedOnce) {
  const auto stanza = world.peer().message("A1", spoilt(world.peer().enc("never")));
  for (int i = 0; i < 9; ++i) {
    world.receive(stanza);
    if (i == 3) world.kill();  // the count is durable
    if (i == 3) world.online();
  }
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(5));
  const auto unreadable = world.events_of<MessageUnreadable>();
  ASSERT_THAT(unreadable, SizeIs(1));
  EXPECT_EQ(unreadable[0].origin.id, "A1");
  EXPECT_EQ(unreadable[0].reason, "bad_mac");
}

TEST_F(IncomingTest, ManyFailuresOfOnePeerAreOneLineOfLog) {
  for (int i = 0; i < 200; ++i) {
    world.receive(world.peer().message("A" + std::to_string(i), spoilt(world.peer().enc("x"))));
  }
  EXPECT_LE(world.reports.size(), 2U);
  EXPECT_EQ(world.messenger->counters().undecryptable, 200U);
}

struct Unreadable {
  std::string name;
  NodeBuilder content;
  std::string reason;
  std::string nack;
};
void PrintTo(const Unreadable& one, std::ostream* out) {
  *out << one.name;
}

class UnreadableTest : public testing::TestWithParam<Unreadable> {};

TEST_P(UnreadableTest, IsToldAndAckedAndNeverAskedFor) {
  World world;
  world.online();
  world.receive(world.peer().message("A1", GetParam().content));
  world.receive(world.peer().message("A1", GetParam().content));
  const auto unreadable = world.events_of<MessageUnreadable>();
  ASSERT_THAT(unreadable, SizeIs(1));
  EXPECT_EQ(unreadable[0].reason, GetParam().reason);
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
  EXPECT_THAT(world.sent_with("receipt"), IsEmpty()) << "nothing was delivered, however often";
  ASSERT_THAT(world.sent_with("ack"), SizeIs(2));
  for (const auto& ack : world.sent_with("ack")) EXPECT_EQ(attr(ack, "error"), GetParam().nack);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, UnreadableTest,
    testing::Values(Unreadable{"unavailable",
                               NodeBuilder("unavailable").attr("type", std::string("view_once")),
                               "unavailable", ""},
                    Unreadable{"plaintext", NodeBuilder("plaintext").bytes(as_bytes("hello")),
                               "not_encrypted", ""},
                    Unreadable{"unknown", NodeBuilder("enc").attr("type", std::string("foo")),
                               "unknown_type", "488"},
                    Unreadable{"bot", NodeBuilder("enc").attr("type", std::string("msmsg")),
                               "unknown_type", "495"}));

TEST_F(IncomingTest, WhatIsNoMessageIsAckedAndForgotten) {
  const Jid newsletter("120363000000000000", "newsletter");
  world.receive(NodeBuilder("message").attr("id", std::string("N1")).attr("from", newsletter));
  world.receive(NodeBuilder("message")
                    .attr("id", std::string("G1"))
                    .attr("from", Jid("120363000000000001", "g.us")));  // by nobody
  world.receive(NodeBuilder("message").attr("from", test::kPeerLid));   // without id
  EXPECT_THAT(world.events, IsEmpty());
  EXPECT_THAT(world.sent, SizeIs(2));
  EXPECT_EQ(world.messenger->residency().lanes, 0U);
}

TEST_F(IncomingTest, HugeAndDoubledFieldsDoNoHarm) {
  auto stanza = world.peer().message(std::string(100'000, 'x'), "hello");
  world.receive(stanza);
  EXPECT_THAT(world.texts(), IsEmpty());

  auto many = NodeBuilder("message").attr("id", std::string("A2")).attr("from", test::kPeerLid);
  for (int i = 0; i < 1000; ++i) {
    many.child(NodeBuilder("enc").attr("type", std::string("msg")).bytes(Bytes(40)));
  }
  world.receive(many);
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));

  auto strange = world.peer().message("A3", world.peer().enc("strange"));
  strange.attr("from", Jid("15550100009", "s.whatsapp.net"));  // the last one counts
  world.receive(strange);
  EXPECT_THAT(world.texts(), ElementsAre("strange"));
}

TEST_F(IncomingTest, ANewIdentityIsAcceptedAndToldOnce) {
  world.receive(world.peer().message("A1", "old phone"));
  world.peer().set_up_anew();
  world.peer().begin(world.own_bundle());
  world.receive(world.peer().message("A2", "new phone"));
  world.receive(world.peer().message("A3", "still new"));
  EXPECT_THAT(world.texts(), ElementsAre("old phone", "new phone", "still new"));
  const auto changed = world.events_of<IdentityChanged>();
  ASSERT_THAT(changed, SizeIs(1));
  EXPECT_EQ(changed[0].account, test::kPeerLid);
}

TEST_F(IncomingTest, AnEventIsPublishedAtEveryStartUntilItIsTaken) {
  world.take_events = false;
  world.receive(world.peer().message("A1", "hello"));
  const AppEvent first = world.events.at(0);
  world.kill();
  world.events.clear();
  world.online();
  ASSERT_THAT(world.events, SizeIs(1));
  EXPECT_EQ(world.events[0].seq, first.seq);
  EXPECT_EQ(world.events[0].what, first.what);

  world.step(EventTaken{first.seq});
  world.pass(std::chrono::seconds(2));
  EXPECT_FALSE(world.store.contains({std::string(kEventKind), "1"}));
  world.kill();
  world.events.clear();
  world.online();
  EXPECT_THAT(world.events, IsEmpty());
}

TEST_F(IncomingTest, NothingOfAPeerStaysInMemory) {
  for (int i = 0; i < 50; ++i) {
    world.receive(world.peer().message("A" + std::to_string(i), "hello"));
  }
  const auto residency = world.messenger->residency();
  EXPECT_EQ(residency.records, 0U);
  EXPECT_EQ(residency.lanes, 0U);
  EXPECT_EQ(residency.events, 0U);
}

TEST_F(IncomingTest, AStreamThatEndsInBetweenLosesNothing) {
  world.answer_loads = false;
  const auto stanza = world.peer().message("A1", "hello");
  world.receive(stanza);
  world.offline();
  world.answer_loads = true;
  world.settle();
  EXPECT_THAT(world.texts(), IsEmpty());
  EXPECT_EQ(world.messenger->residency().records, 0U);
  world.online();
  world.receive(stanza);
  EXPECT_THAT(world.texts(), ElementsAre("hello"));
}

}  // namespace
}  // namespace wa::messaging

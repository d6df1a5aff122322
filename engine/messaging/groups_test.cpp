#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::children;
using test::kGroup;
using test::kPeerJid;
using test::kPeerLid;
using test::PeerDevice;
using test::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

const Jid kThirdLid("100000000000003", "lid");

class GroupsTest : public testing::Test {
 protected:
  GroupsTest() {
    third = &world.add({Jid("15550100003", "s.whatsapp.net"), kThirdLid, 0, 33});
    world.groups[kGroup] = {test::kOwnLid.without_device(), kPeerLid, kThirdLid};
    world.online();
  }
  NodeBuilder notice() const {
    return NodeBuilder("notification")
        .attr("id", std::string("N1"))
        .attr("from", kGroup)
        .attr("type", std::string("w:gp2"))
        .child(NodeBuilder("remove"));
  }
  std::vector<NodeBuilder> messages() const { return world.sent_with("message"); }
  std::size_t copies(std::size_t message) const {
    const NodeBuilder stanza = messages().at(message);
    const NodeBuilder* participants = child(stanza, "participants");
    return participants ? children(*participants).size() : 0;
  }

  World world;
  PeerDevice* third = nullptr;
};

TEST_F(GroupsTest, TheFirstMessageBringsTheKeyToEveryDeviceAndTheNextDoesNot) {
  const std::string id = world.send(kGroup, "one");
  ASSERT_THAT(messages(), SizeIs(1));
  EXPECT_EQ(attr(messages()[0], "to"), kGroup.to_string());
  EXPECT_EQ(attr(messages()[0], "addressing_mode"), "lid");
  EXPECT_EQ(copies(0), 3U) << "two members and our own phone";
  world.ack(id);
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 0U);
  for (PeerDevice* device : {&world.peer(), third, &world.phone()}) {
    EXPECT_EQ(device->read_group(messages()[0]), "one");
    EXPECT_EQ(device->read_group(messages()[1]), "two");
  }
}

TEST_F(GroupsTest, TheKeyAndWhoHasItSurviveARestart) {
  world.ack(world.send(kGroup, "one"));
  world.kill();
  world.online();
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 0U);
  EXPECT_EQ(third->read_group(messages()[0]), "one");
  EXPECT_EQ(third->read_group(messages()[1]), "two");
}

TEST_F(GroupsTest, UntilTheServerHasTheMessageTheKeyIsSentAgain) {
  const std::string id = world.send(kGroup, "lost");
  world.kill();  // the message may have left, or not
  world.sent.clear();
  world.online();
  ASSERT_THAT(messages(), SizeIs(1));
  EXPECT_EQ(copies(0), 3U);
  EXPECT_EQ(third->read_group(messages()[0]), "lost");
  world.ack(id);
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 0U);
}

TEST_F(GroupsTest, WhoLeftBeforeTheServerSaidSoCannotReadOn) {
  world.send(kGroup, "one");
  EXPECT_EQ(third->read_group(messages()[0]), "one");
  world.groups[kGroup].pop_back();
  world.receive(notice());
  world.send(kGroup, "two");
  EXPECT_EQ(third->read_group(messages()[1]), "no_sender_key");
}

TEST_F(GroupsTest, AnOldStatusIsNotAskedFor) {
  auto& peer = world.peer();
  const Jid status("status", "broadcast");
  auto stanza = peer.group_message("A1", status, {peer.group_enc("gone")});
  world.pass(std::chrono::hours(25));
  world.receive(stanza);
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
  EXPECT_THAT(world.events_of<MessageUnreadable>(), SizeIs(1));
  stanza = peer.group_message("A2", status, {peer.group_enc("fresh")});
  stanza.set_attr("t", std::to_string(world.now.wall.seconds()));
  world.receive(stanza);
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
}

TEST_F(GroupsTest, WhoHasLeftCannotReadOn) {
  world.ack(world.send(kGroup, "one"));
  EXPECT_EQ(third->read_group(messages()[0]), "one");
  world.groups[kGroup].pop_back();
  world.receive(notice());
  EXPECT_THAT(world.sent_with("ack"), SizeIs(1));
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 2U);
  EXPECT_EQ(third->read_group(messages()[1]), "no_sender_key");
  EXPECT_EQ(world.peer().read_group(messages()[0]), "one");
  EXPECT_EQ(world.peer().read_group(messages()[1]), "two");
}

TEST_F(GroupsTest, WhoIsNewGetsTheKeyAlone) {
  world.ack(world.send(kGroup, "one"));
  auto& fourth =
      world.add({Jid("15550100004", "s.whatsapp.net"), Jid("100000000000004", "lid"), 0, 44});
  world.groups[kGroup].push_back(fourth.lid());
  world.receive(notice());
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 1U);
  EXPECT_EQ(fourth.read_group(messages()[0]), "no_sender_key");
  EXPECT_EQ(fourth.read_group(messages()[1]), "two");
}

TEST_F(GroupsTest, ADeviceThatIsGoneMakesANewKeyToo) {
  auto& companion = world.add({kPeerJid, kPeerLid, 7, 77});
  world.ack(world.send(kGroup, "one"));
  EXPECT_EQ(copies(0), 4U);
  EXPECT_EQ(companion.read_group(messages()[0]), "one");
  world.remove(companion.number());
  world.receive(NodeBuilder("notification")
                    .attr("id", std::string("N2"))
                    .attr("from", kPeerLid)
                    .attr("type", std::string("devices"))
                    .child(NodeBuilder("remove")));
  world.send(kGroup, "two");
  EXPECT_EQ(copies(1), 3U);
}

TEST_F(GroupsTest, AGroupThatTheServerDoesNotKnowIsAFailure) {
  world.send(Jid("120363000000000009", "g.us"), "hello");
  ASSERT_THAT(world.events_of<SendFailed>(), SizeIs(1));
  EXPECT_EQ(world.events_of<SendFailed>()[0].reason, "no_group");
}

TEST_F(GroupsTest, AChangeWhileTheDevicesAreAskedForMeansToAskForTheGroupAgain) {
  bool changes = true;
  world.answer_instead = [&](const NodeBuilder& iq) {
    auto answer = world.answer(iq);
    if (attr(iq, "xmlns") == "usync" && std::exchange(changes, false)) {
      auto& fourth =
          world.add({Jid("15550100004", "s.whatsapp.net"), Jid("100000000000004", "lid"), 0, 44});
      world.groups[kGroup].push_back(fourth.lid());
      world.feed_stanza(notice());
    }
    return answer;
  };
  world.send(kGroup, "one");
  EXPECT_THAT(world.events_of<SendFailed>(), SizeIs(0));
  ASSERT_THAT(messages(), SizeIs(1));
  EXPECT_EQ(copies(0), 4U);
}

TEST_F(GroupsTest, FiftyMessagesAskOnceForGroupDevicesAndKeys) {
  for (int i = 0; i < 50; ++i) world.send(kGroup, "text");
  EXPECT_THAT(world.queries, SizeIs(3));
}

TEST_F(GroupsTest, AMemberWhoLacksTheKeyGetsMessageAndKeyPairwise) {
  const std::string id = world.send(kGroup, "one");
  world.ack(id);
  // The member lost what it knew; it asks as members do.
  third->set_up_anew();
  auto retry = third->retry(id, 1, true);
  retry.set_attr("from", kGroup);
  retry.attr("participant", third->lid());
  world.receive(retry);
  ASSERT_THAT(messages(), SizeIs(2));
  EXPECT_EQ(attr(messages()[1], "to"), kGroup.to_string());
  EXPECT_EQ(attr(messages()[1], "participant"), third->lid().to_string());
  EXPECT_EQ(attr(*child(messages()[1], "enc"), "count"), "1");
  const auto envelope = third->read(*child(messages()[1], "enc"));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(std::get<message::Text>(envelope->content).text, "one");
  EXPECT_TRUE(envelope->sender_key.has_value());
  EXPECT_FALSE(envelope->sent_to.has_value());
}

TEST_F(GroupsTest, ADeviceThatNobodyToldOfGetsTheKeyOnceItHasAsked) {
  const std::string id = world.send(kGroup, "one");
  world.ack(id);
  auto& companion = world.add({kPeerJid, kPeerLid, 7, 77});
  auto retry = companion.retry(id, 1, true);
  retry.set_attr("from", kGroup);
  retry.attr("participant", companion.lid());
  world.receive(retry);
  world.ack(world.send(kGroup, "two"));
  world.ack(world.send(kGroup, "three"));
  ASSERT_THAT(messages(), SizeIs(4));
  EXPECT_EQ(copies(2), 1U) << "the server has not confirmed that it has the key";
  EXPECT_EQ(companion.read_group(messages()[2]), "two");
  EXPECT_EQ(copies(3), 0U);
  EXPECT_EQ(companion.read_group(messages()[3]), "three");
  EXPECT_EQ(third->read_group(messages()[0]), "one");
  EXPECT_EQ(third->read_group(messages()[3]), "three") << "the key is the same";
}

TEST_F(GroupsTest, WhoIsNoMemberGetsNothingAgain) {
  const std::string id = world.send(kGroup, "one");
  world.ack(id);
  auto& stranger =
      world.add({Jid("15550100009", "s.whatsapp.net"), Jid("100000000000009", "lid"), 0, 99});
  auto retry = stranger.retry(id, 1, true);
  retry.set_attr("from", kGroup);
  retry.attr("participant", stranger.lid());
  world.receive(retry);
  EXPECT_THAT(messages(), SizeIs(1));
  EXPECT_EQ(world.messenger->counters().retries_refused, 1U);
}

// ---- receiving ------------------------------------------------------------------------------

TEST_F(GroupsTest, AGroupMessageIsReadWithTheKeyBesideItAndLaterOnesWithout) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  world.receive(peer.group_message("A1", kGroup, {peer.key_enc(kGroup), peer.group_enc("one")}));
  world.receive(peer.group_message("A2", kGroup, {peer.group_enc("two")}));
  EXPECT_THAT(world.texts(), ElementsAre("one", "two"));
  const auto received = world.events_of<MessageReceived>();
  EXPECT_EQ(received[0].origin.chat, kGroup);
  EXPECT_EQ(received[0].origin.sender, kPeerLid);
  EXPECT_EQ(received[0].origin.sender_alias, kPeerJid);
  const auto receipts = world.sent_with("receipt");
  ASSERT_THAT(receipts, SizeIs(2));
  EXPECT_EQ(attr(receipts[0], "to"), kGroup.to_string());
  EXPECT_EQ(attr(receipts[0], "participant"), kPeerLid.to_string());
}

TEST_F(GroupsTest, WithoutAKeyItIsAskedForAndTheResendBringsMessageAndKey) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  const auto lost = peer.key_enc(kGroup);  // withheld
  world.receive(peer.group_message("A1", kGroup, {peer.group_enc("one")}));
  const auto retries = world.sent_with("receipt", "retry");
  ASSERT_THAT(retries, SizeIs(1));
  EXPECT_EQ(attr(retries[0], "to"), kGroup.to_string());
  EXPECT_EQ(attr(retries[0], "participant"), kPeerLid.to_string());
  EXPECT_EQ(attr(*child(retries[0], "retry"), "error"), "1");

  // The resend: pairwise, with the key inside.
  message::Envelope resend{.content = message::Text{.text = "one"}};
  const auto key = peer.key_enc(kGroup);
  world.receive(peer.group_message("A1", kGroup, {key, peer.enc(resend)}));
  world.receive(peer.group_message("A2", kGroup, {peer.group_enc("two")}));
  EXPECT_THAT(world.texts(), ElementsAre("one", "two"));
  EXPECT_EQ(lost.tag(), "enc");
}

TEST_F(GroupsTest, ARedeliveredGroupMessageIsOneEvent) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  const auto stanza =
      peer.group_message("A1", kGroup, {peer.key_enc(kGroup), peer.group_enc("one")});
  world.receive(stanza);
  world.receive(stanza);
  EXPECT_THAT(world.texts(), ElementsAre("one"));
  EXPECT_THAT(world.sent_with("receipt", "retry"), IsEmpty());
}

TEST_F(GroupsTest, AMessageUnderAUsedSenderKeyIsAskedForAgain) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  auto stanza = peer.group_message("A1", kGroup, {peer.key_enc(kGroup), peer.group_enc("one")});
  world.receive(stanza);
  stanza.set_attr("id", std::string("A2"));
  world.receive(stanza);
  EXPECT_THAT(world.texts(), ElementsAre("one"));
  ASSERT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
  EXPECT_EQ(attr(world.sent_with("receipt", "retry")[0], "id"), "A2");
}

TEST_F(GroupsTest, AKeyForAnotherGroupIsNotTaken) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  const Jid other("120363000000000002", "g.us");
  world.receive(peer.group_message("A1", kGroup, {peer.key_enc(other), peer.group_enc("one")}));
  EXPECT_THAT(world.texts(), IsEmpty());
  EXPECT_THAT(world.sent_with("receipt", "retry"), SizeIs(1));
}

TEST_F(GroupsTest, NothingStaysStoredOfAnAccountThatIsForgotten) {
  auto& peer = world.peer();
  peer.begin(world.own_bundle());
  world.receive(peer.group_message("A1", kGroup, {peer.key_enc(kGroup), peer.group_enc("one")}));
  world.ack(world.send(kGroup, "two"));
  test::store_changes(world.messenger->part(world.now).changes, world.store);
  for (const auto& [key, bytes] : world.store) {
    EXPECT_TRUE(key.kind == kPreKeyKind || key.kind == kMessengerKind) << key.kind;
  }
}

TEST_F(GroupsTest, NothingOfAGroupStaysInMemory) {
  world.ack(world.send(kGroup, "one"));
  EXPECT_EQ(world.messenger->residency().records, 0U);
  EXPECT_EQ(world.messenger->residency().lanes, 0U);
}

}  // namespace
}  // namespace wa::messaging

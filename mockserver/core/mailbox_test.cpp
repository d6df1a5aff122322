#include "mockserver/core/mailbox.hpp"

#include <gtest/gtest.h>

namespace wa::mock {
namespace {

using wire::Jid;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

const Jid kAnna("111", wire::kServerLid, 2);
const Jid kBert("222", wire::kServerLid);

NodeBuilder stanza(std::string tag, std::string id, const Jid& from = kAnna) {
  return NodeBuilder(std::move(tag)).attr("from", from).attr("id", std::move(id));
}

std::string id_of(const NodeBuilder& node) {
  for (const auto& [key, value] : node.attributes()) {
    if (key == "id") return std::get<std::string>(value);
  }
  return {};
}

bool is_offline(const NodeBuilder& node) {
  for (const auto& [key, value] : node.attributes()) {
    if (key == "offline") return true;
  }
  return false;
}

/// Everything that waits; those that waited for the login are marked.
Words drain(Mailbox& mailbox) {
  Words words;
  while (const auto next = mailbox.next()) {
    words.push_back(id_of(*next) + (is_offline(*next) ? "!" : ""));
  }
  return words;
}

TEST(MailboxTest, SendsInOrderAndOnceOnAConnection) {
  Mailbox mailbox;
  for (const char* id : {"a", "b", "c"}) mailbox.add(stanza("message", id));
  EXPECT_EQ(drain(mailbox), (Words{"a", "b", "c"}));
  EXPECT_EQ(drain(mailbox), Words{});
  EXPECT_EQ(mailbox.size(), 3u) << "nothing was acknowledged";
}

TEST(MailboxTest, WhatIsNotAcknowledgedComesAgainAsOffline) {
  Mailbox mailbox;
  for (const char* id : {"a", "b", "c"}) mailbox.add(stanza("message", id));
  (void)drain(mailbox);
  EXPECT_TRUE(mailbox.acknowledge({"message", "b", {}}));
  mailbox.begin_session();
  mailbox.add(stanza("message", "d"));
  EXPECT_EQ(drain(mailbox), (Words{"a!", "c!", "d"}));
  EXPECT_EQ(mailbox.offline_in_flight(), 2u);
  mailbox.begin_session();
  EXPECT_EQ(drain(mailbox), (Words{"a!", "c!", "d!"})) << "again and again";
}

TEST(MailboxTest, AnAckIsForItsOwnClassAndId) {
  Mailbox mailbox;
  mailbox.add(stanza("notification", "a"));
  mailbox.add(stanza("message", "b"));
  (void)drain(mailbox);
  EXPECT_FALSE(mailbox.acknowledge({"message", "a", {}}));
  EXPECT_FALSE(mailbox.acknowledge({"message", "c", {}}));
  EXPECT_FALSE(mailbox.acknowledge({"message", "", {}}));
  EXPECT_TRUE(mailbox.acknowledge({"notification", "a", {}}));
  EXPECT_FALSE(mailbox.acknowledge({"notification", "a", {}})) << "only once";
  EXPECT_TRUE(mailbox.holds("message", "b"));
}

TEST(MailboxTest, OfTwoStanzasWithOneIdTheSendersIsMeant) {
  Mailbox mailbox;
  mailbox.add(stanza("message", "a", kAnna));
  mailbox.add(stanza("message", "a", kBert));
  (void)drain(mailbox);
  EXPECT_TRUE(mailbox.acknowledge({"message", "a", kBert}));
  mailbox.begin_session();
  const auto left = mailbox.next();
  ASSERT_TRUE(left);
  EXPECT_EQ(left->attributes().front().second, NodeBuilder::AttributeValue(kAnna));
}

TEST(MailboxTest, WhoeverIsNamedAnIdThatFitsAloneIsMeant) {
  Mailbox mailbox;
  mailbox.add(stanza("message", "a", kAnna));
  (void)drain(mailbox);
  EXPECT_TRUE(mailbox.acknowledge({"message", "a", kBert}));
}

TEST(MailboxTest, WhatWasNeverSentIsNotAcknowledged) {
  Mailbox mailbox;
  mailbox.add(stanza("message", "a"));
  EXPECT_FALSE(mailbox.acknowledge({"message", "a", {}}));
  EXPECT_EQ(drain(mailbox), Words{"a"});
}

TEST(MailboxTest, AnAckOfAnEarlierConnectionCounts) {
  Mailbox mailbox;
  mailbox.add(stanza("message", "a"));
  mailbox.add(stanza("message", "b"));
  (void)drain(mailbox);
  mailbox.begin_session();
  EXPECT_TRUE(mailbox.acknowledge({"message", "a", {}}));
  EXPECT_EQ(drain(mailbox), Words{"b!"});
}

TEST(MailboxTest, CountsByKind) {
  Mailbox mailbox;
  for (const char* tag : {"message", "message", "receipt", "notification", "call"}) {
    mailbox.add(stanza(tag, "x"));
  }
  EXPECT_EQ(mailbox.unsent().message, 2u);
  EXPECT_EQ(mailbox.unsent().all(), 5u);
  (void)mailbox.next();
  EXPECT_EQ(mailbox.unsent().message, 1u);
}

TEST(MailboxTest, GivesUpTheOldestWhenThereAreTooMany) {
  Mailbox mailbox(3, 1'000'000);
  for (const char* id : {"a", "b", "c", "d"}) mailbox.add(stanza("message", id));
  EXPECT_EQ(mailbox.given_up(), 1u);
  EXPECT_EQ(drain(mailbox), (Words{"b", "c", "d"}));
  mailbox.add(stanza("message", "e"));
  EXPECT_EQ(drain(mailbox), Words{"e"}) << "what was sent is not sent again";
  EXPECT_EQ(mailbox.size(), 3u);
}

TEST(MailboxTest, GivesUpTheOldestWhenTheyAreTooLarge) {
  Mailbox mailbox(1000, 10'000);
  const Bytes large(6000);
  mailbox.add(stanza("message", "a").child(NodeBuilder("enc").bytes(large)));
  mailbox.add(stanza("message", "b").child(NodeBuilder("enc").bytes(large)));
  EXPECT_EQ(drain(mailbox), Words{"b"});
  const Bytes huge(20'000);
  mailbox.add(stanza("message", "c").child(NodeBuilder("enc").bytes(huge)));
  EXPECT_EQ(drain(mailbox), Words{"c"}) << "one alone is kept, however large";
}

}  // namespace
}  // namespace wa::mock

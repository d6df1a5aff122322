#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

/// Groups as large as they get: asked for in parts, written to in one stanza, forgotten afterwards.
namespace wa::messaging {
namespace {

using test::attr;
using test::child;
using test::children;
using test::World;
using testing::Each;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;
using wire::Jid;
using wire::NodeBuilder;

const Jid kGroup("120363000000000001", "g.us");
constexpr int kMembers = 5000;
constexpr std::size_t kPerQuery = 250;

Jid lid_of(int member) {
  return Jid(std::to_string(300'000'000'000'000 + member), "lid");
}

NodeBuilder result(NodeBuilder content) {
  return NodeBuilder("iq").attr("type", std::string("result")).child(std::move(content));
}

/// A server that knows 5000 members, who all have the keys of one.
class LargeGroupTest : public testing::Test {
 protected:
  LargeGroupTest() {
    bundle_ = children(*child(world.answer(NodeBuilder("iq").child(NodeBuilder("key").child(
                                  NodeBuilder("user").attr("jid", test::kPeerJid)))),
                              "list"))
                  .front();
    world.answer_instead = [this](const NodeBuilder& iq) { return answer(iq); };
    world.online();
  }

  NodeBuilder answer(const NodeBuilder& iq) {
    if (attr(iq, "xmlns") == "w:g2") {
      NodeBuilder group("group");
      group.attr("id", kGroup.user).attr("addressing_mode", std::string("lid"));
      group.child(NodeBuilder("participant").attr("jid", test::kOwnLid.without_device()));
      for (int i = 1; i < kMembers; ++i) {
        group.child(
            NodeBuilder("participant")
                .attr("jid", lid_of(i))
                .attr("phone_number", Jid(std::to_string(4'900'000'000 + i), "s.whatsapp.net")));
      }
      return result(std::move(group));
    }
    NodeBuilder list("list");
    if (const NodeBuilder* usync = child(iq, "usync")) {
      for (const NodeBuilder& user : children(*child(*usync, "list"))) {
        const auto jid = Jid::parse(attr(user, "jid"));
        list.child(NodeBuilder("user")
                       .attr("jid", *jid)
                       .child(NodeBuilder("devices").child(
                           NodeBuilder("device-list").child(NodeBuilder("device").attr("id", 0)))));
      }
      return result(NodeBuilder("usync").child(std::move(list)));
    }
    for (const NodeBuilder& user : children(*child(iq, "key"))) {
      NodeBuilder one = bundle_;
      one.set_attr("jid", *Jid::parse(attr(user, "jid")));
      list.child(std::move(one));
    }
    return result(std::move(list));
  }

  std::vector<std::size_t> sizes_of_queries() const {
    std::vector<std::size_t> sizes;
    for (const NodeBuilder& iq : world.queries) {
      const NodeBuilder* list = child(iq, "key");
      if (const NodeBuilder* usync = child(iq, "usync")) list = child(*usync, "list");
      if (list) sizes.push_back(children(*list).size());
    }
    return sizes;
  }

  World world;
  NodeBuilder bundle_{"user"};
};

TEST_F(LargeGroupTest, FiveThousandMembersAreAskedForInPartsAndWrittenToInOneStanza) {
  world.send(kGroup, "one");
  const std::string id = world.send(kGroup, "two");
  ASSERT_THAT(world.sent_with("message"), SizeIs(2));
  EXPECT_THAT(children(*child(world.sent_with("message")[0], "participants")), SizeIs(kMembers));
  // The members' devices, and their keys: each once, whoever waits for it.
  EXPECT_THAT(sizes_of_queries(), SizeIs(2 * kMembers / kPerQuery));
  EXPECT_THAT(sizes_of_queries(), Each(Le(kPerQuery)));
  EXPECT_THAT(world.queries, SizeIs(2 * kMembers / kPerQuery + 1));
  EXPECT_LE(world.loads, 40U) << "records are read together, not one by one";

  for (const NodeBuilder& stanza : world.sent_with("message")) world.ack(attr(stanza, "id"));
  world.send(kGroup, "three");
  EXPECT_EQ(child(world.sent_with("message")[2], "participants"), nullptr);
  EXPECT_THAT(sizes_of_queries(), SizeIs(2 * kMembers / kPerQuery));
  world.ack(attr(world.sent_with("message")[2], "id"));
  world.pass(std::chrono::seconds(2));
  EXPECT_EQ(world.messenger->residency().records, 0U);
  EXPECT_EQ(world.messenger->residency().lanes, 0U);
}

TEST_F(LargeGroupTest, AStreamThatEndsAmongTheAnswersBeginsAnew) {
  world.answer_queries = false;
  world.send(kGroup, "one");
  world.answer_queries = true;
  while (world.queries.size() < 30 && world.perform_one()) {
  }
  ASSERT_THAT(world.sent_with("message"), IsEmpty());
  world.offline();
  world.online();
  world.settle();
  ASSERT_THAT(world.sent_with("message"), SizeIs(1));
  EXPECT_THAT(children(*child(world.sent_with("message")[0], "participants")), SizeIs(kMembers));
}

TEST_F(LargeGroupTest, AnAnswerThatLacksAPartLeavesThoseMembersOut) {
  std::size_t parts = 0;
  world.answer_instead = [&](const NodeBuilder& iq) {
    if (child(iq, "key") && ++parts == 2)
      return NodeBuilder("iq").attr("type", std::string("error"));
    return answer(iq);
  };
  world.send(kGroup, "one");
  ASSERT_THAT(world.sent_with("message"), SizeIs(1));
  EXPECT_THAT(children(*child(world.sent_with("message")[0], "participants")),
              SizeIs(kMembers - kPerQuery));
}

TEST_F(LargeGroupTest, MembersBeyondTheLimitAndRepeatedOnesDoNoHarm) {
  world.answer_instead = [&](const NodeBuilder& iq) {
    NodeBuilder reply = answer(iq);
    if (attr(iq, "xmlns") != "w:g2") return reply;
    NodeBuilder group("group");
    group.attr("id", kGroup.user).attr("addressing_mode", std::string("lid"));
    for (int i = 0; i < 20'000; ++i) {
      group.child(NodeBuilder("participant").attr("jid", lid_of(i % 10)));
    }
    return result(std::move(group));
  };
  world.send(kGroup, "one");
  ASSERT_THAT(world.sent_with("message"), SizeIs(1));
  EXPECT_THAT(sizes_of_queries(), Each(Le(kPerQuery)));
  EXPECT_THAT(children(*child(world.sent_with("message")[0], "participants")), SizeIs(11));
}

}  // namespace
}  // namespace wa::messaging

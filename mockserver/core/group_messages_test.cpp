// Groups as their members' devices see them: who may do what, who is told, who gets which message.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/limits.hpp"
#include "mockserver/core/test_devices.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::enc;
using test::query;
using test::TestDevice;
using wire::Frame;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using Words = std::vector<std::string>;

class GroupMessagesTest : public testing::Test {
 protected:
  GroupMessagesTest() {
    create("Tea", {bert_.pn().without_device()});
    forget();
  }
  void forget() {
    for (TestDevice* device : {&anna_, &bert_, &carl_}) (void)device->inbox();
  }
  static NodeBuilder group_iq(const Jid& to, std::string type, NodeBuilder child) {
    return NodeBuilder("iq")
        .attr("to", to)
        .attr("xmlns", "w:g2")
        .attr("type", std::move(type))
        .attr("id", "1")
        .child(std::move(child));
  }
  /// Anna makes a group.
  void create(std::string subject, const std::vector<Jid>& others) {
    NodeBuilder create("create");
    create.attr("subject", std::move(subject)).attr("key", "k");
    for (const Jid& other : others) create.child(NodeBuilder("participant").attr("jid", other));
    const Frame answer = anna_.ask(group_iq(kAllGroups, "set", std::move(create)));
    ASSERT_NE(answer.root().child("group"), nullptr) << wire::to_xml(answer.root());
    group_ = Jid(std::string(answer.root().child("group")->attr("id")), wire::kServerGroup);
  }
  /// What a change of members brings each of them: "ok" or the error.
  Words change(TestDevice& who, std::string action, const std::vector<Jid>& members) {
    NodeBuilder child(action);
    for (const Jid& member : members) child.child(NodeBuilder("participant").attr("jid", member));
    const Frame answer = who.ask(group_iq(group_, "set", std::move(child)));
    if (answer.root().attr("type") == "error") {
      return {"all: " + answer.root().child("error")->printed("code")};
    }
    Words words;
    for (const Node& participant : answer.root().child(action)->children()) {
      const std::string error = participant.printed("error");
      words.push_back(error.empty() ? "ok" : error);
    }
    return words;
  }
  std::string error_of(const Frame& answer) {
    const Node* error = answer.root().child("error");
    return error == nullptr ? "" : error->printed("code");
  }
  /// Member → role, as the group's query says.
  std::map<std::string, std::string> members(TestDevice& who) {
    const Frame answer = who.ask(group_iq(group_, "get", NodeBuilder("query")));
    std::map<std::string, std::string> found;
    const Node* group = answer.root().child("group");
    if (group == nullptr) return found;
    for (const Node& child : group->children()) {
      if (child.tag == "participant") found[child.printed("jid")] = child.printed("type");
    }
    return found;
  }
  /// A group message with the sender key for these devices.
  NodeBuilder group_message(std::string id, const std::vector<Jid>& with_key,
                            std::string mode = "lid") {
    NodeBuilder message("message");
    message.attr("id", std::move(id)).attr("to", group_).attr("type", "text");
    message.attr("addressing_mode", std::move(mode));
    message.child(enc("skmsg", "for all"));
    NodeBuilder participants("participants");
    for (const Jid& device : with_key) {
      participants.child(NodeBuilder("to").attr("jid", device).child(enc("pkmsg", "key")));
    }
    message.child(std::move(participants));
    message.child(NodeBuilder("device-identity").bytes(as_bytes("who")));
    return message;
  }

  const Jid kAllGroups{"", wire::kServerGroup};
  Bench bench_;
  TestDevice anna_{bench_, "15550100001", "anna"};
  TestDevice bert_{bench_, "15550100002", "bert"};
  TestDevice carl_{bench_, "15550100003", "carl"};
  Jid anna_lid_ = anna_.lid().without_device();
  Jid bert_lid_ = bert_.lid().without_device();
  Jid carl_lid_ = carl_.lid().without_device();
  Jid group_;
};

TEST_F(GroupMessagesTest, AGroupIsKnownToItsMembersAlone) {
  const Frame answer = bert_.ask(group_iq(group_, "get", NodeBuilder("query")));
  const Node* group = answer.root().child("group");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->attr("id"), group_.user) << "WM wants text";
  EXPECT_EQ(group->attr("subject"), "Tea");
  EXPECT_EQ(group->attr("addressing_mode"), "lid");
  EXPECT_EQ(group->jid("creator"), anna_lid_);
  EXPECT_EQ(group->jid("creator_pn"), anna_.pn().without_device());
  EXPECT_EQ(group->attr("size"), "2");
  EXPECT_EQ(members(bert_),
            (std::map<std::string, std::string>{{anna_lid_.to_string(), "superadmin"},
                                                {bert_lid_.to_string(), ""}}));
  EXPECT_EQ(error_of(carl_.ask(group_iq(group_, "get", NodeBuilder("query")))), "403");
  const Jid nowhere("120363000000000000", wire::kServerGroup);
  EXPECT_EQ(error_of(carl_.ask(group_iq(nowhere, "get", NodeBuilder("query")))), "404");
}

TEST_F(GroupMessagesTest, EveryDeviceIsToldOfANewGroup) {
  create("Coffee", {bert_.pn().without_device(), carl_lid_, carl_lid_, anna_lid_});
  for (TestDevice* device : {&bert_, &carl_}) {
    const auto told = device->inbox("notification");
    ASSERT_EQ(told.size(), 1u);
    const Node& news = told[0].root();
    EXPECT_EQ(news.attr("type"), "w:gp2");
    EXPECT_EQ(news.jid("from"), group_);
    EXPECT_EQ(news.jid("participant"), anna_lid_);
    EXPECT_EQ(news.jid("participant_pn"), anna_.pn().without_device());
    ASSERT_NE(news.child("create"), nullptr);
    EXPECT_EQ(news.child("create")->attr("key"), "k");
    EXPECT_EQ(news.child("create")->child("group")->attr("subject"), "Coffee");
  }
  EXPECT_EQ(members(anna_).size(), 3u) << "whoever is named twice is a member once";
}

TEST_F(GroupMessagesTest, AllGroupsOfAnAccountAreListed) {
  create("Coffee", {});
  const auto count = [&](TestDevice& who) {
    const Frame answer = who.ask(group_iq(kAllGroups, "get", NodeBuilder("participating")));
    return answer.root().child("groups")->children().size();
  };
  EXPECT_EQ(count(anna_), 2u);
  EXPECT_EQ(count(bert_), 1u);
  EXPECT_EQ(count(carl_), 0u);
}

TEST_F(GroupMessagesTest, SubjectsHaveOneToAHundredCharacters) {
  const auto try_subject = [&](std::string subject) {
    return error_of(
        anna_.ask(group_iq(kAllGroups, "set", NodeBuilder("create").attr("subject", subject))));
  };
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "\xc3\xa4";
  EXPECT_EQ(try_subject(umlauts), "");
  EXPECT_EQ(try_subject(umlauts + "a"), "406");
  EXPECT_EQ(error_of(anna_.ask(group_iq(
                group_, "set", NodeBuilder("subject").bytes(as_bytes(std::string(101, 'a')))))),
            "406");
}

TEST_F(GroupMessagesTest, MembersComeAndGo) {
  EXPECT_EQ(change(anna_, "add", {carl_lid_}), Words{"ok"});
  const auto at_carl = carl_.inbox("notification");
  ASSERT_EQ(at_carl.size(), 1u);
  EXPECT_NE(at_carl[0].root().child("create"), nullptr) << "to him the group is new";
  const auto at_bert = bert_.inbox("notification");
  ASSERT_EQ(at_bert.size(), 1u);
  const Node* add = at_bert[0].root().child("add");
  ASSERT_NE(add, nullptr);
  EXPECT_EQ(add->first_child()->jid("jid"), carl_lid_);
  EXPECT_EQ(add->first_child()->jid("phone_number"), carl_.pn().without_device());
  EXPECT_EQ(change(anna_, "remove", {carl_.pn().without_device()}), Words{"ok"});
  const auto gone = carl_.inbox("notification");
  ASSERT_EQ(gone.size(), 1u) << "who is removed is told";
  EXPECT_NE(gone[0].root().child("remove"), nullptr);
  EXPECT_EQ(members(anna_).size(), 2u);
}

TEST_F(GroupMessagesTest, EveryParticipantHasAVerdictOfItsOwn) {
  const Jid stranger("15550199999", wire::kServerPn);
  EXPECT_EQ(change(anna_, "add", {bert_lid_, stranger, carl_lid_}), (Words{"409", "404", "ok"}));
  EXPECT_EQ(change(anna_, "remove", {stranger, carl_lid_}), (Words{"404", "ok"}));
  EXPECT_EQ(change(anna_, "promote", {carl_lid_}), Words{"404"});
  EXPECT_EQ(change(carl_, "add", {carl_lid_}), Words{"all: 403"});
}

TEST_F(GroupMessagesTest, OnlyAdminsChangeRolesAndNobodyTheFounders) {
  (void)change(anna_, "add", {carl_lid_});
  EXPECT_EQ(change(bert_, "remove", {carl_lid_}), Words{"all: 403"});
  EXPECT_EQ(change(anna_, "promote", {bert_lid_}), Words{"ok"});
  EXPECT_EQ(change(bert_, "demote", {anna_lid_}), Words{"403"});
  EXPECT_EQ(change(bert_, "remove", {anna_lid_}), Words{"403"});
  EXPECT_EQ(change(bert_, "promote", {carl_lid_}), Words{"ok"});
  EXPECT_EQ(members(carl_)[carl_lid_.to_string()], "admin");
  EXPECT_EQ(change(anna_, "demote", {carl_lid_}), Words{"ok"});
  EXPECT_EQ(members(carl_)[carl_lid_.to_string()], "");
}

TEST_F(GroupMessagesTest, WhoLeavesIsOutAndTheOthersKnow) {
  const auto answer = bert_.ask(
      group_iq(kAllGroups, "set",
               NodeBuilder("leave").child(NodeBuilder("group").attr("id", group_.to_string()))));
  EXPECT_FALSE(answer.root().child("leave")->first_child()->has_attr("error"));
  const auto told = anna_.inbox("notification");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].root().child("leave"), nullptr);
  EXPECT_EQ(told[0].root().jid("participant"), bert_lid_);
  EXPECT_EQ(error_of(bert_.ask(group_iq(group_, "get", NodeBuilder("query")))), "403");
  const auto again = bert_.ask(group_iq(
      kAllGroups, "set", NodeBuilder("leave").child(NodeBuilder("group").attr("id", group_))));
  EXPECT_EQ(again.root().child("leave")->first_child()->attr("error"), "404");
}

TEST_F(GroupMessagesTest, SubjectAndDescriptionChangeForAll) {
  (void)bert_.ask(group_iq(group_, "set", NodeBuilder("subject").bytes(as_bytes("Green tea"))));
  auto told = anna_.inbox("notification");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].root().child("subject")->attr("subject"), "Green tea");
  const auto describe = [&](std::string id, std::string prev) {
    NodeBuilder description("description");
    description.attr("id", std::move(id));
    if (!prev.empty()) description.attr("prev", std::move(prev));
    description.child(NodeBuilder("body").bytes(as_bytes("Every day at five")));
    return group_iq(group_, "set", std::move(description));
  };
  EXPECT_EQ(error_of(bert_.ask(describe("d1", ""))), "");
  EXPECT_EQ(error_of(bert_.ask(describe("d2", "d1"))), "");
  EXPECT_EQ(error_of(bert_.ask(describe("d3", "d1"))), "409") << "somebody was faster";
  const Frame answer = anna_.ask(group_iq(group_, "get", NodeBuilder("query")));
  const Node* description = answer.root().child("group")->child("description");
  ASSERT_NE(description, nullptr);
  EXPECT_EQ(description->attr("id"), "d2");
  EXPECT_EQ(as_text(description->child("body")->bytes()), "Every day at five");
  (void)bert_.ask(group_iq(group_, "set", NodeBuilder("description").attr("delete", "true")));
  const Frame erased = anna_.ask(group_iq(group_, "get", NodeBuilder("query")));
  EXPECT_EQ(erased.root().child("group")->child("description"), nullptr);
}

TEST_F(GroupMessagesTest, SettingsAreTheAdminsAndAreKept) {
  EXPECT_EQ(error_of(bert_.ask(group_iq(group_, "set", NodeBuilder("locked")))), "403");
  for (NodeBuilder setting : {NodeBuilder("locked"), NodeBuilder("announcement"),
                              NodeBuilder("ephemeral").attr("expiration", "86400"),
                              NodeBuilder("member_add_mode").bytes(as_bytes("admin_add"))}) {
    EXPECT_EQ(error_of(anna_.ask(group_iq(group_, "set", std::move(setting)))), "");
  }
  EXPECT_EQ(bert_.inbox("notification").size(), 4u);
  EXPECT_EQ(
      error_of(bert_.ask(group_iq(group_, "set", NodeBuilder("subject").bytes(as_bytes("mine"))))),
      "403");
  EXPECT_EQ(change(bert_, "add", {carl_lid_}), Words{"all: 403"});
  const Frame answer = bert_.ask(group_iq(group_, "get", NodeBuilder("query")));
  const Node* group = answer.root().child("group");
  EXPECT_NE(group->child("locked"), nullptr);
  EXPECT_NE(group->child("announcement"), nullptr);
  EXPECT_EQ(group->child("ephemeral")->attr("expiration"), "86400");
  EXPECT_EQ(as_text(group->child("member_add_mode")->bytes()), "admin_add");
  EXPECT_EQ(error_of(anna_.ask(
                group_iq(group_, "set", NodeBuilder("member_add_mode").bytes(as_bytes("nobody"))))),
            "406");
}

TEST_F(GroupMessagesTest, ACodeLetsSomebodyIn) {
  const Frame asked = anna_.ask(group_iq(group_, "get", NodeBuilder("invite")));
  const std::string code(asked.root().child("invite")->attr("code"));
  EXPECT_EQ(error_of(bert_.ask(group_iq(group_, "get", NodeBuilder("invite")))), "403");
  const auto by_code = [&](std::string type, std::string used) {
    return carl_.ask(
        group_iq(kAllGroups, std::move(type), NodeBuilder("invite").attr("code", used)));
  };
  EXPECT_EQ(error_of(by_code("set", "nonsense")), "406");
  const Frame shown = by_code("get", code);
  ASSERT_NE(shown.root().child("group"), nullptr);
  EXPECT_EQ(shown.root().child("group")->attr("subject"), "Tea");
  const Frame joined = by_code("set", code);
  EXPECT_EQ(joined.root().child("group")->jid("jid"), group_);
  EXPECT_EQ(members(carl_).size(), 3u);
  EXPECT_EQ(bert_.inbox("notification").size(), 1u);
  EXPECT_EQ(error_of(by_code("set", code)), "409");
  (void)anna_.ask(group_iq(group_, "set", NodeBuilder("invite")));
  EXPECT_EQ(error_of(by_code("get", code)), "406") << "it was replaced";
}

TEST_F(GroupMessagesTest, AGroupIsFullAtItsLimit) {
  for (std::size_t i = 0; i < limits::kMaxGroupMembers; ++i) {
    (void)bench_.command(AddPhone{std::to_string(15'560'000'000 + i), ""});
  }
  std::vector<Jid> many;
  for (std::size_t i = 0; i < 10'000; ++i) {
    many.emplace_back(std::to_string(15'560'000'000 + i), wire::kServerPn);
  }
  const Words verdicts = change(anna_, "add", many);
  EXPECT_EQ(verdicts.size(), 10'000u);
  EXPECT_EQ(std::count(verdicts.begin(), verdicts.end(), "ok"),
            static_cast<std::ptrdiff_t>(limits::kMaxGroupMembers) - 2);
  EXPECT_EQ(members(anna_).size(), limits::kMaxGroupMembers);
}

// ---- messages ----------------------------------------------------------------------------------

TEST_F(GroupMessagesTest, MembersGetTheirKeyFirstAndThenWhatIsForAll) {
  (void)change(anna_, "add", {carl_lid_});
  forget();
  anna_.send(group_message("M1", {bert_.lid()}));
  const auto at_bert = bert_.inbox("message");
  ASSERT_EQ(at_bert.size(), 1u);
  const Node& message = at_bert[0].root();
  EXPECT_EQ(message.jid("from"), group_);
  EXPECT_EQ(message.jid("participant"), anna_.lid());
  EXPECT_EQ(message.jid("participant_pn"), anna_.pn().without_device());
  EXPECT_EQ(message.attr("addressing_mode"), "lid");
  ASSERT_EQ(message.children().size(), 3u);
  EXPECT_EQ(message.children()[0].attr("type"), "pkmsg");
  EXPECT_EQ(message.children()[1].attr("type"), "skmsg");
  EXPECT_EQ(message.children()[2].tag, "device-identity");
  const auto at_carl = carl_.inbox("message");
  ASSERT_EQ(at_carl.size(), 1u);
  ASSERT_EQ(at_carl[0].root().children().size(), 1u);
  EXPECT_EQ(at_carl[0].root().first_child()->attr("type"), "skmsg");
  EXPECT_EQ(anna_.inbox("message").size(), 0u);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(GroupMessagesTest, OneOldDeviceMakesItANumbersGroup) {
  TestDevice old_carl(bench_, "15550100003", "carl-old", wire::Dictionary::v2);
  (void)change(anna_, "add", {carl_lid_});
  forget();
  (void)old_carl.inbox();
  anna_.send(group_message("M1", {}, "lid"));
  EXPECT_EQ(anna_.inbox("ack").at(0).root().attr("error"), "421");
  anna_.send(group_message("M2", {old_carl.pn()}, "pn"));
  for (TestDevice* device : {&bert_, &old_carl}) {
    const auto messages = device->inbox("message");
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].root().jid("participant"), anna_.pn()) << "the same for all";
    EXPECT_EQ(messages[0].root().jid("participant_lid"), anna_lid_);
    EXPECT_EQ(messages[0].root().attr("addressing_mode"), "pn");
  }
}

TEST_F(GroupMessagesTest, StrangersAndTheSilencedAreRefused) {
  carl_.send(group_message("M1", {}));
  EXPECT_EQ(carl_.inbox("ack").at(0).root().attr("error"), "403");
  (void)anna_.ask(group_iq(group_, "set", NodeBuilder("announcement")));
  bert_.send(group_message("M2", {}));
  EXPECT_EQ(bert_.inbox("ack").at(0).root().attr("error"), "403");
  anna_.send(group_message("M3", {}));
  EXPECT_FALSE(anna_.inbox("ack").at(0).root().has_attr("error"));
  const Jid nowhere("120363000000000000", wire::kServerGroup);
  NodeBuilder lost("message");
  lost.attr("id", "M4").attr("to", nowhere).attr("type", "text").child(enc("skmsg", "x"));
  carl_.send(lost);
  EXPECT_EQ(carl_.inbox("ack").at(0).root().attr("error"), "404");
  EXPECT_EQ(bench_.rules(), Words{"message-recipient"});
}

TEST_F(GroupMessagesTest, ReceiptsNameTheReaderAndGoToTheAuthor) {
  (void)change(anna_, "add", {carl_lid_});
  forget();
  anna_.send(group_message("M1", {}));
  const auto message = bert_.inbox("message");
  (void)anna_.inbox();
  (void)carl_.inbox();
  bert_.send(test::receipt_for(message.at(0).root()));
  const auto receipts = anna_.inbox("receipt");
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_EQ(receipts[0].root().jid("from"), group_);
  EXPECT_EQ(receipts[0].root().jid("participant"), bert_.lid());
  EXPECT_EQ(carl_.inbox("receipt").size(), 0u);
}

TEST_F(GroupMessagesTest, AResendGoesToTheOneMemberThatAskedForIt) {
  (void)change(anna_, "add", {carl_lid_});
  forget();
  anna_.send(group_message("M1", {}));
  (void)carl_.inbox();
  const auto message = bert_.inbox("message");
  (void)anna_.inbox();
  NodeBuilder retry = test::receipt_for(message.at(0).root(), "retry");
  retry.child(NodeBuilder("retry").attr("count", "1").attr("id", "M1"));
  retry.child(NodeBuilder("registration").bytes(big_endian<4>(7)));
  bert_.send(retry);
  const auto asked = anna_.inbox("receipt");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].root().jid("participant"), bert_.lid());
  anna_.send(NodeBuilder("message")
                 .attr("id", "M1")
                 .attr("to", group_)
                 .attr("participant", bert_.lid())
                 .attr("type", "text")
                 .child(enc("msg", "again")));
  const auto again = bert_.inbox("message");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].root().jid("from"), group_);
  EXPECT_EQ(carl_.inbox("message").size(), 0u);
}

TEST_F(GroupMessagesTest, AnotherIdeaOfTheMembersIsAnsweredWithTheirHash) {
  const auto hash_for = [&](std::string phash) {
    NodeBuilder message = group_message("M1", {});
    message.attr("phash", std::move(phash));
    anna_.send(message);
    const auto acks = anna_.inbox("ack");
    return std::string(acks.at(0).root().attr("phash"));
  };
  const std::string right = hash_for("2:AAAAAAAA");
  EXPECT_EQ(right.size(), 10u);
  EXPECT_EQ(hash_for(right), "");
}

TEST_F(GroupMessagesTest, AStatusGoesToTheReadersThatItNames) {
  NodeBuilder status("message");
  status.attr("id", "S1").attr("to", Jid("status", "broadcast")).attr("type", "text");
  status.child(NodeBuilder("participants")
                   .child(NodeBuilder("to").attr("jid", bert_.lid()).child(enc("msg", "key")))
                   .child(NodeBuilder("to").attr("jid", carl_.lid())));
  status.child(enc("skmsg", "look"));
  anna_.send(status);
  const auto seen = bert_.inbox("message");
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].root().jid("from"), Jid("status", "broadcast"));
  EXPECT_EQ(seen[0].root().jid("participant"), anna_.lid());
  EXPECT_EQ(seen[0].root().children().size(), 2u);
  EXPECT_EQ(bench_.rules(), Words{});
}

TEST_F(GroupMessagesTest, TypingInAGroupIsSeenByItsMembers) {
  anna_.send(NodeBuilder("chatstate").attr("to", group_).child(NodeBuilder("composing")));
  const auto seen = bert_.inbox("chatstate");
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].root().jid("from"), group_);
  EXPECT_EQ(seen[0].root().jid("participant"), anna_lid_);
  EXPECT_EQ(carl_.inbox("chatstate").size(), 0u);
}

TEST_F(GroupMessagesTest, GroupsSurviveASave) {
  const std::string saved = bench_.tenant.save();
  Bench other;
  ASSERT_TRUE(other.tenant.load(saved));
  EXPECT_EQ(other.tenant.save(), saved);
}

}  // namespace
}  // namespace wa::mock

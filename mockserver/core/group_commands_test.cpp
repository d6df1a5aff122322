// Groups that users of phones make, and what they show of themselves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mockserver/core/test_devices.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::TestDevice;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr const char* kAnna = "15550100001";
constexpr const char* kBen = "15550100002";
constexpr const char* kCleo = "15550100003";

class GroupCommandsTest : public testing::Test {
 protected:
  GroupCommandsTest() : shop_(bench_, kAnna, "shop-1") {
    for (const char* number : {kBen, kCleo}) (void)bench_.command(AddPhone{number, ""});
    shop_.settle();
  }
  template <class Command>
  std::string done(Command command) {
    const auto answered = bench_.command(command);
    EXPECT_TRUE(answered && std::holds_alternative<CommandResult>(*answered));
    const auto* result = answered ? std::get_if<CommandResult>(&*answered) : nullptr;
    return result == nullptr ? std::string() : result->value;
  }
  template <class Command>
  std::string refused(Command command) {
    const auto answered = bench_.command(command);
    const auto* problem = answered ? std::get_if<Problem>(&*answered) : nullptr;
    return problem == nullptr ? std::string("done") : problem->code;
  }
  std::vector<std::string> members(const std::string& group) const {
    return bench_.tenant.group(group)->members;
  }
  /// The names of the changes that the device is told of.
  std::vector<std::string> news() {
    std::vector<std::string> names;
    for (const wire::Frame& frame : shop_.inbox("notification")) {
      names.emplace_back(frame.root().first_child()->tag);
    }
    return names;
  }
  using What = ChangeGroup::What;

  Bench bench_;
  TestDevice shop_;
};

TEST_F(GroupCommandsTest, AGroupHasItsFounderAndMembersAndTheirDevicesAreTold) {
  const std::string jid = done(CreateGroup{kBen, "Tea", {kAnna, "15550100003@s.whatsapp.net"}, {}});
  EXPECT_THAT(members(jid), ElementsAre(kAnna, kBen, kCleo));
  EXPECT_EQ(bench_.tenant.group(jid)->subject, "Tea");
  EXPECT_THAT(news(), ElementsAre("create"));
}

TEST_F(GroupCommandsTest, ItsMembersAreCalledAsItSays) {
  const std::string jid = done(CreateGroup{kBen, "Tea", {kAnna}, Addressing::pn});
  const auto told = shop_.inbox("notification");
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].root().attr("addressing_mode"), "pn");
  const Node* group = told[0].root().first_child()->child("group");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->child("participant")->jid("jid")->server, wire::kServerPn);
  // As it does after the mock was started again.
  const std::string saved = bench_.tenant.save();
  Bench other;
  ASSERT_TRUE(other.tenant.load(saved));
  EXPECT_EQ(other.tenant.save(), saved);
}

TEST_F(GroupCommandsTest, MembersComeAndGo) {
  const std::string jid = done(CreateGroup{kBen, "Tea", {kAnna}, {}});
  done(ChangeGroup{kBen, jid, What::add, {kCleo}});
  EXPECT_THAT(members(jid), ElementsAre(kAnna, kBen, kCleo));
  done(ChangeGroup{kBen, jid, What::remove, {kAnna, kCleo}});
  EXPECT_THAT(members(jid), ElementsAre(kBen));
  EXPECT_THAT(news(), ElementsAre("create", "add", "remove"));
}

TEST_F(GroupCommandsTest, WhatCannotBeIsRefused) {
  const std::string jid = done(CreateGroup{kBen, "Tea", {kAnna}, {}});
  EXPECT_EQ(refused(CreateGroup{kBen, "Tea", {"15550100099"}, {}}), "unknown_phone");
  EXPECT_EQ(refused(CreateGroup{"15550100099", "Tea", {}, {}}), "unknown_phone");
  EXPECT_EQ(refused(ChangeGroup{kAnna, jid, What::remove, {kBen}}), "refused") << "no admin";
  EXPECT_EQ(refused(ChangeGroup{kBen, jid, What::add, {kAnna}}), "refused") << "is one";
  EXPECT_EQ(refused(ChangeGroup{kBen, jid, What::remove, {kCleo}}), "refused") << "is none";
  EXPECT_EQ(refused(ChangeGroup{kBen, "1@g.us", What::add, {kCleo}}), "refused");
  EXPECT_EQ(refused(ChangeGroup{kBen, "nobody", What::add, {kCleo}}), "refused");
  EXPECT_FALSE(bench_.tenant.group("1@g.us").has_value());
}

// ---- presence -------------------------------------------------------------------------------

TEST_F(GroupCommandsTest, WhoFollowsAPhoneIsToldWhenItsUserComesAndGoes) {
  shop_.send(
      NodeBuilder("presence").attr("type", "subscribe").attr("to", Jid(kBen, "s.whatsapp.net")));
  done(ShowPresence{kBen, true});
  done(ShowPresence{kBen, true});
  done(ShowPresence{kBen, false});
  std::vector<std::string> types;
  for (const wire::Frame& frame : shop_.inbox("presence")) {
    EXPECT_EQ(frame.root().jid("from"), Jid(kBen, "s.whatsapp.net"));
    types.push_back(frame.root().printed("type"));
  }
  EXPECT_THAT(types, ElementsAre("unavailable", "", "unavailable"));
  EXPECT_EQ(refused(ShowPresence{"15550100099", true}), "unknown_phone");
}

TEST_F(GroupCommandsTest, WhoIsWrittenToSeesIt) {
  using Typing = ShowTyping::What;
  done(ShowTyping{kBen, kAnna, Typing::composing});
  done(ShowTyping{kBen, kAnna, Typing::recording});
  done(ShowTyping{kBen, kAnna, Typing::paused});
  std::vector<std::string> shown;
  for (const wire::Frame& frame : shop_.inbox("chatstate")) {
    const Node* state = frame.root().first_child();
    shown.push_back(std::string(state->tag) + state->printed("media"));
  }
  EXPECT_THAT(shown, ElementsAre("composing", "composingaudio", "paused"));
  EXPECT_EQ(refused(ShowTyping{kBen, "nobody", Typing::paused}), "bad_recipient");
  done(ShowTyping{kBen, kCleo, Typing::composing});
  EXPECT_THAT(shop_.inbox("chatstate"), IsEmpty());
}

}  // namespace
}  // namespace wa::mock

#include "mockserver/core/groups.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace wa::mock {
namespace {

using Role = Group::Role;
using Words = std::vector<std::string>;

Now at(std::int64_t seconds) {
  Now now;
  now.wall = UnixMillis{seconds * 1000};
  return now;
}

class GroupsTest : public testing::Test {
 protected:
  Group& create() { return groups_.create("p1", "Tea", at(1000), random_); }
  SeededRandom random_{1};
  Groups groups_;
};

TEST_F(GroupsTest, ANewGroupHasItsCreatorAlone) {
  const Group& group = create();
  EXPECT_EQ(group.members, (std::map<std::string, Role>{{"p1", Role::superadmin}}));
  EXPECT_EQ(group.creation_seconds, 1000);
  EXPECT_TRUE(group.id.starts_with("120363"));
  EXPECT_EQ(group.id.size(), 18u);
  EXPECT_EQ(groups_.find(group.jid()), &group);
  EXPECT_EQ(groups_.find(wire::Jid(group.id, wire::kServerPn)), nullptr);
  EXPECT_EQ(groups_.of("p1").size(), 1u);
  EXPECT_EQ(groups_.of("p2").size(), 0u);
}

TEST_F(GroupsTest, AGroupIsNeverWithoutAnAdmin) {
  Group& group = create();
  group.members.emplace("p2", Role::member);
  group.members.emplace("p3", Role::member);
  EXPECT_TRUE(groups_.remove(group, "p1"));
  EXPECT_TRUE(group.is_admin("p2"));
  EXPECT_FALSE(group.is_admin("p3"));
  EXPECT_FALSE(group.is_admin("p1"));
}

TEST_F(GroupsTest, TheLastMemberTakesTheGroupAlong) {
  Group& group = create();
  const wire::Jid jid = group.jid();
  EXPECT_FALSE(groups_.remove(group, "p1"));
  EXPECT_EQ(groups_.find(jid), nullptr);
}

TEST_F(GroupsTest, AnInviteCodeStaysUntilItIsReplaced) {
  Group& group = create();
  EXPECT_EQ(groups_.find_by_invite(""), nullptr) << "none was asked for";
  const std::string first = groups_.invite_code(group, false, random_);
  EXPECT_EQ(groups_.invite_code(group, false, random_), first);
  EXPECT_EQ(groups_.find_by_invite(first), &group);
  EXPECT_NE(groups_.invite_code(group, true, random_), first);
  EXPECT_EQ(groups_.find_by_invite(first), nullptr);
}

TEST_F(GroupsTest, OneOldDeviceMakesItANumbersGroup) {
  Accounts accounts;
  Phone* anna = *accounts.add_phone("15550100001", "Anna", random_);
  Phone* bert = *accounts.add_phone("15550100002", "Bert", random_);
  Group& group = groups_.create(anna->id, "Tea", at(1), random_);
  group.members.emplace(bert->id, Role::member);
  group.members.emplace("p99", Role::member);  // who is gone
  Companion companion;
  companion.device = 1;
  bert->companions.emplace(std::uint16_t{1}, companion);
  EXPECT_EQ(Groups::form_of(group, accounts), Addressing::lid);
  EXPECT_EQ(Groups::devices(group, accounts).size(), 3u);
  bert->companions.at(1).dictionary = wire::Dictionary::v2;
  EXPECT_EQ(Groups::form_of(group, accounts), Addressing::pn);
}

TEST_F(GroupsTest, SurvivesASave) {
  Group& group = create();
  group.members.emplace("p2", Role::admin);
  group.description = Group::Description{"d1", "Every day at five", "p2", 1200};
  group.announcement = group.locked = group.admins_add = true;
  group.expiration = 86'400;
  group.version = 7;
  const std::string code = groups_.invite_code(group, false, random_);
  Groups loaded;
  ASSERT_TRUE(loaded.load(groups_.save()));
  EXPECT_EQ(loaded.save(), groups_.save());
  EXPECT_NE(loaded.find_by_invite(code), nullptr);
}

TEST_F(GroupsTest, WhatCannotBeLoadedNamesTheMember) {
  for (const char* text :
       {R"([1])", R"([{"id":"1"}])",
        R"([{"id":"1","subject":"s","subject_owner":"p1","subject_time":-1}])"}) {
    const auto loaded = groups_.load(boost::json::parse(text).get_array());
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, Errc::malformed);
  }
}

}  // namespace
}  // namespace wa::mock

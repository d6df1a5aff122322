#include "scenarios/stage/wishes.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace wa::stage {
namespace {

namespace json = boost::json;
using messaging::GroupRequested;

json::object object(const char* text) {
  return json::parse(text).as_object();
}
std::string flaw(std::string_view command, const char* fields) {
  const auto wish = wish_of(command, object(fields));
  return wish ? "none" : wish.error().detail;
}

TEST(WishesTest, AGroupIsMadeOfNumbersAndJids) {
  const auto wish =
      wish_of("group_create", object(R"({"subject":"Tea","members":["15550100002","1000@lid"]})"));
  ASSERT_TRUE(wish);
  const auto& group = std::get<GroupRequested>(*wish);
  EXPECT_EQ(group.what, GroupRequested::What::create);
  EXPECT_EQ(group.subject, "Tea");
  EXPECT_EQ(group.members,
            (std::vector{wire::Jid("15550100002", "s.whatsapp.net"), wire::Jid("1000", "lid")}));
}

TEST(WishesTest, AChangeNamesItsGroup) {
  for (const char* command : {"group_add", "group_remove"}) {
    const auto wish =
        wish_of(command, object(R"({"group":"1203@g.us","members":["15550100002"]})"));
    ASSERT_TRUE(wish);
    const auto& group = std::get<GroupRequested>(*wish);
    EXPECT_EQ(group.group, wire::Jid("1203", "g.us"));
    EXPECT_EQ(group.what == GroupRequested::What::add, std::string_view(command) == "group_add");
  }
}

TEST(WishesTest, PresenceIsShownOrAskedFor) {
  EXPECT_TRUE(std::get<messaging::AvailabilityChanged>(
                  *wish_of("presence", object(R"({"available":true})")))
                  .available);
  EXPECT_EQ(std::get<messaging::PresenceWanted>(
                *wish_of("presence", object(R"({"subscribe":"15550100002"})")))
                .of,
            wire::Jid("15550100002", "s.whatsapp.net"));
  const auto typing = std::get<messaging::TypingShown>(
      *wish_of("typing", object(R"({"chat":"1203@g.us","state":"recording"})")));
  EXPECT_EQ(typing.chat, wire::Jid("1203", "g.us"));
  EXPECT_EQ(typing.typing, messaging::Typing::recording);
}

TEST(WishesTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(flaw("group_create", R"({"members":[]})"), "group_create takes \"subject\", a text");
  EXPECT_EQ(flaw("group_create", R"({"subject":"Tea"})"),
            "group_create takes \"members\", a list of numbers or JIDs");
  EXPECT_EQ(flaw("group_create", R"({"subject":"Tea","members":[1]})"),
            "group_create takes texts in \"members\"");
  EXPECT_EQ(flaw("group_add", R"({"members":[]})"), "group_add takes \"group\", a number or a JID");
  EXPECT_EQ(flaw("group_add", R"({"group":"@","members":[]})"), "\"@\" is no JID");
  EXPECT_EQ(flaw("presence", R"({"available":1})"),
            "presence takes \"available\", true or false, or \"subscribe\", a number or a JID");
  EXPECT_EQ(flaw("typing", R"({"chat":"1","state":"dancing"})"),
            "typing is \"composing\", \"recording\" or \"paused\", not \"dancing\"");
  EXPECT_EQ(flaw("dance", "{}"), "there is no command \"dance\"");
}

TEST(WishesTest, ACommandNeedsItsCapability) {
  EXPECT_EQ(capability_of("group_remove"), "groups");
  EXPECT_EQ(capability_of("typing"), "presence");
  EXPECT_EQ(capability_of("send"), "");
}

TEST(WishesTest, AnAnswerOfAGroupNamesItOrSaysWhyNot) {
  const wire::Jid group("1203", "g.us");
  EXPECT_EQ(group_answer(messaging::GroupChanged{group, {}})->done,
            object(R"({"jid":"1203@g.us"})"));
  const auto refused = group_answer(
      messaging::GroupChanged{group, {{wire::Jid("15550100002", "s.whatsapp.net"), 403}}});
  EXPECT_EQ(refused->code, "refused");
  EXPECT_EQ(refused->text, "the server answers 403 for 15550100002@s.whatsapp.net");
  EXPECT_EQ(group_answer(messaging::GroupFailed{group, "timed_out", {}})->code, "timed_out");
  EXPECT_EQ(group_answer(messaging::GroupFailed{group, "refused", 403})->text,
            "the group is as it was: the server answers 403");
  EXPECT_FALSE(group_answer(messaging::SendAccepted{"A1"}).has_value());
}

}  // namespace
}  // namespace wa::stage

// Between the protocol of clients under test and the engine's messages.

#include "scenarios/stage/correspondence.hpp"

#include <gmock/gmock.h>

namespace wa::stage {
namespace {

namespace json = boost::json;
using messaging::AppEvent;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kMe = "15550100001:3@s.whatsapp.net";
const wire::Jid kPeer("15550100002", wire::kServerPn);
const wire::Jid kPeerDevice("15550100002", wire::kServerPn, 4);
const wire::Jid kGroup("120363000000000001", wire::kServerGroup);

AppEvent received(const std::string& id, message::Content content, const wire::Jid& chat = kPeer) {
  messaging::Origin origin;
  origin.id = id;
  origin.chat = chat;
  origin.sender = kPeerDevice;
  origin.replayed = true;
  return {.seq = 7, .what = messaging::MessageReceived{origin, std::move(content)}, .ref = {}};
}

json::object only(const AppEvent& event, const std::string& kind) {
  const auto entries = entries_of(event, Instant{});
  EXPECT_EQ(entries.size(), 1u);
  if (entries.empty()) return {};
  EXPECT_EQ(entries[0].kind, kind);
  return entries[0].data;
}

message::Content text(std::string words) {
  return message::Text{.text = std::move(words)};
}

// ---- what is told -------------------------------------------------------------------------------

TEST(EntriesOfEventsTest, AMessageSaysWhatItSaysAndWhereItStands) {
  const json::object data =
      only(received("A1", message::Reaction{{.chat = kPeer.to_string(), .id = "Z9"}, "+", {}}),
           "message");
  EXPECT_EQ(data, (json::object{{"id", "A1"},
                                {"chat", "15550100002@s.whatsapp.net"},
                                {"from", "15550100002:4@s.whatsapp.net"},
                                {"from_me", false},
                                {"offline", true},
                                {"kind", "reaction"},
                                {"text", "+"},
                                {"about", "Z9"},
                                {"seq", 7}}));
}

TEST(EntriesOfEventsTest, WhatDevicesTellEachOtherIsNoMessage) {
  EXPECT_THAT(entries_of(received("A1", message::AppStateKeys{}), Instant{}), IsEmpty());
  EXPECT_THAT(entries_of(received("A1", message::HistoryNotice{}), Instant{}), IsEmpty());
}

TEST(EntriesOfEventsTest, AReceiptIsAnEntryForEachMessage) {
  messaging::ReceiptReceived receipt;
  receipt.ids = {"A1", "A2"};
  receipt.chat = kPeer;
  receipt.reader = kPeerDevice;
  receipt.kind = messaging::ReceiptKind::read;
  const auto entries = entries_of({.seq = 1, .what = receipt, .ref = {}}, Instant{});
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].kind, "receipt");
  EXPECT_EQ(entries[1].data.at("id"), "A2");
  EXPECT_EQ(entries[1].data.at("kind"), "read");
  EXPECT_EQ(entries[1].data.at("from"), "15550100002:4@s.whatsapp.net");
}

TEST(EntriesOfEventsTest, TheEndOfASendIsToldAndItsBeginningIsAnAnswer) {
  messaging::SendFailed failed{.id = "A1", .to = kPeer, .reason = "refused", .code = 463, .at = {}};
  const json::object data = only({.seq = 2, .what = failed, .ref = {}}, "send_failed");
  EXPECT_EQ(data.at("reason"), "refused");
  EXPECT_EQ(data.at("code"), 463);
  messaging::MessageSent sent;
  sent.id = "A1";
  sent.to = kPeer;
  EXPECT_EQ(only({.seq = 3, .what = sent, .ref = {}}, "sent").at("id"), "A1");
  EXPECT_THAT(entries_of({.seq = 0, .what = messaging::SendAccepted{"A1"}, .ref = 4}, Instant{}),
              IsEmpty());
}

TEST(EntriesOfEventsTest, WhatCannotBeReadSaysWhy) {
  messaging::MessageUnreadable unreadable;
  unreadable.origin.id = "A1";
  unreadable.origin.chat = unreadable.origin.sender = kPeer;
  unreadable.reason = "bad_mac";
  EXPECT_EQ(only({.seq = 2, .what = unreadable, .ref = {}}, "undecryptable").at("text"), "bad_mac");
}

// ---- what is asked for --------------------------------------------------------------------------

TEST(CorrespondenceTest, ATextGoesToANumberOrAJidUnderTheIdThatIsWanted) {
  const Correspondence correspondence;
  const auto request =
      correspondence.send({{"to", "15550100002"}, {"text", "hi"}, {"id", "B1"}}, kMe, {});
  ASSERT_TRUE(request) << request.error();
  EXPECT_EQ(request->to, kPeer);
  EXPECT_EQ(request->id, "B1");
  EXPECT_EQ(request->content, text("hi"));
  EXPECT_EQ(correspondence.send({{"to", kGroup.to_string()}, {"text", "hi"}}, kMe, {})->to, kGroup);
}

TEST(CorrespondenceTest, WhatIsAboutAMessageOfOthersNamesIt) {
  Correspondence correspondence;
  correspondence.note(received("A1", text("hello?")));
  const json::object to{{"to", "15550100002"}};
  const auto content = [&](std::string_view what, json::value value) {
    json::object command = to;
    command[what] = std::move(value);
    return correspondence.send(command, kMe, UnixMillis{5})->content;
  };
  const message::Key key{.chat = kPeer.to_string(), .id = "A1"};
  EXPECT_EQ(content("reaction", {{"id", "A1"}, {"emoji", "+"}}),
            message::Content(message::Reaction{key, "+", UnixMillis{5}}));
  EXPECT_EQ(content("revoke", "A1"), message::Content(message::Revoke{key}));
  json::object reply = to;
  reply["text"] = "yes";
  reply["reply_to"] = "A1";
  EXPECT_EQ(correspondence.send(reply, kMe, {})->content,
            message::Content(message::Text{
                .text = "yes", .quote = message::Quote{"A1", kPeer.to_string(), "hello?"}}));
}

TEST(CorrespondenceTest, WhatIsAboutOnesOwnMessageIsFromMe) {
  Correspondence correspondence;
  const auto request = correspondence.send({{"to", "15550100002"}, {"text", "helo"}}, kMe, {});
  correspondence.said("S1", *request);
  const message::Key key{.chat = kPeer.to_string(), .from_me = true, .id = "S1"};
  const auto edit = correspondence.send(
      {{"to", "15550100002"}, {"edit", {{"id", "S1"}, {"text", "hello"}}}}, kMe, UnixMillis{6});
  EXPECT_EQ(edit->content, message::Content(message::Edit{key, "hello", UnixMillis{6}}));
  const auto reply =
      correspondence.send({{"to", "15550100002"}, {"text", "?"}, {"reply_to", "S1"}}, kMe, {});
  EXPECT_EQ(std::get<message::Text>(reply->content).quote->author, "15550100001@s.whatsapp.net");
}

TEST(CorrespondenceTest, InGroupsTheAuthorIsNamed) {
  Correspondence correspondence;
  correspondence.note(received("A1", text("hello?"), kGroup));
  const auto request = correspondence.send(
      {{"to", kGroup.to_string()}, {"reaction", {{"id", "A1"}, {"emoji", "+"}}}}, kMe, {});
  EXPECT_EQ(std::get<message::Reaction>(request->content).to.participant, kPeer.to_string());
  const auto reads = correspondence.read(kGroup.to_string(), {"A1"});
  ASSERT_TRUE(reads);
  EXPECT_EQ(reads->front().sender, kPeerDevice);
}

TEST(CorrespondenceTest, ReadsOfAChatAreOneRequest) {
  const Correspondence correspondence;
  const auto reads = correspondence.read("15550100002", {"A1", "A2"});
  ASSERT_TRUE(reads);
  ASSERT_EQ(reads->size(), 1u);
  EXPECT_EQ(reads->front().chat, kPeer);
  EXPECT_THAT(reads->front().ids, ElementsAre("A1", "A2"));
}

TEST(CorrespondenceTest, AMessageThatNobodyKnowsIsNotFound) {
  Correspondence correspondence;
  const json::object reply{{"to", "15550100002"}, {"text", "yes"}, {"reply_to", "A1"}};
  EXPECT_EQ(correspondence.send(reply, kMe, {}).error().code, Errc::not_found);
  EXPECT_THAT(correspondence.send(reply, kMe, {}).error().detail, HasSubstr("A1"));
  EXPECT_EQ(correspondence.read(kGroup.to_string(), {"A1"}).error().code, Errc::not_found);
  correspondence.note(received("A1", text("hello?")));
  EXPECT_TRUE(correspondence.send(reply, kMe, {}));
  for (std::size_t i = 0; i < Correspondence::kMost; ++i) {
    correspondence.note(received("N" + std::to_string(i), text("more")));
  }
  EXPECT_FALSE(correspondence.send(reply, kMe, {}));
}

TEST(CorrespondenceTest, ACommandThatIsWrongSaysSo) {
  const Correspondence correspondence;
  EXPECT_EQ(correspondence.send({{"to", "15550100002"}}, kMe, {}).error().code, Errc::usage);
}

}  // namespace
}  // namespace wa::stage

#include "engine/protocol/message/content.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/schema/message.pb.h"
#include "engine/protocol/schema/serialize.hpp"
#include "tests/support/test_support.hpp"

namespace wa::message {
namespace {

const std::string kAlice = "15550001111@s.whatsapp.net";
const std::string kGroup = "120363012345678901@g.us";
constexpr UnixMillis kAt{1'700'000'000'123};

Key sent_key() {
  return {.chat = kAlice, .from_me = true, .id = "3EB0AAAA"};
}

/// A message as the reference implementation encoded it.
Bytes vector_of(std::string_view name) {
  const auto file = test::vectors("proto-messages.json");
  for (const auto& entry : file.at("vectors").as_array()) {
    if (test::text_at(entry, "name") == name) return test::hex_at(entry, "encoded");
  }
  ADD_FAILURE() << "no vector " << name;
  return {};
}

Envelope decoded(ByteSpan protobuf) {
  auto envelope = decode(protobuf);
  EXPECT_TRUE(envelope) << (envelope ? "" : to_string(envelope.error()));
  return envelope ? *envelope : Envelope{};
}

TEST(ContentTest, ReadsWhatTheReferenceWrote) {
  EXPECT_EQ(decoded(vector_of("conversation")), (Envelope{Text{"hello"}}));
  EXPECT_EQ(decoded(vector_of("extended text reply with mention")),
            (Envelope{Text{.text = "@15550001111 hi",
                           .quote = Quote{.id = "3EB0BBBB", .author = kAlice, .text = "orig"},
                           .mentions = {kAlice},
                           .extended = true}}));
  EXPECT_EQ(decoded(vector_of("reaction")),
            (Envelope{Reaction{.to = sent_key(), .emoji = "👍", .at = kAt}}));
  EXPECT_EQ(decoded(vector_of("revoke")), (Envelope{Revoke{sent_key()}}));
  EXPECT_EQ(decoded(vector_of("edit (wrapped)")),
            (Envelope{Edit{.of = sent_key(), .text = "new", .at = kAt}}));
  EXPECT_EQ(decoded(vector_of("location")),
            (Envelope{Location{.latitude = 1.5, .longitude = -2.25, .name = "n"}}));
  EXPECT_EQ(decoded(vector_of("contact")),
            (Envelope{Contact{.name = "A", .vcard = "BEGIN:VCARD\nEND:VCARD"}}));
  EXPECT_EQ(decoded(vector_of("device sent")),
            (Envelope{.content = Text{"hello"}, .sent_to = kAlice}));
  EXPECT_EQ(kind_of(decoded(vector_of("history sync notification")).content), "history_notice");
  EXPECT_EQ(kind_of(decoded(vector_of("app state key share")).content), "app_state_keys");
  EXPECT_EQ(decoded(vector_of("app state key request")),
            (Envelope{AppStateKeysWanted{{test::hex("000000010203")}}}));
}

TEST(ContentTest, UnwrapsWhatIsEphemeral) {
  const auto envelope = decoded(vector_of("ephemeral wrapper"));
  EXPECT_EQ(std::get<Text>(envelope.content).text, "x");
}

TEST(ContentTest, KeepsWhatItDoesNotKnowAsItCame) {
  for (const char* name : {"image", "video", "ptt", "document", "sticker", "poll creation"}) {
    SCOPED_TRACE(name);
    const auto envelope = decoded(vector_of(name));
    ASSERT_EQ(kind_of(envelope.content), "other");
    EXPECT_EQ(decoded(encode(envelope)), envelope);
  }
  const Bytes image = vector_of("image");
  EXPECT_EQ(std::get<Other>(decoded(image).content).protobuf, image);
}

TEST(ContentTest, GivesTheMessageSecret) {
  EXPECT_EQ(decoded(vector_of("poll creation")).secret.size(), 32u);
}

TEST(ContentTest, EveryKindComesBackAsItWas) {
  const Envelope envelopes[] = {
      {Text{"hi"}},
      {Text{.text = "", .extended = true}},
      {Text{.text = "re",
            .quote = Quote{"ID", kAlice, "hi"},
            .mentions = {kAlice},
            .extended = true}},
      {Reaction{.to = {.chat = kGroup, .id = "A", .participant = kAlice}, .emoji = "", .at = kAt}},
      {Edit{.of = sent_key(), .text = "new", .at = kAt}},
      {Revoke{sent_key()}},
      {Contact{"A", "BEGIN:VCARD"}},
      {Location{-1.5, 2.5, "here", "there"}},
      {AppStateKeys{{{.id = test::hex("000001"),
                      .data = Bytes(32, std::byte{7}),
                      .raw_id = 5,
                      .current_index = 1,
                      .device_indexes = {0, 1},
                      .at = kAt}}}},
      {AppStateKeysWanted{{test::hex("01"), test::hex("02")}}},
      {HistoryNotice{.type = HistoryNotice::Type::recent,
                     .chunk_order = 2,
                     .progress = 40,
                     .direct_path = "/v/t62.1/x.enc",
                     .media_key = Bytes(32, std::byte{1}),
                     .file_sha256 = Bytes(32, std::byte{2}),
                     .file_enc_sha256 = Bytes(32, std::byte{3}),
                     .file_bytes = 99}},
      {HistoryNotice{.inline_payload = test::hex("789c")}},
      {.content = Text{"hi"},
       .sender_key = KeyDistribution{kGroup, test::hex("3308")},
       .sent_to = kGroup,
       .secret = Bytes(32, std::byte{9})},
      {.content = Other{}, .sender_key = KeyDistribution{kGroup, test::hex("33")}},
  };
  for (const Envelope& envelope : envelopes) {
    SCOPED_TRACE(kind_of(envelope.content));
    EXPECT_EQ(decoded(encode(envelope)), envelope);
  }
}

TEST(ContentTest, RefusesWhatIsWrappedTooOften) {
  schema::Message message;
  message.set_conversation("deep");
  for (int i = 0; i < 9; ++i) {
    schema::Message outer;
    *outer.mutable_ephemeral_message()->mutable_message() = message;
    message = outer;
  }
  const auto refused = decode(schema::serialize(message));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
}

TEST(ContentTest, NoCutOfAMessageIsReadAsAnother) {
  const Bytes whole =
      encode({Text{.text = "hi", .quote = Quote{"ID", kAlice, "x"}, .extended = true}});
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    EXPECT_FALSE(decode(ByteSpan(whole).first(cut))) << cut;
  }
  EXPECT_EQ(decoded({}).content, Content(Other{}));
}

TEST(ContentTest, StanzasSayWhatIsInside) {
  EXPECT_EQ(stanza_words(Text{"hi"}).type, "text");
  EXPECT_EQ(stanza_words(Reaction{}).type, "reaction");
  EXPECT_TRUE(stanza_words(Edit{}).hide_failure);
  EXPECT_EQ(stanza_words(Edit{}).edit, "1");
  EXPECT_EQ(stanza_words(Revoke{}).edit, "7");
  EXPECT_EQ(stanza_words(Contact{}).media, "vcard");
}

}  // namespace
}  // namespace wa::message

#include "engine/messaging/acks.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/protocol/wire/node_codec.hpp"

namespace wa::messaging {
namespace {

using wire::Jid;
using wire::NodeBuilder;

/// The ack for a stanza as it would arrive, or "none".
std::string ack_for(const NodeBuilder& stanza) {
  const auto frame = wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
  if (!frame) return "undecodable";
  const auto ack = Ack::for_stanza(frame->root());
  return ack ? wire::to_xml(ack->node()) : "none";
}

NodeBuilder stanza(std::string tag) {
  return NodeBuilder(std::move(tag))
      .attr("id", "A1")
      .attr("from", Jid("15550100002", "s.whatsapp.net", 3));
}

TEST(AckTest, CopiesWhatRoutesTheStanzaAndNothingElse) {
  auto receipt = stanza("receipt");
  receipt.attr("participant", Jid("987", "lid", 2))
      .attr("recipient", Jid("15550100003", "s.whatsapp.net"))
      .attr("type", "retry")
      .attr("t", 1700000000)
      .attr("offline", "3");
  EXPECT_EQ(ack_for(receipt),
            "<ack id=\"A1\" class=\"receipt\" to=\"15550100002:3@s.whatsapp.net\" "
            "participant=\"987:2@lid\" recipient=\"15550100003@s.whatsapp.net\" type=\"retry\"/>");
}

TEST(AckTest, EachFamilyHasItsShape) {
  struct Case {
    const char* tag;
    const char* expected;
  };
  for (const auto& [tag, expected] : {
           Case{"message",
                "<ack id=\"A1\" class=\"message\" to=\"15550100002:3@s.whatsapp.net\"/>"},
           Case{
               "receipt",
               "<ack id=\"A1\" class=\"receipt\" to=\"15550100002:3@s.whatsapp.net\" type=\"T\"/>"},
           Case{"notification",
                "<ack id=\"A1\" class=\"notification\" to=\"15550100002:3@s.whatsapp.net\" "
                "type=\"T\"/>"},
           Case{"call",
                "<ack id=\"A1\" class=\"call\" to=\"15550100002:3@s.whatsapp.net\" type=\"T\"/>"},
           Case{"status",
                "<ack id=\"A1\" class=\"status\" to=\"15550100002:3@s.whatsapp.net\" type=\"T\"/>"},
           Case{"foo",
                "<ack id=\"A1\" class=\"foo\" to=\"15550100002:3@s.whatsapp.net\" type=\"T\"/>"},
           Case{"iq", "none"},
           Case{"ack", "none"},
           Case{"ib", "none"},
           Case{"presence", "none"},
           Case{"chatstate", "none"},
           Case{"success", "none"},
           Case{"failure", "none"},
           Case{"stream:error", "none"},
           Case{"xmlstreamend", "none"},
       }) {
    EXPECT_EQ(ack_for(stanza(tag).attr("type", "T")), expected) << tag;
  }
}

TEST(AckTest, TheTableHasEveryTagOnce) {
  for (const auto& family : ack_families()) {
    EXPECT_EQ(std::ranges::count(ack_families(), family.tag, &AckFamily::tag), 1) << family.tag;
  }
  EXPECT_EQ(ack_families().size(), 13u);
}

TEST(AckTest, WithoutAnIdThereIsNoneAndWithoutASenderItGoesToTheServer) {
  EXPECT_EQ(ack_for(NodeBuilder("notification").attr("type", "w:gp2")), "none");
  EXPECT_EQ(ack_for(NodeBuilder("notification").attr("id", "A2")),
            "<ack id=\"A2\" class=\"notification\" to=\"@s.whatsapp.net\"/>");
}

}  // namespace
}  // namespace wa::messaging

#include "engine/protocol/wire/node.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/wire/node_codec.hpp"
#include "tests/support/test_support.hpp"

namespace wa::wire {
namespace {

using test::bytes;

Frame decoded(const NodeBuilder& node) {
  auto frame = decode(encode(node, Dictionary::v3), Dictionary::v3);
  EXPECT_TRUE(frame) << frame.error();
  return std::move(*frame);
}

TEST(NodeTest, AttributesAreReadAsTheKindTheyWereSentAs) {
  const Frame frame = decoded(NodeBuilder("message")
                                  .attr("id", "ABC")
                                  .attr("from", Jid("1", kServerLid, 7))
                                  .attr("to", "2@s.whatsapp.net")
                                  .attr("t", 1700000000));
  const Node& node = frame.root();
  EXPECT_EQ(node.attr("id"), "ABC");
  EXPECT_EQ(node.attr("from"), "");  // a JID is no text
  EXPECT_EQ(node.attr("absent"), "");
  EXPECT_EQ(node.jid("from"), Jid("1", kServerLid, 7));
  EXPECT_EQ(node.jid("to"), Jid("2", kServerPn));  // text that parses
  EXPECT_EQ(node.jid("id"), std::nullopt);
  EXPECT_EQ(node.jid("absent"), std::nullopt);
  EXPECT_EQ(node.printed("from"), "1:7@lid");
  EXPECT_EQ(node.printed("id"), "ABC");
  EXPECT_EQ(node.printed("absent"), "");
  EXPECT_EQ(node.number("t"), 1700000000u);
  EXPECT_TRUE(node.has_attr("from"));
  EXPECT_FALSE(node.has_attr("absent"));
}

TEST(NodeTest, NumbersAreWholeDecimalTexts) {
  const Frame frame = decoded(NodeBuilder("iq")
                                  .attr("largest", "18446744073709551615")
                                  .attr("beyond", "18446744073709551616")
                                  .attr("signed", "-1")
                                  .attr("tail", "1x")
                                  .attr("empty", "")
                                  .attr("jid", Jid("1", kServerLid)));
  EXPECT_EQ(frame.root().number("largest"), 18446744073709551615u);
  for (const char* key : {"beyond", "signed", "tail", "empty", "jid", "absent"}) {
    EXPECT_EQ(frame.root().number(key), std::nullopt) << key;
  }
}

TEST(NodeTest, OfDuplicateKeysTheLastCounts) {
  const Frame frame = decoded(NodeBuilder("iq").attr("id", "1").attr("id", "2"));
  EXPECT_EQ(frame.root().attr("id"), "2");
  EXPECT_EQ(frame.root().attributes.size(), 2u);
}

TEST(NodeTest, ChildrenAreFoundByTag) {
  const Frame frame = decoded(NodeBuilder("iq")
                                  .child(NodeBuilder("a").attr("n", 1))
                                  .child(NodeBuilder("b").attr("n", 2))
                                  .child(NodeBuilder("b").attr("n", 3)));
  const Node& node = frame.root();
  EXPECT_EQ(node.children().size(), 3u);
  EXPECT_EQ(node.first_child()->tag, "a");
  ASSERT_NE(node.child("b"), nullptr);
  EXPECT_EQ(node.child("b")->number("n"), 2u);
  EXPECT_EQ(node.child("c"), nullptr);
  EXPECT_EQ(node.child("a")->first_child(), nullptr);
  EXPECT_TRUE(node.child("a")->children().empty());
}

TEST(NodeTest, ContentIsBytesHoweverItWasWritten) {
  EXPECT_EQ(as_text(decoded(NodeBuilder("n").text("0")).root().bytes()), "0");          // token
  EXPECT_EQ(as_text(decoded(NodeBuilder("n").text("12345")).root().bytes()), "12345");  // packed
  EXPECT_EQ(as_text(decoded(NodeBuilder("n").text("raw~")).root().bytes()), "raw~");
  EXPECT_EQ(to_bytes(decoded(NodeBuilder("n").bytes(bytes({0, 255}))).root().bytes()),
            bytes({0, 255}));
  EXPECT_TRUE(decoded(NodeBuilder("n")).root().bytes().empty());
  EXPECT_TRUE(decoded(NodeBuilder("n").child(NodeBuilder("m"))).root().bytes().empty());
}

TEST(NodeTest, PrintsOneLineOfMarkup) {
  NodeBuilder user("user");
  user.content() = Jid("1", kServerLid, 2);
  NodeBuilder list("list");
  list.content() = std::vector<NodeBuilder>();
  const Frame frame = decoded(NodeBuilder("iq")
                                  .attr("to", Jid::server_itself())
                                  .attr("name", "<a & \"b\">\n\x01\xff\xc3\xa9")
                                  .child(NodeBuilder("ref").bytes(bytes({1, 2, 3})))
                                  .child(NodeBuilder("code").text("12345"))
                                  .child(std::move(user))
                                  .child(std::move(list)));
  EXPECT_EQ(
      to_xml(frame.root()),
      "<iq to=\"@s.whatsapp.net\" name=\"&lt;a &amp; &quot;b&quot;&gt;\\x0a\\x01\\xff\xc3\xa9\">"
      "<ref>{3 bytes}</ref><code>12345</code><user>1:2@lid</user><list/></iq>");
}

TEST(NodeTest, PrintsOnlyWellFormedUtf8) {
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3"}) {
    const Frame frame = decoded(NodeBuilder("iq").attr("id", bad));
    const std::string printed = to_xml(frame.root());
    EXPECT_NE(printed.find("\\x"), std::string::npos);
    for (const char c : printed) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << printed;
  }
}

TEST(NodeBuilderTest, ACopyOwnsEverythingAndEqualsWhatWasSent) {
  NodeBuilder node("iq");
  node.attr("to", Jid("1", kServerLid, 7)).attr("id", std::string_view("9"));
  node.child(NodeBuilder("a").bytes(bytes({1}))).child(NodeBuilder("b").text("12345"));
  NodeBuilder empty_list("c");
  empty_list.content() = std::vector<NodeBuilder>();
  NodeBuilder jid("d");
  jid.content() = Jid("2", kServerPn);
  node.child(empty_list).child(jid);
  std::optional<Frame> frame = decoded(node);
  const NodeBuilder copy = NodeBuilder::copy_of(frame->root());
  frame.reset();
  EXPECT_EQ(copy, node);
}

TEST(NodeBuilderTest, SetAttrReplacesInPlaceAddsOrRemoves) {
  NodeBuilder node = NodeBuilder("iq").attr("a", "1").attr("b", "2").attr("a", "3");
  node.set_attr("a", "4");
  EXPECT_EQ(node, NodeBuilder("iq").attr("a", "4").attr("b", "2"));  // duplicates go
  node.set_attr("c", Jid("1", kServerLid));
  EXPECT_EQ(node, NodeBuilder("iq").attr("a", "4").attr("b", "2").attr("c", Jid("1", kServerLid)));
  node.set_attr("a", std::nullopt);
  node.set_attr("absent", std::nullopt);
  EXPECT_EQ(node, NodeBuilder("iq").attr("b", "2").attr("c", Jid("1", kServerLid)));
}

TEST(NodeBuilderTest, ContentOfAnotherKindIsReplaced) {
  NodeBuilder node = NodeBuilder("iq").text("x").child(NodeBuilder("a"));
  EXPECT_EQ(node, NodeBuilder("iq").child(NodeBuilder("a")));
  node.bytes(bytes({1}));
  EXPECT_EQ(node, NodeBuilder("iq").bytes(bytes({1})));
}

}  // namespace
}  // namespace wa::wire

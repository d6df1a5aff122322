#include "engine/protocol/wire/node_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <zlib.h>

#include <boost/json/object.hpp>
#include <map>
#include <set>

#include "engine/base/limits.hpp"
#include "engine/base/random.hpp"
#include "engine/protocol/wire/tokens.hpp"
#include "tests/support/test_support.hpp"

namespace wa::wire {
namespace {

namespace json = boost::json;
using test::bytes;
using test::hex;
using test::hex_at;
using test::text_at;

constexpr std::string_view kHexV2 = "hex_v2_baileys_6_17_16";

struct DictionaryCase {
  Dictionary dictionary;
  std::string_view hex_key;
  const char* tokens;
};
constexpr DictionaryCase kDictionaries[] = {{Dictionary::v3, "hex", "tokens-v3.json"},
                                            {Dictionary::v2, kHexV2, "tokens-v2.json"}};

// --- nodes of the vector files -----------------------------------------------------------------

/// The vectors follow Baileys' rule: a text with '@' is a JID.
NodeBuilder::AttributeValue value_of(const json::value& text) {
  const std::string value(text.as_string());
  if (value.find('@') == std::string::npos) return value;
  auto jid = Jid::parse(value);
  EXPECT_TRUE(jid) << value;
  return *jid;
}

NodeBuilder node_of(const json::value& json) {
  NodeBuilder node(text_at(json, "tag"));
  for (const auto& [key, value] : json.at("attrs").as_object()) {
    node.set_attr(key, value_of(value));
  }
  const json::value* content = json.as_object().if_contains("content");
  if (!content || content->is_null()) return node;
  if (const auto* children = content->if_array()) {
    node.content() = std::vector<NodeBuilder>();
    for (const auto& child : *children) node.child(node_of(child));
  } else if (content->as_object().contains("hex")) {
    node.bytes(hex_at(*content, "hex"));
  } else {
    std::visit([&](auto value) { node.content() = std::move(value); },
               value_of(content->at("text")));
  }
  return node;
}

/// Whether a decoded node is what the vector says, comparing JIDs by their text.
void expect_is(const Node& node, const json::value& expected) {
  EXPECT_EQ(node.tag, text_at(expected, "tag"));
  std::set<std::string_view> keys;
  for (const auto& attribute : node.attributes) keys.insert(attribute.key);
  const auto& attributes = expected.at("attrs").as_object();
  EXPECT_EQ(keys.size(), attributes.size());
  for (const auto& [key, value] : attributes) {
    EXPECT_EQ(node.printed(key), value.as_string()) << key;
    const bool is_jid = value.as_string().find('@') != json::string::npos;
    EXPECT_EQ(node.attr(key).empty(), is_jid || value.as_string().empty()) << key;
  }
  const json::value* content = expected.as_object().if_contains("content");
  if (!content || content->is_null()) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(node.content));
  } else if (const auto* children = content->if_array()) {
    EXPECT_TRUE(std::holds_alternative<std::span<const Node>>(node.content));
    ASSERT_EQ(node.children().size(), children->size());
    for (std::size_t i = 0; i < children->size(); ++i) {
      expect_is(node.children()[i], (*children)[i]);
    }
  } else if (content->as_object().contains("hex")) {
    ASSERT_TRUE(std::holds_alternative<ByteSpan>(node.content));
    EXPECT_EQ(to_bytes(node.bytes()), hex_at(*content, "hex"));
  } else {
    ASSERT_TRUE(std::holds_alternative<Value>(node.content));
    const std::string text = text_at(*content, "text");
    const auto& value = std::get<Value>(node.content);
    const auto* jid = std::get_if<JidView>(&value);
    EXPECT_EQ(jid != nullptr, text.find('@') != std::string::npos);
    EXPECT_EQ(jid ? jid->to_string() : std::string(std::get<std::string_view>(value)), text);
  }
}

void expect_error(Bytes plaintext, Errc code, Dictionary dictionary = Dictionary::v3) {
  const auto frame = decode(std::move(plaintext), dictionary);
  ASSERT_FALSE(frame) << to_xml(frame->root());
  EXPECT_EQ(frame.error().code, code) << frame.error();
}

bool same(const Value& a, const Value& b) {
  return a == b;
}

/// Whether two trees say the same. Text content that has no packed form comes back as bytes, so
/// content is compared as bytes.
bool same(const Node& a, const Node& b) {
  if (a.tag != b.tag || a.attributes.size() != b.attributes.size()) return false;
  for (std::size_t i = 0; i < a.attributes.size(); ++i) {
    if (a.attributes[i].key != b.attributes[i].key) return false;
    if (!same(a.attributes[i].value, b.attributes[i].value)) return false;
  }
  if (!equal(a.bytes(), b.bytes()) || a.children().size() != b.children().size()) return false;
  for (std::size_t i = 0; i < a.children().size(); ++i) {
    if (!same(a.children()[i], b.children()[i])) return false;
  }
  return true;
}

/// Every frame of the vector files, both dictionaries.
std::vector<std::pair<Bytes, Dictionary>> all_frames() {
  std::vector<std::pair<Bytes, Dictionary>> frames;
  const auto file = test::vectors("binary-nodes.json");
  for (const auto& vector : file.at("vectors").as_array()) {
    for (const auto& c : kDictionaries)
      frames.emplace_back(hex_at(vector, c.hex_key), c.dictionary);
  }
  const auto stanzas = test::vectors("stanza-examples.json");
  for (const auto& stanza : stanzas.at("stanzas").as_array()) {
    frames.emplace_back(hex_at(stanza, "binaryHex"), Dictionary::v3);
  }
  return frames;
}

// --- encoding ----------------------------------------------------------------------------------

/// Where our bytes differ on purpose from those of Baileys. An empty member: they do not differ.
struct Deviation {
  const char* v3;
  const char* v2;
};
const std::map<std::string, Deviation, std::less<>> kEncodeDeviations = {
    // Baileys writes AD_JID for every text with a ':', we for every device above 0.
    {"PN device 0 written", {"00f8031911faff8615551230001f03", "00f8031e0efaff8615551230001f03"}},
    // hosted users are always AD_JID, as in whatsmeow.
    {"hosted jid without device",
     {"00f8031911f78000ff8615551230001f", "00f8031e0ef78000ff8615551230001f"}},
    // Baileys knows neither FB_JID nor INTEROP_JID when it writes, and loses the server.
    {"msgr string jid without device",
     {"00f8031911f6ff85100001234f0000cc", "00f8031e0ef6ff85100001234f0000ed02"}},
    {"msgr string jid with device",
     {"00f8031911f6ff85100001234f0005cc", "00f8031e0ef6ff85100001234f0005ed02"}},
    {"interop string jid",
     {"00f8031911f5ff82555f00000002fc07696e7465726f70",
      "00f8031e0ef5ff82555f00000002fc07696e7465726f70"}},
    // Baileys 6 writes an empty text as LIST_EMPTY, which others read as no text at all.
    {"empty attr value", {"", "00f80557ec1c3351fc00"}},
    {"empty string content", {"", "00f8041e0835fc00"}},
    // Baileys 6 knows the domains 0 and 1 only.
    {"PN agent jid (underscore)", {"", "00f8031e0ef70207ff8615551230001f"}},
    {"hosted jid device 99", {"", "00f8031e0ef78063ff8615551230001f"}},
    {"hosted lid device 99", {"", "00f8031e0ef78163ff88987650001234567f"}},
};

TEST(NodeCodecTest, EncodesEveryVectorByteExactInBothDictionaries) {
  const auto file = test::vectors("binary-nodes.json");
  ASSERT_EQ(file.at("vectors").as_array().size(), 96u);
  for (const auto& vector : file.at("vectors").as_array()) {
    const std::string name = text_at(vector, "name");
    const NodeBuilder node = node_of(vector.at("node"));
    for (const auto& c : kDictionaries) {
      SCOPED_TRACE(name + ", " + std::string(c.hex_key));
      std::string expected = text_at(vector, c.hex_key);
      if (const auto found = kEncodeDeviations.find(name); found != kEncodeDeviations.end()) {
        const Deviation& ours = found->second;
        const std::string bytes_of_ours = c.dictionary == Dictionary::v3 ? ours.v3 : ours.v2;
        if (!bytes_of_ours.empty()) {
          EXPECT_NE(bytes_of_ours, expected) << "no deviation";
          expected = bytes_of_ours;
        }
      }
      EXPECT_EQ(to_hex(encode(node, c.dictionary)), expected);
    }
  }
}

TEST(NodeCodecTest, EncodesAndDecodesTheStanzaExamples) {
  const auto file = test::vectors("stanza-examples.json");
  for (const auto& stanza : file.at("stanzas").as_array()) {
    SCOPED_TRACE(text_at(stanza, "name"));
    EXPECT_EQ(to_hex(encode(node_of(stanza.at("node")), Dictionary::v3)),
              text_at(stanza, "binaryHex"));
    const auto frame = decode(hex_at(stanza, "binaryHex"), Dictionary::v3);
    ASSERT_TRUE(frame) << frame.error();
    expect_is(frame->root(), stanza.at("node"));
  }
}

TEST(NodeCodecTest, AViewTreeEncodesLikeItsCopy) {
  for (const auto& [plaintext, dictionary] : all_frames()) {
    const auto frame = decode(plaintext, dictionary);
    ASSERT_TRUE(frame) << frame.error();
    Bytes out;
    encode(frame->root(), dictionary, out);
    EXPECT_EQ(to_hex(out), to_hex(encode(NodeBuilder::copy_of(frame->root()), dictionary)));
    const auto again = decode(out, dictionary);
    ASSERT_TRUE(again) << again.error();
    EXPECT_TRUE(same(frame->root(), again->root())) << to_xml(frame->root());
  }
}

TEST(NodeCodecTest, EncodingAppends) {
  Bytes out = bytes({1, 2});
  encode(NodeBuilder("iq"), Dictionary::v3, out);
  EXPECT_EQ(out, hex("010200f80119"));
}

TEST(NodeCodecTest, EveryTokenIsWrittenAsItsNumberAndReadBack) {
  for (const auto& c : kDictionaries) {
    const auto file = test::vectors(c.tokens);
    std::vector<std::pair<std::string, Bytes>> tokens;
    for (std::size_t i = 1; i < file.at("single").as_array().size(); ++i) {
      tokens.emplace_back(file.at("single").as_array()[i].as_string(),
                          bytes({static_cast<int>(i)}));
    }
    for (std::size_t d = 0; d < file.at("double").as_array().size(); ++d) {
      const auto& texts = file.at("double").as_array()[d].as_array();
      for (std::size_t i = 0; i < texts.size(); ++i) {
        tokens.emplace_back(texts[i].as_string(),
                            bytes({static_cast<int>(236 + d), static_cast<int>(i)}));
      }
    }
    ASSERT_EQ(tokens.size(), kTokens - 1);
    for (const auto& [text, token] : tokens) {
      const Bytes expected = concat(hex("00f801"), token);
      EXPECT_EQ(to_hex(encode(NodeBuilder(text), c.dictionary)), to_hex(expected)) << text;
      const auto frame = decode(expected, c.dictionary);
      ASSERT_TRUE(frame) << frame.error();
      EXPECT_EQ(frame->root().tag, text);
      // One changed, missing or additional character makes it another text.
      for (const std::string& other :
           {text + "~", text.substr(0, text.size() - 1) + "~", "~" + text.substr(1),
            text.substr(0, text.size() / 2) + "~" + text.substr(text.size() / 2 + 1)}) {
        EXPECT_EQ(token_index(c.dictionary).find(other), 0u) << other;
      }
    }
  }
}

TEST(NodeCodecTest, TextThatLooksLikeAJidStaysText) {
  const Bytes encoded = encode(NodeBuilder("iq").attr("to", "1@lid"), Dictionary::v3);
  EXPECT_EQ(to_hex(encoded), "00f8031911fc0531406c6964");
  const auto frame = decode(encoded, Dictionary::v3);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->root().attr("to"), "1@lid");
}

TEST(NodeCodecTest, LongTextAndBytesUseTheLengthClassTheyNeed) {
  for (const std::size_t size : {255u, 256u, 2047u, 2048u, 2049u, 5000u}) {
    const std::string text(size, 'q');
    const auto node = NodeBuilder("iq").attr("text", text).text(text);
    const auto frame = decode(encode(node, Dictionary::v3), Dictionary::v3);
    ASSERT_TRUE(frame) << frame.error();
    EXPECT_EQ(frame->root().attr("text"), text);
    EXPECT_EQ(as_text(frame->root().bytes()), text);
  }
}

Bytes sha256(ByteSpan data) {
  Bytes digest(SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

/// The vectors' rule for long content: SHA-256 of "x0", "x1", …, cut to the size.
Bytes content_of_size(std::size_t size) {
  Bytes content;
  for (std::size_t i = 0; content.size() < size; ++i) {
    append(content, sha256(as_bytes("x" + std::to_string(i))));
  }
  content.resize(size);
  return content;
}

TEST(NodeCodecTest, LargeBinaryContentMatchesTheVectors) {
  const auto file = test::vectors("binary-nodes.json");
  const std::vector<std::size_t> sizes = {1048576, 1048575};
  ASSERT_EQ(file.at("large").as_array().size(), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto& large = file.at("large").as_array()[i];
    SCOPED_TRACE(text_at(large, "name"));
    const Bytes content = content_of_size(sizes[i]);
    const Bytes encoded = encode(NodeBuilder("iq").bytes(content), Dictionary::v3);
    EXPECT_EQ(encoded.size(), large.at("encoded_length").to_number<std::size_t>());
    EXPECT_EQ(to_hex(sha256(encoded)), text_at(large, "encoded_sha256"));
    const auto frame = decode(encoded, Dictionary::v3);
    ASSERT_TRUE(frame) << frame.error();
    EXPECT_TRUE(equal(frame->root().bytes(), content));
  }
}

TEST(NodeCodecTest, SixteenBitsOfChildrenPass) {
  NodeBuilder list("list");
  for (std::size_t i = 0; i < limits::kMaxNodeChildren; ++i) list.child(NodeBuilder("key"));
  const auto frame = decode(encode(list, Dictionary::v3), Dictionary::v3);
  ASSERT_TRUE(frame) << frame.error();
  EXPECT_EQ(frame->root().children().size(), limits::kMaxNodeChildren);
  EXPECT_EQ(frame->root().children().back().tag, "key");
}

TEST(NodeCodecDeathTest, MoreChildrenThanAListCanCountAreOurBug) {
  NodeBuilder list("list");
  for (std::size_t i = 0; i <= limits::kMaxNodeChildren; ++i) list.child(NodeBuilder("key"));
  EXPECT_DEATH(encode(list, Dictionary::v3), "kMaxListSize");
}

// --- decoding ----------------------------------------------------------------------------------

TEST(NodeCodecTest, DecodesEveryVectorInBothDictionaries) {
  const auto file = test::vectors("binary-nodes.json");
  for (const auto& vector : file.at("vectors").as_array()) {
    const std::string name = text_at(vector, "name");
    for (const auto& c : kDictionaries) {
      SCOPED_TRACE(name + ", " + std::string(c.hex_key));
      const auto frame = decode(hex_at(vector, c.hex_key), c.dictionary);
      ASSERT_TRUE(frame) << frame.error();
      if (name == "PN agent jid (underscore)" && c.dictionary == Dictionary::v3) {
        // We keep the old agent number, Baileys 7 forgets it.
        EXPECT_EQ(frame->root().printed("to"), "15551230001_2:7@s.whatsapp.net");
        continue;
      }
      const auto& object = vector.as_object();
      const json::value* expected = nullptr;
      if (c.dictionary == Dictionary::v2) {
        expected = object.if_contains("decoded_v2_baileys_6_17_16");
      }
      if (!expected) expected = object.if_contains("decoded");
      expect_is(frame->root(), expected ? *expected : object.at("node"));
    }
  }
}

TEST(NodeCodecTest, DecodesHandMadeInputLikeBaileysExceptWhereWeAreStricter) {
  // Where we refuse what Baileys 7 takes.
  const std::map<std::string, Errc, std::less<>> stricter = {
      {"INTEROP_JID without server at end of buffer", Errc::truncated},  // a field is missing
      {"trailing bytes after the node", Errc::malformed},  // whatsmeow drops the node, too
      {"BINARY_32 with bit 31 set", Errc::truncated},      // Baileys reads a negative length
      {"attr key from JID", Errc::malformed},              // whatsmeow refuses, too
  };
  // Where we take it as something else, and why.
  const std::map<std::string, std::string, std::less<>> different = {
      {"AD_JID domain 2 (old agent)", R"(<iq to="15551230001_2:7@s.whatsapp.net"/>)"},  // kept
      {"AD_JID domain 130", R"(<iq to="15551230001_130:7@s.whatsapp.net"/>)"},          // kept
      {"invalid UTF-8 text", R"(<iq id="\xff\xfe"/>)"},  // bytes are kept, not replaced
  };
  const auto file = test::vectors("binary-nodes.json");
  ASSERT_EQ(file.at("decode_only").as_array().size(), 51u);
  for (const auto& input : file.at("decode_only").as_array()) {
    const std::string name = text_at(input, "name");
    SCOPED_TRACE(name);
    const auto frame = decode(hex_at(input, "hex"), Dictionary::v3);
    const auto& baileys = input.at("baileys7").as_object();
    if (const auto found = stricter.find(name); found != stricter.end()) {
      ASSERT_FALSE(frame);
      EXPECT_EQ(frame.error().code, found->second);
      EXPECT_TRUE(baileys.contains("decoded")) << "no deviation";
    } else if (baileys.contains("error")) {
      ASSERT_FALSE(frame) << to_xml(frame->root());
      EXPECT_THAT(frame.error().code, testing::AnyOf(Errc::malformed, Errc::truncated));
    } else if (const auto other = different.find(name); other != different.end()) {
      ASSERT_TRUE(frame) << frame.error();
      EXPECT_EQ(to_xml(frame->root()), other->second);
    } else {
      ASSERT_TRUE(frame) << frame.error();
      expect_is(frame->root(), baileys.at("decoded"));
    }
  }
}

TEST(NodeCodecTest, TellsTruncatedFromMalformed) {
  expect_error(bytes({}), Errc::malformed);                    // an empty plaintext
  expect_error(bytes({0}), Errc::truncated);                   // a flag byte only
  expect_error(hex("0000"), Errc::malformed);                  // LIST_EMPTY as a node
  expect_error(hex("00f800"), Errc::malformed);                // a node of no strings
  expect_error(hex("00f80100"), Errc::malformed);              // an empty tag
  expect_error(hex("00f801fc00"), Errc::malformed);            // an empty tag, raw
  expect_error(hex("0019"), Errc::malformed);                  // a text where a node is due
  expect_error(hex("00f801f0"), Errc::malformed);              // an unused tag byte
  expect_error(hex("00f801f801"), Errc::malformed);            // a list as tag
  expect_error(hex("00f801f70007ff811f"), Errc::malformed);    // a JID as tag
  expect_error(hex("00f8031911fafa1f0303"), Errc::malformed);  // a JID as JID user
  expect_error(hex("00f8031911faff811ff70000ff811f"), Errc::malformed);  // a JID as JID server
  expect_error(hex("00f8031911fa1ff0"), Errc::malformed);                // an unused tag as server
  expect_error(hex("00f8031911f6ff811f00050d"), Errc::malformed);        // FB_JID, not msgr
  expect_error(hex("00f8031911f5ff811f000500020d"), Errc::malformed);    // INTEROP_JID, not interop
  expect_error(hex("00f8031911f8021919"), Errc::malformed);              // a list as attribute
  expect_error(hex("00f8031908ff01c0"), Errc::malformed);    // an illegal nibble in front
  expect_error(hex("00f80219f80100"), Errc::truncated);      // no room for a child
  expect_error(hex("00f80219f801000000"), Errc::malformed);  // a child of no strings
  expect_error(hex("00f80219f801f9000001"), Errc::malformed);
  expect_error(hex("00f8011900"), Errc::malformed);  // trailing
}

TEST(NodeCodecTest, TheErrorNamesTheOffset) {
  const auto frame = decode(hex("00f8031908f0"), Dictionary::v3);
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().detail, "a text expected, found tag 240 at offset 5");
}

TEST(NodeCodecTest, EveryCutOfEveryVectorIsTruncated) {
  for (const auto& [plaintext, dictionary] : all_frames()) {
    const std::size_t step = plaintext.size() > 5000 ? 997 : 1;
    for (std::size_t cut = 1; cut < plaintext.size(); cut += step) {
      const auto frame = decode(to_bytes(ByteSpan(plaintext).first(cut)), dictionary);
      ASSERT_FALSE(frame) << to_hex(plaintext) << " cut at " << cut;
      ASSERT_EQ(frame.error().code, Errc::truncated) << frame.error();
    }
  }
}

TEST(NodeCodecTest, AnythingAfterANodeIsAnError) {
  for (auto [plaintext, dictionary] : all_frames()) {
    plaintext.push_back(std::byte{0});
    expect_error(std::move(plaintext), Errc::malformed, dictionary);
  }
}

TEST(NodeCodecTest, DeclaredSizesAreCheckedBeforeMemoryIsTaken) {
  expect_error(hex("00f9ffff19"), Errc::truncated);          // 32,767 attributes
  expect_error(hex("00f80219f9ffff"), Errc::truncated);      // 65,535 children
  expect_error(hex("00f80219fe7fffffff"), Errc::truncated);  // 2 GiB of content
  expect_error(hex("00f80219feffffffff"), Errc::truncated);
  expect_error(hex("00f80219fdffffff"), Errc::truncated);
  expect_error(hex("00f80319fffe11"), Errc::truncated);  // packed
}

/// `levels` nodes, each the only child of the one before.
Bytes nested(std::size_t levels) {
  Bytes plaintext = hex("00");
  for (std::size_t i = 1; i < levels; ++i) append(plaintext, hex("f80219f801"));
  append(plaintext, hex("f80119"));
  return plaintext;
}

TEST(NodeCodecTest, NestingEndsAtTheLimit) {
  const auto frame = decode(nested(limits::kMaxNodeDepth), Dictionary::v3);
  ASSERT_TRUE(frame) << frame.error();
  std::size_t levels = 1;
  for (const Node* node = &frame->root(); node->first_child(); node = node->first_child()) ++levels;
  EXPECT_EQ(levels, limits::kMaxNodeDepth);
  expect_error(nested(limits::kMaxNodeDepth + 1), Errc::too_large);
  expect_error(nested(2'000'000), Errc::too_large);
}

TEST(NodeCodecTest, ATreeMuchLargerThanItsBytesIsRefused) {
  // Lists of 65,535 three-byte nodes inside a list: 16 MB of bytes would become 500 MB of nodes.
  Bytes plaintext = hex("00f80219f84d");
  for (int list = 0; list < 0x4d; ++list) {
    append(plaintext, hex("f80219f9ffff"));
    for (int i = 0; i < 0xffff; ++i) append(plaintext, hex("f80119"));
  }
  ASSERT_LT(plaintext.size(), limits::kMaxInflatedBytes);
  expect_error(std::move(plaintext), Errc::too_large);
}

TEST(NodeCodecTest, RandomBytesAreDecodedOrRefused) {
  SeededRandom random(1);
  for (int i = 0; i < 200'000; ++i) {
    Bytes plaintext(1 + random.below(64));
    random.fill(plaintext);
    plaintext[0] &= std::byte{0xfd};
    if (i % 2 == 0 && plaintext.size() > 1) plaintext[1] = std::byte{248};
    const auto frame = decode(std::move(plaintext), Dictionary::v3);
    if (!frame) {
      EXPECT_NE(frame.error().code, Errc::too_large);
    }
  }
}

TEST(NodeCodecTest, DamagedFramesAreRefusedOrSurviveTheWayThroughUs) {
  const auto frames = all_frames();
  SeededRandom random(2);
  std::size_t survivors = 0;
  for (int i = 0; i < 150'000; ++i) {
    const auto& [original, dictionary] = frames[random.below(frames.size())];
    if (original.size() > 2000) continue;
    Bytes plaintext = original;
    const std::uint64_t damages = 1 + random.below(3);
    for (std::uint64_t d = 0; d < damages; ++d) {
      const std::size_t at = 1 + random.below(plaintext.size() - 1);
      // Tag bytes are near the top of the range; they do the most damage.
      const bool tag = random.below(2) == 0;
      plaintext[at] = static_cast<std::byte>(tag ? 236 + random.below(20) : random.below(256));
    }
    const auto frame = decode(std::move(plaintext), dictionary);
    if (!frame) continue;
    ++survivors;
    Bytes out;
    encode(frame->root(), dictionary, out);
    const auto again = decode(std::move(out), dictionary);
    ASSERT_TRUE(again) << to_xml(frame->root());
    ASSERT_TRUE(same(frame->root(), again->root())) << to_xml(frame->root());
  }
  EXPECT_GT(survivors, 1000u);
}

TEST(NodeCodecTest, AFrameMayMoveAndItsViewsStay) {
  auto frame = decode(hex("00f804190855fc03616263"), Dictionary::v3);
  ASSERT_TRUE(frame);
  const std::string_view id = frame->root().attr("id");
  const ByteSpan content = frame->root().bytes();
  Frame moved = std::move(*frame);
  auto other = decode(hex("00f80102"), Dictionary::v3);
  ASSERT_TRUE(other);
  Frame assigned = std::move(*other);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.root().attr("id").data(), id.data());
  EXPECT_EQ(as_text(content), "abc");
  EXPECT_EQ(to_xml(assigned.root()), R"(<iq id="1">{3 bytes}</iq>)");
  EXPECT_EQ(to_hex(assigned.plaintext()), "f804190855fc03616263");
}

// --- compression -------------------------------------------------------------------------------

/// Flag byte and zlib stream. The node bytes are without their flag byte.
Bytes deflated(ByteSpan node_bytes, int flags = 2) {
  uLongf size = compressBound(node_bytes.size());
  Bytes out(1 + size);
  out[0] = static_cast<std::byte>(flags);
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(out.data() + 1), &size,
                     reinterpret_cast<const Bytef*>(node_bytes.data()), node_bytes.size()),
            Z_OK);
  out.resize(1 + size);
  return out;
}

TEST(NodeCodecTest, InflatesTheVectors) {
  const auto file = test::vectors("frames.json");
  std::size_t compressed = 0;
  for (const auto& vector : file.at("frames").as_array()) {
    if (!vector.as_object().contains("inflated")) continue;
    SCOPED_TRACE(text_at(vector, "name"));
    ++compressed;
    const Bytes plaintext = hex_at(vector, "plaintext");
    const auto frame = decode(plaintext, Dictionary::v3);
    ASSERT_TRUE(frame) << frame.error();
    EXPECT_EQ(to_hex(frame->plaintext()), text_at(vector, "inflated"));
    const auto plain = decode(concat(hex("00"), hex_at(vector, "inflated")), Dictionary::v3);
    ASSERT_TRUE(plain);
    EXPECT_TRUE(same(frame->root(), plain->root()));
    for (std::size_t cut = 1; cut < plaintext.size(); ++cut) {
      expect_error(to_bytes(ByteSpan(plaintext).first(cut)), Errc::truncated);
    }
    expect_error(concat(plaintext, hex("00")), Errc::malformed);
  }
  EXPECT_EQ(compressed, 2u);
}

TEST(NodeCodecTest, OnlyBitOneOfTheFlagsCounts) {
  const Bytes node = hex("f80119");
  for (const int flags : {0, 1, 4, 0xfd}) {
    EXPECT_TRUE(decode(concat(bytes({flags}), node), Dictionary::v3)) << flags;
  }
  for (const int flags : {2, 3, 0xff}) {
    EXPECT_TRUE(decode(deflated(node, flags), Dictionary::v3)) << flags;
  }
}

TEST(NodeCodecTest, WhatIsNoZlibStreamIsMalformed) {
  expect_error(hex("02f80119"), Errc::malformed);
  expect_error(hex("02789c07ff"), Errc::malformed);      // a block of an unused type
  expect_error(hex("0278bb00000001"), Errc::malformed);  // asks for a preset dictionary
  Bytes wrong_checksum = deflated(hex("f80119"));
  wrong_checksum.back() ^= std::byte{1};
  expect_error(std::move(wrong_checksum), Errc::malformed);
  expect_error(deflated(hex("f8011900")), Errc::malformed);  // trailing bytes inside
  expect_error(deflated({}), Errc::truncated);
}

/// A node whose bytes are exactly as many, almost all of them content.
Bytes node_of_size(std::size_t size) {
  Bytes node = hex("f80219fe");
  append(node, big_endian<4>(size - 8));
  node.resize(size);
  return node;
}

TEST(NodeCodecTest, InflatingStopsAtTheLimit) {
  const auto frame = decode(deflated(node_of_size(limits::kMaxInflatedBytes)), Dictionary::v3);
  ASSERT_TRUE(frame) << frame.error();
  EXPECT_EQ(frame->plaintext().size(), limits::kMaxInflatedBytes);
  expect_error(deflated(node_of_size(limits::kMaxInflatedBytes + 1)), Errc::too_large);
  expect_error(deflated(Bytes(std::size_t{8} * limits::kMaxInflatedBytes)), Errc::too_large);
}

}  // namespace
}  // namespace wa::wire

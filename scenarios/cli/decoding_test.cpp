#include "scenarios/cli/decoding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "tests/support/test_support.hpp"

namespace wa::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

/// A recorded connection of a client that is not ours, with its transport keys.
struct Recorded {
  std::string name;
  Bytes from_client;
  Bytes from_server;
  std::size_t stanzas_from_client = 0;
  std::size_t stanzas_from_server = 0;
  std::string key_log;
};

std::vector<Recorded> recorded() {
  std::vector<Recorded> all;
  const auto file = test::vectors("noise-transcripts.json");
  for (const auto& entry : file.at("transcripts").as_array()) {
    const auto* split = entry.as_object().if_contains("split");
    if (!split) continue;  // handshakes that failed
    Recorded made{test::text_at(entry, "name"), {}, {}, 0, 0, {}};
    for (const auto& [key, value] : entry.at("wire").as_object()) {
      const Bytes bytes = test::hex(value.as_string());
      Bytes& to = key.starts_with("client") ? made.from_client : made.from_server;
      to.insert(to.end(), bytes.begin(), bytes.end());
    }
    for (const auto& frame : entry.at("transport").as_array()) {
      const bool from_client = test::text_at(frame, "dir") == "client->server";
      const Bytes bytes = test::hex_at(frame, "wire");
      Bytes& to = from_client ? made.from_client : made.from_server;
      to.insert(to.end(), bytes.begin(), bytes.end());
      ++(from_client ? made.stanzas_from_client : made.stanzas_from_server);
    }
    made.key_log = "NOISE " + std::string(64, '0') + " " +
                   test::text_at(*split, "client_to_server") + " " +
                   test::text_at(*split, "server_to_client") + "\n";
    all.push_back(std::move(made));
  }
  return all;
}

DecodeContext context_of(std::string_view key_log) {
  DecodeContext context;
  const auto keys = parse_key_log(key_log);
  EXPECT_TRUE(keys);
  context.keys = *keys;
  return context;
}

std::size_t stanzas(const std::vector<std::string>& lines) {
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [](const auto& line) {
    return line.find(" bytes: <") != std::string::npos;
  }));
}

TEST(DecodingTest, RecordedConnectionsAreReadWithTheirKeys) {
  ASSERT_THAT(recorded(), SizeIs(testing::Ge(8u)));
  for (const Recorded& connection : recorded()) {
    SCOPED_TRACE(connection.name);
    const DecodeContext context = context_of(connection.key_log);
    const auto client = decode_lines(connection.from_client, context);
    ASSERT_TRUE(client) << client.error();
    EXPECT_THAT(*client, testing::Contains(HasSubstr("client header, dictionary 3")));
    EXPECT_EQ(stanzas(*client), connection.stanzas_from_client) << testing::PrintToString(*client);
    const auto server = decode_lines(connection.from_server, context);
    ASSERT_TRUE(server) << server.error();
    EXPECT_THAT(server->front(), HasSubstr("ServerHello"));
    EXPECT_EQ(stanzas(*server), connection.stanzas_from_server) << testing::PrintToString(*server);
  }
}

TEST(DecodingTest, WithoutAKeyFramesAreCounted) {
  const Recorded connection = recorded().front();
  const auto lines = decode_lines(connection.from_server, {});
  ASSERT_TRUE(lines);
  EXPECT_EQ(stanzas(*lines), 0u);
  EXPECT_THAT(lines->at(1), HasSubstr("sealed, and no key of the key log opens it"));
}

TEST(DecodingTest, AStreamThatIsCutSaysWhere) {
  const Recorded connection = recorded().front();
  const Bytes& whole = connection.from_client;
  for (std::size_t cut = 2; cut < whole.size(); ++cut) {
    SCOPED_TRACE(cut);
    const auto lines = decode_lines(ByteSpan(whole).first(cut), context_of(connection.key_log));
    ASSERT_TRUE(lines);
    ASSERT_FALSE(lines->empty());
  }
  const auto lines = decode_lines(ByteSpan(whole).first(20), {});
  EXPECT_THAT(*lines, ElementsAre("client header, dictionary 3",
                                  "ends inside a frame: 16 bytes are left over"));
}

TEST(DecodingTest, ADecryptedFrameIsANodeAlsoAsHexadecimalText) {
  const auto all = test::vectors("binary-nodes.json");
  std::size_t tried = 0;
  for (const auto& entry : all.at("vectors").as_array()) {
    const auto* hex = entry.as_object().if_contains("hex");
    if (!hex || tried == 20) continue;
    ++tried;
    const std::string text(hex->as_string());
    const auto from_text = decode_lines(as_bytes(text + "\n"), {});
    const auto from_bytes = decode_lines(test::hex(text), {});
    ASSERT_TRUE(from_text) << text << from_text.error();
    ASSERT_TRUE(from_bytes) << text;
    EXPECT_EQ(*from_text, *from_bytes);
    EXPECT_THAT(from_text->front(), StartsWith("<"));
  }
  EXPECT_EQ(tried, 20u);
}

TEST(DecodingTest, ATraceIsPrintedWithItsTimes) {
  const auto lines = decode_lines(
      as_bytes(
          "{\"t_ms\":5000,\"actor\":\"server\",\"kind\":\"login\",\"data\":{\"device\":\"a\"}}\n"
          "{\"t_ms\":5250,\"actor\":\"script\",\"kind\":\"matched\",\"data\":{\"n\":3,\"x\":\"\"}}"
          "\n"
          "oops\n"),
      {});
  ASSERT_TRUE(lines);
  ASSERT_THAT(*lines, SizeIs(3));
  EXPECT_THAT(lines->at(0), HasSubstr("0.000  server"));
  EXPECT_THAT(lines->at(0), HasSubstr("login           device=a"));
  EXPECT_THAT(lines->at(1), HasSubstr("0.250  script"));
  EXPECT_THAT(lines->at(1), HasSubstr("n=3"));
  EXPECT_EQ(lines->at(2), "line 3: not a JSON object, the trace ends here");
}

TEST(DecodingTest, WhatIsNothingIsRefused) {
  for (const Bytes& file :
       {Bytes{}, to_bytes("  \n"), to_bytes("hello, world"), test::bytes({0xff, 0xff, 0xff, 1, 2}),
        test::bytes({0}), test::bytes({2, 1})}) {
    const auto lines = decode_lines(file, {});
    ASSERT_FALSE(lines) << as_text(file);
    EXPECT_EQ(lines.error().code, Errc::malformed);
  }
}

}  // namespace
}  // namespace wa::cli

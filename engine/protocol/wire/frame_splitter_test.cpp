#include "engine/protocol/wire/frame_splitter.hpp"

#include <gtest/gtest.h>

#include "engine/base/random.hpp"
#include "tests/support/test_support.hpp"

namespace wa::wire {
namespace {

using test::bytes;

std::vector<Bytes> drain(FrameSplitter& splitter) {
  std::vector<Bytes> frames;
  while (true) {
    auto next = splitter.next();
    EXPECT_TRUE(next) << next.error();
    if (!next || !*next) return frames;
    frames.push_back(std::move(**next));
  }
}

void append_all(std::vector<Bytes>& to, std::vector<Bytes> more) {
  for (Bytes& frame : more) to.push_back(std::move(frame));
}

/// The payloads inside frames.json: every frame's wire form without its three length bytes.
std::vector<Bytes> payloads(const boost::json::value& file) {
  std::vector<Bytes> frames;
  for (const auto& frame : file.at("frames").as_array()) {
    const Bytes wire = test::hex_at(frame, "wire");
    frames.emplace_back(wire.begin() + 3, wire.end());
  }
  return frames;
}

TEST(FrameSplitterTest, YieldsFramesHoweverTheBytesAreCut) {
  const Bytes stream = bytes({0, 0, 2, 7, 8, 0, 0, 1, 5, 0, 0, 1, 9});
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    SCOPED_TRACE(cut);
    FrameSplitter splitter;
    splitter.feed(ByteSpan(stream).first(cut));
    auto frames = drain(splitter);
    splitter.feed(ByteSpan(stream).subspan(cut));
    append_all(frames, drain(splitter));
    EXPECT_EQ(frames, (std::vector{bytes({7, 8}), bytes({5}), bytes({9})}));
  }
}

TEST(FrameSplitterTest, SplitsTheConcatenatedVectorAtTheOffsetsItNames) {
  const auto file = test::vectors("frames.json");
  const auto expected = payloads(file);
  const Bytes stream = test::hex_at(file.at("concatenated"), "wire");
  ASSERT_EQ(expected.size(), file.at("concatenated").at("count").to_number<std::size_t>());

  FrameSplitter splitter;
  std::vector<Bytes> frames;
  std::size_t done = 0;
  for (const auto& offset : file.at("splits").at("offsets").as_array()) {
    const auto cut = offset.to_number<std::size_t>();
    splitter.feed(ByteSpan(stream).subspan(done, cut - done));
    append_all(frames, drain(splitter));
    done = cut;
  }
  splitter.feed(ByteSpan(stream).subspan(done));
  append_all(frames, drain(splitter));
  EXPECT_EQ(frames, expected);
}

TEST(FrameSplitterTest, YieldsTheVectorByteByByteAndAllAtOnce) {
  const auto file = test::vectors("frames.json");
  const Bytes stream = test::hex_at(file.at("concatenated"), "wire");
  FrameSplitter at_once;
  at_once.feed(stream);
  EXPECT_EQ(drain(at_once), payloads(file));

  FrameSplitter by_bytes;
  std::vector<Bytes> frames;
  for (const std::byte byte : stream) {
    by_bytes.feed({&byte, 1});
    append_all(frames, drain(by_bytes));
  }
  EXPECT_EQ(frames, payloads(file));
}

TEST(FrameSplitterTest, YieldsManyFramesFedInRandomPieces) {
  SeededRandom random(7);
  std::vector<Bytes> expected;
  Bytes stream;
  for (int i = 0; i < 500; ++i) {
    Bytes payload(1 + random.below(i % 50 == 0 ? 70'000 : 100));
    random.fill(payload);
    append_frame_header(payload.size(), stream);
    append(stream, payload);
    expected.push_back(std::move(payload));
  }
  FrameSplitter splitter;
  std::vector<Bytes> frames;
  for (ByteSpan rest = stream; !rest.empty();) {
    const auto piece = rest.first(std::min<std::size_t>(rest.size(), 1 + random.below(3000)));
    splitter.feed(piece);
    append_all(frames, drain(splitter));
    rest = rest.subspan(piece.size());
  }
  EXPECT_EQ(frames, expected);
}

TEST(FrameSplitterTest, AZeroLengthIsFatal) {
  FrameSplitter splitter;
  splitter.feed(test::hex_at(test::vectors("frames.json").at("empty_frame"), "wire"));
  splitter.feed(bytes({0, 0, 1, 5}));
  for (int attempt = 0; attempt < 2; ++attempt) {  // there is no way past it
    const auto next = splitter.next();
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, Errc::malformed);
  }
}

TEST(FrameSplitterTest, FramesBeforeAFatalOneAreStillYielded) {
  FrameSplitter splitter;
  splitter.feed(bytes({0, 0, 1, 5, 0, 0, 0}));
  const auto first = splitter.next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ(**first, bytes({5}));
  EXPECT_FALSE(splitter.next());
}

TEST(FrameSplitterTest, TheLimitCountsAsSoonAsTheLengthIsKnown) {
  FrameSplitter splitter(4);
  splitter.feed(bytes({0, 0, 4, 1, 2, 3, 4, 0, 0, 5}));
  const auto allowed = splitter.next();
  ASSERT_TRUE(allowed && *allowed);
  EXPECT_EQ((*allowed)->size(), 4u);
  const auto next = splitter.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::too_large);
}

TEST(FrameSplitterTest, ARaisedLimitLetsTheWaitingFrameThrough) {
  FrameSplitter splitter(1);
  splitter.feed(bytes({0, 0, 2, 1, 2}));
  EXPECT_FALSE(splitter.next());
  splitter.set_max_frame_bytes(2);
  const auto next = splitter.next();
  ASSERT_TRUE(next && *next);
  EXPECT_EQ(**next, bytes({1, 2}));
}

TEST(FrameSplitterTest, TheLargestFramePasses) {
  const Bytes payload(limits::kMaxFrameBytes, std::byte{7});
  Bytes stream;
  append_frame_header(payload.size(), stream);
  EXPECT_EQ(stream, bytes({255, 255, 255}));
  FrameSplitter splitter;
  splitter.feed(stream);
  splitter.feed(payload);
  const auto next = splitter.next();
  ASSERT_TRUE(next && *next);
  EXPECT_TRUE(equal(**next, payload));
}

TEST(FrameSplitterTest, TheHeaderOfTheLongVectorMatches) {
  const auto file = test::vectors("frames.json");
  const auto& frame = file.at("long_frame");
  Bytes header;
  append_frame_header(frame.at("wire_length").to_number<std::size_t>() - 3, header);
  EXPECT_EQ(header, test::hex_at(frame, "length_prefix"));
}

TEST(FrameSplitterDeathTest, AHeaderCannotAnnounceMoreThanThreeBytesExpress) {
  Bytes out;
  EXPECT_DEATH(append_frame_header(std::size_t{1} << 24, out), "payload_bytes");
}

}  // namespace
}  // namespace wa::wire

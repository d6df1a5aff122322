#include "scenarios/stage/trace.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "tests/support/test_support.hpp"

namespace wa::stage {
namespace {

using namespace std::chrono_literals;

struct Line {
  Duration at;
  std::string actor;
  TraceKind kind;
  Bytes payload;
};

std::string hash_of(const std::vector<Line>& lines, bool recording = false) {
  Trace trace(recording);
  for (const Line& line : lines) {
    trace.add(Instant(line.at), trace.actor(line.actor), line.kind, line.payload);
  }
  return trace.hash();
}

std::vector<Line> sample() {
  std::vector<Line> lines;
  // More than one block, so that the chain is used.
  for (int i = 0; i < 40; ++i) {
    lines.push_back(
        {i * 1ms, i % 2 ? "a" : "b", TraceKind::client_action, Bytes(400, std::byte{7})});
  }
  return lines;
}

TEST(TraceTest, TheSameEntriesHaveTheSameHash) {
  EXPECT_EQ(hash_of(sample()), hash_of(sample()));
}

TEST(TraceTest, RecordingDoesNotChangeTheHash) {
  EXPECT_EQ(hash_of(sample(), true), hash_of(sample(), false));
}

TEST(TraceTest, EveryPartOfEveryEntryCounts) {
  const std::string hash = hash_of(sample());
  for (std::size_t i = 0; i < sample().size(); ++i) {
    SCOPED_TRACE(i);
    auto byte = sample();
    byte[i].payload[399] ^= std::byte{1};
    EXPECT_NE(hash_of(byte), hash);
    auto time = sample();
    time[i].at += 1ns;
    EXPECT_NE(hash_of(time), hash);
    auto kind = sample();
    kind[i].kind = TraceKind::server_action;
    EXPECT_NE(hash_of(kind), hash);
    auto actor = sample();
    actor[i].actor = "c";
    EXPECT_NE(hash_of(actor), hash);
    auto shorter = sample();
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(hash_of(shorter), hash);
  }
}

TEST(TraceTest, WhereAnEntryEndsCounts) {
  const auto kind = TraceKind::verb;
  EXPECT_NE(hash_of({{0ms, "a", kind, test::bytes({1, 2})}, {0ms, "a", kind, test::bytes({3})}}),
            hash_of({{0ms, "a", kind, test::bytes({1})}, {0ms, "a", kind, test::bytes({2, 3})}}));
}

TEST(TraceTest, AskingForTheHashChangesNothing) {
  Trace trace;
  trace.add(Instant(1ms), trace.actor("a"), TraceKind::verb, test::bytes({1}));
  const std::string first = trace.hash();
  EXPECT_EQ(trace.hash(), first);
  trace.add(Instant(1ms), trace.actor("a"), TraceKind::verb, test::bytes({1}));
  EXPECT_NE(trace.hash(), first);
}

TEST(TraceTest, LinesAreKeptOnlyWhenRecording) {
  Trace silent(false);
  silent.line(Instant(1ms), silent.actor("a"), "send", {});
  EXPECT_TRUE(silent.lines().empty());

  Trace trace(true);
  const auto actor = trace.actor("device shop-1");
  trace.add(Instant(1500us), actor, TraceKind::client_action, test::bytes({1}));
  trace.line(Instant(1500us), actor, "send", {{"bytes", 1}});
  ASSERT_EQ(trace.lines().size(), 1u);
  const auto line = boost::json::parse(trace.lines()[0]).as_object();
  EXPECT_EQ(line.at("seq"), 1);
  EXPECT_EQ(line.at("t_ms"), 1);
  EXPECT_EQ(line.at("actor"), "device shop-1");
  EXPECT_EQ(line.at("kind"), "send");
  EXPECT_EQ(line.at("digest").as_string().size(), 16u);
}

}  // namespace
}  // namespace wa::stage

#include "engine/client/pairing_window.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/wire/node_codec.hpp"

namespace wa::client {
namespace {

using namespace std::chrono_literals;
using wire::NodeBuilder;

constexpr PairingWindow::Config kConfig{.first = 60s, .rest = 20s};
constexpr Instant kStart{1h};

std::vector<std::string> refs_of(const NodeBuilder& pair_device) {
  const auto frame =
      wire::decode(wire::encode(pair_device, wire::Dictionary::v3), wire::Dictionary::v3);
  return PairingWindow::refs_of(frame.value().root());
}

NodeBuilder ref_node(std::string_view text) {
  return NodeBuilder("ref").bytes(as_bytes(text));
}

TEST(PairingWindowTest, ShowsTheFirstRefForAMinuteAndEachFurtherOneForTwentySeconds) {
  const PairingWindow window({"a", "b", "c"}, kConfig, kStart);
  struct Case {
    Duration at;
    const char* ref;
    Duration expires;
  };
  for (const auto& [at, expected, expires] : {
           Case{0s, "a", 60s},
           Case{59s, "a", 60s},
           Case{60s, "b", 80s},
           Case{79s, "b", 80s},
           Case{80s, "c", 100s},
           Case{99s, "c", 100s},
       }) {
    const auto code = window.current(kStart + at);
    ASSERT_TRUE(code);
    EXPECT_EQ(code->ref, expected);
    EXPECT_EQ(code->expires_at, kStart + expires);
    EXPECT_EQ(code->window_expires_at, kStart + 100s);
    EXPECT_EQ(window.next_change(kStart + at), kStart + expires);
  }
  EXPECT_FALSE(window.current(kStart + 100s));
  EXPECT_FALSE(window.next_change(kStart + 100s));
}

TEST(PairingWindowTest, AWindowThatWasSleptThroughShowsTheRefOfTheTime) {
  const PairingWindow window({"a", "b", "c"}, kConfig, kStart);
  EXPECT_EQ(window.current(kStart + 85s)->ref, "c");
}

TEST(PairingWindowTest, TakesRefsInOrderAndLeavesOutWhatNoQrCouldSay) {
  EXPECT_EQ(refs_of(NodeBuilder("pair-device")
                        .child(ref_node("2@one"))
                        .child(NodeBuilder("other").bytes(as_bytes("2@no")))
                        .child(ref_node(""))
                        .child(ref_node("has,comma"))
                        .child(ref_node("has\nnewline"))
                        .child(ref_node(std::string(1025, 'x')))
                        .child(NodeBuilder("ref"))
                        .child(ref_node("2@two"))),
            (std::vector<std::string>{"2@one", "2@two"}));
  EXPECT_TRUE(refs_of(NodeBuilder("pair-device")).empty());
}

TEST(PairingWindowTest, OfAnAbsurdNumberOfRefsAFewAreKept) {
  NodeBuilder pair_device("pair-device");
  for (int i = 0; i < 5000; ++i) pair_device.child(ref_node("2@x"));
  EXPECT_EQ(refs_of(pair_device).size(), 32u);
}

}  // namespace
}  // namespace wa::client

#include "engine/client/actions.hpp"

#include <gtest/gtest.h>

#include <set>

#include "engine/client/config.hpp"
#include "tests/support/test_support.hpp"

namespace wa::client {
namespace {

Bytes canonical(const Action& action) {
  Bytes out;
  append_canonical(action, out);
  return out;
}

TEST(ComputeTest, MakesKeysThatDependOnTheSeedAlone) {
  MakePreKeys job{.seed = {}, .count = 20};
  const auto first = std::get<std::vector<crypto::KeyPair>>(compute(job));
  const auto again = std::get<std::vector<crypto::KeyPair>>(compute(job));
  ASSERT_EQ(first.size(), 20u);
  EXPECT_EQ(first, again);
  std::set<std::string> different;
  for (const auto& pair : first) {
    EXPECT_EQ(crypto::public_key_of(pair.private_key), pair.public_key);
    different.insert(to_hex(pair.public_key));
  }
  EXPECT_EQ(different.size(), 20u);
  job.seed[31] = std::byte{1};
  EXPECT_NE(std::get<std::vector<crypto::KeyPair>>(compute(job)), first);
}

TEST(CanonicalTest, IsTheSameForEqualActionsAndDiffersInEveryField) {
  Status status;
  status.state = State::waiting_for_scan;
  status.qr = QrOnShow{"text", 3, Instant(5ns), Instant(6ns), false};
  Status stale = status;
  stale.qr->stale = true;
  Status closed = status;
  closed.last_close = LastClose{515, "cause", UnixMillis{7}};
  Status closed_without_code = closed;
  closed_without_code.last_close->code.reset();
  Status later = status;
  later.next_attempt_at = Instant(1s);
  Status skewed = status;
  skewed.clock_offset = 300s;
  Status owing = status;
  owing.removal_pending = true;

  const std::vector<Action> actions = {
      DialSocket{1, "ws://a", 20s},
      DialSocket{2, "ws://a", 20s},
      DialSocket{1, "ws://b", 20s},
      DialSocket{1, "ws://a", 21s},
      SendBytes{1, test::bytes({1, 2})},
      SendBytes{1, test::bytes({1, 3})},
      CloseSocket{1, CloseHow::normal},
      CloseSocket{1, CloseHow::rst},
      Commit{{Put{"k", "ey", {}}}},
      Commit{{Put{"k", "ey", {}}}, "keys"},
      Commit{{Put{"ke", "y", {}}}},
      Commit{{Erase{"k", "ey"}}},
      Commit{{Put{"k", "ey", {}}, Erase{"k", "ey"}}},
      Compute{1, MakePreKeys{{}, 5}},
      Compute{1, MakePreKeys{{}, 6}},
      PublishStatus{status},
      PublishStatus{stale},
      PublishStatus{closed},
      PublishStatus{closed_without_code},
      PublishStatus{later},
      PublishStatus{skewed},
      PublishStatus{owing},
      Report{Report::Level::info, "x"},
      Report{Report::Level::warning, "x"},
  };
  std::set<std::string> different;
  for (const Action& action : actions) {
    EXPECT_EQ(canonical(action), canonical(Action(action)));
    different.insert(to_hex(canonical(action)));
  }
  EXPECT_EQ(different.size(), actions.size());
}

TEST(CanonicalTest, AppendsInAFixedShape) {
  Bytes out = test::bytes({0xee});
  append_canonical(SendBytes{258, test::bytes({7})}, out);
  EXPECT_EQ(to_hex(out),
            "ee"
            "0000000000000001"
            "0000000000000102"
            "0000000000000001"
            "07");
}

TEST(TimingsTest, ScaleWithFloorsForDeadlinesAndPeriods) {
  const Timings scaled = Timings{}.scaled(1.0 / 50);
  EXPECT_EQ(scaled.dial, 400ms);
  EXPECT_EQ(scaled.ping_answer, 250ms);
  EXPECT_EQ(scaled.truthful, 900ms);
  EXPECT_EQ(scaled.qr_first, 1200ms);
  EXPECT_EQ(scaled.backoff_first, 20ms);
  EXPECT_EQ(scaled.restart_close, 20ms);
  EXPECT_EQ(Timings{}.scaled(1.0).qr_rest, Timings{}.qr_rest);
}

TEST(StateTest, TheWordsAreStable) {
  EXPECT_EQ(to_string(State::waiting_for_scan), "waiting_for_scan");
  EXPECT_EQ(to_string(State::disconnected), "disconnected");
  EXPECT_EQ(to_string(State::crashed), "crashed");
}

}  // namespace
}  // namespace wa::client

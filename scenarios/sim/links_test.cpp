#include "scenarios/sim/links.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/test_support.hpp"

namespace wa::sim {
namespace {

using namespace std::chrono_literals;
using Kind = Happening::Kind;

/// A link whose ends are open on both sides at 10 ms, with latency 5 ms.
class LinksTest : public testing::Test {
 protected:
  LinksTest() {
    link = links.dial(0, {1, "ws://mock/ws/chat?device=a", 20s}, Instant{});
    EXPECT_EQ(take(), Kind::upgrade_arrives);
    links.accept(link, now);
    EXPECT_EQ(take(), Kind::upgrade_answered);
    links[link].established = true;
    EXPECT_EQ(now, Instant(10ms));
  }
  /// The next kind; moves the time.
  Kind take() {
    now = *queue.next_at();
    last = queue.pop();
    return last.kind;
  }
  EventQueue queue;
  Links links{queue, {.latency = 5ms}};
  std::uint32_t link = 0;
  Instant now{};
  Happening last;
};

TEST_F(LinksTest, TheTargetIsPathAndQuery) {
  EXPECT_EQ(links[link].target, "/ws/chat?device=a");
}

TEST_F(LinksTest, BytesArriveOneLatencyLaterInOrder) {
  links.client_sends(link, wa::test::bytes({1}), now);
  links.client_sends(link, wa::test::bytes({2}), now);
  ASSERT_EQ(take(), Kind::bytes_to_server);
  EXPECT_EQ(now, Instant(15ms));
  EXPECT_EQ(last.bytes, wa::test::bytes({1}));
  ASSERT_EQ(take(), Kind::bytes_to_server);
  EXPECT_EQ(last.bytes, wa::test::bytes({2}));
}

TEST_F(LinksTest, BytesBeforeAFinArriveBeforeIt) {
  links.server_sends(link, wa::test::bytes({1}), now);
  links.server_closes(link, mock::CloseHow::normal, now);
  links.server_sends(link, wa::test::bytes({2}), now);  // nothing after the end
  EXPECT_EQ(take(), Kind::bytes_to_client);
  EXPECT_EQ(take(), Kind::client_hears_end);
  EXPECT_EQ(now, Instant(15ms));
  EXPECT_FALSE(links[link].lost_to_client);
  EXPECT_EQ(take(), Kind::dial_expires);
  EXPECT_FALSE(queue.next_at());
}

TEST_F(LinksTest, AResetLosesWhatIsUnderWay) {
  links.server_sends(link, wa::test::bytes({1}), now);
  links.server_closes(link, mock::CloseHow::rst, now);
  EXPECT_TRUE(links[link].lost_to_client);
  links.client_closes(link, client::CloseHow::rst, now);
  EXPECT_TRUE(links[link].lost_to_server);
}

TEST_F(LinksTest, ABlackholeIsHeardByNobody) {
  links.server_closes(link, mock::CloseHow::blackhole, now);
  EXPECT_TRUE(links[link].blackholed);
  EXPECT_TRUE(links[link].server_open);
  EXPECT_EQ(take(), Kind::dial_expires);
  EXPECT_FALSE(queue.next_at());
}

TEST_F(LinksTest, AnEndIsToldOnce) {
  links.client_closes(link, client::CloseHow::normal, now);
  links.client_closes(link, client::CloseHow::normal, now);
  EXPECT_EQ(take(), Kind::server_hears_end);
  EXPECT_EQ(take(), Kind::dial_expires);
  EXPECT_FALSE(queue.next_at());
}

TEST_F(LinksTest, CountsLinksWithAnOpenEnd) {
  EXPECT_EQ(links.open(), 1u);
  links.client_closes(link, client::CloseHow::normal, now);
  EXPECT_EQ(links.open(), 1u);
  links[link].server_open = false;
  EXPECT_EQ(links.open(), 0u);
}

TEST_F(LinksTest, FindsTheNewestOfANumber) {
  EXPECT_EQ(links.find(0, 1), link);
  EXPECT_EQ(links.find(0, 2), std::nullopt);
  EXPECT_EQ(links.find(1, 1), std::nullopt);
  const std::uint32_t again = links.dial(0, {1, "ws://mock/", 20s}, now);
  EXPECT_EQ(links.find(0, 1), again);
}

/// When each of fifty messages arrives, to the server and to the client, which are sent a
/// millisecond apart; then the end.
std::map<Kind, std::vector<Instant>> arrivals(Delays delays) {
  constexpr std::uint8_t kMessages = 50;
  EventQueue queue;
  Links links(queue, delays);
  const std::uint32_t link = links.dial(0, {1, "ws://mock/", 20s}, Instant{});
  links.accept(link, Instant{});
  links[link].established = true;
  const auto sent_at = [](std::size_t number) { return Instant{} + 1ms * number; };
  for (std::uint8_t i = 0; i < kMessages; ++i) {
    links.client_sends(link, wa::test::bytes({i}), sent_at(i));
    links.server_sends(link, wa::test::bytes({i}), sent_at(i));
  }
  links.server_closes(link, mock::CloseHow::fin, sent_at(kMessages));
  std::map<Kind, std::vector<Instant>> at;
  while (const auto due = queue.next_at()) {
    const Happening happening = queue.pop();
    std::vector<Instant>& its = at[happening.kind];
    if (!happening.bytes.empty()) {
      EXPECT_EQ(happening.bytes, wa::test::bytes({static_cast<std::uint8_t>(its.size())}));
      EXPECT_GE(*due - sent_at(its.size()), delays.latency);
      EXPECT_LE(*due - sent_at(its.size()), delays.latency + delays.jitter);
    }
    its.push_back(*due);
  }
  EXPECT_EQ(at.at(Kind::bytes_to_server).size(), kMessages);
  EXPECT_EQ(at.at(Kind::bytes_to_client).size(), kMessages);
  EXPECT_GE(at.at(Kind::client_hears_end).at(0), at.at(Kind::bytes_to_client).back());
  return at;
}

TEST(JitterTest, EveryMessageTakesItsOwnTimeAndOrderIsKept) {
  const auto at = arrivals({.latency = 5ms, .jitter = 20ms, .seed = 7});
  EXPECT_NE(at.at(Kind::bytes_to_server), at.at(Kind::bytes_to_client));
  const auto even = arrivals({.latency = 5ms});
  EXPECT_EQ(even.at(Kind::bytes_to_server), even.at(Kind::bytes_to_client));
}

TEST(JitterTest, IsTheSeedsAlone) {
  const Delays delays{.latency = 5ms, .jitter = 20ms, .seed = 7};
  EXPECT_EQ(arrivals(delays), arrivals(delays));
  EXPECT_NE(arrivals(delays), arrivals({.latency = 5ms, .jitter = 20ms, .seed = 8}));
}

}  // namespace
}  // namespace wa::sim

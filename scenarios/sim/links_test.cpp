#include "scenarios/sim/links.hpp"

#include <gtest/gtest.h>

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
  Links links{queue, 5ms};
  std::uint32_t link = 0;
  Instant now{};
  Happening last;
};

TEST_F(LinksTest, TheTargetIsPathAndQuery) {
  EXPECT_EQ(links[link].target, "/ws/chat?device=a");
}

TEST_F(LinksTest, BytesArriveOneLatencyLaterInOrder) {
  links.client_sends(link, test::bytes({1}), now);
  links.client_sends(link, test::bytes({2}), now);
  ASSERT_EQ(take(), Kind::bytes_to_server);
  EXPECT_EQ(now, Instant(15ms));
  EXPECT_EQ(last.bytes, test::bytes({1}));
  ASSERT_EQ(take(), Kind::bytes_to_server);
  EXPECT_EQ(last.bytes, test::bytes({2}));
}

TEST_F(LinksTest, BytesBeforeAFinArriveBeforeIt) {
  links.server_sends(link, test::bytes({1}), now);
  links.server_closes(link, mock::CloseHow::normal, now);
  links.server_sends(link, test::bytes({2}), now);  // nothing after the end
  EXPECT_EQ(take(), Kind::bytes_to_client);
  EXPECT_EQ(take(), Kind::client_hears_end);
  EXPECT_EQ(now, Instant(15ms));
  EXPECT_FALSE(links[link].lost_to_client);
  EXPECT_EQ(take(), Kind::dial_expires);
  EXPECT_FALSE(queue.next_at());
}

TEST_F(LinksTest, AResetLosesWhatIsUnderWay) {
  links.server_sends(link, test::bytes({1}), now);
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

}  // namespace
}  // namespace wa::sim

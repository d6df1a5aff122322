#include "scenarios/sim/invariants.hpp"

#include <gmock/gmock.h>

namespace wa::sim {
namespace {

using client::State;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Now kNow{Instant(100s), UnixMillis{0}};

client::Status shows(State state) {
  client::Status status;
  status.state = state;
  return status;
}

client::Status shows_code(Instant expires_at, bool stale = false) {
  client::Status status = shows(State::waiting_for_scan);
  status.qr = client::QrOnShow{"text", 1, expires_at, expires_at, stale};
  return status;
}

std::vector<std::string> rules(const client::Status& status,
                               const std::optional<StreamView>& stream) {
  std::vector<std::string> out;
  for (const Broken& broken : judge(status, stream, kNow, 5ms)) out.push_back(broken.rule);
  return out;
}

StreamView open_stream() {
  StreamView stream;
  stream.logged_in = true;
  return stream;
}

StreamView dark_stream(Duration duration, bool blackholed) {
  StreamView stream;
  stream.dark_for = duration;
  stream.blackholed = blackholed;
  return stream;
}

TEST(InvariantsTest, ConnectedNeedsALoggedInStream) {
  EXPECT_THAT(rules(shows(State::connected), open_stream()), IsEmpty());
  EXPECT_THAT(rules(shows(State::connected), StreamView{}), ElementsAre("truthful-status"));
  EXPECT_THAT(rules(shows(State::connected), {}), ElementsAre("truthful-status"));
  EXPECT_THAT(rules(shows(State::connecting), {}), IsEmpty());
}

TEST(InvariantsTest, ConnectedMayOutliveItsStreamAsLongAsTheNewsTravel) {
  EXPECT_THAT(rules(shows(State::connected), dark_stream(5ms, false)), IsEmpty());
  EXPECT_THAT(rules(shows(State::connected), dark_stream(6ms, false)),
              ElementsAre("truthful-status"));
  EXPECT_THAT(rules(shows(State::connected), dark_stream(45s, true)), IsEmpty());
  EXPECT_THAT(rules(shows(State::connected), dark_stream(46s, true)),
              ElementsAre("truthful-status"));
}

TEST(InvariantsTest, ACodeOnShowIsGoodOrStale) {
  const Instant later = kNow.mono + 1s;
  const Instant earlier = kNow.mono - 1s;
  EXPECT_THAT(rules(shows_code(later), StreamView{}), IsEmpty());
  EXPECT_THAT(rules(shows_code(earlier), StreamView{}), ElementsAre("fresh-qr"));
  EXPECT_THAT(rules(shows_code(later), dark_stream(6ms, false)), ElementsAre("fresh-qr"));
  EXPECT_THAT(rules(shows_code(later), dark_stream(5ms, false)), IsEmpty());
  EXPECT_THAT(rules(shows_code(later), {}), ElementsAre("fresh-qr"));
  EXPECT_THAT(rules(shows_code(earlier, true), {}), IsEmpty());
  StreamView refused;
  refused.code_good_until = earlier;
  EXPECT_THAT(rules(shows_code(later), refused), ElementsAre("fresh-qr"));
}

TEST(InvariantsTest, AccountsAreForgottenForAReason) {
  EXPECT_FALSE(may_forget_account({}, "", false));
  EXPECT_FALSE(may_forget_account({}, "stream:error conflict=\"replaced\"", false));
  EXPECT_TRUE(may_forget_account({}, "stream:error conflict=\"device_removed\"", false));
  for (const int code : {515, 500, 503, 409, 440, 408})
    EXPECT_FALSE(may_forget_account(code, "", false));
  for (const int code : {401, 403, 406, 516}) EXPECT_TRUE(may_forget_account(code, "", false));
  EXPECT_TRUE(may_forget_account({}, "", true));
}

TEST(InvariantsTest, ConnectsAreBounded) {
  ConnectRate rate;
  for (std::size_t i = 0; i < ConnectRate::kMost; ++i) EXPECT_TRUE(rate.connected(Instant(i * 1s)));
  EXPECT_FALSE(rate.connected(Instant(30s)));
  rate.user_started();
  EXPECT_TRUE(rate.connected(Instant(31s)));
  ConnectRate slow;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(slow.connected(Instant(i * 20s)));
}

}  // namespace
}  // namespace wa::sim

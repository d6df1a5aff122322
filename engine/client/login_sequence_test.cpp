#include "engine/client/login_sequence.hpp"

#include <gtest/gtest.h>

namespace wa::client {
namespace {

using L = LoginSequence;
using Actions = std::vector<L::Action>;

TEST(LoginSequenceTest, WithEnoughKeysItActivatesAtOnce) {
  L login(812);
  EXPECT_EQ(login.step(L::LoggedIn{}), Actions{L::AskCount{}});
  EXPECT_EQ(login.step(L::CountAnswered{6}), Actions{L::SendActive{}});
}

TEST(LoginSequenceTest, WithoutKeysItUploadsTheInitialNumberFirst) {
  L login(812);
  login.step(L::LoggedIn{});
  EXPECT_EQ(login.step(L::CountAnswered{0}), Actions{L::MakeKeys{812}});
  EXPECT_EQ(login.step(L::KeysMade{}), Actions{L::StoreAndUpload{}});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
}

TEST(LoginSequenceTest, WithFewKeysItTopsUp) {
  for (const auto& [initial, expected] : {std::pair{812u, 50u}, std::pair{30u, 30u}}) {
    L login(initial);
    login.step(L::LoggedIn{});
    EXPECT_EQ(login.step(L::CountAnswered{5}), Actions{L::MakeKeys{expected}});
  }
}

TEST(LoginSequenceTest, AFailureMovesOn) {
  L no_count(812);
  no_count.step(L::LoggedIn{});
  EXPECT_EQ(no_count.step(L::CountAnswered{std::nullopt}), Actions{L::SendActive{}});

  L no_upload(812);
  no_upload.step(L::LoggedIn{});
  no_upload.step(L::CountAnswered{0});
  no_upload.step(L::KeysMade{});
  EXPECT_EQ(no_upload.step(L::UploadAnswered{false}), Actions{L::SendActive{}});
}

TEST(LoginSequenceTest, AWarningOfTheServerCountsAgainAndActivatesOnlyOnce) {
  L login(812);
  EXPECT_TRUE(login.step(L::KeysRunLow{}).empty());
  login.step(L::LoggedIn{});
  EXPECT_TRUE(login.step(L::KeysRunLow{}).empty());
  login.step(L::CountAnswered{100});
  EXPECT_EQ(login.step(L::KeysRunLow{}), Actions{L::AskCount{}});
  EXPECT_EQ(login.step(L::CountAnswered{3}), Actions{L::MakeKeys{50}});
  login.step(L::KeysMade{});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), Actions{L::MarkUploaded{}});
}

TEST(LoginSequenceTest, ADigestIsAskedForFirstAndCounts) {
  L enough(812);
  EXPECT_EQ(enough.step(L::LoggedIn{.check = true}), Actions{L::AskDigest{}});
  EXPECT_EQ(enough.step(L::DigestAnswered{6}), Actions{L::SendActive{}});

  L few(812);
  few.step(L::LoggedIn{.check = true});
  EXPECT_EQ(few.step(L::DigestAnswered{5}), Actions{L::MakeKeys{50}});

  L none(812);
  none.step(L::LoggedIn{.check = true});
  EXPECT_EQ(none.step(L::DigestAnswered{}), Actions{L::AskCount{}});
}

TEST(LoginSequenceTest, AllKeysAreMadeAnewWhenTheServerIsAhead) {
  L login(812);
  login.step(L::LoggedIn{.check = true});
  EXPECT_EQ(login.step(L::DigestAnswered{.count = 700, .renew = true}),
            (Actions{L::MakeKeys{812, true}}));
  login.step(L::KeysMade{});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
}

TEST(LoginSequenceTest, ARenewalAsksForTheDigestNowOrWhenTheLoginIsThrough) {
  L ready(30);
  ready.step(L::LoggedIn{});
  ready.step(L::CountAnswered{100});
  EXPECT_EQ(ready.step(L::RenewalWanted{}), Actions{L::AskDigest{}});
  EXPECT_EQ(ready.step(L::DigestAnswered{100}), (Actions{L::MakeKeys{30, true}}));
  ready.step(L::KeysMade{});
  EXPECT_EQ(ready.step(L::UploadAnswered{true}), Actions{L::MarkUploaded{}});

  L busy(30);
  busy.step(L::LoggedIn{});
  EXPECT_TRUE(busy.step(L::RenewalWanted{}).empty());
  EXPECT_EQ(busy.step(L::CountAnswered{100}), (Actions{L::SendActive{}, L::AskDigest{}}));
  EXPECT_EQ(busy.step(L::DigestAnswered{}), (Actions{L::MakeKeys{30, true}}));
}

TEST(LoginSequenceTest, EventsOutOfOrderAreIgnored) {
  L login(812);
  EXPECT_TRUE(login.step(L::CountAnswered{0}).empty());
  EXPECT_TRUE(login.step(L::KeysMade{}).empty());
  EXPECT_TRUE(login.step(L::UploadAnswered{true}).empty());
  login.step(L::LoggedIn{});
  EXPECT_TRUE(login.step(L::LoggedIn{}).empty());
  EXPECT_TRUE(login.step(L::KeysMade{}).empty());
}

TEST(LoginSequenceTest, ADeviceThatWantsNoKeysUploadsNone) {
  L login(0);
  login.step(L::LoggedIn{});
  EXPECT_EQ(login.step(L::CountAnswered{0}), Actions{L::SendActive{}});
}

}  // namespace
}  // namespace wa::client

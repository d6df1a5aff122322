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

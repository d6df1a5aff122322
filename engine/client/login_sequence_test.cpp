#include "engine/client/login_sequence.hpp"

#include <gtest/gtest.h>

namespace wa::client {
namespace {

using L = LoginSequence;
using Actions = std::vector<L::Action>;

TEST(LoginSequenceTest, WithHalfOfTheKeysItActivatesAtOnce) {
  L login(812);
  EXPECT_EQ(login.step(L::LoggedIn{}), Actions{L::AskCount{}});
  EXPECT_EQ(login.step(L::CountAnswered{406}), Actions{L::SendActive{}});
}

TEST(LoginSequenceTest, WithFewerItFillsUpToTheTargetFirst) {
  for (const auto& [count, expected] : {std::pair{0u, 812u}, std::pair{405u, 407u}}) {
    L login(812);
    login.step(L::LoggedIn{});
    EXPECT_EQ(login.step(L::CountAnswered{count}), Actions{L::MakeKeys{expected}});
    EXPECT_EQ(login.step(L::KeysMade{expected}), Actions{L::StoreAndUpload{}});
    EXPECT_EQ(login.step(L::UploadAnswered{true}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
  }
}

TEST(LoginSequenceTest, WhatIsOwedIsFilledUpHoweverManyThereAre) {
  L login(812);
  login.step(L::LoggedIn{.owed = true});
  EXPECT_EQ(login.step(L::CountAnswered{700}), Actions{L::MakeKeys{112}});
  L full(812);
  full.step(L::LoggedIn{.owed = true});
  EXPECT_EQ(full.step(L::CountAnswered{900}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
  L unknown(812);
  unknown.step(L::LoggedIn{.owed = true});
  EXPECT_EQ(unknown.step(L::CountAnswered{std::nullopt}), Actions{L::MakeKeys{812}});
}

TEST(LoginSequenceTest, WithoutACountItMovesOn) {
  L login(812);
  login.step(L::LoggedIn{});
  EXPECT_EQ(login.step(L::CountAnswered{std::nullopt}), Actions{L::SendActive{}});
}

TEST(LoginSequenceTest, ARefusedUploadHoldsNothingUpAndIsTriedAgain) {
  L login(812);
  login.step(L::LoggedIn{});
  login.step(L::CountAnswered{0});
  login.step(L::KeysMade{812});
  EXPECT_EQ(login.step(L::UploadAnswered{false}), (Actions{L::RetryLater{1}, L::SendActive{}}));
  EXPECT_EQ(login.step(L::RetryDue{}), Actions{L::AskDigest{}}) << "it may have arrived";
  EXPECT_EQ(login.step(L::DigestAnswered{0}), Actions{L::MakeKeys{812}});
  EXPECT_EQ(login.step(L::KeysMade{812}), Actions{L::StoreAndUpload{}});
  EXPECT_EQ(login.step(L::UploadAnswered{false}), Actions{L::RetryLater{2}});
  EXPECT_TRUE(login.step(L::KeysRunLow{3}).empty()) << "that is under way";
  login.step(L::RetryDue{});
  EXPECT_EQ(login.step(L::DigestAnswered{}), Actions{L::AskCount{}});
  login.step(L::CountAnswered{0});
  login.step(L::KeysMade{812});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), Actions{L::MarkUploaded{}});
}

TEST(LoginSequenceTest, ARenewalThatIsRefusedIsSentAgainHoweverManyTheServerHas) {
  L login(812);
  login.step(L::LoggedIn{.check = true});
  login.step(L::DigestAnswered{.count = 700, .renew = true});
  login.step(L::KeysMade{812});
  login.step(L::UploadAnswered{false});
  EXPECT_EQ(login.step(L::RetryDue{}), Actions{L::MakeKeys{812}});
  login.step(L::KeysMade{812});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), Actions{L::MarkUploaded{}});
}

TEST(LoginSequenceTest, WhatAnEarlierUploadHasLeftIsFilledUpBehindIt) {
  L login(812);
  login.step(L::LoggedIn{.owed = true});
  EXPECT_EQ(login.step(L::CountAnswered{12}), Actions{L::MakeKeys{800}});
  login.step(L::KeysMade{300});
  EXPECT_EQ(login.step(L::UploadAnswered{true}),
            (Actions{L::MarkUploaded{.enough = false}, L::MakeKeys{500}}));
  login.step(L::KeysMade{500});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
}

TEST(LoginSequenceTest, AWarningOfTheServerIsOneUploadToTheTarget) {
  L login(812);
  EXPECT_TRUE(login.step(L::KeysRunLow{3}).empty());
  login.step(L::LoggedIn{});
  login.step(L::CountAnswered{500});
  EXPECT_EQ(login.step(L::KeysRunLow{500}), (Actions{L::NoteOwed{}, L::MakeKeys{312}}));
  EXPECT_TRUE(login.step(L::KeysRunLow{500}).empty());
  login.step(L::KeysMade{312});
  EXPECT_TRUE(login.step(L::KeysRunLow{500}).empty());
  EXPECT_EQ(login.step(L::UploadAnswered{true}), Actions{L::MarkUploaded{}});
  EXPECT_TRUE(login.step(L::KeysRunLow{812}).empty());
}

TEST(LoginSequenceTest, AWarningWhileTheKeysAreCountedIsForThatCount) {
  L login(812);
  login.step(L::LoggedIn{});
  EXPECT_EQ(login.step(L::KeysRunLow{500}), Actions{L::NoteOwed{}});
  EXPECT_EQ(login.step(L::CountAnswered{500}), Actions{L::MakeKeys{312}});
}

TEST(LoginSequenceTest, AWarningWithoutANumberIsCounted) {
  L login(812);
  login.step(L::LoggedIn{});
  login.step(L::CountAnswered{500});
  EXPECT_EQ(login.step(L::KeysRunLow{}), (Actions{L::NoteOwed{}, L::AskCount{}}));
  EXPECT_EQ(login.step(L::CountAnswered{800}), Actions{L::MakeKeys{12}});
}

TEST(LoginSequenceTest, ADigestIsAskedForFirstAndCounts) {
  L enough(812);
  EXPECT_EQ(enough.step(L::LoggedIn{.check = true}), Actions{L::AskDigest{}});
  EXPECT_EQ(enough.step(L::DigestAnswered{406}), Actions{L::SendActive{}});

  L few(812);
  few.step(L::LoggedIn{.check = true});
  EXPECT_EQ(few.step(L::DigestAnswered{405}), Actions{L::MakeKeys{407}});

  L none(812);
  none.step(L::LoggedIn{.check = true});
  EXPECT_EQ(none.step(L::DigestAnswered{}), Actions{L::AskCount{}});
}

TEST(LoginSequenceTest, AllKeysAreMadeAnewWhenTheServerIsAhead) {
  L login(812);
  login.step(L::LoggedIn{.check = true});
  EXPECT_EQ(login.step(L::DigestAnswered{.count = 700, .renew = true}),
            (Actions{L::MakeKeys{812, true}}));
  login.step(L::KeysMade{812});
  EXPECT_EQ(login.step(L::UploadAnswered{true}), (Actions{L::MarkUploaded{}, L::SendActive{}}));
}

TEST(LoginSequenceTest, ARenewalAsksForTheDigestNowOrWhenTheLoginIsThrough) {
  L ready(30);
  ready.step(L::LoggedIn{});
  ready.step(L::CountAnswered{100});
  EXPECT_EQ(ready.step(L::RenewalWanted{}), Actions{L::AskDigest{}});
  EXPECT_EQ(ready.step(L::DigestAnswered{100}), (Actions{L::MakeKeys{30, true}}));
  ready.step(L::KeysMade{30});
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
  EXPECT_TRUE(login.step(L::RetryDue{}).empty());
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

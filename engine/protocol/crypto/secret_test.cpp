#include "engine/protocol/crypto/secret.hpp"

#include <gtest/gtest.h>

#include <new>
#include <optional>

#include "tests/support/test_support.hpp"

namespace wa::crypto {
namespace {

ByteArray<32> filled(int value) {
  ByteArray<32> bytes;
  bytes.fill(static_cast<std::byte>(value));
  return bytes;
}

TEST(SecretTest, LeavesNothingInTheMemoryThatItHad) {
  alignas(Secret<32>) ByteArray<sizeof(Secret<32>)> memory{};
  auto* const secret = new (memory.data()) Secret<32>(filled(7));
  ASSERT_EQ(secret->bytes(), filled(7));
  ASSERT_EQ(memory, filled(7));
  secret->~Secret();
  EXPECT_EQ(memory, filled(0));
}

TEST(SecretTest, IsEmptyWhenItWasMovedFrom) {
  Secret<32> first(filled(7));
  Secret<32> second(std::move(first));
  EXPECT_EQ(first.bytes(), filled(0));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.bytes(), filled(7));

  first = std::move(second);
  EXPECT_EQ(first.bytes(), filled(7));
  EXPECT_EQ(second.bytes(), filled(0));  // NOLINT(bugprone-use-after-move)

  Secret<32>& same = first;
  first = std::move(same);
  EXPECT_EQ(first.bytes(), filled(7));
}

TEST(SecretTest, ACopyIsAnother) {
  Secret<32> first(filled(7));
  Secret<32> second = first;
  first.clear();
  EXPECT_EQ(first.bytes(), filled(0));
  EXPECT_EQ(second.bytes(), filled(7));
}

TEST(SecretTest, TakesPartsAndExactSizes) {
  Secret<6> whole(*fixed<6>(test::bytes({1, 2, 3, 4, 5, 6}), "whole"));
  EXPECT_EQ((to_bytes(Secret<2>::part<4>(whole))), test::bytes({5, 6}));
  EXPECT_EQ(Secret<6>::from(whole, "whole").value(), whole);
  EXPECT_EQ(Secret<5>::from(whole, "whole").error().code, Errc::malformed);
}

}  // namespace
}  // namespace wa::crypto

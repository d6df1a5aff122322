#include "mockserver/core/spoilt_certificate.hpp"

#include <gtest/gtest.h>

namespace wa::mock {
namespace {

using Fault = CertificateFault;
using Field = Fault::Field;

constexpr UnixMillis kNow{1'767'225'600'000};

struct Chain {
  Chain() : random(1), keys(ServerKeys::generate(random)) {
    spec.server_static = keys.noise_static.public_key;
    spec.not_before = kNow.seconds() - 86'400;
    spec.not_after = kNow.seconds() + 86'400;
  }
  /// What the strictest client says; empty when it accepts.
  std::string verdict(const Fault& fault) {
    const Bytes chain = spoilt_chain(spec, keys, fault, kNow, random);
    const auto verified =
        noise::verify_chain(chain, keys.root.public_key, keys.noise_static.public_key, kNow);
    return verified ? "" : verified.error().detail;
  }
  SeededRandom random;
  ServerKeys keys;
  noise::ChainSpec spec;
};

struct Case {
  std::string name;
  Fault fault;
  std::string says;  ///< part of the verdict
};
void PrintTo(const Case& tested, std::ostream* out) {
  *out << tested.name;
}

class SpoiltCertificateTest : public testing::TestWithParam<Case> {};

TEST_P(SpoiltCertificateTest, IsRefusedForWhatIsSpoilt) {
  Chain chain;
  const std::string verdict = chain.verdict(GetParam().fault);
  EXPECT_NE(verdict.find(GetParam().says), std::string::npos) << verdict;
}

constexpr auto kLeaf = Fault::Part::leaf;
constexpr auto kIntermediate = Fault::Part::intermediate;
constexpr auto kWrong = Fault::Kind::wrong;
constexpr auto kMissing = Fault::Kind::missing;

const Case kCases[] = {
    {"leaf serial missing", {kLeaf, Field::serial, kMissing}, "leaf certificate: no serial"},
    {"leaf issuer wrong", {kLeaf, Field::issuer_serial, kWrong}, "leaf certificate: issuerSerial"},
    {"leaf issuer missing", {kLeaf, Field::issuer_serial, kMissing}, "no issuerSerial"},
    {"leaf key wrong", {kLeaf, Field::key, kWrong}, "key is not the server's static key"},
    {"leaf key missing", {kLeaf, Field::key, kMissing}, "leaf certificate: key"},
    {"leaf not_before wrong", {kLeaf, Field::not_before, kWrong}, "leaf certificate: notBefore"},
    {"leaf not_before missing", {kLeaf, Field::not_before, kMissing}, "no notBefore"},
    {"leaf not_after wrong", {kLeaf, Field::not_after, kWrong}, "leaf certificate: notAfter"},
    {"leaf not_after missing", {kLeaf, Field::not_after, kMissing}, "no notAfter"},
    {"leaf signature wrong", {kLeaf, Field::signature, kWrong}, "leaf certificate"},
    {"leaf signature missing", {kLeaf, Field::signature, kMissing}, "no signature"},
    {"leaf wrong", {kLeaf, Field::all, kWrong}, "leaf certificate"},
    {"leaf missing", {kLeaf, Field::all, kMissing}, "leaf certificate: missing"},
    {"intermediate serial wrong", {kIntermediate, Field::serial, kWrong}, "leaf certificate: issu"},
    {"intermediate serial missing", {kIntermediate, Field::serial, kMissing}, "no serial"},
    {"intermediate issuer wrong",
     {kIntermediate, Field::issuer_serial, kWrong},
     "intermediate certificate: issuerSerial"},
    {"intermediate issuer missing",
     {kIntermediate, Field::issuer_serial, kMissing},
     "no issuerSerial"},
    {"intermediate key wrong", {kIntermediate, Field::key, kWrong}, "leaf certificate"},
    {"intermediate key missing", {kIntermediate, Field::key, kMissing}, "intermediate certif"},
    {"intermediate not_before wrong",
     {kIntermediate, Field::not_before, kWrong},
     "intermediate certificate: notBefore"},
    {"intermediate not_after wrong",
     {kIntermediate, Field::not_after, kWrong},
     "intermediate certificate: notAfter"},
    {"intermediate signature wrong",
     {kIntermediate, Field::signature, kWrong},
     "intermediate certificate"},
    {"intermediate signature missing", {kIntermediate, Field::signature, kMissing}, "no signature"},
    {"intermediate wrong", {kIntermediate, Field::all, kWrong}, "intermediate certificate"},
    {"intermediate missing",
     {kIntermediate, Field::all, kMissing},
     "intermediate certificate: missing"},
};
INSTANTIATE_TEST_SUITE_P(EveryField, SpoiltCertificateTest, testing::ValuesIn(kCases));

TEST(SpoiltCertificateTest, AWrongLeafSerialIsNoticedByNobody) {
  Chain chain;
  EXPECT_EQ(chain.verdict({kLeaf, Field::serial, kWrong}), "");
}

}  // namespace
}  // namespace wa::mock

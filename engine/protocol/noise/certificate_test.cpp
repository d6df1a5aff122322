#include "engine/protocol/noise/certificate.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/schema/whatsapp.pb.h"
#include "tests/support/test_support.hpp"

namespace wa::noise {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

constexpr UnixMillis at_second(std::int64_t seconds) {
  return {seconds * 1000};
}

/// Keys, a chain made with them, and the pieces to make others.
struct Issuer {
  SeededRandom random{44};
  crypto::KeyPair root = crypto::generate_key_pair(random);
  crypto::KeyPair intermediate = crypto::generate_key_pair(random);
  crypto::KeyPair server = crypto::generate_key_pair(random);
  ChainSpec spec{.server_static = server.public_key, .not_before = 1000, .not_after = 2000};

  Bytes chain() { return issue_chain(spec, root, intermediate, random); }
  Result<void> verify(ByteSpan chain_bytes, UnixMillis now = at_second(1500)) const {
    return verify_chain(chain_bytes, root.public_key, server.public_key, now);
  }

  /// Changes details and signs them again, so that only the change can be the reason to refuse.
  template <class Change>
  Bytes resigned(bool leaf, Change change) {
    schema::CertChain parsed;
    const auto bytes = chain();
    WA_ASSERT(parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    auto& certificate = leaf ? *parsed.mutable_leaf() : *parsed.mutable_intermediate();
    schema::CertChain::NoiseCertificate::Details details;
    WA_ASSERT(details.ParseFromString(certificate.details()));
    change(details);
    certificate.set_details(details.SerializeAsString());
    const auto signature =
        crypto::sign(leaf ? intermediate : root, as_bytes(certificate.details()), random);
    certificate.set_signature(std::string(as_text(signature)));
    return to_bytes(parsed.SerializeAsString());
  }
};

TEST(CertificateTest, VerifiesWhatItIssued) {
  Issuer issuer;
  const auto verdict = issuer.verify(issuer.chain());
  EXPECT_TRUE(verdict) << verdict.error();
}

TEST(CertificateTest, WritesTheRootsSerialZero) {
  Issuer issuer;
  const auto bytes = issuer.chain();
  schema::CertChain chain;
  ASSERT_TRUE(chain.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  const auto details = to_hex(as_bytes(chain.intermediate().details()));
  EXPECT_TRUE(details.starts_with("08011000")) << details;  // serial 1, issuerSerial 0
}

// Details are bytes of which every client checks a signature: ours are those of the vectors.
TEST(CertificateTest, IssuesTheDetailsOfTheVectors) {
  const auto file = test::vectors("noise-handshake.json");
  for (const auto& vector : file.at("vectors").as_array()) {
    SCOPED_TRACE(text_at(vector, "name"));
    const auto key_pair = [&](std::string_view name) {
      const auto& pair = vector.at("keys").at(name);
      return crypto::KeyPair{*crypto::PrivateKey::from(hex_at(pair, "private"), name),
                             *crypto::PublicKey::from(hex_at(pair, "public"), name)};
    };
    const auto root = key_pair("cert_root");
    const auto server = key_pair("server_static").public_key;
    const ChainSpec spec{.server_static = server,
                         .intermediate_serial = 7,
                         .leaf_serial = 8,
                         .not_before = 1'700'000'000,
                         .not_after = 2'000'000'000};
    SeededRandom random(1);
    const auto issued = issue_chain(spec, root, key_pair("cert_intermediate"), random);
    schema::CertChain ours;
    ASSERT_TRUE(ours.ParseFromArray(issued.data(), static_cast<int>(issued.size())));
    const auto& cert = vector.at("cert");
    EXPECT_EQ(to_hex(as_bytes(ours.intermediate().details())),
              text_at(cert, "intermediate_details"));
    EXPECT_EQ(to_hex(as_bytes(ours.leaf().details())), text_at(cert, "leaf_details"));
    EXPECT_EQ(issued.size(), hex_at(cert, "chain").size());

    for (const auto& chain : {issued, hex_at(cert, "chain")}) {
      const auto verdict = verify_chain(chain, root.public_key, server, at_second(1'800'000'000));
      EXPECT_TRUE(verdict) << verdict.error();
    }
  }
}

TEST(CertificateTest, VerifiesTheGenuineChainInsideItsWindow) {
  const auto file = test::vectors("noise-cert-captured.json");
  const auto chain = hex_at(file, "chain");
  const auto root = *crypto::PublicKey::from(hex_at(file, "root_public"), "root");
  const auto server = *crypto::PublicKey::from(hex_at(file.at("leaf"), "key"), "leaf");
  const auto from = file.at("leaf").at("notBefore").to_number<std::int64_t>();
  const auto until = file.at("leaf").at("notAfter").to_number<std::int64_t>();
  for (const auto now : {from, from + 1, (from + until) / 2, until}) {
    const auto verdict = verify_chain(chain, root, server, at_second(now));
    EXPECT_TRUE(verdict) << verdict.error();
  }
  EXPECT_FALSE(verify_chain(chain, root, server, at_second(from - 1)));
  EXPECT_FALSE(verify_chain(chain, root, server, at_second(until + 1)));
  EXPECT_FALSE(verify_chain(chain, root, root, at_second(from)));
  EXPECT_FALSE(verify_chain(chain, server, server, at_second(from)));
}

TEST(CertificateTest, BothEndsBelongToTheWindow) {
  Issuer issuer;
  const auto chain = issuer.chain();
  EXPECT_FALSE(issuer.verify(chain, {999'999}));
  EXPECT_TRUE(issuer.verify(chain, {1'000'000}));
  EXPECT_TRUE(issuer.verify(chain, {2'000'000}));
  EXPECT_FALSE(issuer.verify(chain, {2'000'001}));
  EXPECT_FALSE(issuer.verify(chain, {-1}));
  const auto late = issuer.verify(chain, at_second(3000));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::auth_failed);
  EXPECT_NE(late.error().detail.find("notAfter"), std::string::npos);
}

TEST(CertificateTest, EachWindowCountsByItself) {
  for (const bool leaf : {false, true}) {
    Issuer issuer;
    const auto expired = issuer.resigned(leaf, [](auto& details) { details.set_not_after(1400); });
    EXPECT_FALSE(issuer.verify(expired));
    const auto early = issuer.resigned(leaf, [](auto& details) { details.set_not_before(1600); });
    EXPECT_FALSE(issuer.verify(early));
    // Numbers that no clock reaches must not wrap around.
    const auto never = issuer.resigned(leaf, [](auto& details) { details.set_not_before(~0ULL); });
    EXPECT_FALSE(issuer.verify(never));
    const auto forever = issuer.resigned(leaf, [](auto& details) { details.set_not_after(~0ULL); });
    const auto verdict = issuer.verify(forever);
    EXPECT_TRUE(verdict) << verdict.error();
  }
}

TEST(CertificateTest, RefusesEachMissingField) {
  using Details = schema::CertChain::NoiseCertificate::Details;
  void (*const changes[])(Details&) = {
      [](Details& d) { d.clear_serial(); },
      [](Details& d) { d.clear_issuer_serial(); },
      [](Details& d) { d.clear_key(); },
      [](Details& d) { d.clear_not_before(); },
      [](Details& d) { d.clear_not_after(); },
      [](Details& d) { d.mutable_key()->pop_back(); },
      [](Details& d) { d.mutable_key()->insert(0, "\x05"); },
  };
  for (const bool leaf : {false, true}) {
    for (const auto change : changes) {
      Issuer issuer;
      const auto verdict = issuer.verify(issuer.resigned(leaf, change));
      ASSERT_FALSE(verdict);
      EXPECT_EQ(verdict.error().code, Errc::malformed) << verdict.error();
      EXPECT_TRUE(verdict.error().detail.starts_with(leaf ? "leaf" : "intermediate"))
          << verdict.error();
    }
  }
}

TEST(CertificateTest, RefusesWrongSerialsAndKeys) {
  Issuer issuer;
  const auto wrong_root = issuer.resigned(false, [](auto& d) { d.set_issuer_serial(1); });
  EXPECT_FALSE(issuer.verify(wrong_root));
  const auto wrong_issuer = issuer.resigned(true, [](auto& d) { d.set_issuer_serial(9); });
  EXPECT_FALSE(issuer.verify(wrong_issuer));
  // The intermediate names another key than the one that signed the leaf.
  const auto other = issuer.resigned(
      false, [&](auto& d) { d.set_key(std::string(as_text(issuer.server.public_key))); });
  EXPECT_FALSE(issuer.verify(other));
  const auto stolen = issuer.resigned(
      true, [&](auto& d) { d.set_key(std::string(as_text(issuer.intermediate.public_key))); });
  const auto verdict = issuer.verify(stolen);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::auth_failed);
  EXPECT_NE(verdict.error().detail.find("static key"), std::string::npos);
}

TEST(CertificateTest, RefusesAChainOfAnotherRoot) {
  Issuer issuer;
  const auto chain = issuer.chain();
  const auto verdict =
      verify_chain(chain, issuer.server.public_key, issuer.server.public_key, at_second(1500));
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::auth_failed);
  EXPECT_NE(verdict.error().detail.find("intermediate"), std::string::npos);
}

TEST(CertificateTest, RefusesMissingPartsAndSignaturesOfOtherLengths) {
  Issuer issuer;
  const auto bytes = issuer.chain();
  schema::CertChain whole;
  ASSERT_TRUE(whole.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  const auto refused = [&](auto change) {
    auto chain = whole;
    change(chain);
    const auto verdict = issuer.verify(to_bytes(chain.SerializeAsString()));
    return !verdict && verdict.error().code == Errc::malformed;
  };
  using Chain = schema::CertChain;
  EXPECT_TRUE(refused([](Chain& c) { c.clear_leaf(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.clear_intermediate(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_leaf()->clear_details(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_intermediate()->clear_details(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_leaf()->clear_signature(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_intermediate()->clear_signature(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_leaf()->mutable_signature()->push_back('x'); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_leaf()->mutable_signature()->pop_back(); }));
  EXPECT_TRUE(refused([](Chain& c) { c.mutable_leaf()->set_details("\xff\xff"); }));
  EXPECT_FALSE(refused([](Chain&) {}));
}

TEST(CertificateTest, RefusesEveryFlippedBitAndEveryTruncation) {
  Issuer issuer;
  const auto chain = issuer.chain();
  for (std::size_t bit = 0; bit < chain.size() * 8; ++bit) {
    auto spoilt = chain;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(issuer.verify(spoilt)) << bit;
  }
  for (std::size_t size = 0; size < chain.size(); ++size) {
    const auto verdict = issuer.verify(ByteSpan(chain).first(size));
    ASSERT_FALSE(verdict) << size;
    EXPECT_EQ(verdict.error().code, Errc::malformed) << size;
  }
}

}  // namespace
}  // namespace wa::noise

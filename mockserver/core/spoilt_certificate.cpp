#include "mockserver/core/spoilt_certificate.hpp"

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::mock {
namespace {

using Certificate = schema::CertChain::NoiseCertificate;
using Details = schema::CertChain::NoiseCertificate::Details;
using Field = CertificateFault::Field;

constexpr std::uint64_t kDay = 86'400;
constexpr std::size_t kOtherBytes = 40;

void spoil(Details& details, const CertificateFault& fault, UnixMillis now, Random& random) {
  const bool missing = fault.kind == CertificateFault::Kind::missing;
  const auto seconds = static_cast<std::uint64_t>(now.seconds());
  switch (fault.field) {
    case Field::serial:
      if (missing) return details.clear_serial();
      return details.set_serial(details.serial() + 1);
    case Field::issuer_serial:
      if (missing) return details.clear_issuer_serial();
      return details.set_issuer_serial(details.issuer_serial() + 1);
    case Field::key:
      if (missing) return details.clear_key();
      return details.set_key(schema::field(crypto::generate_key_pair(random).public_key.bytes));
    case Field::not_before:
      if (missing) return details.clear_not_before();
      return details.set_not_before(seconds + kDay);
    case Field::not_after:
      if (missing) return details.clear_not_after();
      return details.set_not_after(seconds - 1);
    case Field::signature:
    case Field::all: return;
  }
}

}  // namespace

Bytes spoilt_chain(const noise::ChainSpec& spec, const ServerKeys& keys,
                   const CertificateFault& fault, UnixMillis now, Random& random) {
  const Bytes good = noise::issue_chain(spec, keys.root, keys.intermediate, random);
  auto chain = schema::parse<schema::CertChain>(good, "certificate chain");
  WA_ASSERT(chain.has_value());
  const bool leaf = fault.of == CertificateFault::Part::leaf;
  const bool missing = fault.kind == CertificateFault::Kind::missing;
  Certificate& certificate = leaf ? *chain->mutable_leaf() : *chain->mutable_intermediate();

  switch (fault.field) {
    case Field::all:
      if (!missing) {
        const auto other = random.array<kOtherBytes>();
        certificate.set_details(schema::field(other));
      } else if (leaf) {
        chain->clear_leaf();
      } else {
        chain->clear_intermediate();
      }
      break;
    case Field::signature:
      if (missing) {
        certificate.clear_signature();
      } else {
        char& byte = certificate.mutable_signature()->front();
        byte = static_cast<char>(byte ^ 1);
      }
      break;
    default: {
      auto details = schema::parse<Details>(as_bytes(certificate.details()), "certificate");
      WA_ASSERT(details.has_value());
      spoil(*details, fault, now, random);
      certificate.set_details(details->SerializeAsString());
      const crypto::KeyPair& issuer = leaf ? keys.intermediate : keys.root;
      const auto signature = crypto::sign(issuer, as_bytes(certificate.details()), random);
      certificate.set_signature(schema::field(signature));
    }
  }
  return schema::serialize(*chain);
}

}  // namespace wa::mock

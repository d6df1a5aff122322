#include "engine/protocol/noise/certificate.hpp"

#include <string>

#include "engine/base/limits.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::noise {
namespace {

using Certificate = schema::CertChain::NoiseCertificate;
using Details = schema::CertChain::NoiseCertificate::Details;

constexpr std::uint32_t kRootSerial = 0;

void issue(Certificate& certificate, const Details& details, const crypto::KeyPair& issuer,
           Random& random) {
  WA_ASSERT(details.SerializeToString(certificate.mutable_details()));
  const auto signature = crypto::sign(issuer, as_bytes(certificate.details()), random);
  certificate.set_signature(std::string(as_text(signature)));
}

Error refuse(Errc code, std::string_view certificate, std::string_view why) {
  return Error{code, std::string(certificate) + " certificate: " + std::string(why)};
}

/// A certificate whose fields are all there and have their lengths. Nothing is verified yet.
struct Checked {
  Details details;
  crypto::PublicKey key;
};

Result<Checked> check_fields(const Certificate& certificate, std::string_view name) {
  if (!certificate.has_details()) return refuse(Errc::malformed, name, "no details");
  if (!certificate.has_signature()) return refuse(Errc::malformed, name, "no signature");
  if (certificate.signature().size() != sizeof(crypto::Signature)) {
    return refuse(
        Errc::malformed, name,
        "the signature has " + std::to_string(certificate.signature().size()) + " bytes, not 64");
  }
  Checked checked;
  const auto& details = checked.details;
  if (!checked.details.ParseFromString(certificate.details())) {
    return refuse(Errc::malformed, name, "the details are not a protobuf");
  }
  if (!details.has_serial()) return refuse(Errc::malformed, name, "no serial");
  if (!details.has_issuer_serial()) return refuse(Errc::malformed, name, "no issuerSerial");
  if (!details.has_not_before()) return refuse(Errc::malformed, name, "no notBefore");
  if (!details.has_not_after()) return refuse(Errc::malformed, name, "no notAfter");
  WA_TRY(checked.key,
         crypto::PublicKey::from(as_bytes(details.key()), std::string(name) + " certificate: key"));
  return checked;
}

/// Both ends of the window belong to it, to the millisecond.
Result<void> check_window(const Details& details, std::string_view name, UnixMillis now) {
  const bool negative = now.value < 0;
  const auto seconds = negative ? 0 : static_cast<std::uint64_t>(now.value) / 1000;
  const bool past_second = negative ? false : now.value % 1000 != 0;
  if (negative || seconds < details.not_before()) {
    return refuse(Errc::auth_failed, name,
                  "notBefore " + std::to_string(details.not_before()) + " is in the future");
  }
  if (seconds > details.not_after() || (seconds == details.not_after() && past_second)) {
    return refuse(Errc::auth_failed, name,
                  "notAfter " + std::to_string(details.not_after()) + " has passed");
  }
  return {};
}

Result<void> check_issuer(const Details& details, std::string_view name, std::uint32_t issuer) {
  if (details.issuer_serial() == issuer) return {};
  return refuse(Errc::auth_failed, name,
                "issuerSerial is " + std::to_string(details.issuer_serial()) + ", the issuer's " +
                    "serial " + std::to_string(issuer));
}

}  // namespace

Bytes issue_chain(const ChainSpec& spec, const crypto::KeyPair& root,
                  const crypto::KeyPair& intermediate, Random& random) {
  WA_ASSERT(spec.not_before >= 0 && spec.not_after >= spec.not_before);
  Details details;
  details.set_not_before(static_cast<std::uint64_t>(spec.not_before));
  details.set_not_after(static_cast<std::uint64_t>(spec.not_after));

  schema::CertChain chain;
  details.set_serial(spec.intermediate_serial);
  // Set, although 0 is the default: one client refuses a chain in which the field is absent.
  details.set_issuer_serial(kRootSerial);
  details.set_key(std::string(as_text(intermediate.public_key)));
  issue(*chain.mutable_intermediate(), details, root, random);

  details.set_serial(spec.leaf_serial);
  details.set_issuer_serial(spec.intermediate_serial);
  details.set_key(std::string(as_text(spec.server_static)));
  issue(*chain.mutable_leaf(), details, intermediate, random);

  return to_bytes(chain.SerializeAsString());
}

Result<void> verify_chain(ByteSpan chain, const crypto::PublicKey& root,
                          const crypto::PublicKey& server_static, UnixMillis now) {
  schema::CertChain parsed;
  if (chain.size() > limits::kMaxFrameBytes ||
      !parsed.ParseFromArray(chain.data(), static_cast<int>(chain.size()))) {
    return Error{Errc::malformed, "certificate chain: not a CertChain"};
  }
  if (!parsed.has_intermediate()) return refuse(Errc::malformed, "intermediate", "missing");
  if (!parsed.has_leaf()) return refuse(Errc::malformed, "leaf", "missing");
  WA_TRY(const auto intermediate, check_fields(parsed.intermediate(), "intermediate"));
  WA_TRY(const auto leaf, check_fields(parsed.leaf(), "leaf"));

  WA_TRY_VOID(check_issuer(intermediate.details, "intermediate", kRootSerial));
  WA_TRY_VOID(crypto::verify(root, as_bytes(parsed.intermediate().details()),
                             as_bytes(parsed.intermediate().signature()),
                             "intermediate certificate"));
  WA_TRY_VOID(check_issuer(leaf.details, "leaf", intermediate.details.serial()));
  WA_TRY_VOID(crypto::verify(intermediate.key, as_bytes(parsed.leaf().details()),
                             as_bytes(parsed.leaf().signature()), "leaf certificate"));
  if (leaf.key != server_static) {
    return refuse(Errc::auth_failed, "leaf", "key is not the server's static key");
  }
  WA_TRY_VOID(check_window(intermediate.details, "intermediate", now));
  WA_TRY_VOID(check_window(leaf.details, "leaf", now));
  return {};
}

}  // namespace wa::noise

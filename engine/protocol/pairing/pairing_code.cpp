#include "engine/protocol/pairing/pairing_code.hpp"

#include <algorithm>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"

namespace wa::pairing {
namespace {

/// Without 0, I, O and U, which people confuse.
constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTVWXYZ";
constexpr std::uint32_t kRounds = 131'072;
constexpr std::string_view kBundleInfo = "link_code_pairing_key_bundle_encryption_key";
constexpr std::string_view kAdvInfo = "adv_secret";

constexpr std::size_t kBundleSaltBytes = 32;
constexpr std::size_t kBundleIvBytes = 12;
constexpr std::size_t kBundlePlainBytes = 96;
constexpr std::size_t kBundleBytes =
    kBundleSaltBytes + kBundleIvBytes + kBundlePlainBytes + crypto::AesGcm::kTagBytes;

constexpr std::size_t kFewestDigits = 5;
constexpr std::size_t kMostDigits = 15;  // ITU-T E.164

crypto::AesGcm bundle_cipher(const crypto::SharedSecret& ephemeral_shared, ByteSpan salt) {
  return crypto::AesGcm(crypto::hkdf_sha256<32>(ephemeral_shared, salt, as_bytes(kBundleInfo)));
}

AdvSecret adv_secret(const crypto::SharedSecret& ephemeral_shared,
                     const crypto::SharedSecret& identity_shared, ByteSpan random_bytes) {
  const Bytes material = concat(ephemeral_shared, identity_shared, random_bytes);
  return crypto::hkdf_sha256<32>(material, {}, as_bytes(kAdvInfo));
}

}  // namespace

std::string pairing_code(const ByteArray<5>& raw) {
  const std::uint64_t bits = read_big_endian(raw);
  std::string code;
  for (std::size_t i = 0; i < kPairingCodeChars; ++i) {
    code += kAlphabet[(bits >> (5 * (kPairingCodeChars - 1 - i))) & 31];
  }
  return code;
}

std::string print_pairing_code(std::string_view code) {
  WA_ASSERT(code.size() == kPairingCodeChars);
  return std::string(code.substr(0, 4)) + "-" + std::string(code.substr(4));
}

Result<std::string> parse_pairing_code(std::string_view typed) {
  // What was typed is never repeated: it may be nearly right.
  const Error wrong{Errc::usage, "a pairing code is 8 characters of " + std::string(kAlphabet) +
                                     ", such as ABCD-1234"};
  std::string code;
  for (const char c : typed) {
    if (c == '-' || c == ' ') continue;
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (kAlphabet.find(upper) == std::string_view::npos) return wrong;
    if (code.size() == kPairingCodeChars) return wrong;
    code += upper;
  }
  if (code.size() != kPairingCodeChars) return wrong;
  return code;
}

Result<std::string> parse_phone_number(std::string_view written) {
  constexpr std::string_view kDecoration = " -.()/+";
  std::string digits;
  bool readable = written.find('+', 1) == std::string_view::npos;  // one at the front is usual
  for (const char c : written) {
    if (c >= '0' && c <= '9') {
      if (digits.size() <= kMostDigits) digits += c;
    } else if (kDecoration.find(c) == std::string_view::npos) {
      readable = false;
    }
  }
  const bool fits = digits.size() >= kFewestDigits && digits.size() <= kMostDigits;
  if (!readable || !fits || digits.front() == '0') {
    return Error{Errc::usage, "\"" + std::string(written.substr(0, 40)) +
                                  "\" is not a phone number: 5 to 15 digits that begin with the "
                                  "country code, such as 15550100001"};
  }
  return digits;
}

LinkKey derive_link_key(std::string_view code, const CodeSalt& salt) {
  return crypto::pbkdf2_sha256(as_bytes(code), salt, kRounds);
}

// ---- ephemeral keys ---------------------------------------------------------------------------

Bytes WrappedEphemeral::encode() const {
  return concat(salt, iv, sealed);
}

Result<WrappedEphemeral> WrappedEphemeral::parse(ByteSpan bytes) {
  WA_TRY(const auto all, fixed<kBytes>(bytes, "wrapped ephemeral key"));
  WrappedEphemeral wrapped;
  const ByteSpan rest(all);
  std::ranges::copy(rest.first(wrapped.salt.size()), wrapped.salt.begin());
  std::ranges::copy(rest.subspan(wrapped.salt.size(), wrapped.iv.size()), wrapped.iv.begin());
  std::ranges::copy(rest.last(wrapped.sealed.size()), wrapped.sealed.begin());
  return wrapped;
}

WrappedEphemeral wrap_ephemeral(const crypto::PublicKey& ephemeral, const LinkKey& link_key,
                                const CodeSalt& salt, Random& random) {
  WrappedEphemeral wrapped;
  wrapped.salt = salt;
  wrapped.iv = random.array<16>();
  const Bytes sealed = crypto::aes_ctr(link_key, wrapped.iv, ephemeral);
  std::ranges::copy(sealed, wrapped.sealed.begin());
  return wrapped;
}

crypto::PublicKey unwrap_ephemeral(const WrappedEphemeral& wrapped, const LinkKey& link_key) {
  crypto::PublicKey key;
  std::ranges::copy(crypto::aes_ctr(link_key, wrapped.iv, wrapped.sealed), key.bytes.begin());
  return key;
}

// ---- the bundle -------------------------------------------------------------------------------

Result<FinishedLink> finish_link(const crypto::KeyPair& companion_ephemeral,
                                 const crypto::KeyPair& companion_identity,
                                 const crypto::PublicKey& primary_ephemeral,
                                 const crypto::PublicKey& primary_identity, Random& random) {
  WA_TRY(const auto ephemeral_shared,
         crypto::agree(companion_ephemeral.private_key, primary_ephemeral));
  WA_TRY(const auto identity_shared,
         crypto::agree(companion_identity.private_key, primary_identity));
  const auto salt = random.array<kBundleSaltBytes>();
  const auto iv = random.array<kBundleIvBytes>();
  const auto random_bytes = random.array<32>();

  FinishedLink link;
  link.wrapped_bundle = concat(salt, iv);
  bundle_cipher(ephemeral_shared, salt)
      .seal(iv, {}, concat(companion_identity.public_key, primary_identity, random_bytes),
            link.wrapped_bundle);
  link.adv_secret = adv_secret(ephemeral_shared, identity_shared, random_bytes);
  return link;
}

Result<AdvSecret> accept_link(const crypto::KeyPair& primary_ephemeral,
                              const crypto::KeyPair& primary_identity,
                              const crypto::PublicKey& companion_ephemeral,
                              const crypto::PublicKey& companion_identity,
                              ByteSpan wrapped_bundle) {
  WA_TRY(const auto bundle, fixed<kBundleBytes>(wrapped_bundle, "wrapped key bundle"));
  WA_TRY(const auto ephemeral_shared,
         crypto::agree(primary_ephemeral.private_key, companion_ephemeral));
  WA_TRY(const auto identity_shared,
         crypto::agree(primary_identity.private_key, companion_identity));
  const ByteSpan rest(bundle);
  WA_TRY(const auto iv,
         fixed<kBundleIvBytes>(rest.subspan(kBundleSaltBytes, kBundleIvBytes), "bundle IV"));
  Bytes plain;
  WA_TRY_VOID(bundle_cipher(ephemeral_shared, rest.first(kBundleSaltBytes))
                  .open(iv, {}, rest.subspan(kBundleSaltBytes + kBundleIvBytes), plain));

  const ByteSpan opened(plain);
  if (!equal(opened.first(32), companion_identity) ||
      !equal(opened.subspan(32, 32), primary_identity.public_key)) {
    return Error{Errc::auth_failed, "key bundle: it names other identity keys"};
  }
  return adv_secret(ephemeral_shared, identity_shared, opened.last(32));
}

std::string companion_display(std::string_view os) {
  constexpr std::string_view kUsual[] = {"Windows", "Mac OS", "Ubuntu", "Linux"};
  const bool usual = std::ranges::find(kUsual, os) != std::end(kUsual);
  return "Chrome (" + std::string(usual ? os : "Linux") + ")";
}

}  // namespace wa::pairing

#pragma once

#include <array>
#include <optional>
#include <variant>

#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/wire/jid.hpp"

/// The protobuf inside ClientFinish, both directions.
/// Source: docs/protocol/transport.md, "ClientPayload" (vectors:
/// tests/vectors/client-payload.json).
namespace wa::pairing {

using AppVersion = std::array<std::uint32_t, 3>;  ///< 2, 3000, revision
std::string to_string(const AppVersion& version);
/// "2.3000.1043857760". Errors: `usage`.
Result<AppVersion> parse_app_version(std::string_view text);

struct SignedPreKey {
  std::uint32_t id = 0;
  crypto::KeyPair key;
  crypto::Signature signature{};  ///< by the identity key over 05 ‖ public key
  bool operator==(const SignedPreKey&) const = default;
};

/// What a client says that has no JID yet.
struct Registration {
  AppVersion version{};
  std::uint32_t registration_id = 0;
  crypto::PublicKey identity;
  std::uint32_t signed_pre_key_id = 0;
  crypto::PublicKey signed_pre_key;
  crypto::Signature signed_pre_key_signature{};
  std::string os;                   ///< DeviceProps.os, e.g. "Ubuntu"
  std::uint32_t platform_type = 0;  ///< DeviceProps.PlatformType, 1 = Chrome
  bool require_full_sync = false;
};

/// What a client says that was paired before.
struct Login {
  AppVersion version{};
  std::uint64_t username = 0;
  std::uint32_t device = 0;
  bool passive = false;
};

/// As a current web client (Chrome) sends it.
Bytes encode_registration(const Registration& registration);
Bytes encode_login(const Login& login);

/// Errors: `malformed`, naming the field; `auth_failed` when the signed pre-key's signature is
/// wrong.
Result<std::variant<Registration, Login>> parse_client_payload(ByteSpan payload);

}  // namespace wa::pairing

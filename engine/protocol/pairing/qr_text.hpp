#pragma once

#include "engine/protocol/crypto/keys.hpp"

namespace wa::pairing {

/// What a companion's QR says: the server's ref and the companion's public keys and secret.
/// Source: docs/protocol/pairing.md, "QR text".
struct QrPayload {
  std::string ref;
  crypto::PublicKey noise_key;
  crypto::PublicKey identity_key;
  ByteArray<32> adv_secret{};
  std::string client_type;  ///< "1" Chrome …; empty in four-field codes
  bool operator==(const QrPayload&) const = default;
};

inline constexpr std::string_view kQrLinkPrefix = "https://wa.me/settings/linked_devices#";

/// The five-field text with the link prefix, as current web clients draw it.
std::string format_qr_text(const QrPayload& payload);

/// Reads four fields or more, with or without the prefix.
/// Errors: `malformed`: not one of ours; the detail names the field.
Result<QrPayload> parse_qr_text(std::string_view text);

}  // namespace wa::pairing

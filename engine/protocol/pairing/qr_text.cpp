#include "engine/protocol/pairing/qr_text.hpp"

#include <array>

namespace wa::pairing {
namespace {

Result<ByteArray<32>> key_field(std::string_view text, std::string_view what) {
  auto bytes = from_base64(text);
  if (!bytes) {
    return Error{Errc::malformed, "QR text: " + std::string(what) + ": " + bytes.error().detail};
  }
  return fixed<32>(*bytes, "QR text: " + std::string(what));
}

}  // namespace

std::string format_qr_text(const QrPayload& payload) {
  std::string text(kQrLinkPrefix);
  text += payload.ref;
  for (ByteSpan field : {ByteSpan(payload.noise_key), ByteSpan(payload.identity_key),
                         ByteSpan(payload.adv_secret)}) {
    text += ',';
    text += to_base64(field);
  }
  if (!payload.client_type.empty()) {
    text += ',';
    text += payload.client_type;
  }
  return text;
}

Result<QrPayload> parse_qr_text(std::string_view text) {
  // Any link in front is dropped, as phones do: its host has changed before.
  if (const auto hash = text.find('#'); hash != std::string_view::npos)
    text.remove_prefix(hash + 1);

  std::array<std::string_view, 5> fields;
  std::size_t count = 0;
  while (count < fields.size()) {
    const auto comma = text.find(',');
    fields[count++] = text.substr(0, comma);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (count < 4) {
    return Error{Errc::malformed, "QR text: expected at least 4 comma-separated fields, found " +
                                      std::to_string(count)};
  }
  if (fields[0].empty()) return Error{Errc::malformed, "QR text: ref: empty"};

  QrPayload payload;
  payload.ref = fields[0];
  WA_TRY(payload.noise_key.bytes, key_field(fields[1], "noise key"));
  WA_TRY(payload.identity_key.bytes, key_field(fields[2], "identity key"));
  WA_TRY(payload.adv_secret, key_field(fields[3], "ADV secret"));
  payload.client_type = fields[4];
  return payload;
}

}  // namespace wa::pairing

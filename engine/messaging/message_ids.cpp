#include "engine/messaging/message_ids.hpp"

#include <algorithm>

#include "engine/protocol/crypto/hash.hpp"

namespace wa::messaging {
namespace {

constexpr std::string_view kPrefix = "3EB0";
constexpr std::size_t kPart = 3;

std::string upper_hex(ByteSpan bytes) {
  std::string text = to_hex(bytes);
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

std::uint32_t mask_of(const ByteArray<32>& key, ByteSpan drawn) {
  const auto mask = crypto::hmac_sha256(key, as_bytes("number"), drawn);
  return static_cast<std::uint32_t>(read_big_endian(ByteSpan(mask).first(kPart)));
}

Bytes code_of(const ByteArray<32>& key, ByteSpan drawn_and_number) {
  const auto code = crypto::hmac_sha256(key, as_bytes("code"), drawn_and_number);
  return to_bytes(ByteSpan(code).first(kPart));
}

}  // namespace

MessageIds::MessageIds(const crypto::KeyPair& identity)
    : key_(crypto::hmac_sha256(identity.private_key.bytes, as_bytes("message ids"))) {}

std::string MessageIds::make(std::uint64_t order, Random& random) const {
  const auto drawn = random.array<kPart>();
  Bytes bytes = concat(drawn, big_endian<kPart>(order ^ mask_of(key_, drawn)));
  append(bytes, code_of(key_, bytes));
  return std::string(kPrefix) + upper_hex(bytes);
}

std::optional<std::uint32_t> MessageIds::number_of(std::string_view id) const {
  if (!id.starts_with(kPrefix) || id.size() != kPrefix.size() + 2 * 3 * kPart) return std::nullopt;
  const auto bytes = from_hex(id.substr(kPrefix.size()));
  if (!bytes) return std::nullopt;
  const ByteSpan all = *bytes;
  if (!equal(all.last(kPart), code_of(key_, all.first(2 * kPart)))) return std::nullopt;
  const auto number = static_cast<std::uint32_t>(read_big_endian(all.subspan(kPart, kPart)));
  return number ^ mask_of(key_, all.first(kPart));
}

bool MessageIds::is_later(std::string_view id, std::uint64_t last) const {
  const auto number = number_of(id);
  if (!number) return false;
  const std::uint32_t ahead = (*number - static_cast<std::uint32_t>(last)) % kNumbers;
  return ahead != 0 && ahead < kNumbers / 2;
}

}  // namespace wa::messaging

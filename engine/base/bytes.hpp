#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.hpp"

namespace wa {

using Bytes = std::vector<std::byte>;
using ByteSpan = std::span<const std::byte>;
template <std::size_t N>
using ByteArray = std::array<std::byte, N>;

/// Views of the same memory: text as bytes, bytes as text.
inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(ByteSpan bytes) {
  return {bytes.begin(), bytes.end()};
}
inline Bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}

inline void append(Bytes& to, ByteSpan bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline bool equal(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// The parts joined in order.
template <class... Parts>
Bytes concat(const Parts&... parts) {
  Bytes joined;
  joined.reserve((std::size_t{0} + ... + ByteSpan(parts).size()));
  (append(joined, ByteSpan(parts)), ...);
  return joined;
}

/// Exactly N bytes as an array. Errors: `malformed` when the size differs; `what` names the field.
template <std::size_t N>
Result<ByteArray<N>> fixed(ByteSpan bytes, std::string_view what) {
  if (bytes.size() != N) {
    return Error{Errc::malformed, std::string(what) + ": expected " + std::to_string(N) +
                                      " bytes, found " + std::to_string(bytes.size())};
  }
  ByteArray<N> array;
  std::memcpy(array.data(), bytes.data(), N);
  return array;
}

/// The low N bytes of a number, big-endian. N is 1 to 8.
template <std::size_t N>
ByteArray<N> big_endian(std::uint64_t number) {
  ByteArray<N> out;
  for (std::size_t i = 0; i < N; ++i) {
    out[N - 1 - i] = static_cast<std::byte>(number >> (8 * i));
  }
  return out;
}

/// Up to 8 bytes, big-endian, as a number.
std::uint64_t read_big_endian(ByteSpan bytes);

/// Whether this is a name as devices, engines and tenants have: 1 to 64 letters, digits, `-` and
/// `_`.
bool is_name(std::string_view text);

/// Lower-case hexadecimal.
std::string to_hex(ByteSpan bytes);

/// Either case. Errors: `malformed` on an odd length or another character.
Result<Bytes> from_hex(std::string_view hex);

/// RFC 4648 §4, padded, no line breaks.
std::string to_base64(ByteSpan bytes);

/// Strict: padded, canonical, no white space. Errors: `malformed`.
Result<Bytes> from_base64(std::string_view text);

}  // namespace wa

#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/base/bytes.hpp"

/// Arithmetic modulo p = 2^255 - 19, as far as conversions between the Montgomery and the Edwards
/// form of Curve25519 need it. Constant time. Internal to the crypto module.
namespace wa::crypto {

/// A number modulo p in five limbs of 51 bits. Limbs may exceed 51 bits by a few between
/// operations; `to_bytes` reduces fully.
struct Field25519 {
  std::array<std::uint64_t, 5> limbs{};

  static constexpr Field25519 one() { return {{1, 0, 0, 0, 0}}; }

  /// 32 bytes, little-endian. The top bit is ignored, a value of p or more is reduced.
  static Field25519 from_bytes(const ByteArray<32>& bytes);
  /// The canonical 32 bytes, little-endian; the top bit is 0.
  ByteArray<32> to_bytes() const;
};

/// Arguments of `add` and `subtract` are results of `multiply` or `from_bytes`, or `one()`.
Field25519 add(const Field25519& a, const Field25519& b);
Field25519 subtract(const Field25519& a, const Field25519& b);
Field25519 multiply(const Field25519& a, const Field25519& b);

/// a^(p-2): the inverse, and 0 for 0.
Field25519 invert(const Field25519& a);

/// Replaces every element by its inverse, for one inversion and three multiplications each. None
/// may be 0. `scratch` has the same size.
void invert_all(std::span<Field25519> elements, std::span<Field25519> scratch);

}  // namespace wa::crypto

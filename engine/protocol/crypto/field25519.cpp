#include "engine/protocol/crypto/field25519.hpp"

namespace wa::crypto {
namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t kMask = (std::uint64_t{1} << 51) - 1;

std::uint64_t load_64(const std::byte* from) {
  std::uint64_t word = 0;
  for (unsigned i = 0; i < 8; ++i)
    word |= std::uint64_t(std::to_integer<unsigned>(from[i])) << (8 * i);
  return word;
}

void store_64(std::uint64_t word, std::byte* to) {
  for (unsigned i = 0; i < 8; ++i) to[i] = static_cast<std::byte>(word >> (8 * i));
}

/// One pass of carries; 2^255 comes back as 19.
void carry(std::array<std::uint64_t, 5>& limbs) {
  for (std::size_t i = 0; i < 4; ++i) {
    limbs[i + 1] += limbs[i] >> 51;
    limbs[i] &= kMask;
  }
  limbs[0] += 19 * (limbs[4] >> 51);
  limbs[4] &= kMask;
}

Field25519 reduce(Wide r0, Wide r1, Wide r2, Wide r3, Wide r4) {
  r1 += static_cast<std::uint64_t>(r0 >> 51);
  r2 += static_cast<std::uint64_t>(r1 >> 51);
  r3 += static_cast<std::uint64_t>(r2 >> 51);
  r4 += static_cast<std::uint64_t>(r3 >> 51);
  Field25519 out{{static_cast<std::uint64_t>(r0) & kMask, static_cast<std::uint64_t>(r1) & kMask,
                  static_cast<std::uint64_t>(r2) & kMask, static_cast<std::uint64_t>(r3) & kMask,
                  static_cast<std::uint64_t>(r4) & kMask}};
  out.limbs[0] += 19 * static_cast<std::uint64_t>(r4 >> 51);
  out.limbs[1] += out.limbs[0] >> 51;
  out.limbs[0] &= kMask;
  return out;
}

Field25519 square(const Field25519& a) {
  const auto [a0, a1, a2, a3, a4] = a.limbs;
  const std::uint64_t d0 = 2 * a0;
  const std::uint64_t d1 = 2 * a1;
  const std::uint64_t a3_19 = 19 * a3;
  const std::uint64_t a4_19 = 19 * a4;
  return reduce(Wide(a0) * a0 + Wide(d1) * a4_19 + Wide(2 * a2) * a3_19,
                Wide(d0) * a1 + Wide(2 * a2) * a4_19 + Wide(a3) * a3_19,
                Wide(d0) * a2 + Wide(a1) * a1 + Wide(2 * a3) * a4_19,
                Wide(d0) * a3 + Wide(d1) * a2 + Wide(a4) * a4_19,
                Wide(d0) * a4 + Wide(d1) * a3 + Wide(a2) * a2);
}

Field25519 square_times(Field25519 a, int times) {
  for (int i = 0; i < times; ++i) a = square(a);
  return a;
}

}  // namespace

Field25519 Field25519::from_bytes(const ByteArray<32>& bytes) {
  const std::uint64_t w0 = load_64(bytes.data());
  const std::uint64_t w1 = load_64(bytes.data() + 8);
  const std::uint64_t w2 = load_64(bytes.data() + 16);
  const std::uint64_t w3 = load_64(bytes.data() + 24);
  return {{w0 & kMask, (w0 >> 51 | w1 << 13) & kMask, (w1 >> 38 | w2 << 26) & kMask,
           (w2 >> 25 | w3 << 39) & kMask, (w3 >> 12) & kMask}};
}

ByteArray<32> Field25519::to_bytes() const {
  auto t = limbs;
  carry(t);
  carry(t);
  // Now t < 2^255 + 19·2^13: t + 19 reaches 2^255 exactly when t ≥ p, and then p is to be taken
  // off.
  std::uint64_t excess = (t[0] + 19) >> 51;
  for (std::size_t i = 1; i < 5; ++i) excess = (t[i] + excess) >> 51;
  t[0] += 19 * excess;
  for (std::size_t i = 0; i < 4; ++i) {
    t[i + 1] += t[i] >> 51;
    t[i] &= kMask;
  }
  t[4] &= kMask;

  ByteArray<32> bytes;
  store_64(t[0] | t[1] << 51, bytes.data());
  store_64(t[1] >> 13 | t[2] << 38, bytes.data() + 8);
  store_64(t[2] >> 26 | t[3] << 25, bytes.data() + 16);
  store_64(t[3] >> 39 | t[4] << 12, bytes.data() + 24);
  return bytes;
}

Field25519 add(const Field25519& a, const Field25519& b) {
  Field25519 sum;
  for (std::size_t i = 0; i < 5; ++i) sum.limbs[i] = a.limbs[i] + b.limbs[i];
  return sum;
}

Field25519 subtract(const Field25519& a, const Field25519& b) {
  // 2p is added first, so that no limb goes below zero.
  constexpr std::uint64_t kLowest = (std::uint64_t{1} << 52) - 38;
  constexpr std::uint64_t kOthers = (std::uint64_t{1} << 52) - 2;
  Field25519 difference;
  for (std::size_t i = 0; i < 5; ++i) {
    difference.limbs[i] = a.limbs[i] + (i == 0 ? kLowest : kOthers) - b.limbs[i];
  }
  return difference;
}

Field25519 multiply(const Field25519& a, const Field25519& b) {
  const auto [a0, a1, a2, a3, a4] = a.limbs;
  const auto [b0, b1, b2, b3, b4] = b.limbs;
  const std::uint64_t b1_19 = 19 * b1;
  const std::uint64_t b2_19 = 19 * b2;
  const std::uint64_t b3_19 = 19 * b3;
  const std::uint64_t b4_19 = 19 * b4;
  return reduce(
      Wide(a0) * b0 + Wide(a1) * b4_19 + Wide(a2) * b3_19 + Wide(a3) * b2_19 + Wide(a4) * b1_19,
      Wide(a0) * b1 + Wide(a1) * b0 + Wide(a2) * b4_19 + Wide(a3) * b3_19 + Wide(a4) * b2_19,
      Wide(a0) * b2 + Wide(a1) * b1 + Wide(a2) * b0 + Wide(a3) * b4_19 + Wide(a4) * b3_19,
      Wide(a0) * b3 + Wide(a1) * b2 + Wide(a2) * b1 + Wide(a3) * b0 + Wide(a4) * b4_19,
      Wide(a0) * b4 + Wide(a1) * b3 + Wide(a2) * b2 + Wide(a3) * b1 + Wide(a4) * b0);
}

Field25519 invert(const Field25519& a) {
  // The exponent p - 2 = 2^255 - 21 is 250 ones followed by 01011. ones_n is a^(2^n - 1).
  const Field25519 a_2 = square(a);
  const Field25519 a_9 = multiply(square_times(a_2, 2), a);
  const Field25519 a_11 = multiply(a_9, a_2);
  const Field25519 ones_5 = multiply(square(a_11), a_9);
  const Field25519 ones_10 = multiply(square_times(ones_5, 5), ones_5);
  const Field25519 ones_20 = multiply(square_times(ones_10, 10), ones_10);
  const Field25519 ones_40 = multiply(square_times(ones_20, 20), ones_20);
  const Field25519 ones_50 = multiply(square_times(ones_40, 10), ones_10);
  const Field25519 ones_100 = multiply(square_times(ones_50, 50), ones_50);
  const Field25519 ones_200 = multiply(square_times(ones_100, 100), ones_100);
  const Field25519 ones_250 = multiply(square_times(ones_200, 50), ones_50);
  return multiply(square_times(ones_250, 5), a_11);
}

void invert_all(std::span<Field25519> elements, std::span<Field25519> scratch) {
  WA_ASSERT(scratch.size() == elements.size());
  // scratch[i] is the product of the elements before i; then the inverse of the whole product is
  // taken apart from the back.
  Field25519 product = Field25519::one();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    scratch[i] = product;
    product = multiply(product, elements[i]);
  }
  Field25519 inverse = invert(product);
  for (std::size_t i = elements.size(); i-- > 0;) {
    const Field25519 rest = multiply(inverse, elements[i]);
    elements[i] = multiply(inverse, scratch[i]);
    inverse = rest;
  }
}

}  // namespace wa::crypto

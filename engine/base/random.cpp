#include "engine/base/random.hpp"

#include <bit>

namespace wa {
namespace {

std::uint64_t split_mix(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

std::uint64_t mix_text(std::uint64_t hash, std::string_view text) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  }
  return split_mix(hash);
}

}  // namespace

std::uint64_t Random::next_u64() {
  const auto bytes = array<8>();
  return read_big_endian(bytes);
}

std::uint64_t Random::below(std::uint64_t bound) {
  WA_ASSERT(bound > 0);
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % bound;
  for (;;) {
    const std::uint64_t number = next_u64();
    if (number < limit) return number % bound;
  }
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  for (auto& word : state_) word = split_mix(seed);
}

SeededRandom::SeededRandom(std::uint64_t seed, std::string_view component,
                           std::string_view instance)
    : SeededRandom(mix_text(mix_text(seed, component), instance)) {}

std::uint64_t SeededRandom::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SeededRandom::fill(std::span<std::byte> out) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) word = next();
    out[i] = static_cast<std::byte>(word >> (8 * (i % 8)));
  }
}

}  // namespace wa

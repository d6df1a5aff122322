#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/bytes.hpp"

namespace wa {

/// Where random bytes come from. Everything that draws takes one of these; nothing draws by itself.
/// Never two draws in one expression: the order of evaluation differs between compilers.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> out) = 0;

  template <std::size_t N>
  ByteArray<N> array() {
    ByteArray<N> out;
    fill(out);
    return out;
  }
  std::uint64_t next_u64();
  /// Uniform in [0, bound), without modulo bias; bound > 0. The same on every platform.
  std::uint64_t below(std::uint64_t bound);
};

/// A reproducible stream (xoshiro256**) for simulations, tests and jitter; not for keys on real
/// sockets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);

  /// The sub-stream of a named component: depends on seed, name and instance only, never on the
  /// order in which streams are made.
  SeededRandom(std::uint64_t seed, std::string_view component, std::string_view instance = {});

  void fill(std::span<std::byte> out) override;

 private:
  std::uint64_t next();
  std::array<std::uint64_t, 4> state_;
};

}  // namespace wa

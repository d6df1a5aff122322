#pragma once

#include "engine/base/random.hpp"

namespace wa::crypto {

/// The operating system's random bytes (libsodium). For real sockets; programs make one and pass
/// it.
class SystemRandom final : public Random {
 public:
  SystemRandom();
  void fill(std::span<std::byte> out) override;
};

}  // namespace wa::crypto

#include "engine/protocol/crypto/system_random.hpp"

#include <sodium.h>

namespace wa::crypto {

SystemRandom::SystemRandom() {
  WA_ASSERT(sodium_init() >= 0);
}

void SystemRandom::fill(std::span<std::byte> out) {
  randombytes_buf(out.data(), out.size());
}

}  // namespace wa::crypto

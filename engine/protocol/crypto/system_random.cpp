#include "engine/protocol/crypto/system_random.hpp"

#include <sodium.h>

namespace wa::crypto {

SystemRandom::SystemRandom() {
  WA_ASSERT(sodium_init() >= 0);
}

void SystemRandom::fill(std::span<std::byte> out) {
  if (!out.empty()) randombytes_buf(out.data(), out.size());  // it takes no null pointer
}

}  // namespace wa::crypto

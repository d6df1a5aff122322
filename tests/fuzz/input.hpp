#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.hpp"

/// What every fuzz target begins with.
namespace wa::fuzz {

/// The fuzzer's bytes, taken from the front. Never runs out: numbers are then 0, chunks empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t number() {
    if (rest_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  /// A length of two bytes, then that many, or as many as there are.
  ByteSpan chunk() {
    const std::size_t length = std::size_t{number()} << 8 | number();
    const ByteSpan taken = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteSpan rest() {
    const ByteSpan taken = rest_;
    rest_ = {};
    return taken;
  }

 private:
  ByteSpan rest_;
};

}  // namespace wa::fuzz

/// libFuzzer calls this; it has no prototype of its own.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#include "engine/protocol/signal/padding.hpp"

#include <algorithm>

namespace wa::signal {

Bytes pad(ByteSpan plaintext, Random& random) {
  const auto drawn = random.array<1>();
  const std::size_t count = (std::to_integer<std::size_t>(drawn[0]) & 15) + 1;
  Bytes padded;
  padded.reserve(plaintext.size() + count);
  append(padded, plaintext);
  padded.resize(plaintext.size() + count, static_cast<std::byte>(count));
  return padded;
}

Outcome<ByteSpan> unpad(ByteSpan padded) {
  if (padded.empty()) return Refusal{Failure::bad_padding, "the plaintext is empty"};
  const auto count = std::to_integer<std::size_t>(padded.back());
  if (count == 0 || count > padded.size()) {
    return Refusal{Failure::bad_padding, "the plaintext has " + std::to_string(padded.size()) +
                                             " bytes, its padding says " + std::to_string(count)};
  }
  const ByteSpan padding = padded.last(count);
  if (std::count(padding.begin(), padding.end(), padded.back()) !=
      static_cast<std::ptrdiff_t>(count)) {
    return Refusal{Failure::bad_padding, "the padding's bytes differ"};
  }
  return padded.first(padded.size() - count);
}

}  // namespace wa::signal

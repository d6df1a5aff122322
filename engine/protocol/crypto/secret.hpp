#pragma once

#include <utility>

#include "engine/base/bytes.hpp"

namespace wa::crypto {

/// Zeroes memory in a way that no compiler leaves out.
inline void wipe(std::span<std::byte> bytes) {
  if (bytes.empty()) return;
  std::memset(bytes.data(), 0, bytes.size());
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

/// N secret bytes (a chain key, a message key). Wiped when the object dies, when it is moved from
/// and before it takes another value, so that a vector of them leaves nothing behind when it grows.
template <std::size_t N>
class Secret {
 public:
  Secret() = default;
  explicit Secret(const ByteArray<N>& bytes) : bytes_(bytes) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.clear(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.clear();
    }
    return *this;
  }
  ~Secret() { clear(); }

  /// The wanted part of longer secret bytes, e.g. of what HKDF gave.
  template <std::size_t Offset, std::size_t M>
  static Secret part(const Secret<M>& whole) {
    static_assert(Offset + N <= M);
    Secret out;
    std::memcpy(out.bytes_.data(), whole.bytes().data() + Offset, N);
    return out;
  }

  /// Errors: `malformed` when the size differs; `what` names the field.
  static Result<Secret> from(ByteSpan bytes, std::string_view what) {
    WA_TRY(const auto array, fixed<N>(bytes, what));
    return Secret(array);
  }

  const ByteArray<N>& bytes() const { return bytes_; }
  ByteArray<N>& bytes() { return bytes_; }
  operator ByteSpan() const { return bytes_; }

  void clear() { wipe(bytes_); }

  /// For tests and comparisons of our own records; not in constant time.
  bool operator==(const Secret&) const = default;

 private:
  ByteArray<N> bytes_{};
};

}  // namespace wa::crypto

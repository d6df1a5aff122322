#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/now.hpp"

namespace wa::messaging {

/// Bounds how often something is done: `burst` times at once, later once per `every`.
class TokenBucket {
 public:
  TokenBucket(std::uint32_t burst, Duration every) : burst_(burst), every_(every) {}

  /// When the next token is there: not after `now` if one is there already.
  Instant ready_at() const { return empty_until_ - every_ * (burst_ - 1); }
  bool full(Instant now) const { return empty_until_ <= now; }
  /// Takes a token, which must be there.
  void take(Instant now) { empty_until_ = std::max(empty_until_, now) + every_; }

 private:
  std::uint32_t burst_;
  Duration every_;
  Instant empty_until_{};  ///< all tokens are back then
};

}  // namespace wa::messaging

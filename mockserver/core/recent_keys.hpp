#pragma once

#include <cstddef>
#include <deque>
#include <unordered_set>

#include "engine/base/bytes.hpp"

namespace wa::mock {

/// Notices a key that comes a second time. Remembers the newest; of each only as much as tells
/// random keys apart.
class RecentKeys {
 public:
  static constexpr std::size_t kMost = 65'536;

  /// False: it came before.
  bool add(ByteSpan key) {
    const std::uint64_t beginning = read_big_endian(key.first(8));
    if (!known_.insert(beginning).second) return false;
    order_.push_back(beginning);
    if (order_.size() > kMost) {
      known_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  std::unordered_set<std::uint64_t> known_;
  std::deque<std::uint64_t> order_;
};

}  // namespace wa::mock

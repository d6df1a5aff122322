#pragma once

#include <optional>
#include <vector>

#include "engine/protocol/signal/ratchet.hpp"

namespace google::protobuf {
template <class Element>
class RepeatedPtrField;
}
namespace wa::schema {
class StoredSession_Skipped;
}

namespace wa::signal {

/// Seeds of messages that a later one overtook, by counter: 2000 at most, the newest ones. Internal
/// to the signal module.
class SkippedSeeds {
 public:
  static constexpr std::size_t kMax = 2000;
  using Record = google::protobuf::RepeatedPtrField<schema::StoredSession_Skipped>;

  /// Null when it is not kept.
  const Key* find(std::uint32_t counter) const;
  void erase(std::uint32_t counter);

  /// Moves `chain` on to `target` and keeps the seeds on the way.
  void keep(Chain& chain, std::uint32_t target);
  /// Drops all but so many; how many are left.
  std::size_t keep_newest(std::size_t most);

  void write(Record& record) const;
  /// Errors: `malformed`: more than kMax, not ascending, or not below `end`.
  static Result<SkippedSeeds> from(const Record& record, std::uint32_t end);

 private:
  struct Seed {
    std::uint32_t counter = 0;
    Key key;
  };
  std::vector<Seed>::const_iterator at(std::uint32_t counter) const;

  std::vector<Seed> seeds_;  ///< ascending
};

}  // namespace wa::signal

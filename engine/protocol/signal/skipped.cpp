#include "engine/protocol/signal/skipped.hpp"

#include <algorithm>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::signal {

std::vector<SkippedSeeds::Seed>::const_iterator SkippedSeeds::at(std::uint32_t counter) const {
  const auto found = std::lower_bound(
      seeds_.begin(), seeds_.end(), counter,
      [](const Seed& seed, std::uint32_t wanted) { return seed.counter < wanted; });
  return found != seeds_.end() && found->counter == counter ? found : seeds_.end();
}

const Key* SkippedSeeds::find(std::uint32_t counter) const {
  const auto found = at(counter);
  return found == seeds_.end() ? nullptr : &found->key;
}

void SkippedSeeds::erase(std::uint32_t counter) {
  if (const auto found = at(counter); found != seeds_.end()) seeds_.erase(found);
}

void SkippedSeeds::keep(Chain& chain, std::uint32_t target) {
  if (target <= chain.index) return;
  const std::size_t coming = target - chain.index;
  if (coming >= kMax) {
    seeds_.clear();
    chain.advance(target - static_cast<std::uint32_t>(kMax));
  } else if (seeds_.size() + coming > kMax) {
    seeds_.erase(seeds_.begin(),
                 seeds_.begin() + static_cast<std::ptrdiff_t>(seeds_.size() + coming - kMax));
  }
  while (chain.index < target) {
    const std::uint32_t counter = chain.index;
    seeds_.push_back({counter, chain.next_seed()});
  }
}

std::size_t SkippedSeeds::keep_newest(std::size_t most) {
  if (seeds_.size() > most) {
    seeds_.erase(seeds_.begin(), seeds_.end() - static_cast<std::ptrdiff_t>(most));
  }
  return seeds_.size();
}

void SkippedSeeds::write(Record& record) const {
  for (const Seed& seed : seeds_) {
    auto& one = *record.Add();
    one.set_index(seed.counter);
    one.set_seed(schema::field(seed.key));
  }
}

Result<SkippedSeeds> SkippedSeeds::from(const Record& record, std::uint32_t end) {
  if (static_cast<std::size_t>(record.size()) > kMax) {
    return Error{Errc::malformed, "skipped seeds: " + std::to_string(record.size())};
  }
  SkippedSeeds skipped;
  skipped.seeds_.reserve(static_cast<std::size_t>(record.size()));
  std::uint64_t least = 0;
  for (const auto& one : record) {
    if (one.index() < least || one.index() >= end) {
      return Error{Errc::malformed,
                   "skipped seeds: counter " + std::to_string(one.index()) + " is out of order"};
    }
    WA_TRY(Key key, Key::from(as_bytes(one.seed()), "skipped seed"));
    skipped.seeds_.push_back({one.index(), std::move(key)});
    least = std::uint64_t{one.index()} + 1;
  }
  return skipped;
}

}  // namespace wa::signal

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/random.hpp"

namespace wa::client {

/// What an IQ of ours was for.
enum class Purpose : std::uint8_t {
  ping,
  pre_key_count,
  pre_key_upload,
  passive_active,
  clean_dirty,
  remove_companion,
  companion_hello,
  companion_finish,
};

/// The IQs of one stream that wait for their answer: draws ids, matches answers, knows deadlines.
///
/// Ids look like those of a web client, `41213.9017-k`: two random numbers per stream and a
/// counter.
class Requests {
 public:
  explicit Requests(Random& random);

  /// The id of a new request.
  std::string open(Purpose purpose, Instant deadline);

  /// What an answer is for, which then no longer waits; empty when nothing waits under this id.
  std::optional<Purpose> take(std::string_view id);

  /// One request that has waited too long, which then no longer waits; empty when there is none.
  std::optional<Purpose> take_expired(Instant now);

  std::optional<Instant> next_deadline() const;

 private:
  struct Waiting {
    std::uint64_t number;
    Purpose purpose;
    Instant deadline;
  };
  std::string prefix_;
  std::uint64_t next_number_ = 1;
  std::vector<Waiting> waiting_;
};

}  // namespace wa::client

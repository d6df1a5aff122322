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
  pre_key_digest,
  pre_key_count,
  pre_key_upload,
  key_rotation,
  passive_active,
  clean_dirty,
  remove_companion,
  companion_hello,
  companion_finish,
  messaging,  ///< of the messenger, which numbers its own
};

/// The IQs of one stream that wait for their answer: draws ids, matches answers, knows deadlines.
///
/// Ids look like those of a web client, `41213.9017-k`: two random numbers per stream and a
/// counter.
class Requests {
 public:
  explicit Requests(Random& random);

  struct Request {
    Request(Purpose what, std::uint32_t which = 0) : purpose(what), number(which) {}
    Purpose purpose;
    std::uint32_t number;  ///< which one of several of this purpose
    bool operator==(const Request&) const = default;
  };

  /// The id of a new request.
  std::string open(Request request, Instant deadline);

  /// What an answer is for, which then no longer waits; empty when nothing waits under this id.
  std::optional<Request> take(std::string_view id);

  /// One request that has waited too long, which then no longer waits; empty when there is none.
  std::optional<Request> take_expired(Instant now);

  std::optional<Instant> next_deadline() const;

 private:
  struct Waiting {
    std::uint64_t number;
    Request request;
    Instant deadline;
  };
  Request remove(std::vector<Waiting>::iterator place);

  std::string prefix_;
  std::uint64_t next_number_ = 1;
  std::vector<Waiting> waiting_;
};

}  // namespace wa::client

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::net {

/// Finds the addresses of host names. Dials take theirs as an argument, so that a test or a fault
/// can make look-ups fail, hang or be slow.
class Resolver {
 public:
  /// IP addresses as text, in the order in which they are to be tried; not empty.
  using Done = std::function<void(Result<std::vector<std::string>>)>;
  /// A look-up in progress. Dropping it cancels: `done` does not run then.
  using Lookup = std::shared_ptr<void>;

  virtual ~Resolver() = default;
  /// `done` runs once, on the io_context, never inside this call. Errors: `transport`, `not_found`.
  [[nodiscard]] virtual Lookup resolve(const std::string& host, Done done) = 0;
};

/// Asks the operating system. `io` outlives it.
std::unique_ptr<Resolver> system_resolver(boost::asio::io_context& io);

}  // namespace wa::net

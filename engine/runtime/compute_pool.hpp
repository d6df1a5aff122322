#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "engine/client/actions.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::runtime {

/// Threads for what takes more than a millisecond. Shared by the sessions of an io_context.
class ComputePool {
 public:
  ComputePool(boost::asio::io_context& io, std::size_t threads);
  /// Waits for the jobs under way.
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  /// Runs the job on a thread and `done` on the io_context.
  void run(client::ComputeJob job, std::function<void(client::ComputeValue)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::runtime

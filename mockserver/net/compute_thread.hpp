#pragma once

#include <functional>
#include <memory>

#include "mockserver/core/compute.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::mock {

/// One thread for what takes more than a millisecond, begun with the first job.
class ComputeThread {
 public:
  explicit ComputeThread(boost::asio::io_context& io);
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  /// Runs the job on the thread and `done` on the io_context, which keeps running until then.
  void run(ComputeJob job, std::function<void(ComputeValue)> done);
  /// Waits for the job under way; what waits is dropped, and no `done` comes any more.
  void stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::mock

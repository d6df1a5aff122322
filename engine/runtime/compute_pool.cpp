#include "engine/runtime/compute_pool.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace wa::runtime {

namespace asio = boost::asio;

class ComputePool::Impl {
 public:
  Impl(asio::io_context& io_context, std::size_t thread_count)
      : io(io_context), threads(thread_count) {}

  asio::io_context& io;
  asio::thread_pool threads;
};

ComputePool::ComputePool(asio::io_context& io, std::size_t threads)
    : impl_(std::make_unique<Impl>(io, threads)) {}

ComputePool::~ComputePool() {
  impl_->threads.join();
}

void ComputePool::run(client::ComputeJob job, std::function<void(client::ComputeValue)> done) {
  asio::post(impl_->threads, [job = std::move(job), done = std::move(done),
                              guard = asio::make_work_guard(impl_->io)]() mutable {
    client::ComputeValue value = client::compute(job);
    asio::post(guard.get_executor(), [value = std::move(value), done = std::move(done)]() mutable {
      done(std::move(value));
    });
  });
}

}  // namespace wa::runtime

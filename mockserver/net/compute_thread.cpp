#include "mockserver/net/compute_thread.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <optional>

namespace wa::mock {

namespace asio = boost::asio;

class ComputeThread::Impl : public std::enable_shared_from_this<Impl> {
 public:
  using Done = std::function<void(ComputeValue)>;

  explicit Impl(asio::io_context& io) : io_(io) {}

  void run(ComputeJob job, Done done) {
    if (stopped_) return;
    if (!thread_) thread_.emplace(1);
    // The guard keeps the io_context running until the value is posted to it. The callback is only
    // carried through the thread: it is called and destroyed on the io_context.
    auto work = [self = weak_from_this(), &io = io_, guard = asio::make_work_guard(io_),
                 job = std::move(job), done = std::make_unique<Done>(std::move(done))]() mutable {
      auto answer = [self, done = std::move(done), value = compute(job)]() mutable {
        const auto alive = self.lock();
        if (alive && !alive->stopped_) (*done)(value);
      };
      asio::post(io, std::move(answer));
    };
    asio::post(*thread_, std::move(work));
  }

  void stop() {
    stopped_ = true;
    if (!thread_) return;
    thread_->stop();
    thread_->join();
    thread_.reset();  // only this destroys what waited, and with it the guards
  }

 private:
  asio::io_context& io_;
  std::optional<asio::thread_pool> thread_;
  bool stopped_ = false;
};

ComputeThread::ComputeThread(asio::io_context& io) : impl_(std::make_shared<Impl>(io)) {}
ComputeThread::~ComputeThread() {
  impl_->stop();
}
void ComputeThread::run(ComputeJob job, std::function<void(ComputeValue)> done) {
  impl_->run(std::move(job), std::move(done));
}
void ComputeThread::stop() {
  impl_->stop();
}

}  // namespace wa::mock

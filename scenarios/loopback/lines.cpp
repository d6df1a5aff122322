#include "scenarios/loopback/lines.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/descriptor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

namespace wa::loopback {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {

/// So much fits into a pipe that is ready to be written to. Source: pipe(7), PIPE_BUF.
constexpr std::size_t kSafeWrite = 4096;
constexpr std::size_t kRead = 64 * 1024;

}  // namespace

// ---- LineReader ---------------------------------------------------------------------------------

class LineReader::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, int descriptor, std::size_t max_line_bytes, Events events)
      : descriptor_(io, descriptor), max_line_bytes_(max_line_bytes), events_(std::move(events)) {}

  void wait() {
    descriptor_.async_wait(Descriptor::wait_read, [self = shared_from_this()](error_code failure) {
      if (self->ended_ || failure == asio::error::operation_aborted) return;
      // A regular file cannot be waited for; reading it does not block.
      self->read_once();
      if (!self->ended_) self->wait();
    });
  }

  void drain() {
    while (!ended_ && read_once()) {
    }
    end();
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    error_code ignored;
    descriptor_.close(ignored);
  }

 private:
  /// False when nothing more is there now.
  bool read_once() {
    std::array<char, kRead> part;
    const ::ssize_t count = ::read(descriptor_.native_handle(), part.data(), part.size());
    if (count > 0) {
      take({part.data(), static_cast<std::size_t>(count)});
      return true;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
    const std::string why = count < 0 ? std::strerror(errno) : "";
    if (!rest_.empty()) give(std::exchange(rest_, {}));
    finish(why);
    return false;
  }

  void take(std::string_view bytes) {
    while (!ended_) {
      const std::size_t line_end = bytes.find('\n');
      if (rest_.size() + std::min(line_end, bytes.size()) > max_line_bytes_) {
        return finish("a line is longer than " + std::to_string(max_line_bytes_) + " bytes");
      }
      if (line_end == std::string_view::npos) break;
      rest_.append(bytes.substr(0, line_end));
      bytes.remove_prefix(line_end + 1);
      give(std::exchange(rest_, {}));
    }
    rest_.append(bytes);
  }

  void give(std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto self = shared_from_this();
    if (!ended_ && events_.on_line) events_.on_line(line);
  }

  void finish(std::string why) {
    if (ended_) return;
    end();
    const auto on_end = std::move(events_.on_end);
    if (on_end) on_end(std::move(why));
  }

  Descriptor descriptor_;
  const std::size_t max_line_bytes_;
  Events events_;
  std::string rest_;
  bool ended_ = false;
};

LineReader::LineReader(asio::io_context& io, int descriptor, std::size_t max_line_bytes,
                       Events events)
    : impl_(std::make_shared<Impl>(io, descriptor, max_line_bytes, std::move(events))) {
  impl_->wait();
}
LineReader::~LineReader() {
  impl_->end();
}
void LineReader::drain() {
  const auto impl = impl_;  // a callback may destroy the reader
  impl->drain();
}

// ---- LineWriter ---------------------------------------------------------------------------------

class LineWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, int descriptor, std::size_t max_queued_bytes,
       std::function<void(std::string)> on_failed)
      : io_(io),
        descriptor_(io, descriptor),
        max_queued_bytes_(max_queued_bytes),
        on_failed_(std::move(on_failed)) {}

  bool write(std::string_view line) {
    if (ended_ || closing_ || queued_bytes() + line.size() + 1 > max_queued_bytes_) return false;
    queue_.append(line);
    queue_ += '\n';
    wait();
    return true;
  }

  void close(std::function<void()> done) {
    closing_ = true;
    on_closed_ = std::move(done);
    if (queued_bytes() == 0 && !waiting_) {
      asio::post(io_, [self = shared_from_this()] { self->closed(); });
    }
  }

  void end() {
    on_failed_ = {};
    on_closed_ = {};
    if (std::exchange(ended_, true)) return;
    error_code ignored;
    descriptor_.close(ignored);
  }

  std::size_t queued_bytes() const { return queue_.size() - written_; }

 private:
  void wait() {
    if (std::exchange(waiting_, true)) return;
    descriptor_.async_wait(Descriptor::wait_write, [self = shared_from_this()](error_code failure) {
      self->waiting_ = false;
      if (self->ended_ || failure == asio::error::operation_aborted) return;
      self->write_once();  // a regular file cannot be waited for; writing it does not block
    });
  }

  void write_once() {
    const std::size_t count = std::min(queued_bytes(), kSafeWrite);
    const ::ssize_t written = ::write(descriptor_.native_handle(), queue_.data() + written_, count);
    if (written < 0 && errno != EAGAIN && errno != EINTR) return failed(std::strerror(errno));
    if (written > 0) written_ += static_cast<std::size_t>(written);
    if (queued_bytes() > 0) {
      // Moving the rest to the front costs as much as it has bytes: not at every write.
      if (written_ > queue_.size() / 2) {
        queue_.erase(0, written_);
        written_ = 0;
      }
      return wait();
    }
    queue_.clear();
    written_ = 0;
    if (closing_) closed();
  }

  void failed(std::string why) {
    queue_.clear();
    written_ = 0;
    const auto on_failed = std::move(on_failed_);
    const bool was_closing = closing_;
    if (was_closing) closed();
    end();
    if (!was_closing && on_failed) on_failed(std::move(why));
  }

  void closed() {
    if (ended_) return;
    const auto on_closed = std::move(on_closed_);
    end();
    if (on_closed) on_closed();
  }

  asio::io_context& io_;
  Descriptor descriptor_;
  const std::size_t max_queued_bytes_;
  std::function<void(std::string)> on_failed_;
  std::function<void()> on_closed_;
  std::string queue_;
  std::size_t written_ = 0;  ///< of the queue's front
  bool waiting_ = false;
  bool closing_ = false;
  bool ended_ = false;
};

LineWriter::LineWriter(asio::io_context& io, int descriptor, std::size_t max_queued_bytes,
                       std::function<void(std::string)> on_failed)
    : impl_(std::make_shared<Impl>(io, descriptor, max_queued_bytes, std::move(on_failed))) {}
LineWriter::~LineWriter() {
  impl_->end();
}
bool LineWriter::write(std::string_view line) {
  return impl_->write(line);
}
void LineWriter::close(std::function<void()> done) {
  impl_->close(std::move(done));
}
std::size_t LineWriter::queued_bytes() const {
  return impl_->queued_bytes();
}

}  // namespace wa::loopback

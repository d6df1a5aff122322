#include "engine/net/websocket.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "engine/base/limits.hpp"
#include "engine/net/tls_session.hpp"
#include "engine/net/websocket_impl.hpp"

namespace wa::net {
namespace asio = boost::asio;

namespace {

constexpr auto kCloseTime = std::chrono::seconds(2);
/// Room for one read: little while idle, more as a message grows, never as much as it announces.
constexpr std::size_t kSmallRead = 512;
constexpr std::size_t kLargeRead = 64 * 1024;

std::string describe(error_code ec) {
  if (ec == asio::error::eof) return "end of file";
  if (ec == asio::error::connection_reset || ec == asio::error::broken_pipe) {
    return "connection reset";
  }
  return ec.message();
}

}  // namespace

/// Three states: open; closing (close() was called: queued messages still leave); ending (how it
/// ended is known, on_closed is on its way). Handlers that come back after `ending` do nothing.
class WebSocket::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(WebSocketStream stream) : stream_(std::move(stream)) {}

  void start(Events events) {
    WA_ASSERT(!started_);
    started_ = true;
    events_ = std::move(events);
    if (phase_ == Phase::ended) return post_closed();
    if (phase_ == Phase::open && !reading_stopped_) read();
  }

  void send(Bytes message) {
    if (phase_ != Phase::open || broken_) return;
    if (queued_bytes_ + message.size() > limits::kMaxSendQueueBytes) {
      stream_.bytes().reset();
      return end("the send queue was full: " + std::to_string(queued_bytes_) + " bytes waited");
    }
    queued_bytes_ += message.size();
    queue_.push_back(std::move(message));
    write();
  }

  void close(CloseHow how) {
    if (how == CloseHow::rst) {
      by_us_ = true;
      stream_.bytes().reset();
      return end("reset by us");
    }
    if (phase_ != Phase::open) return;
    phase_ = Phase::closing;
    by_us_ = true;
    how_ = how;
    cut_off_when_stuck();
    if (queue_.empty()) send_close();
  }

  void stop_reading() {
    reading_stopped_ = true;
    stream_.bytes().stop_reading();
  }

  /// The last handle is gone.
  void abandon() {
    silent_ = true;
    close(CloseHow::fin);
  }

  std::size_t queued_bytes() const { return queued_bytes_; }
  std::string remote() const { return to_string(stream_.bytes().remote()); }

 private:
  enum class Phase { open, closing, ending, ended };

  bool over() const { return phase_ == Phase::ending || phase_ == Phase::ended; }

  void read() {
    const std::size_t room = std::clamp(received_, kSmallRead, kLargeRead);
    if (incoming_.size() < received_ + room) incoming_.resize(received_ + room);
    reading_ = true;
    stream_.read_some(std::span(incoming_).subspan(received_),
                      [self = shared_from_this()](error_code ec, std::size_t count) {
                        self->on_read(ec, count);
                      });
  }

  void on_read(error_code ec, std::size_t count) {
    reading_ = false;
    if (over()) return;
    if (ec) return on_read_failed(ec);
    if (phase_ != Phase::open || reading_stopped_) return;  // nobody wants what arrives now
    received_ += count;
    if (stream_.message_done()) {
      const ByteSpan message = ByteSpan(incoming_).first(received_);
      if (!silent_ && events_.on_message) events_.on_message(message);
      received_ = 0;
      // An idle socket keeps no memory for what a long message took.
      if (incoming_.size() > kSmallRead) incoming_ = Bytes();
    }
    if (phase_ == Phase::open && !reading_stopped_) read();
  }

  void on_read_failed(error_code ec) {
    if (ec == boost::beast::websocket::error::closed) {
      const std::uint16_t code = stream_.close_code();
      const std::string reason = stream_.close_reason();
      std::string detail = "close frame " + std::to_string(code);
      if (!reason.empty()) detail += ": " + reason;
      stream_.bytes().close();
      return end(std::move(detail), code);
    }
    if (ec == asio::error::operation_aborted && phase_ == Phase::closing) return;
    if (ec.category() == asio::error::get_system_category() ||
        ec.category() == asio::error::get_misc_category() || ec.category() == tls_category()) {
      stream_.bytes().close();
      return end(describe(ec));
    }
    // The peer broke the WebSocket protocol; Beast has sent a close frame that says so.
    end_gently("WebSocket protocol: " + describe(ec));
  }

  void write() {
    if (writing_) return;
    writing_ = true;
    stream_.write(queue_.front(),
                  [self = shared_from_this()](error_code ec) { self->on_written(ec); });
  }

  void on_written(error_code ec) {
    writing_ = false;
    if (over()) return queue_.clear();
    if (ec) return on_write_failed(ec);
    queued_bytes_ -= queue_.front().size();
    queue_.pop_front();
    if (!queue_.empty()) return write();
    if (phase_ == Phase::closing) send_close();
  }

  void on_write_failed(error_code ec) {
    broken_ = true;
    queue_.clear();
    queued_bytes_ = 0;
    if (ec == asio::error::operation_aborted && reading_ && !reading_stopped_) {
      // Beast writes no more because the read in flight is about to report the peer's close frame.
      return cut_off_after(kCloseTime, "the peer did not end its close");
    }
    stream_.bytes().close();
    end(describe(ec));
  }

  void send_close() {
    if (how_ == CloseHow::fin || broken_) return end_gently("closed by us");
    cut_off_after(kCloseTime, "the peer did not answer the close");
    stream_.close([self = shared_from_this()](error_code ec) { self->on_close_answered(ec); });
  }

  void on_close_answered(error_code ec) {
    if (over()) return;
    if (ec == asio::error::operation_aborted && reading_) return;  // the read has the answer
    const bool answered = !ec || ec == boost::beast::websocket::error::closed;
    stream_.bytes().close();
    if (answered) return end("closed by us", stream_.close_code());
    end(describe(ec));
  }

  /// While messages are queued, patience lasts as long as bytes leave.
  void cut_off_when_stuck() {
    const std::uint64_t written = stream_.bytes().bytes_written();
    arm([written](Impl& self) {
      if (self.stream_.bytes().bytes_written() != written) return self.cut_off_when_stuck();
      self.cut_off("the peer did not read what was queued before the close");
    });
  }

  void cut_off_after(std::chrono::steady_clock::duration time, std::string why) {
    arm([why = std::move(why)](Impl& self) { self.cut_off(why); }, time);
  }

  void cut_off(std::string why) {
    stream_.bytes().reset();
    end(std::move(why));
  }

  template <class Action>
  void arm(Action action, std::chrono::steady_clock::duration time = kCloseTime) {
    if (!timer_) timer_ = std::make_unique<asio::steady_timer>(stream_.bytes().get_executor());
    timer_->expires_after(time);
    timer_->async_wait([self = shared_from_this(), action = std::move(action)](error_code ec) {
      if (!ec && !self->over()) action(*self);
    });
  }

  /// FIN, then the rest of the peer's bytes are read, then on_closed.
  void end_gently(std::string detail) {
    if (over()) return;
    phase_ = Phase::ending;
    forget_queue();
    auto done = [self = shared_from_this(), detail = std::move(detail)]() mutable {
      self->ended(std::move(detail), {});
    };
    stream_.bytes().close_gently(std::move(done));
  }

  /// The socket is closed already.
  void end(std::string detail, std::optional<std::uint16_t> code = {}) {
    if (over()) return;
    forget_queue();
    ended(std::move(detail), code);
  }

  void ended(std::string detail, std::optional<std::uint16_t> code) {
    phase_ = Phase::ended;
    how_it_ended_ = ClosedInfo{code, by_us_, std::move(detail)};
    if (timer_) timer_->cancel();
    if (started_) post_closed();
  }

  void post_closed() {
    asio::post(stream_.bytes().get_executor(), [self = shared_from_this()] {
      // Moved out first: the callback may drop the last handle, and the events may own their owner.
      const Events events = std::exchange(self->events_, {});
      if (!self->silent_ && events.on_closed) events.on_closed(self->how_it_ended_);
    });
  }

  void forget_queue() {
    // The message being written must outlive the write that Beast still holds.
    while (queue_.size() > (writing_ ? 1u : 0u)) queue_.pop_back();
    queued_bytes_ = 0;
  }

  WebSocketStream stream_;
  Events events_;
  std::list<Bytes> queue_;
  std::size_t queued_bytes_ = 0;
  Bytes incoming_;
  std::size_t received_ = 0;  ///< of the current message, at the front of incoming_
  std::unique_ptr<asio::steady_timer> timer_;
  ClosedInfo how_it_ended_;
  Phase phase_ = Phase::open;
  CloseHow how_ = CloseHow::fin;
  bool by_us_ = false;
  bool started_ = false;
  bool reading_ = false;
  bool reading_stopped_ = false;
  bool writing_ = false;
  bool broken_ = false;  ///< Beast refused a write; the read in flight will say why
  bool silent_ = false;
};

WebSocket::WebSocket(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebSocket::~WebSocket() {
  impl_->abandon();
}

void WebSocket::start(Events events) {
  impl_->start(std::move(events));
}
void WebSocket::send(Bytes message) {
  impl_->send(std::move(message));
}
void WebSocket::close(CloseHow how) {
  impl_->close(how);
}
void WebSocket::stop_reading() {
  impl_->stop_reading();
}
std::size_t WebSocket::queued_bytes() const {
  return impl_->queued_bytes();
}
std::string WebSocket::remote() const {
  return impl_->remote();
}

WebSocketPtr make_websocket(WebSocketStream stream) {
  return std::make_shared<WebSocket>(std::make_shared<WebSocket::Impl>(std::move(stream)));
}

}  // namespace wa::net

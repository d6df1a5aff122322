#include "engine/net/byte_stream.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace wa::net {
namespace asio = boost::asio;

namespace {

constexpr auto kGentleCloseTime = std::chrono::seconds(2);

bool would_block(const error_code& ec) {
  return ec == asio::error::would_block || ec == asio::error::try_again;
}

}  // namespace

struct ByteStream::State {
  explicit State(Socket connected) : socket(std::move(connected)) {}

  std::size_t try_read(const MutableBuffers& to, error_code& ec) {
    if (!unread.empty()) {
      const std::size_t taken = asio::buffer_copy(to, asio::buffer(unread));
      unread.erase(unread.begin(), unread.begin() + static_cast<std::ptrdiff_t>(taken));
      if (unread.empty()) unread.shrink_to_fit();
      ec = {};
      return taken;
    }
    return socket.read_some(to, ec);
  }

  std::size_t try_write(const ConstBuffers& from, error_code& ec) {
    const std::size_t count = socket.write_some(from, ec);
    bytes_written += count;
    return count;
  }

  Socket socket;
  Tcp::endpoint remote;
  Bytes unread;
  std::uint64_t bytes_written = 0;
  bool reading_stopped = false;
};

std::string to_string(const Tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

ByteStream::ByteStream(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {
  error_code ignored;  // a peer that has gone already shows in the first read
  state_->remote = state_->socket.remote_endpoint(ignored);
  state_->socket.non_blocking(true, ignored);
  state_->socket.set_option(Tcp::no_delay(true), ignored);
}

ByteStream::executor_type ByteStream::get_executor() const noexcept {
  return state_->socket.get_executor();
}

void ByteStream::read_some(const MutableBuffers& to, Handler handler) const {
  if (state_->reading_stopped) return read_when_ready(state_, to, std::move(handler));
  error_code ec;
  const std::size_t count = to.empty() ? 0 : state_->try_read(to, ec);
  if (would_block(ec)) return read_when_ready(state_, to, std::move(handler));
  asio::post(get_executor(), [handler = std::move(handler), ec, count]() mutable {
    std::move(handler)(ec, count);
  });
}

void ByteStream::read_when_ready(std::shared_ptr<State> state, const MutableBuffers& to,
                                 Handler handler) {
  // The handler waits in Asio's queue and not in State: it usually owns this stream, and a cycle
  // would keep both alive when the io_context goes.
  const bool parked = state->reading_stopped;
  Socket& socket = state->socket;
  socket.async_wait(
      parked ? Socket::wait_error : Socket::wait_read,
      [state = std::move(state), to, parked, handler = std::move(handler)](error_code ec) mutable {
        if (parked && !ec) ec = asio::error::connection_reset;
        std::size_t count = 0;
        if (!ec && !state->reading_stopped) count = state->try_read(to, ec);
        if (would_block(ec) || (!ec && state->reading_stopped)) {
          return read_when_ready(std::move(state), to, std::move(handler));
        }
        std::move(handler)(ec, count);
      });
}

void ByteStream::write_some(const ConstBuffers& from, Handler handler) const {
  error_code ec;
  const std::size_t count = from.empty() ? 0 : state_->try_write(from, ec);
  if (would_block(ec)) return write_when_ready(state_, from, std::move(handler));
  asio::post(get_executor(), [handler = std::move(handler), ec, count]() mutable {
    std::move(handler)(ec, count);
  });
}

void ByteStream::write_when_ready(std::shared_ptr<State> state, const ConstBuffers& from,
                                  Handler handler) {
  Socket& socket = state->socket;
  socket.async_wait(Socket::wait_write, [state = std::move(state), from,
                                         handler = std::move(handler)](error_code ec) mutable {
    const std::size_t count = ec ? 0 : state->try_write(from, ec);
    if (would_block(ec)) return write_when_ready(std::move(state), from, std::move(handler));
    std::move(handler)(ec, count);
  });
}

void ByteStream::write_all(ByteSpan bytes, Handler handler) const {
  write_rest(*this, bytes, 0, std::move(handler));
}

void ByteStream::write_rest(ByteStream stream, ByteSpan rest, std::size_t written,
                            Handler handler) {
  const ConstBuffers from(asio::buffer(rest.data(), rest.size()));
  stream.write_some(from, [stream, rest, written, handler = std::move(handler)](
                              error_code ec, std::size_t count) mutable {
    if (ec || count == rest.size()) return std::move(handler)(ec, written + count);
    write_rest(stream, rest.subspan(count), written + count, std::move(handler));
  });
}

void ByteStream::unread(ByteSpan bytes) const {
  state_->unread.insert(state_->unread.begin(), bytes.begin(), bytes.end());
}

void ByteStream::stop_reading() const {
  state_->reading_stopped = true;
}

void ByteStream::shutdown_send() const {
  error_code ignored;  // the peer may have gone: that is what we want
  state_->socket.shutdown(Socket::shutdown_send, ignored);
}

void ByteStream::close() const {
  error_code ignored;  // the descriptor is released in any case
  state_->socket.close(ignored);
}

void ByteStream::reset() const {
  error_code ignored;  // already disconnected: then there is nobody to tell
  state_->socket.set_option(asio::socket_base::linger(true, 0), ignored);
  state_->socket.close(ignored);
}

namespace {

/// Reads and forgets until the end of the stream or of the time.
struct Drain : std::enable_shared_from_this<Drain> {
  Drain(ByteStream drained, asio::any_completion_handler<void()> after)
      : stream(std::move(drained)), timer(stream.get_executor()), done(std::move(after)) {}

  void start() {
    timer.expires_after(kGentleCloseTime);
    timer.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->stream.reset();
    });
    read();
  }

  void read() {
    stream.async_read_some(asio::buffer(scratch),
                           [self = shared_from_this()](error_code ec, std::size_t) {
                             if (!ec) return self->read();
                             self->finish();
                           });
  }

  void finish() {
    timer.cancel();
    stream.close();
    if (done) std::move(done)();
  }

  ByteStream stream;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, IoExecutor>
      timer;
  asio::any_completion_handler<void()> done;
  std::array<std::byte, 1024> scratch;
};

}  // namespace

void ByteStream::close_gently(asio::any_completion_handler<void()> done) const {
  error_code ignored;  // nothing in flight is an error here
  state_->socket.cancel(ignored);
  state_->reading_stopped = false;
  shutdown_send();
  std::make_shared<Drain>(*this, std::move(done))->start();
}

const Tcp::endpoint& ByteStream::remote() const {
  return state_->remote;
}

std::uint64_t ByteStream::bytes_written() const {
  return state_->bytes_written;
}

void beast_close_socket(ByteStream& stream) {
  stream.close();
}

}  // namespace wa::net

#include "engine/net/byte_stream.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>

#include "engine/net/tls_session.hpp"

namespace wa::net {
namespace asio = boost::asio;

namespace {

constexpr auto kGentleCloseTime = std::chrono::seconds(2);

/// One TLS record. Small buffers are joined up to this size, so that a head and its payload travel
/// in one.
constexpr std::size_t kRecordBytes = 16 * 1024;

/// What one try at a read or a write came to.
struct Attempt {
  std::size_t count = 0;
  error_code ec = {};
  std::optional<Socket::wait_type> wait_for = {};  ///< nothing was done: try again when it is ready
};

Attempt blocked_or(std::size_t count, error_code ec, Socket::wait_type ready) {
  if (ec == asio::error::would_block || ec == asio::error::try_again) return {0, {}, ready};
  return {count, ec};
}

std::optional<Socket::wait_type> to_asio(TlsSession::Wait wait) {
  if (wait == TlsSession::Wait::nothing) return {};
  return wait == TlsSession::Wait::read ? Socket::wait_read : Socket::wait_write;
}

std::byte* data_of(const asio::mutable_buffer& buffer) {
  return static_cast<std::byte*>(buffer.data());
}
const std::byte* data_of(const asio::const_buffer& buffer) {
  return static_cast<const std::byte*>(buffer.data());
}

}  // namespace

struct ByteStream::State {
  explicit State(Socket connected) : socket(std::move(connected)) {}

  Attempt try_read(const MutableBuffers& to) {
    if (to.empty()) return {};
    if (!unread.empty()) {
      const std::size_t taken = asio::buffer_copy(to, asio::buffer(unread));
      unread.erase(unread.begin(), unread.begin() + static_cast<std::ptrdiff_t>(taken));
      if (unread.empty()) unread.shrink_to_fit();
      return {taken};
    }
    if (tls) {
      const auto outcome = tls->read(data_of(*to.begin()), to.begin()->size());
      return {outcome.bytes, outcome.ec, to_asio(outcome.wait)};
    }
    error_code ec;
    const std::size_t count = socket.read_some(to, ec);
    return blocked_or(count, ec, Socket::wait_read);
  }

  Attempt try_write(const ConstBuffers& from) {
    if (from.empty()) return {};
    Attempt attempt;
    if (tls) {
      attempt = try_write_tls(from);
    } else {
      error_code ec;
      const std::size_t count = socket.write_some(from, ec);
      attempt = blocked_or(count, ec, Socket::wait_write);
    }
    bytes_written += attempt.count;
    return attempt;
  }

  Attempt try_write_tls(const ConstBuffers& from) {
    const asio::const_buffer& first = *from.begin();
    TlsSession::Outcome outcome;
    if (first.size() >= kRecordBytes || from.begin() + 1 == from.end()) {
      outcome = tls->write(data_of(first), first.size());
    } else {
      // A second try joins the same bytes again, as TLS wants it.
      std::array<std::byte, kRecordBytes> joined;
      const std::size_t size = asio::buffer_copy(asio::buffer(joined), from);
      outcome = tls->write(joined.data(), size);
    }
    return {outcome.bytes, outcome.ec, to_asio(outcome.wait)};
  }

  Socket socket;
  Tcp::endpoint remote;
  std::unique_ptr<TlsSession> tls;
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

void ByteStream::peek(std::function<void(error_code, std::byte)> handler) const {
  peek_when_ready(state_, std::move(handler));
}

void ByteStream::peek_when_ready(std::shared_ptr<State> state,
                                 std::function<void(error_code, std::byte)> handler) {
  Socket& socket = state->socket;
  socket.async_wait(Socket::wait_read, [state = std::move(state),
                                        handler = std::move(handler)](error_code ec) mutable {
    std::byte first{};
    std::size_t count = 1;
    if (!ec) count = state->socket.receive(asio::buffer(&first, 1), Socket::message_peek, ec);
    if (ec == asio::error::would_block) {
      return peek_when_ready(std::move(state), std::move(handler));
    }
    if (!ec && count == 0) ec = asio::error::eof;
    handler(ec, first);
  });
}

void ByteStream::secure(const TlsTrust& trust, const std::string& host, OnSecure done) const {
  state_->tls = std::make_unique<TlsSession>(trust, host, state_->socket.native_handle());
  handshake(state_, std::move(done));
}

void ByteStream::secure(const TlsIdentity& identity, OnSecure done) const {
  state_->tls = std::make_unique<TlsSession>(identity, state_->socket.native_handle());
  handshake(state_, std::move(done));
}

void ByteStream::handshake(std::shared_ptr<State> state, OnSecure done) {
  if (!state->tls) return done(Error{Errc::transport, "the connection was closed"});
  const auto step = state->tls->handshake();
  const auto ready = step ? to_asio(*step) : std::nullopt;
  if (!ready) {
    asio::post(state->socket.get_executor(),
               [done = std::move(done), step] { step ? done({}) : done(step.error()); });
    return;
  }
  Socket& socket = state->socket;
  socket.async_wait(*ready,
                    [state = std::move(state), done = std::move(done)](error_code ec) mutable {
                      if (ec) return done(Error{Errc::transport, ec.message()});
                      handshake(std::move(state), std::move(done));
                    });
}

void ByteStream::read_some(const MutableBuffers& to, Handler handler) const {
  if (state_->reading_stopped) {
    return read_when_ready(state_, Socket::wait_error, to, std::move(handler));
  }
  const Attempt attempt = state_->try_read(to);
  if (attempt.wait_for) return read_when_ready(state_, *attempt.wait_for, to, std::move(handler));
  asio::post(get_executor(), [handler = std::move(handler), attempt]() mutable {
    std::move(handler)(attempt.ec, attempt.count);
  });
}

void ByteStream::read_when_ready(std::shared_ptr<State> state, Socket::wait_type ready,
                                 const MutableBuffers& to, Handler handler) {
  // The handler waits in Asio's queue and not in State: it usually owns this stream, and a cycle
  // would keep both alive when the io_context goes.
  Socket& socket = state->socket;
  socket.async_wait(ready, [state = std::move(state), to, parked = ready == Socket::wait_error,
                            handler = std::move(handler)](error_code ec) mutable {
    if (parked && !ec) ec = asio::error::connection_reset;
    if (!ec && state->reading_stopped) {
      return read_when_ready(std::move(state), Socket::wait_error, to, std::move(handler));
    }
    const Attempt attempt = ec ? Attempt{0, ec} : state->try_read(to);
    if (attempt.wait_for) {
      return read_when_ready(std::move(state), *attempt.wait_for, to, std::move(handler));
    }
    std::move(handler)(attempt.ec, attempt.count);
  });
}

void ByteStream::write_some(const ConstBuffers& from, Handler handler) const {
  const Attempt attempt = state_->try_write(from);
  if (attempt.wait_for) {
    return write_when_ready(state_, *attempt.wait_for, from, std::move(handler));
  }
  asio::post(get_executor(), [handler = std::move(handler), attempt]() mutable {
    std::move(handler)(attempt.ec, attempt.count);
  });
}

void ByteStream::write_when_ready(std::shared_ptr<State> state, Socket::wait_type ready,
                                  const ConstBuffers& from, Handler handler) {
  Socket& socket = state->socket;
  socket.async_wait(
      ready, [state = std::move(state), from, handler = std::move(handler)](error_code ec) mutable {
        const Attempt attempt = ec ? Attempt{0, ec} : state->try_write(from);
        if (attempt.wait_for) {
          return write_when_ready(std::move(state), *attempt.wait_for, from, std::move(handler));
        }
        std::move(handler)(attempt.ec, attempt.count);
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
  if (state_->tls) state_->tls->close_notify();
  error_code ignored;  // the peer may have gone: that is what we want
  state_->socket.shutdown(Socket::shutdown_send, ignored);
}

void ByteStream::close() const {
  if (state_->tls && state_->socket.is_open()) state_->tls->close_notify();
  error_code ignored;  // the descriptor is released in any case
  state_->socket.close(ignored);
  state_->tls.reset();  // it would go on with whatever gets the descriptor's number next
}

void ByteStream::reset() const {
  error_code ignored;  // already disconnected: then there is nobody to tell
  state_->socket.set_option(asio::socket_base::linger(true, 0), ignored);
  state_->socket.close(ignored);
  state_->tls.reset();
}

/// Reads and forgets until the end of the stream or of the time; beneath TLS, whose state does not
/// matter any more.
struct ByteStream::Drain : std::enable_shared_from_this<Drain> {
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
    Socket& socket = stream.state_->socket;
    socket.async_read_some(asio::buffer(scratch),
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

#pragma once

#include <array>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/bytes.hpp"
#include "engine/net/tls_context.hpp"

/// The bottom of every connection: a non-blocking TCP socket, with or without TLS, as an Asio
/// AsyncStream. Internal to engine/net: it includes Asio.
namespace wa::net {

using Tcp = boost::asio::ip::tcp;
using IoExecutor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<Tcp, IoExecutor>;
using boost::system::error_code;

/// "127.0.0.1:443", "[::1]:443".
std::string to_string(const Tcp::endpoint& endpoint);

/// What Beast reads from and writes to, and what both servers read HTTP heads from.
///
/// One read and one write may be in flight. An operation first tries, then waits for readiness
/// (with TLS maybe that of the other direction), then tries again. Handlers are type-erased, which
/// keeps Beast's templates from multiplying the socket code. Handlers run on the io_context's one
/// thread, never inside the call that started them. Copies share the socket.
///
/// A connection begins as plain TCP. secure() makes it TLS; nothing may be in flight then, and
/// bytes that were read already must not be part of TLS.
class ByteStream {
 public:
  using executor_type = IoExecutor;
  using Handler = boost::asio::any_completion_handler<void(error_code, std::size_t)>;

  /// Takes a connected socket; sets TCP_NODELAY.
  explicit ByteStream(Socket socket);

  executor_type get_executor() const noexcept;

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [stream = *this](auto handler, const MutableBuffers& to) {
          stream.read_some(to, Handler(std::move(handler)));
        },
        token, MutableBuffers(buffers));
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [stream = *this](auto handler, const ConstBuffers& from) {
          stream.write_some(from, Handler(std::move(handler)));
        },
        token, ConstBuffers(buffers));
  }

  /// Tells the first byte that arrives and leaves it there. Errors: eof, those of the system.
  void peek(std::function<void(error_code, std::byte)> handler) const;

  /// Does the TLS handshake: as a client with a server that must be `host` (a name or an IP
  /// address), or as a server. Errors: `transport`, in words for people.
  using OnSecure = std::function<void(Result<void>)>;
  void secure(const TlsTrust& trust, const std::string& host, OnSecure done) const;
  void secure(const TlsIdentity& identity, OnSecure done) const;

  /// Writes all of `bytes`, which must stay alive until the handler runs.
  void write_all(ByteSpan bytes, Handler handler) const;

  /// The next reads return these bytes first: what was read beyond an HTTP head.
  void unread(ByteSpan bytes) const;

  /// From now on no byte is taken out of the kernel; a read in flight ends only with the
  /// connection.
  void stop_reading() const;

  /// Sends FIN after what was written; with TLS a close_notify before it.
  void shutdown_send() const;

  /// The same at once, and nothing is read any more (a reset, if the peer's bytes were not read).
  void close() const;

  /// A reset at once; bytes in flight are lost.
  void reset() const;

  /// FIN, then reads and forgets until the peer ends too, 2 s at most: a close() with unread bytes
  /// would send a reset, which may overtake our last bytes. `done` may be empty.
  void close_gently(boost::asio::any_completion_handler<void()> done) const;

  const Tcp::endpoint& remote() const;
  /// Bytes taken by the kernel (with TLS: by TLS) so far; tells whether a slow peer still makes
  /// progress.
  std::uint64_t bytes_written() const;

 private:
  struct State;
  struct Drain;

  /// The first few buffers of a sequence: as many as one system call needs.
  template <class Buffer>
  class BufferList {
   public:
    template <class Buffers>
    explicit BufferList(const Buffers& buffers) {
      const auto end = boost::asio::buffer_sequence_end(buffers);
      for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
        const Buffer buffer(*at);
        if (buffer.size() == 0) continue;
        if (count_ == items_.size()) break;
        items_[count_++] = buffer;
      }
    }
    const Buffer* begin() const { return items_.data(); }
    const Buffer* end() const { return items_.data() + count_; }
    bool empty() const { return count_ == 0; }

   private:
    std::array<Buffer, 4> items_;
    std::size_t count_ = 0;
  };
  using MutableBuffers = BufferList<boost::asio::mutable_buffer>;
  using ConstBuffers = BufferList<boost::asio::const_buffer>;

  void read_some(const MutableBuffers& to, Handler handler) const;
  void write_some(const ConstBuffers& from, Handler handler) const;
  static void read_when_ready(std::shared_ptr<State> state, Socket::wait_type ready,
                              const MutableBuffers& to, Handler handler);
  static void write_when_ready(std::shared_ptr<State> state, Socket::wait_type ready,
                               const ConstBuffers& from, Handler handler);
  static void peek_when_ready(std::shared_ptr<State> state,
                              std::function<void(error_code, std::byte)> handler);
  static void handshake(std::shared_ptr<State> state, OnSecure done);
  static void write_rest(ByteStream stream, ByteSpan rest, std::size_t written, Handler handler);

  std::shared_ptr<State> state_;
};

/// How Beast ends the stream after a WebSocket close: FIN. The caller closes the socket.
template <class Handler>
void async_teardown(boost::beast::role_type, ByteStream& stream, Handler&& handler) {
  stream.shutdown_send();
  boost::asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
    handler(error_code{});
  });
}
void beast_close_socket(ByteStream& stream);

}  // namespace wa::net

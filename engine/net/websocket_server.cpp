#include <boost/beast/http/parser.hpp>
#include <unordered_set>

#include "engine/net/http_answer.hpp"
#include "engine/net/listener.hpp"
#include "engine/net/websocket_impl.hpp"

namespace wa::net {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kMaxUpgradeBytes = 16 * 1024;
constexpr std::size_t kUpgradeReadBytes = 1024;
/// What every TLS connection begins with: a record of type "handshake".
constexpr std::byte kTlsHandshake{0x16};

}  // namespace

class UpgradeRequest::Impl {
 public:
  Impl(ByteStream accepted, UpgradeHead request)
      : stream(std::move(accepted)), head(std::move(request)), target(head.target()) {}
  ~Impl() {
    if (!answered) stream.close();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ByteStream stream;
  UpgradeHead head;
  std::string target;
  bool answered = false;
};

UpgradeRequest::UpgradeRequest(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
UpgradeRequest::~UpgradeRequest() = default;
UpgradeRequest::UpgradeRequest(UpgradeRequest&&) noexcept = default;
UpgradeRequest& UpgradeRequest::operator=(UpgradeRequest&&) noexcept = default;

const std::string& UpgradeRequest::target() const {
  return impl_->target;
}

std::string UpgradeRequest::header(std::string_view name) const {
  const auto value = impl_->head[{name.data(), name.size()}];
  return {value.data(), value.size()};
}

std::string UpgradeRequest::remote() const {
  return to_string(impl_->stream.remote());
}

void UpgradeRequest::accept(std::function<void(WebSocketPtr)> done) {
  WA_ASSERT(!impl_->answered);
  impl_->answered = true;
  auto stream = std::make_shared<WebSocketStream>(impl_->stream);
  stream->accept(impl_->head, [stream, done = std::move(done)](error_code ec) {
    if (ec) {
      stream->bytes().close_gently({});  // Beast has answered an upgrade that it found wrong
      return done(nullptr);
    }
    done(make_websocket(std::move(*stream)));
  });
}

void UpgradeRequest::refuse(int status, std::string body) {
  WA_ASSERT(!impl_->answered);
  impl_->answered = true;
  answer_and_close(impl_->stream, status, body);
}

/// Takes one connection to the end of its first request's head:
/// first byte → TLS handshake, if it is TLS → head.
class HeadReader : public std::enable_shared_from_this<HeadReader> {
 public:
  /// Runs once when the connection leaves this reader, with a request if it was an upgrade.
  using OnDone =
      std::function<void(const std::shared_ptr<HeadReader>&, std::optional<UpgradeHead>)>;

  HeadReader(ByteStream stream, OnDone on_done)
      : stream_(std::move(stream)), timer_(stream_.get_executor()), on_done_(std::move(on_done)) {
    parser_.header_limit(kMaxUpgradeBytes);
  }

  void start(const WebSocketServerOptions& options) {
    files_ = options.files;
    timer_.expires_after(options.patience);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->on_late();
    });
    if (!options.tls) return read();
    stream_.peek([self = shared_from_this(), chooser = options.tls](
                     error_code ec, std::byte first) { self->on_first_byte(ec, first, chooser); });
  }

  void cut() {
    stream_.close();
    finish({});
  }

  const ByteStream& stream() const { return stream_; }

 private:
  void on_first_byte(error_code ec, std::byte first, const TlsChooser& chooser) {
    if (finished_) return;
    if (ec) return cut();
    if (first != kTlsHandshake) return read();
    const TlsAnswer answer = chooser();
    if (std::holds_alternative<TlsCut>(answer)) return end_gently();
    if (std::holds_alternative<TlsHang>(answer)) {
      timer_.cancel();
      return hang();
    }
    shaking_hands_ = true;
    stream_.secure(std::get<TlsIdentity>(answer),
                   [self = shared_from_this()](Result<void> secured) {
                     if (self->finished_) return;
                     // TLS has told the client why; that must not be lost in a reset.
                     if (!secured) return self->end_gently();
                     self->shaking_hands_ = false;
                     self->read();
                   });
  }

  /// Reads and says nothing until the client goes.
  void hang() {
    buffer_.resize(kUpgradeReadBytes);
    stream_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](error_code ec, std::size_t) {
                              if (self->finished_) return;
                              ec ? self->cut() : self->hang();
                            });
  }

  void on_late() {
    if (shaking_hands_) return cut();
    refuse(408, "The request did not arrive in time.\n");
  }

  void read() {
    buffer_.resize(received_ + kUpgradeReadBytes);
    stream_.async_read_some(asio::buffer(buffer_) + received_,
                            [self = shared_from_this()](error_code ec, std::size_t count) {
                              self->on_read(ec, count);
                            });
  }

  void on_read(error_code ec, std::size_t count) {
    if (finished_) return;
    if (ec == asio::error::eof && begun_) {
      return refuse(400, "The request ended before its head was complete.\n");
    }
    if (ec) return cut();
    begun_ = true;
    received_ += count;
    error_code parse_error;
    const std::size_t used = parser_.put(asio::buffer(buffer_, received_), parse_error);
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used));
    received_ -= used;
    if (parse_error == http::error::need_more) return read();
    if (parse_error == http::error::header_limit) {
      return refuse(431, "The head of the request is larger than 16 KiB.\n");
    }
    if (parse_error)
      return refuse(400, "This is not an HTTP request: " + parse_error.message() + "\n");
    if (!parser_.is_header_done()) return read();
    if (!is_upgrade(parser_.get())) {
      if (files_ && parser_.get().method() == http::verb::get) {
        const auto target = parser_.get().target();
        if (const auto file = files_({target.data(), target.size()})) {
          answer_and_close(stream_, 200, as_text(*file));
          return finish({});
        }
      }
      return refuse(426, "This port speaks WebSocket: send \"Upgrade: websocket\" and a key.\n",
                    "Upgrade: websocket\r\n");
    }
    stream_.unread(ByteSpan(buffer_).first(received_));
    finish(parser_.release());
  }

  void refuse(int status, const std::string& body, std::string_view extra_headers = {}) {
    if (finished_) return;
    answer_and_close(stream_, status, body, extra_headers);
    finish({});
  }

  void end_gently() {
    stream_.close_gently({});
    finish({});
  }

  void finish(std::optional<UpgradeHead> head) {
    if (finished_) return;
    finished_ = true;
    timer_.cancel();
    const OnDone on_done = std::move(on_done_);
    on_done(shared_from_this(), std::move(head));
  }

  ByteStream stream_;
  asio::steady_timer timer_;
  OnDone on_done_;
  std::function<std::optional<Bytes>(std::string_view)> files_;
  http::request_parser<http::empty_body> parser_;
  Bytes buffer_;
  std::size_t received_ = 0;  ///< bytes at the front of buffer_ that the parser has not taken
  bool begun_ = false;        ///< some of the request has arrived
  bool shaking_hands_ = false;
  bool finished_ = false;
};

class WebSocketServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(OnUpgrade on_upgrade, WebSocketServerOptions options)
      : on_upgrade_(std::move(on_upgrade)), options_(std::move(options)) {}

  Result<void> listen(asio::io_context& io, std::string_view address) {
    WA_TRY(listener_, Listener::open(io, address, [weak = weak_from_this()](Socket socket) {
             if (const auto self = weak.lock()) self->on_socket(std::move(socket));
           }));
    return {};
  }

  std::uint16_t port() const { return listener_->port(); }
  std::size_t pending() const { return readers_.size(); }

  void stop() {
    stopped_ = true;
    listener_->stop();
    const auto readers = std::exchange(readers_, {});
    for (const auto& reader : readers) reader->cut();
  }

 private:
  void on_socket(Socket socket) {
    auto reader = std::make_shared<HeadReader>(
        ByteStream(std::move(socket)), [weak = weak_from_this()](const auto& done, auto head) {
          if (const auto self = weak.lock()) self->on_head(done, std::move(head));
        });
    readers_.insert(reader);
    reader->start(options_);
  }

  void on_head(const std::shared_ptr<HeadReader>& reader, std::optional<UpgradeHead> head) {
    readers_.erase(reader);
    if (!head || stopped_) return;
    on_upgrade_(
        UpgradeRequest(std::make_shared<UpgradeRequest::Impl>(reader->stream(), std::move(*head))));
  }

  OnUpgrade on_upgrade_;
  WebSocketServerOptions options_;
  std::shared_ptr<Listener> listener_;
  std::unordered_set<std::shared_ptr<HeadReader>> readers_;
  bool stopped_ = false;
};

WebSocketServer::WebSocketServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebSocketServer::~WebSocketServer() {
  stop();
}

Result<std::unique_ptr<WebSocketServer>> WebSocketServer::listen(asio::io_context& io,
                                                                 std::string_view address,
                                                                 OnUpgrade on_upgrade,
                                                                 WebSocketServerOptions options) {
  auto impl = std::make_shared<Impl>(std::move(on_upgrade), std::move(options));
  WA_TRY_VOID(impl->listen(io, address));
  return std::unique_ptr<WebSocketServer>(new WebSocketServer(std::move(impl)));
}

std::uint16_t WebSocketServer::port() const {
  return impl_->port();
}
std::size_t WebSocketServer::upgrading() const {
  return impl_->pending();
}
void WebSocketServer::stop() {
  impl_->stop();
}

}  // namespace wa::net

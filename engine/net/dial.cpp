#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/status.hpp>

#include "engine/net/websocket_impl.hpp"

namespace wa::net {
namespace asio = boost::asio;

std::string_view to_string(DialPhase phase) {
  switch (phase) {
    case DialPhase::resolve: return "resolve";
    case DialPhase::connect: return "connect";
    case DialPhase::proxy: return "proxy";
    case DialPhase::tls: return "tls";
    case DialPhase::upgrade: return "upgrade";
  }
  return "unknown";
}

namespace {

/// A header that would break out of its line, or out of its name.
bool header_is_safe(const std::pair<std::string, std::string>& header) {
  const auto& [name, value] = header;
  const auto breaks_value = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  const auto breaks_name = [](char c) { return c <= ' ' || c == ':' || c == 0x7f; };
  return !name.empty() && std::none_of(name.begin(), name.end(), breaks_name) &&
         std::none_of(value.begin(), value.end(), breaks_value);
}

std::string host_header(const Url& url) {
  const bool is_v6 = url.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + url.host + "]" : url.host;
  const bool is_default_port = url.port == (url.tls ? 443 : 80);
  return is_default_port ? host : host + ":" + std::to_string(url.port);
}

/// "20 s", "1500 ms".
std::string in_words(Duration time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

/// resolve → connect (each address in turn) → upgrade → finished. Cancelling and the timeout close
/// whatever the current phase waits for; its handler then finds `finished_`.
class Dial::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, Url url, DialOptions options, Done done)
      : resolver_(io.get_executor()),
        socket_(io.get_executor()),
        timer_(io.get_executor()),
        url_(std::move(url)),
        options_(std::move(options)),
        done_(std::move(done)) {}

  void start() {
    timer_.expires_after(options_.timeout);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->fail("timed out after " + in_words(self->options_.timeout));
    });
    error_code ec;
    const auto address = asio::ip::make_address(url_.host, ec);
    if (!ec) {
      const auto one = Tcp::resolver::results_type::create(Tcp::endpoint(address, url_.port),
                                                           url_.host, std::to_string(url_.port));
      // Posted, so that no callback runs inside the constructor.
      asio::post(socket_.get_executor(),
                 [self = shared_from_this(), one] { self->on_resolved({}, one); });
      return;
    }
    resolver_.async_resolve(url_.host, std::to_string(url_.port), Tcp::resolver::numeric_service,
                            [self = shared_from_this()](error_code error, auto results) {
                              self->on_resolved(error, std::move(results));
                            });
  }

  void cancel() {
    if (finished_) return;
    finish();
  }

 private:
  void on_resolved(error_code ec, Tcp::resolver::results_type results) {
    if (finished_) return;
    if (ec) return fail(url_.host + ": " + ec.message());
    addresses_ = std::move(results);
    next_ = addresses_.begin();
    phase_ = DialPhase::connect;
    connect_next(asio::error::host_not_found);
  }

  void connect_next(error_code last) {
    if (next_ == addresses_.end()) return fail(to_string(tried_) + ": " + last.message());
    tried_ = next_->endpoint();
    ++next_;
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(tried_,
                          [self = shared_from_this()](error_code ec) { self->on_connected(ec); });
  }

  void on_connected(error_code ec) {
    if (finished_) return;
    if (ec) return connect_next(ec);
    if (url_.tls) {
      phase_ = DialPhase::tls;
      return fail("TLS is not built in yet; use a ws:// URL");
    }
    phase_ = DialPhase::upgrade;
    for (const auto& header : options_.headers) {
      if (!header_is_safe(header)) return fail("the header \"" + header.first + "\" is not valid");
    }
    stream_.emplace(ByteStream(std::move(socket_)));
    stream_->handshake(host_header(url_), url_.target, std::move(options_.headers),
                       [self = shared_from_this()](error_code error, std::optional<int> status) {
                         self->on_upgraded(error, status);
                       });
  }

  void on_upgraded(error_code ec, std::optional<int> status) {
    if (finished_) return;
    if (status) {
      const auto reason =
          boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(unsigned(*status)));
      return fail("HTTP " + std::to_string(*status) + " " + std::string(reason), status);
    }
    if (ec == asio::error::eof || ec == boost::beast::http::error::end_of_stream) {
      return fail("the server closed the connection");
    }
    if (ec) return fail(ec.message());
    WebSocketPtr socket = make_websocket(std::move(*stream_));
    stream_.reset();
    call(std::move(socket));
  }

  void fail(std::string detail, std::optional<int> status = {}) {
    if (finished_) return;
    call(DialFailure{phase_, status, std::move(detail)});
  }

  void call(std::variant<WebSocketPtr, DialFailure> outcome) {
    const Done done = std::move(done_);
    finish();
    done(std::move(outcome));
  }

  void finish() {
    finished_ = true;
    done_ = nullptr;
    timer_.cancel();
    resolver_.cancel();
    error_code ignored;
    socket_.close(ignored);
    if (stream_) stream_->bytes().close();
  }

  Tcp::resolver resolver_;
  Socket socket_;
  asio::steady_timer timer_;
  Url url_;
  DialOptions options_;
  Done done_;
  DialPhase phase_ = DialPhase::resolve;
  Tcp::resolver::results_type addresses_;
  Tcp::resolver::results_type::iterator next_;
  Tcp::endpoint tried_;
  std::optional<WebSocketStream> stream_;
  bool finished_ = false;
};

Dial::Dial(asio::io_context& io, const Url& url, DialOptions options, Done done)
    : impl_(std::make_shared<Impl>(io, url, std::move(options), std::move(done))) {
  impl_->start();
}

Dial::~Dial() {
  impl_->cancel();
}

}  // namespace wa::net

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/status.hpp>

#include "engine/net/proxy.hpp"
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

/// resolve → connect (each address in turn) → [proxy] → [tls] → upgrade → finished. With a proxy it
/// is the proxy that is resolved and connected to, in phase `proxy`. Cancelling and the timeout
/// close whatever the current phase waits for; its handler then finds `finished_`.
class Dial::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, Url url, DialOptions options, Done done)
      : io_(io),
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
    // Posted, so that no callback runs inside the constructor.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->begin(); });
  }

  void cancel() {
    if (finished_) return;
    finish();
  }

 private:
  void begin() {
    if (finished_) return;
    for (const auto& header : options_.headers) {
      if (!header_is_safe(header)) {
        phase_ = DialPhase::upgrade;
        return fail("the header \"" + header.first + "\" is not valid");
      }
    }
    if (options_.proxy.empty()) return resolve(url_.host, url_.port);
    phase_ = DialPhase::proxy;
    auto proxy = Proxy::parse(options_.proxy);
    if (!proxy) return fail(proxy.error().detail);
    proxy_name_ = proxy->host + ":" + std::to_string(proxy->port);
    auto handshake = ProxyHandshake::begin(*proxy, url_.host, url_.port);
    if (!handshake) return fail(handshake.error().detail);
    proxy_ = std::move(*handshake);
    resolve(proxy->host, proxy->port);
  }

  void resolve(const std::string& host, std::uint16_t port) {
    error_code ec;
    const auto address = asio::ip::make_address(host, ec);
    if (!ec) return connect({Tcp::endpoint(address, port)});
    if (!options_.resolver) own_resolver_ = system_resolver(io_);
    Resolver& resolver = options_.resolver ? *options_.resolver : *own_resolver_;
    lookup_ = resolver.resolve(
        host, [weak = weak_from_this(), host, port](Result<std::vector<std::string>> found) {
          if (const auto self = weak.lock()) self->on_resolved(host, port, found);
        });
  }

  void on_resolved(const std::string& host, std::uint16_t port,
                   const Result<std::vector<std::string>>& found) {
    if (finished_) return;
    if (!found) return fail(host + ": " + found.error().detail);
    std::vector<Tcp::endpoint> endpoints;
    for (const std::string& text : *found) {
      error_code ec;
      const auto address = asio::ip::make_address(text, ec);
      if (!ec) endpoints.emplace_back(address, port);
    }
    connect(std::move(endpoints));
  }

  void connect(std::vector<Tcp::endpoint> endpoints) {
    if (phase_ == DialPhase::resolve) phase_ = DialPhase::connect;
    endpoints_ = std::move(endpoints);
    connect_next(asio::error::host_not_found);
  }

  void connect_next(error_code last) {
    if (tried_ == endpoints_.size()) {
      const std::string at = endpoints_.empty() ? url_.host : to_string(endpoints_.back());
      return fail(at + ": " + last.message());
    }
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(endpoints_[tried_++],
                          [self = shared_from_this()](error_code ec) { self->on_connected(ec); });
  }

  void on_connected(error_code ec) {
    if (finished_) return;
    if (ec) return connect_next(ec);
    bytes_.emplace(std::move(socket_));
    if (!proxy_) return secure();
    send_to_proxy(proxy_->request());
    read_from_proxy();
  }

  // ---- the proxy ----

  void send_to_proxy(Bytes request) {
    if (request.empty()) return;
    auto kept = std::make_shared<const Bytes>(std::move(request));
    // A failure to write shows in the read, too, and there an answer that came first is seen.
    bytes_->write_all(*kept, [self = shared_from_this(), kept](error_code, std::size_t) {});
  }

  void read_from_proxy() {
    bytes_->async_read_some(asio::buffer(from_proxy_),
                            [self = shared_from_this()](error_code ec, std::size_t count) {
                              self->on_proxy_answer(ec, count);
                            });
  }

  void on_proxy_answer(error_code ec, std::size_t count) {
    if (finished_) return;
    if (ec == asio::error::eof) return fail("it closed the connection");
    if (ec) return fail(ec.message());
    Bytes next = proxy_->feed(ByteSpan(from_proxy_).first(count));
    if (const auto& failure = proxy_->failure()) return fail(failure->detail, failure->http_status);
    if (proxy_->done()) return secure();
    send_to_proxy(std::move(next));
    read_from_proxy();
  }

  // ---- the server ----

  void secure() {
    if (!url_.tls) return upgrade();
    phase_ = DialPhase::tls;
    const auto trust = TlsTrust::of(options_.tls_ca_pem);
    if (!trust) return fail(trust.error().detail);
    bytes_->secure(*trust, url_.host, [self = shared_from_this()](Result<void> secured) {
      if (self->finished_) return;
      secured ? self->upgrade() : self->fail(secured.error().detail);
    });
  }

  void upgrade() {
    phase_ = DialPhase::upgrade;
    stream_.emplace(*bytes_);
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
    bytes_.reset();  // it is the socket's now
    stream_.reset();
    call(std::move(socket));
  }

  // ---- the end ----

  void fail(std::string detail, std::optional<int> status = {}) {
    if (finished_) return;
    if (phase_ == DialPhase::proxy && !proxy_name_.empty()) {
      detail = "the proxy " + proxy_name_ + ": " + detail;
    }
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
    lookup_.reset();
    error_code ignored;
    socket_.close(ignored);
    if (bytes_) bytes_->close();
  }

  asio::io_context& io_;
  std::unique_ptr<Resolver> own_resolver_;
  Resolver::Lookup lookup_;
  Socket socket_;
  asio::steady_timer timer_;
  Url url_;
  DialOptions options_;
  Done done_;
  DialPhase phase_ = DialPhase::resolve;
  std::vector<Tcp::endpoint> endpoints_;
  std::size_t tried_ = 0;  ///< of endpoints_
  std::string proxy_name_;
  std::unique_ptr<ProxyHandshake> proxy_;
  std::array<std::byte, 1024> from_proxy_;
  std::optional<ByteStream> bytes_;
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

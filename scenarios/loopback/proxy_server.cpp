#include "scenarios/loopback/proxy_server.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <optional>
#include <unordered_set>

#include "engine/base/bytes.hpp"

namespace wa::loopback {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxRequestBytes = 16 * 1024;
constexpr std::byte kSocksVersion{5};

struct Target {
  std::string host;
  std::string port;
};

/// "mock.test:443", "[::1]:443".
std::optional<Target> target_of(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return {};
  std::string_view host = authority.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return Target{std::string(host), std::string(authority.substr(colon + 1))};
}

/// One client: its request is read, then bytes are carried both ways.
class Tunnel : public std::enable_shared_from_this<Tunnel> {
 public:
  using Behaviour = ProxyServer::Behaviour;
  struct Owner {
    Behaviour behaviour = Behaviour::forward;
    std::uint64_t connections = 0;
    std::uint64_t tunnels = 0;
    std::unordered_set<std::shared_ptr<Tunnel>> clients;
  };

  Tunnel(tcp::socket socket, std::shared_ptr<Owner> owner)
      : client_(std::move(socket)),
        server_(client_.get_executor()),
        resolver_(client_.get_executor()),
        owner_(std::move(owner)) {}

  void start() { read(); }

  void end() {
    if (std::exchange(ended_, true)) return;
    resolver_.cancel();
    for (tcp::socket* socket : {&client_, &server_}) {
      error_code ignored;
      socket->close(ignored);
    }
    owner_->clients.erase(shared_from_this());
  }

 private:
  enum class Step { request, socks_login, socks_target };

  void read() {
    client_.async_read_some(asio::buffer(there_),
                            [self = shared_from_this()](error_code ec, std::size_t count) {
                              if (self->ended_) return;
                              if (ec || self->request_.size() > kMaxRequestBytes)
                                return self->end();
                              append(self->request_, ByteSpan(self->there_).first(count));
                              self->on_request();
                            });
  }

  void on_request() {
    if (hanging_) return read();  // until the client goes
    socks_ = request_[0] == kSocksVersion || step_ != Step::request;
    socks_ ? on_socks() : on_http();
  }

  // ---- HTTP ----

  void on_http() {
    const std::string_view text = as_text(request_);
    if (text.find("\r\n\r\n") == std::string_view::npos) return read();
    constexpr std::string_view kVerb = "CONNECT ";
    const std::size_t end = text.find(' ', kVerb.size());
    if (!text.starts_with(kVerb) || end == std::string_view::npos) {
      return answer_and_end("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    }
    const auto target = target_of(text.substr(kVerb.size(), end - kVerb.size()));
    if (!target) return answer_and_end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    forward(*target);
  }

  // ---- SOCKS5 ----

  void on_socks() {
    switch (step_) {
      case Step::request: return on_methods();
      case Step::socks_login: return on_login();
      case Step::socks_target: return on_target();
    }
  }

  void on_methods() {
    if (request_.size() < 2) return read();
    const std::size_t count = std::to_integer<std::size_t>(request_[1]);
    if (request_.size() < 2 + count) return read();
    bool login = false;
    for (std::size_t i = 0; i < count; ++i) login |= request_[2 + i] == std::byte{2};
    take(2 + count);
    step_ = login ? Step::socks_login : Step::socks_target;
    say(Bytes{kSocksVersion, login ? std::byte{2} : std::byte{0}});
    request_.empty() ? read() : on_socks();
  }

  void on_login() {
    if (request_.size() < 2) return read();
    const std::size_t user = std::to_integer<std::size_t>(request_[1]);
    if (request_.size() < 3 + user) return read();
    const std::size_t password = std::to_integer<std::size_t>(request_[2 + user]);
    if (request_.size() < 3 + user + password) return read();
    take(3 + user + password);
    step_ = Step::socks_target;
    say(Bytes{std::byte{1}, std::byte{0}});
    request_.empty() ? read() : on_socks();
  }

  void on_target() {
    if (request_.size() < 5) return read();
    const int type = std::to_integer<int>(request_[3]);
    const std::size_t name = std::to_integer<std::size_t>(request_[4]);
    if (type != 1 && type != 3 && type != 4) return answer_and_end(socks_reply(8));
    const std::size_t size = type == 1 ? 4 : type == 4 ? 16 : 1 + name;
    if (request_.size() < 4 + size + 2) return read();
    const ByteSpan address = ByteSpan(request_).subspan(4, size);
    Target target;
    target.port = std::to_string(read_big_endian(ByteSpan(request_).subspan(4 + size, 2)));
    if (type == 3) {
      target.host = as_text(address.subspan(1));
    } else if (type == 1) {
      target.host = address_text<asio::ip::address_v4>(address);
    } else {
      target.host = address_text<asio::ip::address_v6>(address);
    }
    forward(target);
  }

  template <class Address>
  static std::string address_text(ByteSpan bytes) {
    typename Address::bytes_type raw;
    std::memcpy(raw.data(), bytes.data(), raw.size());
    return Address(raw).to_string();
  }

  void take(std::size_t count) {
    request_.erase(request_.begin(), request_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  // ---- the tunnel ----

  void forward(const Target& target) {
    switch (owner_->behaviour) {
      case Behaviour::forward: break;
      case Behaviour::hang: hanging_ = true; return read();
      case Behaviour::drop: return end();
      case Behaviour::refuse:
        return answer_and_end(socks_ ? socks_reply(2)
                                     : "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    resolver_.async_resolve(
        target.host, target.port,
        [self = shared_from_this()](error_code ec, const tcp::resolver::results_type& found) {
          if (self->ended_) return;
          if (ec) return self->on_unreachable();
          // Never from inside this machine to elsewhere: only loopback is ever forwarded to.
          const tcp::endpoint to = found.begin()->endpoint();
          if (!to.address().is_loopback()) return self->on_unreachable();
          self->server_.async_connect(to, [self](error_code failed) {
            if (self->ended_) return;
            failed ? self->on_unreachable() : self->on_connected();
          });
        });
  }

  void on_unreachable() {
    answer_and_end(socks_ ? socks_reply(4)
                          : "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  }

  void on_connected() {
    ++owner_->tunnels;
    error_code ignored;
    client_.set_option(tcp::no_delay(true), ignored);
    server_.set_option(tcp::no_delay(true), ignored);
    say(to_bytes(socks_ ? socks_reply(0) : "HTTP/1.1 200 Connection established\r\n\r\n"));
    carry(client_, server_, there_);
    carry(server_, client_, back_);
  }

  static std::string socks_reply(int code) {
    std::string reply("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
    reply[1] = static_cast<char>(code);
    return reply;
  }

  /// Small answers always fit into the kernel's buffer.
  void say(const Bytes& bytes) {
    error_code ignored;  // a client that has gone shows in the next read
    client_.write_some(asio::buffer(bytes), ignored);
  }

  void answer_and_end(const std::string& answer) {
    say(to_bytes(answer));
    error_code ignored;
    client_.shutdown(tcp::socket::shutdown_send, ignored);
    hanging_ = true;
    read();
  }

  void carry(tcp::socket& from, tcp::socket& to, std::array<std::byte, 16384>& buffer) {
    from.async_read_some(asio::buffer(buffer), [self = shared_from_this(), &from, &to, &buffer](
                                                   error_code ec, std::size_t count) {
      if (self->ended_) return;
      if (ec == asio::error::eof) return self->on_half_closed(to);
      if (ec) return self->end();
      asio::async_write(to, asio::buffer(buffer, count),
                        [self, &from, &to, &buffer](error_code failed, std::size_t) {
                          if (self->ended_) return;
                          failed ? self->end() : self->carry(from, to, buffer);
                        });
    });
  }

  void on_half_closed(tcp::socket& to) {
    error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
    if (std::exchange(half_closed_, true)) end();
  }

  tcp::socket client_;
  tcp::socket server_;
  tcp::resolver resolver_;
  std::shared_ptr<Owner> owner_;
  Bytes request_;
  std::array<std::byte, 16384> there_{};
  std::array<std::byte, 16384> back_{};
  Step step_ = Step::request;
  bool socks_ = false;
  bool hanging_ = false;
  bool half_closed_ = false;
  bool ended_ = false;
};

}  // namespace

class ProxyServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(asio::io_context& io) : acceptor_(io), owner(std::make_shared<Tunnel::Owner>()) {}

  Result<void> listen() {
    error_code ec;
    acceptor_.open(tcp::v4(), ec);
    if (!ec) acceptor_.bind({asio::ip::address_v4::loopback(), 0}, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) port = acceptor_.local_endpoint(ec).port();
    if (ec) return Error{Errc::environment, "cannot listen for a proxy: " + ec.message()};
    accept();
    return {};
  }

  void stop() {
    error_code ignored;
    acceptor_.close(ignored);
    while (!owner->clients.empty()) {
      const auto client = *owner->clients.begin();
      client->end();
    }
  }

 private:
  void accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code ec, tcp::socket socket) {
      if (!self->acceptor_.is_open()) return;
      if (!ec) {
        ++self->owner->connections;
        auto client = std::make_shared<Tunnel>(std::move(socket), self->owner);
        self->owner->clients.insert(client);
        client->start();
      }
      self->accept();
    });
  }

  tcp::acceptor acceptor_;

 public:
  const std::shared_ptr<Tunnel::Owner> owner;
  std::uint16_t port = 0;
};

ProxyServer::ProxyServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProxyServer::~ProxyServer() {
  stop();
}

Result<std::unique_ptr<ProxyServer>> ProxyServer::start(asio::io_context& io) {
  auto impl = std::make_shared<Impl>(io);
  WA_TRY_VOID(impl->listen());
  return std::unique_ptr<ProxyServer>(new ProxyServer(std::move(impl)));
}

void ProxyServer::set(Behaviour behaviour) {
  impl_->owner->behaviour = behaviour;
}
std::string ProxyServer::url(std::string_view scheme) const {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(impl_->port);
}
std::uint64_t ProxyServer::connections() const {
  return impl_->owner->connections;
}
std::uint64_t ProxyServer::tunnels() const {
  return impl_->owner->tunnels;
}
std::size_t ProxyServer::open() const {
  return impl_->owner->clients.size();
}
void ProxyServer::stop() {
  impl_->stop();
}

}  // namespace wa::loopback

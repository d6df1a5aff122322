#include "engine/net/listener.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>

namespace wa::net {
namespace asio = boost::asio;

namespace {

constexpr auto kAcceptPause = std::chrono::milliseconds(100);

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};

Result<HostAndPort> split(std::string_view address) {
  const Error wrong{Errc::usage, "address \"" + std::string(address) +
                                     "\": expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:0"};
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  // An IPv6 address without brackets could swallow the port.
  if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) return wrong;

  HostAndPort parts{std::string(host)};
  const auto [stop, failed] = std::from_chars(port.data(), port.data() + port.size(), parts.port);
  if (failed != std::errc() || stop != port.data() + port.size()) return wrong;
  return parts;
}

Result<Tcp::endpoint> resolve(asio::io_context& io, const HostAndPort& parts) {
  error_code ec;
  const auto address = asio::ip::make_address(parts.host, ec);
  if (!ec) return Tcp::endpoint(address, parts.port);
  // Blocks, but only while a program starts, and only for names.
  Tcp::resolver resolver(io);
  const auto results =
      resolver.resolve(parts.host, std::to_string(parts.port), Tcp::resolver::passive, ec);
  if (ec || results.empty()) {
    return Error{Errc::environment, "cannot resolve \"" + parts.host + "\": " + ec.message()};
  }
  return results.begin()->endpoint();
}

}  // namespace

Result<std::shared_ptr<Listener>> Listener::open(asio::io_context& io, std::string_view address,
                                                 OnSocket on_socket) {
  WA_TRY(const HostAndPort parts, split(address));
  WA_TRY(const Tcp::endpoint endpoint, resolve(io, parts));
  auto listener = std::make_shared<Listener>(io, std::move(on_socket));
  WA_TRY_VOID(listener->bind(endpoint));
  listener->accept();
  return listener;
}

Listener::Listener(asio::io_context& io, OnSocket on_socket)
    : acceptor_(io.get_executor()), pause_(io.get_executor()), on_socket_(std::move(on_socket)) {}

Result<void> Listener::bind(const Tcp::endpoint& endpoint) {
  error_code ec;
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) port_ = acceptor_.local_endpoint(ec).port();
  if (ec) {
    return Error{Errc::environment,
                 "cannot listen on " + to_string(endpoint) + ": " + ec.message()};
  }
  return {};
}

void Listener::accept() {
  acceptor_.async_accept([self = shared_from_this()](error_code ec, Socket socket) {
    if (!self->acceptor_.is_open()) return;
    if (!ec) {
      self->on_socket_(std::move(socket));
      if (!self->acceptor_.is_open()) return;
    }
    if (!ec || ec == asio::error::connection_aborted) return self->accept();
    // Out of descriptors or memory. Trying again at once would burn the processor.
    self->pause_.expires_after(kAcceptPause);
    self->pause_.async_wait([self](error_code cancelled) {
      if (!cancelled && self->acceptor_.is_open()) self->accept();
    });
  });
}

void Listener::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace wa::net

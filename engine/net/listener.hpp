#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "engine/net/byte_stream.hpp"

namespace wa::net {

/// Accepts TCP connections until it is stopped. Internal to engine/net.
///
/// When the process runs out of file descriptors it pauses for 100 ms and goes on: clients wait in
/// the kernel's queue meanwhile.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using OnSocket = std::function<void(Socket)>;

  /// `address` is "HOST:PORT", HOST an IPv4 address, an IPv6 address in brackets or a name.
  /// Errors: `usage` (not of this form), `environment` (cannot be listened on).
  static Result<std::shared_ptr<Listener>> open(boost::asio::io_context& io,
                                                std::string_view address, OnSocket on_socket);

  Listener(boost::asio::io_context& io, OnSocket on_socket);
  std::uint16_t port() const { return port_; }
  void stop();

 private:
  Result<void> bind(const Tcp::endpoint& endpoint);
  void accept();

  boost::asio::basic_socket_acceptor<Tcp, IoExecutor> acceptor_;
  boost::asio::steady_timer pause_;
  OnSocket on_socket_;
  std::uint16_t port_ = 0;
};

}  // namespace wa::net

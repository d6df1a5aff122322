#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::loopback {

/// A forwarding proxy on 127.0.0.1: HTTP CONNECT and SOCKS5 on one port, told apart by the first
/// byte. Any login is good. Everything runs on the io_context.
class ProxyServer {
 public:
  /// What becomes of requests from now on; tunnels that stand are left alone.
  enum class Behaviour {
    forward,
    refuse,  ///< HTTP 403; SOCKS5 code 2
    hang,    ///< no answer
    drop,    ///< FIN instead of an answer
  };

  /// Errors: `environment`.
  static Result<std::unique_ptr<ProxyServer>> start(boost::asio::io_context& io);
  ~ProxyServer();

  void set(Behaviour behaviour);
  /// "http://127.0.0.1:PORT"; `scheme` is http or socks5.
  std::string url(std::string_view scheme) const;
  /// Connections so far, and those of them for which a tunnel was made.
  std::uint64_t connections() const;
  std::uint64_t tunnels() const;
  /// Connections that are open now.
  std::size_t open() const;
  /// Cuts everything; nothing happens afterwards.
  void stop();

 private:
  class Impl;
  explicit ProxyServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::loopback

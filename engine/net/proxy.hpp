#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.hpp"

namespace wa::net {

/// Where a proxy is, and what it wants to know of us.
struct Proxy {
  enum class Kind { http, socks5 };
  struct Login {
    std::string user;
    std::string password;
    bool operator==(const Login&) const = default;
  };
  Kind kind = Kind::http;
  std::string host;
  std::uint16_t port = 0;
  std::optional<Login> login;

  /// "http://[USER:PASSWORD@]HOST:PORT" (CONNECT) or "socks5://…". User and password are
  /// percent-decoded once.
  /// Errors: `usage`, naming the part that is wrong, but no part of a password.
  static Result<Proxy> parse(std::string_view url);
};

/// Asks a proxy for a tunnel: what arrives goes in, what is to be sent comes out. Knows no sockets.
///
/// Send request(); then feed() what arrives, send what each call returns, until done().
class ProxyHandshake {
 public:
  struct Failure {
    std::optional<int> http_status;
    std::string detail;
  };
  /// A tunnel to `host` (a name, which the proxy resolves, or an IP address) and `port`.
  /// Errors: `usage` (SOCKS5 cannot carry such a name).
  static Result<std::unique_ptr<ProxyHandshake>> begin(const Proxy& proxy, const std::string& host,
                                                       std::uint16_t port);
  virtual ~ProxyHandshake() = default;

  virtual Bytes request() const = 0;
  /// What to send next, often nothing. Nothing may be fed after a failure or the end.
  Bytes feed(ByteSpan received);
  bool done() const { return done_; }
  const std::optional<Failure>& failure() const { return failure_; }

 protected:
  /// Takes what is whole off the front of received_.
  virtual Bytes advance() = 0;
  Bytes fail(std::string detail, std::optional<int> http_status = {});

  Bytes received_;
  bool done_ = false;

 private:
  std::optional<Failure> failure_;
};

}  // namespace wa::net

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"
#include "engine/net/resolver.hpp"
#include "engine/net/tls_context.hpp"

namespace boost::asio {
class io_context;
}

/// WebSockets over ByteStream, client and server, binary messages only. Knows no session and no
/// Noise. Everything runs on the io_context's one thread; callbacks never run inside a call.
namespace wa::net {

/// How a connection is to be ended.
enum class CloseHow {
  normal,  ///< a WebSocket close frame (1000), then FIN
  fin,     ///< FIN without a close frame: the peer sees an end of file (1006)
  rst,     ///< a reset; bytes in flight are lost
};

/// How a connection did end.
struct ClosedInfo {
  std::optional<std::uint16_t> code;  ///< of the peer's close frame, if there was one
  bool by_us = false;                 ///< we called close()
  std::string detail;                 ///< for humans: "end of file", "connection reset", …
};

/// One WebSocket after its upgrade. Handles are shared: the object lives until it is closed and the
/// last handle is gone; dropping all handles of an open one closes it with FIN. Once the last
/// handle is dropped no callback runs any more, so callbacks may point at the handle's owner. Who
/// wants to hear of on_closed keeps a handle until then.
class WebSocket {
 public:
  struct Events {
    std::function<void(ByteSpan)> on_message;          ///< one binary message
    std::function<void(const ClosedInfo&)> on_closed;  ///< exactly once; nothing comes after it
  };
  class Impl;

  explicit WebSocket(std::shared_ptr<Impl> impl);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  /// Begins to read. Call once.
  void start(Events events);
  /// Queues one binary message. Above limits::kMaxSendQueueBytes the connection is reset.
  void send(Bytes message);
  /// Queued messages are written first, except with `rst`. A peer that does not answer a close
  /// within 2 s is cut off. on_message does not run after this, on_closed does.
  void close(CloseHow how);
  /// Stops reading; bytes stay in the kernel (fault `blackhole`).
  void stop_reading();
  std::size_t queued_bytes() const;
  /// "127.0.0.1:43210".
  std::string remote() const;

 private:
  std::shared_ptr<Impl> impl_;
};
using WebSocketPtr = std::shared_ptr<WebSocket>;

/// A parsed ws:// or wss:// URL.
struct Url {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  std::string target;  ///< path and query, begins with '/'
  /// Errors: `usage`, naming the part that is wrong.
  static Result<Url> parse(std::string_view text);
};

/// Where a dial stopped.
/// With a proxy everything until its tunnel stands is `proxy`.
enum class DialPhase { resolve, connect, proxy, tls, upgrade };
std::string_view to_string(DialPhase phase);

struct DialFailure {
  DialPhase phase;
  std::optional<int> http_status;  ///< the upgrade, or the proxy's CONNECT, was refused with this
  std::string detail;              ///< for humans; no secrets
};

struct DialOptions {
  Duration timeout = std::chrono::seconds(20);  ///< for all phases together
  /// For wss://: certificates (PEM) that are trusted; empty: those of the system.
  std::string tls_ca_pem = {};
  /// As Proxy::parse takes it; empty: none. With one nothing is ever dialled directly, and names
  /// are resolved by the proxy.
  std::string proxy = {};
  /// Looks up names; outlives the dial. Null: the system's.
  Resolver* resolver = nullptr;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// A dial in progress. Destroying it cancels; its callback does not run then.
class Dial {
 public:
  using Done = std::function<void(std::variant<WebSocketPtr, DialFailure>)>;
  class Impl;
  Dial(boost::asio::io_context& io, const Url& url, DialOptions options, Done done);
  ~Dial();
  Dial(const Dial&) = delete;
  Dial& operator=(const Dial&) = delete;

 private:
  std::shared_ptr<Impl> impl_;
};

/// A client that asks for an upgrade. Exactly one of accept() and refuse() answers it; to leave it
/// hanging keep the object, and drop it to cut the connection.
class UpgradeRequest {
 public:
  class Impl;
  explicit UpgradeRequest(std::shared_ptr<Impl> impl);
  ~UpgradeRequest();
  UpgradeRequest(UpgradeRequest&&) noexcept;
  UpgradeRequest& operator=(UpgradeRequest&&) noexcept;

  const std::string& target() const;  ///< path and query
  std::string header(std::string_view name) const;
  std::string remote() const;

  /// Sends 101; `done` gets the socket, or nothing when the peer has gone.
  void accept(std::function<void(WebSocketPtr)> done);
  /// Sends a plain HTTP answer and closes.
  void refuse(int status, std::string body);

 private:
  std::shared_ptr<Impl> impl_;
};

struct WebSocketServerOptions {
  TlsChooser tls = {};  ///< empty: no TLS
  /// The body of a plain GET for this path and query; nothing: there is no such file.
  std::function<std::optional<Bytes>(std::string_view target)> files = {};
  /// For the TLS handshake and the head of the request together.
  Duration patience = std::chrono::seconds(20);
};

/// Listens for WebSocket clients, with and without TLS on the same port: a first byte 0x16 is TLS.
/// A plain GET is answered from `files`; any other HTTP request that asks for no upgrade gets 426.
class WebSocketServer {
 public:
  using OnUpgrade = std::function<void(UpgradeRequest)>;
  class Impl;

  /// `address` is "HOST:PORT"; port 0 takes a free one.
  /// Errors: `usage` (address), `environment` (port in use, no permission).
  static Result<std::unique_ptr<WebSocketServer>> listen(boost::asio::io_context& io,
                                                         std::string_view address,
                                                         OnUpgrade on_upgrade,
                                                         WebSocketServerOptions options = {});
  ~WebSocketServer();
  std::uint16_t port() const;
  /// Connections that have not sent their whole request yet, and those that TLS lets hang.
  std::size_t upgrading() const;
  /// Ends the listener and the connections counted by upgrading(); others live on.
  void stop();

 private:
  explicit WebSocketServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::net

#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/error.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/net/byte_stream.hpp"

namespace wa::net {

using UpgradeHead = boost::beast::http::request<boost::beast::http::empty_body>;

/// The request asks to become a WebSocket; whether it does so correctly shows in accept().
bool is_upgrade(const UpgradeHead& head);

/// The WebSocket protocol over a ByteStream. Internal to engine/net, and a wall: behind it stands
/// the only source file that names Beast's websocket::stream, which takes 20 s to compile.
///
/// One read, one write and one close may be in flight. Handlers keep their owner, and so this
/// object, alive.
class WebSocketStream {
 public:
  using OnDone = std::function<void(error_code)>;
  using OnCount = std::function<void(error_code, std::size_t)>;
  /// With the status when the server's answer was HTTP, but no upgrade.
  using OnHandshake = std::function<void(error_code, std::optional<int> status)>;

  explicit WebSocketStream(ByteStream bytes);
  WebSocketStream(WebSocketStream&&) noexcept;
  WebSocketStream& operator=(WebSocketStream&&) noexcept;
  ~WebSocketStream();

  /// The client's half: asks for the upgrade. `host` goes into the header of that name.
  void handshake(const std::string& host, const std::string& target,
                 std::vector<std::pair<std::string, std::string>> headers, OnHandshake on_done);
  /// The server's half: answers a head that was read already, with 101, or 400 and an error.
  void accept(const UpgradeHead& head, OnDone on_done);

  /// Some bytes of the current message; zero bytes only at its end.
  void read_some(std::span<std::byte> to, OnCount on_read);
  /// The last read reached the end of its message.
  bool message_done() const;
  /// One binary message; `message` must stay alive until the handler runs.
  void write(ByteSpan message, OnDone on_written);
  /// Sends a close frame (1000) and waits for the peer's.
  void close(OnDone on_done);

  /// After error::closed: what the peer's close frame said; 1005 when it had no code.
  std::uint16_t close_code() const;
  std::string close_reason() const;

  const ByteStream& bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::net

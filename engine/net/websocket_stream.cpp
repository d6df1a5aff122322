#include "engine/net/websocket_stream.hpp"

#include <algorithm>
#include <boost/beast/websocket/stream.hpp>

namespace wa::net {
namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

namespace {

/// A Noise frame and its head, with room to spare. A larger message fails the connection with 1009.
constexpr std::size_t kMaxMessageBytes = (std::size_t{1} << 24) + 16;
/// A client masks what it sends through a buffer: small when idle, larger for large messages.
constexpr std::size_t kSmallWriteBuffer = 512;
constexpr std::size_t kLargeWriteBuffer = 64 * 1024;

}  // namespace

bool is_upgrade(const UpgradeHead& head) {
  return websocket::is_upgrade(head);
}

struct WebSocketStream::Impl {
  explicit Impl(ByteStream stream) : bytes(stream), ws(std::move(stream)) {
    ws.binary(true);
    ws.auto_fragment(false);
    ws.write_buffer_bytes(kSmallWriteBuffer);
    ws.read_message_max(kMaxMessageBytes);
  }

  ByteStream bytes;
  websocket::stream<ByteStream, false> ws;  // false: permessage-deflate is not even compiled
};

WebSocketStream::WebSocketStream(ByteStream bytes)
    : impl_(std::make_unique<Impl>(std::move(bytes))) {}
WebSocketStream::WebSocketStream(WebSocketStream&&) noexcept = default;
WebSocketStream& WebSocketStream::operator=(WebSocketStream&&) noexcept = default;
WebSocketStream::~WebSocketStream() = default;

void WebSocketStream::handshake(const std::string& host, const std::string& target,
                                std::vector<std::pair<std::string, std::string>> headers,
                                OnHandshake on_done) {
  impl_->ws.set_option(websocket::stream_base::decorator(
      [headers = std::move(headers)](websocket::request_type& request) {
        for (const auto& [name, value] : headers) request.insert(name, value);
      }));
  auto answer = std::make_shared<websocket::response_type>();
  impl_->ws.async_handshake(
      *answer, host, target,
      [impl = impl_.get(), answer, on_done = std::move(on_done)](error_code ec) {
        impl->ws.set_option(websocket::stream_base::decorator([](websocket::request_type&) {}));
        std::optional<int> status;
        if (ec == websocket::error::upgrade_declined)
          status = static_cast<int>(answer->result_int());
        on_done(ec, status);
      });
}

void WebSocketStream::accept(const UpgradeHead& head, OnDone on_done) {
  impl_->ws.async_accept(head, std::move(on_done));
}

void WebSocketStream::read_some(std::span<std::byte> to, OnCount on_read) {
  impl_->ws.async_read_some(asio::buffer(to.data(), to.size()), std::move(on_read));
}

bool WebSocketStream::message_done() const {
  return impl_->ws.is_message_done();
}

void WebSocketStream::write(ByteSpan message, OnDone on_written) {
  impl_->ws.write_buffer_bytes(std::clamp(message.size(), kSmallWriteBuffer, kLargeWriteBuffer));
  impl_->ws.async_write(
      asio::buffer(message.data(), message.size()),
      [on_written = std::move(on_written)](error_code ec, std::size_t) { on_written(ec); });
}

void WebSocketStream::close(OnDone on_done) {
  impl_->ws.async_close(websocket::close_code::normal, std::move(on_done));
}

std::uint16_t WebSocketStream::close_code() const {
  const std::uint16_t code = impl_->ws.reason().code;
  return code == websocket::close_code::none ? std::uint16_t{websocket::close_code::no_status}
                                             : code;
}

std::string WebSocketStream::close_reason() const {
  const auto& reason = impl_->ws.reason().reason;
  return {reason.data(), reason.size()};
}

const ByteStream& WebSocketStream::bytes() const {
  return impl_->bytes;
}

}  // namespace wa::net

#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "engine/base/now.hpp"
#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "engine/protocol/wire/node_codec.hpp"

namespace wa::client {

/// The encrypted stream inside one socket: header, Noise handshake, certificate check, frames,
/// nodes. Bytes in → nodes out, nodes in → bytes out. Knows nothing of what the nodes mean.
///
///     hello()        ──── ED routing? · WA header · ClientHello ────▶
///     feed(), next() ◀──────────────── ServerHello ──────────────────
///       → Established ──────────────── ClientFinish ────────────────▶
///     feed(), next() ◀────────────────── nodes ──────────────────────
///     seal()         ─────────────────── nodes ──────────────────────▶
///
/// Every error is final: a stream whose frame could not be read or written must be dropped with its
/// socket, since the nonces of the two sides no longer agree.
///
/// Source: docs/protocol/transport.md.
class Stream {
 public:
  struct Config {
    crypto::PublicKey noise_root;  ///< every certificate chain must end here
    crypto::KeyPair static_key;
    Bytes payload;       ///< serialized ClientPayload
    Bytes routing_info;  ///< of the last login; empty: no ED prefix
  };
  Stream(Config config, Random& random);

  /// What goes into the socket first, in one message. Once.
  Bytes hello();

  void feed(ByteSpan bytes);

  /// The handshake is complete; these bytes complete it for the server.
  struct Established {
    Bytes client_finish;
  };
  using Item = std::variant<Established, wire::Frame>;

  /// What failed, beside the error: the consequences differ.
  enum class Failure {
    handshake,
    certificate,
    frame,    ///< cut or encrypted wrongly
    content,  ///< authentic, but not a node
  };

  /// The next item, or empty when more bytes are needed. After an error: `failure()`.
  Result<std::optional<Item>> next(UnixMillis wall);
  Failure failure() const { return failure_; }

  /// Frames may be as large as the protocol allows from now on; before login little is believed.
  void login_succeeded();

  /// Encrypts a node, appended to `out`. Only after Established. Errors: `too_large`.
  Result<void> seal(const wire::Node& node, Bytes& out);
  Result<void> seal(const wire::NodeBuilder& node, Bytes& out);

 private:
  struct Handshaking {
    noise::Initiator initiator;
    Config config;
  };
  struct Transport {
    noise::TransportCipher sealing;
    noise::TransportCipher opening;
  };

  Result<Established> on_server_hello(ByteSpan message, UnixMillis wall);
  Result<wire::Frame> on_frame(ByteSpan payload);
  template <class Node>
  Result<void> encode_and_seal(const Node& node, Bytes& out);

  wire::FrameSplitter splitter_;
  /// The handshake is large and soon over.
  std::variant<std::unique_ptr<Handshaking>, Transport> state_;
  Failure failure_ = Failure::handshake;
};

}  // namespace wa::client

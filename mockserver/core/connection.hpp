#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "engine/protocol/wire/node_codec.hpp"

namespace wa::mock {

/// The server's end of one WebSocket below the stanzas: client header, frames, Noise responder,
/// transport ciphers, node codec. Bytes in, things understood and bytes to send out; knows no
/// account, no clock and no fault.
///
/// Source: docs/protocol/transport.md.
class Connection {
 public:
  /// `certificate_chain` is sent in the ServerHello. `random` is used until the handshake is over.
  /// `ik`: what a client gets that resumes.
  Connection(const crypto::KeyPair& noise_static, Bytes certificate_chain, Random& random,
             noise::IkPolicy ik = noise::IkPolicy::accept);

  /// The client finished the handshake.
  struct HandshakeDone {
    noise::Pattern pattern = noise::Pattern::xx;
    crypto::PublicKey client_static;
    Bytes payload;  ///< serialized ClientPayload
    noise::SymmetricState::Keys keys{};
  };
  /// A stanza of the client.
  struct NodeReceived {
    wire::Frame frame;
  };
  /// The ServerHello, ready to be sent as one WebSocket message, of its own.
  struct SendHello {
    Bytes message;
    ByteArray<32> client_ephemeral{};
  };
  /// The connection is to be closed. `rule` is the violation rule that the peer broke; empty when
  /// it did nothing wrong and is refused all the same.
  struct Broken {
    std::string rule;
    Error error;
  };
  using Output = std::variant<SendHello, HandshakeDone, NodeReceived, Broken>;

  /// The sealed transport frames that are opened in the place of one that arrived, in order.
  using FrameHook = std::function<std::vector<Bytes>(Bytes payload)>;

  /// After a Broken nothing more comes out, whatever is fed. `arrived` is shown every transport
  /// frame before it is opened.
  std::vector<Output> receive(ByteSpan bytes, const FrameHook& arrived = {});

  /// One frame around one node, ready to be sent as one WebSocket message. Only after the
  /// handshake.
  Result<Bytes> seal(const wire::NodeBuilder& node);
  /// The same around a plaintext that somebody else encoded.
  Result<Bytes> seal(ByteSpan plaintext);

  /// Another chain for the ServerHello, which has not been sent.
  void set_certificate_chain(Bytes chain) { certificate_chain_ = std::move(chain); }

  bool handshake_done() const { return receive_cipher_.has_value(); }
  /// From the client's header; 3 until it arrived.
  wire::Dictionary dictionary() const { return dictionary_; }
  /// After login frames may be as large as the protocol allows.
  void set_max_frame_bytes(std::size_t bytes) { splitter_.set_max_frame_bytes(bytes); }

  std::uint64_t frames_in() const { return frames_in_; }
  std::uint64_t frames_out() const { return frames_out_; }

 private:
  /// True once the header was taken off the front of `header_`.
  Result<bool> take_header();
  Result<void> on_frame(Bytes payload, std::vector<Output>& outputs);
  HandshakeDone handshake_ends(noise::Responder::ClientAnswer client);
  /// Says of a frame that does not authenticate whether it does so with another counter.
  Error explain(Error failure, ByteSpan payload) const;

  crypto::KeyPair noise_static_;
  Bytes certificate_chain_;
  Random& random_;
  noise::IkPolicy ik_;

  Bytes header_;  ///< bytes before the first frame
  bool header_taken_ = false;
  wire::Dictionary dictionary_ = wire::Dictionary::v3;
  wire::FrameSplitter splitter_;
  std::optional<noise::Responder> responder_;
  bool hello_sent_ = false;
  noise::Pattern pattern_ = noise::Pattern::xx;
  ByteArray<32> receive_key_{};
  std::optional<noise::TransportCipher> receive_cipher_;
  std::optional<noise::TransportCipher> send_cipher_;
  bool broken_ = false;
  std::uint64_t frames_in_ = 0;
  std::uint64_t frames_out_ = 0;
};

}  // namespace wa::mock

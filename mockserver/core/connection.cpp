#include "mockserver/core/connection.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::mock {
namespace {

constexpr std::byte kEdgeRoutingIntro[] = {std::byte{'E'}, std::byte{'D'}, std::byte{0},
                                           std::byte{1}};
constexpr std::size_t kEdgeRoutingHeaderBytes = 7;  // ED 00 01 and a 3-byte length
/// Real routing info is a few dozen bytes; the length field could announce 16 MiB.
constexpr std::size_t kMaxEdgeRoutingBytes = 4096;
constexpr std::size_t kClientHeaderBytes = 4;
/// So many counters before and after the expected one are tried on a frame that does not
/// authenticate.
constexpr std::uint64_t kExplainedCounters = 64;

/// Of a ClientHello that the responder has accepted.
ByteArray<32> ephemeral_of(ByteSpan client_hello) {
  schema::HandshakeMessage message;
  ByteArray<32> ephemeral{};
  if (!message.ParseFromArray(client_hello.data(), static_cast<int>(client_hello.size())))
    return ephemeral;
  const ByteSpan bytes = as_bytes(message.client_hello().ephemeral());
  if (bytes.size() == ephemeral.size()) std::ranges::copy(bytes, ephemeral.begin());
  return ephemeral;
}

}  // namespace

Connection::Connection(const crypto::KeyPair& noise_static, Bytes certificate_chain, Random& random,
                       noise::IkPolicy ik)
    : noise_static_(noise_static),
      certificate_chain_(std::move(certificate_chain)),
      random_(random),
      ik_(ik),
      splitter_(limits::kMaxFrameBytesBeforeLogin) {}

Result<bool> Connection::take_header() {
  if (header_.empty()) return false;
  std::size_t offset = 0;
  if (header_[0] == kEdgeRoutingIntro[0]) {
    const std::size_t shown = std::min(header_.size(), std::size(kEdgeRoutingIntro));
    if (!equal(ByteSpan(header_).first(shown), ByteSpan(kEdgeRoutingIntro).first(shown))) {
      return Error{Errc::malformed, "header: neither WA nor ED 00 01"};
    }
    if (header_.size() < kEdgeRoutingHeaderBytes) return false;
    const std::uint64_t routing_bytes = read_big_endian(ByteSpan(header_).subspan(4, 3));
    if (routing_bytes > kMaxEdgeRoutingBytes) {
      return Error{Errc::too_large,
                   "header: routing info of " + std::to_string(routing_bytes) + " bytes"};
    }
    offset = kEdgeRoutingHeaderBytes + routing_bytes;
  }
  // Garbage is refused as soon as it shows, not when a whole header has come.
  constexpr std::byte kIntro[] = {std::byte{'W'}, std::byte{'A'}, std::byte{6}};
  const ByteSpan header = ByteSpan(header_).subspan(std::min(offset, header_.size()));
  const std::size_t shown = std::min(header.size(), std::size(kIntro));
  if (!equal(header.first(shown), ByteSpan(kIntro).first(shown))) {
    return Error{Errc::malformed,
                 "header: " + to_hex(header.first(shown)) + ", expected 574106 (WA 06)"};
  }
  if (header.size() < kClientHeaderBytes) return false;
  const auto version = std::to_integer<std::uint8_t>(header[3]);
  if (version != 2 && version != 3) {
    return Error{Errc::malformed,
                 "header: dictionary " + std::to_string(version) + ", known are 2, 3"};
  }
  dictionary_ = static_cast<wire::Dictionary>(version);
  responder_.emplace(noise::prologue(version), noise_static_, random_, ik_);
  splitter_.feed(ByteSpan(header_).subspan(offset + kClientHeaderBytes));
  header_ = {};
  header_taken_ = true;
  return true;
}

Result<void> Connection::on_frame(Bytes payload, std::vector<Output>& outputs) {
  ++frames_in_;
  if (receive_cipher_) {
    Result<Bytes> plaintext = receive_cipher_->open(payload);
    if (!plaintext) return explain(plaintext.error(), payload);
    WA_TRY(wire::Frame frame, wire::decode(std::move(*plaintext), dictionary_));
    outputs.push_back(NodeReceived{std::move(frame)});
    return {};
  }
  if (!hello_sent_) {
    WA_TRY(auto answer, responder_->on_client_hello(payload, certificate_chain_));
    hello_sent_ = true;
    pattern_ = answer.pattern;
    ++frames_out_;
    Bytes message;
    wire::append_frame_header(answer.server_hello.size(), message);
    append(message, answer.server_hello);
    outputs.push_back(SendHello{std::move(message), ephemeral_of(payload)});
    if (answer.client) outputs.push_back(handshake_ends(std::move(*answer.client)));
    return {};
  }
  WA_TRY(auto client, responder_->on_client_finish(payload));
  outputs.push_back(handshake_ends(std::move(client)));
  return {};
}

Connection::HandshakeDone Connection::handshake_ends(noise::Responder::ClientAnswer client) {
  const noise::SymmetricState::Keys keys = responder_->split();
  receive_key_ = keys.client_to_server;
  receive_cipher_.emplace(receive_key_);
  send_cipher_.emplace(keys.server_to_client);
  responder_.reset();
  certificate_chain_ = {};
  return HandshakeDone{pattern_, client.client_static, std::move(client.payload), keys};
}

Error Connection::explain(Error failure, ByteSpan payload) const {
  if (failure.code != Errc::auth_failed) return failure;
  const std::uint64_t expected = receive_cipher_->counter();
  const std::uint64_t first = expected - std::min(expected, kExplainedCounters);
  for (std::uint64_t counter = first; counter <= expected + kExplainedCounters; ++counter) {
    if (!noise::TransportCipher(receive_key_, counter).open(payload)) continue;
    failure.detail =
        (counter < expected ? "the frame repeats counter " : "the frame skips to counter ") +
        std::to_string(counter) + ", expected " + std::to_string(expected);
    break;
  }
  return failure;
}

std::vector<Connection::Output> Connection::receive(ByteSpan bytes, const FrameHook& arrived) {
  std::vector<Output> outputs;
  if (broken_) return outputs;
  const auto broken = [&](std::string_view rule, Error error) {
    broken_ = true;
    outputs.push_back(Broken{std::string(rule), std::move(error)});
  };
  if (header_taken_) {
    splitter_.feed(bytes);
  } else {
    append(header_, bytes);
    const Result<bool> taken = take_header();
    if (!taken) {
      broken("header", taken.error());
      return outputs;
    }
    if (!*taken) return outputs;
  }
  for (;;) {
    Result<std::optional<Bytes>> payload = splitter_.next();
    if (!payload) {
      broken("frame", payload.error());
      break;
    }
    if (!payload->has_value()) break;
    const bool transport = handshake_done();
    std::vector<Bytes> frames;
    if (transport && arrived) {
      frames = arrived(std::move(**payload));
    } else {
      frames.push_back(std::move(**payload));
    }
    for (Bytes& frame : frames) {
      const auto read = on_frame(std::move(frame), outputs);
      if (read) continue;
      const bool node_error = transport && read.error().code != Errc::auth_failed;
      const bool refused = !transport && read.error().code == Errc::unexpected_message;
      broken(refused      ? ""
             : node_error ? "node"
             : transport  ? "decrypt"
                          : "handshake",
             read.error());
      return outputs;
    }
  }
  return outputs;
}

Result<Bytes> Connection::seal(const wire::NodeBuilder& node) {
  Bytes plaintext;
  wire::encode(node, dictionary_, plaintext);
  return seal(plaintext);
}

Result<Bytes> Connection::seal(ByteSpan plaintext) {
  WA_ASSERT(send_cipher_.has_value());
  Bytes message;
  WA_TRY_VOID(send_cipher_->seal_frame(plaintext, message));
  ++frames_out_;
  return message;
}

}  // namespace wa::mock

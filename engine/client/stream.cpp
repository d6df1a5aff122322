#include "engine/client/stream.hpp"

#include "engine/base/limits.hpp"
#include "engine/protocol/noise/certificate.hpp"

namespace wa::client {
namespace {

constexpr auto kDictionary = wire::Dictionary::v3;
constexpr std::array kRoutingMagic{std::byte{'E'}, std::byte{'D'}, std::byte{0}, std::byte{1}};
/// Room for an ordinary stanza.
constexpr std::size_t kUsualPlaintextBytes = 512;

noise::Prologue our_prologue() {
  return noise::prologue(static_cast<std::uint8_t>(kDictionary));
}

}  // namespace

Stream::Stream(Config config, Random& random)
    : splitter_(limits::kMaxFrameBytesBeforeLogin),
      state_(std::make_unique<Handshaking>(Handshaking{
          noise::Initiator(our_prologue(), config.static_key, random), std::move(config)})) {}

Bytes Stream::hello() {
  auto& handshake = *std::get<std::unique_ptr<Handshaking>>(state_);
  const Bytes client_hello = handshake.initiator.client_hello();
  Bytes out;
  if (!handshake.config.routing_info.empty()) {
    append(out, kRoutingMagic);
    append(out, big_endian<3>(handshake.config.routing_info.size()));
    append(out, handshake.config.routing_info);
  }
  append(out, our_prologue());
  wire::append_frame_header(client_hello.size(), out);
  append(out, client_hello);
  return out;
}

void Stream::feed(ByteSpan bytes) {
  splitter_.feed(bytes);
}

Result<std::optional<Stream::Item>> Stream::next(UnixMillis wall) {
  const bool handshaking = std::holds_alternative<std::unique_ptr<Handshaking>>(state_);
  failure_ = handshaking ? Failure::handshake : Failure::frame;
  WA_TRY(const auto payload, splitter_.next());
  if (!payload) return std::optional<Item>();
  if (handshaking) {
    WA_TRY(auto established, on_server_hello(*payload, wall));
    return std::optional<Item>(std::move(established));
  }
  WA_TRY(auto frame, on_frame(*payload));
  return std::optional<Item>(std::move(frame));
}

Result<Stream::Established> Stream::on_server_hello(ByteSpan message, UnixMillis wall) {
  auto& [initiator, config] = *std::get<std::unique_ptr<Handshaking>>(state_);
  WA_TRY(const auto answer, initiator.on_server_hello(message));
  failure_ = Failure::certificate;
  WA_TRY_VOID(
      noise::verify_chain(answer.certificate_chain, config.noise_root, answer.server_static, wall));
  failure_ = Failure::handshake;
  WA_TRY(const auto finish, initiator.client_finish(config.payload));

  Established established;
  wire::append_frame_header(finish.size(), established.client_finish);
  append(established.client_finish, finish);
  const auto keys = initiator.split();
  state_ = Transport{noise::TransportCipher(keys.client_to_server),
                     noise::TransportCipher(keys.server_to_client)};
  return established;
}

Result<wire::Frame> Stream::on_frame(ByteSpan payload) {
  WA_TRY(auto plaintext, std::get<Transport>(state_).opening.open(payload));
  failure_ = Failure::content;
  return wire::decode(std::move(plaintext), kDictionary);
}

void Stream::login_succeeded() {
  splitter_.set_max_frame_bytes(limits::kMaxFrameBytes);
}

template <class Node>
Result<void> Stream::encode_and_seal(const Node& node, Bytes& out) {
  Bytes plaintext;
  plaintext.reserve(kUsualPlaintextBytes);
  wire::encode(node, kDictionary, plaintext);
  return std::get<Transport>(state_).sealing.seal_frame(plaintext, out);
}

Result<void> Stream::seal(const wire::Node& node, Bytes& out) {
  return encode_and_seal(node, out);
}

Result<void> Stream::seal(const wire::NodeBuilder& node, Bytes& out) {
  return encode_and_seal(node, out);
}

}  // namespace wa::client

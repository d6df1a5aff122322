#include "mockserver/core/test_signal.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/signal/padding.hpp"

namespace wa::mock::test {

signal::LocalIdentity TestSignal::local() const {
  return {keys_.identity, keys_.registration().registration_id};
}

wire::NodeBuilder TestSignal::upload() const {
  using wire::NodeBuilder;
  const auto key = [](const char* tag, std::uint32_t id, const crypto::PublicKey& value) {
    return NodeBuilder(tag)
        .child(NodeBuilder("id").bytes(big_endian<3>(id)))
        .child(NodeBuilder("value").bytes(value.bytes));
  };
  const auto& signed_key = keys_.signed_pre_key;
  return query("encrypt", "set", "up")
      .child(NodeBuilder("registration").bytes(big_endian<4>(local().registration_id)))
      .child(NodeBuilder("type").bytes(Bytes{std::byte{5}}))
      .child(NodeBuilder("identity").bytes(keys_.identity.public_key.bytes))
      .child(NodeBuilder("list").child(key("key", 1, one_time_->public_key)))
      .child(key("skey", signed_key.id, signed_key.key.public_key)
                 .child(NodeBuilder("signature").bytes(signed_key.signature)));
}

signal::Outcome<message::Envelope> TestSignal::try_read(const wire::Node& stanza) {
  const wire::Node* enc = stanza.child("enc");
  if (enc == nullptr) {
    return signal::Refusal{signal::Failure::malformed, "no <enc> in " + wire::to_xml(stanza)};
  }
  const auto padded = [&]() -> signal::Outcome<Bytes> {
    if (enc->attr("type") == "pkmsg") {
      WA_TRY(const auto message, signal::PreKeySignalMessage::parse(enc->bytes()));
      const signal::Session::PreKeys pre_keys{keys_.signed_pre_key.key, one_time_};
      return session_.decrypt(local(), message, pre_keys, random_);
    }
    WA_TRY(const auto message, signal::SignalMessage::parse(enc->bytes()));
    return session_.decrypt(local(), message, random_);
  }();
  if (!padded) return padded.error();
  WA_TRY(const ByteSpan plaintext, signal::unpad(*padded));
  const auto envelope = message::decode(plaintext);
  if (!envelope) return signal::Refusal{signal::Failure::malformed, envelope.error().detail};
  return *envelope;
}

message::Envelope TestSignal::read(const wire::Node& stanza) {
  const auto envelope = try_read(stanza);
  EXPECT_TRUE(envelope) << (envelope ? "" : signal::to_string(envelope.error()));
  return envelope ? *envelope : message::Envelope{};
}

wire::NodeBuilder TestSignal::write(std::string id, const wire::Jid& to, std::string text) {
  const Bytes padded =
      signal::pad(message::encode({.content = message::Text{.text = std::move(text)}}), random_);
  const auto sealed = *session_.encrypt(local(), padded);
  return wire::NodeBuilder("message")
      .attr("id", std::move(id))
      .attr("to", to.without_device())
      .attr("type", "text")
      .child(wire::NodeBuilder("participants")
                 .child(wire::NodeBuilder("to").attr("jid", to).child(
                     wire::NodeBuilder("enc")
                         .attr("v", "2")
                         .attr("type", sealed.pre_key ? "pkmsg" : "msg")
                         .bytes(sealed.bytes))));
}

}  // namespace wa::mock::test

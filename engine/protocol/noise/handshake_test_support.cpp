#include "engine/protocol/noise/handshake_test_support.hpp"

#include <gtest/gtest.h>

namespace wa::noise::test {

crypto::KeyPair pair_at(const boost::json::value& keys, std::string_view name) {
  const auto& pair = keys.at(name);
  return {*crypto::PrivateKey::from(hex_at(pair, "private"), name),
          *crypto::PublicKey::from(hex_at(pair, "public"), name)};
}

void ReplayRandom::fill(std::span<std::byte> out) {
  WA_ASSERT(out.size() <= bytes_.size() - used_);
  std::memcpy(out.data(), bytes_.data() + used_, out.size());
  used_ += out.size();
}

Bytes payload_of(const Bytes& wire, std::size_t skipped) {
  const auto frame = ByteSpan(wire).subspan(skipped);
  EXPECT_EQ(read_big_endian(frame.first(3)), frame.size() - 3);
  return to_bytes(frame.subspan(3));
}

Bytes flipped(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  return bytes;
}

Bytes serialized(const schema::HandshakeMessage& message) {
  return to_bytes(message.SerializeAsString());
}

schema::HandshakeMessage parsed(ByteSpan bytes) {
  schema::HandshakeMessage message;
  WA_ASSERT(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return message;
}

const std::vector<crypto::PublicKey>& degenerate_keys() {
  static const std::vector<crypto::PublicKey> keys = {
      crypto::PublicKey{},                // order 2
      crypto::PublicKey{{std::byte{1}}},  // order 4
      *crypto::PublicKey::from(
          hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), "order 8"),
  };
  return keys;
}

const Bytes& some_chain() {
  static const Bytes chain(90, std::byte{0x0c});
  return chain;
}

const Bytes& some_payload() {
  static const Bytes payload(40, std::byte{0x0d});
  return payload;
}

}  // namespace wa::noise::test

#pragma once

#include <array>
#include <string_view>

#include "engine/base/random.hpp"
#include "engine/protocol/crypto/keys.hpp"

/// Keys of the vectors in tests/vectors, so that their messages, as seeds, get through a whole
/// handshake.
namespace wa::fuzz {

/// Draws the same 32 bytes for ever: fixes an ephemeral key.
class Repeating final : public Random {
 public:
  explicit Repeating(const ByteArray<32>& bytes) : bytes_(bytes) {}
  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) {
      byte = bytes_[used_];
      used_ = (used_ + 1) % bytes_.size();
    }
  }

 private:
  ByteArray<32> bytes_;
  std::size_t used_ = 0;
};

inline crypto::PrivateKey private_key(std::string_view hex) {
  return crypto::PrivateKey::from(from_hex(hex).value(), "vector").value();
}
inline crypto::KeyPair key_pair(std::string_view private_hex) {
  const crypto::PrivateKey key = private_key(private_hex);
  return {key, crypto::public_key_of(key)};
}

/// Of tests/vectors/noise-transcripts.json: sessions of real clients, with one of these servers.
struct RecordedKeys {
  std::array<crypto::KeyPair, 2> server_static{
      key_pair("20280f9ebaa81fe7af12dc61b82f934b3d3cbcaa364e88cd8b4a5e3eedaf8957"),
      key_pair("80e66c05a5c7536e22ef847e88a387f3637d5d690d9cb5f959d1614ad7fa7545")};
  Repeating server_ephemeral{
      private_key("4079f439aa8c2f10c777f5e0beae756530252ad400281d39dc7a9dcaad384473").bytes};
};

/// Of the first vector in tests/vectors/noise-handshake.json and noise-ik.json.
struct VectorKeys {
  crypto::KeyPair client_static =
      key_pair("788bafb60e098426ffee8751bcfffe85721444fbae3d75ed62242a727520cd50");
  crypto::KeyPair server_static =
      key_pair("b8e3c32fd164a0315510c2cb3853d805f6a1f8ec81d1f7706c42f8040143a75e");
  crypto::KeyPair cert_root =
      key_pair("48db55948fb698695cab5e7659b953edebde09d26501ebcd57dea3c7690c5949");
  Repeating client_ephemeral{
      private_key("289e8eccc0cf92b8648a14682bf04858f672e2f8b2ea8bbc397831bfa561fd44").bytes};
  Repeating server_ephemeral{
      private_key("f81fee35f2c3668344c319bfe8d8f9129eee3d3a47e1eaf7023cc012a37f705a").bytes};
};

}  // namespace wa::fuzz

#pragma once

#include <string_view>

#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"
#include "tests/support/test_support.hpp"

/// What the tests of the handshakes share.
namespace wa::noise::test {

using wa::test::hex;
using wa::test::hex_at;
using wa::test::text_at;
using wa::test::vectors;

template <std::size_t N>
ByteArray<N> array_at(const boost::json::value& object, std::string_view key) {
  return *fixed<N>(hex_at(object, key), key);
}

/// The key pair `name` of a vector's `keys`.
crypto::KeyPair pair_at(const boost::json::value& keys, std::string_view name);

/// Gives out the bytes it was made of, and nothing more: fixes an ephemeral key.
class ReplayRandom final : public Random {
 public:
  explicit ReplayRandom(ByteSpan bytes) : bytes_(to_bytes(bytes)) {}
  void fill(std::span<std::byte> out) override;

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

/// What a frame of 'wire' carries behind its 3-byte length; `skipped` bytes stand before it.
Bytes payload_of(const Bytes& wire, std::size_t skipped = 0);

Bytes flipped(Bytes bytes, std::size_t bit);
Bytes serialized(const schema::HandshakeMessage& message);
schema::HandshakeMessage parsed(ByteSpan bytes);

/// Public keys that make every agreement all zero.
const std::vector<crypto::PublicKey>& degenerate_keys();

/// A certificate chain and a client payload as far as a handshake cares: some bytes.
const Bytes& some_chain();
const Bytes& some_payload();

/// Both sides of a handshake with the same keys each time.
struct Pair {
  explicit Pair(IkPolicy ik = IkPolicy::accept)
      : responder(prologue(3), server_static, random, ik) {}
  SeededRandom random{42};
  crypto::KeyPair client_static = crypto::generate_key_pair(random);
  crypto::KeyPair server_static = crypto::generate_key_pair(random);
  Initiator initiator{prologue(3), client_static, random};
  Responder responder;
};

}  // namespace wa::noise::test

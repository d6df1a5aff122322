#pragma once

#include <deque>
#include <map>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"
#include "engine/protocol/signal/session.hpp"
#include "tests/support/test_support.hpp"

/// What the tests of sessions and sender keys share.
namespace wa::signal::test {

using wa::test::bytes;
using wa::test::hex;
using wa::test::hex_at;
using wa::test::text_at;
using wa::test::vectors;

/// Gives out what was put in, and fails the test when it is asked for more.
class ScriptedRandom final : public Random {
 public:
  void add(ByteSpan bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::size_t left() const { return bytes_.size(); }
  void clear() { bytes_.clear(); }
  void fill(std::span<std::byte> out) override;

 private:
  std::deque<std::byte> bytes_;
};

/// For calls that must not draw.
class NoRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) override;
};

/// A device with its keys, and its session with the one other device of a test.
struct Peer {
  using Ciphertext = Session::Ciphertext;

  explicit Peer(std::uint64_t seed);

  /// With the one-time pre-key of this id, or with none for 0.
  PreKeyBundle bundle(std::uint32_t one_time_id = 0);

  /// Begins a session with the other one's bundle.
  void initiate(Peer& other, std::uint32_t one_time_id = 0);

  Ciphertext send(std::string_view text);

  /// Looks pre-keys up, decrypts, deletes the one-time key that was used up. After a success
  /// the session goes through its stored form; after a failure it must be what it was.
  Outcome<Bytes> receive(const Ciphertext& message);
  /// The text, or the failure's word in brackets.
  std::string read(const Ciphertext& message);

  SeededRandom random;
  LocalIdentity local;
  std::uint32_t signed_pre_key_id = 9;
  crypto::KeyPair signed_pre_key;
  std::map<std::uint32_t, crypto::KeyPair> one_time;
  Session session;
};

inline std::vector<Peer::Ciphertext> send_many(Peer& from, int count, const std::string& text) {
  std::vector<Peer::Ciphertext> sent;
  for (int i = 0; i < count; ++i) sent.push_back(from.send(text + std::to_string(i)));
  return sent;
}

/// What is stored, changed by `change`.
template <class Change>
Session altered(const Session& session, Change change) {
  auto record = schema::parse<schema::StoredSession>(session.encode(), "session").value();
  change(record);
  return Session::decode(schema::serialize(record)).value();
}

/// Two that have written to each other: no message is a pkmsg any more.
struct Conversation {
  Conversation();
  Peer alice{1};
  Peer bob{2};
};

/// Public keys that make every agreement all zero.
std::vector<crypto::PublicKey> degenerate_keys();

Bytes flipped(Bytes bytes, std::size_t bit);

}  // namespace wa::signal::test

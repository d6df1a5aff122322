#include "engine/protocol/signal/test_peer.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wa::signal::test {

void ScriptedRandom::fill(std::span<std::byte> out) {
  if (bytes_.size() < out.size()) {
    ADD_FAILURE() << "drew " << out.size() << " bytes, the script has " << bytes_.size();
    std::fill(out.begin(), out.end(), std::byte{1});
    return;
  }
  const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(out.size());
  std::copy(bytes_.begin(), end, out.begin());
  bytes_.erase(bytes_.begin(), end);
}

void NoRandom::fill(std::span<std::byte> out) {
  ADD_FAILURE() << "drew " << out.size() << " bytes";
  std::fill(out.begin(), out.end(), std::byte{1});
}

Peer::Peer(std::uint64_t seed) : random(seed) {
  local.identity = crypto::generate_key_pair(random);
  local.registration_id = static_cast<std::uint32_t>(100 + seed);
  signed_pre_key = crypto::generate_key_pair(random);
  for (std::uint32_t id = 1; id <= 3; ++id) one_time[id] = crypto::generate_key_pair(random);
}

PreKeyBundle Peer::bundle(std::uint32_t one_time_id) {
  PreKeyBundle out;
  out.registration_id = local.registration_id;
  out.identity = local.identity.public_key;
  out.signed_pre_key_id = signed_pre_key_id;
  out.signed_pre_key = signed_pre_key.public_key;
  out.signed_pre_key_signature = sign_pre_key(local.identity, signed_pre_key.public_key, random);
  if (one_time_id != 0) out.one_time = {one_time_id, one_time.at(one_time_id).public_key};
  return out;
}

void Peer::initiate(Peer& other, std::uint32_t one_time_id) {
  ASSERT_TRUE(session.initiate(local, other.bundle(one_time_id), random));
}

Peer::Ciphertext Peer::send(std::string_view text) {
  auto sent = session.encrypt(local, as_bytes(text));
  if (!sent) {
    ADD_FAILURE() << sent.error();
    return {};
  }
  session = Session::decode(session.encode()).value();
  return std::move(*sent);
}

Outcome<Bytes> Peer::receive(const Ciphertext& sent) {
  const Bytes before = session.encode();
  auto outcome = [&]() -> Outcome<Bytes> {
    if (!sent.pre_key) {
      WA_TRY(const auto message, SignalMessage::parse(sent.bytes));
      return session.decrypt(local, message, random);
    }
    WA_TRY(const auto message, PreKeySignalMessage::parse(sent.bytes));
    Session::PreKeys pre_keys;
    const bool known = session.knows(message);
    if (!known) {
      if (message.signed_pre_key_id == signed_pre_key_id) pre_keys.signed_pre_key = signed_pre_key;
      if (message.pre_key_id && one_time.count(*message.pre_key_id) > 0) {
        pre_keys.one_time = one_time.at(*message.pre_key_id);
      }
    }
    WA_TRY(auto plaintext, session.decrypt(local, message, pre_keys, random));
    EXPECT_TRUE(session.knows(message));
    if (!known && message.pre_key_id) one_time.erase(*message.pre_key_id);
    return plaintext;
  }();
  const Bytes after = session.encode();
  if (!outcome) {
    EXPECT_EQ(after, before) << "a failure changed the session";
  } else {
    session = Session::decode(after).value();
    EXPECT_EQ(session.encode(), after);
  }
  return outcome;
}

std::string Peer::read(const Ciphertext& message) {
  const auto plaintext = receive(message);
  if (!plaintext) return "[" + std::string(to_string(plaintext.error().why)) + "]";
  return std::string(as_text(*plaintext));
}

Conversation::Conversation() {
  alice.initiate(bob, 1);
  EXPECT_EQ(bob.read(alice.send("hello")), "hello");
  EXPECT_EQ(alice.read(bob.send("hello, too")), "hello, too");
}

std::vector<crypto::PublicKey> degenerate_keys() {
  std::vector<crypto::PublicKey> keys;
  for (const char* const text :
       {"0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"}) {
    keys.push_back(crypto::PublicKey::from(hex(text), "degenerate").value());
  }
  return keys;
}

Bytes flipped(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  return bytes;
}

}  // namespace wa::signal::test

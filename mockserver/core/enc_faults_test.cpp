#include "mockserver/core/enc_faults.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"
#include "engine/protocol/wire/node_codec.hpp"

namespace wa::mock {
namespace {

using signal::Failure;
using wire::Jid;
using wire::NodeBuilder;
using Part = CorruptEncFault::Part;

constexpr std::string_view kPlaintext = "a plaintext of more than a block of the cipher";

/// Two devices, and what the first one writes.
class EncFaultsTest : public testing::Test {
 protected:
  EncFaultsTest() {
    const auto signed_key = crypto::generate_key_pair(random_);
    signal::PreKeyBundle bundle;
    bundle.registration_id = 2;
    bundle.identity = ben_.identity.public_key;
    bundle.signed_pre_key_id = 1;
    bundle.signed_pre_key = signed_key.public_key;
    bundle.signed_pre_key_signature =
        signal::sign_pre_key(ben_.identity, signed_key.public_key, random_);
    pre_keys_.signed_pre_key = signed_key;
    EXPECT_TRUE(to_ben_.initiate(anna_, bundle, random_));
  }

  /// A stanza with what Anna writes: `pkmsg` until Ben has answered.
  NodeBuilder write() {
    const auto sealed = *to_ben_.encrypt(anna_, as_bytes(kPlaintext));
    NodeBuilder stanza("message");
    stanza.child(
        NodeBuilder("enc").attr("type", sealed.pre_key ? "pkmsg" : "msg").bytes(sealed.bytes));
    return stanza;
  }
  signal::Outcome<Bytes> read(const NodeBuilder& stanza) {
    const auto& enc = std::get<std::vector<NodeBuilder>>(stanza.content()).front();
    const Bytes& body = std::get<Bytes>(enc.content());
    if (std::get<std::string>(enc.attributes().front().second) == "pkmsg") {
      WA_TRY(const auto message, signal::PreKeySignalMessage::parse(body));
      return to_anna_.decrypt(ben_, message, pre_keys_, random_);
    }
    WA_TRY(const auto message, signal::SignalMessage::parse(body));
    return to_anna_.decrypt(ben_, message, random_);
  }
  void answer() {
    ASSERT_TRUE(read(write()));
    const auto sealed = *to_anna_.encrypt(ben_, as_bytes(kPlaintext));
    ASSERT_TRUE(to_ben_.decrypt(anna_, *signal::SignalMessage::parse(sealed.bytes), random_));
  }

  SeededRandom random_{3};
  signal::LocalIdentity anna_{crypto::generate_key_pair(random_), 1};
  signal::LocalIdentity ben_{crypto::generate_key_pair(random_), 2};
  signal::Session::PreKeys pre_keys_;
  signal::Session to_ben_;
  signal::Session to_anna_;
};

struct PartCase {
  Part part;
  Failure failure;
};

TEST_F(EncFaultsTest, EachPartFailsAsItIsMeantToAndTheOriginalIsStillRead) {
  for (const bool answered : {false, true}) {
    SCOPED_TRACE(answered ? "msg" : "pkmsg");
    if (answered) answer();
    for (const PartCase& row :
         {PartCase{Part::mac, Failure::bad_mac}, PartCase{Part::body, Failure::bad_mac},
          PartCase{Part::version, Failure::bad_version},
          PartCase{Part::counter, Failure::too_far}}) {
      SCOPED_TRACE(static_cast<int>(row.part));
      const NodeBuilder original = write();
      NodeBuilder spoilt = original;
      ASSERT_TRUE(corrupt_enc(spoilt, row.part));
      const auto failed = read(spoilt);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().why, row.failure) << failed.error();
      const auto plaintext = read(original);
      ASSERT_TRUE(plaintext) << plaintext.error();
      EXPECT_EQ(as_text(*plaintext), kPlaintext);
    }
  }
}

TEST_F(EncFaultsTest, CopiesForSingleDevicesAreSpoiltToo) {
  const NodeBuilder original = write();
  const auto& enc = std::get<std::vector<NodeBuilder>>(original.content()).front();
  NodeBuilder stanza("message");
  stanza.child(NodeBuilder("participants").child(NodeBuilder("to").child(enc)));
  NodeBuilder spoilt = stanza;
  EXPECT_TRUE(corrupt_enc(spoilt, Part::mac));
  EXPECT_NE(spoilt, stanza);
}

TEST_F(EncFaultsTest, WhatHasNothingToSpoilStaysAsItIs) {
  const NodeBuilder nothing[] = {
      NodeBuilder("message"), NodeBuilder("message").child(NodeBuilder("enc").attr("type", "msg")),
      NodeBuilder("message").child(NodeBuilder("enc").attr("type", "msg").bytes(Bytes(1))),
      NodeBuilder("receipt").child(NodeBuilder("enc").attr("type", "msg").bytes(Bytes(9)))};
  for (const NodeBuilder& node : nothing) {
    for (const Part part : {Part::mac, Part::body, Part::version, Part::counter}) {
      NodeBuilder spoilt = node;
      EXPECT_FALSE(corrupt_enc(spoilt, part));
      EXPECT_EQ(spoilt, node);
    }
  }
  NodeBuilder garbage = NodeBuilder("message").child(
      NodeBuilder("enc").attr("type", "pkmsg").bytes(Bytes(40, std::byte{0x7f})));
  EXPECT_FALSE(corrupt_enc(garbage, Part::body));
  EXPECT_FALSE(corrupt_enc(garbage, Part::counter));
}

TEST(SenderKeyFaultTest, TheKeyIsMissingOrAnother) {
  SeededRandom random(4);
  signal::SenderKey key = signal::SenderKey::create(random);
  signal::SenderKeys keys;
  keys.process(*signal::SenderKeyDistribution::parse(key.distribution().serialize()));
  NodeBuilder stanza("message");
  stanza.child(NodeBuilder("enc").attr("type", "pkmsg").bytes(Bytes(9)));
  stanza.child(
      NodeBuilder("enc").attr("type", "skmsg").bytes(*key.encrypt(as_bytes(kPlaintext), random)));

  NodeBuilder missing = stanza;
  ASSERT_TRUE(spoil_sender_key(missing, SenderKeyFault::Kind::missing));
  EXPECT_EQ(std::get<std::vector<NodeBuilder>>(missing.content()).size(), 1u);
  EXPECT_FALSE(spoil_sender_key(missing, SenderKeyFault::Kind::missing));

  NodeBuilder unknown = stanza;
  ASSERT_TRUE(spoil_sender_key(unknown, SenderKeyFault::Kind::unknown));
  const auto& enc = std::get<std::vector<NodeBuilder>>(unknown.content()).back();
  const Bytes& body = std::get<Bytes>(enc.content());
  const auto read = keys.decrypt(*signal::SenderKeyMessage::parse(body));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().why, Failure::no_sender_key);

  NodeBuilder direct =
      NodeBuilder("message").child(NodeBuilder("enc").attr("type", "msg").bytes(Bytes(9)));
  EXPECT_FALSE(spoil_sender_key(direct, SenderKeyFault::Kind::missing));
}

TEST(LidFaultTest, ANameIsMissingOrTheOther) {
  const Jid hidden("777", wire::kServerLid, 3);
  const Jid number("1555", wire::kServerPn);
  NodeBuilder direct("message");
  direct.attr("from", hidden).attr("addressing_mode", "lid").attr("sender_pn", number);

  NodeBuilder missing = direct;
  ASSERT_TRUE(spoil_names(missing, LidFault::Kind::missing));
  EXPECT_EQ(missing, NodeBuilder("message").attr("from", hidden).attr("addressing_mode", "lid"));
  EXPECT_FALSE(spoil_names(missing, LidFault::Kind::missing));

  NodeBuilder other = direct;
  ASSERT_TRUE(spoil_names(other, LidFault::Kind::other));
  EXPECT_EQ(other, NodeBuilder("message")
                       .attr("from", Jid("1555", wire::kServerPn, 3))
                       .attr("addressing_mode", "pn")
                       .attr("sender_lid", Jid("777", wire::kServerLid)));
  ASSERT_TRUE(spoil_names(other, LidFault::Kind::other));
  EXPECT_EQ(other, direct);
}

TEST(BundleFaultTest, BundlesAreSpoiltAsTheKindSays) {
  using Kind = BundleFault::Kind;
  const auto bundle = [](int key) {
    NodeBuilder user("user");
    user.attr("jid", Jid("1555", wire::kServerPn));
    user.child(NodeBuilder("skey").child(NodeBuilder("signature").bytes(Bytes(64))));
    user.child(NodeBuilder("key").bytes(Bytes(1, static_cast<std::byte>(key))));
    return NodeBuilder("iq").child(NodeBuilder("list").child(std::move(user)));
  };
  const auto printed = [](const NodeBuilder& node) {
    const auto frame = wire::decode(wire::encode(node, wire::Dictionary::v3), wire::Dictionary::v3);
    return wire::to_xml(frame->root());
  };
  std::map<std::string, NodeBuilder> handed_out;

  NodeBuilder missing = bundle(1);
  EXPECT_TRUE(spoil_bundles(missing, Kind::missing, handed_out));
  EXPECT_EQ(printed(missing).find("user"), std::string::npos);

  NodeBuilder no_key = bundle(1);
  EXPECT_TRUE(spoil_bundles(no_key, Kind::no_one_time, handed_out));
  EXPECT_EQ(printed(no_key).find("<key"), std::string::npos);
  EXPECT_FALSE(spoil_bundles(no_key, Kind::no_one_time, handed_out));

  NodeBuilder signature = bundle(1);
  EXPECT_TRUE(spoil_bundles(signature, Kind::bad_signature, handed_out));
  EXPECT_NE(signature, bundle(1));

  NodeBuilder first = bundle(1);
  EXPECT_FALSE(spoil_bundles(first, Kind::reused, handed_out));
  NodeBuilder second = bundle(2);
  EXPECT_TRUE(spoil_bundles(second, Kind::reused, handed_out));
  EXPECT_EQ(second, bundle(1));

  NodeBuilder error("iq");
  EXPECT_FALSE(spoil_bundles(error, Kind::missing, handed_out));
}

}  // namespace
}  // namespace wa::mock

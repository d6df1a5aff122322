#include "engine/protocol/signal/sender_key.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"
#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::flipped;
using test::hex_at;
using test::text_at;

/// Decrypts; a failure must leave the keys as they were.
Outcome<Bytes> receive(SenderKeys& keys, ByteSpan wire) {
  const Bytes before = keys.encode();
  auto outcome = [&]() -> Outcome<Bytes> {
    WA_TRY(const auto message, SenderKeyMessage::parse(wire));
    return keys.decrypt(message);
  }();
  if (!outcome) {
    EXPECT_EQ(keys.encode(), before) << "a failure changed the keys";
  }
  keys = SenderKeys::decode(keys.encode()).value();
  return outcome;
}

/// The text, or the failure's word in brackets.
std::string read(SenderKeys& keys, ByteSpan wire) {
  const auto outcome = receive(keys, wire);
  if (!outcome) return "[" + std::string(to_string(outcome.error().why)) + "]";
  return std::string(as_text(*outcome));
}

/// A sender, and a member of the group that has its key.
struct Group {
  Group() { member.process(sender.distribution()); }
  Bytes send(std::string_view text) {
    auto sent = sender.encrypt(as_bytes(text), random).value();
    sender = SenderKey::decode(sender.encode()).value();
    return sent;
  }
  std::vector<Bytes> send_many(int count) {
    std::vector<Bytes> sent;
    for (int i = 0; i < count; ++i) sent.push_back(send(std::to_string(i)));
    return sent;
  }
  SeededRandom random{11};
  SenderKey sender = SenderKey::create(random);
  SenderKeys member;
};

Failure expected_failure(const boost::json::value& delivery) {
  const auto text = text_at(delivery.at("expect"), "errorMessage");
  if (text.find("No session found") == 0) return Failure::no_sender_key;
  if (text.find("Invalid signature") == 0) return Failure::bad_signature;
  if (text.find("Received message with old counter") == 0) return Failure::duplicate;
  if (text.find("Over 2000 messages") == 0) return Failure::too_far;
  ADD_FAILURE() << "unknown error: " << text;
  return Failure::malformed;
}

void expect_delivery(SenderKeys& keys, const boost::json::value& delivery) {
  const auto outcome = receive(keys, hex_at(delivery, "serialized"));
  if (delivery.at("expect").as_object().contains("plaintext")) {
    ASSERT_TRUE(outcome) << outcome.error();
    EXPECT_EQ(to_hex(*outcome), text_at(delivery.at("expect"), "plaintext"));
  } else {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().why, expected_failure(delivery)) << outcome.error();
  }
}

TEST(SenderKeyVectorsTest, DeliveriesComeOutAsRecorded) {
  const auto file = test::vectors("sender-key.json");
  SenderKeys keys;
  for (const auto& delivery : file.at("receive").as_array()) {
    SCOPED_TRACE(text_at(delivery, "note"));
    if (delivery.as_object().contains("distribution")) {
      keys.process(SenderKeyDistribution::parse(hex_at(delivery, "distribution")).value());
      continue;
    }
    expect_delivery(keys, delivery);
  }

  SenderKeys late;
  const auto& joiner = file.at("lateJoiner");
  late.process(SenderKeyDistribution::parse(hex_at(joiner, "distribution")).value());
  for (const auto& delivery : joiner.at("messages").as_array()) expect_delivery(late, delivery);
}

TEST(SenderKeyVectorsTest, BothKindsOfSendersAreRead) {
  const auto file = test::vectors("sender-key.json");
  for (const char* const sender : {"baileysSender", "contiguous"}) {
    SCOPED_TRACE(sender);
    SenderKeys keys;
    keys.process(
        SenderKeyDistribution::parse(hex_at(file.at("distribution"), "serialized")).value());
    for (const auto& sent : file.at(sender).as_array()) {
      EXPECT_EQ(read(keys, hex_at(sent, "serialized")), text_at(sent, "plaintextUtf8"));
    }
  }
}

// The vectors' signatures are of the kind that draws nothing, so they are verified, not compared.
TEST(SenderKeyVectorsTest, WeWriteTheSameBytesInFrontOfTheSignature) {
  const auto file = test::vectors("sender-key.json");
  const auto& recorded = file.at("senderKey");
  schema::StoredSenderKey record;
  record.set_version(1);
  record.set_id(recorded.at("keyId").to_number<std::uint32_t>());
  record.set_iteration(0);
  record.set_chain_key(schema::field(hex_at(recorded, "chainKey")));
  record.mutable_signing()->set_private_key(
      schema::field(hex_at(recorded.at("signingKey"), "priv")));
  record.mutable_signing()->set_public_key(
      schema::field(ByteSpan(hex_at(recorded.at("signingKey"), "pub")).subspan(1)));
  auto key = SenderKey::decode(schema::serialize(record)).value();
  EXPECT_EQ(to_hex(key.distribution().serialize()), text_at(file.at("distribution"), "serialized"));
  const auto distribution =
      SenderKeyDistribution::parse(hex_at(file.at("distribution"), "serialized")).value();

  SeededRandom random(1);
  for (const auto& sent : file.at("contiguous").as_array()) {
    const auto wire = key.encrypt(hex_at(sent, "plaintext"), random).value();
    const auto ours = SenderKeyMessage::parse(wire).value();
    const auto bytes = hex_at(sent, "serialized");
    const auto theirs = SenderKeyMessage::parse(bytes).value();
    EXPECT_EQ(to_hex(ours.covered), to_hex(theirs.covered));
    for (const auto& message : {ours, theirs}) {
      EXPECT_TRUE(
          crypto::verify(distribution.signing_key, message.covered, message.signature, "vector"));
    }
  }
  for (const auto& step : file.at("messageKeys").as_array()) {
    Chain chain{distribution.chain_key, 0};
    chain.advance(step.at("iteration").to_number<std::uint32_t>());
    EXPECT_EQ(to_hex(chain.key), text_at(step, "chainKey"));
    EXPECT_EQ(to_hex(chain.next_seed()), text_at(step, "messageKeySeed"));
  }
  // Its owner went on to iteration 11: six messages, of which it skipped every other number.
  Chain chain{distribution.chain_key, 0};
  const auto& after = file.at("distributionAfterSix");
  chain.advance(after.at("iteration").to_number<std::uint32_t>());
  EXPECT_EQ(to_hex(chain.key), text_at(after, "chainKey"));
}

TEST(SenderKeyTest, CreatesIdsOf31BitsAndDrawsInOrder) {
  test::ScriptedRandom random;
  random.add(test::bytes({0xff, 0xff, 0xff, 0xff}));
  random.add(Bytes(32, std::byte{1}));
  random.add(Bytes(32, std::byte{2}));
  const auto key = SenderKey::create(random);
  EXPECT_EQ(random.left(), 0U);
  EXPECT_EQ(key.id(), 0x7fff'ffffU);
  EXPECT_EQ(key.iteration(), 0U);
  EXPECT_EQ(to_bytes(key.distribution().chain_key), Bytes(32, std::byte{1}));
}

TEST(SenderKeyTest, MessagesAreReadOnceInAnyOrder) {
  Group group;
  const auto sent = group.send_many(6);
  for (const std::size_t index : {3U, 0U, 5U, 1U, 2U, 4U}) {
    EXPECT_EQ(read(group.member, sent[index]), std::to_string(index));
    EXPECT_EQ(read(group.member, sent[index]), "[duplicate]");
  }
}

TEST(SenderKeyTest, EveryCutAndEveryFlippedBitIsRefused) {
  Group group;
  const Bytes sent = group.send("text");
  for (std::size_t size = 0; size < sent.size(); ++size) {
    EXPECT_FALSE(receive(group.member, to_bytes(ByteSpan(sent).first(size))));
  }
  for (std::size_t bit = 0; bit < sent.size() * 8; bit += 5) {
    EXPECT_FALSE(receive(group.member, flipped(sent, bit))) << bit;
  }
  EXPECT_EQ(read(group.member, sent), "text");
}

TEST(SenderKeyTest, AMessageMayBe2000AheadAndItsSkippedOnesAreKept) {
  Group group;
  const auto sent = group.send_many(4003);
  EXPECT_EQ(read(group.member, sent[2001]), "[too_far]");
  EXPECT_EQ(read(group.member, sent[2000]), "2000");
  EXPECT_EQ(read(group.member, sent[0]), "0");
  EXPECT_EQ(read(group.member, sent[4001]), "4001");  // 2000 more: the oldest seeds go
  EXPECT_EQ(read(group.member, sent[1999]), "[duplicate]");
  EXPECT_EQ(read(group.member, sent[2001]), "2001");
  EXPECT_EQ(read(group.member, sent[4000]), "4000");
}

TEST(SenderKeyTest, IterationsGoUpToTheLastOf32Bits) {
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  Group group;
  auto record = schema::parse<schema::StoredSenderKey>(group.sender.encode(), "key").value();
  record.set_iteration(kMax - 2);
  group.sender = SenderKey::decode(schema::serialize(record)).value();
  group.member = SenderKeys();
  group.member.process(group.sender.distribution());
  const auto last_but_one = group.send("last but one");
  const auto last = group.send("last");
  EXPECT_EQ(group.sender.encrypt(as_bytes("x"), group.random).error().why, Failure::too_far);
  EXPECT_EQ(read(group.member, last), "last");
  EXPECT_EQ(read(group.member, last), "[duplicate]");
  EXPECT_EQ(read(group.member, last_but_one), "last but one");
}

TEST(SenderKeyTest, FiveKeysAreKeptTheNewest) {
  SeededRandom random(12);
  SenderKeys member;
  std::vector<SenderKey> senders;
  std::vector<Bytes> sent;
  for (int i = 0; i < 6; ++i) {
    senders.push_back(SenderKey::create(random));
    member.process(senders.back().distribution());
    sent.push_back(senders.back().encrypt(as_bytes("text"), random).value());
  }
  EXPECT_FALSE(member.has(senders[0].id()));
  EXPECT_EQ(read(member, sent[0]), "[no_sender_key]");
  for (std::size_t i = 1; i < sent.size(); ++i) {
    EXPECT_TRUE(member.has(senders[i].id()));
    EXPECT_EQ(read(member, sent[i]), "text");
  }
}

TEST(SenderKeyTest, ADistributionThatComesAgainLosesNothing) {
  Group group;
  const auto first = group.sender.distribution();
  const auto sent = group.send_many(4);
  EXPECT_EQ(read(group.member, sent[2]), "2");
  group.member.process(first);
  EXPECT_EQ(read(group.member, sent[2]), "[duplicate]");
  EXPECT_EQ(read(group.member, sent[0]), "0");
  // One from further on: what lies between is awaited still.
  group.member.process(group.sender.distribution());
  EXPECT_EQ(read(group.member, sent[3]), "3");
  EXPECT_EQ(read(group.member, sent[1]), "1");
  EXPECT_EQ(read(group.member, group.send("next")), "next");
}

TEST(SenderKeyTest, ADistributionFromFarAheadIsTakenUp) {
  Group group;
  const auto sent = group.send_many(3000);
  EXPECT_EQ(read(group.member, sent[2999]), "[too_far]");
  group.member.process(group.sender.distribution());
  EXPECT_EQ(read(group.member, group.send("next")), "next");
  EXPECT_EQ(read(group.member, sent[0]), "[duplicate]");
}

TEST(SenderKeyTest, TheSameIdWithAnotherSigningKeyIsAnotherKey) {
  Group group;
  const auto old = group.send("old");
  auto record = schema::parse<schema::StoredSenderKey>(group.sender.encode(), "key").value();
  const auto signing = crypto::generate_key_pair(group.random);
  record.mutable_signing()->set_private_key(schema::field(signing.private_key.bytes));
  record.mutable_signing()->set_public_key(schema::field(signing.public_key));
  group.sender = SenderKey::decode(schema::serialize(record)).value();
  group.member.process(group.sender.distribution());
  EXPECT_EQ(read(group.member, old), "[bad_signature]");
  EXPECT_EQ(read(group.member, group.send("new")), "new");
}

TEST(SenderKeyTest, SignedRubbishIsBadPadding) {
  Group group;
  const auto record = schema::parse<schema::StoredSenderKey>(group.sender.encode(), "key").value();
  const crypto::KeyPair signing{
      crypto::PrivateKey::from(as_bytes(record.signing().private_key()), "key").value(),
      crypto::PublicKey::from(as_bytes(record.signing().public_key()), "key").value()};
  for (const std::size_t size : {1U, 15U, 16U, 48U}) {
    Bytes wire =
        SenderKeyMessage::serialize_covered(group.sender.id(), 0, Bytes(size, std::byte{0x5a}));
    append(wire, crypto::sign(signing, wire, group.random));
    EXPECT_EQ(read(group.member, wire), "[bad_padding]");
  }
  EXPECT_EQ(read(group.member, group.send("fine")), "fine");
}

TEST(SenderKeyTest, ARecordThatWeCannotHaveWrittenIsRefused) {
  Group group;
  EXPECT_FALSE(SenderKey::decode({}));
  EXPECT_FALSE(SenderKeys::decode({}));
  for (const auto& change : std::vector<void (*)(schema::StoredSenderKeys&)>{
           [](auto& record) { record.set_version(2); },
           [](auto& record) { record.mutable_states(0)->set_signing_key("x"); },
           [](auto& record) { record.mutable_states(0)->clear_chain_key(); },
           [](auto& record) { record.mutable_states(0)->add_skipped()->set_seed("x"); },
           [](auto& record) {
             while (record.states_size() < 6) *record.add_states() = record.states(0);
           }}) {
    auto record = schema::parse<schema::StoredSenderKeys>(group.member.encode(), "keys").value();
    change(record);
    EXPECT_EQ(SenderKeys::decode(schema::serialize(record)).error().code, Errc::malformed);
  }
  for (const auto& change : std::vector<void (*)(schema::StoredSenderKey&)>{
           [](auto& record) { record.clear_version(); },
           [](auto& record) { record.set_chain_key("x"); },
           [](auto& record) { record.clear_signing(); },
           [](auto& record) { record.mutable_signing()->set_public_key("x"); }}) {
    auto record = schema::parse<schema::StoredSenderKey>(group.sender.encode(), "key").value();
    change(record);
    EXPECT_EQ(SenderKey::decode(schema::serialize(record)).error().code, Errc::malformed);
  }
}

}  // namespace
}  // namespace wa::signal

#include "engine/protocol/signal/messages.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "engine/protocol/signal/fields.hpp"
#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::bytes;
using test::hex;
using test::hex_at;
using test::text_at;

const Bytes kMac(8, std::byte{0xaa});
const Bytes kSignature(64, std::byte{0xbb});
const crypto::PublicKey kKey{{std::byte{9}}};
const Bytes kCiphertext(16, std::byte{0xcc});

Bytes signal_message() {
  return concat(SignalMessage::serialize_covered(kKey, 1, 2, kCiphertext), kMac);
}

Bytes pre_key_message(ByteSpan inner) {
  PreKeySignalMessage message;
  message.registration_id = 7;
  message.pre_key_id = 8;
  message.signed_pre_key_id = 9;
  message.base_key = kKey;
  message.identity_key = kKey;
  message.message_bytes = inner;
  return message.serialize();
}

Bytes sender_key_message() {
  return concat(SenderKeyMessage::serialize_covered(5, 6, kCiphertext), kSignature);
}

Bytes distribution() {
  return SenderKeyDistribution{5, 6, Key(kKey.bytes), kKey}.serialize();
}

/// Each kind of message: bytes that parse, and the failure of parsing others.
struct Kind {
  const char* name;
  Bytes whole;
  std::function<std::optional<Failure>(ByteSpan)> failure;
  std::size_t tail_bytes;  ///< behind the protobuf
};

template <class Message>
std::optional<Failure> failure_of(ByteSpan bytes) {
  const auto message = Message::parse(bytes);
  return message ? std::nullopt : std::optional(message.error().why);
}

std::vector<Kind> kinds() {
  return {{"SignalMessage", signal_message(), failure_of<SignalMessage>, 8},
          {"PreKeySignalMessage", pre_key_message(signal_message()),
           failure_of<PreKeySignalMessage>, 0},
          {"SenderKeyMessage", sender_key_message(), failure_of<SenderKeyMessage>, 64},
          {"SenderKeyDistribution", distribution(), failure_of<SenderKeyDistribution>, 0}};
}

/// The message with more fields behind those that it has.
Bytes with_fields(const Kind& kind, ByteSpan fields) {
  const ByteSpan whole = kind.whole;
  return concat(whole.first(whole.size() - kind.tail_bytes), fields, whole.last(kind.tail_bytes));
}

TEST(MessagesTest, RecordedMessagesParseToTheirFields) {
  const auto file = test::vectors("signal-session.json");
  int checked = 0;
  for (const auto& step : file.at("steps").as_array()) {
    const auto* parsed = step.as_object().if_contains("parsed");
    if (parsed == nullptr) continue;
    SCOPED_TRACE(text_at(step, "message"));
    const Bytes wire = hex_at(step, "serialized");
    SignalMessage message;
    if (const auto* outer = parsed->as_object().if_contains("preKey")) {
      const auto pre_key = PreKeySignalMessage::parse(wire).value();
      EXPECT_EQ(pre_key.registration_id, outer->at("registrationId").to_number<std::uint32_t>());
      EXPECT_EQ(pre_key.signed_pre_key_id, outer->at("signedPreKeyId").to_number<std::uint32_t>());
      EXPECT_EQ(to_hex(typed(pre_key.base_key)), text_at(*outer, "baseKey"));
      EXPECT_EQ(to_hex(typed(pre_key.identity_key)), text_at(*outer, "identityKey"));
      // The recording has 0 where there is none.
      EXPECT_EQ(pre_key.pre_key_id.value_or(0), outer->at("preKeyId").to_number<std::uint32_t>());
      EXPECT_EQ(pre_key.serialize(), wire);
      message = pre_key.message;
    } else {
      message = SignalMessage::parse(wire).value();
    }
    const auto& fields = parsed->at("whisper");
    EXPECT_EQ(to_hex(typed(message.ratchet_key)), text_at(fields, "ratchetKey"));
    EXPECT_EQ(message.counter, fields.at("counter").to_number<std::uint32_t>());
    EXPECT_EQ(message.previous_counter, fields.at("previousCounter").to_number<std::uint32_t>());
    EXPECT_EQ(to_hex(message.ciphertext), text_at(fields, "ciphertext"));
    EXPECT_EQ(to_hex(message.mac), text_at(fields, "mac"));
    ++checked;
  }
  EXPECT_GE(checked, 48);
}

TEST(MessagesTest, EveryCutIsRefused) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    ASSERT_EQ(kind.failure(kind.whole), std::nullopt);
    for (std::size_t size = 0; size < kind.whole.size(); ++size) {
      SCOPED_TRACE(size);
      // Of its own storage, so that reading beyond the end is seen by the sanitizers.
      const Bytes cut = to_bytes(ByteSpan(kind.whole).first(size));
      const auto failure = kind.failure(cut);
      // A cut signed message may be one with fewer bytes in front of its tail; then a field is cut.
      EXPECT_TRUE(failure == Failure::malformed || failure == Failure::invalid_key) << size;
    }
  }
}

TEST(MessagesTest, AnyBytesAreParsedOrRefusedWithoutHarm) {
  SeededRandom random(5);
  for (const Kind& kind : kinds()) {
    for (std::size_t bit = 0; bit < kind.whole.size() * 8; ++bit) {
      (void)kind.failure(test::flipped(kind.whole, bit));
    }
    for (int i = 0; i < 2000; ++i) {
      Bytes noise(random.below(80));
      random.fill(noise);
      if (!noise.empty()) noise[0] = std::byte{0x33};
      (void)kind.failure(noise);
    }
  }
}

TEST(MessagesTest, OtherVersionsAreRefused) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    for (const int version : {0x00, 0x03, 0x22, 0x23, 0x34, 0x44, 0xff}) {
      SCOPED_TRACE(version);
      Bytes other = kind.whole;
      other[0] = static_cast<std::byte>(version);
      EXPECT_EQ(kind.failure(other), Failure::bad_version);
    }
  }
  // Of the inner message, too.
  Bytes inner = signal_message();
  inner[0] = std::byte{0x22};
  EXPECT_EQ(failure_of<PreKeySignalMessage>(pre_key_message(inner)), Failure::bad_version);
}

TEST(MessagesTest, UnknownFieldsAreSkipped) {
  Bytes unknown;
  FieldWriter(unknown).number(99, 1).bytes(100, kCiphertext);
  append(unknown, hex("a9060102030405060708"));  // 101: eight bytes
  append(unknown, hex("b50601020304"));          // 102: four bytes
  append(unknown, hex("bb06"
                      "0801"
                      "c306"
                      "c406"
                      "bc06"));  // 103: a group with a group in it
  append(unknown, hex("38808080808080808080"
                      "01"));  // 7: a number of ten bytes
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    EXPECT_EQ(kind.failure(with_fields(kind, unknown)), std::nullopt);
  }
}

TEST(MessagesTest, WhatIsNoProtobufIsMalformed) {
  for (const char* const tail :
       {"00", "02", "0f", "bc06", "bb06", "bb06c406", "2a05aa", "ffffffffffffffffffff01",
        "f8ffffffff7f01", "388080808080808080808001",
        // Groups nested deeper than anybody would.
        "bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06bb06"
        "bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06bc06"}) {
    SCOPED_TRACE(tail);
    for (const Kind& kind : kinds()) {
      EXPECT_EQ(kind.failure(with_fields(kind, hex(tail))), Failure::malformed) << kind.name;
    }
  }
}

TEST(MessagesTest, OfARepeatedFieldTheLastOneCounts) {
  Bytes more;
  const Bytes other(32, std::byte{0xdd});
  FieldWriter(more).number(2, 77).bytes(4, other).number(2, 78);
  const Bytes wire = with_fields(kinds()[0], more);
  const auto message = SignalMessage::parse(wire).value();
  EXPECT_EQ(message.counter, 78U);
  EXPECT_EQ(to_bytes(message.ciphertext), other);
  // The MAC is over what arrived.
  EXPECT_EQ(to_bytes(message.covered), to_bytes(ByteSpan(wire).first(wire.size() - 8)));
}

TEST(MessagesTest, AFieldOfAnotherKindCountsAsUnknown) {
  Bytes more;
  FieldWriter(more).bytes(2, kCiphertext).number(4, 3);
  const Bytes wire = with_fields(kinds()[0], more);
  const auto message = SignalMessage::parse(wire).value();
  EXPECT_EQ(message.counter, 1U);
  EXPECT_EQ(to_bytes(message.ciphertext), kCiphertext);
}

TEST(MessagesTest, NumbersTakeTheLow32Bits) {
  Bytes more =
      hex("10"
          "85808080f0ffffffff01");
  const Bytes wire = with_fields(kinds()[0], more);
  EXPECT_EQ(SignalMessage::parse(wire).value().counter, 5U);
}

TEST(MessagesTest, AbsentNumbersAreZeroAndAbsentBytesAreMalformed) {
  const auto wire_of = [](const std::function<void(FieldWriter&)>& fields) {
    Bytes wire = hex("33");
    FieldWriter writer(wire);
    fields(writer);
    append(wire, kMac);
    return wire;
  };
  const Bytes no_numbers =
      wire_of([](FieldWriter& writer) { writer.bytes(1, typed(kKey)).bytes(4, kCiphertext); });
  EXPECT_EQ(SignalMessage::parse(no_numbers).value().counter, 0U);
  EXPECT_EQ(
      failure_of<SignalMessage>(wire_of([](FieldWriter& writer) { writer.bytes(4, kCiphertext); })),
      Failure::malformed);
  EXPECT_EQ(
      failure_of<SignalMessage>(wire_of([](FieldWriter& writer) { writer.bytes(1, typed(kKey)); })),
      Failure::malformed);
  EXPECT_EQ(failure_of<SignalMessage>(wire_of(
                [](FieldWriter& writer) { writer.bytes(1, typed(kKey)).bytes(4, ByteSpan()); })),
            Failure::malformed);
}

TEST(MessagesTest, KeysHave33BytesOr32) {
  EXPECT_EQ(read_key(typed(kKey), "key").value(), kKey);
  EXPECT_EQ(read_key(kKey, "key").value(), kKey);
  auto other_type = typed(kKey);
  other_type[0] = std::byte{6};
  EXPECT_EQ(read_key(other_type, "key").error().why, Failure::invalid_key);
  auto top_bit = typed(kKey);
  top_bit[32] = std::byte{0x80};
  EXPECT_EQ(read_key(top_bit, "key").error().why, Failure::invalid_key);
  for (const std::size_t size : {0U, 1U, 31U, 34U, 64U}) {
    EXPECT_EQ(read_key(Bytes(size, std::byte{5}), "key").error().why, Failure::invalid_key);
  }
}

TEST(MessagesTest, ACounterWithoutASuccessorIsMalformed) {
  const auto with_counter = [](std::uint32_t counter) {
    return concat(SignalMessage::serialize_covered(kKey, counter, 0, kCiphertext), kMac);
  };
  EXPECT_EQ(failure_of<SignalMessage>(with_counter(0xffff'fffe)), std::nullopt);
  EXPECT_EQ(failure_of<SignalMessage>(with_counter(0xffff'ffff)), Failure::malformed);
  EXPECT_EQ(failure_of<SenderKeyMessage>(concat(
                SenderKeyMessage::serialize_covered(5, 0xffff'ffff, kCiphertext), kSignature)),
            Failure::malformed);
  EXPECT_EQ(failure_of<SenderKeyDistribution>(
                SenderKeyDistribution{5, 0xffff'ffff, Key(kKey.bytes), kKey}.serialize()),
            Failure::malformed);
}

TEST(MessagesTest, EveryFailureHasAWordAndARetryReason) {
  for (int i = 0; i <= static_cast<int>(Failure::bad_padding); ++i) {
    const auto failure = static_cast<Failure>(i);
    EXPECT_FALSE(to_string(failure).empty());
    // Only a message that was read before asks for nothing.
    EXPECT_EQ(retry_reason(failure) == 0, failure == Failure::duplicate) << to_string(failure);
  }
  EXPECT_EQ(to_string(Refusal{Failure::bad_mac, "why"}), "bad_mac: why");
}

}  // namespace
}  // namespace wa::signal

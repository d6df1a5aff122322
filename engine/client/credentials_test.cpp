#include "engine/client/credentials.hpp"

#include <gtest/gtest.h>

#include "engine/client/records.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"

namespace wa::client {
namespace {

Credentials paired() {
  SeededRandom random(11);
  auto credentials = Credentials::generate(3, random);
  credentials.next_pre_key_id = 813;
  credentials.uploaded_pre_key_id = 812;
  credentials.routing_info = to_bytes("route");
  Account account;
  account.jid = wire::Jid("15550100001", wire::kServerPn, 7);
  account.lid = wire::Jid("98765", wire::kServerLid, 7);
  account.account_key = crypto::generate_key_pair(random).public_key;
  random.fill(account.account_signature);
  account.signed_identity = to_bytes("signed identity");
  account.platform = "android";
  account.push_name = "Shop";
  credentials.account = account;
  credentials.pre_keys_owed = true;
  credentials.signed_pre_key_at = UnixMillis{1'767'225'600'000};
  credentials.next_signed_pre_key = make_signed_pre_key(credentials.identity, 3, random);
  credentials.retired_signed_pre_keys = {
      {make_signed_pre_key(credentials.identity, 1, random), UnixMillis{1'767'225'500'000}}};
  return credentials;
}

TEST(CredentialsTest, AreReadAsTheyWereWritten) {
  EXPECT_EQ(Credentials::decode(paired().encode()).value(), paired());
  SeededRandom random(1);
  const auto unpaired = Credentials::generate(1, random);
  EXPECT_EQ(Credentials::decode(unpaired.encode()).value(), unpaired);
}

TEST(CredentialsTest, NewOnesAreCompleteAndConsistent) {
  SeededRandom random(1);
  const auto first = Credentials::generate(1, random);
  const auto second = Credentials::generate(2, random);
  EXPECT_EQ(first.attempt_id, 1u);
  EXPECT_EQ(first.next_pre_key_id, 1u);
  EXPECT_FALSE(first.account);
  EXPECT_GE(first.registration_id, 1u);
  EXPECT_LE(first.registration_id, 16'380u);
  EXPECT_EQ(crypto::public_key_of(first.noise.private_key), first.noise.public_key);
  Bytes message{std::byte{5}};
  append(message, first.signed_pre_key.key.public_key);
  EXPECT_TRUE(crypto::verify(first.identity.public_key, message, first.signed_pre_key.signature,
                             "signed pre-key"));
  EXPECT_NE(first.noise, second.noise);
  EXPECT_NE(first.identity, second.identity);
  EXPECT_NE(first.adv_secret, second.adv_secret);
}

TEST(CredentialsTest, EveryTruncationAndEverySpoiltByteIsAnErrorAndNeverAnUnpairedDevice) {
  const Bytes whole = paired().encode();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const auto cut = Credentials::decode(ByteSpan(whole).first(at));
    ASSERT_FALSE(cut) << at;
    EXPECT_EQ(cut.error().code, Errc::malformed);
    Bytes spoilt = whole;
    spoilt[at] ^= std::byte{0x10};
    ASSERT_FALSE(Credentials::decode(spoilt)) << at;
  }
}

TEST(CredentialsTest, ARecordWithoutAUsableFieldIsMalformed) {
  struct Case {
    const char* name;
    void (*spoil)(schema::StoredCredentials&);
  };
  for (const auto& [name, spoil] : {
           Case{"noise", [](auto& record) { record.clear_noise(); }},
           Case{"identity",
                [](auto& record) { record.mutable_identity()->set_private_key("short"); }},
           Case{"signature",
                [](auto& record) { record.mutable_signed_pre_key()->clear_signature(); }},
           Case{"secret", [](auto& record) { record.set_adv_secret("x"); }},
           Case{"pre-key counter", [](auto& record) { record.clear_next_pre_key_id(); }},
           Case{"pre-key counter zero", [](auto& record) { record.set_next_pre_key_id(0); }},
           Case{"pre-key counter beyond", [](auto& r) { r.set_next_pre_key_id(0x1000001); }},
           Case{"jid", [](auto& record) { record.mutable_account()->set_jid("nobody"); }},
           Case{"jid without a number",
                [](auto& record) { record.mutable_account()->set_jid("bob@s.whatsapp.net"); }},
           Case{"account key", [](auto& record) { record.mutable_account()->clear_account_key(); }},
       }) {
    SCOPED_TRACE(name);
    const Bytes whole = paired().encode();
    auto record =
        schema::parse<schema::StoredCredentials>(open_record(whole, "").value(), "").value();
    spoil(record);
    const auto read = Credentials::decode(seal_record(schema::serialize(record)));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::malformed);
  }
  EXPECT_FALSE(Credentials::decode(to_bytes("\xff\xff garbage")));
}

TEST(CredentialsTest, TheFingerprintIsTheDocumentedHash) {
  const auto credentials = paired();
  Bytes input;
  append(input, credentials.noise.public_key);
  append(input, credentials.identity.public_key);
  append(input, big_endian<4>(credentials.registration_id));
  append(input, credentials.adv_secret);
  append(input, as_bytes("15550100001:7@s.whatsapp.net"));
  append(input, as_bytes("98765:7@lid"));
  append(input, credentials.account->account_signature);
  EXPECT_EQ(credentials.fingerprint(), to_hex(crypto::sha256(input)));

  auto unpaired = credentials;
  unpaired.account.reset();
  EXPECT_EQ(unpaired.fingerprint(), "");
}

TEST(LoginUsernameTest, IsTheNumberOfAPhoneNumberJid) {
  EXPECT_EQ(login_username(wire::Jid("15550100001", wire::kServerPn, 7)).value(), 15550100001u);
  for (const char* user : {"", "0", "bob", "1x", "99999999999999999999999", "-5", "+1", " 1"}) {
    EXPECT_FALSE(login_username(wire::Jid(user, wire::kServerPn))) << user;
  }
}

TEST(RecordsTest, PreKeysAreOneRecordEachUnderTheirDecimalId) {
  SeededRandom random(2);
  const auto keys = crypto::generate_key_pairs(3, random);
  std::vector<Change> changes;
  put_pre_keys(99, keys, changes);
  ASSERT_EQ(changes.size(), 3u);
  const auto& last = std::get<Put>(changes[2]);
  EXPECT_EQ(last.kind, "pre_key");
  EXPECT_EQ(last.key, "101");
  const auto record = schema::parse<schema::StoredPreKey>(last.bytes, "pre-key").value();
  EXPECT_EQ(record.id(), 101u);
  EXPECT_EQ(as_bytes(record.key().private_key()).size(), 32u);
  EXPECT_TRUE(equal(as_bytes(record.key().private_key()), keys[2].private_key.bytes));
}

}  // namespace
}  // namespace wa::client

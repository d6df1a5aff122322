#include "engine/protocol/pairing/device_identity.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"
#include "tests/support/test_support.hpp"

namespace wa::pairing {
namespace {

using schema::AdvSignedDeviceIdentity;
using schema::AdvSignedDeviceIdentityHmac;

crypto::KeyPair key_pair(const boost::json::value& json) {
  crypto::KeyPair pair;
  pair.private_key = *crypto::PrivateKey::from(test::hex_at(json, "private"), "private");
  pair.public_key = *crypto::PublicKey::from(test::hex_at(json, "public"), "public");
  return pair;
}

/// One case of the vectors, which were run through two versions of another client.
struct Vector {
  std::string name;
  crypto::KeyPair identity;
  crypto::KeyPair account;
  AdvSecret secret{};
  Bytes details;
  Bytes container;
  Bytes signed_identity;
  const boost::json::value* json = nullptr;
};

std::vector<Vector> vectors() {
  static const auto file = test::vectors("adv-pairing.json");
  std::vector<Vector> all;
  for (const auto& json : file.at("cases").as_array()) {
    Vector vector;
    vector.name = test::text_at(json, "name");
    vector.identity = key_pair(json.at("identity"));
    vector.account = key_pair(json.at("account"));
    vector.secret = *fixed<32>(test::hex_at(json, "adv_secret"), "secret");
    vector.details = test::hex_at(json, "device_identity_details");
    vector.container = test::hex_at(json, "container");
    vector.signed_identity = test::hex_at(json, "signed_device_identity");
    vector.json = &json;
    all.push_back(std::move(vector));
  }
  return all;
}

const Vector& e2ee() {
  static const auto vector = vectors().front();
  return vector;
}

AdvSignedDeviceIdentityHmac container_of(const Vector& vector) {
  return *schema::parse<AdvSignedDeviceIdentityHmac>(vector.container, "container");
}

Result<AcceptedIdentity> accept(const Vector& vector, ByteSpan container) {
  SeededRandom random(1);
  return accept_device_identity(container, vector.identity, vector.secret, random);
}

TEST(DeviceIdentityTest, AcceptsWhatOtherClientsAcceptAndRefusesSpoiltSignatures) {
  for (const auto& vector : vectors()) {
    SCOPED_TRACE(vector.name);
    const auto accepted = accept(vector, vector.container);
    if (vector.name == "bad HMAC") {
      ASSERT_FALSE(accepted);
      EXPECT_EQ(accepted.error().code, Errc::auth_failed);
      EXPECT_EQ(accepted.error().detail.substr(0, 4), "hmac");
    } else if (!vector.json->at("account_signature_valid_xeddsa").as_bool()) {
      ASSERT_FALSE(accepted);
      EXPECT_EQ(accepted.error().code, Errc::auth_failed);
      EXPECT_EQ(accepted.error().detail.substr(0, 17), "account signature");
    } else {
      ASSERT_TRUE(accepted) << accepted.error();
      const auto& other = vector.json->at("baileys7");
      EXPECT_EQ(std::to_string(accepted->key_index), test::text_at(other, "reply_key_index"));
      EXPECT_EQ(accepted->account_key, vector.account.public_key);
      // Their answer and ours differ in the device signature alone, which is randomized.
      auto ours = *schema::parse<AdvSignedDeviceIdentity>(accepted->reply, "ours");
      auto theirs =
          *schema::parse<AdvSignedDeviceIdentity>(test::hex_at(other, "reply_device_identity"), "");
      EXPECT_EQ(ours.device_signature().size(), 64u);
      ours.clear_device_signature();
      theirs.clear_device_signature();
      EXPECT_EQ(ours.SerializeAsString(), theirs.SerializeAsString());

      EXPECT_TRUE(
          verify_device_signature(accepted->reply, vector.container, vector.identity.public_key));
    }
  }
}

TEST(DeviceIdentityTest, VerifiesTheAnswersOfOtherClients) {
  int verified = 0;
  for (const auto& vector : vectors()) {
    SCOPED_TRACE(vector.name);
    const auto& other = vector.json->at("baileys7");
    if (!other.at("ok").as_bool()) continue;
    const auto result = verify_device_signature(test::hex_at(other, "reply_device_identity"),
                                                vector.container, vector.identity.public_key);
    EXPECT_TRUE(result) << result.error();
    ++verified;
  }
  EXPECT_GE(verified, 5);
}

TEST(DeviceIdentityTest, IssuesTheContainerOfTheVectors) {
  SeededRandom random(2);
  const auto details =
      *schema::parse<schema::AdvDeviceIdentity>(e2ee().details, "device identity details");
  const DeviceIdentitySpec spec{details.raw_id(), details.timestamp(), details.key_index()};
  const Bytes issued = issue_device_identity(spec, e2ee().account, e2ee().identity.public_key,
                                             e2ee().secret, random);

  auto ours = *schema::parse<AdvSignedDeviceIdentityHmac>(issued, "ours");
  auto our_identity = *schema::parse<AdvSignedDeviceIdentity>(as_bytes(ours.details()), "ours");
  EXPECT_EQ(as_text(e2ee().details), our_identity.details());
  EXPECT_EQ(schema::field(e2ee().account.public_key), our_identity.account_signature_key());

  const auto accepted = accept(e2ee(), issued);
  ASSERT_TRUE(accepted) << accepted.error();
  EXPECT_EQ(accepted->key_index, spec.key_index);
}

TEST(DeviceIdentityTest, TheStoredIdentityIsTheReplyWithTheAccountKey) {
  const auto accepted = accept(e2ee(), e2ee().container);
  ASSERT_TRUE(accepted);
  auto stored = *schema::parse<AdvSignedDeviceIdentity>(accepted->signed_identity, "stored");
  EXPECT_EQ(stored.account_signature_key(), schema::field(e2ee().account.public_key));
  stored.clear_account_signature_key();
  EXPECT_EQ(as_text(accepted->reply), stored.SerializeAsString());
}

TEST(DeviceIdentityTest, EveryTruncationAndEveryFlippedBitIsRefused) {
  for (std::size_t length = 0; length < e2ee().container.size(); ++length) {
    SCOPED_TRACE(length);
    EXPECT_FALSE(accept(e2ee(), ByteSpan(e2ee().container).first(length)));
  }
  for (std::size_t at = 0; at < e2ee().container.size(); ++at) {
    SCOPED_TRACE(at);
    Bytes spoilt = e2ee().container;
    spoilt[at] ^= std::byte{1};
    EXPECT_FALSE(accept(e2ee(), spoilt));
  }
}

TEST(DeviceIdentityTest, MissingFieldsAndWrongLengthsAreMalformed) {
  const auto refused = [](AdvSignedDeviceIdentityHmac container) {
    const auto accepted = accept(e2ee(), schema::serialize(container));
    ASSERT_FALSE(accepted);
    EXPECT_EQ(accepted.error().code, Errc::malformed) << accepted.error();
  };
  auto container = container_of(e2ee());
  container.clear_details();
  refused(container);
  container = container_of(e2ee());
  container.clear_hmac();
  refused(container);
  container.set_hmac(std::string(31, 'h'));
  refused(container);

  const auto identity = *schema::parse<AdvSignedDeviceIdentity>(e2ee().signed_identity, "");
  const auto with = [&](auto change) {
    auto changed = identity;
    change(changed);
    auto outer = container_of(e2ee());
    outer.set_details(changed.SerializeAsString());
    refused(outer);
  };
  with([](auto& changed) { changed.clear_details(); });
  with([](auto& changed) { changed.set_details("\xff\xff"); });
  with([](auto& changed) { changed.clear_account_signature_key(); });
  with([](auto& changed) { changed.set_account_signature_key(std::string(33, 'k')); });
  with([](auto& changed) { changed.clear_account_signature(); });
  with([](auto& changed) { changed.set_account_signature(std::string(65, 's')); });
}

TEST(DeviceIdentityTest, ASecretOrACompanionOfSomebodyElseIsRefused) {
  SeededRandom random(3);
  auto stranger = e2ee();
  stranger.secret[0] ^= std::byte{1};
  EXPECT_EQ(accept(stranger, e2ee().container).error().detail.substr(0, 4), "hmac");

  stranger = e2ee();
  stranger.identity = crypto::generate_key_pair(random);
  EXPECT_EQ(accept(stranger, e2ee().container).error().detail.substr(0, 17), "account signature");
}

TEST(DeviceIdentityTest, TheDeviceSignatureBindsKeyDetailsAndAccount) {
  SeededRandom random(4);
  const auto accepted = accept(e2ee(), e2ee().container);
  ASSERT_TRUE(accepted);
  const auto refused = [&](ByteSpan reply, ByteSpan container, const crypto::PublicKey& companion,
                           Errc code) {
    const auto result = verify_device_signature(reply, container, companion);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error();
  };
  const auto& companion = e2ee().identity.public_key;
  refused(accepted->reply, e2ee().container, crypto::generate_key_pair(random).public_key,
          Errc::auth_failed);
  // Another account, same companion: the identity answered is not the one that was issued.
  const Bytes other =
      issue_device_identity({1, 2, 3}, e2ee().account, companion, e2ee().secret, random);
  refused(accepted->reply, other, companion, Errc::auth_failed);

  auto reply = *schema::parse<AdvSignedDeviceIdentity>(accepted->reply, "");
  reply.clear_device_signature();
  refused(schema::serialize(reply), e2ee().container, companion, Errc::malformed);
  reply.set_device_signature(std::string(64, '\x01'));
  refused(schema::serialize(reply), e2ee().container, companion, Errc::auth_failed);
  for (std::size_t length = 0; length < accepted->reply.size(); ++length) {
    SCOPED_TRACE(length);
    EXPECT_FALSE(verify_device_signature(ByteSpan(accepted->reply).first(length), e2ee().container,
                                         companion));
  }
}

TEST(KeyIndexListTest, ReadsWhatWasIssuedAndRefusesEveryFlippedBitAndEveryCut) {
  SeededRandom random(5);
  const auto account = crypto::generate_key_pair(random);
  KeyIndexListSpec spec;
  spec.raw_id = 77;
  spec.timestamp = 1'767'225'600;
  spec.valid_indexes = {2, 5, 300};
  spec.current_index = 301;
  const Bytes list = issue_key_index_list(spec, account, random);
  const auto read = read_key_index_list(list, account.public_key);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->raw_id, spec.raw_id);
  EXPECT_EQ(read->timestamp, spec.timestamp);
  EXPECT_EQ(read->valid_indexes, spec.valid_indexes);
  EXPECT_EQ(read->current_index, spec.current_index);

  EXPECT_FALSE(read_key_index_list(list, crypto::generate_key_pair(random).public_key));
  const std::size_t signed_bytes = list.size() - 34;  // the account key behind is for whom it helps
  for (std::size_t bit = 0; bit < signed_bytes * 8; ++bit) {
    Bytes spoilt = list;
    spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(read_key_index_list(spoilt, account.public_key)) << bit;
  }
  for (std::size_t size = 0; size < signed_bytes; ++size) {
    ASSERT_FALSE(read_key_index_list(ByteSpan(list).first(size), account.public_key)) << size;
  }
}

}  // namespace
}  // namespace wa::pairing

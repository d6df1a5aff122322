#include "engine/protocol/pairing/client_payload.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"
#include "tests/support/test_support.hpp"

namespace wa::pairing {
namespace {

const boost::json::value& file() {
  static const auto value = test::vectors("client-payload.json");
  return value;
}

Bytes encoded(std::string_view name) {
  for (const auto& json : file().at("cases").as_array()) {
    if (test::text_at(json, "name") == name) return test::hex_at(json, "encoded");
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}

constexpr AppVersion kBaileys7{2, 3000, 1043857760};
constexpr AppVersion kBaileys6{2, 3000, 1019707846};

/// The registration of the vectors.
Registration registration(const AppVersion& version, bool require_full_sync) {
  Registration value;
  value.version = version;
  value.registration_id = 4242;
  value.identity =
      *crypto::PublicKey::from(test::hex_at(file().at("identity"), "public"), "identity");
  value.signed_pre_key_id = 1;
  value.signed_pre_key =
      *crypto::PublicKey::from(test::hex_at(file().at("signed_pre_key"), "public"), "pre-key");
  value.signed_pre_key_signature =
      *fixed<64>(test::hex_at(file(), "signed_pre_key_signature"), "signature");
  value.os = "Ubuntu";
  value.platform_type = 1;
  value.require_full_sync = require_full_sync;
  return value;
}

void expect_same(const Registration& a, const Registration& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.registration_id, b.registration_id);
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.signed_pre_key_id, b.signed_pre_key_id);
  EXPECT_EQ(a.signed_pre_key, b.signed_pre_key);
  EXPECT_EQ(a.signed_pre_key_signature, b.signed_pre_key_signature);
  EXPECT_EQ(a.os, b.os);
  EXPECT_EQ(a.platform_type, b.platform_type);
  EXPECT_EQ(a.require_full_sync, b.require_full_sync);
}

Registration parsed_registration(ByteSpan payload) {
  const auto parsed = parse_client_payload(payload);
  EXPECT_TRUE(parsed) << parsed.error();
  return parsed ? std::get<Registration>(*parsed) : Registration{};
}

Login parsed_login(ByteSpan payload) {
  const auto parsed = parse_client_payload(payload);
  EXPECT_TRUE(parsed) << parsed.error();
  return parsed ? std::get<Login>(*parsed) : Login{};
}

TEST(ClientPayloadTest, ReadsTheRegistrationsOfOtherClients) {
  expect_same(parsed_registration(encoded("baileys 7.0.0-rc14 registration, Ubuntu/Chrome")),
              registration(kBaileys7, true));
  expect_same(parsed_registration(encoded("baileys 6.17.16 registration, Ubuntu/Chrome")),
              registration(kBaileys6, false));
  auto mac = registration(kBaileys7, true);
  mac.os = "Mac OS";
  mac.platform_type = 7;
  expect_same(parsed_registration(
                  encoded("baileys 7.0.0-rc14 registration, Mac OS/Desktop (DARWIN sub platform)")),
              mac);
}

TEST(ClientPayloadTest, ReadsTheLoginsOfOtherClients) {
  const auto seven = parsed_login(encoded("baileys 7.0.0-rc14 login 15551230001:7"));
  EXPECT_EQ(seven.version, kBaileys7);
  EXPECT_EQ(seven.username, 15551230001u);
  EXPECT_EQ(seven.device, 7u);
  EXPECT_TRUE(seven.passive);
  EXPECT_EQ(parsed_login(encoded("baileys 7.0.0-rc14 login without device part")).device, 0u);
  const auto six = parsed_login(encoded("baileys 6.17.16 login 15551230001:7"));
  EXPECT_EQ(six.version, kBaileys6);
  EXPECT_EQ(six.device, 7u);
  EXPECT_FALSE(six.passive);
}

TEST(ClientPayloadTest, WritesByteForByteWhatACurrentWebClientWrites) {
  EXPECT_EQ(to_hex(encode_registration(registration(kBaileys7, true))),
            to_hex(encoded("baileys 7.0.0-rc14 registration, Ubuntu/Chrome")));
  EXPECT_EQ(to_hex(encode_login({kBaileys7, 15551230001u, 7, true})),
            to_hex(encoded("baileys 7.0.0-rc14 login 15551230001:7")));
  EXPECT_EQ(to_hex(encode_login({kBaileys7, 15551230001u, 0, true})),
            to_hex(encoded("baileys 7.0.0-rc14 login without device part")));
}

TEST(ClientPayloadTest, ReadsWhatItWrites) {
  auto value = registration({2, 3000, 7}, false);
  value.registration_id = 0x7fffffff;
  value.signed_pre_key_id = 0xfffffe;
  expect_same(parsed_registration(encode_registration(value)), value);

  const Login login{{2, 3000, 7}, 999'999'999'999'999, 65'535, false};
  const auto read = parsed_login(encode_login(login));
  EXPECT_EQ(read.username, login.username);
  EXPECT_EQ(read.device, login.device);
  EXPECT_EQ(read.passive, login.passive);
  EXPECT_EQ(read.version, login.version);
}

TEST(ClientPayloadTest, TheBuildHashIsTheMd5OfTheVersion) {
  for (const auto& json : file().at("build_hashes").as_array()) {
    const auto version = test::text_at(json, "version");
    const auto revision = static_cast<std::uint32_t>(std::stoul(version.substr(7)));
    EXPECT_EQ(to_string(AppVersion{2, 3000, revision}), version);
    auto value = registration({2, 3000, revision}, true);
    const auto payload =
        *schema::parse<schema::ClientPayload>(encode_registration(value), "client payload");
    EXPECT_EQ(to_hex(as_bytes(payload.device_pairing_data().build_hash())),
              test::text_at(json, "md5"));
  }
}

TEST(ClientPayloadTest, ASpoiltSignatureOfTheSignedPreKeyFailsAuthentication) {
  auto value = registration(kBaileys7, true);
  value.signed_pre_key_signature[10] ^= std::byte{4};
  auto parsed = parse_client_payload(encode_registration(value));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::auth_failed);

  value = registration(kBaileys7, true);
  value.signed_pre_key.bytes[0] ^= std::byte{1};
  parsed = parse_client_payload(encode_registration(value));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::auth_failed);
}

TEST(ClientPayloadTest, MissingFieldsAndWrongLengthsAreNamed) {
  using Data = schema::ClientPayload::DevicePairingRegistrationData;
  struct Case {
    const char* names;
    void (*spoil)(Data&);
  };
  for (const auto& [names, spoil] : {
           Case{"eRegid", [](Data& data) { data.clear_e_regid(); }},
           Case{"eRegid", [](Data& data) { data.set_e_regid("12345"); }},
           Case{"eKeytype", [](Data& data) { data.clear_e_keytype(); }},
           Case{"eKeytype", [](Data& data) { data.set_e_keytype("\x06"); }},
           Case{"eIdent", [](Data& data) { data.set_e_ident(std::string(33, 'i')); }},
           Case{"eSkeyId", [](Data& data) { data.set_e_skey_id("12"); }},
           Case{"eSkeyVal", [](Data& data) { data.clear_e_skey_val(); }},
           Case{"eSkeySig", [](Data& data) { data.set_e_skey_sig(std::string(63, 's')); }},
           Case{"buildHash", [](Data& data) { data.clear_build_hash(); }},
           Case{"deviceProps", [](Data& data) { data.clear_device_props(); }},
           Case{"deviceProps", [](Data& data) { data.set_device_props("\xff\xff\xff"); }},
       }) {
    SCOPED_TRACE(names);
    auto payload = *schema::parse<schema::ClientPayload>(
        encode_registration(registration(kBaileys7, true)), "client payload");
    spoil(*payload.mutable_device_pairing_data());
    const auto parsed = parse_client_payload(schema::serialize(payload));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, Errc::malformed);
    EXPECT_NE(parsed.error().detail.find(names), std::string::npos) << parsed.error();
  }
}

TEST(ClientPayloadTest, APayloadOfNeitherKindOrWithoutAVersionIsMalformed) {
  auto payload = *schema::parse<schema::ClientPayload>(
      encode_login({kBaileys7, 15551230001u, 7, true}), "client payload");
  payload.clear_username();
  EXPECT_EQ(parse_client_payload(schema::serialize(payload)).error().code, Errc::malformed);
  payload.set_username(1);
  payload.set_device(65'536);
  EXPECT_EQ(parse_client_payload(schema::serialize(payload)).error().code, Errc::malformed);
  payload.set_device(1);
  EXPECT_TRUE(parse_client_payload(schema::serialize(payload)));
  payload.clear_user_agent();
  EXPECT_EQ(parse_client_payload(schema::serialize(payload)).error().code, Errc::malformed);
}

TEST(ClientPayloadTest, ATruncatedRegistrationIsRefusedUntilItsPairingDataIsWhole) {
  const Bytes whole = encode_registration(registration(kBaileys7, true));
  // Behind the pairing data stands only `pull`, which nobody needs: 3 bytes.
  for (std::size_t length = 0; length < whole.size() - 3; ++length) {
    SCOPED_TRACE(length);
    EXPECT_FALSE(parse_client_payload(ByteSpan(whole).first(length)));
  }
}

}  // namespace
}  // namespace wa::pairing

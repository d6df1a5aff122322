#include "engine/client/pair_success.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/wire/node_codec.hpp"

namespace wa::client {
namespace {

using wire::NodeBuilder;

class PairSuccessTest : public ::testing::Test {
 protected:
  NodeBuilder stanza(bool with_lid = true) {
    container = pairing::issue_device_identity({.raw_id = 1, .timestamp = 2, .key_index = 9},
                                               account, credentials.identity.public_key,
                                               credentials.adv_secret, random);
    NodeBuilder device("device");
    device.attr("jid", wire::Jid("15550100001", wire::kServerPn, 7));
    if (with_lid) device.attr("lid", wire::Jid("98765", wire::kServerLid, 7));
    return NodeBuilder("pair-success")
        .child(NodeBuilder("device-identity").bytes(container))
        .child(NodeBuilder("biz").attr("name", "Shop"))
        .child(NodeBuilder("platform").attr("name", "smba"))
        .child(device);
  }
  Result<PairSuccess> accept(const NodeBuilder& node) {
    const auto frame = wire::decode(wire::encode(node, wire::Dictionary::v3), wire::Dictionary::v3);
    return accept_pair_success(frame.value().root(), credentials, random);
  }

  SeededRandom random{6};
  crypto::KeyPair account = crypto::generate_key_pair(random);
  Credentials credentials = Credentials::generate(1, random);
  Bytes container;
};

TEST_F(PairSuccessTest, TakesEverythingThatLaterLoginsNeed) {
  const auto success = accept(stanza());
  ASSERT_TRUE(success) << success.error();
  EXPECT_EQ(success->key_index, 9u);
  EXPECT_EQ(success->account.jid.to_string(), "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(success->account.lid.to_string(), "98765:7@lid");
  EXPECT_EQ(success->account.platform, "smba");
  EXPECT_EQ(success->account.push_name, "Shop");
  EXPECT_EQ(success->account.account_key, account.public_key);
  EXPECT_FALSE(success->account.signed_identity.empty());
  EXPECT_TRUE(pairing::verify_device_signature(success->signed_reply, container,
                                               credentials.identity.public_key));
}

TEST_F(PairSuccessTest, DoesWithoutALidWhichTheLoginMayBring) {
  const auto success = accept(stanza(false));
  ASSERT_TRUE(success) << success.error();
  EXPECT_TRUE(success->account.lid.server.empty());
  credentials.account = success->account;
  EXPECT_EQ(Credentials::decode(credentials.encode()).value(), credentials);
}

TEST_F(PairSuccessTest, TheAnswerCarriesTheReplyAndItsKeyIndex) {
  const auto success = accept(stanza()).value();
  const auto expected = NodeBuilder("iq")
                            .attr("to", wire::Jid::server_itself())
                            .attr("type", "result")
                            .attr("id", "I2")
                            .child(NodeBuilder("pair-device-sign")
                                       .child(NodeBuilder("device-identity")
                                                  .attr("key-index", "9")
                                                  .bytes(success.signed_reply)));
  EXPECT_EQ(pair_device_sign("I2", success), expected);
}

TEST_F(PairSuccessTest, ARefusalSaysWhatDidNotMatchAndNothingElse) {
  struct Case {
    Error error;
    int code;
    const char* text;
    const char* reason;
  };
  for (const auto& [error, code, text, reason] :
       {Case{{Errc::auth_failed, "hmac of …"}, 401, "hmac-mismatch", "hmac_mismatch"},
        Case{{Errc::auth_failed, "account signature: …"},
             401,
             "signature-mismatch",
             "signature_mismatch"},
        Case{{Errc::malformed, "hmac: expected 32 bytes"},
             500,
             "internal-error",
             "malformed_pair_success"}}) {
    const auto refusal = refusal_for(error);
    EXPECT_EQ(refusal.code, code);
    EXPECT_EQ(refusal.text, text);
    EXPECT_EQ(refusal.reason, reason);
    const auto expected =
        NodeBuilder("iq")
            .attr("to", wire::Jid::server_itself())
            .attr("type", "error")
            .attr("id", "I2")
            .child(NodeBuilder("error").attr("code", code).attr("text", std::string(text)));
    EXPECT_EQ(refuse_pair_success("I2", refusal), expected);
  }
}

}  // namespace
}  // namespace wa::client

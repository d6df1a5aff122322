#include "engine/client/pre_key_upload.hpp"

#include <gtest/gtest.h>

#include "engine/protocol/wire/node_codec.hpp"

namespace wa::client {
namespace {

TEST(PreKeyUploadTest, HasIdentitySignedKeyAndEveryKeyWithItsThreeByteId) {
  SeededRandom random(4);
  const auto credentials = Credentials::generate(1, random);
  std::vector<OfferedKey> keys;
  for (const std::uint32_t id : {0x0102feu, 0x0102ffu, 0x010301u}) {
    keys.push_back({id, crypto::generate_key_pair(random).public_key});
  }
  const PreKeyUpload upload("7.7-1", credentials, keys);
  const auto frame = wire::decode(
      [&] {
        Bytes out;
        wire::encode(upload.node(), wire::Dictionary::v3, out);
        return out;
      }(),
      wire::Dictionary::v3);
  ASSERT_TRUE(frame) << frame.error();
  const auto& iq = frame->root();
  EXPECT_EQ(iq.attr("xmlns"), "encrypt");
  EXPECT_EQ(iq.attr("type"), "set");
  EXPECT_EQ(iq.attr("id"), "7.7-1");
  EXPECT_EQ(iq.printed("to"), "@s.whatsapp.net");
  EXPECT_EQ(read_big_endian(iq.child("registration")->bytes()), credentials.registration_id);
  EXPECT_EQ(iq.child("registration")->bytes().size(), 4u);
  EXPECT_EQ(to_hex(iq.child("type")->bytes()), "05");
  EXPECT_TRUE(equal(iq.child("identity")->bytes(), credentials.identity.public_key));
  const auto& signed_key = *iq.child("skey");
  EXPECT_EQ(to_hex(signed_key.child("id")->bytes()), "000001");
  EXPECT_TRUE(equal(signed_key.child("value")->bytes(), credentials.signed_pre_key.key.public_key));
  EXPECT_TRUE(equal(signed_key.child("signature")->bytes(), credentials.signed_pre_key.signature));

  const auto list = iq.child("list")->children();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(to_hex(list[0].child("id")->bytes()), "0102fe");
  EXPECT_EQ(to_hex(list[2].child("id")->bytes()), "010301");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(list[i].tag, "key");
    EXPECT_TRUE(equal(list[i].child("value")->bytes(), keys[i].key));
  }
}

}  // namespace
}  // namespace wa::client

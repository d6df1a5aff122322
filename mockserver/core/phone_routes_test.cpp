// Phones in a tenant: what they send each other and their companions, by way of the server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <boost/json/parse.hpp>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/history.pb.h"
#include "engine/protocol/schema/serialize.hpp"
#include "mockserver/core/history.hpp"
#include "mockserver/core/test_signal.hpp"

namespace wa::mock {
namespace {

using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::TestClient;
using test::TestSignal;
using testing::ElementsAre;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr const char* kAnna = "15550100001";
constexpr const char* kBen = "15550100002";

schema::HistorySync inflated(ByteSpan zipped) {
  Bytes plain(1 << 16);
  uLongf size = plain.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(plain.data()), &size,
                       reinterpret_cast<const Bytef*>(zipped.data()), zipped.size()),
            Z_OK);
  plain.resize(size);
  return *schema::parse<schema::HistorySync>(plain, "history");
}

class PhoneRoutesTest : public testing::Test {
 protected:
  std::string send(SendMessage what) {
    const auto answered = bench_.command(what);
    EXPECT_TRUE(answered && std::holds_alternative<CommandResult>(*answered));
    return std::get<CommandResult>(*answered).value;
  }
  Problem refused(SendMessage what) { return std::get<Problem>(*bench_.command(what)); }
  const PhoneMessage& last(const char* phone) { return bench_.tenant.messages(phone)->back(); }
  std::vector<std::string> whats() const {
    std::vector<std::string> found;
    for (const TenantEvent& event : bench_.events) {
      if (event.kind != EventKind::message) continue;
      for (const auto& [name, value] : event.data) {
        if (name == "what") found.push_back(value);
      }
    }
    return found;
  }
  /// The messages among what waits for the client, in order.
  static std::vector<wire::Frame> messages(TestClient& client) {
    std::vector<wire::Frame> found;
    while (client.has_message()) {
      wire::Frame frame = client.receive();
      if (frame.root().tag == "message") found.push_back(std::move(frame));
    }
    return found;
  }
  static void confirm(TestClient& client, const Node& stanza) {
    client.send(NodeBuilder("receipt")
                    .attr("id", stanza.printed("id"))
                    .attr("to", *stanza.jid("from"))
                    .attr("type", "peer_msg"));
  }

  Bench bench_;
};

TEST_F(PhoneRoutesTest, PhonesTalkByWayOfTheServer) {
  (void)bench_.command(AddPhone{kAnna, "Anna"});
  (void)bench_.command(AddPhone{kBen, "Ben"});
  const std::string id = send({kAnna, kBen, SayText{"hello", ""}, ""});
  EXPECT_EQ(last(kBen).id, id);
  EXPECT_EQ(last(kBen).text, "hello");
  EXPECT_EQ(last(kAnna).receipts.at("15550100002@s.whatsapp.net"), "delivered");
  EXPECT_EQ(last(kAnna).receipts.at(""), "sent");
  const std::string reply = send({kBen, "+1 555 010 0001", SayText{"hi", id}, ""});
  EXPECT_EQ(last(kAnna).text, "hi");
  EXPECT_EQ(last(kAnna).about, id);
  send({kAnna, "15550100002@s.whatsapp.net", React{reply, "+"}, "MINE"});
  EXPECT_EQ(last(kBen).id, "MINE");
  EXPECT_EQ(last(kBen).kind, "reaction");
  (void)bench_.command(ReadMessages{kBen, {id}});
  EXPECT_EQ(bench_.tenant.messages(kAnna)->front().receipts.at("15550100002@s.whatsapp.net"),
            "read");
  EXPECT_EQ(whats(),
            (std::vector<std::string>{"sent", "received", "receipt", "sent", "received", "receipt",
                                      "sent", "received", "receipt", "receipt"}));
  EXPECT_THAT(bench_.rules(), ElementsAre());
}

TEST_F(PhoneRoutesTest, WhatCannotBeSentSaysWhy) {
  (void)bench_.command(AddPhone{kAnna, ""});
  EXPECT_EQ(refused({"1555", kAnna, SayText{"x", ""}, ""}).code, "unknown_phone");
  EXPECT_EQ(refused({kAnna, "ben", SayText{"x", ""}, ""}).code, "bad_recipient");
  EXPECT_EQ(refused({kAnna, kBen, SayText{"x", ""}, ""}).code, "unknown_recipient");
  EXPECT_EQ(refused({kAnna, kAnna, SayText{"x", ""}, ""}).code, "no_devices");
  EXPECT_EQ(refused({kAnna, kAnna, RevokeMessage{"3EB0"}, ""}).code, "unknown_message");
  EXPECT_EQ(refused({kAnna, kAnna, SayText{"x", "3EB0"}, ""}).code, "unknown_message");
  EXPECT_EQ(bench_.tenant.messages("nobody"), nullptr);
  EXPECT_TRUE(bench_.tenant.messages(kAnna)->empty());
}

TEST_F(PhoneRoutesTest, ACompanionIsWelcomedAtItsFirstLoginAndOnlyThen) {
  const DeviceKeys keys(bench_.random());
  const Linked linked = link_device(bench_, keys, kAnna);
  TestSignal reader(keys, bench_.random(), crypto::generate_key_pair(bench_.random()));
  {
    TestClient client(bench_, keys);
    client.log_in(linked.phone, linked.device, false);
    EXPECT_EQ(messages(client).size(), 0u) << "it has no keys yet";
    client.send(reader.upload());
    const auto welcome = messages(client);
    ASSERT_EQ(welcome.size(), 2u);
    for (const wire::Frame& frame : welcome) {
      EXPECT_EQ(frame.root().attr("category"), "peer");
      EXPECT_EQ(frame.root().jid("from")->to_string(), linked.phone.lid);
      EXPECT_FALSE(frame.root().has_attr("recipient"));
      EXPECT_FALSE(frame.root().has_attr("offline"));
    }
    const auto share = reader.read(welcome[0].root());
    const auto& shared = std::get<message::AppStateKeys>(share.content);
    ASSERT_EQ(shared.keys.size(), 1u);
    EXPECT_EQ(shared.keys[0].data.size(), 32u);
    const auto past = reader.read(welcome[1].root());
    const auto& notice = std::get<message::HistoryNotice>(past.content);
    EXPECT_EQ(notice.type, message::HistoryNotice::Type::initial_bootstrap);
    const schema::HistorySync history = inflated(notice.inline_payload);
    ASSERT_EQ(history.phone_number_to_lid_mappings_size(), 1);
    EXPECT_EQ(history.phone_number_to_lid_mappings(0).pn_jid(), linked.phone.jid);
    EXPECT_EQ(history.phone_number_to_lid_mappings(0).lid_jid(), linked.phone.lid);
    for (const wire::Frame& frame : welcome) confirm(client, frame.root());
    client.disconnect();
  }
  TestClient again(bench_, keys);
  again.log_in(linked.phone, linked.device, false);
  EXPECT_EQ(messages(again).size(), 0u);
  EXPECT_TRUE(bench_.rules().empty());
}

TEST_F(PhoneRoutesTest, AnUnreadWelcomeComesAgain) {
  const DeviceKeys keys(bench_.random());
  const Linked linked = link_device(bench_, keys, kAnna);
  const TestSignal reader(keys, bench_.random(), crypto::generate_key_pair(bench_.random()));
  {
    TestClient client(bench_, keys);
    client.log_in(linked.phone, linked.device, false);
    client.send(reader.upload());
    client.disconnect();
  }
  TestClient again(bench_, keys);
  again.log_in(linked.phone, linked.device, false);
  EXPECT_EQ(messages(again).size(), 2u);
}

TEST_F(PhoneRoutesTest, ClientsOfDictionary2FetchTheHistory) {
  const DeviceKeys keys(bench_.random());
  const Linked linked = link_device(bench_, keys, kAnna);
  TestClient client(bench_, keys, "old", wire::Dictionary::v2);
  client.log_in(linked.phone, linked.device, false);
  bench_.advance(std::chrono::seconds(1));  // such clients get their first frame late
  TestSignal reader(keys, bench_.random(), crypto::generate_key_pair(bench_.random()));
  client.send(reader.upload());
  const auto welcome = messages(client);
  ASSERT_EQ(welcome.size(), 2u);
  EXPECT_EQ(welcome[0].root().jid("from")->to_string(), linked.phone.jid);
  (void)reader.read(welcome[0].root());
  const auto past = reader.read(welcome[1].root());
  const auto& notice = std::get<message::HistoryNotice>(past.content);
  EXPECT_TRUE(notice.inline_payload.empty());
  const Bytes* file = bench_.tenant.media(notice.direct_path + "&hash=x");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(bench_.tenant.media("/v/media/other.enc"), nullptr);
  EXPECT_EQ(to_bytes(crypto::sha256(*file)), notice.file_enc_sha256);
  const auto expanded =
      crypto::hkdf_sha256<112>(notice.media_key, {}, as_bytes("WhatsApp History Keys"));
  const auto iv = *fixed<16>(ByteSpan(expanded).first(16), "iv");
  const auto key = *fixed<32>(ByteSpan(expanded).subspan(16, 32), "key");
  const auto plain = crypto::aes_cbc_decrypt(key, iv, ByteSpan(*file).first(file->size() - 10));
  ASSERT_TRUE(plain);
  EXPECT_EQ(to_bytes(crypto::sha256(*plain)), notice.file_sha256);
  EXPECT_EQ(plain->size(), notice.file_bytes);
  EXPECT_EQ(inflated(*plain).progress(), 100u);
}

TEST_F(PhoneRoutesTest, ACompanionGetsACopyOfWhatItsPhoneSends) {
  (void)bench_.command(AddPhone{kBen, "Ben"});
  const DeviceKeys keys(bench_.random());
  const Linked linked = link_device(bench_, keys, kAnna);
  TestClient client(bench_, keys);
  client.log_in(linked.phone, linked.device, false);
  TestSignal reader(keys, bench_.random());
  for (const wire::Frame& frame : messages(client)) (void)reader.read(frame.root());
  send({kAnna, kBen, SayText{"hello", ""}, ""});
  const auto copies = messages(client);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].root().jid("recipient")->to_string(), bench_.tenant.phone(kBen)->lid);
  const auto copy = reader.read(copies[0].root());
  EXPECT_EQ(copy.sent_to, "15550100002@s.whatsapp.net");
  EXPECT_EQ(std::get<message::Text>(copy.content).text, "hello");
}

TEST_F(PhoneRoutesTest, PhonesWriteToTheirGroups) {
  (void)bench_.command(AddPhone{kBen, "Ben"});
  const DeviceKeys keys(bench_.random());
  const Linked linked = link_device(bench_, keys, kAnna);
  TestClient client(bench_, keys);
  client.log_in(linked.phone, linked.device, false);
  TestSignal reader(keys, bench_.random());
  for (const wire::Frame& frame : messages(client)) (void)reader.read(frame.root());
  NodeBuilder create("create");
  create.attr("subject", "two").attr("key", "1");
  create.child(NodeBuilder("participant").attr("jid", Jid(kBen, wire::kServerPn)));
  client.send(NodeBuilder("iq")
                  .attr("id", "g1")
                  .attr("to", Jid("", wire::kServerGroup))
                  .attr("type", "set")
                  .attr("xmlns", "w:g2")
                  .child(std::move(create)));
  const wire::Frame created = client.receive();
  ASSERT_NE(created.root().child("group"), nullptr) << wire::to_xml(created.root());
  const std::string group = created.root().child("group")->printed("id") + "@g.us";

  const std::string first = send({kAnna, group, SayText{"hello, both", ""}, ""});
  EXPECT_EQ(last(kBen).id, first);
  EXPECT_EQ(last(kBen).text, "hello, both");
  EXPECT_EQ(last(kBen).chat, group);
  EXPECT_EQ(last(kBen).from, "15550100001@s.whatsapp.net");
  const auto copies = messages(client);
  ASSERT_EQ(copies.size(), 1u);
  const auto key = reader.read(copies[0].root());
  ASSERT_TRUE(key.sender_key) << "the first message brings the key";
  EXPECT_EQ(key.sender_key->group, group);
  send({kBen, group, SayText{"an answer", first}, ""});
  EXPECT_EQ(last(kAnna).text, "an answer");
  EXPECT_EQ(last(kAnna).about, first);
  EXPECT_EQ(refused({kBen, "120363999999999999@g.us", SayText{"x", ""}, ""}).code,
            "unknown_recipient");
}

TEST_F(PhoneRoutesTest, SessionsSurviveARestartOfTheServer) {
  (void)bench_.command(AddPhone{kAnna, "Anna"});
  (void)bench_.command(AddPhone{kBen, "Ben"});
  send({kAnna, kBen, SayText{"one", ""}, ""});
  send({kBen, kAnna, SayText{"two", ""}, ""});
  Bench later(Settings{}, 2);
  ASSERT_TRUE(later.tenant.load(bench_.tenant.save()));
  (void)later.command(SendMessage{kAnna, kBen, SayText{"three", ""}, ""});
  EXPECT_EQ(later.tenant.messages(kBen)->back().text, "three");
  EXPECT_EQ(later.tenant.messages(kBen)->back().failures, 0u);
}

TEST(SendMessageTest, JsonSaysWhatIsSent) {
  const auto parse = [](std::string_view text) {
    return SendMessage::parse("1", boost::json::parse(text).as_object());
  };
  EXPECT_EQ(std::get<SayText>(parse(R"({"to":"2","text":"x","reply_to":"3"})")->what),
            (SayText{"x", "3"}));
  EXPECT_EQ(parse(R"({"to":"2","text":"x","id":"7"})")->id, "7");
  EXPECT_EQ(std::get<React>(parse(R"({"to":"2","reaction":{"id":"3","emoji":""}})")->what),
            (React{"3", ""}));
  EXPECT_EQ(std::get<EditText>(parse(R"({"to":"2","edit":{"id":"3","text":"y"}})")->what),
            (EditText{"3", "y"}));
  EXPECT_EQ(std::get<RevokeMessage>(parse(R"({"to":"2","revoke":"3"})")->what), RevokeMessage{"3"});
  EXPECT_EQ(
      std::get<message::Contact>(parse(R"({"to":"2","contact":{"name":"n","vcard":"v"}})")->what),
      (message::Contact{"n", "v"}));
  EXPECT_EQ(std::get<message::Location>(
                parse(R"({"to":"2","location":{"latitude":-1.5,"longitude":2}})")->what),
            (message::Location{-1.5, 2}));
  EXPECT_EQ(std::get<SayRaw>(parse(R"({"to":"2","raw":"0a00"})")->what), SayRaw{*from_hex("0a00")});
  for (const char* text :
       {R"({})", R"({"to":"2"})", R"({"to":"","text":"x"})", R"({"to":2,"text":"x"})",
        R"({"to":"2","text":1})", R"({"to":"2","text":"x","raw":""})", R"({"to":"2","raw":"0"})",
        R"({"to":"2","raw":"","reply_to":"3"})", R"({"to":"2","reaction":{"emoji":"x"}})",
        R"({"to":"2","reaction":{"id":"","emoji":"x"}})", R"({"to":"2","reaction":{"id":"3"}})",
        R"({"to":"2","revoke":""})", R"({"to":"2","location":{"latitude":91,"longitude":0}})",
        R"({"to":"2","location":{"latitude":"1","longitude":0}})", R"({"to":"2","txt":"x"})",
        R"({"to":"2","contact":{"name":"n"}})", R"({"to":"2","edit":{"id":"3","txt":""}})"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(parse(text));
  }
}

}  // namespace
}  // namespace wa::mock

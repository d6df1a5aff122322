#include "mockserver/core/tenant.hpp"

#include <gmock/gmock.h>
#include <boost/json/parse.hpp>

#include "engine/protocol/pairing/device_identity.hpp"
#include "mockserver/core/test_client.hpp"

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using test::add_fault;
using test::Bench;
using test::DeviceKeys;
using test::Linked;
using test::problem_code;
using test::query;
using test::TestClient;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using wire::Jid;
using wire::NodeBuilder;

// ---- registration and scan --------------------------------------------------------------------

TEST(TenantPairingTest, AScanLinksTheDeviceAndRestartsTheStream) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", "Ann"});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  EXPECT_EQ(client.refs.size(), 6u);

  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", client.qr_text()})), "pending");
  const RequestId scan = bench.next_request - 1;
  client.answer_pair_success();
  ASSERT_TRUE(bench.answers.contains(scan));
  EXPECT_EQ(std::get<CommandResult>(bench.answers.at(scan)).value, "15550100001:1@s.whatsapp.net");

  EXPECT_FALSE(client.closed());
  bench.advance(100ms);
  const wire::Frame error = client.receive();
  EXPECT_EQ(error.root().tag, "stream:error");
  EXPECT_EQ(error.root().attr("code"), "515");
  EXPECT_EQ(client.closed(), CloseHow::normal);
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
}

TEST(TenantPairingTest, ClientsOfDictionary2GetTheirFirstFrameLater) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys, "old", wire::Dictionary::v2);
  client.register_device();
  EXPECT_FALSE(client.has_message());
  bench.advance(50ms);
  client.answer_pair_device();
  EXPECT_EQ(client.refs.size(), 6u);
}

TEST(TenantPairingTest, RefsAreAcceptedEarlyUntilTheirGraceIsOverAndThenStale) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  bench.advance(66s);  // the first ref ended at 60 s, grace 5 s
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", client.qr_text(0)})), "stale_ref");
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", client.qr_text(5)})), "pending");
}

TEST(TenantPairingTest, TheSocketClosesTenSecondsAfterTheLastRefAndItsRefsAreStale) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  bench.advance(169s);
  EXPECT_FALSE(client.closed());
  bench.advance(1s);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", client.qr_text(5)})), "stale_ref");
}

TEST(TenantPairingTest, ASecondPhoneCannotUseTheSameCode) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  (void)bench.command(AddPhone{"15550100002", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", client.qr_text(0)})), "pending");
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100002", client.qr_text(0)})), "ref_used");
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100002", client.qr_text(1)})), "ref_used");
  client.answer_pair_success();
  EXPECT_EQ(bench.tenant.phone("15550100001")->devices.size(), 1u);
  EXPECT_EQ(bench.tenant.phone("15550100002")->devices.size(), 0u);
}

TEST(TenantPairingTest, ForeignCodesAreRefusedByName) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const DeviceKeys others(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  TestClient mixed(bench, others, "mixed");
  mixed.refs = client.refs;
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", mixed.qr_text()})), "key_mismatch");
  mixed.refs = {"2@never-issued"};
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", mixed.qr_text()})), "unknown_ref");
  EXPECT_EQ(problem_code(bench.command(Scan{"15550100001", "https://example.org"})),
            "not_a_whatsapp_qr");
  EXPECT_EQ(problem_code(bench.command(Scan{"15559999999", client.qr_text()})), "unknown_phone");
}

TEST(TenantPairingTest, ABadDeviceSignatureIsAViolationAndLinksNothing) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  (void)bench.command(Scan{"15550100001", client.qr_text()});
  const RequestId scan = bench.next_request - 1;
  const wire::Frame frame = client.receive();
  const auto container = frame.root().child("pair-success")->child("device-identity")->bytes();
  auto accepted =
      pairing::accept_device_identity(container, keys.identity, keys.adv_secret, bench.random());
  ASSERT_TRUE(accepted);
  accepted->reply.back() ^= std::byte{1};  // the device signature is the last field
  client.send(NodeBuilder("iq")
                  .attr("to", Jid::server_itself())
                  .attr("type", "result")
                  .attr("id", std::string(frame.root().attr("id")))
                  .child(NodeBuilder("pair-device-sign")
                             .child(NodeBuilder("device-identity")
                                        .attr("key-index", accepted->key_index)
                                        .bytes(accepted->reply))));
  EXPECT_EQ(bench.rules(), std::vector<std::string>{"device-signature"});
  EXPECT_EQ(problem_code(bench.answers.at(scan)), "bad_pair_device_sign");
  EXPECT_TRUE(bench.tenant.phone("15550100001")->devices.empty());
}

// On a slow link the answer is under way when the phone gives up: nobody broke a rule.
TEST(TenantPairingTest, AnAnswerThatComesAfterTheScanWasGivenUpLinksNobodyAndIsNoViolation) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  (void)bench.command(Scan{"15550100001", client.qr_text()});
  const RequestId scan = bench.next_request - 1;
  bench.advance(10s);
  EXPECT_EQ(problem_code(bench.answers.at(scan)), "no_pair_device_sign");
  client.answer_pair_success();
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
  EXPECT_TRUE(bench.tenant.phone("15550100001")->devices.empty());
  // Once.
  client.send(
      NodeBuilder("iq").attr("to", "s.whatsapp.net").attr("type", "result").attr("id", "2"));
  EXPECT_EQ(bench.rules(), std::vector<std::string>{"unexpected-result"});
}

TEST(TenantPairingTest, AScanWithoutAnAnswerTimesOutAndALostCompanionIsNamed) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  (void)bench.command(AddPhone{"15550100001", ""});
  TestClient silent(bench, keys);
  silent.register_device();
  silent.answer_pair_device();
  (void)bench.command(Scan{"15550100001", silent.qr_text()});
  bench.advance(10s);
  EXPECT_EQ(problem_code(bench.answers.at(bench.next_request - 1)), "no_pair_device_sign");

  TestClient lost(bench, keys, "lost");
  lost.register_device();
  lost.answer_pair_device();
  (void)bench.command(Scan{"15550100001", lost.qr_text()});
  lost.disconnect();
  EXPECT_EQ(problem_code(bench.answers.at(bench.next_request - 1)), "connection_lost");
}

TEST(TenantPairingTest, AWithheldPairDeviceStillEndsWithItsWindow) {
  Bench bench;
  add_fault(bench, R"({"fault":"withhold","args":{"stanza":"pair-device"}})");
  const DeviceKeys keys(bench.random());
  TestClient client(bench, keys);
  client.register_device();
  EXPECT_FALSE(client.has_message());
  bench.advance(170s);
  EXPECT_TRUE(client.closed());
}

// ---- login ------------------------------------------------------------------------------------

TEST(TenantLoginTest, APairedDeviceGetsSuccessBulletinsAndAfterActiveTheOfflineMarker) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  const wire::Frame success = client.receive();
  EXPECT_EQ(success.root().tag, "success");
  EXPECT_EQ(success.root().jid("lid")->device, 1);
  EXPECT_NE(client.receive().root().child("edge_routing"), nullptr);
  EXPECT_NE(client.receive().root().child("offline_preview"), nullptr);
  EXPECT_FALSE(client.has_message());
  client.send(query("passive", "set", "1", "active"));
  EXPECT_EQ(client.receive().root().attr("type"), "result");
  EXPECT_NE(client.receive().root().child("offline"), nullptr);
  EXPECT_EQ(bench.count(EventKind::active), 1u);
  EXPECT_TRUE(bench.tenant.phone("15550100001")->devices.at(0).online);
  EXPECT_EQ(bench.rules(), std::vector<std::string>{});
}

TEST(TenantLoginTest, AnUnknownDeviceOrAForeignNoiseKeyIsRefusedWith401) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const DeviceKeys others(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient thief(bench, others, "thief");
  thief.log_in(linked.phone, linked.device);
  const wire::Frame failure = thief.receive();
  EXPECT_EQ(failure.root().tag, "failure");
  EXPECT_EQ(failure.root().attr("reason"), "401");
  EXPECT_TRUE(thief.closed());
  TestClient unknown(bench, keys, "unknown");
  unknown.log_in(linked.phone, 77);
  EXPECT_EQ(unknown.receive().root().attr("reason"), "401");
}

TEST(TenantLoginTest, ASecondLoginReplacesTheFirst) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient first(bench, keys);
  first.log_in(linked.phone, linked.device);
  first.drop_messages();
  TestClient second(bench, keys, "rogue");
  second.log_in(linked.phone, linked.device);
  const wire::Frame error = first.receive();
  EXPECT_EQ(error.root().tag, "stream:error");
  EXPECT_EQ(error.root().child("conflict")->attr("type"), "replaced");
  EXPECT_TRUE(first.closed());
  EXPECT_EQ(second.receive().root().tag, "success");
  EXPECT_FALSE(second.closed());
}

TEST(TenantLoginTest, AnUnlinkedDeviceIsToldAndRefusedAfterwards) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  client.drop_messages();
  const std::string jid = linked.phone.devices.at(0).device_jid;
  EXPECT_EQ(problem_code(bench.command(Unlink{"15550100001", jid})), "ok");
  const wire::Frame error = client.receive();
  EXPECT_EQ(error.root().attr("code"), "401");
  EXPECT_EQ(error.root().child("conflict")->attr("type"), "device_removed");
  EXPECT_EQ(problem_code(bench.command(Unlink{"15550100001", jid})), "unknown_device");
  TestClient again(bench, keys, "again");
  again.log_in(linked.phone, linked.device);
  EXPECT_EQ(again.receive().root().attr("reason"), "401");
}

// ---- keys that are used twice ------------------------------------------------------------------

class TenantKeysTest : public testing::Test {
 protected:
  TenantKeysTest() : keys_(bench_.random()), linked_(link_device(bench_, keys_)) {}
  std::string last_detail() const { return bench_.tenant.violations().back().detail; }

  Bench bench_;
  DeviceKeys keys_;
  Linked linked_;
};

TEST_F(TenantKeysTest, AFrameThatComesTwiceIsToldByItsCounter) {
  TestClient client(bench_, keys_);
  client.log_in(linked_.phone, linked_.device);
  const Bytes frame = client.seal(query("w:p", "get", "a"));
  client.send_raw(frame);
  EXPECT_THAT(bench_.rules(), IsEmpty());
  client.send_raw(frame);
  EXPECT_THAT(bench_.rules(), ElementsAre("decrypt"));
  EXPECT_EQ(last_detail(), "auth_failed: the frame repeats counter 0, expected 1");
  EXPECT_TRUE(client.closed());
}

TEST_F(TenantKeysTest, AFrameThatIsMissingIsToldByTheNext) {
  TestClient client(bench_, keys_);
  client.log_in(linked_.phone, linked_.device);
  (void)client.seal(query("w:p", "get", "a"));
  client.send(query("w:p", "get", "b"));
  EXPECT_EQ(last_detail(), "auth_failed: the frame skips to counter 1, expected 0");
}

TEST_F(TenantKeysTest, AFrameOfNoCounterIsOnlyUnauthentic) {
  TestClient client(bench_, keys_);
  client.log_in(linked_.phone, linked_.device);
  Bytes frame = client.seal(query("w:p", "get", "a"));
  frame.back() ^= std::byte{1};
  client.send_raw(frame);
  EXPECT_THAT(bench_.rules(), ElementsAre("decrypt"));
  EXPECT_THAT(last_detail(), Not(HasSubstr("counter")));
}

TEST_F(TenantKeysTest, AnEphemeralKeyServesOneConnection) {
  for (const int round : {1, 2}) {
    SeededRandom random(7, "the same again");
    TestClient client(bench_, keys_);
    client.connect(pairing::encode_registration(keys_.registration()), &random);
    client.disconnect();
    EXPECT_EQ(bench_.rules().size(), round == 1 ? 0u : 1u);
  }
  EXPECT_THAT(bench_.rules(), ElementsAre("key-reused"));
}

// ---- IQs, acks, violations ---------------------------------------------------------------------

NodeBuilder upload(const DeviceKeys& keys, const std::vector<crypto::KeyPair>& one_time) {
  NodeBuilder list("list");
  std::uint32_t id = 1;
  for (const auto& key : one_time) {
    list.child(NodeBuilder("key")
                   .child(NodeBuilder("id").bytes(big_endian<3>(id++)))
                   .child(NodeBuilder("value").bytes(key.public_key.bytes)));
  }
  const std::byte type{5};
  return query("encrypt", "set", "up")
      .child(NodeBuilder("registration").bytes(big_endian<4>(4242)))
      .child(NodeBuilder("type").bytes(ByteSpan(&type, 1)))
      .child(NodeBuilder("identity").bytes(keys.identity.public_key.bytes))
      .child(std::move(list))
      .child(NodeBuilder("skey")
                 .child(NodeBuilder("id").bytes(big_endian<3>(keys.signed_pre_key.id)))
                 .child(NodeBuilder("value").bytes(keys.signed_pre_key.key.public_key.bytes))
                 .child(NodeBuilder("signature").bytes(keys.signed_pre_key.signature)));
}

class TenantIqTest : public testing::Test {
 protected:
  TenantIqTest()
      : keys_(bench_.random()), linked_(link_device(bench_, keys_)), client_(bench_, keys_) {
    client_.log_in(linked_.phone, linked_.device);
    client_.drop_messages();
  }
  Bench bench_;
  DeviceKeys keys_;
  Linked linked_;
  TestClient client_;
};

TEST_F(TenantIqTest, CountsWhatWasUploaded) {
  client_.send(query("encrypt", "get", "1", "count"));
  EXPECT_EQ(client_.receive().root().child("count")->attr("value"), "0");
  const auto one_time = crypto::generate_key_pairs(30, bench_.random());
  client_.send(upload(keys_, one_time));
  EXPECT_EQ(client_.receive().root().attr("type"), "result");
  client_.send(query("encrypt", "get", "2", "count"));
  EXPECT_EQ(client_.receive().root().child("count")->attr("value"), "30");
  client_.send(query("encrypt", "get", "3", "digest"));
  EXPECT_EQ(client_.receive().root().child("digest")->child("list")->children().size(), 30u);
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{});
}

TEST_F(TenantIqTest, RefusesAnUploadWhoseSignedKeyIsForged) {
  DeviceKeys forged = keys_;
  forged.signed_pre_key.signature[5] ^= std::byte{1};
  client_.send(upload(forged, crypto::generate_key_pairs(2, bench_.random())));
  EXPECT_EQ(client_.receive().root().attr("type"), "error");
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{"signed-prekey-signature"});
}

TEST_F(TenantIqTest, NoticesAPreKeyIdUsedTwice) {
  client_.send(upload(keys_, crypto::generate_key_pairs(1, bench_.random())));
  client_.send(upload(keys_, crypto::generate_key_pairs(1, bench_.random())));
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{"prekey-reused"});
}

TEST_F(TenantIqTest, AnswersAnUnknownIqEmptyAndCountsIt) {
  client_.send(query("w:never:heard", "get", "x", "thing"));
  const wire::Frame reply = client_.receive();
  EXPECT_EQ(reply.root().attr("type"), "result");
  EXPECT_EQ(reply.root().attr("id"), "x");
  bool counted = false;
  for (const CoverageRow& row : bench_.tenant.coverage()) {
    counted |= row.route == "unknown" && row.stanza == "iq get w:never:heard thing";
  }
  EXPECT_TRUE(counted);
}

TEST_F(TenantIqTest, AnAckThatNobodyWaitsForIsAViolation) {
  client_.send(NodeBuilder("ack").attr("id", "77").attr("class", "notification"));
  EXPECT_EQ(bench_.rules(), std::vector<std::string>{"ack-unknown"});
  client_.send(query("w:p", "get", "1"));
  EXPECT_EQ(client_.receive().root().attr("id"), "1");
}

TEST_F(TenantIqTest, EveryMessageAndReceiptIsAcknowledged) {
  client_.send(
      NodeBuilder("receipt").attr("id", "r1").attr("to", Jid("15550100002", "s.whatsapp.net")));
  const wire::Frame ack = client_.receive();
  EXPECT_EQ(ack.root().tag, "ack");
  EXPECT_EQ(ack.root().attr("class"), "receipt");
  EXPECT_EQ(ack.root().attr("id"), "r1");
}

TEST_F(TenantIqTest, LogoutRemovesTheCompanion) {
  client_.send(query("md", "set", "bye", "remove-companion-device"));
  EXPECT_EQ(client_.receive().root().attr("type"), "result");
  EXPECT_TRUE(client_.closed());
  EXPECT_TRUE(bench_.tenant.phone("15550100001")->devices.empty());
}

// ---- bad input ---------------------------------------------------------------------------------

TEST(TenantBadInputTest, GarbageBeforeTheHandshakeEndsThatConnectionOnly) {
  const std::string inputs[] = {"GET / HTTP/1.1\r\n\r\n",
                                "WB",
                                std::string("WA\x06\x09", 4),
                                std::string("WA\x06\x03\0\0\0", 7),
                                std::string("WA\x06\x03\xff\xff\xff", 7),
                                std::string("WA\x06\x03\0\0\x05hello", 12),
                                std::string("ED\0\x01\xff\xff\xff", 7)};
  for (const std::string& input : inputs) {
    SCOPED_TRACE(to_hex(as_bytes(input)));
    Bench bench;
    bench.step(1, UpgradeRequested{"/ws/chat", "x"});
    bench.step(2, UpgradeRequested{"/ws/chat", "y"});
    bench.step(1, BytesReceived{to_bytes(input)});
    EXPECT_TRUE(bench.closed.contains(1));
    EXPECT_FALSE(bench.closed.contains(2));
    EXPECT_EQ(bench.rules().size(), 1u);
    bench.step(1, BytesReceived{to_bytes(input)});  // late bytes
    EXPECT_EQ(bench.rules().size(), 1u);
  }
}

TEST(TenantBadInputTest, ADuplicatedOrTamperedTransportFrameEndsTheConnection) {
  for (const bool tamper : {false, true}) {
    Bench bench;
    const DeviceKeys keys(bench.random());
    const Linked linked = link_device(bench, keys);
    TestClient client(bench, keys);
    client.log_in(linked.phone, linked.device);
    Bytes frame(20, std::byte{7});
    if (!tamper) frame = Bytes(3 + 16, std::byte{0});
    Bytes message;
    wire::append_frame_header(frame.size(), message);
    append(message, frame);
    client.send_raw(message);
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(bench.rules(), std::vector<std::string>{"decrypt"});
  }
}

TEST(TenantBadInputTest, AClientThatNeverSpeaksIsClosedAfterTheHandshakeTimeout) {
  Bench bench;
  bench.step(1, UpgradeRequested{"/ws/chat", "x"});
  bench.advance(20s);
  EXPECT_TRUE(bench.closed.contains(1));
}

TEST(TenantBadInputTest, RoutingInfoBeforeTheHeaderIsAcceptedHoweverItIsCut) {
  const Bytes prefix = *from_hex("454400010000030102035741060300");
  for (std::size_t cut = 1; cut < prefix.size(); ++cut) {
    Bench bench;
    bench.step(1, UpgradeRequested{"/ws/chat", "x"});
    bench.step(1, BytesReceived{to_bytes(ByteSpan(prefix).first(cut))});
    bench.step(1, BytesReceived{to_bytes(ByteSpan(prefix).subspan(cut))});
    EXPECT_EQ(bench.rules(), std::vector<std::string>{}) << cut;
  }
}

// ---- state -------------------------------------------------------------------------------------

TEST(TenantStateTest, AccountsSurviveSaveAndLoad) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  const std::string saved = bench.tenant.save();
  Bench restored;
  ASSERT_TRUE(restored.tenant.load(saved));
  EXPECT_EQ(restored.tenant.save(), saved);
  TestClient client(restored, keys);
  client.log_in(linked.phone, linked.device);
  EXPECT_EQ(client.receive().root().tag, "success");
  EXPECT_EQ(problem_code(restored.command(AddPhone{"15550100009", ""})), "ok");
}

TEST(TenantStateTest, DamagedStateIsAnErrorAndChangesNothing) {
  Bench bench;
  for (const char* text : {"", "[]", "{}", R"({"phones":[1]})", R"({"phones":[{"id":"p1"}]})"}) {
    EXPECT_FALSE(bench.tenant.load(text)) << text;
  }
  EXPECT_TRUE(bench.tenant.phones().empty());
}

TEST(TenantStateTest, ResetClosesStreamsAndForgets) {
  Bench bench;
  const DeviceKeys keys(bench.random());
  const Linked linked = link_device(bench, keys);
  TestClient client(bench, keys);
  client.log_in(linked.phone, linked.device);
  EXPECT_EQ(problem_code(bench.command(Reset{})), "ok");
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(bench.tenant.phones().empty());
  EXPECT_FALSE(bench.tenant.next_deadline());
}

TEST(SettingsTest, UnknownKeysNameTheNearestAndValuesAreChecked) {
  Settings settings;
  EXPECT_TRUE(settings.set("refs.count", "3"));
  EXPECT_EQ(settings.refs_count, 3u);
  EXPECT_TRUE(settings.set("restart_delay", "1.5s"));
  EXPECT_EQ(settings.restart_delay, 1500ms);
  EXPECT_NE(settings.set("ref.count", "3").error().detail.find("refs.count"), std::string::npos);
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, const char*>>{{"refs.count", "-1"},
                                                        {"refs.count", "many"},
                                                        {"restart_delay", "5"},
                                                        {"restart_delay", "-5s"},
                                                        {"restart_delay", "5 fortnights"},
                                                        {"edge_routing", "1"}}) {
    EXPECT_FALSE(settings.set(key, value)) << key << "=" << value;
  }
}

}  // namespace
}  // namespace wa::mock

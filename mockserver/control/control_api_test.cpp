#include "mockserver/control/control_api.hpp"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "engine/base/limits.hpp"
#include "engine/qr/qr.hpp"
#include "mockserver/control/http_test_client.hpp"
#include "mockserver/control/routes.hpp"

namespace wa::mock {
namespace {

using test::HttpAnswer;
using test::HttpHeaders;
using test::TestSocket;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const HttpHeaders kWantsJson = {{"Accept", "application/json"}};

/// A mock with its control API, on a thread of its own.
class RunningMock {
 public:
  explicit RunningMock(ControlOptions options = {}, Settings settings = {}, HostLimits most = {}) {
    HostOptions host;
    host.settings = std::move(settings);
    host.limits = most;
    auto keys = ServerKeys::generate(random_);
    auto started = MockHost::start(io_, std::move(host), std::move(keys), random_);
    host_ = std::move(*started);
    options.profile = "default";
    options.version = "1.2.3";
    auto controlled = ControlApi::start(io_, *host_, std::move(options));
    api_ = std::move(*controlled);
    thread_ = std::thread([this] { io_.run(); });
  }
  /// Ends when nothing is left to do: a leaked timer or socket would hang the test.
  ~RunningMock() {
    boost::asio::post(io_, [this] {
      api_->stop();
      host_->stop();
    });
    thread_.join();
  }

  std::uint16_t control_port() const { return api_->port(); }
  std::uint16_t ws_port() const { return host_->port(); }
  std::string url() const { return api_->url(); }
  std::string info() const { return api_->info(); }
  std::string root_key() const { return to_hex(host_->keys().root.public_key.bytes); }

 private:
  boost::asio::io_context io_{1};
  SeededRandom random_{11};
  std::unique_ptr<MockHost> host_;
  std::unique_ptr<ControlApi> api_;
  std::thread thread_;
};

class ControlApiTest : public testing::Test {
 protected:
  ControlApiTest() = default;
  ControlApiTest(ControlOptions options, HostLimits most) : mock_(std::move(options), {}, most) {}

  HttpAnswer call(std::string_view method, std::string_view target, std::string_view body = {},
                  const HttpHeaders& headers = {}) {
    return test::http_call(mock_.control_port(), method, target, body, headers);
  }
  /// The error's code; fails unless it has a message, and the status.
  std::string refused(int status, std::string_view method, std::string_view target,
                      std::string_view body = {}, const HttpHeaders& headers = {}) {
    const HttpAnswer answer = call(method, target, body, headers);
    EXPECT_EQ(answer.status, status) << answer.body;
    const boost::json::value document = answer.json();
    const auto& error = document.at("error");
    EXPECT_FALSE(error.at("message").as_string().empty());
    EXPECT_TRUE(error.at("hint").is_string());
    return std::string(error.at("code").as_string());
  }
  std::string message(std::string_view method, std::string_view target, std::string_view body) {
    const HttpAnswer answer = call(method, target, body);
    return std::string(answer.json().at("error").at("message").as_string());
  }
  HttpAnswer upgrade(TestSocket& socket, std::string_view target = "/ws/chat") {
    return test::websocket_upgrade(socket, target);
  }

  RunningMock mock_;
};

TEST_F(ControlApiTest, InfoSaysHowToReachTheMock) {
  const HttpAnswer answer = call("GET", "/v1/info");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  const auto info = answer.json();
  EXPECT_EQ(info.at("ws_url").as_string(),
            "ws://127.0.0.1:" + std::to_string(mock_.ws_port()) + "/ws/chat");
  EXPECT_EQ(info.at("noise_root_public_key").as_string(), mock_.root_key());
  EXPECT_EQ(info.at("control_url").as_string(), mock_.url());
  EXPECT_EQ(info.at("profile").as_string(), "default");
  EXPECT_EQ(info.at("version").as_string(), "1.2.3");
  EXPECT_EQ(answer.body, mock_.info());
}

TEST_F(ControlApiTest, PhonesAreMadeListedAndFoundByIdAndNumber) {
  const HttpAnswer made = call("POST", "/v1/phones", R"({"number":"15550100001","name":"Shop"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const auto phone = made.json();
  EXPECT_EQ(phone.at("jid").as_string(), "15550100001@s.whatsapp.net");
  EXPECT_FALSE(phone.at("lid").as_string().empty());
  EXPECT_EQ(phone.at("name").as_string(), "Shop");
  EXPECT_EQ(phone.at("devices"), boost::json::array());

  const std::string id(phone.at("id").as_string());
  EXPECT_EQ(call("GET", "/v1/phones/" + id).json(), phone);
  EXPECT_EQ(call("GET", "/v1/phones/15550100001").json(), phone);
  EXPECT_EQ(call("GET", "/v1/phones").json().at("phones"), boost::json::array{phone});
  EXPECT_EQ(refused(404, "GET", "/v1/phones/999"), "unknown_phone");
  EXPECT_EQ(call("POST", "/v1/phones", R"({"number":"15550100001"})").status, 409);
  EXPECT_EQ(call("POST", "/v1/phones", R"({"number":"12"})").status / 100, 4);
}

TEST_F(ControlApiTest, BadBodiesAreExplained) {
  EXPECT_EQ(refused(400, "POST", "/v1/phones", "{\"number\":"), "bad_json");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", "[]"), "wrong_type");
  EXPECT_EQ(refused(400, "POST", "/v1/phones"), "missing_member");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", R"({"number":15550100001})"), "wrong_type");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", R"({"numbr":"1"})"), "unknown_member");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", R"({"number":"15550100001"}{})"), "bad_json");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", "{\"number\":\"\xff\xfe\"}"), "bad_json");
  EXPECT_EQ(refused(400, "POST", "/v1/phones", std::string(100'000, '[')), "bad_json");
  EXPECT_EQ(refused(400, "POST", "/v1/reset", R"({"all":true})"), "unknown_member");
  EXPECT_EQ(refused(400, "GET", "/v1/phones?limit=3"), "unknown_parameter");

  EXPECT_THAT(message("POST", "/v1/phones", R"({"numbr":"1"})"),
              HasSubstr("did you mean \"number\"?"));
  EXPECT_THAT(message("POST", "/v1/phones", "{\n  \"number\": x}"), HasSubstr("line 2, column 13"));
  EXPECT_EQ(call("GET", "/v1/phones").json().at("phones"), boost::json::array());
}

TEST_F(ControlApiTest, WrongPathsAndMethodsAreExplained) {
  EXPECT_EQ(refused(404, "GET", "/v1/nothing"), "unknown_path");
  EXPECT_EQ(refused(404, "GET", "/"), "unknown_path");
  EXPECT_EQ(refused(405, "DELETE", "/v1/phones"), "wrong_method");
  EXPECT_THAT(call("DELETE", "/v1/phones").headers.at("allow"),
              testing::AllOf(HasSubstr("GET"), HasSubstr("POST")));
}

TEST_F(ControlApiTest, BodiesThatAreTooLargeAreNotRead) {
  const std::string large(limits::kMaxJsonBodyBytes + 1, ' ');
  EXPECT_EQ(refused(413, "POST", "/v1/phones", large), "body_too_large");
  // Announced, never sent: the answer comes anyway.
  EXPECT_EQ(refused(413, "POST", "/v1/phones/1/scan", {}, {{"Content-Length", "99999999999"}}),
            "body_too_large");
}

TEST_F(ControlApiTest, PhonesSendEachOtherMessages) {
  const std::string messages = "/v1/phones/15550100001/messages";
  EXPECT_EQ(refused(404, "GET", messages), "unknown_phone");
  EXPECT_EQ(refused(404, "POST", messages, R"({"to":"15550100002","text":"hello"})"),
            "unknown_phone");
  EXPECT_EQ(call("POST", "/v1/phones", R"({"number":"15550100001"})").status, 201);
  EXPECT_EQ(call("POST", "/v1/phones", R"({"number":"15550100002"})").status, 201);
  const auto sent = call("POST", messages, R"({"to":"15550100002","text":"hello"})");
  ASSERT_EQ(sent.status, 201) << sent.body;
  const std::string id(sent.json().at("id").as_string());

  const auto theirs = call("GET", "/v1/phones/15550100002/messages").json().at("messages");
  ASSERT_EQ(theirs.as_array().size(), 1u);
  EXPECT_EQ(theirs.at(0).at("id").as_string(), id);
  EXPECT_EQ(theirs.at(0).at("from_me"), false);
  EXPECT_EQ(theirs.at(0).at("from"), "15550100001@s.whatsapp.net");
  EXPECT_EQ(theirs.at(0).at("chat"), "15550100001@s.whatsapp.net");
  EXPECT_EQ(theirs.at(0).at("kind"), "text");
  EXPECT_EQ(theirs.at(0).at("text"), "hello");
  const auto receipts = [&] {
    return call("GET", messages).json().at("messages").at(0).at("receipts");
  };
  EXPECT_EQ(receipts().at("15550100002@s.whatsapp.net"), "delivered");
  EXPECT_EQ(call("POST", "/v1/phones/15550100002/read", R"({"ids":[")" + id + R"("]})").status,
            200);
  EXPECT_EQ(receipts().at("15550100002@s.whatsapp.net"), "read");

  EXPECT_EQ(refused(400, "POST", messages, R"([])"), "wrong_type");
  EXPECT_EQ(refused(400, "POST", messages, R"({"to":"15550100002"})"), "bad_message");
  EXPECT_EQ(refused(404, "POST", messages, R"({"to":"15550100003","text":"x"})"),
            "unknown_recipient");
  EXPECT_EQ(refused(422, "POST", messages, R"({"to":"nobody","text":"x"})"), "bad_recipient");
  EXPECT_EQ(refused(404, "POST", messages, R"({"to":"15550100002","revoke":"3EB0"})"),
            "unknown_message");
  EXPECT_EQ(refused(400, "POST", "/v1/phones/15550100002/read", R"({})"), "missing_member");
  EXPECT_EQ(refused(400, "POST", "/v1/phones/15550100002/read", R"({"ids":[1]})"), "wrong_type");
}

TEST_F(ControlApiTest, PairingCodesAreForPhonesThatACompanionWaitsFor) {
  const std::string enter = "/v1/phones/15550100001/pairing-code";
  EXPECT_EQ(refused(404, "POST", enter, R"({"code":"ABCD1234"})"), "unknown_phone");
  EXPECT_EQ(call("POST", "/v1/phones", R"({"number":"15550100001"})").status, 201);
  EXPECT_EQ(refused(400, "POST", enter, R"({})"), "missing_member");
  EXPECT_EQ(refused(400, "POST", enter, R"({"code":1})"), "wrong_type");
  EXPECT_EQ(refused(422, "POST", enter, R"({"code":"ABCD"})"), "bad_code");
  EXPECT_EQ(refused(409, "POST", enter, R"({"code":"abcd-1234"})"), "no_pairing_code");
}

// ---- scanning --------------------------------------------------------------------------------

std::string png_of(std::string_view text) {
  const auto png = qr::to_png(text);
  return std::string(as_text(*png));
}

TEST_F(ControlApiTest, TheBytesDecideWhatIsScanned) {
  call("POST", "/v1/phones", R"({"number":"15550100001"})");
  const std::string scan = "/v1/phones/15550100001/scan";
  // Each of them is read as far as the tenant, which knows that this is no code of a client.
  EXPECT_EQ(refused(422, "POST", scan, "no code of ours"), "not_a_whatsapp_qr");
  EXPECT_EQ(refused(422, "POST", scan, png_of("no code of ours")), "not_a_whatsapp_qr");
  const std::string url = "data:image/png;base64," + to_base64(as_bytes(png_of("no code of ours")));
  EXPECT_EQ(refused(422, "POST", scan, url + "\n"), "not_a_whatsapp_qr");
  EXPECT_EQ(refused(422, "POST", scan, png_of("no code of ours"), {{"Content-Type", "text/plain"}}),
            "not_a_whatsapp_qr");
}

TEST_F(ControlApiTest, PicturesThatCannotBeUsedSayWhy) {
  call("POST", "/v1/phones", R"({"number":"15550100001"})");
  const std::string scan = "/v1/phones/15550100001/scan";
  const std::string png = png_of("no code of ours");
  EXPECT_EQ(refused(422, "POST", scan), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, " \n"), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, png.substr(0, png.size() / 2)), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, "GIF89a\x01\x02\x03"), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, "data:image/png;base64,!!!!"), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, "data:image/png;base64,aGVsbG8="), "bad_picture");
  EXPECT_EQ(refused(422, "POST", scan, "data:text/plain,hello"), "bad_picture");
  const auto white = from_base64(  // a PNG of 64 by 64 white pixels
      "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAEk"
      "lEQVR42mP4DwUMo4xRBukMAOPT/hAC2mzjAAAAAElFTkSuQmCC");
  ASSERT_TRUE(white);
  EXPECT_EQ(refused(422, "POST", scan, as_text(*white)), "no_qr");
}

TEST_F(ControlApiTest, AnUnknownPhoneScansNothing) {
  EXPECT_EQ(refused(404, "POST", "/v1/phones/15550100001/scan", "2@a,b,c,d"), "unknown_phone");
  EXPECT_EQ(refused(404, "POST", "/v1/phones/15550100001/scan", png_of("2@a,b,c,d")),
            "unknown_phone");
  EXPECT_EQ(refused(404, "POST", "/v1/phones/1/unlink", R"({"device_jid":"1:1@s.whatsapp.net"})"),
            "unknown_phone");
  EXPECT_EQ(refused(400, "POST", "/v1/phones/1/unlink", R"({})"), "missing_member");
}

// ---- connections and faults ------------------------------------------------------------------

TEST_F(ControlApiTest, ConnectionsAreListedAndClosed) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client, "/ws/chat?device=shop-1").status, 101);
  const auto listed = call("GET", "/v1/connections").json().at("connections");
  ASSERT_EQ(listed.as_array().size(), 1u);
  EXPECT_EQ(listed.at(0).at("label").as_string(), "shop-1");
  EXPECT_EQ(listed.at(0).at("id").to_number<int>(), 1);

  EXPECT_EQ(refused(400, "DELETE", "/v1/connections/1?how=gently"), "bad_parameter");
  EXPECT_EQ(refused(404, "DELETE", "/v1/connections/2"), "unknown_connection");
  EXPECT_EQ(refused(404, "DELETE", "/v1/connections/one"), "unknown_connection");
  EXPECT_EQ(call("DELETE", "/v1/connections/1").status, 200);
  EXPECT_EQ(client.read_some(), "") << "the end of the stream";
}

TEST_F(ControlApiTest, FaultsComeActAndGo) {
  const std::string record = R"({"id":"cut","fault":"close","args":{"how":"fin"},)"
                             R"("when":{"manual":true},"where":{"connection":"*"}})";
  const HttpAnswer made = call("POST", "/v1/faults", record);
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.json().at("id").as_string(), "cut");
  EXPECT_EQ(made.json().at("fired").to_number<int>(), 0);
  EXPECT_EQ(call("POST", "/v1/faults", record).status, 409);

  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  const HttpAnswer fired = call("POST", "/v1/faults/cut/fire");
  EXPECT_EQ(fired.status, 200) << fired.body;
  EXPECT_EQ(client.read_some(), "");
  EXPECT_EQ(call("GET", "/v1/faults").json().at("faults").at(0).at("fired").to_number<int>(), 1);

  const HttpAnswer healed = call("POST", "/v1/faults/cut/heal");
  EXPECT_EQ(healed.status, 200) << healed.body;
  EXPECT_EQ(healed.json().at("healed"), true);
  EXPECT_EQ(healed.json().at("active"), false);
  EXPECT_EQ(call("POST", "/v1/faults/cut/fire").status, 409);
  EXPECT_EQ(call("POST", "/v1/faults/other/heal").status, 404);

  EXPECT_EQ(call("DELETE", "/v1/faults/cut").status, 200);
  EXPECT_EQ(call("DELETE", "/v1/faults/cut").status, 404);
  EXPECT_EQ(call("POST", "/v1/faults/cut/fire").status, 404);
  EXPECT_EQ(call("GET", "/v1/faults").json().at("faults"), boost::json::array());
}

TEST_F(ControlApiTest, BadFaultsAreExplained) {
  EXPECT_EQ(refused(400, "POST", "/v1/faults", R"({"fault":"strem_error"})"), "bad_fault");
  EXPECT_THAT(message("POST", "/v1/faults", R"({"fault":"strem_error"})"),
              HasSubstr("stream_error"));
  EXPECT_EQ(refused(400, "POST", "/v1/faults", "7"), "bad_fault");
  EXPECT_EQ(refused(400, "POST", "/v1/faults"), "bad_json");
}

TEST_F(ControlApiTest, ViolationsNameTheirRuleAndSource) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  client.write(std::string("\x82\x84\0\0\0\0GET ", 10));  // one binary message: "GET "
  client.read_some();                                     // the server closes
  const auto violations = call("GET", "/v1/violations").json().at("violations");
  ASSERT_EQ(violations.as_array().size(), 1u);
  EXPECT_EQ(violations.at(0).at("rule").as_string(), "header");
  EXPECT_FALSE(violations.at(0).at("source").as_string().empty());
  EXPECT_EQ(violations.at(0).at("connection").to_number<int>(), 1);
  EXPECT_EQ(call("GET", "/v1/coverage").json().at("coverage"), boost::json::array());
}

// ---- events ----------------------------------------------------------------------------------

TEST_F(ControlApiTest, ServerSentEventsBeginWithTheLogAndGoOn) {
  TestSocket first(mock_.ws_port());
  ASSERT_EQ(upgrade(first, "/ws/chat?device=shop-1").status, 101);

  TestSocket stream(mock_.control_port());
  stream.write(test::http_request("GET", "/v1/events?kind=connected"));
  EXPECT_THAT(stream.read_until("\r\n\r\n"), HasSubstr("text/event-stream"));
  EXPECT_THAT(stream.read_until("\n\n"),
              testing::AllOf(HasSubstr("id: 1\n"), HasSubstr(R"("actor":"shop-1")"),
                             HasSubstr(R"("kind":"connected")"), HasSubstr(R"("tenant":"")")));

  TestSocket second(mock_.ws_port());
  ASSERT_EQ(upgrade(second).status, 101);
  EXPECT_THAT(stream.read_until("\n\n"), HasSubstr(R"("actor":"connection 2")"));
}

TEST_F(ControlApiTest, AnEventSourceGoesOnWhereItWas) {
  TestSocket first(mock_.ws_port());
  ASSERT_EQ(upgrade(first).status, 101);
  TestSocket second(mock_.ws_port());
  ASSERT_EQ(upgrade(second).status, 101);
  TestSocket stream(mock_.control_port());
  stream.write(test::http_request("GET", "/v1/events", {}, {{"Last-Event-ID", "1"}}));
  stream.read_until("\r\n\r\n");
  EXPECT_THAT(stream.read_until("\n\n"), HasSubstr("id: 2\n"));
}

TEST_F(ControlApiTest, ALongPollAnswersWhenItsEventsAreThere) {
  TestSocket poll(mock_.control_port());
  poll.write(
      test::http_request("GET", "/v1/events?limit=2&within=60s&kind=connected", {}, kWantsJson));
  TestSocket first(mock_.ws_port());
  ASSERT_EQ(upgrade(first, "/ws/chat?device=a").status, 101);
  TestSocket second(mock_.ws_port());
  ASSERT_EQ(upgrade(second, "/ws/chat?device=b").status, 101);
  const HttpAnswer answer = poll.read_answer();
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto body = answer.json();
  ASSERT_EQ(body.at("events").as_array().size(), 2u);
  EXPECT_EQ(body.at("events").at(1).at("actor").as_string(), "b");
  EXPECT_EQ(body.at("next").to_number<int>(), 3);

  const auto rest = call("GET", "/v1/events?from=2", {}, kWantsJson).json();
  EXPECT_EQ(rest.at("events").as_array().size(), 1u);
  const auto of_a = call("GET", "/v1/events?device=a", {}, kWantsJson).json();
  EXPECT_EQ(of_a.at("events").as_array().size(), 1u);
  const auto limited = call("GET", "/v1/events?limit=1", {}, kWantsJson).json();
  EXPECT_EQ(limited.at("events").as_array().size(), 1u);
  EXPECT_EQ(limited.at("next").to_number<int>(), 2);
}

TEST_F(ControlApiTest, ALongPollThatEndsSaysWhatDidArrive) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  const HttpAnswer answer = call("GET", "/v1/events?limit=2&within=1ms", {}, kWantsJson);
  EXPECT_EQ(answer.status, 408);
  const auto body = answer.json();
  EXPECT_EQ(body.at("error").at("code").as_string(), "timed_out");
  EXPECT_EQ(body.at("events").as_array().size(), 1u);
  EXPECT_EQ(body.at("next").to_number<int>(), 2);
}

TEST_F(ControlApiTest, BadEventQueriesAreExplained) {
  EXPECT_EQ(refused(400, "GET", "/v1/events?kind=conected", {}, kWantsJson), "bad_parameter");
  EXPECT_EQ(refused(400, "GET", "/v1/events?from=x", {}, kWantsJson), "bad_parameter");
  EXPECT_EQ(refused(400, "GET", "/v1/events?limit=-1", {}, kWantsJson), "bad_parameter");
  EXPECT_EQ(refused(400, "GET", "/v1/events?within=5", {}, kWantsJson), "bad_parameter");
  EXPECT_EQ(refused(400, "GET", "/v1/events?form=5", {}, kWantsJson), "unknown_parameter");
  EXPECT_EQ(refused(400, "GET", "/v1/events?limit=5"), "unknown_parameter") << "of a stream";
}

// ---- tenants ---------------------------------------------------------------------------------

TEST_F(ControlApiTest, TenantsHaveTheirOwnPhonesEventsAndSettings) {
  const HttpAnswer made = call("PUT", "/v1/t/a",
                               R"({"profile":"fast","set":{"refs.count":3,)"
                               R"("refs.first":"5s","edge_routing":false}})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(std::string(made.json().at("ws_url").as_string()), HasSubstr("/t/a/ws/chat"));
  EXPECT_EQ(call("GET", "/v1/t/a/info").json().at("profile").as_string(), "fast");
  EXPECT_EQ(call("GET", "/v1/info").json().at("profile").as_string(), "default");

  EXPECT_EQ(call("POST", "/v1/t/a/phones", R"({"number":"15550100001"})").status, 201);
  EXPECT_EQ(call("GET", "/v1/phones").json().at("phones"), boost::json::array());
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client, "/t/a/ws/chat").status, 101);
  const auto events = call("GET", "/v1/t/a/events", {}, kWantsJson).json().at("events");
  ASSERT_EQ(events.as_array().size(), 1u);
  EXPECT_EQ(events.at(0).at("tenant").as_string(), "a");
  EXPECT_EQ(call("GET", "/v1/events", {}, kWantsJson).json().at("events"), boost::json::array());

  EXPECT_EQ(call("POST", "/v1/t/a/reset").status, 200);
  EXPECT_EQ(call("GET", "/v1/t/a/phones").json().at("phones"), boost::json::array());
}

TEST_F(ControlApiTest, BadTenantsAreExplained) {
  call("PUT", "/v1/t/team-1");
  EXPECT_EQ(refused(409, "PUT", "/v1/t/team-1"), "tenant_exists");
  EXPECT_EQ(refused(400, "PUT", "/v1/t/" + std::string(65, 'a')), "bad_tenant_name");
  EXPECT_EQ(refused(400, "PUT", "/v1/t/a%2Fb"), "bad_tenant_name");
  EXPECT_EQ(refused(400, "PUT", "/v1/t/b", R"({"profile":"slow"})"), "bad_setting");
  EXPECT_EQ(refused(400, "PUT", "/v1/t/b", R"({"set":{"refs.cuont":3}})"), "bad_setting");
  EXPECT_EQ(refused(400, "PUT", "/v1/t/b", R"({"set":3})"), "wrong_type");
  EXPECT_EQ(refused(404, "GET", "/v1/t/b/phones"), "unknown_tenant");
  EXPECT_THAT(message("GET", "/v1/t/team-2/phones", ""), HasSubstr("did you mean \"team-1\"?"));
}

TEST_F(ControlApiTest, MetricsAreReadableByPrometheus) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  call("POST", "/v1/faults", R"({"id":"a\"b","fault":"refs","args":{"count":0}})");
  const HttpAnswer answer = call("GET", "/metrics");
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4");
  EXPECT_THAT(answer.body, HasSubstr("testline_connections{tenant=\"\",phase=\"handshake\"} 1\n"));
  EXPECT_THAT(answer.body, HasSubstr("testline_faults_fired_total{tenant=\"\",id=\"a\\\"b\"} 0\n"));
  for (std::istringstream lines(answer.body); lines.good();) {
    std::string line;
    std::getline(lines, line);
    EXPECT_TRUE(line.empty() || line.starts_with("# ") || line.starts_with("testline_")) << line;
  }
  EXPECT_EQ(call("GET", "/healthz").json().at("status").as_string(), "ok");
}

// ---- the server as a whole -------------------------------------------------------------------

TEST_F(ControlApiTest, AFloodOfBadBodiesLeavesTheConnectionsAlone) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  const std::string png = png_of("no code of ours");
  TestSocket keep_alive(mock_.control_port());
  for (int round = 0; round < 200; ++round) {
    const std::string path = round % 2 == 0 ? "/v1/phones" : "/v1/phones/1/scan";
    const std::string body = round % 3 == 0   ? std::string(10'000, '{')
                             : round % 3 == 1 ? png.substr(0, png.size() - 20)
                                              : std::string(1000, '\0');
    keep_alive.write(test::http_request("POST", path, body));
    EXPECT_EQ(keep_alive.read_answer().status / 100, 4);
    TestSocket gone(mock_.control_port());
    gone.write("POST /v1/phones HTTP/1.1\r\nContent-Length: 500\r\n\r\n{\"number\"");
    if (round % 20 == 0) test::websocket_ping(client, std::to_string(round));
  }
  test::websocket_ping(client, "still here");
  EXPECT_EQ(call("GET", "/v1/connections").json().at("connections").as_array().size(), 1u);
}

/// A mock that bears little.
class ControlFloodTest : public ControlApiTest {
 protected:
  static ControlOptions options() {
    ControlOptions few;
    few.http.connections = 40;
    few.http.held_bytes = 8 * 1024 * 1024;
    few.event_feeds = 4;
    return few;
  }
  ControlFloodTest()
      : ControlApiTest(options(), {.tenants = 3, .phones = 5, .faults = 6, .events = 50}) {}
};

TEST_F(ControlFloodTest, MoreThanTheMostOfAnythingIs429AndSaysHowManyThereAre) {
  EXPECT_EQ(call("PUT", "/v1/t/one").status, 201);
  EXPECT_EQ(call("PUT", "/v1/t/two").status, 201);
  EXPECT_EQ(refused(429, "PUT", "/v1/t/three"), "too_many_tenants");
  EXPECT_THAT(message("PUT", "/v1/t/three", ""), HasSubstr("3 tenants"));

  for (int i = 0; i < 5; ++i) {
    const std::string tenant = i % 2 == 0 ? "/v1/t/one" : "/v1";
    const std::string number = "1555010000" + std::to_string(i);
    EXPECT_EQ(call("POST", tenant + "/phones", "{\"number\":\"" + number + "\"}").status, 201);
  }
  EXPECT_EQ(refused(429, "POST", "/v1/t/two/phones", R"({"number":"15550100009"})"),
            "too_many_phones");
  EXPECT_EQ(refused(422, "POST", "/v1/phones",
                    "{\"number\":\"15550100009\",\"name\":\"" + std::string(300, 'x') + "\"}"),
            "bad_name");

  const std::string fault = R"({"fault":"refs","args":{"count":0}})";
  for (int i = 0; i < 6; ++i) EXPECT_EQ(call("POST", "/v1/faults", fault).status, 201);
  EXPECT_EQ(refused(429, "POST", "/v1/t/two/faults", fault), "too_many_faults");
  EXPECT_EQ(call("DELETE", "/v1/faults/f1").status, 200);
  EXPECT_EQ(call("POST", "/v1/t/two/faults", fault).status, 201);
  EXPECT_EQ(refused(429, "POST", "/v1/t/two/faults", fault), "too_many_faults");
  // What a reset forgets makes room again.
  EXPECT_EQ(call("POST", "/v1/reset").status, 200);
  EXPECT_EQ(call("POST", "/v1/t/two/faults", fault).status, 201);
  EXPECT_EQ(call("POST", "/v1/t/two/phones", R"({"number":"15550100009"})").status, 201);
}

TEST_F(ControlFloodTest, APlanOfAMillionRecordsIsNotRead) {
  std::string plan = "[";
  for (int i = 0; i < 1'000'000; ++i) plan += R"({"fault":"refs"},)";
  EXPECT_EQ(refused(413, "POST", "/v1/faults", plan), "body_too_large");
  EXPECT_EQ(refused(400, "POST", "/v1/faults", plan.substr(0, limits::kMaxFaultBodyBytes)),
            "bad_json");
  EXPECT_EQ(refused(400, "POST", "/v1/faults", std::string(60'000, '[')), "bad_json");
}

TEST_F(ControlFloodTest, ReadersOfEventsBeyondTheMostAreTold429) {
  std::vector<std::unique_ptr<TestSocket>> readers;
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::make_unique<TestSocket>(mock_.control_port()));
    readers.back()->write(test::http_request("GET", "/v1/events"));
    readers.back()->read_until("\r\n\r\n");
  }
  EXPECT_EQ(refused(429, "GET", "/v1/events"), "too_many_feeds");
  EXPECT_EQ(refused(429, "GET", "/v1/events?limit=1&within=1h", {}, kWantsJson), "too_many_feeds");
  // What is there is answered at once, and is no feed.
  EXPECT_EQ(call("GET", "/v1/events", {}, kWantsJson).status, 200);
}

TEST_F(ControlFloodTest, TheLogsOfAllTenantsHaveOneLimit) {
  call("PUT", "/v1/t/one");
  const auto logged = [&](const std::string& tenant) {
    return call("GET", tenant + "/events", {}, kWantsJson).json().at("events").as_array().size();
  };
  for (int i = 0; i < 60; ++i) {
    TestSocket client(mock_.ws_port());
    upgrade(client, i < 40 ? "/ws/chat" : "/t/one/ws/chat");
  }
  EXPECT_LE(logged("/v1") + logged("/v1/t/one"), 50u);
  EXPECT_GE(logged("/v1/t/one"), 20u);
}

TEST_F(ControlFloodTest, AClientStaysConnectedWhileTheControlPortIsFlooded) {
  TestSocket client(mock_.ws_port());
  ASSERT_EQ(upgrade(client).status, 101);
  std::vector<std::unique_ptr<TestSocket>> flood;
  const std::vector<std::string> kinds = {
      "GET /v1/info HTTP/1.1\r\nX-Slow: ",
      "POST /v1/phones/1/scan HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" +
          std::string(100'000, ' '),
      test::http_request("GET", "/v1/events")};
  const auto flood_up_to = [&](std::size_t count) {
    while (flood.size() < count) {
      flood.push_back(std::make_unique<TestSocket>(mock_.control_port()));
      try {
        flood.back()->write(kinds[flood.size() % kinds.size()]);
      } catch (const std::exception&) {
        // It was closed already.
      }
      if (flood.size() % 50 == 0) test::websocket_ping(client, std::to_string(flood.size()));
    }
  };
  flood_up_to(60);
  EXPECT_EQ(refused(503, "GET", "/v1/info"), "busy");
  flood_up_to(500);
  test::websocket_ping(client, "still here");
  flood.clear();
  // Everybody has gone: soon all is as before.
  int status = 0;
  for (int i = 0; i < 1000 && status != 200; ++i) {
    try {
      status = call("GET", "/v1/info").status;
    } catch (const std::exception&) {
      // Closed: the server has not noticed yet.
    }
  }
  EXPECT_EQ(status, 200);
  EXPECT_EQ(call("GET", "/v1/connections").json().at("connections").as_array().size(), 1u);
}

TEST(ControlApiTokenTest, WithoutTheTokenNothingIsAnswered) {
  ControlOptions options;
  options.token = "correct horse";
  RunningMock mock(std::move(options));
  const std::uint16_t port = mock.control_port();
  const HttpAnswer refused = test::http_call(port, "GET", "/v1/info");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.json().at("error").at("code").as_string(), "unauthorized");
  EXPECT_EQ(
      test::http_call(port, "GET", "/v1/info", {}, {{"Authorization", "Bearer wrong"}}).status,
      401);
  const HttpHeaders right = {{"Authorization", "Bearer correct horse"}};
  EXPECT_EQ(test::http_call(port, "GET", "/v1/info", {}, right).status, 200);
}

TEST(ControlApiStopTest, StreamsAndPollsEndWithTheMock) {
  auto mock = std::make_unique<RunningMock>();
  auto stream = std::make_unique<TestSocket>(mock->control_port());
  stream->write(test::http_request("GET", "/v1/events"));
  stream->read_until("\r\n\r\n");
  auto poll = std::make_unique<TestSocket>(mock->control_port());
  poll->write(test::http_request("GET", "/v1/events?limit=1&within=1h", {}, kWantsJson));

  std::thread stopping([&] { mock.reset(); });  // returns when nothing is left to do
  std::string rest;
  while (true) {
    const std::string more = stream->read_some();
    if (more.empty()) break;
    rest += more;
  }
  EXPECT_THAT(rest, testing::Not(HasSubstr("data:")));
  stream.reset();
  poll.reset();
  stopping.join();
}

TEST(ControlApiStopTest, PicturesThatWaitDoNotDelayTheEnd) {
  auto mock = std::make_unique<RunningMock>();
  const std::string png = png_of("no code of ours");
  std::vector<std::unique_ptr<TestSocket>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TestSocket>(mock->control_port()));
    clients.back()->write(test::http_request("POST", "/v1/phones/1/scan", png));
  }
  test::http_call(mock->control_port(), "GET", "/healthz");
  clients.clear();
  mock.reset();  // hangs if a picture that waits keeps the io_context running
}

// ---- documentation ---------------------------------------------------------------------------

boost::json::value openapi() {
  std::ifstream file(WA_OPENAPI);
  std::stringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str());
}

TEST(OpenApiTest, ListsExactlyTheRoutesThatAreServed) {
  const auto document = openapi();
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  std::set<std::string> documented;
  for (const auto& path : document.at("paths").as_object()) {
    for (const auto& operation : path.value().as_object()) {
      if (operation.key() == "parameters") continue;
      std::string method(operation.key());
      for (char& c : method) c = static_cast<char>(c - ('a' - 'A'));
      documented.insert(method + " " + std::string(path.key()));
    }
  }
  const std::vector<std::string> served = control::served_routes();
  EXPECT_EQ(documented, std::set<std::string>(served.begin(), served.end()));
}

TEST(OpenApiTest, TheServerKnowsEveryRoute) {
  RunningMock mock;
  test::http_call(mock.control_port(), "PUT", "/v1/t/a");
  for (const std::string& route : control::served_routes()) {
    SCOPED_TRACE(route);
    const std::size_t space = route.find(' ');
    std::string path = route.substr(space + 1);
    if (const auto at = path.find("{tenant}"); at != std::string::npos) path.replace(at, 8, "a");
    if (const auto at = path.find("{id}"); at != std::string::npos) path.replace(at, 4, "1");
    TestSocket socket(mock.control_port());
    socket.write(test::http_request(route.substr(0, space), path));
    const std::string head = socket.read_until("\r\n\r\n");
    EXPECT_THAT(head, testing::Not(HasSubstr(" 405 ")));
    if (head.find(" 404 ") != std::string::npos) {
      EXPECT_THAT(socket.read_until("\n"), testing::Not(HasSubstr("unknown_path")));
    }
  }
}

/// Every "$ref" names something that is there.
void check_references(const boost::json::value& node, const boost::json::value& document) {
  if (const auto* list = node.if_array()) {
    for (const auto& item : *list) check_references(item, document);
  } else if (const auto* object = node.if_object()) {
    for (const auto& member : *object) {
      if (member.key() == "$ref") {
        const std::string reference(member.value().as_string());
        ASSERT_TRUE(reference.starts_with("#/")) << reference;
        boost::json::error_code missing;
        document.find_pointer(reference.substr(1), missing);
        EXPECT_FALSE(missing) << reference;
      } else {
        check_references(member.value(), document);
      }
    }
  }
}

TEST(OpenApiTest, ItsReferencesLeadSomewhere) {
  const auto document = openapi();
  check_references(document, document);
}

}  // namespace
}  // namespace wa::mock

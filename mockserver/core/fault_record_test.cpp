#include "mockserver/core/fault_record.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

namespace wa::mock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

FaultRecord parsed(std::string_view text) {
  auto record = FaultRecord::parse(json::parse(text));
  EXPECT_TRUE(record) << text << ": " << (record ? "" : record.error().detail);
  return record ? *record : FaultRecord{};
}

// ---- every kind, from the table ----------------------------------------------------------------

class EveryKindTest : public testing::TestWithParam<std::size_t> {
 protected:
  const FaultDescription& row() const { return fault_table()[GetParam()]; }
  FaultRecord example() const { return parsed(row().example); }
};

TEST_P(EveryKindTest, ItsExampleParsesAsItself) {
  const FaultRecord record = example();
  EXPECT_EQ(record.kind.index(), GetParam());
  EXPECT_EQ(record.name(), row().name);
}

TEST_P(EveryKindTest, WhatIsWrittenParsesToTheSame) {
  FaultRecord record = example();
  EXPECT_EQ(parsed(json::serialize(to_json(record))), record);
  // Everything that can be said at once.
  record.id = "all";
  record.where.tenant = "blue";
  record.when.every = 3;
  record.when.probability = 0.5;
  record.when.between = std::pair(1500us, 1h);
  record.when.on_state = ConnectionState::pairing;
  record.heal = FaultHeal{EventKind::login, 1ns, {}, 7, false};
  record.budget = 4;
  record.optional = true;
  if (!std::holds_alternative<TlsFault>(record.kind)) {
    record.where.account = "p1";
    record.where.device = "shop-1";
    if (!record.is_host()) {
      record.where.connection = "3";
      record.where.direction = Direction::to_server;
    } else {
      record.where.host = "a";
    }
    if (!record.is_host() && row().fault_class != FaultClass::moment) {
      record.where.stanza = {"message", "enc", "pkmsg", {{"id", "*"}}};
    }
  }
  EXPECT_EQ(parsed(json::serialize(to_json(record))), record);
}

TEST_P(EveryKindTest, UnknownArgumentsAreRefusedByName) {
  json::object object = json::parse(row().example).get_object();
  json::object args;
  if (const auto* given = object.if_contains("args")) args = given->get_object();
  args["mispelt"] = 1;
  object["args"] = args;
  const auto record = FaultRecord::parse(object);
  ASSERT_FALSE(record);
  EXPECT_NE(record.error().detail.find("\"mispelt\""), std::string::npos) << record.error().detail;
}

TEST_P(EveryKindTest, ArgumentsOfAnotherTypeAreRefusedAndNeverTaken) {
  for (const FaultArg& arg : row().args) {
    for (const char* wrong : {"[]", "{}", "1e300", "-99999999999999999", "\"\\u0000\"", "\"-1s\"",
                              "null", "18446744073709551615"}) {
      json::object object = json::parse(row().example).get_object();
      if (!object.contains("args")) object["args"] = json::object();
      object["args"].get_object()[arg.name] = json::parse(wrong);
      const auto record = FaultRecord::parse(object);
      if (!record) {
        EXPECT_FALSE(record.error().detail.empty());
        continue;
      }
      EXPECT_EQ(parsed(json::serialize(to_json(*record))), *record) << arg.name << " " << wrong;
    }
  }
}

TEST_P(EveryKindTest, EveryDurationIsScaledAndNothingElse) {
  const FaultRecord record = example();
  const json::object before = to_json(record);
  const FaultRecord half = record.scaled(0.5);
  // Back again: had anything but durations changed, it would not return.
  EXPECT_EQ(half.scaled(2), record);
  const json::object after = to_json(half);
  const bool wall = row().name == "server_time" || row().name == "clock";
  if (const auto* args = before.if_contains("args")) {
    for (const auto& member : args->get_object()) {
      const auto arg =
          std::find_if(row().args.begin(), row().args.end(),
                       [&](const FaultArg& known) { return known.name == member.key(); });
      ASSERT_NE(arg, row().args.end());
      const bool is_duration = arg->takes.starts_with("a duration") && !wall;
      EXPECT_EQ(after.at("args").at(member.key()) != member.value(), is_duration) << member.key();
    }
  }
  for (const char* part : {"when", "heal"}) {
    if (!before.contains(part)) continue;
    for (const char* name : {"after", "at", "between"}) {
      if (!before.at(part).get_object().contains(name)) continue;
      EXPECT_NE(after.at(part).at(name), before.at(part).at(name));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(FaultTable, EveryKindTest, testing::Range<std::size_t>(0, kFaultKinds),
                         [](const auto& kind) {
                           return std::string(fault_table()[kind.param].name);
                         });

TEST(FaultTableTest, NamesAreDistinctAndEverythingIsDescribed) {
  std::set<std::string_view> names;
  for (const FaultDescription& row : fault_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.what.empty());
    for (const FaultArg& arg : row.args) {
      EXPECT_FALSE(arg.what.empty()) << row.name << " " << arg.name;
      EXPECT_FALSE(arg.takes.empty()) << row.name << " " << arg.name;
    }
  }
  EXPECT_EQ(names.size(), kFaultKinds);
}

// ---- grammar -----------------------------------------------------------------------------------

TEST(FaultRecordTest, BadRecordsAreRefusedWithWhatIsWrong) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"fault":"latancy"})", "did you mean \"latency\""},
      {R"({"fault":"latency"})", "latency needs \"max\""},
      {R"({"fault":"latency","args":{"min":"2s","max":"1s"}})", "less than"},
      {R"({"fault":"latency","args":{"max":"-1s"}})", "negative"},
      {R"({"fault":"latency","args":{"max":"1 fortnight"}})", "unknown unit"},
      {R"({"fault":"latency","args":{"max":"20y"}})", "unknown unit"},
      {R"({"fault":"split","args":{"size":0}})", "whole number from 1"},
      {R"({"fault":"upgrade"})", "one of \"status\", \"hang\""},
      {R"({"fault":"upgrade","args":{"status":500,"hang":true}})", "one of"},
      {R"({"fault":"tls","args":{"kind":"broken"}})", "expired, not_yet_valid"},
      {R"({"fault":"tls","args":{"kind":"cut"},"where":{"device":"a"}})", "only \"tenant\""},
      {R"({"fault":"mutate","args":{"value":"x"}})", "\"attr\", \"child\""},
      {R"({"fault":"mutate","args":{"attr":"x"}})", "\"value\", \"drop\""},
      {R"({"fault":"inject","when":{"manual":true}})", "needs \"node\""},
      {R"({"fault":"inject","args":{"node":{"tagg":"x"}},"when":{"manual":true}})",
       "did you mean \"tag\""},
      {R"({"fault":"inject","args":{"node":{"tag":"x","hex":"0"}},"when":{"manual":true}})",
       "even number"},
      {R"({"fault":"disk","args":{"kind":"slow"}})", "\"ms\""},
      {R"({"fault":"disk","args":{"kind":"eio"},"where":{"stanza":{"tag":"iq"}}})", "client"},
      {R"({"fault":"drop","where":{"host":"a"}})", "host layer"},
      {R"({"fault":"drop","where":{"direction":"in"}})", "to_client, to_server"},
      {R"({"fault":"drop","where":{"dveice":"x"}})", "did you mean \"device\""},
      {R"({"fault":"close","where":{"stanza":{"tag":"iq"}},"when":{"on_event":"login"}})",
       "stanza_in or stanza_out"},
      {R"({"fault":"drop","when":{"between":["9s","5s"]}})", "the earlier first"},
      {R"({"fault":"drop","when":{"between":["5s"]}})", "the earlier first"},
      {R"({"fault":"drop","when":{"between":["5","9s"]}})", "no unit"},
      {R"({"fault":"drop","when":{"on_state":"awake"}})", "offline, handshake, pairing, open"},
      {R"({"fault":"drop","when":{"at":"5s","after":"5s"}})", "by itself"},
      {R"({"fault":"drop","when":{"probability":"half"}})", "from 0 to 1"},
      {R"({"fault":"drop","when":{"nth":0}})", "whole number from 1"},
      {R"({"fault":"drop","heal":{}})", "at least one of"},
      {R"({"fault":"drop","heal":{"every":2}})", "unknown member \"every\""},
      {R"({"fault":"drop","heal":{"after":5}})", "takes a duration"},
      {R"({"fault":"failure"})", "needs \"reason\""},
      {R"({"fault":"clock","args":{"jump":"0s"},"when":{"manual":true}})", "does nothing"},
      {R"({"fault":"repeat_frame","args":{"times":3}})", "it takes none"},
  };
  for (const auto& [text, part] : rows) {
    const auto record = FaultRecord::parse(json::parse(text));
    ASSERT_FALSE(record) << text;
    EXPECT_NE(record.error().detail.find(part), std::string::npos)
        << text << "\n  said: " << record.error().detail;
    EXPECT_EQ(record.error().code, Errc::usage);
  }
}

TEST(FaultRecordTest, ALongWordDoesNotMakeALongMessageOrTakeLong) {
  const std::string word(1'000'000, 'a');
  for (const json::value& value :
       {json::value{{"fault", word}}, json::value{{word, 1}},
        json::value{{"fault", "close"}, {"args", {{"how", word}}}},
        json::value{{"fault", "latency"}, {"args", {{"max", json::array(100'000)}}}}}) {
    const auto record = FaultRecord::parse(value);
    ASSERT_FALSE(record);
    EXPECT_LT(record.error().detail.size(), 2'100'000u);
  }
}

TEST(FaultRecordTest, DefaultsAreThoseOfTheClass) {
  EXPECT_EQ(parsed(R"({"fault":"drop"})").budget, std::nullopt);
  EXPECT_EQ(parsed(R"({"fault":"drop","when":{"at":"1s"}})").budget, 1u);
  EXPECT_EQ(parsed(R"({"fault":"close","when":{"manual":true}})").budget, 1u);
  EXPECT_EQ(parsed(R"({"fault":"close","when":{"manual":true},"budget":9})").budget, 9u);
  EXPECT_EQ(parsed(R"({"fault":"blackhole","when":{"manual":true}})").budget, std::nullopt);
}

TEST(FaultRecordTest, AStarAndNothingAreTheSame) {
  EXPECT_EQ(parsed(R"({"fault":"drop","where":{"device":"*","connection":"*","tenant":"*"}})"),
            parsed(R"({"fault":"drop","where":[],"when":[],"args":[]})"));
}

TEST(FaultRecordTest, OffsetsOfTheWallClockMayBeNegativeAndAreNotScaled) {
  const FaultRecord record = parsed(R"({"fault":"server_time","args":{"offset":"-1.5h"}})");
  EXPECT_EQ(std::get<ServerTimeFault>(record.kind).offset, -90min);
  EXPECT_EQ(record.scaled(0.1), record);
}

TEST(FaultRecordTest, AnExpiryIsADurationOrTheSecondsOfTheWire) {
  for (const char* expire : {"\"1h\"", "3600", "\"3600s\""}) {
    const FaultRecord record =
        parsed(R"({"fault":"failure","args":{"reason":402,"expire":)" + std::string(expire) + "}}");
    EXPECT_EQ(std::get<FailureFault>(record.kind).expire, Duration(1h)) << expire;
  }
  for (const char* expire : {"0", "-5", "1e12", "1.5", "\"3600\""}) {
    EXPECT_FALSE(FaultRecord::parse(json::parse(
        R"({"fault":"failure","args":{"reason":402,"expire":)" + std::string(expire) + "}}")))
        << expire;
  }
}

TEST(FaultRecordTest, ANodeIsReadWithItsJids) {
  const FaultRecord record = parsed(
      R"({"fault":"inject","when":{"manual":true},"args":{"node":{"tag":"notification",
          "attrs":{"from":"s.whatsapp.net","id":7,"participant":"15550100001:3@s.whatsapp.net"},
          "children":[{"tag":"a","text":"hello"},{"tag":"b","hex":"00ff"},{"tag":"c"}]}}})");
  const wire::NodeBuilder& node = std::get<InjectFault>(record.kind).node;
  EXPECT_EQ(node, wire::NodeBuilder("notification")
                      .attr("from", wire::Jid::server_itself())
                      .attr("id", "7")
                      .attr("participant", wire::Jid("15550100001", "s.whatsapp.net", 3))
                      .child(wire::NodeBuilder("a").text("hello"))
                      .child(wire::NodeBuilder("b").bytes(*from_hex("00ff")))
                      .child(wire::NodeBuilder("c")));
}

TEST(FaultRecordTest, ANodeThatIsTooDeepOrTooLargeIsRefused) {
  json::object node{{"tag", "x"}};
  for (int i = 0; i < 200; ++i) {
    json::array children;
    children.push_back(std::move(node));
    node = json::object{{"tag", "x"}, {"children", std::move(children)}};
  }
  const json::object record{
      {"fault", "inject"}, {"when", {{"manual", true}}}, {"args", {{"node", std::move(node)}}}};
  ASSERT_FALSE(FaultRecord::parse(record));
  json::array many;
  for (int i = 0; i < 20'000; ++i) many.push_back(json::object{{"tag", "y"}});
  EXPECT_FALSE(FaultRecord::parse(
      json::object{{"fault", "inject"},
                   {"when", {{"manual", true}}},
                   {"args", {{"node", {{"tag", "x"}, {"children", std::move(many)}}}}}}));
}

// ---- where -------------------------------------------------------------------------------------

TEST(FaultWhereTest, EveryMemberLimits) {
  const FaultSubject subject{7, "shop-1", "15550100001:2@s.whatsapp.net", "15550100001", "p1", {}};
  for (const char* fits : {R"({})", R"({"device":"shop-1"})", R"({"device":"15550100001"})",
                           R"({"device":"15550100001:2@s.whatsapp.net"})", R"({"connection":7})",
                           R"({"account":"p1"})", R"({"account":"15550100001"})",
                           R"({"account":"p1","device":"shop-1","connection":"7"})"}) {
    const json::object record{{"fault", "drop"}, {"where", json::parse(fits)}};
    EXPECT_TRUE(FaultRecord::parse(record)->where.matches(subject)) << fits;
  }
  for (const char* other : {R"({"device":"shop-2"})", R"({"device":"1555010000"})",
                            R"({"connection":8})", R"({"account":"p2"})", R"({"account":"shop-1"})",
                            R"({"account":"p1","device":"shop-2"})"}) {
    const json::object record{{"fault", "drop"}, {"where", json::parse(other)}};
    EXPECT_FALSE(FaultRecord::parse(record)->where.matches(subject)) << other;
  }
}

TEST(FaultWhereTest, StanzasMatchByTagChildEncAndAttributesInBothForms) {
  const wire::NodeBuilder message =
      wire::NodeBuilder("message")
          .attr("id", "1")
          .attr("to", wire::Jid("120", wire::kServerGroup))
          .child(wire::NodeBuilder("participants")
                     .child(wire::NodeBuilder("to").child(
                         wire::NodeBuilder("enc").attr("type", "pkmsg"))));
  const auto matches = [&](const char* text) {
    const json::object record{{"fault", "drop"}, {"where", {{"stanza", json::parse(text)}}}};
    return FaultRecord::parse(record)->where.stanza.matches(&message);
  };
  for (const char* fits :
       {R"({})", R"({"tag":"message"})", R"({"child":"participants"})", R"({"enc":"pkmsg"})",
        R"({"id":1})", R"({"to":"120@g.us"})", R"({"tag":"*","id":"*"})"}) {
    EXPECT_TRUE(matches(fits)) << fits;
  }
  for (const char* other : {R"({"tag":"iq"})", R"({"child":"enc"})", R"({"enc":"msg"})",
                            R"({"id":"2"})", R"({"type":"*"})", R"({"tag":"message","id":"2"})"}) {
    EXPECT_FALSE(matches(other)) << other;
  }
  EXPECT_FALSE((StanzaPattern{"iq", "", "", {}}).matches(nullptr));
  EXPECT_TRUE(StanzaPattern{}.matches(nullptr));
}

}  // namespace
}  // namespace wa::mock

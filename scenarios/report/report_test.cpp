#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "scenarios/report/result.hpp"

namespace wa::report {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

std::vector<Result> some_results() {
  Result passed;
  passed.name = "a \"picture\" is scanned";
  passed.path = "pairing/happy.lua";
  passed.scenario_time = 24h;
  passed.wall_time = 3200us;
  passed.trace_hash = "0123456789abcdef0123456789abcdef";
  passed.replay = "testline run --mode sim --seed 1 pairing/happy.lua";
  Result failed = passed;
  failed.path = "field/FB-001-x.lua";
  failed.name = "näme";
  failed.mode = stage::Mode::loopback;
  failed.scale = 0.02;
  failed.verdict = Verdict::failed;
  failed.failures = {{"expectation", "device.connects is <not> right\n& more", "2", "3",
                      "field/FB-001-x.lua:9", ""},
                     {"fault", "the fault f1 never fired", "", "", "", "f1"}};
  failed.trace_file = "out/traces/x.jsonl";
  failed.output = std::string("bad \x01 \xff byte\n");
  Result skipped = passed;
  skipped.mode = stage::Mode::loopback;
  skipped.verdict = Verdict::skipped;
  skipped.reason = "takes 24 h";
  Result error = failed;
  error.verdict = Verdict::error;
  error.mode = stage::Mode::sim;
  return {passed, failed, skipped, error};
}

TEST(JunitTest, OneTestcasePerScenarioAndMode) {
  const std::string xml = to_junit(some_results());
  EXPECT_THAT(
      xml,
      HasSubstr("<testsuite name=\"sim\" tests=\"2\" failures=\"0\" errors=\"1\" skipped=\"0\""));
  EXPECT_THAT(
      xml,
      HasSubstr(
          "<testsuite name=\"loopback\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""));
  EXPECT_THAT(
      xml, HasSubstr("classname=\"pairing.happy.sim\" name=\"a &quot;picture&quot; is scanned\""));
  EXPECT_THAT(xml, HasSubstr("<skipped message=\"takes 24 h\"/>"));
  EXPECT_THAT(xml, HasSubstr("replay: testline run --mode sim --seed 1 pairing/happy.lua"));
}

TEST(JunitTest, FailuresCarryEverythingEscaped) {
  const std::string xml = to_junit(some_results());
  EXPECT_THAT(xml, HasSubstr("<failure type=\"expectation\" message=\"field/FB-001-x.lua:9: "
                             "device.connects is &lt;not&gt; "
                             "right&#10;&amp; more (expected 2, found 3)\">"));
  EXPECT_THAT(xml, HasSubstr("the fault f1 never fired"));
  EXPECT_THAT(xml, HasSubstr("trace: out/traces/x.jsonl"));
}

TEST(JunitTest, WhatXmlCannotHoldIsReplaced) {
  const std::string xml = to_junit(some_results());
  EXPECT_THAT(xml, HasSubstr("bad \xef\xbf\xbd \xef\xbf\xbd byte"));
  EXPECT_THAT(xml, Not(HasSubstr("\x01")));
  EXPECT_THAT(xml, HasSubstr("näme"));
}

TEST(JsonReportTest, HasTheSame) {
  const auto value = boost::json::parse(to_json(some_results()));
  EXPECT_EQ(value.at("passed"), 1);
  EXPECT_EQ(value.at("failed"), 2);
  EXPECT_EQ(value.at("skipped"), 1);
  const auto& failed = value.at("results").at(1);
  EXPECT_EQ(failed.at("verdict"), "failed");
  EXPECT_EQ(failed.at("mode"), "loopback");
  EXPECT_EQ(failed.at("failures").at(0).at("expected"), "2");
  EXPECT_DOUBLE_EQ(value.at("results").at(0).at("scenario_seconds").as_double(), 86400);
}

TEST(TableTest, RowsThenFailuresThenTheSum) {
  const std::string table = to_table(some_results(), false);
  EXPECT_THAT(table,
              HasSubstr("pairing/happy.lua   sim       passed    24h  3.2 ms  0123456789ab\n"));
  EXPECT_THAT(table, HasSubstr("durations x 0.02"));
  EXPECT_THAT(table, HasSubstr("takes 24 h"));
  EXPECT_THAT(
      table,
      HasSubstr("\nfield/FB-001-x.lua (loopback): näme\n  field/FB-001-x.lua:9: device.connects"));
  EXPECT_THAT(table, EndsWith("\n1 passed, 2 failed, 1 skipped\n"));
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_table(some_results(), true), HasSubstr("\x1b[32mpassed\x1b[0m"));
}

TEST(TableTest, NothingRanIsNoError) {
  EXPECT_THAT(to_table({}, false), EndsWith("\n0 passed, 0 failed\n"));
}

TEST(FieldRowsTest, ARowHoldsWhenNothingThatPlaysItFailed) {
  std::vector<Result> results = some_results();
  results[0].tags = {"FB-001", "pairing"};
  results[1].tags = {"FB-002", "FB-003"};
  results[2].tags = {"FB-004"};
  results.push_back(results[0]);
  results.back().tags = {"FB-002"};
  const FieldRows rows = field_rows(results);
  EXPECT_THAT(rows.held, ::testing::ElementsAre("FB-001")) << "skipped is not held";
  EXPECT_THAT(rows.broken, ::testing::ElementsAre("FB-002", "FB-003"));
  EXPECT_THAT(to_table(results, false),
              HasSubstr("field bugs: 1 of 125 rows have a scenario that holds, not FB-002"));
}

TEST(FieldRowsTest, OnlyTheCataloguesTagsAreRows) {
  EXPECT_TRUE(is_field_row("FB-125"));
  for (const char* tag : {"FB-", "FB-12", "FB-1234", "FB-1x3", "fb-001", "515", ""}) {
    EXPECT_FALSE(is_field_row(tag)) << tag;
  }
}

/// What the page's script reads.
boost::json::value data_of(const std::string& page) {
  constexpr std::string_view kBegin = "id=\"report\">";
  const std::size_t begin = page.find(kBegin) + kBegin.size();
  return boost::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(HtmlTest, NoTextOfAScenarioBecomesMarkup) {
  std::vector<Result> results = some_results();
  results[0].name = "</script><script>alert(1)</script>";
  results[0].trace =
      "{\"t_ms\":1,\"actor\":\"script\",\"kind\":\"x\",\"data\":{\"what\":\"<!--</script>\"}}\n";
  const std::string page = to_html(results, "today");
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  const auto document = data_of(page);
  EXPECT_EQ(document.at("results").at(0).at("name").as_string(), results[0].name);
  EXPECT_EQ(document.at("results").at(0).at("events").at(0).at(3).at("what").as_string(),
            "<!--</script>");
}

TEST(HtmlTest, ALongTraceIsShownFromBothEndsAndNamesItsFile) {
  std::vector<Result> results = some_results();
  for (int i = 0; i < 5000; ++i) {
    results[1].trace += "{\"t_ms\":" + std::to_string(i) +
                        ",\"actor\":\"server\",\"kind\":\"stanza_in\",\"data\":{}}\n";
  }
  const auto document = data_of(to_html(results, "today"));
  const auto& events = document.at("results").at(1).at("events").as_array();
  ASSERT_EQ(events.size(), 601u);
  EXPECT_EQ(events[0].at(0), 0);
  EXPECT_EQ(events[300].at(2), "elided");
  EXPECT_EQ(events[300].at(3).at("count"), 4400);
  EXPECT_EQ(events[300].at(3).at("file"), "out/traces/x.jsonl");
  EXPECT_EQ(events[600].at(0), 4999);
}

TEST(HtmlTest, ABrokenTraceLineIsLeftOut) {
  std::vector<Result> results = some_results();
  results[0].trace = "{\"t_ms\":1,\n[]\n\n{\"actor\":7}\n{\"actor\":\"server\"}";
  const auto document = data_of(to_html(results, "today"));
  EXPECT_EQ(document.at("results").at(0).at("events").as_array().size(), 1u);
}

TEST(ConformanceTest, SaysWhatHeldWhatFailedAndWhatCouldNotBeAsked) {
  const std::string text = to_conformance(some_results(), false);
  EXPECT_THAT(text, HasSubstr("held     pairing/happy.lua\n"));
  EXPECT_THAT(text, HasSubstr("failed   field/FB-001-x.lua"));
  EXPECT_THAT(text, HasSubstr("skipped  pairing/happy.lua"));
  EXPECT_THAT(text, HasSubstr("4 scenarios: 1 held, 2 failed, 1 skipped\n"));
  EXPECT_THAT(text, EndsWith("  skipped 1: takes 24 h\n"));
}

}  // namespace
}  // namespace wa::report

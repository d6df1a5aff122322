#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "engine/base/result.hpp"
#include "scenarios/report/clean.hpp"
#include "scenarios/report/page.hpp"
#include "scenarios/report/result.hpp"

namespace wa::report {

namespace json = boost::json;

namespace {

/// A diagram with more rows than this is read by nobody; the whole trace stays in its file.
constexpr std::size_t kEventsShown = 600;
constexpr std::size_t kTextShown = 400;

/// Below the stanzas: what people do not look for in a diagram.
bool is_shown(const json::object& line) {
  const json::value* actor = line.if_contains("actor");
  if (actor == nullptr || !actor->is_string()) return false;
  const std::string_view name = actor->get_string();
  return !name.starts_with("session ") && name != "tenant";
}

json::value shortened(const json::value& value) {
  if (!value.is_string() || value.get_string().size() <= kTextShown) return value;
  return json::value(clean(std::string_view(value.get_string()).substr(0, kTextShown)) + "…");
}

/// [t_ms, actor, kind, data] for each line of a trace that a diagram shows.
json::array events_of(const Result& result) {
  json::array events;
  std::string_view rest = result.trace;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    boost::system::error_code failure;
    const json::value line = json::parse(rest.substr(0, end), failure);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (failure || !line.is_object() || !is_shown(line.get_object())) continue;
    const json::object& object = line.get_object();
    json::object data;
    if (const json::value* given = object.if_contains("data"); given && given->is_object()) {
      for (const auto& member : given->get_object()) data[member.key()] = shortened(member.value());
    }
    const json::value* kind = object.if_contains("kind");
    const json::value* at = object.if_contains("t_ms");
    events.push_back(json::array{at ? *at : json::value(0), object.at("actor"),
                                 kind ? *kind : json::value(""), std::move(data)});
  }
  if (events.size() <= kEventsShown) return events;
  json::array shown(events.begin(), events.begin() + kEventsShown / 2);
  const json::value& next = events[kEventsShown / 2];
  shown.push_back(
      json::array{next.get_array()[0],
                  "script",
                  "elided",
                  {{"count", events.size() - kEventsShown}, {"file", result.trace_file}}});
  shown.insert(shown.end(), events.end() - kEventsShown / 2, events.end());
  return shown;
}

/// Inside <script> no text may look like markup.
std::string harmless(std::string text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string filled(std::string page, std::string_view mark, std::string_view with) {
  const std::size_t at = page.find(mark);
  WA_ASSERT(at != std::string::npos);
  return page.replace(at, mark.size(), with);
}

}  // namespace

std::string to_html(const std::vector<Result>& results, std::string_view when) {
  json::object document = json::parse(to_json(results)).as_object();
  json::array& rows = document.at("results").as_array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    rows[i].as_object()["events"] = events_of(results[i]);
  }
  std::string page(kPageHtml);
  page = filled(std::move(page), "%STYLE%", kPageStyle);
  page = filled(std::move(page), "%WHEN%", when);
  page = filled(std::move(page), "%SCRIPT%", kPageScript);
  return filled(std::move(page), "%DATA%", harmless(json::serialize(document)));
}

}  // namespace wa::report

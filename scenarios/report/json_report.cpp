#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "scenarios/report/clean.hpp"
#include "scenarios/report/result.hpp"

namespace wa::report {

namespace json = boost::json;

namespace {

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::string to_json(const std::vector<Result>& results) {
  json::array rows;
  for (const Result& result : results) {
    json::array failures;
    for (const stage::Failure& failure : result.failures) {
      failures.push_back({{"kind", failure.kind},
                          {"message", clean(failure.message)},
                          {"expected", clean(failure.expected)},
                          {"found", clean(failure.found)},
                          {"where", clean(failure.where)},
                          {"rule", failure.rule}});
    }
    json::array tags;
    for (const std::string& tag : result.tags) tags.emplace_back(tag);
    rows.push_back({{"name", clean(result.name)},
                    {"path", clean(result.path)},
                    {"mode", stage::to_string(result.mode)},
                    {"verdict", to_string(result.verdict)},
                    {"failures", std::move(failures)},
                    {"reason", clean(result.reason)},
                    {"scenario_seconds", in_seconds(result.scenario_time)},
                    {"wall_seconds", in_seconds(result.wall_time)},
                    {"scale", result.scale},
                    {"trace_hash", result.trace_hash},
                    {"trace_file", result.trace_file},
                    {"replay", result.replay},
                    {"output", clean(result.output)},
                    {"tags", std::move(tags)}});
  }
  const Counts counts = count(results);
  const FieldRows field = field_rows(results);
  json::object document{
      {"passed", counts.passed}, {"failed", counts.failed}, {"skipped", counts.skipped}};
  if (!field.held.empty() || !field.broken.empty()) {
    document["field_rows"] = {{"held", field.held.size()}, {"all", kFieldRows}};
  }
  document["results"] = std::move(rows);
  return json::serialize(document) + "\n";
}

}  // namespace wa::report

#include <algorithm>
#include <map>

#include "scenarios/report/clean.hpp"
#include "scenarios/report/result.hpp"

namespace wa::report {

namespace {

std::string_view grade(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "held";
    case Verdict::skipped: return "skipped";
    default: return "failed";
  }
}

}  // namespace

std::string to_conformance(const std::vector<Result>& results, bool color) {
  std::size_t widest = 0;
  for (const Result& result : results) widest = std::max(widest, result.path.size());
  std::string out;
  std::map<std::string, std::size_t> reasons;
  for (const Result& result : results) {
    const std::string word(grade(result.verdict));
    out += color ? color_of(result.verdict) + word + "\x1b[0m" : word;
    out += std::string(9 - word.size(), ' ') + result.path;
    std::string why = result.reason;
    if (why.empty() && !result.failures.empty()) why = stage::to_string(result.failures.front());
    if (!why.empty()) out += std::string(widest - result.path.size() + 2, ' ') + clean(why);
    out += "\n";
    if (result.verdict == Verdict::skipped) ++reasons[clean(result.reason)];
  }
  const Counts counts = count(results);
  out += "\n" + std::to_string(results.size()) + " scenarios: " + std::to_string(counts.passed) +
         " held, " + std::to_string(counts.failed) + " failed, " + std::to_string(counts.skipped) +
         " skipped\n";
  for (const auto& [reason, times] : reasons) {
    out += "  skipped " + std::to_string(times) + ": " + reason + "\n";
  }
  const FieldRows field = field_rows(results);
  if (!field.held.empty() || !field.broken.empty()) {
    out += "field bugs: " + std::to_string(field.held.size()) + " of " +
           std::to_string(kFieldRows) + " rows hold with this client\n";
  }
  return out;
}

}  // namespace wa::report

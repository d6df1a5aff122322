#include "scenarios/report/result.hpp"

namespace wa::report {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "passed";
    case Verdict::failed: return "failed";
    case Verdict::error: return "error";
    case Verdict::skipped: return "skipped";
  }
  return "unknown";
}

const char* color_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "\x1b[32m";
    case Verdict::skipped: return "\x1b[33m";
    default: return "\x1b[31m";
  }
}

Counts count(const std::vector<Result>& results) {
  Counts counts;
  for (const Result& result : results) {
    switch (result.verdict) {
      case Verdict::passed: ++counts.passed; break;
      case Verdict::skipped: ++counts.skipped; break;
      default: ++counts.failed; break;
    }
  }
  return counts;
}

}  // namespace wa::report

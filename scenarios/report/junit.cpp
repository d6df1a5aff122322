#include <array>
#include <cstdio>

#include "scenarios/report/clean.hpp"
#include "scenarios/report/result.hpp"

namespace wa::report {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : clean(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      // Attributes would turn them into spaces.
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      case '\r': out += "&#13;"; break;
      default: out += c; break;
    }
  }
  return out;
}

std::string seconds(Duration duration) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.3f", std::chrono::duration<double>(duration).count());
  return text.data();
}

/// "pairing/happy.lua" → "pairing.happy", which CI systems show as a tree.
std::string class_of(const Result& result) {
  std::string name = result.path;
  if (name.ends_with(".lua")) name.resize(name.size() - 4);
  for (char& c : name) {
    if (c == '/') c = '.';
  }
  return name + "." + std::string(stage::to_string(result.mode));
}

void add_problem(std::string& out, const Result& result) {
  const char* tag = result.verdict == Verdict::error ? "error" : "failure";
  // One element: several systems show only the first.
  const stage::Failure first = result.failures.empty() ? stage::Failure{} : result.failures.front();
  std::string all;
  for (const stage::Failure& failure : result.failures) all += stage::to_string(failure) + "\n";
  if (!result.trace_file.empty()) all += "trace: " + result.trace_file + "\n";
  out += "      <" + std::string(tag) + " type=\"" + escaped(first.kind) + "\" message=\"" +
         escaped(stage::to_string(first)) + "\">" + escaped(all) + "</" + tag + ">\n";
}

}  // namespace

std::string to_junit(const std::vector<Result>& results) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"testline\">\n";
  for (const stage::Mode mode : {stage::Mode::sim, stage::Mode::loopback}) {
    std::string cases;
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t errors = 0;
    std::size_t skipped = 0;
    Duration time{};
    for (const Result& result : results) {
      if (result.mode != mode) continue;
      ++tests;
      time += result.wall_time;
      cases += "    <testcase classname=\"" + escaped(class_of(result)) + "\" name=\"" +
               escaped(result.name) + "\" file=\"" + escaped(result.path) + "\" time=\"" +
               seconds(result.wall_time) + "\">\n";
      if (result.verdict == Verdict::skipped) {
        ++skipped;
        cases += "      <skipped message=\"" + escaped(result.reason) + "\"/>\n";
      } else if (result.verdict != Verdict::passed) {
        ++(result.verdict == Verdict::error ? errors : failures);
        add_problem(cases, result);
      }
      std::string text = "replay: " + result.replay + "\n";
      if (!result.trace_hash.empty()) text += "trace hash: " + result.trace_hash + "\n";
      text += result.output;
      cases += "      <system-out>" + escaped(text) + "</system-out>\n    </testcase>\n";
    }
    if (tests == 0) continue;
    out += "  <testsuite name=\"" + std::string(stage::to_string(mode)) + "\" tests=\"" +
           std::to_string(tests) + "\" failures=\"" + std::to_string(failures) + "\" errors=\"" +
           std::to_string(errors) + "\" skipped=\"" + std::to_string(skipped) + "\" time=\"" +
           seconds(time) + "\">\n" + cases + "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace wa::report

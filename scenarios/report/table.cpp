#include <algorithm>
#include <array>
#include <cstdio>

#include "scenarios/report/clean.hpp"
#include "scenarios/report/result.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::report {

namespace {

constexpr std::size_t kHashShown = 12;

struct Row {
  std::array<std::string, 7> cells;
};

std::string milliseconds(Duration duration) {
  std::array<char, 40> text{};
  const double value = std::chrono::duration<double, std::milli>(duration).count();
  std::snprintf(text.data(), text.size(), value < 100 ? "%.1f ms" : "%.0f ms", value);
  return text.data();
}

std::string rounded(Duration duration) {
  // Milliseconds are enough for people; hours stay hours.
  return stage::to_text(std::chrono::duration_cast<std::chrono::milliseconds>(duration));
}

/// Terminals show one column for each character, not for each byte.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string note_of(const Result& result) {
  if (!result.reason.empty()) return result.reason;
  if (result.mode != stage::Mode::loopback || result.scale == 1) return {};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "durations x %.4g", result.scale);
  return text.data();
}

}  // namespace

std::string to_table(const std::vector<Result>& results, bool color) {
  std::vector<Row> rows{{{"scenario", "mode", "result", "time", "wall", "trace", "note"}}};
  for (const Result& result : results) {
    const bool ran = result.verdict != Verdict::skipped;
    rows.push_back(
        {{result.path, std::string(stage::to_string(result.mode)),
          std::string(to_string(result.verdict)), ran ? rounded(result.scenario_time) : "",
          ran ? milliseconds(result.wall_time) : "", result.trace_hash.substr(0, kHashShown),
          note_of(result)}});
  }
  std::array<std::size_t, 7> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], width(row.cells[i]));
  }
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string& cell = rows[r].cells[i];
      const std::string blank(widths[i] - width(cell), ' ');
      const bool painted = color && r > 0 && i == 2;
      if (i > 0) line += "  ";
      if (i == 3 || i == 4) line += blank;  // figures stand right
      if (painted) line += color_of(results[r - 1].verdict);
      line += cell;
      if (painted) line += "\x1b[0m";
      if (i != 3 && i != 4) line += blank;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  for (const Result& result : results) {
    if (result.verdict == Verdict::passed || result.verdict == Verdict::skipped) continue;
    out += "\n" + result.path + " (" + std::string(stage::to_string(result.mode)) +
           "): " + result.name + "\n";
    for (const stage::Failure& failure : result.failures)
      out += "  " + clean(stage::to_string(failure)) + "\n";
    if (!result.trace_file.empty()) out += "  trace: " + result.trace_file + "\n";
    out += "  again: " + result.replay + "\n";
    if (const std::string output = clean(result.output); !output.empty()) {
      out += "  output:\n";
      std::size_t begin = 0;
      while (begin < output.size()) {
        const std::size_t end = std::min(output.find('\n', begin), output.size());
        out += "    " + output.substr(begin, end - begin) + "\n";
        begin = end + 1;
      }
    }
  }
  const FieldRows field = field_rows(results);
  if (!field.held.empty() || !field.broken.empty()) {
    out += "\nfield bugs: " + std::to_string(field.held.size()) + " of " +
           std::to_string(kFieldRows) + " rows have a scenario that holds";
    for (const std::string& row : field.broken) out += ", not " + row;
    out += "\n";
  }
  const Counts counts = count(results);
  out += "\n" + std::to_string(counts.passed) + " passed, " + std::to_string(counts.failed) +
         " failed";
  if (counts.skipped > 0) out += ", " + std::to_string(counts.skipped) + " skipped";
  return out + "\n";
}

}  // namespace wa::report

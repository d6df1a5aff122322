#include "scenarios/cli/run_merge.hpp"

#include <algorithm>
#include <filesystem>

#include "engine/protocol/crypto/hash.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"

namespace wa::cli {

using report::Verdict;

std::string first_difference(const std::string& trace_file, const std::string& other_file) {
  const auto first = read_file(trace_file);
  const auto second = read_file(other_file);
  if (!first || !second) return "the traces cannot be read";
  const std::string_view a = as_text(*first);
  const std::string_view b = as_text(*second);
  const auto line_at = [](std::string_view text, std::size_t begin) {
    return begin < text.size() ? std::string(text.substr(begin, text.find('\n', begin) - begin))
                               : std::string("(the end)");
  };
  std::size_t begin = 0;
  for (std::size_t number = 1; begin < a.size() || begin < b.size(); ++number) {
    const std::string one = line_at(a, begin);
    const std::string other = line_at(b, begin);
    if (one != other) return "event " + std::to_string(number) + " was " + one + ", then " + other;
    begin += one.size() + 1;
  }
  return {};
}

JobResult merge_runs(std::vector<JobResult> runs, bool keep_traces) {
  const auto failed = std::find_if(runs.begin(), runs.end(),
                                   [](const JobResult& run) { return run.exit_code != kOk; });
  JobResult merged = failed != runs.end() ? *failed : runs.front();
  report::Result& row = merged.result;
  Duration wall{};
  for (const JobResult& run : runs) wall += run.result.wall_time;
  row.wall_time = wall;
  for (std::size_t i = 1; i < runs.size() && row.mode == stage::Mode::sim; ++i) {
    const report::Result& first = runs.front().result;
    const report::Result& other = runs[i].result;
    if (first.trace_hash == other.trace_hash) continue;
    row.verdict = Verdict::failed;
    row.failures.push_back({"nondeterminism",
                            "run " + std::to_string(i + 1) +
                                " differs from run 1 with the same seed: " +
                                first_difference(first.trace_file, other.trace_file) + " (" +
                                first.trace_file + ", " + other.trace_file + ")",
                            first.trace_hash,
                            other.trace_hash,
                            {},
                            {}});
    merged.exit_code = worse(merged.exit_code, kNondeterminism);
    keep_traces = true;
  }
  if (merged.exit_code != kOk) keep_traces = true;
  if (!keep_traces) {
    for (const JobResult& run : runs) {
      std::error_code ignored;
      if (!run.result.trace_file.empty()) std::filesystem::remove(run.result.trace_file, ignored);
    }
    row.trace_file.clear();
  }
  if (row.reason.empty() && merged.exit_code == kOk) {
    row.reason =
        std::to_string(runs.size()) + (row.mode == stage::Mode::sim ? " runs, one hash" : " runs");
  }
  return merged;
}

JobResult merge_seeds(std::vector<JobResult> seeds, std::uint32_t repeat) {
  constexpr std::size_t kNamed = 20;
  JobResult merged;
  Duration wall{};
  Duration longest{};
  std::string hashes;
  std::string others;
  std::size_t failed = 0;
  for (const JobResult& seed : seeds) {
    wall += seed.result.wall_time;
    longest = std::max(longest, seed.result.scenario_time);
    hashes += seed.result.trace_hash + "\n";
    if (seed.exit_code == kOk) continue;
    ++failed;
    if (failed == 1) {
      merged = seed;
    } else if (failed <= kNamed) {
      others += "\n    " + seed.result.replay;
    }
    merged.exit_code = worse(merged.exit_code, seed.exit_code);
  }
  if (failed == 0) merged = seeds.front();
  merged.result.wall_time = wall;
  const std::string count = std::to_string(seeds.size()) + " seeds";
  if (failed > 0) {
    if (failed > kNamed) others += "\n    and " + std::to_string(failed - kNamed) + " more";
    merged.result.failures.push_back(
        {"seeds",
         std::to_string(failed) + " of " + count + " failed; this is the first" + others,
         {},
         {},
         {},
         {}});
    return merged;
  }
  merged.result.scenario_time = longest;
  merged.result.trace_hash = to_hex(crypto::sha256(as_bytes(hashes)));
  merged.result.reason = count;
  if (repeat > 1) merged.result.reason += ", each " + std::to_string(repeat) + " times: one hash";
  return merged;
}

}  // namespace wa::cli

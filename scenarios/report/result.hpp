#pragma once

#include <string>
#include <vector>

#include "engine/base/now.hpp"
#include "scenarios/stage/scenario.hpp"

/// What became of scenarios, and how it is told: JUnit for CI systems, JSON for programs, a table
/// for people.
namespace wa::report {

enum class Verdict {
  passed,
  failed,   ///< something did not hold
  error,    ///< it could not be played: the file, the environment, a worker that died or hung
  skipped,  ///< not for this mode, or the client lacks what it needs
};
std::string_view to_string(Verdict verdict);

/// One scenario in one mode.
struct Result {
  std::string name;
  std::string path;
  stage::Mode mode = stage::Mode::sim;
  Verdict verdict = Verdict::passed;
  std::vector<stage::Failure> failures;
  std::string reason;        ///< why it was skipped
  Duration scenario_time{};  ///< virtual in the simulator, real in loopback
  Duration wall_time{};
  double scale = 1;        ///< loopback: what every duration was multiplied by
  std::string trace_hash;  ///< simulator
  std::string trace_file;  ///< where the trace was written, if it was
  std::string replay;      ///< the command that plays it again
  std::string output;      ///< what the script printed, and the client under test
  std::vector<std::string> tags;
};

struct Counts {
  std::size_t passed = 0;
  std::size_t failed = 0;  ///< errors too
  std::size_t skipped = 0;
};
Counts count(const std::vector<Result>& results);

/// One testcase per scenario and mode: failures with what was expected, the replay command in
/// system-out. Control characters that XML cannot hold are replaced.
std::string to_junit(const std::vector<Result>& results);

/// {"passed", "failed", "skipped", "results": [{name, path, mode, verdict, failures, …}]}
std::string to_json(const std::vector<Result>& results);

/// A row per scenario and mode, then what failed in full, then "N passed, N failed".
std::string to_table(const std::vector<Result>& results, bool color);

}  // namespace wa::report

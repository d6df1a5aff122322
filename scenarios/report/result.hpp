#pragma once

#include <set>
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
/// Green, yellow or red, as a terminal takes it.
const char* color_of(Verdict verdict);

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
  std::string trace;       ///< its lines, only for to_html
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

/// The catalogue of bugs from the field has so many rows; a scenario names the rows that it plays
/// by tags ("FB-001").
inline constexpr std::size_t kFieldRows = 125;
bool is_field_row(std::string_view tag);
struct FieldRows {
  std::set<std::string> held;    ///< played, and everything held wherever it was played
  std::set<std::string> broken;  ///< something did not hold
};
FieldRows field_rows(const std::vector<Result>& results);

/// One testcase per scenario and mode: failures with what was expected, the replay command in
/// system-out. Control characters that XML cannot hold are replaced.
std::string to_junit(const std::vector<Result>& results);

/// {"passed", "failed", "skipped", "results": [{name, path, mode, verdict, failures, …}]}
std::string to_json(const std::vector<Result>& results);

/// One page that needs nothing beside it: overview, filter, and per scenario what failed beside
/// what did arrive, the replay command, and a sequence diagram drawn from `Result::trace`. `when`
/// is shown as it is.
std::string to_html(const std::vector<Result>& results, std::string_view when);

/// What a client can be trusted with: a line per scenario (held, failed, skipped and why), then the
/// sums, skipped ones by the capability that is lacking.
std::string to_conformance(const std::vector<Result>& results, bool color);

/// A row per scenario and mode, then what failed in full, how many field bugs have
/// a scenario that holds, then "N passed, N failed".
std::string to_table(const std::vector<Result>& results, bool color);

}  // namespace wa::report

#pragma once

#include <functional>

#include "scenarios/cli/key_log.hpp"
#include "scenarios/cli/run_library.hpp"
#include "scenarios/report/result.hpp"

namespace wa::cli {

/// How scenarios are played; the same for all of a run.
struct PlayOptions {
  std::uint64_t seed = 1;
  std::uint32_t seeds = 1;  ///< each scenario is played with so many, from `seed` on
  Duration jitter{};        ///< of simulated links: at most so much beside their latency
  std::string profile = "default";
  std::string client = {};     ///< command of the client under test; empty: our engine
  std::string trace_dir = {};  ///< gets the trace of every run; empty: only of those that fail
  std::uint32_t repeat = 1;
  std::string plan = {};      ///< the file of the plan that is played; empty: none
  std::string plan_out = {};  ///< gets the plan of the one scenario; empty: none
  bool record = false;        ///< a trace of every run, in trace_dir, else kTraceDir
  KeyLog* key_log = nullptr;  ///< gets the keys of every connection; null: none
};
/// Where traces of failures go when nothing else is said.
inline constexpr const char* kTraceDir = "out/traces";

/// One scenario, once, in one mode.
struct Job {
  const ScenarioFile* file = nullptr;
  stage::Mode mode = stage::Mode::sim;
  std::uint32_t repetition = 0;
  std::uint64_t seed = 1;
};

/// A result, and what it means for the exit code: kOk, kFailed, kUsage or kEnvironment.
struct JobResult {
  report::Result result;
  int exit_code = 0;
};

/// Plays it here, in this process. `standing` as of lua::Script::play.
JobResult play_job(const Job& job, const PlayOptions& options,
                   const std::function<void(const std::string&, const std::string&)>& standing);

/// A result without anything played yet: names, replay command.
report::Result blank_result(const Job& job, const PlayOptions& options);

/// In the process that plays simulations: whoever draws entropy from the system, or opens a socket,
/// ends the process.
void install_tripwires();

/// Over a pipe, as one line.
std::string encode(const JobResult& result);
Result<JobResult> decode(std::string_view line);

/// Of two exit codes the one that a run ends with: 2 before 3 before 4 before 1, since what hides
/// the most comes first.
int worse(int a, int b);

}  // namespace wa::cli

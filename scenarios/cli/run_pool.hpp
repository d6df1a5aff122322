#pragma once

#include <functional>

#include "scenarios/cli/run_job.hpp"

namespace wa::cli {

struct PoolOptions {
  std::size_t workers = 1;
  Duration timeout = std::chrono::seconds(60);  ///< of one job, on the wall clock
  bool fresh_processes = false;                 ///< a worker plays one job only
};

/// What happens meanwhile, for progress.
struct PoolEvents {
  std::function<void(std::size_t job)> began;
  std::function<void(std::size_t job, const JobResult&)> ended;
  std::function<bool()> interrupted;  ///< asked often; true ends everything
};

/// Plays the jobs in forked worker processes, simulations in processes of their own (with
/// tripwires). A worker that dies, or whose job takes longer than the timeout, is ended by its pid;
/// the job then has the verdict `error` and says in which wait it stood, and the rest goes on in a
/// new worker.
///
/// The caller has one thread only. Results are in the order of the jobs; after an interrupt those
/// of jobs that did not end are missing (`done` is false).
struct PoolResult {
  bool done = false;
  JobResult job;
};
std::vector<PoolResult> play_jobs(const std::vector<Job>& jobs, const PlayOptions& options,
                                  const PoolOptions& pool, const PoolEvents& events);

}  // namespace wa::cli

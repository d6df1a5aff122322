#pragma once

#include <string>
#include <vector>

#include "scenarios/cli/run_job.hpp"

// How the runs of one scenario become one row.
namespace wa::cli {

/// The repetitions of one scenario in one mode as one row. In the simulator all must have the same
/// trace hash, else the exit code is kNondeterminism and the failure names the first event that
/// differs. Traces of runs that agree are removed unless they are to be kept.
JobResult merge_runs(std::vector<JobResult> runs, bool keep_traces);

/// The first line in which two traces differ, told for people; empty if they do not.
std::string first_difference(const std::string& trace_file, const std::string& other_file);

/// What a scenario's seeds came to, in one mode, as one row: that of the first that failed, which
/// says which others did; else the first, with a hash of all hashes. Not empty.
JobResult merge_seeds(std::vector<JobResult> seeds, std::uint32_t repeat);

}  // namespace wa::cli

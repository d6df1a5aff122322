#pragma once

namespace wa::cli {

/// What `testline` ends with.
enum ExitCode : int {
  kOk = 0,           ///< all held
  kFailed = 1,       ///< a scenario, invariant or threshold failed; the answer is no
  kUsage = 2,        ///< the command line, or a scenario, cannot be understood
  kEnvironment = 3,  ///< a port, file, permission or program is missing
  kNondeterminism = 4,
  kInterrupted = 130,
};

}  // namespace wa::cli

#pragma once

#include "scenarios/cli/verb_run.hpp"

namespace wa::cli {

/// `testline conform --client CMD`: grades a client on the library. The exit code: 0 when nothing
/// failed, skipped or not.
int run_conform(RunOptions options);

}  // namespace wa::cli

#include "scenarios/cli/verb_conform.hpp"

namespace wa::cli {

int run_conform(RunOptions options) {
  options.mode = "loopback";
  return run_scenarios(options, report::to_conformance);
}

}  // namespace wa::cli

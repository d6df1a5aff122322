#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/report/result.hpp"

namespace wa::cli {

/// `testline run [PATH…]`: plays scenarios.
struct RunOptions {
  std::vector<std::string> paths = {};  ///< files and directories; empty: the library
  std::string mode = {};                ///< sim, loopback, or empty: both (with a client: loopback)
  std::string client = {};              ///< command of the client under test
  std::uint64_t seed = 1;
  std::uint32_t seeds = 1;  ///< each scenario with so many, from `seed` on
  std::string jitter = {};  ///< a duration: of simulated links; empty: none
  std::string profile = "default";
  std::string filter = {};
  std::vector<std::string> tags = {};
  std::string shard = {};  ///< "I/N"
  std::uint32_t jobs = 0;  ///< worker processes; 0: as many as there are processors
  std::string timeout = "60s";
  std::string junit = {};  ///< a file, or "-"
  std::string html = {};
  std::string json = {};
  std::string trace = {};     ///< a directory
  std::string plan = {};      ///< a file: play this plan
  std::string plan_out = {};  ///< a file, or "-": write the plan of the one scenario
  std::string key_log = {};   ///< a file, or "-": gets the keys of every connection
  std::uint32_t repeat = 1;
  bool list = false;
  std::string symptom = {};  ///< a text, or "-": a log on stdin
};
/// How results are told on stdout; `color` is for terminals.
using Teller = std::string (*)(const std::vector<report::Result>& results, bool color);

/// The exit code.
int run_scenarios(const RunOptions& options, Teller teller = report::to_table);

}  // namespace wa::cli

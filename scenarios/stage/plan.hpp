#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/now.hpp"
#include "engine/base/result.hpp"

namespace wa::stage {

/// What is fixed before anything happens in a scenario, as a JSON document:
///
///     {"plan": 1, "seed": 7, "profile": "default", "server": {"refs.count": "6"},
///      "phones": [{"number": "15550100001"}], "devices": [{"name": "shop-1", "options": {…}}],
///      "faults": [{"id": "f1", "fault": "close", …}],
///      "scenario": {"path": "scenarios/library/pairing/happy.lua", "sha256": "…"}}
///
/// `scenario` names the file whose later calls are played; `steps`, a list of verbs, stands in its
/// place when there is none. Settings and faults come from the plan: a fault that the file declares
/// and the plan lacks is left out, so a plan can be shrunk; one that only the plan has is added. In
/// the simulator the plan that a run wrote gives that run again: the same trace hash.
///
/// Source: docs/guides/scenarios.md, "Plans".
struct Plan {
  static constexpr std::size_t kMaxBytes = 64 * 1024 * 1024;
  static constexpr std::size_t kMaxFaults = 100'000;
  static constexpr std::size_t kMaxSteps = 10'000;

  std::uint64_t seed = 1;
  Duration jitter{};  ///< of simulated links; member "jitter": "50ms"
  std::string profile = "default";
  boost::json::object server;   ///< dotted setting → text
  boost::json::array phones;    ///< {number, name?}
  boost::json::array devices;   ///< {engine?, name, options?}
  boost::json::array faults;    ///< fault records, each with an id
  std::string scenario_path;    ///< empty: steps
  std::string scenario_sha256;  ///< of its text, hex
  boost::json::array steps;     ///< {do, …}

  /// Errors: `usage`, naming the member, the nearest word where one is unknown, and what it takes;
  /// `too_large`.
  static Result<Plan> parse(std::string_view text);
  /// The same for a server that only sets up what its part is: `scenario` and `steps` may both be
  /// missing.
  static Result<Plan> parse_setup(std::string_view text);

  /// Canonical: members in order of their names, no spaces, a line end.
  std::string to_text() const;
  /// Hex SHA-256 of to_text().
  std::string hash() const;
  /// The fault of this id; null when there is none.
  const boost::json::object* fault(std::string_view id) const;
};

/// A plan of steps as the text of a scenario file, which plays it.
/// Errors: `usage`, naming the step.
Result<std::string> to_lua(const Plan& plan);

/// Hex SHA-256 of a scenario's text, as `scenario.sha256` has it.
std::string text_hash(std::string_view text);

}  // namespace wa::stage

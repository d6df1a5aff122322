#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wa::stage {

/// Where a scenario is played.
enum class Mode { sim, loopback };
std::string_view to_string(Mode mode);

/// What a scenario provokes on purpose. An allowance that was not used fails.
struct Allow {
  std::vector<std::string> violations;  ///< rule ids of docs/violations.md
  std::vector<std::string> invariants;  ///< ids of docs/invariants.md
};

/// What `scenario{}` says, before anything happens.
struct Scenario {
  std::string name;  ///< "a restart right after pairing is a login"
  std::string path;  ///< relative to the library; empty for scenarios in C++
  std::vector<std::string> tags;
  /// Keys of mock::settings_table() with their values as text, in the order written.
  std::vector<std::pair<std::string, std::string>> server;
  std::vector<Mode> modes{Mode::sim, Mode::loopback};
  /// Why it cannot be played everywhere; required when a mode is missing.
  std::string modes_reason;
  double loopback_scale = 1;  ///< multiplies every duration in loopback
  Allow allow;
  /// Capabilities without which a client has nothing to show here: it is skipped.
  std::vector<std::string> needs;
  std::vector<std::string> symptom;  ///< strings that users paste, for `--list --symptom`

  bool has_mode(Mode mode) const;
};

/// Something that did not hold. Texts are complete sentences for people; `kind` is stable.
struct Failure {
  /// expectation, wait, never, violation, invariant, fault, allowance, script; of loopback also
  /// skipped, client.
  std::string kind;
  std::string message;   ///< what happened, with the values
  std::string expected;  ///< empty when the message says it all
  std::string found;
  std::string where;  ///< "library/pairing/restart.lua:14", or empty
  std::string rule;   ///< id of the violation rule, the invariant or the fault, where there is one
};
/// "where: message (expected …, found …)".
std::string to_string(const Failure& failure);

}  // namespace wa::stage

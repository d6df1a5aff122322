#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/lua/declaration.hpp"
#include "scenarios/stage/plan.hpp"
#include "scenarios/stage/world.hpp"

/// Scenario files in Lua. What a file can say is written down in docs/guides/scenarios.md.
namespace wa::lua {

/// How a script ended.
struct Outcome {
  std::vector<stage::Failure> failures;  ///< empty: all held
  /// What kind of end the script itself made: empty (it ran through, or a wait timed out), `usage`
  /// (it says what cannot be understood), `environment`.
  std::string script_error;
  std::string printed;  ///< by print(), one line each, with its place
};

/// One scenario file as a coroutine. Once declared, then played once.
///
///     Script script("pairing/happy.lua", text, seed);
///     WA_TRY(Declaration declaration, script.declare());
///     sim::World world({settings_of(declaration.scenario), seed});
///     Outcome outcome = script.play(world);
class Script {
 public:
  /// `path` is what messages say.
  Script(std::string path, std::string text, std::uint64_t seed);
  ~Script();
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  /// Runs the file up to and with scenario{…}, its first call.
  /// Errors: `usage` with file:line (syntax, unknown keys, no scenario{…}), `too_large`.
  Result<Declaration> declare();

  /// Goes on to the end of the file in this world, then concludes the scenario. `standing` is told
  /// each wait as it begins, for who has to end a run that hangs: what, and "path:line".
  using Standing = std::function<void(const std::string& what, const std::string& where)>;
  Outcome play(stage::World& world, Standing standing = {});

  /// Before play(): faults come from the plan, not from the file (stage::Plan). Each is added where
  /// the file declares it, so that the plan of a run gives the same run; those that only the plan
  /// has at the first wait, before anything has happened. The world was made with the plan's seed
  /// and settings.
  void use(std::shared_ptr<const stage::Plan> plan);
  /// After play(): what the file declared before its first wait.
  const stage::Plan& declared() const;

  class Impl;  ///< script_impl.hpp: for the bindings only

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::lua

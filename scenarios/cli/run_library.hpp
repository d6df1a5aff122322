#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/lua/declaration.hpp"
#include "scenarios/stage/plan.hpp"

namespace wa::cli {

/// One scenario file, read up to its scenario{…}.
struct ScenarioFile {
  std::string path;  ///< as it can be opened; what messages say
  std::string text;
  lua::Declaration declaration;
  std::optional<Error> unreadable;               ///< then the declaration is empty
  std::shared_ptr<const stage::Plan> plan = {};  ///< to be played with; null: none
};

/// The scenario that a plan is about, with the plan. Errors: `usage` (the plan; a scenario whose
/// text is another than the plan was made from), `environment`.
Result<ScenarioFile> read_plan_file(const std::string& path);

/// The default library: ./scenarios/library, else the one that is found from the program's own
/// place. Errors: `environment`.
Result<std::string> find_library();

/// Every *.lua below the paths (files and directories), in order of their names, each once.
/// Errors: `environment` (a path that is not there or cannot be read).
Result<std::vector<ScenarioFile>> read_scenarios(const std::vector<std::string>& paths,
                                                 std::uint64_t seed);

struct Selection {
  std::string filter;  ///< glob over the path, a part of the path, or the name; empty: all
  std::vector<std::string> tags;  ///< one of them; empty: all
  std::uint32_t shard = 1;        ///< of shards, from 1
  std::uint32_t shards = 1;
};
/// Errors: `usage` (nothing left).
Result<std::vector<ScenarioFile>> select(std::vector<ScenarioFile> files,
                                         const Selection& selection);

/// Scenarios whose symptom strings occur in the text, or of which the text is a part; the best
/// first.
std::vector<const ScenarioFile*> rank_by_symptom(const std::vector<ScenarioFile>& files,
                                                 std::string_view text);

}  // namespace wa::cli

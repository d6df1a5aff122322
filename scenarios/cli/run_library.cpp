#include "scenarios/cli/run_library.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "mockserver/core/settings.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/lua/script.hpp"
#include "scenarios/report/result.hpp"

namespace wa::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLibrary = "scenarios/library";

Error not_there(const std::string& path, const std::error_code& failure) {
  return Error{Errc::environment, path + ": " + failure.message()};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool matches(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

bool is_selected(const ScenarioFile& file, const Selection& selection) {
  const stage::Scenario& scenario = file.declaration.scenario;
  if (!selection.filter.empty()) {
    const std::string& glob = selection.filter;
    if (!matches(glob, file.path) && !matches("*" + glob + "*", file.path) &&
        !matches(glob, scenario.name)) {
      return false;
    }
  }
  if (selection.tags.empty()) return true;
  return std::any_of(selection.tags.begin(), selection.tags.end(), [&](const std::string& tag) {
    return std::find(scenario.tags.begin(), scenario.tags.end(), tag) != scenario.tags.end();
  });
}

/// Reads the file up to its scenario{…}.
void declare(ScenarioFile& file, std::uint64_t seed) {
  lua::Script script(file.path, file.text, seed);
  auto declaration = script.declare();
  if (!declaration) {
    file.unreadable = declaration.error();
    return;
  }
  file.declaration = std::move(*declaration);
  std::vector<std::string>& tags = file.declaration.scenario.tags;
  if (std::any_of(tags.begin(), tags.end(), report::is_field_row)) tags.push_back("field");
}

}  // namespace

Result<ScenarioFile> read_plan_file(const std::string& path) {
  WA_TRY(const Bytes contents, read_file(path));
  auto parsed = stage::Plan::parse(as_text(contents));
  if (!parsed) return Error{Errc::usage, path + ": " + parsed.error().detail};
  const auto plan = std::make_shared<const stage::Plan>(std::move(*parsed));
  ScenarioFile file;
  if (plan->scenario_path.empty()) {
    file.path = path;
    auto text = stage::to_lua(*plan);
    if (!text) return Error{Errc::usage, path + ": " + text.error().detail};
    file.text = std::move(*text);
  } else {
    file.path = plan->scenario_path;
    WA_TRY(const Bytes text, read_file(file.path));
    file.text = as_text(text);
    if (!plan->scenario_sha256.empty() && stage::text_hash(file.text) != plan->scenario_sha256) {
      return Error{Errc::usage, path + ": " + file.path +
                                    " has changed since the plan was made (its SHA-256 is " +
                                    stage::text_hash(file.text) +
                                    "); make the plan anew with --plan-out, or correct the hash"};
    }
  }
  declare(file, plan->seed);
  file.declaration.scenario.server.clear();
  for (const auto& member : plan->server) {
    file.declaration.scenario.server.emplace_back(std::string_view(member.key()),
                                                  std::string_view(member.value().as_string()));
  }
  file.plan = plan;
  return file;
}

Result<std::string> find_library() {
  std::error_code failure;
  if (fs::is_directory(kLibrary, failure)) return std::string(kLibrary);
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  for (fs::path folder = program.parent_path(); folder.has_relative_path();
       folder = folder.parent_path()) {
    for (const char* place : {"share/testline/scenarios/library", kLibrary}) {
      if (fs::is_directory(folder / place, failure)) return (folder / place).string();
    }
  }
  return Error{Errc::environment, std::string("there is no ") + kLibrary +
                                      " here, nor near the program; name the scenarios to run"};
}

Result<std::vector<ScenarioFile>> read_scenarios(const std::vector<std::string>& paths,
                                                 std::uint64_t seed) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    std::error_code failure;
    const fs::file_status status = fs::status(path, failure);
    if (failure || status.type() == fs::file_type::not_found) {
      return not_there(
          path, failure ? failure : std::make_error_code(std::errc::no_such_file_or_directory));
    }
    if (!fs::is_directory(status)) {
      names.push_back(fs::path(path).lexically_normal().string());
      continue;
    }
    fs::recursive_directory_iterator entry(path, failure);
    if (failure) return not_there(path, failure);
    std::vector<std::string> inside;
    for (; entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
      if (failure) return not_there(path, failure);
      if (entry->path().extension() == ".lua" && entry->is_regular_file(failure)) {
        inside.push_back(entry->path().lexically_normal().string());
      }
    }
    std::sort(inside.begin(), inside.end());
    names.insert(names.end(), inside.begin(), inside.end());
  }
  std::vector<ScenarioFile> files;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) continue;
    WA_TRY(const Bytes contents, read_file(name));
    files.push_back({name, std::string(as_text(contents)), {}, {}});
    declare(files.back(), seed);
  }
  return files;
}

Result<std::vector<ScenarioFile>> select(std::vector<ScenarioFile> files,
                                         const Selection& selection) {
  if (files.empty()) return Error{Errc::usage, "there is no .lua file"};
  std::vector<std::string_view> tags;
  for (const ScenarioFile& file : files) {
    for (const std::string& tag : file.declaration.scenario.tags) tags.push_back(tag);
  }
  std::string near;
  if (!selection.tags.empty()) near = mock::nearest(selection.tags.front(), tags);
  std::vector<ScenarioFile> selected;
  for (ScenarioFile& file : files) {
    if (is_selected(file, selection)) selected.push_back(std::move(file));
  }
  if (selected.empty()) {
    const bool by_tag = !selection.tags.empty();
    return Error{Errc::usage, std::string("no scenario has this ") + (by_tag ? "tag" : "name") +
                                  (near.empty() ? "" : "; did you mean \"" + near + "\"?")};
  }
  if (selection.shards <= 1) return selected;
  std::vector<ScenarioFile> shard;
  for (std::size_t i = selection.shard - 1; i < selected.size(); i += selection.shards) {
    shard.push_back(std::move(selected[i]));
  }
  return shard;
}

std::vector<const ScenarioFile*> rank_by_symptom(const std::vector<ScenarioFile>& files,
                                                 std::string_view text) {
  const std::string log = lower(text);
  std::vector<std::pair<std::size_t, const ScenarioFile*>> ranked;
  for (const ScenarioFile& file : files) {
    std::size_t score = 0;
    for (const std::string& symptom : file.declaration.scenario.symptom) {
      const std::string wanted = lower(symptom);
      if (wanted.empty() || log.empty()) continue;
      // A long string that occurs says more than a short one.
      if (log.find(wanted) != std::string::npos) {
        score += wanted.size();
      } else if (wanted.find(log) != std::string::npos) {
        score += log.size();
      }
    }
    if (score > 0) ranked.emplace_back(score, &file);
  }
  // Best first; of equals the first by path. (libstdc++ 12's stable_sort does not compile with
  // clang.)
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second->path < b.second->path;
  });
  std::vector<const ScenarioFile*> best;
  for (const auto& [score, file] : ranked) best.push_back(file);
  return best;
}

}  // namespace wa::cli

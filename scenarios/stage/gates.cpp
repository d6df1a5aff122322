#include "scenarios/stage/gates.hpp"

#include <algorithm>
#include <set>

namespace wa::stage {

namespace {

bool contains(const std::vector<std::string>& list, const std::string& id) {
  return std::ranges::find(list, id) != list.end();
}

/// Drops failures of allowed invariants; an allowance that was not used is a failure.
void apply_invariant_allowance(std::vector<Failure>& failures, const Allow& allow) {
  std::set<std::string> used;
  std::erase_if(failures, [&](const Failure& failure) {
    if (failure.kind != "invariant" || !contains(allow.invariants, failure.rule)) return false;
    used.insert(failure.rule);
    return true;
  });
  for (const std::string& id : allow.invariants) {
    if (used.contains(id)) continue;
    failures.push_back(
        {"allowance",
         "the scenario allows the invariant \"" + id + "\" to be broken, but it was not",
         {},
         {},
         {},
         id});
  }
}

}  // namespace

std::vector<Failure> undeclared_violations(const std::vector<mock::Violation>& violations,
                                           const Allow& allow) {
  std::vector<Failure> failures;
  std::set<std::string> used;
  for (const mock::Violation& violation : violations) {
    if (contains(allow.violations, violation.rule)) {
      used.insert(violation.rule);
      continue;
    }
    std::string message = "protocol violation " + violation.rule;
    if (!violation.device.empty()) message += " by " + violation.device;
    message += ": " + violation.detail;
    if (!violation.stanza.empty()) message += " in " + violation.stanza;
    failures.push_back({"violation", std::move(message), {}, {}, {}, violation.rule});
  }
  for (const std::string& rule : allow.violations) {
    if (used.contains(rule)) continue;
    failures.push_back({"allowance",
                        "the scenario allows the violation \"" + rule + "\", but there was none",
                        {},
                        {},
                        {},
                        rule});
  }
  return failures;
}

std::vector<Failure> unfired_faults(const Server& server) {
  std::vector<Failure> failures;
  for (const std::string& id : server.unfired_faults()) {
    failures.push_back({"fault",
                        "the fault " + id + " never fired, so this run proves nothing about it",
                        "at least once, or optional = true",
                        "never",
                        {},
                        id});
  }
  return failures;
}

std::vector<Failure> conclude(World& world, const Scenario& scenario, Expectations& expectations) {
  // What finishing the world does to the devices is not the script's business.
  expectations.judge_nevers(world.server().began());
  std::vector<Failure> failures = expectations.failures();
  std::vector<Failure> found = world.finish();
  apply_invariant_allowance(found, scenario.allow);
  for (auto& failure : undeclared_violations(world.server().violations(), scenario.allow)) {
    found.push_back(std::move(failure));
  }
  for (auto& failure : unfired_faults(world.server())) found.push_back(std::move(failure));
  std::ranges::move(found, std::back_inserter(failures));
  return failures;
}

Result<mock::Settings> settings_of(const Scenario& scenario, std::string_view profile) {
  WA_TRY(mock::Settings settings, mock::Settings::profile(profile));
  for (const auto& [key, value] : scenario.server) WA_TRY_VOID(settings.set(key, value));
  return settings;
}

}  // namespace wa::stage

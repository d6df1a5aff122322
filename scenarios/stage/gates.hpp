#pragma once

#include <vector>

#include "scenarios/stage/expectations.hpp"
#include "scenarios/stage/scenario.hpp"
#include "scenarios/stage/world.hpp"

namespace wa::stage {

/// The end of every scenario: judges never(), finishes the world (quiet-end), then fails for
/// violations that were not declared, allowances that were not used, faults that never fired.
/// Returns everything that did not hold, failed expectations first.
std::vector<Failure> conclude(World& world, const Scenario& scenario, Expectations& expectations);

/// The parts, for who needs them one by one.
std::vector<Failure> undeclared_violations(const std::vector<mock::Violation>& violations,
                                           const Allow& allow);
std::vector<Failure> unfired_faults(const Server& server);

/// Settings of the mock as a scenario wants them: the profile, then its `server` keys.
/// Errors: `usage`, as of mock::Settings.
Result<mock::Settings> settings_of(const Scenario& scenario, std::string_view profile = "default");

}  // namespace wa::stage

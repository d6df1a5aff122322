#pragma once

#include <gtest/gtest.h>

#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

/// For tests: whole scenarios in virtual time, in few words.
namespace wa::sim::test {

using stage::Device;
using stage::Expectations;
using stage::Failure;
using stage::Phone;
using stage::Wait;

inline std::vector<std::string> texts(const std::vector<Failure>& failures) {
  std::vector<std::string> out;
  for (const Failure& failure : failures) out.push_back(to_string(failure));
  return out;
}

/// A world with a phone and a device, and the steps that most scenarios begin with.
struct Stage {
  explicit Stage(Options options = {})
      : world(std::move(options)),
        phone(**world.server().phone("15550100001")),
        device(**world.device("engine", "shop-1", {})) {}

  bool reaches(std::string state, Duration within, std::string reason = {}) {
    Wait wait = Wait::for_state(world, device, std::move(state), std::move(reason), within);
    return holds(await(world, wait));
  }
  bool shows_qr(Duration within) {
    Wait wait = Wait::for_qr(world, device, within);
    if (!holds(await(world, wait))) return false;
    picture = *wait.entry()->qr.png();
    return true;
  }
  bool scans() {
    outcome = phone.scan(picture);
    Wait wait = Wait::for_outcome(world, outcome, 10s);
    return holds(await(world, wait));
  }
  bool pairs() {
    device.start();
    return shows_qr(2s) && scans() && outcome->value() && reaches("connected", 10s);
  }
  /// Adds a fault; the test fails if the record is refused.
  void fault(boost::json::object record) {
    const auto id = world.server().fault(std::move(record));
    EXPECT_TRUE(id) << id.error();
  }
  bool passes(Duration duration) {
    Wait wait = Wait::pause(world, duration);
    return holds(await(world, wait));
  }
  bool server_sees(mock::EventKind kind, Duration within) {
    Wait wait = Wait::for_event(world, kind, "shop-1", {}, within);
    return holds(await(world, wait));
  }
  boost::json::object inspect() {
    const stage::Ref ref = device.inspect();
    Wait wait = Wait::for_answer(world, device, ref, "inspect", 1s);
    return holds(await(world, wait)) ? wait.entry()->data : boost::json::object{};
  }
  bool holds(const std::optional<Failure>& failure) {
    if (failure) ADD_FAILURE() << to_string(*failure);
    return !failure;
  }
  std::vector<std::string> conclude(stage::Allow allow = {}) {
    stage::Scenario scenario;
    scenario.allow = std::move(allow);
    return texts(stage::conclude(world, scenario, expect));
  }

  World world;
  Phone& phone;
  Device& device;
  Expectations expect;
  Bytes picture;
  stage::OutcomePtr outcome;
};

}  // namespace wa::sim::test

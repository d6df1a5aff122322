#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/scenario.hpp"
#include "scenarios/stage/server.hpp"
#include "scenarios/stage/time_scale.hpp"
#include "scenarios/stage/trace.hpp"

namespace wa::stage {

/// A place where a scenario is played: sim::World (virtual time) or loopback::World (real sockets).
/// Both are made from the Scenario (settings, scale) and a seed; nothing runs between two calls of
/// advance(), except in real processes, whose news wait until then.
class World {
 public:
  virtual ~World() = default;

  virtual Mode mode() const = 0;
  virtual Now now() const = 0;

  /// Performs the next thing that happens, at the latest at `limit`, and returns true; or moves
  /// time to `limit` and returns false.
  virtual bool advance(Instant limit) = 0;

  virtual Server& server() = 0;
  /// The device of that name of that engine ("engine" is the usual one). Made on first use.
  /// Errors: `conflict` (exists with other options), `usage` (a name that is not
  /// [A-Za-z0-9_-]{1,64}), `environment` (the client under test does not run).
  virtual Result<Device*> device(std::string_view engine, std::string_view name,
                                 const DeviceOptions& options) = 0;
  /// In the order in which they were made.
  virtual const std::vector<Device*>& devices() const = 0;

  virtual const TimeScale& time_scale() const = 0;
  virtual Trace& trace() = 0;

  /// Ends everything: stops devices and lets closes arrive. Then checks quiet-end. Once.
  virtual std::vector<Failure> finish() = 0;
};

}  // namespace wa::stage

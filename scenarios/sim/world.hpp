#pragma once

#include <functional>
#include <memory>

#include "scenarios/sim/device.hpp"
#include "scenarios/stage/disk.hpp"
#include "scenarios/stage/gates.hpp"
#include "scenarios/stage/world.hpp"

namespace wa::sim {

using namespace std::chrono_literals;

/// How long things take that are no protocol.
struct Costs {
  Duration latency = 5ms;   ///< of a link, each way
  Duration jitter{};        ///< at most so much more, drawn for each message
  Duration commit = 1ms;    ///< until a commit is durable
  Duration load = 100us;    ///< of some records
  Duration compute = 20ms;  ///< of a Compute job
};

struct Options {
  mock::Settings settings;
  std::uint64_t seed = 1;
  bool record = false;  ///< keep trace lines
  Costs costs;
  Sabotage sabotage = {};  ///< for tests of the invariants
  /// Gets the keys of every connection; they are in no trace, and change none.
  std::function<void(const mock::LogKeys&)> on_keys = {};
};

/// A whole deployment in virtual time: the tenant, every device's session, links, stores and
/// clocks. One thread, no sockets; the wall clock starts at 2026-01-01T00:00:00Z, time at zero.
///
/// The same options and the same calls give the same trace hash, in every build.
class World final : public stage::World {
 public:
  explicit World(Options options);
  ~World() override;

  stage::Mode mode() const override { return stage::Mode::sim; }
  Now now() const override;
  bool advance(Instant limit) override;
  stage::Server& server() override;
  Result<stage::Device*> device(std::string_view engine, std::string_view name,
                                const stage::DeviceOptions& options) override;
  const std::vector<stage::Device*>& devices() const override;
  /// What the device of this name stores its records on.
  stage::Disk& disk(std::string_view device);
  const stage::TimeScale& time_scale() const override;
  stage::Trace& trace() override;
  std::vector<stage::Failure> finish() override;

  /// For tests and benchmarks: things performed so far, links that are not closed, alarms set.
  std::uint64_t steps() const;
  std::size_t open_links() const;
  std::size_t alarms() const;

  /// For tests: changes one byte of the nth (from 1) message that a device sends or is sent.
  void flip_byte(std::uint64_t nth_message);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::sim

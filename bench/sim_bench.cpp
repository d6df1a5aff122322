// How fast virtual time is: whole pairings with picture and camera, and idle days.

#include <benchmark/benchmark.h>

#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace {

using namespace wa;
using namespace std::chrono_literals;
using stage::Wait;

bool reached(stage::World& world, Wait wait) {
  return !stage::await(world, wait);
}

/// From nothing to connected, with PNG and ZXing. False: it went wrong, the figure means nothing.
bool pair(sim::World& world) {
  stage::Phone* phone = *world.server().phone("15550100001");
  stage::Device* device = *world.device("engine", "shop-1", {});
  device->start();
  if (!reached(world, Wait::for_qr(world, *device, 2s))) return false;
  const auto outcome = phone->scan(*device->qr().png());
  return reached(world, Wait::for_outcome(world, outcome, 10s)) && outcome->value() &&
         reached(world, Wait::for_state(world, *device, "connected", {}, 10s));
}

sim::Options options(std::uint64_t seed) {
  sim::Options made;
  made.seed = seed;
  return made;
}

/// The world, the pairing (30 pre-keys) and the quiet end.
void PairWholeDevice(benchmark::State& state) {
  std::uint64_t seed = 1;
  for (auto _ : state) {
    sim::World world(options(seed++));
    if (!pair(world) || !world.finish().empty()) {
      state.SkipWithError("the pairing failed");
      return;
    }
  }
}
BENCHMARK(PairWholeDevice)->Unit(benchmark::kMillisecond);

/// 24 virtual hours of one connected session: keepalives both ways, every byte encrypted.
void IdleDay(benchmark::State& state) {
  sim::World world(options(1));
  if (!pair(world)) {
    state.SkipWithError("the pairing failed");
    return;
  }
  std::uint64_t steps = world.steps();
  for (auto _ : state) {
    if (!reached(world, Wait::pause(world, 24h))) {
      state.SkipWithError("the pause did not end");
      return;
    }
  }
  steps = world.steps() - steps;
  state.counters["steps/day"] =
      static_cast<double>(steps) / static_cast<double>(state.iterations());
  state.counters["steps/s"] =
      benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
  if (world.server().connects("shop-1") != 2) state.SkipWithError("the session reconnected");
}
BENCHMARK(IdleDay)->Unit(benchmark::kMillisecond);

/// The trace's share: one entry of a small frame.
void TraceEntry(benchmark::State& state) {
  stage::Trace trace;
  const auto actor = trace.actor("device");
  const Bytes payload(120, std::byte{7});
  std::int64_t at = 0;
  for (auto _ : state) {
    trace.add(Instant(Duration(++at)), actor, stage::TraceKind::client_action, payload);
  }
}
BENCHMARK(TraceEntry);

}  // namespace

// How fast virtual time is: whole pairings with picture and camera, idle days, and conversations.

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
bool pair(sim::World& world, const std::string& number = "15550100001",
          std::string_view name = "shop-1") {
  stage::Phone* phone = *world.server().phone(number);
  stage::Device* device = *world.device("engine", name, {});
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

/// Two devices of two accounts that talk to each other.
class Talk {
 public:
  explicit Talk(sim::World& world) : world_(world) {}

  bool begin() {
    for (Side& side : sides_) {
      if (!pair(world_, side.number, side.name)) return false;
      side.device = *world_.device("engine", side.name, {});
    }
    return true;
  }
  /// One says so many things, and the other hears them all.
  bool turn(std::size_t speaker, std::int64_t messages) {
    const Side& from = sides_[speaker];
    Side& to = sides_[1 - speaker];
    to.expected += static_cast<std::size_t>(messages);
    for (std::int64_t i = 0; i < messages; ++i) {
      from.device->send({{"to", to.number}, {"text", "it is " + std::to_string(++said_)}});
    }
    const Instant limit = world_.now().mono + 60s;
    while (!to.heard_all()) {
      if (!world_.advance(limit)) return false;
    }
    return true;
  }
  /// Everything was heard, and nothing went wrong on the way.
  bool end() {
    for (Side& side : sides_) {
      if (side.device->inbox().size() != side.expected) return false;
      if (!side.device->undecryptable().empty()) return false;
    }
    return world_.server().violations().empty() && world_.finish().empty();
  }

 private:
  struct Side {
    std::string number;
    std::string_view name;
    stage::Device* device = nullptr;
    std::size_t expected = 0;
    std::size_t heard = 0;
    std::size_t looked = 0;

    bool heard_all() {
      const auto& history = device->history();
      for (; looked < history.size(); ++looked) heard += history[looked].kind == "message" ? 1 : 0;
      return heard == expected;
    }
  };
  sim::World& world_;
  Side sides_[2] = {{"15550100001", "shop-1"}, {"15550100002", "shop-2"}};
  std::uint64_t said_ = 0;
};

/// Delivered messages, engine to mock to engine: as everywhere, the phones of both accounts get
/// their copies as well, so each is encrypted three times and read three times; every commit is
/// durable before what depends on it. The direction changes every so many messages.
void Conversation(benchmark::State& state) {
  sim::World world(options(1));
  Talk talk(world);
  if (!talk.begin()) {
    state.SkipWithError("the pairing failed");
    return;
  }
  const std::int64_t messages = state.range(0);
  std::size_t speaker = 0;
  for (auto _ : state) {
    if (!talk.turn(speaker, messages)) {
      state.SkipWithError("a message did not arrive");
      return;
    }
    speaker = 1 - speaker;
  }
  state.SetItemsProcessed(state.iterations() * messages);
  if (!talk.end()) state.SkipWithError("the conversation did not hold");
}
// So many that whatever grows with the conversation shows: 40,000 messages each.
BENCHMARK(Conversation)->Arg(8)->Iterations(5'000)->Unit(benchmark::kMillisecond);
BENCHMARK(Conversation)->Arg(1)->Iterations(40'000)->Unit(benchmark::kMillisecond);

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

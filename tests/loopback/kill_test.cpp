#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <map>

#include "engine/base/random.hpp"
#include "engine/client/records.hpp"
#include "engine/client/stored.hpp"
#include "engine/store/sqlite_store.hpp"
#include "scenarios/loopback/world.hpp"
#include "scenarios/stage/waits.hpp"

// `testline engine` is killed (SIGKILL, by its pid) while it pairs and logs in: at every commit
// that has a name, before and after it is durable, and at random moments. What is stored afterwards
// is what was durable, never half of it; and the device ends connected, without another QR code
// once the server has linked it.
namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using stage::Device;
using stage::Wait;

/// Unscaled: at 1/50 these are 20 s.
constexpr Duration kPatience = 1000s;
constexpr int kDevices = 15;
constexpr int kRandomKills = 36;
/// A random kill comes within this, which is about what pairing takes.
constexpr Duration kPairingTakes = 60ms;

struct Target {
  std::string_view point;
  const char* phase;
};
/// In the order of a device's life.
constexpr Target kTargets[] = {
    {client::kPointKeys, "before"},
    {client::kPointKeys, "after"},
    {client::kPointPaired, "before"},
    {client::kPointPaired, "after"},
    // The server never heard the answer of that one: it knows no such companion, and says 401.
    {client::kPointErased, "before"},
    {client::kPointErased, "after"},
    {client::kPointLogin, "before"},
    {client::kPointLogin, "after"},
    {client::kPointPreKeys, "before"},
    {client::kPointPreKeys, "after"},
    {client::kPointUploaded, "before"},
    {client::kPointUploaded, "after"},
};
/// Once the server has the keys, a client that forgot so finds that out without another upload: one
/// device comes to this point once.
constexpr std::string_view kOnce = client::kPointUploaded;

class KillTest : public testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.scale = stage::TimeScale::loopback(0.02);
    options.client_command = WA_TESTLINE " engine";
    auto started = World::start(std::move(options));
    ASSERT_TRUE(started) << started.error();
    world_ = std::move(*started);
  }

  /// A device in a process of its own.
  Device& new_device() {
    const std::string number = std::to_string(++devices_);
    auto made = world_->device("engine-" + number, "device-" + number, {});
    WA_ASSERT(made);
    phone_ = *world_->server().phone("1555010" + std::string(4 - number.size(), '0') + number);
    return **made;
  }

  /// What is durable, as another process finds it. It is always whole.
  store::Stored stored() {
    boost::asio::io_context io;
    store::SqliteStore::Options options;
    options.path = world_->state_dir() + "/1/testline.db";  // of all engines
    EXPECT_TRUE(std::filesystem::exists(options.path));
    auto opened = store::SqliteStore::at(io, std::move(options));
    EXPECT_TRUE(opened) << opened.error();
    Result<store::Stored> read = store::Stored{};
    if (opened) {
      (*opened)->read("device-" + std::to_string(devices_),
                      [&](Result<store::Stored> found) { read = std::move(found); });
      io.run();
    }
    EXPECT_TRUE(read) << read.error();
    if (!read) return {};
    const auto understood = client::Stored::read(read->records);
    EXPECT_TRUE(understood) << understood.error();
    return std::move(*read);
  }
  static bool has_account(const store::Stored& stored) {
    const auto read = client::Stored::read(stored.records);
    return read && read->credentials && read->credentials->account;
  }

  /// Whatever is on show is scanned until it holds. False: not within kPatience.
  bool drive(Device& device, const std::function<bool()>& holds) {
    const Instant limit = world_->now().mono + kPatience / 50;
    while (!holds()) {
      if (world_->now().mono >= limit) return false;
      const bool asked = scan_ && !scan_->answered();
      if (device.state() == "waiting_for_scan" && !device.qr().empty() && !asked) {
        const auto picture = device.qr().png();
        if (picture) scan_ = phone_->scan(*picture);
      }
      world_->advance(world_->now().mono + 5ms);
    }
    return true;
  }
  bool connects(Device& device) {
    return drive(device, [&] { return device.state() == "connected"; });
  }
  static bool is_held(const Device& device, std::size_t since) {
    const auto& history = device.history();
    return std::any_of(history.begin() + static_cast<std::ptrdiff_t>(since), history.end(),
                       [](const stage::Entry& entry) { return entry.kind == "held"; });
  }

  /// Starts, and kills when the device has come to its target.
  void kill_at(Device& device, const Target& target) {
    const std::string name = std::string(target.point) + " " + target.phase;
    SCOPED_TRACE(device.name() + " " + name);
    const std::size_t since = device.history().size();
    device.hold(std::string(target.point), *stage::parse_hold_phase(target.phase), 1);
    device.start();
    ASSERT_TRUE(drive(device, [&] { return is_held(device, since); }))
        << "it was never held; it shows " << device.state() << " " << device.reason();
    const store::Stored held = stored();
    device.kill();
    const store::Stored left = stored();
    EXPECT_EQ(left.records, held.records);
    EXPECT_EQ(left.generation, held.generation);
    EXPECT_GE(left.generation, generation_ + (target.phase == std::string_view("after") ? 1 : 0));
    generation_ = left.generation;
    ++landed_[name];
    ++kills_;
  }

  void end(Device& device) {
    device.start();
    ASSERT_TRUE(connects(device)) << device.state() << " " << device.reason();
    EXPECT_TRUE(has_account(stored()));
    // Once linked, never another QR.
    bool linked = false;
    for (const stage::Entry& entry : device.history()) {
      linked = linked || (entry.kind == "state" && entry.data.at("state") == "connected");
      EXPECT_FALSE(linked && entry.kind == "qr") << "a QR after it was linked";
    }
    device.stop();
    ASSERT_TRUE(drive(device, [&] { return device.state() == "disconnected"; }));
    scan_.reset();
  }

  std::unique_ptr<World> world_;
  int devices_ = 0;
  stage::Phone* phone_ = nullptr;
  stage::OutcomePtr scan_;
  std::uint64_t generation_ = 0;
  int kills_ = 0;
  std::map<std::string, int> landed_;
};

TEST_F(KillTest, EveryKillLeavesTheOldRecordOrTheNewOne) {
  for (int i = 0; i < kDevices; ++i) {
    Device& device = new_device();
    generation_ = 0;
    for (const Target& target : kTargets) {
      const bool after = target.phase == std::string_view("after");
      if (target.point == kOnce && after != (i % 2 == 0)) continue;
      ASSERT_NO_FATAL_FAILURE(kill_at(device, target));
    }
    ASSERT_NO_FATAL_FAILURE(end(device));
  }

  SeededRandom random(1, "kills");
  for (int i = 0; i < kRandomKills; i += 6) {
    Device& device = new_device();
    generation_ = 0;
    bool linked = false;
    for (int n = 0; n < 6; ++n) {
      SCOPED_TRACE(device.name() + " random kill " + std::to_string(n));
      device.start();
      const auto most = static_cast<std::uint64_t>(kPairingTakes.count());
      const Instant at = world_->now().mono + Duration(random.below(most));
      drive(device, [&] { return world_->now().mono >= at; });
      linked = linked || device.state() == "connected";
      std::string where = "random, " + (device.state().empty() ? "starting" : device.state());
      if (device.reason() == "finishing") where += " (finishing)";
      device.kill();
      const store::Stored left = stored();
      EXPECT_GE(left.generation, generation_);
      generation_ = left.generation;
      EXPECT_TRUE(!linked || has_account(left)) << "the account is gone";
      ++landed_[where];
      ++kills_;
    }
    ASSERT_NO_FATAL_FAILURE(end(device));
  }

  for (const stage::Failure& failure : world_->finish()) ADD_FAILURE() << to_string(failure);
  EXPECT_GE(kills_, 200);
  std::printf("%d kills:\n", kills_);
  for (const auto& [where, count] : landed_) std::printf("  %4d  %s\n", count, where.c_str());
}

}  // namespace
}  // namespace wa::loopback

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "engine/base/random.hpp"
#include "scenarios/loopback/world.hpp"
#include "scenarios/stage/waits.hpp"

// `testline engine` is killed (SIGKILL, by its pid) again and again while messages go both ways: at
// commits, before and after they are durable, and at random moments. Nothing becomes unreadable, no
// key is used twice, nothing is lost or told twice.
//
//   loopback_message_kill_test [--kills N]
namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using stage::Device;
using stage::Sending;
using stage::Wait;

int kills_wanted = 60;

/// Unscaled: at 1/50 these are 20 s.
constexpr Duration kPatience = 1000s;
/// Both sides say something this often.
constexpr Duration kBreath = 4ms;
/// A random kill comes within this after the last one: the device may just be logging in.
constexpr Duration kLife = 200ms;
/// Commits that pass at most before it is held at one.
constexpr std::uint64_t kMostCommits = 12;
/// A held device says so within this, since both sides talk.
constexpr Duration kHeldWithin = 5s;

class MessageKillTest : public testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.scale = stage::TimeScale::loopback(0.02);
    options.client_command = WA_TESTLINE " engine";
    auto started = World::start(std::move(options));
    ASSERT_TRUE(started) << started.error();
    world_ = std::move(*started);
    own_ = *world_->server().phone("15550100001");
    other_ = *world_->server().phone("15550100002");
    auto made = world_->device("engine", "device", {});
    ASSERT_TRUE(made) << made.error();
    device_ = *made;
    device_->start();
    Wait code = Wait::for_qr(*world_, *device_, kPatience);
    ASSERT_FALSE(await(*world_, code));
    const auto linked = own_->scan(*device_->qr().png());
    ASSERT_TRUE(drive(kPatience / 50, [&] { return connected(); })) << device_->state();
  }

  bool connected() const { return device_->state() == "connected"; }

  /// Runs the world, in which nobody says anything new.
  bool drive(Duration patience, const std::function<bool()>& holds) {
    const Instant limit = now() + patience;
    while (!holds()) {
      if (now() >= limit) return false;
      world_->advance(now() + 5ms);
    }
    return true;
  }
  /// The same, and both sides talk.
  bool talk(Duration patience, const std::function<bool()>& holds) {
    return drive(patience, [&] {
      if (now() >= next_breath_) {
        next_breath_ = now() + kBreath;
        const std::string number = std::to_string(++said_);
        const auto sent = other_->send({{"to", own_->number()}, {"text", "to " + number}});
        EXPECT_TRUE(sent);
        if (sent) to_device_.push_back(*sent);
        // One that logs in takes messages as well.
        if (device_->runs()) device_->send({{"to", other_->number()}, {"text", "from " + number}});
      }
      return holds();
    });
  }

  /// Dies at a commit while both sides talk. Where, for people; empty: it did not come to one.
  std::string kill_at_commit() {
    const auto phase = dice_.below(2) == 0 ? stage::HoldPhase::before : stage::HoldPhase::after;
    const auto nth = static_cast<std::uint32_t>(1 + dice_.below(kMostCommits));
    const std::size_t since = device_->history().size();
    device_->hold("", phase, nth);
    const auto held = [&]() -> const stage::Entry* {
      for (std::size_t i = since; i < device_->history().size(); ++i) {
        if (device_->history()[i].kind == "held") return &device_->history()[i];
      }
      return nullptr;
    };
    if (!talk(kHeldWithin, [&] { return held() != nullptr; })) return {};
    std::string where(held()->data.at("point").as_string());
    where += " " + std::string(to_string(phase));
    device_->kill();
    return where;
  }
  std::string kill_at_random() {
    const Instant at = now() + Duration(dice_.below(static_cast<std::uint64_t>(kLife.count())));
    talk(kLife, [&] { return now() >= at; });
    const std::string where =
        "random, " + (device_->state().empty() ? "starting" : device_->state());
    device_->kill();
    return where;
  }

  /// What the device took on before it died, or never heard of, is no loss; the rest is.
  std::size_t unended_sends() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        device_->sends(),
        [](const Sending& sending) { return sending.state == Sending::State::accepted; }));
  }
  std::set<std::string> ids_to_device() const {
    std::set<std::string> ids;
    for (const auto& outcome : to_device_) {
      if (outcome->value()) ids.insert(outcome->value()->value);
    }
    return ids;
  }
  std::set<std::string> ids_heard() const {
    std::set<std::string> ids;
    for (const stage::Entry* entry : device_->inbox()) {
      ids.emplace(entry->data.at("id").as_string());
    }
    return ids;
  }
  std::set<std::string> ids_read_by_other() const {
    std::set<std::string> ids;
    for (const mock::PhoneMessage& message : other_->messages()) {
      if (message.from_me) continue;
      EXPECT_EQ(message.failures, 0U) << message.id << ": " << message.why;
      EXPECT_TRUE(ids.insert(message.id).second) << message.id << " twice";
    }
    return ids;
  }
  Instant now() const { return world_->now().mono; }

  std::unique_ptr<World> world_;
  stage::Phone* own_ = nullptr;
  stage::Phone* other_ = nullptr;
  Device* device_ = nullptr;
  SeededRandom dice_{1, "kills"};
  Instant next_breath_{};
  std::uint64_t said_ = 0;
  std::vector<stage::OutcomePtr> to_device_;
};

TEST_F(MessageKillTest, NothingIsLostDoubledOrUnreadableWhereverTheProcessDies) {
  std::map<std::string, int> landed;
  for (int kills = 0; kills < kills_wanted; ++kills) {
    SCOPED_TRACE("kill " + std::to_string(kills));
    const std::string where = kills % 3 == 2 ? kill_at_random() : kill_at_commit();
    ASSERT_FALSE(where.empty()) << "it was never held; it shows " << device_->state() << " "
                                << device_->reason();
    ++landed[where];
    device_->start();
    // Some die again while they log in.
    if (kills % 2 == 0) {
      ASSERT_TRUE(talk(kPatience / 50, [&] { return connected(); })) << device_->state();
    }
  }

  // Then the deaths stop, and what is on its way arrives.
  ASSERT_TRUE(drive(kPatience / 50, [&] { return connected(); })) << device_->state();
  const std::set<std::string> to_device = ids_to_device();
  EXPECT_EQ(to_device.size(), to_device_.size());
  EXPECT_TRUE(
      drive(kPatience / 50,
            [&] { return unended_sends() == 0 && device_->inbox().size() >= to_device.size(); }))
      << unended_sends() << " messages were accepted and have no end; " << device_->inbox().size()
      << " of " << to_device.size() << " were heard";

  EXPECT_TRUE(device_->undecryptable().empty());
  EXPECT_EQ(device_->inbox().size(), to_device.size());
  EXPECT_EQ(ids_heard(), to_device);
  const std::set<std::string> read = ids_read_by_other();
  std::size_t accepted = 0;
  for (const Sending& sending : device_->sends()) {
    if (sending.id.empty()) continue;
    ++accepted;
    EXPECT_EQ(sending.state, Sending::State::sent) << sending.id << ": " << sending.reason;
    EXPECT_TRUE(read.contains(sending.id)) << sending.id << " was sent and never read";
  }
  std::size_t retries = 0;
  for (const stage::ServerEntry& entry : world_->server().history()) {
    if (entry.event.kind != mock::EventKind::stanza_in) continue;
    const auto data = stage::data_of(entry.event);
    retries += data.at("tag") == "receipt" && data.at("type") == "retry" ? 1 : 0;
  }
  EXPECT_EQ(retries, 0U) << "messages were asked for again";
  for (const stage::Failure& failure : world_->finish()) ADD_FAILURE() << to_string(failure);

  std::printf("%d kills; %zu messages to the device, %zu from it (%zu asked for):\n", kills_wanted,
              to_device.size(), accepted, device_->sends().size());
  for (const auto& [where, count] : landed) std::printf("  %4d  %s\n", count, where.c_str());
}

}  // namespace
}  // namespace wa::loopback

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  if (argc == 3 && std::string_view(argv[1]) == "--kills") {
    wa::loopback::kills_wanted = std::atoi(argv[2]);
  }
  return RUN_ALL_TESTS();
}

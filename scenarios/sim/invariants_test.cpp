// Engines that are broken on purpose: each invariant catches its own. What the same world does with
// an engine that is not broken is played beside it.

#include <gmock/gmock.h>

#include "engine/client/records.hpp"
#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::sim {
namespace {

using client::State;
using stage::Wait;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

client::PublishStatus* status_in(client::Action& action) {
  return std::get_if<client::PublishStatus>(&action);
}

/// A device that pairs, and then whatever the test wants.
class SabotageTest : public testing::Test {
 protected:
  using Play = std::function<void()>;

  /// Plays it with this engine; returns what was broken.
  std::vector<std::string> broken(Sabotage sabotage, const Play& play) {
    options_.sabotage = std::move(sabotage);
    World world(options_);
    world_ = &world;
    device_ = *world.device("engine", "shop-1", {});
    play();
    std::vector<std::string> texts;
    stage::Expectations expectations;
    for (const auto& failure : stage::conclude(world, {}, expectations))
      texts.push_back(to_string(failure));
    world_ = nullptr;
    return texts;
  }
  /// The invariant `rule` breaks with the sabotage, and nothing without it.
  void expect_caught(const std::string& rule, const std::string& message, Sabotage sabotage,
                     const Play& play) {
    EXPECT_THAT(broken({}, play), IsEmpty()) << "an engine that is not broken";
    EXPECT_THAT(broken(std::move(sabotage), play),
                Contains(testing::AllOf(HasSubstr(rule), HasSubstr(message))));
  }

  void pass(Duration duration) {
    Wait wait = Wait::pause(*world_, duration);
    (void)await(*world_, wait);
  }
  void show_code() {
    device_->start();
    Wait wait = Wait::for_qr(*world_, *device_, 2s);
    ASSERT_FALSE(await(*world_, wait));
  }
  void pair() {
    show_code();
    (void)(*world_->server().phone("15550100001"))->scan(*device_->qr().png());
    pass(5s);
  }
  void add_fault(boost::json::object record) {
    const auto id = world_->server().fault(record);
    ASSERT_TRUE(id) << id.error();
  }
  void close_stream(const char* how) {
    const auto connections = world_->server().connections();
    if (connections.empty()) return;
    world_->server().command(mock::CloseConnection{connections.back().id, how}, how);
  }

  Options options_;
  World* world_ = nullptr;
  stage::Device* device_ = nullptr;
};

TEST_F(SabotageTest, ConnectedShownAfterItsStream) {
  Sabotage sabotage;
  sabotage.actions = [connected = false](std::vector<client::Action>& actions) mutable {
    std::erase_if(actions, [&](client::Action& action) {
      const auto* published = status_in(action);
      if (published && published->status.state == State::connected) connected = true;
      return published && connected && published->status.state == State::connecting;
    });
  };
  expect_caught("truthful-status", "holds no logged-in stream", sabotage, [&] {
    pair();
    close_stream("rst");
    pass(10s);
  });
}

TEST_F(SabotageTest, ConnectedShownBeforeTheLogin) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    for (client::Action& action : actions) {
      auto* published = status_in(action);
      if (published && published->status.reason == "finishing")
        published->status.state = State::connected;
    }
  };
  expect_caught("truthful-status", "holds no logged-in stream", sabotage, [&] { pair(); });
}

TEST_F(SabotageTest, ConnectedShownWhileNothingComes) {
  Sabotage sabotage;
  bool deaf = false;
  sabotage.hears = [&](const client::Event& event) {
    return !deaf || !std::holds_alternative<client::DeadlineReached>(event);
  };
  expect_caught("truthful-status", "nothing came from the server for", sabotage, [&] {
    pair();
    deaf = true;
    close_stream("blackhole");
    pass(5min);
    deaf = false;
  });
}

TEST_F(SabotageTest, AccountForgottenAtTheRestart) {
  Sabotage sabotage;
  sabotage.actions = [done = false](std::vector<client::Action>& actions) mutable {
    for (client::Action& action : actions) {
      const auto* published = status_in(action);
      if (done || !published || !published->status.last_close) continue;
      if (published->status.last_close->code != 515) continue;
      done = true;
      client::Commit commit;
      commit.changes = client::erase_account();
      actions.emplace_back(std::move(commit));
      break;
    }
  };
  expect_caught("credentials-survive", "forgot its account without a reason", sabotage,
                [&] { pair(); });
}

TEST_F(SabotageTest, CodeOfADeadStreamShownUnmarked) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    for (client::Action& action : actions) {
      if (auto* published = status_in(action); published && published->status.qr)
        published->status.qr->stale = false;
    }
  };
  expect_caught("fresh-qr", "whose stream is down", sabotage, [&] {
    show_code();
    close_stream("rst");
    pass(5s);
  });
}

TEST_F(SabotageTest, CodeShownLongerThanItLives) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    std::erase_if(actions, [](client::Action& action) {
      const auto* published = status_in(action);
      return published && published->status.qr && published->status.qr->sequence > 1;
    });
  };
  expect_caught("fresh-qr", "that expired", sabotage, [&] {
    show_code();
    pass(90s);
  });
}

TEST_F(SabotageTest, CodesOnAnotherScheduleThanTheServers) {
  Sabotage sabotage;
  sabotage.config = [](client::Config& config) { config.timings.qr_first = 10min; };
  expect_caught("fresh-qr", "that the server no longer accepts", sabotage, [&] {
    show_code();
    pass(2min);
  });
}

TEST_F(SabotageTest, ReconnectsWithoutBackOff) {
  Sabotage sabotage;
  sabotage.config = [](client::Config& config) {
    config.timings.backoff_first = config.timings.backoff_max = 10ms;
  };
  // The honest engine is measured over three windows: its bound is the policy's own.
  expect_caught("bounded-reconnect", "more than 25 times within 10m", sabotage, [&] {
    pair();
    add_fault({{"fault", "stream_error"},
               {"args", {{"code", 503}}},
               {"when", {{"on_event", "success"}}},
               {"budget", 1000}});
    close_stream("rst");
    pass(30min);
  });
}

TEST_F(SabotageTest, RestartsForEver) {
  Sabotage sabotage;
  sabotage.config = [](client::Config& config) {
    config.timings.backoff_first = config.timings.backoff_max = 10ms;
    config.timings.slow = 10ms;  // the minute in which restarts are counted
  };
  expect_caught("bounded-reconnect", "more than 25 times within 10m", sabotage, [&] {
    pair();
    add_fault({{"fault", "stream_error"},
               {"args", {{"code", 515}}},
               {"when", {{"on_event", "success"}}},
               {"budget", 1000}});
    close_stream("rst");
    pass(30min);
  });
}

TEST_F(SabotageTest, NeverGivesUpWithoutACode) {
  Sabotage sabotage;
  sabotage.config = [](client::Config& config) { config.unpaired_limit = 100; };
  expect_caught("bounded-reconnect", "more than 3 times without a code", sabotage, [&] {
    add_fault({{"fault", "refs"}, {"args", {{"count", 0}}}});
    device_->start();
    pass(5min);
  });
}

TEST_F(SabotageTest, RunsWithoutTheLease) {
  Sabotage sabotage;
  sabotage.ignores_lease = true;
  expect_caught("single-owner", "is run by other while engine runs it", sabotage, [&] {
    pair();
    (*world_->device("other", "shop-1", {}))->start();
    pass(5s);
  });
}

TEST_F(SabotageTest, AFrameSentTwice) {
  Sabotage sabotage;
  sabotage.actions = [connected = false](std::vector<client::Action>& actions) mutable {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (const auto* published = status_in(actions[i]))
        connected |= published->status.state == State::connected;
      if (!connected || !std::holds_alternative<client::SendBytes>(actions[i])) continue;
      client::Action again = actions[i];
      actions.insert(actions.begin() + static_cast<std::ptrdiff_t>(i), std::move(again));
      ++i;
    }
  };
  expect_caught("no-key-reuse", "repeats counter", sabotage, [&] { pair(); });
}

TEST_F(SabotageTest, AFrameLeftOut) {
  Sabotage sabotage;
  sabotage.actions = [connected = false, lost = false](auto& actions) mutable {
    std::erase_if(actions, [&](client::Action& action) {
      if (const auto* published = status_in(action))
        connected |= published->status.state == State::connected;
      const bool lose = connected && !lost && std::holds_alternative<client::SendBytes>(action);
      lost |= lose;
      return lose;
    });
  };
  expect_caught("no-key-reuse", "skips to counter", sabotage, [&] { pair(); });
}

TEST_F(SabotageTest, AMalformedStanza) {
  Sabotage sabotage;
  sabotage.config = [](client::Config& config) { config.initial_prekeys = 3000; };
  expect_caught("protocol violation", "prekey-upload", sabotage, [&] { pair(); });
}

TEST_F(SabotageTest, ATimerThatIsLeft) {
  Sabotage sabotage;
  sabotage.hears = [](const client::Event& event) {
    return !std::holds_alternative<client::StopRequested>(event);
  };
  expect_caught("quiet-end", "device shop-1 still has a timer", sabotage, [&] { pair(); });
}

TEST_F(SabotageTest, ASocketThatIsLeft) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    std::erase_if(actions, [](const client::Action& action) {
      return std::holds_alternative<client::CloseSocket>(action);
    });
  };
  expect_caught("quiet-end", "links are still open", sabotage, [&] { pair(); });
}

}  // namespace
}  // namespace wa::sim

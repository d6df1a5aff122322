// Engines that lose, repeat and mix up messages on purpose: each invariant catches its own. What
// the same world does with an engine that is not broken is played beside it.

#include <gmock/gmock.h>

#include "engine/messaging/kinds.hpp"
#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::sim {
namespace {

using stage::Wait;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

messaging::AppEvent* event_in(client::Action& action) {
  auto* published = std::get_if<client::PublishEvent>(&action);
  return published ? &published->event : nullptr;
}
bool is_message(client::Action& action) {
  const auto* event = event_in(action);
  return event && std::holds_alternative<messaging::MessageReceived>(event->what);
}

/// A device that is paired, a phone that writes to it, and whatever the test wants.
class MessageSabotageTest : public testing::Test {
 protected:
  using Play = std::function<void()>;

  std::vector<std::string> broken(Sabotage sabotage, const Play& play) {
    options_.sabotage = std::move(sabotage);
    World world(options_);
    world_ = &world;
    phone_ = *world.server().phone("15550100001");
    peer_ = *world.server().phone("15550100002");
    device_ = *world.device("engine", "shop-1", {});
    device_->start();
    Wait code = Wait::for_qr(world, *device_, 2s);
    EXPECT_FALSE(await(world, code));
    (void)phone_->scan(*device_->qr().png());
    pass(5s);
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
                Contains(AllOf(HasSubstr(rule), HasSubstr(message))));
  }

  /// Records of this kind are not written any more, once that is so.
  static Sabotage freezing(std::string_view kind, const bool& frozen) {
    Sabotage sabotage;
    sabotage.actions = [kind, &frozen](std::vector<client::Action>& actions) {
      for (client::Action& action : actions) {
        auto* commit = std::get_if<client::Commit>(&action);
        if (!commit || !frozen) continue;
        std::erase_if(commit->changes, [kind](const client::Change& change) {
          const auto* put = std::get_if<Put>(&change);
          return put && put->kind == kind;
        });
      }
    };
    return sabotage;
  }

  void pass(Duration duration) {
    Wait wait = Wait::pause(*world_, duration);
    (void)await(*world_, wait);
  }
  void peer_says(const std::string& text) {
    const auto sent = peer_->send({{"to", "15550100001"}, {"text", text}});
    ASSERT_TRUE(sent) << sent.error();
  }
  void device_says(const std::string& text) {
    const stage::Ref ref = device_->send({{"to", "15550100002@s.whatsapp.net"}, {"text", text}});
    Wait wait = Wait::for_answer(*world_, *device_, ref, "send", 10s);
    (void)await(*world_, wait);
  }

  Options options_;
  World* world_ = nullptr;
  stage::Phone* phone_ = nullptr;
  stage::Phone* peer_ = nullptr;
  stage::Device* device_ = nullptr;
};

TEST_F(MessageSabotageTest, AMessageThatNobodyIsToldOf) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    std::erase_if(actions, is_message);
  };
  expect_caught("nothing-lost", "was not told of message", sabotage, [&] {
    peer_says("hello");
    pass(2min);
  });
}

TEST_F(MessageSabotageTest, AMessageThatIsToldTwice) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (!is_message(actions[i])) continue;
      client::PublishEvent again = std::get<client::PublishEvent>(actions[i]);
      again.event.seq += 1000;
      actions.insert(actions.begin() + static_cast<std::ptrdiff_t>(i), std::move(again));
      ++i;
    }
  };
  expect_caught("exactly-once-to-app", "told its application twice of message", sabotage, [&] {
    peer_says("hello");
    pass(5s);
  });
}

TEST_F(MessageSabotageTest, AMessageThatIsToldBehindALaterOne) {
  Sabotage sabotage;
  sabotage.actions =
      [held = std::optional<client::Action>()](std::vector<client::Action>& actions) mutable {
        for (std::size_t i = 0; i < actions.size(); ++i) {
          if (!is_message(actions[i])) continue;
          if (!held) {
            held = std::move(actions[i]);
            actions.erase(actions.begin() + static_cast<std::ptrdiff_t>(i--));
          } else {
            actions.insert(actions.begin() + static_cast<std::ptrdiff_t>(++i),
                           *std::exchange(held, {}));
          }
        }
      };
  expect_caught("exactly-once-to-app", "behind a later one", sabotage, [&] {
    peer_says("one");
    pass(1s);
    peer_says("two");
    pass(5s);
  });
}

TEST_F(MessageSabotageTest, AMessageThatWasAcceptedAndIsForgotten) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    std::erase_if(actions, [](client::Action& action) {
      const auto* event = event_in(action);
      return event && std::holds_alternative<messaging::MessageSent>(event->what);
    });
  };
  expect_caught("nothing-lost", "neither sent it nor said that it failed", sabotage, [&] {
    device_says("hello");
    pass(2min);
  });
}

TEST_F(MessageSabotageTest, AMessageKeyThatIsUsedAgain) {
  // What a session has become is not written any more, so every message begins where it stood.
  bool frozen = false;
  const Sabotage sabotage = freezing(messaging::kSessionKind, frozen);
  expect_caught("no-key-reuse", "with a key that it had used before", sabotage, [&] {
    frozen = false;
    device_says("one");
    pass(5s);
    frozen = true;
    device_says("two");
    pass(5s);
    device_says("three");
    pass(5s);
  });
}

TEST_F(MessageSabotageTest, ASenderKeyThatIsUsedAgain) {
  // How far a group's key is used up is not written any more, so every message begins there.
  bool frozen = false;
  const Sabotage sabotage = freezing(messaging::kGroupKeyKind, frozen);
  expect_caught("no-key-reuse", "with a sender key and iteration that it had used before", sabotage,
                [&] {
                  frozen = false;
                  const auto group = world_->server().group("Tea", {"15550100002", "15550100001"});
                  ASSERT_TRUE(group) << group.error();
                  for (const char* text : {"one", "two", "three"}) {
                    (void)device_->send({{"to", (*group)->jid()}, {"text", text}});
                    pass(5s);
                    frozen = true;
                  }
                });
}

TEST_F(MessageSabotageTest, AGroupMessageThatNobodyIsToldOf) {
  Sabotage sabotage;
  sabotage.actions = [](std::vector<client::Action>& actions) {
    std::erase_if(actions, is_message);
  };
  expect_caught("nothing-lost", "was not told of message", sabotage, [&] {
    const auto group = world_->server().group("Tea", {"15550100002", "15550100001"});
    ASSERT_TRUE(group) << group.error();
    const auto sent = peer_->send({{"to", (*group)->jid()}, {"text", "hello"}});
    ASSERT_TRUE(sent) << sent.error();
    pass(2min);
  });
}

}  // namespace
}  // namespace wa::sim

#include <gtest/gtest.h>

#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::NodeBuilder;
using test::World;

TEST(SessionCommandsTest, StartIsIdempotent) {
  World world;
  world.start();
  world.start();
  EXPECT_EQ(world.dial_times.size(), 1u);
  world.scan();
  world.advance(1s);
  world.forget();
  world.start();
  EXPECT_TRUE(world.actions.empty());
  world.close_from_server();
  for (int i = 0; i < 100; ++i) world.start();
  EXPECT_TRUE(world.dial_times.empty());
}

TEST(SessionCommandsTest, StopKeepsTheCredentialsAndEndsEveryTimer) {
  World world;
  world.pair();
  world.step(StopRequested{});
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "stopped");
  EXPECT_FALSE(world.open_socket);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
  EXPECT_TRUE(world.session.credentials()->account);
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionCommandsTest, StopInABackOffOrADialLetsNothingComeBack) {
  for (const bool dialing : {true, false}) {
    World world;
    world.pair();
    if (dialing) world.behaviour.on_dial = World::OnDial::hold;
    world.close_from_server();
    if (dialing) world.advance(2s);
    world.forget();
    world.step(StopRequested{});
    world.advance(1h);
    EXPECT_TRUE(world.dial_times.empty());
    EXPECT_EQ(world.status().state, State::disconnected);
  }
}

TEST(SessionCommandsTest, StopDoesNotHideWhyASessionHasEnded) {
  World world;
  world.pair();
  world.send_and_close(test::failure(405));
  world.step(StopRequested{});
  EXPECT_EQ(world.status().state, State::client_outdated);
}

TEST(SessionCommandsTest, LogoutTellsTheServerWaitsForItsWordAndThenForgets) {
  World world;
  world.pair();
  world.forget();
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (!child(stanza, "remove-companion-device")) return false;
    EXPECT_TRUE(world.store.contains("credentials"));
    return false;
  };
  world.step(LogoutRequested{});
  const auto iqs = world.sent_iqs("remove-companion-device");
  ASSERT_EQ(iqs.size(), 1u);
  EXPECT_EQ(attr(iqs[0], "xmlns"), "md");
  EXPECT_EQ(attr(*child(iqs[0], "remove-companion-device"), "jid"), "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(attr(*child(iqs[0], "remove-companion-device"), "reason"), "user_initiated");
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.status().reason, "user_initiated");
  EXPECT_EQ(world.status().jid, "");
  EXPECT_TRUE(world.forgot_account());
  EXPECT_FALSE(world.open_socket);
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
}

TEST(SessionCommandsTest, ALogoutWithoutAnAnswerForgetsAfterTenSeconds) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(LogoutRequested{});
  world.advance(9s);
  EXPECT_EQ(world.status().reason, "logging_out");
  EXPECT_FALSE(world.store.empty());
  world.advance(1s);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_TRUE(world.forgot_account());
}

TEST(SessionCommandsTest, ALogoutThatIsAnsweredByTheUnlinkItselfIsALogout) {
  World world;
  world.pair();
  world.behaviour.answer_iqs = false;
  world.step(LogoutRequested{});
  world.send_and_close(test::stream_error(401, test::conflict("device_removed")));
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_EQ(world.status().reason, "user_initiated");
  EXPECT_TRUE(world.forgot_account());
}

TEST(SessionCommandsTest, ALogoutWithoutAStreamLogsInToSayIt) {
  World world;
  world.pair();
  world.step(StopRequested{});
  world.forget();
  world.step(LogoutRequested{});
  EXPECT_EQ(world.dial_times.size(), 1u);
  EXPECT_EQ(world.sent_iqs("remove-companion-device").size(), 1u);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_TRUE(world.sent_iqs("count").empty());
}

TEST(SessionCommandsTest, ALogoutInTheMiddleOfPairingIsSaidAfterTheRestart) {
  World world;
  world.behaviour.restart_after_sign = false;
  world.start();
  world.scan();
  world.step(LogoutRequested{});
  world.send_and_close(test::stream_error(515));
  world.advance(1s);
  EXPECT_EQ(world.sent_iqs("remove-companion-device").size(), 1u);
  EXPECT_EQ(world.status().state, State::logged_out);
}

TEST(SessionCommandsTest, ALogoutWithoutANetworkForgetsInTheEnd) {
  World world;
  world.pair();
  world.lose_server();
  world.step(LogoutRequested{});
  world.advance(11s);
  EXPECT_EQ(world.status().state, State::logged_out);
  EXPECT_TRUE(world.forgot_account());
  EXPECT_TRUE(world.status().removal_pending);
}

TEST(SessionCommandsTest, DeleteTellsTheServerAndLeavesNothingBehind) {
  World world;
  world.behaviour.pre_key_count = 0;
  world.pair();
  world.forget();
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (!child(stanza, "remove-companion-device")) return false;
    EXPECT_TRUE(world.store.contains("credentials"));
    return false;
  };
  world.step(DeleteRequested{});
  EXPECT_EQ(world.sent_iqs("remove-companion-device").size(), 1u);
  EXPECT_EQ(world.status().state, State::disconnected);
  EXPECT_EQ(world.status().reason, "deleted");
  EXPECT_FALSE(world.status().removal_pending);
  EXPECT_TRUE(world.store.empty());
  EXPECT_EQ(world.session.next_deadline(), std::nullopt);
}

TEST(SessionCommandsTest, EveryCommandIsLegalInEveryStateAndDeleteThenStartShowsACode) {
  using Prepare = void (*)(World&);
  const Prepare states[] = {
      [](World&) {},
      [](World& world) {
        world.behaviour.on_dial = World::OnDial::hold;
        world.start();
      },
      [](World& world) {
        world.behaviour.answer_hello = false;
        world.start();
      },
      [](World& world) {
        world.behaviour.refs.reset();
        world.start();
      },
      [](World& world) { world.start(); },
      [](World& world) {
        world.start();
        world.send(test::stream_error(503));
      },
      [](World& world) {
        world.behaviour.restart_after_sign = false;
        world.start();
        world.scan();
      },
      [](World& world) {
        world.start();
        world.behaviour.send_success = false;
        world.scan();
        world.advance(1s);
      },
      [](World& world) { world.pair(); },
      [](World& world) {
        world.pair();
        world.close_from_server();
      },
      [](World& world) {
        world.pair();
        world.behaviour.answer_iqs = false;
        world.step(LogoutRequested{});
      },
      [](World& world) {
        world.pair();
        world.send_and_close(test::stream_error({}, test::conflict("replaced")));
      },
      [](World& world) {
        world.pair();
        world.send_and_close(test::failure(401));
      },
      [](World& world) {
        world.start();
        world.scan({.spoil_hmac = true});
      },
      [](World& world) {
        world.start();
        world.advance(1h);
      },
  };
  const Event commands[] = {StartRequested{}, StopRequested{}, LogoutRequested{},
                            DeleteRequested{}};
  int number = 0;
  for (const Prepare prepare : states) {
    SCOPED_TRACE(number++);
    for (const Event& first : commands) {
      for (const Event& second : commands) {
        World world;
        prepare(world);
        world.step(first);
        world.step(second);
        world.advance(1s);
        world.step(DeleteRequested{});
        world.advance(5s);
        EXPECT_TRUE(world.forgot_account());
        EXPECT_EQ(world.status().state, State::disconnected);
        EXPECT_EQ(world.store.contains("tombstone"), world.status().removal_pending);
        EXPECT_LE(world.store.size(), 1u);
        world.behaviour = {};
        world.start();
        world.advance(5s);
        EXPECT_EQ(world.status().state, State::waiting_for_scan);
      }
    }
  }
}

}  // namespace
}  // namespace wa::client

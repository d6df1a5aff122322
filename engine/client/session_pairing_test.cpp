#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/client/test_server.hpp"
#include "engine/protocol/pairing/qr_text.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::NodeBuilder;
using test::World;

TEST(SessionPairingTest, PairsRestartsAsALoginAndIsConnected) {
  World world;
  world.start();
  ASSERT_EQ(world.status().state, State::waiting_for_scan);
  const auto scanned = pairing::parse_qr_text(world.status().qr->text).value();
  const auto keys_scanned = *world.session.credentials();

  world.scan();
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "finishing");
  EXPECT_FALSE(world.status().qr);
  EXPECT_EQ(world.status().last_close->code, 515);

  world.advance(10ms);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.status().jid, "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(world.status().attempts, 0u);
  EXPECT_EQ(world.session.counters().dials, 2u);
  EXPECT_EQ(world.server->client_static, scanned.noise_key);
  EXPECT_EQ(world.session.credentials()->identity, keys_scanned.identity);
  EXPECT_EQ(world.session.credentials()->attempt_id, 1u);
  EXPECT_FALSE(world.was_ever(State::disconnected));
}

}  // namespace
}  // namespace wa::client

// What a peer with hostile intent can make a session cost.
#include <gtest/gtest.h>

#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::altered;
using test::Peer;
using test::send_many;

/// A session with 41 states, in each of which both have written.
struct LongPast {
  LongPast() {
    for (int i = 0; i < 41; ++i) {
      alice.initiate(bob);
      EXPECT_EQ(bob.read(alice.send("a")), "a");
      EXPECT_EQ(alice.read(bob.send("b")), "b");
      if (i == 41 - 1 - kNear) near = alice.session;
      if (i == 41 - 1 - kFar) far = alice.session;
    }
  }
  /// So many states ago: tried, and not tried any more.
  static constexpr int kNear = Session::kMostArchivedTried;
  static constexpr int kFar = kNear + 1;
  Peer alice{1};
  Peer bob{2};
  Session near;
  Session far;
};

TEST(SessionHostileTest, AnUnknownChainIsLookedForInTheNearPast) {
  LongPast past;
  const Session before = past.bob.session;
  past.alice.session = past.near;
  EXPECT_EQ(past.bob.read(past.alice.send("near")), "near");
  past.bob.session = before;
  past.alice.session = past.far;
  EXPECT_EQ(past.bob.read(past.alice.send("far")), "[bad_mac]");
  // Many messages into the chain it is not looked for, and a little before that it is.
  past.alice.session = past.near;
  const auto many = send_many(past.alice, Session::kMostArchivedJump + 1, "");
  EXPECT_EQ(past.bob.read(many[Session::kMostArchivedJump]), "[bad_mac]");
  EXPECT_EQ(past.bob.read(many[Session::kMostArchivedJump - 1]), "249");
  EXPECT_EQ(past.bob.read(many[Session::kMostArchivedJump]), "250");
}

TEST(SessionHostileTest, WhereNothingWasWrittenNoChainIsLookedFor) {
  Peer alice(1);
  Peer bob(2);
  alice.initiate(bob);
  EXPECT_EQ(bob.read(alice.send("x")), "x");
  EXPECT_EQ(alice.read(bob.send("y")), "y");
  const auto next = alice.send("next");  // answers a key that Bob's copy has not shown to anybody
  Peer copy = bob;
  copy.session = altered(bob.session, [](schema::StoredSession& record) {
    record.mutable_states(0)->set_sender_index(0);
  });
  alice.initiate(bob);
  const auto newer = alice.send("newer");
  EXPECT_EQ(copy.read(newer), "newer");
  EXPECT_EQ(copy.read(next), "[bad_mac]");
  EXPECT_EQ(bob.read(newer), "newer");
  EXPECT_EQ(bob.read(next), "next");
}

TEST(SessionHostileTest, AllStatesTogetherKeep4000Seeds) {
  Peer alice(1);
  Peer bob(2);
  std::vector<std::vector<Peer::Ciphertext>> sent;
  for (int i = 0; i < 4; ++i) {
    alice.initiate(bob);
    sent.push_back(send_many(alice, 1501, ""));
    EXPECT_EQ(bob.read(sent.back()[1500]), "1500");
  }
  const auto record = schema::parse<schema::StoredSession>(bob.session.encode(), "session").value();
  std::size_t seeds = 0;
  for (const auto& state : record.states()) {
    for (const auto& one : state.receivers()) seeds += static_cast<std::size_t>(one.skipped_size());
  }
  EXPECT_EQ(seeds, Session::kMaxSeeds);
  EXPECT_LT(bob.session.encode().size(), 200'000U);
  // The oldest go first, and an early one of a chain before a later one.
  EXPECT_EQ(bob.read(sent[0][1499]), "[duplicate]");
  EXPECT_EQ(bob.read(sent[1][499]), "[duplicate]");
  EXPECT_EQ(bob.read(sent[1][500]), "500");
  EXPECT_EQ(bob.read(sent[2][0]), "0");
  EXPECT_EQ(bob.read(sent[3][0]), "0");
}

}  // namespace
}  // namespace wa::signal

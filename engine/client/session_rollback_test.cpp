#include <gtest/gtest.h>

#include <map>

#include "engine/client/records.hpp"
#include "engine/client/test_server.hpp"

/// What is stored turns out to be an older copy of itself: the server knows pre-keys that were
/// never made here.
namespace wa::client::test {
namespace {

/// A device that was paired, stopped, and is started again from what it has stored.
class SessionRollbackTest : public testing::Test {
 protected:
  SessionRollbackTest() {
    World before;
    before.behaviour.pre_key_count = 0;
    before.pair();  // ids 1 to 30
    records_ = before.store;
    start_from(before.stored());
  }
  void start_from(const Stored& stored) {
    world.emplace(World::default_config(), stored, 9);
    world->store = records_;
    world->on_stanza = [this](const NodeBuilder& stanza) {
      if (!child(stanza, "digest")) return false;
      if (!answers_digest) return true;
      auto answer = server_iq("result", attr(stanza, "id"));
      if (listed) answer.child(digest());
      world->send(answer);
      return true;
    };
  }
  NodeBuilder digest() const {
    NodeBuilder list("list");
    for (const std::uint32_t id : *listed) list.child(NodeBuilder("id").bytes(big_endian<3>(id)));
    return NodeBuilder("digest").child(list);
  }
  std::vector<std::uint64_t> uploaded() const {
    std::vector<std::uint64_t> ids;
    for (const auto& upload : world->sent_iqs("list")) {
      for (const auto& key : children(*child(upload, "list"))) {
        ids.push_back(read_big_endian(std::get<Bytes>(child(key, "id")->content())));
      }
    }
    return ids;
  }
  std::vector<std::string> suspicions() const {
    std::vector<std::string> found;
    for (const auto& event : world->app_events) {
      const auto* suspected = std::get_if<messaging::RollbackSuspected>(&event.what);
      if (suspected) found.push_back(suspected->evidence);
    }
    return found;
  }

  bool answers_digest = true;
  std::optional<std::vector<std::uint32_t>> listed =
      std::vector<std::uint32_t>{8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22};
  std::optional<World> world;

 private:
  decltype(World::store) records_;
};

TEST_F(SessionRollbackTest, TheFirstLoginOfAProcessAsksWhatTheServerHasAndLaterOnesCount) {
  world->start();
  EXPECT_EQ(world->sent_iqs("digest").size(), 1u);
  EXPECT_TRUE(world->sent_iqs("count").empty()) << "a digest is a count, too";
  EXPECT_TRUE(uploaded().empty());
  EXPECT_EQ(world->sent_iqs("active").size(), 1u);
  world->close_from_server();
  world->advance(2min);
  EXPECT_EQ(world->sent_iqs("digest").size(), 1u);
  EXPECT_EQ(world->sent_iqs("count").size(), 1u);
  EXPECT_TRUE(suspicions().empty());
}

TEST_F(SessionRollbackTest, FewKeysInADigestAreFilledUp) {
  listed = {28, 29, 30};
  world->start();
  EXPECT_EQ(uploaded().size(), 27u);
  EXPECT_EQ(uploaded().front(), 31u);
  EXPECT_TRUE(suspicions().empty());
}

TEST_F(SessionRollbackTest, AnUploadThatIsInTheDigestHasArrivedAndIsNotOfferedAgain) {
  auto stored = world->stored();
  stored.credentials->offered_from = 20;
  stored.credentials->offered_to = 30;
  start_from(stored);
  listed = {28, 29, 30};
  world->start();
  ASSERT_EQ(uploaded().size(), 27u);
  EXPECT_EQ(uploaded().front(), 31u);
}

// Behind the largest id they begin anew: what the server has of before is behind, not ahead.
TEST_F(SessionRollbackTest, KeysFromBeforeTheIdsBeganAnewAreNoProof) {
  auto stored = world->stored();
  stored.credentials->next_pre_key_id = 9;
  start_from(stored);
  listed = {0xfffffe, 0xffffff, 1, 2, 3, 4, 5, 6, 7, 8};
  world->start();
  EXPECT_TRUE(suspicions().empty());
  ASSERT_EQ(uploaded().size(), 20u);
  EXPECT_EQ(uploaded().front(), 9u);
}

TEST_F(SessionRollbackTest, AServerThatKnowsNoDigestsIsAskedForTheCount) {
  listed.reset();
  world->start();
  EXPECT_EQ(world->sent_iqs("count").size(), 1u);
  EXPECT_EQ(world->sent_iqs("active").size(), 1u);
  EXPECT_TRUE(suspicions().empty());
}

TEST_F(SessionRollbackTest, KeysThatWereNeverMadeHereAreProofAndAllAreRenewedAboveThem) {
  listed = {29, 30, 31, 77, 78};
  world->start();
  EXPECT_EQ(suspicions(), std::vector<std::string>{"pre_keys"});
  ASSERT_EQ(uploaded().size(), 30u);
  EXPECT_EQ(uploaded().front(), 79u);
  EXPECT_EQ(world->stored().credentials->next_pre_key_id, 109u);
  EXPECT_EQ(world->sent_iqs("active").size(), 1u);
}

TEST_F(SessionRollbackTest, NothingIsSaidBeforeTheServerHasAnswered) {
  answers_digest = false;
  world->start();
  world->step(SendRequested{.ref = 7,
                            .to = wire::Jid("15550009999", wire::kServerPn),
                            .content = message::Text{"hi"},
                            .id = "3EB0AA"});
  EXPECT_TRUE(world->sent_iqs("usync").empty());
  EXPECT_TRUE(world->sent_iqs("active").empty());
  world->advance(21s);  // it does not answer at all
  EXPECT_EQ(world->sent_iqs("usync").size(), 1u) << "and the message is on its way";
  EXPECT_EQ(world->sent_iqs("active").size(), 1u);
}

}  // namespace
}  // namespace wa::client::test

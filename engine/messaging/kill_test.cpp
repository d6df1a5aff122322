#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/test_world.hpp"

/// The process dies at every point, again and again, while messages go both ways: nothing becomes
/// unreadable, no key is used twice, nothing is lost or told twice.
namespace wa::messaging {
namespace {

using test::attr;
using test::World;
using wire::NodeBuilder;

const wire::Jid kGroup("120363000000000001", "g.us");

class Turmoil {
 public:
  explicit Turmoil(std::uint64_t seed) : dice_(seed, "turmoil"), world_(seed) {
    world_.peer().begin(world_.own_bundle());
    world_.groups[kGroup] = {test::kOwnLid.without_device(), test::kPeerLid};
    world_.online();
  }

  void run() {
    constexpr int kSteps = 400;
    for (int i = 0; i < kSteps; ++i) {
      switch (dice_.below(12)) {
        case 0: receive_new(); break;
        case 1: want(); break;
        case 2: kill(); break;
        case 3: redeliver_one(); break;
        default: world_.perform_one();
      }
      look();
    }
    // Then the faults stop.
    come_back();
    for (int i = 0; i < 3; ++i) {
      world_.settle();
      look();
      for (const auto& [id, stanza] : unanswered_) world_.feed_stanza(stanza);
    }
    world_.settle();
    look();
  }

  void check() const {
    EXPECT_EQ(unreadable_, std::vector<std::string>());
    EXPECT_EQ(world_.messenger->counters().undecryptable, 0U);
    EXPECT_TRUE(world_.sent_with("receipt", "retry").empty());
    EXPECT_TRUE(unanswered_.empty());
    // Events may be published again, under the same number.
    std::map<std::string, std::set<std::uint64_t>> told;
    std::vector<std::string> order;
    for (const AppEvent& event : world_.events) {
      const auto* received = std::get_if<MessageReceived>(&event.what);
      if (!received) continue;
      if (told[received->origin.id].empty()) order.push_back(received->origin.id);
      told[received->origin.id].insert(event.seq);
    }
    EXPECT_EQ(order, received_);
    for (const auto& [id, seqs] : told) EXPECT_EQ(seqs.size(), 1U) << id;
    for (const auto& sent : world_.events_of<SendAccepted>()) {
      EXPECT_TRUE(arrived_.contains(sent.id)) << sent.id << " was accepted and never arrived";
    }
  }

  std::size_t kills() const { return kills_; }

 private:
  void receive_new() {
    const std::string id = "A" + std::to_string(received_.size());
    const NodeBuilder stanza = world_.peer().message(id, "text of " + id);
    received_.push_back(id);
    unanswered_.emplace_back(id, stanza);
    world_.feed_stanza(stanza);
  }
  void redeliver_one() {
    if (unanswered_.empty()) return;
    world_.feed_stanza(unanswered_[dice_.below(unanswered_.size())].second);
  }
  void want() {
    const std::string id = "S" + std::to_string(wanted_++);
    const wire::Jid to = wanted_ % 3 == 0 ? kGroup : test::kPeerJid;
    world_.feed(SendRequested{1, to, message::Text{.text = "text of " + id}, id});
  }
  void kill() {
    ++kills_;
    world_.kill();
    come_back();
  }
  void come_back() {
    world_.feed(StreamReady{});
    for (const auto& [id, stanza] : unanswered_) {
      NodeBuilder again = stanza;
      again.attr("offline", 0);
      world_.feed_stanza(again);
    }
  }
  /// What has come out: the server notes what was answered, the peer reads what is for it.
  void look() {
    for (; looked_ < world_.sent.size(); ++looked_) {
      const NodeBuilder stanza = world_.sent[looked_];
      const std::string id = attr(stanza, "id");
      if (stanza.tag() != "message") {
        std::erase_if(unanswered_, [&](const auto& one) { return one.first == id; });
        continue;
      }
      const std::string text = attr(stanza, "to") == kGroup.to_string()
                                   ? world_.peer().read_group(stanza)
                                   : world_.peer().text_in(*test::copy_in(stanza, world_.peer()));
      if (text != "text of " + id) unreadable_.push_back(id + ": " + text);
      arrived_.insert(id);
      if (dice_.below(2) == 0) world_.feed_stanza(ack(id));
    }
  }
  static NodeBuilder ack(const std::string& id) {
    return NodeBuilder("ack").attr("class", std::string("message")).attr("id", id);
  }

  SeededRandom dice_;
  World world_;
  std::vector<std::string> received_;
  std::vector<std::pair<std::string, NodeBuilder>> unanswered_;
  std::set<std::string> arrived_;
  std::vector<std::string> unreadable_;
  std::size_t wanted_ = 0;
  std::size_t kills_ = 0;
  std::size_t looked_ = 0;
};

TEST(KillTest, NothingIsLostDoubledOrUnreadableWhereverTheProcessDies) {
  std::size_t kills = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Turmoil turmoil(seed);
    turmoil.run();
    turmoil.check();
    kills += turmoil.kills();
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(kills, 200U);
}

}  // namespace
}  // namespace wa::messaging

#include "mockserver/core/fault_engine.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace wa::mock {
namespace {

using namespace std::chrono_literals;
using What = FaultEngine::Due::What;

class FaultEngineTest : public testing::Test {
 protected:
  std::string add(std::string_view text) {
    auto record = FaultRecord::parse(boost::json::parse(text));
    EXPECT_TRUE(record) << text << ": " << (record ? "" : record.error().detail);
    return *engine_.add(std::move(*record), now_);
  }
  FaultSubject subject(std::string_view label = "a",
                       ConnectionState state = ConnectionState::open) const {
    return {1, label, {}, {}, {}, state};
  }
  /// The ids of what came of an event, with what became of them.
  std::vector<std::string> event(EventKind kind, std::string_view label = "a",
                                 ConnectionState state = ConnectionState::open) {
    return print(engine_.on_event(kind, subject(label, state), now_));
  }
  /// Lets time pass, stopping at every deadline.
  std::vector<std::string> pass(Duration duration, bool live = true) {
    const Instant end = now_.mono + duration;
    std::vector<std::string> all;
    while (engine_.next_deadline() && *engine_.next_deadline() <= end) {
      now_.mono = *engine_.next_deadline();
      const auto due = engine_.on_deadline(now_, [&](const std::string&) { return live; });
      for (std::string& line : print(due)) all.push_back(std::move(line));
    }
    now_.mono = end;
    return all;
  }
  std::vector<std::string> due() { return print(engine_.take_due()); }
  template <class K>
  std::size_t acts(std::string_view label = "a", StanzaRef stanza = {}) {
    return engine_.act<K>({subject(label), {}, stanza}, now_).size();
  }
  template <class K>
  std::size_t stands(std::string_view label = "a", ConnectionState state = ConnectionState::open) {
    return engine_.standing<K>({subject(label, state), {}, {}}, now_).size();
  }
  std::uint64_t fired(std::string_view id) { return engine_.find(id)->fired; }

  static std::vector<std::string> print(const std::vector<FaultEngine::Due>& dues) {
    std::vector<std::string> lines;
    for (const auto& due : dues) {
      const char* what = due.what == What::perform        ? "perform "
                         : due.what == What::switched_on  ? "on "
                         : due.what == What::switched_off ? "off "
                                                          : "healed ";
      lines.push_back(what + due.record->id + (due.device.empty() ? "" : " " + due.device));
    }
    return lines;
  }

  using Lines = std::vector<std::string>;
  FaultEngine engine_{1};
  Now now_{Instant(1h), UnixMillis{0}};
};

// ---- occasions ---------------------------------------------------------------------------------

TEST_F(FaultEngineTest, AnOccasionWithoutATriggerActsWheneverItsChanceComes) {
  EXPECT_FALSE(engine_.any<DupFault>());
  add(R"({"fault":"dup"})");
  EXPECT_TRUE(engine_.any<DupFault>());
  EXPECT_FALSE(engine_.any<DropFault>());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(acts<DupFault>(), 1u);
  EXPECT_EQ(fired("f1"), 3u);
}

TEST_F(FaultEngineTest, NthEveryAndBudgetCountTheMatchesOfTheRecord) {
  add(R"({"fault":"dup","when":{"nth":2},"id":"nth"})");
  add(R"({"fault":"dup","when":{"every":2},"budget":2,"id":"every"})");
  std::vector<std::size_t> acted;
  for (int i = 0; i < 8; ++i) acted.push_back(acts<DupFault>());
  EXPECT_EQ(acted, (std::vector<std::size_t>{0, 2, 0, 1, 0, 0, 0, 0}));
  // With the budget used up nothing is counted any more.
  EXPECT_EQ(engine_.find("every")->matches, 4u);
  EXPECT_FALSE(engine_.find("every")->active());
  EXPECT_EQ(engine_.find("nth")->matches, 8u);
}

TEST_F(FaultEngineTest, OfKindsThatExcludeEachOtherTheFirstThatFiresDecides) {
  add(R"({"fault":"refs","args":{"count":1},"when":{"nth":2}})");
  add(R"({"fault":"refs","args":{"count":2}})");
  const auto count = [&] {
    const auto acting = engine_.act<RefsFault>({subject(), {}, {}}, now_);
    return acting.size() == 1 ? *std::get<RefsFault>(acting[0]->kind).count : 99;
  };
  EXPECT_EQ(count(), 2u);
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(engine_.find("f2")->matches, 1u);  // those behind it do not count that occasion
}

TEST_F(FaultEngineTest, AChanceThatDoesNotFitTheArgumentsIsNone) {
  add(R"({"fault":"withhold","args":{"stanza":"offline"},"when":{"nth":1}})");
  const auto fits = [](std::string_view stanza) {
    return [stanza](const WithholdFault& fault) { return fault.stanza == stanza; };
  };
  EXPECT_TRUE(engine_.act<WithholdFault>({subject(), {}, {}}, now_, fits("success")).empty());
  EXPECT_EQ(engine_.act<WithholdFault>({subject(), {}, {}}, now_, fits("offline")).size(), 1u);
}

TEST_F(FaultEngineTest, DirectionAndStanzaLimitAnOccasion) {
  add(R"({"fault":"dup","where":{"direction":"to_client","stanza":{"tag":"iq"}}})");
  const wire::NodeBuilder iq("iq");
  const wire::NodeBuilder ib("ib");
  const auto count = [&](Direction direction, const wire::NodeBuilder& node) {
    return engine_.act<DupFault>({subject(), direction, &node}, now_).size();
  };
  EXPECT_EQ(count(Direction::to_client, iq), 1u);
  EXPECT_EQ(count(Direction::to_server, iq), 0u);
  EXPECT_EQ(count(Direction::to_client, ib), 0u);
  EXPECT_EQ(engine_.find("f1")->matches, 1u);
}

TEST_F(FaultEngineTest, ATriggerArmsAnOccasionForItsDeviceOnce) {
  add(R"({"fault":"dup","when":{"on_event":"success"}})");
  EXPECT_EQ(acts<DupFault>(), 0u);
  EXPECT_FALSE(engine_.find("f1")->active());
  EXPECT_EQ(event(EventKind::success, "b"), Lines{});
  EXPECT_TRUE(engine_.find("f1")->active());
  EXPECT_EQ(acts<DupFault>("a"), 0u);
  EXPECT_EQ(acts<DupFault>("b"), 1u);
  EXPECT_EQ(acts<DupFault>("b"), 0u);  // the budget is one
  EXPECT_FALSE(engine_.find("f1")->active());
}

TEST_F(FaultEngineTest, AfterAtAndBetweenRunFromTheFirstConnectionOfTheDevice) {
  engine_.seen(subject(), now_);
  now_.mono += 1s;
  add(R"({"fault":"dup","when":{"after":"5s"},"budget":9,"id":"after"})");
  add(R"({"fault":"dup","when":{"at":"6s"},"budget":9,"id":"at"})");
  add(R"({"fault":"dup","when":{"between":["2s","3s"]},"id":"between"})");
  EXPECT_EQ(acts<DupFault>(), 0u);
  (void)pass(1s);  // 2 s
  EXPECT_EQ(acts<DupFault>(), 1u);
  (void)pass(1s);  // 3 s: the end does not belong to it
  EXPECT_EQ(acts<DupFault>(), 0u);
  (void)pass(2s);
  EXPECT_EQ(acts<DupFault>(), 1u);
  (void)pass(1s);
  EXPECT_EQ(acts<DupFault>(), 2u);
  EXPECT_EQ(acts<DupFault>("never-seen"), 0u);
}

TEST_F(FaultEngineTest, OnStateHoldsWhileTheServerSeesTheDeviceSo) {
  add(R"({"fault":"dup","when":{"on_state":"pairing"}})");
  EXPECT_EQ(acts<DupFault>(), 0u);
  EXPECT_EQ(engine_.act<DupFault>({subject("a", ConnectionState::pairing), {}, {}}, now_).size(),
            1u);
}

TEST_F(FaultEngineTest, AManualOccasionWaitsForFireAndThenActsForAnybody) {
  add(R"({"fault":"dup","when":{"manual":true},"budget":2})");
  EXPECT_EQ(acts<DupFault>(), 0u);
  ASSERT_TRUE(engine_.fire("f1", now_));
  EXPECT_EQ(acts<DupFault>("a"), 1u);
  EXPECT_EQ(acts<DupFault>("b"), 1u);
  EXPECT_EQ(acts<DupFault>("a"), 0u);
  EXPECT_EQ(engine_.fire("f1", now_).error().code, Errc::conflict);
  EXPECT_EQ(engine_.fire("f2", now_).error().code, Errc::not_found);
}

TEST_F(FaultEngineTest, DrawsDependOnTheRecordAloneAndZeroNeverActs) {
  const auto pattern = [](FaultEngine& engine) {
    std::string drawn;
    for (int i = 0; i < 64; ++i) {
      drawn += engine.act<DupFault>({FaultSubject{}, {}, {}}, Now{}).empty() ? '.' : 'x';
    }
    return drawn;
  };
  const auto add_to = [](FaultEngine& engine, const char* text) {
    ASSERT_TRUE(engine.add(*FaultRecord::parse(boost::json::parse(text)), Now{}));
  };
  FaultEngine alone(5);
  add_to(alone, R"({"id":"x","fault":"dup","when":{"probability":0.5}})");
  FaultEngine crowded(5);
  add_to(crowded, R"({"id":"y","fault":"drop","when":{"probability":0.5}})");
  add_to(crowded, R"({"id":"z","fault":"dup","when":{"probability":0}})");
  add_to(crowded, R"({"id":"x","fault":"dup","when":{"probability":0.5}})");
  const std::string drawn = pattern(alone);
  EXPECT_EQ(drawn, pattern(crowded));
  EXPECT_NE(drawn.find('x'), std::string::npos);
  EXPECT_NE(drawn.find('.'), std::string::npos);
  EXPECT_EQ(crowded.find("z")->fired, 0u);
}

// ---- moments -----------------------------------------------------------------------------------

TEST_F(FaultEngineTest, AMomentIsPerformedAtItsEventForWhomItIsAbout) {
  add(R"({"fault":"close","where":{"device":"a"},"when":{"on_event":"login"}})");
  EXPECT_EQ(event(EventKind::login, "b"), Lines{});
  EXPECT_EQ(event(EventKind::success), Lines{});
  EXPECT_EQ(event(EventKind::login), Lines{"perform f1 a"});
  EXPECT_EQ(event(EventKind::login), Lines{});
}

TEST_F(FaultEngineTest, StanzaEventsCanBeLimitedToAStanza) {
  add(R"({"fault":"close","where":{"stanza":{"tag":"presence"}},"when":{"on_event":"stanza_in"}})");
  const wire::NodeBuilder iq("iq");
  const wire::NodeBuilder presence("presence");
  EXPECT_TRUE(engine_.on_event(EventKind::stanza_in, subject(), now_, &iq).empty());
  EXPECT_EQ(engine_.on_event(EventKind::stanza_in, subject(), now_, &presence).size(), 1u);
}

TEST_F(FaultEngineTest, AfterBesideAnEventRunsFromTheEvent) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"close","when":{"on_event":"closed","after":"3s"},"budget":2})");
  (void)event(EventKind::closed, "a", ConnectionState::offline);
  EXPECT_EQ(pass(2s), Lines{});
  EXPECT_EQ(pass(1s), Lines{"perform f1 a"});
  (void)event(EventKind::closed, "a", ConnectionState::offline);
  // Nothing to act on: the moment passes.
  EXPECT_EQ(pass(10s, false), Lines{});
  EXPECT_EQ(fired("f1"), 1u);
}

TEST_F(FaultEngineTest, FailureIsAMomentOnceTheDeviceIsLoggedIn) {
  add(R"({"fault":"failure","args":{"reason":503},"when":{"on_event":"active"}})");
  add(R"({"fault":"failure","args":{"reason":503},"when":{"on_event":"connected"}})");
  EXPECT_EQ(event(EventKind::active), Lines{"perform f1 a"});
  EXPECT_EQ(event(EventKind::connected, "a", ConnectionState::handshake), Lines{});
  EXPECT_EQ(acts<FailureFault>(), 1u);
}

TEST_F(FaultEngineTest, AHostMomentNeedsNoConnection) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"kill","args":{"point":"x"},"when":{"after":"1s"}})");
  EXPECT_EQ(pass(1s, false), Lines{"perform f1 a"});
}

// ---- standing ----------------------------------------------------------------------------------

TEST_F(FaultEngineTest, AStandingFaultIsOnForEveryDeviceItMeetsAndEachIsAnAct) {
  add(R"({"fault":"split","args":{"size":3}})");
  EXPECT_EQ(due(), Lines{});
  engine_.seen(subject("a"), now_);
  engine_.seen(subject("b"), now_);
  EXPECT_EQ(due(), (Lines{"on f1 a", "on f1 b"}));
  EXPECT_EQ(stands<SplitFault>("a"), 1u);
  EXPECT_EQ(stands<SplitFault>("a"), 1u);
  EXPECT_EQ(fired("f1"), 2u);
  ASSERT_TRUE(engine_.remove("f1", now_));
  EXPECT_EQ(due(), (Lines{"off f1 a", "off f1 b"}));
  EXPECT_EQ(stands<SplitFault>("a"), 0u);
}

TEST_F(FaultEngineTest, ATriggerSwitchesOnFromThenOnUntilItHeals) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"blackhole","when":{"on_event":"active"},"heal":{"after":"10s"}})");
  EXPECT_EQ(stands<BlackholeFault>(), 0u);
  EXPECT_EQ(event(EventKind::active), Lines{"on f1 a"});
  EXPECT_EQ(stands<BlackholeFault>(), 1u);
  EXPECT_EQ(pass(9999ms), Lines{});
  EXPECT_EQ(pass(1ms), Lines{"healed f1"});
  EXPECT_EQ(stands<BlackholeFault>(), 0u);
  EXPECT_EQ(event(EventKind::active), Lines{});  // over for good
  EXPECT_TRUE(engine_.find("f1")->healed);
  EXPECT_FALSE(engine_.any<BlackholeFault>());
}

TEST_F(FaultEngineTest, BetweenIsASpanOfAStandingFault) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"mute","args":{"direction":"to_client"},"when":{"between":["2s","5s"]}})");
  EXPECT_EQ(pass(1s), Lines{});
  EXPECT_EQ(pass(1s), Lines{"on f1 a"});
  EXPECT_EQ(stands<MuteFault>(), 1u);
  EXPECT_EQ(pass(3s), Lines{"off f1 a"});
  EXPECT_EQ(stands<MuteFault>(), 0u);
  EXPECT_FALSE(engine_.next_deadline());
}

TEST_F(FaultEngineTest, OnStateSwitchesWithTheConnection) {
  engine_.seen(subject("a", ConnectionState::handshake), now_);
  add(R"({"fault":"disk","args":{"kind":"eio"},"when":{"on_state":"open"}})");
  EXPECT_EQ(event(EventKind::success), Lines{"on f1 a"});
  EXPECT_EQ(event(EventKind::closed, "a", ConnectionState::offline), Lines{"off f1 a"});
  EXPECT_EQ(event(EventKind::success), Lines{"on f1 a"});
  EXPECT_EQ(fired("f1"), 2u);
}

TEST_F(FaultEngineTest, SingleChancesOfAStandingFaultArePicked) {
  add(R"({"fault":"latency","args":{"max":"1s"},"when":{"every":2}})");
  engine_.seen(subject(), now_);
  EXPECT_EQ(due(), Lines{});  // it has not acted yet
  EXPECT_EQ(stands<LatencyFault>(), 0u);
  EXPECT_EQ(stands<LatencyFault>(), 1u);
  EXPECT_EQ(due(), Lines{"on f1 a"});
  EXPECT_EQ(stands<LatencyFault>(), 0u);
  EXPECT_EQ(stands<LatencyFault>(), 1u);
  EXPECT_EQ(fired("f1"), 1u);
}

TEST_F(FaultEngineTest, AHostFaultWithoutATriggerIsOnBeforeTheClientEverConnects) {
  add(R"({"fault":"dns","args":{"kind":"fail"},"where":{"device":"a"}})");
  EXPECT_EQ(due(), Lines{"on f1 a"});
  engine_.seen(subject(), now_);
  EXPECT_EQ(due(), Lines{});
  EXPECT_EQ(fired("f1"), 1u);
}

TEST_F(FaultEngineTest, AManualStandingFaultIsOnFromFireUntilHeal) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"blackhole","when":{"manual":true}})");
  add(R"({"fault":"disk","args":{"kind":"eio"},"where":{"device":"x"},"when":{"manual":true}})");
  ASSERT_TRUE(engine_.fire("f1", now_));
  ASSERT_TRUE(engine_.fire("f2", now_));
  EXPECT_EQ(due(), (Lines{"on f1 a", "on f2 x"}));
  ASSERT_TRUE(engine_.heal("f1", now_));
  ASSERT_TRUE(engine_.heal("f1", now_));
  EXPECT_EQ(due(), Lines{"healed f1"});
  EXPECT_EQ(engine_.fire("f1", now_).error().code, Errc::conflict);
  EXPECT_EQ(engine_.heal("f9", now_).error().code, Errc::not_found);
}

// ---- heal --------------------------------------------------------------------------------------

TEST_F(FaultEngineTest, HealsAfterSoManyActsOrOnAnEventOrAtATime) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"dup","heal":{"nth":2},"id":"acts"})");
  add(R"({"fault":"reorder","heal":{"on_event":"login"},"id":"event"})");
  add(R"({"fault":"corrupt","heal":{"at":"5s"},"id":"time"})");
  add(R"({"fault":"delay","args":{"by":"1s"},"heal":{"on_event":"login","after":"3s"},"id":"late"})");
  add(R"({"fault":"drop","heal":{"after":"1s","nth":2},"id":"both"})");
  EXPECT_EQ(acts<DupFault>() + acts<DupFault>() + acts<DupFault>(), 2u);
  EXPECT_EQ(due(), Lines{"healed acts"});
  EXPECT_EQ(event(EventKind::login), Lines{"healed event"});
  EXPECT_EQ(acts<ReorderFault>(), 0u);
  EXPECT_EQ(acts<DropFault>(), 1u);
  EXPECT_EQ(pass(4s), Lines{"healed late"});
  EXPECT_EQ(acts<DropFault>(), 1u);
  EXPECT_EQ(due(), Lines{"healed both"});
  EXPECT_EQ(acts<CorruptFault>(), 1u);
  EXPECT_EQ(pass(1s), Lines{"healed time"});
  EXPECT_EQ(acts<CorruptFault>(), 0u);
}

TEST_F(FaultEngineTest, AnEventDoesNotHealWhatHasNotBegun) {
  add(R"({"fault":"dup","when":{"on_event":"login"},"heal":{"on_event":"login"},"budget":9})");
  EXPECT_EQ(event(EventKind::login), Lines{});
  EXPECT_EQ(acts<DupFault>(), 1u);
  EXPECT_EQ(event(EventKind::login), Lines{"healed f1"});
  EXPECT_EQ(acts<DupFault>(), 0u);
}

TEST_F(FaultEngineTest, AManualHealIsHealedByNothingElse) {
  engine_.seen(subject(), now_);
  add(R"({"fault":"dup","heal":{"manual":true,"nth":1}})");
  EXPECT_EQ(acts<DupFault>() + acts<DupFault>(), 2u);
  ASSERT_TRUE(engine_.heal("f1", now_));
  EXPECT_EQ(acts<DupFault>(), 0u);
}

// ---- tenants, ids, size ------------------------------------------------------------------------

TEST_F(FaultEngineTest, ARecordForAnotherTenantNeverActs) {
  FaultEngine blue(1, "blue");
  for (const char* text : {R"({"id":"ours","fault":"dup","where":{"tenant":"blue"}})",
                           R"({"id":"theirs","fault":"dup","where":{"tenant":"red"}})"}) {
    ASSERT_TRUE(blue.add(*FaultRecord::parse(boost::json::parse(text)), now_));
  }
  const auto acting = blue.act<DupFault>({subject(), {}, {}}, now_);
  ASSERT_EQ(acting.size(), 1u);
  EXPECT_EQ(acting[0]->id, "ours");
}

TEST_F(FaultEngineTest, IdsAreUniqueAndRemovalLeavesNoTimer) {
  EXPECT_EQ(add(R"({"fault":"dup","id":"f1"})"), "f1");
  EXPECT_EQ(add(R"({"fault":"dup"})"), "f2");
  EXPECT_EQ(
      engine_.add(*FaultRecord::parse(boost::json::parse(R"({"fault":"dup","id":"f1"})")), now_)
          .error()
          .code,
      Errc::conflict);
  engine_.seen(subject(), now_);
  add(R"({"fault":"close","id":"timed","when":{"after":"5s"}})");
  EXPECT_TRUE(engine_.next_deadline());
  ASSERT_TRUE(engine_.remove("timed", now_));
  EXPECT_FALSE(engine_.next_deadline());
  EXPECT_EQ(engine_.remove("timed", now_).error().code, Errc::not_found);
}

TEST_F(FaultEngineTest, ResetSwitchesOffWhatIsOn) {
  add(R"({"fault":"disk","args":{"kind":"eio"},"where":{"device":"a"}})");
  EXPECT_EQ(due(), Lines{"on f1 a"});
  engine_.clear();
  EXPECT_EQ(due(), Lines{"off f1 a"});
  EXPECT_TRUE(engine_.records().empty());
}

TEST_F(FaultEngineTest, AHundredThousandRecordsCostThoseOnlyWhomTheyConcern) {
  constexpr int kRecords = 100'000;
  const auto like =
      *FaultRecord::parse(boost::json::parse(R"({"fault":"close","when":{"on_event":"login"}})"));
  add(R"({"fault":"dup"})");
  for (int i = 0; i < kRecords; ++i) {
    FaultRecord record = like;
    record.where.device = "device " + std::to_string(i);
    ASSERT_TRUE(engine_.add(std::move(record), now_));
  }
  // Were each of these to look at every record, the test would take minutes.
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(acts<DupFault>(), 1u);
    ASSERT_TRUE(event(EventKind::login).empty());
    engine_.seen(subject(), now_);
  }
  EXPECT_EQ(event(EventKind::login, "device 77"), Lines{"perform f79 device 77"});
  for (int i = kRecords; i > 0; --i) {
    ASSERT_TRUE(engine_.remove("f" + std::to_string(i + 1), now_));
  }
  EXPECT_EQ(engine_.records().size(), 1u);
}

}  // namespace
}  // namespace wa::mock

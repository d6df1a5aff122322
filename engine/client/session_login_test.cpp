#include <gtest/gtest.h>

#include <algorithm>

#include "engine/client/records.hpp"
#include "engine/client/test_server.hpp"

namespace wa::client {
namespace {

using test::attr;
using test::child;
using test::children;
using test::NodeBuilder;
using test::stored_credentials;
using test::World;

/// id → key, in hex
std::map<std::uint64_t, std::string> uploaded_keys(const NodeBuilder& upload) {
  std::map<std::uint64_t, std::string> keys;
  for (const auto& key : children(*child(upload, "list"))) {
    keys[read_big_endian(std::get<Bytes>(child(key, "id")->content()))] =
        to_hex(std::get<Bytes>(child(key, "value")->content()));
  }
  return keys;
}

std::size_t stored_pre_keys(const World& world) {
  const auto found = world.store.find("pre_key");
  return found == world.store.end() ? 0 : found->second.size();
}

/// The ids in an upload, as numbers.
std::vector<std::uint64_t> uploaded_ids(const NodeBuilder& iq) {
  std::vector<std::uint64_t> ids;
  for (const auto& key : children(*child(iq, "list"))) {
    const auto& id = std::get<Bytes>(child(key, "id")->content());
    EXPECT_EQ(id.size(), 3u);
    ids.push_back(read_big_endian(id));
  }
  return ids;
}

NodeBuilder bulletin(NodeBuilder child_node) {
  return NodeBuilder("ib").attr("from", wire::Jid::server_itself()).child(std::move(child_node));
}

TEST(SessionLoginTest, AStoredDeviceLogsInWithoutPairing) {
  World first;
  first.pair();
  auto config = World::default_config();
  World world(config, first.stored(), 2);
  EXPECT_EQ(world.status().jid, "15550100001:7@s.whatsapp.net");
  EXPECT_EQ(world.status().state, State::disconnected);
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.dial_times.size(), 1u);
  EXPECT_FALSE(world.was_ever(State::waiting_for_scan));
}

TEST(SessionLoginTest, IsConnectedOnceAndOnlyAfterSuccess) {
  World world;
  world.behaviour.send_success = false;
  world.start();
  world.scan();
  world.advance(1s);
  EXPECT_FALSE(world.was_ever(State::connected));
  world.send(NodeBuilder("success"));
  EXPECT_EQ(world.status().state, State::connected);
  world.send(NodeBuilder("success"));
  EXPECT_EQ(std::ranges::count(world.statuses, State::connected, &Status::state), 1);
}

TEST(SessionLoginTest, ASuccessForAnUnpairedDeviceIsIgnored) {
  World world;
  world.start();
  world.send(NodeBuilder("success"));
  EXPECT_EQ(world.status().state, State::waiting_for_scan);
}

TEST(SessionLoginTest, ALoginWithoutAnAnswerTimesOutAndIsTriedForEver) {
  World world;
  world.pair();
  world.behaviour.send_success = false;
  world.close_from_server();
  world.advance(25s);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_EQ(world.status().reason, "login_timeout");
  EXPECT_EQ(world.status().last_close->code, std::nullopt);
  world.advance(2h);
  EXPECT_EQ(world.status().state, State::connecting);
  EXPECT_GT(world.dial_times.size(), 60u);
  world.behaviour.send_success = true;
  world.advance(2min);
  EXPECT_EQ(world.status().state, State::connected);
}

TEST(SessionLoginTest, TheCounterReturnsToZeroAfterAMinuteOfConnection) {
  World world;
  world.pair();
  world.close_from_server();
  world.advance(5s);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.status().attempts, 1u);
  world.advance(54s);
  EXPECT_EQ(world.status().attempts, 1u);
  world.advance(6s);
  EXPECT_EQ(world.status().attempts, 0u);
}

TEST(SessionLoginTest, RoutingIsStoredAndPrefixedNextTime) {
  World world;
  world.pair();
  EXPECT_TRUE(world.server->routing_info.empty());
  const auto routing = [](ByteSpan info) {
    return bulletin(NodeBuilder("edge_routing").child(NodeBuilder("routing_info").bytes(info)));
  };
  world.send(routing(as_bytes("edge-7")));
  EXPECT_EQ(stored_credentials(world).routing_info, to_bytes("edge-7"));
  world.forget();
  world.send(routing(as_bytes("edge-7")));
  EXPECT_TRUE(world.actions.empty());
  world.send(routing(Bytes(5000)));
  EXPECT_EQ(stored_credentials(world).routing_info, to_bytes("edge-7"));

  world.close_from_server();
  world.advance(5s);
  EXPECT_EQ(world.status().state, State::connected);
  EXPECT_EQ(world.server->routing_info, to_bytes("edge-7"));
}

TEST(SessionLoginTest, AsksForTheCountThenActivatesAndAnswersTheBulletins) {
  World world;
  world.pair();
  EXPECT_EQ(world.sent_iqs("count").size(), 1u);
  EXPECT_EQ(world.sent_iqs("list").size(), 0u);
  const auto active = world.sent_iqs("active");
  ASSERT_EQ(active.size(), 1u);
  EXPECT_EQ(attr(active[0], "xmlns"), "passive");
  EXPECT_EQ(attr(active[0], "type"), "set");

  world.forget();
  world.send(bulletin(NodeBuilder("offline_preview").attr("count", 3)));
  world.send(bulletin(NodeBuilder("dirty").attr("type", "groups").attr("timestamp", 5)));
  world.send(bulletin(NodeBuilder("offline").attr("count", 0)));
  world.send(bulletin(NodeBuilder("thread_metadata")));
  const auto batches = world.sent("ib");
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(attr(*child(batches[0], "offline_batch"), "count"), "100");
  const auto cleans = world.sent_iqs("clean");
  ASSERT_EQ(cleans.size(), 1u);
  EXPECT_EQ(attr(*child(cleans[0], "clean"), "type"), "groups");
  EXPECT_EQ(world.status().state, State::connected);
}

// ---- pre-keys -------------------------------------------------------------------------------

TEST(SessionLoginTest, AnEmptyServerGetsTheInitialKeysWhichAreDurableBeforeTheyAreSent) {
  World world;
  world.behaviour.pre_key_count = 0;
  bool checked = false;
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (!child(stanza, "list")) return false;
    checked = true;
    EXPECT_EQ(stored_pre_keys(world), 30u);
    EXPECT_EQ(stored_credentials(world).next_pre_key_id, 31u);
    EXPECT_EQ(stored_credentials(world).uploaded_pre_key_id, 0u);
    EXPECT_TRUE(world.sent_iqs("active").empty());
    return false;
  };
  world.pair();
  EXPECT_TRUE(checked);
  const auto uploads = world.sent_iqs("list");
  ASSERT_EQ(uploads.size(), 1u);
  const auto ids = uploaded_ids(uploads[0]);
  ASSERT_EQ(ids.size(), 30u);
  EXPECT_EQ(ids.front(), 1u);
  EXPECT_EQ(ids.back(), 30u);
  EXPECT_EQ(stored_credentials(world).uploaded_pre_key_id, 30u);
  EXPECT_EQ(world.sent_iqs("active").size(), 1u);
}

TEST(SessionLoginTest, AnUploadWithoutAnAnswerIsOfferedAgainAndNoIdEverNamesTwoKeys) {
  World world;
  world.behaviour.pre_key_count = 0;
  world.on_stanza = [](const NodeBuilder& stanza) { return child(stanza, "list") != nullptr; };
  world.pair();
  for (int i = 0; i < 5; ++i) {
    world.close_from_server();
    world.advance(30s);
  }
  // A crash right after the commit: a new session from the store.
  World restarted(World::default_config(), world.stored(), 9);
  restarted.store = world.store;
  restarted.behaviour.pre_key_count = 0;
  restarted.start();
  auto uploads = world.sent_iqs("list");
  for (const auto& upload : restarted.sent_iqs("list")) uploads.push_back(upload);
  ASSERT_EQ(uploads.size(), 7u);
  for (const auto& upload : uploads) EXPECT_EQ(uploaded_keys(upload), uploaded_keys(uploads[0]));
  EXPECT_EQ(stored_credentials(restarted).uploaded_pre_key_id, 30u);
  EXPECT_EQ(stored_pre_keys(restarted), 30u);

  // Now the server has them; what it wants next is new.
  restarted.behaviour.pre_key_count = 0;
  restarted.close_from_server();
  restarted.advance(2min);
  ASSERT_EQ(restarted.sent_iqs("list").size(), 2u);
  EXPECT_EQ(uploaded_ids(restarted.sent_iqs("list")[1]).front(), 31u);
}

TEST(SessionLoginTest, OfAnUploadThatIsOfferedAgainUsedKeysAreLeftOut) {
  World world;
  world.behaviour.pre_key_count = 0;
  world.on_stanza = [](const NodeBuilder& stanza) { return child(stanza, "list") != nullptr; };
  world.pair();
  // The server did get it, and somebody has used one.
  world.store["pre_key"].erase("3");
  world.close_from_server();
  world.advance(30s);
  auto ids = uploaded_ids(world.sent_iqs("list").at(1));
  EXPECT_EQ(ids.size(), 29u);
  EXPECT_EQ(std::ranges::count(ids, 3u), 0);

  world.store.erase("pre_key");
  world.close_from_server();
  world.advance(30s);
  ids = uploaded_ids(world.sent_iqs("list").at(2));
  EXPECT_EQ(ids.size(), 30u);
  EXPECT_EQ(ids.front(), 31u) << "all of them are used: new ones";
}

TEST(SessionLoginTest, TheOldestKeysEndWhenThereAreTooMany) {
  auto config = World::default_config();
  config.initial_prekeys = 812;
  World world(config);
  world.behaviour.pre_key_count = 0;
  world.pair();
  for (int i = 0; i < 3; ++i) {
    world.behaviour.pre_key_count = 0;
    world.close_from_server();
    world.advance(2min);
  }
  EXPECT_EQ(world.sent_iqs("list").size(), 4u);
  EXPECT_EQ(stored_pre_keys(world), kMostPreKeys);
  EXPECT_FALSE(world.store["pre_key"].contains("1624"));
  EXPECT_TRUE(world.store["pre_key"].contains("1625"));
}

NodeBuilder warning(std::uint64_t left) {
  return NodeBuilder("notification")
      .attr("from", wire::Jid::server_itself())
      .attr("type", "encrypt")
      .attr("id", "N" + std::to_string(left))
      .child(NodeBuilder("count").attr("value", left));
}

TEST(SessionLoginTest, FewKeysAreFilledUpAtLoginAndWhenTheServerWarns) {
  auto config = World::default_config();
  config.initial_prekeys = 812;
  World world(config);
  world.behaviour.pre_key_count = 405;
  world.pair();
  ASSERT_EQ(world.sent_iqs("list").size(), 1u);
  EXPECT_EQ(uploaded_ids(world.sent_iqs("list")[0]).size(), 407u);

  world.forget();
  world.behaviour.pre_key_count = 700;
  world.send(warning(700));
  EXPECT_EQ(world.sent("ack").size(), 1u);
  ASSERT_EQ(world.sent_iqs("list").size(), 1u);
  EXPECT_EQ(uploaded_ids(world.sent_iqs("list")[0]).size(), 112u);
  EXPECT_EQ(uploaded_ids(world.sent_iqs("list")[0]).front(), 408u);
  EXPECT_TRUE(world.sent_iqs("active").empty());
  EXPECT_FALSE(stored_credentials(world).pre_keys_owed);
}

TEST(SessionLoginTest, AWarningThatWaitedForTheDeviceSaysNothingOfToday) {
  World world;
  world.pair();
  world.forget();
  world.behaviour.pre_key_count = 30;
  world.send(warning(4).attr("offline", 0));
  EXPECT_EQ(world.sent_iqs("count").size(), 1u);
  EXPECT_TRUE(world.sent_iqs("list").empty()) << "it has got them since";
  EXPECT_FALSE(stored_credentials(world).pre_keys_owed);
}

TEST(SessionLoginTest, WhatTheServerWantsIsOwedUntilItHasIt) {
  World world;
  world.pair();
  world.behaviour.pre_key_count = 20;
  world.on_stanza = [](const NodeBuilder& stanza) { return child(stanza, "list") != nullptr; };
  world.send(warning(20));
  world.send(warning(19));
  EXPECT_EQ(world.sent_iqs("list").size(), 1u) << "one upload at a time";
  EXPECT_TRUE(stored_credentials(world).pre_keys_owed);
  // Another process, whose server has more than half of them.
  World restarted(World::default_config(), world.stored(), 9);
  restarted.store = world.store;
  restarted.behaviour.pre_key_count = 20;
  restarted.start();
  ASSERT_EQ(restarted.sent_iqs("list").size(), 1u);
  EXPECT_EQ(uploaded_keys(restarted.sent_iqs("list")[0]), uploaded_keys(world.sent_iqs("list")[0]));
  EXPECT_FALSE(stored_credentials(restarted).pre_keys_owed);
}

TEST(SessionLoginTest, AnUploadThatIsRefusedIsTriedAgainOnTheSameStream) {
  World world;
  world.pair();
  int refusals = 3;
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (!child(stanza, "list") || refusals-- <= 0) return false;
    world.send(test::server_iq("error", attr(stanza, "id")));
    return true;
  };
  world.behaviour.pre_key_count = 4;
  world.send(warning(4));
  world.advance(10s);
  const auto uploads = world.sent_iqs("list");
  ASSERT_EQ(uploads.size(), 4u) << "after 1, 2 and 4 seconds";
  for (const auto& upload : uploads) EXPECT_EQ(uploaded_ids(upload), uploaded_ids(uploads[0]));
  EXPECT_EQ(stored_credentials(world).uploaded_pre_key_id, 26u);
  EXPECT_EQ(world.dial_times.size(), 2u);
}

TEST(SessionLoginTest, ARefusedOrForgottenUploadLeavesTheLoginAlone) {
  for (const bool refused : {true, false}) {
    World world;
    world.behaviour.pre_key_count = 0;
    world.on_stanza = [&](const NodeBuilder& stanza) {
      if (!child(stanza, "list")) return false;
      if (refused) world.send(test::server_iq("error", attr(stanza, "id")));
      return true;
    };
    world.pair();
    world.advance(2min);
    EXPECT_EQ(world.status().state, State::connected);
    EXPECT_EQ(world.dial_times.size(), 2u);
    EXPECT_EQ(stored_credentials(world).uploaded_pre_key_id, 0u);
    EXPECT_EQ(world.sent_iqs("active").size(), 1u);
  }
}

TEST(SessionLoginTest, ACountWithoutANumberIsNoReasonToUpload) {
  World world;
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (!child(stanza, "count")) return false;
    world.send(test::server_iq("result", attr(stanza, "id"))
                   .child(NodeBuilder("count").attr("value", "many")));
    return true;
  };
  world.pair();
  EXPECT_TRUE(world.sent_iqs("list").empty());
  EXPECT_EQ(world.sent_iqs("active").size(), 1u);
}

TEST(SessionLoginTest, BehindTheLargestIdTheyBeginAnew) {
  World first;
  first.pair();
  auto credentials = stored_credentials(first);
  credentials.next_pre_key_id = kLargestPreKeyId;
  World world(World::default_config(), {.credentials = credentials}, 3);
  world.behaviour.pre_key_count = 0;
  world.start();
  EXPECT_EQ(world.status().state, State::connected);
  ASSERT_EQ(world.sent_iqs("list").size(), 1u);
  EXPECT_EQ(uploaded_ids(world.sent_iqs("list")[0]).front(), 1u);
  EXPECT_EQ(stored_credentials(world).next_pre_key_id, 31u);
}

// ---- the signed pre-key ---------------------------------------------------------------------

/// A week is an hour here.
Config with_short_weeks() {
  Config config = World::default_config();
  config.timings.signed_pre_key = 1h;
  config.timings.rotation_retry = 10min;
  config.timings.retired_pre_key = 4h + 30min;
  return config;
}

TEST(SessionLoginTest, ASignedPreKeyIsReplacedAfterAWeek) {
  World world(with_short_weeks());
  world.pair();
  const auto before = stored_credentials(world);
  bool durable = false;
  world.on_stanza = [&](const NodeBuilder& stanza) {
    if (child(stanza, "rotate")) {
      durable = stored_credentials(world).next_signed_pre_key.has_value();
      EXPECT_EQ(stored_credentials(world).signed_pre_key, before.signed_pre_key);
    }
    return false;
  };
  world.advance(59min);
  EXPECT_TRUE(world.sent_iqs("rotate").empty());
  world.advance(2min);
  ASSERT_EQ(world.sent_iqs("rotate").size(), 1u);
  EXPECT_TRUE(durable) << "before it is sent";
  const auto after = stored_credentials(world);
  EXPECT_EQ(after.signed_pre_key.id, before.signed_pre_key.id + 1);
  EXPECT_FALSE(after.next_signed_pre_key.has_value());
  ASSERT_EQ(after.retired_signed_pre_keys.size(), 1u);
  EXPECT_EQ(after.retired_signed_pre_keys[0].key, before.signed_pre_key);
  EXPECT_EQ(after.fingerprint(), before.fingerprint()) << "it is the same account";
}

TEST(SessionLoginTest, AReplacementWithoutAnAnswerIsTriedAgainWithTheSameKey) {
  World world(with_short_weeks());
  world.pair();
  world.on_stanza = [](const NodeBuilder& stanza) { return child(stanza, "rotate") != nullptr; };
  world.advance(61min);
  const auto pending = stored_credentials(world).next_signed_pre_key;
  ASSERT_TRUE(pending.has_value());
  world.on_stanza = {};
  world.advance(10min);
  EXPECT_EQ(world.sent_iqs("rotate").size(), 2u);
  EXPECT_EQ(stored_credentials(world).signed_pre_key, *pending);
}

TEST(SessionLoginTest, EarlierSignedPreKeysAreForgottenAfterAMonth) {
  World world(with_short_weeks());
  world.pair();
  world.advance(9h + 5min);
  const auto credentials = stored_credentials(world);
  EXPECT_EQ(credentials.signed_pre_key.id, 10u);
  EXPECT_EQ(credentials.retired_signed_pre_keys.size(), 5u);
  EXPECT_EQ(credentials.retired_signed_pre_keys.back().key.id, 9u);
}

TEST(SessionLoginTest, AKeyWhoseAgeIsNotKnownIsNewFromNowOn) {
  World first;
  first.pair();
  auto credentials = stored_credentials(first);
  credentials.signed_pre_key_at.reset();  // as an older version stored it
  World world(World::default_config(), {.credentials = credentials}, 3);
  world.start();
  EXPECT_TRUE(stored_credentials(world).signed_pre_key_at.has_value());
  EXPECT_TRUE(world.sent_iqs("rotate").empty());
}

TEST(SessionLoginTest, KeysOfAConnectionThatIsGoneAreDropped) {
  World world;
  world.pair();
  const auto before = world.session.counters().stale_events;
  world.step(Computed{77, std::vector<crypto::KeyPair>(3)});
  EXPECT_EQ(world.session.counters().stale_events, before + 1);
  EXPECT_TRUE(world.sent_iqs("list").empty());
}

// ---- stanzas --------------------------------------------------------------------------------

TEST(SessionLoginTest, EveryStanzaThatWantsAnAckGetsExactlyOne) {
  World world;
  world.pair();
  world.forget();
  const auto before = world.session.counters().unhandled_stanzas;
  const wire::Jid from("15550100002", wire::kServerPn, 4);
  int sent = 0;
  int for_messenger = 0;
  for (const char* tag : {"message", "receipt", "notification", "call", "status", "foo"}) {
    for (int i = 0; i < 3; ++i) {
      world.send(NodeBuilder(tag)
                     .attr("id", std::string(tag) + std::to_string(i))
                     .attr("from", from)
                     .attr("type", "text")
                     .attr("participant", wire::Jid("7", "lid"))
                     .attr("recipient", wire::Jid("8", "lid")));
      ++sent;
      const std::string_view name(tag);
      if (name == "message" || name == "receipt") ++for_messenger;
    }
  }
  for (const char* tag : {"presence", "chatstate", "ack"}) {
    world.send(NodeBuilder(tag).attr("id", "X").attr("from", from));
  }
  const auto acks = world.sent("ack");
  ASSERT_EQ(acks.size(), static_cast<std::size_t>(sent));
  std::set<std::string> ids;
  for (const auto& ack : acks) {
    ids.insert(attr(ack, "id"));
    EXPECT_EQ(attr(ack, "to"), from.to_string());
    EXPECT_EQ(attr(ack, "participant"), "7@lid");
    EXPECT_EQ(attr(ack, "recipient"), "8@lid");
    EXPECT_EQ(attr(ack, "type"), attr(ack, "class") == "message" ? "" : "text");
    EXPECT_TRUE(attr(ack, "id").starts_with(attr(ack, "class")));
  }
  EXPECT_EQ(ids.size(), acks.size());
  EXPECT_EQ(world.session.counters().unhandled_stanzas,
            before + static_cast<std::uint64_t>(sent - for_messenger));
  EXPECT_EQ(world.stanzas.size(), acks.size());
}

TEST(SessionLoginTest, AnUnknownKindIsReportedOnceAndManyKindsAFewTimes) {
  World world;
  world.pair();
  world.forget();
  for (int i = 0; i < 200; ++i) world.send(NodeBuilder("odd").attr("id", i));
  const auto reports = [&] {
    return std::ranges::count_if(
        world.actions, [](const Action& action) { return std::holds_alternative<Report>(action); });
  };
  EXPECT_EQ(reports(), 1);
  for (int i = 0; i < 200; ++i) world.send(NodeBuilder("odd" + std::to_string(i)));
  EXPECT_LE(reports(), 20);
}

TEST(SessionLoginTest, ServerPingsAreAnsweredAndUnknownQueriesAreNot) {
  World world;
  world.pair();
  world.forget();
  world.send(test::server_iq("get", "p1", "urn:xmpp:ping").child(NodeBuilder("ping")));
  ASSERT_EQ(world.stanzas.size(), 1u);
  EXPECT_EQ(attr(world.stanzas[0], "type"), "result");
  EXPECT_EQ(attr(world.stanzas[0], "id"), "p1");

  world.forget();
  const auto before = world.session.counters().unhandled_stanzas;
  world.send(test::server_iq("get", "q1", "w:odd"));
  world.send(test::server_iq("set", "q2", "md").child(NodeBuilder("pair-device")));
  world.send(test::server_iq("set", "q3", "md").child(NodeBuilder("pair-success")));
  world.send(test::server_iq("result", "nobody-asked"));
  EXPECT_TRUE(world.stanzas.empty());
  EXPECT_EQ(world.session.counters().unhandled_stanzas, before + 4);
  EXPECT_EQ(world.status().state, State::connected);
}

}  // namespace
}  // namespace wa::client

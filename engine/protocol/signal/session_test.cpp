#include "engine/protocol/signal/session.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"
#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::altered;
using test::Conversation;
using test::flipped;
using test::Peer;
using test::send_many;

TEST(SessionTest, WritesPreKeyMessagesUntilTheFirstAnswer) {
  Peer alice(1);
  Peer bob(2);
  alice.initiate(bob, 1);
  const auto first = alice.send("one");
  const auto second = alice.send("two");
  EXPECT_TRUE(first.pre_key);
  EXPECT_TRUE(second.pre_key);
  // Out of order, and with the one-time key used up by the first that came.
  EXPECT_EQ(bob.read(second), "two");
  EXPECT_EQ(bob.one_time.count(1), 0U);
  EXPECT_EQ(bob.read(first), "one");
  const auto answer = bob.send("three");
  EXPECT_FALSE(answer.pre_key);
  EXPECT_EQ(alice.read(answer), "three");
  EXPECT_FALSE(alice.send("four").pre_key);
  EXPECT_EQ(bob.session.remote_identity(), alice.local.identity.public_key);
  EXPECT_EQ(bob.session.remote_registration_id(), alice.local.registration_id);
  EXPECT_EQ(alice.session.remote_identity(), bob.local.identity.public_key);
  EXPECT_EQ(alice.session.remote_registration_id(), bob.local.registration_id);
  EXPECT_EQ(alice.session.base_key(), bob.session.base_key());
}

TEST(SessionTest, BeginsWithoutAOneTimePreKey) {
  Peer alice(1);
  Peer bob(2);
  alice.initiate(bob);
  EXPECT_EQ(bob.read(alice.send("hello")), "hello");
  EXPECT_EQ(bob.one_time.size(), 3U);
}

TEST(SessionTest, AnEmptySessionRefusesBothWays) {
  Peer alice(1);
  Conversation other;
  test::NoRandom none;
  EXPECT_EQ(alice.session.encrypt(alice.local, as_bytes("x")).error().why, Failure::no_session);
  EXPECT_EQ(alice.read(other.bob.send("x")), "[no_session]");
  EXPECT_FALSE(alice.session.has_current());
  EXPECT_EQ(alice.session.remote_identity(), std::nullopt);
  EXPECT_EQ(alice.session.base_key(), std::nullopt);
}

TEST(SessionTest, ABundleWithAWrongSignatureChangesNothing) {
  Conversation both;
  const Bytes before = both.alice.session.encode();
  test::NoRandom none;
  for (std::size_t byte = 0; byte < 64; ++byte) {
    auto bundle = both.bob.bundle(2);
    bundle.signed_pre_key_signature[byte] ^= std::byte{0x10};
    const auto begun = both.alice.session.initiate(both.alice.local, bundle, none);
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().why, Failure::bad_signature);
  }
  auto bundle = both.bob.bundle(2);
  bundle.identity = both.alice.local.identity.public_key;
  EXPECT_FALSE(both.alice.session.initiate(both.alice.local, bundle, none));
  EXPECT_EQ(both.alice.session.encode(), before);
}

TEST(SessionTest, KeysOfSmallOrderAreRefusedWhereverTheyStand) {
  for (const auto& bad : test::degenerate_keys()) {
    SCOPED_TRACE(to_hex(bad));
    Peer alice(1);
    Peer bob(2);
    auto bundle = bob.bundle(1);
    bundle.one_time->key = bad;
    EXPECT_EQ(alice.session.initiate(alice.local, bundle, alice.random).error().why,
              Failure::invalid_key);
    bundle = bob.bundle(1);
    bundle.signed_pre_key = bad;
    bundle.signed_pre_key_signature = sign_pre_key(bob.local.identity, bad, bob.random);
    EXPECT_EQ(alice.session.initiate(alice.local, bundle, alice.random).error().why,
              Failure::invalid_key);
    EXPECT_FALSE(alice.session.has_current());

    alice.initiate(bob, 1);
    const auto sent = alice.send("x");
    auto message = PreKeySignalMessage::parse(sent.bytes).value();
    for (crypto::PublicKey* const key : {&message.base_key, &message.identity_key}) {
      const auto right = *key;
      *key = bad;
      EXPECT_EQ(bob.read({true, message.serialize()}), "[invalid_key]");
      *key = right;
    }
    const Bytes inner =
        concat(SignalMessage::serialize_covered(bad, 0, 0, message.message.ciphertext),
               message.message.mac);
    message.message_bytes = inner;
    EXPECT_EQ(bob.read({true, message.serialize()}), "[invalid_key]");
    EXPECT_EQ(bob.read(sent), "x");
    EXPECT_EQ(bob.read({false, inner}), "[invalid_key]");
  }
}

TEST(SessionTest, EveryFlippedBitAndEveryCutIsRefusedAndTheMessageIsStillReadable) {
  Conversation both;
  for (const bool pre_key : {false, true}) {
    SCOPED_TRACE(pre_key);
    if (pre_key) both.alice.initiate(both.bob, 2);
    const auto sent = both.alice.send("text");
    ASSERT_EQ(sent.pre_key, pre_key);
    for (std::size_t size = 0; size < sent.bytes.size(); ++size) {
      EXPECT_FALSE(both.bob.receive({pre_key, to_bytes(ByteSpan(sent.bytes).first(size))}));
    }
    for (std::size_t bit = 0; bit < sent.bytes.size() * 8; bit += 3) {
      const auto outcome = both.bob.receive({pre_key, flipped(sent.bytes, bit)});
      if (!outcome) continue;
      // A pkmsg has fields that nothing covers: its registration id, and the version's low half.
      EXPECT_TRUE(pre_key);
      EXPECT_EQ(as_text(*outcome), "text");
      both = Conversation();
      both.alice.initiate(both.bob, 2);
      ASSERT_EQ(both.alice.send("text").bytes, sent.bytes);
    }
    EXPECT_EQ(both.bob.read(sent), "text");
  }
}

TEST(SessionTest, ADuplicateIsToldFromDamage) {
  Conversation both;
  const auto sent = send_many(both.alice, 3, "m");
  EXPECT_EQ(both.bob.read(sent[2]), "m2");
  EXPECT_EQ(both.bob.read(sent[0]), "m0");
  EXPECT_EQ(both.bob.read(sent[0]), "[duplicate]");
  EXPECT_EQ(both.bob.read(sent[2]), "[duplicate]");
  EXPECT_EQ(both.bob.read({false, flipped(sent[1].bytes, sent[1].bytes.size() * 8 - 1)}),
            "[bad_mac]");
  EXPECT_EQ(both.bob.read(sent[1]), "m1");

  both.alice.initiate(both.bob, 2);
  const auto again = both.alice.send("again");
  EXPECT_EQ(both.bob.read(again), "again");
  EXPECT_EQ(both.bob.read(again), "[duplicate]");
}

TEST(SessionTest, AMessageMayBe2000AheadAndNoMore) {
  Conversation both;
  EXPECT_EQ(both.bob.read(both.alice.send("0")), "0");
  const auto sent = send_many(both.alice, 2001, "");
  EXPECT_EQ(both.bob.read(sent[2000]), "[too_far]");
  EXPECT_EQ(both.bob.read(sent[1999]), "1999");
  EXPECT_EQ(both.bob.read(sent[2000]), "2000");
  EXPECT_EQ(both.bob.read(sent[0]), "0");
  EXPECT_EQ(both.bob.read(sent[1998]), "1998");
}

TEST(SessionTest, TheFirstMessageOfAChainMayBe1999) {
  Conversation both;
  EXPECT_EQ(both.bob.read(both.alice.send("turn")), "turn");
  const auto sent = send_many(both.bob, 2001, "");
  EXPECT_EQ(both.alice.read(sent[2000]), "[too_far]");
  EXPECT_EQ(both.alice.read(sent[1999]), "1999");
}

TEST(SessionTest, ItKeeps2000SkippedSeedsPerChainTheNewest) {
  Conversation both;
  EXPECT_EQ(both.bob.read(both.alice.send("first")), "first");
  const auto sent = send_many(both.alice, 3000, "");
  EXPECT_EQ(both.bob.read(sent[1500]), "1500");
  EXPECT_EQ(both.bob.read(sent[2999]), "2999");  // 1500 + 1498 were skipped
  EXPECT_EQ(both.bob.read(sent[997]), "[duplicate]");
  EXPECT_EQ(both.bob.read(sent[998]), "998");
  EXPECT_EQ(both.bob.read(sent[2998]), "2998");
}

TEST(SessionTest, LateMessagesOfTheLastFiveChainsAreRead) {
  Conversation both;
  std::vector<Peer::Ciphertext> late;
  for (int round = 0; round < 7; ++round) {
    late.push_back(both.alice.send("late " + std::to_string(round)));
    EXPECT_EQ(both.bob.read(both.alice.send("now")), "now");
    EXPECT_EQ(both.alice.read(both.bob.send("turn")), "turn");
  }
  // Its chain is not kept any more, so that it looks like the begin of a new one.
  EXPECT_EQ(both.bob.read(late[0]), "[bad_mac]");
  EXPECT_EQ(both.bob.read(late[1]), "[bad_mac]");
  for (int round = 2; round < 7; ++round) {
    EXPECT_EQ(both.bob.read(late[static_cast<std::size_t>(round)]),
              "late " + std::to_string(round));
  }
}

/// Alice's chain with three messages of which Bob has the first, and the first message of her next
/// one, which says that `previous` was the last of the old.
struct OldChain {
  OldChain(std::uint32_t previous) {
    old = send_many(both.alice, 3, "old ");
    EXPECT_EQ(both.bob.read(old[0]), "old 0");
    EXPECT_EQ(both.alice.read(both.bob.send("turn")), "turn");
    both.alice.session = altered(both.alice.session, [&](schema::StoredSession& record) {
      record.mutable_states(0)->set_previous_counter(previous);
    });
    next = both.alice.send("next");
  }
  Conversation both;
  std::vector<Peer::Ciphertext> old;
  Peer::Ciphertext next;
};

TEST(SessionTest, AChainEndsWhereTheNextOneSaysThatItEnded) {
  // Alice's old chain began with the messages of the Conversation: "old 0" is its number 0.
  OldChain right(2);
  EXPECT_EQ(right.both.bob.read(right.next), "next");
  EXPECT_EQ(right.both.bob.read(right.old[1]), "old 1");
  EXPECT_EQ(right.both.bob.read(right.old[1]), "[duplicate]");
  EXPECT_EQ(right.both.bob.read(right.old[0]), "[duplicate]");
  EXPECT_EQ(right.both.bob.read(right.old[2]), "old 2");

  OldChain too_small(1);
  EXPECT_EQ(too_small.both.bob.read(too_small.next), "next");
  EXPECT_EQ(too_small.both.bob.read(too_small.old[1]), "old 1");
  EXPECT_EQ(too_small.both.bob.read(too_small.old[2]), "[chain_closed]");
}

TEST(SessionTest, APreviousCounterThatMakesNoSenseEndsTheChainWithoutSkipping) {
  for (const std::uint32_t previous :
       {std::uint32_t{0}, std::uint32_t{2001}, std::uint32_t{1} << 31,
        std::numeric_limits<std::uint32_t>::max()}) {
    SCOPED_TRACE(previous);
    OldChain chain(previous);
    EXPECT_EQ(chain.both.bob.read(chain.next), "next");
    EXPECT_EQ(chain.both.bob.read(chain.old[1]), "[chain_closed]");
    EXPECT_EQ(chain.both.alice.read(chain.both.bob.send("fine")), "fine");
  }
  // 2000 is the most that it keeps.
  OldChain most(2000);
  EXPECT_EQ(most.both.bob.read(most.next), "next");
  EXPECT_EQ(most.both.bob.read(most.old[1]), "old 1");
}

TEST(SessionTest, AChainThatSentNothingSaysZero) {
  Conversation both;
  // Bob reads twice and answers nothing in between: of his chains one stays unused.
  EXPECT_EQ(both.bob.read(both.alice.send("one")), "one");
  const auto unused = both.bob.session;
  EXPECT_EQ(both.alice.read(both.bob.send("turn")), "turn");
  const auto next = both.alice.send("two");
  both.bob.session = unused;
  both.bob.session = altered(both.bob.session, [](schema::StoredSession& record) {
    EXPECT_EQ(record.states(0).sender_index(), 0U);
  });
  // Alice's new chain was made with Bob's present ratchet key, which he still has.
  EXPECT_EQ(both.bob.read(next), "two");
  EXPECT_EQ(SignalMessage::parse(both.bob.send("x").bytes).value().previous_counter, 0U);
}

TEST(SessionTest, CountersGoUpToTheLastOf32Bits) {
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  Conversation both;
  EXPECT_EQ(both.bob.read(both.alice.send("0")), "0");
  both.alice.session = altered(both.alice.session, [](schema::StoredSession& record) {
    record.mutable_states(0)->set_sender_index(kMax - 2);
  });
  both.bob.session = altered(both.bob.session, [](schema::StoredSession& record) {
    auto& receivers = *record.mutable_states(0)->mutable_receivers();
    receivers[receivers.size() - 1].set_index(kMax - 2);
  });
  const auto last_but_one = both.alice.send("last but one");
  const auto last = both.alice.send("last");
  EXPECT_EQ(SignalMessage::parse(last.bytes).value().counter, kMax - 1);
  EXPECT_EQ(both.alice.session.encrypt(both.alice.local, as_bytes("x")).error().why,
            Failure::too_far);
  EXPECT_EQ(both.bob.read(last), "last");
  EXPECT_EQ(both.bob.read(last), "[duplicate]");
  EXPECT_EQ(both.bob.read(last_but_one), "last but one");
  // The next chain says that this one ended at 2^32 - 2, which is as good as nothing.
  EXPECT_EQ(both.alice.read(both.bob.send("turn")), "turn");
  const auto next = both.alice.send("next");
  EXPECT_EQ(SignalMessage::parse(next.bytes).value().previous_counter, kMax - 1);
  EXPECT_EQ(both.bob.read(next), "next");
}

TEST(SessionTest, ANewSessionArchivesTheOldOneWhichStillReads) {
  Conversation both;
  const auto late = both.alice.send("late");
  const auto old_base = both.alice.session.base_key();
  both.alice.initiate(both.bob, 2);
  EXPECT_NE(both.alice.session.base_key(), old_base);
  EXPECT_EQ(both.bob.read(both.alice.send("new")), "new");
  EXPECT_EQ(both.bob.session.archived(), 1U);
  EXPECT_EQ(both.bob.session.base_key(), both.alice.session.base_key());

  // What was read with the archived state makes that one current; the other is kept.
  EXPECT_EQ(both.bob.read(late), "late");
  EXPECT_EQ(both.bob.session.base_key(), old_base);
  EXPECT_EQ(both.bob.session.archived(), 1U);
  EXPECT_EQ(both.alice.read(both.bob.send("on the old one")), "on the old one");
  EXPECT_EQ(both.alice.session.base_key(), old_base);
  EXPECT_EQ(both.bob.read(both.alice.send("so it is")), "so it is");
}

// What damages sessions elsewhere: the newer state is tried first, and its ratchet is stepped
// before the MAC is checked.
TEST(SessionTest, ALateMessageForAnArchivedSessionLeavesTheNewerOneAsItWas) {
  Conversation both;
  EXPECT_EQ(both.alice.read(both.bob.send("turn")), "turn");
  const auto late = both.alice.send("late, of a chain that Bob has not seen");
  both.alice.initiate(both.bob, 2);
  EXPECT_EQ(both.bob.read(both.alice.send("new")), "new");
  EXPECT_EQ(both.alice.read(both.bob.send("new, too")), "new, too");
  const auto on_the_new = both.alice.send("on the new one");
  EXPECT_EQ(both.bob.read(late), "late, of a chain that Bob has not seen");
  EXPECT_EQ(both.bob.read(on_the_new), "on the new one");
  EXPECT_EQ(both.alice.read(both.bob.send("fine")), "fine");
}

TEST(SessionTest, BothMayBeginAtOnce) {
  Peer alice(1);
  Peer bob(2);
  alice.initiate(bob, 1);
  bob.initiate(alice, 1);
  const auto from_alice = alice.send("from alice");
  const auto from_bob = bob.send("from bob");
  EXPECT_EQ(alice.read(from_bob), "from bob");
  EXPECT_EQ(bob.read(from_alice), "from alice");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(bob.read(alice.send("a")), "a");
    EXPECT_EQ(alice.read(bob.send("b")), "b");
  }
  EXPECT_EQ(alice.session.base_key(), bob.session.base_key());
}

TEST(SessionTest, FortyArchivedSessionsAreKept) {
  Peer alice(1);
  Peer bob(2);
  std::vector<Peer::Ciphertext> late;
  for (int i = 0; i < 45; ++i) {
    alice.initiate(bob);
    EXPECT_EQ(bob.read(alice.send("new")), "new");
    late.push_back(alice.send("late " + std::to_string(i)));
  }
  EXPECT_EQ(bob.session.archived(), Session::kMaxArchived);
  EXPECT_EQ(alice.session.archived(), Session::kMaxArchived);
  // Without its session a pkmsg is the begin of one: its pre-key is still there, so it is read.
  // Had it been used up, it would be refused.
  const auto oldest_kept = late[44 - 40];
  const auto forgotten = PreKeySignalMessage::parse(late[3].bytes).value();
  EXPECT_FALSE(bob.session.knows(forgotten));
  EXPECT_TRUE(bob.session.knows(PreKeySignalMessage::parse(oldest_kept.bytes).value()));
  EXPECT_EQ(bob.read(oldest_kept), "late 4");
  EXPECT_EQ(bob.session.archived(), Session::kMaxArchived);
}

TEST(SessionTest, APreKeyMessageNeedsItsPreKeysUnlessItIsKnown) {
  Peer alice(1);
  Peer bob(2);
  Peer carol(3);
  alice.initiate(bob, 1);
  carol.initiate(bob, 1);  // handed out twice
  const auto first = alice.send("first");
  EXPECT_EQ(bob.read(first), "first");
  Peer other_bob = bob;
  other_bob.session = Session();
  EXPECT_EQ(other_bob.read(carol.send("same key")), "[no_pre_key]");
  EXPECT_EQ(other_bob.read(first), "[no_pre_key]");
  other_bob.signed_pre_key_id = 10;
  EXPECT_EQ(other_bob.read(first), "[no_signed_pre_key]");
  // Known: nothing is looked up.
  const auto second = alice.send("second");
  const auto message = PreKeySignalMessage::parse(second.bytes).value();
  EXPECT_EQ(as_text(bob.session.decrypt(bob.local, message, {}, bob.random).value()), "second");
}

TEST(SessionTest, AnArchivedSessionNeedsABundleToWriteAndStillReads) {
  Conversation both;
  const auto late = both.bob.send("late");
  both.alice.session.archive_current();
  EXPECT_FALSE(both.alice.session.has_current());
  EXPECT_EQ(both.alice.session.base_key(), std::nullopt);
  EXPECT_EQ(both.alice.session.remote_identity(), both.bob.local.identity.public_key);
  EXPECT_EQ(both.alice.session.encrypt(both.alice.local, as_bytes("x")).error().why,
            Failure::no_session);
  const Bytes archived = both.alice.session.encode();
  both.alice.session.archive_current();
  EXPECT_EQ(both.alice.session.encode(), archived);
  EXPECT_EQ(both.alice.read(late), "late");
  EXPECT_TRUE(both.alice.session.has_current());
}

TEST(SessionTest, InANewEraNothingIsWrittenWithAChainFromBefore) {
  Conversation talk;
  talk.alice.session.enter_era(1);
  EXPECT_FALSE(talk.alice.session.has_current());
  EXPECT_FALSE(talk.alice.session.encrypt(talk.alice.local, {}));
  EXPECT_EQ(talk.alice.read(talk.bob.send("on the chain that there is")),
            "on the chain that there is");
  EXPECT_FALSE(talk.alice.session.has_current());
  talk.alice.initiate(talk.bob, 2);
  EXPECT_EQ(talk.bob.read(talk.alice.send("anew")), "anew");
  talk.alice.session.enter_era(1);
  EXPECT_TRUE(talk.alice.session.has_current()) << "it is of this era";
  talk.alice.session.enter_era(2);
  EXPECT_FALSE(talk.alice.session.has_current());
}

TEST(SessionTest, AChainOfThePeerMakesASessionGoodForTheNewEra) {
  Peer alice(1);
  Peer bob(2);
  alice.initiate(bob, 1);
  EXPECT_EQ(bob.read(alice.send("one")), "one");
  alice.session.enter_era(1);
  EXPECT_FALSE(alice.session.has_current());
  EXPECT_EQ(alice.read(bob.send("two")), "two");
  ASSERT_TRUE(alice.session.has_current());
  EXPECT_EQ(bob.read(alice.send("three")), "three") << "with a ratchet key of its own";
}

TEST(SessionTest, AnotherIdentityBeginsAnotherSession) {
  Conversation both;
  Peer reinstalled(7);
  reinstalled.initiate(both.bob, 2);
  EXPECT_EQ(both.bob.read(reinstalled.send("it is me")), "it is me");
  EXPECT_EQ(both.bob.session.remote_identity(), reinstalled.local.identity.public_key);
  EXPECT_EQ(reinstalled.read(both.bob.send("hello")), "hello");
  EXPECT_EQ(both.bob.read(both.alice.send("still here")), "still here");
}

TEST(SessionTest, AMessageIsBoundToBothIdentities) {
  Conversation both;
  Peer stranger(5);
  const auto sent = both.alice.send("x");
  // Bob's session read as somebody else: the MAC covers who reads.
  Peer impostor = both.bob;
  impostor.local.identity = stranger.local.identity;
  EXPECT_EQ(impostor.read(sent), "[bad_mac]");
  EXPECT_EQ(both.bob.read(sent), "x");
}

TEST(SessionTest, ARecordThatWeCannotHaveWrittenIsRefused) {
  Conversation both;
  const Bytes stored = both.bob.session.encode();
  using Change = void (*)(schema::StoredSession&);
  const std::pair<const char*, Change> changes[] = {
      {"version", [](auto& record) { record.set_version(3); }},
      {"no version", [](auto& record) { record.clear_version(); }},
      {"no state", [](auto& record) { record.clear_states(); }},
      {"identity", [](auto& record) { record.mutable_states(0)->set_remote_identity("x"); }},
      {"base key", [](auto& record) { record.mutable_states(0)->clear_base_key(); }},
      {"root", [](auto& record) { record.mutable_states(0)->set_root("x"); }},
      {"ratchet", [](auto& record) { record.mutable_states(0)->clear_ratchet(); }},
      {"sender", [](auto& record) { record.mutable_states(0)->clear_sender_chain_key(); }},
      {"receiver",
       [](auto& record) { record.mutable_states(0)->mutable_receivers(0)->set_ratchet_key("x"); }},
      {"chain key",
       [](auto& record) { record.mutable_states(0)->mutable_receivers(0)->set_chain_key("x"); }},
      {"chains",
       [](auto& record) {
         auto& receivers = *record.mutable_states(0)->mutable_receivers();
         while (receivers.size() < 6) *receivers.Add() = receivers[0];
       }},
      {"states",
       [](auto& record) {
         while (record.states_size() < 42) *record.add_states() = record.states(0);
       }},
      {"skipped order",
       [](auto& record) {
         auto& receiver = *record.mutable_states(0)->mutable_receivers(0);
         receiver.set_index(10);
         for (const std::uint32_t index : {3U, 3U}) {
           auto& skipped = *receiver.add_skipped();
           skipped.set_index(index);
           skipped.set_seed(std::string(32, 'x'));
         }
       }},
      {"skipped ahead",
       [](auto& record) {
         auto& receiver = *record.mutable_states(0)->mutable_receivers(0);
         auto& skipped = *receiver.add_skipped();
         skipped.set_index(receiver.index());
         skipped.set_seed(std::string(32, 'x'));
       }},
      {"skipped seed",
       [](auto& record) {
         auto& receiver = *record.mutable_states(0)->mutable_receivers(0);
         receiver.set_index(10);
         receiver.add_skipped()->set_index(3);
       }},
      {"skipped count", [](auto& record) {
         auto& receiver = *record.mutable_states(0)->mutable_receivers(0);
         receiver.set_index(5000);
         for (std::uint32_t index = 0; index < 2001; ++index) {
           auto& skipped = *receiver.add_skipped();
           skipped.set_index(index);
           skipped.set_seed(std::string(32, 'x'));
         }
       }}};
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    auto record = schema::parse<schema::StoredSession>(stored, "session").value();
    change(record);
    const auto decoded = Session::decode(schema::serialize(record));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Errc::malformed);
  }
  EXPECT_FALSE(Session::decode({}));
  for (std::size_t size = 0; size < stored.size(); ++size) {
    (void)Session::decode(ByteSpan(stored).first(size));
  }
  EXPECT_EQ(Session::decode(stored).value().encode(), stored);
}

TEST(SessionTest, TheChainThatFollowsAMessageIsMadeWhenThereIsSomethingToWrite) {
  Conversation both;
  const auto stored_of = [](const Peer& peer) {
    return schema::parse<schema::StoredSession>(peer.session.encode(), "session").value();
  };
  EXPECT_EQ(both.bob.read(both.alice.send("turn")), "turn");
  EXPECT_FALSE(stored_of(both.bob).states(0).has_sender_chain_key());
  EXPECT_FALSE(stored_of(both.bob).states(0).ratchet().has_public_key());
  // What it is made of is stored, so whoever begins it comes to the same.
  Peer twin = both.bob;
  const auto answer = both.bob.send("answer");
  EXPECT_EQ(twin.send("answer").bytes, answer.bytes);
  EXPECT_TRUE(stored_of(both.bob).states(0).has_sender_chain_key());
  EXPECT_EQ(both.alice.read(answer), "answer");
  // One that never wrote reads on.
  both.bob.random = SeededRandom(77);
  const auto unasked = both.alice.send("next chain");
  EXPECT_EQ(twin.read(unasked), "next chain");
  EXPECT_EQ(both.bob.read(unasked), "next chain");
}

TEST(SessionTest, ARecordOfTheFirstVersionIsReadOn) {
  Conversation both;
  EXPECT_EQ(both.bob.read(both.alice.send("turn")), "turn");
  (void)both.bob.send("lost");  // the first version made the chain while reading
  const auto old = [](const Session& session) {
    return altered(session, [](schema::StoredSession& record) { record.set_version(1); });
  };
  both.bob.session = old(both.bob.session);
  EXPECT_EQ(both.alice.read(both.bob.send("fine")), "fine");
  (void)both.alice.send("lost, too");
  both.alice.session = old(both.alice.session);
  EXPECT_EQ(both.bob.read(both.alice.send("here as well")), "here as well");
}

/// What one side has sent and the other not yet read.
struct Way {
  struct Message {
    Peer::Ciphertext bytes;
    std::string text;
  };
  Peer& from;
  Peer& to;
  std::vector<Message> under_way;
  std::vector<Message> delivered;
};

TEST(SessionTest, ARandomConversationWithLossOrderAndRepetitionIsReadOnceEach) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed, "conversation");
    Peer alice(2 * seed);
    Peer bob(2 * seed + 1);
    Way ways[] = {{alice, bob, {}, {}}, {bob, alice, {}, {}}};
    int read = 0;
    int sent = 0;
    int too_late = 0;
    for (int i = 0; i < 400; ++i) {
      Way& way = ways[random.below(2)];
      const auto what = random.below(100);
      if (what < 45) {
        if (!way.from.session.has_current() || random.below(60) == 0) way.from.initiate(way.to);
        const std::string text = "message " + std::to_string(sent++);
        way.under_way.push_back({way.from.send(text), text});
      } else if (what < 90 && !way.under_way.empty()) {
        // Mostly in order, at times not. What nobody takes out is lost.
        const auto index =
            random.below(4) == 0 ? static_cast<std::size_t>(random.below(way.under_way.size())) : 0;
        const auto message = way.under_way[index];
        way.under_way.erase(way.under_way.begin() + static_cast<std::ptrdiff_t>(index));
        if (random.below(12) == 0) continue;
        // Only the last five chains of a state are kept, and forty states.
        const auto outcome = way.to.read(message.bytes);
        if (outcome != message.text) {
          ASSERT_TRUE(outcome == "[bad_mac]") << outcome << ", " << message.text;
          ++too_late;
          continue;
        }
        ++read;
        way.delivered.push_back(message);
      } else if (!way.delivered.empty()) {
        // A second time: never read again.
        const auto index = static_cast<std::size_t>(random.below(way.delivered.size()));
        const auto outcome = way.to.read(way.delivered[index].bytes);
        ASSERT_EQ(outcome[0], '[') << "read twice: " << way.delivered[index].text;
      }
    }
    EXPECT_GT(read, sent / 2);
    EXPECT_LE(too_late, sent / 20);
  }
}

}  // namespace
}  // namespace wa::signal

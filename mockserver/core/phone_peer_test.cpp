#include "mockserver/core/phone_peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <deque>

#include "engine/protocol/wire/node_codec.hpp"

namespace wa::mock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using What = PhonePeer::Note::What;

/// Phones, and a post between them that knows as much of routing as they need: who a copy is for,
/// and who sent it.
class PhonePeerTest : public ::testing::Test {
 protected:
  PhonePeerTest() {
    a_ = (*accounts_.add_phone("15550100001", "Anna", random_))->id;
    b_ = (*accounts_.add_phone("15550100002", "Ben", random_))->id;
  }

  Phone& phone(const std::string& id) { return *accounts_.find(id); }
  PhonePeer peer(const std::string& id) {
    return PhonePeer(phone(id), {accounts_, random_,
                                 [this](const DeviceKey& device) {
                                   ++bundles_taken_;
                                   return accounts_.take_bundle(device, random_);
                                 },
                                 [this](const Jid&) { return group_; }});
  }

  /// Errors: those of PhonePeer::send.
  Result<std::string> send(const std::string& from, const std::string& to, message::Content content,
                           std::string id = {}) {
    const Jid chat = to.find('@') == std::string::npos ? phone(to).jid() : *Jid::parse(to);
    WA_TRY(auto output, peer(from).send({chat, std::move(content), std::move(id)}, now_));
    const std::string sent = output.notes.front().message.id;
    take(DeviceKey{from, 0}, std::move(output));
    return sent;
  }
  std::string say(const std::string& from, const std::string& to, std::string text) {
    return *send(from, to, message::Text{.text = std::move(text)});
  }

  void take(const DeviceKey& from, PhonePeer::Output output) {
    for (auto& note : output.notes) notes_.push_back(std::move(note));
    for (auto& stanza : output.stanzas) waiting_.emplace_back(from, std::move(stanza));
  }

  /// Carries everything that waits, and what comes of it.
  void deliver() {
    for (int steps = 0; !waiting_.empty(); ++steps) {
      ASSERT_LT(steps, 1000) << "the phones do not come to an end";
      const auto [from, stanza] = std::move(waiting_.front());
      waiting_.pop_front();
      submitted_.push_back(stanza);
      const auto frame =
          wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
      ASSERT_TRUE(frame);
      route(from, frame->root());
    }
  }

  void route(const DeviceKey& from, const Node& stanza) {
    const auto to = stanza.jid("to");
    if (stanza.tag == "ack" || !to) return;
    const Node* participants = stanza.child("participants");
    const bool group = to->server == wire::kServerGroup;
    if (group) {
      if (const auto one = stanza.jid("participant")) {
        hand(from, *accounts_.device(*one), stanza, stanza.child("enc"), nullptr);
        return;
      }
      for (const DeviceKey& device : group_->devices) {
        if (device == from) continue;
        hand(from, device, stanza, enc_for(participants, device), stanza.child("enc"));
      }
      return;
    }
    if (stanza.tag == "message" && participants != nullptr) {
      for (const Node& copy : participants->children()) {
        hand(from, *accounts_.device(*copy.jid("jid")), stanza, copy.child("enc"), nullptr);
      }
      return;
    }
    hand(from, *accounts_.device(*to), stanza, stanza.child("enc"), nullptr);
  }

  const Node* enc_for(const Node* participants, const DeviceKey& device) {
    if (participants == nullptr) return nullptr;
    for (const Node& copy : participants->children()) {
      if (*accounts_.device(*copy.jid("jid")) == device) return copy.child("enc");
    }
    return nullptr;
  }

  void hand(const DeviceKey& from, const DeviceKey& to, const Node& stanza, const Node* first,
            const Node* second) {
    NodeBuilder copy(std::string(stanza.tag));
    const auto chat = stanza.jid("to");
    const Jid author = accounts_.address(from, form_);
    if (chat->server == wire::kServerGroup) {
      copy.attr("from", *chat).attr("participant", author);
    } else {
      copy.attr("from", author);
    }
    for (const char* key : {"id", "type", "category", "t"}) {
      if (stanza.has_attr(key)) copy.attr(key, stanza.printed(key));
    }
    if (const auto recipient = stanza.jid("recipient")) copy.attr("recipient", *recipient);
    if (stanza.tag == "message" && from.phone_id == to.phone_id && !stanza.has_attr("category")) {
      copy.attr("recipient", *chat);
    }
    for (const Node* enc : {first, second}) {
      if (enc != nullptr) copy.child(NodeBuilder::copy_of(*enc));
    }
    if (stanza.tag != "message") {
      for (const Node& child : stanza.children()) copy.child(NodeBuilder::copy_of(child));
    }
    if (tamper_ && !tamper_(copy)) return;
    const auto frame = wire::decode(wire::encode(copy, wire::Dictionary::v3), wire::Dictionary::v3);
    ASSERT_TRUE(frame);
    if (to.device == 0) {
      take(to, peer(to.phone_id).receive(frame->root(), now_));
    } else {
      to_companions_.push_back(copy);
    }
  }

  /// Flips a bit in the last byte of the first `<enc>`.
  static void spoil(NodeBuilder& stanza) {
    for (NodeBuilder& child : std::get<std::vector<NodeBuilder>>(stanza.content())) {
      if (child.tag() == "enc") std::get<Bytes>(child.content()).back() ^= std::byte{1};
    }
  }

  const PhoneMessage* seen(const std::string& by, const std::string& id) {
    return phone(by).memory.log.find(id);
  }
  std::vector<What> whats() const {
    std::vector<What> whats;
    for (const auto& note : notes_) {
      if (note.what != What::receipt) whats.push_back(note.what);
    }
    return whats;
  }
  std::vector<std::string> submitted(std::string_view tag) const {
    std::vector<std::string> found;
    for (const NodeBuilder& stanza : submitted_) {
      if (stanza.tag() != tag) continue;
      const auto frame =
          wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
      found.push_back(wire::to_xml(frame->root()));
    }
    return found;
  }

  SeededRandom random_{7};
  Now now_{Instant{}, UnixMillis{1'767'225'600'000}};
  Accounts accounts_;
  std::optional<GroupDevices> group_;
  std::string a_;
  std::string b_;
  Addressing form_ = Addressing::lid;
  std::function<bool(NodeBuilder&)> tamper_;  ///< false: the copy is lost
  std::deque<std::pair<DeviceKey, NodeBuilder>> waiting_;
  std::vector<NodeBuilder> submitted_;
  std::vector<NodeBuilder> to_companions_;
  std::vector<PhonePeer::Note> notes_;
  int bundles_taken_ = 0;
};

TEST_F(PhonePeerTest, ATextArrivesAndIsConfirmed) {
  const std::string id = say(a_, b_, "hello");
  deliver();
  const PhoneMessage* received = seen(b_, id);
  ASSERT_NE(received, nullptr);
  EXPECT_EQ(received->kind, "text");
  EXPECT_EQ(received->text, "hello");
  EXPECT_EQ(received->from, "15550100001@s.whatsapp.net");
  EXPECT_EQ(received->chat, "15550100001@s.whatsapp.net");
  EXPECT_FALSE(received->from_me);
  EXPECT_EQ(received->failures, 0u);
  EXPECT_THAT(seen(a_, id)->receipts,
              ElementsAre(std::pair("15550100002@s.whatsapp.net", "delivered")));
  EXPECT_EQ(whats(), (std::vector{What::sent, What::received}));
}

TEST_F(PhonePeerTest, IdsAreThoseOfPhones) {
  const std::string id = say(a_, b_, "hello");
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789ABCDEF"), std::string::npos);
}

TEST_F(PhonePeerTest, EachKindOfContentArrivesAsItIs) {
  const std::string text = say(a_, b_, "hello");
  const message::Key key{.chat = phone(b_).jid().to_string(), .from_me = true, .id = text};
  const struct {
    message::Content content;
    std::string kind;
    std::string text;
    std::string about;
  } rows[] = {
      {message::Text{.text = "and", .quote = message::Quote{.id = text, .author = "x"}}, "text",
       "and", text},
      {message::Reaction{key, "+", now_.wall}, "reaction", "+", text},
      {message::Edit{key, "bye", now_.wall}, "edit", "bye", text},
      {message::Revoke{key}, "revoke", "", text},
      {message::Contact{"Carla", "BEGIN:VCARD"}, "contact", "Carla", ""},
      {message::Location{52.5, 13.4, "here"}, "location", "here", ""},
      {message::Other{*from_hex("1a020a00")}, "other", "", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.kind);
    const std::string id = *send(a_, b_, row.content);
    deliver();
    const PhoneMessage* received = seen(b_, id);
    ASSERT_NE(received, nullptr);
    EXPECT_EQ(received->kind, row.kind);
    EXPECT_EQ(received->text, row.text);
    EXPECT_EQ(received->about, row.about);
  }
}

TEST_F(PhonePeerTest, OneSessionServesBothNamesOfADevice) {
  say(a_, b_, "one");
  deliver();
  form_ = Addressing::pn;
  say(b_, a_, "two");
  deliver();
  form_ = Addressing::lid;
  const std::string id = *send(a_, phone(b_).lid().to_string(), message::Text{.text = "three"});
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "three");
  EXPECT_EQ(bundles_taken_, 1);
  EXPECT_EQ(phone(a_).memory.sessions.size(), 1u);
}

TEST_F(PhonePeerTest, APreKeyIsUsedUpByTheMessageThatUsesIt) {
  say(a_, b_, "one");
  EXPECT_EQ(phone(b_).keys->one_time.size(), 1u);
  deliver();
  EXPECT_THAT(phone(b_).keys->one_time, IsEmpty());
}

TEST_F(PhonePeerTest, ARedeliveredMessageIsConfirmedAgainAndSeenOnce) {
  const std::string id = say(a_, b_, "hello");
  const auto again = waiting_.front();
  deliver();
  submitted_.clear();
  waiting_.push_back(again);
  deliver();
  EXPECT_EQ(submitted("receipt").size(), 1u);
  EXPECT_EQ(phone(b_).memory.log.messages().size(), 1u);
  EXPECT_EQ(seen(b_, id)->failures, 0u);
}

TEST_F(PhonePeerTest, WhatCannotBeReadIsAskedForAndComesAgain) {
  say(a_, b_, "first");
  deliver();
  say(b_, a_, "an answer: from now on no pre-keys are sent");
  deliver();
  submitted_.clear();
  notes_.clear();
  int copies = 0;
  tamper_ = [&](NodeBuilder& copy) {
    if (copy.tag() == "message" && copies++ == 0) spoil(copy);
    return true;
  };
  const std::string id = say(a_, b_, "second");
  deliver();
  const PhoneMessage* received = seen(b_, id);
  EXPECT_EQ(received->text, "second");
  EXPECT_EQ(received->why, "bad_mac");
  EXPECT_EQ(received->failures, 1u);
  EXPECT_EQ(whats(), (std::vector{What::sent, What::unreadable, What::resent, What::received}));
  const auto receipts = submitted("receipt");
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_THAT(receipts[0], HasSubstr(R"(type="retry")"));
  EXPECT_THAT(receipts[0], HasSubstr(R"(count="1")"));
  EXPECT_THAT(receipts[0], HasSubstr(R"(error="7")"));
  EXPECT_THAT(receipts[0], ::testing::Not(HasSubstr("<keys>")));
  const auto messages = submitted("message");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_THAT(messages[1], HasSubstr(R"(device_fanout="false")"));
  EXPECT_THAT(messages[1], HasSubstr(R"(count="1")"));
}

TEST_F(PhonePeerTest, TheSecondTimeItAsksWithKeysAndASessionIsBegun) {
  say(a_, b_, "first");
  deliver();
  say(b_, a_, "an answer");
  deliver();
  submitted_.clear();
  phone(b_).memory.sessions.clear();  // its store is lost
  const std::string id = say(a_, b_, "second");
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "second");
  EXPECT_EQ(seen(b_, id)->why, "no_session");
  EXPECT_EQ(seen(b_, id)->failures, 2u);
  std::vector<std::string> asked;
  for (const std::string& receipt : submitted("receipt")) {
    if (receipt.find("retry") != std::string::npos) asked.push_back(receipt);
  }
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[0], ::testing::Not(HasSubstr("<keys>")));
  EXPECT_THAT(asked[1], HasSubstr("<keys>"));
  EXPECT_EQ(bundles_taken_, 1) << "the keys came with the receipt";
  // Both directions go on.
  const std::string answer = say(b_, a_, "third");
  deliver();
  EXPECT_EQ(seen(a_, answer)->text, "third");
  EXPECT_EQ(seen(a_, answer)->failures, 0u);
}

TEST_F(PhonePeerTest, ItAsksFiveTimesAndNoMore) {
  tamper_ = [&](NodeBuilder& copy) {
    if (copy.tag() == "message") spoil(copy);
    return true;
  };
  const std::string id = say(a_, b_, "never read");
  deliver();
  EXPECT_EQ(seen(b_, id)->kind, kUnreadable);
  EXPECT_EQ(seen(b_, id)->failures, 6u);
  EXPECT_EQ(submitted("receipt").size(), 5u);
  EXPECT_EQ(submitted("message").size(), 6u);
}

TEST_F(PhonePeerTest, AMessageThatNobodyRemembersIsNotSentAgain) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", "3EB0").attr("type", "retry").attr("from", phone(b_).jid());
  receipt.child(NodeBuilder("retry").attr("count", "1").attr("id", "3EB0"));
  const auto frame =
      wire::decode(wire::encode(receipt, wire::Dictionary::v3), wire::Dictionary::v3);
  take(DeviceKey{a_, 0}, peer(a_).receive(frame->root(), now_));
  EXPECT_EQ(whats(), std::vector{What::refused});
  deliver();
  EXPECT_THAT(submitted("message"), IsEmpty());
  EXPECT_EQ(submitted("ack").size(), 1u);
}

TEST_F(PhonePeerTest, AnotherIdentityIsANewSession) {
  say(a_, b_, "first");
  deliver();
  say(b_, a_, "an answer");
  deliver();
  NodeBuilder changed("notification");
  changed.attr("id", "1").attr("type", "encrypt").attr("from", phone(b_).jid());
  changed.child(NodeBuilder("identity"));
  phone(b_).identity = crypto::generate_key_pair(random_);
  phone(b_).keys.reset();
  phone(b_).memory.sessions.clear();
  const auto frame =
      wire::decode(wire::encode(changed, wire::Dictionary::v3), wire::Dictionary::v3);
  take(DeviceKey{a_, 0}, peer(a_).receive(frame->root(), now_));
  const std::string id = say(a_, b_, "to the new one");
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "to the new one");
  EXPECT_EQ(seen(b_, id)->failures, 0u);
}

TEST_F(PhonePeerTest, ReadReceiptsGoOnlyToOthers) {
  const std::string theirs = say(a_, b_, "hello");
  deliver();
  const std::string mine = say(b_, a_, "hi");
  deliver();
  take(DeviceKey{b_, 0}, peer(b_).read({theirs, mine, "unknown"}, now_));
  EXPECT_EQ(waiting_.size(), 1u);
  deliver();
  EXPECT_EQ(seen(a_, theirs)->receipts.at("15550100002@s.whatsapp.net"), "read");
  // A receipt that comes late takes nothing back.
  take(DeviceKey{b_, 0}, PhonePeer::Output{});
  NodeBuilder late("receipt");
  late.attr("id", theirs).attr("from", phone(b_).lid());
  const auto frame = wire::decode(wire::encode(late, wire::Dictionary::v3), wire::Dictionary::v3);
  take(DeviceKey{a_, 0}, peer(a_).receive(frame->root(), now_));
  EXPECT_EQ(seen(a_, theirs)->receipts.at("15550100002@s.whatsapp.net"), "read");
}

TEST_F(PhonePeerTest, NobodyAndNoDeviceAreErrors) {
  EXPECT_EQ(send(a_, "15559999999@s.whatsapp.net", message::Text{.text = "x"}).error().code,
            Errc::not_found);
  EXPECT_EQ(send(a_, "120363000000000001@g.us", message::Text{.text = "x"}).error().code,
            Errc::not_found);
  EXPECT_EQ(send(a_, a_, message::Text{.text = "to myself, without companions"}).error().code,
            Errc::conflict);
  EXPECT_THAT(phone(a_).memory.log.messages(), IsEmpty());
}

TEST_F(PhonePeerTest, HostileStanzasChangeNothing) {
  say(a_, b_, "first");
  deliver();
  const auto before = boost::json::serialize(phone(b_).memory.save());
  const auto feed = [&](NodeBuilder stanza) {
    const auto frame =
        wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
    (void)peer(b_).receive(frame->root(), now_);
  };
  feed(NodeBuilder("message"));
  feed(NodeBuilder("message").attr("id", "1"));
  feed(NodeBuilder("message").attr("id", "1").attr("from", Jid("15559999999", wire::kServerPn)));
  feed(NodeBuilder("message").attr("id", "1").attr("from", Jid("1", wire::kServerGroup)));
  feed(NodeBuilder("message").attr("id", "2").attr("from", phone(a_).jid()));
  for (const char* type : {"msg", "pkmsg", "skmsg", "frskmsg", ""}) {
    for (const char* body : {"", "33", "3308011001", "ffffffffffffffffffffffffffffff"}) {
      NodeBuilder stanza("message");
      stanza.attr("id", std::string(type) + body).attr("from", phone(a_).jid());
      stanza.child(NodeBuilder("enc").attr("v", "2").attr("type", type).bytes(*from_hex(body)));
      feed(std::move(stanza));
    }
  }
  feed(NodeBuilder("receipt").attr("id", "1").attr("type", "retry"));
  feed(NodeBuilder("receipt").attr("id", "1").attr("from", phone(a_).jid()).attr("type", "retry"));
  feed(NodeBuilder("ack").attr("class", "message"));
  feed(NodeBuilder("notification").attr("type", "encrypt").child(NodeBuilder("identity")));
  EXPECT_EQ(boost::json::serialize(phone(b_).memory.save()), before);
  const std::string id = say(a_, b_, "second");
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "second");
}

TEST_F(PhonePeerTest, WhatItRemembersSurvivesARestart) {
  say(a_, b_, "first");
  deliver();
  say(b_, a_, "second");
  deliver();
  (void)peer(a_).welcome(1, {}, now_);
  const std::string saved = boost::json::serialize(phone(a_).memory.save());
  const auto loaded = PhoneMemory::load(boost::json::parse(saved).as_object());
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(boost::json::serialize(loaded->save()), saved);
  phone(a_).memory = *loaded;
  const std::string id = say(a_, b_, "third");
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "third");
  EXPECT_EQ(seen(b_, id)->failures, 0u);
}

TEST_F(PhonePeerTest, AMemoryThatIsNoneIsRefused) {
  for (const char* text :
       {R"({"sessions":1})", R"({"sessions":[1]})", R"({"sessions":[{"account":"p1"}]})",
        R"({"sessions":[{"account":"p1","device":0,"session":"!"}]})",
        R"({"sessions":[{"account":"p1","device":65536,"session":""}]})", R"({"welcomed":"x"})",
        R"({"welcomed":["x"]})", R"({"app_state_key":[]})", R"({"app_state_key":{}})",
        R"({"own_sender_keys":[{"group":"g","key":"AA=="}]})",
        R"({"sender_keys":[{"group":"g","account":"p1","device":1,"keys":"AA=="}]})"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(PhoneMemory::load(boost::json::parse(text).as_object()));
  }
}

TEST_F(PhonePeerTest, AGroupMessageBringsItsKeyOnce) {
  const std::string c = (*accounts_.add_phone("15550100003", "Carla", random_))->id;
  group_ = GroupDevices{Addressing::lid, {{a_, 0}, {b_, 0}, {c, 0}}};
  const std::string group = "120363000000000001@g.us";
  const std::string first = *send(a_, group, message::Text{.text = "one"});
  deliver();
  const std::string second = *send(a_, group, message::Text{.text = "two"});
  deliver();
  for (const std::string& member : {b_, c}) {
    EXPECT_EQ(seen(member, first)->text, "one");
    EXPECT_EQ(seen(member, first)->chat, group);
    EXPECT_EQ(seen(member, first)->from, "15550100001@s.whatsapp.net");
    EXPECT_EQ(seen(member, second)->text, "two");
  }
  const auto messages = submitted("message");
  EXPECT_THAT(messages[0], HasSubstr("<participants>"));
  EXPECT_THAT(messages[1], ::testing::Not(HasSubstr("<participants>")));
}

TEST_F(PhonePeerTest, AMemberWithoutTheKeyAsksForIt) {
  group_ = GroupDevices{Addressing::lid, {{a_, 0}, {b_, 0}}};
  const std::string group = "120363000000000001@g.us";
  (void)*send(a_, group, message::Text{.text = "one"});
  deliver();
  phone(b_).memory.sender_keys.clear();
  const std::string id = *send(a_, group, message::Text{.text = "two"});
  deliver();
  EXPECT_EQ(seen(b_, id)->text, "two");
  EXPECT_EQ(seen(b_, id)->why, "no_sender_key");
  const std::string next = *send(a_, group, message::Text{.text = "three"});
  deliver();
  EXPECT_EQ(seen(b_, next)->text, "three");
  EXPECT_EQ(seen(b_, next)->failures, 0u) << "the key came with the message that was sent again";
}

TEST_F(PhonePeerTest, WhoLeavesAGroupReadsNoMore) {
  const std::string c = (*accounts_.add_phone("15550100003", "Carla", random_))->id;
  const std::string group = "120363000000000001@g.us";
  group_ = GroupDevices{Addressing::lid, {{a_, 0}, {b_, 0}, {c, 0}}};
  (void)*send(a_, group, message::Text{.text = "one"});
  deliver();
  const std::uint32_t old_key = phone(a_).memory.own_sender_keys.at(group).key.id();
  group_ = GroupDevices{Addressing::lid, {{a_, 0}, {b_, 0}}};
  const std::string id = *send(a_, group, message::Text{.text = "two"});
  deliver();
  EXPECT_NE(phone(a_).memory.own_sender_keys.at(group).key.id(), old_key);
  EXPECT_EQ(seen(b_, id)->text, "two");
}

TEST(PhoneLogTest, TheOldestGo) {
  PhoneLog log(2);
  log.add({.id = "1", .from = "a"});
  log.add({.id = "1", .from = "b"});
  log.add({.id = "2", .from = "a"});
  EXPECT_EQ(log.messages().size(), 2u);
  EXPECT_EQ(log.find("1", "a"), nullptr);
  ASSERT_NE(log.find("1", "b"), nullptr);
  EXPECT_EQ(log.find("1")->from, "b");
  ASSERT_NE(log.find("2"), nullptr);
  EXPECT_EQ(log.find("3"), nullptr);
}

}  // namespace
}  // namespace wa::mock

// Replays tests/vectors/signal-session.json, which the Signal implementation of Baileys made.
#include <gtest/gtest.h>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/signal/ratchet.hpp"
#include "engine/protocol/signal/test_peer.hpp"

namespace wa::signal {
namespace {

using test::hex;
using test::hex_at;
using test::text_at;

crypto::KeyPair pair_of(const boost::json::value& pair) {
  return {crypto::PrivateKey::from(hex_at(pair, "priv"), "vector").value(),
          read_key(hex_at(pair, "pub"), "vector").value()};
}

/// A party of the file with what it stores.
struct Party {
  explicit Party(const boost::json::value& party) {
    local.identity = pair_of(party.at("identityKey"));
    local.registration_id = party.at("registrationId").to_number<std::uint32_t>();
    signed_pre_key = pair_of(party.at("signedPreKey"));
    bundle.registration_id = local.registration_id;
    bundle.identity = local.identity.public_key;
    bundle.signed_pre_key_id = party.at("signedPreKey").at("id").to_number<std::uint32_t>();
    bundle.signed_pre_key = signed_pre_key.public_key;
    bundle.signed_pre_key_signature =
        fixed<64>(hex_at(party.at("signedPreKey"), "signature"), "vector").value();
    for (const auto& [id, pair] : party.at("oneTimePreKeys").as_object()) {
      one_time[static_cast<std::uint32_t>(std::stoul(id))] = pair_of(pair);
    }
  }

  LocalIdentity local;
  crypto::KeyPair signed_pre_key;
  PreKeyBundle bundle;  ///< without a one-time pre-key
  std::map<std::uint32_t, crypto::KeyPair> one_time;
  std::map<std::string, Session> sessions;  ///< by peer
};

struct Sent {
  bool pre_key = false;
  Bytes bytes;
};

class Replay {
 public:
  explicit Replay(const boost::json::value& file) : parties_(file.at("parties")) {
    for (const char* const name : {"alice", "bob", "mallory", "nina"}) {
      party_.emplace(name, Party(parties_.at(name)));
    }
    for (const auto& step : file.at("steps").as_array()) {
      if (step.as_object().contains("quirk")) damaged_ = text_at(step, "message");
    }
  }

  void step(const boost::json::value& step) {
    random_.clear();
    if (const auto* pairs = step.as_object().if_contains("generatedKeyPairs")) {
      for (const auto& pair : pairs->as_array()) random_.add(hex_at(pair, "priv"));
    }
    const auto op = text_at(step, "op");
    if (op == "processBundle") {
      initiate(step);
    } else if (op == "encrypt") {
      encrypt(step);
    } else if (op == "encryptMany") {
      for (int i = 0; i < step.at("count").to_number<int>(); ++i) {
        send(text_at(step, "from"), text_at(step, "to"), to_bytes("far " + std::to_string(i)));
      }
    } else if (op == "note") {
      EXPECT_EQ(to_hex(sent_.at(text_at(step, "message")).bytes), text_at(step, "serialized"));
      ++compared;
    } else {
      ASSERT_EQ(op, "decrypt");
      decrypt(step);
    }
  }

  int compared = 0;
  int opened = 0;
  int refused = 0;

 private:
  void initiate(const boost::json::value& step) {
    const auto remote = text_at(step, "remote");
    // The last bundle is that of the reinstalled device.
    if (step.at("preKeyId").is_number() && step.at("preKeyId").as_int64() == 103)
      reinstalled_ = true;
    if (reinstalled_ && party_.at(remote).local.registration_id != 5555) reinstall();
    auto bundle = party_.at(remote).bundle;
    if (step.at("preKeyId").is_number()) {
      const auto id = step.at("preKeyId").to_number<std::uint32_t>();
      bundle.one_time = {id, pair_of(parties_.at(reinstalled_ ? "bobReinstalled" : remote)
                                         .at("oneTimePreKeys")
                                         .at(std::to_string(id)))
                                 .public_key};
    }
    auto& at = party_.at(text_at(step, "at"));
    ASSERT_TRUE(at.sessions[remote].initiate(at.local, bundle, random_));
    EXPECT_EQ(random_.left(), 0U);
  }

  void reinstall() { party_.insert_or_assign("bob", Party(parties_.at("bobReinstalled"))); }

  void send(const std::string& from, const std::string& to, const Bytes& plaintext) {
    auto& party = party_.at(from);
    const auto ciphertext = party.sessions.at(to).encrypt(party.local, plaintext);
    ASSERT_TRUE(ciphertext) << ciphertext.error();
    sent_["m" + std::to_string(next_++)] = {ciphertext->pre_key, ciphertext->bytes};
  }

  void encrypt(const boost::json::value& step) {
    const auto name = text_at(step, "message");
    ASSERT_EQ(name, "m" + std::to_string(next_));
    if (name == damaged_) {
      // Its implementation wrote this with a session that it had damaged before. What it wrote has
      // to be refused; from our session, which is whole, a message is read.
      sent_[name] = {text_at(step, "type") == "pkmsg", hex_at(step, "serialized")};
      ++next_;
      read_on_copies(step);
      return;
    }
    send(text_at(step, "from"), text_at(step, "to"), hex_at(step, "plaintext"));
    EXPECT_EQ(to_hex(sent_.at(name).bytes), text_at(step, "serialized"));
    ++compared;
    EXPECT_EQ(sent_.at(name).pre_key, text_at(step, "type") == "pkmsg");
  }

  void read_on_copies(const boost::json::value& step) {
    Party from = party_.at(text_at(step, "from"));
    Party to = party_.at(text_at(step, "to"));
    SeededRandom random(1);
    const auto sent = from.sessions.at(text_at(step, "to"))
                          .encrypt(from.local, hex_at(step, "plaintext"))
                          .value();
    const auto message = SignalMessage::parse(sent.bytes).value();
    const auto read = to.sessions.at(text_at(step, "from")).decrypt(to.local, message, random);
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(*read, hex_at(step, "plaintext"));
  }

  Outcome<Bytes> receive(Party& at, const std::string& from, const Sent& sent) {
    // A device without a record has an empty session.
    Session& session = at.sessions[from];
    if (!sent.pre_key) {
      WA_TRY(const auto message, SignalMessage::parse(sent.bytes));
      return session.decrypt(at.local, message, random_);
    }
    WA_TRY(const auto message, PreKeySignalMessage::parse(sent.bytes));
    Session::PreKeys pre_keys{at.signed_pre_key, std::nullopt};
    const bool known = session.knows(message);
    if (message.pre_key_id && at.one_time.count(*message.pre_key_id) > 0) {
      pre_keys.one_time = at.one_time.at(*message.pre_key_id);
    }
    WA_TRY(auto plaintext,
           session.decrypt(at.local, message, known ? Session::PreKeys{} : pre_keys, random_));
    if (!known && message.pre_key_id) at.one_time.erase(*message.pre_key_id);
    return plaintext;
  }

  void decrypt(const boost::json::value& step) {
    const auto from = text_at(step, "from");
    const auto note = step.as_object().contains("note") ? text_at(step, "note") : "";
    if (note.find("bob reinstalled") == 0) reinstall();
    auto& at = party_.at(text_at(step, "at"));
    Sent sent = sent_.at(text_at(step, "message"));
    if (step.as_object().contains("serialized")) sent.bytes = hex_at(step, "serialized");

    const Bytes before = at.sessions[from].encode();
    const auto outcome = receive(at, from, sent);
    const auto& expect = step.at("expect").as_object();
    if (expect.contains("plaintext")) {
      ASSERT_TRUE(outcome) << outcome.error();
      EXPECT_EQ(to_hex(*outcome), text_at(step.at("expect"), "plaintext"));
      // Its implementation stepped the ratchet of the wrong session, too, before it found the right
      // one: the key that it drew there is not drawn by us.
      const bool draws_in_vain = note.find("stale message") == 0;
      EXPECT_EQ(random_.left(), draws_in_vain ? 32U : 0U);
      auto& session = at.sessions[from];
      session = Session::decode(session.encode()).value();
      ++opened;
    } else {
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().why, expected_failure(step)) << outcome.error();
      EXPECT_EQ(at.sessions[from].encode(), before);
      ++refused;
    }
  }

  static Failure expected_failure(const boost::json::value& step) {
    // The text of the innermost error. On the way of a `msg` it is only printed.
    std::string text = text_at(step.at("expect"), "errorMessage");
    for (const auto& line : step.at("expect").at("printedLines").as_array()) {
      text += line.as_string();
    }
    const auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
    // A previous counter of 2^32 - 1 means nothing to us, so the MAC decides.
    if (step.as_object().contains("quirk")) return Failure::bad_mac;
    if (says("Key used already or never filled")) return Failure::duplicate;
    if (says("Bad MAC")) return Failure::bad_mac;
    if (says("Incompatible version number")) return Failure::bad_version;
    if (says("Over 2000 messages")) return Failure::too_far;
    if (says("No session record")) return Failure::no_session;
    if (says("Invalid PreKey ID")) return Failure::no_pre_key;
    ADD_FAILURE() << "unknown error: " << text;
    return Failure::malformed;
  }

  const boost::json::value& parties_;
  std::map<std::string, Party> party_;
  std::map<std::string, Sent> sent_;
  std::string damaged_;  ///< the message that its implementation wrote with a damaged session
  int next_ = 0;
  bool reinstalled_ = false;
  test::ScriptedRandom random_;
};

TEST(SessionVectorsTest, EveryStepOfTheRecordingGivesTheSameBytes) {
  const auto file = test::vectors("signal-session.json");
  Replay replay(file);
  int number = 0;
  for (const auto& step : file.at("steps").as_array()) {
    SCOPED_TRACE("step " + std::to_string(number++));
    replay.step(step);
    if (testing::Test::HasFatalFailure()) return;
  }
  // All that are listed, but for the one of the damaged session; and of 2002 in a row, three.
  EXPECT_EQ(replay.compared, file.at("counts").at("encrypt").to_number<int>() - 1 + 3);
  EXPECT_EQ(replay.opened, file.at("counts").at("decryptOk").to_number<int>());
  EXPECT_EQ(replay.refused, file.at("counts").at("decryptError").to_number<int>());
}

TEST(SessionVectorsTest, X3dhAndTheFirstMessageHaveTheKnownIntermediateValues) {
  const auto file = test::vectors("signal-session.json");
  const auto& x3dh = file.at("x3dh");
  std::array<Key, 4> agreements;
  const char* const names[] = {"dh1_aliceIdentity_bobSignedPre", "dh2_aliceBase_bobIdentity",
                               "dh3_aliceBase_bobSignedPre", "dh4_aliceBase_bobOneTime"};
  for (std::size_t i = 0; i < agreements.size(); ++i) {
    agreements[i] = Key::from(hex_at(x3dh, names[i]), names[i]).value();
  }
  const auto begin = derive_session(agreements);
  EXPECT_EQ(to_hex(begin.root), text_at(x3dh, "rootKey0"));
  EXPECT_EQ(to_hex(begin.chain), text_at(x3dh, "unusedInitialReceiverChainKey"));

  const Party bob(file.at("parties").at("bob"));
  const auto ratchet = pair_of(x3dh.at("initiatorRatchetKey"));
  const auto sending =
      step_root(begin.root, ratchet.private_key, bob.bundle.signed_pre_key).value();
  const auto& first = x3dh.at("firstSendingRatchet");
  EXPECT_EQ(to_hex(sending.root), text_at(first, "rootKey1"));
  EXPECT_EQ(to_hex(sending.chain), text_at(first, "sendingChainKey"));

  const auto& message = x3dh.at("message0");
  Chain chain{sending.chain, 0};
  const Key seed = chain.next_seed();
  EXPECT_EQ(to_hex(seed), text_at(message, "messageKeySeed"));
  EXPECT_EQ(to_hex(chain.key), text_at(message, "nextChainKey"));
  EXPECT_EQ(chain.index, 1U);
  const Party alice(file.at("parties").at("alice"));
  const auto covered = hex_at(message, "macInput");
  EXPECT_EQ(to_hex(MessageKeys(seed).mac(alice.bundle.identity, bob.bundle.identity,
                                         ByteSpan(covered).subspan(66))),
            text_at(message, "macTruncated"));
}

}  // namespace
}  // namespace wa::signal

// The mock's router: a linked device that is logged in hands it messages, receipts and queries that
// nearly are what they should be, some of them really encrypted for a phone. Another device and
// everybody's phones must not suffer, and what the mock saves afterwards must load again.
//
// Input: steps: what is sent, and how it is changed (tests/fuzz/stanza.hpp).
#include <cstdlib>

#include "engine/protocol/message/content.hpp"
#include "engine/protocol/signal/padding.hpp"
#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"
#include "mockserver/core/test_devices.hpp"
#include "tests/fuzz/stanza.hpp"

namespace {

using namespace wa;
using namespace wa::mock;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A device of each of two accounts, and a phone without any, all in one group; made once.
struct Setup {
  Setup() {
    (void)bench.command(AddPhone{"15550100003", ""});
    for (test::TestDevice* device : {&bad, &good}) device->settle();
    NodeBuilder create("create");
    create.attr("subject", "group").attr("key", "K");
    for (const char* number : {"15550100002", "15550100003"}) {
      create.child(NodeBuilder("participant").attr("jid", Jid(number, wire::kServerPn)));
    }
    NodeBuilder iq("iq");
    iq.attr("to", Jid("", "g.us")).attr("type", "set").attr("id", "g").attr("xmlns", "w:g2");
    const wire::Frame answer = bad.ask(iq.child(std::move(create)));
    group = Jid(std::string(answer.root().child("group")->attr("id")), "g.us");
    good.settle();
    bad.disconnect();
    good.disconnect();
    saved = bench.tenant.save();
  }
  static const Setup& instance() {
    static const Setup setup;
    return setup;
  }
  test::Bench bench{test::quiet_phones()};
  test::TestDevice bad{bench, "15550100001", "bad"};
  test::TestDevice good{bench, "15550100002", "good"};
  Jid group;
  std::string saved;
};

class Play {
 public:
  explicit Play(fuzz::Input& input) : input_(input) {
    require(static_cast<bool>(bench_.tenant.load(setup_.saved)));
    log_in(bad_, setup_.bad, "bad");
    log_in(good_, setup_.good, "good");
    begin_session();
  }

  void step() {
    if (bad_->closed()) log_in(bad_, setup_.bad, "bad");
    switch (input_.number() % 16) {
      case 0:
      case 1: give(message(account(input_.number()), {body()})); break;
      case 2: give(message(setup_.group, {body()})); break;
      case 3: {
        NodeBuilder direct("message");
        direct.attr("id", id()).attr("to", somebody()).attr("type", "text").child(body());
        direct.attr("category", input_.number() % 2 == 0 ? "peer" : "");
        give(std::move(direct));
        break;
      }
      case 4: {
        NodeBuilder receipt("receipt");
        receipt.attr("id", known_id()).attr("to", somebody()).attr("type", fuzz::word(input_));
        receipt.child(NodeBuilder("list").child(NodeBuilder("item").attr("id", known_id())));
        give(std::move(receipt));
        break;
      }
      case 5: {
        NodeBuilder receipt("receipt");
        receipt.attr("id", known_id()).attr("to", somebody()).attr("type", "retry");
        receipt.child(
            NodeBuilder("retry").attr("count", input_.number() % 7).attr("id", known_id()));
        receipt.child(NodeBuilder("registration").bytes(big_endian<4>(std::uint32_t{4242})));
        if (input_.number() % 2 == 0) receipt.child(upload_keys(NodeBuilder("keys")));
        give(std::move(receipt));
        break;
      }
      case 6:
      case 7: give(group_iq()); break;
      case 8: {
        NodeBuilder list("list");
        for (int i = input_.number() % 4; i >= 0; --i) {
          list.child(NodeBuilder("user").attr("jid", fuzz::jid(input_)));
        }
        give(test::query("usync", "get", id())
                 .child(NodeBuilder("usync")
                            .attr("sid", "1")
                            .child(NodeBuilder("query")
                                       .child(NodeBuilder("devices").attr("version", "2"))
                                       .child(NodeBuilder(fuzz::word(input_)))
                                       .child(NodeBuilder("contact")))
                            .child(std::move(list))));
        break;
      }
      case 9: {
        NodeBuilder key("key");
        for (int i = input_.number() % 4; i >= 0; --i) {
          key.child(NodeBuilder("user").attr("jid", fuzz::jid(input_)));
        }
        give(test::query("encrypt", "get", id()).child(std::move(key)));
        break;
      }
      case 10: give(upload_keys(test::query("encrypt", "set", id()))); break;
      case 11: {
        static const char* const kTags[] = {"presence", "chatstate", "call",
                                            "ack",      "ib",        "notification"};
        NodeBuilder node(kTags[input_.number() % 6]);
        node.attr("id", known_id()).attr("to", somebody()).attr("type", fuzz::word(input_));
        node.attr("class", fuzz::word(input_));
        node.child(NodeBuilder(input_.number() % 2 == 0 ? "composing" : "offline_batch")
                       .attr("count", fuzz::number(input_)));
        give(std::move(node));
        break;
      }
      case 12: {  // anything at all
        auto frame = wire::decode(to_bytes(input_.chunk()), wire::Dictionary::v3);
        if (frame) give(NodeBuilder::copy_of(frame->root()));
        break;
      }
      case 13: bench_.advance(std::chrono::milliseconds(100) * input_.number()); break;
      case 14: log_in(good_, setup_.good, "good"); break;
      default:
        (void)bench_.command(SendMessage{"15550100002", account(input_.number()).to_string(),
                                         SayText{"phone", ""}, ""});
    }
  }

  /// The other device is as well off as ever.
  void finish() {
    require(!good_->closed());
    good_->drop_messages();
    good_->send(test::ping("the last"));
    bool answered = false;
    while (good_->has_message()) {
      const wire::Frame frame = good_->receive();
      answered = answered || frame.root().attr("id") == "the last";
    }
    require(answered);
    bad_->disconnect();
    good_->disconnect();
    const std::string saved = bench_.tenant.save();
    test::Bench again(test::quiet_phones());
    require(static_cast<bool>(again.tenant.load(saved)));
    require(again.tenant.save() == saved);
  }

 private:
  void log_in(std::unique_ptr<test::TestClient>& client, const test::TestDevice& device,
              std::string label) {
    client = std::make_unique<test::TestClient>(bench_, device.keys, std::move(label));
    client->log_in(device.linked.phone, device.linked.device, false);
    bench_.advance(std::chrono::milliseconds(100));
    client->drop_messages();
  }
  /// With the phone of the other account: its bundle is asked for as clients do.
  void begin_session() {
    bad_->send(test::query("encrypt", "get", "k")
                   .child(NodeBuilder("key").child(NodeBuilder("user").attr("jid", account(1)))));
    while (bad_->has_message()) {
      const wire::Frame frame = bad_->receive();
      if (frame.root().attr("id") != "k") continue;
      const Node& user = *frame.root().child("list")->first_child();
      const auto key_of = [](const Node& node, std::string_view tag) {
        return *crypto::PublicKey::from(node.child(tag)->bytes(), tag);
      };
      const auto id_of = [](const Node& node) {
        return static_cast<std::uint32_t>(read_big_endian(node.child("id")->bytes()));
      };
      const Node& skey = *user.child("skey");
      signal::PreKeyBundle bundle;
      bundle.registration_id = 1;
      bundle.identity = key_of(user, "identity");
      bundle.signed_pre_key_id = id_of(skey);
      bundle.signed_pre_key = key_of(skey, "value");
      bundle.signed_pre_key_signature = *fixed<64>(skey.child("signature")->bytes(), "signature");
      const Node& key = *user.child("key");
      bundle.one_time = {id_of(key), key_of(key, "value")};
      require(static_cast<bool>(session_.initiate(local_, bundle, random_)));
    }
  }

  Jid account(std::uint8_t which) const {
    static const char* const kNumbers[] = {"15550100001", "15550100002", "15550100003",
                                           "15550199999"};
    Jid jid(kNumbers[which % 4], wire::kServerPn, static_cast<std::uint16_t>(which / 4 % 3));
    return jid;
  }
  Jid somebody() {
    const std::uint8_t which = input_.number();
    if (which % 5 == 0) return setup_.group;
    return which % 5 == 1 ? fuzz::jid(input_) : account(which / 5);
  }
  std::string id() { return "A" + std::to_string(++ids_); }
  std::string known_id() { return "A" + std::to_string(input_.number() % (ids_ + 1)); }

  /// Really encrypted for the phone, with plaintext that the input spoils, or rubbish.
  NodeBuilder body() {
    const std::uint8_t what = input_.number() % 8;
    if (what == 0) return test::enc(fuzz::word(input_), as_text(input_.chunk()));
    message::Envelope envelope{.content = message::Text{.text = "text"}};
    if (what == 1) {
      const auto key = signal::SenderKey::create(random_);
      envelope.sender_key =
          message::KeyDistribution{input_.number() % 2 == 0 ? setup_.group.to_string()
                                                            : std::string(as_text(input_.chunk())),
                                   key.distribution().serialize()};
    }
    Bytes plaintext = message::encode(envelope);
    if (what == 2) append(plaintext, input_.chunk());
    if (what == 3) plaintext = to_bytes(input_.chunk());
    if (what != 4) plaintext = signal::pad(plaintext, random_);
    const auto sealed = session_.encrypt(local_, plaintext);
    return test::enc(sealed->pre_key ? "pkmsg" : "msg", as_text(sealed->bytes));
  }
  NodeBuilder message(const Jid& to, std::vector<NodeBuilder> encs) {
    NodeBuilder participants("participants");
    const Jid phone = account(1).without_device();
    participants.child(NodeBuilder("to").attr("jid", phone).child(encs.front()));
    participants.child(NodeBuilder("to").attr("jid", account(1 + 4)).child(test::enc("msg", "x")));
    NodeBuilder stanza("message");
    stanza.attr("id", id()).attr("to", to).attr("type", "text");
    stanza.child(std::move(participants));
    stanza.child(NodeBuilder("device-identity").bytes(Bytes(8)));
    if (to == setup_.group) stanza.child(test::enc("skmsg", "for all"));
    return stanza;
  }
  NodeBuilder upload_keys(NodeBuilder to) {
    const auto key = [](const char* tag, std::uint32_t number, const crypto::PublicKey& value) {
      return NodeBuilder(tag)
          .child(NodeBuilder("id").bytes(big_endian<3>(number)))
          .child(NodeBuilder("value").bytes(value.bytes));
    };
    const auto& keys = setup_.bad.keys;
    to.child(NodeBuilder("registration").bytes(big_endian<4>(std::uint32_t{4242})));
    to.child(NodeBuilder("type").bytes(Bytes{std::byte{5}}));
    to.child(NodeBuilder("identity").bytes(keys.identity.public_key.bytes));
    to.child(NodeBuilder("list").child(key("key", input_.number() % 8, keys.noise.public_key)));
    to.child(key("key", 1, keys.noise.public_key));
    return std::move(
        to.child(key("skey", keys.signed_pre_key.id, keys.signed_pre_key.key.public_key)
                     .child(NodeBuilder("signature").bytes(keys.signed_pre_key.signature))));
  }
  NodeBuilder group_iq() {
    static const char* const kVerbs[] = {
        "participating", "query",        "invite", "create",    "add",
        "remove",        "promote",      "demote", "leave",     "subject",
        "description",   "announcement", "locked", "ephemeral", "member_add_mode"};
    const std::uint8_t verb = input_.number() % std::size(kVerbs);
    NodeBuilder change(kVerbs[verb]);
    change.attr("subject", "s").attr("id", "D" + std::to_string(ids_)).attr("key", "K");
    if (verb >= 9) {
      change.bytes(as_bytes(verb == 14 ? "admin_add" : "words"));
    } else {
      change.child(NodeBuilder("participant").attr("jid", account(input_.number())));
      change.child(NodeBuilder("group").attr("id", setup_.group));
    }
    if (verb == 10) {
      change.content() = NodeBuilder::Content();
      change.child(NodeBuilder("body").bytes(input_.chunk()));
    }
    NodeBuilder iq("iq");
    iq.attr("to", input_.number() % 4 == 0 ? Jid("", "g.us") : setup_.group);
    iq.attr("type", verb < 3 && input_.number() % 2 == 0 ? "get" : "set");
    return std::move(iq.attr("id", id()).attr("xmlns", "w:g2").child(std::move(change)));
  }

  void give(NodeBuilder stanza) {
    stanza = fuzz::spoilt(std::move(stanza), input_);
    const auto plaintext = wire::encode(stanza, wire::Dictionary::v3);
    if (!bad_->closed()) bad_->send_raw(bad_->seal(plaintext));
    bad_->drop_messages();
  }

  const Setup& setup_ = Setup::instance();
  fuzz::Input& input_;
  test::Bench bench_{test::quiet_phones()};
  std::unique_ptr<test::TestClient> bad_;
  std::unique_ptr<test::TestClient> good_;
  SeededRandom random_{7};
  signal::LocalIdentity local_{setup_.bad.keys.identity, 4242};
  signal::Session session_;
  int ids_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Play play(input);
  for (int step = 0; step < 30 && !input.empty(); ++step) play.step();
  play.finish();
  return 0;
}

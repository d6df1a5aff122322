// The messenger of a device that is logged in: a peer, our own phone and a group write to it and
// are written to, with real sessions, while the server changes, repeats, keeps back and invents
// stanzas and answers, and the process dies now and then.
//
// Input: steps: what happens, and how its stanza is changed (tests/fuzz/stanza.hpp).
#include <cstdlib>
#include <map>

#include "engine/messaging/test_world.hpp"
#include "engine/protocol/signal/padding.hpp"
#include "tests/fuzz/stanza.hpp"

namespace {

using namespace wa;
using namespace wa::messaging;
using wire::Jid;
using wire::NodeBuilder;

const Jid kGroup("120363000000000001", "g.us");

void require(bool holds) {
  if (!holds) std::abort();
}

class Play {
 public:
  explicit Play(fuzz::Input& input) : input_(input) {
    world_.add({Jid("15550100003", "s.whatsapp.net"), Jid("100000000000003", "lid"), 5, 300});
    world_.groups[kGroup] = {test::kOwnLid.without_device(), test::kPeerLid,
                             Jid("100000000000003", "lid")};
    world_.answer_instead = [this](const NodeBuilder& iq) {
      NodeBuilder answer = world_.answer(iq);
      if (!spoil_answers_) return answer;
      NodeBuilder other = fuzz::spoilt(answer, input_);
      return decoded(other) ? other : answer;
    };
    world_.online();
  }

  void step() {
    switch (input_.number() % 17) {
      case 0:
      case 1: {
        test::PeerDevice& peer = somebody();
        give(peer.message(id(), enc(peer)));
        break;
      }
      case 2: {
        test::PeerDevice& peer = somebody();
        give(peer.message_by_number(id(), enc(peer)));
        break;
      }
      case 3: {
        test::PeerDevice& peer = somebody();
        std::vector<NodeBuilder> encs;
        if (input_.number() % 2 == 0) encs.push_back(with_session(peer).key_enc(kGroup));
        encs.push_back(peer.group_enc(text()));
        give(peer.group_message(id(), kGroup, std::move(encs)));
        break;
      }
      case 4:
        give(somebody().retry(sent_id(), input_.number() % 7, input_.number() % 2 == 0));
        break;
      case 5: {
        NodeBuilder receipt("receipt");
        receipt.attr("from", somebody().lid()).attr("id", sent_id());
        receipt.attr("type", fuzz::word(input_));
        receipt.child(NodeBuilder("list").child(NodeBuilder("item").attr("id", sent_id())));
        give(std::move(receipt));
        break;
      }
      case 6: {
        NodeBuilder notice("notification");
        notice.attr("id", id()).attr("from", fuzz::jid(input_)).attr("lid", fuzz::jid(input_));
        static const char* const kTypes[] = {"encrypt", "devices", "account_sync", "w:gp2"};
        notice.attr("type", std::string(kTypes[input_.number() % 4]));
        notice.child(NodeBuilder(input_.number() % 2 == 0 ? "identity" : "devices"));
        give(std::move(notice));
        break;
      }
      case 7:
      case 8: {
        NodeBuilder ack("ack");
        ack.attr("class", std::string("message")).attr("id", sent_id());
        ack.attr("t", 1'767'225'601);
        if (input_.number() % 4 == 0) ack.attr("phash", std::string("2:AAAAAAAA"));
        give(std::move(ack));
        break;
      }
      case 9:
      case 10: {
        const Jid to = input_.number() % 3 == 0 ? kGroup : somebody().lid().without_device();
        const std::string accepted = world_.send(to, text(), id_or_none());
        if (!accepted.empty()) sent_.push_back(accepted);
        break;
      }
      case 11: replay(); break;
      case 12: {  // anything at all
        auto frame = wire::decode(to_bytes(input_.chunk()), wire::Dictionary::v3);
        if (frame) give(NodeBuilder::copy_of(frame->root()));
        break;
      }
      case 13: {
        const std::uint8_t switches = input_.number();
        spoil_answers_ = (switches & 1) != 0;
        world_.answer_loads = (switches & 2) == 0;
        world_.answer_queries = (switches & 4) == 0;
        world_.take_events = (switches & 8) == 0;
        world_.lids_in_usync = (switches & 16) == 0;
        world_.settle();
        break;
      }
      case 14:
        if (input_.number() % 2 == 0) {
          world_.offline();
        } else {
          world_.kill();
        }
        world_.online();
        break;
      case 15: world_.pass(std::chrono::milliseconds(500) * input_.number()); break;
      default: {
        test::PeerDevice& peer = somebody();
        if (input_.number() % 2 == 0) peer.set_up_anew();
        begin(peer);
      }
    }
    world_.settle();
  }

  /// Once the server behaves, a message arrives and one is sent, whatever happened before.
  void finish() {
    spoil_answers_ = false;
    world_.answer_loads = world_.answer_queries = world_.take_events = true;
    world_.offline();
    world_.pass(std::chrono::hours(2));
    world_.online();
    test::PeerDevice& peer = world_.peer();
    begin(peer);
    world_.receive(peer.message("the last", "the last"));
    const auto texts = world_.texts();
    require(std::find(texts.begin(), texts.end(), "the last") != texts.end());
    require(world_.messenger->residency().lanes == 0);
    require(world_.messenger->residency().records == 0);
    // What is published again until it is taken has the same number.
    std::map<std::pair<std::string, std::string>, std::uint64_t> seen;
    for (const AppEvent& event : world_.events) {
      const auto* received = std::get_if<MessageReceived>(&event.what);
      if (!received) continue;
      const std::pair name(received->origin.sender.to_string(), received->origin.id);
      require(seen.try_emplace(name, event.seq).first->second == event.seq);
    }
  }

 private:
  test::PeerDevice& somebody() {
    switch (input_.number() % 3) {
      case 0: return world_.phone();
      case 1: return world_.peer();
      default: return *world_.find(Jid("15550100003", "s.whatsapp.net", 5));
    }
  }
  void begin(test::PeerDevice& peer) { peer.begin(world_.own_bundle()); }
  test::PeerDevice& with_session(test::PeerDevice& peer) {
    if (!peer.has_session()) begin(peer);
    return peer;
  }
  std::string text() { return "text " + std::to_string(++texts_); }
  std::string id() { return "A" + std::to_string(++ids_); }
  std::string id_or_none() {
    return input_.number() % 4 == 0 ? "B" + std::to_string(input_.number() % 4) : "";
  }
  std::string sent_id() { return sent_.empty() ? "none" : sent_[input_.number() % sent_.size()]; }

  /// A text, or something that the input makes of the plaintext.
  NodeBuilder enc(test::PeerDevice& peer) {
    with_session(peer);
    const std::uint8_t what = input_.number() % 8;
    if (what < 5) return peer.enc(text());
    if (what == 5) return peer.raw_enc(input_.chunk());
    Bytes plaintext = message::encode({.content = message::Text{.text = text()}});
    if (what == 6) {
      append(plaintext, input_.chunk());  // fields once more, or unknown ones
    } else {
      plaintext = to_bytes(input_.chunk());
    }
    return peer.raw_enc(signal::pad(plaintext, random_));
  }

  void give(NodeBuilder stanza) {
    stanza = fuzz::spoilt(std::move(stanza), input_);
    given_.push_back(stanza);
    feed(stanza);
  }
  void replay() {
    if (!given_.empty()) feed(given_[input_.number() % given_.size()]);
  }
  /// Empty for what no server could send.
  static std::optional<wire::Frame> decoded(const NodeBuilder& stanza) {
    auto frame = wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
    return frame ? std::optional(std::move(*frame)) : std::nullopt;
  }
  void feed(const NodeBuilder& stanza) {
    const auto frame = decoded(stanza);
    if (!frame || !Messenger::handles(frame->root())) return;
    world_.feed(StanzaReceived{&frame->root()});
  }

  fuzz::Input& input_;
  test::World world_;
  SeededRandom random_{7};
  bool spoil_answers_ = false;
  int texts_ = 0;
  int ids_ = 0;
  std::vector<std::string> sent_;
  std::vector<NodeBuilder> given_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Play play(input);
  for (int step = 0; step < 40 && !input.empty(); ++step) play.step();
  play.finish();
  return 0;
}

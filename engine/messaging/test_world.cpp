#include "engine/messaging/test_world.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/stored.pb.h"
#include "engine/protocol/signal/padding.hpp"
#include "engine/protocol/wire/node_codec.hpp"

namespace wa::messaging::test {

using wire::Jid;
using wire::NodeBuilder;

void store_changes(const std::vector<Change>& changes, Store& store) {
  for (const Change& change : changes) {
    if (const auto* put = std::get_if<Put>(&change)) {
      store[{put->kind, put->key}] = put->bytes;
    } else {
      const auto& gone = std::get<Erase>(change);
      std::erase_if(store, [&](const auto& record) {
        return record.first.kind == gone.kind && (gone.key.empty() || record.first.key == gone.key);
      });
    }
  }
}

wire::Frame frame_of(const NodeBuilder& stanza) {
  auto frame = wire::decode(wire::encode(stanza, wire::Dictionary::v3), wire::Dictionary::v3);
  WA_ASSERT(frame.has_value());
  return std::move(*frame);
}

std::string attr(const NodeBuilder& node, std::string_view key) {
  for (const auto& [name, value] : node.attributes()) {
    if (name != key) continue;
    if (const auto* jid = std::get_if<Jid>(&value)) return jid->to_string();
    return std::get<std::string>(value);
  }
  return {};
}

std::vector<NodeBuilder> children(const NodeBuilder& node) {
  const auto* list = std::get_if<std::vector<NodeBuilder>>(&node.content());
  return list ? *list : std::vector<NodeBuilder>();
}

const NodeBuilder* child(const NodeBuilder& node, std::string_view tag) {
  const auto* list = std::get_if<std::vector<NodeBuilder>>(&node.content());
  if (!list) return nullptr;
  for (const NodeBuilder& one : *list) {
    if (one.tag() == tag) return &one;
  }
  return nullptr;
}

ByteSpan bytes_of(const NodeBuilder& node) {
  const auto* bytes = std::get_if<Bytes>(&node.content());
  return bytes ? ByteSpan(*bytes) : ByteSpan();
}

// ---- keys -----------------------------------------------------------------------------------

namespace {

signal::LocalIdentity make_identity(Random& random) {
  auto pair = crypto::generate_key_pair(random);
  return {std::move(pair), static_cast<std::uint32_t>(random.below(16'380)) + 1};
}

pairing::SignedPreKey make_signed_pre_key(const crypto::KeyPair& identity, Random& random) {
  pairing::SignedPreKey key{.id = 1, .key = crypto::generate_key_pair(random)};
  key.signature = signal::sign_pre_key(identity, key.key.public_key, random);
  return key;
}

signal::PreKeyBundle bundle_of(const signal::LocalIdentity& identity,
                               const pairing::SignedPreKey& signed_pre_key) {
  return {.registration_id = identity.registration_id,
          .identity = identity.identity.public_key,
          .signed_pre_key_id = signed_pre_key.id,
          .signed_pre_key = signed_pre_key.key.public_key,
          .signed_pre_key_signature = signed_pre_key.signature,
          .one_time = {}};
}

NodeBuilder leaf(std::string tag, ByteSpan bytes) {
  return NodeBuilder(std::move(tag)).bytes(bytes);
}

void add_keys(NodeBuilder& to, const signal::PreKeyBundle& bundle) {
  to.child(leaf("type", ByteArray<1>{std::byte{5}})).child(leaf("identity", bundle.identity));
  if (bundle.one_time) {
    to.child(NodeBuilder("key")
                 .child(leaf("id", big_endian<3>(bundle.one_time->id)))
                 .child(leaf("value", bundle.one_time->key)));
  }
  to.child(NodeBuilder("skey")
               .child(leaf("id", big_endian<3>(bundle.signed_pre_key_id)))
               .child(leaf("value", bundle.signed_pre_key))
               .child(leaf("signature", bundle.signed_pre_key_signature)));
}

}  // namespace

TestKeys::TestKeys(Random& random)
    : identity_(make_identity(random)),
      signed_pre_key_(make_signed_pre_key(identity_.identity, random)) {}

std::optional<crypto::KeyPair> TestKeys::signed_pre_key(std::uint32_t id) const {
  if (id != signed_pre_key_.id) return std::nullopt;
  return signed_pre_key_.key;
}

signal::PreKeyBundle::OneTime TestKeys::make_pre_key(Random& random, std::vector<Change>& changes) {
  const crypto::KeyPair pair = crypto::generate_key_pair(random);
  const std::uint32_t id = next_pre_key_id_++;
  schema::StoredPreKey record;
  record.set_id(id);
  record.mutable_key()->set_private_key(schema::field(pair.private_key.bytes));
  record.mutable_key()->set_public_key(schema::field(pair.public_key));
  changes.emplace_back(
      Put{std::string(kPreKeyKind), std::to_string(id), schema::serialize(record)});
  return {id, pair.public_key};
}

signal::PreKeyBundle TestKeys::bundle(Random& random, Store& store) {
  auto bundle = bundle_of(identity_, signed_pre_key_);
  std::vector<Change> changes;
  bundle.one_time = make_pre_key(random, changes);
  store_changes(changes, store);
  return bundle;
}

// ---- a peer ---------------------------------------------------------------------------------

PeerDevice::PeerDevice(Jid number, Jid lid, std::uint16_t device, std::uint64_t seed)
    : random_(seed), number_(std::move(number)), lid_(std::move(lid)) {
  number_.device = device;
  lid_.device = device;
  set_up_anew();
}

void PeerDevice::set_up_anew() {
  identity_ = make_identity(random_);
  signed_pre_key_ = make_signed_pre_key(identity_.identity, random_);
  one_time_.clear();
  session_ = {};
}

signal::PreKeyBundle PeerDevice::bundle() {
  auto bundle = bundle_of(identity_, signed_pre_key_);
  const auto pair = crypto::generate_key_pair(random_);
  bundle.one_time = {next_pre_key_id_, pair.public_key};
  one_time_[next_pre_key_id_++] = pair;
  return bundle;
}

void PeerDevice::begin(const signal::PreKeyBundle& ours) {
  WA_ASSERT(session_.initiate(identity_, ours, random_).has_value());
}

NodeBuilder PeerDevice::enc(const std::string& text) {
  return enc(message::Envelope{.content = message::Text{.text = text}});
}

NodeBuilder PeerDevice::enc(const message::Envelope& envelope) {
  return raw_enc(signal::pad(message::encode(envelope), random_));
}

NodeBuilder PeerDevice::raw_enc(ByteSpan plaintext) {
  const auto ciphertext = session_.encrypt(identity_, plaintext);
  WA_ASSERT(ciphertext.has_value());
  return NodeBuilder("enc")
      .attr("v", 2)
      .attr("type", std::string(ciphertext->pre_key ? "pkmsg" : "msg"))
      .bytes(ciphertext->bytes);
}

NodeBuilder PeerDevice::message(const std::string& id, const std::string& text) {
  return message(id, enc(text));
}

NodeBuilder PeerDevice::message(const std::string& id, NodeBuilder enc) {
  return NodeBuilder("message")
      .attr("from", lid_)
      .attr("id", id)
      .attr("type", std::string("text"))
      .attr("t", 1'767'225'600)
      .attr("notify", std::string("Peer"))
      .attr("sender_pn", number_)
      .child(std::move(enc));
}

NodeBuilder PeerDevice::message_by_number(const std::string& id, NodeBuilder enc) {
  NodeBuilder stanza = message(id, std::move(enc));
  stanza.set_attr("from", number_);
  stanza.set_attr("sender_pn", std::nullopt);
  return stanza;
}

signal::Outcome<message::Envelope> PeerDevice::read(const NodeBuilder& enc) {
  signal::Outcome<Bytes> padded = signal::Refusal{signal::Failure::malformed, "no enc"};
  if (attr(enc, "type") == "pkmsg") {
    WA_TRY(const auto parsed, signal::PreKeySignalMessage::parse(bytes_of(enc)));
    signal::Session::PreKeys keys{.signed_pre_key = signed_pre_key_.key, .one_time = {}};
    if (parsed.pre_key_id) {
      const auto found = one_time_.find(*parsed.pre_key_id);
      if (found != one_time_.end()) keys.one_time = found->second;
    }
    padded = session_.decrypt(identity_, parsed, keys, random_);
    if (padded && parsed.pre_key_id) one_time_.erase(*parsed.pre_key_id);
  } else {
    WA_TRY(const auto parsed, signal::SignalMessage::parse(bytes_of(enc)));
    padded = session_.decrypt(identity_, parsed, random_);
  }
  if (!padded) return padded.error();
  WA_TRY(const ByteSpan plaintext, signal::unpad(*padded));
  auto envelope = message::decode(plaintext);
  if (!envelope) return signal::Refusal{signal::Failure::malformed, envelope.error().detail};
  return std::move(*envelope);
}

std::string PeerDevice::text_in(const NodeBuilder& enc) {
  const auto envelope = read(enc);
  if (!envelope) return std::string(signal::to_string(envelope.error().why));
  const auto* text = std::get_if<message::Text>(&envelope->content);
  return text ? text->text : "no text";
}

NodeBuilder PeerDevice::retry(const std::string& id, std::uint32_t count, bool with_keys) {
  NodeBuilder receipt("receipt");
  receipt.attr("from", lid_).attr("id", id).attr("type", std::string("retry"));
  receipt.child(NodeBuilder("retry").attr("count", count).attr("id", id).attr("v", 1));
  receipt.child(leaf("registration", big_endian<4>(identity_.registration_id)));
  if (with_keys) {
    NodeBuilder keys("keys");
    add_keys(keys, bundle());
    receipt.child(std::move(keys));
  }
  return receipt;
}

NodeBuilder PeerDevice::key_enc(const Jid& group) {
  if (!group_key_) group_key_ = signal::SenderKey::create(random_);
  return enc(message::Envelope{.content = message::Other{},
                               .sender_key = message::KeyDistribution{
                                   group.to_string(), group_key_->distribution().serialize()}});
}

NodeBuilder PeerDevice::group_enc(const std::string& text) {
  if (!group_key_) group_key_ = signal::SenderKey::create(random_);
  const message::Envelope envelope{.content = message::Text{.text = text}};
  const Bytes padded = signal::pad(message::encode(envelope), random_);
  const auto ciphertext = group_key_->encrypt(padded, random_);
  WA_ASSERT(ciphertext.has_value());
  return NodeBuilder("enc").attr("v", 2).attr("type", std::string("skmsg")).bytes(*ciphertext);
}

NodeBuilder PeerDevice::group_message(const std::string& id, const Jid& group,
                                      std::vector<NodeBuilder> encs) const {
  NodeBuilder stanza("message");
  stanza.attr("from", group).attr("participant", lid_).attr("participant_pn", number_);
  stanza.attr("id", id).attr("type", std::string("text")).attr("t", 1'767'225'600);
  for (NodeBuilder& enc : encs) stanza.child(std::move(enc));
  return stanza;
}

std::string PeerDevice::read_group(const NodeBuilder& stanza) {
  if (const auto copy = copy_in(stanza, *this)) {
    const auto envelope = read(*copy);
    if (!envelope) return std::string(signal::to_string(envelope.error().why));
    if (envelope->sender_key) {
      const auto key = signal::SenderKeyDistribution::parse(envelope->sender_key->distribution);
      WA_ASSERT(key.has_value());
      keys_of_ours_.process(*key);
    }
  }
  const NodeBuilder* enc = child(stanza, "enc");
  if (!enc) return "no enc";
  const auto parsed = signal::SenderKeyMessage::parse(bytes_of(*enc));
  if (!parsed) return std::string(signal::to_string(parsed.error().why));
  const auto padded = keys_of_ours_.decrypt(*parsed);
  if (!padded) return std::string(signal::to_string(padded.error().why));
  const auto envelope = message::decode(*signal::unpad(*padded));
  return std::get<message::Text>(envelope->content).text;
}

// ---- the world ------------------------------------------------------------------------------

World::World(std::uint64_t seed) : random(seed), keys(random) {
  add(PeerDevice(kPeerJid, kPeerLid, 0, seed + 100));
  add(PeerDevice(kOwnJid, kOwnLid, 0, seed + 200));
  messenger = std::make_unique<Messenger>(keys, resident(), random, policy);
}

PeerDevice& World::add(PeerDevice device) {
  Jid number = device.number();
  auto& slot = peers_[std::move(number)];
  slot = std::make_unique<PeerDevice>(std::move(device));
  return *slot;
}

PeerDevice* World::find(const Jid& jid) {
  for (const auto& [number, device] : peers_) {
    if (device->number() == jid || device->lid() == jid) return device.get();
  }
  return nullptr;
}

ResidentRecords World::resident() const {
  ResidentRecords records;
  for (const auto& [key, bytes] : store) {
    if (key.kind == kOutboxKind) records.outbox[key.key] = bytes;
    if (key.kind == kEventKind) records.events[key.key] = bytes;
    if (key.kind == kAwaitedKind) records.awaited[key.key] = bytes;
    if (key.kind == kMessengerKind) records.messenger[key.key] = bytes;
  }
  return records;
}

void World::feed(const Event& event) {
  for (Action& action : messenger->step(event, now)) actions_.push_back(std::move(action));
}

void World::feed_stanza(const NodeBuilder& stanza) {
  const wire::Frame frame = frame_of(stanza);
  WA_ASSERT(Messenger::handles(frame.root()));
  feed(StanzaReceived{&frame.root()});
}

void World::step(const Event& event) {
  feed(event);
  settle();
}

void World::receive(const NodeBuilder& stanza) {
  feed_stanza(stanza);
  settle();
}

void World::settle() {
  while (perform_one()) {
  }
}

bool World::perform_one() {
  if (!actions_.empty()) {
    Action action = std::move(actions_.front());
    actions_.pop_front();
    perform(action);
    return true;
  }
  if (answer_loads && !loaded_.empty()) {
    Loaded loaded = std::move(loaded_.front());
    loaded_.pop_front();
    feed(loaded);
    return true;
  }
  if (answer_queries && !answers_.empty()) {
    const auto [id, iq] = std::move(answers_.front());
    answers_.pop_front();
    const wire::Frame frame = frame_of(answer_instead ? answer_instead(iq) : answer(iq));
    feed(Answered{id, &frame.root()});
    return true;
  }
  return false;
}

void World::perform(Action& action) {
  const auto rows = Overloaded{
      [&](SendStanza& one) { sent.push_back(std::move(one.stanza)); },
      [&](Query& one) {
        queries.push_back(one.iq);
        answers_.emplace_back(one.query_id, std::move(one.iq));
      },
      [&](Commit& one) {
        ++commits;
        store_changes(one.changes, store);
      },
      [&](const Load& one) { load(one); },
      [&](Publish& one) {
        const std::uint64_t seq = one.event.seq;
        events.push_back(std::move(one.event));
        if (take_events && seq != 0) feed(EventTaken{seq});
      },
      [&](const RenewPreKeys&) { ++renewals; },
      [&](Report& one) { reports.push_back(std::move(one.text)); },
  };
  std::visit(rows, action);
}

void World::load(const Load& action) {
  ++loads;
  Loaded loaded{action.load_id, {}};
  for (const RecordKey& key : action.keys) {
    const auto found = store.find(key);
    loaded.values.push_back(found == store.end() ? std::nullopt : std::optional(found->second));
  }
  loaded_.push_back(std::move(loaded));
}

void World::kill() {
  actions_.clear();
  loaded_.clear();
  answers_.clear();
  messenger = std::make_unique<Messenger>(keys, resident(), random, policy);
}

void World::pass(Duration time) {
  const Instant until = now.mono + time;
  const std::int64_t wall_then =
      now.wall.value + std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  while (const auto deadline = messenger->next_deadline()) {
    if (*deadline > until) break;
    now.mono = std::max(now.mono, *deadline);
    step(DeadlineReached{});
  }
  now.mono = until;
  now.wall.value = wall_then;
}

void World::offline() {
  answers_.clear();
  step(StreamEnded{});
}

std::string World::send(const Jid& to, const std::string& text, const std::string& id) {
  step(SendRequested{7, to, message::Text{.text = text}, id});
  const auto accepted = events_of<SendAccepted>();
  return accepted.empty() ? std::string() : accepted.back().id;
}

void World::ack(const std::string& id, std::optional<int> error, const std::string& phash) {
  NodeBuilder ack("ack");
  ack.attr("class", std::string("message")).attr("id", id).attr("from", kPeerLid);
  ack.attr("t", 1'767'225'601);
  if (error) ack.attr("error", *error);
  if (!phash.empty()) ack.attr("phash", phash);
  receive(ack);
}

NodeBuilder World::answer_group(const Jid& group) const {
  NodeBuilder node("group");
  node.attr("id", group.user).attr("addressing_mode", std::string("lid"));
  const auto found = groups.find(group);
  if (found == groups.end()) return NodeBuilder("iq").attr("type", std::string("error"));
  for (const Jid& member : found->second) {
    NodeBuilder one("participant");
    one.attr("jid", member);
    for (const auto& [number, device] : peers_) {
      if (device->lid().without_device() == member) {
        one.attr("phone_number", number.without_device());
        break;
      }
    }
    node.child(std::move(one));
  }
  return NodeBuilder("iq").attr("type", std::string("result")).child(std::move(node));
}

NodeBuilder World::answer(const NodeBuilder& iq) {
  NodeBuilder result("iq");
  result.attr("type", std::string("result"));
  if (attr(iq, "xmlns") == "w:g2" && attr(iq, "type") == "set") return group_verdict;
  if (attr(iq, "xmlns") == "w:g2") return answer_group(*Jid::parse(attr(iq, "to")));
  if (attr(iq, "xmlns") == "usync") {
    NodeBuilder list("list");
    for (const NodeBuilder& user : children(*child(*child(iq, "usync"), "list"))) {
      const auto asked = Jid::parse(attr(user, "jid"));
      NodeBuilder devices("device-list");
      const PeerDevice* any = nullptr;
      for (const auto& [number, device] : peers_) {
        const Jid lid = device->lid().without_device();
        if (number.without_device() != *asked && lid != *asked) continue;
        any = device.get();
        devices.child(NodeBuilder("device").attr("id", number.device).attr("key-index", 1));
      }
      const bool own = asked->user == kOwnJid.user || asked->user == kOwnLid.user;
      if (own) devices.child(NodeBuilder("device").attr("id", 3).attr("key-index", 1));
      if (!any && !own) continue;
      NodeBuilder one("user");
      one.attr("jid", *asked).child(NodeBuilder("devices").child(std::move(devices)));
      if (lids_in_usync && any) {
        one.child(NodeBuilder("lid").attr("val", any->lid().without_device()));
      }
      list.child(std::move(one));
    }
    return result.child(NodeBuilder("usync").child(std::move(list)));
  }
  NodeBuilder list("list");
  for (const NodeBuilder& user : children(*child(iq, "key"))) {
    const auto asked = Jid::parse(attr(user, "jid"));
    PeerDevice* device = find(*asked);
    NodeBuilder one("user");
    one.attr("jid", *asked);
    if (!device || !has_bundle(*asked)) {
      one.child(NodeBuilder("error").attr("code", 406));
    } else {
      auto bundle = device->bundle();
      if (spoil_bundle) spoil_bundle(bundle, *asked);
      one.child(leaf("registration", big_endian<4>(bundle.registration_id)));
      add_keys(one, bundle);
    }
    list.child(std::move(one));
  }
  return result.child(std::move(list));
}

std::vector<NodeBuilder> World::sent_with(std::string_view tag, std::string_view type) const {
  std::vector<NodeBuilder> found;
  for (const NodeBuilder& stanza : sent) {
    if (stanza.tag() == tag && (type.empty() || attr(stanza, "type") == type)) {
      found.push_back(stanza);
    }
  }
  return found;
}

std::vector<std::string> World::texts() const {
  std::vector<std::string> texts;
  for (const auto& received : events_of<MessageReceived>()) {
    if (const auto* text = std::get_if<message::Text>(&received.content))
      texts.push_back(text->text);
  }
  return texts;
}

std::optional<NodeBuilder> copy_in(const NodeBuilder& stanza, const PeerDevice& device) {
  const auto names = [&](const std::string& jid) {
    return jid == device.number().to_string() || jid == device.lid().to_string();
  };
  if (stanza.tag() != "message") return std::nullopt;
  const NodeBuilder* participants = child(stanza, "participants");
  if (!participants) {
    return names(attr(stanza, "to")) ? std::optional(*child(stanza, "enc")) : std::nullopt;
  }
  for (const NodeBuilder& to : children(*participants)) {
    if (names(attr(to, "jid"))) return children(to).front();
  }
  return std::nullopt;
}

std::optional<NodeBuilder> World::copy_for(const PeerDevice& device) const {
  for (auto stanza = sent.rbegin(); stanza != sent.rend(); ++stanza) {
    if (auto copy = copy_in(*stanza, device)) return copy;
  }
  return std::nullopt;
}

}  // namespace wa::messaging::test

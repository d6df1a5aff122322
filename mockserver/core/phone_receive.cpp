// What a phone makes of what it is sent.

#include "engine/base/overloaded.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/phone_peer.hpp"
#include "mockserver/core/prekeys.hpp"

namespace wa::mock {
namespace {

using signal::Failure;
using signal::Refusal;
using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// A message may come with a sender key beside it; nobody sends more.
constexpr std::size_t kMostEncs = 4;
/// So often is a message asked for again.
constexpr std::uint32_t kMostRetries = 5;
constexpr std::size_t kMostReceiptItems = 1000;
/// Of a text in the log.
constexpr std::size_t kMostTextBytes = 64 * 1024;

bool says_nothing(const message::Content& content) {
  const auto* other = std::get_if<message::Other>(&content);
  return other != nullptr && other->protobuf.empty();
}

/// Further means later in the life of a message.
int progress_of(std::string_view word) {
  if (word == "played") return 4;
  if (word == "read") return 3;
  if (word == "delivered") return 2;
  return 1;
}

}  // namespace

std::string text_of(const message::Content& content) {
  const auto rows = Overloaded{
      [](const message::Text& text) { return text.text; },
      [](const message::Reaction& reaction) { return reaction.emoji; },
      [](const message::Edit& edit) { return edit.text; },
      [](const message::Contact& contact) { return contact.name; },
      [](const message::Location& location) { return location.name; },
      [](const auto&) { return std::string(); },
  };
  return std::visit(rows, content);
}

std::string subject_of(const message::Content& content) {
  const auto rows = Overloaded{
      [](const message::Text& text) { return text.quote ? text.quote->id : std::string(); },
      [](const message::Reaction& reaction) { return reaction.to.id; },
      [](const message::Edit& edit) { return edit.of.id; },
      [](const message::Revoke& revoke) { return revoke.of.id; },
      [](const auto&) { return std::string(); },
  };
  return std::visit(rows, content);
}

PhonePeer::PhonePeer(Phone& phone, Surroundings surroundings)
    : phone_(phone), surroundings_(std::move(surroundings)) {}

void PhonePeer::note(Note::What what, const PhoneMessage& message, std::optional<DeviceKey> device,
                     std::string detail) {
  output_.notes.push_back({what, message, std::move(device), std::move(detail)});
}

std::string PhonePeer::shown(const DeviceKey& device) const {
  return surroundings_.accounts.address(device, Addressing::pn).to_string();
}

PhonePeer::Output PhonePeer::receive(const Node& stanza, Now now) {
  if (stanza.tag == "message") {
    on_message(stanza, now);
  } else if (stanza.tag == "receipt") {
    acknowledge(stanza);
    if (stanza.attr("type") == "retry") {
      on_retry(stanza);
    } else {
      on_receipt(stanza);
    }
  } else if (stanza.tag == "ack") {
    on_ack(stanza);
  } else if (stanza.tag == "notification") {
    acknowledge(stanza);
    on_notification(stanza);
  } else if (stanza.tag == "call") {
    acknowledge(stanza);
  }
  return take();
}

void PhonePeer::acknowledge(const Node& stanza) {
  const auto from = stanza.jid("from");
  if (!from || stanza.attr("id").empty()) return;
  NodeBuilder ack("ack");
  ack.attr("class", stanza.tag).attr("id", stanza.attr("id")).attr("to", *from);
  if (const auto participant = stanza.jid("participant")) ack.attr("participant", *participant);
  if (stanza.tag != "message" && stanza.has_attr("type")) ack.attr("type", stanza.attr("type"));
  output_.stanzas.push_back(std::move(ack));
}

// ---- messages
// ------------------------------------------------------------------------------------

std::optional<PhonePeer::Incoming> PhonePeer::take_apart(const Node& stanza) const {
  const auto from = stanza.jid("from");
  if (!from || stanza.attr("id").empty()) return std::nullopt;
  const bool group = from->server == wire::kServerGroup;
  const auto participant = stanza.jid("participant");
  const std::optional<Jid> author_jid = group ? participant : from;
  const auto author =
      author_jid ? surroundings_.accounts.device(*author_jid) : std::optional<DeviceKey>();
  if (!author) return std::nullopt;
  return Incoming{stanza,
                  std::string(stanza.attr("id")),
                  *from,
                  participant,
                  *author,
                  group,
                  author->phone_id == phone_.id,
                  stanza.attr("category") == "peer"};
}

void PhonePeer::on_message(const Node& stanza, Now now) {
  const auto taken = take_apart(stanza);
  if (!taken) return acknowledge(stanza);
  const Incoming& incoming = *taken;
  const PhoneMessage* before = phone_.memory.log.find(incoming.id, shown(incoming.author));
  if (before != nullptr && before->kind != kUnreadable) return confirm(incoming);

  std::optional<message::Envelope> read;
  std::optional<Refusal> refusal;
  std::size_t encs = 0;
  for (const Node& enc : stanza.children()) {
    if (enc.tag != "enc" || ++encs > kMostEncs) continue;
    const auto plaintext = open(incoming.author, incoming.from.to_string(), enc);
    if (!plaintext) {
      refusal = plaintext.error();
      continue;
    }
    auto envelope = message::decode(*plaintext);
    if (!envelope) {
      refusal = Refusal{Failure::malformed, envelope.error().detail};
      continue;
    }
    // Keys for other groups nobody needs.
    if (envelope->sender_key && envelope->sender_key->group == incoming.from.to_string()) {
      learn_sender_key(incoming.author, *envelope->sender_key);
    }
    const bool only_key = envelope->sender_key && says_nothing(envelope->content);
    if (!only_key) read = std::move(*envelope);
  }
  if (!read && (refusal || encs == 0)) {
    return on_unreadable(
        incoming, refusal ? *refusal : Refusal{Failure::malformed, "a message without <enc>"}, now);
  }
  confirm(incoming);
  if (!read) return;  // a sender key and no more

  PhoneMessage* message = phone_.memory.log.find(incoming.id, shown(incoming.author));
  if (message == nullptr) message = &phone_.memory.log.add({.id = incoming.id});
  message->from_me = incoming.own;
  message->peer = incoming.peer;
  message->chat = chat_of(incoming, &*read);
  message->from = shown(incoming.author);
  message->kind = message::kind_of(read->content);
  message->text = legible(text_of(read->content), kMostTextBytes);
  message->about = legible(subject_of(read->content));
  message->at = now.wall;
  note(Note::What::received, *message, incoming.author);
  if (incoming.own && incoming.peer &&
      std::holds_alternative<message::AppStateKeysWanted>(read->content) &&
      phone_.memory.app_state_key) {
    send_to_companion(incoming.author.device, message::AppStateKeys{{*phone_.memory.app_state_key}},
                      now);
  }
}

void PhonePeer::on_unreadable(const Incoming& incoming, const Refusal& refusal, Now now) {
  const std::string from = shown(incoming.author);
  PhoneMessage* message = phone_.memory.log.find(incoming.id, from);
  if (message == nullptr) {
    message = &phone_.memory.log.add({.id = incoming.id,
                                      .from_me = incoming.own,
                                      .peer = incoming.peer,
                                      .chat = chat_of(incoming, nullptr),
                                      .from = from,
                                      .kind = std::string(kUnreadable),
                                      .at = now.wall});
  }
  message->why = signal::to_string(refusal.why);
  ++message->failures;
  note(Note::What::unreadable, *message, incoming.author, signal::to_string(refusal));
  if (message->failures <= kMostRetries) {
    ask_again(incoming, signal::retry_reason(refusal.why), message->failures,
              message->failures >= 2, now);
  }
  acknowledge(incoming.stanza);
}

/// The account or group that the message belongs to. What a companion wrote to somebody says so in
/// its stanza, and inside.
std::string PhonePeer::chat_of(const Incoming& incoming, const message::Envelope* envelope) const {
  if (incoming.group) return incoming.from.to_string();
  const Phone* chat = surroundings_.accounts.find(incoming.from);
  if (incoming.own) {
    std::optional<Jid> to = incoming.stanza.jid("recipient");
    if (!to && envelope != nullptr && envelope->sent_to) {
      if (auto parsed = Jid::parse(*envelope->sent_to)) to = *parsed;
    }
    if (to && surroundings_.accounts.find(*to) != nullptr) chat = surroundings_.accounts.find(*to);
  }
  return chat == nullptr ? incoming.from.to_string() : chat->jid().to_string();
}

void PhonePeer::learn_sender_key(const DeviceKey& author,
                                 const message::KeyDistribution& distribution) {
  const auto parsed = signal::SenderKeyDistribution::parse(distribution.distribution);
  if (parsed) phone_.memory.sender_keys[{distribution.group, author}].process(*parsed);
}

void PhonePeer::confirm(const Incoming& incoming) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", incoming.id).attr("to", incoming.from);
  if (incoming.group && incoming.participant) receipt.attr("participant", *incoming.participant);
  if (incoming.peer) {
    receipt.attr("type", "peer_msg");
  } else if (incoming.own && !incoming.group) {
    if (const auto recipient = incoming.stanza.jid("recipient")) {
      receipt.attr("recipient", *recipient);
    }
    receipt.attr("type", "sender");
  }
  output_.stanzas.push_back(std::move(receipt));
}

PhonePeer::Output PhonePeer::ask_again(const Node& message, std::uint32_t count, bool keys,
                                       Now now) {
  if (const auto incoming = take_apart(message)) {
    ask_again(*incoming, 0, count, keys || count >= 2, now);
    acknowledge(message);
  }
  return take();
}

void PhonePeer::ask_again(const Incoming& incoming, int reason, std::uint32_t count, bool with_keys,
                          Now now) {
  PhoneKeys& own = keys();
  NodeBuilder receipt("receipt");
  receipt.attr("id", incoming.id).attr("type", "retry").attr("to", incoming.from);
  if (incoming.group && incoming.participant) receipt.attr("participant", *incoming.participant);
  if (const auto recipient = incoming.stanza.jid("recipient")) {
    receipt.attr("recipient", *recipient);
  }
  if (incoming.peer) receipt.attr("category", "peer");
  NodeBuilder retry("retry");
  retry.attr("count", count).attr("id", incoming.id);
  retry.attr("t", incoming.stanza.has_attr("t") ? incoming.stanza.printed("t")
                                                : std::to_string(now.wall.seconds()));
  retry.attr("v", "1");
  if (reason != 0) retry.attr("error", reason);
  receipt.child(std::move(retry));
  receipt.child(NodeBuilder("registration").bytes(big_endian<4>(own.registration_id)));
  if (with_keys) {
    const OneTimeKey fresh = own.hand_out(surroundings_.random);
    const pairing::SignedPreKey& signed_key = own.signed_pre_key;
    receipt.child(NodeBuilder("keys")
                      .child(NodeBuilder("type").bytes(ByteSpan(&kKeyType, 1)))
                      .child(NodeBuilder("identity").bytes(phone_.identity.public_key.bytes))
                      .child(key_node("key", fresh.id, fresh.key))
                      .child(key_node("skey", signed_key.id, signed_key.key.public_key)
                                 .child(NodeBuilder("signature").bytes(signed_key.signature))));
  }
  output_.stanzas.push_back(std::move(receipt));
}

PhonePeer::Output PhonePeer::read(const std::vector<std::string>& ids, Now now) {
  for (const std::string& id : ids) {
    const PhoneMessage* message = phone_.memory.log.find(id);
    if (message == nullptr || message->from_me) continue;
    const auto chat = Jid::parse(message->chat);
    const auto from = Jid::parse(message->from);
    if (!chat || !from) continue;
    NodeBuilder receipt("receipt");
    receipt.attr("id", id).attr("to", *chat).attr("type", "read").attr("t", now.wall.seconds());
    if (chat->server == wire::kServerGroup) receipt.attr("participant", *from);
    output_.stanzas.push_back(std::move(receipt));
  }
  return take();
}

// ---- what others say of what the phone sent ----------------------------------------------------

void PhonePeer::on_receipt(const Node& stanza) {
  const auto from = stanza.jid("from");
  const auto participant = stanza.jid("participant");
  const std::optional<Jid> reader = participant ? participant : from;
  const auto device = reader ? surroundings_.accounts.device(*reader) : std::optional<DeviceKey>();
  if (!device) return;
  const std::string_view type = stanza.attr("type");
  const std::string word = type.empty()         ? "delivered"
                           : type == "inactive" ? "delivered"
                                                : std::string(type.substr(0, 32));
  std::vector<std::string> ids = {std::string(stanza.attr("id"))};
  if (const Node* list = stanza.child("list")) {
    for (const Node& item : list->children()) {
      if (ids.size() == kMostReceiptItems) break;
      if (item.tag == "item") ids.emplace_back(item.attr("id"));
    }
  }
  for (const std::string& id : ids) {
    PhoneMessage* message = phone_.memory.log.find(id, shown({phone_.id, 0}));
    if (message == nullptr) continue;
    std::string& so_far = message->receipts[shown(*device)];
    if (!so_far.empty() && progress_of(so_far) >= progress_of(word)) continue;
    so_far = word;
    note(Note::What::receipt, *message, *device, word);
  }
}

void PhonePeer::on_ack(const Node& ack) {
  if (ack.attr("class") != "message") return;
  PhoneMessage* message =
      phone_.memory.log.find(std::string(ack.attr("id")), shown({phone_.id, 0}));
  if (message == nullptr) return;
  message->error = ack.printed("error");
  if (!message->error.empty()) {
    note(Note::What::failed, *message, {}, message->error);
  } else {
    message->receipts.emplace("", "sent");
  }
}

void PhonePeer::on_notification(const Node& notification) {
  if (notification.attr("type") != "encrypt" || notification.child("identity") == nullptr) return;
  const auto from = notification.jid("from");
  const Phone* account = from ? surroundings_.accounts.find(*from) : nullptr;
  if (account == nullptr) return;
  for (auto& [device, session] : phone_.memory.sessions) {
    if (device.phone_id == account->id) session.archive_current();
  }
}

}  // namespace wa::mock

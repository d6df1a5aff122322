#include "mockserver/core/enc_faults.hpp"

#include <algorithm>

#include "engine/protocol/signal/messages.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::NodeBuilder;
using Part = CorruptEncFault::Part;

/// One more than what a receiver catches up with at once.
constexpr std::uint32_t kTooFar = 2001;
constexpr std::byte kBadVersion{0x44};

std::vector<NodeBuilder>* children_of(NodeBuilder& node) {
  return std::get_if<std::vector<NodeBuilder>>(&node.content());
}

std::string attr_of(const NodeBuilder& node, std::string_view key) {
  for (const auto& [name, value] : node.attributes()) {
    if (name != key) continue;
    const auto* text = std::get_if<std::string>(&value);
    return text != nullptr ? *text : std::get<Jid>(value).to_string();
  }
  return {};
}

std::optional<Jid> jid_of(const NodeBuilder& node, std::string_view key) {
  const auto jid = Jid::parse(attr_of(node, key));
  return jid ? std::optional(*jid) : std::nullopt;
}

/// The place of a view in the bytes that it views.
std::size_t offset_in(const Bytes& whole, ByteSpan part) {
  return static_cast<std::size_t>(part.data() - whole.data());
}

/// A bit in the middle of the ciphertext.
bool flip_body(Bytes& body, std::string_view type) {
  ByteSpan ciphertext;
  if (type == "pkmsg") {
    const auto message = signal::PreKeySignalMessage::parse(body);
    if (!message) return false;
    ciphertext = message->message.ciphertext;
  } else if (type == "skmsg") {
    const auto message = signal::SenderKeyMessage::parse(body);
    if (!message) return false;
    ciphertext = message->ciphertext;
  } else {
    const auto message = signal::SignalMessage::parse(body);
    if (!message) return false;
    ciphertext = message->ciphertext;
  }
  body[offset_in(body, ciphertext) + ciphertext.size() / 2] ^= std::byte{1};
  return true;
}

/// The last byte of the code, or of a group message's signature.
bool flip_mac(Bytes& body, std::string_view type) {
  std::size_t last = body.size() - 1;
  if (type == "pkmsg") {
    const auto message = signal::PreKeySignalMessage::parse(body);
    if (!message) return false;
    last = offset_in(body, message->message.mac) + message->message.mac.size() - 1;
  }
  body[last] ^= std::byte{1};
  return true;
}

bool raise_counter(Bytes& body, std::string_view type) {
  const auto raised = [](ByteSpan bytes) -> std::optional<Bytes> {
    const auto message = signal::SignalMessage::parse(bytes);
    if (!message) return std::nullopt;
    Bytes out =
        signal::SignalMessage::serialize_covered(message->ratchet_key, message->counter + kTooFar,
                                                 message->previous_counter, message->ciphertext);
    append(out, message->mac);
    return out;
  };
  if (type == "skmsg") {
    const auto message = signal::SenderKeyMessage::parse(body);
    if (!message) return false;
    Bytes out = signal::SenderKeyMessage::serialize_covered(
        message->id, message->iteration + kTooFar, message->ciphertext);
    append(out, message->signature);
    body = std::move(out);
    return true;
  }
  if (type == "pkmsg") {
    auto message = signal::PreKeySignalMessage::parse(body);
    if (!message) return false;
    const auto inner = raised(message->message_bytes);
    if (!inner) return false;
    message->message_bytes = *inner;
    body = message->serialize();
    return true;
  }
  auto out = raised(body);
  if (!out) return false;
  body = std::move(*out);
  return true;
}

bool corrupt(NodeBuilder& enc, Part part) {
  auto* body = std::get_if<Bytes>(&enc.content());
  if (body == nullptr || body->size() < 2) return false;
  const std::string type = attr_of(enc, "type");
  switch (part) {
    case Part::mac: return flip_mac(*body, type);
    case Part::body: return flip_body(*body, type);
    case Part::version: body->front() = kBadVersion; return true;
    case Part::counter: return raise_counter(*body, type);
  }
  WA_UNREACHABLE("a part without a corruption");
}

/// Calls `change` for every `<enc>` below; true if one of them said so.
template <class Change>
bool each_enc(NodeBuilder& node, Change&& change) {
  auto* children = children_of(node);
  if (children == nullptr) return false;
  bool changed = false;
  for (NodeBuilder& child : *children) {
    if (child.tag() == "enc") {
      changed = change(child) || changed;
    } else if (child.tag() == "participants" || child.tag() == "to") {
      changed = each_enc(child, change) || changed;
    }
  }
  return changed;
}

bool is_skmsg(const NodeBuilder& node) {
  return node.tag() == "enc" && attr_of(node, "type") == "skmsg";
}

NodeBuilder* child_of(NodeBuilder& node, std::string_view tag) {
  auto* children = children_of(node);
  if (children == nullptr) return nullptr;
  const auto found = std::find_if(children->begin(), children->end(),
                                  [&](const NodeBuilder& child) { return child.tag() == tag; });
  return found == children->end() ? nullptr : &*found;
}

}  // namespace

bool corrupt_enc(NodeBuilder& stanza, Part part) {
  if (stanza.tag() != "message") return false;
  return each_enc(stanza, [part](NodeBuilder& enc) { return corrupt(enc, part); });
}

bool spoil_sender_key(NodeBuilder& stanza, SenderKeyFault::Kind kind) {
  auto* children = children_of(stanza);
  if (stanza.tag() != "message" || children == nullptr ||
      std::none_of(children->begin(), children->end(), is_skmsg)) {
    return false;
  }
  if (kind == SenderKeyFault::Kind::missing) {
    return std::erase_if(*children, [](const NodeBuilder& child) {
             return child.tag() == "participants" || (child.tag() == "enc" && !is_skmsg(child));
           }) != 0;
  }
  return each_enc(stanza, [](NodeBuilder& enc) {
    auto* body = std::get_if<Bytes>(&enc.content());
    if (!is_skmsg(enc) || body == nullptr) return false;
    const auto message = signal::SenderKeyMessage::parse(*body);
    if (!message) return false;
    Bytes out = signal::SenderKeyMessage::serialize_covered(message->id ^ 1, message->iteration,
                                                            message->ciphertext);
    append(out, message->signature);
    *body = std::move(out);
    return true;
  });
}

bool spoil_names(NodeBuilder& stanza, LidFault::Kind kind) {
  if (stanza.tag() != "message") return false;
  const bool group = !attr_of(stanza, "participant").empty();
  const std::string author = group ? "participant" : "from";
  const auto name = jid_of(stanza, author);
  if (!name) return false;
  const bool hidden = name->server == wire::kServerLid;
  const std::string prefix = group ? "participant_" : "sender_";
  const std::string other_key = prefix + (hidden ? "pn" : "lid");
  auto other = jid_of(stanza, other_key);
  if (!other) return false;
  stanza.set_attr(other_key, std::nullopt);
  if (kind == LidFault::Kind::missing) return true;
  other->device = name->device;
  stanza.set_attr(author, *other);
  stanza.set_attr(prefix + (hidden ? "lid" : "pn"), name->without_device());
  if (!attr_of(stanza, "addressing_mode").empty()) {
    stanza.set_attr("addressing_mode", std::string(hidden ? "pn" : "lid"));
  }
  return true;
}

bool spoil_bundles(NodeBuilder& answer, BundleFault::Kind kind,
                   std::map<std::string, NodeBuilder>& handed_out) {
  using Kind = BundleFault::Kind;
  NodeBuilder* list = child_of(answer, "list");
  auto* users = list == nullptr ? nullptr : children_of(*list);
  if (users == nullptr || users->empty()) return false;
  if (kind == Kind::missing) {
    list->content() = std::monostate();
    return true;
  }
  bool changed = false;
  for (NodeBuilder& user : *users) {
    if (kind == Kind::bad_signature) {
      NodeBuilder* signed_key = child_of(user, "skey");
      NodeBuilder* signature = signed_key ? child_of(*signed_key, "signature") : nullptr;
      auto* bytes = signature ? std::get_if<Bytes>(&signature->content()) : nullptr;
      if (bytes == nullptr || bytes->empty()) continue;
      bytes->front() ^= std::byte{1};
      changed = true;
      continue;
    }
    NodeBuilder* one_time = child_of(user, "key");
    if (one_time == nullptr) continue;
    if (kind == Kind::no_one_time) {
      std::erase_if(*children_of(user),
                    [](const NodeBuilder& child) { return child.tag() == "key"; });
      changed = true;
      continue;
    }
    const auto [first, is_first] = handed_out.emplace(attr_of(user, "jid"), *one_time);
    if (is_first) continue;  // nothing that could be handed out again
    *one_time = first->second;
    changed = true;
  }
  return changed;
}

}  // namespace wa::mock

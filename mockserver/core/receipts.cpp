// Receipts: what a device says of messages it got, and who is told.
// Source: docs/protocol/routing.md, "Receipts".

#include <algorithm>

#include "mockserver/core/legible.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// One receipt may be about many messages; more than this many are nobody's screen.
constexpr std::size_t kMaxReceiptItems = 1000;

/// Whom a receipt concerns.
enum class Audience {
  sending_device,  ///< it alone can do something about it
  sender,          ///< every device of the account that sent the message
  reader,          ///< other devices of the account that read it
  sender_and_reader
};

Audience audience_of(std::string_view type) {
  if (type == "retry" || type == "sender" || type == "peer_msg" || type == "hist_sync" ||
      type == "server-error" || type == "enc_rekey_retry") {
    return Audience::sending_device;
  }
  if (type == "read-self" || type == "played-self") return Audience::reader;
  if (type == "read" || type == "played") return Audience::sender_and_reader;
  return Audience::sender;
}

bool is_chat_of_many(const Jid& jid) {
  return jid.server == wire::kServerGroup || jid.server == "broadcast";
}

/// What is wrong with the shape of a receipt; empty: nothing.
std::string flaw_of(const Node& receipt) {
  if (receipt.attr("id").empty()) return "a receipt without id";
  if (!is_word(receipt.attr("id"))) return "a receipt whose id is no text, or endless";
  if (receipt.attr("type") != "retry") return {};
  const Node* retry = receipt.child("retry");
  const Node* registration = receipt.child("registration");
  if (retry == nullptr || retry->number("count").value_or(0) == 0) {
    return "a retry receipt without <retry count>";
  }
  if (registration == nullptr || registration->bytes().size() != 4) {
    return "a retry receipt without the 4 bytes of <registration>";
  }
  return {};
}

std::vector<std::string> ids_of(const Node& receipt) {
  std::vector<std::string> ids = {std::string(receipt.attr("id"))};
  const Node* list = receipt.child("list");
  if (list == nullptr) return ids;
  for (const Node& item : list->children()) {
    if (ids.size() == kMaxReceiptItems) break;
    if (item.tag == "item") ids.emplace_back(item.attr("id"));
  }
  return ids;
}

}  // namespace

void Tenant::Impl::on_receipt(const DeviceKey& reader, const Node& receipt, Now now) {
  if (std::string flaw = flaw_of(receipt); !flaw.empty()) {
    blame(reader, "receipt-shape", std::move(flaw), receipt);
    if (receipt.attr("id").empty() || !is_word(receipt.attr("id"))) return;
  }
  std::optional<int> error;
  if (Peer* peer = online(reader)) error = ack_error(*peer, receipt, now);
  acknowledge(reader, receipt, {error, {}}, now);
  for (const std::string& id : ids_of(receipt)) {
    if (Peer* peer = online(reader)) peer->owed_acks.receipted(id);
    settle(reader, {"message", id, receipt.jid("to")}, now);
  }
  if (!error) route_receipt(reader, receipt, now);
}

void Tenant::Impl::route_receipt(const DeviceKey& reader, const Node& receipt, Now now) {
  const std::string id(receipt.attr("id"));
  const std::optional<Jid> to = receipt.jid("to");
  const bool many = to && is_chat_of_many(*to);
  const std::optional<Jid> named = many ? receipt.jid("participant") : to;
  const Phone* author = named ? accounts.find(*named) : nullptr;
  if (named && author == nullptr) return;  // of the server, or of somebody who is gone
  const Sent* sent = find_sent(id, author);
  if (author == nullptr && sent != nullptr) author = accounts.find(sent->device.phone_id);
  if (author == nullptr) return;

  const Phone* own = accounts.find(reader.phone_id);
  const Audience audience = audience_of(receipt.attr("type"));
  std::vector<DeviceKey> readers;
  if (audience == Audience::sending_device || author == own) {
    if (sent != nullptr) {
      readers.push_back(sent->device);
    } else if (const auto device = named ? accounts.device(*named) : std::nullopt) {
      readers.push_back(*device);
    }
  } else {
    if (audience != Audience::reader) readers = Accounts::devices(*author);
    if (audience != Audience::sender && !many) {
      for (const DeviceKey& device : Accounts::devices(*own)) readers.push_back(device);
    }
  }
  for (const DeviceKey& device : readers) {
    if (device == reader) continue;
    deliver(device, receipt_for(device, reader, *author, sent, receipt, now), now);
  }
}

/// A receipt as one device is shown it.
NodeBuilder Tenant::Impl::receipt_for(const DeviceKey& device, const DeviceKey& reader,
                                      const Phone& author, const Sent* sent, const Node& receipt,
                                      Now now) {
  const std::optional<Jid> to = receipt.jid("to");
  const bool many = to && is_chat_of_many(*to);
  // The sender knows the chat by the name that it used.
  const bool by_sender = !many && sent != nullptr && device.phone_id == author.id;
  const Group* group = to ? groups.find(*to) : nullptr;
  const Addressing form = group != nullptr ? Groups::form_of(*group, accounts)
                          : by_sender      ? addressing_of(sent->chat)
                                           : accounts.form_for(device);
  NodeBuilder stanza("receipt");
  if (many) {
    stanza.attr("from", *to).attr("participant", accounts.address(reader, form));
  } else {
    stanza.attr("from", accounts.address(reader, form));
  }
  stanza.attr("id", std::string(receipt.attr("id")));
  if (receipt.has_attr("type")) stanza.attr("type", receipt.printed("type"));
  stanza.attr("t", now.wall.seconds());
  if (!many && device.phone_id == reader.phone_id) {
    // Between devices of one account the chat is with somebody else.
    const Phone* chat = &author;
    if (author.id == reader.phone_id) {
      const std::optional<Jid> recipient = receipt.jid("recipient");
      if (recipient) chat = accounts.find(*recipient);
      if (sent != nullptr) chat = accounts.find(sent->chat);
    }
    if (chat != nullptr) stanza.attr("recipient", chat->address(form));
  }
  for (const Node& child : receipt.children()) stanza.child(NodeBuilder::copy_of(child));
  return stanza;
}

/// A message is delivered with its receipt; some clients send an ack on top of it.
}  // namespace wa::mock

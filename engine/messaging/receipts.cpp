#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"

/// Receipts: what we say of messages that came, and what is said of ours.
namespace wa::messaging {
namespace {

using wire::Jid;
using wire::NodeBuilder;

constexpr std::string_view kServerNewsletter = "newsletter";

}  // namespace

/// A message that was read needs a receipt and no ack: the receipt is the server's sign, too.
/// Source: docs/protocol/delivery.md, "Receipts".
void Messenger::Impl::acknowledge(const IncomingMessage& message, const Peer& author,
                                  bool history) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", message.id).attr("to", message.from);
  if (message.participant) receipt.attr("participant", *message.participant);
  if (message.peer) {
    receipt.attr("type", "peer_msg");
  } else if (author.self) {
    if (message.recipient) receipt.attr("recipient", *message.recipient);
    receipt.attr("type", "sender");
  } else if (!available_) {
    receipt.attr("type", "inactive");
  }
  send(std::move(receipt));
  if (!history) return;
  send(NodeBuilder("receipt")
           .attr("id", message.id)
           .attr("to", message.from.without_device())
           .attr("type", "hist_sync"));
}

Attempt<void> Messenger::Impl::handle(const ReceiptWork& work, Work&) {
  const IncomingReceipt& receipt = work.receipt;
  send_if(work.ack);
  WA_TRY(const Peer reader, peer_of(receipt.reader()));
  // Between our own devices only reading and playing are worth telling; the rest is about copies.
  const bool copy = reader.self && receipt.kind == ReceiptKind::delivered;
  const UnixMillis at = receipt.at.value_or(now_.wall);
  for (const std::string& id : receipt.ids) look_for_future(id);
  if (!reader.self) {
    // What has been delivered has been sent, even if the server's word on it was lost.
    for (const std::string& id : receipt.ids) sent(id, at);
  }
  if (copy) return {};
  const Jid chat = reader.self && receipt.recipient ? *receipt.recipient : receipt.from;
  publish(ReceiptReceived{receipt.ids, chat.without_device(), receipt.reader(), receipt.kind, at});
  return {};
}

void Messenger::Impl::say_read(const ReadRequested& request) {
  if (request.chat.server == kServerNewsletter) return;
  for (std::size_t begin = 0; begin < request.ids.size(); begin += limits::kMaxIdsPerReceipt) {
    const std::size_t end = std::min(begin + limits::kMaxIdsPerReceipt, request.ids.size());
    NodeBuilder receipt("receipt");
    receipt.attr("id", request.ids[begin]).attr("to", request.chat);
    if (request.sender) receipt.attr("participant", *request.sender);
    receipt.attr("type", "read").attr("t", now_.wall.seconds());
    if (end - begin > 1) {
      NodeBuilder list("list");
      for (std::size_t i = begin + 1; i < end; ++i) {
        list.child(NodeBuilder("item").attr("id", request.ids[i]));
      }
      receipt.child(std::move(list));
    }
    actions_.push_back(SendStanza{std::move(receipt)});
  }
}

}  // namespace wa::messaging

#include "engine/messaging/messenger_impl.hpp"

/// Pre-key bundles: how sessions begin with devices that we have not heard of.
namespace wa::messaging {

using wire::NodeBuilder;

/// Asked for by LID where that is known, so that two names of a device are one query.
Fetch Messenger::Impl::bundle_of(const Peer& peer, std::uint16_t device) {
  wire::Jid jid = peer.jid();
  jid.device = device;
  return {Fetch::What::bundle, std::move(jid)};
}

NodeBuilder Messenger::Impl::bundles_query(const std::vector<Fetch>& fetches) {
  NodeBuilder key("key");
  for (const Fetch& fetch : fetches) key.child(NodeBuilder("user").attr("jid", fetch.of));
  return NodeBuilder("iq")
      .attr("xmlns", "encrypt")
      .attr("type", "get")
      .attr("to", wire::Jid::server_itself())
      .child(std::move(key));
}

}  // namespace wa::messaging

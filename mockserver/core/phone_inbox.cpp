// A phone that nobody plays: it takes what comes, and says so.

#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

void Tenant::Impl::deliver_to_phone(Phone& phone, const wire::Node& stanza, Now now) {
  if (stanza.tag != "message") return;
  const auto from = stanza.jid("from");
  if (!from) return;
  wire::NodeBuilder receipt("receipt");
  receipt.attr("id", std::string(stanza.attr("id"))).attr("to", *from);
  if (const auto participant = stanza.jid("participant")) receipt.attr("participant", *participant);
  if (const auto recipient = stanza.jid("recipient")) {
    receipt.attr("recipient", *recipient).attr("type", "sender");
  } else if (stanza.attr("category") == "peer") {
    receipt.attr("type", "peer_msg");
  }
  const auto frame =
      wire::decode(wire::encode(receipt, wire::Dictionary::v3), wire::Dictionary::v3);
  WA_ASSERT(frame.has_value());
  submit(DeviceKey{phone.id, 0}, frame->root(), now);
}

}  // namespace wa::mock

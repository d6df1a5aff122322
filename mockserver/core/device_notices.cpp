// Notifications about devices and their keys: who has one more or less, whose keys run out, whose
// identity is another. Source: docs/protocol/routing.md, "Notifications".

#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::NodeBuilder;

std::string hash_of(const Phone& phone, Addressing form) {
  const Phone* const phones[] = {&phone};
  return Accounts::device_hash(phones, form);
}

NodeBuilder device_node(const Phone& phone, Addressing form, std::uint16_t device,
                        std::uint32_t key_index) {
  NodeBuilder node("device");
  node.attr("jid", phone.address(form, device));
  if (form == Addressing::pn) node.attr("lid", phone.lid(device));
  if (device != 0) node.attr("key-index", key_index);
  return node;
}

}  // namespace

NodeBuilder Tenant::Impl::notification(const Jid& from, std::string type, Now now) {
  return NodeBuilder("notification")
      .attr("from", from)
      .attr("type", std::move(type))
      .attr("id", next_stanza_id())
      .attr("t", now.wall.seconds());
}

/// Tells everybody who has talked to an account that a device came or went, and its own devices
/// what there are now.
void Tenant::Impl::tell_devices_changed(Phone& phone, std::uint16_t device, std::uint32_t key_index,
                                        bool added, Now now) {
  phone.forget_key_index_list();
  const std::string tag = added ? "add" : "remove";
  const auto change = [&](Addressing form) {
    NodeBuilder stanza = notification(phone.address(form), "devices", now);
    if (form == Addressing::pn) stanza.attr("lid", phone.lid());
    NodeBuilder what(tag);
    what.attr("device_hash", hash_of(phone, Addressing::pn));
    what.attr("device_lid_hash", hash_of(phone, Addressing::lid));
    what.child(device_node(phone, form, device, key_index));
    NodeBuilder list("key-index-list");
    const KeyIndexList& signed_list = phone.key_index_list(now, random);
    list.attr("ts", signed_list.seconds);
    if (added) list.bytes(signed_list.bytes);
    what.child(std::move(list));
    stanza.child(std::move(what));
    return stanza;
  };
  for (const std::string& contact : phone.contacts) {
    const Phone* other = accounts.find(contact);
    if (other == nullptr || other == &phone) continue;
    for (const DeviceKey& reader : Accounts::devices(*other)) {
      if (reader.is_phone()) continue;
      // Clients keep device lists by the name that they asked with, and each looks at one.
      deliver(reader, change(Addressing::pn), now);
      if (accounts.form_for(reader) == Addressing::lid) {
        deliver(reader, change(Addressing::lid), now);
      }
    }
  }
  for (const DeviceKey& own : Accounts::devices(phone)) {
    if (own.is_phone() || (added && own.device == device)) continue;
    NodeBuilder devices("devices");
    devices.attr("dhash", hash_of(phone, Addressing::pn));
    devices.child(device_node(phone, Addressing::pn, 0, 0));
    for (const auto& [number, companion] : phone.companions) {
      devices.child(device_node(phone, Addressing::pn, number, companion.key_index));
    }
    NodeBuilder stanza = notification(phone.jid(), "account_sync", now);
    deliver(own, std::move(stanza.child(std::move(devices))), now);
  }
}

/// Tells a companion that is there how few of its one-time keys are left; others ask at login.
void Tenant::Impl::tell_prekeys_low(const DeviceKey& device, Now now) {
  const Companion* companion = accounts.companion(device);
  if (companion == nullptr || online(device) == nullptr) return;
  NodeBuilder stanza = notification(Jid::server_itself(), "encrypt", now);
  stanza.child(NodeBuilder("count").attr("value", companion->prekeys.size()));
  deliver(device, std::move(stanza), now);
}

/// Tells everybody who has talked to an account that its identity key is another. For faults.
void Tenant::Impl::tell_identity_changed(const Phone& phone, Now now) {
  for (const std::string& contact : phone.contacts) {
    const Phone* other = accounts.find(contact);
    if (other == nullptr || other == &phone) continue;
    for (const DeviceKey& reader : Accounts::devices(*other)) {
      if (reader.is_phone()) continue;
      NodeBuilder stanza = notification(phone.address(accounts.form_for(reader)), "encrypt", now);
      deliver(reader, std::move(stanza.child(NodeBuilder("identity"))), now);
    }
  }
}

}  // namespace wa::mock

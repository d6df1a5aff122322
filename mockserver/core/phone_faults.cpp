// Faults of the end-to-end layer: what goes wrong with sessions, keys and identities, at the phones
// and in the server's store.

#include <algorithm>

#include "mockserver/core/enc_faults.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Node;
using wire::NodeBuilder;

}  // namespace

bool Tenant::Impl::touches_contents() const {
  return faults.any<CorruptEncFault>() || faults.any<SenderKeyFault>() || faults.any<LidFault>();
}

/// A message on its way, in either direction.
void Tenant::Impl::spoil_contents(const Peer& peer, Direction direction, NodeBuilder& stanza,
                                  Now now) {
  const FaultEngine::Occasion occasion{peer.subject(), direction, &stanza};
  const auto apply = [&]<class Fault>(auto spoil) {
    const auto fits = [&](const Fault& fault) {
      NodeBuilder copy = stanza;
      return spoil(copy, fault);
    };
    for (const FaultRecord* fault : faults.act<Fault>(occasion, now, fits)) {
      note_fault(*fault, peer);
      (void)spoil(stanza, std::get<Fault>(fault->kind));
    }
  };
  apply.operator()<CorruptEncFault>([](NodeBuilder& node, const CorruptEncFault& fault) {
    return corrupt_enc(node, fault.part);
  });
  apply.operator()<SenderKeyFault>([](NodeBuilder& node, const SenderKeyFault& fault) {
    return spoil_sender_key(node, fault.kind);
  });
  apply.operator()<LidFault>(
      [](NodeBuilder& node, const LidFault& fault) { return spoil_names(node, fault.kind); });
}

/// The answer to a query for bundles.
void Tenant::Impl::spoil_answer(const Peer& peer, const Node& iq, NodeBuilder& answer, Now now) {
  if (!faults.any<BundleFault>() || iq.attr("xmlns") != "encrypt" || iq.child("key") == nullptr) {
    return;
  }
  const FaultEngine::Occasion occasion{peer.subject(), Direction::to_client, &answer};
  const auto fits = [&](const BundleFault& fault) {
    NodeBuilder copy = answer;
    return spoil_bundles(copy, fault.kind, handed_out_);
  };
  for (const FaultRecord* fault : faults.act<BundleFault>(occasion, now, fits)) {
    note_fault(*fault, peer);
    (void)spoil_bundles(answer, std::get<BundleFault>(fault->kind).kind, handed_out_);
  }
}

/// A phone asks for a message that it could read. True: it has not read this copy.
bool Tenant::Impl::refuses_to_read(Phone& phone, const Node& stanza, Now now) {
  if (!faults.any<RetryReceiptFault>() || stanza.tag != "message") return false;
  const auto participant = stanza.jid("participant");
  const auto author = participant ? participant : stanza.jid("from");
  const auto device = author ? accounts.device(*author) : std::optional<DeviceKey>();
  Peer* peer = device ? online(*device) : nullptr;
  if (peer == nullptr) return false;
  const FaultEngine::Occasion occasion{peer->subject(), Direction::to_server, &stanza};
  for (const FaultRecord* fault : faults.act<RetryReceiptFault>(occasion, now)) {
    note_fault(*fault, *peer);
    const auto& retry = std::get<RetryReceiptFault>(fault->kind);
    carry(phone, phone_peer(phone, now).ask_again(stanza, retry.count, retry.keys, now), now);
    return true;
  }
  return false;
}

void Tenant::Impl::perform_end_to_end(const FaultRecord& fault, Peer& peer, Now now) {
  if (!peer.companion) return;
  const DeviceKey device = *peer.companion;
  if (const auto* prekeys = std::get_if<PreKeysFault>(&fault.kind)) {
    leave_prekeys(device, prekeys->left, now);
  } else if (const auto* session = std::get_if<SessionFault>(&fault.kind)) {
    for (const auto& [id, known] : accounts.phones()) {
      if (!known.memory.sessions.contains(device)) continue;
      phone_peer(*accounts.find(id), now).spoil_session(device, session->kind);
    }
  } else if (const auto* change = std::get_if<IdentityChangeFault>(&fault.kind)) {
    std::vector<std::string> ids;
    if (!change->phone.empty()) {
      if (const Phone* named = accounts.find(change->phone)) ids.push_back(named->id);
    } else if (const Phone* own = accounts.find(device.phone_id)) {
      ids.assign(own->contacts.begin(), own->contacts.end());
      std::erase(ids, own->id);
    }
    for (const std::string& id : ids) change_identity(id, now);
  }
}

/// The server has so many one-time keys of the device left, and says so.
void Tenant::Impl::leave_prekeys(const DeviceKey& device, std::uint32_t left, Now now) {
  Companion* companion = accounts.companion(device);
  if (companion == nullptr) return;
  while (companion->prekeys.size() > left) (void)companion->prekeys.take();
  tell_prekeys_low(device, now);
}

/// The phone is set up anew: another identity, nothing remembered, no companions. Those who wrote
/// with it are told.
void Tenant::Impl::change_identity(const std::string& phone_id, Now now) {
  const std::vector<DeviceKey> devices = Accounts::devices(*accounts.find(phone_id));
  for (const DeviceKey& device : devices) {
    if (!device.is_phone()) unlink(device, "device_removed", now);
  }
  Phone& phone = *accounts.find(phone_id);
  phone.identity = crypto::generate_key_pair(random);
  phone.keys.reset();
  phone.memory.sessions.clear();
  phone.memory.own_sender_keys.clear();
  phone.memory.sender_keys.clear();
  phone.memory.app_state_key.reset();
  for (const std::string& contact : phone.contacts) {
    Phone* told = accounts.find(contact);
    if (told == nullptr) continue;
    for (auto& [device, session] : told->memory.sessions) {
      if (device.phone_id == phone_id) session.archive_current();
    }
  }
  tell_identity_changed(phone, now);
}

}  // namespace wa::mock

#include "engine/messaging/messenger_impl.hpp"

/// Accounts with new keys, under a policy that does not take them as they come: what is refused,
/// and how somebody accepts them. Source: docs/protocol/delivery.md, "Identities".
namespace wa::messaging {
namespace {

std::vector<RecordKey> distrust_keys(const Peer& peer) {
  std::vector<RecordKey> keys;
  for (std::string& key : peer.keys()) {
    keys.push_back({std::string(kDistrustedKind), std::move(key)});
  }
  return keys;
}

}  // namespace

Attempt<bool> Messenger::Impl::is_distrusted(const Peer& peer) {
  if (!policy_.strict_identity || peer.self) return false;
  const std::vector<RecordKey> keys = distrust_keys(peer);
  WA_TRY_VOID(records_.need(keys));
  for (const RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (record) return true;
  }
  return false;
}

Attempt<void> Messenger::Impl::distrust(const Peer& peer) {
  WA_TRY(const bool known, is_distrusted(peer));
  if (known) return {};
  records_.put(distrust_keys(peer).front(), to_bytes("1"));
  publish(IdentityChanged{peer.jid()});
  return {};
}

/// Whatever is shared with the account is forgotten, so its keys are those that come next.
Attempt<void> Messenger::Impl::handle(const TrustRequested& request, Work&) {
  WA_TRY(const Peer peer, peer_of(request.account));
  if (peer.self) return {};
  WA_TRY(const bool distrusted, is_distrusted(peer));
  if (!distrusted) return {};
  WA_TRY(const std::set<std::uint16_t> devices, known_devices(peer));
  std::vector<RecordKey> keys = distrust_keys(peer);
  for (const std::uint16_t device : devices) add_session_keys(peer, device, keys);
  add_device_list_keys(peer, keys);
  for (RecordKey& key : keys) records_.erase(std::move(key));
  return {};
}

}  // namespace wa::messaging

#include "engine/messaging/messenger_impl.hpp"

/// Sessions with the devices of accounts, where they are stored and how they begin.
namespace wa::messaging {

void Messenger::Impl::add_session_keys(const Peer& peer, std::uint16_t device,
                                       std::vector<RecordKey>& to) {
  for (std::string& key : peer.keys(device)) {
    to.push_back({std::string(kSessionKind), std::move(key)});
  }
}

Attempt<std::vector<Messenger::Impl::SessionAt>> Messenger::Impl::sessions_with(
    const Peer& peer, std::uint16_t device) {
  std::vector<RecordKey> keys;
  add_session_keys(peer, device, keys);
  WA_TRY_VOID(records_.need(keys));
  std::vector<SessionAt> sessions;
  for (RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    auto session = signal::Session::decode(*record);
    if (session) {
      session->enter_era(watermarks_.era);
      sessions.push_back({std::move(key), std::move(*session)});
    } else {
      complain("the session with " + key.key + " is damaged and begins anew");
    }
  }
  return sessions;
}

Messenger::Impl::SessionAt* Messenger::Impl::current_of(std::vector<SessionAt>& sessions) {
  for (SessionAt& one : sessions) {
    if (one.session.has_current()) return &one;
  }
  return nullptr;
}

Messenger::Impl::SessionAt& Messenger::Impl::first_of(std::vector<SessionAt>& sessions,
                                                      const Peer& peer,
                                                      std::uint16_t device) const {
  if (sessions.empty()) {
    sessions.push_back({{std::string(kSessionKind), peer.keys(device).front()}, {}});
    sessions.front().session.enter_era(watermarks_.era);
  }
  return sessions.front();
}

signal::Outcome<void> Messenger::Impl::begin_session(std::vector<SessionAt>& sessions,
                                                     const Peer& peer, std::uint16_t device,
                                                     const signal::PreKeyBundle& bundle) {
  SessionAt* current = current_of(sessions);
  SessionAt& at = current ? *current : first_of(sessions, peer, device);
  const auto known = at.session.remote_identity();
  if (policy_.strict_identity && !peer.self && known && *known != bundle.identity) {
    return signal::Refusal{signal::Failure::invalid_key, "new keys, which nobody has accepted"};
  }
  return at.session.initiate(keys_.identity(), bundle, random_);
}

Attempt<std::set<std::uint16_t>> Messenger::Impl::known_devices(const Peer& peer) {
  std::vector<RecordKey> lists;
  add_device_list_keys(peer, lists);
  WA_TRY_VOID(records_.need(lists));
  std::set<std::uint16_t> devices{0};
  for (const RecordKey& list : lists) {
    WA_TRY(const Bytes* record, records_.read(list));
    if (!record) continue;
    if (const auto known = Devices::decode(*record)) {
      devices.insert(known->numbers.begin(), known->numbers.end());
    }
  }
  return devices;
}

Attempt<void> Messenger::Impl::archive_sessions(const Peer& peer,
                                                std::optional<std::uint16_t> except) {
  std::vector<RecordKey> lists;
  add_device_list_keys(peer, lists);
  WA_TRY(const std::set<std::uint16_t> devices, known_devices(peer));
  std::vector<RecordKey> keys;
  for (const std::uint16_t device : devices) {
    if (device != except) add_session_keys(peer, device, keys);
  }
  WA_TRY_VOID(records_.need(keys));
  for (const std::uint16_t device : devices) {
    if (device == except) continue;
    WA_TRY(std::vector<SessionAt> sessions, sessions_with(peer, device));
    for (SessionAt& one : sessions) {
      if (!one.session.has_current()) continue;
      one.session.archive_current();
      put(one);
    }
  }
  for (const RecordKey& list : lists) {
    WA_TRY(const Bytes* record, records_.read(list));
    if (record) records_.erase(list);
  }
  return {};
}

}  // namespace wa::messaging

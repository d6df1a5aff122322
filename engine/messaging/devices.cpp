#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"

/// Which devices accounts have: asked by usync, believed for an hour, dropped when the server says
/// that they changed.
namespace wa::messaging {
namespace {

using wire::NodeBuilder;

constexpr std::int64_t kBelievedMillis = 60 * 60 * 1000;

RecordKey devices_key(std::string key) {
  return {std::string(kDevicesKind), std::move(key)};
}

}  // namespace

bool Messenger::Impl::is_recent(UnixMillis at) const {
  const std::int64_t age = now_.wall.value - at.value;
  return age >= 0 && age < kBelievedMillis;
}

void Messenger::Impl::add_device_list_keys(const Peer& peer, std::vector<RecordKey>& to) {
  for (std::string& key : peer.keys()) to.push_back(devices_key(std::move(key)));
}

Attempt<std::vector<std::uint16_t>> Messenger::Impl::devices_of(const Peer& peer,
                                                                const wire::Jid& asked_as,
                                                                Belief belief, const Work& work,
                                                                Blocked& blocked) {
  std::vector<RecordKey> keys;
  add_device_list_keys(peer, keys);
  WA_TRY_VOID(records_.need(keys));
  const Fetch fetch{Fetch::What::devices, asked_as};
  const bool asked = work.tried.contains(fetch);
  std::vector<std::uint16_t> old;
  for (const RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    auto known = Devices::decode(*record);
    if (!known) continue;
    if (is_recent(known->at) && (asked || belief == Belief::recent))
      return std::move(known->numbers);
    if (old.empty()) old = std::move(known->numbers);
  }
  // A list that is too old is better than none.
  if (asked) return old;
  blocked.fetches.push_back(fetch);
  return old;
}

NodeBuilder Messenger::Impl::devices_query(const std::vector<Fetch>& fetches) {
  NodeBuilder list("list");
  for (const Fetch& fetch : fetches) list.child(NodeBuilder("user").attr("jid", fetch.of));
  const auto sid = random_.array<8>();
  return NodeBuilder("iq")
      .attr("xmlns", "usync")
      .attr("type", "get")
      .attr("to", wire::Jid::server_itself())
      .child(NodeBuilder("usync")
                 .attr("sid", to_hex(sid))
                 .attr("mode", "query")
                 .attr("last", "true")
                 .attr("index", 0)
                 .attr("context", "message")
                 .child(NodeBuilder("query")
                            .child(NodeBuilder("devices").attr("version", 2))
                            .child(NodeBuilder("lid")))
                 .child(std::move(list)));
}

Attempt<void> Messenger::Impl::handle(const DevicesArrived& arrived, Work&) {
  std::vector<RecordKey> names;
  for (const AccountAnswer& account : arrived.accounts) {
    add_name_keys(account.asked, names);
    if (account.lid) add_name_keys(*account.lid, names);
  }
  WA_TRY_VOID(records_.need(names));
  std::vector<std::pair<RecordKey, Devices>> lists;
  for (const AccountAnswer& account : arrived.accounts) {
    WA_TRY(const Peer peer, peer_of(account.asked, account.lid));
    if (!account.devices.empty()) {
      lists.emplace_back(devices_key(peer.keys().front()), Devices{account.devices, now_.wall});
      continue;
    }
    // Nobody is without a phone. Whatever else is known stays; that is not believed for long.
    std::vector<RecordKey> keys;
    add_device_list_keys(peer, keys);
    WA_TRY_VOID(records_.need(keys));
    bool known = false;
    for (const RecordKey& key : keys) {
      WA_TRY(const Bytes* record, records_.read(key));
      known = known || record;
    }
    if (!known) lists.emplace_back(keys.front(), Devices{{0}, UnixMillis{0}});
  }
  for (auto& [key, devices] : lists) records_.put(std::move(key), devices.encode());
  return {};
}

/// One that is not on the list shows that the list is out of date.
Attempt<void> Messenger::Impl::heed_device(const Peer& peer, std::uint16_t device) {
  std::vector<RecordKey> keys;
  add_device_list_keys(peer, keys);
  WA_TRY_VOID(records_.need(keys));
  for (const RecordKey& key : keys) {
    WA_TRY(const Bytes* record, records_.read(key));
    if (!record) continue;
    const auto known = Devices::decode(*record);
    if (known && !std::ranges::binary_search(known->numbers, device)) forget_devices(peer);
  }
  return {};
}

/// Whatever is known of the account's devices is not believed any more.
void Messenger::Impl::forget_devices(const Peer& peer) {
  for (std::string& key : peer.keys()) records_.erase(devices_key(std::move(key)));
}

Attempt<void> Messenger::Impl::handle(const NoticeWork& work, Work&) {
  const IncomingNotice& notice = work.notice;
  if (notice.what == IncomingNotice::What::group) {
    forget_group(notice.account);
    send_if(work.ack);
    return {};
  }
  WA_TRY(const Peer peer, peer_of(notice.account, notice.alias));
  if (notice.what == IncomingNotice::What::identity && policy_.strict_identity) {
    WA_TRY_VOID(distrust(peer));
  } else if (notice.what == IncomingNotice::What::identity) {
    WA_TRY_VOID(archive_sessions(peer));
    publish(IdentityChanged{peer.jid()});
  } else {
    forget_devices(peer);
  }
  send_if(work.ack);
  return {};
}

}  // namespace wa::messaging

// What can be looked at: connections, phones, coverage.

#include <algorithm>

#include "engine/base/limits.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

std::vector<ConnectionInfo> Tenant::Impl::connections() const {
  std::vector<ConnectionInfo> infos;
  for (const auto& [id, peer] : peers_) infos.push_back(connection_info(peer));
  for (const auto& [id, bad] : bad_links_) {
    if (bad.closing) infos.push_back(*bad.closing);
  }
  return infos;
}

ConnectionInfo Tenant::Impl::connection_info(const Peer& peer) const {
  ConnectionInfo info;
  info.id = peer.id;
  info.label = peer.label;
  info.device_jid = peer.device_jid;
  info.phase = peer.phase == Phase::handshake ? "handshake"
               : peer.phase == Phase::pairing ? "pairing"
                                              : "open";
  info.remote = peer.remote;
  info.frames_in = peer.link->frames_in();
  info.frames_out = peer.link->frames_out();
  info.dictionary = static_cast<int>(peer.link->dictionary());
  const auto bad = bad_links_.find(peer.id);
  info.client_gone = peer.upgrading || (bad != bad_links_.end() && bad->second.client_gone);
  return info;
}

PhoneInfo Tenant::Impl::describe(const Phone& phone) {
  PhoneInfo info;
  info.id = phone.id;
  info.number = phone.number;
  info.name = phone.name;
  info.jid = phone.jid().to_string();
  info.lid = phone.lid().to_string();
  for (const auto& [device, companion] : phone.companions) {
    CompanionInfo row;
    row.device_jid = phone.jid(device).to_string();
    row.label = companion.label;
    row.platform = companion.registration.os;
    row.prekeys = companion.prekeys.size();
    row.online = online(DeviceKey{phone.id, device}) != nullptr;
    info.devices.push_back(std::move(row));
  }
  return info;
}

std::optional<GroupInfo> Tenant::Impl::describe_group(std::string_view jid) const {
  const auto parsed = wire::Jid::parse(jid);
  const Group* group = parsed ? groups.find(*parsed) : nullptr;
  if (group == nullptr) return std::nullopt;
  GroupInfo info{group->jid().to_string(), group->subject, {}};
  for (const auto& [phone_id, role] : group->members) {
    if (const Phone* member = accounts.find(phone_id)) info.members.push_back(member->number);
  }
  return info;
}

void Tenant::Impl::cover(std::string stanza, std::string_view route) {
  std::pair row(legible(stanza, 128), std::string(route));
  if (coverage_.size() >= limits::kMaxCoverageRows && !coverage_.contains(row)) {
    row.first = "others";
  }
  ++coverage_[row];
}

std::vector<CoverageRow> Tenant::Impl::coverage() const {
  std::vector<CoverageRow> rows;
  for (const auto& [key, count] : coverage_) rows.push_back({key.first, key.second, count});
  return rows;
}

}  // namespace wa::mock

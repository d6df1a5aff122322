#include "engine/messaging/peers.hpp"

namespace wa::messaging {

wire::Jid Peer::jid() const {
  return lid.empty() ? wire::Jid(number, wire::kServerPn) : wire::Jid(lid, wire::kServerLid);
}

wire::Jid Peer::jid_like(const wire::Jid& other) const {
  if (other.server == wire::kServerPn && !number.empty()) {
    return wire::Jid(number, wire::kServerPn);
  }
  return jid();
}

wire::Jid Peer::other_name_of(const wire::Jid& name) const {
  if (name.server == wire::kServerLid) {
    return number.empty() ? wire::Jid() : wire::Jid(number, wire::kServerPn);
  }
  return lid.empty() ? wire::Jid() : wire::Jid(lid, wire::kServerLid);
}

// As Signal addresses are written: the domain number behind the user unless it is 0.
std::vector<std::string> Peer::keys() const {
  std::vector<std::string> keys;
  if (!lid.empty()) keys.push_back(lid + "_1");
  if (!number.empty()) keys.push_back(number);
  return keys;
}

std::vector<std::string> Peer::keys(std::uint16_t device) const {
  std::vector<std::string> all = keys();
  for (std::string& key : all) key += "." + std::to_string(device);
  return all;
}

}  // namespace wa::messaging

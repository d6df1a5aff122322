#pragma once

#include <map>
#include <optional>
#include <set>

#include "engine/base/now.hpp"
#include "mockserver/core/accounts.hpp"

namespace wa::mock {

/// Who says to be there, and who wants to know.
class PresenceBoard {
 public:
  /// What a follower is to be told, under the name that it asked for.
  struct Follower {
    DeviceKey device;
    wire::Jid asked_for;
  };
  /// A device says that it is there, or no longer. Answers who is to be told, because the account
  /// as a whole came or went; nobody otherwise.
  std::vector<Follower> set(const DeviceKey& device, bool available, UnixMillis at);
  /// False when it follows too many already.
  bool follow(const DeviceKey& follower, const std::string& phone_id, const wire::Jid& asked_for);
  void unfollow(const DeviceKey& follower, const std::string& phone_id);
  /// The device is gone for good.
  void forget(const DeviceKey& device);
  void clear() { boards_.clear(), following_.clear(); }

  bool available(const std::string& phone_id) const;
  std::optional<UnixMillis> last_seen(const std::string& phone_id) const;

 private:
  struct Board {
    std::set<DeviceKey> available;
    std::optional<UnixMillis> last_seen;
    std::map<DeviceKey, wire::Jid> followers;
  };
  std::map<std::string, Board> boards_;                   ///< by phone id
  std::map<DeviceKey, std::set<std::string>> following_;  ///< phone ids
};

}  // namespace wa::mock

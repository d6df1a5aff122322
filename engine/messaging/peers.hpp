#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/messaging/attempt.hpp"

namespace wa::messaging {

/// An account under both of its names, as far as they are known. Records are found under either:
/// what was stored under the phone number stays there and goes on being used when the LID becomes
/// known, so nothing is ever moved while somebody looks for it.
struct Peer {
  std::string number;  ///< user part of the phone-number JID
  std::string lid;     ///< user part of the LID
  bool self = false;   ///< our own account

  bool operator==(const Peer& other) const {
    return lid.empty() || other.lid.empty() ? number == other.number : lid == other.lid;
  }

  /// The one name of the account: its LID if that is known.
  wire::Jid jid() const;
  /// The name in the family of another JID, else the one that there is.
  wire::Jid jid_like(const wire::Jid& other) const;
  /// The name that `jid` is not; without a server when it is unknown.
  wire::Jid other_name_of(const wire::Jid& jid) const;

  /// Keys of records of the account, or of one of its devices; the canonical one first.
  std::vector<std::string> keys() const;
  std::vector<std::string> keys(std::uint16_t device) const;
};

}  // namespace wa::messaging

#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>

#include "engine/base/now.hpp"

namespace wa::mock {

/// A message as the user of a phone sees it: one that came, or one of the own account. JIDs are
/// phone-number ones, whatever was on the wire.
struct PhoneMessage {
  std::string id = {};
  bool from_me = false;    ///< of this phone or of a companion of it
  bool peer = false;       ///< between devices of the account, not for people
  std::string chat = {};   ///< the other account, or the group
  std::string from = {};   ///< the device that wrote it
  std::string kind = {};   ///< text, reaction, edit, …; `unreadable` until it could be read
  std::string text = {};   ///< what it says: of a reaction its emoji, of a contact its name
  std::string about = {};  ///< id of the message that it answers, reacts to, edits or revokes
  UnixMillis at{};
  std::string why = {};        ///< signal::Failure's word of the last copy that could not be read
  std::uint32_t failures = 0;  ///< copies that could not be read
  /// What devices said of a message of this phone's, the furthest they went: sent (the server took
  /// it), delivered, read, played. The server is "".
  std::map<std::string, std::string> receipts = {};
  std::string error = {};  ///< the server's, as in its ack
  bool operator==(const PhoneMessage&) const = default;
};

/// Everything that a phone's user has seen, oldest first; the oldest go when there are too many.
class PhoneLog {
 public:
  explicit PhoneLog(std::size_t most) : most_(most) {}

  PhoneMessage& add(PhoneMessage message);
  /// By id and author (empty: whoever it is, the first one). Null when there is none.
  PhoneMessage* find(const std::string& id, const std::string& from = {});
  const std::deque<PhoneMessage>& messages() const { return messages_; }

 private:
  std::size_t most_;
  std::deque<PhoneMessage> messages_;
  std::unordered_multimap<std::string, std::uint64_t> places_;  ///< by id
  std::uint64_t first_ = 0;                                     ///< place of the oldest
};

}  // namespace wa::mock

#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "engine/base/limits.hpp"
#include "engine/protocol/message/content.hpp"
#include "engine/protocol/signal/sender_key.hpp"
#include "engine/protocol/signal/session.hpp"
#include "engine/protocol/wire/jid.hpp"
#include "mockserver/core/device_key.hpp"
#include "mockserver/core/phone_log.hpp"

namespace wa::mock {

/// What a phone remembers as a Signal peer, beside the keys that it registered with.
///
/// A peer device is named by account and number and never by its JID: the same device comes under a
/// phone number once and under a LID the next time, with one session.
struct PhoneMemory {
  std::map<DeviceKey, signal::Session> sessions;
  /// What they were before the last message was written with them; for the fault `session`.
  std::map<DeviceKey, signal::Session> earlier_sessions;

  /// Its own key for a group, and who has it.
  struct OwnSenderKey {
    signal::SenderKey key;
    std::set<DeviceKey> distributed_to;
  };
  std::map<std::string, OwnSenderKey> own_sender_keys;                          ///< by group JID
  std::map<std::pair<std::string, DeviceKey>, signal::SenderKeys> sender_keys;  ///< of others

  /// The key of the account's app state, the same for all companions.
  std::optional<message::AppStateKeys::One> app_state_key;
  /// Companions that were sent keys and history after their first login.
  std::set<std::uint16_t> welcomed;

  /// A message that may be asked for again.
  struct Sent {
    wire::Jid chat;
    message::Envelope envelope;  ///< as for devices of others
    bool peer = false;           ///< to a companion of its own, as its phone
    std::map<DeviceKey, std::uint32_t> resent;
  };
  /// The oldest first in `sent_order`.
  std::map<std::string, Sent> sent;
  std::deque<std::string> sent_order;
  PhoneLog log{limits::kMaxPhoneMessages};  ///< not saved

  void remember(const std::string& id, Sent message);
  /// The device is gone for good.
  void forget(const DeviceKey& device);

  /// What survives a restart: sessions, sender keys, the app-state key, who was welcomed, and what
  /// may be asked for again.
  boost::json::object save() const;
  /// Errors: `malformed`, naming the member.
  static Result<PhoneMemory> load(const boost::json::object& object);
};

}  // namespace wa::mock

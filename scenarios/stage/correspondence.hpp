#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/messaging/messenger.hpp"
#include "scenarios/stage/device.hpp"

namespace wa::stage {

/// Entries that an event for the application amounts to: message, undecryptable, receipt (one for
/// each message), sent, send_failed, identity_changed, rollback_suspected, presence, typing; none
/// for answers (SendAccepted, GroupChanged, GroupFailed), and for what devices tell each other. The
/// simulator and `testline engine` share it.
std::vector<Entry> entries_of(const messaging::AppEvent& event, Instant at);

/// What somebody asks a device to say, as its engine takes it. A message that another one is about
/// is named by its id alone in the protocol of clients under test, so this remembers who said what:
/// the newest 1000 messages that came or went while the process lives.
class Correspondence {
 public:
  static constexpr std::size_t kMost = 1000;

  void note(const messaging::AppEvent& event);
  /// It was accepted under this id.
  void said(const std::string& id, const messaging::SendRequested& request);

  /// `message` as check_message() wants it; `me`: the JID of the device, empty while unpaired.
  /// Errors: `usage`; `not_found`: a message that is not known here.
  Result<messaging::SendRequested> send(const boost::json::object& message, std::string_view me,
                                        UnixMillis at) const;
  /// One for each author. Errors: `usage`, `not_found`.
  Result<std::vector<messaging::ReadRequested>> read(std::string_view chat,
                                                     const std::vector<std::string>& ids) const;

 private:
  struct Known {
    wire::Jid chat;
    wire::Jid sender;  ///< empty: this account
    bool from_me = false;
    std::string text;
  };
  void remember(const std::string& id, Known known);
  Result<const Known*> find(const std::string& id) const;
  message::Key key_of(const std::string& id, const Known& known) const;

  std::unordered_map<std::string, Known> known_;
  std::deque<std::string> order_;
};

}  // namespace wa::stage

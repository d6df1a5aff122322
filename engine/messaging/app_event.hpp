#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/protocol/message/content.hpp"
#include "engine/protocol/wire/jid.hpp"

/// What the application is told. An event is stored until the application has taken it, and
/// published again at every start until then, under the same number. Not stored: answers
/// (SendAccepted, GroupChanged, GroupFailed) and what is worth nothing later (presence).
namespace wa::messaging {

/// Where a message stands.
struct Origin {
  std::string id;
  wire::Jid chat;          ///< without device, in the form that the server used
  wire::Jid sender;        ///< with device
  wire::Jid sender_alias;  ///< its other name (phone number or LID) without device, if it is known
  bool from_me = false;    ///< sent by another device of this account
  bool replayed = false;   ///< the server kept it while we were away
  UnixMillis at{};
  std::string push_name;
  bool operator==(const Origin&) const = default;
};

struct MessageReceived {
  Origin origin;
  message::Content content;
  bool operator==(const MessageReceived&) const = default;
};

/// A message came that cannot be read, and will not be. `reason` is a signal::Failure's word, or:
/// `unavailable` (the server says that there is nothing for this device), `not_encrypted`,
/// `unknown_type` (of encryption), `untrusted_identity` (its author has new keys, and nobody has
/// accepted them), `forged` (what only one's own phone may say, said by somebody
/// else).
struct MessageUnreadable {
  Origin origin;
  std::string reason;
  bool operator==(const MessageUnreadable&) const = default;
};

enum class ReceiptKind : std::uint8_t { delivered = 1, read = 2, played = 3 };

/// Somebody has our messages; or another device of ours has read somebody's.
struct ReceiptReceived {
  std::vector<std::string> ids;
  wire::Jid chat;    ///< without device
  wire::Jid reader;  ///< with device
  ReceiptKind kind = ReceiptKind::delivered;
  UnixMillis at{};
  bool operator==(const ReceiptReceived&) const = default;
};

/// A message is durable here, and will be sent or reported as failed.
struct SendAccepted {
  std::string id;
  bool operator==(const SendAccepted&) const = default;
};
/// The server has it.
struct MessageSent {
  std::string id;
  wire::Jid to;
  UnixMillis at{};
  std::uint32_t skipped_devices = 0;  ///< for which there were no usable keys
  bool operator==(const MessageSent&) const = default;
};
/// It will not be sent. `reason`: `refused` (by the server, with `code`), `timed_out`, `no_devices`
/// (the account has none, or the server does not say), `no_sessions` (no keys for any of them),
/// `unsupported` (nobody can be written to under such a JID), `untrusted_identity`.
struct SendFailed {
  std::string id;
  wire::Jid to;
  std::string reason;
  std::optional<int> code;
  UnixMillis at{};
  bool operator==(const SendFailed&) const = default;
};
/// An account has new keys: it was set up anew, or somebody else answers in its name. Under a
/// strict policy nothing is read from it or sent to it until TrustRequested.
struct IdentityChanged {
  wire::Jid account;  ///< without device
  bool operator==(const IdentityChanged&) const = default;
};

/// What the device has stored is an older copy of itself: somebody restored a backup. Sessions
/// begin anew, and messages that others write meanwhile are asked for again; what was sent or
/// received since the copy was made is not known here. `evidence`: `pre_keys` (the server has keys
/// of this device that it never made), `message_ids` (somebody tells of a message of this device
/// that it never sent).
struct RollbackSuspected {
  std::string evidence;
  bool operator==(const RollbackSuspected&) const = default;
};
/// A group was made or changed, but for those whom the server refused.
struct GroupChanged {
  struct Refused {
    wire::Jid member;
    int code = 0;  ///< the server's
    bool operator==(const Refused&) const = default;
  };
  wire::Jid group;
  std::vector<Refused> refused;
  bool operator==(const GroupChanged&) const = default;
};
/// It was not. `reason`: `refused` (by the server, with `code`), `timed_out`, `connection_lost`
/// (nobody knows), `not_connected`, `not_paired`, `unsupported` (no such group or member can be).
struct GroupFailed {
  wire::Jid group;  ///< without a server: a new one
  std::string reason;
  std::optional<int> code;
  bool operator==(const GroupFailed&) const = default;
};

/// An account is there, or no longer.
struct PresenceSeen {
  wire::Jid account;  ///< without device, as it was asked for
  bool available = false;
  std::optional<UnixMillis> last_seen;  ///< as far as the account lets others know
  bool operator==(const PresenceSeen&) const = default;
};
enum class Typing : std::uint8_t { composing, recording, paused };
/// Somebody writes in a chat, or pauses.
struct TypingSeen {
  wire::Jid chat;    ///< without device
  wire::Jid sender;  ///< the same as the chat, unless that is a group
  Typing typing = Typing::composing;
  bool operator==(const TypingSeen&) const = default;
};

struct AppEvent {
  using What = std::variant<MessageReceived, MessageUnreadable, ReceiptReceived, SendAccepted,
                            MessageSent, SendFailed, IdentityChanged, RollbackSuspected,
                            GroupChanged, GroupFailed, PresenceSeen, TypingSeen>;
  std::uint64_t seq = 0;  ///< 0: not stored, and not to be taken
  What what;
  /// Of the SendRequested that it answers, if that was asked for in this life of the process.
  std::optional<std::uint64_t> ref;
  bool operator==(const AppEvent&) const = default;
};

}  // namespace wa::messaging

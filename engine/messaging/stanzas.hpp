#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/limits.hpp"
#include "engine/base/now.hpp"
#include "engine/messaging/app_event.hpp"
#include "engine/messaging/attempt.hpp"
#include "engine/messaging/stored.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/signal/bundle.hpp"
#include "engine/protocol/wire/node.hpp"

/// Stanzas as values that own what they hold. Whatever a server sends becomes one of these, or
/// nothing; what is missing, doubled, too long or of the wrong kind is not there afterwards.
namespace wa::messaging {

inline constexpr std::string_view kServerBroadcast = "broadcast";

/// Whether a JID names an account or one of its devices, by phone number or by LID.
bool is_account(const wire::Jid& jid);
/// Whether it names a group, a broadcast list, or the status of contacts.
bool is_many(const wire::Jid& jid);

/// The ack of a stanza, to be sent later. Empty: it gets none.
std::optional<wire::NodeBuilder> ack_of(const wire::Node& stanza);

/// A message as it came in.
struct IncomingMessage {
  struct Enc {
    std::string type;
    Bytes body;
  };
  std::string id;
  wire::Jid from;
  std::optional<wire::Jid> participant;
  std::optional<wire::Jid> recipient;
  std::optional<wire::Jid> author_alias;  ///< its other name, as far as the stanza says
  std::optional<wire::Jid> recipient_alias;
  std::optional<UnixMillis> at;
  std::string push_name;
  bool replayed = false;
  bool peer = false;  ///< category=peer: from one's own phone, for this device alone
  std::vector<Enc> encs;
  bool unavailable = false;
  std::optional<wire::NodeBuilder> ack;

  /// Who wrote it: a device.
  const wire::Jid& author() const { return participant ? *participant : from; }

  /// Empty when there is nothing to be made of it.
  static std::optional<IncomingMessage> read(const wire::Node& stanza);
};

/// A receipt, other than one that asks for a retry.
struct IncomingReceipt {
  std::vector<std::string> ids;
  wire::Jid from;
  std::optional<wire::Jid> participant;
  std::optional<wire::Jid> recipient;
  ReceiptKind kind = ReceiptKind::delivered;
  std::optional<UnixMillis> at;

  const wire::Jid& reader() const { return participant ? *participant : from; }

  /// Empty when it tells nothing that an application wants to know.
  static std::optional<IncomingReceipt> read(const wire::Node& stanza);
};

/// Somebody could not read a message of ours.
struct IncomingRetry {
  std::string id;
  wire::Jid from;
  std::optional<wire::Jid> participant;
  std::uint32_t count = 1;
  std::optional<std::uint32_t> registration_id;
  std::optional<signal::PreKeyBundle> bundle;

  const wire::Jid& reader() const { return participant ? *participant : from; }

  static std::optional<IncomingRetry> read(const wire::Node& stanza);
};

/// Something changed about an account.
struct IncomingNotice {
  enum class What : std::uint8_t { identity, devices, group };
  What what = What::identity;
  wire::Jid account = {};
  std::optional<wire::Jid> alias = {};

  static std::optional<IncomingNotice> read(const wire::Node& stanza);
};

/// The server's word on a message of ours.
struct IncomingAck {
  std::string id;
  std::optional<int> error;
  std::optional<UnixMillis> at;
  std::string phash;

  static std::optional<IncomingAck> read(const wire::Node& stanza);
};

/// The keys of one device, under `<user>` or within `<keys>`. `registration_id` is that of the
/// bundle when there is one, else `otherwise`. Errors: `malformed`.
Result<signal::PreKeyBundle> read_bundle(const wire::Node& node,
                                         std::optional<std::uint32_t> otherwise = {});

/// What a usync answer says of one of the accounts that it was asked for.
struct AccountAnswer {
  wire::Jid asked;
  std::vector<std::uint16_t> devices = {};  ///< ascending; empty: the server does not say
  std::optional<wire::Jid> lid = {};
};
std::vector<AccountAnswer> read_devices(const wire::Node* answer, const std::vector<Fetch>& asked);

/// What the server says of a group.
struct GroupAnswer {
  struct Member {
    wire::Jid jid;
    std::optional<wire::Jid> alias = {};
  };
  wire::Jid asked;
  bool by_lid = false;
  std::vector<Member> members = {};
};
std::optional<GroupAnswer> read_group(const wire::Node* answer, const wire::Jid& asked);

/// What the server says to a change of a group.
struct GroupVerdict {
  std::optional<int> error = {};  ///< nothing was changed
  std::vector<GroupChanged::Refused> refused = {};
  std::optional<GroupAnswer> group = {};  ///< the new one
};
/// `change`: the tag of what was asked for.
GroupVerdict read_group_verdict(const wire::Node& answer, std::string_view change);

std::optional<PresenceSeen> read_presence(const wire::Node& stanza);
std::optional<TypingSeen> read_chatstate(const wire::Node& stanza);

/// `<skey>`: the signed pre-key, as others get it.
wire::NodeBuilder signed_key_node(const pairing::SignedPreKey& key);

/// What the server says of one of the devices that it was asked for.
struct BundleAnswer {
  wire::Jid asked;
  std::optional<signal::PreKeyBundle> bundle = {};
  std::string flaw = {};  ///< why there is none
};
std::vector<BundleAnswer> read_bundles(const wire::Node* answer, const std::vector<Fetch>& asked);

}  // namespace wa::messaging

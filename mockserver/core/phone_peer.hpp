#pragma once

#include <functional>

#include "mockserver/core/accounts.hpp"
#include "mockserver/core/fault_record.hpp"

namespace wa::mock {

/// A group as the server knows it.
struct GroupDevices {
  Addressing form = Addressing::lid;  ///< how its members are called in its messages
  std::vector<DeviceKey> devices;     ///< of all members
};

/// What is to be sent: to an account or a group.
struct Outgoing {
  wire::Jid chat;
  message::Content content;
  std::string id = {};  ///< empty: one is drawn
};

/// A virtual phone as a full Signal peer: device 0 of its account. It reads what it is sent,
/// answers as a phone does (receipts, retry receipts, acks), encrypts what it sends for every
/// device of the recipient and for its own companions, and sends again what somebody could not
/// read.
///
/// What lasts is in `Phone` (its keys and its memory); this works on it for one call. Stanzas go
/// from and to the server in process, so their names of devices are the server's.
///
///     PhonePeer peer(phone, surroundings);
///     for (NodeBuilder& stanza : peer.receive(node, now).stanzas) submit(stanza);
///
/// Source: docs/protocol/messages.md.
class PhonePeer {
 public:
  /// What a phone looks up and draws; outlives the peer.
  struct Surroundings {
    Accounts& accounts;
    Random& random;
    /// Takes one of the device's one-time keys. None: there is no such device.
    std::function<std::optional<DeviceBundle>(const DeviceKey&)> take_bundle;
    /// None: there is no such group, or this phone is no member of it.
    std::function<std::optional<GroupDevices>(const wire::Jid&)> group;
  };

  /// Something that is worth an event.
  struct Note {
    enum class What {
      received,    ///< a message came and was read
      unreadable,  ///< a message came and could not be read
      sent,        ///< a message goes to the server
      resent,      ///< it goes once more to a device that asked for it
      refused,     ///< a device asked once too often, or for a message that nobody remembers
      receipt,     ///< a device has it, or its user read it
      failed,      ///< the server refused a message
    };
    What what = What::received;
    PhoneMessage message;  ///< as the log has it now; of a message that it has not only the id
    std::optional<DeviceKey> device;  ///< the other one, if it is about one
    std::string detail;               ///< the receipt's word, why it could not be read, the error
  };

  /// What comes of a call, in order.
  struct Output {
    std::vector<wire::NodeBuilder> stanzas;  ///< for the server
    std::vector<Note> notes;
  };

  PhonePeer(Phone& phone, Surroundings surroundings);

  /// The server hands the phone a stanza. What is of no use to a phone is taken silently.
  Output receive(const wire::Node& stanza, Now now);

  /// Errors: `not_found` (nobody is called so, no such group), `conflict` (nobody to encrypt for).
  Result<Output> send(const Outgoing& outgoing, Now now);

  /// What a new companion gets after its first login: the account's app-state key, and what it is
  /// to know of the past.
  Output welcome(std::uint16_t companion, message::HistoryNotice history, Now now);

  /// Asks for a message as if it could not be read, and reads nothing of it.
  Output ask_again(const wire::Node& message, std::uint32_t count, bool keys, Now now);
  void spoil_session(const DeviceKey& device, SessionFault::Kind kind);

  /// The user opens the chat: read receipts for these messages of others, as far as they are there.
  Output read(const std::vector<std::string>& ids, Now now);

 private:
  using Node = wire::Node;
  using NodeBuilder = wire::NodeBuilder;

  // phone_sessions.cpp: what is encrypted, and for whom.
  signal::LocalIdentity local();
  PhoneKeys& keys() { return surroundings_.accounts.keys_of(phone_, surroundings_.random); }
  /// The padded plaintext inside an `<enc>`, without its padding.
  signal::Outcome<Bytes> open(const DeviceKey& author, const std::string& group, const Node& enc);
  signal::Outcome<Bytes> open_pre_key(const DeviceKey& author, ByteSpan bytes);
  bool begin_session(const DeviceKey& device);
  bool begin_session(const DeviceKey& device, const signal::PreKeyBundle& bundle);
  /// An `<enc>` for one device; none when there is no session and no bundle to begin one.
  std::optional<NodeBuilder> seal(const DeviceKey& reader, const message::Envelope& envelope);
  /// The envelope as this device is to have it: the own account's know where it went.
  message::Envelope addressed(const DeviceKey& reader, const PhoneMemory::Sent& sent) const;

  // phone_receive.cpp
  /// A message, taken apart.
  struct Incoming {
    const Node& stanza;
    std::string id;
    wire::Jid from;
    std::optional<wire::Jid> participant;
    DeviceKey author;
    bool group = false;
    bool own = false;  ///< written by a companion of this account
    bool peer = false;
  };
  void on_message(const Node& stanza, Now now);
  void on_unreadable(const Incoming& incoming, const signal::Refusal& refusal, Now now);
  void learn_sender_key(const DeviceKey& author, const message::KeyDistribution& distribution);
  void confirm(const Incoming& incoming);
  /// None: its author is gone, or it has no id.
  std::optional<Incoming> take_apart(const Node& stanza) const;
  void ask_again(const Incoming& incoming, int reason, std::uint32_t count, bool with_keys,
                 Now now);
  std::string chat_of(const Incoming& incoming, const message::Envelope* envelope) const;
  void on_receipt(const Node& stanza);
  void on_ack(const Node& ack);
  void on_notification(const Node& notification);
  void acknowledge(const Node& stanza);

  // phone_send.cpp
  Result<void> send_direct(const PhoneMemory::Sent& sent, const std::string& id);
  Result<void> send_to_group(const PhoneMemory::Sent& sent, const std::string& id);
  void send_to_companion(std::uint16_t companion, message::Content content, Now now);
  void on_retry(const Node& receipt);
  void resend(const DeviceKey& device, const wire::Jid& as, const std::string& id,
              PhoneMemory::Sent& sent, std::uint32_t count);
  PhoneMemory::OwnSenderKey& sender_key_for(const std::string& group, const GroupDevices& members);
  message::KeyDistribution distribution_of(const std::string& group) const;
  std::string draw_id();

  void note(Note::What what, const PhoneMessage& message, std::optional<DeviceKey> device = {},
            std::string detail = {});
  std::string shown(const DeviceKey& device) const;
  Output take() { return std::exchange(output_, {}); }

  Phone& phone_;
  Surroundings surroundings_;
  Output output_;
};

/// What a content says and which message it is about, for the log.
std::string text_of(const message::Content& content);
std::string subject_of(const message::Content& content);

/// What `PhoneMessage::kind` calls a message that could not be read yet.
inline constexpr std::string_view kUnreadable = "unreadable";

}  // namespace wa::mock

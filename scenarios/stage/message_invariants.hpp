#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "scenarios/stage/device.hpp"
#include "scenarios/stage/server.hpp"

namespace wa::stage {

/// What holds of messages always: exactly-once-to-app, nothing-lost, acks-well-formed, and the part
/// of no-key-reuse that phones and the server see. A part of Invariants, and fed by it.
///
/// A message is known by its author's account and its id.
class MessageInvariants {
 public:
  /// A device that is connected so long knows what there was to know before, and has answered.
  static constexpr Duration kWithin = std::chrono::seconds(60);

  using Break = std::function<void(std::string_view rule, std::string_view label,
                                   std::string message, Instant at)>;
  /// `within`: kWithin, scaled; with what news may take.
  MessageInvariants(const Server& server, Duration within, Break broken)
      : server_(server), within_(within), break_(std::move(broken)) {}

  void add(const Device& device) { devices_.push_back(&device); }
  void said(const Device& device, const Entry& entry);
  void noticed(const ServerEntry& entry);
  void end(Instant at);

 private:
  /// "15550100002/3EB0…"
  using MessageKey = std::string;
  /// A message that a phone wrote.
  struct Written {
    std::string id;
    std::string phone;  ///< its number
    std::string chat;
    std::vector<std::string> members;  ///< numbers; of the chat, if that is a group
    Instant at;
    std::uint64_t place = 0;  ///< among all, from 1
    bool failed = false;
    bool again = false;  ///< sent more than once, so it may come late
  };
  /// What the devices of one name have heard.
  struct Heard {
    std::unordered_map<MessageKey, std::optional<std::int64_t>> messages;  ///< with their `seq`
    std::set<MessageKey> unreadable;
    std::map<std::string, std::uint64_t> places;  ///< the latest, by author and chat
    std::string jid;                              ///< empty while it is not linked
    Instant linked_at;
    std::optional<Instant> connected_since;
  };
  /// A stanza that wants an ack. A receipt is as good for a message, and both may come.
  struct Wanting {
    Instant since;
    bool message = false;
    bool confirmed = false;
  };
  /// A connection: what was sent on it and is not acknowledged.
  struct Owed {
    std::string label;
    std::unordered_map<std::string, std::vector<Wanting>> stanzas;  ///< by id, oldest first
  };

  MessageKey key_of(std::string_view from, std::string_view id) const;
  /// Null when no phone wrote it.
  Written* find_written(const MessageKey& key);
  void on_message(const Device& device, const Entry& entry);
  void on_phone(const mock::TenantEvent& event, Instant at);
  void on_stanza(const ServerEntry& entry);
  void on_sender_key(const ServerEntry& entry);
  bool is_for(const Written& written, std::string_view jid) const;
  void check_owed(const Owed& owed, Instant at);
  void check_sends(Instant at);
  void check_written(Instant at);
  bool has_fault(std::span<const std::string_view> kinds) const;

  const Server& server_;
  const Duration within_;
  const Break break_;
  std::vector<const Device*> devices_;
  std::map<std::string, Heard, std::less<>> heard_;  ///< by label
  std::vector<Written> written_;                     ///< in order
  std::unordered_map<MessageKey, std::size_t> written_at_;
  std::map<mock::ConnectionId, Owed> owed_;
  /// What group messages were encrypted with: by device, key and iteration the digest.
  std::unordered_map<std::string, std::string> sender_keys_;
  std::unordered_set<MessageKey> read_by_phones_;  ///< with the phone's number before it
};

}  // namespace wa::stage

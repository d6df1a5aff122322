#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/limits.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::mock {

/// What a companion has been sent, or is still to be sent, and has not acknowledged: in order,
/// whatever becomes of its connections. What is in here when a connection ends comes again at the
/// next login.
///
///     mailbox.begin_session();            // at login: everything waits again
///     while (auto stanza = mailbox.next()) send(*stanza);
///     mailbox.add(stanza);                // at any time
///     mailbox.acknowledge({"message", id, from});
///
/// Source: docs/protocol/connection.md, "Acks".
class Mailbox {
 public:
  explicit Mailbox(std::size_t max_stanzas = limits::kMaxMailboxStanzas,
                   std::size_t max_bytes = limits::kMaxMailboxBytes)
      : max_stanzas_(max_stanzas), max_bytes_(max_bytes) {}

  /// A message, receipt, notification or call, behind all others. Too many, or too many bytes: the
  /// oldest is given up.
  void add(wire::NodeBuilder stanza);

  /// What is in it, oldest first, for saving; and back, at the end.
  struct Kept {
    const wire::NodeBuilder& stanza;
    bool ever_sent = false;
  };
  std::vector<Kept> kept() const;
  void restore(wire::NodeBuilder stanza, bool ever_sent);

  /// A new connection: nothing has been sent on it.
  void begin_session();
  /// The next stanza to send on this connection. Those that waited for it have `offline`.
  std::optional<wire::NodeBuilder> next();
  /// Whether the next one waited for the connection.
  bool next_is_offline() const;

  /// What acknowledges: an ack by its class, a receipt as class `message`.
  struct Receipted {
    std::string_view ack_class;
    std::string_view id;
    /// To whom it is addressed; of several stanzas with the same id the one that came from there
    /// is meant. Clients leave it out at times.
    std::optional<wire::Jid> to;
  };
  /// False when nothing that was sent fits.
  bool acknowledge(const Receipted& receipted);
  bool holds(std::string_view ack_class, std::string_view id) const;

  /// What waits for the device, by kind, for `<offline_preview>`.
  struct Counts {
    std::size_t message = 0;
    std::size_t receipt = 0;
    std::size_t notification = 0;
    std::size_t call = 0;
    std::size_t all() const { return message + receipt + notification + call; }
  };
  Counts unsent() const;
  /// Sent on this connection with `offline`, and not acknowledged.
  std::size_t offline_in_flight() const;
  std::size_t size() const { return entries_.size(); }
  /// Given up because there were too many.
  std::size_t given_up() const { return given_up_; }

 private:
  struct Entry {
    wire::NodeBuilder stanza;
    std::string id;
    std::size_t bytes = 0;
    bool waited = false;     ///< for the connection of now
    bool ever_sent = false;  ///< on this or an earlier one
  };
  void erase(std::size_t index);

  std::size_t max_stanzas_;
  std::size_t max_bytes_;
  std::deque<Entry> entries_;
  std::size_t sent_ = 0;  ///< so many from the front were sent on this connection
  std::size_t bytes_ = 0;
  std::size_t given_up_ = 0;
};

}  // namespace wa::mock

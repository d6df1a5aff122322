#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/protocol/wire/node.hpp"

namespace wa::mock {

/// What a node takes up, roughly.
std::size_t bytes_of(const wire::Node& node);

/// Values of an ack's `error`.
namespace ack_errors {
inline constexpr int kNotAllowed = 403;
inline constexpr int kUnknownRecipient = 404;
inline constexpr int kStaleAddressing = 421;  ///< the group is addressed in the other form
inline constexpr int kBadStanza = 479;
}  // namespace ack_errors

/// A `<message>` as a device hands it to the server, taken apart. Views the node.
///
/// Source: docs/protocol/routing.md, "Sending".
struct SentMessage {
  std::string id;
  wire::Jid to;
  std::optional<wire::Jid> participant;  ///< only this device of the group gets it
  std::optional<wire::Jid> recipient;    ///< the chat, when it goes to a device of the sender
  bool peer = false;                     ///< category="peer": for the sender's own phone
  std::string phash;                     ///< empty: not said
  std::string addressing_mode;           ///< of a group; empty: not said

  /// What each device is to get, in the order of the stanza, no device twice.
  struct Copy {
    wire::Jid to;
    std::vector<const wire::Node*> encs;
  };
  std::vector<Copy> copies;
  std::vector<const wire::Node*> encs;       ///< for all, or for the one it is addressed to
  std::vector<const wire::Node*> passed_on;  ///< `<meta>`, `<reporting>`, …: for all, as they are
  const wire::Node* device_identity = nullptr;

  /// What is wrong with it, if it can be delivered all the same.
  struct Flaw {
    std::string_view rule;
    std::string detail;
  };
  std::vector<Flaw> flaws;
};

/// Errors: `malformed` when it cannot be delivered at all (rule `message-shape`).
Result<SentMessage> take_apart(const wire::Node& message);

/// Puts what one device gets to read into its copy: these encs, the sender's identity if it needs
/// that, and what is passed on to all.
void add_contents(wire::NodeBuilder& copy, const std::vector<const wire::Node*>& encs,
                  const SentMessage& message);

}  // namespace wa::mock

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wa::mock {

/// Numbers the connections of a tenant, from 1.
using ConnectionId = std::uint64_t;

/// What a tenant noticed. The words are those of `/v1/events` and of `when.on_event`.
enum class EventKind {
  connected,
  handshake,
  registration,
  pair_device,
  scan,
  link_code,
  pair_success,
  pair_sign,
  login,
  success,
  active,
  stanza_in,
  stanza_out,
  message,  ///< a phone sent, got or could not read a message, or was told what became of one
  closed,
  unlink,
  fault,
  violation,
  healed,  ///< a fault is over for good
};
inline constexpr int kEventKinds = static_cast<int>(EventKind::healed) + 1;
std::string_view to_string(EventKind kind);

/// One line of the trace. Cheap to make: text is rendered to JSON by who shows it.
struct TenantEvent {
  EventKind kind = EventKind::connected;
  ConnectionId connection = 0;
  std::string device;  ///< label of the connection, or the device JID, or empty
  /// Names are literals. Stanzas carry tag, id, type, xmlns, child, and to a group what they are
  /// encrypted with as sender_key; closed carries by, detail; …
  std::vector<std::pair<std::string_view, std::string>> data;
};

/// Something a client did that the real server would not forgive. Rule ids are stable:
/// violations.md.
struct Violation {
  std::string rule;
  ConnectionId connection = 0;
  std::string device;
  std::string detail;  ///< what was expected, what came
  std::string stanza;  ///< printed, if there was one
};

struct ViolationRule {
  std::string_view id;
  std::string_view what;
  std::string_view source;
};
/// Every rule, in the order of the documentation.
const std::vector<ViolationRule>& violation_rules();

}  // namespace wa::mock

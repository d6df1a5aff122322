#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/client/reconnect.hpp"
#include "engine/client/status.hpp"

/// What the end of a stream means, as one table: every way in which a stream can end → what becomes
/// of the credentials, whether and when to reconnect, and what users see. Text is for logs only and
/// never decides anything; what the table does not know keeps the credentials and retries.
///
/// Source: docs/protocol/connection.md, "How streams end".
namespace wa::client {

/// Who said that the stream is over.
enum class Element : std::uint8_t {
  stream_error,  ///< <stream:error>
  failure,       ///< <failure>, instead of <success>
  bulletin,      ///< <ib>
  stream_end,    ///< <xmlstreamend>
  dial,          ///< no socket: the child is the phase, the code an HTTP status
  socket,        ///< the socket closed without a word
  local,         ///< we did: the child says why
};
std::string_view to_string(Element element);

/// Where in a device's life the stream was.
enum class Situation : std::uint8_t {
  unpaired,
  finishing,  ///< this very stream carried pair-success
  paired,
};
std::string_view to_string(Situation situation);

/// How a stream ended.
struct StreamEnd {
  Element element = Element::socket;
  std::optional<int> code = {};
  /// The tag of the first child, with `:type` for <conflict>; for dial and local a word.
  std::string child = {};
  std::string cause = {};                    ///< for humans: the stanza, or what happened
  std::optional<Duration> retry_after = {};  ///< how long a temporary ban lasts
};

enum class Keys : std::uint8_t {
  keep,
  renew,  ///< of an unpaired device: the next attempt has new ones
  erase,
};
std::string_view to_string(Keys keys);

struct ClosePolicy {
  // The key. A code of kAnyCode and a child of "*" match everything, "conflict*" what begins so.
  Element element;
  int code;
  std::string_view child;
  std::optional<Situation> situation;  ///< empty: any
  // The decision.
  Keys keys;
  Retry retry;
  State state;              ///< shown until the next dial; `connecting` keeps a QR on show instead
  std::string_view reason;  ///< a stable word
};

inline constexpr int kAnyCode = -1;
inline constexpr int kNoCode = -2;

/// The rows in the order in which they are tried; the last one of each element matches everything.
std::span<const ClosePolicy> close_policies();

/// The row for an end. Total: there is always one.
const ClosePolicy& close_policy(const StreamEnd& end, Situation situation);

/// The table in Markdown, for the documentation and for operators.
std::string print_close_policies();

}  // namespace wa::client

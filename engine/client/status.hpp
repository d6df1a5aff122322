#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/now.hpp"
#include "engine/base/result.hpp"

namespace wa::client {

/// What users see of a session. The words are stable.
enum class State {
  disconnected,
  connecting,
  waiting_for_scan,
  qr_expired,
  pairing_failed,
  passkey_required,
  connected,
  logged_out,
  replaced,
  temporarily_banned,
  banned,
  account_locked,
  client_outdated,
  needs_relink,
  throttled,
  store_error,
  config_error,
  proxy_error,
  crashed,
};
std::string_view to_string(State state);
/// Errors: `malformed`.
Result<State> state_from(std::string_view word);

/// The QR that is on show.
struct QrOnShow {
  std::string text;
  std::uint32_t sequence = 0;  ///< grows with every code of this session
  Instant expires_at;          ///< when this code dies
  Instant window_expires_at;   ///< when the last code of the server's batch dies
  bool stale = false;          ///< its stream is down: kept on show until it is replaced
  bool operator==(const QrOnShow&) const = default;
};

/// The pairing code that a person may type into the phone now. A secret: only for who asked.
struct PairingCodeOnShow {
  std::string code;            ///< eight characters; shown to people as ABCD-1234
  std::uint32_t sequence = 0;  ///< grows with every code of this session; an older code is void
  Instant expires_at;
  bool operator==(const PairingCodeOnShow&) const = default;
};

/// Why the last stream ended: the first classified reason of its generation.
struct LastClose {
  std::optional<int>
      code;           ///< what the server said; never invented, except 408 for "QR refs ended"
  std::string cause;  ///< the stanza, or what happened to the socket
  UnixMillis at;
  bool operator==(const LastClose&) const = default;
};

struct Status {
  State state = State::disconnected;
  std::string
      reason;  ///< a stable word, or empty: `finishing`, `restart_limit`, `login_timeout`, …
  std::optional<QrOnShow> qr;
  std::optional<PairingCodeOnShow> pairing_code;
  std::string pairing_error;  ///< of reason `pairing_code_rejected`: the server's words
  std::optional<LastClose> last_close;
  std::optional<Instant> next_attempt_at;
  std::uint32_t attempts = 0;       ///< counted reconnects since the last stable connection
  std::string jid;                  ///< once paired
  std::optional<UnixMillis> until;  ///< end of a temporary ban
  /// The server's clock less ours, in whole seconds; empty until the server has said its time.
  std::optional<std::chrono::seconds> clock_offset;
  /// A companion that was deleted or refused here still has to be removed at the server.
  bool removal_pending = false;
  /// Of reason `owned_elsewhere`: who runs the device, in words.
  std::string owner;
  bool operator==(const Status&) const = default;
};

}  // namespace wa::client

#pragma once

#include <optional>
#include <string>

#include "engine/base/now.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/pairing/client_payload.hpp"

namespace wa::client {

using namespace std::chrono_literals;

/// Every duration of the engine's policy. Source: docs/protocol/connection.md,
/// docs/protocol/pairing.md.
struct Timings {
  // Deadlines that declare something failed.
  Duration dial = 20s;            ///< resolve, connect, TLS, upgrade together
  Duration handshake = 20s;       ///< socket open → ClientFinish sent
  Duration first_ref = 20s;       ///< handshake → pair-device
  Duration login = 20s;           ///< handshake → success
  Duration pairing_finish = 60s;  ///< pair-success → connected; then `pairing_failed`
  Duration ping_answer = 10s;     ///< a ping is unanswered after this
  Duration dead_socket = 20s;     ///< from the first send since the last receive
  Duration offline_marker = 30s;  ///< success → release of held events without <offline/>
  Duration request = 60s;         ///< an IQ without an answer
  Duration truthful = 45s;        ///< `connected` needs a frame within this
  Duration logout = 10s;          ///< a requested logout without the server's word; then forget
  Duration removal = 5s;          ///< the same of a delete, and of saying it later
  Duration passkey = 300s;        ///< `passkey_required` without an answer; then `pairing_failed`
  Duration code_request = 20s;    ///< a pairing code is wanted → pair-device; then it is not
  Duration pairing_code = 180s;   ///< validity of a pairing code
  Duration resend = 45s;          ///< a message that was asked for again; then it is unreadable
  // Periods and delays.
  Duration qr_first = 60s;
  Duration qr_rest = 20s;
  Duration ping_min = 15s;
  Duration ping_max = 30s;
  Duration backoff_first = 1s;  ///< doubles up to backoff_max, equal jitter
  Duration backoff_max = 60s;
  Duration slow = 60s;           ///< first delay of class `slow`
  Duration stable = 60s;         ///< of connection, until the back-off counter returns to zero
  Duration restart_close = 1s;   ///< after its last word: how long the server may take to close
  Duration held_back = 10s;      ///< group messages, behind one that lacks its key
  Duration resend_pace = 500ms;  ///< between messages that are sent again, once many were
  Duration signed_pre_key = 7 * 24h;    ///< until another one takes its place
  Duration rotation_retry = 24h;        ///< when the server has not confirmed that
  Duration retired_pre_key = 30 * 24h;  ///< how long peers may use the earlier ones
  Duration owned_retry =
      5s;  ///< of shells: until a device that another process runs is tried again

  /// Every field multiplied; deadlines not below 250 ms, periods and delays not below 20 ms.
  Timings scaled(double factor) const;
};

struct Config {
  std::string url;  ///< ws:// or wss://, with path and query
  crypto::PublicKey noise_root;
  pairing::AppVersion version{2, 3000, 1043857760};
  std::string os = "Ubuntu";
  std::uint32_t initial_prekeys = 812;
  std::uint32_t auto_renew_qr = 3;         ///< windows renewed after the first, then `qr_expired`
  std::uint32_t unpaired_limit = 3;        ///< closes before the first ref, or 515s while unpaired
  std::optional<Duration> takeover_after;  ///< on `replaced`: log in again after this; empty = stop
  Timings timings;
  /// "http://[USER:PASSWORD@]HOST:PORT" or "socks5://…", for everything that is dialled; empty:
  /// none.
  std::string proxy = {};
  bool strict_identity = false;      ///< new keys of a contact are refused until they are accepted
  std::string expected_number = {};  ///< digits; a scan by another number is refused; empty: any
};

}  // namespace wa::client

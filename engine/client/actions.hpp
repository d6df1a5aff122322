#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/change.hpp"
#include "engine/base/now.hpp"
#include "engine/client/status.hpp"
#include "engine/messaging/messenger.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"

/// The outer alphabet of client::Session: what happened to it, what its shell must do.
namespace wa::client {

/// Numbers the sockets of a session. Events of an older generation are dropped and counted.
using Generation = std::uint32_t;

/// How a socket is to be closed. A row-2 word; shells map it to their sockets.
enum class CloseHow { normal, rst };

/// Where a dial failed.
enum class DialPhase { resolve, connect, proxy, tls, upgrade };

// ---- events: what happened ------------------------------------------------------------------

/// The user wants the device running. Idempotent. From a final state it begins anew.
struct StartRequested {};
/// The user wants to link with a phone number: starts, if need be, and shows a code for `number`
/// beside the QR. Every such request makes a new code. What is no number is ignored: a shell checks
/// with pairing::parse_phone_number before.
struct PairingCodeRequested {
  std::string number;
};
/// The user wants it stopped; credentials are kept.
struct StopRequested {};
/// Unlink at the server, then forget the credentials.
struct LogoutRequested {};
/// Forget everything now; tell the server if a stream is up.
struct DeleteRequested {};
/// The configuration names another client version. A session that was told that its version is too
/// old tries again at once; others use it from the next connect on.
struct VersionChanged {
  pairing::AppVersion version;
};
struct Dialed {
  Generation generation = 0;
};
struct DialFailed {
  Generation generation = 0;
  DialPhase phase = DialPhase::connect;
  std::optional<int> http_status;
  std::string detail;
};
struct BytesReceived {
  Generation generation = 0;
  Bytes bytes;
};
/// The socket has ended, whoever ended it.
struct SocketClosed {
  Generation generation = 0;
  std::string detail;
};

/// Work that takes more than a millisecond: a pure function of its inputs (`compute()`), run by the
/// shell's pool on sockets and in place in the simulator.
struct MakePreKeys {
  ByteArray<32> seed{};
  std::uint32_t count = 0;
};
struct DeriveLinkKey {
  std::string code;
  pairing::CodeSalt salt{};
};
using ComputeJob = std::variant<MakePreKeys, DeriveLinkKey>;
using ComputeValue = std::variant<std::vector<crypto::KeyPair>, pairing::LinkKey>;
ComputeValue compute(const ComputeJob& job);

struct Computed {
  std::uint32_t job_id = 0;
  ComputeValue value;
};
// Of messages; engine/messaging/messenger.hpp says what they mean. A device that is not paired
// fails every SendRequested and GroupRequested.
using messaging::AvailabilityChanged;
using messaging::EventTaken;
using messaging::GroupRequested;
using messaging::Loaded;
using messaging::PresenceWanted;
using messaging::ReadRequested;
using messaging::SendRequested;
using messaging::TrustRequested;
using messaging::TypingShown;
struct DeadlineReached {};

using Event =
    std::variant<StartRequested, PairingCodeRequested, StopRequested, LogoutRequested,
                 DeleteRequested, VersionChanged, Dialed, DialFailed, BytesReceived, SocketClosed,
                 Computed, Loaded, SendRequested, ReadRequested, TrustRequested, GroupRequested,
                 AvailabilityChanged, PresenceWanted, TypingShown, EventTaken, DeadlineReached>;

// ---- actions: what the shell must do, in order ----------------------------------------------

/// Open a WebSocket to `url`; answer with Dialed or DialFailed within `timeout`.
struct DialSocket {
  Generation generation = 0;
  std::string url;
  Duration timeout{};
  bool operator==(const DialSocket&) const = default;
};
/// One binary WebSocket message.
struct SendBytes {
  Generation generation = 0;
  Bytes bytes;
  bool operator==(const SendBytes&) const = default;
};
/// Close the socket, or cancel its dial. Never held back by a commit. No SocketClosed is owed.
struct CloseSocket {
  Generation generation = 0;
  CloseHow how = CloseHow::normal;
  bool operator==(const CloseSocket&) const = default;
};

using wa::Change;
using wa::Erase;
using wa::Put;
/// Must be durable before the actions behind it are performed (design: `durable-before-sent`).
struct Commit {
  std::vector<Change> changes;
  /// A stable word for what made it, at which a process can be held or killed: records.hpp.
  std::string_view point = "";
  bool operator==(const Commit&) const = default;
};
/// Read records, as all commits before leave them, durable or not. Never held back.
struct Load {
  std::uint32_t load_id = 0;
  std::vector<RecordKey> keys;
  bool operator==(const Load&) const = default;
};
/// Something that the application wants to know. One with a `seq` comes again at every start until
/// EventTaken says that it is safe.
struct PublishEvent {
  messaging::AppEvent event;
};
struct Compute {
  std::uint32_t job_id = 0;
  ComputeJob job;
};
/// The status changed; the whole of it, as users see it.
struct PublishStatus {
  Status status;
};
/// For logs. Never secrets.
struct Report {
  enum class Level { debug, info, warning } level = Level::info;
  std::string text;
};

using Action = std::variant<DialSocket, SendBytes, CloseSocket, Commit, Load, Compute,
                            PublishStatus, PublishEvent, Report>;

/// Kind and contents of an action as bytes, for trace hashes. Deterministic across platforms.
void append_canonical(const Action& action, Bytes& out);

}  // namespace wa::client

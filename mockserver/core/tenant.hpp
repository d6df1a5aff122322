#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/now.hpp"
#include "mockserver/core/compute.hpp"
#include "mockserver/core/events.hpp"
#include "mockserver/core/fault_engine.hpp"
#include "mockserver/core/phone_commands.hpp"
#include "mockserver/core/phone_log.hpp"
#include "mockserver/core/server_keys.hpp"
#include "mockserver/core/settings.hpp"

/// The mock WhatsApp server as a pure machine: no sockets, no clock.
namespace wa::mock {

// ---- what happened to a connection -----------------------------------------------------------

/// A client asks for a WebSocket. Answered by AcceptUpgrade, RefuseUpgrade, or not at all.
struct UpgradeRequested {
  std::string target;  ///< path and query; `?device=NAME` labels the connection
  std::string remote;
};
struct BytesReceived {
  Bytes bytes;
};
struct Disconnected {
  std::string detail;
};
using ConnectionEvent = std::variant<UpgradeRequested, BytesReceived, Disconnected>;

// ---- what a user asks of the server ----------------------------------------------------------

/// Numbers what is asked, so that answers can come later.
using RequestId = std::uint64_t;

struct AddPhone {
  std::string number;  ///< digits, 5 to 15
  std::string name;
};
/// The phone scans this QR text. Answered once pair-device-sign is verified.
struct Scan {
  std::string phone;  ///< id or number
  std::string qr_text;
};
/// Somebody types the pairing code of a companion into the phone. Answered once pair-device-sign is
/// verified, or when the companion's key bundle shows that the code was wrong.
struct EnterPairingCode {
  std::string phone;  ///< id or number
  std::string code;   ///< as people type it
};
struct Unlink {
  std::string phone;
  std::string device_jid;
};
struct CloseConnection {
  ConnectionId connection = 0;
  std::string how;  ///< fin, rst or blackhole
};
struct AddFault {
  FaultRecord record;
};
struct RemoveFault {
  std::string id;
};
struct FireFault {
  std::string id;
};
/// The record is over for good.
struct HealFault {
  std::string id;
};
/// Close streams; forget accounts, faults and violations.
struct Reset {};
using Command = std::variant<AddPhone, Scan, EnterPairingCode, Unlink, CloseConnection, AddFault,
                             RemoveFault, FireFault, HealFault, SendMessage, ReadMessages,
                             CreateGroup, ChangeGroup, ShowPresence, ShowTyping, Reset>;

/// Why a command failed, as the control API and Lua say it.
struct Problem {
  int status = 400;  ///< HTTP
  std::string code;  ///< stable: stale_ref, ref_used, unknown_phone, not_a_whatsapp_qr, …
  std::string message;
  std::string hint;
  bool operator==(const Problem&) const = default;
};
/// What a picture that the camera cannot use is called: no_qr, several_qrs or bad_picture.
Problem picture_problem(const Error& camera_error);

/// What a command yields: the phone's id, the device JID, the fault's id, the message's id, the
/// group's JID, or nothing.
struct CommandResult {
  std::string value;
};

// ---- what the shell must do ------------------------------------------------------------------

struct AcceptUpgrade {};
struct RefuseUpgrade {
  int status = 404;
  std::string body;
};
/// One binary WebSocket message: exactly one whole frame.
struct SendBytes {
  Bytes bytes;
};
enum class CloseHow { normal, fin, rst, blackhole };
struct CloseSocket {
  CloseHow how = CloseHow::normal;
};
struct Answer {
  RequestId request = 0;
  std::variant<CommandResult, Problem> result;
};
/// Run the job elsewhere; answer with Tenant::computed.
struct Compute {
  std::uint64_t job_id = 0;
  ComputeJob job;
};
/// For the event log, subscribers and traces.
struct Record {
  TenantEvent event;
};
/// A fault of the client's host begins or ends: the shell performs it, where it can. A moment
/// (kill, clock, second_process) only begins. Single chances are judged where they are: nth, every,
/// probability and, of standing faults, the budget.
struct HostFaultSwitched {
  FaultRecord record;
  std::string device;  ///< label, else what is known of the device; empty: whoever the record names
  bool on = false;
};
/// What opens the frames of this connection, for a key log. Only a tenant that was made with
/// `key_log` has it; it is for nothing but that file: no event log, no trace, no hash of one.
struct LogKeys {
  crypto::PublicKey client_static;
  ByteArray<32> client_to_server{};
  ByteArray<32> server_to_client{};
};
struct Action {
  ConnectionId connection = 0;  ///< 0 for Answer, Compute, HostFaultSwitched, and some events
  std::variant<AcceptUpgrade, RefuseUpgrade, SendBytes, CloseSocket, Answer, Compute, Record,
               HostFaultSwitched, LogKeys>
      what;
};

/// Kind and contents of an action as bytes, for trace hashes. Nothing at all of LogKeys.
void append_canonical(const Action& action, Bytes& out);

// ---- what can be looked at -------------------------------------------------------------------

struct CompanionInfo {
  std::string device_jid;
  std::string label;
  std::string platform;  ///< DeviceProps.os
  bool online = false;
  std::size_t prekeys = 0;
};
struct PhoneInfo {
  std::string id;
  std::string number;
  std::string name;
  std::string jid;
  std::string lid;
  std::vector<CompanionInfo> devices;
};
struct GroupInfo {
  std::string jid;
  std::string subject;
  std::vector<std::string> members;  ///< numbers
};
struct ConnectionInfo {
  ConnectionId id = 0;
  std::string label;
  std::string device_jid;
  /// handshake, pairing, open; closing: ended by the server, and what it sent last is on its way
  std::string phase;
  std::string remote;
  std::uint64_t frames_in = 0;
  std::uint64_t frames_out = 0;
  int dictionary = 0;
  /// A fault keeps the server from hearing whether the client is still there.
  bool client_gone = false;
};
struct CoverageRow {
  std::string stanza;  ///< "iq get encrypt count", "presence", …
  std::string route;   ///< the route that served it, or "unknown"
  std::uint64_t count = 0;
};

/// Accounts, phones, routing and faults of one server, with all its connections. Lives on one
/// thread; `keys` and `random` outlive it.
///
/// Source: docs/protocol/pairing.md; IQ routes: iq_routes.hpp; violations: events.hpp.
class Tenant {
 public:
  struct Options {
    std::string name = {};     ///< for `where.tenant`
    bool host_faults = false;  ///< the shell performs HostFaultSwitched; else they are refused
    bool key_log = false;      ///< the shell performs LogKeys; else there are none
  };
  Tenant(Settings settings, const ServerKeys& keys, std::uint64_t seed, Random& random);
  Tenant(Settings settings, const ServerKeys& keys, std::uint64_t seed, Random& random,
         Options options);
  ~Tenant();
  Tenant(Tenant&&) noexcept;

  std::vector<Action> step(ConnectionId connection, const ConnectionEvent& event, Now now);
  std::vector<Action> command(RequestId request, const Command& command, Now now);
  std::vector<Action> deadline_reached(Now now);
  /// The value of a Compute. Late ones are dropped.
  std::vector<Action> computed(std::uint64_t job_id, const ComputeValue& value, Now now);
  std::optional<Instant> next_deadline() const;

  /// How the TLS handshake of the next connection is to be answered.
  struct TlsDecision {
    std::optional<TlsFault::Kind> fault;  ///< empty: as it should be
    std::vector<Action> actions;          ///< to be performed, whatever the decision
  };
  /// Asked once for every TLS handshake, when nothing is known of who connects.
  TlsDecision tls_decision(Now now);

  std::vector<PhoneInfo> phones() const;
  std::size_t phone_count() const;
  /// By id or number.
  std::optional<PhoneInfo> phone(std::string_view id_or_number) const;
  /// By its JID.
  std::optional<GroupInfo> group(std::string_view jid) const;
  /// The number of the account that a JID names, in whatever form; empty: there is no such account.
  std::string_view number_of(const wire::Jid& account) const;
  /// What the phone has sent and received, oldest first; null when there is no such phone.
  const std::deque<PhoneMessage>* messages(std::string_view id_or_number) const;
  /// A file that a client fetches from the host of its phone's media, by path and query; null when
  /// there is none.
  const Bytes* media(std::string_view target) const;
  std::vector<ConnectionInfo> connections() const;
  const std::vector<Violation>& violations() const;
  std::vector<CoverageRow> coverage() const;
  const FaultEngine& faults() const;
  Settings& settings();

  /// Accounts, companions and their keys as JSON text, and back. Errors: `malformed`.
  std::string save() const;
  Result<void> load(std::string_view json);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::mock

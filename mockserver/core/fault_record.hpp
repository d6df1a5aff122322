#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node.hpp"
#include "mockserver/core/events.hpp"

/// Faults are data: records from Lua, the plan and the control API. What each kind is called, takes
/// and means stands in one table, `fault_table()`; docs/faults.md is printed from it.
namespace wa::mock {

enum class Direction { to_client, to_server };
/// The server's view of a device's connection. `open` is logged in.
enum class ConnectionState { offline, handshake, pairing, open };
std::string_view to_string(Direction direction);
std::string_view to_string(ConnectionState state);

// ---- link ------------------------------------------------------------------------------------

struct LatencyFault {
  Duration min{};
  Duration max{};
  bool operator==(const LatencyFault&) const = default;
};
struct ThrottleFault {
  std::uint64_t bytes_per_second = 0;
  bool operator==(const ThrottleFault&) const = default;
};
struct SplitFault {
  std::uint32_t size = 0;  ///< bytes of the largest WebSocket message
  bool operator==(const SplitFault&) const = default;
};
struct CloseFault {
  bool reset = false;
  bool operator==(const CloseFault&) const = default;
};
struct BlackholeFault {
  bool operator==(const BlackholeFault&) const = default;
};
struct MuteFault {
  Direction direction = Direction::to_client;  ///< the one that is silent
  bool operator==(const MuteFault&) const = default;
};
/// One of the two is set.
struct UpgradeFault {
  std::optional<int> status;
  bool hang = false;
  bool operator==(const UpgradeFault&) const = default;
};
struct TlsFault {
  enum class Kind { expired, not_yet_valid, self_signed, wrong_name, unknown_ca, hang, cut };
  Kind kind = Kind::expired;
  bool operator==(const TlsFault&) const = default;
};

// ---- Noise -----------------------------------------------------------------------------------

struct CorruptFault {
  std::int64_t flip_byte = -1;  ///< of the sealed frame's payload; negative: from the end
  bool operator==(const CorruptFault&) const = default;
};
struct RepeatFrameFault {
  bool operator==(const RepeatFrameFault&) const = default;
};
struct SwapFramesFault {
  bool operator==(const SwapFramesFault&) const = default;
};
struct OversizeFault {
  bool operator==(const OversizeFault&) const = default;
};
struct StallFault {
  enum class Stage { header, hello, finish };
  Stage stage = Stage::hello;
  bool operator==(const StallFault&) const = default;
};
struct CertificateFault {
  enum class Part { leaf, intermediate };
  enum class Field { serial, issuer_serial, key, not_before, not_after, signature, all };
  enum class Kind { wrong, missing };
  Part of = Part::leaf;
  Field field = Field::signature;  ///< `all`: the whole certificate
  Kind kind = Kind::wrong;
  bool operator==(const CertificateFault&) const = default;
};

// ---- stanzas ---------------------------------------------------------------------------------

struct WithholdFault {
  std::string stanza;  ///< success, pair-device, pair-success or offline
  bool operator==(const WithholdFault&) const = default;
};
struct DropFault {
  bool operator==(const DropFault&) const = default;
};
struct DupFault {
  bool operator==(const DupFault&) const = default;
};
struct DelayFault {
  Duration by{};
  bool operator==(const DelayFault&) const = default;
};
struct ReorderFault {
  std::uint32_t by = 1;  ///< so many later stanzas overtake it
  bool operator==(const ReorderFault&) const = default;
};
struct MutateFault {
  std::string attr;                  ///< empty: the element itself
  std::string child;                 ///< path from the root, tags with '/'; empty: the root
  std::optional<std::string> value;  ///< of the attribute, else the text inside
  bool drop = false;
  bool operator==(const MutateFault&) const = default;
};
struct InjectFault {
  wire::NodeBuilder node{"ib"};
  bool operator==(const InjectFault&) const = default;
};
struct DeepFault {
  std::uint32_t levels = 0;
  bool operator==(const DeepFault&) const = default;
};
struct IqErrorFault {
  int code = 500;
  bool operator==(const IqErrorFault&) const = default;
};
struct AckErrorFault {
  int code = 500;
  bool operator==(const AckErrorFault&) const = default;
};
struct OweAckFault {
  Duration after{};
  bool operator==(const OweAckFault&) const = default;
};

// ---- session ---------------------------------------------------------------------------------

struct StreamErrorFault {
  std::optional<int> code;
  std::string conflict;  ///< type of the <conflict/> child, or empty
  std::string child;     ///< tag of another child, or empty
  bool operator==(const StreamErrorFault&) const = default;
};
struct FailureFault {
  int reason = 401;
  std::optional<Duration> expire;  ///< of a temporary ban; whole seconds on the wire
  std::optional<int> code;
  bool operator==(const FailureFault&) const = default;
};
struct RefsFault {
  std::optional<std::uint32_t> count;
  std::optional<Duration> first;
  std::optional<Duration> rest;
  bool operator==(const RefsFault&) const = default;
};
struct ServerTimeFault {
  Duration offset{};  ///< may be negative
  bool operator==(const ServerTimeFault&) const = default;
};
struct CompanionRefreshFault {
  bool operator==(const CompanionRefreshFault&) const = default;
};
struct PasskeyRequestFault {
  bool operator==(const PasskeyRequestFault&) const = default;
};

// ---- end to end ------------------------------------------------------------------------------

struct CorruptEncFault {
  enum class Part { mac, body, version, counter };
  Part part = Part::mac;
  bool operator==(const CorruptEncFault&) const = default;
};
struct RetryReceiptFault {
  std::uint32_t count = 1;
  bool keys = false;
  bool operator==(const RetryReceiptFault&) const = default;
};
struct PreKeysFault {
  std::uint32_t left = 0;
  bool operator==(const PreKeysFault&) const = default;
};
struct BundleFault {
  enum class Kind { bad_signature, missing, reused, no_one_time };
  Kind kind = Kind::bad_signature;
  bool operator==(const BundleFault&) const = default;
};
struct SenderKeyFault {
  enum class Kind { missing, unknown };
  Kind kind = Kind::missing;
  bool operator==(const SenderKeyFault&) const = default;
};
struct IdentityChangeFault {
  std::string phone;  ///< id or number; empty: all that the device's account has written with
  bool operator==(const IdentityChangeFault&) const = default;
};
struct SessionFault {
  enum class Kind { stale, lost, ahead };
  Kind kind = Kind::stale;
  bool operator==(const SessionFault&) const = default;
};
struct LidFault {
  enum class Kind { missing, other };
  Kind kind = Kind::missing;
  bool operator==(const LidFault&) const = default;
};

// ---- host ------------------------------------------------------------------------------------

struct DiskFault {
  enum class Kind { enospc, eio, short_write, slow, busy, readonly, torn };
  Kind kind = Kind::enospc;
  std::optional<std::uint32_t> ms;  ///< how long slow and busy take
  bool operator==(const DiskFault&) const = default;
};
struct KillFault {
  std::string point;
  bool operator==(const KillFault&) const = default;
};
struct ClockFault {
  Duration jump{};  ///< may be negative
  bool operator==(const ClockFault&) const = default;
};
struct DnsFault {
  enum class Kind { fail, hang, slow };
  Kind kind = Kind::fail;
  bool operator==(const DnsFault&) const = default;
};
struct ProxyFault {
  enum class Kind { refuse, hang, drop };
  Kind kind = Kind::refuse;
  bool operator==(const ProxyFault&) const = default;
};
struct SecondProcessFault {
  bool operator==(const SecondProcessFault&) const = default;
};

/// In the order of `fault_table()`.
using FaultKind =
    std::variant<LatencyFault, ThrottleFault, SplitFault, CloseFault, BlackholeFault, MuteFault,
                 UpgradeFault, TlsFault,  //
                 CorruptFault, RepeatFrameFault, SwapFramesFault, OversizeFault, StallFault,
                 CertificateFault,  //
                 WithholdFault, DropFault, DupFault, DelayFault, ReorderFault, MutateFault,
                 InjectFault, DeepFault, IqErrorFault, AckErrorFault, OweAckFault,  //
                 StreamErrorFault, FailureFault, RefsFault, ServerTimeFault, CompanionRefreshFault,
                 PasskeyRequestFault,  //
                 CorruptEncFault, RetryReceiptFault, PreKeysFault, BundleFault, SenderKeyFault,
                 IdentityChangeFault, SessionFault, LidFault,  //
                 DiskFault, KillFault, ClockFault, DnsFault, ProxyFault, SecondProcessFault>;
inline constexpr std::size_t kFaultKinds = std::variant_size_v<FaultKind>;

enum class FaultLayer { link, noise, stanza, session, end_to_end, host };
/// moment: does something once when triggered. standing: is on for a span. occasion: acts when its
/// chance comes.
enum class FaultClass { moment, standing, occasion };
std::string_view to_string(FaultLayer layer);
std::string_view to_string(FaultClass fault_class);

struct FaultArg {
  std::string_view name;
  std::string takes;  ///< "a duration", "fin or rst", …
  std::string_view what;
};
/// A row of the table of kinds.
struct FaultDescription {
  std::string_view name;
  FaultLayer layer;
  FaultClass fault_class;
  bool exclusive;  ///< of several records the first that fires decides
  std::string_view what;
  std::string_view example;  ///< a whole record, as JSON
  FaultKind kind;            ///< with the arguments that are assumed
  std::vector<FaultArg> args;
};
/// Every kind, in the order of FaultKind.
const std::vector<FaultDescription>& fault_table();
const FaultDescription& description(const FaultKind& kind);
std::vector<std::string_view> fault_names();

// ---- where, when -----------------------------------------------------------------------------

/// A stanza that is looked at: one that came in, one that goes out, or none.
class StanzaRef {
 public:
  StanzaRef() = default;
  StanzaRef(std::nullptr_t) {}                                        // NOLINT
  StanzaRef(const wire::Node* node) : node_(node) {}                  // NOLINT
  StanzaRef(const wire::NodeBuilder* builder) : builder_(builder) {}  // NOLINT
  explicit operator bool() const { return node_ != nullptr || builder_ != nullptr; }

  bool has_tag(std::string_view tag) const;
  bool has_child(std::string_view tag) const;
  /// Whether an `<enc>` inside, also one for a single device, has this type.
  bool has_enc(std::string_view type) const;
  bool has_attr(std::string_view key, std::string_view value) const;

 private:
  const wire::Node* node_ = nullptr;
  const wire::NodeBuilder* builder_ = nullptr;
};

/// Who a decision is about.
struct FaultSubject {
  ConnectionId connection = 0;
  std::string_view label;
  std::string_view device_jid;
  std::string_view number;
  std::string_view account;  ///< id of the phone
  ConnectionState state = ConnectionState::handshake;
};

/// Which stanzas; empty members match everything.
struct StanzaPattern {
  std::string tag;
  std::string child;
  std::string enc;
  std::vector<std::pair<std::string, std::string>> attrs;
  bool empty() const { return tag.empty() && child.empty() && enc.empty() && attrs.empty(); }
  bool matches(const StanzaRef& stanza) const;
  bool operator==(const StanzaPattern&) const = default;
};

/// What a record is about; empty members match everything, as "*" does.
struct FaultWhere {
  std::string tenant;
  std::string account;     ///< phone id or number
  std::string device;      ///< label, device JID, or number (all its companions)
  std::string connection;  ///< decimal id
  std::string host;        ///< the engine's name, for host faults
  std::optional<Direction> direction;
  StanzaPattern stanza;
  /// Account, device and connection.
  bool matches(const FaultSubject& subject) const;
  bool operator==(const FaultWhere&) const = default;
};

/// When a matching record acts; all that are given must hold.
struct FaultWhen {
  std::optional<EventKind> on_event;
  std::optional<Duration> after;  ///< since the device's first connection, or since the event
  std::optional<Duration> at;     ///< since the device's first connection
  std::optional<std::pair<Duration, Duration>> between;  ///< since the device's first connection
  std::optional<std::uint64_t> nth;
  std::optional<std::uint64_t> every;
  std::optional<double> probability;
  std::optional<ConnectionState> on_state;
  bool manual = false;

  /// Whether the record waits for something before it acts, or is armed, or is switched on.
  bool has_trigger() const { return on_event || after || at || manual; }
  bool operator==(const FaultWhen&) const = default;
};

/// When a record is over for good; all that are given must hold.
struct FaultHeal {
  std::optional<EventKind> on_event;
  std::optional<Duration> after;     ///< since the event, or since the record first acted
  std::optional<Duration> at;        ///< since the device's first connection
  std::optional<std::uint64_t> nth;  ///< acts
  bool manual = false;               ///< nothing else heals it
  bool operator==(const FaultHeal&) const = default;
};

struct FaultRecord {
  std::string id;  ///< generated when empty
  FaultKind kind;
  FaultWhere where;
  FaultWhen when;
  std::optional<FaultHeal> heal;
  std::optional<std::uint64_t> budget;  ///< how often it may act; empty = unlimited
  bool optional = false;                ///< need not fire

  /// Errors: `usage`; names the member and what it takes, an unknown word names the nearest.
  static Result<FaultRecord> parse(const boost::json::value& json);

  /// The same with every span of time passed through `scale`. Offsets and jumps of the wall clock
  /// stay as they are.
  FaultRecord scaled(const std::function<Duration(Duration)>& scale) const;
  FaultRecord scaled(double factor) const;

  const FaultDescription& description() const { return mock::description(kind); }
  std::string_view name() const { return description().name; }
  bool is_host() const { return description().layer == FaultLayer::host; }
  bool operator==(const FaultRecord&) const = default;
};
/// What parses to the same record. Members that say nothing are left out.
boost::json::object to_json(const FaultRecord& record);

}  // namespace wa::mock

// What each kind of fault takes. One function per kind names its arguments; reading, writing,
// scaling and the documentation all go through it, so they cannot differ.

#include "mockserver/core/fault_args.hpp"

#include <algorithm>

#include "engine/base/limits.hpp"
#include "mockserver/core/json_members.hpp"
#include "mockserver/core/node_json.hpp"

namespace wa::mock {
namespace {

namespace json = boost::json;
using Words = std::vector<std::string_view>;

const Words kDirections = {"to_client", "to_server"};
const Words kHows = {"fin", "rst"};
const Words kTlsKinds = {"expired",    "not_yet_valid", "self_signed", "wrong_name",
                         "unknown_ca", "hang",          "cut"};
const Words kStages = {"header", "hello", "finish"};
const Words kParts = {"leaf", "intermediate"};
const Words kFields = {"serial",    "issuer_serial", "key", "not_before",
                       "not_after", "signature",     "all"};
const Words kSpoilings = {"wrong", "missing"};
const Words kStanzas = {"pair-device", "pair-success", "success", "offline"};
const Words kDiskKinds = {"enospc", "eio", "short", "slow", "busy", "readonly", "torn"};
const Words kDnsKinds = {"fail", "hang", "slow"};
const Words kProxyKinds = {"refuse", "hang", "drop"};

const Words kEncParts = {"mac", "body", "version", "counter"};
const Words kBundleKinds = {"bad_signature", "missing", "reused", "no_one_time"};
const Words kSenderKeyKinds = {"missing", "unknown"};
const Words kSessionKinds = {"stale", "lost", "ahead"};
const Words kLidKinds = {"missing", "other"};

enum class Need { needed, optional };

// ---- the arguments of each kind: args(visitor, fault), and check(fault) where they interact -----

template <class V, class F>
void args(V&, F&) {}  // most kinds take none

template <class V>
void args(V& v, LatencyFault& f) {
  v.duration("min", f.min, Need::optional, "the least, else 0");
  v.duration("max", f.max, Need::needed, "the most");
}
template <class V>
void args(V& v, ThrottleFault& f) {
  v.count("bytes_per_second", f.bytes_per_second, 1, 1'000'000'000, Need::needed,
          "of each direction");
}
template <class V>
void args(V& v, SplitFault& f) {
  v.count("size", f.size, 1, limits::kMaxFrameBytes, Need::needed,
          "bytes of the largest WebSocket message");
}
template <class V>
void args(V& v, CloseFault& f) {
  v.word("how", f.reset, kHows, Need::optional, "fin after what was sent before; rst overtakes");
}
template <class V>
void args(V& v, MuteFault& f) {
  v.word("direction", f.direction, kDirections, Need::needed, "the one that falls silent");
}
template <class V>
void args(V& v, UpgradeFault& f) {
  v.count("status", f.status, 300, 599, "the HTTP answer");
  v.flag("hang", f.hang, "no answer at all");
}
template <class V>
void args(V& v, TlsFault& f) {
  v.word("kind", f.kind, kTlsKinds, Need::needed, "what is wrong with certificate or handshake");
}
template <class V>
void args(V& v, CorruptFault& f) {
  v.integer("flip_byte", f.flip_byte, "which byte, from 0, or from the end: -1, which is assumed");
}
template <class V>
void args(V& v, StallFault& f) {
  v.word("stage", f.stage, kStages, Need::needed, "what is not answered");
}
template <class V>
void args(V& v, CertificateFault& f) {
  v.word("of", f.of, kParts, Need::optional, "which certificate, else the leaf");
  v.word("field", f.field, kFields, Need::needed, "which field; all: the whole certificate");
  v.word("kind", f.kind, kSpoilings, Need::optional, "else wrong");
}
template <class V>
void args(V& v, WithholdFault& f) {
  v.word("stanza", f.stanza, kStanzas, Need::needed, "which one is not sent");
}
template <class V>
void args(V& v, DelayFault& f) {
  v.duration("by", f.by, Need::needed, "later stanzas of the direction wait behind it");
}
template <class V>
void args(V& v, ReorderFault& f) {
  v.count("by", f.by, 1, 1000, Need::optional, "so many later stanzas overtake it, else 1");
}
template <class V>
void args(V& v, MutateFault& f) {
  v.text("attr", f.attr, Need::optional, "an attribute");
  v.text("child", f.child, Need::optional, "a child element, as a path: pair-success/device");
  v.text("value", f.value, "the new value; without attr the text inside the child");
  v.flag("drop", f.drop, "it is left out");
}
template <class V>
void args(V& v, InjectFault& f) {
  v.node("node", f.node, "{tag, attrs, children or text or hex}");
}
template <class V>
void args(V& v, DeepFault& f) {
  v.count("levels", f.levels, 1, 100'000, Need::needed, "elements inside one another");
}
template <class V>
void args(V& v, IqErrorFault& f) {
  v.count("code", f.code, 1, 999, Need::needed, "of the <error>");
}
template <class V>
void args(V& v, AckErrorFault& f) {
  v.count("code", f.code, 1, 999, Need::needed, "the attribute error");
}
template <class V>
void args(V& v, OweAckFault& f) {
  v.duration("after", f.after, Need::needed, "so long a stanza may stay unacknowledged");
}
template <class V>
void args(V& v, StreamErrorFault& f) {
  v.count("code", f.code, 1, 999, "attribute code");
  v.text("conflict", f.conflict, Need::optional, "type of a child <conflict>");
  v.text("child", f.child, Need::optional, "tag of another child");
}
template <class V>
void args(V& v, FailureFault& f) {
  v.count("reason", f.reason, 1, 999, Need::needed, "attribute reason");
  v.seconds("expire", f.expire, "end of a temporary ban, in whole seconds on the wire");
  v.count("code", f.code, 1, 999, "attribute code");
}
template <class V>
void args(V& v, RefsFault& f) {
  v.count("count", f.count, 0, 1000, "how many are offered");
  v.duration("first", f.first, "how long the first lives");
  v.duration("rest", f.rest, "how long each further one lives");
}
template <class V>
void args(V& v, ServerTimeFault& f) {
  v.offset("offset", f.offset, "added to every t=; negative: the server is behind");
}
template <class V>
void args(V& v, CorruptEncFault& f) {
  v.word("part", f.part, kEncParts, Need::needed, "what is changed; counter: 2001 ahead");
}
template <class V>
void args(V& v, RetryReceiptFault& f) {
  v.count("count", f.count, 1, 100, Need::optional, "of the receipt, else 1");
  v.flag("keys", f.keys, "it carries a bundle, as it does from a count of 2 on");
}
template <class V>
void args(V& v, PreKeysFault& f) {
  v.count("left", f.left, 0, 100'000, Need::needed, "one-time keys that the server keeps");
}
template <class V>
void args(V& v, BundleFault& f) {
  v.word("kind", f.kind, kBundleKinds, Need::needed, "what is wrong with each bundle");
}
template <class V>
void args(V& v, SenderKeyFault& f) {
  v.word("kind", f.kind, kSenderKeyKinds, Need::needed, "what is wrong with the group's key");
}
template <class V>
void args(V& v, IdentityChangeFault& f) {
  v.text("phone", f.phone, Need::optional, "id or number, else all that it has written with");
}
template <class V>
void args(V& v, SessionFault& f) {
  v.word("kind", f.kind, kSessionKinds, Need::needed, "what becomes of the phones' sessions");
}
template <class V>
void args(V& v, LidFault& f) {
  v.word("kind", f.kind, kLidKinds, Need::needed, "what becomes of the author's second name");
}
template <class V>
void args(V& v, DiskFault& f) {
  v.word("kind", f.kind, kDiskKinds, Need::needed, "what commits run into");
  v.count("ms", f.ms, 1, 3'600'000, "milliseconds, for slow and busy");
}
template <class V>
void args(V& v, KillFault& f) {
  v.text("point", f.point, Need::needed, "a named commit, before or after it");
}
template <class V>
void args(V& v, ClockFault& f) {
  v.offset("jump", f.jump, "of the wall clock; may be negative");
}
template <class V>
void args(V& v, DnsFault& f) {
  v.word("kind", f.kind, kDnsKinds, Need::needed, "what look-ups run into");
}
template <class V>
void args(V& v, ProxyFault& f) {
  v.word("kind", f.kind, kProxyKinds, Need::needed, "what the proxy does");
}

template <class F>
Result<void> check(const F&) {
  return {};
}
Result<void> check(const LatencyFault& f) {
  if (f.max < f.min) return usage("latency: \"max\" is less than \"min\"");
  return {};
}
Result<void> check(const UpgradeFault& f) {
  if (f.status.has_value() == f.hang) return usage("upgrade takes one of \"status\", \"hang\"");
  return {};
}
Result<void> check(const MutateFault& f) {
  if (f.attr.empty() && f.child.empty()) {
    return usage("mutate takes \"attr\", \"child\", or both: an attribute of that child");
  }
  if (f.value.has_value() == f.drop) return usage("mutate takes one of \"value\", \"drop\"");
  return {};
}
Result<void> check(const RefsFault& f) {
  if (f.count || f.first || f.rest) return {};
  return usage("refs takes at least one of \"count\", \"first\", \"rest\"");
}
Result<void> check(const ServerTimeFault& f) {
  if (f.offset == Duration::zero()) return usage("server_time: an \"offset\" of zero does nothing");
  return {};
}
Result<void> check(const ClockFault& f) {
  if (f.jump == Duration::zero()) return usage("clock: a \"jump\" of zero does nothing");
  return {};
}
Result<void> check(const DiskFault& f) {
  const bool takes_time = f.kind == DiskFault::Kind::slow || f.kind == DiskFault::Kind::busy;
  if (takes_time != f.ms.has_value()) {
    return usage("disk: \"ms\" belongs to the kinds slow and busy, and they need it");
  }
  return {};
}

// ---- visitors -----------------------------------------------------------------------------------

/// Words stand for numbers of an enum, a flag, or the text itself.
template <class T>
void set_word(T& target, std::size_t index, const Words& words) {
  if constexpr (std::is_same_v<T, std::string>) {
    target = words[index];
  } else {
    target = static_cast<T>(index);
  }
}
template <class T>
std::string_view word_of(const T& value, const Words& words) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else {
    return words[static_cast<std::size_t>(value)];
  }
}

/// Collects names, what they take and what they are.
class Lister {
 public:
  void duration(std::string_view name, Duration&, Need need, std::string_view what) {
    add(name, "a duration", need, what);
  }
  void duration(std::string_view name, std::optional<Duration>&, std::string_view what) {
    add(name, "a duration", Need::optional, what);
  }
  void seconds(std::string_view name, std::optional<Duration>&, std::string_view what) {
    add(name, "a duration, or a number of seconds", Need::optional, what);
  }
  void offset(std::string_view name, Duration&, std::string_view what) {
    add(name, "a duration, may be negative", Need::needed, what);
  }
  template <class T>
  void count(std::string_view name, T&, std::uint64_t least, std::uint64_t most, Need need,
             std::string_view what) {
    add(name, std::to_string(least) + " to " + std::to_string(most), need, what);
  }
  template <class T>
  void count(std::string_view name, std::optional<T>&, std::uint64_t least, std::uint64_t most,
             std::string_view what) {
    add(name, std::to_string(least) + " to " + std::to_string(most), Need::optional, what);
  }
  void integer(std::string_view name, std::int64_t&, std::string_view what) {
    add(name, "a whole number", Need::optional, what);
  }
  void text(std::string_view name, std::string&, Need need, std::string_view what) {
    add(name, "text", need, what);
  }
  void text(std::string_view name, std::optional<std::string>&, std::string_view what) {
    add(name, "text", Need::optional, what);
  }
  void flag(std::string_view name, bool&, std::string_view what) {
    add(name, "true or false", Need::optional, what);
  }
  template <class T>
  void word(std::string_view name, T&, const Words& words, Need need, std::string_view what) {
    add(name, joined(words), need, what);
  }
  void node(std::string_view name, wire::NodeBuilder&, std::string_view what) {
    add(name, "a stanza", Need::needed, what);
  }

  Words names;
  std::vector<FaultArg> described;

 private:
  void add(std::string_view name, std::string takes, Need need, std::string_view what) {
    names.push_back(name);
    described.push_back({name, std::move(takes) + (need == Need::needed ? ", needed" : ""), what});
  }
};

/// Reads from JSON; the first thing that is wrong is kept.
class Reader {
 public:
  Reader(std::string_view fault, const json::object& object) : fault_(fault), object_(object) {}

  void duration(std::string_view name, Duration& target, Need need, std::string_view) {
    take(name, duration_at(object_, name), target, need);
  }
  void duration(std::string_view name, std::optional<Duration>& target, std::string_view) {
    take(name, duration_at(object_, name), target, Need::optional);
  }
  void seconds(std::string_view name, std::optional<Duration>& target, std::string_view) {
    constexpr std::uint64_t kMostSeconds = 3650ull * 86'400;
    const auto* value = object_.if_contains(name);
    if (value == nullptr || !value->is_number()) return duration(name, target, {});
    const auto count = count_at(object_, name, 1, kMostSeconds);
    if (failed()) return;
    if (!count) return fail(count.error());
    target = std::chrono::seconds(**count);
  }
  void offset(std::string_view name, Duration& target, std::string_view) {
    take(name, offset_at(object_, name), target, Need::needed);
  }
  template <class T>
  void count(std::string_view name, T& target, std::uint64_t least, std::uint64_t most, Need need,
             std::string_view) {
    take(name, count_at(object_, name, least, most), target, need);
  }
  template <class T>
  void count(std::string_view name, std::optional<T>& target, std::uint64_t least,
             std::uint64_t most, std::string_view) {
    take(name, count_at(object_, name, least, most), target, Need::optional);
  }
  void integer(std::string_view name, std::int64_t& target, std::string_view) {
    constexpr std::int64_t kLargest = limits::kMaxFrameBytes;
    const auto* value = object_.if_contains(name);
    if (value == nullptr || failed()) return;
    if (value->is_int64() && std::abs(value->get_int64()) <= kLargest) {
      target = value->get_int64();
    } else {
      fail(usage("\"" + std::string(name) + "\" takes a whole number, may be negative"));
    }
  }
  void text(std::string_view name, std::string& target, Need need, std::string_view) {
    auto read = text_at(object_, name);
    if (failed()) return;
    if (!read) return fail(read.error());
    if (read->empty() && need == Need::needed) return fail(missing(name));
    target = std::move(*read);
  }
  void text(std::string_view name, std::optional<std::string>& target, std::string_view) {
    if (!object_.contains(name)) return;
    target.emplace();
    text(name, *target, Need::optional, {});
  }
  void flag(std::string_view name, bool& target, std::string_view) {
    const auto read = flag_at(object_, name);
    if (failed()) return;
    if (!read) return fail(read.error());
    target = *read;
  }
  template <class T>
  void word(std::string_view name, T& target, const Words& words, Need need, std::string_view) {
    std::string read;
    text(name, read, need, {});
    if (failed() || read.empty()) return;
    // pair_device is pair-device, and never_heard is neither.
    const bool dashes = std::any_of(words.begin(), words.end(), [](std::string_view word) {
      return word.find('-') != std::string_view::npos;
    });
    if (dashes) std::replace(read.begin(), read.end(), '_', '-');
    const auto index = one_of(name, read, words);
    if (!index) return fail(index.error());
    set_word(target, *index, words);
  }
  void node(std::string_view name, wire::NodeBuilder& target, std::string_view) {
    if (failed()) return;
    const auto* value = object_.if_contains(name);
    if (value == nullptr) return fail(missing(name));
    auto read = node_from_json(*value);
    if (!read) return fail(read.error());
    target = std::move(*read);
  }

  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  template <class Read, class T>
  void take(std::string_view name, const Result<std::optional<Read>>& read, T& target, Need need) {
    if (failed()) return;
    if (!read) return fail(read.error());
    if (*read) {
      if constexpr (std::is_integral_v<T>) {
        target = static_cast<T>(**read);
      } else if constexpr (std::is_same_v<T, Duration> ||
                           std::is_same_v<T, std::optional<Duration>>) {
        target = **read;
      } else {
        target = static_cast<typename T::value_type>(**read);
      }
    } else if (need == Need::needed) {
      fail(missing(name));
    }
  }
  Error missing(std::string_view name) const {
    return usage(std::string(fault_) + " needs \"" + std::string(name) + "\" in \"args\"");
  }
  void fail(Error error) { error_ = std::move(error); }

  std::string_view fault_;
  const json::object& object_;
  std::optional<Error> error_;
};

/// Writes JSON.
class Writer {
 public:
  void duration(std::string_view name, Duration& value, Need, std::string_view) {
    object[name] = duration_text(value);
  }
  void duration(std::string_view name, std::optional<Duration>& value, std::string_view) {
    if (value) object[name] = duration_text(*value);
  }
  void seconds(std::string_view name, std::optional<Duration>& value, std::string_view) {
    duration(name, value, {});
  }
  void offset(std::string_view name, Duration& value, std::string_view) {
    object[name] = duration_text(value);
  }
  template <class T>
  void count(std::string_view name, T& value, std::uint64_t, std::uint64_t, Need,
             std::string_view) {
    object[name] = value;
  }
  template <class T>
  void count(std::string_view name, std::optional<T>& value, std::uint64_t, std::uint64_t,
             std::string_view) {
    if (value) object[name] = *value;
  }
  void integer(std::string_view name, std::int64_t& value, std::string_view) {
    object[name] = value;
  }
  void text(std::string_view name, std::string& value, Need, std::string_view) {
    if (!value.empty()) object[name] = value;
  }
  void text(std::string_view name, std::optional<std::string>& value, std::string_view) {
    if (value) object[name] = *value;
  }
  void flag(std::string_view name, bool& value, std::string_view) {
    if (value) object[name] = true;
  }
  template <class T>
  void word(std::string_view name, T& value, const Words& words, Need, std::string_view) {
    object[name] = word_of(value, words);
  }
  void node(std::string_view name, wire::NodeBuilder& value, std::string_view) {
    object[name] = to_json(value);
  }

  json::object object;
};

/// Changes spans of time, and nothing else: rates, sizes and the wall clock stay.
class Scaler {
 public:
  explicit Scaler(const std::function<Duration(Duration)>& scale) : scale_(scale) {}

  void duration(std::string_view, Duration& value, Need, std::string_view) {
    value = scale_(value);
  }
  void duration(std::string_view, std::optional<Duration>& value, std::string_view) {
    if (value) value = scale_(*value);
  }
  void seconds(std::string_view, std::optional<Duration>& value, std::string_view) {
    if (value) value = scale_(*value);
  }
  template <class T>
  void count(std::string_view name, std::optional<T>& value, std::uint64_t least, std::uint64_t,
             std::string_view) {
    if (name != "ms" || !value) return;
    const auto scaled = scale_(std::chrono::milliseconds(*value)) / std::chrono::milliseconds(1);
    value = static_cast<T>(std::max<std::int64_t>(scaled, static_cast<std::int64_t>(least)));
  }
  template <class T>
  void count(std::string_view, T&, std::uint64_t, std::uint64_t, Need, std::string_view) {}
  template <class... Other>
  void offset(Other&&...) {}
  template <class... Other>
  void integer(Other&&...) {}
  template <class... Other>
  void text(Other&&...) {}
  template <class... Other>
  void flag(Other&&...) {}
  template <class... Other>
  void word(Other&&...) {}
  template <class... Other>
  void node(Other&&...) {}

 private:
  const std::function<Duration(Duration)>& scale_;
};

template <class Visitor>
void visit_args(Visitor& visitor, FaultKind& kind) {
  std::visit([&](auto& fault) { args(visitor, fault); }, kind);
}

}  // namespace

std::vector<FaultArg> describe_args(const FaultKind& kind) {
  FaultKind copy = kind;
  Lister lister;
  visit_args(lister, copy);
  return std::move(lister.described);
}

std::string_view to_string(Direction direction) {
  return kDirections[static_cast<std::size_t>(direction)];
}

Result<FaultKind> read_args(const FaultDescription& row, const json::object& object) {
  FaultKind kind = row.kind;
  Lister lister;
  visit_args(lister, kind);
  WA_TRY_VOID(only_members(object, row.name, lister.names));
  Reader reader(row.name, object);
  visit_args(reader, kind);
  if (reader.failed()) return reader.error();
  WA_TRY_VOID(std::visit([](const auto& fault) { return check(fault); }, kind));
  return kind;
}

json::object write_args(const FaultKind& kind) {
  FaultKind copy = kind;
  Writer writer;
  visit_args(writer, copy);
  return std::move(writer.object);
}

void scale_args(FaultKind& kind, const std::function<Duration(Duration)>& scale) {
  Scaler scaler(scale);
  visit_args(scaler, kind);
}

}  // namespace wa::mock

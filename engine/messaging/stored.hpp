#pragma once

#include <map>
#include <set>
#include <span>

#include "engine/base/change.hpp"
#include "engine/base/now.hpp"
#include "engine/messaging/app_event.hpp"
#include "engine/messaging/kinds.hpp"
#include "engine/protocol/crypto/keys.hpp"
#include "engine/protocol/signal/session.hpp"

/// Days and contents of what a messenger stores; kinds.hpp has the kinds.
namespace wa::messaging {

/// A day since 1970, and kinds of one day.
using Day = std::uint32_t;
Day day_of(UnixMillis at);
std::string kind_of_day(std::string_view kind, Day day);

struct DailyKind {
  std::string_view kind;
  Day kept_days;  ///< beside the current one
};
/// Sent messages are kept a week for those that cannot read them; used pre-keys and retry counts
/// until a redelivery is no longer to be expected.
std::span<const DailyKind> daily_kinds();
/// The record of each day that may hold it, newest first.
std::vector<RecordKey> days_of(std::string_view kind, std::string_view key, Day today);

/// All that a messenger stores of an account, gone: its kinds, and those of the days that it has
/// written on, of which `cleaned_day` (of the watermarks) is the last.
std::vector<Change> erase_account_records(Day cleaned_day, Day today);
/// What outlives an account, gone as well: events, and the numbers that they have had.
std::vector<Change> erase_events();

/// A message of ours: not yet acknowledged, or kept for retries.
struct Sent {
  wire::Jid to;
  Bytes message;  ///< a protobuf, as recipients get it
  UnixMillis at{};
  std::uint64_t order = 0;  ///< among all that this device has sent
  struct Outcome {
    std::optional<UnixMillis> sent_at;
    std::string failure;
    std::optional<int> code;
  };
  std::optional<Outcome> outcome = {};

  Bytes encode() const;
  static Result<Sent> decode(ByteSpan record);
};

struct Devices {
  std::vector<std::uint16_t> numbers;  ///< ascending, 0 always among them
  UnixMillis at{};

  Bytes encode() const;
  static Result<Devices> decode(ByteSpan record);
};

struct Group {
  std::vector<wire::Jid> members = {};  ///< accounts
  bool by_lid = false;                  ///< they are called by LID in it
  UnixMillis at{};

  Bytes encode() const;
  static Result<Group> decode(ByteSpan record);
};

/// Our own key for a group.
struct GroupKey {
  Bytes key;                      ///< a signal::SenderKey
  std::set<std::string> holders;  ///< devices that have it, by their canonical names
  /// It was sent to them; the server has not said yet that it has the message.
  std::set<std::string> unconfirmed;
  std::uint32_t era = 0;  ///< that it was written in

  Bytes encode() const;
  static Result<GroupKey> decode(ByteSpan record);
};

struct Retries {
  std::uint32_t count = 0;
  std::optional<crypto::PublicKey> base_key = {};
  bool told = false;  ///< the application was told that it did not come

  Bytes encode() const;
  static Result<Retries> decode(ByteSpan record);
};

/// The ids of the last messages of a device: a ring of hashes.
class Seen {
 public:
  static constexpr std::size_t kMaxIds = 256;

  Seen() = default;
  explicit Seen(ByteSpan record);
  bool has(std::string_view id) const;
  void add(std::string_view id);
  /// There may have been more than it knows.
  bool is_full() const;
  const Bytes& encode() const { return hashes_; }

 private:
  Bytes hashes_;  ///< 8 bytes each, oldest first
};

struct Watermarks {
  std::uint64_t last_event_seq = 0;
  Day cleaned_day = 0;
  std::uint32_t boots = 0;
  std::uint64_t last_order = 0;  ///< of what was sent
  std::uint32_t era = 0;         ///< how often all this turned out to be an old copy

  Bytes encode() const;
  static Result<Watermarks> decode(ByteSpan record);
};

/// Whether an event is kept until the application has taken it.
bool is_stored(const AppEvent::What& what);
/// An event as it is stored.
Bytes encode(const AppEvent::What& what);
Result<AppEvent::What> decode_app_event(ByteSpan record);

Result<crypto::KeyPair> decode_pre_key(ByteSpan record);

/// A message that was asked for again, or one that was read and waits behind such a one.
struct Awaited {
  std::string message;  ///< its author's device, and its id
  AppEvent::What what;  ///< MessageUnreadable, or MessageReceived

  Bytes encode() const;
  static Result<Awaited> decode(ByteSpan record);
};

/// What a messenger begins with: the records of the kinds that are always in memory, by key.
struct ResidentRecords {
  using OfKind = std::map<std::string, Bytes, std::less<>>;
  OfKind outbox;
  OfKind events;
  OfKind awaited;
  OfKind messenger;
};

/// The events among them, in order; what is damaged is left out.
std::vector<AppEvent> read_events(const ResidentRecords::OfKind& records);

}  // namespace wa::messaging

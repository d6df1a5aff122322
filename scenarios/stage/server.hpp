#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/jid.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::stage {

class Trace;

struct ServerEntry {
  Instant at;
  mock::TenantEvent event;
};

/// One line for people: "stanza_in iq set encrypt", "closed by client".
std::string describe(const mock::TenantEvent& event);

/// What the event says, by name.
boost::json::object data_of(const mock::TenantEvent& event);

/// What the server said or did to end a stream.
struct SentClose {
  std::optional<int> code;
  std::string cause;  ///< `stream:error code="515"`, `QR refs used up`, …
  Instant at;
};
/// Empty unless the entry is such an end.
std::optional<SentClose> sent_close(const ServerEntry& entry);

/// What a world lends the Server: its tenant, and a way to ask something of it.
class ServerPort {
 public:
  using Done = std::function<void(const std::variant<mock::CommandResult, mock::Problem>&)>;
  virtual ~ServerPort() = default;
  virtual const mock::Tenant& tenant() const = 0;
  virtual void command(mock::Command command, Done done) = 0;
  virtual Now now() const = 0;
  virtual const TimeScale& time_scale() const = 0;
};

/// What became of something that was asked of the server. Shared with who waits for it.
struct Outcome {
  std::string what;  ///< "scan by 15550100001", for messages
  Instant asked_at;
  Instant answered_at;
  std::optional<std::variant<mock::CommandResult, mock::Problem>> result;

  bool answered() const { return result.has_value(); }
  const mock::CommandResult* value() const;
  const mock::Problem* problem() const;
};
using OutcomePtr = std::shared_ptr<const Outcome>;

class Server;

/// A virtual phone. It scans pictures: pixels go through the camera, never text.
class Phone {
 public:
  const std::string& number() const { return number_; }
  const std::string& id() const { return id_; }

  /// Looks at the picture (PNG or JPEG) and links what it shows. Answered when the server has
  /// verified the companion; a picture without exactly one QR is a Problem 422 at once.
  OutcomePtr scan(ByteSpan picture);
  /// Somebody types the pairing code that a client shows for this number.
  OutcomePtr enter_code(std::string code);
  /// Removes a companion.
  OutcomePtr unlink(std::string device_jid);
  std::vector<mock::CompanionInfo> companions() const;

  /// Sends a message, as check_message() wants it, or a raw one. Answered with its id. Errors:
  /// `usage`.
  Result<OutcomePtr> send(const boost::json::object& message);
  /// Its user reads these messages.
  OutcomePtr read(std::vector<std::string> ids);
  /// What it has sent and received, oldest first.
  const std::deque<mock::PhoneMessage>& messages() const;

  /// Its user has the app open, or no longer.
  OutcomePtr show_presence(bool available);
  /// Its user writes in a chat, a number or a JID.
  OutcomePtr show_typing(std::string chat, mock::ShowTyping::What what);
  /// The other name of its account.
  std::string lid() const;

 private:
  friend class Server;
  Phone(Server& server, std::string number) : server_(server), number_(std::move(number)) {}
  Server& server_;
  std::string number_;
  std::string id_;
};

/// A group of accounts, changed by its admin: a phone.
class Group {
 public:
  const std::string& jid() const { return jid_; }
  /// Numbers or JIDs of accounts. Fails for the first that cannot be.
  OutcomePtr add(std::vector<std::string> who) { return change(std::move(who), true); }
  OutcomePtr remove(std::vector<std::string> who) { return change(std::move(who), false); }
  /// Numbers.
  std::vector<std::string> members() const;

 private:
  friend class Server;
  Group(Server& server, std::string jid, std::string admin)
      : server_(server), jid_(std::move(jid)), admin_(std::move(admin)) {}
  OutcomePtr change(std::vector<std::string> who, bool adds);
  Server& server_;
  std::string jid_;
  std::string admin_;
};

/// The mock server as scenarios see it, the same in every world. Devices are named by their label.
class Server {
 public:
  Server(ServerPort& port, Trace& trace);

  /// A new phone, or the one that has this number. Errors: `usage` (the number).
  Result<Phone*> phone(std::string number, std::string name = {});

  /// A new group of these accounts (numbers or JIDs); the first is its admin. Empty `addressing`:
  /// as the members' devices want it. Errors: `usage`.
  Result<Group*> group(std::string subject, std::vector<std::string> members,
                       std::optional<mock::Addressing> addressing = {});
  /// One that a device has made; `admin`: the number of its account.
  Group* group_of(std::string jid, std::string admin);
  /// Numbers of the members; empty when there is no such group.
  std::vector<std::string> members_of(std::string_view group) const;

  // Faults. A record as in docs/guides/faults.md; its durations are scaled as all others are.
  // Errors: `usage`, `conflict`.
  Result<std::string> fault(const boost::json::value& record);
  OutcomePtr remove_fault(std::string id);
  OutcomePtr fire_fault(std::string id);
  OutcomePtr heal_fault(std::string id);
  const mock::FaultEngine& faults() const { return port_.tenant().faults(); }
  /// "close", … of a record of this scenario, also a removed one; empty when there is none.
  std::string fault_kind(std::string_view id) const;
  const std::map<std::string, std::string, std::less<>>& fault_kinds() const {
    return fault_kinds_;
  }
  /// Ids of faults that never fired and had to, also those that were removed.
  std::vector<std::string> unfired_faults() const;
  /// For worlds: a host fault acted on one of its chances.
  void host_fault_acted(std::string_view id);

  OutcomePtr command(mock::Command command, std::string what);

  // What the server knows of a device.
  std::uint64_t connects(std::string_view label) const;  ///< upgrades it accepted
  std::uint64_t streams(std::string_view label) const;   ///< open now
  bool logged_in(std::string_view label) const;          ///< an open stream that is past login
  std::string jid(std::string_view label) const;         ///< empty until paired
  /// The JID of whoever is meant, as it is written to: a number, a JID, or a device's label.
  /// Errors: `not_found`: a label that is not linked.
  Result<std::string> address(std::string_view who) const;
  /// The number of the account that a JID, in whatever form, is a device of; else its user.
  std::string account(std::string_view jid) const;
  /// Whether the JID, in whatever form, is one of them: a number, a JID or a device's label, which
  /// all mean the whole account, unless the JID names a companion.
  bool is(std::string_view jid, std::string_view who) const;
  using SentClose = stage::SentClose;
  std::optional<SentClose> last_close(std::string_view label) const;
  const std::vector<mock::Violation>& violations() const { return port_.tenant().violations(); }
  std::vector<mock::ConnectionInfo> connections() const { return port_.tenant().connections(); }

  // History. Each device's events are an actor with a cursor of its own; the empty label is the
  // server itself, with the events of all.
  const std::vector<ServerEntry>& history() const { return history_; }
  /// Label of the connection that an event is about; empty if it has none.
  std::string_view label_of(const ServerEntry& entry) const;
  std::size_t cursor(std::string_view label) const;
  void move_cursor(std::string_view label, std::size_t index);
  /// Entries that somebody has awaited one by one, wherever the cursor was.
  void take(std::size_t index) { taken_.insert(index); }
  bool taken(std::size_t index) const { return taken_.contains(index); }

  Now now() const { return port_.now(); }
  /// When the scenario began: what times are told from.
  Instant began() const { return began_; }
  void begin(Instant at) { began_ = at; }
  /// For worlds: an event of the tenant, in order.
  void record(Instant at, mock::TenantEvent event);

 private:
  struct PerDevice {
    std::uint64_t connects = 0;
    std::size_t cursor = 0;
    /// What the server last said or did to end a stream of it.
    std::optional<SentClose> last_close;
  };
  friend class Phone;
  friend class Group;
  void note_close(const ServerEntry& entry);
  /// Under its phone number, if it is one of an account that there is. Empty: no JID.
  std::optional<wire::Jid> canonical(std::string_view jid) const;
  bool has_fired(const mock::FaultEngine::Active& active) const;

  ServerPort& port_;
  Trace& trace_;
  std::uint16_t trace_actor_ = 0;
  std::vector<ServerEntry> history_;
  std::map<std::string, PerDevice, std::less<>> devices_;
  std::vector<std::string> labels_;  ///< by connection id − 1
  std::set<std::size_t> taken_;
  std::vector<std::unique_ptr<Phone>> phones_;
  std::vector<std::unique_ptr<Group>> groups_;
  Instant began_{};
  std::map<std::string, std::string, std::less<>> fault_kinds_;  ///< by id
  std::map<std::string, std::uint64_t, std::less<>> host_faults_acted_;
  /// Faults that were removed: their records would be gone from the tenant.
  std::vector<std::string> removed_unfired_;
};

/// What an event says of a phone, as a device would say it: an entry `message`, `undecryptable` or
/// `receipt` with the same members. Empty: it is about something else.
std::optional<Entry> phone_entry(const Server& server, std::string_view number,
                                 const mock::TenantEvent& event);

}  // namespace wa::stage

#include "scenarios/stage/server.hpp"

#include <algorithm>
#include <charconv>

#include "mockserver/camera/camera.hpp"
#include "scenarios/stage/event_data.hpp"
#include "scenarios/stage/trace.hpp"

namespace wa::stage {

using mock::EventKind;

namespace {

/// The number in `stream:error code="515"` or `failure reason="401"`.
std::optional<int> code_in(std::string_view detail) {
  for (const std::string_view name : {"code=\"", "reason=\""}) {
    const std::size_t found = detail.find(name);
    if (found == std::string_view::npos) continue;
    const std::string_view digits = detail.substr(found + name.size());
    int value = 0;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (status == std::errc()) return value;
  }
  return {};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

boost::json::object data_of(const mock::TenantEvent& event) {
  boost::json::object data;
  for (const auto& [key, value] : event.data) data[key] = value;
  return data;
}

std::optional<SentClose> sent_close(const ServerEntry& entry) {
  if (entry.event.kind != EventKind::closed || datum(entry.event, "by") != "server") return {};
  const std::string_view detail = datum(entry.event, "detail");
  return SentClose{code_in(detail), std::string(detail), entry.at};
}

std::string describe(const mock::TenantEvent& event) {
  std::string text(mock::to_string(event.kind));
  for (const auto& [key, value] : event.data) {
    if (value.empty() || key == "id") continue;
    text += ' ';
    text += value;
  }
  return text;
}

const mock::CommandResult* Outcome::value() const {
  return result ? std::get_if<mock::CommandResult>(&*result) : nullptr;
}

const mock::Problem* Outcome::problem() const {
  return result ? std::get_if<mock::Problem>(&*result) : nullptr;
}

OutcomePtr Phone::scan(ByteSpan picture) {
  const std::string what = "scan by phone " + number_;
  Result<std::string> text = mock::camera::read_picture(picture);
  if (!text) {
    auto outcome = std::make_shared<Outcome>();
    outcome->what = what;
    outcome->asked_at = outcome->answered_at = server_.now().mono;
    outcome->result = mock::picture_problem(text.error());
    return outcome;
  }
  return server_.command(mock::Scan{id_, std::move(*text)}, what);
}

OutcomePtr Phone::enter_code(std::string code) {
  return server_.command(mock::EnterPairingCode{id_, std::move(code)},
                         "pairing code typed into phone " + number_);
}

OutcomePtr Phone::unlink(std::string device_jid) {
  std::string what = "unlink of " + device_jid + " by phone " + number_;
  return server_.command(mock::Unlink{id_, std::move(device_jid)}, std::move(what));
}

std::vector<mock::CompanionInfo> Phone::companions() const {
  auto info = server_.port_.tenant().phone(id_);
  return info ? std::move(info->devices) : std::vector<mock::CompanionInfo>{};
}

Result<OutcomePtr> Phone::send(const boost::json::object& message) {
  WA_TRY(mock::SendMessage send, mock::SendMessage::parse(id_, message));
  std::string what = "message to " + send.to + " by phone " + number_;
  return server_.command(std::move(send), std::move(what));
}

OutcomePtr Phone::read(std::vector<std::string> ids) {
  return server_.command(mock::ReadMessages{id_, std::move(ids)},
                         "messages read on phone " + number_);
}

const std::deque<mock::PhoneMessage>& Phone::messages() const {
  static const std::deque<mock::PhoneMessage> kNone;
  const auto* messages = server_.port_.tenant().messages(id_);
  return messages ? *messages : kNone;
}

OutcomePtr Phone::show_presence(bool available) {
  return server_.command(mock::ShowPresence{id_, available},
                         std::string(available ? "arrival" : "departure") + " of phone " + number_);
}

OutcomePtr Phone::show_typing(std::string chat, mock::ShowTyping::What what) {
  std::string label = "typing in " + chat + " by phone " + number_;
  return server_.command(mock::ShowTyping{id_, std::move(chat), what}, std::move(label));
}

std::string Phone::lid() const {
  const auto info = server_.port_.tenant().phone(id_);
  return info ? info->lid : std::string();
}

std::vector<std::string> Group::members() const {
  return server_.members_of(jid_);
}

OutcomePtr Group::change(std::vector<std::string> who, bool adds) {
  using What = mock::ChangeGroup::What;
  std::string what = std::string(adds ? "additions to" : "removals from") + " group " + jid_;
  return server_.command(
      mock::ChangeGroup{admin_, jid_, adds ? What::add : What::remove, std::move(who)},
      std::move(what));
}

Server::Server(ServerPort& port, Trace& trace) : port_(port), trace_(trace) {
  trace_actor_ = trace_.actor("server");
}

Result<Phone*> Server::phone(std::string number_text, std::string name) {
  for (const auto& phone : phones_) {
    if (phone->number() == number_text) return phone.get();
  }
  std::unique_ptr<Phone> phone(new Phone(*this, number_text));
  if (const auto known = port_.tenant().phone(number_text)) {
    phone->id_ = known->id;
  } else {
    const OutcomePtr added =
        command(mock::AddPhone{number_text, std::move(name)}, "phone " + number_text);
    if (const mock::Problem* problem = added->problem()) {
      return Error{Errc::usage, problem->message};
    }
    WA_ASSERT(added->answered());  // a phone needs nobody's answer
    phone->id_ = added->value()->value;
  }
  phones_.push_back(std::move(phone));
  return phones_.back().get();
}

Result<Group*> Server::group(std::string subject, std::vector<std::string> members,
                             std::optional<mock::Addressing> addressing) {
  if (members.empty()) return Error{Errc::usage, "a group has members"};
  std::string admin = std::move(members.front());
  if (admin.find('@') != std::string::npos) admin = account(admin);
  members.erase(members.begin());
  const OutcomePtr made =
      command(mock::CreateGroup{admin, std::move(subject), std::move(members), addressing},
              "group of phone " + admin);
  if (const mock::Problem* problem = made->problem()) {
    return Error{Errc::usage, problem->message};
  }
  WA_ASSERT(made->answered());  // a group needs nobody's answer
  return group_of(made->value()->value, std::move(admin));
}

Group* Server::group_of(std::string jid, std::string admin) {
  for (const auto& group : groups_) {
    if (group->jid() == jid) return group.get();
  }
  groups_.emplace_back(new Group(*this, std::move(jid), std::move(admin)));
  return groups_.back().get();
}

std::vector<std::string> Server::members_of(std::string_view group) const {
  auto info = port_.tenant().group(group);
  return info ? std::move(info->members) : std::vector<std::string>{};
}

Result<std::string> Server::fault(const boost::json::value& record) {
  WA_TRY(mock::FaultRecord parsed, mock::FaultRecord::parse(record));
  std::string kind(parsed.name());
  if (const TimeScale& scale = port_.time_scale(); scale.factor != 1) {
    parsed = parsed.scaled(
        [&](Duration duration) { return scale.apply(duration, DurationKind::delay); });
  }
  const OutcomePtr added = command(mock::AddFault{std::move(parsed)}, "fault");
  if (const mock::Problem* problem = added->problem()) {
    return Error{problem->status == 409 ? Errc::conflict : Errc::usage, problem->message};
  }
  WA_ASSERT(added->answered());
  fault_kinds_[added->value()->value] = std::move(kind);
  return added->value()->value;
}

std::string Server::fault_kind(std::string_view id) const {
  const auto found = fault_kinds_.find(id);
  return found == fault_kinds_.end() ? std::string() : found->second;
}

OutcomePtr Server::remove_fault(std::string id) {
  const mock::FaultEngine::Active* active = faults().find(id);
  if (active && !has_fired(*active)) removed_unfired_.push_back(id);
  std::string what = "removal of fault " + id;
  return command(mock::RemoveFault{std::move(id)}, std::move(what));
}

OutcomePtr Server::fire_fault(std::string id) {
  std::string what = "firing of fault " + id;
  return command(mock::FireFault{std::move(id)}, std::move(what));
}

OutcomePtr Server::heal_fault(std::string id) {
  std::string what = "healing of fault " + id;
  return command(mock::HealFault{std::move(id)}, std::move(what));
}

std::vector<std::string> Server::unfired_faults() const {
  std::vector<std::string> ids = removed_unfired_;
  for (const auto& active : faults().records()) {
    if (!has_fired(active)) ids.push_back(active.record.id);
  }
  return ids;
}

bool Server::has_fired(const mock::FaultEngine::Active& active) const {
  if (active.record.optional) return true;
  // That one was switched on says nothing of what became of it in the client's host.
  return active.record.is_host() ? host_faults_acted_.contains(active.record.id) : active.fired > 0;
}

void Server::host_fault_acted(std::string_view id) {
  ++host_faults_acted_[std::string(id)];
}

OutcomePtr Server::command(mock::Command command, std::string what) {
  auto outcome = std::make_shared<Outcome>();
  outcome->what = std::move(what);
  outcome->asked_at = now().mono;
  trace_.add(outcome->asked_at, trace_actor_, TraceKind::verb, as_bytes(outcome->what));
  if (trace_.recording()) {
    trace_.line(outcome->asked_at, trace_actor_, "verb", {{"what", outcome->what}});
  }
  port_.command(std::move(command), [this, outcome](const auto& result) {
    outcome->answered_at = now().mono;
    outcome->result = result;
  });
  return outcome;
}

std::optional<Entry> phone_entry(const Server& server, std::string_view number,
                                 const mock::TenantEvent& event) {
  if (event.kind != EventKind::message || datum(event, "phone") != number) return {};
  const std::string_view what = datum(event, "what");
  Entry entry;
  entry.data["id"] = datum(event, "id");
  if (what == "receipt") {
    const std::string device = server.jid(event.device);
    entry.kind = "receipt";
    entry.data["kind"] = datum(event, "detail");
    entry.data["from"] = device.empty() ? event.device : device;
    return entry;
  }
  if (what != "received" && what != "unreadable") return {};
  // What devices tell each other is not for people.
  for (const char* kind : {"app_state_keys", "app_state_keys_wanted", "history_notice"}) {
    if (datum(event, "kind") == kind) return {};
  }
  entry.kind = what == "received" ? "message" : "undecryptable";
  for (const char* name : {"chat", "from", "kind", "text", "about"}) {
    if (const auto value = datum(event, name); !value.empty()) entry.data[name] = value;
  }
  if (what == "unreadable") entry.data["text"] = datum(event, "detail");
  entry.data["from_me"] = server.is(datum(event, "from"), number);
  return entry;
}

std::uint64_t Server::connects(std::string_view label) const {
  const auto found = devices_.find(label);
  return found == devices_.end() ? 0 : found->second.connects;
}

std::uint64_t Server::streams(std::string_view label) const {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(connections(), [&](const mock::ConnectionInfo& connection) {
        return connection.label == label && connection.phase != "closing" &&
               connection.phase != "upgrade";
      }));
}

bool Server::logged_in(std::string_view label) const {
  return std::ranges::any_of(connections(), [&](const mock::ConnectionInfo& connection) {
    return connection.label == label && connection.phase == "open";
  });
}

std::string Server::jid(std::string_view label) const {
  // The newest companion of that label: a device that was linked again has a new one.
  std::string jid;
  for (const mock::PhoneInfo& phone : port_.tenant().phones()) {
    for (const mock::CompanionInfo& companion : phone.devices) {
      if (companion.label == label) jid = companion.device_jid;
    }
  }
  return jid;
}

Result<std::string> Server::address(std::string_view who) const {
  if (who.find('@') != std::string_view::npos) return std::string(who);
  if (is_number(who)) return std::string(who) + "@" + std::string(wire::kServerPn);
  const std::string own = jid(who);
  if (own.empty()) return Error{Errc::not_found, "device " + std::string(who) + " is not linked"};
  return wire::Jid::parse(own)->without_device().to_string();
}

std::optional<wire::Jid> Server::canonical(std::string_view text) const {
  auto jid = wire::Jid::parse(text);
  if (!jid) return {};
  if (jid->server != wire::kServerLid) return std::move(*jid);
  const std::string_view number = port_.tenant().number_of(*jid);
  if (number.empty()) return std::move(*jid);
  return wire::Jid(std::string(number), wire::kServerPn, jid->device);
}

std::string Server::account(std::string_view jid) const {
  const auto found = canonical(jid);
  return found ? found->user : std::string();
}

bool Server::is(std::string_view jid, std::string_view who) const {
  const auto wanted_text = address(who);
  if (!wanted_text) return false;
  const auto found = canonical(jid);
  const auto wanted = canonical(*wanted_text);
  if (!found || !wanted) return false;
  if (wanted->device != 0) return *found == *wanted;
  return found->without_device() == *wanted;
}

std::optional<Server::SentClose> Server::last_close(std::string_view label) const {
  const auto found = devices_.find(label);
  return found == devices_.end() ? std::nullopt : found->second.last_close;
}

std::string_view Server::label_of(const ServerEntry& entry) const {
  const mock::ConnectionId connection = entry.event.connection;
  if (connection > 0 && connection <= labels_.size()) return labels_[connection - 1];
  return entry.event.device;
}

std::size_t Server::cursor(std::string_view label) const {
  const auto found = devices_.find(label);
  return found == devices_.end() ? 0 : found->second.cursor;
}

void Server::move_cursor(std::string_view label, std::size_t index) {
  auto found = devices_.find(label);
  if (found == devices_.end()) found = devices_.emplace(std::string(label), PerDevice{}).first;
  found->second.cursor = std::max(found->second.cursor, index);
}

void Server::record(Instant at, mock::TenantEvent event) {
  if (event.kind == EventKind::connected && event.connection > 0) {
    if (labels_.size() < event.connection) labels_.resize(event.connection);
    labels_[event.connection - 1] = event.device;
    ++devices_[event.device].connects;
  }
  if (trace_.recording()) {
    boost::json::object data;
    data["connection"] = event.connection;
    data["device"] = event.device;
    for (const auto& [key, value] : event.data) data[key] = value;
    trace_.line(at, trace_actor_, mock::to_string(event.kind), std::move(data));
  }
  history_.push_back({at, std::move(event)});
  note_close(history_.back());
}

void Server::note_close(const ServerEntry& entry) {
  auto close = sent_close(entry);
  if (!close) return;
  const auto device = devices_.find(label_of(entry));
  if (device != devices_.end()) device->second.last_close = std::move(close);
}

}  // namespace wa::stage

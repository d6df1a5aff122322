#include "mockserver/core/tenant.hpp"

#include <algorithm>
#include <charconv>

#include "engine/base/limits.hpp"
#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/legible.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Node;
using wire::NodeBuilder;

constexpr std::size_t kMaxOldRefs = 1000;
constexpr std::size_t kMaxViolations = 10'000;
constexpr std::size_t kMaxLabelBytes = 64;
/// Certificates are issued a day back, for clients whose clock is slow, and renewed every day.
constexpr std::int64_t kDaySeconds = 86'400;

/// The value of `device=` in a request target; only characters that are safe in logs and JIDs.
std::string label_of(std::string_view target) {
  const std::size_t query = target.find('?');
  if (query == std::string_view::npos) return {};
  std::string_view rest = target.substr(query + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    constexpr std::string_view kName = "device=";
    if (!pair.starts_with(kName)) continue;
    std::string label;
    for (const char c : pair.substr(kName.size(), kMaxLabelBytes)) {
      const bool safe = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
      label.push_back(safe ? c : '_');
    }
    return label;
  }
  return {};
}

}  // namespace

Problem picture_problem(const Error& camera_error) {
  switch (camera_error.code) {
    case Errc::not_found:
      return {422, "no_qr", camera_error.detail, "scan the picture that the client shows now"};
    case Errc::conflict:
      return {422, "several_qrs", camera_error.detail, "crop the picture to one code"};
    default: return {422, "bad_picture", camera_error.detail, "a PNG or JPEG of one whole QR code"};
  }
}

// ---- the outside ------------------------------------------------------------------------------

Tenant::Tenant(Settings settings, const ServerKeys& keys, std::uint64_t seed, Random& random)
    : Tenant(std::move(settings), keys, seed, random, Options()) {}
Tenant::Tenant(Settings settings, const ServerKeys& keys, std::uint64_t seed, Random& random,
               Options options)
    : impl_(std::make_unique<Impl>(settings, keys, seed, random, std::move(options))) {}
Tenant::~Tenant() = default;
Tenant::Tenant(Tenant&&) noexcept = default;

std::vector<Action> Tenant::step(ConnectionId connection, const ConnectionEvent& event, Now now) {
  impl_->on_connection_event(connection, event, now);
  return impl_->take_actions(now);
}

std::vector<Action> Tenant::command(RequestId request, const Command& command, Now now) {
  impl_->on_command(request, command, now);
  return impl_->take_actions(now);
}

std::vector<Action> Tenant::deadline_reached(Now now) {
  impl_->on_deadline(now);
  return impl_->take_actions(now);
}

std::vector<Action> Tenant::computed(std::uint64_t job_id, const ComputeValue& value, Now now) {
  impl_->on_computed(job_id, value, now);
  return impl_->take_actions(now);
}

std::optional<Instant> Tenant::next_deadline() const {
  return impl_->next_deadline();
}

Tenant::TlsDecision Tenant::tls_decision(Now now) {
  return impl_->tls_decision(now);
}

std::size_t Tenant::phone_count() const {
  return impl_->accounts.phones().size();
}

std::vector<PhoneInfo> Tenant::phones() const {
  std::vector<PhoneInfo> infos;
  for (const auto& [id, phone] : impl_->accounts.phones()) infos.push_back(impl_->describe(phone));
  return infos;
}

std::optional<PhoneInfo> Tenant::phone(std::string_view id_or_number) const {
  const Phone* phone = impl_->accounts.find(id_or_number);
  if (phone == nullptr) return std::nullopt;
  return impl_->describe(*phone);
}

std::string_view Tenant::number_of(const wire::Jid& account) const {
  const Phone* phone = impl_->accounts.find(account);
  return phone == nullptr ? std::string_view() : phone->number;
}

const std::deque<PhoneMessage>* Tenant::messages(std::string_view id_or_number) const {
  return impl_->messages_of(id_or_number);
}
std::optional<GroupInfo> Tenant::group(std::string_view jid) const {
  return impl_->describe_group(jid);
}
const Bytes* Tenant::media(std::string_view target) const {
  return impl_->media(target);
}
std::vector<ConnectionInfo> Tenant::connections() const {
  return impl_->connections();
}
const std::vector<Violation>& Tenant::violations() const {
  return impl_->violations;
}
std::vector<CoverageRow> Tenant::coverage() const {
  return impl_->coverage();
}
const FaultEngine& Tenant::faults() const {
  return impl_->faults;
}
Settings& Tenant::settings() {
  return impl_->settings;
}
// ---- connections ------------------------------------------------------------------------------

Tenant::Impl::Impl(Settings tenant_settings, const ServerKeys& server_keys,
                   std::uint64_t tenant_seed, Random& random_source, Options tenant_options)
    : settings(tenant_settings),
      options(std::move(tenant_options)),
      keys(server_keys),
      seed(tenant_seed),
      random(random_source),
      faults(tenant_seed, options.name) {}

std::vector<Action> Tenant::Impl::take_actions(Now now) {
  serve_phones(now);
  carry_out(faults.take_due(), now);
  return std::exchange(actions_, {});
}

Tenant::Impl::Peer* Tenant::Impl::find(ConnectionId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

Tenant::Impl::Peer* Tenant::Impl::online(const DeviceKey& key) {
  const auto newest = online_.find(key);
  Peer* peer = newest == online_.end() ? nullptr : find(newest->second);
  return peer != nullptr && peer->companion == key ? peer : nullptr;
}

noise::ChainSpec Tenant::Impl::chain_spec(Now now) const {
  noise::ChainSpec spec;
  spec.server_static = keys.noise_static.public_key;
  spec.not_before = now.wall.seconds() - kDaySeconds;
  spec.not_after = now.wall.seconds() + 30 * kDaySeconds;
  return spec;
}

const Bytes& Tenant::Impl::certificate_chain(Now now) {
  const std::int64_t seconds = now.wall.seconds();
  if (!certificate_issued_ || std::abs(seconds - certificate_issued_->seconds()) > kDaySeconds) {
    certificate_chain_ = noise::issue_chain(chain_spec(now), keys.root, keys.intermediate, random);
    certificate_issued_ = now.wall;
  }
  return certificate_chain_;
}

void Tenant::Impl::on_connection_event(ConnectionId id, const ConnectionEvent& event, Now now) {
  if (const auto* upgrade = std::get_if<UpgradeRequested>(&event)) {
    on_upgrade(id, *upgrade, now);
    return;
  }
  Peer* peer = find(id);
  const auto* received = std::get_if<BytesReceived>(&event);
  if (peer == nullptr) {
    // We closed it; the network may deliver late.
    if (received == nullptr) drop_link(id);
  } else if (received != nullptr) {
    receive(*peer, received->bytes, now);
  } else {
    receive_end(*peer, std::get<Disconnected>(event).detail, now);
  }
}

void Tenant::Impl::on_upgrade(ConnectionId id, const UpgradeRequested& event, Now now) {
  WA_ASSERT(!peers_.contains(id));
  Peer& peer = peers_[id];
  peer.id = id;
  peer.label = label_of(event.target);
  peer.remote = event.remote;
  peer.link = std::make_unique<Connection>(keys.noise_static, certificate_chain(now), random,
                                           settings.noise_ik);
  if (spoil_upgrade(peer, now)) {
    if (!peer.upgrading) peers_.erase(id);
    return;
  }
  actions_.push_back({id, AcceptUpgrade{}});
  set_timer(peer, TimerKind::handshake, now.mono + settings.handshake_timeout);
  faults.seen(peer.subject(), now);
  notice(EventKind::connected, peer, {{"remote", peer.remote}}, now);
}

void Tenant::Impl::on_bytes(Peer& peer, ByteSpan bytes, Now now) {
  if (peer.blackholed || peer.stalled || peer.held_end) return;
  spoil_handshake(peer, now);
  if (peer.stalled) return;
  Connection::FrameHook arrived;
  if (has_frame_faults() || peer.swapped_in) {
    arrived = [&](Bytes payload) { return spoil_arrived(peer, std::move(payload), now); };
  }
  const ConnectionId id = peer.id;
  for (Connection::Output& output : peer.link->receive(bytes, arrived)) {
    // Each output may have ended the connection for the next one.
    Peer* current = find(id);
    if (current == nullptr) return;
    if (auto* hello = std::get_if<Connection::SendHello>(&output)) {
      if (!recent_keys.add(hello->client_ephemeral)) {
        violate(*current, "key-reused", "the ephemeral key of the ClientHello came before",
                nullptr);
      }
      if (stall_at(*current, StallFault::Stage::hello)) return;
      send_bytes(*current, std::move(hello->message), now);
    } else if (const auto* done = std::get_if<Connection::HandshakeDone>(&output)) {
      if (options.key_log) {
        actions_.push_back({id, LogKeys{done->client_static, done->keys.client_to_server,
                                        done->keys.server_to_client}});
      }
      if (stall_at(*current, StallFault::Stage::finish)) return;
      on_handshake(*current, *done, now);
    } else if (const auto* node = std::get_if<Connection::NodeReceived>(&output)) {
      on_stanza(*current, node->frame.root(), now);
    } else {
      const auto& broken = std::get<Connection::Broken>(output);
      if (!broken.rule.empty() && !current->tampered)
        violate(*current, broken.rule, to_string(broken.error), nullptr);
      if (broken.rule == "node") {
        stream_error(*current, StreamErrorFault{{}, "", "xml-not-well-formed"}, now);
      } else {
        const std::string rule = broken.rule.empty() ? "refused" : broken.rule;
        close(*current, CloseHow::fin, rule + ": " + broken.error.detail, now);
      }
    }
  }
}

void Tenant::Impl::on_handshake(Peer& peer, const Connection::HandshakeDone& done, Now now) {
  cancel_timer(peer, TimerKind::handshake);
  peer.client_static = done.client_static;
  if (!recent_keys.add(done.keys.client_to_server))
    violate(peer, "key-reused", "the keys of the transport came before", nullptr);
  const ConnectionId id = peer.id;
  if (peer.link->dictionary() == wire::Dictionary::v2 && settings.first_frame_delay.count() > 0) {
    // Clients of dictionary 2 derive their keys asynchronously and lose what comes at once.
    peer.holding = true;
    set_timer(peer, TimerKind::first_frame, now.mono + settings.first_frame_delay);
  }
  auto payload = pairing::parse_client_payload(done.payload);
  notice(EventKind::handshake, peer,
         {{"dictionary", std::to_string(static_cast<int>(peer.link->dictionary()))},
          {"pattern", std::string(noise::to_string(done.pattern))}},
         now);
  if (find(id) == nullptr) return;
  if (!payload) {
    const bool signature = payload.error().code == Errc::auth_failed;
    violate(peer, signature ? "signed-prekey-signature" : "client-payload", payload.error().detail,
            nullptr);
    fail(peer, FailureFault{400, {}, {}}, now);
    return;
  }
  if (const auto* login = std::get_if<pairing::Login>(&*payload)) {
    log_in(peer, *login, now);
    return;
  }
  peer.phase = Phase::pairing;
  peer.registration = std::get<pairing::Registration>(std::move(*payload));
  notice(EventKind::registration, peer, {{"os", peer.registration->os}}, now);
  if (Peer* still = find(id)) offer_refs(*still, now);
}

void Tenant::Impl::on_node(Peer& peer, const Node& node, Now now) {
  const ConnectionId id = peer.id;
  const Node* child = node.first_child();
  std::vector<std::pair<std::string_view, std::string>> data = {
      {"tag", std::string(node.tag)},
      {"id", std::string(node.attr("id"))},
      {"type", std::string(node.attr("type"))},
      {"xmlns", std::string(node.attr("xmlns"))},
      {"child", child == nullptr ? std::string() : std::string(child->tag)}};
  if (std::string use = sender_key_use(node); !use.empty()) {
    data.emplace_back("sender_key", std::move(use));
  }
  notice(EventKind::stanza_in, peer, std::move(data), now, &node);
  Peer* still = find(id);
  if (still == nullptr) return;
  if (still->phase == Phase::open) {
    on_logged_in_node(*still, node, now);
  } else {
    on_pairing_node(*still, node, now);
  }
}

void Tenant::Impl::put_on_wire(Peer& peer, const NodeBuilder& node, Now now) {
  if (peer.blackholed) return;
  std::string id;
  std::string type;
  OwedAck owed;
  for (const auto& [key, value] : node.attributes()) {
    std::string* const wanted = key == "id"            ? &id
                                : key == "type"        ? &type
                                : key == "participant" ? &owed.participant
                                                       : nullptr;
    if (wanted == nullptr) continue;
    const auto* text = std::get_if<std::string>(&value);
    *wanted = text ? *text : std::get<wire::Jid>(value).to_string();
  }
  const std::string& tag = node.tag();
  if (tag == "message" || tag == "receipt" || tag == "notification" || tag == "call") {
    owed.ack_class = tag;
    owed.id = id;
    owed.type = type;
    watch_ack(peer, owed, node, now);
    const bool watched = owed.due.has_value();
    peer.owed_acks.add(std::move(owed));
    if (watched) set_ack_timer(peer);
  }
  Result<Bytes> message = peer.link->seal(node);
  if (!message) {
    close(peer, CloseHow::fin, message.error().detail, now);
    return;
  }
  const auto* children = std::get_if<std::vector<NodeBuilder>>(&node.content());
  std::string child = children != nullptr && !children->empty() ? children->front().tag() : "";
  send_frame(peer, std::move(*message), &node, now);
  notice(
      EventKind::stanza_out, peer,
      {{"tag", tag}, {"id", std::move(id)}, {"type", std::move(type)}, {"child", std::move(child)}},
      now, &node);
}

void Tenant::Impl::send_bytes(Peer& peer, Bytes message, Now now) {
  if (peer.holding) {
    peer.held.push_back(std::move(message));
  } else {
    transmit(peer, std::move(message), now);
  }
}

void Tenant::Impl::fail(Peer& peer, const FailureFault& failure, Now now) {
  NodeBuilder node("failure");
  node.attr("reason", failure.reason).attr("location", "tst");
  if (failure.code) node.attr("code", *failure.code);
  if (failure.expire) {
    node.attr("expire", std::chrono::ceil<std::chrono::seconds>(*failure.expire).count());
  }
  end_with(peer, node, "failure reason=\"" + std::to_string(failure.reason) + "\"", now);
}

void Tenant::Impl::stream_error(Peer& peer, const StreamErrorFault& error, Now now) {
  NodeBuilder node("stream:error");
  std::string detail = "stream:error";
  if (error.code) {
    node.attr("code", *error.code);
    detail += " code=\"" + std::to_string(*error.code) + "\"";
  }
  if (!error.conflict.empty()) {
    node.child(NodeBuilder("conflict").attr("type", error.conflict));
    detail += " conflict=\"" + error.conflict + "\"";
  }
  if (!error.child.empty()) {
    node.child(NodeBuilder(error.child));
    detail += " child=\"" + error.child + "\"";
  }
  end_with(peer, node, std::move(detail), now);
}

void Tenant::Impl::end_with(Peer& peer, const NodeBuilder& node, std::string detail, Now now) {
  const ConnectionId id = peer.id;
  peer.ending = true;
  send(peer, node, now);
  if (Peer* still = find(id)) close(*still, CloseHow::normal, std::move(detail), now);
}

void Tenant::Impl::close(Peer& peer, CloseHow how, std::string detail, Now now) {
  if (how == CloseHow::blackhole) {
    peer.blackholed = true;
    actions_.push_back({peer.id, CloseSocket{how}});
    return;
  }
  if (peer.holding && how != CloseHow::rst) {
    // What comes too early is lost on such a client, the reason for the end above all.
    peer.held_end = Peer::Ending{how, std::move(detail)};
    peer.ending = true;
    peer.companion.reset();
    for (const TimerKind kind : kEndedTimers) {
      if (kind != TimerKind::first_frame) cancel_timer(peer, kind);
    }
    return;
  }
  if (how != CloseHow::rst) {
    if (peer.swapped_out) transmit(peer, std::move(*peer.swapped_out), now);
  }
  transmit_end(peer, how, std::move(detail), now);
}

void Tenant::Impl::forget(Peer& peer, std::string_view by, std::string detail, Now now) {
  const ConnectionId id = peer.id;
  if (peer.scan) {
    answer_scan(
        peer, Problem{409, "connection_lost",
                      "the companion's connection ended before it answered pair-success: " + detail,
                      "look at /v1/events for what it sent last"});
  }
  give_up_code(peer, Problem{409, "connection_lost",
                             "the companion's connection ended before it was linked: " + detail,
                             "look at /v1/events for what it sent last"});
  for (Ref& ref : peer.refs) old_refs.push_back(std::move(ref.text));
  while (old_refs.size() > kMaxOldRefs) old_refs.pop_front();
  for (const TimerKind kind : kEndedTimers) cancel_timer(peer, kind);
  // Out of the map first: a fault on `closed` must not find it alive.
  auto node = peers_.extract(id);
  Peer& gone = node.mapped();
  record(EventKind::closed, id, gone.device_name(),
         {{"by", std::string(by)}, {"detail", std::move(detail)}});
  if (gone.companion && online(*gone.companion) == nullptr) {
    set_presence(*gone.companion, false, now);
  }
  FaultSubject subject = gone.subject();
  subject.state = ConnectionState::offline;
  carry_out(faults.on_event(EventKind::closed, subject, now), now);
}

// ---- records, timers ----------------------------------------------------------------------------

void Tenant::Impl::record(EventKind kind, ConnectionId id, std::string device,
                          std::vector<std::pair<std::string_view, std::string>> data) {
  for (auto& [key, text] : data) {
    if (!is_legible(text)) text = legible(text);
  }
  actions_.push_back({id, Record{TenantEvent{kind, id, std::move(device), std::move(data)}}});
}

void Tenant::Impl::notice(EventKind kind, Peer& peer,
                          std::vector<std::pair<std::string_view, std::string>> data, Now now,
                          StanzaRef stanza) {
  record(kind, peer.id, peer.device_name(), std::move(data));
  if (faults.records().empty() || peer.ending) return;
  carry_out(faults.on_event(kind, peer.subject(), now, stanza), now);
}

void Tenant::Impl::violate(const Peer& peer, std::string_view rule, std::string detail,
                           const Node* node) {
  if (violations.size() < kMaxViolations) {
    violations.push_back(Violation{std::string(rule), peer.id, peer.device_name(), legible(detail),
                                   node == nullptr ? std::string() : legible(wire::to_xml(*node))});
  }
  record(EventKind::violation, peer.id, peer.device_name(),
         {{"rule", std::string(rule)}, {"detail", std::move(detail)}});
}

void Tenant::Impl::set_timer(ConnectionId id, TimerKind kind, Instant at) {
  cancel_timer(id, kind);
  timer_of_[{id, kind}] = at;
  timers_.insert({at, id, kind});
}

void Tenant::Impl::cancel_timer(ConnectionId id, TimerKind kind) {
  const auto found = timer_of_.find({id, kind});
  if (found == timer_of_.end()) return;
  timers_.erase({found->second, id, kind});
  timer_of_.erase(found);
}

std::optional<Instant> Tenant::Impl::next_deadline() const {
  std::optional<Instant> next = faults.next_deadline();
  if (!timers_.empty()) {
    const Instant first = std::get<Instant>(*timers_.begin());
    if (!next || first < *next) next = first;
  }
  if (!early_codes_.empty() && (!next || early_codes_.front().until < *next)) {
    next = early_codes_.front().until;
  }
  return next;
}

void Tenant::Impl::on_deadline(Now now) {
  refuse_early_codes(now.mono);
  while (!timers_.empty() && std::get<Instant>(*timers_.begin()) <= now.mono) {
    const auto [at, id, kind] = *timers_.begin();
    cancel_timer(id, kind);
    if (kind == TimerKind::link) {
      deliver(id, now);
      continue;
    }
    Peer* peer = find(id);
    WA_ASSERT(peer != nullptr);
    on_timer(*peer, kind, now);
  }
  const auto is_live = [this](const std::string& device) { return find_device(device) != nullptr; };
  carry_out(faults.on_deadline(now, is_live), now);
}

/// The live connection of a device as fault timers name it; the newest, if there are two.
Tenant::Impl::Peer* Tenant::Impl::find_device(const std::string& device_key) {
  for (auto entry = peers_.rbegin(); entry != peers_.rend(); ++entry) {
    Peer& peer = entry->second;
    if (FaultEngine::device_key(peer.subject()) == device_key || peer.device_jid == device_key) {
      return &peer;
    }
  }
  return nullptr;
}

void Tenant::Impl::on_timer(Peer& peer, TimerKind kind, Now now) {
  switch (kind) {
    case TimerKind::handshake:
      close(peer, CloseHow::fin,
            peer.upgrading ? "the upgrade was left without an answer" : "no handshake in time",
            now);
      break;
    case TimerKind::first_frame:
      peer.holding = false;
      for (Bytes& message : std::exchange(peer.held, {})) transmit(peer, std::move(message), now);
      if (peer.held_end) close(peer, peer.held_end->how, std::move(peer.held_end->detail), now);
      break;
    case TimerKind::refs_end:
      // Somebody may be typing its code.
      if (peer.shown_code && now.mono < peer.shown_code->expires_at) {
        set_timer(peer, kind, peer.shown_code->expires_at + settings.refs_linger);
      } else {
        close(peer, CloseHow::normal, "QR refs used up", now);
      }
      break;
    case TimerKind::scan:
      if (!peer.scan->waits_for_passkey) peer.given_up_iq_id = peer.scan->iq_id;
      answer_scan(peer, Problem{504, "no_pair_device_sign",
                                "the companion did not answer pair-success in time",
                                "look at /v1/events for what it sent last"});
      break;
    case TimerKind::companion_finish:
      give_up_code(peer, Problem{504, "no_companion_finish",
                                 "the companion did not answer primary_hello in time",
                                 "look at /v1/events for what it sent last"});
      break;
    case TimerKind::link: break;  // of the link, not of the peer
    case TimerKind::stanzas_out: lane_due(peer, Direction::to_client, now); break;
    case TimerKind::stanzas_in: lane_due(peer, Direction::to_server, now); break;
    case TimerKind::owe_ack: acks_due(peer, now); break;
    case TimerKind::offline_batch: continue_offline(peer, now); break;
    case TimerKind::restart: stream_error(peer, StreamErrorFault{515, "", ""}, now); break;
    case TimerKind::server_ping: ping(peer, now); break;
  }
}

}  // namespace wa::mock

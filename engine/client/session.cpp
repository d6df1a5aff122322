#include "engine/client/session.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"

namespace wa::client {
namespace {

Reconnect::Config reconnect_config(const Timings& timings) {
  return {.first = timings.backoff_first,
          .max = timings.backoff_max,
          .slow = timings.slow,
          .stable = timings.stable};
}

std::string_view to_string(DialPhase phase) {
  switch (phase) {
    case DialPhase::resolve: return "resolve";
    case DialPhase::connect: return "connect";
    case DialPhase::proxy: return "proxy";
    case DialPhase::tls: return "tls";
    case DialPhase::upgrade: return "upgrade";
  }
  WA_UNREACHABLE("a DialPhase without a word");
}

std::string_view word_for(Stream::Failure failure) {
  switch (failure) {
    case Stream::Failure::handshake: return "handshake_failed";
    case Stream::Failure::certificate: return "bad_certificate";
    case Stream::Failure::frame:
    case Stream::Failure::content: return "stream_broken";
  }
  WA_UNREACHABLE("a Failure without a word");
}

}  // namespace

// ---- the outside ----------------------------------------------------------------------------

Session::Session(const Config& config, Stored stored, Random& random)
    : impl_(std::make_unique<Impl>(config, std::move(stored), random)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

std::vector<Action> Session::step(const Event& event, Now now) {
  return impl_->step(event, now);
}
std::optional<Instant> Session::next_deadline() const {
  return impl_->next_deadline();
}
const Status& Session::status() const {
  return impl_->status();
}
const std::optional<Credentials>& Session::credentials() const {
  return impl_->credentials();
}
const Session::Counters& Session::counters() const {
  return impl_->counters();
}

// ---- one step -------------------------------------------------------------------------------

Session::Impl::Impl(const Config& config, Stored stored, Random& random)
    : config_(config),
      random_(random),
      version_(config.version),
      reconnect_(reconnect_config(config_.timings)),
      errand_backoff_(reconnect_config(config_.timings)) {
  last_attempt_id_ = stored.last_attempt_id();
  credentials_ = std::move(stored.credentials);
  tombstones_ = std::move(stored.tombstones);
  quarantine_ = std::move(stored.quarantine);
  if (auto& close = stored.last_close) {
    // A store that is no transaction may have kept both. The end of an account is final.
    if (paired() && credentials_->attempt_id == close->attempt_id) {
      dead_ = std::make_unique<Credentials>(std::move(*credentials_));
      credentials_.reset();
    }
    if (!paired()) {
      status_.state = close->state;
      status_.reason = std::move(close->reason);
    }
    status_.last_close = std::move(close->close);
  }
  if (paired()) {
    status_.jid = credentials_->account->jid.to_string();
    begin_messages(std::move(stored.messages));
  } else {
    left_over_ = std::move(stored.messages);
    left_over_.outbox.clear();  // of an account that is dead
  }
  status_.removal_pending = !tombstones_.empty();
  if (!tombstones_.empty()) errand_at_ = Instant{};
  published_ = status_;
}

std::vector<Action> Session::Impl::step(const Event& event, Now now) {
  now_ = now;
  if (!std::exchange(begun_, true)) publish_left_over();
  std::visit([this](const auto& one) { on(one); }, event);
  if (connection_ && connection_->broken() && connection_->stage() != Stage::ending) {
    end_locally("stream_broken", "a stanza could not be sealed");
  }
  if (messenger_online_ && !online()) {
    messenger_online_ = false;
    tell_messenger(messaging::StreamEnded{});
  }
  publish();
  return std::exchange(actions_, {});
}

void Session::Impl::publish() {
  if (status_ == published_) return;
  published_ = status_;
  actions_.push_back(PublishStatus{status_});
}

std::optional<Instant> Session::Impl::next_deadline() const {
  std::optional<Instant> next;
  const auto consider = [&next](std::optional<Instant> other) {
    if (other && (!next || *other < *next)) next = other;
  };
  if (connection_) {
    consider(connection_->next_deadline());
    consider(errand_deadline_);
  } else {
    consider(dial_at_ ? dial_at_ : errand_at_);
  }
  consider(reconnect_.next_deadline());
  if (farewell_) consider(farewell_->deadline);
  if (code_wanted_) consider(code_wanted_->begin_by);
  if (finishing_) consider(finishing_->deadline);
  if (messenger_) consider(messenger_->next_deadline());
  return next;
}

Connection* Session::Impl::current(Generation generation) {
  if (connection_ && connection_->generation() == generation) return connection_.get();
  ++counters_.stale_events;
  return nullptr;
}

// ---- what the user wants --------------------------------------------------------------------

void Session::Impl::on(const StartRequested&) {
  if (farewell_) {
    farewell_->then_start = true;
    return;
  }
  if (running()) {
    // A back-off is not shortened, however often somebody asks, nor is a ban. A state that waits
    // for a decision (`replaced`, `config_error`, …) has now got one.
    const bool waits_for_time = status_.state == State::connecting ||
                                status_.state == State::waiting_for_scan ||
                                status_.state == State::temporarily_banned;
    if (!connection_ && !waits_for_time) dial();
    return;
  }
  if (dead_) {
    credentials_ = *std::exchange(dead_, nullptr);
    bury_account({status_.state, status_.reason, {}});
  }
  purge_evidence();
  reconnect_.reset();
  status_.attempts = 0;
  status_.reason.clear();
  fruitless_ = 0;
  windows_renewed_ = 0;
  renew_keys_ = true;  // of an unpaired device: every attempt has its own
  if (never_logged_in()) finishing_ = Finishing{now_.mono + config_.timings.pairing_finish};
  if (!connection_ && tombstones_.empty()) return dial();
  // First what is owed to the server, for a moment; then the device itself.
  dial_at_ = now_.mono;
  status_.state = State::connecting;
  if (!connection_) begin_errand();
  errand_deadline_ = std::min(*errand_deadline_, now_.mono + config_.timings.removal / 2);
}

void Session::Impl::on(const StopRequested&) {
  if (farewell_) {
    farewell_->then_start = false;
    finish_farewell(false);
  }
  rest_errands();
  if (running()) settle(State::disconnected, "stopped");
}

void Session::Impl::on(const VersionChanged& event) {
  if (version_ == event.version) return;
  version_ = event.version;
  if (status_.state == State::client_outdated) on(StartRequested{});
}

// ---- what the shell reports -----------------------------------------------------------------

void Session::Impl::on(const Dialed& event) {
  Connection* const connection = current(event.generation);
  if (!connection) return;
  if (connection->stage() != Stage::dialing) {
    ++counters_.stale_events;
    return;
  }
  const auto& errand = connection->errand;
  Stream::Config config{.noise_root = config_.noise_root,
                        .static_key = errand ? errand->noise : credentials_->noise,
                        .payload = client_payload(),
                        .routing_info = errand ? errand->routing_info : credentials_->routing_info};
  connection->open(std::move(config), now_, random_, actions_);
}

void Session::Impl::on(const DialFailed& event) {
  Connection* const connection = current(event.generation);
  if (!connection) return;
  if (connection->stage() != Stage::dialing) {
    ++counters_.stale_events;
    return;
  }
  const std::string phase(to_string(event.phase));
  end_stream({.element = Element::dial,
              .code = event.http_status,
              .child = phase,
              .cause = "dial failed (" + phase + "): " + event.detail});
}

void Session::Impl::on(const BytesReceived& event) {
  Connection* const connection = current(event.generation);
  if (!connection || connection->stage() == Stage::ending) return;
  if (connection->stage() == Stage::dialing) {
    ++counters_.stale_events;
    return;
  }
  connection->receive(event.bytes, now_, random_);
  // A stanza may end the connection; what stands behind it then concerns nobody.
  while (connection_.get() == connection && connection->stage() != Stage::ending) {
    auto item = connection->stream().next(server_time());
    if (!item)
      return end_locally(word_for(connection->stream().failure()), to_string(item.error()));
    if (!*item) return;
    std::visit(
        Overloaded{
            [this](Stream::Established& established) { on_established(std::move(established)); },
            [this](wire::Frame& frame) {
              connection_->errand ? on_errand_stanza(frame.root()) : on_stanza(frame.root());
            },
        },
        **item);
  }
}

void Session::Impl::on(const SocketClosed& event) {
  Connection* const connection = current(event.generation);
  if (!connection) return;
  if (connection->stage() == Stage::ending) {
    connection_.reset();
    return;
  }
  end_stream({.element = Element::socket, .cause = "socket closed: " + event.detail});
}

void Session::Impl::on(const Computed& event) {
  if (connection_ && connection_->code && connection_->code->job == event.job_id) {
    return on_link_key(std::get<pairing::LinkKey>(event.value));
  }
  if (!connection_ || connection_->key_job != event.job_id) {
    ++counters_.stale_events;
    return;
  }
  connection_->key_job.reset();
  connection_->made_keys = std::get<std::vector<crypto::KeyPair>>(event.value);
  if (connection_->stage() != Stage::online) return;
  const auto count = static_cast<std::uint32_t>(connection_->made_keys.size());
  run_login(LoginSequence::KeysMade{count});
}

void Session::Impl::on(const DeadlineReached&) {
  if (farewell_ && now_.mono >= farewell_->deadline) return finish_farewell(false);
  if (errand_deadline_ && now_.mono >= *errand_deadline_) end_locally("removal_timeout");
  if (code_wanted_ && code_wanted_->begin_by && now_.mono >= *code_wanted_->begin_by) {
    // A step of its own: what is due as well would hide that from users.
    return fail_code("pairing_code_timeout", {});
  }
  tell_messenger(messaging::DeadlineReached{});
  if (connection_) wake_connection();
  reconnect_.deadline_reached(now_.mono);
  status_.attempts = reconnect_.attempts();
  if (finishing_ && now_.mono >= finishing_->deadline) finish_deadline_reached();
  if (connection_) return;
  if (dial_at_) {
    if (now_.mono >= *dial_at_) dial();
  } else if (errand_at_ && now_.mono >= *errand_at_) {
    begin_errand();
  }
}

void Session::Impl::wake_connection() {
  if (const auto deadline = connection_->stage_deadline(); deadline && now_.mono >= *deadline) {
    if (connection_->stage() == Stage::ending) return close_socket();
    return end_locally(timeout_word(connection_->stage()));
  }
  if (connection_->stage() == Stage::ending) return;
  for (const auto& action : connection_->wake_keepalive(now_, random_)) {
    if (std::holds_alternative<Keepalive::ReportDead>(action)) return end_locally("dead_socket");
    ping();
  }
  while (connection_ && connection_->requests()) {
    const auto request = connection_->requests()->take_expired(now_.mono);
    if (!request) break;
    on_answer(*request, nullptr);
  }
  if (online() && connection_->upload_again_at && now_.mono >= *connection_->upload_again_at) {
    connection_->upload_again_at.reset();
    run_login(LoginSequence::RetryDue{});
  }
  if (online() && connection_->rotate_at && now_.mono >= *connection_->rotate_at) {
    rotate_signed_key();
  }
  if (connection_ && connection_->code_changes_at && now_.mono >= *connection_->code_changes_at) {
    rotate_code();
  }
  if (connection_ && connection_->code && now_.mono >= connection_->code->ends_at()) {
    fail_code("pairing_code_expired", {});
  }
}

void Session::Impl::rotate_code() {
  if (connection_->window->current(now_.mono)) return show_code();
  if (!connection_->code) return refs_ended();
  // A code that somebody types just now needs this stream, whatever became of the refs.
  connection_->code_changes_at.reset();
  status_.qr.reset();
}

void Session::Impl::refs_ended() {
  end_locally("refs_ended", "QR refs attempts ended");
}

// ---- sockets --------------------------------------------------------------------------------

void Session::Impl::dial() {
  WA_ASSERT(!connection_);  // one socket at a time
  dial_at_.reset();
  status_.next_attempt_at.reset();
  status_.until.reset();
  if (!paired() && (!credentials_ || renew_keys_)) begin_attempt();
  renew_keys_ = false;

  open_connection();
  status_.state = status_.qr ? State::waiting_for_scan : State::connecting;
  if (finishing_) status_.reason = "finishing";
}

void Session::Impl::open_connection() {
  ++generation_;
  ++counters_.dials;
  connection_ = std::make_unique<Connection>(generation_, config_, now_);
  actions_.push_back(DialSocket{generation_, config_.url, config_.timings.dial});
}

void Session::Impl::begin_attempt() {
  credentials_ = Credentials::generate(++last_attempt_id_, random_);
  store_credentials(kPointKeys);
}

Bytes Session::Impl::client_payload() const {
  if (connection_->errand || paired()) {
    const wire::Jid& jid =
        connection_->errand ? connection_->errand->jid : credentials_->account->jid;
    const auto username = login_username(jid);
    WA_ASSERT(username);  // was checked before it was stored
    return pairing::encode_login(
        {.version = version_, .username = *username, .device = jid.device, .passive = true});
  }
  const Credentials& own = *credentials_;
  constexpr std::uint32_t kChrome = 1;
  return pairing::encode_registration({.version = version_,
                                       .registration_id = own.registration_id,
                                       .identity = own.identity.public_key,
                                       .signed_pre_key_id = own.signed_pre_key.id,
                                       .signed_pre_key = own.signed_pre_key.key.public_key,
                                       .signed_pre_key_signature = own.signed_pre_key.signature,
                                       .os = config_.os,
                                       .platform_type = kChrome,
                                       .require_full_sync = false});
}

void Session::Impl::close_socket() {
  if (!connection_) return;
  actions_.push_back(CloseSocket{connection_->generation(), CloseHow::normal});
  connection_.reset();
}

Put Session::Impl::put_credentials() const {
  return {std::string(kCredentialsKind), std::string(kCredentialsKey), credentials_->encode()};
}

void Session::Impl::store_credentials(std::string_view point, std::vector<Change> changes) {
  changes.insert(changes.begin(), put_credentials());
  actions_.push_back(Commit{std::move(changes), point});
}

void Session::Impl::report(Report::Level level, std::string text) {
  actions_.push_back(Report{level, std::move(text)});
}

}  // namespace wa::client

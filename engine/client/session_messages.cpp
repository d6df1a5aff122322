#include "engine/base/overloaded.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"

/// What a messenger needs of its session: stanzas and answers in, stanzas, queries and commits out.
namespace wa::client {

// ---- whose keys they are ------------------------------------------------------------------------

Session::Impl::MessengerKeys::MessengerKeys(Impl& session)
    : session_(session),
      identity_{session.credentials_->identity, session.credentials_->registration_id} {}

const Credentials& Session::Impl::MessengerKeys::own() const {
  return *session_.credentials_;
}
const pairing::SignedPreKey& Session::Impl::MessengerKeys::signed_pre_key() const {
  return own().signed_pre_key;
}
std::optional<crypto::KeyPair> Session::Impl::MessengerKeys::signed_pre_key(
    std::uint32_t id) const {
  if (own().signed_pre_key.id == id) return own().signed_pre_key.key;
  const auto& next = own().next_signed_pre_key;
  if (next && next->id == id) return next->key;
  for (const RetiredPreKey& retired : own().retired_signed_pre_keys) {
    if (retired.key.id == id) return retired.key.key;
  }
  return std::nullopt;
}
const wire::Jid& Session::Impl::MessengerKeys::jid() const {
  return own().account->jid;
}
const wire::Jid& Session::Impl::MessengerKeys::lid() const {
  return own().account->lid;
}
const std::string& Session::Impl::MessengerKeys::push_name() const {
  return own().account->push_name;
}
ByteSpan Session::Impl::MessengerKeys::signed_device_identity() const {
  return own().account->signed_identity;
}

signal::PreKeyBundle::OneTime Session::Impl::MessengerKeys::make_pre_key(
    Random& random, std::vector<Change>& changes) {
  const std::uint32_t id = session_.credentials_->take_pre_key_ids(1);
  const crypto::KeyPair key = crypto::generate_key_pair(random);
  put_pre_keys(id, std::span(&key, 1), changes);
  end_old_pre_keys(id, 1, changes);
  changes.emplace_back(session_.put_credentials());
  return {id, key.public_key};
}

// ---- its life -----------------------------------------------------------------------------------

void Session::Impl::begin_messages(messaging::ResidentRecords stored) {
  keys_ = std::make_unique<MessengerKeys>(*this);
  const Timings& timings = config_.timings;
  const messaging::Messenger::Policy policy{
      .strict_identity = config_.strict_identity,
      .patience = {timings.resend, timings.held_back, timings.resend_pace}};
  messenger_ = std::make_unique<messaging::Messenger>(*keys_, std::move(stored), random_, policy);
}

std::vector<Change> Session::Impl::end_messages() {
  if (!messenger_) return {};
  messaging::Messenger::Parting parting = messenger_->part(corrected_now());
  for (messaging::Action& action : parting.actions) perform(std::move(action));
  left_over_ = std::move(parting.left);
  messenger_.reset();
  keys_.reset();
  messenger_online_ = false;
  return std::move(parting.changes);
}

void Session::Impl::publish_left_over() {
  for (messaging::AppEvent& event : messaging::read_events(left_over_.events)) {
    actions_.push_back(PublishEvent{std::move(event)});
  }
}

void Session::Impl::tell_messenger(const messaging::Event& event) {
  if (!messenger_) return;
  for (messaging::Action& action : messenger_->step(event, corrected_now())) {
    perform(std::move(action));
  }
}

void Session::Impl::perform(messaging::Action action) {
  const auto rows = Overloaded{
      [&](const messaging::SendStanza& said) { send(said.stanza); },
      [&](messaging::Query& query) {
        const std::string id = connection_->open_request(Purpose::messaging, now_, query.query_id);
        send(std::move(query.iq).attr("id", id));
      },
      [&](messaging::Commit& commit) {
        actions_.push_back(Commit{std::move(commit.changes), commit.point});
      },
      [&](messaging::Load& load) {
        actions_.push_back(Load{load.load_id, std::move(load.keys)});
      },
      [&](const messaging::RenewPreKeys&) { run_login(LoginSequence::RenewalWanted{}); },
      [&](messaging::Publish& publish) {
        actions_.push_back(PublishEvent{std::move(publish.event)});
      },
      [&](messaging::Report& said) {
        report(static_cast<Report::Level>(said.level), std::move(said.text));
      },
  };
  std::visit(rows, action);
}

// ---- what happens -------------------------------------------------------------------------------

void Session::Impl::on(const messaging::SendRequested& request) {
  if (!messenger_) return refuse_send(request);
  tell_messenger(request);
}
void Session::Impl::on(const messaging::EventTaken& taken) {
  if (messenger_) return tell_messenger(taken);
  const std::string key = std::to_string(taken.seq);
  if (left_over_.events.erase(key) == 0) return;
  actions_.push_back(
      Commit{{Erase{std::string(messaging::kEventKind), key}}, messaging::kPointTaken});
}
void Session::Impl::on(const messaging::GroupRequested& request) {
  if (messenger_) return tell_messenger(request);
  messaging::GroupFailed failed{request.group, "not_paired", {}};
  actions_.push_back(PublishEvent{{.seq = 0, .what = std::move(failed), .ref = request.ref}});
}
void Session::Impl::on(const messaging::Loaded& loaded) {
  if (loaded.load_id >= kOwnLoads) {
    if (online() && connection_->offered_load == loaded.load_id) {
      return on_offered_keys(loaded.values);
    }
    ++counters_.stale_events;
    return;
  }
  if (!messenger_) {
    ++counters_.stale_events;
    return;
  }
  tell_messenger(loaded);
}

/// A device without an account cannot say anything, and nothing is kept for it.
void Session::Impl::refuse_send(const messaging::SendRequested& request) {
  messaging::SendFailed failed{
      .id = request.id, .to = request.to, .reason = "not_paired", .code = {}, .at = server_time()};
  actions_.push_back(PublishEvent{{.seq = 0, .what = std::move(failed), .ref = request.ref}});
}

}  // namespace wa::client

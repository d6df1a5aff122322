#include "engine/client/pair_success.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"
#include "engine/protocol/pairing/qr_text.hpp"

/// Stanzas of pairing: refs, the scan, and what a phone may ask for in between.
namespace wa::client {

bool Session::Impl::on_pairing_iq(const wire::Node& iq) {
  if (iq.attr("type") != "set" || paired()) return false;
  const Stage stage = connection_->stage();
  const bool open = stage == Stage::awaiting_refs || stage == Stage::showing_qr;
  if (const auto* pair_device = iq.child("pair-device"); pair_device && open) {
    on_pair_device(iq, *pair_device);
    return true;
  }
  if (const auto* pair_success = iq.child("pair-success");
      pair_success && (open || stage == Stage::passkey)) {
    on_pair_success(iq, *pair_success);
    return true;
  }
  return false;
}

void Session::Impl::on_pair_device(const wire::Node& iq, const wire::Node& pair_device) {
  answer_iq(iq);
  auto refs = PairingWindow::refs_of(pair_device);
  if (refs.empty()) return end_locally("no_refs", "QR refs attempts ended");
  const Timings& timings = config_.timings;
  connection_->window.emplace(std::move(refs),
                              PairingWindow::Config{timings.qr_first, timings.qr_rest}, now_.mono);
  connection_->offered_qr = true;
  connection_->enter(Stage::showing_qr, std::nullopt);
  fruitless_ = 0;
  reconnect_.opened(now_.mono);
  show_code();
  if (code_wanted_ && !connection_->code) begin_code();
}

void Session::Impl::show_code() {
  const auto code = connection_->window->current(now_.mono);
  WA_ASSERT(code);
  const Credentials& own = *credentials_;
  QrOnShow qr;
  qr.text = pairing::format_qr_text({.ref = code->ref,
                                     .noise_key = own.noise.public_key,
                                     .identity_key = own.identity.public_key,
                                     .adv_secret = own.adv_secret,
                                     .client_type = "1"});
  qr.sequence = ++codes_shown_;
  qr.expires_at = code->expires_at;
  qr.window_expires_at = code->window_expires_at;
  connection_->code_changes_at = code->expires_at;
  status_.qr = std::move(qr);
  status_.state = State::waiting_for_scan;
  status_.reason = code_failure_;
}

void Session::Impl::on_pair_success(const wire::Node& iq, const wire::Node& pair_success) {
  const std::string id = iq.printed("id");
  auto success = accept_with_any_secret(pair_success);
  const bool wrong_number = success && !config_.expected_number.empty() &&
                            success->account.jid.user != config_.expected_number;
  if (!success || wrong_number) {
    const PairRefusal refusal = wrong_number ? PairRefusal{500, "internal-error", "wrong_number"}
                                             : refusal_for(success.error());
    // Whether the server keeps a companion that was refused is not known: it is told to forget it.
    if (wrong_number) owe_removal(success->account.jid, kPointRefused);
    send(refuse_pair_success(id, refusal));
    return end_locally(refusal.reason,
                       wrong_number ? "pair-success of another number" : success.error().detail);
  }

  forget_code();
  // Durable before the phone is told: it will believe that we know.
  credentials_->account = success->account;
  store_credentials(kPointPaired, {Erase{std::string(kLastCloseKind), {}}});
  begin_messages(std::exchange(left_over_, {}));
  send(pair_device_sign(id, *success));

  const Timings& timings = config_.timings;
  connection_->saw_pair_success = true;
  connection_->window.reset();
  connection_->code_changes_at.reset();
  connection_->enter(Stage::finishing, now_.mono + timings.login);
  finishing_ = Finishing{now_.mono + timings.pairing_finish};
  windows_renewed_ = 0;
  status_.state = State::connecting;
  status_.reason = "finishing";
  status_.qr.reset();
  status_.jid = success->account.jid.to_string();
  report(Report::Level::info, "paired as " + status_.jid);
}

/// The phone has the secret from a QR, or agreed on one by code: both may be on show.
Result<PairSuccess> Session::Impl::accept_with_any_secret(const wire::Node& pair_success) {
  if (connection_->code && connection_->code->adv_secret()) {
    Credentials by_code = *credentials_;
    by_code.adv_secret = *connection_->code->adv_secret();
    auto success = accept_pair_success(pair_success, by_code, random_);
    if (success) credentials_->adv_secret = by_code.adv_secret;
    if (success) return success;
  }
  return accept_pair_success(pair_success, *credentials_, random_);
}

bool Session::Impl::on_pairing_notification(const wire::Node& notification) {
  if (paired() || connection_->stage() != Stage::showing_qr) return false;
  const std::string_view type = notification.attr("type");
  if (type == "companion_reg_refresh" && (notification.child("companion_reg_refresh") ||
                                          notification.child("pair-device-rotate-qr"))) {
    renew_adv_secret();
    return true;
  }
  if (type == "link_code_companion_reg") {
    on_link_code_notification(notification);
    return true;
  }
  if (type == "passkey_prologue_request") {
    // The refs rest meanwhile: the phone has scanned one already.
    connection_->window.reset();
    connection_->code_changes_at.reset();
    connection_->enter(Stage::passkey, now_.mono + config_.timings.passkey);
    status_.state = State::passkey_required;
    status_.reason = "passkey_required";
    status_.qr.reset();
    return true;
  }
  return false;
}

void Session::Impl::renew_adv_secret() {
  // A pair-success that is bound to the agreed secret is on its way.
  if (connection_->code && connection_->code->adv_secret()) return;
  credentials_->adv_secret = random_.array<32>();
  store_credentials(kPointSecret);
  if (connection_->window->current(now_.mono)) show_code();
}

}  // namespace wa::client

#include "engine/client/session_impl.hpp"

/// Linking with a phone number: a code that a person types into the phone, beside the QR.
namespace wa::client {
namespace {

constexpr std::size_t kLongestRefusal = 200;

/// "400 bad-request"
std::string refusal_of(const wire::Node& answer) {
  const auto* error = answer.child("error");
  if (!error) return "no reason given";
  std::string text = error->printed("code");
  if (error->has_attr("text")) text += " " + error->printed("text");
  if (text.size() > kLongestRefusal) text.resize(kLongestRefusal);
  return text;
}

}  // namespace

void Session::Impl::on(const PairingCodeRequested& asked) {
  auto number = pairing::parse_phone_number(asked.number);
  if (!number) return report(Report::Level::warning, number.error().detail);
  on(StartRequested{});
  if (paired()) return report(Report::Level::info, "no pairing code: the device is paired already");
  code_wanted_ = CodeWanted{std::move(*number), now_.mono + config_.timings.code_request};
  if (status_.reason == code_failure_) status_.reason.clear();
  code_failure_ = {};
  status_.pairing_error.clear();
  if (connection_ && connection_->stage() == Stage::showing_qr) begin_code();
}

void Session::Impl::begin_code() {
  code_wanted_->begin_by.reset();
  drop_code();
  connection_->code = std::make_unique<CodePairing>(
      code_wanted_->number, now_.mono + config_.timings.pairing_code, random_);
  derive_link_key();
}

void Session::Impl::derive_link_key() {
  connection_->code->job = next_job_id_++;
  actions_.push_back(Compute{*connection_->code->job, connection_->code->wanted_key()});
}

void Session::Impl::on_link_key(const pairing::LinkKey& key) {
  CodePairing& code = *connection_->code;
  code.job.reset();
  if (connection_->stage() != Stage::showing_qr) return;
  const Credentials& own = *credentials_;
  if (code.deriving()) {
    const std::string id = connection_->open_request(Purpose::companion_hello, now_);
    send(code.hello(id, key, own.noise.public_key, config_.os, random_));
    return;
  }
  const std::string id = connection_->open_request(Purpose::companion_finish, now_);
  const auto finish = code.finish(id, key, own.identity, random_);
  if (!finish) return report(Report::Level::warning, "primary_hello: " + finish.error().detail);
  code.extend(now_.mono + config_.timings.pairing_finish);
  send(*finish);
}

/// `answer` is null when none came in time.
void Session::Impl::on_companion_hello_answered(const wire::Node* answer) {
  if (!connection_->code || connection_->stage() != Stage::showing_qr) return;
  // What answers the hello of an earlier code is void.
  if (answer ? !connection_->code->awaits(answer->attr("id")) : !connection_->code->asking())
    return;
  if (!answer) return fail_code("pairing_code_timeout", {});
  if (answer->attr("type") != "result") {
    return fail_code("pairing_code_rejected", refusal_of(*answer));
  }
  CodePairing& code = *connection_->code;
  if (const auto taken = code.on_ref(*answer); !taken) {
    return fail_code("pairing_code_rejected", taken.error().detail);
  }
  status_.pairing_code = PairingCodeOnShow{code.code(), ++pairing_codes_shown_, code.ends_at()};
}

void Session::Impl::on_link_code_notification(const wire::Node& notification) {
  if (!connection_->code) return;  // of a code that is no longer
  if (const auto taken = connection_->code->on_primary_hello(notification); !taken) {
    return report(Report::Level::debug, "primary_hello ignored: " + taken.error().detail);
  }
  derive_link_key();
}

void Session::Impl::drop_code() {
  if (connection_) connection_->code.reset();
  status_.pairing_code.reset();
}

void Session::Impl::forget_code() {
  drop_code();
  code_wanted_.reset();
  code_failure_ = {};
  status_.pairing_error.clear();
}

void Session::Impl::fail_code(std::string_view word, std::string text) {
  report(Report::Level::warning,
         "no pairing code: " + std::string(word) + (text.empty() ? "" : ", " + text));
  forget_code();
  code_failure_ = word;
  status_.reason = word;
  status_.pairing_error = std::move(text);
  const bool showing = connection_ && connection_->stage() == Stage::showing_qr;
  // The code had kept the stream alive beyond its last ref.
  if (showing && !connection_->window->current(now_.mono)) refs_ended();
}

}  // namespace wa::client

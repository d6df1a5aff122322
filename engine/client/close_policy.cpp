#include "engine/client/close_policy.hpp"

#include <algorithm>

#include "engine/base/result.hpp"

namespace wa::client {
namespace {

using enum Element;

constexpr std::optional<Situation> kAlways = std::nullopt;

constexpr ClosePolicy kPolicies[] = {
    // A restart is the normal end of a successful pairing: the next stream is the first login.
    {stream_error, 515, "*", Situation::finishing, Keys::keep, Retry::now, State::connecting,
     "finishing"},
    {stream_error, 515, "*", Situation::paired, Keys::keep, Retry::restart, State::connecting,
     "restart_required"},
    {stream_error, 515, "*", Situation::unpaired, Keys::renew, Retry::exp, State::connecting,
     "restart_required"},
    // A conflict has two meanings: unlinked (the credentials are dead), or opened elsewhere (they
    // are fine). Any code beside a conflict decides first, except 401, which has both meanings.
    {stream_error, 401, "conflict:device_removed", kAlways, Keys::erase, Retry::stop,
     State::logged_out, "device_removed"},
    {stream_error, kNoCode, "conflict:device_removed", kAlways, Keys::erase, Retry::stop,
     State::logged_out, "device_removed"},
    {stream_error, 401, "conflict:replaced", kAlways, Keys::keep, Retry::stop, State::replaced,
     "replaced"},
    {stream_error, 401, "*", kAlways, Keys::keep, Retry::stop, State::needs_relink,
     "not_authorized"},
    {stream_error, 516, "*", kAlways, Keys::erase, Retry::stop, State::logged_out,
     "device_removed"},
    {stream_error, kNoCode, "conflict*", kAlways, Keys::keep, Retry::stop, State::replaced,
     "replaced"},
    {stream_error, 409, "*", kAlways, Keys::keep, Retry::stop, State::replaced, "replaced"},
    {stream_error, 440, "*", kAlways, Keys::keep, Retry::stop, State::replaced, "replaced"},
    {stream_error, 429, "*", kAlways, Keys::keep, Retry::slow, State::throttled, "rate_limited"},
    {stream_error, 503, "*", kAlways, Keys::keep, Retry::exp, State::connecting,
     "service_unavailable"},
    {stream_error, 500, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "server_error"},
    // The server recycles sockets on which it waited long for an ack.
    {stream_error, kNoCode, "ack", kAlways, Keys::keep, Retry::recycle, State::connecting,
     "owed_ack"},
    {stream_error, kNoCode, "xml-not-well-formed", kAlways, Keys::keep, Retry::exp,
     State::connecting, "xml_not_well_formed"},
    {stream_error, kNoCode, "", kAlways, Keys::keep, Retry::exp, State::connecting, "server_error"},
    {stream_error, kAnyCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting,
     "unknown_stream_error"},

    {failure, 401, "*", kAlways, Keys::erase, Retry::stop, State::logged_out, "logged_out"},
    {failure, 402, "*", kAlways, Keys::keep, Retry::stop, State::temporarily_banned,
     "temporarily_banned"},  // with `expire`: one attempt after it
    {failure, 403, "*", kAlways, Keys::erase, Retry::stop, State::account_locked, "account_locked"},
    {failure, 406, "*", kAlways, Keys::erase, Retry::stop, State::banned, "banned"},
    // Until the configuration names another version.
    {failure, 405, "*", kAlways, Keys::keep, Retry::stop, State::client_outdated,
     "client_outdated"},
    {failure, 409, "*", kAlways, Keys::keep, Retry::stop, State::config_error, "bad_user_agent"},
    {failure, 411, "*", kAlways, Keys::keep, Retry::stop, State::needs_relink,
     "multidevice_mismatch"},
    {failure, 413, "*", kAlways, Keys::keep, Retry::slow, State::config_error, "token_expired"},
    {failure, 414, "*", kAlways, Keys::keep, Retry::slow, State::config_error, "token_invalid"},
    {failure, 415, "*", kAlways, Keys::keep, Retry::slow, State::config_error, "not_found"},
    {failure, 418, "*", kAlways, Keys::keep, Retry::slow, State::config_error, "client_unknown"},
    {failure, 500, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "server_error"},
    {failure, 503, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "service_unavailable"},
    {failure, kAnyCode, "*", kAlways, Keys::keep, Retry::slow, State::connecting,
     "unknown_failure"},  // 400 and 501 among them

    {bulletin, kAnyCode, "*", kAlways, Keys::keep, Retry::stop, State::needs_relink,
     "multidevice_mismatch"},  // <downgrade_webclient>, the only one that ends a stream
    {stream_end, kAnyCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "stream_end"},

    {dial, kAnyCode, "proxy*", kAlways, Keys::keep, Retry::exp, State::proxy_error, "proxy_failed"},
    {dial, 407, "*", kAlways, Keys::keep, Retry::exp, State::proxy_error, "http_status"},
    {dial, kNoCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "dial_failed"},
    // Whatever an edge or a proxy answers, 401 and 403 included, is never a logout.
    {dial, kAnyCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "http_status"},
    {socket, kAnyCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "connection_lost"},

    {local, kAnyCode, "refs_ended", kAlways, Keys::keep, Retry::now, State::qr_expired,
     "qr_expired"},
    {local, kAnyCode, "no_refs", kAlways, Keys::keep, Retry::exp, State::connecting, "no_refs"},
    {local, kAnyCode, "first_ref_timeout", kAlways, Keys::keep, Retry::exp, State::connecting,
     "first_ref_timeout"},
    {local, kAnyCode, "hmac_mismatch", kAlways, Keys::renew, Retry::stop, State::pairing_failed,
     "hmac_mismatch"},
    {local, kAnyCode, "signature_mismatch", kAlways, Keys::renew, Retry::stop,
     State::pairing_failed, "signature_mismatch"},
    {local, kAnyCode, "malformed_pair_success", kAlways, Keys::renew, Retry::stop,
     State::pairing_failed, "malformed_pair_success"},
    {local, kAnyCode, "wrong_number", kAlways, Keys::renew, Retry::stop, State::pairing_failed,
     "wrong_number"},
    {local, kAnyCode, "passkey_timeout", kAlways, Keys::renew, Retry::stop, State::pairing_failed,
     "passkey_timeout"},
    {local, kAnyCode, "finish_timeout", kAlways, Keys::keep, Retry::now, State::connecting,
     "finish_timeout"},
    {local, kAnyCode, "login_timeout", kAlways, Keys::keep, Retry::exp, State::connecting,
     "login_timeout"},
    {local, kAnyCode, "dial_timeout", kAlways, Keys::keep, Retry::exp, State::connecting,
     "dial_failed"},
    {local, kAnyCode, "handshake_timeout", kAlways, Keys::keep, Retry::exp, State::connecting,
     "handshake_timeout"},
    {local, kAnyCode, "handshake_failed", kAlways, Keys::keep, Retry::exp, State::connecting,
     "handshake_failed"},
    {local, kAnyCode, "bad_certificate", kAlways, Keys::keep, Retry::slow, State::config_error,
     "bad_certificate"},
    {local, kAnyCode, "dead_socket", kAlways, Keys::keep, Retry::now_once, State::connecting,
     "dead_socket"},
    {local, kAnyCode, "stream_broken", kAlways, Keys::keep, Retry::exp, State::connecting,
     "stream_broken"},
    {local, kAnyCode, "removal_*", kAlways, Keys::keep, Retry::slow, State::connecting,
     "removal_pending"},  // of an errand: it shows no state
    {local, kAnyCode, "*", kAlways, Keys::keep, Retry::exp, State::connecting, "stream_broken"},
};

bool matches_code(int pattern, const std::optional<int>& code) {
  if (pattern == kAnyCode) return true;
  return pattern == kNoCode ? !code : code == pattern;
}

bool matches_child(std::string_view pattern, std::string_view child) {
  if (!pattern.ends_with('*')) return pattern == child;
  return child.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::string print_code(int code) {
  if (code == kAnyCode) return "any";
  if (code == kNoCode) return "none";
  return std::to_string(code);
}

std::string quoted(std::string_view word) {
  return "`" + std::string(word) + "`";
}

}  // namespace

std::string_view to_string(Element element) {
  switch (element) {
    case stream_error: return "stream:error";
    case failure: return "failure";
    case bulletin: return "ib";
    case stream_end: return "xmlstreamend";
    case dial: return "dial";
    case socket: return "socket";
    case local: return "local";
  }
  WA_UNREACHABLE("an Element without a word");
}

std::string_view to_string(Situation situation) {
  switch (situation) {
    case Situation::unpaired: return "unpaired";
    case Situation::finishing: return "after pair-success";
    case Situation::paired: return "paired";
  }
  WA_UNREACHABLE("a Situation without a word");
}

std::string_view to_string(Keys keys) {
  switch (keys) {
    case Keys::keep: return "keep";
    case Keys::renew: return "renew";
    case Keys::erase: return "erase";
  }
  WA_UNREACHABLE("a Keys without a word");
}

std::span<const ClosePolicy> close_policies() {
  return kPolicies;
}

const ClosePolicy& close_policy(const StreamEnd& end, Situation situation) {
  const auto found = std::ranges::find_if(kPolicies, [&](const ClosePolicy& policy) {
    return policy.element == end.element && matches_code(policy.code, end.code) &&
           matches_child(policy.child, end.child) &&
           (!policy.situation || policy.situation == situation);
  });
  WA_ASSERT(found != std::end(kPolicies));
  return *found;
}

std::string print_close_policies() {
  std::string table =
      "| seen as | code | child | while | credentials | reconnect | state | reason |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const ClosePolicy& policy : kPolicies) {
    const std::string_view situation = policy.situation ? to_string(*policy.situation) : "any";
    const std::string child = policy.child.empty() ? "none" : quoted(policy.child);
    const std::string code = print_code(policy.code);
    const std::string state = quoted(to_string(policy.state));
    const std::string reason = quoted(policy.reason);
    for (const std::string_view cell :
         {to_string(policy.element), std::string_view(code), std::string_view(child), situation,
          to_string(policy.keys), to_string(policy.retry), std::string_view(state),
          std::string_view(reason)}) {
      table += "| ";
      table += cell;
      table += ' ';
    }
    table += "|\n";
  }
  return table;
}

}  // namespace wa::client

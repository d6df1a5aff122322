#include "engine/client/status.hpp"

#include "engine/base/result.hpp"

namespace wa::client {

std::string_view to_string(State state) {
  switch (state) {
    case State::disconnected: return "disconnected";
    case State::connecting: return "connecting";
    case State::waiting_for_scan: return "waiting_for_scan";
    case State::qr_expired: return "qr_expired";
    case State::pairing_failed: return "pairing_failed";
    case State::passkey_required: return "passkey_required";
    case State::connected: return "connected";
    case State::logged_out: return "logged_out";
    case State::replaced: return "replaced";
    case State::temporarily_banned: return "temporarily_banned";
    case State::banned: return "banned";
    case State::account_locked: return "account_locked";
    case State::client_outdated: return "client_outdated";
    case State::needs_relink: return "needs_relink";
    case State::throttled: return "throttled";
    case State::store_error: return "store_error";
    case State::config_error: return "config_error";
    case State::proxy_error: return "proxy_error";
    case State::crashed: return "crashed";
  }
  WA_UNREACHABLE("a State without a word");
}

Result<State> state_from(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(State::crashed); ++i) {
    const auto state = static_cast<State>(i);
    if (to_string(state) == word) return state;
  }
  return Error{Errc::malformed, "no state is called " + std::string(word)};
}

}  // namespace wa::client

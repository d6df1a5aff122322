#include "engine/client/config.hpp"

#include <algorithm>

namespace wa::client {
namespace {

constexpr Duration kShortestDeadline = 250ms;
constexpr Duration kShortestPeriod = 20ms;

void scale(Duration& duration, double factor, Duration floor) {
  const auto scaled =
      Duration(static_cast<Duration::rep>(static_cast<double>(duration.count()) * factor));
  duration = std::max(scaled, floor);
}

}  // namespace

Timings Timings::scaled(double factor) const {
  Timings timings = *this;
  for (Duration Timings::*deadline :
       {&Timings::dial, &Timings::handshake, &Timings::first_ref, &Timings::login,
        &Timings::pairing_finish, &Timings::ping_answer, &Timings::dead_socket,
        &Timings::offline_marker, &Timings::request, &Timings::truthful, &Timings::logout,
        &Timings::removal, &Timings::passkey, &Timings::code_request, &Timings::pairing_code,
        &Timings::resend}) {
    scale(timings.*deadline, factor, kShortestDeadline);
  }
  for (Duration Timings::*period :
       {&Timings::qr_first, &Timings::qr_rest, &Timings::ping_min, &Timings::ping_max,
        &Timings::backoff_first, &Timings::backoff_max, &Timings::slow, &Timings::stable,
        &Timings::restart_close, &Timings::owned_retry, &Timings::held_back, &Timings::resend_pace,
        &Timings::signed_pre_key, &Timings::rotation_retry, &Timings::retired_pre_key}) {
    scale(timings.*period, factor, kShortestPeriod);
  }
  return timings;
}

}  // namespace wa::client

#include "engine/client/reconnect.hpp"

#include <algorithm>

#include "engine/base/result.hpp"

namespace wa::client {
namespace {

constexpr std::uint32_t kLargestSlowExponent = 3;  // ×8

/// base · 2^exponent, at most `max`, without overflow.
Duration doubled(Duration base, std::uint32_t exponent, Duration max) {
  Duration delay = base;
  for (std::uint32_t i = 0; i < exponent && delay < max; ++i) delay *= 2;
  return std::min(delay, max);
}

Duration random_below(Duration bound, Random& random) {
  if (bound <= Duration::zero()) return Duration::zero();
  return Duration(
      static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(bound.count()))));
}

}  // namespace

std::string_view to_string(Retry retry) {
  switch (retry) {
    case Retry::now: return "now";
    case Retry::now_once: return "now once";
    case Retry::restart: return "now, at most 3 a minute";
    case Retry::recycle: return "exp, uncounted after 45 minutes";
    case Retry::exp: return "exp";
    case Retry::slow: return "slow";
    case Retry::stop: return "stop";
  }
  WA_UNREACHABLE("a Retry without a word");
}

void Reconnect::opened(Instant now) {
  if (!stable_at_) stable_at_ = now + config_.stable;
}

void Reconnect::closed(Instant now) {
  deadline_reached(now);
  // `stable_at_` lies one `stable` after the opening.
  was_long_lived_ = stable_at_ && now >= *stable_at_ + (kLongLived - 1) * config_.stable;
  stable_at_.reset();
}

std::optional<Instant> Reconnect::next_deadline() const {
  return is_zero() ? std::nullopt : stable_at_;
}

void Reconnect::deadline_reached(Instant now) {
  if (!stable_at_ || now < *stable_at_) return;
  attempts_ = 0;
  slow_attempts_ = 0;
  now_used_ = false;
}

void Reconnect::reset() {
  *this = Reconnect(config_);
}

bool Reconnect::restarts_too_often(Instant now) {
  auto& oldest = restarts_[next_restart_];
  const bool too_often = oldest && now - *oldest < config_.slow;
  oldest = now;
  next_restart_ = (next_restart_ + 1) % restarts_.size();
  return too_often;
}

Duration Reconnect::next_delay(Retry retry, Instant now, Random& random) {
  switch (retry) {
    case Retry::now: return Duration::zero();
    case Retry::now_once:
      if (now_used_) return counted_exponential(random);
      now_used_ = true;
      ++attempts_;
      return Duration::zero();
    case Retry::restart:
      return restarts_too_often(now) ? counted_exponential(random) : Duration::zero();
    case Retry::recycle:
      return was_long_lived_ ? exponential(0, random) : counted_exponential(random);
    case Retry::exp: return counted_exponential(random);
    case Retry::slow: return slow(random);
    case Retry::stop: break;
  }
  WA_UNREACHABLE("a stopped session does not reconnect");
}

Duration Reconnect::exponential(std::uint32_t exponent, Random& random) const {
  const Duration delay = doubled(config_.first, exponent, config_.max);
  // Equal jitter: half is certain, so that a retry is never immediate; half is random, so that
  // sessions that fell together do not return together.
  return delay / 2 + random_below(delay / 2, random);
}

Duration Reconnect::slow(Random& random) {
  const std::uint32_t exponent = std::min(slow_attempts_, kLargestSlowExponent);
  const Duration delay = config_.slow * (1 << exponent);
  ++slow_attempts_;
  ++attempts_;
  return delay + random_below(delay / 2, random);
}

}  // namespace wa::client

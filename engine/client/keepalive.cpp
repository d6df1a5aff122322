#include "engine/client/keepalive.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"

namespace wa::client {

Instant Keepalive::draw_ping(Instant now, Random& random) const {
  const Duration spread = config_.ping_max - config_.ping_min;
  if (spread <= Duration::zero()) return now + config_.ping_min;
  const auto extra = random.below(static_cast<std::uint64_t>(spread.count()));
  return now + config_.ping_min + Duration(static_cast<Duration::rep>(extra));
}

Instant Keepalive::deadline(const Open& open) const {
  const Instant silent_at = open.heard_at + config_.silence;
  return open.dead_at ? std::min(silent_at, *open.dead_at) : silent_at;
}

std::vector<Keepalive::Action> Keepalive::step(const Event& event, Instant now, Random& random) {
  std::vector<Action> actions;
  const auto row = Overloaded{
      [&](const Closed&, const Opened&) -> State {
        return Open{draw_ping(now, random), now, std::nullopt};
      },
      [&](Open open, const BytesReceived&) -> State {
        open.heard_at = now;
        open.dead_at.reset();
        return open;
      },
      [&](Open open, const BytesSent&) -> State {
        if (open.dead_at) return open;
        open.dead_at = now + config_.dead;
        open.ping_at = std::min(open.ping_at, *open.dead_at - config_.ping_answer);
        return open;
      },
      [&](Open open, const DeadlineReached&) -> State {
        if (now >= deadline(open)) {
          actions.push_back(ReportDead{});
          return Closed{};
        }
        if (now < open.ping_at) return open;  // woken early
        actions.push_back(SendPing{});
        open.ping_at = draw_ping(now, random);
        const Instant answer_at = now + config_.ping_answer;
        open.dead_at = open.dead_at ? std::min(*open.dead_at, answer_at) : answer_at;
        return open;
      },
      [](const auto&, const SocketGone&) -> State { return Closed{}; },
      [](const auto& same, const auto&) -> State { return same; },
  };
  state_ = std::visit(row, state_, event);
  return actions;
}

std::optional<Instant> Keepalive::next_deadline() const {
  const auto* open = std::get_if<Open>(&state_);
  if (!open) return std::nullopt;
  return std::min(open->ping_at, deadline(*open));
}

}  // namespace wa::client

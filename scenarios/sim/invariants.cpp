#include "scenarios/sim/invariants.hpp"

#include "scenarios/stage/time_scale.hpp"

namespace wa::sim {

using client::State;

std::vector<Broken> judge(const client::Status& shown, const std::optional<StreamView>& stream,
                          Now now, Duration latency) {
  std::vector<Broken> broken;
  const std::optional<Duration> dark = stream ? stream->dark_for : std::nullopt;
  if (shown.state == State::connected) {
    const Duration patience = stream && stream->blackholed ? kTruthful : latency;
    const bool holds = stream && (dark ? *dark <= patience : stream->logged_in);
    if (!holds) {
      broken.push_back(
          {"truthful-status", "shows connected, but the server holds no logged-in stream" +
                                  (dark ? ", for " + stage::to_text(*dark) : std::string())});
    }
  }
  if (shown.state == State::waiting_for_scan && shown.qr && !shown.qr->stale) {
    if (!stream || (dark && !stream->blackholed && *dark > latency)) {
      broken.push_back({"fresh-qr", "shows a QR code as good whose stream is down"});
    } else if (shown.qr->expires_at < now.mono) {
      broken.push_back({"fresh-qr", "shows a QR code as good that expired"});
    } else if (stream->code_good_until && *stream->code_good_until < now.mono) {
      broken.push_back({"fresh-qr", "shows a QR code as good that the server no longer accepts"});
    }
  }
  return broken;
}

bool may_forget_account(std::optional<int> last_code, std::string_view cause, bool user_asked) {
  const bool unlinked = !last_code && cause.find("device_removed") != std::string_view::npos;
  return user_asked || unlinked || last_code == 401 || last_code == 403 || last_code == 406 ||
         last_code == 516;
}

bool ConnectRate::connected(Instant at) {
  times_.push_back(at);
  while (at - times_.front() > kWithin) times_.pop_front();
  return times_.size() <= kMost;
}

}  // namespace wa::sim

#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/client/status.hpp"

/// What holds always, judged from both sides at once, as only a simulation can.
/// Source: docs/ARCHITECTURE.md, "Invariants".
namespace wa::sim {

using namespace std::chrono_literals;

/// What the server holds of a device: its newest stream.
struct StreamView {
  bool logged_in = false;
  std::optional<Duration> dark_for;        ///< since its end, or since bytes stopped flowing
  bool blackholed = false;                 ///< dark, and nobody was told
  std::optional<Instant> code_good_until;  ///< when the server stops accepting the code on show
};

struct Broken {
  std::string rule;
  std::string message;  ///< continues "device NAME …"
  bool operator==(const Broken&) const = default;
};

/// `connected` may outlive a stream whose bytes cannot flow by this much.
inline constexpr Duration kTruthful = 45s;

/// truthful-status and fresh-qr: what a device shows, against what the server holds. `stream` is
/// empty when the device has never dialled.
std::vector<Broken> judge(const client::Status& shown, const std::optional<StreamView>& stream,
                          Now now, Duration latency);

/// credentials-survive: whether the server's last close of a device, or what its user asked, is a
/// reason to forget an account. An unlink is a 401, at once or at the next login.
/// `cause`: as stage::Server::SentClose has it; an unlink may come without a code.
bool may_forget_account(std::optional<int> last_code, std::string_view cause, bool user_asked);

/// bounded-reconnect: connects of a device that nobody started anew.
class ConnectRate {
 public:
  static constexpr std::size_t kMost = 20;  ///< more than the back-off allows, 515s included
  static constexpr Duration kWithin = 5min;

  void user_started() { times_.clear(); }
  /// False: too many.
  bool connected(Instant at);

 private:
  std::deque<Instant> times_;
};

}  // namespace wa::sim

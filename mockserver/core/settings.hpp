#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/result.hpp"
#include "engine/protocol/noise/handshake.hpp"

namespace wa::mock {

using namespace std::chrono_literals;

/// What one tenant's server does by default. `--set`, Lua's `server = {…}` and the control API
/// share the keys that `settings_table()` lists.
struct Settings {
  std::uint32_t refs_count = 6;       ///< refs.count: QR refs per registration
  Duration refs_first = 60s;          ///< refs.first: life of the first
  Duration refs_rest = 20s;           ///< refs.rest: life of each further one
  Duration refs_grace = 5s;           ///< refs.grace: accepted this long after its end
  Duration refs_linger = 10s;         ///< refs.linger: socket closed this long after the last end
  Duration restart_delay = 100ms;     ///< restart_delay: pair-device-sign → stream:error 515
  Duration first_frame_delay = 50ms;  ///< first_frame_delay: after the handshake, dictionary 2 only
  Duration scan_timeout = 10s;        ///< scan_timeout: pair-success → pair-device-sign
  Duration pairing_code_life = 180s;  ///< pairing_code.life: companion_hello → no phone takes it
  Duration handshake_timeout = 20s;   ///< handshake_timeout: socket open → ClientFinish
  Duration server_ping = 0s;          ///< server_ping: the server pings this often; 0: never
  bool edge_routing = true;           ///< edge_routing: send routing info after login
  bool initial_history = true;        ///< initial_history: keys and history after the first login
  /// noise.ik: what a client gets that resumes with Noise IK
  noise::IkPolicy noise_ik = noise::IkPolicy::accept;

  /// "default" or "fast" (no delays that only imitate a network). Errors: `usage`, naming both.
  static Result<Settings> profile(std::string_view name);

  /// Sets one key from text: numbers, true/false, words, durations with a unit ("250ms", "20s",
  /// "2m", "1h"). Errors: `usage`; an unknown key names the nearest one.
  Result<void> set(std::string_view key, std::string_view value);

  /// Every duration multiplied: delays not below 20 ms unless zero, deadlines not below 250 ms.
  Settings scaled(double factor) const;
};

struct SettingDescription {
  std::string_view key;
  std::string_view what;
  std::string value;  ///< the default, as `set` takes it
};
/// Every key with what it means, in the order of the documentation.
std::vector<SettingDescription> settings_table();

/// "1500ms", "20s", "2m", "1h", "1d"; a fraction is fine. Errors: `usage` (no unit, negative, …).
Result<Duration> parse_duration(std::string_view text);

/// The candidate that is spelled most like `word`; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace wa::mock

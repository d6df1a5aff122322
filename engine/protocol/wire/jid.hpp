#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "engine/base/result.hpp"

namespace wa::wire {

inline constexpr std::string_view kServerPn = "s.whatsapp.net";  ///< phone-number users
inline constexpr std::string_view kServerLid = "lid";            ///< hidden users
inline constexpr std::string_view kServerGroup = "g.us";

/// A JID whose text is borrowed: `user[_agent][:device]@server`. Device 0 is the primary and is not
/// printed. Source: docs/protocol/nodes.md, "JIDs".
struct JidView {
  std::string_view user;    ///< empty for a server's own JID
  std::string_view server;  ///< never empty
  std::uint16_t device = 0;
  std::uint16_t integrator = 0;  ///< `interop` only
  std::uint8_t agent = 0;        ///< domain byte of an AD_JID that names no known server
  bool operator==(const JidView&) const = default;
  std::string to_string() const;
};

/// A JID that owns its text.
struct Jid {
  std::string user;
  std::string server;
  std::uint16_t device = 0;
  std::uint16_t integrator = 0;
  std::uint8_t agent = 0;

  Jid() = default;
  Jid(std::string user_text, std::string_view server_text, std::uint16_t device_number = 0)
      : user(std::move(user_text)), server(server_text), device(device_number) {}
  explicit Jid(const JidView& view)
      : user(view.user),
        server(view.server),
        device(view.device),
        integrator(view.integrator),
        agent(view.agent) {}

  /// Errors: `malformed` without '@', with an empty server, or with a device that is no number
  /// below 65,536.
  static Result<Jid> parse(std::string_view text);

  /// `@s.whatsapp.net`, the server itself.
  static Jid server_itself() { return Jid("", kServerPn); }

  JidView view() const { return {user, server, device, integrator, agent}; }
  std::string to_string() const { return view().to_string(); }
  /// The same user as its primary device.
  Jid without_device() const;
  auto operator<=>(const Jid&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Jid& jid);

}  // namespace wa::wire

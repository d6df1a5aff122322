#include "engine/protocol/wire/jid.hpp"

#include <charconv>
#include <optional>

#include "engine/protocol/wire/node_tags.hpp"

namespace wa::wire {
namespace {

template <class Number>
std::optional<Number> decimal(std::string_view text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || stopped != end) return std::nullopt;
  return number;
}

}  // namespace

std::string JidView::to_string() const {
  std::string text;
  text.reserve(user.size() + server.size() + 16);
  if (server == kServerInterop && integrator != 0) text.append(std::to_string(integrator)) += '-';
  text += user;
  if (agent != 0) (text += '_').append(std::to_string(agent));
  if (device != 0) (text += ':').append(std::to_string(device));
  (text += '@') += server;
  return text;
}

Result<Jid> Jid::parse(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return Error{Errc::malformed, "a JID without '@'"};
  std::string_view user_part = text.substr(0, at);
  const std::string_view server_part = text.substr(at + 1);
  if (server_part.empty()) return Error{Errc::malformed, "a JID with an empty server"};

  Jid jid("", server_part);
  if (const std::size_t colon = user_part.find(':'); colon != std::string_view::npos) {
    const auto number = decimal<std::uint16_t>(user_part.substr(colon + 1));
    if (!number) return Error{Errc::malformed, "a JID whose device is no number below 65536"};
    jid.device = *number;
    user_part = user_part.substr(0, colon);
  }
  // The agent and the integrator are told apart from the user only where they can occur; elsewhere
  // '_' and '-' are ordinary characters (group JIDs hold a '-').
  if (server_part == kServerPn) {
    if (const std::size_t mark = user_part.rfind('_'); mark != std::string_view::npos) {
      const auto number = decimal<std::uint8_t>(user_part.substr(mark + 1));
      if (number) {
        jid.agent = *number;
        user_part = user_part.substr(0, mark);
      }
    }
  } else if (server_part == kServerInterop) {
    if (const std::size_t mark = user_part.find('-'); mark != std::string_view::npos) {
      const auto number = decimal<std::uint16_t>(user_part.substr(0, mark));
      if (number) {
        jid.integrator = *number;
        user_part = user_part.substr(mark + 1);
      }
    }
  }
  jid.user = user_part;
  return jid;
}

Jid Jid::without_device() const {
  Jid jid = *this;
  jid.device = 0;
  return jid;
}

std::ostream& operator<<(std::ostream& out, const Jid& jid) {
  return out << jid.to_string();
}

}  // namespace wa::wire
